// STAMP and FOSSIL: sums over the items of a sequence, without a copy of their embeddings.
//
// RecBole initializes the embedding of padding and sums over the padded width, so padding counts here:
// as one item with a multiplicity. As in RecBole, looking padding up brings no gradient to its embedding.
#include "common.h"

namespace recsweep {
namespace {

constexpr int64_t BLOCK = 128;  // sequences

Chunks blocks_of(int64_t n) {
  Chunks found;
  for (int64_t from = 0; from < n; from += BLOCK) found.emplace_back(from, std::min(n, from + BLOCK));
  return found;
}

std::vector<int64_t> every(int64_t n) {
  std::vector<int64_t> all(n);
  for (int64_t i = 0; i < n; ++i) all[i] = i;
  return all;
}

// sum[j] = sum of the embeddings of a sequence, padding included.
void sum_items(const Batch& batch, int64_t i, const float* items, int64_t d, float* __restrict sum) {
  const int64_t n = batch.length(i);
  const int64_t* sequence = batch.items(i);
  const float padding = static_cast<float>(batch.width - n);
  for (int64_t j = 0; j < d; ++j) sum[j] = padding * items[j];
  for (int64_t t = 0; t < n; ++t) axpy(d, 1.f, items + sequence[t] * d, sum);
}

// ----------------------------------------------------------------------------------------------- STAMP

// Weights in RecBole's order: embedding, w1, w2, w3, w0, b_a, mlp_a (weight, bias), mlp_b (weight, bias).
struct Stamp {
  const float *items, *w1, *w2, *w3, *w0, *ba, *wa, *a, *wb, *b;
  int64_t n_items, d;
  explicit Stamp(const std::vector<Tensor>& t)
      : items(in(t[0])), w1(in(t[1])), w2(in(t[2])), w3(in(t[3])), w0(in(t[4])), ba(in(t[5])), wa(in(t[6])),
        a(in(t[7])), wb(in(t[8])), b(in(t[9])), n_items(t[0].size(0)), d(t[0].size(1)) {}
};

// w1 of every item that a batch needs. Where a batch holds more items than there are, each is projected
// once instead of at every place where it stands.
struct Projected {
  Buffer table;  // [rows, d]
  std::vector<int64_t> row;  // by item: its row, or -1
  std::vector<int64_t> item;  // by row

  Projected(const Stamp& m, const Batch& batch) : row(m.n_items, -1) {
    note(0);
    for (int64_t i = 0; i < batch.size; ++i)
      for (int64_t t = 0; t < batch.length(i); ++t) note(batch.items(i)[t]);
    const int64_t n = rows(), d = m.d;
    Buffer embedded = gather(m);
    table.resize(n * d);
    multiply_nt(n, d, d, embedded.data(), d, m.w1, d, table.data(), d);
  }
  int64_t rows() const { return static_cast<int64_t>(item.size()); }
  void note(int64_t i) {
    if (row[i] >= 0) return;
    row[i] = rows();
    item.push_back(i);
  }
  Buffer gather(const Stamp& m) const {
    Buffer embedded(rows() * m.d);
    for (int64_t r = 0; r < rows(); ++r)
      std::memcpy(embedded.data() + r * m.d, m.items + item[r] * m.d, m.d * sizeof(float));
    return embedded;
  }
  // Row 0 is padding: it counts for w1, its embedding gets nothing.
  void backward(const Stamp& m, const Buffer& dtable, float* dw1, float* ditems) const {
    const int64_t n = rows(), d = m.d;
    const Buffer embedded = gather(m);
    multiply_tn(d, d, n, dtable.data(), d, embedded.data(), d, dw1, d, true);
    Buffer dx(n * d);
    multiply(n, d, d, dtable.data(), d, m.w1, d, dx.data(), d);
    for (int64_t r = 1; r < n; ++r) axpy(d, 1.f, dx.data() + r * d, ditems + item[r] * d);
  }
};

// A block of sequences.
class StampBlock {
 public:
  StampBlock(const Stamp& m, const Batch& batch, const Projected& projected) : m_(m), batch_(batch), projected_(projected) {}

