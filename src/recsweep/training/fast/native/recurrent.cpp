// GRU4Rec and NARM: a gated recurrent unit over sequences sorted by length, forward and backward.
//
// A chunk's sequences are packed step by step: step t holds the sequences longer than t, and as they are
// sorted those are the first ones. Padding is never computed.
#include "common.h"

namespace recsweep {
namespace {

struct Packed {
  int64_t rows = 0, steps = 0, tokens = 0;
  std::vector<int64_t> active, start;  // by step: sequences, and the first one's row
  std::vector<int64_t> items;          // by row
  std::vector<int64_t> last;           // by sequence: the row of its last step

  void fill(const Batch& batch, int64_t from, int64_t to) {
    rows = to - from, steps = batch.length(batch.order[from]), tokens = 0;
    active.assign(steps, 0), start.assign(steps, 0), last.assign(rows, 0);
    for (int64_t t = 0; t < steps; ++t) {
      start[t] = tokens;
      while (active[t] < rows && batch.length(batch.order[from + active[t]]) > t) ++active[t];
      tokens += active[t];
    }
    items.resize(tokens);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t at = batch.order[from + i], n = batch.length(at);
      const int64_t* sequence = batch.items(at);
      for (int64_t t = 0; t < n; ++t) items[start[t] + i] = sequence[t];
      last[i] = start[n - 1] + i;
    }
  }
};

// One layer without biases, as torch.nn.GRU(bias=False). Gates in torch's order: reset, update, new.
struct Layer {
  const Weight *wx, *wn, *wh;  // of the input: reset and update [2h, in], new [h, in]; of the state: [3h, h]
  int64_t in, h;
  // By row: reset, update, the hidden part of new before the reset gate, new: [tokens, 4h].
  Buffer gates, output, hidden, carry, previous;

  void forward(const Packed& p, const float* x) {
    const int64_t w = 4 * h;
    gates.resize(p.tokens * w), output.resize(p.tokens * h), hidden.resize(p.rows * 3 * h);
    wx->apply(p.tokens, x, in, gates.data(), w);
    wn->apply(p.tokens, x, in, gates.data() + 3 * h, w);
    for (int64_t t = 0; t < p.steps; ++t) {
      const int64_t n = p.active[t];
      const float* before = t ? output.data() + p.start[t - 1] * h : nullptr;
      if (t) wh->apply(n, before, h, hidden.data(), 3 * h);
      else std::fill(hidden.begin(), hidden.begin() + n * 3 * h, 0.f);
      for (int64_t i = 0; i < n; ++i)
        step(gates.data() + (p.start[t] + i) * w, hidden.data() + i * 3 * h, t ? before + i * h : nullptr,
             output.data() + (p.start[t] + i) * h);
    }
  }

  void step(float* __restrict g, const float* __restrict a, const float* __restrict before,
            float* __restrict after) const {
    for (int64_t j = 0; j < 2 * h; ++j) g[j] = sigmoid_(g[j] + a[j]);
    for (int64_t j = 0; j < h; ++j) {
      g[2 * h + j] = a[2 * h + j];
      g[3 * h + j] = tanh_(g[3 * h + j] + g[j] * a[2 * h + j]);
    }
    if (before)
      for (int64_t j = 0; j < h; ++j) after[j] = g[3 * h + j] + g[h + j] * (before[j] - g[3 * h + j]);
    else
      for (int64_t j = 0; j < h; ++j) after[j] = g[3 * h + j] - g[h + j] * g[3 * h + j];
  }

