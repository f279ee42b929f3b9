// Negatives: items that a user does not have, or other than a sample's own; RecBole's draws, and a stream of ours.
#include "common.h"

namespace recsweep {
namespace {

constexpr int64_t SAMPLES_AT_ONCE = 1 << 13;  // a thread's share of the tests: they are short

// The items of each user: a bit for each pair where there are any, else in ascending order, as Seen has them.
struct Seen {
  const uint8_t* bits;
  const int64_t *ends, *items;
  int64_t n_items, pairs, users;

  void check(int64_t user) const { TORCH_CHECK(user >= 0 && user < users, "user ", user, " of ", users); }

  bool operator()(int64_t user, int64_t item) const {
    if (pairs > 0) {
      const uint64_t place = static_cast<uint64_t>(user) * n_items + item;
      return (bits[place >> 3] >> (place & 7)) & 1;
    }
    const int64_t *low = items + ends[user], *end = items + ends[user + 1];
    for (int64_t count = end - low; count > 0;) {
      const int64_t half = count >> 1;
      const bool less = low[half] < item;
      low = less ? low + half + 1 : low;
      count = less ? count - half - 1 : half;
    }
    return low < end && *low == item;
  }
};

struct Same {
  void check(int64_t) const {}  // targets are compared, nothing is looked up by them
  bool operator()(int64_t target, int64_t item) const { return target == item; }
};

const int64_t* numbers(const Tensor& t) {
  TORCH_CHECK(t.is_contiguous() && t.scalar_type() == at::kLong, "int64 without gaps is wanted");
  return t.data_ptr<int64_t>();
}

Seen seen(const Tensor& bits, const Tensor& ends, const Tensor& items, int64_t n_items) {
  TORCH_CHECK(bits.is_contiguous() && bits.scalar_type() == at::kByte, "bytes without gaps are wanted");
  const int64_t *end = numbers(ends), users = ends.numel() - 1, pairs = bits.numel();
  TORCH_CHECK(users >= 0 && end[users] == items.numel(), "the last user's items end with the last item");
  TORCH_CHECK(pairs == 0 || 8 * pairs >= users * n_items, pairs, " bytes for ", users, " users, ", n_items, " items");
  return {bits.data_ptr<uint8_t>(), end, numbers(items), n_items, pairs, users};
}

// NumPy's bit generator, by the two addresses that its `ctypes` interface gives.
struct Numpy {
  uint32_t (*next)(void*);
  void* state;

  Numpy(int64_t next_uint32, int64_t address)
      : next(reinterpret_cast<uint32_t (*)(void*)>(next_uint32)), state(reinterpret_cast<void*>(address)) {}

  // `RandomState.randint(1, n_items)`: words cut to the bits of the largest number, again while they are above it.
  template <class Take>
  void draw(int64_t count, int64_t n_items, const Take& take) const {
    TORCH_CHECK(n_items >= 2 && n_items < (int64_t{1} << 32), n_items, " items");
    const uint32_t most = static_cast<uint32_t>(n_items - 2);
    const uint32_t mask = most == 0 ? 0 : ~uint32_t{0} >> std::countl_zero(most);
    for (int64_t i = 0; i < count; ++i) {
      uint32_t value = 0;
      if (most > 0)
        do value = next(state) & mask;
        while (value > most);
      take(i, 1 + static_cast<int64_t>(value));
    }
  }
};

// RecBole's rounds: a number for each sample, then one for each that has a wrong one, until there is none.
template <class Wrong>
Tensor drawn(const Numpy& numpy, const Tensor& rows, int64_t times, const Tensor& owners, int64_t n_items,
             const Wrong& wrong) {
  const int64_t *row = numbers(rows), *owner = numbers(owners), n = rows.numel(), samples = owners.numel();
  Tensor found = at::empty({n * times}, rows.options());
  int64_t* value = found.data_ptr<int64_t>();
  std::vector<int64_t> again, of(n * times);
  for (int64_t i = 0; i < n; ++i) {
    TORCH_CHECK(row[i] >= 0 && row[i] < samples, "row ", row[i], " of ", samples);
    wrong.check(owner[row[i]]);
    for (int64_t k = 0; k < times; ++k) of[k * n + i] = owner[row[i]];
  }
  numpy.draw(n * times, n_items, [&](int64_t i, int64_t item) { value[i] = item; });
  for (int64_t i = 0; i < n * times; ++i)
    if (wrong(of[i], value[i])) again.push_back(i);
  while (!again.empty()) {
    numpy.draw(again.size(), n_items, [&](int64_t i, int64_t item) { value[again[i]] = item; });
    std::erase_if(again, [&](int64_t i) { return !wrong(of[i], value[i]); });
  }
  return found;
}

// Our stream: the number of a sample and the try say what is drawn, so that any order and threads give the same.
// A try's numbers are those of Dropout with a key of its own; their upper bits are the item (Lemire 2019, without
// his correction: an item is as likely as another to n_items / 2^32).
struct Try {
  Hash hash;
  uint32_t range;

