"""Who makes the kernels' matrix products, and our own ones with each width of vectors."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.fast import compiled_kernels
from recsweep.training.fast import build, gemm

PRODUCTS = """
#include <cmath>
#include <cstdio>
#include "products.h"
using namespace recsweep;
int main() {
  double worst = 0;
  for (int m : {1, 7, 31}) for (int n : {1, 16, 45}) for (int k : {0, 3, 150})
  for (bool add : {false, true}) {
    std::vector<float> a(m * k + 1), at(m * k + 1), b(k * n + 1), bt(k * n + 1);
    for (int i = 0; i < m; ++i)
      for (int l = 0; l < k; ++l) at[l * m + i] = a[i * k + l] = std::sin(i * 7 + l);
    for (int l = 0; l < k; ++l)
      for (int j = 0; j < n; ++j) bt[j * k + l] = b[l * n + j] = std::cos(l + j * 5);
    std::vector<float> one(m * n, 0.5f), other(m * n, 0.5f), third(m * n, 0.5f);
    Panels panels;
    panels.pack(k, n, b.data(), n, false);
    packed_product(m, a.data(), k, 1, panels, one.data(), n, add);
    panels.pack(k, n, bt.data(), k, true);
    packed_product(m, at.data(), 1, m, panels, other.data(), n, add);
    packed_product_tn(m, n, k, at.data(), m, b.data(), n, third.data(), n, add);
    for (int i = 0; i < m; ++i) for (int j = 0; j < n; ++j) {
      double sum = add ? 0.5 : 0.0;
      for (int l = 0; l < k; ++l) sum += double(a[i * k + l]) * b[l * n + j];
      for (float found : {one[i * n + j], other[i * n + j], third[i * n + j]})
        worst = std::fmax(worst, std::fabs(found - sum));
    }
  }
  std::printf("%g", worst);
}
"""


@pytest.mark.parametrize("vectors", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_own_products_are_right_with_vectors_of_any_width(vectors, tmp_path):
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None or build.missing_tools():
        pytest.skip("nothing can be compiled here")
    source, program = tmp_path / "products.cpp", tmp_path / "products"
    source.write_text(PRODUCTS)
    flags = [f"-I{build.SOURCES}", "-std=c++20", "-O1", f"-march={vectors}"]
    subprocess.run([compiler, *flags, str(source), "-o", str(program)], check=True)
    needed = {"x86-64-v3": "avx2", "x86-64-v4": "avx512f"}.get(vectors, "")
    if needed not in build.processor():
        return  # it compiles; another machine runs it
    found = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    assert float(found.stdout) < 1e-4


@pytest.mark.long
@pytest.mark.parametrize("vectors", ["x86-64-v2", "x86-64-v4"])
def test_all_kernels_compile_with_vectors_of_any_width(vectors):
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None or build.missing_tools():
        pytest.skip("nothing can be compiled here")
    from torch.utils.cpp_extension import include_paths

    flags = ["-fsyntax-only", "-std=c++20", "-fopenmp", f"-march={vectors}"]
    flags += [f"-I{folder}" for folder in include_paths()]
    for source in sorted(build.SOURCES.glob("*.cpp")):
        done = subprocess.run([compiler, *flags, str(source)], capture_output=True, text=True)
        assert done.returncode == 0, f"{source.name}: {done.stderr[:500]}"


def test_a_vector_of_the_kernels_is_defined_once():
    """Two of one name are equal with AVX2 alone, and no library can be built on any other processor."""
    names = [
        name
        for source in build.SOURCES.glob("*.h")
        for name in re.findall(r"^typedef float (\w+) __attribute__", source.read_text(), re.MULTILINE)
    ]
    assert len(names) == len(set(names)) > 1, sorted(names)


def test_the_fastest_library_is_chosen_unless_own_is_close(tmp_path, monkeypatch):
    monkeypatch.delenv(gemm.SWITCH, raising=False)
    assert (gemm.rates(tmp_path), gemm.chosen(tmp_path), gemm.told(tmp_path)) == ({}, "own", "own")
    for mkl, expected in ((104.0, "own"), (106.0, "mkl")):
        (tmp_path / "products.json").write_text(json.dumps({"own": 100.0, "mkl": mkl}))
        assert gemm.chosen(tmp_path) == expected
    assert gemm.told(tmp_path) == "mkl (own 100, mkl 106 GFLOP/s on one core)"
    monkeypatch.setenv(gemm.SWITCH, "onednn")
    assert gemm.chosen(tmp_path) == "onednn"


def test_a_measurement_is_kept_and_changes_nothing(tmp_path, monkeypatch):
    kernels = compiled_kernels()
    before = kernels.used_products()
    monkeypatch.setattr(gemm, "_SECONDS", 0.01)
    gemm.measure(kernels, tmp_path)
    assert set(gemm.rates(tmp_path)) <= set(gemm.LIBRARIES)
    assert gemm.rates(tmp_path)["own"] > 0
    assert kernels.used_products() == before
    with pytest.raises(RuntimeError, match="no library of matrix products is named blis"):
        kernels.use_products("blis")


def test_kernels_for_avx2_have_a_name_of_their_own(monkeypatch):
    monkeypatch.delenv(build.SWITCH, raising=False)
    own = build._key.__wrapped__()
    monkeypatch.setenv(build.SWITCH, "avx2")
    assert "-march=native" not in build.flags()
    assert build._key.__wrapped__() != own


def test_kernels_lie_where_their_products_were_measured():
    compiled_kernels()
    folder: Path = build.library().parent
    assert "own" in gemm.rates(folder)
