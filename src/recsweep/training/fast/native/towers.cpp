// Scores by a tower of dense layers with relu, of all items for many users.
//
// With each unit fixed as on or off a tower is linear: what goes into a layer is a part of the user, a part of the
// item, and no product of the two. Users and items come in groups. For a pair of groups the pair of their middles
// fixes the units, both parts are computed once, and a pair of a user and an item adds the columns of those units
// alone that are not as in the middle: few, as the members of a group are alike.
#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "common.h"

namespace recsweep {
namespace {

constexpr int64_t MEMBERS = 64;          // users, and items, whose parts are there at once
constexpr int64_t TOGETHER = 16;         // items that go up layer by layer with a user
constexpr int64_t STRIP = 8 * WIDTH;     // columns of a map whose rows lie together: those in use stay in the first cache

// Bit j: whether x[j] > 0 differs from on[j], which is 0 or -1.
INLINE uint64_t differing(const float* x, const int32_t* on) {
#if defined(__AVX512F__)
  const __mmask16 was = _mm512_test_epi32_mask(_mm512_loadu_si512(on), _mm512_set1_epi32(-1));
  return static_cast<uint16_t>(_mm512_cmp_ps_mask(_mm512_loadu_ps(x), _mm512_setzero_ps(), _CMP_GT_OQ) ^ was);
#elif defined(__AVX__)
  const __m256 is = _mm256_cmp_ps(_mm256_loadu_ps(x), _mm256_setzero_ps(), _CMP_GT_OQ);
  return _mm256_movemask_ps(_mm256_xor_ps(is, _mm256_loadu_ps(reinterpret_cast<const float*>(on))));
#else
  uint64_t bits = 0;
  for (int64_t j = 0; j < WIDTH; ++j) bits |= static_cast<uint64_t>((x[j] > 0.f) != (on[j] != 0)) << j;
  return bits;
#endif
}

// Units that are not as in the middle, of all layers so far, and relu(x) less what would be there if they were so:
// |x|, whichever way they differ.
struct Flips {
  int64_t number = 0;
  std::vector<int32_t> units;
  Buffer values;

  explicit Flips(int64_t most) : units(most), values(most) {}
  // Adds those of one layer, whose units are counted from `first` on.
  void find(const float* x, const int32_t* on, int64_t wide, int64_t first) {
    int64_t found = number;
    for (int64_t from = 0; from < wide; from += 64) {
      uint64_t bits = 0;
      const int64_t length = std::min<int64_t>(64, wide - from);
      for (int64_t j = 0; j < length; j += WIDTH) bits |= differing(x + from + j, on + from + j) << j;
      for (; bits; bits &= bits - 1) {
        const int64_t unit = from + std::countr_zero(bits);
        units[found] = static_cast<int32_t>(first + unit);
        values[found++] = std::fabs(x[unit]);
      }
    }
    number = found;
  }
};

// VECTORS of x = user + item + a row of `map` for each flip; its rows lie one behind the other.
template <int VECTORS>
INLINE void sum_of(const float* user, const float* item, const Flips& flips, const float* map, float* x) {
  Vector sum[VECTORS];
  UNROLL for (int v = 0; v < VECTORS; ++v) sum[v] = load(user + v * WIDTH) + load(item + v * WIDTH);
  const int64_t number = flips.number;
  const int32_t* units = flips.units.data();
  const float* values = flips.values.data();
  for (int64_t t = 0; t < number; ++t) {
    const float value = values[t];
    const float* row = map + units[t] * (VECTORS * WIDTH);
    UNROLL for (int v = 0; v < VECTORS; ++v) sum[v] += value * load(row + v * WIDTH);
  }
  UNROLL for (int v = 0; v < VECTORS; ++v) store(x + v * WIDTH, sum[v]);
}

INLINE float relu_dot(const float* x, const float* y, int64_t wide) {
  Vector sum{};
  for (int64_t j = 0; j < wide; j += WIDTH) {
    const Vector v = load(x + j);
    sum += (v > 0.f ? v : Vector{}) * load(y + j);
  }
  float total = 0.f;
  UNROLL for (int64_t k = 0; k < WIDTH; ++k) total += sum[k];
  return total;
}

// A dense layer above the first; rows of a buffer are whole vectors, zeros behind what there is.
struct Layer {
  int64_t below, above, wide;
  Weight weight;
  Buffer bias, columns;  // [wide]; [below, wide], its weight transposed

  Layer(const Tensor& w, const Tensor& b)
      : below(w.size(1)), above(w.size(0)), wide(rounded_up(above, WIDTH)), weight(in(w), above, below),
        bias(wide, 0.f), columns(below * wide, 0.f) {
    TORCH_CHECK(b.numel() == above, "a bias does not match its layer");
    std::copy_n(in(b), above, bias.begin());
    transpose(in(w), below, above, below, columns.data(), wide);
  }
};

// `above`: the first layer's part of each user [n, h], its bias included, and of each item [n_items, h]; then weight
// and bias of the other layers, then the last weights.
struct Net {
  const float *users, *items;
  int64_t first;
  std::vector<int64_t> wides;
  std::vector<Layer> layers;
  Buffer last;