  // dout: [tokens, h], by row; dx may be null. Gates are overwritten by their gradients.
  void backward(const Packed& p, const float* x, const float* dout, float* dx, float* dwi, float* dwh) {
    const int64_t w = 4 * h;
    carry.assign(p.rows * h, 0.f);
    for (int64_t t = p.steps - 1; t >= 0; --t) {
      const int64_t n = p.active[t];
      float* g = gates.data() + p.start[t] * w;
      const float* before = t ? output.data() + p.start[t - 1] * h : nullptr;
      for (int64_t i = 0; i < n; ++i)
        step_backward(g + i * w, t ? before + i * h : nullptr, dout + (p.start[t] + i) * h, carry.data() + i * h);
      if (!t) break;
      wh->apply_backward(n, g, w, carry.data(), h, true);
    }
    add_hidden_gradient(p, dwh);
    multiply_tn(2 * h, in, p.tokens, gates.data(), w, x, in, dwi, in, true);
    multiply_tn(h, in, p.tokens, gates.data() + 3 * h, w, x, in, dwi + 2 * h * in, in, true);
    if (!dx) return;
    wx->apply_backward(p.tokens, gates.data(), w, dx, in);
    wn->apply_backward(p.tokens, gates.data() + 3 * h, w, dx, in, true);
  }

  // One sum over all steps but the first, which has no state before: a sum a step would read and write the whole
  // gradient for as few rows as a chunk has sequences.
  void add_hidden_gradient(const Packed& p, float* dwh) {
    const int64_t first = p.active[0], rows = p.tokens - first;
    previous.resize(rows * h);
    for (int64_t t = 1; t < p.steps; ++t)
      std::memcpy(previous.data() + (p.start[t] - first) * h, output.data() + p.start[t - 1] * h,
                  p.active[t] * h * sizeof(float));
    multiply_tn(3 * h, h, rows, gates.data() + first * 4 * h, 4 * h, previous.data(), h, dwh, h, true);
  }

  // Gradients of reset, update, hidden part and new before their functions; carry: what flows to h before.
  void step_backward(float* __restrict g, const float* __restrict before, const float* __restrict dout,
                     float* __restrict carry_) const {
    for (int64_t j = 0; j < h; ++j) {
      const float r = g[j], z = g[h + j], a = g[2 * h + j], n = g[3 * h + j];
      const float d = carry_[j] + dout[j];
      const float dn = d * (1.f - z) * (1.f - n * n);
      const float old = before ? before[j] : 0.f;
      g[j] = dn * a * r * (1.f - r);
      g[h + j] = d * (old - n) * z * (1.f - z);
      g[2 * h + j] = dn * r;
      g[3 * h + j] = dn;
      carry_[j] = d * z;
    }
  }
};

// The weights of one layer, which the models of all threads read.
struct LayerWeights {
  Weight wx, wn, wh;
  LayerWeights(const Tensor& wi, const Tensor& hidden)
      : wx(in(wi), 2 * hidden.size(1), wi.size(1)),
        wn(in(wi) + 2 * hidden.size(1) * wi.size(1), hidden.size(1), wi.size(1)),
        wh(in(hidden), 3 * hidden.size(1), hidden.size(1)) {}
};

std::vector<LayerWeights> weights_of(const std::vector<Tensor>& weights, int64_t layers) {
  std::vector<LayerWeights> found;
  for (int64_t l = 0; l < layers; ++l) found.emplace_back(weights[1 + 2 * l], weights[2 + 2 * l]);
  return found;
}

// Embedded and dropped items, then the layers.
class Recurrence {
 public:
  Recurrence(const std::vector<Tensor>& weights, const std::vector<LayerWeights>& layers, double p)
      : items_(in(weights[0])), d_(weights[0].size(1)), p_(p) {
    for (size_t l = 0; l < layers.size(); ++l) {
      const Tensor &wi = weights[1 + 2 * l], &wh = weights[2 + 2 * l];
      layers_.push_back(Layer{&layers[l].wx, &layers[l].wn, &layers[l].wh, wi.size(1), wh.size(1), {}, {}, {}, {}, {}});
    }
  }
  int64_t hidden() const { return layers_[0].h; }
  const float* outputs() const { return layers_.back().output.data(); }

