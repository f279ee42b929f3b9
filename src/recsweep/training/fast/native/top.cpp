// The best items of each row, without a matrix of scores in memory and without sorting it; and the hits among them.
#include "best.h"

namespace recsweep::lists {

namespace {

// A tile of scores stays in registers: so many rows times two registers of items.
#ifdef __AVX512F__
constexpr int64_t TALL = 12;
#else
constexpr int64_t TALL = 6;
#endif
constexpr int64_t PANEL = 2 * LANE;
// Rows at once, and the items that they meet first: their scores, 384 KiB, and a panel stay in a core's cache.
constexpr int64_t ROWS = 96, BEGIN = 1024;
static_assert(ROWS % TALL == 0 && BEGIN % PANEL == 0 && PANEL <= 32);
constexpr float ROUNDING = 0x1p-20f;  // of a score: eight units in the last place

// [n, k] as [n / width, k, width], so that a tile reads both sides in the order in which they lie; 0 at the end.
void pack(const float* __restrict x, int64_t n, int64_t k, int64_t width, float* __restrict packed) {
  for (int64_t i = 0; i < n; i += width, packed += k * width)
    for (int64_t j = 0; j < width; ++j)
      for (int64_t l = 0; l < k; ++l) packed[l * width + j] = i + j < n ? x[(i + j) * k + l] : 0.f;
}

// All items in panels, with their bias.
struct Panels {
  Tensor packed, shift;
  int64_t n, k, count;
  Panels(const Tensor& items, const std::optional<Tensor>& bias)
      : n(items.size(0)), k(items.size(1)), count((n + PANEL - 1) / PANEL) {
    packed = at::empty({count * PANEL * k}, items.options());
    shift = at::zeros({count * PANEL}, items.options());
    const float* e = in(items);
    if (bias) std::memcpy(out(shift), in(*bias), n * sizeof(float));
    float* panels = out(packed);
    at::parallel_for(0, count, 64, [&](int64_t begin, int64_t end) {
      pack(e + begin * PANEL * k, std::min(end * PANEL, n) - begin * PANEL, k, PANEL, panels + begin * PANEL * k);
    });
  }
};

// Scores of TALL rows and one panel: sums in the order of k, whatever else is computed.
INLINE void tile(const float* __restrict a, const float* __restrict b, const float* __restrict shift, int64_t k,
                 Lane (&c)[TALL][2]) {
#pragma GCC unroll 12
  for (int64_t r = 0; r < TALL; ++r) {
    c[r][0] = load(shift);
    c[r][1] = load(shift + LANE);
  }
#pragma GCC unroll 2
  for (int64_t l = 0; l < k; ++l) {
    const Lane first = load(b + l * PANEL), second = load(b + l * PANEL + LANE);
#pragma GCC unroll 12
    for (int64_t r = 0; r < TALL; ++r) {
      c[r][0] += a[l * TALL + r] * first;
      c[r][1] += a[l * TALL + r] * second;
    }
  }
}

// One block of rows, packed, meets all items: those of the first panels in a matrix [ROWS, BEGIN], and then
// panel after panel, where only what beats a row's list leaves the registers.
void meet(const float* a, int64_t rows, const Panels& items, float* scores, std::vector<Best>& kept) {
  const float *panels = in(items.packed), *shift = in(items.shift);
  const int64_t begun = std::min(items.count, BEGIN / PANEL), k = items.k;
  for (int64_t p = 0; p < begun; ++p)
    for (int64_t g = 0; g < rows; g += TALL) {
      Lane c[TALL][2];
      tile(a + g * k, panels + p * PANEL * k, shift + p * PANEL, k, c);
#pragma GCC unroll 12
      for (int64_t r = 0; r < TALL; ++r) std::memcpy(scores + (g + r) * BEGIN + p * PANEL, c[r], sizeof c[r]);
    }
  for (int64_t i = 0; i < rows; ++i) kept[i].begin(scores + i * BEGIN, std::min(items.n, BEGIN));
  for (int64_t p = begun; p < items.count; ++p) {
    const int64_t first = p * PANEL, width = std::min(PANEL, items.n - first);
    const uint32_t valid = width == 32 ? ~0u : (1u << width) - 1;
    for (int64_t g = 0; g < rows; g += TALL) {
      Lane c[TALL][2];
      tile(a + g * k, panels + first * k, shift + first, k, c);
#pragma GCC unroll 12
      for (int64_t r = 0; r < TALL; ++r) {
        Best& best = kept[g + r];
        const uint32_t better = (above(c[r][0], best.least()) | above(c[r][1], best.least()) << LANE) & valid;
        if (__builtin_expect(better != 0, 0)) {
          float some[PANEL];
          std::memcpy(some, c[r], sizeof some);
          best.offer(better, some, first);
        }
      }
    }
  }
}

bool has_nan(const float* __restrict x, int64_t n) {
  int32_t odd = 0;
  for (int64_t j = 0; j < n; ++j) odd |= x[j] != x[j];
  return odd != 0;
}

}  // namespace

// Scores are queries [n, k] times items [n_items, k] (+ bias [n_items]). Item 0 is padding and in no list, nor
// is an item whose score is NaN or minus infinity. `ends` [n] says where the items that are left out of each
// row's list end in `hidden`, which are in ascending order within a row.
// Returns items [n, count], 0 where a row has fewer, and their scores; the best first, ties by number.
std::tuple<Tensor, Tensor> top_items(const Tensor& queries, const Tensor& items, const std::optional<Tensor>& bias,
                                     const Tensor& ends, const Tensor& hidden, int64_t count) {
  const int64_t n = queries.size(0), k = queries.size(1);
  TORCH_CHECK(items.size(1) == k, "queries and items do not match");
  TORCH_CHECK(count > 0, "a list has at least one item");
  TORCH_CHECK(items.size(0) < std::numeric_limits<int32_t>::max(), "too many items for this kernel");
  const float* q = in(queries);
  const Rows left_out(ends, hidden, n);
  const Panels panels(items, bias);
  Lists lists(n, count, queries);
  const int64_t blocks = (n + ROWS - 1) / ROWS, threads = threads_for(blocks);
  std::vector<Buffer> works(threads, Buffer(ROWS * (k + BEGIN)));
  std::vector<std::vector<Best>> kept(threads, std::vector<Best>(ROWS, Best(count)));
  deal(blocks, threads, [&](int64_t c, int64_t t) {
    const int64_t from = c * ROWS, m = std::min(ROWS, n - from);
    pack(q + from * k, m, k, TALL, works[t].data());
    for (int64_t i = 0; i < m; ++i) kept[t][i].clear(left_out.begin(from + i), left_out.end(from + i));
    meet(works[t].data(), m, panels, works[t].data() + ROWS * k, kept[t]);
    for (int64_t i = 0; i < m; ++i) lists.write(kept[t][i], from + i);
  });
  return {lists.items, lists.scores};
}

// The same of scores [n, n_items] that are there; and [n] bytes: 1 where a row has a NaN beyond item 0.
std::tuple<Tensor, Tensor, Tensor> top_scores(const Tensor& scores, const Tensor& ends, const Tensor& hidden,
                                              int64_t count) {
  const int64_t n = scores.size(0), n_items = scores.size(1);
  TORCH_CHECK(count > 0, "a list has at least one item");
  const float* values = in(scores);
  const Rows left_out(ends, hidden, n);
  Lists lists(n, count, scores);
  Tensor missing = at::zeros({n}, scores.options().dtype(at::kByte));
  uint8_t* nan = missing.data_ptr<uint8_t>();
  at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
    Best best(count);
    Buffer first(std::min(n_items, BEGIN));
    for (int64_t i = begin; i < end; ++i) {
      const float* row = values + i * n_items;
      best.clear(left_out.begin(i), left_out.end(i));
      nan[i] = has_nan(row + 1, n_items - 1);
      std::copy_n(row, first.size(), first.begin());
      best.begin(first.data(), first.size());
      int64_t j = first.size();
      for (; j + LANE <= n_items; j += LANE)
        if (const uint32_t better = above(load(row + j), best.least())) best.offer(better, row + j, j);
      for (; j < n_items; ++j)
        if (row[j] > best.least()) best.offer(1, row + j, j);
      lists.write(best, i);
    }
  });
  return {lists.items, lists.scores, missing};
}

