// SASRec and BERT4Rec: RecBole's transformer encoder, forward and backward, chunk by chunk in the cache.
//
// Sequences are packed without padding. All layers but the last run on every item; the last one only on
// the last position of each, which the loss looks at (queries). RecBole masks with -10000, which is exactly zero after
// the softmax in float32, so leaving masked keys out computes the same.
#include "common.h"

namespace recsweep {
namespace {

enum class Activation : int64_t { gelu = 0, relu = 1, swish = 2, tanh = 3, sigmoid = 4 };

struct Shape {
  int64_t layers, heads, d, inner;
  bool causal;
  Activation activation;
  float eps;
  double hidden_dropout, attention_dropout;
  int64_t head() const { return d / heads; }
};

// Tensors of one layer in RecBole's order of modules; pointers to weights or to gradients.
struct LayerTensors {
  float *wq, *bq, *wk, *bk, *wv, *bv, *wo, *bo, *norm1, *shift1, *w1, *b1, *w2, *b2, *norm2, *shift2;
  explicit LayerTensors(const Tensor* t)
      : wq(out(t[0])), bq(out(t[1])), wk(out(t[2])), bk(out(t[3])), wv(out(t[4])), bv(out(t[5])), wo(out(t[6])),
        bo(out(t[7])), norm1(out(t[8])), shift1(out(t[9])), w1(out(t[10])), b1(out(t[11])), w2(out(t[12])),
        b2(out(t[13])), norm2(out(t[14])), shift2(out(t[15])) {}
};
constexpr int64_t HEAD_TENSORS = 4, LAYER_TENSORS = 16;
constexpr int64_t BLOCK = INNER / TILE_ROWS * TILE_ROWS;  // rows: whole blocks of sums, one panel of a gradient's

struct Tensors {
  float *items, *positions, *norm, *shift;
  std::vector<LayerTensors> layers;
  Tensors(const std::vector<Tensor>& t, int64_t n)
      : items(out(t[0])), positions(out(t[1])), norm(out(t[2])), shift(out(t[3])) {
    TORCH_CHECK(static_cast<int64_t>(t.size()) >= HEAD_TENSORS + n * LAYER_TENSORS, "too few tensors");
    for (int64_t l = 0; l < n; ++l) layers.emplace_back(t.data() + HEAD_TENSORS + l * LAYER_TENSORS);
  }
};

// The three projections of a layer as one matrix, so that one product makes queries, keys and values.
struct Joined {
  Buffer weight, bias;  // [3d, d], [3d]
  Weight query, others, output, first, second;  // ready for products: all of the layer's
  std::vector<Weight> keys, values;             // of each head: [head, d]
  Joined() = default;
  Joined(const LayerTensors& t, int64_t d, int64_t inner, int64_t heads) : weight(3 * d * d), bias(3 * d) {
    const float* w[] = {t.wq, t.wk, t.wv};
    const float* b[] = {t.bq, t.bk, t.bv};
    for (int i = 0; i < 3; ++i) {
      std::memcpy(weight.data() + i * d * d, w[i], d * d * sizeof(float));
      std::memcpy(bias.data() + i * d, b[i], d * sizeof(float));
    }
    query = Weight(weight.data(), d, d), others = Weight(weight.data() + d * d, 2 * d, d);
    for (int64_t h = 0; h < heads; ++h) {
      keys.emplace_back(t.wk + h * (d / heads) * d, d / heads, d);
      values.emplace_back(t.wv + h * (d / heads) * d, d / heads, d);
    }
    output = Weight(t.wo, d, d), first = Weight(t.w1, inner, d), second = Weight(t.w2, d, inner);
  }
  void add_to(const LayerTensors& g, int64_t d) const {
    float* w[] = {g.wq, g.wk, g.wv};
    float* b[] = {g.bq, g.bk, g.bv};
    for (int i = 0; i < 3; ++i) {
      axpy(d * d, 1.f, weight.data() + i * d * d, w[i]);
      axpy(d, 1.f, bias.data() + i * d, b[i]);
    }
  }
};

inline int64_t padded(int64_t n) { return rounded_up(n, WIDTH); }

// ------------------------------------------------------------------------------------------- a chunk

// Sequences packed one after another, and the positions that the last layer is asked for.
struct Packed {
  int64_t tokens = 0;
  std::vector<int64_t> items, start, length;
  std::vector<int64_t> query;  // the token of each sequence that is asked for
  int64_t sequences() const { return static_cast<int64_t>(start.size()); }
  int64_t queries() const { return static_cast<int64_t>(query.size()); }
  void clear() {
    tokens = 0;
    items.clear(), start.clear(), length.clear(), query.clear();
  }
  void add(const int64_t* sequence, int64_t n) {
    start.push_back(tokens);
    length.push_back(n);
    items.insert(items.end(), sequence, sequence + n);
    tokens += n;
  }
};

struct Saved {  // of one layer, for its backward pass
  Buffer x, xq, q, kv, probabilities, kept, asked, mixed, context, hat1, rstd1, y, slope, active, hat2, rstd2;
};

class Encoder {
 public:
  Encoder(const Shape& shape, const Tensors& weights, const std::vector<Joined>& joined)
      : s_(shape), w_(weights), joined_(joined), saved_(shape.layers) {
    for (const auto& j : joined) {
      djoined_.emplace_back();
      djoined_.back().weight.assign(j.weight.size(), 0.f);
      djoined_.back().bias.assign(j.bias.size(), 0.f);
    }
  }

