// LightGCN, SGL, NCL: embeddings summed over the layers of a graph, trained with one negative a sample and, but for
// the first, by telling each node from all others.
#include "contrast.h"
#include "graph.h"

namespace recsweep {
namespace {

// A batch: users, and items met and not met, as nodes.
struct Samples {
  const int64_t *users, *positive, *negative;
  int64_t size, n_users, n_items;

  Samples(const std::vector<Tensor>& weights, const Tensor& u, const Tensor& p, const Tensor& q)
      : users(ids(u, u.numel())), positive(ids(p, u.numel())), negative(ids(q, u.numel())), size(u.numel()),
        n_users(weights[0].size(0)), n_items(weights[1].size(0)) {}
  int64_t nodes() const { return n_users + n_items; }

  // A byte a node: those that the batch has. None where they are most, and nothing is saved by looking.
  std::vector<uint8_t> present() const {
    std::vector<uint8_t> found(nodes(), 0);
    for (int64_t i = 0; i < size; ++i)
      found[users[i]] = found[n_users + positive[i]] = found[n_users + negative[i]] = 1;
    return found;
  }
};

Rows if_few(const std::vector<uint8_t>& rows) {
  int64_t count = 0;
  for (uint8_t one : rows) count += one;
  return 4 * count < static_cast<int64_t>(rows.size()) ? rows.data() : nullptr;
}

// RecBole's EmbLoss of the embeddings of a batch, times a weight, and its gradients.
double regularize(const Samples& batch, const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
                  double weight, bool squared) {
  if (weight == 0.0) return 0.0;
  const int64_t d = weights[0].size(1);
  double total = 0.0;
  for (int part = 0; part < 3; ++part) {
    const int64_t* nodes = part == 0 ? batch.users : part == 1 ? batch.positive : batch.negative;
    const float* rows = in(weights[part > 0]);
    float* slopes = out(gradients[part > 0]);
    double square = 0.0;
    for (int64_t i = 0; i < batch.size; ++i) {
      const float* __restrict row = rows + nodes[i] * d;
      square += dot(row, row, d);
    }
    const double norm = std::sqrt(square);
    total += squared ? square / 2 : norm;
    const double share = squared ? 1.0 : norm > 0.0 ? 1.0 / norm : 0.0;
    for (int64_t i = 0; i < batch.size; ++i)
      axpy(d, static_cast<float>(weight * share / batch.size), rows + nodes[i] * d, slopes + nodes[i] * d);
  }
  return weight * total / batch.size;
}

// -log(1e-10 + sigmoid(x)) as RecBole's BPRLoss, or -log(sigmoid(x)) as torch's logsigmoid; and the slope.
INLINE float pair_loss(float x, bool plain, float& slope) {
  const float s = sigmoid_(x);
  if (plain) {
    slope = s - 1.f;
    return std::max(-x, 0.f) + std::log1p(std::exp(-std::fabs(x)));
  }
  slope = -s * (1.f - s) / (1e-10f + s);
  return -std::log(1e-10f + s);
}

// The loss of pairs of sums over layers, whose mean the scores are of; `slopes` [nodes, stride] is added to.
double pairs(const Samples& batch, const float* sums, int64_t stride, float mean, float share, bool plain,
             float* slopes) {
  double total = 0.0;
  for (int64_t i = 0; i < batch.size; ++i) {
    const int64_t u = batch.users[i] * stride, p = (batch.n_users + batch.positive[i]) * stride;
    const int64_t q = (batch.n_users + batch.negative[i]) * stride;
    const float *__restrict eu = sums + u, *__restrict ep = sums + p, *__restrict eq = sums + q;
    float slope, score = 0.f;
    for (int64_t j = 0; j < stride; ++j) score += eu[j] * (ep[j] - eq[j]);
    total += pair_loss(score * mean * mean, plain, slope);
    slope *= share * mean * mean;
    float *__restrict gu = slopes + u, *__restrict gp = slopes + p, *__restrict gq = slopes + q;
    for (int64_t j = 0; j < stride; ++j) gu[j] += slope * (ep[j] - eq[j]);
    for (int64_t j = 0; j < stride; ++j) gp[j] += slope * eu[j];
    for (int64_t j = 0; j < stride; ++j) gq[j] -= slope * eu[j];
  }
  return total * share;
}

float* zeros(size_t which, int64_t size) {
  float* found = room(which, size);
  std::fill(found, found + size, 0.f);
  return found;
}

Layers layers_of(const std::vector<Tensor>& graph, const std::vector<Tensor>& weights, int64_t count) {
  return {graphs_of(graph, count), weights[0].size(0) + weights[1].size(0), stride_for(weights[0].size(1)), count};
}

}  // namespace

// The mean over the layers of all nodes, [nodes, d].
Tensor graph_mean(const std::vector<Tensor>& weights, const std::vector<Tensor>& graph, int64_t count) {
  const Layers layers = layers_of(graph, weights, count);
  const int64_t d = weights[0].size(1);
  float *embeddings = room(2, layers.size()), *sums = room(3, layers.size());
  join(weights[0], weights[1], layers.stride, embeddings);
  layers.forward(embeddings, nullptr, sums);
  Tensor found = at::empty({layers.nodes, d}, weights[0].options());
  float* to = out(found);
  for (int64_t i = 0; i < layers.nodes; ++i)
    for (int64_t j = 0; j < d; ++j) to[i * d + j] = sums[i * layers.stride + j] / static_cast<float>(count + 1);
  return found;
}

// weights: embeddings of users and of items. graph: beginnings, neighbours and weights of a symmetric matrix.
double lightgcn_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
                     const std::vector<Tensor>& graph, const Tensor& users, const Tensor& positive,
                     const Tensor& negative, int64_t count, double regularization, bool squared) {
  const Samples batch(weights, users, positive, negative);
  const Layers layers = layers_of(graph, weights, count);
  const std::vector<uint8_t> present = batch.present();
  const float mean = 1.f / static_cast<float>(count + 1);
  float *embeddings = room(2, layers.size()), *sums = room(3, layers.size()), *slopes = zeros(4, layers.size());
  join(weights[0], weights[1], layers.stride, embeddings);
  layers.forward(embeddings, present.data(), sums);
  const double loss = pairs(batch, sums, layers.stride, mean, 1.f / batch.size, false, slopes);
  add_apart(layers.backward(slopes, nullptr, if_few(present)), layers.stride, 1.f, gradients[0], gradients[1]);
  return loss + regularize(batch, weights, gradients, regularization, squared);
}

