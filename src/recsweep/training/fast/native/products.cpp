// Which library makes the kernels' matrix products, and how fast each of them is here.
#include "common.h"

#include <ctime>
#include <string>

namespace recsweep {
namespace {

constexpr const char* NAMES[] = {"own", "mkl", "onednn"};

Library find(const std::string& name) {
  for (int64_t i = 0; i < 3; ++i)
    if (name == NAMES[i] && (i != 2 || has_onednn())) return static_cast<Library>(i);
  TORCH_CHECK(false, "no library of matrix products is named ", name);
}

// The products of a layer on a chunk, forward and backward: x [rows, k] and its weight [n, k].
void layer(int64_t rows, int64_t k, int64_t n, const float* x, const float* w, float* y, float* gradient) {
  multiply_nt(rows, n, k, x, k, w, k, y, n);
  multiply(rows, k, n, y, n, w, k, gradient, k);
  multiply_tn(n, k, rows, y, n, x, k, gradient, k);
}

// Seconds that this thread has had of a processor: what else runs does not count.
double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

// The library of all products from now on.
void use_products(std::string name) { library() = find(name); }

std::string used_products() { return NAMES[static_cast<int64_t>(library())]; }

// Operations a second of a processor, where torch has one thread, over the shapes that sequence models have; the best of some rounds.
double rate_products(std::string name, double seconds) {
  constexpr int64_t shapes[][3] = {{1024, 64, 64}, {1024, 64, 256}, {1024, 256, 64}, {64, 128, 384}, {256, 64, 1700}};
  const Library before = library();
  library() = find(name);
  Buffer x(1024 * 256, 0.5f), w(256 * 1700, 0.01f), y(1024 * 512), gradient(1024 * 512);
  double best = 0.0, spent = 0.0;
  while (spent < seconds) {
    double operations = 0.0;
    const double begun = now();
    for (const auto& [rows, k, n] : shapes) {
      layer(rows, k, n, x.data(), w.data(), y.data(), gradient.data());
      operations += 6.0 * rows * k * n;
    }
    const double took = now() - begun;
    spent += took;
    best = std::max(best, operations / took);
  }
  library() = before;
  return best;
}

TORCH_LIBRARY_FRAGMENT(recsweep, m) {
  m.def("use_products(str name) -> ()", &use_products);
  m.def("used_products() -> str", &used_products);
  m.def("rate_products(str name, float seconds) -> float", &rate_products);
}

}  // namespace recsweep
