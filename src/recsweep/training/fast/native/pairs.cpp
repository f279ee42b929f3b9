// Pairs of a user and an item: an inner product, constants of both, and a tower of dense layers over the two
// embeddings; trained by the cross-entropy of each pair's label.
#include "common.h"

namespace recsweep {
namespace {

constexpr int64_t PAIRS = 128;  // in a chunk: three layers of 128 and their gradients stay in a core's second cache

enum class PairLoss : int64_t { logits = 0, twice = 1 };  // `twice`: of the sigmoid of the sigmoid

// max(x, 0) - x y + log(1 + exp(-|x|)), torch's BCEWithLogitsLoss; its slope is sigmoid(x) - y.
double cross_entropy(float x, float y, float& slope) {
  slope = sigmoid_(x) - y;
  return std::max(x, 0.f) - x * y + std::log1p(std::exp(-std::fabs(x)));
}

double pair_loss(PairLoss kind, float x, float y, float& slope) {
  if (kind == PairLoss::logits) return cross_entropy(x, y, slope);
  const float s = sigmoid_(x);
  const double loss = cross_entropy(s, y, slope);
  slope *= s * (1.f - s);
  return loss;
}

// user, item: [.., d]; of_user, of_item: one number each; bias [1]. Any of the first four may be empty.
struct Product {
  const float *user, *item, *of_user, *of_item, *bias;
  int64_t d;

  explicit Product(const std::vector<Tensor>& v)
      : user(in(v[0])), item(in(v[1])), of_user(v[2].numel() ? in(v[2]) : nullptr),
        of_item(v[3].numel() ? in(v[3]) : nullptr), bias(in(v[4])), d(v[0].numel() ? v[0].size(1) : 0) {}
  float operator()(int64_t u, int64_t i) const {
    const float sides = (of_user ? of_user[u] : 0.f) + (of_item ? of_item[i] : 0.f);
    return dot(user + u * d, item + i * d, d) + sides + bias[0];
  }
};

// tower: user [.., a] and item [.., b] embeddings, then weight and bias of each layer, then the last weights.
struct Tower {
  std::vector<int64_t> widths;  // the input's, then each layer's
  std::vector<Weight> weights;
  std::vector<const float*> biases;
  const float *user = nullptr, *item = nullptr, *last = nullptr;
  int64_t a = 0, b = 0;

  explicit Tower(const std::vector<Tensor>& v) {
    if (v.empty()) return;
    user = in(v[0]);
    item = in(v[1]);
    a = v[0].size(1);
    b = v[1].size(1);
    widths.push_back(a + b);
    for (size_t k = 2; k + 1 < v.size(); k += 2) {
      TORCH_CHECK(v[k].size(1) == widths.back() && v[k + 1].numel() == v[k].size(0), "layers do not match");
      weights.emplace_back(in(v[k]), v[k].size(0), v[k].size(1));
      biases.push_back(in(v[k + 1]));
      widths.push_back(v[k].size(0));
    }
    last = in(v.back());
    TORCH_CHECK(v.back().numel() == widths.back(), "the last weights do not match");
  }
  size_t layers() const { return weights.size(); }
  int64_t width() const { return widths.empty() ? 0 : widths.front(); }
};

// relu(x + bias), and what the next layer drops of it.
INLINE void bias_and_relu(float* __restrict x, const float* __restrict bias, int64_t rows, int64_t n,
                          const Dropout& drop, uint32_t element) {
  const Dropout own = drop;
  for (int64_t i = 0; i < rows; ++i, element += static_cast<uint32_t>(n)) {
    float* __restrict row = x + i * n;
    for (int64_t j = 0; j < n; ++j) {
      const float value = row[j] + bias[j];
      row[j] = value > 0.f ? value : 0.f;
    }
    if (own.on)
      for (int64_t j = 0; j < n; ++j) row[j] *= own(element + static_cast<uint32_t>(j));
  }
}

// What a chunk of pairs holds of each layer: the values, dropped, and the gradients of two layers in turns.
// Each thread keeps its own from batch to batch.
struct Work {
  std::vector<Buffer> values;
  Buffer slopes[2];
  Buffer logits = Buffer(PAIRS);

