// float32 matrix products of our own: a block of sums that fills the registers, over panels of packed columns.
//
// The scheme is that of BLIS (Van Zee and van de Geijn, ACM TOMS 2015): B is packed into panels as wide as a
// block of sums, which stay in the first cache; A is read where it lies, or packed where its rows are strided.
#pragma once

#include <vector>

#include "vectors.h"

namespace recsweep {

using Buffer = std::vector<float>;

constexpr int64_t PANEL = TILE_VECTORS * WIDTH;  // columns
constexpr int64_t INNER = 128;                   // of k at once: two threads of one core share 32 KiB
constexpr int64_t ROWS_AT_ONCE = 16 * TILE_ROWS;

// C[ROWS, VECTORS * WIDTH] = A B (+ C); A by its two strides.
template <int ROWS, int VECTORS>
INLINE void tile(int64_t k, const float* a, int64_t row, int64_t column, const float* b, int64_t ldb, float* c,
                 int64_t ldc, bool add) {
  Vector sum[ROWS][VECTORS];
  UNROLL for (int r = 0; r < ROWS; ++r)
    UNROLL for (int j = 0; j < VECTORS; ++j) sum[r][j] = Vector{};
  for (int64_t l = 0; l < k; ++l) {
    Vector bl[VECTORS];
    UNROLL for (int j = 0; j < VECTORS; ++j) bl[j] = load(b + l * ldb + j * WIDTH);
    UNROLL for (int r = 0; r < ROWS; ++r) {
      const float s = a[r * row + l * column];
      UNROLL for (int j = 0; j < VECTORS; ++j) sum[r][j] += s * bl[j];
    }
  }
  if (add)
    UNROLL for (int r = 0; r < ROWS; ++r)
      UNROLL for (int j = 0; j < VECTORS; ++j) sum[r][j] += load(c + r * ldc + j * WIDTH);
  UNROLL for (int r = 0; r < ROWS; ++r)
    UNROLL for (int j = 0; j < VECTORS; ++j) store(c + r * ldc + j * WIDTH, sum[r][j]);
}

using Tile = void (*)(int64_t, const float*, int64_t, int64_t, const float*, int64_t, float*, int64_t, bool);

// A's rows lie side by side in memory (column == 1) or its columns do; a function of its own for the first.
template <int ROWS, int VECTORS>
__attribute__((noinline)) void any_tile(int64_t k, const float* a, int64_t row, int64_t column, const float* b,
                                        int64_t ldb, float* c, int64_t ldc, bool add) {
  if (column == 1) tile<ROWS, VECTORS>(k, a, row, 1, b, ldb, c, ldc, add);
  else tile<ROWS, VECTORS>(k, a, row, column, b, ldb, c, ldc, add);
}

template <int VECTORS>
Tile tile_of(int64_t rows) {
  static constexpr Tile tiles[] = {
      nullptr,
      any_tile<1, VECTORS>, any_tile<2, VECTORS>, any_tile<3, VECTORS>, any_tile<4, VECTORS>, any_tile<5, VECTORS>,
      any_tile<6, VECTORS>,
#ifdef __AVX512F__
      any_tile<7, VECTORS>, any_tile<8, VECTORS>, any_tile<9, VECTORS>, any_tile<10, VECTORS>, any_tile<11, VECTORS>,
      any_tile<12, VECTORS>,
#endif
  };
  static_assert(sizeof(tiles) / sizeof(Tile) == TILE_ROWS + 1);
  return tiles[rows];
}

// ---------------------------------------------------------------------------------------- small products

// Which part of a product is not zero, for causal attention.
enum class Part { whole, columns_to_row, inner_to_row, inner_from_row };

// C[m, n] = A[m, k] B[k, n]; n a multiple of WIDTH, A read by its two strides, nothing packed.
inline void product(int64_t m, int64_t n, int64_t k, const float* a, int64_t row, int64_t column, const float* b,
                    int64_t ldb, float* c, int64_t ldc, Part part = Part::whole) {
  for (int64_t i = 0; i < m; i += TILE_ROWS) {
    const int64_t rows = std::min(TILE_ROWS, m - i);
    const int64_t from = part == Part::inner_from_row ? i : 0;
    const int64_t to = part == Part::inner_to_row ? std::min(k, i + rows) : k;
    const int64_t columns = part == Part::columns_to_row ? std::min(n, rounded_up(i + rows, WIDTH)) : n;
    const float* left = a + i * row + from * column;
    int64_t j = 0;
    for (; j + PANEL <= columns; j += PANEL)
      tile_of<TILE_VECTORS>(rows)(to - from, left, row, column, b + from * ldb + j, ldb, c + i * ldc + j, ldc, false);
    for (; j < columns; j += WIDTH)
      tile_of<1>(rows)(to - from, left, row, column, b + from * ldb + j, ldb, c + i * ldc + j, ldc, false);
  }
}

// ---------------------------------------------------------------------------------------- packed products

// A matrix B[k, n] in panels: for each INNER rows of it, for each PANEL columns, rows of PANEL floats.
class Panels {
 public:
  // B lies as [k, n] by rows, or as its transpose [n, k].
  void pack(int64_t k, int64_t n, const float* b, int64_t ldb, bool transposed) {
    k_ = k, n_ = n;
    const int64_t size = k * rounded_up(n, PANEL);
    if (static_cast<int64_t>(floats_.size()) < size) floats_.resize(size);
    for (int64_t l = 0; l < k; l += INNER)
      for (int64_t j = 0; j < n; j += PANEL) {
        float* to = floats_.data() + at(l, j);
        const int64_t depth = std::min(INNER, k - l), columns = std::min(PANEL, n - j);
        if (transposed) recsweep::transpose(b + j * ldb + l, ldb, columns, depth, to, PANEL);
        else copy(b + l * ldb + j, ldb, depth, columns, to);
      }
  }
  int64_t inner() const { return k_; }
  int64_t columns() const { return n_; }
  const float* panel(int64_t l, int64_t j) const { return floats_.data() + at(l, j); }