  const float* forward(int64_t from, int64_t to) {
    const int64_t n = to - from, d = m_.d;
    last_.resize(n * d), mean_.resize(n * d), aspect_.resize(n * d), memory_.resize(n * d);
    hs_.resize(n * d), ht_.resize(n * d), y_.resize(n * d);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t length = batch_.length(from + i);
      std::memcpy(last_.data() + i * d, m_.items + batch_.items(from + i)[length - 1] * d, d * sizeof(float));
      sum_items(batch_, from + i, m_.items, d, mean_.data() + i * d);
      for (int64_t j = 0; j < d; ++j) mean_[i * d + j] /= static_cast<float>(length);
    }
    fill_rows(m_.ba, n, d, aspect_.data());
    multiply_nt(n, d, d, last_.data(), d, m_.w2, d, aspect_.data(), d, true);
    multiply_nt(n, d, d, mean_.data(), d, m_.w3, d, aspect_.data(), d, true);
    attend(from, n);
    branch(n, memory_, m_.wa, m_.a, hs_);
    branch(n, last_, m_.wb, m_.b, ht_);
    for (int64_t i = 0; i < n * d; ++i) y_[i] = hs_[i] * ht_[i];
    return y_.data();
  }

  void backward(int64_t from, int64_t to, const float* dy, const std::vector<Tensor>& g, Buffer& dtable) {
    const int64_t n = to - from, d = m_.d;
    dhs_.resize(n * d), dht_.resize(n * d), dmemory_.resize(n * d), dlast_.resize(n * d), daspect_.assign(n * d, 0.f);
    for (int64_t i = 0; i < n * d; ++i) {
      dhs_[i] = dy[i] * ht_[i] * (1.f - hs_[i] * hs_[i]);
      dht_[i] = dy[i] * hs_[i] * (1.f - ht_[i] * ht_[i]);
    }
    branch_backward(n, memory_, m_.wa, dhs_, out(g[6]), out(g[7]), dmemory_);
    branch_backward(n, last_, m_.wb, dht_, out(g[8]), out(g[9]), dlast_);
    attend_backward(from, n, out(g[4]), dtable);
    add_rows(daspect_.data(), n, d, out(g[5]));
    multiply_tn(d, d, n, daspect_.data(), d, last_.data(), d, out(g[2]), d, true);
    multiply_tn(d, d, n, daspect_.data(), d, mean_.data(), d, out(g[3]), d, true);
    multiply(n, d, d, daspect_.data(), d, m_.w2, d, dlast_.data(), d, true);
    dmean_ = dmemory_;
    multiply(n, d, d, daspect_.data(), d, m_.w3, d, dmean_.data(), d, true);
    scatter(from, n, out(g[0]));
  }

 private:
  // f(x W^T + b)
  void branch(int64_t n, const Buffer& x, const float* weight, const float* bias, Buffer& y) const {
    fill_rows(bias, n, m_.d, y.data());
    multiply_nt(n, m_.d, m_.d, x.data(), m_.d, weight, m_.d, y.data(), m_.d, true);
    float* __restrict p = y.data();
    for (int64_t i = 0; i < n * m_.d; ++i) p[i] = tanh_(p[i]);
  }
  void branch_backward(int64_t n, const Buffer& x, const float* weight, const Buffer& dy, float* dweight, float* dbias,
                       Buffer& dx) const {
    const int64_t d = m_.d;
    add_rows(dy.data(), n, d, dbias);
    multiply_tn(d, d, n, dy.data(), d, x.data(), d, dweight, d, true);
    multiply(n, d, d, dy.data(), d, weight, d, dx.data(), d);
  }