  void forward(const Packed& p, bool train, uint64_t seed, uint64_t stream) {
    drop_ = Dropout(train ? p_ : 0.0, seed, stream);
    x_.resize(p.tokens * d_);
    for (int64_t i = 0; i < p.tokens; ++i) std::memcpy(x_.data() + i * d_, items_ + p.items[i] * d_, d_ * sizeof(float));
    drop_.apply(x_.data(), p.tokens * d_);
    for (size_t l = 0; l < layers_.size(); ++l) layers_[l].forward(p, l ? layers_[l - 1].output.data() : x_.data());
  }

  // From the gradient of the outputs, by row, to those of the embeddings and the layers' weights.
  void backward(const Packed& p, const float* dout, const std::vector<Tensor>& g) {
    for (size_t l = layers_.size(); l-- > 0;) {
      Buffer& dx = dx_[l % 2];
      dx.resize(p.tokens * layers_[l].in);
      layers_[l].backward(p, l ? layers_[l - 1].output.data() : x_.data(), dout, dx.data(), out(g[1 + 2 * l]), out(g[2 + 2 * l]));
      dout = dx.data();
    }
    float* dx = dx_[0].data();
    drop_.apply(dx, p.tokens * d_);
    float* ditems = out(g[0]);
    for (int64_t i = 0; i < p.tokens; ++i) axpy(d_, 1.f, dx + i * d_, ditems + p.items[i] * d_);
  }

 private:
  const float* items_;
  int64_t d_;
  double p_;
  Dropout drop_;
  std::vector<Layer> layers_;
  Buffer x_, dx_[2];
};

// --------------------------------------------------------------------------------------------- GRU4Rec

class Gru4Rec {
 public:
  static constexpr int64_t TAIL = 2;
  Gru4Rec(const std::vector<Tensor>& weights, const std::vector<LayerWeights>& layers, at::ArrayRef<double> dropouts)
      : layers_(static_cast<int64_t>(layers.size())), recurrence_(weights, layers, dropouts[0]),
        dense_(in(weights[1 + 2 * layers_])), bias_(in(weights[2 + 2 * layers_])), d_(weights[0].size(1)) {}

  const float* forward(const Packed& p, bool train, uint64_t seed, uint64_t stream) {
    const int64_t h = recurrence_.hidden();
    recurrence_.forward(p, train, seed, stream * 2);
    last_.resize(p.rows * h), result_.resize(p.rows * d_);
    for (int64_t i = 0; i < p.rows; ++i)
      std::memcpy(last_.data() + i * h, recurrence_.outputs() + p.last[i] * h, h * sizeof(float));
    fill_rows(bias_, p.rows, d_, result_.data());
    multiply_nt(p.rows, d_, h, last_.data(), h, dense_, h, result_.data(), d_, true);
    return result_.data();
  }

  void backward(const Packed& p, float* dy, const std::vector<Tensor>& g) {
    const int64_t h = recurrence_.hidden();
    add_rows(dy, p.rows, d_, out(g[2 + 2 * layers_]));
    multiply_tn(d_, h, p.rows, dy, d_, last_.data(), h, out(g[1 + 2 * layers_]), h, true);
    multiply(p.rows, h, d_, dy, d_, dense_, h, last_.data(), h);
    dout_.assign(p.tokens * h, 0.f);
    for (int64_t i = 0; i < p.rows; ++i) std::memcpy(dout_.data() + p.last[i] * h, last_.data() + i * h, h * sizeof(float));
    recurrence_.backward(p, dout_.data(), g);
  }

 private:
  int64_t layers_;
  Recurrence recurrence_;
  const float *dense_, *bias_;
  int64_t d_;
  Buffer last_, result_, dout_;
};

// ------------------------------------------------------------------------------------------------ NARM

class Narm {
 public:
  static constexpr int64_t TAIL = 4;
  Narm(const std::vector<Tensor>& weights, const std::vector<LayerWeights>& layers, at::ArrayRef<double> dropouts)
      : tail_(1 + 2 * static_cast<int64_t>(layers.size())), recurrence_(weights, layers, dropouts[0]), a1_(in(weights[tail_])),
        a2_(in(weights[tail_ + 1])), v_(in(weights[tail_ + 2])), b_(in(weights[tail_ + 3])), d_(weights[0].size(1)),
        p_(dropouts[1]) {}