  // Representations of the chunk's queries, [queries, d].
  const float* forward(const Packed& chunk, bool train, uint64_t seed, uint64_t stream) {
    seed_ = seed, stream_ = stream * 1024, train_ = train;
    embed(chunk);
    for (int64_t l = 0; l < s_.layers; ++l) layer(chunk, l);
    return output_.data();
  }

  // From the gradient of the queries' representations (overwritten) to those of all weights.
  void backward(const Packed& chunk, float* dy, const Tensors& g) {
    float* gradient = dy;
    for (int64_t l = s_.layers - 1; l >= 0; --l) {
      layer_backward(chunk, l, gradient, g.layers[l]);
      gradient = dx_.data();
    }
    const int64_t d = s_.d;
    dropout(0, true).apply(gradient, chunk.tokens * d);
    normalize_rows_backward(gradient, chunk.tokens, d, w_.norm, hat_.data(), rstd_.data(), g.norm, g.shift);
    for (int64_t i = 0; i < chunk.sequences(); ++i)
      for (int64_t p = 0; p < chunk.length[i]; ++p) {
        const int64_t t = chunk.start[i] + p;
        axpy(d, 1.f, gradient + t * d, g.items + chunk.items[t] * d);
        axpy(d, 1.f, gradient + t * d, g.positions + p * d);
      }
  }

  // Gradients of the joined projections, added to those of their parts.
  void finish(const Tensors& g) {
    for (int64_t l = 0; l < s_.layers; ++l) djoined_[l].add_to(g.layers[l], s_.d);
  }

 private:
  Dropout dropout(uint64_t site, bool hidden) const {
    return Dropout(train_ ? (hidden ? s_.hidden_dropout : s_.attention_dropout) : 0.0, seed_, stream_ + site);
  }

  void embed(const Packed& chunk) {
    const int64_t d = s_.d;
    auto& x = saved_[0].x;
    x.resize(chunk.tokens * d), hat_.resize(chunk.tokens * d), rstd_.resize(chunk.tokens);
    for (int64_t i = 0; i < chunk.sequences(); ++i)
      for (int64_t p = 0; p < chunk.length[i]; ++p) {
        const int64_t t = chunk.start[i] + p;
        const float* __restrict item = w_.items + chunk.items[t] * d;
        const float* __restrict place = w_.positions + p * d;
        float* __restrict row = x.data() + t * d;
        for (int64_t j = 0; j < d; ++j) row[j] = item[j] + place[j];
      }
    normalize_rows(x.data(), chunk.tokens, d, w_.norm, w_.shift, s_.eps, hat_.data(), rstd_.data());
    dropout(0, true).apply(x.data(), chunk.tokens * d);
  }

  bool last(int64_t l) const { return l == s_.layers - 1; }

  void layer(const Packed& chunk, int64_t l) {
    const int64_t d = s_.d, T = chunk.tokens, Q = last(l) ? chunk.queries() : T;
    const LayerTensors& w = w_.layers[l];
    const Joined& joined = joined_[l];
    Saved& s = saved_[l];
    s.q.resize(Q * d), s.xq.resize(Q * d), s.context.resize(Q * d);
    if (last(l))
      for (int64_t i = 0; i < Q; ++i)
        std::memcpy(s.xq.data() + i * d, s.x.data() + chunk.query[i] * d, d * sizeof(float));
    const float* xq = last(l) ? s.xq.data() : s.x.data();
    fill_rows(joined.bias.data(), Q, d, s.q.data());
    joined.query.apply(Q, xq, d, s.q.data(), d, true);
    if (last(l)) {
      attend_last(chunk, l);
    } else {
      s.kv.resize(T * 2 * d);
      fill_rows(joined.bias.data() + d, T, 2 * d, s.kv.data());
      joined.others.apply(T, s.x.data(), d, s.kv.data(), 2 * d, true);
      attend(chunk, l);
    }
    s.y.resize(Q * d), s.hat1.resize(Q * d), s.rstd1.resize(Q), s.slope.resize(Q * s_.inner);
    s.active.resize(Q * s_.inner), s.hat2.resize(Q * d), s.rstd2.resize(Q), output(l).resize(Q * d);
    in_blocks(Q, [&](int64_t from, int64_t to) {
      residual(from, to, s.context.data(), d, joined.output, w.bo, xq, dropout(8 * l + 2, true), s.y.data());
      normalize_rows(s.y.data() + from * d, to - from, d, w.norm1, w.shift1, s_.eps, s.hat1.data() + from * d,
                     s.rstd1.data() + from);
      feed_forward(l, from, to);
    });
  }

