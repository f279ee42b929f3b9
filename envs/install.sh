#!/usr/bin/env bash
# Install the locked requirements and recsweep itself into a Python environment.
#
#   envs/install.sh PYTHON
#
# `make setup` calls it for .venv, Snakemake for its conda environment; both get the same packages.
set -euo pipefail

python=${1:?usage: envs/install.sh PYTHON}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=$root/envs/requirements.lock
pip=("$python" -m pip --disable-pip-version-check)

# torch first, with its dependencies: a CUDA build needs NVIDIA's packages, a CPU build does not, and
# pip knows which one it takes. The lock holds back everything else.
torch=$(grep -E '^torch==' "$lock" | cut -d' ' -f1)
echo "recsweep set-up 1/3: $torch"
"${pip[@]}" install --quiet --no-compile --constraint "$lock" "$torch"

# The rest as it stands in the lock, without resolution: RecBole's pin on an old ray cannot win.
echo "recsweep set-up 2/3: locked requirements"
"${pip[@]}" install --quiet --no-compile --no-deps --requirement "$lock"
"${pip[@]}" install --quiet --no-deps --no-build-isolation --editable "$root"

# Bytecode now, on all cores: it halves the first imports. Some packages ship files for newer
# Pythons only, which this one cannot compile and never imports.
echo "recsweep set-up 3/3: bytecode"
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -m compileall -q -q -j 0 "$site" || true

# Training's compiled kernels, where there is a compiler; without them it takes the Python path.
"$python" -m recsweep.training.fast.build
