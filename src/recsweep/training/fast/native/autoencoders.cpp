// Autoencoders of users: a first layer over the few items that each user has, and a last one over all items
// whose scores become slopes at once.
#include "common.h"

namespace recsweep {
namespace {

// The items of some users: those of user i are the pairs from starts[i] to starts[i + 1].
struct Bags {
  const int64_t *starts, *items;
  int64_t rows, pairs;
  Bags(const Tensor& starts_, const Tensor& items_)
      : starts(ids(starts_, starts_.numel())), items(ids(items_, items_.numel())), rows(starts_.numel() - 1),
        pairs(items_.numel()) {
    TORCH_CHECK(rows >= 0 && starts[rows] == pairs, "the last bag ends with the last pair");
  }
};

constexpr int64_t SOME = 16;  // rows or items that one thread takes at once

// y += a x + b z
INLINE void axpy2(int64_t n, float a, const float* __restrict x, float b, const float* __restrict z,
                  float* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i] + b * z[i];
}

// y += sum over `count` pairs of values[c] * rows[which[c]], which are `d` wide; pairs without weight are left out.
template <typename Which>
void add_pairs(int64_t count, const Which& which, const float* rows, int64_t d, float* __restrict y) {
  const float* waiting = nullptr;
  float weight = 0.f;
  for (int64_t c = 0; c < count; ++c) {
    const auto [row, value] = which(c);
    if (value == 0.f) continue;
    const float* x = rows + row * d;
    if (waiting) {
      axpy2(d, weight, waiting, value, x, y);
      waiting = nullptr;
    } else {
      waiting = x;
      weight = value;
    }
  }
  if (waiting) axpy(d, weight, waiting, y);
}

void add_transposed(const float* __restrict x, int64_t rows, int64_t columns, int64_t from, float* y, int64_t stride) {
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = 0; i < rows; ++i) y[j * stride + from + i] += x[i * columns + j];
}

}  // namespace

// The layer `weight` [d, n_items], `bias` [d] on sparse rows: [rows, d].
Tensor bag_sums(const Tensor& weight, const Tensor& bias, const Tensor& starts, const Tensor& items,
                const Tensor& values) {
  const Bags bags(starts, items);
  const int64_t d = weight.size(0), n_items = weight.size(1);
  const float *w = in(weight), *shift = in(bias), *value = in(values);
  TORCH_CHECK(values.numel() == bags.pairs && bias.numel() == d, "pairs and values do not match");
  Tensor turned = at::empty({n_items, d}, weight.options()), sums = at::empty({bags.rows, d}, weight.options());
  float *by_item = out(turned), *sum = out(sums);
  at::parallel_for(0, (n_items + SOME - 1) / SOME, 8, [&](int64_t begin, int64_t end) {
    for (int64_t from = begin * SOME; from < std::min(end * SOME, n_items); from += SOME) {
      const int64_t to = std::min(from + SOME, n_items);
      for (int64_t j = 0; j < d; ++j)
        for (int64_t i = from; i < to; ++i) by_item[i * d + j] = w[j * n_items + i];
    }
  });
  at::parallel_for(0, bags.rows, SOME, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = bags.starts[i];
      std::memcpy(sum + i * d, shift, d * sizeof(float));
      add_pairs(bags.starts[i + 1] - first,
                [&](int64_t c) { return std::pair(bags.items[first + c], value[first + c]); }, by_item, d, sum + i * d);
    }
  });
  return sums;
}