  // What goes row by row, by as many rows as stay in the second cache from one step to the next.
  template <typename Work>
  static void in_blocks(int64_t rows, const Work& work) {
    for (int64_t from = 0; from < rows; from += BLOCK) work(from, std::min(rows, from + BLOCK));
  }

  Buffer& output(int64_t l) { return last(l) ? output_ : saved_[l + 1].x; }

  // Rows of y = dropout(a W^T + b) + x
  void residual(int64_t begin, int64_t end, const float* a, int64_t k, const Weight& weight, const float* bias,
                const float* x, const Dropout& drop, float* y) {
    const int64_t d = s_.d;
    weight.apply(end - begin, a + begin * k, k, y + begin * d, d);
    const Dropout own = drop;
    for (int64_t i = begin; i < end; ++i) {
      float* __restrict to = y + i * d;
      const float* __restrict from = x + i * d;
      if (own.on)
        for (int64_t j = 0; j < d; ++j) to[j] = (to[j] + bias[j]) * own(static_cast<uint32_t>(i * d + j)) + from[j];
      else
        for (int64_t j = 0; j < d; ++j) to[j] = to[j] + bias[j] + from[j];
    }
  }

  // The gradient of a block of rows that goes back through a dropout into branch_, and its sums over them.
  void into_branch(const float* __restrict dy, int64_t begin, int64_t end, const Dropout& drop,
                   float* __restrict sums) {
    const int64_t d = s_.d;
    branch_.resize(BLOCK * d);
    const Dropout own = drop;
    for (int64_t i = begin; i < end; ++i) {
      const float* __restrict from = dy + i * d;
      float* __restrict to = branch_.data() + (i - begin) * d;
      if (own.on)
        for (int64_t j = 0; j < d; ++j) to[j] = from[j] * own(static_cast<uint32_t>(i * d + j));
      else
        for (int64_t j = 0; j < d; ++j) to[j] = from[j];
      for (int64_t j = 0; j < d; ++j) sums[j] += to[j];
    }
  }

  void feed_forward(int64_t l, int64_t from, int64_t to) {
    const int64_t d = s_.d, inner = s_.inner;
    const LayerTensors& w = w_.layers[l];
    Saved& s = saved_[l];
    float* next = output(l).data();
    joined_[l].first.apply(to - from, s.y.data() + from * d, d, s.slope.data() + from * inner, inner);
    for (int64_t i = from; i < to; ++i) activate(s.slope.data() + i * inner, w.b1, s.active.data() + i * inner, inner);
    residual(from, to, s.active.data(), inner, joined_[l].second, w.b2, s.y.data(), dropout(8 * l + 3, true), next);
    normalize_rows(next + from * d, to - from, d, w.norm2, w.shift2, s_.eps, s.hat2.data() + from * d,
                   s.rstd2.data() + from);
  }

  // f(x + bias) into `active`; f'(x + bias) takes the place of x.
  void activate(float* __restrict x, const float* __restrict bias, float* __restrict active, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) x[i] += bias[i];
    switch (s_.activation) {
      case Activation::gelu:
        for (int64_t i = 0; i < n; ++i) {
          float cumulative, density;
          normal_(x[i], cumulative, density);
          active[i] = x[i] * cumulative;
          x[i] = cumulative + x[i] * density;
        }
        break;
      case Activation::relu:
        for (int64_t i = 0; i < n; ++i) {
          active[i] = x[i] > 0.f ? x[i] : 0.f;
          x[i] = x[i] > 0.f ? 1.f : 0.f;
        }
        break;
      case Activation::swish:
        for (int64_t i = 0; i < n; ++i) {
          const float g = sigmoid_(x[i]);
          active[i] = x[i] * g;
          x[i] = g + active[i] * (1.f - g);
        }
        break;
      case Activation::tanh:
        for (int64_t i = 0; i < n; ++i) {
          active[i] = tanh_(x[i]);
          x[i] = 1.f - active[i] * active[i];
        }
        break;
      case Activation::sigmoid:
        for (int64_t i = 0; i < n; ++i) {
          active[i] = sigmoid_(x[i]);
          x[i] = active[i] * (1.f - active[i]);
        }
        break;
    }
  }