  static Work& of(const Tower& tower) {
    static thread_local Work work;
    work.values.resize(tower.widths.size());
    for (size_t l = 0; l < tower.widths.size(); ++l) {
      const size_t wanted = tower.widths[l] * PAIRS;
      work.values[l].resize(wanted);
      for (auto& slope : work.slopes) slope.resize(std::max(slope.size(), wanted));
    }
    return work;
  }
};

struct Step {
  const Product product;
  const Tower tower;
  const int64_t *users, *items;
  const float* labels;
  int64_t size;
  PairLoss kind;
  double p;
  uint64_t seed;

  Dropout drop(size_t layer) const { return Dropout(p, seed, layer); }

  void forward(int64_t from, int64_t m, Work& work) const {
    float* x = work.values[0].data();
    for (int64_t i = 0; i < m; ++i) {
      std::memcpy(x + i * tower.width(), tower.user + users[from + i] * tower.a, tower.a * sizeof(float));
      std::memcpy(x + i * tower.width() + tower.a, tower.item + items[from + i] * tower.b, tower.b * sizeof(float));
    }
    drop(0).apply(x, m * tower.width(), static_cast<uint32_t>(from * tower.width()));
    for (size_t l = 0; l < tower.layers(); ++l) {
      const int64_t k = tower.widths[l], n = tower.widths[l + 1];
      float* above = work.values[l + 1].data();
      tower.weights[l].apply(m, work.values[l].data(), k, above, n);
      const Dropout dropped = l + 1 < tower.layers() ? drop(l + 1) : Dropout(0.0, 0, 0);
      bias_and_relu(above, tower.biases[l], m, n, dropped, static_cast<uint32_t>(from * n));
    }
    const int64_t n = tower.widths.back();
    for (int64_t i = 0; i < m; ++i) work.logits[i] += dot(work.values.back().data() + i * n, tower.last, n);
  }

  // slope: [m] of the logits; gradients of user and item (unused here), layers and last weights; dx: [m, width].
  void backward(int64_t from, int64_t m, const float* slope, Work& work, const std::vector<Tensor>& gradients,
                float* dx) const {
    const size_t layers = tower.layers();
    const int64_t wide = tower.widths.back();
    float* above = work.slopes[0].data();
    float* dlast = out(gradients.back());
    for (int64_t i = 0; i < m; ++i) {
      const float* h = work.values.back().data() + i * wide;
      axpy(wide, slope[i], h, dlast);
      for (int64_t j = 0; j < wide; ++j) above[i * wide + j] = h[j] > 0.f ? slope[i] * tower.last[j] : 0.f;
    }
    for (size_t l = layers; l-- > 0;) {
      const int64_t k = tower.widths[l], n = tower.widths[l + 1];
      const float* value = work.values[l].data();
      multiply_tn(n, k, m, above, n, value, k, out(gradients[2 + 2 * l]), k, true);
      add_rows(above, m, n, out(gradients[3 + 2 * l]));
      float* below = l ? work.slopes[(layers - l) % 2].data() : dx;
      tower.weights[l].apply_backward(m, above, n, below, k);
      if (l == 0) {
        drop(0).apply(below, m * k, static_cast<uint32_t>(from * k));
        return;
      }
      const float kept = p < 1.0 ? static_cast<float>(1.0 / (1.0 - p)) : 0.f;  // what was dropped is 0 too
      for (int64_t j = 0; j < m * k; ++j) below[j] = value[j] > 0.f ? below[j] * kept : 0.f;
      above = below;
    }
  }
};

// Users or items are shared out among threads, so that each row of a gradient is added to in the pairs' order.
void scatter(int64_t threads, const int64_t* ids_, const int64_t* others, int64_t n, const float* slope,
             const float* other, int64_t d, float* gradient, float* constant, const float* dx, int64_t width,
             int64_t first, int64_t own, float* embedding) {
  deal(threads, threads, [&](int64_t part, int64_t) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t id = ids_[i];
      if (threads > 1 && id % threads != part) continue;
      if (d) axpy(d, slope[i], other + others[i] * d, gradient + id * d);
      if (constant) constant[id] += slope[i];
      if (own) axpy(own, 1.f, dx + i * width + first, embedding + id * own);
    }
  });
}

}  // namespace

