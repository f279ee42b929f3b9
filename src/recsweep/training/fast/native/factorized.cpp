// FPMC and BPR: sums of inner products of embeddings, trained with one negative a sample; and Adam.
#include "common.h"

namespace recsweep {
namespace {

// -log(1e-10 + sigmoid(x)) as RecBole's BPRLoss, and its slope.
float bpr_loss(float x, float& slope) {
  const float s = sigmoid_(x);
  slope = -s * (1.f - s) / (1e-10f + s);
  return -std::log(1e-10f + s);
}

// Samples whose losses are computed together: so many factors, each above 1e-10, have a product in float64.
constexpr int64_t TOGETHER = 16;

// The sum of the losses, of one logarithm: what the compiler cannot vectorize. Slopes by sample.
double bpr_losses(int64_t n, const float* __restrict margin, float* __restrict slope) {
  float chance[TOGETHER];
  for (int64_t i = 0; i < n; ++i) {
    const float s = sigmoid_(margin[i]);
    chance[i] = 1e-10f + s;
    slope[i] = -s * (1.f - s) / chance[i];
  }
  double all = 1.0;
  for (int64_t i = 0; i < n; ++i) all *= chance[i];
  return -std::log(all);
}

// e (a - b)
float difference(const float* __restrict e, const float* __restrict a, const float* __restrict b, int64_t d) {
  float sum = 0.f;
  for (int64_t j = 0; j < d; ++j) sum += e[j] * (a[j] - b[j]);
  return sum;
}

// y += s (a - b)
void add_difference(int64_t d, float s, const float* __restrict a, const float* __restrict b, float* __restrict y) {
  for (int64_t j = 0; j < d; ++j) y[j] += s * (a[j] - b[j]);
}

}  // namespace

// weights: user-item, item-user, last-item, item-last embeddings of FPMC. `last`: the item clicked last.
double fpmc_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients, const Tensor& users,
                 const Tensor& last, const Tensor& positive, const Tensor& negative) {
  const int64_t n = users.numel(), d = weights[0].size(1);
  const int64_t *u = ids(users, n), *l = ids(last, n), *p = ids(positive, n), *q = ids(negative, n);
  const float *ui = in(weights[0]), *iu = in(weights[1]), *li = in(weights[2]), *il = in(weights[3]);
  float *gui = out(gradients[0]), *giu = out(gradients[1]), *gli = out(gradients[2]), *gil = out(gradients[3]);
  const float share = 1.f / static_cast<float>(n);
  double total = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    const float *__restrict eu = ui + u[i] * d, *__restrict el = li + l[i] * d;
    const float *__restrict up = iu + p[i] * d, *__restrict uq = iu + q[i] * d;
    const float *__restrict lp = il + p[i] * d, *__restrict lq = il + q[i] * d;
    float better = 0.f, worse = 0.f, slope;
    for (int64_t j = 0; j < d; ++j) {
      better += eu[j] * up[j] + el[j] * lp[j];
      worse += eu[j] * uq[j] + el[j] * lq[j];
    }
    total += bpr_loss(better - worse, slope);
    slope *= share;
    float *du = gui + u[i] * d, *dl = gli + l[i] * d;
    float *dup = giu + p[i] * d, *duq = giu + q[i] * d, *dlp = gil + p[i] * d, *dlq = gil + q[i] * d;
    for (int64_t j = 0; j < d; ++j) du[j] += slope * (up[j] - uq[j]);
    for (int64_t j = 0; j < d; ++j) dl[j] += slope * (lp[j] - lq[j]);
    for (int64_t j = 0; j < d; ++j) dup[j] += slope * eu[j];
    for (int64_t j = 0; j < d; ++j) duq[j] -= slope * eu[j];
    for (int64_t j = 0; j < d; ++j) dlp[j] += slope * el[j];
    for (int64_t j = 0; j < d; ++j) dlq[j] -= slope * el[j];
  }
  return total * share;
}