  // A head's columns of rows, padded to whole lanes; or transposed.
  void take(const float* from, int64_t stride, int64_t rows, Buffer& to, int64_t width) const {
    const int64_t head = s_.head();
    to.resize(std::max<size_t>(to.size(), rows * width));
    for (int64_t i = 0; i < rows; ++i) {
      std::memcpy(to.data() + i * width, from + i * stride, head * sizeof(float));
      for (int64_t j = head; j < width; ++j) to[i * width + j] = 0.f;
    }
  }
  void take_transposed(const float* from, int64_t stride, int64_t rows, Buffer& to, int64_t width) const {
    to.resize(std::max<size_t>(to.size(), s_.head() * width));
    transpose(from, stride, rows, s_.head(), to.data(), width);
  }
  // A head's columns of rows for a product: as they lie, where they fill whole vectors, else a padded copy.
  struct View {
    const float* data;
    int64_t stride;
  };
  View view(const float* from, int64_t stride, int64_t rows, Buffer& copy) const {
    const int64_t wide = padded(s_.head());
    if (wide == s_.head()) return {from, stride};
    take(from, stride, rows, copy, wide);
    return {copy.data(), wide};
  }
  // to[rows, head] = A[rows, k] B, where B is a head's columns of rows.
  void into_head(int64_t rows, int64_t k, const float* a, int64_t row, int64_t column, const View& b, float* to,
                 int64_t stride, Part part) {
    const int64_t wide = padded(s_.head());
    if (wide == s_.head()) return product(rows, wide, k, a, row, column, b.data, b.stride, to, stride, part);
    results_.resize(std::max<size_t>(results_.size(), rows * wide));
    product(rows, wide, k, a, row, column, b.data, b.stride, results_.data(), wide, part);
    for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * stride, results_.data() + i * wide, s_.head() * sizeof(float));
  }

  // How many keys a query sees.
  int64_t limit(bool causal, int64_t query, int64_t keys) const { return causal ? query + 1 : keys; }

  void attend(const Packed& chunk, int64_t l) {
    const int64_t d = s_.d, head = s_.head();
    const bool causal = s_.causal;
    const float scale = 1.f / std::sqrt(static_cast<float>(head));
    const Dropout drop = dropout(8 * l + 1, false);
    Saved& s = saved_[l];
    int64_t used = 0;
    for (int64_t i = 0; i < chunk.sequences(); ++i) {
      const int64_t from = chunk.start[i], keys = chunk.length[i], n = keys, width = padded(keys);
      s.probabilities.resize(std::max<size_t>(s.probabilities.size(), used + s_.heads * n * width));
      for (int64_t h = 0; h < s_.heads; ++h, used += n * width) {
        const float* kv = s.kv.data() + chunk.start[i] * 2 * d + h * head;
        float* p = s.probabilities.data() + used;
        take_transposed(kv, 2 * d, keys, transposed_, width);
        product(n, width, head, s.q.data() + from * d + h * head, d, 1, transposed_.data(), width, p, width,
                causal ? Part::columns_to_row : Part::whole);
        softmax(p, n, keys, width, scale, causal);
        const float* kept = drop.on ? dropped(p, n, width, causal, drop, used) : p;
        into_head(n, keys, kept, width, 1, view(kv + d, 2 * d, keys, values_), s.context.data() + from * d + h * head, d,
                  causal ? Part::inner_to_row : Part::whole);
      }
    }
  }

