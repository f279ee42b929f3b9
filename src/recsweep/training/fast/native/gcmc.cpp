// GCMC: a dense layer on what the neighbours' rows of one weight add up to, and bilinear scores of pairs, trained with
// one negative a sample.
#include "graph.h"

namespace recsweep {
namespace {

constexpr int64_t STRIP = 8 * VECTOR;  // columns of the weight that go through the graph at once, in the second cache
constexpr int64_t BLOCK = 64;          // nodes that go through the dense layer at once

// weights: what a node brings, [nodes, width]; the dense layer [d, width]; classes [classes, bases]; bases [d, d] each.
struct Network {
  Graph graph;
  const std::vector<Tensor>& weights;
  std::vector<int64_t> rows;  // nodes that are computed, in ascending order
  int64_t width, stride, d, d_stride;
  float *hidden, *features;  // of these: [rows, stride] behind dropout, and [rows, d_stride]

  Network(const std::vector<Tensor>& weights_, const std::vector<Tensor>& graph_, std::vector<int64_t> rows_)
      : graph(graph_[0], graph_[1], graph_[2]), weights(weights_), rows(std::move(rows_)),
        width(weights[0].size(1)), stride(stride_for(width)), d(weights[1].size(0)), d_stride(stride_for(d)),
        hidden(room(2, count() * stride)), features(room(3, count() * d_stride)) {
    TORCH_CHECK(weights.size() > 3 && weights[0].size(0) == graph.nodes, "a row of the first weight for each node");
  }
  int64_t count() const { return rows.size(); }
  int64_t classes() const { return weights[2].size(0); }
  int64_t bases() const { return weights.size() - 3; }
  int64_t strips() const { return (width + STRIP - 1) / STRIP; }
};

// work(first column, columns, their stride, buffer [nodes, stride]) for each strip.
template <typename Work>
void in_strips(const Network& net, const Work& work) {
  deal(net.strips(), threads_for(net.strips()), [&](int64_t strip, int64_t) {
    static thread_local Buffer buffer;
    const int64_t first = strip * STRIP, columns = std::min(STRIP, net.width - first), stride = stride_for(columns);
    buffer.resize(std::max<size_t>(buffer.size(), net.graph.nodes * stride));
    work(first, columns, stride, buffer.data());
  });
}

// hidden = dropout(relu(A (kept * W))); `kept` [nodes] or null.
void gather(const Network& net, const float* kept, const Dropout& drop) {
  const float* w = in(net.weights[0]);
  in_strips(net, [&](int64_t first, int64_t columns, int64_t stride, float* strip) {
    for (int64_t node = 0; node < net.graph.nodes; ++node) {
      const float* __restrict from = w + node * net.width + first;
      float* __restrict to = strip + node * stride;
      const float share = kept ? kept[node] : 1.f;
      for (int64_t j = 0; j < columns; ++j) to[j] = share * from[j];
      std::fill(to + columns, to + stride, 0.f);
    }
    for (int64_t i = 0; i < net.count(); ++i) {
      float* to = net.hidden + i * net.stride + first;
      row_sums<false>(net.graph, net.rows[i], strip, stride, nullptr, [=](int64_t, int64_t column, Eight value) {
        at(to, column) = value > 0.f ? value : Eight{};
      });
      drop.apply(to, columns, static_cast<uint32_t>(net.rows[i] * net.width + first));
    }
  });
}

void forward(const Network& net, const float* kept, const Dropout& drop) {
  gather(net, kept, drop);
  const Weight dense(in(net.weights[1]), net.d, net.width);
  const int64_t blocks = (net.count() + BLOCK - 1) / BLOCK;
  deal(blocks, threads_for(blocks), [&](int64_t block, int64_t) {
    const int64_t from = block * BLOCK, m = std::min(BLOCK, net.count() - from);
    dense.apply(m, net.hidden + from * net.stride, net.stride, net.features + from * net.d_stride, net.d_stride);
  });
}

// From the gradients of features [rows, d_stride] to those of the dense layer and of the first weight.
void backward(const Network& net, const float* slopes, const float* kept, float scale,
              const std::vector<Tensor>& gradients) {
  float *dfirst = out(gradients[0]), *ddense = out(gradients[1]);
  const float* dense = in(net.weights[1]);
  const int64_t count = net.count(), width = net.width;
  in_strips(net, [&](int64_t first, int64_t columns, int64_t stride, float* strip) {
    static thread_local Buffer some;
    some.resize(std::max<size_t>(some.size(), count * stride));
    const float* hidden = net.hidden + first;
    multiply_tn(net.d, columns, count, slopes, net.d_stride, hidden, net.stride, ddense + first, width, true);
    multiply(count, columns, net.d, slopes, net.d_stride, dense + first, width, some.data(), stride);
    std::fill(strip, strip + net.graph.nodes * stride, 0.f);
    for (int64_t i = 0; i < count; ++i) {
      const float *__restrict own = hidden + i * net.stride, *__restrict from = some.data() + i * stride;
      float* __restrict to = strip + net.rows[i] * stride;
      for (int64_t j = 0; j < columns; ++j) to[j] = own[j] > 0.f ? scale * from[j] : 0.f;
    }
    float sums[STRIP];
    for (int64_t node = 0; node < net.graph.nodes; ++node) {
      const float share = kept ? kept[node] : 1.f;
      if (share == 0.f) continue;
      row_sums<false>(net.graph, node, strip, stride, nullptr,
                      [&](int64_t, int64_t column, Eight value) { at(sums, column) = value; });
      axpy(columns, share, sums, dfirst + node * width + first);
    }
  });
}

// Pairs of a user and an item, by their rows among what is computed: what their class costs, and the gradients of both.
struct Decoder {
  const Network& net;
  const std::vector<Tensor>& gradients;
  const int64_t users, part;  // users among the rows: the first ones
  float *slopes, *own, *down;  // gradients of features; users times bases [bases, users, d_stride], and gradients
  std::vector<float> scores, dscores, odds;