  const float* forward(const Packed& p, bool train, uint64_t seed, uint64_t stream) {
    const int64_t h = recurrence_.hidden();
    recurrence_.forward(p, train, seed, stream * 2);
    const float* hs = recurrence_.outputs();
    last_.resize(p.rows * h), query_.resize(p.rows * h), gate_.resize(p.tokens * h), alpha_.resize(p.tokens);
    context_.assign(p.rows * 2 * h, 0.f), result_.resize(p.rows * d_);
    for (int64_t i = 0; i < p.rows; ++i) std::memcpy(last_.data() + i * h, hs + p.last[i] * h, h * sizeof(float));
    multiply_nt(p.rows, h, h, last_.data(), h, a2_, h, query_.data(), h);
    multiply_nt(p.tokens, h, h, hs, h, a1_, h, gate_.data(), h);
    for (int64_t t = 0; t < p.steps; ++t)
      for (int64_t i = 0; i < p.active[t]; ++i) {
        const int64_t k = p.start[t] + i;
        float* __restrict s = gate_.data() + k * h;
        const float* __restrict q = query_.data() + i * h;
        for (int64_t j = 0; j < h; ++j) s[j] = sigmoid_(s[j] + q[j]);
        alpha_[k] = dot(s, v_, h);
        axpy(h, alpha_[k], hs + k * h, context_.data() + i * 2 * h);
      }
    for (int64_t i = 0; i < p.rows; ++i)
      std::memcpy(context_.data() + i * 2 * h + h, last_.data() + i * h, h * sizeof(float));
    drop_ = Dropout(train ? p_ : 0.0, seed, stream * 2 + 1);
    drop_.apply(context_.data(), p.rows * 2 * h);
    multiply_nt(p.rows, d_, 2 * h, context_.data(), 2 * h, b_, 2 * h, result_.data(), d_);
    return result_.data();
  }

  void backward(const Packed& p, float* dy, const std::vector<Tensor>& g) {
    const int64_t h = recurrence_.hidden();
    const float* hs = recurrence_.outputs();
    multiply_tn(d_, 2 * h, p.rows, dy, d_, context_.data(), 2 * h, out(g[tail_ + 3]), 2 * h, true);
    multiply(p.rows, 2 * h, d_, dy, d_, b_, 2 * h, context_.data(), 2 * h);
    drop_.apply(context_.data(), p.rows * 2 * h);  // now the gradient of both halves
    dout_.resize(p.tokens * h), query_.assign(p.rows * h, 0.f);
    float* dv = out(g[tail_ + 2]);
    for (int64_t t = 0; t < p.steps; ++t)
      for (int64_t i = 0; i < p.active[t]; ++i) {
        const int64_t k = p.start[t] + i;
        const float* __restrict dc = context_.data() + i * 2 * h;
        float* __restrict s = gate_.data() + k * h;
        float* __restrict dh = dout_.data() + k * h;
        float* __restrict dq = query_.data() + i * h;
        const float dalpha = dot(dc, hs + k * h, h), alpha = alpha_[k];
        for (int64_t j = 0; j < h; ++j) {
          dv[j] += dalpha * s[j];
          dh[j] = alpha * dc[j];
          s[j] = dalpha * v_[j] * s[j] * (1.f - s[j]);
          dq[j] += s[j];
        }
      }
    multiply_tn(h, h, p.tokens, gate_.data(), h, hs, h, out(g[tail_]), h, true);
    multiply(p.tokens, h, h, gate_.data(), h, a1_, h, dout_.data(), h, true);
    multiply_tn(h, h, p.rows, query_.data(), h, last_.data(), h, out(g[tail_ + 1]), h, true);
    multiply(p.rows, h, h, query_.data(), h, a2_, h, last_.data(), h);
    for (int64_t i = 0; i < p.rows; ++i) {
      axpy(h, 1.f, last_.data() + i * h, dout_.data() + p.last[i] * h);
      axpy(h, 1.f, context_.data() + i * 2 * h + h, dout_.data() + p.last[i] * h);
    }
    recurrence_.backward(p, dout_.data(), g);
  }