  // The last layer has one query a sequence, so that no token needs a key or a value of its own: q (Wk x + b) is
  // (q Wk) x, but for what is the same for all keys and leaves the softmax as it is, and the sum of p (Wv x + b)
  // is Wv (sum of p x) + b (sum of p).
  void attend_last(const Packed& chunk, int64_t l) {
    const int64_t d = s_.d, head = s_.head(), H = s_.heads, n = chunk.sequences();
    const Joined& joined = joined_[l];
    Saved& s = saved_[l];
    s.asked.resize(n * H * d), s.mixed.assign(n * H * d, 0.f), s.probabilities.resize(H * chunk.tokens + WIDTH);
    s.kept.resize(H * chunk.tokens + WIDTH);
    for (int64_t h = 0; h < H; ++h)
      joined.keys[h].apply_backward(n, s.q.data() + h * head, d, s.asked.data() + h * d, H * d);
    const Dropout drop = dropout(8 * l + 1, false);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t keys = chunk.length[i], first = chunk.start[i] * H;
      const float* x = s.x.data() + chunk.start[i] * d;
      for (int64_t h = 0; h < H; ++h) {
        const float* asked = s.asked.data() + (i * H + h) * d;
        float *p = s.probabilities.data() + first + h * keys, *kept = s.kept.data() + first + h * keys;
        for (int64_t t = 0; t < keys; ++t) p[t] = dot(asked, x + t * d, d);
        softmax_row(p, keys);
        weigh(p, kept, keys, drop, first + h * keys);
        float* mixed = s.mixed.data() + (i * H + h) * d;
        float share = 0.f;
        for (int64_t t = 0; t < keys; ++t) {
          axpy(d, kept[t], x + t * d, mixed);
          share += kept[t];
        }
        float* context = s.context.data() + i * d + h * head;
        for (int64_t j = 0; j < head; ++j) context[j] = share * joined.bias[2 * d + h * head + j];
      }
    }
    for (int64_t h = 0; h < H; ++h)
      joined.values[h].apply(n, s.mixed.data() + h * d, H * d, s.context.data() + h * head, d, true);
  }

  void softmax_row(float* __restrict p, int64_t n) const {
    const float scale = 1.f / std::sqrt(static_cast<float>(s_.head())), top = maximum(p, n) * scale;
    float sum = 0.f;
    for (int64_t t = 0; t < n; ++t) {
      p[t] = exp_(p[t] * scale - top);
      sum += p[t];
    }
    const float share = 1.f / sum;
    for (int64_t t = 0; t < n; ++t) p[t] *= share;
  }

  void weigh(const float* __restrict p, float* __restrict kept, int64_t n, const Dropout& drop, int64_t from) const {
    const Dropout own = drop;
    if (own.on)
      for (int64_t t = 0; t < n; ++t) kept[t] = p[t] * own(static_cast<uint32_t>(from + t));
    else
      std::memcpy(kept, p, n * sizeof(float));
  }

  // Into dq_, into next_ what flows to the layer's input through keys and values, and into their weights'.
  void attend_last_backward(const Packed& chunk, int64_t l, const float* dcontext) {
    const int64_t d = s_.d, head = s_.head(), H = s_.heads, n = chunk.sequences();
    const float scale = 1.f / std::sqrt(static_cast<float>(head));
    const Joined& joined = joined_[l];
    Joined& dj = djoined_[l];
    Saved& s = saved_[l];
    dasked_.assign(n * H * d, 0.f), dmixed_.resize(n * H * d), next_.assign(chunk.tokens * d, 0.f);
    float *dwk = dj.weight.data() + d * d, *dwv = dwk + d * d, *dbv = dj.bias.data() + 2 * d;
    for (int64_t h = 0; h < H; ++h) {
      joined.values[h].apply_backward(n, dcontext + h * head, d, dmixed_.data() + h * d, H * d);
      multiply_tn(head, d, n, dcontext + h * head, d, s.mixed.data() + h * d, H * d, dwv + h * head * d, d, true);
    }
    const Dropout drop = dropout(8 * l + 1, false);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t keys = chunk.length[i], first = chunk.start[i] * H;
      const float* x = s.x.data() + chunk.start[i] * d;
      float* dx = next_.data() + chunk.start[i] * d;
      dp_.resize(std::max<size_t>(dp_.size(), keys));
      for (int64_t h = 0; h < H; ++h) {
        const float *p = s.probabilities.data() + first + h * keys, *kept = s.kept.data() + first + h * keys;
        const float *dmixed = dmixed_.data() + (i * H + h) * d, *dc = dcontext + i * d + h * head;
        const float bias = dot(dc, joined.bias.data() + 2 * d + h * head, head);
        float share = 0.f;
        for (int64_t t = 0; t < keys; ++t) {
          dp_[t] = dot(dmixed, x + t * d, d) + bias;
          share += kept[t];
        }
        axpy(head, share, dc, dbv + h * head);
        weigh(dp_.data(), dp_.data(), keys, drop, first + h * keys);
        const float mean = dot(p, dp_.data(), keys);
        const float* asked = s.asked.data() + (i * H + h) * d;
        float* dasked = dasked_.data() + (i * H + h) * d;
        for (int64_t t = 0; t < keys; ++t) {
          const float slope = p[t] * (dp_[t] - mean) * scale;
          axpy(d, slope, x + t * d, dasked);
          for (int64_t j = 0; j < d; ++j) dx[t * d + j] += slope * asked[j] + kept[t] * dmixed[j];
        }
      }
    }
    for (int64_t h = 0; h < H; ++h) {
      joined.keys[h].apply(n, dasked_.data() + h * d, H * d, dq_.data() + h * head, d);
      multiply_tn(head, d, n, s.q.data() + h * head, d, dasked_.data() + h * d, H * d, dwk + h * head * d, d, true);
    }
  }

  // Rows of probabilities times their mask; those behind what a product reads of a causal row are left out.
  const float* dropped(const float* __restrict p, int64_t n, int64_t width, bool causal, const Dropout& drop,
                       int64_t from) {
    kept_.resize(std::max<size_t>(kept_.size(), n * width));
    const Dropout own = drop;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t read = causal ? std::min(width, padded(i + TILE_ROWS)) : width;
      const float* __restrict row = p + i * width;
      float* __restrict kept = kept_.data() + i * width;
      for (int64_t j = 0; j < read; ++j) kept[j] = row[j] * own(static_cast<uint32_t>(from + i * width + j));
    }
    return kept_.data();
  }

  // Rows are gone through in whole vectors: what lies behind the last key is far below zero, then nothing.
  void softmax(float* p, int64_t n, int64_t keys, int64_t width, float scale, bool causal) const {
    for (int64_t i = 0; i < n; ++i) {
      float* __restrict row = p + i * width;
      const int64_t m = limit(causal, i, keys), whole = padded(m);
      for (int64_t j = m; j < whole; ++j) row[j] = -1e30f;
      const float top = largest(row, whole) * scale;
      float sum = 0.f;
      for (int64_t j = 0; j < whole; ++j) {
        row[j] = exp_(row[j] * scale - top);
        sum += row[j];
      }
      const float share = 1.f / sum;
      for (int64_t j = 0; j < whole; ++j) row[j] *= share;
      for (int64_t j = m; j < width; ++j) row[j] = 0.f;
    }
  }

  void attend_backward(const Packed& chunk, int64_t l, const float* dcontext) {
    const int64_t d = s_.d, head = s_.head();
    const bool causal = s_.causal;
    const float scale = 1.f / std::sqrt(static_cast<float>(head));
    const Dropout drop = dropout(8 * l + 1, false);
    Saved& s = saved_[l];
    int64_t used = 0;
    for (int64_t i = 0; i < chunk.sequences(); ++i) {
      const int64_t from = chunk.start[i], keys = chunk.length[i], n = keys, width = padded(keys);
      for (int64_t h = 0; h < s_.heads; ++h, used += n * width) {
        const int64_t column = chunk.start[i] * 2 * d + h * head;
        const float* kv = s.kv.data() + column;
        const float* p = s.probabilities.data() + used;
        take_transposed(kv + d, 2 * d, keys, transposed_, width);
        const View q = view(s.q.data() + from * d + h * head, d, n, queries_);
        const View dc = view(dcontext + from * d + h * head, d, n, gradients_);
        dp_.resize(std::max<size_t>(dp_.size(), n * width));
        product(n, width, head, dc.data, dc.stride, 1, transposed_.data(), width, dp_.data(), width,
                causal ? Part::columns_to_row : Part::whole);
        const float* kept = drop.on ? dropped(p, n, width, causal, drop, used) : p;
        const Part back = causal ? Part::inner_from_row : Part::whole;
        into_head(keys, n, kept, 1, width, dc, dkv_.data() + column + d, 2 * d, back);
        softmax_backward(p, dp_.data(), n, keys, width, scale, causal, drop, used);
        into_head(keys, n, dp_.data(), 1, width, q, dkv_.data() + column, 2 * d, back);
        into_head(n, keys, dp_.data(), width, 1, view(kv, 2 * d, keys, values_), dq_.data() + from * d + h * head, d,
                  causal ? Part::inner_to_row : Part::whole);
      }
    }
  }

  // The gradient of dropped probabilities becomes that of unscaled scores, in place.
  void softmax_backward(const float* p, float* dp, int64_t n, int64_t keys, int64_t width, float scale, bool causal,
                        const Dropout& drop, int64_t from) const {
    const Dropout own = drop;
    for (int64_t i = 0; i < n; ++i) {
      const float* __restrict row = p + i * width;
      float* __restrict g = dp + i * width;
      const int64_t whole = padded(limit(causal, i, keys));  // behind the last key the row is zero
      if (own.on)
        for (int64_t j = 0; j < whole; ++j) g[j] *= own(static_cast<uint32_t>(from + i * width + j));
      const float mean = dot(row, g, whole);
      for (int64_t j = 0; j < whole; ++j) g[j] = row[j] * (g[j] - mean) * scale;
      for (int64_t j = whole; j < width; ++j) g[j] = 0.f;
    }
  }

  // From the gradient of a layer's output (overwritten) to that of its input (dx_) and its weights'.
  void layer_backward(const Packed& chunk, int64_t l, float* dy, const LayerTensors& g) {
    const int64_t d = s_.d, T = chunk.tokens, Q = last(l) ? chunk.queries() : T;
    const LayerTensors& w = w_.layers[l];
    Saved& s = saved_[l];
    dcontext_.resize(Q * d), dq_.resize(Q * d);
    in_blocks(Q, [&](int64_t from, int64_t to) {
      const int64_t rows = to - from;
      float* own = dy + from * d;
      feed_forward_backward(l, from, to, dy, g);  // dy: now the gradient of the first half's output
      normalize_rows_backward(own, rows, d, w.norm1, s.hat1.data() + from * d, s.rstd1.data() + from, g.norm1,
                              g.shift1);
      into_branch(dy, from, to, dropout(8 * l + 2, true), g.bo);
      multiply_tn(d, d, rows, branch_.data(), d, s.context.data() + from * d, d, g.wo, d, true);
      joined_[l].output.apply_backward(rows, branch_.data(), d, dcontext_.data() + from * d, d);
    });
    if (last(l)) {
      attend_last_backward(chunk, l, dcontext_.data());
    } else {
      dkv_.resize(T * 2 * d);
      attend_backward(chunk, l, dcontext_.data());
    }
    project_backward(chunk, l, Q, dy);
  }

  void project_backward(const Packed& chunk, int64_t l, int64_t Q, float* dy) {
    const int64_t d = s_.d, T = chunk.tokens;
    const Joined& joined = joined_[l];
    Joined& dj = djoined_[l];
    Saved& s = saved_[l];
    const float* xq = last(l) ? s.xq.data() : s.x.data();
    in_blocks(Q, [&](int64_t from, int64_t to) {
      const int64_t rows = to - from;
      const float *dq = dq_.data() + from * d, *x = xq + from * d;
      add_rows(dq, rows, d, dj.bias.data());
      multiply_tn(d, d, rows, dq, d, x, d, dj.weight.data(), d, true);
      joined.query.apply_backward(rows, dq, d, dy + from * d, d, true);
      if (last(l)) return;
      const float* dkv = dkv_.data() + from * 2 * d;
      add_rows(dkv, rows, 2 * d, dj.bias.data() + d);
      multiply_tn(2 * d, d, rows, dkv, 2 * d, x, d, dj.weight.data() + d * d, d, true);
      joined.others.apply_backward(rows, dkv, 2 * d, dy + from * d, d, true);
    });
    if (last(l)) {
      for (int64_t i = 0; i < Q; ++i) axpy(d, 1.f, dy + i * d, next_.data() + chunk.query[i] * d);
      dx_.swap(next_);
      return;
    }
    if (dy != dx_.data()) dx_.assign(dy, dy + T * d);
  }

  // Of a block of rows of dy.
  void feed_forward_backward(int64_t l, int64_t from, int64_t to, float* dy, const LayerTensors& g) {
    const int64_t d = s_.d, inner = s_.inner, rows = to - from;
    const LayerTensors& w = w_.layers[l];
    Saved& s = saved_[l];
    float* own = dy + from * d;
    normalize_rows_backward(own, rows, d, w.norm2, s.hat2.data() + from * d, s.rstd2.data() + from, g.norm2, g.shift2);
    into_branch(dy, from, to, dropout(8 * l + 3, true), g.b2);
    multiply_tn(d, inner, rows, branch_.data(), d, s.active.data() + from * inner, inner, g.w2, inner, true);
    dactive_.resize(BLOCK * inner);
    joined_[l].second.apply_backward(rows, branch_.data(), d, dactive_.data(), inner);
    float* __restrict da = dactive_.data();
    const float* __restrict slope = s.slope.data() + from * inner;
    float* __restrict db1 = g.b1;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < inner; ++j) {
        da[i * inner + j] *= slope[i * inner + j];
        db1[j] += da[i * inner + j];
      }
    multiply_tn(inner, d, rows, da, inner, s.y.data() + from * d, d, g.w1, d, true);
    joined_[l].first.apply_backward(rows, da, inner, own, d, true);
  }

  const Shape& s_;
  const Tensors& w_;
  const std::vector<Joined>& joined_;
  std::vector<Joined> djoined_;
  std::vector<Saved> saved_;
  Buffer dasked_, dmixed_, hat_, rstd_, output_, dx_, next_, branch_, dcontext_, dq_, dkv_, dactive_;
  Buffer transposed_, values_, queries_, gradients_, results_, kept_, dp_;
  uint64_t seed_ = 0, stream_ = 0;
  bool train_ = false;
};

