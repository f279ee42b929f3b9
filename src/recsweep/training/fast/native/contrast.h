// Telling each node of a batch from all others: the cross-entropy of cosines (InfoNCE), and its gradients.
#pragma once

#include "graph.h"

namespace recsweep {

// Rows of unit length, and what they were divided by, as torch's `normalize`: never less than 1e-12.
inline void normalize_vectors(const float* rows, int64_t count, int64_t stride, float* unit, float* inverse) {
  for (int64_t i = 0; i < count; ++i) {
    const float* __restrict row = rows + i * stride;
    float* __restrict to = unit + i * stride;
    inverse[i] = 1.f / std::max(std::sqrt(dot(row, row, stride)), 1e-12f);
    for (int64_t j = 0; j < stride; ++j) to[j] = row[j] * inverse[i];
  }
}

// Adds the gradient of a row to `slopes`, from the one of the row at unit length.
INLINE void through_length(const float* __restrict unit, const float* __restrict dunit, float inverse, int64_t stride,
                           float* __restrict slopes) {
  const float along = inverse < 1e12f ? dot(unit, dunit, stride) : 0.f;
  for (int64_t j = 0; j < stride; ++j) slopes[j] += inverse * (dunit[j] - along * unit[j]);
}

// Different nodes of a batch, in the order of their numbers, and how often each stands in it.
struct Counted {
  std::vector<int64_t> nodes;
  std::vector<float> counts;

  Counted(const int64_t* some, int64_t size, int64_t most) {
    std::vector<int32_t> times(most, 0);
    for (int64_t i = 0; i < size; ++i) ++times[some[i]];
    for (int64_t node = 0; node < most; ++node)
      if (times[node]) {
        nodes.push_back(node);
        counts.push_back(static_cast<float>(times[node]));
      }
  }
  int64_t size() const { return nodes.size(); }
};

// `weight` times the sum over the batch of -log softmax of cosines / temperature: each node's row of `one` against all
// `others` [n, stride], of which `wanted` has the right one for each node. Gradients are added to those given; the
// others have none where `dothers` is null. What a node costs does not hang on how often it stands in the batch.
inline double contrast(const Counted& batch, const float* one, const float* others, int64_t n, int64_t stride,
                       const int64_t* wanted, float temperature, float weight, float* done, float* dothers) {
  const int64_t size = batch.size(), block = 128, blocks = (size + block - 1) / block;
  float *units = room(0, n * stride), *inverses = room(1, n);
  normalize_vectors(others, n, stride, units, inverses);
  const int64_t threads = threads_for(blocks);
  std::vector<double> losses(blocks, 0.0);
  float* slopes = room(2, dothers ? threads * n * stride : 0);
  if (dothers) std::fill(slopes, slopes + threads * n * stride, 0.f);
  const float scale = 1.f / temperature;
  deal(blocks, threads, [&](int64_t part, int64_t thread) {
    static thread_local Buffer work;
    const int64_t from = part * block, m = std::min(block, size - from);
    work.resize(std::max<size_t>(work.size(), block * (n + 2 * stride + 1)));
    float *scores = work.data(), *unit = scores + block * n, *dunit = unit + block * stride;
    float* inverse = dunit + block * stride;
    for (int64_t i = 0; i < m; ++i)
      normalize_vectors(one + batch.nodes[from + i] * stride, 1, stride, unit + i * stride, inverse + i);
    multiply_nt(m, n, stride, unit, stride, units, stride, scores, n);
    for (int64_t i = 0; i < m; ++i) {
      float* __restrict row = scores + i * n;
      const int64_t node = batch.nodes[from + i], right = wanted ? wanted[node] : node;
      const float count = batch.counts[from + i], top = maximum(row, n), target = row[right];
      float sum = 0.f;
      for (int64_t j = 0; j < n; ++j) {
        row[j] = exp_((row[j] - top) * scale);
        sum += row[j];
      }
      losses[part] += count * (std::log(sum) - (target - top) * scale);
      const float share = count * weight * scale;
      const float each = share / sum;
      for (int64_t j = 0; j < n; ++j) row[j] *= each;
      row[right] -= share;
    }
    multiply(m, stride, n, scores, n, units, stride, dunit, stride);
    if (dothers) multiply_tn(n, stride, m, scores, n, unit, stride, slopes + thread * n * stride, stride, true);
    for (int64_t i = 0; i < m; ++i)
      through_length(unit + i * stride, dunit + i * stride, inverse[i], stride, done + batch.nodes[from + i] * stride);
  });
  if (dothers)
    for (int64_t i = 0; i < n; ++i) {
      float* sum = slopes + i * stride;
      for (int64_t t = 1; t < threads; ++t) axpy(stride, 1.f, slopes + (t * n + i) * stride, sum);
      through_length(units + i * stride, sum, inverses[i], stride, dothers + i * stride);
    }
  double total = 0.0;
  for (double loss : losses) total += loss;
  return weight * total;
}

}  // namespace recsweep
