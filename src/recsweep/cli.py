"""The command line: the only place that catches our errors and prints.

Exit codes: 0 done, 1 a bug of ours (with a traceback), 2 the user can fix it, 3 the sweep is paused
and a re-run goes on, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from recsweep import __version__
from recsweep.errors import EXIT_BUG, InputError, RecsweepError, UserError, disk_trouble
from recsweep.loading import OVERRIDES, Sweep, load_sweep
from recsweep.plan import StudyPlan, check_data, find_study, plan_sweep
from recsweep.progress import Display, duration

EXIT_INTERRUPTED = 130
DEFAULT_CONFIG = "config/config.yaml"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def main() -> None:
    """Entry point: run a command, turn our errors into one line and an exit code."""
    # A library may look at sys.argv (RecBole does): leave it nothing to find.
    arguments, sys.argv = sys.argv[1:], sys.argv[:1]
    try:
        code = cli.main(args=arguments, prog_name="recsweep", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        _exit_interrupted()
    except KeyboardInterrupt:
        _exit_interrupted()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BUG)
    except OSError as error:
        pause = disk_trouble(error)
        if pause is None:
            raise
        click.echo(f"recsweep: {pause}", err=True)
        sys.exit(pause.exit_code)
    except RecsweepError as error:
        if error.exit_code == EXIT_BUG:
            traceback.print_exc()
        click.echo(f"recsweep: {error}", err=True)
        sys.exit(error.exit_code)


def _exit_interrupted() -> None:
    click.echo("recsweep: stopped; run the same command again to go on, no trial is lost", err=True)
    sys.exit(EXIT_INTERRUPTED)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="recsweep")
def cli() -> None:
    """Tune recommender models on data sets: fairly, resumably, without losing a trial."""


def sweep_options(command: _Command) -> _Command:
    """The options that every command on a sweep shares; each one overrides the config file."""
    options = [
        click.option(
            "--config", "config", default=DEFAULT_CONFIG, show_default=True, metavar="FILE", help="The sweep."
        ),
        click.option("--models", metavar="NAMES", help='Models, e.g. "GRU4Rec SASRec".'),
        click.option("--datasets", metavar="NAMES", help="Data sets, by the names of their files."),
        click.option("--max-evals", metavar="N", help="Trials of each study."),
        click.option("--algo", metavar="NAME", help="random, bayes, anneal or exhaustive."),
        click.option("--epochs", metavar="N", help="Most epochs of a trial."),
        click.option("--cooldown", metavar="SECONDS", help="Rest between the trials of a study."),
        click.option("--workers", metavar="N", help="Worker processes."),
        click.option("--seed", metavar="N", help="Seed of the sweep."),
        click.option("--storage", metavar="URL", help="Optuna storage URL of the store."),
        click.option("--outputs", metavar="FOLDER", help="Where everything is written."),
        click.option(
            "--allow-large-grid", is_flag=True, help="Confirm a grid of more than 1,000 combinations."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def study_options(command: _Command) -> _Command:
    """One study of the sweep instead of all."""
    command = click.option("--model", metavar="NAME", help="Only this model.")(command)
    return click.option("--dataset", metavar="NAME", help="Only this data set.")(command)


def _sweep(options: dict[str, Any]) -> Sweep:
    overrides = {name: options[name] for name in OVERRIDES if name in options}
    return load_sweep(Path(options["config"]), overrides)


def _plans(options: dict[str, Any]) -> tuple[Sweep, list[StudyPlan], list[StudyPlan]]:
    """The sweep, all its studies, and those that were asked for."""
    listed = load_sweep(Path(options["config"]), {}).config
    for single, several in (("model", "models"), ("dataset", "datasets")):
        name = options.get(single)
        known = (options.get(several) or " ".join(getattr(listed, several))).split()
        if name and name not in known:  # a study beside the sweep's own
            options = {**options, several: " ".join([*known, name])}
    sweep = _sweep(options)
    plans = plan_sweep(sweep)
    dataset, model = options.get("dataset"), options.get("model")
    if dataset and model:
        return sweep, plans, find_study(plans, dataset, model)
    chosen = [p for p in plans if dataset in (None, p.dataset_name) and model in (None, p.model_name)]
    return sweep, plans, chosen


@cli.command(epilog="Example: recsweep tune --model SASRec --dataset ml-100k --max-evals 50")
@sweep_options
@study_options
@click.option(
    "--restart",
    is_flag=True,
    help="Start anew where a study was made from another config, or where every trial failed.",
)
@click.option("--dry-run", is_flag=True, help="Say what would run, and stop.")
@click.option("--log", metavar="FILE", help="Also append the plain lines to a file.")
def tune(restart: bool, dry_run: bool, log: str | None, **options: Any) -> None:
    """Run the studies of a sweep: fill their slots, test their winners, write their files."""
    sweep, plans, chosen = _plans(options)
    if dry_run:
        announce(chosen)
        return
    check_data(sweep)
    from recsweep.supervisor import Supervisor

    with Display(Path(log) if log else None) as display, Supervisor(display) as supervisor:
        for plan in chosen:
            supervisor.run_study(plan, plans.index(plan) + 1, len(plans), restart=restart)
            _write_and_tell(plan, display)
    if not options["dataset"] and not options["model"]:
        _write_summary(plans)
        click.echo(plans[0].outputs.summary("md").read_text(encoding="utf-8"))


def announce(plans: list[StudyPlan]) -> None:
    """How many trials would run, study by study, before any does."""
    total = 0
    for plan in plans:
        open_slots = _open_slots(plan)
        total += open_slots
        click.echo(f"{plan.label}: {open_slots} of {plan.budget} trials to run")
    search = plans[0].sweep.search if plans else None
    how = f" with {search.engine}/{search.algo}" if search else ""
    click.echo(f"{len(plans)} studies, {total} trials to run{how}, at most {_epochs(plans)} epochs each")


def _epochs(plans: list[StudyPlan]) -> int:
    return plans[0].sweep.training.epochs if plans else 0


def _open_slots(plan: StudyPlan) -> int:
    """Slots that are not filled yet; looks into the store only if there is one."""
    from recsweep.study import Store

    if plan.storage_url == plan.outputs.storage_url and not plan.outputs.database.is_file():
        return plan.budget
    store = Store(plan.storage_url)
    try:
        study = store.find_study(plan.name, plan.definition)
        filled = {trial.slot for trial in study.results()} if study else set()
        return sum(slot not in filled for slot in range(plan.budget))
    finally:
        store.close()


def _write_and_tell(plan: StudyPlan, display: Display) -> None:
    from recsweep.report.results import read_result, write_study
    from recsweep.report.tables import parameters_text
    from recsweep.study import Store

    store = Store(plan.storage_url)
    try:
        study = store.find_study(plan.name, plan.definition)
        if study is None:
            raise RecsweepError(f"study {plan.name} is not in the store {plan.storage_url}")
        result = read_result(plan, study)
    finally:
        store.close()
    write_study(result)
    winner = result.winner
    if winner is None:
        reasons = {str(trial.failure.get("message")) for trial in result.trials}
        raise UserError(
            f"{plan.label}: all {len(result.trials)} trials failed; {'; '.join(sorted(reasons)[:3])}; "
            f"correct the cause, and pass --restart or a new sweep name; "
            f"see {plan.outputs.trials(plan.dataset_name, plan.model_name)}"
        )
    metric = plan.sweep.evaluation.metric
    test = (result.test or {}).get(metric.lower())
    display.line(
        f"{plan.label}: best {metric} {winner.score:.4f} on validation"
        + (f", {test:.4f} on test" if test is not None else "")
        + f", trial {winner.slot} of {len(result.trials)}: {parameters_text(winner.params)}"
    )
    config = plan.outputs.best_config(plan.dataset_name, plan.model_name)
    display.line(f"train with it: recsweep train --config {config}")


def _write_summary(plans: list[StudyPlan]) -> int:
    """Rebuild every file of these studies from the store; how many studies were there."""
    from recsweep.report.results import StudyResult, read_result, write_study
    from recsweep.report.tables import write_summary
    from recsweep.study import Store

    results: list[StudyResult] = []
    stores: dict[str, Store] = {}
    for plan in plans:
        store = stores.setdefault(plan.storage_url, stores.get(plan.storage_url) or Store(plan.storage_url))
        study = store.find_study(plan.name, plan.definition)
        if study is not None:
            results.append(read_result(plan, study))
            write_study(results[-1])
    for store in stores.values():
        store.close()
    if plans:
        write_summary(plans[0].outputs, results)
    return len(results)


@cli.command(epilog="Example: recsweep summarize --config config/smoke.yaml")
@sweep_options
def summarize(**options: Any) -> None:
    """Rebuild all result files and the summary table from the store."""
    _, plans, _ = _plans(options)
    found = _write_summary(plans)
    click.echo(plans[0].outputs.summary("md").read_text(encoding="utf-8"))
    if found < len(plans):
        click.echo(f"{len(plans) - found} of {len(plans)} studies are not in the store yet", err=True)


@cli.command(epilog="Example: recsweep evaluate --dataset ml-100k --model GRU4Rec")
@sweep_options
@study_options
def evaluate(**options: Any) -> None:
    """Evaluate the winners of complete studies on the test split, once."""
    _, plans, chosen = _plans(options)
    for plan in chosen:
        if missing := _open_slots(plan):
            raise UserError(
                f"{plan.label}: {missing} of {plan.budget} trials are still to run; "
                f"the test split stays unseen until the study is closed; run `recsweep tune` first"
            )
    from recsweep.supervisor import Supervisor

    with Display() as display, Supervisor(display) as supervisor:
        for plan in chosen:
            metrics = supervisor.run_study(plan, plans.index(plan) + 1, len(plans))
            _write_and_tell(plan, display)
            for name, value in (metrics or {}).items():
                click.echo(f"{plan.label} test {name} {value:.4f}")


@cli.command(epilog="Example: recsweep worker --storage sqlite:///outputs/recsweep.db --workers 2")
@sweep_options
@study_options
def worker(**options: Any) -> None:
    """Join a sweep that runs elsewhere: fill the slots that wait in its store, then end."""
    sweep, plans, chosen = _plans(options)
    check_data(sweep)
    from recsweep.supervisor import Supervisor

    with Display() as display, Supervisor(display) as supervisor:
        for plan in chosen:
            supervisor.join_study(plan, plans.index(plan) + 1, len(plans))


@cli.command(epilog="Example: recsweep prepare --datasets ml-100k")
@sweep_options
@study_options
def prepare(**options: Any) -> None:
    """Check the data sets row by row, split them once, and cache the splits."""
    sweep, _, chosen = _plans(options)
    kept = check_data(sweep)
    from recsweep.datasets.prepare import prepare as prepare_split
    from recsweep.files import write_yaml

    by_dataset: dict[str, list[StudyPlan]] = {}
    for plan in chosen:
        by_dataset.setdefault(plan.dataset_name, []).append(plan)
    for name, plans in by_dataset.items():
        splits: dict[str, Any] = {}
        for plan in plans:
            found = prepare_split(
                plan.settings(plan.defaults, plan.sweep.seed), plan.files, plan.outputs.cache
            )
            entry = splits.setdefault(found.key, {**found.split.statistics, "models": []})
            entry["models"].append(plan.model_name)
            click.echo(
                f"{plan.label}: {'found in the cache' if found.cached else 'prepared'} ({found.key[:12]})"
            )
        content = {
            "dataset": name,
            "interactions": kept[name],
            "files": dict(plans[0].files.hashes),
            "splits": splits,
        }
        write_yaml(plans[0].outputs.prepared(name), content)


@cli.command(epilog="Example: recsweep train --config outputs/results/tuning/ml-100k/FPMC/best_config.yaml")
@click.option("--config", "config", required=True, metavar="FILE", help="A complete RecBole config.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option(
    "--outputs", default="outputs", show_default=True, metavar="FOLDER", help="Where prepared data is cached."
)
@click.option("--save", metavar="FOLDER", help="Write the best and last weights there.")
@click.option("--no-test", is_flag=True, help="Leave the test split unseen.")
def train(config: str, device: str, outputs: str, save: str | None, no_test: bool) -> None:
    """Train one complete configuration, such as a study's best_config.yaml."""
    from recsweep.single import train_file

    trained, test = train_file(
        Path(config),
        device,
        Path(outputs),
        save=Path(save) if save else None,
        test=not no_test,
        tell=lambda text: click.echo(text, err=True),
    )
    click.echo(f"best epoch {trained.best_epoch} of {trained.epochs}, {duration(trained.seconds)}")
    for name, value in trained.metrics.items():
        click.echo(f"validation {name} {value:.4f}")
    for name, value in (test or {}).items():
        click.echo(f"test {name} {value:.4f}")


@cli.command(epilog="Example: recsweep doctor > report.txt")
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, metavar="FILE", help="A sweep to check.")
def doctor(config: str) -> None:
    """Print what a bug report needs: versions, hardware, kernels, the config's and the store's state."""
    from recsweep.doctor import examine

    sound = True
    for name, text, fine in examine(Path(config)):
        sound = sound and fine
        click.echo(f"{'ok ' if fine else 'BAD'} {name}: {text}")
    if not sound:
        raise UserError("something is not as it should be; see the lines marked BAD; mend them and run again")


__all__ = ["InputError", "cli", "main"]
