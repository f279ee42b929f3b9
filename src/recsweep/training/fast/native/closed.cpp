// Models that are computed from counts: sparse rows times a matrix, and SLIM's regressions.
#include <ATen/Dispatch.h>

#include "common.h"

namespace recsweep {

constexpr int BYTES = 32, VECTORS = 4;  // of a row at once: 2,000 rows of them stay in a second-level cache

// Sparse rows [rows, inner] times matrix [inner, n]: [rows, n]. Each sum is taken in the order of a row's entries, as
// SciPy takes it. A row's entries are indices[ends[row - 1]:ends[row]], with their values.
template <typename Real>
void add_rows(const int64_t* ends, const int64_t* indices, const Real* values, const Real* matrix, int64_t rows,
              int64_t inner, int64_t n, Real* result) {
  typedef Real Vector __attribute__((vector_size(BYTES), aligned(sizeof(Real)), may_alias));
  constexpr int64_t columns = VECTORS * BYTES / sizeof(Real);
  at::parallel_for(0, (n + columns - 1) / columns, 1, [&](int64_t begin, int64_t end) {
    std::vector<Real> packed(inner * columns);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t from = block * columns, width = std::min(columns, n - from);
      for (int64_t i = 0; i < inner; ++i)
        std::memcpy(packed.data() + i * columns, matrix + i * n + from, width * sizeof(Real));
      for (int64_t row = 0; row < rows; ++row) {
        Vector sums[VECTORS] = {};
        for (int64_t e = row ? ends[row - 1] : 0; e < ends[row]; ++e) {
          const Vector* one = reinterpret_cast<const Vector*>(packed.data() + indices[e] * columns);
          const Real value = values[e];
#pragma GCC unroll 4
          for (int v = 0; v < VECTORS; ++v) sums[v] += value * one[v];
        }
        std::memcpy(result + row * n + from, sums, width * sizeof(Real));
      }
    }
  });
}

Tensor rows_times(const Tensor& ends, const Tensor& indices, const Tensor& values, const Tensor& matrix) {
  const int64_t rows = ends.numel(), inner = matrix.size(0), n = matrix.size(1);
  TORCH_CHECK(values.scalar_type() == matrix.scalar_type() && matrix.is_contiguous(), "values and matrix do not match");
  TORCH_CHECK(indices.numel() == values.numel(), "as many indices as values are needed");
  Tensor result = at::empty({rows, n}, matrix.options());
  AT_DISPATCH_FLOATING_TYPES(matrix.scalar_type(), "rows_times", [&] {
    add_rows<scalar_t>(ends.data_ptr<int64_t>(), indices.data_ptr<int64_t>(), values.data_ptr<scalar_t>(),
                       matrix.data_ptr<scalar_t>(), rows, inner, n, result.data_ptr<scalar_t>());
  });
  return result;
}

// One elastic net by coordinate descent on the matrix of inner products, with the order of coordinates, the screening
// and the stop of scikit-learn's `sparse_enet_coordinate_descent`: minimizes
// 1/2 |y - X w|^2 + alpha |w|_1 + beta/2 |w|_2^2.
class ElasticNet {
 public:
  ElasticNet(const float* gram, int64_t n, double alpha, double beta, bool positive, bool hide, int64_t rounds,
             double tolerance)
      : gram_(gram), n_(n), alpha_(alpha), beta_(beta), positive_(positive), hide_(hide), rounds_(rounds),
        tolerance_(tolerance), w_(n), toward_(n), left_(n), norms_(n), active_(n), out_(n) {}

  // The weights of one target into row [n].
  void fit(int64_t target, uint32_t seed, float* row) {
    begin(target);
    const double enough = tolerance_ * gram_[target * n_ + target];
    double gap = gap_now();
    if (gap > enough) {
      if (alpha_ > 0) screen(gap);
      for (int64_t round = 0; round < rounds_; ++round) {
        const auto [largest, step] = sweep(seed);
        if (largest != 0 && step / largest > tolerance_ && round != rounds_ - 1) continue;
        gap = gap_now();
        if (gap <= enough) break;
        if (alpha_ > 0) screen(gap);
      }
    }
    for (int64_t j = 0; j < n_; ++j) row[j] = static_cast<float>(w_[j]);
  }

 private:
  void begin(int64_t target) {
    target_ = target, actives_ = n_;
    for (int64_t j = 0; j < n_; ++j) {
      w_[j] = 0, out_[j] = 0, active_[j] = j;
      norms_[j] = gram_[j * n_ + j];
      toward_[j] = left_[j] = gram_[target * n_ + j];
    }
    if (hide_) norms_[target] = toward_[target] = left_[target] = 0;
  }

