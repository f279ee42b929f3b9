// float32 matrix products of our own: a block of sums that fills the registers, over panels of packed columns.
//
// The scheme is that of BLIS (Van Zee and van de Geijn, ACM TOMS 2015): B is packed into panels as wide as a
// block of sums, which stay in the first cache; A is read where it lies, or packed where its rows are strided.
#pragma once

#include <new>
#include <vector>

#include "vectors.h"

namespace recsweep {

// Memory that begins with a line of the cache: vectors that lie across two lines cost two of its ports.
template <typename T>
struct Aligned {
  using value_type = T;
  static constexpr std::align_val_t LINE{64};
  Aligned() = default;
  template <typename U>
  Aligned(const Aligned<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), LINE)); }
  void deallocate(T* p, size_t) { ::operator delete(p, LINE); }
  bool operator==(const Aligned&) const { return true; }
};

using Buffer = std::vector<float, Aligned<float>>;

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

// Whole blocks of sums one below the other: C[blocks * TILE_ROWS, PANEL] = A B (+ C). The next block of A lies `next`
// floats on. One call for all: a call for each, through its address, costs a twelfth of a block with k = 64.
template <bool BY_ROWS>
__attribute__((noinline)) void tiles(int64_t blocks, int64_t next, int64_t k, const float* a, int64_t row,
                                     int64_t column, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  for (int64_t i = 0; i < blocks; ++i)
    tile<TILE_ROWS, TILE_VECTORS>(k, a + i * next, row, BY_ROWS ? 1 : column, b, ldb, c + i * TILE_ROWS * ldc, ldc, add);
}

// C[m, PANEL] = A B (+ C) by blocks of TILE_ROWS rows.
inline void strip(int64_t m, int64_t next, int64_t k, const float* a, int64_t row, int64_t column, const float* b,
                  int64_t ldb, float* c, int64_t ldc, bool add) {
  const int64_t blocks = m / TILE_ROWS, rows = m % TILE_ROWS;
  if (blocks && column == 1) tiles<true>(blocks, next, k, a, row, 1, b, ldb, c, ldc, add);
  else if (blocks) tiles<false>(blocks, next, k, a, row, column, b, ldb, c, ldc, add);
  if (rows) tile_of<TILE_VECTORS>(rows)(k, a + blocks * next, row, column, b, ldb, c + blocks * TILE_ROWS * ldc, ldc, add);
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
    for (int64_t l = 0; l < k; l += INNER) {
      const int64_t depth = std::min(INNER, k - l);
      int64_t j = 0;
      for (; !transposed && j + TOGETHER * PANEL <= n; j += TOGETHER * PANEL)
        copy(b + l * ldb + j, ldb, depth, floats_.data() + at(l, j));
      for (; j < n; j += PANEL) {
        float* to = floats_.data() + at(l, j);
        const int64_t columns = std::min(PANEL, n - j);
        if (transposed) recsweep::transpose(b + j * ldb + l, ldb, columns, depth, to, PANEL);
        else copy(b + l * ldb + j, ldb, depth, columns, to);
      }
    }
  }
  int64_t inner() const { return k_; }
  int64_t columns() const { return n_; }
  const float* panel(int64_t l, int64_t j) const { return floats_.data() + at(l, j); }

 private:
  int64_t at(int64_t l, int64_t j) const { return l * rounded_up(n_, PANEL) + j * std::min(INNER, k_ - l); }
  static constexpr int64_t TOGETHER = 4;  // panels that are packed at once: lines of a row lie one behind the other
  static void copy(const float* from, int64_t stride, int64_t rows, float* to) {
    for (int64_t i = 0; i < rows; ++i)
      UNROLL for (int64_t p = 0; p < TOGETHER; ++p)
        UNROLL for (int64_t v = 0; v < PANEL; v += WIDTH)
          store(to + (p * rows + i) * PANEL + v, load(from + i * stride + p * PANEL + v));
  }
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
        const float *panel = b.panel(l, j), *left = a + top * row + l * column;
        const int64_t columns = std::min(PANEL, n - j), below = std::min(ROWS_AT_ONCE, m - top);
        float* target = c + top * ldc + j;
        if (columns == PANEL) {
          strip(below, TILE_ROWS * row, depth, left, row, column, panel, PANEL, target, ldc, add || l > 0);
          continue;
        }
        for (int64_t i = 0; i < below; i += TILE_ROWS)
          narrow_tile(std::min(TILE_ROWS, below - i), columns, depth, left + i * row, row, column, panel,
                      target + i * ldc, ldc, add || l > 0);
      }
  }
}

constexpr int64_t LEFT = rounded_up(TILE_ROWS, WIDTH);  // floats of a row of packed columns, the last ones unused

// Columns of A[depth, m] in panels of TILE_ROWS, as the rows of its transpose. Some panels are read side by side, as
// lines of the cache hold parts of several.
inline void pack_columns(int64_t m, int64_t depth, const float* a, int64_t lda, float* to) {
  constexpr int64_t together = 4;
  int64_t i = 0;
  for (; i + (together - 1) * TILE_ROWS + LEFT <= m; i += together * TILE_ROWS, to += together * LEFT * depth)
    for (int64_t q = 0; q < depth; ++q)
      UNROLL for (int64_t p = 0; p < together; ++p)
        UNROLL for (int64_t v = 0; v < LEFT; v += WIDTH)
          store(to + (p * depth + q) * LEFT + v, load(a + q * lda + i + p * TILE_ROWS + v));
  for (; i < m; i += TILE_ROWS, to += LEFT * depth) {
    const int64_t rows = std::min(TILE_ROWS, m - i);
    for (int64_t q = 0; q < depth; ++q)
      for (int64_t r = 0; r < rows; ++r) to[q * LEFT + r] = a[q * lda + i + r];
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
  const int64_t size = (m + TILE_ROWS - 1) / TILE_ROWS * LEFT * INNER;
  if (static_cast<int64_t>(left.size()) < size) left.resize(size);
  for (int64_t l = 0; l < k; l += INNER) {
    const int64_t depth = std::min(INNER, k - l);
    right.pack(depth, n, b + l * ldb, ldb, false);
    pack_columns(m, depth, a + l * lda, lda, left.data());
    for (int64_t j = 0; j < n; j += PANEL) {
      const int64_t columns = std::min(PANEL, n - j);
      const float* panel = right.panel(0, j);
      if (columns == PANEL) {
        strip(m, LEFT * depth, depth, left.data(), 1, LEFT, panel, PANEL, c + j, ldc, add || l > 0);
        continue;
      }
      for (int64_t i = 0; i < m; i += TILE_ROWS)
        narrow_tile(std::min(TILE_ROWS, m - i), columns, depth, left.data() + i / TILE_ROWS * LEFT * depth, 1, LEFT, panel,
                    c + i * ldc + j, ldc, add || l > 0);
    }
  }
}

}  // namespace recsweep
