// Recommendations: the best items of each row, without a matrix of scores in memory and without sorting it.
#include "common.h"

#include <functional>
#include <limits>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace recsweep {

namespace {

constexpr int64_t ROWS = 128, ITEMS = 1024;  // scores at once: 512 KiB, which stay in a core's cache
constexpr float NONE = -std::numeric_limits<float>::infinity();

// A score and its item as one number: the higher score is the larger, of equal ones that of the lower item.
INLINE uint64_t packed(float score, int64_t item) {
  const uint32_t bits = score == 0.f ? 0u : std::bit_cast<uint32_t>(score);  // -0 is 0
  const uint32_t order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(order) << 32 | static_cast<uint32_t>(~static_cast<uint32_t>(item));
}
INLINE float score_of(uint64_t key) {
  const uint32_t order = static_cast<uint32_t>(key >> 32);
  return std::bit_cast<float>(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}
INLINE int64_t item_of(uint64_t key) { return static_cast<uint32_t>(~static_cast<uint32_t>(key)); }

// Which of 16 scores are above a bound, as bits; none that is NaN.
INLINE uint32_t above(const float* __restrict scores, float bound) {
#ifdef __AVX512F__
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(scores), _mm512_set1_ps(bound), _CMP_GT_OQ);
#else
  uint32_t found = 0;
  for (int64_t k = 0; k < LANES; ++k) found |= static_cast<uint32_t>(scores[k] > bound) << k;
  return found;
#endif
}

// The best of what one row was offered, in the order of items: what does not beat the worst kept is dropped.
class Best {
 public:
  explicit Best(int64_t count) : count_(count), room_(count + std::max<int64_t>(count, 128)), found_(room_) {}
  void clear() {
    size_ = 0;
    least_ = NONE;
  }
  INLINE void offer(const float* __restrict scores, int64_t n, int64_t first) {
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
      for (uint32_t better = above(scores + j, least_); better; better &= better - 1) {
        const int64_t k = j + std::countr_zero(better);
        take(scores[k], first + k);
      }
    for (; j < n; ++j) take(scores[j], first + j);
  }
  void write(int64_t* items, float* scores) {
    if (size_ > count_) cut();
    std::sort(found_.begin(), found_.begin() + size_, std::greater<uint64_t>());
    for (int64_t i = 0; i < size_; ++i) {
      items[i] = item_of(found_[i]);
      scores[i] = score_of(found_[i]);
    }
  }

 private:
  INLINE void take(float score, int64_t item) {
    if (!(score > least_)) return;
    found_[size_++] = packed(score, item);
    if (size_ == room_) cut();
  }
  __attribute__((noinline)) void cut() {
    std::nth_element(found_.begin(), found_.begin() + (count_ - 1), found_.begin() + size_, std::greater<uint64_t>());
    least_ = score_of(found_[count_ - 1]);
    size_ = count_;
  }
  int64_t count_, room_, size_ = 0;
  float least_ = NONE;
  std::vector<uint64_t> found_;
};

}  // namespace

// Scores are queries [n, k] times items [n_items, k] (+ bias [n_items]). Item 0 is padding and in no list, nor
// is an item whose score is NaN or minus infinity. `ends` [n] says where the items that are left out of each
// row's list end in `hidden`, which are in ascending order within a row.
// Returns items [n, count], 0 where a row has fewer, and their scores; the best first, ties by number.
std::tuple<Tensor, Tensor> top_items(const Tensor& queries, const Tensor& items, const std::optional<Tensor>& bias,
                                     const Tensor& ends, const Tensor& hidden, int64_t count) {
  const int64_t n = queries.size(0), k = queries.size(1), n_items = items.size(0);
  TORCH_CHECK(items.size(1) == k && ends.numel() == n && count > 0, "queries, items and what is hidden do not match");
  TORCH_CHECK(n_items < std::numeric_limits<int32_t>::max(), "too many items for this kernel: ", n_items);
  const float *q = in(queries), *e = in(items), *shift = bias ? in(*bias) : nullptr;
  const int64_t *end = ids(ends, n), *left_out = ids(hidden, hidden.numel());
  TORCH_CHECK(n == 0 || end[n - 1] == hidden.numel(), "what is hidden does not match its ends");
  Tensor found = at::empty({n, count}, ends.options()), values = at::empty({n, count}, queries.options());
  found.zero_();
  values.fill_(NONE);
  int64_t* top = found.data_ptr<int64_t>();
  float* score = out(values);
  const int64_t blocks = (n + ROWS - 1) / ROWS, threads = threads_for(blocks);
  std::vector<Buffer> works(threads, Buffer(ROWS * ITEMS));
  std::vector<std::vector<Best>> kept(threads, std::vector<Best>(ROWS, Best(count)));
  deal(blocks, threads, [&](int64_t c, int64_t t) {
    const int64_t from = c * ROWS, m = std::min(ROWS, n - from);
    float* scores = works[t].data();
    int64_t next[ROWS];
    for (int64_t i = 0; i < m; ++i) {
      kept[t][i].clear();
      next[i] = from + i ? end[from + i - 1] : 0;
    }
    for (int64_t first = 0; first < n_items; first += ITEMS) {
      const int64_t width = std::min(ITEMS, n_items - first);
      if (shift) fill_rows(shift + first, m, width, scores);
      multiply_nt(m, width, k, q + from * k, k, e + first * k, k, scores, width, shift != nullptr);
      for (int64_t i = 0; i < m; ++i) {
        float* row = scores + i * width;
        if (first == 0) row[0] = NONE;
        for (; next[i] < end[from + i] && left_out[next[i]] < first + width; ++next[i])
          row[left_out[next[i]] - first] = NONE;
        kept[t][i].offer(row, width, first);
      }
    }
    for (int64_t i = 0; i < m; ++i) kept[t][i].write(top + (from + i) * count, score + (from + i) * count);
  });
  return {found, values};
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("top_items(Tensor queries, Tensor items, Tensor? bias, Tensor ends, Tensor hidden, int count) -> (Tensor, Tensor)",
        &top_items);
}

}  // namespace recsweep