  void attend(int64_t from, int64_t n) {
    const int64_t d = m_.d, width = batch_.width;
    gate_.resize(n * (width + 1) * d), alpha_.resize(n * (width + 1));
    for (int64_t i = 0; i < n; ++i) {
      const int64_t length = batch_.length(from + i);
      const int64_t* sequence = batch_.items(from + i);
      const float* __restrict aspect = aspect_.data() + i * d;
      float* __restrict memory = memory_.data() + i * d;
      std::memcpy(memory, mean_.data() + i * d, d * sizeof(float));
      for (int64_t t = 0; t <= length; ++t) {  // the last one stands for all padding
        const int64_t item = t < length ? sequence[t] : 0;
        const float* __restrict table = projected_.table.data() + projected_.row[item] * d;
        float* __restrict s = gate_.data() + (i * (width + 1) + t) * d;
        for (int64_t j = 0; j < d; ++j) s[j] = sigmoid_(table[j] + aspect[j]);
        const float alpha = dot(m_.w0, s, d);
        alpha_[i * (width + 1) + t] = alpha;
        axpy(d, t < length ? alpha : alpha * static_cast<float>(width - length), m_.items + item * d, memory);
      }
    }
  }

  void attend_backward(int64_t from, int64_t n, float* dw0, Buffer& dtable) {
    const int64_t d = m_.d, width = batch_.width;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t length = batch_.length(from + i);
      const int64_t* sequence = batch_.items(from + i);
      float* __restrict daspect = daspect_.data() + i * d;
      for (int64_t t = 0; t <= length; ++t) {
        const int64_t item = t < length ? sequence[t] : 0;
        const float times = t < length ? 1.f : static_cast<float>(width - length);
        const float* __restrict s = gate_.data() + (i * (width + 1) + t) * d;
        float* __restrict dt = dtable.data() + projected_.row[item] * d;
        const float dalpha = times * dot(dmemory_.data() + i * d, m_.items + item * d, d);
        for (int64_t j = 0; j < d; ++j) {
          dw0[j] += dalpha * s[j];
          const float ds = dalpha * m_.w0[j] * s[j] * (1.f - s[j]);
          dt[j] += ds;
          daspect[j] += ds;
        }
      }
    }
  }

  void scatter(int64_t from, int64_t n, float* ditems) const {
    const int64_t d = m_.d, width = batch_.width;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t length = batch_.length(from + i);
      const int64_t* sequence = batch_.items(from + i);
      const float* __restrict dmemory = dmemory_.data() + i * d;
      const float* __restrict dmean = dmean_.data() + i * d;
      const float part = 1.f / static_cast<float>(length);
      for (int64_t t = 0; t < length; ++t) {
        const float alpha = alpha_[i * (width + 1) + t];
        float* __restrict target = ditems + sequence[t] * d;
        for (int64_t j = 0; j < d; ++j) target[j] += alpha * dmemory[j] + part * dmean[j];
      }
      axpy(d, 1.f, dlast_.data() + i * d, ditems + sequence[length - 1] * d);
    }
  }

  const Stamp& m_;
  const Batch& batch_;
  const Projected& projected_;
  Buffer last_, mean_, aspect_, memory_, hs_, ht_, y_, gate_, alpha_;
  Buffer dhs_, dht_, dmemory_, dlast_, daspect_, dmean_;
};

// ---------------------------------------------------------------------------------------------- FOSSIL

struct Fossil {
  const float *items, *users, *common;  // embedding, user_lambda [n_users, order], lambda_ [order]
  int64_t d, order;
  float alpha;
  Fossil(const std::vector<Tensor>& t, double alpha_)
      : items(in(t[0])), users(in(t[1])), common(in(t[2])), d(t[0].size(1)), order(t[1].size(1)),
        alpha(static_cast<float>(alpha_)) {}

  float share(int64_t length) const { return std::pow(static_cast<float>(length), -alpha); }

  void forward(const Batch& batch, int64_t i, int64_t user, float* __restrict y) const {
    const int64_t n = batch.length(i);
    sum_items(batch, i, items, d, y);
    const float s = share(n);
    for (int64_t j = 0; j < d; ++j) y[j] *= s;
    for (int64_t k = std::max<int64_t>(0, order - n); k < order; ++k)
      axpy(d, users[user * order + k] + common[k], items + batch.items(i)[n - order + k] * d, y);
  }

