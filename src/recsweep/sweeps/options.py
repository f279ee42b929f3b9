"""Every setting once: its name, what it is for, and where it may be set.

Type, range, choices and default of what a sweep file can say are read from the models in `config.py`. Options
of the commands, Make's variables, keys of `snakemake --config`, the tables of the pages and the completion of
the shell are made from this list.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from recsweep.sweeps.command_settings import COMMAND_SETTINGS
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import section
from recsweep.sweeps.setting import LIMITS, SEARCH, TRAINING, Setting
from recsweep.sweeps.sweep_settings import SWEEP_SETTINGS

SETTINGS: dict[str, Setting] = {setting.name: setting for setting in (*SWEEP_SETTINGS, *COMMAND_SETTINGS)}
"""All settings that a command, Make, Snakemake or the environment can give."""
WHICH, STORE = ("config", "models", "datasets"), ("storage", "storage_file", "outputs")
"""Settings that say which sweep, and where its store is: all that looking needs."""
OF_A_SWEEP = tuple(name for name, setting in SETTINGS.items() if setting.key)
"""Settings that override a key of the sweep file."""
DEFINING = tuple(name for name in OF_A_SWEEP if SETTINGS[name].heading in (SEARCH, TRAINING, LIMITS))
"""Settings that decide which trials a study has."""
TRACKERS_TOO = ("wandb", "mlflow")
"""Switches that turn a tracker on beside those of a file."""
TRACKING = ("track", *TRACKERS_TOO, "wandb_project", "mlflow_uri")
"""Settings that say where a sweep can be watched."""
WORKING = (
    *("popularity", "device", "cooldown", "energy", "workers", "workers_on"),
    *("checkpoints", "checkpoint_epochs", "checkpoint_minutes"),
    *TRACKING,
)
"""Settings that decide how they are run."""
OF_A_STUDY = ("dataset", "model", "phase", "study_name")
"""Settings that narrow a command to a part of a sweep."""
MAKE_ONLY = {
    "CORES": "Snakemake's cores; 1 runs study after study, each on the whole machine",
    "PYTHON": "the Python (3.11 or newer) that .venv is made with",
}
"""Variables of the Makefile that are no settings of ours."""
KNOWN_VARIABLES = (
    *("RECSWEEP_NATIVE", "RECSWEEP_GEMM", "RECSWEEP_VECTORS", "RECSWEEP_TEMPLATE"),
    *("RECSWEEP_TOKEN", "RECSWEEP_READ_TOKEN", "RECSWEEP_NOTIFY"),
)
"""Variables of the environment beside options."""
BETWEEN_US = ("RECSWEEP_CORES", "RECSWEEP_SERVED_BY")
"""Variables that one of our processes hands to another beside settings."""


def variable(option: str) -> str:
    """The variable of the environment that gives an option: `RECSWEEP_MAX_EVALS`."""
    return f"RECSWEEP_{option.upper()}"


def keys(model: type[BaseModel] = SweepConfig, prefix: str = "") -> Iterator[str]:
    """Every key of a file, dotted, sections before what stands in them."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if (inner := section(field.annotation)) is not None:
            yield from keys(inner, f"{prefix}{name}.")