// SGL: LightGCN's mean over `graph`, and the means over two others told from each other, node by node.
double sgl_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
                const std::vector<Tensor>& graph, const std::vector<Tensor>& first, const std::vector<Tensor>& second,
                const Tensor& users, const Tensor& positive, const Tensor& negative, int64_t count,
                double regularization, double contrasted, double temperature) {
  const Samples batch(weights, users, positive, negative);
  const Layers layers[3] = {layers_of(graph, weights, count), layers_of(first, weights, count),
                            layers_of(second, weights, count)};
  const int64_t stride = layers[0].stride, size = layers[0].size(), begin = batch.n_users * stride;
  const std::vector<uint8_t> present = batch.present();
  const float mean = 1.f / static_cast<float>(count + 1);
  float* embeddings = room(3, size);
  join(weights[0], weights[1], stride, embeddings);
  float *sums[3], *slopes[3];
  for (int k = 0; k < 3; ++k) {
    sums[k] = room(4 + k, size);
    slopes[k] = zeros(7 + k, size);
    layers[k].forward(embeddings, k < 2 ? present.data() : nullptr, sums[k]);
  }
  double loss = pairs(batch, sums[0], stride, mean, 1.f, true, slopes[0]);
  const auto apart = [&](const int64_t* nodes, int64_t from, int64_t n) {
    return contrast(Counted(nodes, batch.size, n), sums[1] + from, sums[2] + from, n, stride, nullptr,
                    static_cast<float>(temperature), static_cast<float>(contrasted), slopes[1] + from, slopes[2] + from);
  };
  loss += apart(batch.users, 0, batch.n_users) + apart(batch.positive, begin, batch.n_items);
  for (int k = 0; k < 3; ++k)
    add_apart(layers[k].backward(slopes[k], nullptr, k < 2 ? if_few(present) : nullptr), stride, 1.f, gradients[0],
              gradients[1]);
  return loss + regularize(batch, weights, gradients, regularization, false);
}