  void backward(const Batch& batch, int64_t i, int64_t user, const float* dy, float* ditems, float* dusers,
                float* dcommon) const {
    const int64_t n = batch.length(i);
    const int64_t* sequence = batch.items(i);
    const float s = share(n);
    for (int64_t t = 0; t < n; ++t) axpy(d, s, dy, ditems + sequence[t] * d);
    for (int64_t k = std::max<int64_t>(0, order - n); k < order; ++k) {
      const int64_t item = sequence[n - order + k];
      const float slope = dot(dy, items + item * d, d);
      dusers[user * order + k] += slope;
      dcommon[k] += slope;
      axpy(d, users[user * order + k] + common[k], dy, ditems + item * d);
    }
  }
};

// reg_weight times the norms of the batch's user factors, target embeddings and outputs, with gradients.
struct Regularization {
  float weight, users = 0.f, targets = 0.f, outputs = 0.f;

  Regularization(double w, const Fossil& m, const Batch& batch, const int64_t* user, const int64_t* positive,
                 const float* y)
      : weight(static_cast<float>(w)) {
    if (weight == 0.f) return;
    double u = 0, p = 0, o = 0;
    for (int64_t i = 0; i < batch.size; ++i) {
      u += dot(m.users + user[i] * m.order, m.users + user[i] * m.order, m.order);
      p += dot(m.items + positive[i] * m.d, m.items + positive[i] * m.d, m.d);
      o += dot(y + i * m.d, y + i * m.d, m.d);
    }
    users = std::sqrt(u), targets = std::sqrt(p), outputs = std::sqrt(o);
  }
  double loss() const { return static_cast<double>(weight) * (users + targets + outputs); }
  float slope(float norm) const { return norm > 0.f ? weight / norm : 0.f; }
  void backward(const Fossil& m, int64_t user, int64_t positive, const float* y, float* dy, float* ditems,
                float* dusers) const {
    if (weight == 0.f) return;
    axpy(m.order, slope(users), m.users + user * m.order, dusers + user * m.order);
    axpy(m.d, slope(targets), m.items + positive * m.d, ditems + positive * m.d);
    axpy(m.d, slope(outputs), y, dy);
  }
};

}  // namespace

double stamp_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients, const Tensor& sequences,
                  const Tensor& lengths, const Tensor& rows, const Tensor& positive,
                  const std::optional<Tensor>& negative, int64_t loss_kind) {
  const Stamp model(weights);
  const Batch batch(sequences, lengths, rows);
  const Loss loss(loss_kind, weights[0], positive, negative, batch.size);
  const Projected projected(model, batch);
  const auto blocks = blocks_of(batch.size);
  const auto which = every(batch.size);
  const int64_t threads = threads_for(blocks.size());
  std::vector<StampBlock> workers(threads, StampBlock(model, batch, projected));
  std::vector<Buffer> works(threads), dys(threads), dtables(threads, Buffer(projected.table.size(), 0.f));
  const auto work = [&](int64_t from, int64_t to, int64_t, int64_t t, const std::vector<Tensor>& g) {
    const float* y = workers[t].forward(from, to);
    dys[t].resize((to - from) * model.d);
    const double part = loss(to - from, which.data() + from, y, dys[t].data(), out(g[0]), works[t]);
    workers[t].backward(from, to, dys[t].data(), g, dtables[t]);
    return part;
  };
  const double total = accumulate(blocks, threads, gradients, work);
  for (int64_t t = 1; t < threads; ++t) axpy(dtables[0].size(), 1.f, dtables[t].data(), dtables[0].data());
  projected.backward(model, dtables[0], out(gradients[1]), out(gradients[0]));
  return total;
}