  explicit Net(const std::vector<Tensor>& above)
      : users(in(above[0])), items(in(above[1])), first(above[0].size(1)), wides{rounded_up(first, WIDTH)} {
    TORCH_CHECK(above[1].size(1) == first, "users and items do not match");
    int64_t width = first;
    for (size_t k = 2; k + 1 < above.size(); k += 2) {
      TORCH_CHECK(above[k].size(1) == width, "layers do not match");
      layers.emplace_back(above[k], above[k + 1]);
      width = layers.back().above;
      wides.push_back(layers.back().wide);
    }
    TORCH_CHECK(above.back().numel() == width, "the last weights do not match");
    last.assign(wides.back(), 0.f);
    std::copy_n(in(above.back()), width, last.begin());
  }
  size_t depth() const { return wides.size(); }
  std::vector<Buffer> rooms(int64_t rows) const {
    std::vector<Buffer> found;
    for (const int64_t wide : wides) found.emplace_back(rows * wide, 0.f);
    return found;
  }
};

// What one thread holds of a pair of groups.
struct Work {
  const Net& net;
  std::vector<int64_t> first;            // by layer: the number of its first unit, all layers counted through
  std::vector<std::vector<int32_t>> on;  // by layer: 0 or -1
  std::vector<Buffer> maps, strips;      // by layer: [units of all layers below, wide], by rows and in strips
  std::vector<Buffer> users, items;      // by layer: [MEMBERS, wide]
  std::vector<Flips> flips;              // of TOGETHER items
  Buffer kept, x;                        // x: [TOGETHER, wide]

  explicit Work(const Net& net_) : net(net_), first{0}, users(net_.rooms(MEMBERS)), items(net_.rooms(MEMBERS)) {
    for (const int64_t wide : net.wides) {
      on.emplace_back(wide, 0);
      maps.emplace_back(first.back() * wide, 0.f);
      first.push_back(first.back() + wide);
    }
    strips = maps;
    for (size_t l = 1; l < net.depth(); ++l) {  // the layer right below reaches it by its own weight
      std::ranges::copy(net.layers[l - 1].columns, maps[l].begin() + first[l - 1] * net.wides[l]);
      in_strips(l, first[l - 1], first[l]);
    }
    const int64_t widest = *std::max_element(net.wides.begin(), net.wides.end());
    flips.assign(TOGETHER, Flips(first.back()));
    x.assign(TOGETHER * widest, 0.f);
    kept.assign(std::max(MEMBERS, first.back()) * widest, 0.f);
  }

  void in_strips(size_t l, int64_t from, int64_t to) {
    const int64_t wide = net.wides[l], rows = first[l];
    for (int64_t j = 0; j < wide; j += STRIP) {
      const int64_t columns = std::min(STRIP, wide - j);
      for (int64_t i = from; i < to; ++i)
        std::copy_n(maps[l].data() + i * wide + j, columns, strips[l].data() + rows * j + i * columns);
    }
  }

  // Rows of layer `l` - 1 go on to layer `l` through the units that are on.
  void go_up(size_t l, int64_t rows, const float* from, float* to) {
    const Layer& layer = net.layers[l - 1];
    const int64_t wide = net.wides[l - 1];
    const int32_t* __restrict open = on[l - 1].data();
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < wide; ++j) kept[i * wide + j] = open[j] ? from[i * wide + j] : 0.f;
    layer.weight.apply(rows, kept.data(), wide, to, layer.wide);
  }

  // Which units are on in the middle of two groups, and how a flip below reaches the layers above.
  void fix(const float* user, const float* item) {
    for (int64_t j = 0; j < net.first; ++j) x[j] = user[j] + item[j];
    for (int64_t j = net.first; j < net.wides[0]; ++j) x[j] = 0.f;  // padding is off, here as in a pair
    for (size_t l = 0; l + 1 < net.depth(); ++l) {
      for (int64_t j = 0; j < net.wides[l]; ++j) on[l][j] = x[j] > 0.f ? -1 : 0;
      Buffer above(net.wides[l + 1], 0.f);
      go_up(l + 1, 1, x.data(), above.data());
      for (int64_t j = 0; j < net.wides[l + 1]; ++j) x[j] = above[j] + net.layers[l].bias[j];
    }
    for (size_t l = 2; l < net.depth(); ++l) {
      go_up(l, first[l - 1], maps[l - 1].data(), maps[l].data());
      in_strips(l, 0, first[l - 1]);
    }
  }

  void parts(const float* from, const int64_t* members, int64_t rows, bool biased, std::vector<Buffer>& found) {
    for (int64_t i = 0; i < rows; ++i)
      std::copy_n(from + members[i] * net.first, net.first, found[0].data() + i * net.wides[0]);
    for (size_t l = 1; l < net.depth(); ++l) {
      go_up(l, rows, found[l - 1].data(), found[l].data());
      const int64_t wide = net.wides[l];
      for (int64_t i = 0; biased && i < rows; ++i)
        for (int64_t j = 0; j < wide; ++j) found[l][i * wide + j] += net.layers[l - 1].bias[j];
    }
  }