// NCL: LightGCN's mean over `summed` layers, and the layer `apart` told from the embeddings, node by node. centres
// [clusters, d] of users and of items, and clusters [n], whose a node is: embeddings are told from those too; or nothing.
double ncl_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
                const std::vector<Tensor>& graph, const Tensor& users, const Tensor& positive, const Tensor& negative,
                int64_t summed, int64_t apart, double regularization, double temperature, double of_users,
                double of_items, const std::vector<Tensor>& centres, const std::vector<Tensor>& clusters,
                double clustered) {
  const Samples batch(weights, users, positive, negative);
  Layers layers = layers_of(graph, weights, std::max(summed, apart));
  layers.summed = summed, layers.apart = apart;
  const int64_t stride = layers.stride, size = layers.size();
  const std::vector<uint8_t> present = batch.present();
  const float mean = 1.f / static_cast<float>(summed + 1), sharp = static_cast<float>(temperature);
  float *embeddings = room(3, size), *sums = room(4, size), *slopes = zeros(5, size), *far_slopes = zeros(6, size);
  float* own_slopes = zeros(7, size);
  join(weights[0], weights[1], stride, embeddings);
  const float* far = layers.forward(embeddings, present.data(), sums);
  double loss = pairs(batch, sums, stride, mean, 1.f / batch.size, false, slopes);
  for (int part = 0; part < 2; ++part) {
    const int64_t n = part ? batch.n_items : batch.n_users, from = part ? batch.n_users * stride : 0;
    const Counted some(part ? batch.positive : batch.users, batch.size, n);
    loss += contrast(some, far + from, embeddings + from, n, stride, nullptr, sharp,
                     static_cast<float>(part ? of_items : of_users), far_slopes + from, own_slopes + from);
    if (centres.empty()) continue;
    const int64_t k = centres[part].size(0);
    const int64_t* whose = ids(clusters[part], n);
    for (int64_t i = 0; i < n; ++i) TORCH_CHECK(whose[i] >= 0 && whose[i] < k, "cluster ", whose[i], " of ", k);
    float* middles = room(8, k * stride);
    widen(centres[part], stride, middles);
    loss += contrast(some, embeddings + from, middles, k, stride, whose, sharp,
                     static_cast<float>(clustered), own_slopes + from, nullptr);
  }
  add_apart(own_slopes, stride, 1.f, gradients[0], gradients[1]);
  add_apart(layers.backward(slopes, far_slopes, if_few(present)), stride, 1.f, gradients[0], gradients[1]);
  return loss + regularize(batch, weights, gradients, regularization, false);
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("graph_mean(Tensor[] weights, Tensor[] graph, int count) -> Tensor", &graph_mean);
  m.def("lightgcn_step(Tensor[] weights, Tensor[] gradients, Tensor[] graph, Tensor users, Tensor positive, "
        "Tensor negative, int count, float regularization, bool squared) -> float", &lightgcn_step);
  m.def("sgl_step(Tensor[] weights, Tensor[] gradients, Tensor[] graph, Tensor[] first, Tensor[] second, Tensor users, "
        "Tensor positive, Tensor negative, int count, float regularization, float contrasted, float temperature) "
        "-> float", &sgl_step);
  m.def("ncl_step(Tensor[] weights, Tensor[] gradients, Tensor[] graph, Tensor users, Tensor positive, Tensor negative, "
        "int summed, int apart, float regularization, float temperature, float of_users, float of_items, "
        "Tensor[] centres, Tensor[] clusters, float clustered) -> float", &ncl_step);
}

}  // namespace recsweep
