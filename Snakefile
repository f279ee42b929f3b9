# The pipeline: prepare -> tune -> summarize. The rules only call the command line; what there is to
# do is computed from the config in one place (recsweep.planning.plan). The store is the truth: a rule that
# runs again finds its finished trials there and trains nothing twice.
#
# Outputs (below `outputs`, or what the config says):
#   recsweep.db                                        the store
#   cache/                                             prepared data sets, by content
#   prepared/<sweep>/<dataset>.yaml                    what is in a data set, and where it is cached
#   results/<sweep>/<dataset>/<model>/best_result.yaml   score, metrics, parameters, provenance
#   results/<sweep>/<dataset>/<model>/best_config.yaml   a complete config, for recsweep and RecBole
#   results/<sweep>/<dataset>/<model>/best_params.json   the parameters alone
#   results/<sweep>/<dataset>/<model>/trials.csv       every trial, one row
#   results/<sweep>/<dataset>/<model>/study_results.json   every trial, whole
#   results/<sweep>/<dataset>/<model>/<phase>/…        the same of each phase before the last one
#   results/<sweep>/summary.{csv,md,tex}               the best configuration of every model
#   results/<sweep>/<dataset>/<model>/evidence/…       the same trained on other seeds and splits, and
#   results/<sweep>/evidence.csv                       what that comes to, by the target `evidence`
#   report/<sweep>/index.html                          the report, where the rule report_sweep is asked for
#   checkpoints/<sweep>/<dataset>/<model>/trial-<n>/   weights of the winner
#   logs/<sweep>/                                      a log of each rule and of each worker
#
# With phases, a study is a phase of a model on a data set; each needs the best parameters of the one
# before. With `workers_per_study`, a study is opened, filled by that many jobs, and then closed.
import os
import re
import sys
from pathlib import Path

# The commands of the environment that runs Snakemake, also when it is not activated.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
)

try:
    from recsweep.api.studies import Studies
    from recsweep.cli import flags, secrets_in_the_open, slips, variables
    from recsweep.cli.typed import command_line
    from recsweep.sweeps.loading import load_sweep
    from recsweep.sweeps.options import variable
    from recsweep.sweeps.overrides import OVERRIDES, from_environment
    from recsweep.sweeps.resources import CPUS_ELSEWHERE
    from recsweep.common.errors import RecsweepError
    from recsweep.common.paths import Outputs
    from recsweep.planning.baseline import baselines
    from recsweep.planning.plan import plan_sweep
except ImportError as error:
    sys.exit(
        f"recsweep is not installed beside this Snakemake ({error}); "
        "run `make setup`, then .venv/bin/snakemake"
    )

SETTINGS = dict(config)
SWEEP_FILE = str(
    SETTINGS.pop("sweep_file", None)
    or os.environ.get("RECSWEEP_CONFIG")
    or "config/config.yaml"
)
if SETTINGS.get("storage") or SETTINGS.get("storage_file"):
    for name in ("RECSWEEP_STORAGE", "RECSWEEP_STORAGE_FILE"):
        os.environ.pop(name, None)
for slip in slips():
    print(f"recsweep: {slip}", file=sys.stderr)
try:
    FROM_OUTSIDE = from_environment()
    GIVEN_AS = {
        **{name: variable(name) for name in FROM_OUTSIDE},
        **{name: f"--config {name}" for name in SETTINGS},
    }
    SWEEP = load_sweep(Path(SWEEP_FILE), {**FROM_OUTSIDE, **SETTINGS}, GIVEN_AS)
    STUDIES = {
        (study.dataset_name, study.model_name, study.phase): study
        for study in plan_sweep(SWEEP)
    }
except RecsweepError as error:
    print(f"recsweep: {error}", file=sys.stderr)
    sys.exit(error.exit_code)

for line in secrets_in_the_open(SWEEP, typed=bool(SETTINGS.get("storage"))):
    print(f"recsweep: {line}", file=sys.stderr)
config.pop("storage", None)

# What is printed when a run is stopped can be typed as it stands. What it was made of goes from the environment.
os.environ.update(RECSWEEP_TYPED=command_line(sys.argv))
for name in ("RECSWEEP_GOAL", "RECSWEEP_GIVEN", "RECSWEEP_OPEN"):
    os.environ.pop(name, None)
