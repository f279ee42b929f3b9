// SimpleX: a user and the mean of what it had, by cosines to one item it met and to many it did not.
#include "common.h"

namespace recsweep {
namespace {

// All that a batch works with. A user stands for itself and its history once, however often it is sampled.
struct Samples {
  const float *user, *item, *map;  // parameters
  float *duser, *ditem, *dmap;     // their gradients
  const int64_t *users, *which;    // [distinct] users, [samples] which of these
  const int64_t *positive, *negative;  // [samples], [several x samples], the first of all samples first
  const int64_t *histories, *lengths;  // [n_users, width] items, [n_users] of them that are no padding
  int64_t distinct, samples, several, n_items, width, d;

  const int64_t* history(int64_t i) const { return histories + users[i] * width; }
  int64_t length(int64_t i) const { return lengths[users[i]]; }
};

// Sums of squares of all vectors of a kind, as often as they occur: users, items met, histories, negatives.
struct Squares {
  double of[4] = {0, 0, 0, 0};
};

// Refuses an index that is negative or not below `limit`: a sign in one of two differences, for many at once.
void check(const char* what, const int64_t* indexes, int64_t count, int64_t limit) {
  int64_t signs = 0;
  for (int64_t i = 0; i < count; ++i) signs |= indexes[i] | (limit - 1 - indexes[i]);
  if (signs >= 0) return;
  for (int64_t i = 0; i < count; ++i)
    TORCH_CHECK(indexes[i] >= 0 && indexes[i] < limit, what, " ", indexes[i], " of ", limit);
}

// Everything that a batch looks something up by; where it is right, the number of items in its histories.
int64_t checked_histories(const Samples& all, int64_t n_users) {
  check("user", all.which, all.samples, all.distinct);
  check("user", all.users, all.distinct, n_users);
  check("item", all.positive, all.samples, all.n_items);
  check("item", all.negative, all.samples * all.several, all.n_items);
  int64_t total = 0;
  for (int64_t i = 0; i < all.distinct; ++i) {
    TORCH_CHECK(all.length(i) >= 0 && all.length(i) <= all.width, all.length(i), " items in ", all.width, " places");
    check("item", all.history(i), all.length(i), all.n_items);
    total += all.length(i);
  }
  return total;
}

// Squares [n_items] of the items' vectors and one over their lengths; RecBole's lengths are at least 1e-12.
struct Sizes {
  const Samples& all;
  Buffer squares, inverse;