// Which of each row's first `cutoff` items are right ones, [n, cutoff + 1] int32, the last of them how many right
// ones the row has. `items` and `scores` [n, cutoff + 1] are lists; `ends` [n] and `right` the right items.
// And [n] bytes: 1 where the hits are open, because items share a score but for its rounding, or score minus infinity.
std::tuple<Tensor, Tensor> hits_of_lists(const Tensor& items, const Tensor& scores, const Tensor& ends,
                                         const Tensor& right) {
  const int64_t n = items.size(0), wide = items.size(1), cutoff = wide - 1;
  const int64_t* item = ids(items, n * wide);
  const float* score = in(scores);
  const Rows wanted(ends, right, n);
  Tensor hits = at::zeros({n, wide}, items.options().dtype(at::kInt));
  Tensor doubts = at::zeros({n}, items.options().dtype(at::kByte));
  int32_t* hit = hits.data_ptr<int32_t>();
  uint8_t* doubt = doubts.data_ptr<uint8_t>();
  for (int64_t i = 0; i < n; ++i) {
    int32_t* row = hit + i * wide;
    const float* s = score + i * wide;
    int64_t found = 0;
    for (int64_t j = 0; j < cutoff && s[j] != NONE; ++j) {
      row[j] = std::binary_search(wanted.begin(i), wanted.end(i), item[i * wide + j]);
      found += row[j];
      doubt[i] |= s[j] - s[j + 1] <= std::fabs(s[j]) * ROUNDING;
    }
    row[cutoff] = static_cast<int32_t>(wanted.end(i) - wanted.begin(i));
    doubt[i] |= s[cutoff - 1] == NONE && found < row[cutoff];
  }
  return {hits, doubts};
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("top_items(Tensor queries, Tensor items, Tensor? bias, Tensor ends, Tensor hidden, int count) -> (Tensor, Tensor)",
        &top_items);
  m.def("top_scores(Tensor scores, Tensor ends, Tensor hidden, int count) -> (Tensor, Tensor, Tensor)", &top_scores);
  m.def("hits_of_lists(Tensor items, Tensor scores, Tensor ends, Tensor right) -> (Tensor, Tensor)", &hits_of_lists);
}

}  // namespace recsweep::lists
