// Products with a sparse matrix of nodes by nodes, and what the models that propagate over it share.
//
// Nodes are the users and behind them the items, one row of `stride` floats each: d of them, then zeros, so
// that a row is whole vectors.
#pragma once

#include "common.h"

namespace recsweep {

// Rows go by `Eight` floats: one register with AVX2, half of one with AVX-512, two without.
constexpr int64_t VECTOR = 8, AHEAD = 8;

inline int64_t stride_for(int64_t d) { return (d + VECTOR - 1) / VECTOR * VECTOR; }

// Rows of a matrix by their entries (CSR). A row's sum is taken in the order of its entries, by one thread.
struct Graph {
  const int64_t* begin;  // [nodes + 1]
  const int32_t* neighbours;
  const float* weights;
  int64_t nodes;

  Graph(const Tensor& begin_, const Tensor& neighbours_, const Tensor& weights_)
      : begin(begin_.data_ptr<int64_t>()), neighbours(neighbours_.data_ptr<int32_t>()), weights(in(weights_)),
        nodes(begin_.numel() - 1) {
    TORCH_CHECK(begin_.is_contiguous() && neighbours_.is_contiguous() && neighbours_.numel() == weights_.numel() &&
                    begin[nodes] == neighbours_.numel(),
                "a graph wants a beginning for each node and a weight for each neighbour");
  }
  // First rows of parts with about equally many entries.
  std::vector<int64_t> cuts(int64_t parts) const {
    std::vector<int64_t> rows(parts + 1, nodes);
    for (int64_t p = 0; p < parts; ++p) {
      // A row costs about as much as four entries, whatever it holds.
      const int64_t wanted = (begin[nodes] + 4 * nodes) / parts * p;
      int64_t low = 0, high = nodes;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        begin[middle] + 4 * middle < wanted ? low = middle + 1 : high = middle;
      }
      rows[p] = low;
    }
    return rows;
  }
};

// The graphs of the layers, one after the other; one graph for all layers where there are three tensors.
inline std::vector<Graph> graphs_of(const std::vector<Tensor>& parts, int64_t layers) {
  TORCH_CHECK(parts.size() == 3 || static_cast<int64_t>(parts.size()) == 3 * layers, "three tensors a graph");
  std::vector<Graph> found;
  for (int64_t l = 0; l < layers; ++l) {
    const size_t at = parts.size() == 3 ? 0 : 3 * l;
    found.emplace_back(parts[at], parts[at + 1], parts[at + 2]);
  }
  return found;
}

// Buffers that stay from batch to batch; those of layers are behind all others.
constexpr size_t OF_LAYERS = 16;
inline float* room(size_t which, size_t floats) {
  static thread_local std::vector<Buffer> rooms;
  if (rooms.size() <= which) rooms.resize(which + 1);
  if (rooms[which].size() < floats) rooms[which].resize(floats);
  return rooms[which].data();
}

// Where nothing but some rows counts: those, a byte a node. Null: all of them.
using Rows = const uint8_t*;

template <int N, bool SOME, typename Finish>
INLINE void row_sum(const Graph& g, int64_t row, const float* __restrict x, int64_t stride, Rows present,
                    int64_t column, const Finish& finish) {
  Eight sum[N] = {};
  const int64_t last = g.begin[g.nodes] - 1;
  for (int64_t e = g.begin[row]; e < g.begin[row + 1]; ++e) {
    // Rows lie in no order, in a cache that is further away than one loop's turn.
    const float* soon = x + g.neighbours[std::min(e + AHEAD, last)] * stride + column;
    for (int k = 0; k < N; k += 2) __builtin_prefetch(soon + k * VECTOR);
    const int64_t from = g.neighbours[e];
    if (SOME && !present[from]) continue;
    const float weight = g.weights[e];
    const float* source = x + from * stride + column;
    for (int k = 0; k < N; ++k) sum[k] += weight * *reinterpret_cast<const Eight*>(source + k * VECTOR);
  }
  for (int k = 0; k < N; ++k) finish(row, column + k * VECTOR, sum[k]);
}

template <bool SOME, typename Finish>
INLINE void row_sums(const Graph& g, int64_t row, const float* x, int64_t stride, Rows present, const Finish& finish) {
  int64_t column = 0;
  for (; column + 8 * VECTOR <= stride; column += 8 * VECTOR) row_sum<8, SOME>(g, row, x, stride, present, column, finish);
  for (; column + 4 * VECTOR <= stride; column += 4 * VECTOR) row_sum<4, SOME>(g, row, x, stride, present, column, finish);
  for (; column < stride; column += VECTOR) row_sum<1, SOME>(g, row, x, stride, present, column, finish);
}