  // Of all items, or of those that the batch has, whichever are fewer; `histories`: items in these, 0 where their
  // sizes do not count.
  Sizes(const Samples& all_, int64_t histories) : all(all_), squares(all.n_items, -1.f), inverse(all.n_items) {
    if (all.n_items <= all.samples * (1 + all.several) + histories) {
      for (int64_t i = 0; i < all.n_items; ++i) add(i);
      return;
    }
    for (int64_t i = 0; i < all.samples; ++i) need(all.positive[i]);
    for (int64_t i = 0; i < all.samples * all.several; ++i) need(all.negative[i]);
    for (int64_t i = 0; histories && i < all.distinct; ++i)
      for (int64_t c = 0; c < all.length(i); ++c) need(all.history(i)[c]);
  }
  void add(int64_t item) {
    squares[item] = dot(all.item + item * all.d, all.item + item * all.d, all.d);
    inverse[item] = 1.f / std::max(std::sqrt(squares[item]), 1e-12f);
  }
  void need(int64_t item) {
    if (squares[item] < 0.f) add(item);
  }
};

// means [distinct, d] of histories, as RecBole divides them.
void add_histories(const Samples& all, float* means) {
  for (int64_t i = 0; i < all.distinct; ++i) {
    float* __restrict mean = means + i * all.d;
    const int64_t* items = all.history(i);
    std::fill(mean, mean + all.d, 0.f);
    for (int64_t c = 0; c < all.length(i); ++c) axpy(all.d, 1.f, all.item + items[c] * all.d, mean);
    const float share = 1.f / (static_cast<float>(all.length(i)) + 1e-10f);
    for (int64_t j = 0; j < all.d; ++j) mean[j] *= share;
  }
}

Squares squares_of(const Samples& all, const float* sizes, const std::vector<int64_t>& counts) {
  Squares found;
  for (int64_t i = 0; i < all.distinct; ++i) {
    const float* own = all.user + all.users[i] * all.d;
    const int64_t* items = all.history(i);
    double sum = 0.0;
    for (int64_t c = 0; c < all.length(i); ++c) sum += sizes[items[c]];
    found.of[0] += counts[i] * static_cast<double>(dot(own, own, all.d));
    found.of[2] += counts[i] * sum;
  }
  for (int64_t i = 0; i < all.samples; ++i) found.of[1] += sizes[all.positive[i]];
  for (int64_t i = 0; i < all.samples * all.several; ++i) found.of[3] += sizes[all.negative[i]];
  return found;
}

// One cosine of a sample: with its slope, the gradients of the item and of the unit vector `own`.
INLINE void add_slope(const Samples& all, int64_t item, float cosine, float inverse, float slope, float decay,
                      const float* __restrict own, float* __restrict down) {
  const float* __restrict v = all.item + item * all.d;
  float* __restrict dv = all.ditem + item * all.d;
  const float toward = slope * inverse, away = decay - toward * cosine * inverse;
  for (int64_t j = 0; j < all.d; ++j) {
    dv[j] += toward * own[j] + away * v[j];
    down[j] += toward * v[j];
  }
}

struct Terms {
  float margin, heavy;
  float of_item, of_negative;  // what regularization adds to a gradient, times the vector
};

// The loss of one sample of the vector `own`, which becomes a gradient; RecBole's lengths are at least 1e-12.
double contrast(const Samples& all, int64_t sample, const float* inverse, const Terms& terms, float* __restrict own,
                float* __restrict unit, float* __restrict down) {
  const float size = std::sqrt(dot(own, own, all.d)), scale = 1.f / std::max(size, 1e-12f);
  const float share = 1.f / static_cast<float>(all.samples);
  const float each = share * terms.heavy / static_cast<float>(all.several);
  for (int64_t j = 0; j < all.d; ++j) unit[j] = own[j] * scale, down[j] = 0.f;
  const int64_t met = all.positive[sample];
  const float cosine = dot(unit, all.item + met * all.d, all.d) * inverse[met];
  double total = cosine < 1.f ? share * (1.f - cosine) : 0.f;
  add_slope(all, met, cosine, inverse[met], cosine < 1.f ? -share : 0.f, terms.of_item, unit, down);
  for (int64_t k = 0; k < all.several; ++k) {
    const int64_t other = all.negative[k * all.samples + sample];
    const float far = dot(unit, all.item + other * all.d, all.d) * inverse[other];
    const bool counts = far > terms.margin;
    if (counts) total += each * (far - terms.margin);
    if (counts || terms.of_negative != 0.f)
      add_slope(all, other, far, inverse[other], counts ? each : 0.f, terms.of_negative, unit, down);
  }
  const float along = dot(unit, down, all.d);
  for (int64_t j = 0; j < all.d; ++j) own[j] = (down[j] - unit[j] * along) * scale;
  return total;
}

// The lengths of all vectors, or half their squares, times `decay` / samples; `shares` of a vector are its gradient.
double regularize(const Samples& all, const float* sizes, const std::vector<int64_t>& counts, double decay, bool power,
                  float* shares) {
  if (decay == 0.0) return 0.0;
  const Squares squares = squares_of(all, sizes, counts);
  double total = 0.0;
  for (int64_t k = 0; k < 4; ++k) {
    const double size = std::sqrt(squares.of[k]);
    total += decay / all.samples * (power ? squares.of[k] / 2 : size);
    shares[k] = static_cast<float>(power ? decay / all.samples : size > 0 ? decay / (all.samples * size) : 0.0);
  }
  return total;
}

// What the slopes [distinct, d] of users with their histories are for both, and for the map; `mapped` is overwritten.
void spread(const Samples& all, const float* means, float* slopes, float* mapped, const std::vector<int64_t>& counts,
            float keep, const float* shares) {
  const int64_t d = all.d;
  for (int64_t u = 0; u < all.distinct; ++u) {
    float* du = all.duser + all.users[u] * d;
    axpy(d, keep, slopes + u * d, du);
    axpy(d, shares[0] * counts[u], all.user + all.users[u] * d, du);
    for (int64_t j = 0; j < d; ++j) slopes[u * d + j] *= 1.f - keep;
  }
  multiply_tn(d, d, all.distinct, slopes, d, means, d, all.dmap, d, true);
  multiply(all.distinct, d, d, slopes, d, all.map, d, mapped, d);
  for (int64_t u = 0; u < all.distinct; ++u) {
    const float share = 1.f / (static_cast<float>(all.length(u)) + 1e-10f), more = shares[2] * counts[u];
    const int64_t* items = all.history(u);
    const float* __restrict slope = mapped + u * d;
    for (int64_t c = 0; c < all.length(u); ++c) {
      const float* __restrict v = all.item + items[c] * d;
      float* __restrict dv = all.ditem + items[c] * d;
      for (int64_t j = 0; j < d; ++j) dv[j] += share * slope[j] + more * v[j];
    }
  }
}

}  // namespace

// weights: user and item embeddings, and the map of a history's mean [d, d]. Item 0 is padding.
double simplex_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients, const Tensor& users,
                    const Tensor& which, const Tensor& positive, const Tensor& negative, const Tensor& histories,
                    const Tensor& lengths, double gamma, double margin, double heavy, double decay, bool power,
                    double dropout, int64_t seed) {
  TORCH_CHECK(weights.size() == 3 && gradients.size() == 3, "three weights are needed");
  const int64_t n = which.numel(), d = weights[1].size(1), several = negative.numel() / n, distinct = users.numel();
  const Samples all{in(weights[0]), in(weights[1]), in(weights[2]), out(gradients[0]), out(gradients[1]),
                    out(gradients[2]), ids(users, distinct), ids(which, n), ids(positive, n),
                    ids(negative, n * several), ids(histories, histories.numel()), ids(lengths, lengths.numel()),
                    distinct, n, several, weights[1].size(0), histories.size(1), d};
  const int64_t n_users = weights[0].size(0);
  TORCH_CHECK(histories.size(0) == n_users && lengths.numel() == n_users && negative.numel() == n * several,
              "users, histories and samples do not match");
  const Dropout drop(dropout, seed, 0);
  const float keep = static_cast<float>(gamma);
  const int64_t items = checked_histories(all, n_users);
  const Sizes sizes(all, decay != 0.0 ? items : 0);
  Buffer means(distinct * d), mapped(distinct * d), slopes(distinct * d), own(d), unit(d), down(d);
  std::vector<int64_t> counts(distinct, 0);
  for (int64_t i = 0; i < n; ++i) ++counts[all.which[i]];
  add_histories(all, means.data());
  multiply_nt(distinct, d, d, means.data(), d, all.map, d, mapped.data(), d);
  std::fill(slopes.begin(), slopes.end(), 0.f);
  float shares[4] = {0, 0, 0, 0};
  double total = regularize(all, sizes.squares.data(), counts, decay, power, shares);
  const Terms terms{static_cast<float>(margin), static_cast<float>(heavy), shares[1], shares[3]};
  for (int64_t i = 0; i < n; ++i) {
    const int64_t u = all.which[i];
    const float* mine = all.user + all.users[u] * d;
    const uint32_t from = static_cast<uint32_t>(i * d);
    for (int64_t j = 0; j < d; ++j) own[j] = keep * mine[j] + (1.f - keep) * mapped[u * d + j];
    drop.apply(own.data(), d, from);
    total += contrast(all, i, sizes.inverse.data(), terms, own.data(), unit.data(), down.data());
    drop.apply(own.data(), d, from);
    axpy(d, 1.f, own.data(), slopes.data() + u * d);
  }
  spread(all, means.data(), slopes.data(), mapped.data(), counts, keep, shares);
  return total;
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("simplex_step(Tensor[] weights, Tensor[] gradients, Tensor users, Tensor which, Tensor positive, "
        "Tensor negative, Tensor histories, Tensor lengths, float gamma, float margin, float heavy, float decay, "
        "bool power, float dropout, int seed) -> float", &simplex_step);
}

}  // namespace recsweep