  // x of layer `l`, of one user and a number of items.
  void sums(size_t l, const float* user, const float* item, int64_t number) {
    const int64_t wide = net.wides[l];
    for (int64_t j = 0; j < wide; j += STRIP) {
      const float* map = strips[l].data() + first[l] * j;
      for (int64_t i = 0; i < number; ++i) {
        const float *mine = user + j, *other = item + i * wide + j;
        float* to = x.data() + i * wide + j;
        switch (std::min(STRIP, wide - j) / WIDTH) {
          case 1: sum_of<1>(mine, other, flips[i], map, to); break;
          case 2: sum_of<2>(mine, other, flips[i], map, to); break;
          case 3: sum_of<3>(mine, other, flips[i], map, to); break;
          case 4: sum_of<4>(mine, other, flips[i], map, to); break;
          case 5: sum_of<5>(mine, other, flips[i], map, to); break;
          case 6: sum_of<6>(mine, other, flips[i], map, to); break;
          case 7: sum_of<7>(mine, other, flips[i], map, to); break;
          default: sum_of<8>(mine, other, flips[i], map, to);
        }
      }
    }
  }

  // Scores of some items, at most TOGETHER, by their place among the parts, for one user.
  void score(int64_t user, int64_t from, int64_t number, float* found) {
    for (Flips& one : flips) one.number = 0;
    for (size_t l = 0; l < net.depth(); ++l) {
      const int64_t wide = net.wides[l];
      sums(l, users[l].data() + user * wide, items[l].data() + from * wide, number);
      if (l + 1 < net.depth())
        for (int64_t i = 0; i < number; ++i) flips[i].find(x.data() + i * wide, on[l].data(), wide, first[l]);
    }
    const int64_t wide = net.wides.back();
    for (int64_t i = 0; i < number; ++i) found[i] = relu_dot(x.data() + i * wide, net.last.data(), wide);
  }
};

// The members of each group, one group behind the other.
struct Groups {
  std::vector<int64_t> members, ends;

  Groups(const Tensor& of, int64_t n, int64_t groups) : members(n), ends(groups + 1, 0) {
    const int64_t* group = ids(of, n);
    for (int64_t i = 0; i < n; ++i) {
      TORCH_CHECK(group[i] >= 0 && group[i] < groups, "there is no group ", group[i]);
      ++ends[group[i] + 1];
    }
    for (int64_t g = 0; g < groups; ++g) ends[g + 1] += ends[g];
    std::vector<int64_t> next(ends.begin(), ends.end() - 1);
    for (int64_t i = 0; i < n; ++i) members[next[group[i]]++] = i;
  }
  int64_t number() const { return static_cast<int64_t>(ends.size()) - 1; }
};

}  // namespace

// Adds to scores [n, n_items] what the tower says; see Net for `above`. Each user and item is of a group, and the
// groups have middles in the place of the first layer's parts: [groups, h].
void tower_scores(const Tensor& scores, const std::vector<Tensor>& above, const Tensor& of_users,
                  const Tensor& of_items, const Tensor& user_middles, const Tensor& item_middles) {
  const int64_t n = scores.size(0), n_items = scores.size(1);
  TORCH_CHECK(above[0].size(0) == n && above[1].size(0) == n_items, "scores and layers do not match");
  const Net net(above);
  TORCH_CHECK(user_middles.size(1) == net.first && item_middles.size(1) == net.first, "middles do not match");
  const Groups users(of_users, n, user_middles.size(0)), items(of_items, n_items, item_middles.size(0));
  const float *user_middle = in(user_middles), *item_middle = in(item_middles);
  float* found = out(scores);
  const int64_t pairs = users.number() * items.number(), threads = threads_for(pairs);
  std::vector<Work> works(threads, Work(net));
  deal(pairs, threads, [&](int64_t pair, int64_t t) {
    const int64_t g = pair / items.number(), h = pair % items.number();
    if (users.ends[g] == users.ends[g + 1] || items.ends[h] == items.ends[h + 1]) return;
    Work& work = works[t];
    work.fix(user_middle + g * net.first, item_middle + h * net.first);
    for (int64_t u = users.ends[g]; u < users.ends[g + 1]; u += MEMBERS) {
      const int64_t rows = std::min(MEMBERS, users.ends[g + 1] - u);
      work.parts(net.users, &users.members[u], rows, true, work.users);
      for (int64_t i = items.ends[h]; i < items.ends[h + 1]; i += MEMBERS) {
        const int64_t columns = std::min(MEMBERS, items.ends[h + 1] - i);
        work.parts(net.items, &items.members[i], columns, false, work.items);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; c += TOGETHER) {
            const int64_t number = std::min(TOGETHER, columns - c);
            float made[TOGETHER];
            work.score(r, c, number, made);
            for (int64_t k = 0; k < number; ++k)
              found[users.members[u + r] * n_items + items.members[i + c + k]] += made[k];
          }
      }
    }
  });
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("tower_scores(Tensor(a!) scores, Tensor[] above, Tensor of_users, Tensor of_items, Tensor user_middles, "
        "Tensor item_middles) -> ()", &tower_scores);
}

}  // namespace recsweep
