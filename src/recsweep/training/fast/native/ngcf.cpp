// NGCF: layers that mix each node with its neighbours, trained with one negative a sample.
#include "contrast.h"
#include "graph.h"

namespace recsweep {
namespace {

constexpr int64_t BLOCK = 64;  // nodes that go through the dense layers at once
constexpr float LEAK = 0.2f;   // of LeakyReLU
constexpr size_t KEPT = 32;    // the first of the buffers that last from forward to backward, four a layer

// One layer: F' = normalize(dropout(leaky((F + A F) W1^T + (A F * F) W2^T + b1 + b2))).
struct Layer {
  int64_t in_size, out_size;
  const float *first, *first_bias, *second, *second_bias;
  Dropout drop;
  int64_t in_stride() const { return stride_for(in_size); }
  int64_t out_stride() const { return stride_for(out_size); }
};

// What is kept of a layer for the backward pass, [nodes, stride] each.
struct Kept {
  float *features, *mixed, *slopes, *inverses;  // its input F and A F; gradients of F; 1 / |F'|
};

struct Network {
  Graph graph;
  int64_t nodes, embedding_size;
  std::vector<Layer> layers;
  std::vector<Kept> kept;  // one more than layers: the last has the features that come out
  std::vector<int64_t> all;

  Network(const std::vector<Tensor>& weights, const Graph& g, double dropped, uint64_t seed)
      : graph(g), nodes(g.nodes), embedding_size(weights[0].size(1)), all(g.nodes) {
    for (int64_t i = 0; i < nodes; ++i) all[i] = i;
    int64_t size = embedding_size;
    for (size_t w = 2; w < weights.size(); w += 4) {
      const int64_t next = weights[w].size(0);
      layers.push_back({size, next, in(weights[w]), in(weights[w + 1]), in(weights[w + 2]), in(weights[w + 3]),
                        Dropout(dropped, seed, w)});
      size = next;
    }
    for (size_t l = 0; l <= layers.size(); ++l) {
      const size_t room_of = KEPT + 4 * l, floats = nodes * stride(l);
      kept.push_back({room(room_of, floats), room(room_of + 1, floats), room(room_of + 2, floats), room(room_of + 3, nodes)});
    }
  }
  int64_t size(size_t l) const { return l == 0 ? embedding_size : layers[l - 1].out_size; }
  int64_t stride(size_t l) const { return stride_for(size(l)); }
};

template <typename Work>
void in_blocks(const std::vector<int64_t>& rows, int64_t threads, const Work& work) {
  const int64_t count = rows.size(), blocks = (count + BLOCK - 1) / BLOCK;
  deal(blocks, threads, [&](int64_t block, int64_t thread) {
    const int64_t from = block * BLOCK;
    work(rows.data() + from, std::min(BLOCK, count - from), thread);
  });
}

// The features of some rows behind a layer.
void forward_layer(const Graph& graph, const Layer& layer, const Kept& kept, const Kept& next,
                   const std::vector<int64_t>& rows) {
  const int64_t width = layer.in_stride(), out_width = layer.out_stride();
  in_blocks(rows, at::get_num_threads(), [&](const int64_t* some, int64_t m, int64_t) {
    static thread_local Buffer work;
    work.resize(std::max<size_t>(work.size(), BLOCK * (2 * width + out_width)));
    float *sums = work.data(), *products = sums + BLOCK * width, *hidden = products + BLOCK * width;
    for (int64_t i = 0; i < m; ++i)
      row_sums<false>(graph, some[i], kept.features, width, nullptr, [&](int64_t row, int64_t column, Eight value) {
        const Eight own = at(kept.features, row * width + column);
        at(kept.mixed, row * width + column) = value;
        at(sums, i * width + column) = own + value;
        at(products, i * width + column) = own * value;
      });
    multiply_nt(m, layer.out_size, layer.in_size, sums, width, layer.first, layer.in_size, hidden, out_width);
    multiply_nt(m, layer.out_size, layer.in_size, products, width, layer.second, layer.in_size, hidden, out_width, true);
    for (int64_t i = 0; i < m; ++i) {
      float* __restrict row = hidden + i * out_width;
      for (int64_t j = 0; j < layer.out_size; ++j) {
        const float value = row[j] + layer.first_bias[j] + layer.second_bias[j];
        row[j] = value > 0.f ? value : LEAK * value;
      }
      layer.drop.apply(row, layer.out_size, static_cast<uint32_t>(some[i] * layer.out_size));
      std::fill(row + layer.out_size, row + out_width, 0.f);
      normalize_vectors(row, 1, out_width, next.features + some[i] * out_width, next.inverses + some[i]);
    }
  });
}

// Gradients of weights, in the order of the parameters, and of the features before a layer, from those behind it.
void backward_layer(const Graph& transposed, const Layer& layer, const Kept& kept, const Kept& next,
                    const std::vector<int64_t>& rows, const std::vector<Tensor>& gradients) {
  const int64_t width = layer.in_stride(), out_width = layer.out_stride(), in_size = layer.in_size;
  const int64_t out_size = layer.out_size, threads = at::get_num_threads();
  float* mixed = room(0, transposed.nodes * width);
  if (static_cast<int64_t>(rows.size()) < transposed.nodes) std::fill(mixed, mixed + transposed.nodes * width, 0.f);
  Gradients each(gradients);
  each.spread(threads);
  in_blocks(rows, threads, [&](const int64_t* some, int64_t m, int64_t thread) {
    static thread_local Buffer work;
    work.resize(std::max<size_t>(work.size(), BLOCK * (4 * width + 2 * out_width)));
    float *sums = work.data(), *products = sums + BLOCK * width, *slopes = products + BLOCK * width;
    float *dsums = slopes + BLOCK * out_width, *dproducts = dsums + BLOCK * width;
    const std::vector<Tensor>& own = each.of(thread);
    for (int64_t i = 0; i < m; ++i) {
      const float *__restrict unit = next.features + some[i] * out_width;
      float* __restrict slope = slopes + i * out_width;
      std::fill(slope, slope + out_width, 0.f);
      through_length(unit, next.slopes + some[i] * out_width, next.inverses[some[i]], out_width, slope);
      layer.drop.apply(slope, out_size, static_cast<uint32_t>(some[i] * out_size));
      for (int64_t j = 0; j < out_size; ++j) slope[j] *= unit[j] > 0.f ? 1.f : LEAK;
      for (int64_t j = 0; j < width; j += VECTOR) {
        const Eight before = at(kept.features, some[i] * width + j), value = at(kept.mixed, some[i] * width + j);
        at(sums, i * width + j) = before + value;
        at(products, i * width + j) = before * value;
      }
    }
    float* column_sums = dproducts + BLOCK * width;  // of a block first: one long sum would lose digits
    std::fill(column_sums, column_sums + out_size, 0.f);
    for (int64_t i = 0; i < m; ++i) axpy(out_size, 1.f, slopes + i * out_width, column_sums);
    axpy(out_size, 1.f, column_sums, out(own[1]));
    axpy(out_size, 1.f, column_sums, out(own[3]));
    multiply_tn(out_size, in_size, m, slopes, out_width, sums, width, out(own[0]), in_size, true);
    multiply_tn(out_size, in_size, m, slopes, out_width, products, width, out(own[2]), in_size, true);
    if (in_size < width) std::fill(dsums, dsums + 2 * BLOCK * width, 0.f);
    multiply(m, in_size, out_size, slopes, out_width, layer.first, in_size, dsums, width);
    multiply(m, in_size, out_size, slopes, out_width, layer.second, in_size, dproducts, width);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < width; j += VECTOR) {
        const int64_t here = some[i] * width + j, there = i * width + j;
        at(mixed, here) = at(dsums, there) + at(dproducts, there) * at(kept.features, here);
        at(kept.slopes, here) += at(dsums, there) + at(dproducts, there) * at(kept.mixed, here);
      }
  });
  each.gather();
  float* slopes = kept.slopes;
  propagate(transposed, mixed, width, nullptr, nullptr, [=](int64_t row, int64_t column, Eight value) {
    at(slopes, row * width + column) += value;
  });
}

// The loss of pairs, whose scores are products over all layers' features, and RecBole's EmbLoss of these features.
double pairs_of_layers(const Network& network, const int64_t* const (&nodes)[3], int64_t size, double regularization) {
  double total = 0.0, squares[3] = {0.0, 0.0, 0.0}, norms = 0.0;
  std::vector<float> slopes(size);
  for (int64_t i = 0; i < size; ++i) {
    float score = 0.f;
    for (size_t l = 0; l < network.kept.size(); ++l) {
      const int64_t d = network.stride(l);
      const float* rows[3];
      for (int k = 0; k < 3; ++k) rows[k] = network.kept[l].features + nodes[k][i] * d;
      score += dot(rows[0], rows[1], d) - dot(rows[0], rows[2], d);
      for (int k = 0; k < 3; ++k) squares[k] += dot(rows[k], rows[k], d);
    }
    const float s = sigmoid_(score);
    total -= std::log(1e-10f + s);
    slopes[i] = -s * (1.f - s) / (1e-10f + s) / size;
  }
  float shares[3];
  for (int k = 0; k < 3; ++k) {
    const double norm = std::sqrt(squares[k]);
    norms += norm;
    shares[k] = norm > 0.0 ? static_cast<float>(regularization / norm / size) : 0.f;
  }
  for (size_t l = 0; l < network.kept.size(); ++l) {
    const int64_t d = network.stride(l);
    float* to = network.kept[l].slopes;
    std::fill(to, to + network.nodes * d, 0.f);
    for (int64_t i = 0; i < size; ++i) {
      const int64_t u = nodes[0][i] * d, p = nodes[1][i] * d, q = nodes[2][i] * d;
      const float* rows = network.kept[l].features;
      const float slope = slopes[i];
      for (int64_t j = 0; j < d; j += VECTOR) {
        const Eight eu = at(rows, u + j), ep = at(rows, p + j), eq = at(rows, q + j);
        at(to, u + j) += slope * (ep - eq) + shares[0] * eu;
        at(to, p + j) += slope * eu + shares[1] * ep;
        at(to, q + j) += shares[2] * eq - slope * eu;
      }
    }
  }
  return (total + regularization * norms) / size;
}

void forward(const Network& network, const std::vector<Tensor>& weights, const std::vector<int64_t>& last) {
  join(weights[0], weights[1], network.stride(0), network.kept[0].features);
  for (size_t l = 0; l < network.layers.size(); ++l)
    forward_layer(network.graph, network.layers[l], network.kept[l], network.kept[l + 1],
                  l + 1 == network.layers.size() ? last : network.all);
}

}  // namespace

