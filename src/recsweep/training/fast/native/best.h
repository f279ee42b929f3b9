// The best of what a row is offered: a short list kept while scores pass by, in the order of items.
#pragma once

#include "common.h"

#include <ATen/ops/zeros.h>

#include <functional>
#include <limits>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace recsweep::lists {

constexpr float NONE = -std::numeric_limits<float>::infinity();

// As many scores as one register of this processor holds.
#ifdef __AVX512F__
constexpr int64_t LANE = 16;
#else
constexpr int64_t LANE = 8;
#endif
typedef float Lane __attribute__((vector_size(LANE * sizeof(float)), aligned(sizeof(float)), may_alias));

INLINE Lane load(const float* x) { return *reinterpret_cast<const Lane*>(x); }

// Which scores of a register are above a bound, as bits; none that is NaN.
INLINE uint32_t above(Lane scores, float bound) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)scores, _mm512_set1_ps(bound), _CMP_GT_OQ);
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)scores, _mm256_set1_ps(bound), _CMP_GT_OQ));
#else
  uint32_t found = 0;
  for (int64_t k = 0; k < LANE; ++k) found |= static_cast<uint32_t>(scores[k] > bound) << k;
  return found;
#endif
}

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

// Items for each row, those of one behind those of the row before and in ascending order: `ends` [rows].
struct Rows {
  const int64_t *ends, *items;
  Rows(const Tensor& ends_, const Tensor& items_, int64_t n) : ends(ids(ends_, n)), items(ids(items_, items_.numel())) {
    TORCH_CHECK(n == 0 || ends[n - 1] == items_.numel(), "the items of rows do not match their ends");
  }
  const int64_t* begin(int64_t row) const { return items + (row ? ends[row - 1] : 0); }
  const int64_t* end(int64_t row) const { return items + ends[row]; }
};

// What does not beat the worst that is kept is dropped; item 0, which is padding, and what is left out too.
class Best {
 public:
  explicit Best(int64_t count)
      : count_(count), room_(count + std::max<int64_t>(count, 32)), found_(room_), most_(groups(count) * LANE) {}
  void clear(const int64_t* left_out, const int64_t* end) {
    size_ = 0;
    least_ = NONE;
    next_ = left_out;
    end_ = end;
  }
  INLINE float least() const { return least_; }
  // The row's first n scores, from item 0 on; written into. They are split into groups: as many groups as the
  // list is long have a score that is not below a bound, so that less than the bound is in no list.
  void begin(float* __restrict scores, int64_t n) {
    scores[0] = NONE;
    for (; next_ != end_ && *next_ < n; ++next_) scores[*next_] = NONE;
    const int64_t wide = most_.size();
    if (n >= 2 * wide) {
      std::copy_n(scores, wide, most_.begin());
      int64_t j = wide;
      for (; j + wide <= n; j += wide)
        for (int64_t q = 0; q < wide; ++q) most_[q] = scores[j + q] > most_[q] ? scores[j + q] : most_[q];
      least_ = bound();
    }
    int64_t j = 0;
    for (; j + LANE <= n; j += LANE)
      for (uint32_t bits = above(load(scores + j), least_); bits; bits &= bits - 1)
        take(scores[j + std::countr_zero(bits)], j + std::countr_zero(bits));
    for (; j < n; ++j) take(scores[j], j);
  }
  // Scores of the items from `first` on, those whose bits are set.
  __attribute__((noinline)) void offer(uint32_t bits, const float* scores, int64_t first) {
    for (; bits; bits &= bits - 1) {
      const int64_t k = std::countr_zero(bits), item = first + k;
      while (next_ != end_ && *next_ < item) ++next_;
      if (next_ == end_ || *next_ != item) take(scores[k], item);
    }
  }
  void write(int64_t* items, float* scores) {
    if (size_ > COUNTED) {
      if (size_ > count_) cut();
      std::sort(found_.begin(), found_.begin() + size_, std::greater<uint64_t>());
    }
    const uint64_t* __restrict keys = found_.data();
    for (int64_t i = 0; i < size_; ++i) {
      int64_t place = i;
      if (size_ <= COUNTED) {  // quicker than a sort, whose branches nobody can foretell
        place = 0;
        for (int64_t j = 0; j < size_; ++j) place += keys[j] > keys[i];
      }
      if (place >= count_) continue;
      items[place] = item_of(keys[i]);
      scores[place] = score_of(keys[i]);
    }
  }

 private:
  static constexpr int64_t COUNTED = 128;
  // A score that as many groups exceed as the list is long, and few more; NONE where there is none.
  float bound() const {
    float low = std::numeric_limits<float>::max(), high = NONE;
    for (float most : most_) {
      low = most < low && most > NONE ? most : low;
      high = most > high ? most : high;
    }
    if (!(exceed(low) >= count_)) return NONE;
    for (int64_t tries = 0; tries < 16 && exceed(low) > count_ + count_ / 4; ++tries) {
      const float middle = low + (high - low) / 2;
      (exceed(middle) >= count_ ? low : high) = middle;
    }
    return low;
  }
  INLINE int64_t exceed(float score) const {
    int32_t found = 0;
    for (float most : most_) found += most > score;
    return found;
  }
  // In registers: about four groups for each item of a list.
  static int64_t groups(int64_t count) { return std::max<int64_t>(1, (4 * count + LANE - 1) / LANE); }
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
  const int64_t *next_ = nullptr, *end_ = nullptr;
  std::vector<uint64_t> found_;
  Buffer most_;
};

// Lists [n, count] as they are at first: no items, whose scores are minus infinity.
struct Lists {
  Tensor items, scores;
  int64_t count;
  Lists(int64_t n, int64_t count_, const Tensor& like) : count(count_) {
    items = at::empty({n, count}, like.options().dtype(at::kLong));
    scores = at::empty({n, count}, like.options());
    items.zero_();
    scores.fill_(NONE);
  }
  void write(Best& best, int64_t row) {
    best.write(items.data_ptr<int64_t>() + row * count, scores.data_ptr<float>() + row * count);
  }
};

}  // namespace recsweep::lists
