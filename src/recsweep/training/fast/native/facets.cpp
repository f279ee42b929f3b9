// Autoencoders with several codes a user, one for each facet (MacridVAE): a first layer over the items that each
// user has, weighted by facet, and scores that add up the exponentials of all facets.
#include <ATen/CPUGeneratorImpl.h>

#include "common.h"

namespace recsweep {
namespace {

// The items of some users, as in autoencoders.cpp, and what each item counts for in each facet [n_items, facets].
struct Faceted {
  const int64_t *starts, *items;
  const float *values, *shares;
  int64_t rows, pairs, facets, n_items;
  Faceted(const Tensor& starts_, const Tensor& items_, const Tensor& values_, const Tensor& shares_)
      : starts(ids(starts_, starts_.numel())), items(ids(items_, items_.numel())), values(in(values_)),
        shares(in(shares_)), rows(starts_.numel() - 1), pairs(items_.numel()), facets(shares_.size(1)),
        n_items(shares_.size(0)) {
    TORCH_CHECK(rows >= 0 && starts[rows] == pairs && values_.numel() == pairs, "the last bag ends with the last pair");
  }
};

// The items of one user that dropout left, with what each facet sees of them.
struct Kept {
  std::vector<int64_t> items;
  Buffer values, seen, rows;  // [n], [n, facets], [n, d]

  Kept(const Faceted& all, int64_t user, const float* by_item, int64_t d) {
    for (int64_t c = all.starts[user]; c < all.starts[user + 1]; ++c) {
      if (all.values[c] == 0.f) continue;
      items.push_back(all.items[c]);
      values.push_back(all.values[c]);
    }
    const int64_t facets = all.facets;
    seen.resize(items.size() * facets);
    rows.resize(items.size() * d);
    for (size_t i = 0; i < items.size(); ++i) {
      const float* share = all.shares + items[i] * facets;
      for (int64_t k = 0; k < facets; ++k) seen[i * facets + k] = values[i] * share[k];
      std::memcpy(rows.data() + i * d, by_item + items[i] * d, d * sizeof(float));
    }
  }
  int64_t size() const { return items.size(); }
};

Chunks blocks_of(int64_t rows, int64_t most) {
  Chunks found;
  for (int64_t from = 0; from < rows; from += most) found.emplace_back(from, std::min(rows, from + most));
  return found;
}

constexpr int64_t USERS = 16;  // that one thread takes at once

}  // namespace

// The layer `by_item` [n_items, d], `bias` [d] on the items of each user as each facet sees them: [rows * facets, d].
Tensor facet_sums(const Tensor& by_item, const Tensor& bias, const Tensor& starts, const Tensor& items,
                  const Tensor& values, const Tensor& shares) {
  const Faceted all(starts, items, values, shares);
  const int64_t d = by_item.size(1);
  TORCH_CHECK(by_item.size(0) == all.n_items && bias.numel() == d);
  const float *weight = in(by_item), *shift = in(bias);
  Tensor sums = at::empty({all.rows * all.facets, d}, by_item.options());
  float* sum = out(sums);
  at::parallel_for(0, all.rows, USERS, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const Kept kept(all, u, weight, d);
      float* own = sum + u * all.facets * d;
      fill_rows(shift, all.facets, d, own);
      multiply_tn(all.facets, d, kept.size(), kept.seen.data(), all.facets, kept.rows.data(), d, own, d, true);
    }
  });
  return sums;
}