# The jobs get everything as options, but for the address of the store, which may hold a secret: arguments
# stand in `ps`, in Snakemake's messages and in its metadata. What the environment says of one study or one
# command is not for the jobs; what it says of the sweep stays, for a job elsewhere reads this file again.
for name in variables() - {"RECSWEEP_CONFIG", *map(variable, OVERRIDES)}:
    os.environ.pop(name, None)
if "storage" in SWEEP.overrides:
    os.environ.pop("RECSWEEP_STORAGE_FILE", None)
    os.environ.update(RECSWEEP_STORAGE=SWEEP.overrides["storage"].reveal())

# On a cluster that does not hand the environment on, Kubernetes, the address travels in a secret.
if "RECSWEEP_STORAGE" in os.environ:

    envvars:
        "RECSWEEP_STORAGE",


EVERY = Studies(SWEEP, list(STUDIES.values()), list(STUDIES.values()))
OUTPUTS = Outputs(SWEEP.config.outputs, SWEEP.config.sweep)
LOGS = OUTPUTS.logs
FLAGS = {
    command: ["--config", SWEEP_FILE, *flags(command, SWEEP.overrides)]
    for command in (
        "prepare",
        "open",
        "worker",
        "tune",
        "baseline",
        "evidence",
        "summarize",
        "report",
    )
}
BASELINES = baselines(list(STUDIES.values()))
LAST = {
    (study.dataset_name, study.model_name): study
    for study in STUDIES.values()
    if study.is_last
}
RESULT_FILES = (
    "best_result.yaml",
    "best_config.yaml",
    "best_params.json",
    "trials.csv",
    "study_results.json",
)
SUMMARY = [str(OUTPUTS.summary(suffix)) for suffix in ("csv", "md", "tex")]
REPORT = [
    str(OUTPUTS.report(name))
    for name in ("tables.md", "tables.tex", "appendix.tex", "references.bib")
]
JOBS = SWEEP.config.workers.workers_per_study
# A study uses the whole machine, if nobody says otherwise; two at once would fight for its cores.
CORES = os.cpu_count() or 1


def say(line):
    """A line beside what Snakemake says."""
    print(f"recsweep: {line}", file=sys.stderr, flush=True)


wildcard_constraints:
    dataset="|".join(map(re.escape, SWEEP.datasets)),
    model="|".join(map(re.escape, SWEEP.models)),
    phase="[a-z_]+",
    job="[0-9]+",


def study_of(wildcards):
    """The study of a rule; one without a phase in its outputs is of the model's last one."""
    place = wildcards.dataset, wildcards.model
    phase = getattr(wildcards, "phase", None) or LAST[place].phase
    return STUDIES[(*place, phase)]


def fingerprint(wildcards):
    """What a study computes and how much of it: a rule runs again when this changes."""
    study = study_of(wildcards)
    limits = study.sweep.search.timeout_minutes, study.sweep.search.no_improvement_after
    return f"{study.content_hash}/{study.budget}/{limits}/{study.sweep.timeout_minutes}/{study.storage_url}"


def files_of(*place, names=RESULT_FILES):
    """The files of a study: data set, model, and the phase where it is not the last one."""
    return [str(OUTPUTS.study(*place) / name) for name in names]


def results_of(study, names=RESULT_FILES):
    return files_of(*study.folder_names, names=names)