// The mean loss of pairs, and its gradients: see Product and Tower for what the lists hold. An empty tower is none.
double pairs_step(const std::vector<Tensor>& product, const std::vector<Tensor>& dproduct,
                  const std::vector<Tensor>& tower, const std::vector<Tensor>& dtower, const Tensor& users,
                  const Tensor& items, const Tensor& labels, int64_t kind, double dropout, int64_t seed) {
  const int64_t n = users.numel();
  TORCH_CHECK(labels.numel() == n, "one label a pair");
  const Step step{Product(product), Tower(tower), ids(users, n), ids(items, n), in(labels), n,
                  static_cast<PairLoss>(kind), dropout, static_cast<uint64_t>(seed)};
  const int64_t chunks = (n + PAIRS - 1) / PAIRS, threads = threads_for(chunks), width = step.tower.width();
  static thread_local Buffer kept, kept_slopes;
  kept.resize(std::max<size_t>(kept.size(), n * width));
  kept_slopes.resize(std::max<size_t>(kept_slopes.size(), n));
  float *dx = kept.data(), *slopes = kept_slopes.data();
  Gradients gradients(std::vector<Tensor>(dtower.begin() + std::min<size_t>(2, dtower.size()), dtower.end()));
  gradients.spread(threads);
  std::vector<double> losses(chunks, 0.0);
  const float share = 1.f / static_cast<float>(n);
  deal(chunks, threads, [&](int64_t c, int64_t t) {
    const int64_t from = c * PAIRS, m = std::min(PAIRS, n - from);
    Work& work = Work::of(step.tower);
    for (int64_t i = 0; i < m; ++i) work.logits[i] = step.product(step.users[from + i], step.items[from + i]);
    if (width) step.forward(from, m, work);
    for (int64_t i = 0; i < m; ++i) {
      losses[c] += pair_loss(step.kind, work.logits[i], step.labels[from + i], slopes[from + i]);
      slopes[from + i] *= share;
    }
    if (!width) return;
    std::vector<Tensor> own{dtower[0], dtower[1]};
    own.insert(own.end(), gradients.of(t).begin(), gradients.of(t).end());
    step.backward(from, m, slopes + from, work, own, dx + from * width);
  });
  gradients.gather();
  const auto& [user, item, of_user, of_item, bias, d] = step.product;
  const int64_t a = step.tower.a, b = step.tower.b;
  scatter(threads, step.users, step.items, n, slopes, item, d, out(dproduct[0]), of_user ? out(dproduct[2]) : nullptr,
          dx, width, 0, a, width ? out(dtower[0]) : nullptr);
  scatter(threads, step.items, step.users, n, slopes, user, d, out(dproduct[1]), of_item ? out(dproduct[3]) : nullptr,
          dx, width, a, b, width ? out(dtower[1]) : nullptr);
  float* dbias = out(dproduct[4]);
  for (int64_t i = 0; i < n; ++i) dbias[0] += slopes[i];
  double total = 0.0;
  for (double part : losses) total += part;
  return total / static_cast<double>(n);
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("pairs_step(Tensor[] product, Tensor[] dproduct, Tensor[] tower, Tensor[] dtower, Tensor users, Tensor items, "
        "Tensor labels, int kind, float dropout, int seed) -> float", &pairs_step);
}

}  // namespace recsweep