  Try(int64_t key, uint64_t attempt, int64_t n_items)
      : hash(static_cast<uint64_t>(key), attempt), range(static_cast<uint32_t>(n_items - 1)) {}
  INLINE int32_t operator()(uint32_t sample) const {
    return 1 + static_cast<int32_t>((static_cast<uint64_t>(hash(sample)) * range) >> 32);
  }
};

template <class Wrong>
Tensor hashed(int64_t key, int64_t times, const Tensor& owners, int64_t n_items, const Wrong& wrong) {
  const int64_t *owner = numbers(owners), n = owners.numel();
  TORCH_CHECK(n_items >= 2 && n_items < (int64_t{1} << 31), n_items, " items");
  TORCH_CHECK(n * times < (int64_t{1} << 32), n * times, " negatives an epoch");
  for (int64_t i = 0; i < n; ++i) wrong.check(owner[i]);
  Tensor found = at::empty({times, n}, owners.options().dtype(at::kInt));
  int32_t* value = found.data_ptr<int32_t>();
  at::parallel_for(0, n * times, SAMPLES_AT_ONCE, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> again;
    for (int64_t from = begin; from < end; from += SAMPLES_AT_ONCE) {
      const int64_t to = std::min(end, from + SAMPLES_AT_ONCE);
      const Try first(key, 0, n_items);
      for (int64_t i = from; i < to; ++i) value[i] = first(static_cast<uint32_t>(i));
      again.clear();
      for (int64_t i = from; i < to; ++i)
        if (wrong(owner[i % n], value[i])) again.push_back(i);
      for (uint64_t attempt = 1; !again.empty(); ++attempt) {
        const Try next(key, attempt, n_items);
        std::erase_if(again, [&](int64_t i) {
          value[i] = next(static_cast<uint32_t>(i));
          return !wrong(owner[i % n], value[i]);
        });
      }
    }
  });
  return found;
}

}  // namespace

// Negatives of samples `rows`: for each of `owners`, users or items, the first of all rows, then the second, …
Tensor draw_unseen(int64_t next_uint32, int64_t state, const Tensor& rows, int64_t times, const Tensor& users,
                   const Tensor& bits, const Tensor& ends, const Tensor& items, int64_t n_items) {
  return drawn(Numpy(next_uint32, state), rows, times, users, n_items, seen(bits, ends, items, n_items));
}

Tensor draw_others(int64_t next_uint32, int64_t state, const Tensor& rows, int64_t times, const Tensor& targets,
                   int64_t n_items) {
  return drawn(Numpy(next_uint32, state), rows, times, targets, n_items, Same());
}

// The same of all samples of an epoch at once: [times, samples] int32.
Tensor hash_unseen(int64_t key, int64_t times, const Tensor& users, const Tensor& bits, const Tensor& ends,
                   const Tensor& items, int64_t n_items) {
  return hashed(key, times, users, n_items, seen(bits, ends, items, n_items));
}

Tensor hash_others(int64_t key, int64_t times, const Tensor& targets, int64_t n_items) {
  return hashed(key, times, targets, n_items, Same());
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("draw_unseen(int next_uint32, int state, Tensor rows, int times, Tensor users, Tensor bits, Tensor ends, "
        "Tensor items, int n_items) -> Tensor", &draw_unseen);
  m.def("draw_others(int next_uint32, int state, Tensor rows, int times, Tensor targets, int n_items) -> Tensor",
        &draw_others);
  m.def("hash_unseen(int key, int times, Tensor users, Tensor bits, Tensor ends, Tensor items, int n_items) "
        "-> Tensor", &hash_unseen);
  m.def("hash_others(int key, int times, Tensor targets, int n_items) -> Tensor", &hash_others);
}

}  // namespace recsweep
