// What all kernels share: matrix products, vectorizable functions, the dropout generator, threads.
//
// Everything is float32, row-major and contiguous. Loops are written so that the compiler vectorizes
// them. A kernel's result does not depend on how rows are cut into chunks, but for the order in which
// sums are taken; it does not depend on timing at all.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

#include "products.h"

namespace recsweep {

using Tensor = at::Tensor;
constexpr int64_t LANES = 16;

// ---------------------------------------------------------------------------------------- products

// float32 products by one of three: our own panels (products.h), and the two libraries that torch brings. A
// measurement at set-up says which is the fastest here (training/fast/measure.py); it is chosen when the kernels
// are loaded and stays, so that a trial can be repeated.
enum class Library : int64_t { own = 0, mkl = 1, onednn = 2 };

inline Library& library() {
  static Library chosen = Library::own;
  return chosen;
}

inline bool has_onednn() {
#ifdef CPUBLAS_BRGEMM_F32F32F32
  return true;
#else
  return false;
#endif
}

// oneDNN makes a kernel for each shape, so shapes are cut to few.
constexpr int64_t CUT_ROWS = 64, CUT_INNER = 64, CUT_COLUMNS = 256;

inline void onednn_product(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                           float* c, int64_t ldc, bool add) {
#ifdef CPUBLAS_BRGEMM_F32F32F32
  for (int64_t i = 0; i < m; i += CUT_ROWS)
    for (int64_t l = 0; l < k; l += CUT_INNER)
      for (int64_t j = 0; j < n; j += CUT_COLUMNS)
        at::native::cpublas::brgemm(std::min(CUT_ROWS, m - i), std::min(CUT_COLUMNS, n - j), std::min(CUT_INNER, k - l),
                                    lda, ldb, ldc, add || l > 0, a + i * lda + l, b + l * ldb + j, c + i * ldc + j);
#endif
}

// A copy of rows [rows, columns] as [columns, rows].
inline const float* transposed(const float* x, int64_t rows, int64_t columns, int64_t stride) {
  static thread_local Buffer copy;
  copy.resize(std::max<size_t>(copy.size(), rows * columns));
  transpose(x, stride, rows, columns, copy.data(), rows);
  return copy.data();
}

inline void blas(const char* transa, const char* transb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
                 const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  const int M = m, N = n, K = k, LA = lda, LB = ldb, LC = ldc;
  const float one = 1.f, beta = add ? 1.f : 0.f;
  sgemm_(transb, transa, &N, &M, &K, &one, b, &LB, a, &LA, &beta, c, &LC);  // of columns: the other way round
}

inline Panels& own_panels() {
  static thread_local Panels panels;
  return panels;
}

// C[m, n] = A[m, k] B[k, n] (+ C): strides are the lengths of rows in memory.
inline void multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                     float* c, int64_t ldc, bool add = false) {
  if (m == 0 || n == 0) return;
  if (library() == Library::onednn) return onednn_product(m, n, k, a, lda, b, ldb, c, ldc, add);
  if (library() == Library::mkl) return blas("N", "N", m, n, k, a, lda, b, ldb, c, ldc, add);
  own_panels().pack(k, n, b, ldb, false);
  packed_product(m, a, lda, 1, own_panels(), c, ldc, add);
}

// C[m, n] = A[m, k] B[n, k]^T (+ C), the product of a linear layer.
inline void multiply_nt(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
                        int64_t ldb, float* c, int64_t ldc, bool add = false) {
  if (m == 0 || n == 0) return;
  if (library() == Library::mkl) return blas("N", "T", m, n, k, a, lda, b, ldb, c, ldc, add);
  if (library() == Library::own) {
    own_panels().pack(k, n, b, ldb, true);
    return packed_product(m, a, lda, 1, own_panels(), c, ldc, add);
  }
  for (int64_t j = 0; j < n; j += CUT_COLUMNS) {
    const int64_t columns = std::min(CUT_COLUMNS, n - j);
    onednn_product(m, columns, k, a, lda, transposed(b + j * ldb, columns, k, ldb), columns, c + j, ldc, add);
  }
}