// What a gradient [rows, d] of `bag_sums` is for weight and bias; it is added to theirs.
void bag_gradients(const Tensor& slopes, const Tensor& starts, const Tensor& items, const Tensor& values,
                   const Tensor& dweight, const Tensor& dbias) {
  const Bags bags(starts, items);
  const int64_t d = dweight.size(0), n_items = dweight.size(1);
  TORCH_CHECK(slopes.size(0) == bags.rows && slopes.size(1) == d && values.numel() == bags.pairs);
  const float *slope = in(slopes), *value = in(values);
  float *dw = out(dweight), *db = out(dbias);
  add_rows(slope, bags.rows, d, db);
  std::vector<int64_t> begins(n_items + 1, 0), place;  // the same pairs by item
  std::vector<std::pair<int64_t, float>> by_item(bags.pairs);
  for (int64_t c = 0; c < bags.pairs; ++c) ++begins[bags.items[c] + 1];
  for (int64_t i = 0; i < n_items; ++i) begins[i + 1] += begins[i];
  place = begins;
  for (int64_t i = 0; i < bags.rows; ++i)
    for (int64_t c = bags.starts[i]; c < bags.starts[i + 1]; ++c) by_item[place[bags.items[c]]++] = {i, value[c]};
  at::parallel_for(0, (n_items + SOME - 1) / SOME, 1, [&](int64_t begin, int64_t end) {
    Buffer tile(SOME * d);
    for (int64_t from = begin * SOME; from < std::min(end * SOME, n_items); from += SOME) {
      const int64_t to = std::min(from + SOME, n_items);
      if (begins[from] == begins[to]) continue;
      std::fill(tile.begin(), tile.end(), 0.f);
      for (int64_t i = from; i < to; ++i)
        add_pairs(begins[i + 1] - begins[i], [&](int64_t c) { return by_item[begins[i] + c]; }, slope, d,
                  tile.data() + (i - from) * d);
      add_transposed(tile.data(), to - from, d, from, dw, n_items);
    }
  });
}

namespace {

enum class Over : int64_t { softmax = 0, logistic = 1, squares_of_sigmoid = 2, squares_of_relu = 3 };

// -sum of the log-probabilities of a row's items under a softmax over all items; scores become its slopes.
double softmax_row(float* __restrict s, int64_t n, const int64_t* own, int64_t count) {
  const float top = maximum(s, n);
  double wanted = 0.0;
  for (int64_t c = 0; c < count; ++c) wanted += s[own[c]] - top;
  float sum = 0.f;
  for (int64_t j = 0; j < n; ++j) {
    s[j] = exp_(s[j] - top);
    sum += s[j];
  }
  const float scale = static_cast<float>(count) / sum;
  for (int64_t j = 0; j < n; ++j) s[j] *= scale;
  for (int64_t c = 0; c < count; ++c) s[own[c]] -= 1.f;
  return count * std::log(static_cast<double>(sum)) - wanted;
}

// sum of log(1 + exp(s)) - x s, x 1 for the row's items and else 0 (torch's binary_cross_entropy_with_logits).
double logistic_row(float* __restrict s, int64_t n, const int64_t* own, int64_t count) {
  constexpr int64_t MANY = 64;  // factors of 2 at most: their product stays a number
  double total = 0.0;
  for (int64_t c = 0; c < count; ++c) total -= s[own[c]];
  for (int64_t from = 0; from < n; from += MANY * LANES) {
    const int64_t to = std::min(n, from + MANY * LANES);
    float products[LANES], sums[LANES];
    for (int64_t k = 0; k < LANES; ++k) products[k] = 1.f, sums[k] = 0.f;
    auto at = [&](int64_t j, int64_t k) {
      const float x = s[j], e = exp_(-std::fabs(x)), p = 1.f / (1.f + e);
      products[k] *= 1.f + e;
      sums[k] += x > 0.f ? x : 0.f;
      s[j] = x >= 0.f ? p : e * p;
    };
    int64_t j = from;
    for (; j + LANES <= to; j += LANES)
      for (int64_t k = 0; k < LANES; ++k) at(j + k, k);
    for (; j < to; ++j) at(j, 0), total += std::log(products[0]), products[0] = 1.f;
    for (int64_t k = 0; k < LANES; ++k) total += sums[k] + std::log(products[k]);
  }
  for (int64_t c = 0; c < count; ++c) s[own[c]] -= 1.f;
  return total;
}

// sum of (f(s) - x)^2.
template <bool sigmoid>
double squares_row(float* __restrict s, int64_t n, const int64_t* own, int64_t count, float* __restrict x) {
  for (int64_t c = 0; c < count; ++c) x[own[c]] = 1.f;
  float sum = 0.f;
  for (int64_t j = 0; j < n; ++j) {
    const float f = sigmoid ? sigmoid_(s[j]) : (s[j] > 0.f ? s[j] : 0.f), away = f - x[j];
    sum += away * away;
    s[j] = 2.f * away * (sigmoid ? f * (1.f - f) : (s[j] > 0.f ? 1.f : 0.f));
  }
  for (int64_t c = 0; c < count; ++c) x[own[c]] = 0.f;
  return sum;
}

double one_row(Over over, float* s, int64_t n, const int64_t* own, int64_t count, float* x) {
  switch (over) {
    case Over::softmax: return softmax_row(s, n, own, count);
    case Over::logistic: return logistic_row(s, n, own, count);
    case Over::squares_of_sigmoid: return squares_row<true>(s, n, own, count, x);
    default: return squares_row<false>(s, n, own, count, x);
  }
}

Chunks blocks_for(int64_t rows, int64_t n_items) {
  const int64_t most = std::max<int64_t>(16, std::min<int64_t>(256, (1 << 19) / n_items)), threads = at::get_num_threads();
  int64_t blocks = (rows + most - 1) / most;
  if (rows >= 32 * threads) blocks = (blocks + threads - 1) / threads * threads;  // as many for each
  const int64_t block = blocks ? (rows + blocks - 1) / blocks : 0;
  Chunks found;
  for (int64_t from = 0; from < rows; from += block) found.emplace_back(from, std::min(rows, from + block));
  return found;
}

}  // namespace

