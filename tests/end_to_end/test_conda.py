"""`snakemake --use-conda`, with a stand-in for conda itself.

A conda and its channels cannot be had from the package index, so a script answers in conda's place
and makes a plain virtual environment where conda would make its own. All the rest is real: the
environment file, the post-deploy script that installs the lock into it, and the rules that run there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recsweep import __version__

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 900.0

CONDA = f"""#!/usr/bin/env bash
set -eu
case "$*" in
  "info --json") echo '{{"conda_prefix": "{{prefix}}", "platform": "linux-64"}}' ;;
  "--version") echo "conda 26.1.0" ;;
  "config --get channel_priority --json") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "clean -y --tarballs") ;;
  env\\ create*)
    while [ "$1" != "--prefix" ]; do shift; done
    "{sys.base_prefix}/bin/python3" -m venv "$2" ;;
  *) echo "the stand-in for conda does not know: $*" >&2; exit 1 ;;
esac
"""
ACTIVATE = '. "$1/bin/activate"\n'


@pytest.mark.long
def test_the_rules_run_in_an_environment_made_from_the_lock(tmp_path: Path) -> None:
    prefix = tmp_path / "conda"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "conda").write_text(CONDA.replace("{prefix}", str(prefix)))
    (prefix / "bin" / "conda").chmod(0o755)
    (prefix / "bin" / "activate").write_text(ACTIVATE)
    folder = tmp_path / "checkout"
    kept = ("Snakefile", "pyproject.toml", "README.md")
    for name in ("config", "envs", "profiles", "src"):
        shutil.copytree(ROOT / name, folder / name)
    for name in kept:
        shutil.copy(ROOT / name, folder / name)

    # The rules' own environment shows by a version that Snakemake's does not have.
    package = folder / "src/recsweep/__init__.py"
    package.write_text(package.read_text().replace(__version__, f"{__version__}+here"))

    settings = ["sweep_file=config/smoke.yaml", "models=FPMC", "max_evals=1", "epochs=1", "cooldown=0"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--use-conda", "--config", *settings],
        cwd=folder,
        env={**os.environ, "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    best = folder / "outputs/results/smoke/ml-100k-small/FPMC/best_result.yaml"
    versions = yaml.safe_load(best.read_text())["environment"]["versions"]
    assert (versions["recsweep"], versions["recbole"]) == (f"{__version__}+here", "1.2.1")
    log = (folder / "outputs/logs/smoke/tune/ml-100k-small/FPMC.log").read_text()
    assert "1 of 1 trials to run" in log
