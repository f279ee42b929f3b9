// Recommendations: the best items of each row, without a matrix of scores in memory and without sorting it.
#include "common.h"

#include <limits>

namespace recsweep {

namespace {

constexpr int64_t ROWS = 128, ITEMS = 1024;  // scores at once: 512 KiB, which stay in a core's cache
constexpr float NONE = -std::numeric_limits<float>::infinity();

struct Found {
  float score;
  int32_t item;
};

// The higher score first; of equal ones the item with the lower number.
inline bool before(const Found& a, const Found& b) { return a.score > b.score || (a.score == b.score && a.item < b.item); }

// The best of what one row was offered, in the order of items: what does not beat the worst kept is dropped.
class Best {
 public:
  explicit Best(int64_t count) : count_(count), room_(4 * count + 64) { found_.reserve(room_ + LANES); }
  void clear() {
    found_.clear();
    least_ = NONE;
  }
  INLINE void offer(const float* __restrict scores, int64_t n, int64_t first) {
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
      int32_t better = 0;
      for (int64_t k = 0; k < LANES; ++k) better |= scores[j + k] > least_;
      if (!better) continue;
      for (int64_t k = 0; k < LANES; ++k) take(scores[j + k], first + j + k);
    }
    for (; j < n; ++j) take(scores[j], first + j);
  }
  int64_t write(int64_t* items, float* scores) {
    std::sort(found_.begin(), found_.end(), before);
    const int64_t n = std::min<int64_t>(count_, found_.size());
    for (int64_t i = 0; i < n; ++i) {
      items[i] = found_[i].item;
      scores[i] = found_[i].score;
    }
    return n;
  }

 private:
  INLINE void take(float score, int64_t item) {
    if (!(score > least_)) return;
    found_.push_back({score, static_cast<int32_t>(item)});
    if (static_cast<int64_t>(found_.size()) >= room_) cut();
  }
  void cut() {
    std::nth_element(found_.begin(), found_.begin() + (count_ - 1), found_.end(), before);
    least_ = found_[count_ - 1].score;
    found_.resize(count_);
  }
  int64_t count_, room_;
  float least_ = NONE;
  std::vector<Found> found_;
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
