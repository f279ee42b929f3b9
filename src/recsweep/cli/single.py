"""Commands beside the studies: prepare, train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from recsweep.api.studies import make_outputs
from recsweep.cli.declare import DATA, command
from recsweep.cli.options import as_path, say_aside, source_of, studies_of
from recsweep.cli.own_process import load_torch
from recsweep.cli.stores import opened
from recsweep.common import scratch
from recsweep.common.errors import UserError
from recsweep.common.files import counted, write_yaml
from recsweep.common.paths import Outputs
from recsweep.datasets.files import DataFiles
from recsweep.planning.plan import StudyPlan, check_data
from recsweep.running.watch import duration
from recsweep.sweeps.config import DatasetConfig
from recsweep.sweeps.documents import Document
from recsweep.sweeps.loading import Sweep
from recsweep.sweeps.options import DEFINING, SETTINGS, STORE, WHICH
from recsweep.sweeps.setting import THIS, Setting


@command(DATA, "recsweep prepare --datasets ml-100k", *WHICH, "dataset", "model", *DEFINING, *STORE)
def prepare(**options: Any) -> None:
    """Check the data sets row by row, split them once, and cache the splits."""
    studies = studies_of(options)
    make_outputs(studies.sweep)
    load_torch(large_pages=True)
    from recsweep.datasets.prepare import prepare as prepare_split

    kept, tables = _checked(studies.sweep)
    by_dataset: dict[str, list[StudyPlan]] = {}
    for plan in studies.chosen:
        if plan.phase != plan.chain[0]:
            continue  # the phases of a model share its data
        by_dataset.setdefault(plan.dataset_name, []).append(plan)
    for name, plans in by_dataset.items():
        splits: dict[str, Any] = {}
        for plan in plans:
            for params in plan.known_good:  # of each model, where several are searched together
                settings = plan.settings(params, plan.sweep.seed)
                with scratch.used(plan.outputs.scratch):
                    found = prepare_split(settings, plan.files, plan.outputs.cache, read=tables)
                entry = splits.setdefault(found.key, {**found.split.statistics, "models": []})
                entry["models"].append(plan.model_of(params))
                how = "found in the cache" if found.cached else "prepared"
                how += "" if found.kept else ", but not kept, for the cache cannot be written:"
                click.echo(f"{plan.dataset_name}/{plan.model_of(params)}: {how} ({found.key[:12]})")
        content = {
            "dataset": name,
            "interactions": kept[name],
            "files": dict(plans[0].files.hashes),
            "splits": splits,
        }
        write_yaml(plans[0].outputs.prepared(name), content)


def _checked(sweep: Sweep) -> tuple[dict[str, int], Any]:
    """Kept interactions by data set; and the tables, so that they are not read again to be split.

    Of several data sets there are none: all of them would be in memory at once.
    """
    from recsweep.datasets.check import Checked, read_checked

    tables: list[Any] = []

    def read(dataset: DatasetConfig, document: Document, files: DataFiles) -> Checked:
        checked, found = read_checked(dataset, document, files)
        tables.append(found)
        return checked

    if len(sweep.datasets) > 1:
        return check_data(sweep, say_aside), None
    return check_data(sweep, say_aside, read), tables[0]


_TRAINS = (
    Setting("config", "A complete RecBole config.", THIS, shown="FILE", completes="file"),
    Setting(
        "device",
        "Where to train (`auto` is CUDA where there is one).",
        THIS,
        default="auto",
        choices=SETTINGS["device"].facts.choices,
    ),
    Setting(
        "outputs",
        "Where prepared data is cached, and where the store is that is not named.",
        THIS,
        shown="FOLDER",
        default="outputs",
        completes="folder",
    ),
)


@command(
    DATA,
    "recsweep train --config outputs/results/default/ml-100k/FPMC/best_config.yaml",
    *_TRAINS,
    *("best", "on", "save", "no_test"),
    *("storage", "storage_file"),
)
def train(
    config: str | None,
    device: str,
    outputs: str,
    best: str | None,
    on: str,
    save: str | None,
    no_test: bool,
    **store: Any,
) -> None:
    """Train one complete configuration: a study's best_config.yaml, or the best of a study in the store."""
    load_torch()
    from recsweep.training.single import train_file

    given = _asked(config, best, on, {**store, "outputs": outputs})
    with scratch.used(Outputs(Path(outputs), sweep="").scratch):
        trained, test = train_file(
            given,
            device,
            Path(outputs),
            save=as_path(save),
            test=not no_test,
            tell=say_aside,
        )
    took = duration(trained.seconds)
    if trained.metrics:
        click.echo(f"best epoch {trained.best_epoch} of {trained.epochs}, {took}")
    else:  # nothing was left to validate on
        click.echo(f"trained for {counted(trained.epochs, 'epoch')}, {took}")
    for name, value in trained.metrics.items():
        click.echo(f"validation {name} {value:.4f}")
    for name, value in (test or {}).items():
        click.echo(f"test {name} {value:.4f}")


def _asked(config: str | None, best: str | None, on: str, store: dict[str, Any]) -> Path | Document:
    """The config to train: of a file, or of the best trial of a study.

    Raises:
        UserError: none or both were named.
    """
    if best is not None and source_of("config") != "commandline":
        config = None  # of the environment, where it may be a sweep's
    if (config is None) == (best is None):
        what = "neither --config nor --best is given" if config is None else "--best stands beside --config"
        raise UserError(f"{what}; nothing says what to train; give one of them")
    if config is not None:
        if source_of("on") == "commandline":
            raise UserError(
                "--on is for --best, whose search says how many epochs were best; in a config of your own "
                "set `train_on` and `epochs`"
            )
        return Path(config)
    from recsweep.api.best_config import best_document

    with opened({**store, "config": ""}) as opened_store:
        return best_document(opened_store, str(best), Path(store["outputs"]), on)


COMMANDS = [prepare, train]