// C[m, n] = A[k, m]^T B[k, n] (+ C), the gradient of a weight.
inline void multiply_tn(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
                        int64_t ldb, float* c, int64_t ldc, bool add = false) {
  if (m == 0 || n == 0 || (k == 0 && add)) return;
  if (library() == Library::mkl) return blas("T", "N", m, n, k, a, lda, b, ldb, c, ldc, add);
  if (library() == Library::own) return packed_product_tn(m, n, k, a, lda, b, ldb, c, ldc, add);
  for (int64_t i = 0; i < m; i += CUT_COLUMNS) {
    const int64_t rows = std::min(CUT_COLUMNS, m - i);
    onednn_product(rows, n, k, transposed(a + i, k, rows, lda), k, b, ldb, c + i * ldc, ldc, add);
  }
}

// A weight that many products read in one step: packed once, where the products are our own.
class Weight {
 public:
  Weight() = default;
  // [rows, columns] of a linear layer, as torch keeps it.
  Weight(const float* w, int64_t rows, int64_t columns) : w_(w), rows_(rows), columns_(columns) {
    if (library() != Library::own) return;
    forward_.pack(columns, rows, w, columns, true);
    backward_.pack(rows, columns, w, columns, false);
  }
  // y[m, rows] = x[m, columns] W^T (+ y)
  void apply(int64_t m, const float* x, int64_t ldx, float* y, int64_t ldy, bool add = false) const {
    if (m == 0) return;
    if (library() == Library::own) packed_product(m, x, ldx, 1, forward_, y, ldy, add);
    else multiply_nt(m, rows_, columns_, x, ldx, w_, columns_, y, ldy, add);
  }
  // dx[m, columns] = dy[m, rows] W (+ dx)
  void apply_backward(int64_t m, const float* dy, int64_t ldy, float* dx, int64_t ldx, bool add = false) const {
    if (m == 0) return;
    if (library() == Library::own) packed_product(m, dy, ldy, 1, backward_, dx, ldx, add);
    else multiply(m, columns_, rows_, dy, ldy, w_, columns_, dx, ldx, add);
  }

 private:
  const float* w_ = nullptr;
  int64_t rows_ = 0, columns_ = 0;
  Panels forward_, backward_;
};

// --------------------------------------------------------------------------------------- functions

// exp(x) to 2 ulp: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' coefficients). NaN stays NaN.
INLINE float exp_(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.3f ? 88.3f : x;
  const float n = __builtin_rintf(x * 1.44269504088896341f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

INLINE float sigmoid_(float x) { return 1.f / (1.f + exp_(-x)); }

// tanh(x) to a few ulp: the rational function that Eigen uses, beyond +-7.9 it is +-1 in float32.
INLINE float tanh_(float x) {
  const float limit = 7.90531110763549805f;
  const float c = x < -limit ? -limit : (x > limit ? limit : x);
  const float s = c * c;
  float p = -2.76076847742355e-16f;
  p = p * s + 2.00018790482477e-13f;
  p = p * s - 8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  float q = 1.19825839466702e-06f;
  q = q * s + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return c * p / q;
}

// Phi(x) and phi(x) of the standard normal distribution, absolute error 1e-7 (Abramowitz & Stegun 7.1.26).
INLINE void normal_(float x, float& cumulative, float& density) {
  const float z = std::fabs(x) * 0.70710678118654752f;
  const float t = 1.f / (1.f + 0.3275911f * z);
  const float e = exp_(-z * z);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * e;
  cumulative = x < 0.f ? tail : 1.f - tail;
  density = e * 0.39894228040143268f;
}

inline float maximum(const float* __restrict x, int64_t n) {
  const int64_t whole = n / WIDTH * WIDTH;
  float top = whole ? largest(x, whole) : x[0];
  for (int64_t j = whole; j < n; ++j) top = x[j] > top ? x[j] : top;
  return top;
}

INLINE float dot(const float* __restrict a, const float* __restrict b, int64_t n) {
  float sum = 0.f;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// y += s x
INLINE void axpy(int64_t n, float s, const float* __restrict x, float* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] += s * x[i];
}

// sums[j] += sum over rows of x[i, j]
inline void add_rows(const float* __restrict x, int64_t rows, int64_t n, float* __restrict sums) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) sums[j] += x[i * n + j];
}

// x[i, :] = bias
inline void fill_rows(const float* __restrict bias, int64_t rows, int64_t n, float* __restrict x) {
  for (int64_t i = 0; i < rows; ++i) std::memcpy(x + i * n, bias, n * sizeof(float));
}