Shape shape_of(const std::vector<Tensor>& weights, at::IntArrayRef sizes, at::ArrayRef<double> reals, bool causal) {
  TORCH_CHECK(sizes.size() == 3 && reals.size() == 3, "sizes: layers, heads, activation; reals: eps, two dropouts");
  const int64_t d = weights[0].size(1);
  TORCH_CHECK(d % sizes[1] == 0, "heads must divide the hidden size");
  return Shape{sizes[0], sizes[1], d, weights[HEAD_TENSORS + 10].size(0), causal,
               static_cast<Activation>(sizes[2]), static_cast<float>(reals[0]), reals[1], reals[2]};
}

std::vector<Joined> join(const Tensors& weights, const Shape& shape) {
  std::vector<Joined> joined;
  for (const auto& layer : weights.layers) joined.emplace_back(layer, shape.d, shape.inner, shape.heads);
  return joined;
}

void pack_last(const Batch& batch, int64_t from, int64_t to, Packed& chunk) {
  chunk.clear();
  for (int64_t i = from; i < to; ++i) {
    const int64_t at = batch.order[i], n = batch.length(at);
    chunk.add(batch.items(at), n);
    chunk.query.push_back(chunk.tokens - 1);
  }
}

}  // namespace

// One batch of SASRec: the loss; gradients are added to `gradients`.
double sasrec_step(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients, const Tensor& sequences,
                   const Tensor& lengths, const Tensor& rows, const Tensor& positive,
                   const std::optional<Tensor>& negative, int64_t loss_kind, at::IntArrayRef sizes,
                   at::ArrayRef<double> reals, int64_t seed, int64_t tokens) {
  const Shape shape = shape_of(weights, sizes, reals, true);
  const Tensors w(weights, shape.layers);
  const auto joined = join(w, shape);
  const Batch batch(sequences, lengths, rows);
  const Loss loss(loss_kind, weights[0], positive, negative, batch.size);
  const auto chunks = batch.chunks(tokens, MOST_SEQUENCES);
  const int64_t threads = threads_for(chunks.size());
  std::vector<Encoder> encoders(threads, Encoder(shape, w, joined));
  std::vector<Packed> packs(threads);
  std::vector<Buffer> works(threads), dys(threads);
  const auto work = [&](int64_t from, int64_t to, int64_t c, int64_t t, const std::vector<Tensor>& own) {
    const Tensors g(own, shape.layers);
    pack_last(batch, from, to, packs[t]);
    const float* h = encoders[t].forward(packs[t], true, seed, c);
    dys[t].resize((to - from) * shape.d);
    const double part = loss(to - from, batch.order.data() + from, h, dys[t].data(), g.items, works[t]);
    encoders[t].backward(packs[t], dys[t].data(), g);
    return part;
  };
  return accumulate(chunks, threads, gradients, work, [&](int64_t t, const std::vector<Tensor>& own) {
    encoders[t].finish(Tensors(own, shape.layers));
  });
}

