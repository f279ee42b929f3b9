// Vectors of the processor's own width, by the compiler's extension: 16 floats with AVX-512, 8 with AVX, else 4.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

// Loops are vectorized only where what they call is inlined.
#define INLINE inline __attribute__((always_inline))
// Loops over registers: unrolled whole, or their arrays would lie in memory.
#define UNROLL _Pragma("GCC unroll 32")

namespace recsweep {

#if defined(__AVX512F__)
constexpr int64_t WIDTH = 16, TILE_ROWS = 12, TILE_VECTORS = 2;  // of 32 registers: 24 sums
#elif defined(__AVX__)
constexpr int64_t WIDTH = 8, TILE_ROWS = 6, TILE_VECTORS = 2;  // of 16 registers: 12 sums
#else
constexpr int64_t WIDTH = 4, TILE_ROWS = 6, TILE_VECTORS = 2;
#endif

typedef float Vector __attribute__((vector_size(WIDTH * sizeof(float)), aligned(4), may_alias));
typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));

INLINE Vector load(const float* x) { return *reinterpret_cast<const Vector*>(x); }
INLINE void store(float* x, Vector v) { *reinterpret_cast<Vector*>(x) = v; }

// The largest of `n` floats, a multiple of WIDTH.
INLINE float largest(const float* x, int64_t n) {
  Vector top = load(x);
  for (int64_t j = WIDTH; j < n; j += WIDTH) {
    const Vector v = load(x + j);
    top = v > top ? v : top;
  }
  float best = top[0];
  UNROLL for (int64_t k = 1; k < WIDTH; ++k) best = top[k] > best ? top[k] : best;
  return best;
}

constexpr int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// An 8 x 8 block of `from` (rows `stride` apart), transposed to rows `to_stride` apart.
INLINE void transpose_eight(const float* from, int64_t stride, float* to, int64_t to_stride) {
  typedef int32_t Order __attribute__((vector_size(32)));
  constexpr Order low{0, 8, 1, 9, 4, 12, 5, 13}, high{2, 10, 3, 11, 6, 14, 7, 15};
  constexpr Order left{0, 1, 8, 9, 4, 5, 12, 13}, right{2, 3, 10, 11, 6, 7, 14, 15};
  constexpr Order first{0, 1, 2, 3, 8, 9, 10, 11}, second{4, 5, 6, 7, 12, 13, 14, 15};
  Eight x[8], y[8];
  UNROLL for (int i = 0; i < 8; ++i) x[i] = *reinterpret_cast<const Eight*>(from + i * stride);
  UNROLL for (int i = 0; i < 4; ++i) {
    y[2 * i] = __builtin_shuffle(x[2 * i], x[2 * i + 1], low);
    y[2 * i + 1] = __builtin_shuffle(x[2 * i], x[2 * i + 1], high);
  }
  UNROLL for (int i = 0; i < 2; ++i)
    UNROLL for (int j = 0; j < 2; ++j) {
      x[4 * i + 2 * j] = __builtin_shuffle(y[4 * i + j], y[4 * i + j + 2], left);
      x[4 * i + 2 * j + 1] = __builtin_shuffle(y[4 * i + j], y[4 * i + j + 2], right);
    }
  UNROLL for (int j = 0; j < 4; ++j) {
    *reinterpret_cast<Eight*>(to + j * to_stride) = __builtin_shuffle(x[j], x[j + 4], first);
    *reinterpret_cast<Eight*>(to + (j + 4) * to_stride) = __builtin_shuffle(x[j], x[j + 4], second);
  }
}

// [rows, columns] becomes [columns, width]: columns behind `rows` are zeros up to `width`.
inline void transpose(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to, int64_t width) {
  const int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
  for (int64_t i = 0; i < whole_rows; i += 8)
    for (int64_t j = 0; j < whole_columns; j += 8) transpose_eight(from + i * stride + j, stride, to + j * width + i, width);
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t i = j < whole_columns ? whole_rows : 0; i < rows; ++i) to[j * width + i] = from[i * stride + j];
    for (int64_t i = rows; i < width; ++i) to[j * width + i] = 0.f;
  }
}

}  // namespace recsweep