// ----------------------------------------------------------------------------------------- dropout

// Random words of the elements of a stream: a 32-bit integer hash (two multiply-xorshift rounds, "lowbias32", Wellons
// 2018) with one key before each round. A word is a function of seed, stream and element, so that any order and number
// of threads see the same, and nothing needs to be stored.
struct Hash {
  uint32_t first = 0, second = 0;

  Hash() = default;
  Hash(uint64_t seed, uint64_t stream) {
    uint64_t z = seed + (stream + 1) * 0x9E3779B97F4A7C15ull;  // splitmix64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    first = static_cast<uint32_t>(z);
    second = static_cast<uint32_t>(z >> 32);
  }
  INLINE uint32_t operator()(uint32_t element) const {
    uint32_t x = element * 0x9E3779B9u + first;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x += second;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
  }
};

// One stream of dropout masks. The backward pass draws them again.
struct Dropout {
  Hash hash;
  uint32_t threshold = 0;
  float scale = 1.f;
  bool on = false;

  Dropout() = default;
  Dropout(double p, uint64_t seed, uint64_t stream) : hash(seed, stream), on(p > 0.0) {
    threshold = static_cast<uint32_t>(std::min(p * 4294967296.0, 4294967295.0));
    scale = p < 1.0 ? static_cast<float>(1.0 / (1.0 - p)) : 0.f;
  }

  // 1 / (1 - p) where the element is kept, else 0.
  INLINE float operator()(uint32_t element) const { return hash(element) >= threshold ? scale : 0.f; }

  void apply(float* __restrict x, int64_t n, uint32_t from = 0) const {
    if (!on) return;
    const Dropout self = *this;
    for (int64_t i = 0; i < n; ++i) x[i] *= self(from + static_cast<uint32_t>(i));
  }
};

// ----------------------------------------------------------------------------------- layer normalization

// y = xhat * weight + bias in place of x; xhat and 1/std are kept for the backward pass.
inline void normalize_rows(float* __restrict x, int64_t rows, int64_t d, const float* __restrict weight,
                           const float* __restrict bias, float eps, float* __restrict xhat,
                           float* __restrict rstd) {
  for (int64_t i = 0; i < rows; ++i) {
    float* __restrict row = x + i * d;
    float* __restrict hat = xhat + i * d;
    float mean = 0.f, square = 0.f;
    for (int64_t j = 0; j < d; ++j) mean += row[j];
    mean /= d;
    for (int64_t j = 0; j < d; ++j) square += (row[j] - mean) * (row[j] - mean);
    const float r = 1.f / std::sqrt(square / d + eps);
    rstd[i] = r;
    for (int64_t j = 0; j < d; ++j) {
      hat[j] = (row[j] - mean) * r;
      row[j] = hat[j] * weight[j] + bias[j];
    }
  }
}

// The gradient dy becomes the gradient of the input, in place; those of weight and bias are added.
inline void normalize_rows_backward(float* __restrict dy, int64_t rows, int64_t d,
                                    const float* __restrict weight, const float* __restrict xhat,
                                    const float* __restrict rstd, float* __restrict dweight,
                                    float* __restrict dbias) {
  for (int64_t i = 0; i < rows; ++i) {
    float* __restrict g = dy + i * d;
    const float* __restrict hat = xhat + i * d;
    float sum = 0.f, product = 0.f;
    for (int64_t j = 0; j < d; ++j) {
      dbias[j] += g[j];
      dweight[j] += g[j] * hat[j];
      g[j] *= weight[j];
      sum += g[j];
      product += g[j] * hat[j];
    }
    sum /= d;
    product /= d;
    for (int64_t j = 0; j < d; ++j) g[j] = rstd[i] * (g[j] - sum - hat[j] * product);
  }
}

// ----------------------------------------------------------------------------------------- batches

// Sequences of a batch, sorted by length (longest first), as rows of the whole split's table.
struct Batch {
  const int64_t* table;   // [samples, width] items, padded with 0 at the end
  const int64_t* rows;    // [batch] which samples
  const int64_t* lengths; // [samples]
  int64_t width, size;
  std::vector<int64_t> order;  // positions in the batch, longest sequence first

