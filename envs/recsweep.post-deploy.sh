#!/usr/bin/env bash
# Snakemake runs this inside the conda environment that it has just made from recsweep.yaml.
# The next line changes with the lock, and with it the environment's name, so it is made anew.
# lock: 1d302a8d5b93d502
set -euo pipefail

if [ ! -f envs/install.sh ]; then
  echo "envs/install.sh is not here; run snakemake from the folder of the Snakefile" >&2
  exit 1
fi
bash envs/install.sh python