  Decoder(const Network& n, int64_t u, const std::vector<Tensor>& g)
      : net(n), gradients(g), users(u), part(u * n.d_stride), slopes(room(4, n.count() * n.d_stride)),
        own(room(5, n.bases() * part)), down(room(6, n.bases() * part)), scores(n.bases()), dscores(n.bases()),
        odds(n.classes()) {
    std::fill(slopes, slopes + net.count() * net.d_stride, 0.f);
    std::fill(own, own + net.bases() * part, 0.f);
    std::fill(down, down + net.bases() * part, 0.f);
    for (int64_t k = 0; k < net.bases(); ++k)
      multiply(users, net.d, net.d, net.features, net.d_stride, basis(k), net.d, own + k * part, net.d_stride);
  }
  const float* basis(int64_t k) const { return in(net.weights[3 + k]); }

  // The cross-entropy of the class of a pair; its gradients, times `share`, are added.
  double pair(int64_t user, int64_t item, int64_t right, float share) {
    const int64_t stride = net.d_stride, bases = net.bases(), classes = net.classes();
    const float *met = net.features + item * stride, *mix = in(net.weights[2]);
    float* dmix = out(gradients[2]);
    for (int64_t k = 0; k < bases; ++k) scores[k] = dot(own + k * part + user * stride, met, stride);
    for (int64_t c = 0; c < classes; ++c) odds[c] = dot(mix + c * bases, scores.data(), bases);
    const float top = maximum(odds.data(), classes), target = odds[right] - top;
    float sum = 0.f;
    for (float& odd : odds) sum += odd = exp_(odd - top);
    std::fill(dscores.begin(), dscores.end(), 0.f);
    for (int64_t c = 0; c < classes; ++c) {
      const float slope = share * (odds[c] / sum - (c == right ? 1.f : 0.f));
      axpy(bases, slope, scores.data(), dmix + c * bases);
      axpy(bases, slope, mix + c * bases, dscores.data());
    }
    for (int64_t k = 0; k < bases; ++k) {
      axpy(stride, dscores[k], met, down + k * part + user * stride);
      axpy(stride, dscores[k], own + k * part + user * stride, slopes + item * stride);
    }
    return std::log(sum) - target;
  }