  Batch(const Tensor& sequences, const Tensor& all_lengths, const Tensor& index)
      : table(sequences.data_ptr<int64_t>()), rows(index.data_ptr<int64_t>()),
        lengths(all_lengths.data_ptr<int64_t>()), width(sequences.size(1)), size(index.numel()) {
    TORCH_CHECK(sequences.is_contiguous() && all_lengths.is_contiguous() && index.is_contiguous());
    std::vector<int64_t> start(width + 2, 0);
    for (int64_t i = 0; i < size; ++i) {
      TORCH_CHECK(length(i) >= 1 && length(i) <= width, "a sequence of length ", length(i), " in a table of width ", width);
      ++start[width - length(i) + 1];
    }
    for (int64_t l = 1; l <= width; ++l) start[l] += start[l - 1];
    order.resize(size);
    for (int64_t i = 0; i < size; ++i) order[start[width - length(i)]++] = i;
  }
  int64_t length(int64_t i) const { return lengths[rows[i]]; }
  const int64_t* items(int64_t i) const { return table + rows[i] * width; }

  // Consecutive positions of `order` with at most `tokens` items each (padding of the longest counted).
  std::vector<std::pair<int64_t, int64_t>> chunks(int64_t tokens, int64_t most) const {
    std::vector<std::pair<int64_t, int64_t>> found;
    for (int64_t from = 0; from < size;) {
      const int64_t longest = length(order[from]);
      const int64_t count = std::min({std::max<int64_t>(1, tokens / longest), most, size - from});
      found.emplace_back(from, from + count);
      from += count;
    }
    return found;
  }
};

inline const float* in(const Tensor& t) {
  TORCH_CHECK(t.scalar_type() == at::kFloat && t.is_contiguous(), "a kernel wants contiguous float32");
  return t.data_ptr<float>();
}
inline float* out(const Tensor& t) { return const_cast<float*>(in(t)); }

// Users or items, one for each sample.
inline const int64_t* ids(const Tensor& t, int64_t n) {
  TORCH_CHECK(t.scalar_type() == at::kLong && t.is_contiguous() && t.numel() == n,
              "a kernel wants ids as contiguous int64, one a sample: ", n);
  return t.data_ptr<int64_t>();
}

// Gradients that several threads add to: each thread has its own, they are summed in a fixed order.
class Gradients {
 public:
  explicit Gradients(const std::vector<Tensor>& targets) : copies_{targets} {
    for (const auto& t : targets) in(t);
  }
  void spread(int64_t threads) {
    while (static_cast<int64_t>(copies_.size()) < threads) {
      std::vector<Tensor> own;
      for (const auto& t : copies_[0]) own.push_back(at::zeros_like(t));
      copies_.push_back(std::move(own));
    }
  }
  const std::vector<Tensor>& of(int64_t thread) const { return copies_[thread]; }
  void gather() {
    for (size_t copy = 1; copy < copies_.size(); ++copy)
      for (size_t i = 0; i < copies_[0].size(); ++i) {
        float* __restrict sum = out(copies_[0][i]);
        const float* __restrict part = in(copies_[copy][i]);
        const int64_t n = copies_[0][i].numel();
        for (int64_t j = 0; j < n; ++j) sum[j] += part[j];
      }
    copies_.resize(1);
  }

 private:
  std::vector<std::vector<Tensor>> copies_;
};

// Chunks dealt to threads in turns: thread t takes t, t + threads, ... Longest first, so they balance.
template <typename Work>
void deal(int64_t chunks, int64_t threads, const Work& work) {
  if (threads <= 1) {
    for (int64_t c = 0; c < chunks; ++c) work(c, 0);
    return;
  }
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t c = t; c < chunks; c += threads) work(c, t);
  });
}

inline int64_t threads_for(int64_t chunks) {
  return std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), chunks));
}

using Chunks = std::vector<std::pair<int64_t, int64_t>>;
constexpr int64_t MOST_SEQUENCES = 1024;  // in a chunk

// The sum over all chunks of work(from, to, chunk, thread, gradients), which returns its part of the loss and
// adds to the gradients of its thread. `finish(thread, gradients)` follows, before they are summed.
template <typename Work, typename Finish>
double accumulate(const Chunks& chunks, int64_t threads, const std::vector<Tensor>& gradients, const Work& work,
                  const Finish& finish) {
  Gradients all(gradients);
  all.spread(threads);
  std::vector<double> losses(chunks.size(), 0.0);
  deal(chunks.size(), threads, [&](int64_t c, int64_t t) {
    losses[c] = work(chunks[c].first, chunks[c].second, c, t, all.of(t));
  });
  for (int64_t t = 0; t < threads; ++t) finish(t, all.of(t));
  all.gather();
  double total = 0.0;
  for (double part : losses) total += part;
  return total;
}