// weights: user and item embeddings of BPR. users, items: of all samples, of which `rows` are the batch.
double bpr_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients, const Tensor& users,
                const Tensor& items, const Tensor& rows, const Tensor& negative) {
  const int64_t n = rows.numel(), d = weights[0].size(1), samples = users.numel();
  const int64_t *user_of = ids(users, samples), *item_of = ids(items, samples), *row = ids(rows, n);
  const int64_t* worse_of = ids(negative, n);
  const float *user = in(weights[0]), *item = in(weights[1]);
  float *duser = out(gradients[0]), *ditem = out(gradients[1]);
  const float share = 1.f / static_cast<float>(n);
  double total = 0.0;
  int64_t u[TOGETHER], p[TOGETHER], q[TOGETHER];
  float margin[TOGETHER], slope[TOGETHER];
  for (int64_t from = 0; from < n; from += TOGETHER) {
    const int64_t m = std::min(TOGETHER, n - from);
    for (int64_t i = 0; i < m; ++i) {
      const int64_t own = row[from + i];
      TORCH_CHECK(own >= 0 && own < samples, "row ", own, " of ", samples);
      u[i] = user_of[own] * d, p[i] = item_of[own] * d, q[i] = worse_of[from + i] * d;
      margin[i] = difference(user + u[i], item + p[i], item + q[i], d);
    }
    total += bpr_losses(m, margin, slope);
    for (int64_t i = 0; i < m; ++i) {
      const float by = slope[i] * share;
      add_difference(d, by, item + p[i], item + q[i], duser + u[i]);
      axpy(d, by, user + u[i], ditem + p[i]);
      axpy(d, -by, user + u[i], ditem + q[i]);
    }
  }
  return total * share;
}

// Through pointers that are known to lie apart: captured in a thread's work, the compiler would not vectorize it.
static void adam(int64_t n, float rate, float root, float keep1, float keep2, float old2, float small, float shrink,
          float* __restrict w, float* __restrict g, float* __restrict m, float* __restrict v) {
  for (int64_t i = 0; i < n; ++i) {
    const float slope = g[i] + shrink * w[i];
    m[i] += keep1 * (slope - m[i]);
    v[i] = old2 * v[i] + keep2 * slope * slope;
    w[i] -= rate * m[i] / (std::sqrt(v[i]) * root + small);
    g[i] = 0.f;
  }
}

// One step of torch.optim.Adam (L2 weight decay, no AMSGrad) on every weight; gradients end as zeros.
void adam_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
               const std::vector<Tensor>& first, const std::vector<Tensor>& second, double lr, double beta1,
               double beta2, double eps, double decay, int64_t step) {
  const double correction1 = 1.0 - std::pow(beta1, step), correction2 = std::sqrt(1.0 - std::pow(beta2, step));
  const float rate = static_cast<float>(lr / correction1), root = static_cast<float>(1.0 / correction2);
  const float keep1 = static_cast<float>(1.0 - beta1), keep2 = static_cast<float>(1.0 - beta2);
  const float old2 = static_cast<float>(beta2), small = static_cast<float>(eps), shrink = static_cast<float>(decay);
  for (size_t k = 0; k < weights.size(); ++k) {
    float* weight = out(weights[k]);
    float *gradient = out(gradients[k]), *mean = out(first[k]), *square = out(second[k]);
    at::parallel_for(0, weights[k].numel(), 1 << 15, [&](int64_t begin, int64_t end) {
      adam(end - begin, rate, root, keep1, keep2, old2, small, shrink, weight + begin, gradient + begin, mean + begin,
           square + begin);
    });
  }
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("fpmc_step(Tensor[] weights, Tensor[] gradients, Tensor users, Tensor last, Tensor positive, "
        "Tensor negative) -> float", &fpmc_step);
  m.def("bpr_step(Tensor[] weights, Tensor[] gradients, Tensor users, Tensor items, Tensor rows, Tensor negative) "
        "-> float", &bpr_step);
  m.def("adam_step(Tensor[] weights, Tensor[] gradients, Tensor[] first, Tensor[] second, float lr, float beta1, "
        "float beta2, float eps, float decay, int step) -> ()", &adam_step);
}

}  // namespace recsweep