// What a gradient [rows * facets, d] of `facet_sums` is for its weight, bias and shares; it is added to theirs.
void facet_gradients(const Tensor& slopes, const Tensor& by_item, const Tensor& starts, const Tensor& items,
                     const Tensor& values, const Tensor& shares, const Tensor& dby_item, const Tensor& dbias,
                     const Tensor& dshares) {
  const Faceted all(starts, items, values, shares);
  const int64_t d = by_item.size(1), facets = all.facets;
  TORCH_CHECK(slopes.size(0) == all.rows * facets && slopes.size(1) == d);
  const float *slope = in(slopes), *weight = in(by_item);
  const Chunks chunks = blocks_of(all.rows, USERS);
  accumulate(chunks, threads_for(chunks.size()), {dby_item, dbias, dshares},
             [&](int64_t from, int64_t to, int64_t, int64_t, const std::vector<Tensor>& gradients) {
    float *dw = out(gradients[0]), *ds = out(gradients[2]);
    Buffer back, dots;
    add_rows(slope + from * facets * d, (to - from) * facets, d, out(gradients[1]));
    for (int64_t u = from; u < to; ++u) {
      const Kept kept(all, u, weight, d);
      const float* own = slope + u * facets * d;
      back.resize(kept.size() * d);
      dots.resize(kept.size() * facets);
      multiply(kept.size(), d, facets, kept.seen.data(), facets, own, d, back.data(), d);
      multiply_nt(kept.size(), facets, d, kept.rows.data(), d, own, d, dots.data(), facets);
      for (int64_t i = 0; i < kept.size(); ++i) {
        axpy(d, 1.f, back.data() + i * d, dw + kept.items[i] * d);
        axpy(facets, kept.values[i], dots.data() + i * facets, ds + kept.items[i] * facets);
      }
    }
    return 0.0;
  });
}

namespace {

// Of one user: exponentials [facets, n_items] in place of logits, and their sum weighted by `shares` [facets, n_items].
void exponentials(float* __restrict x, int64_t facets, int64_t n, const float* __restrict shares, float* __restrict sum) {
  std::fill(sum, sum + n, 0.f);
  for (int64_t k = 0; k < facets; ++k) {
    float* __restrict row = x + k * n;
    const float* __restrict share = shares + k * n;
    for (int64_t j = 0; j < n; ++j) {
      row[j] = exp_(row[j]);
      sum[j] += row[j] * share[j];
    }
  }
}

// -sum of the log-probabilities of a user's items; their sums become slopes of these sums, times `part`.
double sums_loss(float* __restrict sum, int64_t n, const int64_t* own, int64_t count, float part, Buffer& slopes) {
  double total = 0.0;
  for (int64_t from = 0; from < n; from += 1024) {
    const int64_t to = std::min(n, from + 1024);
    float some = 0.f;
    for (int64_t j = from; j < to; ++j) some += sum[j];
    total += some;
  }
  double wanted = 0.0;
  slopes.resize(count);
  for (int64_t c = 0; c < count; ++c) {
    wanted += std::log(static_cast<double>(sum[own[c]]));
    slopes[c] = part / sum[own[c]];
  }
  std::fill(sum, sum + n, static_cast<float>(part * count / total));
  for (int64_t c = 0; c < count; ++c) sum[own[c]] -= slopes[c];
  return count * std::log(total) - wanted;
}

// Slopes of logits in place of exponentials [facets, n_items], and those of shares, from the slopes of the sums.
void exponentials_back(float* __restrict x, int64_t facets, int64_t n, const float* __restrict shares,
                       const float* __restrict dsum, float* __restrict dshares) {
  for (int64_t k = 0; k < facets; ++k) {
    float* __restrict row = x + k * n;
    const float* __restrict share = shares + k * n;
    float* __restrict dshare = dshares + k * n;
    for (int64_t j = 0; j < n; ++j) {
      const float slope = row[j] * dsum[j];
      dshare[j] += slope;
      row[j] = slope * share[j];
    }
  }
}

// Users at once: their logits stay in the second cache, or it is one user.
int64_t users_at_once(int64_t facets, int64_t n_items) {
  return std::max<int64_t>(1, std::min<int64_t>(16, (1 << 17) / (facets * n_items)));
}

}  // namespace