  // The duality gap (formulation A of scikit-learn, B without an L1 penalty); leaves `largest_`.
  double gap_now() {
    if (hide_) left_[target_] = 0;
    double l1 = 0, l2 = 0, fitted = 0, explained = 0, most = positive_ ? -INFINITY : 0, squares = 0;
    for (int64_t j = 0; j < n_; ++j) {
      const double slope = left_[j] - beta_ * w_[j];
      most = std::max(most, positive_ ? slope : std::abs(slope));
      squares += left_[j] * left_[j];
      l1 += std::abs(w_[j]), l2 += w_[j] * w_[j];
      explained += w_[j] * toward_[j], fitted += w_[j] * left_[j];
    }
    const double all = gram_[target_ * n_ + target_];
    const double rest = all - explained, residual = rest - fitted;  // R y, and R R
    if (alpha_ == 0) {
      largest_ = squares;
      return beta_ == 0 ? squares : residual + 0.5 * beta_ * l2 - rest + squares / (2 * beta_);
    }
    largest_ = most;
    const double scale = most > alpha_ ? alpha_ / most : 1, loss = residual + beta_ * l2;
    return 0.5 * loss + alpha_ * l1 - (-0.5 * scale * scale * loss + scale * rest);
  }

  // Gap safe screening (Ndiaye et al. 2017, eq. 11): coordinates that can be nothing but 0 are left out.
  void screen(double gap) {
    const double radius = std::sqrt(2 * gap) / alpha_, scale = std::max(alpha_, largest_);
    int64_t kept = 0;
    for (int64_t j = 0; j < n_; ++j) {
      if (out_[j]) continue;
      const double slope = (left_[j] - beta_ * w_[j]) / scale;
      const bool may = (1 - std::abs(slope)) / std::sqrt(norms_[j] + beta_) <= radius;
      if (norms_[j] != 0 && may)
        active_[kept++] = j;
      else
        out_[j] = 1;
    }
    for (int64_t j = 0; j < n_; ++j)
      if (out_[j] && w_[j] != 0) move(j, 0);
    actives_ = kept;
  }

  // One round: the largest weight, and the largest change of one.
  std::pair<double, double> sweep(uint32_t& seed) {
    double largest = 0, step = 0;
    for (int64_t f = 0; f < actives_; ++f) {
      const int64_t j = active_[draw(seed) % static_cast<uint32_t>(actives_)];
      if (norms_[j] == 0) continue;
      const double before = w_[j], wanted = left_[j] + before * norms_[j];
      double after = std::max(std::abs(wanted) - alpha_, 0.0) / (norms_[j] + beta_);
      if (wanted < 0) after = positive_ ? 0 : -after;
      if (after != before) move(j, after);
      step = std::max(step, std::abs(after - before));
      largest = std::max(largest, std::abs(after));
    }
    return {largest, step};
  }

  void move(int64_t j, double after) {
    const double change = after - w_[j];
    const float* __restrict products = gram_ + j * n_;
    double* __restrict left = left_.data();
    for (int64_t k = 0; k < n_; ++k) left[k] -= change * products[k];
    w_[j] = after;
  }

  // scikit-learn's `our_rand_r`.
  static uint32_t draw(uint32_t& seed) {
    if (seed == 0) seed = 1;
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return seed % (static_cast<uint32_t>(INT32_MAX) + 1);
  }

  const float* gram_;
  int64_t n_, target_ = 0, actives_ = 0;
  double alpha_, beta_;
  bool positive_, hide_;
  int64_t rounds_;
  double tolerance_, largest_ = 0;
  std::vector<double> w_, toward_, left_, norms_;
  std::vector<int64_t> active_;
  std::vector<uint8_t> out_;
};

// The weights of all items as targets, [n, n]: row t holds those by which item t is explained.
Tensor slim(const Tensor& gram, const Tensor& seeds, double alpha, double beta, bool positive, bool hide,
            int64_t rounds, double tolerance) {
  const int64_t n = gram.size(0), most = at::get_num_threads();
  TORCH_CHECK(seeds.numel() == n, "each item needs a seed");
  const float* products = in(gram);
  const int64_t* drawn = seeds.data_ptr<int64_t>();
  Tensor result = at::empty({n, n}, gram.options());
  float* rows = out(result);
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(most, n));
  std::vector<ElasticNet> nets(threads, ElasticNet(products, n, alpha, beta, positive, hide, rounds, tolerance));
  deal(n, threads, [&](int64_t target, int64_t t) {
    nets[t].fit(target, static_cast<uint32_t>(drawn[target]), rows + target * n);
  });
  return result;
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("rows_times(Tensor ends, Tensor indices, Tensor values, Tensor matrix) -> Tensor", &rows_times);
  m.def("slim(Tensor gram, Tensor seeds, float alpha, float beta, bool positive, bool hide, int rounds, "
        "float tolerance) -> Tensor", &slim);
}

}  // namespace recsweep