  // From the products of users and bases to both, when all pairs were there.
  void finish() {
    const int64_t d = net.d, stride = net.d_stride;
    for (int64_t k = 0; k < net.bases(); ++k) {
      multiply_tn(d, d, users, net.features, stride, down + k * part, stride, out(gradients[3 + k]), d, true);
      multiply_nt(users, d, d, down + k * part, stride, basis(k), d, slopes, stride, true);
    }
  }
};

// Nodes of a batch in ascending order; `rows` [nodes] gets where each of them is.
std::vector<int64_t> nodes_of(const std::vector<const int64_t*>& parts, int64_t size, int64_t n_users,
                              std::vector<int64_t>& rows) {
  const int64_t nodes = rows.size();
  for (size_t part = 0; part < parts.size(); ++part) {
    const int64_t from = part ? n_users : 0, to = part ? nodes : n_users;
    for (int64_t i = 0; i < size; ++i) {
      const int64_t node = from + parts[part][i];
      TORCH_CHECK(node >= from && node < to, "node ", node, " of ", from, " to ", to);
      rows[node] = 1;
    }
  }
  std::vector<int64_t> found;
  for (int64_t node = 0; node < nodes; ++node)
    if (rows[node]) {
      rows[node] = found.size();
      found.push_back(node);
    }
  return found;
}

}  // namespace

// What comes out of the graph for all nodes, [nodes, d], without dropout.
Tensor gcmc_nodes(const std::vector<Tensor>& weights, const std::vector<Tensor>& graph) {
  std::vector<int64_t> all(weights[0].size(0));
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  const Network net(weights, graph, std::move(all));
  forward(net, nullptr, Dropout());
  Tensor found = at::empty({net.count(), net.d}, weights[0].options());
  for (int64_t i = 0; i < net.count(); ++i)
    std::memcpy(out(found) + i * net.d, net.features + i * net.d_stride, net.d * sizeof(float));
  return found;
}

// weights as in `Network`; graph: beginnings, neighbours and weights of a symmetric matrix. kept [nodes]: what each
// row of the first weight is multiplied with; `dropped` is of the elements behind the graph.
double gcmc_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
                 const std::vector<Tensor>& graph, const Tensor& kept, const Tensor& users, const Tensor& positive,
                 const Tensor& negative, int64_t n_users, double dropped, int64_t seed) {
  const int64_t size = users.numel();
  const int64_t *u = ids(users, size), *p = ids(positive, size), *q = ids(negative, size);
  TORCH_CHECK(kept.numel() == weights[0].size(0), "a factor for each node");
  std::vector<int64_t> rows(weights[0].size(0), 0);
  std::vector<int64_t> last = nodes_of({u, p, q}, size, n_users, rows);
  const int64_t present = std::lower_bound(last.begin(), last.end(), n_users) - last.begin();
  const Network net(weights, graph, std::move(last));
  const Dropout drop(dropped, seed, 0);
  forward(net, in(kept), drop);
  for (int64_t i = 0; net.d < net.d_stride && i < net.count(); ++i)
    std::fill(net.features + i * net.d_stride + net.d, net.features + (i + 1) * net.d_stride, 0.f);
  Decoder decoder(net, present, gradients);
  const float share = 0.5f / size;
  double loss = 0.0;
  for (int64_t i = 0; i < size; ++i) {
    loss += decoder.pair(rows[u[i]], rows[n_users + p[i]], 1, share);
    loss += decoder.pair(rows[u[i]], rows[n_users + q[i]], 0, share);
  }
  decoder.finish();
  backward(net, decoder.slopes, in(kept), drop.scale, gradients);
  return loss * share;
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("gcmc_nodes(Tensor[] weights, Tensor[] graph) -> Tensor", &gcmc_nodes);
  m.def("gcmc_step(Tensor[] weights, Tensor[] gradients, Tensor[] graph, Tensor kept, Tensor users, Tensor positive, "
        "Tensor negative, int n_users, float dropped, int seed) -> float", &gcmc_step);
}

}  // namespace recsweep