def cpus(wildcards, jobs=1):
    """The cores of a job that trains a study; jobs on one machine share it, and elsewhere it is not known."""
    shared = max(1, CORES // jobs) if workflow.local_exec else CPUS_ELSEWHERE
    return study_of(wildcards).resources.cpus or shared


def gpus(wildcards):
    """The GPUs of such a job; None where it wants none, as Kubernetes takes a 0 for one that is asked for."""
    return study_of(wildcards).resources.gpus or None


def minutes(wildcards):
    """Its time limit; None: the scheduler's own, or what a profile says."""
    return study_of(wildcards).resources.minutes


def needs(wildcards):
    """The prepared data, and the best parameters of the phase before."""
    study = study_of(wildcards)
    before = STUDIES.get((study.dataset_name, study.model_name, study.previous))
    prepared = [str(OUTPUTS.prepared(study.dataset_name))]
    return prepared + (results_of(before, ["best_params.json"]) if before else [])


def opened(study):
    return f"{LOGS}/open/{study.dataset_name}/{study.model_name}/{study.phase}.opened"


def worked(wildcards):
    """The marks of the jobs that fill a study, where it has jobs of its own."""
    study = study_of(wildcards)
    return [opened(study).replace(".opened", f".{job}.worked") for job in range(JOBS)]


rule all:
    default_target: True
    input:
        SUMMARY,
        [path for study in LAST.values() for path in results_of(study)],


rule prepare_dataset:
    output:
        str(OUTPUTS.prepared("{dataset}")),
    log:
        f"{LOGS}/prepare/{{dataset}}.log",
    benchmark:
        f"{LOGS}/prepare/{{dataset}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        flags=FLAGS["prepare"],
        data=lambda wildcards: str(
            [
                study.content_hash
                for study in STUDIES.values()
                if study.dataset_name == wildcards.dataset
            ]
        ),
    shell:
        "recsweep prepare {params.flags:q} --dataset={wildcards.dataset:q} 2>&1 | tee {log:q}"


rule open_study:
    input:
        needs,
    output:
        touch(f"{LOGS}/open/{{dataset}}/{{model}}/{{phase}}.opened"),
    log:
        f"{LOGS}/open/{{dataset}}/{{model}}/{{phase}}.log",
    benchmark:
        f"{LOGS}/open/{{dataset}}/{{model}}/{{phase}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        flags=FLAGS["open"],
        fingerprint=fingerprint,
    shell:
        "recsweep open {params.flags:q} --dataset={wildcards.dataset:q} --model={wildcards.model:q}"
        " --phase={wildcards.phase:q} 2>&1 | tee {log:q}"


rule work_on_study:
    input:
        f"{LOGS}/open/{{dataset}}/{{model}}/{{phase}}.opened",
    output:
        touch(f"{LOGS}/open/{{dataset}}/{{model}}/{{phase}}.{{job}}.worked"),
    log:
        f"{LOGS}/work/{{dataset}}/{{model}}/{{phase}}.{{job}}.log",
    benchmark:
        f"{LOGS}/work/{{dataset}}/{{model}}/{{phase}}.{{job}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: lambda wildcards: cpus(wildcards, JOBS)
    resources:
        mem_mb=lambda wildcards: study_of(wildcards).resources.mebibytes,
        gpu=gpus,
        gpu_manufacturer=lambda wildcards: "nvidia" if gpus(wildcards) else None,
        runtime=minutes,
    params:
        flags=FLAGS["worker"],
        fingerprint=fingerprint,
    shell:
        "recsweep worker {params.flags:q} --dataset={wildcards.dataset:q} --model={wildcards.model:q}"
        " --phase={wildcards.phase:q} 2>&1 | tee {log:q}"


rule tune_phase:
    input:
        needs,
        worked,
    output:
        files_of("{dataset}", "{model}", "{phase}"),
    log:
        f"{LOGS}/tune/{{dataset}}/{{model}}/{{phase}}.log",
    benchmark:
        f"{LOGS}/tune/{{dataset}}/{{model}}/{{phase}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: cpus
    resources:
        mem_mb=lambda wildcards: study_of(wildcards).resources.mebibytes,
        gpu=gpus,
        gpu_manufacturer=lambda wildcards: "nvidia" if gpus(wildcards) else None,
        runtime=minutes,
    params:
        flags=FLAGS["tune"],
        fingerprint=fingerprint,
    shell:
        "recsweep tune {params.flags:q} --dataset={wildcards.dataset:q} --model={wildcards.model:q}"
        " --phase={wildcards.phase:q} --log={log:q}"


rule tune_study:
    input:
        needs,
        worked,
    output:
        files_of("{dataset}", "{model}"),
    log:
        f"{LOGS}/tune/{{dataset}}/{{model}}.log",
    benchmark:
        f"{LOGS}/tune/{{dataset}}/{{model}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: cpus
    resources:
        mem_mb=lambda wildcards: study_of(wildcards).resources.mebibytes,
        gpu=gpus,
        gpu_manufacturer=lambda wildcards: "nvidia" if gpus(wildcards) else None,
        runtime=minutes,
    params:
        flags=FLAGS["tune"],
        fingerprint=fingerprint,
        phase=lambda wildcards: study_of(wildcards).phase,
    shell:
        "recsweep tune {params.flags:q} --dataset={wildcards.dataset:q} --model={wildcards.model:q}"
        " --phase={params.phase:q} --log={log:q}"


rule summarize_sweep:
    input:
        [
            path
            for study in LAST.values()
            for path in results_of(study, ["best_result.yaml"])
        ],
        [f"{LOGS}/baseline/{plan.dataset_name}.trained" for plan in BASELINES],
    output:
        SUMMARY,
    log:
        f"{LOGS}/summarize.log",
    benchmark:
        f"{LOGS}/summarize.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        flags=FLAGS["summarize"],
        store=str(next(iter(STUDIES.values())).storage_url),
    shell:
        "recsweep summarize {params.flags:q} 2>&1 | tee {log:q}"


# `Pop`, to be better than: of no study's budget, and nothing waits for it but the summary.
rule train_baseline:
    input:
        str(OUTPUTS.prepared("{dataset}")),
    output:
        touch(f"{LOGS}/baseline/{{dataset}}.trained"),
    log:
        f"{LOGS}/baseline/{{dataset}}.log",
    benchmark:
        f"{LOGS}/baseline/{{dataset}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        flags=FLAGS["baseline"],
        data=lambda wildcards: [
            plan.content_hash
            for plan in BASELINES
            if plan.dataset_name == wildcards.dataset
        ],
    shell:
        "recsweep baseline {params.flags:q} --dataset={wildcards.dataset:q} --log={log:q}"


rule train_evidence:
    input:
        files_of("{dataset}", "{model}", names=["best_result.yaml"]),
    output:
        str(OUTPUTS.evidence("{dataset}", "{model}") / "evidence.yaml"),
    log:
        f"{LOGS}/evidence/{{dataset}}/{{model}}.log",
    benchmark:
        f"{LOGS}/evidence/{{dataset}}/{{model}}.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: cpus
    resources:
        mem_mb=lambda wildcards: study_of(wildcards).resources.mebibytes,
        gpu=gpus,
        gpu_manufacturer=lambda wildcards: "nvidia" if gpus(wildcards) else None,
        runtime=minutes,
    params:
        flags=FLAGS["evidence"],
        fingerprint=fingerprint,
        seeds=str(SWEEP.config.evidence),
    shell:
        "recsweep evidence {params.flags:q} --dataset={wildcards.dataset:q} --model={wildcards.model:q}"
        " --log={log:q}"


rule summarize_evidence:
    input:
        [str(OUTPUTS.evidence(*place) / "evidence.yaml") for place in LAST],
    output:
        str(OUTPUTS.evidence_table),
    log:
        f"{LOGS}/summarize_evidence.log",
    benchmark:
        f"{LOGS}/summarize_evidence.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        flags=FLAGS["summarize"],
    shell:
        "recsweep summarize {params.flags:q} 2>&1 | tee {log:q}"


rule evidence:
    input:
        rules.summarize_evidence.output,


# Not among what `all` makes: it is asked for by its name, and then Snakemake's own `--report` shows it too.
rule report_sweep:
    input:
        SUMMARY,
    output:
        page=report(
            str(OUTPUTS.report("index.html")),
            category="Report",
            labels={"sweep": SWEEP.config.sweep},
        ),
        files=REPORT,
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{LOGS}/report.benchmark.tsv"
    conda:
        "envs/recsweep.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        flags=FLAGS["report"],
        store=str(next(iter(STUDIES.values())).storage_url),
    shell:
        "recsweep report {params.flags:q} 2>&1 | tee {log:q}"


onstart:
    from recsweep.cli import announce
    from recsweep.api.notifying import forget_notes
    from recsweep.api.slots import go_on

    forget_notes(EVERY)
    try:
        announce(list(STUDIES.values()))
        # What `recsweep stop` asks from now on holds for all jobs: none of them takes it back.
        go_on(STUDIES.values())
    except RecsweepError as error:
        print(f"recsweep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


onsuccess:
    from recsweep.api.notifying import FINISHED, notify_of_jobs

    notify_of_jobs(EVERY, FINISHED, command_line(sys.argv), say)


onerror:
    import atexit
    from recsweep.api.notifying import FAILED, notify_of_jobs
    from recsweep.api.interrupted import how_to_go_on

    all_studies = list(STUDIES.values())
    going_on = how_to_go_on(all_studies, all_studies, command_line(sys.argv))
    # The last line: after all that Snakemake says of its jobs.
    atexit.register(
        print, f"recsweep: not complete; {going_on}", file=sys.stderr, flush=True
    )
    notify_of_jobs(EVERY, FAILED, command_line(sys.argv), say)