template <typename Work>
double accumulate(const Chunks& chunks, int64_t threads, const std::vector<Tensor>& gradients, const Work& work) {
  return accumulate(chunks, threads, gradients, work, [](int64_t, const std::vector<Tensor>&) {});
}

// -------------------------------------------------------------------------------------------- loss

enum class Kind : int64_t { none = 0, cross_entropy = 1, bpr = 2 };

// The loss of sequence representations h against item embeddings, mean over the batch, and its gradients.
struct Loss {
  Kind kind;
  const float* items;  // [n_items, d]
  int64_t n_items, d;
  const int64_t* positive;  // by position in the batch
  const int64_t* negative;
  float share;  // 1 / batch size
  Weight weight;  // the items, where all are scored

  Loss(int64_t kind_, const Tensor& embedding, const Tensor& pos, const std::optional<Tensor>& neg, int64_t samples)
      : kind(static_cast<Kind>(kind_)), items(in(embedding)), n_items(embedding.size(0)), d(embedding.size(1)),
        positive(ids(pos, samples)), negative(neg ? ids(*neg, samples) : nullptr),
        share(1.f / static_cast<float>(samples)),
        weight(kind == Kind::bpr ? Weight() : Weight(items, n_items, d)) {
    TORCH_CHECK(kind != Kind::bpr || negative, "BPR needs negatives");
  }

  // h, dh: [n, d]; `which` gives the position in the batch of each row. ditems is added to.
  double operator()(int64_t n, const int64_t* which, const float* h, float* dh, float* ditems, Buffer& work) const {
    return kind == Kind::bpr ? bpr(n, which, h, dh, ditems) : cross_entropy(n, which, h, dh, ditems, work);
  }

 private:
  double bpr(int64_t n, const int64_t* which, const float* h, float* dh, float* ditems) const {
    double total = 0.0;
    for (int64_t i = 0; i < n; ++i) {
      const float* p = items + positive[which[i]] * d;
      const float* q = items + negative[which[i]] * d;
      const float* __restrict hi = h + i * d;
      float* __restrict g = dh + i * d;
      const float s = sigmoid_(dot(hi, p, d) - dot(hi, q, d));
      total -= std::log(1e-10f + s);
      const float slope = -share * s * (1.f - s) / (1e-10f + s);
      for (int64_t j = 0; j < d; ++j) g[j] = slope * (p[j] - q[j]);
      axpy(d, slope, hi, ditems + positive[which[i]] * d);
      axpy(d, -slope, hi, ditems + negative[which[i]] * d);
    }
    return total * share;
  }

  // Rows in blocks whose scores stay in the cache.
  double cross_entropy(int64_t n, const int64_t* which, const float* h, float* dh, float* ditems,
                       Buffer& work) const {
    const int64_t block = std::max<int64_t>(16, std::min<int64_t>(256, (1 << 19) / n_items));
    work.resize(std::max<size_t>(work.size(), std::min(block, n) * n_items));
    double total = 0.0;
    for (int64_t from = 0; from < n; from += block) {
      const int64_t m = std::min(block, n - from);
      float* scores = work.data();
      weight.apply(m, h + from * d, d, scores, n_items);
      for (int64_t i = 0; i < m; ++i) {
        float* __restrict row = scores + i * n_items;
        const int64_t target = positive[which[from + i]];
        const float top = maximum(row, n_items);
        float sum = 0.f;
        const float wanted = row[target] - top;
        for (int64_t j = 0; j < n_items; ++j) {
          row[j] = exp_(row[j] - top);
          sum += row[j];
        }
        total += std::log(sum) - wanted;
        const float scale = share / sum;
        for (int64_t j = 0; j < n_items; ++j) row[j] *= scale;
        row[target] -= share;
      }
      weight.apply_backward(m, scores, n_items, dh + from * d, d);
      multiply_tn(n_items, d, m, scores, n_items, h + from * d, d, ditems, d, true);
    }
    return total * share;
  }
};

}  // namespace recsweep