// The features of all layers of all nodes, one behind the other, without dropout.
Tensor ngcf_nodes(const std::vector<Tensor>& weights, const std::vector<Tensor>& graph) {
  const Network network(weights, Graph(graph[0], graph[1], graph[2]), 0.0, 0);
  forward(network, weights, network.all);
  int64_t size = 0, begin = 0;
  for (size_t l = 0; l < network.kept.size(); ++l) size += network.size(l);
  Tensor found = at::empty({network.nodes, size}, weights[0].options());
  float* to = out(found);
  for (size_t l = 0; l < network.kept.size(); begin += network.size(l++))
    for (int64_t i = 0; i < network.nodes; ++i)
      std::memcpy(to + i * size + begin, network.kept[l].features + i * network.stride(l), network.size(l) * sizeof(float));
  return found;
}

// weights: embeddings of users and of items; of each layer weight and bias of the sum, and of the product. graph:
// beginnings, neighbours and weights of a symmetric matrix. twins: of each entry the one on the other side, for
// matrices whose entries are dropped each on its own.
double ngcf_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
                 const std::vector<Tensor>& graph, const Tensor& twins, const Tensor& users, const Tensor& positive,
                 const Tensor& negative, double regularization, double dropped_entries, double dropped, int64_t seed) {
  Graph there(graph[0], graph[1], graph[2]), back = there;
  if (dropped_entries > 0.0) {
    const int64_t entries = graph[2].numel();
    const int64_t* twin = ids(twins, entries);
    float *kept = room(1, entries), *turned = room(2, entries);
    std::copy(there.weights, there.weights + entries, kept);
    Dropout(dropped_entries, seed, 0).apply(kept, entries);
    for (int64_t e = 0; e < entries; ++e) turned[e] = kept[twin[e]];
    there.weights = kept;
    back.weights = turned;
  }
  const Network network(weights, there, dropped, seed);
  const int64_t size = users.numel(), n_users = weights[0].size(0);
  const int64_t *u = ids(users, size), *p = ids(positive, size), *q = ids(negative, size);
  std::vector<int64_t> met(p, p + size), other(q, q + size), last;
  std::vector<uint8_t> present(network.nodes, 0);
  for (int64_t i = 0; i < size; ++i)
    present[u[i]] = present[met[i] += n_users] = present[other[i] += n_users] = 1;
  for (int64_t node = 0; node < network.nodes; ++node)
    if (present[node]) last.push_back(node);
  forward(network, weights, last);
  const double loss = pairs_of_layers(network, {u, met.data(), other.data()}, size, regularization);
  for (size_t l = network.layers.size(); l-- > 0;) {
    const auto first = gradients.begin() + 2 + 4 * l;
    backward_layer(back, network.layers[l], network.kept[l], network.kept[l + 1],
                   l + 1 == network.layers.size() ? last : network.all, std::vector<Tensor>(first, first + 4));
  }
  add_apart(network.kept[0].slopes, network.stride(0), 1.f, gradients[0], gradients[1]);
  return loss;
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("ngcf_nodes(Tensor[] weights, Tensor[] graph) -> Tensor", &ngcf_nodes);
  m.def("ngcf_step(Tensor[] weights, Tensor[] gradients, Tensor[] graph, Tensor twins, Tensor users, Tensor positive, "
        "Tensor negative, float regularization, float dropped_entries, float dropped, int seed) -> float", &ngcf_step);
}

}  // namespace recsweep
