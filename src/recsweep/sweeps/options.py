"""Every setting once: its name, what it is for, and where it may be set.

Type, range, choices and default of what a sweep file can say are read from the models in `config.py`. Options
of the commands, Make's variables, keys of `snakemake --config`, the tables of the pages and the completion of
the shell are made from this list.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.setting import LIMITS, PLACES, RUNNING, SEARCH, STUDIES, THIS, TRAINING, Setting

_S = Setting
SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        # -- which studies
        _S(
            "config",
            "The sweep: a YAML file, or `FILE.py:NAME` for a `SweepConfig` made in Python.",
            STUDIES,
            make="CONFIG",
            shown="FILE",
            aliases=("sweep",),
            default="config/config.yaml",
            completes="file",
        ),
        _S(
            "models",
            'Models, e.g. "GRU4Rec SASRec".',
            STUDIES,
            "models",
            "TUNABLE_MODELS",
            "NAMES",
            completes="models",
            several=True,
        ),
        _S(
            "datasets",
            "Data sets, by the names of their files.",
            STUDIES,
            "datasets",
            "DATASETS",
            "NAMES",
            completes="datasets",
            several=True,
        ),
        _S("dataset", "Only this data set.", STUDIES, make="DATASET", shown="NAME", completes="datasets"),
        _S("model", "Only this model.", STUDIES, make="MODEL", shown="NAME", completes="models"),
        _S("phase", "Only this phase.", STUDIES, make="PHASE", shown="NAME", completes="phases"),
        _S(
            "study_name",
            "Name of the one study in the store, instead of its own.",
            STUDIES,
            make="STUDY_NAME",
            shown="NAME",
            more="Its files lie in `study-<name>/` beside those of the study of that model",
            completes="studies",
        ),
        # -- the search
        _S("engine", "What drives a study.", SEARCH, "search.engine", "ENGINE", definition=True),
        _S(
            "algo",
            "How parameters are proposed (`bayes` is TPE).",
            SEARCH,
            "search.algo",
            "ALGO",
            more="Which engine has which is [in the table of keys](../config/README.md#search)",
            definition=True,
        ),
        _S(
            "max_evals",
            "Trials of each study.",
            SEARCH,
            "search.max_evals",
            "MAX_EVALS",
            "N",
            aliases=("n-trials",),
        ),
        _S(
            "pruner",
            "The rule that stops poor trials early.",
            SEARCH,
            "pruning.pruner",
            "PRUNER",
            definition=True,
        ),
        _S(
            "phases",
            'Phases, one after the other, e.g. "coarse architecture training".',
            SEARCH,
            "search.phases",
            "PHASES",
            "NAMES",
            completes="phases",
            several=True,
            definition=True,
        ),
        _S(
            "warm_start",
            "Files or studies whose best are tried first.",
            SEARCH,
            "search.warm_start",
            "WARM_START",
            "NAMES",
            completes="studies",
            several=True,
            definition=True,
        ),
        _S(
            "transfer",
            "Try first what was best on the sweep's other data sets.",
            SEARCH,
            "search.transfer",
            switch=True,
            definition=True,
        ),
        _S(
            "allow_large_grid",
            "Confirm a grid of more than 1,000 combinations.",
            SEARCH,
            "search.allow_large_grid",
            switch=True,
        ),
        # -- the training
        _S("epochs", "Most epochs of a trial.", TRAINING, "training.epochs", "EPOCHS", "N", definition=True),
        _S(
            "patience",
            "Validations without progress before a trial ends.",
            TRAINING,
            "training.stopping_step",
            "PATIENCE",
            "N",
            definition=True,
        ),
        _S(
            "batch_size",
            "Training samples in a batch.",
            TRAINING,
            "training.train_batch_size",
            "BATCH_SIZE",
            "N",
            definition=True,
        ),
        _S(
            "seed",
            "Seed of the sweep; every trial's seed follows from it.",
            TRAINING,
            "seed",
            "SEED",
            "N",
            definition=True,
        ),
        # -- limits
        _S(
            "timeout_minutes",
            "No trial of a study starts after so many minutes of it.",
            LIMITS,
            "search.timeout_minutes",
            "TIMEOUT_MINUTES",
            "N",
        ),
        _S(
            "no_improvement_after",
            "End a study after N trials in a row without a better one.",
            LIMITS,
            "search.no_improvement_after",
            "NO_IMPROVEMENT_AFTER",
            "N",
        ),
        _S(
            "sweep_timeout_minutes",
            "No trial of the sweep starts after so many minutes of it.",
            LIMITS,
            "timeout_minutes",
            "SWEEP_TIMEOUT_MINUTES",
            "N",
        ),
        # -- how it runs
        _S(
            "device",
            "Where trials are trained (`auto` is CUDA where there is one).",
            RUNNING,
            "training.device",
            "DEVICE",
        ),
        _S(
            "cooldown",
            "Rest between the trials of a study; not given: 60 where a GPU is used, else none.",
            RUNNING,
            "cooldown.seconds",
            "COOLDOWN",
            "SECONDS",
        ),
        _S(
            "workers",
            "Worker processes of a study; -1: one a core.",
            RUNNING,
            "workers.count",
            "WORKERS",
            "N",
            aliases=("n-jobs",),
        ),
        _S(
            "workers_per_study",
            "Jobs that Snakemake starts for each study, each a `recsweep worker`; 0: one job does all.",
            RUNNING,
            "workers.workers_per_study",
            "WORKERS_PER_STUDY",
            "N",
            elsewhere="Snakemake starts those jobs: `snakemake --config workers_per_study=N`, "
            "or `make tune-all WORKERS_PER_STUDY=N`",
        ),
        # -- where
        _S(
            "storage",
            "The store: `sqlite:///FILE`, `postgresql+psycopg://…` or `journal:///FILE`; not given: SQLite "
            "in the output folder. With a password in it, give it as RECSWEEP_STORAGE.",
            PLACES,
            "storage",
            "STORAGE",
            "URL",
            more="See [the address of a store](#the-address-of-a-store)",
        ),
        _S(
            "storage_file",
            "A file that holds the address of the store; only its owner may read it.",
            PLACES,
            "storage_file",
            "STORAGE_FILE",
            "FILE",
            completes="file",
        ),
        _S(
            "outputs",
            "Where everything is written.",
            PLACES,
            "outputs",
            "OUTPUTS",
            "FOLDER",
            completes="folder",
        ),
        # -- of one command or two
        _S(
            "best_params",
            "Start from the parameters of a file; of a pattern, the newest.",
            THIS,
            make="BEST_PARAMS",
            shown="FILE",
            more="It takes the place of the defaults, or of the best of the phase before. A pattern "
            '(`"outputs/**/best_params.json"`) stands in quotes. The study keeps where it started from: give '
            "the same file when it goes on; `worker`, `evaluate` and `summarize` need none",
            completes="file",
        ),
        _S(
            "more",
            "Add N trials to a study that is complete.",
            THIS,
            make="MORE",
            shown="N",
            span=(1, None),
            more="One that is not, or an exhaustive search, is refused. With phases, name one with `--phase`",
        ),
        _S(
            "restart",
            "Start anew where a study was made from another config, or where every trial failed.",
            THIS,
            switch=True,
            more="The old study is kept in the store under another name. Else it does nothing",
        ),
        _S(
            "dry_run",
            "Say what would run, and stop.",
            THIS,
            switch=True,
            more="The config is checked, the rows of the data are not",
        ),
        _S("log", "Append the lines of the log to this file too.", THIS, shown="FILE", completes="file"),
        _S("study", "Only the study of this name in the store.", THIS, shown="NAME", completes="studies"),
        _S(
            "host",
            "Where it listens.",
            THIS,
            shown="ADDRESS",
            default="127.0.0.1",
            more="The default is this machine alone",
        ),
        _S("port", "Its port; 0 takes any free one.", THIS, shown="N", default=8080, span=(0, 65535)),
        _S("save", "Write the best and last weights there.", THIS, shown="FOLDER", completes="folder"),
        _S("no_test", "Leave the test split unseen.", THIS, switch=True),
    )
}
"""All settings that a command, Make, Snakemake or the environment can give, in the order of help."""

WHICH, STORE = ("config", "models", "datasets"), ("storage", "storage_file", "outputs")
"""What says which sweep, and where its store is: all that looking needs."""
OF_A_SWEEP = tuple(name for name, setting in SETTINGS.items() if setting.key)
"""What overrides a key of the sweep file."""
DEFINING = tuple(name for name in OF_A_SWEEP if SETTINGS[name].heading in (SEARCH, TRAINING, LIMITS))
"""What decides which trials a study has."""
WORKING = ("device", "cooldown", "workers")
"""What decides how they are run."""
OF_A_STUDY = ("dataset", "model", "phase", "study_name")
"""What narrows a command to a part of a sweep."""
MAKE_ONLY = {
    "CORES": "Snakemake's cores; 1 runs study after study, each on the whole machine",
    "PYTHON": "the Python (3.11 or newer) that .venv is made with",
}
"""Variables of the Makefile that are no settings of ours."""
KNOWN_VARIABLES = ("RECSWEEP_NATIVE", "RECSWEEP_GEMM")
"""What the environment says beside options."""
BETWEEN_US = ("RECSWEEP_CORES",)
"""What make hands to Snakemake beside settings."""


def variable(option: str) -> str:
    """The variable of the environment that gives an option: `RECSWEEP_MAX_EVALS`."""
    return f"RECSWEEP_{option.upper()}"


def keys(model: type[BaseModel] = SweepConfig, prefix: str = "") -> Iterator[str]:
    """Every key of a file, dotted, sections before what stands in them."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{prefix}{name}.")
