// Scores of users with all items by what crosses a pair's features: attention among them (AutoInt), and layers that
// multiply them with themselves (DCN-v2), the dense layers above included.
#include "common.h"

namespace recsweep {
namespace {

constexpr int64_t PAIRS = 64;  // of one user, along the rows of memory

// Features attend to one another: x [d, features, PAIRS] of queries, keys and values [3 d, features, PAIRS].
void attend(const float* seen, int64_t d, int64_t heads, int64_t features, float* x, float* shares) {
  const int64_t width = d / heads, row = features * PAIRS;
  const float scale = 1.f / std::sqrt(static_cast<float>(width));
  for (int64_t h = 0; h < heads; ++h) {
    const float* query = seen + h * width * row;
    for (int64_t f = 0; f < features; ++f) {
      float sum[PAIRS], top[PAIRS];
      for (int64_t g = 0; g < features; ++g) {
        float* __restrict share = shares + g * PAIRS;
        std::fill(share, share + PAIRS, 0.f);
        for (int64_t c = 0; c < width; ++c) {
          const float* __restrict q = query + c * row + f * PAIRS;
          const float* __restrict k = query + (d + c) * row + g * PAIRS;
          for (int64_t p = 0; p < PAIRS; ++p) share[p] += q[p] * k[p];
        }
        for (int64_t p = 0; p < PAIRS; ++p) top[p] = g == 0 || share[p] > top[p] ? share[p] : top[p];
      }
      for (int64_t p = 0; p < PAIRS; ++p) sum[p] = 0.f;
      for (int64_t g = 0; g < features; ++g) {
        float* __restrict share = shares + g * PAIRS;
        for (int64_t p = 0; p < PAIRS; ++p) {
          share[p] = exp_((share[p] - top[p]) * scale);
          sum[p] += share[p];
        }
      }
      for (int64_t p = 0; p < PAIRS; ++p) sum[p] = 1.f / sum[p];
      for (int64_t c = 0; c < width; ++c) {
        float* __restrict to = x + (h * width + c) * row + f * PAIRS;
        float mixed[PAIRS];
        for (int64_t p = 0; p < PAIRS; ++p) mixed[p] = 0.f;
        for (int64_t g = 0; g < features; ++g) {
          const float* __restrict value = query + (2 * d + c) * row + g * PAIRS;
          const float* __restrict share = shares + g * PAIRS;
          for (int64_t p = 0; p < PAIRS; ++p) mixed[p] += share[p] * value[p];
        }
        for (int64_t p = 0; p < PAIRS; ++p) to[p] = mixed[p] * sum[p];
      }
    }
  }
}

// y [rows, n] = w [rows, d] x [d, n] + bias
void dense(const Tensor& w, const Tensor& bias, const float* x, int64_t n, float* y) {
  const int64_t rows = w.size(0), d = w.size(1);
  const float* shift = in(bias);
  for (int64_t i = 0; i < rows; ++i) std::fill(y + i * n, y + (i + 1) * n, shift[i]);
  multiply(rows, n, d, in(w), d, x, n, y, n, true);
}

// A part of all features [channels, features, PAIRS]: those of one user [user features, channels], repeated, and
// those of some items [item features, channels, n_items].
struct Sides {
  const float *users, *items;
  int64_t channels, of_users, of_items, n_items;
  Sides(const Tensor& u, const Tensor& i)
      : users(in(u)), items(in(i)), channels(u.size(2)), of_users(u.size(1)), of_items(i.size(0)), n_items(i.size(2)) {
    TORCH_CHECK(i.size(1) == channels, "users and items do not match");
  }
  void put(int64_t user, int64_t item, int64_t count, float* to) const {
    const int64_t features = of_users + of_items;
    for (int64_t c = 0; c < channels; ++c) {
      float* row = to + c * features * PAIRS;
      for (int64_t f = 0; f < of_users; ++f, row += PAIRS)
        std::fill(row, row + PAIRS, users[(user * of_users + f) * channels + c]);
      for (int64_t f = 0; f < of_items; ++f, row += PAIRS) {
        std::memcpy(row, items + (f * channels + c) * n_items + item, count * sizeof(float));
        std::fill(row + count, row + PAIRS, 0.f);
      }
    }
  }
};

}  // namespace

// Adds to scores [users, n_items] what attention says: the first layer's queries, keys and values of users
// [users, features, 3 d] and items [features, 3 d, n_items], what is added at the end of both (d for 3 d), weight and
// bias of each layer's ways in (but of the first) and out, and the last weights [d, features].
void attention_scores(const Tensor& scores, const Tensor& seen_users, const Tensor& seen_items,
                      const Tensor& rest_users, const Tensor& rest_items, const std::vector<Tensor>& layers,
                      int64_t heads, const Tensor& last) {
  const Sides seen(seen_users, seen_items), rest(rest_users, rest_items);
  const int64_t d = rest.channels, features = seen.of_users + seen.of_items, row = features * PAIRS;
  const int64_t n_items = seen.n_items;
  TORCH_CHECK(seen.channels == 3 * d && last.numel() == d * features && scores.size(0) == seen_users.size(0) &&
              scores.size(1) == n_items && layers.size() % 4 == 2, "parts of attention do not match");
  float* score = out(scores);
  const float* weight = in(last);
  at::parallel_for(0, scores.size(0), 1, [&](int64_t begin, int64_t end) {
    Buffer all(3 * d * row), x(d * row), y(d * row), shares(row);
    for (int64_t u = begin; u < end; ++u)
      for (int64_t item = 0; item < n_items; item += PAIRS) {
        const int64_t count = std::min(PAIRS, n_items - item);
        seen.put(u, item, count, all.data());
        for (size_t l = 0; l < layers.size(); l += 4) {
          attend(all.data(), d, heads, features, x.data(), shares.data());
          dense(layers[l], layers[l + 1], x.data(), row, y.data());
          if (l + 2 < layers.size()) dense(layers[l + 2], layers[l + 3], y.data(), row, all.data());
        }
        rest.put(u, item, count, x.data());
        float sum[PAIRS] = {};
        for (int64_t j = 0; j < d * features; ++j) {
          const float w = weight[j];
          const float *__restrict a = x.data() + j * PAIRS, *__restrict b = y.data() + j * PAIRS;
          for (int64_t p = 0; p < PAIRS; ++p) {
            const float v = a[p] + b[p];
            sum[p] += v > 0.f ? w * v : 0.f;
          }
        }
        for (int64_t p = 0; p < count; ++p) score[u * n_items + item + p] += sum[p];
      }
  });
}

namespace {

constexpr int64_t ROWS = 96;  // pairs that go through dense layers at once

struct Layer {
  Weight weight;
  const float* bias;
  int64_t width;
  Layer(const Tensor& w, const Tensor& b) : weight(in(w), w.size(0), w.size(1)), bias(in(b)), width(w.size(0)) {
    TORCH_CHECK(b.numel() == width, "a bias does not match its layer");
  }
};

std::vector<Layer> layers_of(const std::vector<Tensor>& given) {
  std::vector<Layer> found;
  for (size_t i = 0; i + 1 < given.size(); i += 2) found.emplace_back(given[i], given[i + 1]);
  return found;
}

}  // namespace

// Adds to scores [users, n_items] what the last weights say of layers with relu (`deep`) over x that was crossed:
// x <- x0 * (W x + b) + x for each layer of `cross`, x0 a user's features [users, a] and an item's [n_items, b].
void crossed_scores(const Tensor& scores, const Tensor& users, const Tensor& items, const std::vector<Tensor>& cross,
                    const std::vector<Tensor>& deep, const Tensor& last) {
  const int64_t a = users.size(1), width = a + items.size(1), n_items = items.size(0);
  const std::vector<Layer> crossing = layers_of(cross), above = layers_of(deep);
  int64_t widest = width;
  for (const Layer& layer : above) widest = std::max(widest, layer.width);
  TORCH_CHECK(scores.size(0) == users.size(0) && scores.size(1) == n_items, "scores have another shape");
  TORCH_CHECK(last.numel() == (above.empty() ? width : above.back().width), "the last weights do not match");
  const float *user = in(users), *item = in(items), *weight = in(last);
  float* score = out(scores);
  at::parallel_for(0, scores.size(0), 1, [&](int64_t begin, int64_t end) {
    Buffer first(ROWS * width), x(ROWS * widest), y(ROWS * widest);
    for (int64_t u = begin; u < end; ++u)
      for (int64_t from = 0; from < n_items; from += ROWS) {
        const int64_t m = std::min(ROWS, n_items - from);
        for (int64_t p = 0; p < m; ++p) {
          std::memcpy(first.data() + p * width, user + u * a, a * sizeof(float));
          std::memcpy(first.data() + p * width + a, item + (from + p) * (width - a), (width - a) * sizeof(float));
        }
        std::copy_n(first.begin(), m * width, x.begin());
        for (const Layer& layer : crossing) {
          fill_rows(layer.bias, m, width, y.data());
          layer.weight.apply(m, x.data(), width, y.data(), width, true);
          for (int64_t j = 0; j < m * width; ++j) x[j] += first[j] * y[j];
        }
        int64_t wide = width;
        for (const Layer& layer : above) {
          fill_rows(layer.bias, m, layer.width, y.data());
          layer.weight.apply(m, x.data(), wide, y.data(), layer.width, true);
          wide = layer.width;
          for (int64_t j = 0; j < m * wide; ++j) x[j] = y[j] > 0.f ? y[j] : 0.f;
        }
        for (int64_t p = 0; p < m; ++p) score[u * n_items + from + p] += dot(x.data() + p * wide, weight, wide);
      }
  });
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("attention_scores(Tensor(a!) scores, Tensor seen_users, Tensor seen_items, Tensor rest_users, "
        "Tensor rest_items, Tensor[] layers, int heads, Tensor last) -> ()", &attention_scores);
  m.def("crossed_scores(Tensor(a!) scores, Tensor users, Tensor items, Tensor[] cross, Tensor[] deep, Tensor last) "
        "-> ()", &crossed_scores);
}

}  // namespace recsweep