// Scores sum_k exp(codes_k . item) share_k of codes [rows, facets, e] and items [n_items, e], as a loss: minus the
// logarithms of the shares that each user's items have in all of them, times `part`. Gradients are added to those of
// items and of shares [facets, n_items]; that of the codes is returned.
std::tuple<double, Tensor> facet_loss(const Tensor& codes, const Tensor& items, const Tensor& shares,
                                      const Tensor& starts, const Tensor& own, double part, const Tensor& ditems,
                                      const Tensor& dshares) {
  const int64_t rows = codes.size(0), facets = codes.size(1), e = codes.size(2), n_items = items.size(0);
  TORCH_CHECK(items.size(1) == e && shares.size(0) == facets && shares.size(1) == n_items && starts.numel() == rows + 1);
  const float *code = in(codes), *share = in(shares);
  const int64_t *start = ids(starts, rows + 1), *right = ids(own, own.numel());
  Tensor slopes = at::empty(codes.sizes(), codes.options());
  float* slope = out(slopes);
  const Weight weight(in(items), n_items, e);
  const Chunks chunks = blocks_of(rows, users_at_once(facets, n_items));
  const int64_t threads = threads_for(chunks.size());
  std::vector<Buffer> works(threads), sums(threads, Buffer(n_items)), some(threads);
  const double total = accumulate(chunks, threads, {ditems, dshares},
                                  [&](int64_t from, int64_t to, int64_t, int64_t t, const std::vector<Tensor>& gradients) {
    const int64_t m = (to - from) * facets, begin = from * facets * e;
    works[t].resize(std::max<size_t>(works[t].size(), m * n_items));
    float *logits = works[t].data(), *sum = sums[t].data();
    weight.apply(m, code + begin, e, logits, n_items);
    double loss = 0.0;
    for (int64_t u = from; u < to; ++u) {
      float* mine = logits + (u - from) * facets * n_items;
      exponentials(mine, facets, n_items, share, sum);
      loss += sums_loss(sum, n_items, right + start[u], start[u + 1] - start[u], static_cast<float>(part), some[t]);
      exponentials_back(mine, facets, n_items, share, sum, out(gradients[1]));
    }
    weight.apply_backward(m, logits, n_items, slope + begin, e);
    multiply_tn(n_items, e, m, logits, n_items, code + begin, e, out(gradients[0]), e, true);
    return loss;
  });
  return {total * part, slopes};
}

// The logarithms of these scores [rows, n_items].
Tensor facet_scores(const Tensor& codes, const Tensor& items, const Tensor& shares) {
  const int64_t rows = codes.size(0), facets = codes.size(1), e = codes.size(2), n_items = items.size(0);
  TORCH_CHECK(items.size(1) == e && shares.size(0) == facets && shares.size(1) == n_items);
  const float *code = in(codes), *share = in(shares);
  Tensor scores = at::empty({rows, n_items}, codes.options());
  float* score = out(scores);
  const Weight weight(in(items), n_items, e);
  const Chunks chunks = blocks_of(rows, users_at_once(facets, n_items));
  const int64_t threads = threads_for(chunks.size());
  std::vector<Buffer> works(threads);
  deal(chunks.size(), threads, [&](int64_t c, int64_t t) {
    const auto [from, to] = chunks[c];
    const int64_t m = (to - from) * facets;
    works[t].resize(std::max<size_t>(works[t].size(), m * n_items));
    weight.apply(m, code + from * facets * e, e, works[t].data(), n_items);
    for (int64_t u = from; u < to; ++u)
      exponentials(works[t].data() + (u - from) * facets * n_items, facets, n_items, share, score + u * n_items);
  });
  return scores.log_();
}

// Leave torch's generator of the CPU as if `count` numbers of 64 bits had been drawn.
void skip_draws(int64_t count) {
  auto* generator = at::get_generator_or_default<at::CPUGeneratorImpl>(std::nullopt, at::detail::getDefaultCPUGenerator());
  std::lock_guard<std::mutex> lock(generator->mutex_);
  at::mt19937 engine = generator->engine();
  for (int64_t i = 0; i < 2 * count; ++i) engine();
  generator->set_engine(engine);
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("facet_sums(Tensor by_item, Tensor bias, Tensor starts, Tensor items, Tensor values, Tensor shares) -> Tensor",
        &facet_sums);
  m.def("facet_gradients(Tensor slopes, Tensor by_item, Tensor starts, Tensor items, Tensor values, Tensor shares, "
        "Tensor(a!) dby_item, Tensor(b!) dbias, Tensor(c!) dshares) -> ()", &facet_gradients);
  m.def("facet_loss(Tensor codes, Tensor items, Tensor shares, Tensor starts, Tensor own, float part, "
        "Tensor(a!) ditems, Tensor(b!) dshares) -> (float, Tensor)", &facet_loss);
  m.def("facet_scores(Tensor codes, Tensor items, Tensor shares) -> Tensor", &facet_scores);
  m.def("skip_draws(int count) -> ()", &skip_draws);
}

}  // namespace recsweep
