# The pipeline: prepare -> tune -> summarize. The rules only call the command line; what there is to
# do is computed from the config in one place (recsweep.plan). The store is the truth: a rule that
# runs again finds its finished trials there and trains nothing twice.
#
# Outputs (below `outputs`, or what the config says):
#   recsweep.db                                        the store
#   results/prepared/<dataset>.yaml                    what is in a data set, and where it is cached
#   results/tuning/<dataset>/<model>/best_result.yaml  score, metrics, parameters, provenance
#   results/tuning/<dataset>/<model>/best_config.yaml  a complete config, for recsweep and RecBole
#   results/tuning/<dataset>/<model>/best_params.json  the parameters alone
#   results/tuning/<dataset>/<model>/trials.csv        every trial, one row
#   results/summary.{csv,md,tex}                       the best configuration of every model
#   checkpoints/<dataset>/<model>/trial-<n>/           weights of the winner
#   cache/                                             prepared data sets, by content
#   logs/                                              a log of each rule and of each worker
import os
import re
import sys
from pathlib import Path

# The commands of the environment that runs Snakemake, also when it is not activated.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
)

try:
    from recsweep.loading import load_sweep, option_flags
    from recsweep.errors import RecsweepError
    from recsweep.plan import plan_sweep
except ImportError as error:
    sys.exit(
        f"recsweep is not installed beside this Snakemake ({error}); "
        "run `make setup`, then .venv/bin/snakemake"
    )

SETTINGS = dict(config)
SWEEP_FILE = str(SETTINGS.pop("sweep_file", "config/config.yaml"))
try:
    SWEEP = load_sweep(Path(SWEEP_FILE), SETTINGS)
    STUDIES = {
        (study.dataset_name, study.model_name): study for study in plan_sweep(SWEEP)
    }
except RecsweepError as error:
    print(f"recsweep: {error}", file=sys.stderr)
    sys.exit(error.exit_code)

OUT = str(SWEEP.config.outputs)
FLAGS = ["--config", SWEEP_FILE, *option_flags(SWEEP.overrides)]
GPUS = 0 if SWEEP.config.training.device == "cpu" else 1
RESULT_FILES = (
    "best_result.yaml",
    "best_config.yaml",
    "best_params.json",
    "trials.csv",
)
# A study uses the whole machine; two at once would fight for its cores.
CORES = os.cpu_count() or 1


wildcard_constraints:
    dataset="|".join(map(re.escape, SWEEP.datasets)),
    model="|".join(map(re.escape, SWEEP.models)),


def fingerprint(wildcards):
    """What a study computes and how much of it: a rule runs again when this changes."""
    study = STUDIES[wildcards.dataset, wildcards.model]
    return f"{study.content_hash}/{study.budget}"


rule all:
    default_target: True
    input:
        expand(f"{OUT}/results/summary.{{suffix}}", suffix=["csv", "md", "tex"]),
        [
            f"{OUT}/results/tuning/{dataset}/{model}/{name}"
            for dataset, model in STUDIES
            for name in RESULT_FILES
        ],


rule prepare_dataset:
    output:
        f"{OUT}/results/prepared/{{dataset}}.yaml",
    log:
        f"{OUT}/logs/prepare/{{dataset}}.log",
    benchmark:
        f"{OUT}/logs/prepare/{{dataset}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        gpu=0,
    params:
        flags=FLAGS,
        data=lambda wildcards: str(
            [s.content_hash for (d, _), s in STUDIES.items() if d == wildcards.dataset]
        ),
    shell:
        "recsweep prepare {params.flags:q} --dataset={wildcards.dataset:q} 2>&1 | tee {log:q}"


rule tune_study:
    input:
        f"{OUT}/results/prepared/{{dataset}}.yaml",
    output:
        f"{OUT}/results/tuning/{{dataset}}/{{model}}/best_result.yaml",
        f"{OUT}/results/tuning/{{dataset}}/{{model}}/best_config.yaml",
        f"{OUT}/results/tuning/{{dataset}}/{{model}}/best_params.json",
        f"{OUT}/results/tuning/{{dataset}}/{{model}}/trials.csv",
    log:
        f"{OUT}/logs/tune/{{dataset}}/{{model}}.log",
    benchmark:
        f"{OUT}/logs/tune/{{dataset}}/{{model}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: CORES
    resources:
        mem_mb=8000,
        gpu=GPUS,
    params:
        flags=FLAGS,
        fingerprint=fingerprint,
    shell:
        "recsweep tune {params.flags:q} --dataset={wildcards.dataset:q} --model={wildcards.model:q}"
        " --log={log:q}"


rule summarize_sweep:
    input:
        [
            f"{OUT}/results/tuning/{dataset}/{model}/best_result.yaml"
            for dataset, model in STUDIES
        ],
    output:
        expand(f"{OUT}/results/summary.{{suffix}}", suffix=["csv", "md", "tex"]),
    log:
        f"{OUT}/logs/summarize.log",
    benchmark:
        f"{OUT}/logs/summarize.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        flags=FLAGS,
    shell:
        "recsweep summarize {params.flags:q} 2>&1 | tee {log:q}"


onstart:
    from recsweep.cli import announce

    try:
        announce(list(STUDIES.values()))
    except RecsweepError as error:
        print(f"recsweep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