// finish(row, column, vector) gets the product of the graph and x [nodes, stride], vector by vector; for the wanted
// rows alone. `present`: rows of x that are not zero.
template <typename Finish>
void propagate(const Graph& g, const float* x, int64_t stride, Rows wanted, Rows present, const Finish& finish) {
  const int64_t threads = at::get_num_threads(), parts = threads == 1 ? 1 : 4 * threads;
  const std::vector<int64_t> cuts = g.cuts(parts);
  deal(parts, threads_for(parts), [&](int64_t part, int64_t) {
    for (int64_t row = cuts[part]; row < cuts[part + 1]; ++row) {
      if (wanted && !wanted[row]) continue;
      if (present)
        row_sums<true>(g, row, x, stride, present, finish);
      else
        row_sums<false>(g, row, x, stride, nullptr, finish);
    }
  });
}

INLINE Eight& at(float* x, int64_t index) { return *reinterpret_cast<Eight*>(x + index); }
INLINE const Eight& at(const float* x, int64_t index) { return *reinterpret_cast<const Eight*>(x + index); }

// Rows [n, d] as rows of `stride`; returns where the next ones go.
inline float* widen(const Tensor& some, int64_t stride, float* __restrict to) {
  const int64_t d = some.size(1);
  const float* __restrict rows = in(some);
  for (int64_t i = 0; i < some.size(0); ++i, to += stride) {
    std::memcpy(to, rows + i * d, d * sizeof(float));
    std::fill(to + d, to + stride, 0.f);
  }
  return to;
}

// Embeddings of users and of items as rows of nodes.
inline void join(const Tensor& users, const Tensor& items, int64_t stride, float* nodes) {
  widen(items, stride, widen(users, stride, nodes));
}

// Rows of nodes, times `scale`, added to the gradients of users and items.
inline void add_apart(const float* __restrict nodes, int64_t stride, float scale, const Tensor& users,
                      const Tensor& items) {
  const int64_t d = users.size(1);
  for (const Tensor* part : {&users, &items}) {
    float* __restrict rows = out(*part);
    for (int64_t i = 0; i < part->size(0); ++i, nodes += stride)
      for (int64_t j = 0; j < d; ++j) rows[i * d + j] += scale * nodes[j];
  }
}

// How embeddings go through the layers of a model: which layers are summed, and which one is looked at on its own.
struct Layers {
  std::vector<Graph> graphs;  // one a layer
  int64_t nodes, stride, summed;
  int64_t apart = -1;  // the layer that is looked at on its own, 0 being the embeddings

  int64_t count() const { return graphs.size(); }
  int64_t size() const { return nodes * stride; }

  // sum = E + A E + A A E + ..., of the embeddings and as many layers as are summed; returns the layer that is apart.
  // Of the last layer only the wanted rows are computed.
  const float* forward(const float* embeddings, Rows wanted, float* sum) const {
    const int64_t width = stride, terms = summed;
    std::vector<const float*> values{embeddings};
    if (summed == 0) std::memcpy(sum, embeddings, size() * sizeof(float));
    for (int64_t l = 1; l <= count(); ++l) {
      const bool stored = l != count() || l == apart, added = l == summed;
      float* to = stored ? room(OF_LAYERS + l, size()) : nullptr;
      const float* const* before = values.data();
      propagate(graphs[l - 1], values.back(), stride, l == count() ? wanted : nullptr, nullptr,
                [=](int64_t row, int64_t column, Eight value) {
                  const int64_t here = row * width + column;
                  if (stored) at(to, here) = value;
                  if (!added) return;
                  for (int64_t term = 0; term < terms; ++term) value += at(before[term], here);
                  at(sum, here) = value;
                });
      values.push_back(to);
    }
    return apart < 0 ? nullptr : values[apart];
  }

  // From the gradients of the sum, and of the layer that is apart, to that of the embeddings: G = g + A G, layer by
  // layer, the graphs being symmetric. `present`: the rows where gradients are not zero.
  const float* backward(const float* sum, const float* own, Rows present) const {
    float* turns[2] = {room(OF_LAYERS, size()), room(OF_LAYERS + 1, size())};
    const int64_t width = stride;
    const float* from = nullptr;
    for (int64_t l = count(); l >= 0; --l) {
      const float* first = l <= summed ? sum : nullptr;
      const float* second = l == apart ? own : nullptr;
      float* to = turns[l % 2];
      if (l == count()) {
        from = first ? first : second;
        if (!first || !second) continue;
        for (int64_t i = 0; i < size(); i += VECTOR) at(to, i) = at(first, i) + at(second, i);
      } else {
        propagate(graphs[l], from, stride, nullptr, l == count() - 1 ? present : nullptr,
                  [=](int64_t row, int64_t column, Eight value) {
                    const int64_t here = row * width + column;
                    if (first) value += at(first, here);
                    if (second) value += at(second, here);
                    at(to, here) = value;
                  });
      }
      from = to;
    }
    return from;
  }
};

}  // namespace recsweep
