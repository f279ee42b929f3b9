"""recsweep: tune a panel of recommender models on a panel of data sets, fairly and without loss.

What Python code may use is listed here. A name is imported when it is used, so that `import recsweep` costs
nothing. docs/reference/api.md is made from the list.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from recsweep.api.found import Found as Found
    from recsweep.api.found import load as load
    from recsweep.api.found_study import Best as Best
    from recsweep.api.found_study import FoundStudy as FoundStudy
    from recsweep.api.tuning import tune as tune
    from recsweep.client import Client as Client
    from recsweep.common.errors import InputError as InputError
    from recsweep.common.errors import RecsweepError as RecsweepError
    from recsweep.common.errors import StudiesFailed as StudiesFailed
    from recsweep.common.errors import SweepPaused as SweepPaused
    from recsweep.common.errors import UserError as UserError
    from recsweep.service.event_stream import Event as Event
    from recsweep.service.service_error import ServiceError as ServiceError
    from recsweep.sweeps.config import DatasetConfig as DatasetConfig
    from recsweep.sweeps.config import ModelConfig as ModelConfig
    from recsweep.sweeps.config import SplitConfig as SplitConfig
    from recsweep.sweeps.config import SweepConfig as SweepConfig
    from recsweep.sweeps.loading import Sweep as Sweep
    from recsweep.sweeps.loading import load_sweep as load_sweep
    from recsweep.sweeps.loading import make_sweep as make_sweep
    from recsweep.sweeps.parameters import Choice as Choice
    from recsweep.sweeps.parameters import LogRandInt as LogRandInt
    from recsweep.sweeps.parameters import LogUniform as LogUniform
    from recsweep.sweeps.parameters import QUniform as QUniform
    from recsweep.sweeps.parameters import RandInt as RandInt
    from recsweep.sweeps.parameters import Uniform as Uniform
    from recsweep.sweeps.resources import ResourcesConfig as ResourcesConfig
    from recsweep.sweeps.sections import CooldownConfig as CooldownConfig
    from recsweep.sweeps.sections import EvaluationConfig as EvaluationConfig
    from recsweep.sweeps.sections import PruningConfig as PruningConfig
    from recsweep.sweeps.sections import SearchConfig as SearchConfig
    from recsweep.sweeps.sections import TrainingConfig as TrainingConfig
    from recsweep.sweeps.sections import WorkersConfig as WorkersConfig
    from recsweep.sweeps.tracking import CsvConfig as CsvConfig
    from recsweep.sweeps.tracking import JsonlConfig as JsonlConfig
    from recsweep.sweeps.tracking import MlflowConfig as MlflowConfig
    from recsweep.sweeps.tracking import TensorboardConfig as TensorboardConfig
    from recsweep.sweeps.tracking import TrackingConfig as TrackingConfig
    from recsweep.sweeps.tracking import WandbConfig as WandbConfig

__version__ = "0.1.0"

PUBLIC = {
    "Tune, and look at what was found": {
        "tune": "api.tuning",
        "load": "api.found",
        "Found": "api.found",
        "FoundStudy": "api.found_study",
        "Best": "api.found_study",
    },
    "A service, over HTTP": {
        "Client": "client",
        "Event": "service.event_stream",
        "ServiceError": "service.service_error",
    },
    "A sweep": {
        "make_sweep": "sweeps.loading",
        "load_sweep": "sweeps.loading",
        "Sweep": "sweeps.loading",
        "SweepConfig": "sweeps.config",
        "SearchConfig": "sweeps.sections",
        "PruningConfig": "sweeps.sections",
        "TrainingConfig": "sweeps.sections",
        "EvaluationConfig": "sweeps.sections",
        "CooldownConfig": "sweeps.sections",
        "WorkersConfig": "sweeps.sections",
        "TrackingConfig": "sweeps.tracking",
        "WandbConfig": "sweeps.tracking",
        "MlflowConfig": "sweeps.tracking",
        "TensorboardConfig": "sweeps.tracking",
        "CsvConfig": "sweeps.tracking",
        "JsonlConfig": "sweeps.tracking",
        "ResourcesConfig": "sweeps.resources",
    },
    "Data sets": {"DatasetConfig": "sweeps.config", "SplitConfig": "sweeps.config"},
    "Models and their search spaces": {
        "ModelConfig": "sweeps.config",
        "Choice": "sweeps.parameters",
        "Uniform": "sweeps.parameters",
        "LogUniform": "sweeps.parameters",
        "QUniform": "sweeps.parameters",
        "RandInt": "sweeps.parameters",
        "LogRandInt": "sweeps.parameters",
    },
    "Errors": {
        "RecsweepError": "common.errors",
        "UserError": "common.errors",
        "InputError": "common.errors",
        "SweepPaused": "common.errors",
        "StudiesFailed": "common.errors",
    },
}
"""The public names by what they are for, as a reader needs them, and where each one stands."""
_HOMES = {name: home for names in PUBLIC.values() for name, home in names.items()}


def __getattr__(name: str) -> object:
    if name not in (*_HOMES, "client"):
        raise AttributeError(f"module `recsweep` has no `{name}`; it has {', '.join(_HOMES)}")
    from importlib import import_module

    if name == "client":
        return import_module("recsweep.client")
    return getattr(import_module(f"recsweep.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