// The loss of the scores `hidden` [rows, d] times `items` [n_items, d] plus `bias`, against the items of each row,
// times `share`. Gradients are added to those of items and bias, where there are some; that of hidden is returned,
// if `back` asks for it.
std::tuple<double, Tensor> reconstruct(const Tensor& hidden, const Tensor& weight, const Tensor& bias,
                                       const Tensor& starts, const Tensor& items, int64_t over, double share,
                                       const std::optional<Tensor>& dweight, const std::optional<Tensor>& dbias,
                                       bool back) {
  const Bags bags(starts, items);
  const int64_t n_items = weight.size(0), d = weight.size(1);
  TORCH_CHECK(hidden.size(0) == bags.rows && hidden.size(1) == d && bias.numel() == n_items);
  const float *h = in(hidden), *w = in(weight), *shift = in(bias), part = static_cast<float>(share);
  Tensor slopes = at::empty({bags.rows, d}, weight.options());
  float* dh = out(slopes);
  const Chunks chunks = blocks_for(bags.rows, n_items);
  const int64_t threads = threads_for(chunks.size());
  std::vector<Buffer> works(threads), rights(threads, Buffer(n_items, 0.f));
  const std::vector<Tensor> sums = dweight ? std::vector<Tensor>{*dweight, *dbias} : std::vector<Tensor>{};
  const double total = accumulate(chunks, threads, sums, [&](int64_t from, int64_t to, int64_t, int64_t t,
                                                                         const std::vector<Tensor>& gradients) {
    const int64_t m = to - from;
    works[t].resize(std::max<size_t>(works[t].size(), m * n_items));
    float* scores = works[t].data();
    double sum = 0.0;
    fill_rows(shift, m, n_items, scores);
    multiply_nt(m, n_items, d, h + from * d, d, w, d, scores, n_items, true);
    for (int64_t i = 0; i < m; ++i) {
      const int64_t first = bags.starts[from + i];
      sum += one_row(static_cast<Over>(over), scores + i * n_items, n_items, bags.items + first,
                     bags.starts[from + i + 1] - first, rights[t].data());
    }
    if (part != 1.f)
      for (int64_t j = 0; j < m * n_items; ++j) scores[j] *= part;
    if (back) multiply(m, d, n_items, scores, n_items, w, d, dh + from * d, d);
    if (gradients.empty()) return sum;
    multiply_tn(n_items, d, m, scores, n_items, h + from * d, d, out(gradients[0]), d, true);
    add_rows(scores, m, n_items, out(gradients[1]));
    return sum;
  });
  return {total * share, slopes};
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("bag_sums(Tensor weight, Tensor bias, Tensor starts, Tensor items, Tensor values) -> Tensor", &bag_sums);
  m.def("bag_gradients(Tensor slopes, Tensor starts, Tensor items, Tensor values, Tensor(a!) dweight, "
        "Tensor(b!) dbias) -> ()", &bag_gradients);
  m.def("reconstruct(Tensor hidden, Tensor weight, Tensor bias, Tensor starts, Tensor items, int over, float share, "
        "Tensor? dweight, Tensor? dbias, bool back) -> (float, Tensor)", &reconstruct);
}

}  // namespace recsweep