 private:
  int64_t at(int64_t l, int64_t j) const { return l * rounded_up(n_, PANEL) + j * std::min(INNER, k_ - l); }
  static void copy(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to) {
    if (columns == PANEL) {
      for (int64_t i = 0; i < rows; ++i)
        UNROLL for (int64_t v = 0; v < TILE_VECTORS; ++v) store(to + i * PANEL + v * WIDTH, load(from + i * stride + v * WIDTH));
      return;
    }
    for (int64_t i = 0; i < rows; ++i) {
      std::memcpy(to + i * PANEL, from + i * stride, columns * sizeof(float));
      std::memset(to + i * PANEL + columns, 0, (PANEL - columns) * sizeof(float));
    }
  }
  int64_t k_ = 0, n_ = 0;
  Buffer floats_;
};

// A block of C that is narrower than a panel.
inline void narrow_tile(int64_t rows, int64_t columns, int64_t k, const float* a, int64_t row, int64_t column,
                        const float* b, float* c, int64_t ldc, bool add) {
  float sums[TILE_ROWS * PANEL];
  if (columns <= WIDTH) tile_of<1>(rows)(k, a, row, column, b, PANEL, sums, PANEL, false);
  else tile_of<TILE_VECTORS>(rows)(k, a, row, column, b, PANEL, sums, PANEL, false);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) c[i * ldc + j] = sums[i * PANEL + j] + (add ? c[i * ldc + j] : 0.f);
}

// C[m, n] = A[m, k] B (+ C): A by its two strides.
inline void packed_product(int64_t m, const float* a, int64_t row, int64_t column, const Panels& b, float* c,
                           int64_t ldc, bool add) {
  const int64_t n = b.columns();
  if (b.inner() == 0 && !add)
    for (int64_t i = 0; i < m; ++i) std::memset(c + i * ldc, 0, n * sizeof(float));
  for (int64_t l = 0; l < b.inner(); l += INNER) {
    const int64_t depth = std::min(INNER, b.inner() - l);
    for (int64_t top = 0; top < m; top += ROWS_AT_ONCE)
      for (int64_t j = 0; j < n; j += PANEL) {
        const float* panel = b.panel(l, j);
        const int64_t columns = std::min(PANEL, n - j);
        for (int64_t i = top; i < std::min(m, top + ROWS_AT_ONCE); i += TILE_ROWS) {
          const int64_t rows = std::min(TILE_ROWS, m - i);
          const float* left = a + i * row + l * column;
          float* target = c + i * ldc + j;
          if (columns == PANEL) tile_of<TILE_VECTORS>(rows)(depth, left, row, column, panel, PANEL, target, ldc, add || l > 0);
          else narrow_tile(rows, columns, depth, left, row, column, panel, target, ldc, add || l > 0);
        }
      }
  }
}

// C[m, n] = A[k, m]^T B[k, n] (+ C): the sum over many rows that is a weight's gradient. Both are packed,
// INNER rows at a time.
inline void packed_product_tn(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
                              int64_t ldb, float* c, int64_t ldc, bool add) {
  if (k == 0 && !add)
    for (int64_t i = 0; i < m; ++i) std::memset(c + i * ldc, 0, n * sizeof(float));
  static thread_local Panels right;
  static thread_local Buffer left;
  if (static_cast<int64_t>(left.size()) < INNER * (m + TILE_ROWS + 16)) left.resize(INNER * (m + TILE_ROWS + 16));
  for (int64_t l = 0; l < k; l += INNER) {
    const int64_t depth = std::min(INNER, k - l);
    right.pack(depth, n, b + l * ldb, ldb, false);
    for (int64_t i = 0; i < m; i += TILE_ROWS) {
      float* to = left.data() + i * depth;
      const float* from = a + l * lda + i;
      constexpr int64_t over = rounded_up(TILE_ROWS, WIDTH);  // a panel's rows are stored whole, one over the next
      if (i + over <= m)
        for (int64_t q = 0; q < depth; ++q)
          UNROLL for (int64_t v = 0; v < over; v += WIDTH) store(to + q * TILE_ROWS + v, load(from + q * lda + v));
      else
        for (int64_t q = 0; q < depth; ++q)
          for (int64_t r = 0; r < std::min(TILE_ROWS, m - i); ++r) to[q * TILE_ROWS + r] = from[q * lda + r];
    }
    for (int64_t j = 0; j < n; j += PANEL) {
      const int64_t columns = std::min(PANEL, n - j);
      for (int64_t i = 0; i < m; i += TILE_ROWS) {
        const int64_t rows = std::min(TILE_ROWS, m - i);
        const float *own = left.data() + i * depth, *panel = right.panel(0, j);
        float* target = c + i * ldc + j;
        if (columns == PANEL) tile_of<TILE_VECTORS>(rows)(depth, own, 1, TILE_ROWS, panel, PANEL, target, ldc, add || l > 0);
        else narrow_tile(rows, columns, depth, own, 1, TILE_ROWS, panel, target, ldc, add || l > 0);
      }
    }
  }
}

}  // namespace recsweep