Tensor stamp_encode(const std::vector<Tensor>& weights, const Tensor& sequences, const Tensor& lengths,
                    const Tensor& rows) {
  const Stamp model(weights);
  const Batch batch(sequences, lengths, rows);
  const Projected projected(model, batch);
  const auto blocks = blocks_of(batch.size);
  const int64_t threads = threads_for(blocks.size());
  Tensor result = at::empty({batch.size, model.d}, weights[0].options());
  std::vector<StampBlock> workers(threads, StampBlock(model, batch, projected));
  deal(blocks.size(), threads, [&](int64_t c, int64_t t) {
    const auto [from, to] = blocks[c];
    std::memcpy(out(result) + from * model.d, workers[t].forward(from, to), (to - from) * model.d * sizeof(float));
  });
  return result;
}

Tensor fossil_encode(const std::vector<Tensor>& weights, const Tensor& sequences, const Tensor& lengths,
                     const Tensor& rows, const Tensor& users, double alpha) {
  const Fossil model(weights, alpha);
  const Batch batch(sequences, lengths, rows);
  Tensor result = at::empty({batch.size, model.d}, weights[0].options());
  const int64_t* user = ids(users, batch.size);
  const auto blocks = blocks_of(batch.size);
  deal(blocks.size(), threads_for(blocks.size()), [&](int64_t c, int64_t) {
    for (int64_t i = blocks[c].first; i < blocks[c].second; ++i)
      model.forward(batch, i, user[i], out(result) + i * model.d);
  });
  return result;
}

double fossil_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients, const Tensor& sequences,
                   const Tensor& lengths, const Tensor& rows, const Tensor& users, const Tensor& positive,
                   const std::optional<Tensor>& negative, int64_t loss_kind, double alpha, double reg_weight) {
  const Fossil model(weights, alpha);
  const Batch batch(sequences, lengths, rows);
  const Loss loss(loss_kind, weights[0], positive, negative, batch.size);
  const int64_t *user = ids(users, batch.size), *target = ids(positive, batch.size);
  const Tensor encoded = fossil_encode(weights, sequences, lengths, rows, users, alpha);
  const float* y = in(encoded);
  const Regularization regularization(reg_weight, model, batch, user, target, y);
  const auto blocks = blocks_of(batch.size);
  const auto which = every(batch.size);
  const int64_t threads = threads_for(blocks.size());
  std::vector<Buffer> works(threads), dys(threads);
  const auto work = [&](int64_t from, int64_t to, int64_t, int64_t t, const std::vector<Tensor>& g) {
    float *ditems = out(g[0]), *dusers = out(g[1]), *dcommon = out(g[2]);
    dys[t].resize((to - from) * model.d);
    float* dy = dys[t].data();
    const double part = loss(to - from, which.data() + from, y + from * model.d, dy, ditems, works[t]);
    for (int64_t i = from; i < to; ++i, dy += model.d) {
      regularization.backward(model, user[i], target[i], y + i * model.d, dy, ditems, dusers);
      model.backward(batch, i, user[i], dy, ditems, dusers, dcommon);
    }
    return part;
  };
  return regularization.loss() + accumulate(blocks, threads, gradients, work);
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("stamp_step(Tensor[] weights, Tensor[] gradients, Tensor sequences, Tensor lengths, Tensor rows, "
        "Tensor positive, Tensor? negative, int loss) -> float", &stamp_step);
  m.def("stamp_encode(Tensor[] weights, Tensor sequences, Tensor lengths, Tensor rows) -> Tensor", &stamp_encode);
  m.def("fossil_step(Tensor[] weights, Tensor[] gradients, Tensor sequences, Tensor lengths, Tensor rows, "
        "Tensor users, Tensor positive, Tensor? negative, int loss, float alpha, float reg_weight) -> float",
        &fossil_step);
  m.def("fossil_encode(Tensor[] weights, Tensor sequences, Tensor lengths, Tensor rows, Tensor users, float alpha) "
        "-> Tensor", &fossil_encode);
}

}  // namespace recsweep