// Representations of sequences by SASRec, [rows, d], without dropout.
Tensor sasrec_encode(const std::vector<Tensor>& weights, const Tensor& sequences, const Tensor& lengths,
                     const Tensor& rows, at::IntArrayRef sizes, at::ArrayRef<double> reals, int64_t tokens) {
  const Shape shape = shape_of(weights, sizes, reals, true);
  const Tensors w(weights, shape.layers);
  const auto joined = join(w, shape);
  const Batch batch(sequences, lengths, rows);
  const auto chunks = batch.chunks(tokens, MOST_SEQUENCES);
  const int64_t threads = threads_for(chunks.size());
  Tensor result = at::empty({batch.size, shape.d}, weights[0].options());
  std::vector<Encoder> encoders(threads, Encoder(shape, w, joined));
  std::vector<Packed> packs(threads);
  deal(chunks.size(), threads, [&](int64_t c, int64_t t) {
    const auto [from, to] = chunks[c];
    pack_last(batch, from, to, packs[t]);
    const float* h = encoders[t].forward(packs[t], false, 0, 0);
    for (int64_t i = from; i < to; ++i)
      std::memcpy(out(result) + batch.order[i] * shape.d, h + (i - from) * shape.d, shape.d * sizeof(float));
  });
  return result;
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("sasrec_step(Tensor[] weights, Tensor[] gradients, Tensor sequences, Tensor lengths, Tensor rows, "
        "Tensor positive, Tensor? negative, int loss, int[] sizes, float[] reals, int seed, int tokens) -> float",
        &sasrec_step);
  m.def("sasrec_encode(Tensor[] weights, Tensor sequences, Tensor lengths, Tensor rows, int[] sizes, "
        "float[] reals, int tokens) -> Tensor", &sasrec_encode);
}

}  // namespace recsweep
