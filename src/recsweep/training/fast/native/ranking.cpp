// Validation: the rank of each target among all items, without sorting.
#include "common.h"

namespace recsweep {

// Scores are queries [n, k] times items [n_items, k] (+ bias [n_items]). Item 0 is padding and never ranked.
// The rank is how many items score higher than the target. `doubts`: 0, or 1 where another item has the
// target's score, or 2 where a score is NaN.
std::tuple<Tensor, Tensor> rank_targets(const Tensor& queries, const Tensor& items, const std::optional<Tensor>& bias,
                                      const Tensor& targets) {
  const int64_t n = queries.size(0), k = queries.size(1), n_items = items.size(0);
  TORCH_CHECK(items.size(1) == k && targets.numel() == n, "queries, items and targets do not match");
  const float *q = in(queries), *e = in(items), *shift = bias ? in(*bias) : nullptr;
  const int64_t* target = targets.data_ptr<int64_t>();
  Tensor ranks = at::empty({n}, targets.options());
  Tensor doubts = at::empty({n}, targets.options().dtype(at::kByte));
  int64_t* rank = ranks.data_ptr<int64_t>();
  uint8_t* doubt = doubts.data_ptr<uint8_t>();
  const int64_t block = std::max<int64_t>(16, std::min<int64_t>(256, (1 << 19) / n_items));
  const int64_t blocks = (n + block - 1) / block, threads = threads_for(blocks);
  std::vector<Buffer> works(threads, Buffer(block * n_items));
  deal(blocks, threads, [&](int64_t c, int64_t t) {
    const int64_t from = c * block, m = std::min(block, n - from);
    float* scores = works[t].data();
    if (shift) fill_rows(shift, m, n_items, scores);
    multiply_nt(m, n_items, k, q + from * k, k, e, k, scores, n_items, shift != nullptr);
    for (int64_t i = 0; i < m; ++i) {
      const float* __restrict row = scores + i * n_items;
      const float wanted = row[target[from + i]];
      int32_t higher = 0, equal = 0, missing = 0;
      for (int64_t j = 1; j < n_items; ++j) {
        higher += row[j] > wanted;
        equal += row[j] == wanted;
        missing += !(row[j] <= wanted) && !(row[j] > wanted);
      }
      rank[from + i] = higher;
      doubt[from + i] = missing ? 2 : equal != 1;
    }
  });
  return {ranks, doubts};
}

// x times a fresh dropout mask, and the same mask applied to a gradient: one function of key and element.
Tensor dropout(const Tensor& x, double p, int64_t seed, int64_t stream) {
  Tensor result = x.clone(at::MemoryFormat::Contiguous);
  const Dropout drop(p, seed, stream);
  float* values = out(result);
  at::parallel_for(0, result.numel(), 1 << 16, [&](int64_t begin, int64_t end) {
    drop.apply(values + begin, end - begin, static_cast<uint32_t>(begin));
  });
  return result;
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("rank_targets(Tensor queries, Tensor items, Tensor? bias, Tensor targets) -> (Tensor, Tensor)", &rank_targets);
  m.def("dropout(Tensor x, float p, int seed, int stream) -> Tensor", &dropout);
}

}  // namespace recsweep