 private:
  int64_t tail_;
  Recurrence recurrence_;
  const float *a1_, *a2_, *v_, *b_;
  int64_t d_;
  double p_;
  Dropout drop_;
  Buffer last_, query_, gate_, alpha_, context_, result_, dout_;
};

// ------------------------------------------------------------------------------------------- operators

template <typename Model>
int64_t layers_of(const std::vector<Tensor>& weights) {
  return (static_cast<int64_t>(weights.size()) - 1 - Model::TAIL) / 2;
}

template <typename Model>
double step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients, const Tensor& sequences,
            const Tensor& lengths, const Tensor& rows, const Tensor& positive, const std::optional<Tensor>& negative,
            int64_t loss_kind, at::ArrayRef<double> dropouts, int64_t seed, int64_t tokens) {
  const int64_t d = weights[0].size(1);
  const Batch batch(sequences, lengths, rows);
  const Loss loss(loss_kind, weights[0], positive, negative, batch.size);
  const auto chunks = batch.chunks(tokens, MOST_SEQUENCES);
  const int64_t threads = threads_for(chunks.size());
  const auto layers = weights_of(weights, layers_of<Model>(weights));
  std::vector<Model> models(threads, Model(weights, layers, dropouts));
  std::vector<Packed> packs(threads);
  std::vector<Buffer> works(threads), dys(threads);
  return accumulate(chunks, threads, gradients, [&](int64_t from, int64_t to, int64_t c, int64_t t, const auto& g) {
    packs[t].fill(batch, from, to);
    const float* y = models[t].forward(packs[t], true, seed, c);
    dys[t].resize((to - from) * d);
    const double part = loss(to - from, batch.order.data() + from, y, dys[t].data(), out(g[0]), works[t]);
    models[t].backward(packs[t], dys[t].data(), g);
    return part;
  });
}

template <typename Model>
Tensor encode(const std::vector<Tensor>& weights, const Tensor& sequences, const Tensor& lengths, const Tensor& rows,
              int64_t tokens) {
  const int64_t d = weights[0].size(1);
  const Batch batch(sequences, lengths, rows);
  const auto chunks = batch.chunks(tokens, MOST_SEQUENCES);
  const int64_t threads = threads_for(chunks.size());
  const std::vector<double> none(2, 0.0);
  Tensor result = at::empty({batch.size, d}, weights[0].options());
  const auto layers = weights_of(weights, layers_of<Model>(weights));
  std::vector<Model> models(threads, Model(weights, layers, none));
  std::vector<Packed> packs(threads);
  deal(chunks.size(), threads, [&](int64_t c, int64_t t) {
    const auto [from, to] = chunks[c];
    packs[t].fill(batch, from, to);
    const float* y = models[t].forward(packs[t], false, 0, 0);
    for (int64_t i = from; i < to; ++i) std::memcpy(out(result) + batch.order[i] * d, y + (i - from) * d, d * sizeof(float));
  });
  return result;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  const std::string step_arguments =
      "(Tensor[] weights, Tensor[] gradients, Tensor sequences, Tensor lengths, Tensor rows, Tensor positive, "
      "Tensor? negative, int loss, float[] dropouts, int seed, int tokens) -> float";
  const std::string encode_arguments =
      "(Tensor[] weights, Tensor sequences, Tensor lengths, Tensor rows, int tokens) -> Tensor";
  m.def(("gru4rec_step" + step_arguments).c_str(), &step<Gru4Rec>);
  m.def(("gru4rec_encode" + encode_arguments).c_str(), &encode<Gru4Rec>);
  m.def(("narm_step" + step_arguments).c_str(), &step<Narm>);
  m.def(("narm_encode" + encode_arguments).c_str(), &encode<Narm>);
}

}  // namespace recsweep
