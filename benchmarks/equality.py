"""The complete gate of the fast paths, on real data: do they train what RecBole trains?

First part, without dropout: every model with a fast path, every loss, both paths (compiled and torch) on
all of ml-100k with RecBole's published parameters, against RecBole's own code in the same process on the
same split with the same seed. Equal means: the same batches and negatives, losses of every epoch within
1e-5 of RecBole's, validation metrics within 1e-4. Models that are slow in RecBole train on a part of the
samples in every epoch (`--batches`); validation is whole.

Second part, with dropout: the masks are other numbers, so that two paths agree as two seeds do. Each arm
trains the same seeds on the five-star ratings of ml-100k; reported is the difference of the mean validation
NDCG@10 with its 95 % interval (Welch). An arm fails where an interval that holds for all comparisons
together (Bonferroni) leaves 0 out; with 12 comparisons at 95 % each, one in two runs would fail by chance.

    python benchmarks/equality.py --models SASRec GRU4Rec --skip-dropout

Exit code 1 where something is not equal. `--write` puts the result into RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import itertools
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from scipy import stats

from recsweep.common.provenance import hardware, versions
from recsweep.datasets.prepare import open_tables
from recsweep.recbole_api import catalog
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, build_split, make_loaders
from recsweep.recbole_api.packages import complete
from recsweep.recbole_api.settings import trial_settings
from recsweep.sweeps.config import DatasetConfig, EvaluationConfig, ModelConfig, TrainingConfig
from recsweep.training import training
from recsweep.training.fast import native
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.families import served
from recsweep.training.fast.stream import Stream
from results import thread_settings, write_section

CPU = torch.device("cpu")
SEED = 2026
LOSS, METRIC = 1e-5, 1e-4
RECBOLE, PATHS = "recbole", ("compiled", "torch")
WHOLE = ("FPMC", "BPR", "FOSSIL", "STAMP")
"""Fast enough in RecBole for whole epochs."""
ONE_LOSS = {"FPMC": "BPR", "BPR": None, "CORE": "CE", "RepeatNet": None, "TransRec": None}
"""Models that know one loss, or (None) have no parameter for it."""
DROPOUT_MODELS = ("GRU4Rec", "NARM", "SASRec", "BERT4Rec")
FULL = DatasetConfig(name="ml-100k", max_sequence_length=50)
FIVE_STARS = DatasetConfig(
    name="ml-100k", keep={"rating": "[5,inf)"}, min_user_interactions=5, max_sequence_length=20
)


@dataclass
class Run:
    """What a training computed."""

    path: str
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    batches: list[tuple[torch.Tensor, ...]] = field(default_factory=list)
    """Users, items and negatives."""


@dataclass(frozen=True)
class Row:
    """One line of the first table."""

    model: str
    loss: str
    path: str
    samples: int
    loss_error: float
    metric_error: float
    same_batches: bool
    times: float
    """RecBole's seconds by ours, validation included; only a hint, nothing is repeated."""

    @property
    def passed(self) -> bool:
        return self.same_batches and self.loss_error <= LOSS and self.metric_error <= METRIC


@dataclass(frozen=True)
class Difference:
    """One line of the second table: a fast path against RecBole, over seeds."""

    model: str
    path: str
    ours: list[float]
    theirs: list[float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.ours) - statistics.fmean(self.theirs)

    def half_width(self, alpha: float) -> float:
        """Of Welch's interval that holds with probability 1 - alpha."""
        parts = [statistics.variance(values) / len(values) for values in (self.ours, self.theirs)]
        if sum(parts) == 0.0:
            return 0.0
        freedom = sum(parts) ** 2 / sum(part**2 / (len(self.ours) - 1) for part in parts)
        return float(stats.t.ppf(1 - alpha / 2, freedom)) * math.sqrt(sum(parts))

    def passed(self, comparisons: int) -> bool:
        return abs(self.mean) <= self.half_width(0.05 / comparisons)


def main() -> int:
    arguments = _arguments()
    started = time.monotonic()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    models = sorted(arguments.models or filter(complete, served()))
    with tempfile.TemporaryDirectory(prefix="recsweep-equality-") as temporary:
        scratch = Path(temporary)
        rows = list(exact_part(models, arguments, scratch))
        chosen = [] if arguments.skip_dropout else [m for m in DROPOUT_MODELS if m in models]
        differences = dropout_part(chosen, arguments, scratch)
    failed = [f"{row.model} {row.loss} {row.path}" for row in rows if not row.passed]
    failed += [f"{d.model} {d.path} with dropout" for d in differences if not d.passed(len(differences))]
    print(
        "\n"
        + (f"FAILED: {', '.join(failed)}" if failed else "passed: the fast paths train what RecBole trains")
    )
    if arguments.write:
        text = report(rows, differences, arguments, time.monotonic() - started, failed)
        write_section("equality", text)
    return 1 if failed else 0


# -- without dropout ------------------------------------------------------------------------------


def exact_part(models: list[str], arguments: argparse.Namespace, scratch: Path) -> Iterator[Row]:
    """Every model, loss and path on all of ml-100k; prints each line when it is known."""
    print(f"{'model':<12}{'loss':<5}{'path':<10}{'samples':>9}{'loss error':>12}{'metrics':>10}{'times':>7}")
    splits: dict[str, Split] = {}
    for model in models:
        for loss in losses_of(model):
            settings = settings_of(model, loss, FULL, arguments.epochs, without_dropout(model))
            key = f"{catalog.models()[model]} {'load_col' in item_columns(model)}"
            if key not in splits:
                config = TypedConfig(settings, CPU, scratch)
                splits[key] = build_split(config, open_tables(config))
            batches = None if arguments.batches == 0 or model in WHOLE else arguments.batches
            split = cut(splits[key], batches and batches * int(settings["train_batch_size"]))
            reference = train(settings, split, RECBOLE, scratch)
            for path in PATHS:
                if path == "compiled" and native.kernels() is None:
                    raise SystemExit("there are no compiled kernels: python -m recsweep.training.fast.build")
                found = train(settings, split, path, scratch)
                if found.path == path:  # a model without kernels takes the torch path once
                    yield _print(compare(model, loss, path, len(split.parts[0]), found, reference))


def losses_of(model: str) -> list[str | None]:
    return [ONE_LOSS[model]] if model in ONE_LOSS else ["CE", "BPR"]


def without_dropout(model: str) -> dict[str, Any]:
    """RecBole's published parameters whose names have `dropout` in them, as 0."""
    published = catalog.published_defaults(model).items()
    return {k: [0.0] * len(v) if isinstance(v, list | tuple) else 0.0 for k, v in published if "dropout" in k}


def item_columns(model: str) -> dict[str, Any]:
    """For models that read a column of the items; ml-100k has `class`."""
    if "selected_features" not in catalog.published_defaults(model):
        return {}
    inter = ["user_id", "item_id", "timestamp"]
    return {"load_col": {"inter": inter, "item": ["item_id", "class"]}, "selected_features": ["class"]}


def settings_of(
    model: str, loss: str | None, dataset: DatasetConfig, epochs: int, params: Mapping[str, Any]
) -> dict[str, Any]:
    """A complete config: RecBole's published parameters but for `params`."""
    space: Any = {"learning_rate": {"type": "choice", "values": [0.001]}}
    fixed = {} if loss is None else {"loss_type": loss}
    settings = trial_settings(
        dataset,
        None,
        ModelConfig(model=model, fixed=fixed, space=space),
        TrainingConfig(epochs=epochs, stopping_step=epochs, device="cpu"),
        EvaluationConfig(topk=(10,)),
        {**params, **item_columns(model)},
        SEED,
        SEED,
    )
    return {**settings, "metric_decimal_place": 8}


def cut(split: Split, samples: int | None) -> Split:
    """Every so-many-th training sample, `samples` of them."""
    train_part = split.parts[0]
    if samples is None or samples >= len(train_part):
        return split
    rows = torch.linspace(0, len(train_part) - 1, samples).long()
    return Split(split.whole, (train_part.copy(train_part.inter_feat[rows]), *split.parts[1:]))


def train(settings: Mapping[str, Any], split: Split, path: str, scratch: Path) -> Run:
    """One training on RecBole's code or a fast path, watched but not changed."""
    with recbole.clean_globals(), _taking(path):
        config = TypedConfig(settings, CPU, scratch)
        train_data, valid_data, _ = make_loaders(config, split)
        model = recbole.make_model(config, train_data)
        trainer = recbole.make_trainer(config, model)
        taken, finish = fast.install(trainer, train_data, valid_data, wanted=path != RECBOLE)
        run = Run(taken.name)
        evaluate, loss_of = trainer.evaluate, model.calculate_loss

        def watched_evaluate(*args: Any, **kwargs: Any) -> Any:
            result = evaluate(*args, **kwargs)
            run.metrics.append({name: float(value) for name, value in result.items()})
            return result

        def watched_loss(batch: Any) -> torch.Tensor:
            names = (train_data.config["USER_ID_FIELD"], train_data.config["ITEM_ID_FIELD"])
            negative = train_data.config["NEG_PREFIX"] + names[1]
            found = [batch.interaction[name] for name in names]
            found += [batch.interaction[negative]] if negative in batch.interaction else []
            run.batches.append(tuple(values.clone() for values in found))
            loss: torch.Tensor = loss_of(batch)
            return loss

        trainer.evaluate = watched_evaluate
        if taken.name == RECBOLE:
            model.calculate_loss = watched_loss
        started = time.perf_counter()
        with _watched_stream(train_data, run) if taken.name != RECBOLE else contextlib.nullcontext():
            recbole.fit(trainer, train_data, valid_data, lambda epoch, score: None)
        finish.close()
    run.seconds = time.perf_counter() - started
    run.losses = [float(loss) for loss in trainer.train_loss_dict.values()]
    return run


@contextlib.contextmanager
def _taking(path: str) -> Iterator[None]:
    kernels = native.kernels() if path == "compiled" else None
    with patch.object(native, "kernels", lambda: kernels):
        yield


@contextlib.contextmanager
def _watched_stream(loader: Any, run: Run) -> Iterator[None]:
    original, fields = Stream.epoch, loader._dataset.inter_feat.interaction
    user, item = loader.config["USER_ID_FIELD"], loader.config["ITEM_ID_FIELD"]

    def epoch(self: Stream) -> Iterator[Any]:
        for batch in original(self):
            found = [fields[user][batch.rows], fields[item][batch.rows]]
            run.batches.append(tuple(found if batch.negatives is None else [*found, batch.negatives]))
            yield batch

    with patch.object(Stream, "epoch", epoch):
        yield


def compare(model: str, loss: str | None, path: str, samples: int, found: Run, reference: Run) -> Row:
    """Largest differences over all epochs."""
    same = [
        len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))
        for ours, theirs in itertools.zip_longest(found.batches, reference.batches, fillvalue=())
    ]
    pairs = zip(found.losses, reference.losses, strict=True)
    metrics = zip(found.metrics, reference.metrics, strict=True)
    return Row(
        model=model,
        loss=loss or "-",
        path=path,
        samples=samples,
        loss_error=max(abs(ours - theirs) / abs(theirs) for ours, theirs in pairs),
        metric_error=max(abs(ours[name] - theirs[name]) for ours, theirs in metrics for name in theirs),
        same_batches=all(same),
        times=reference.seconds / found.seconds,
    )


def _print(row: Row) -> Row:
    end = "" if row.passed else "  FAILED" + ("" if row.same_batches else ": other batches")
    print(
        f"{row.model:<12}{row.loss:<5}{row.path:<10}{row.samples:>9}{row.loss_error:>12.1e}"
        f"{row.metric_error:>10.1e}{row.times:>7.1f}{end}",
        flush=True,
    )
    return row


# -- with dropout ---------------------------------------------------------------------------------


def dropout_part(models: list[str], arguments: argparse.Namespace, scratch: Path) -> list[Difference]:
    """Each model's arms with the same seeds on the five-star ratings."""
    found: list[Difference] = []
    if not models:
        return found
    print(f"\n{'model':<12}{'path':<10}{'RecBole':>10}{'ours':>10}{'difference':>12}   95 % interval")
    for model in models:
        settings = settings_of(model, "CE", FIVE_STARS, arguments.dropout_epochs, {"learning_rate": 0.003})
        settings["train_batch_size"] = 1024
        config = TypedConfig(settings, CPU, scratch)
        split = build_split(config, open_tables(config))
        theirs = scores({**settings, "fast": False}, split, RECBOLE, arguments.seeds)
        for path in PATHS:
            ours = scores(settings, split, path, arguments.seeds)
            if ours is None or theirs is None:
                continue
            one = Difference(model, path, ours, theirs)
            found.append(one)
            half = one.half_width(0.05)
            means = (statistics.fmean(theirs), statistics.fmean(ours))
            print(
                f"{model:<12}{path:<10}{means[0]:>10.4f}{means[1]:>10.4f}{one.mean:>+12.4f}   "
                f"{one.mean - half:+.4f} to {one.mean + half:+.4f}",
                flush=True,
            )
    return found


def scores(settings: Mapping[str, Any], split: Split, path: str, seeds: int) -> list[float] | None:
    """Validation NDCG@10 by seed; None where the model has no such path."""
    found = []
    with _taking(path):
        for seed in range(1, seeds + 1):
            trained = training.train({**settings, "seed": seed}, split, CPU)
            if trained.path.split()[0] != path:
                return None
            found.append(trained.score)
    return found


# -- report ---------------------------------------------------------------------------------------


def report(
    rows: list[Row],
    differences: list[Difference],
    arguments: argparse.Namespace,
    seconds: float,
    failed: list[str],
) -> str:
    """The section of RESULTS.md."""
    machine = hardware()
    ours = ", ".join(f"{name} {version}" for name, version in versions().items() if name != "snakemake")
    lines = [
        "## Are the fast paths equal to RecBole?",
        "",
        f"Written by `python benchmarks/equality.py --write` on {datetime.date.today()}, in {seconds:.0f} s.",
        "What is compared, and how, stands at the top of [equality.py](equality.py).",
        "",
        f"- Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}; torch threads: {torch.get_num_threads()}; "
        f"thread settings: {thread_settings()}.",
        f"- Versions: {ours}.",
        f"- Result: {'FAILED: ' + ', '.join(failed) if failed else 'all equal'}.",
        "",
        f"Without dropout, all of ml-100k, RecBole's published parameters, {arguments.epochs} epochs, "
        f"seed {SEED}. Largest differences over all epochs: of the loss (relative; at most 1e-5) and of the "
        "validation metrics (at most 1e-4). Samples: of each epoch; fewer than all where RecBole is slow.",
        "",
        "| model | loss | path | samples | loss | metrics | batches and negatives | |",
        "|---|---|---|---:|---:|---:|---|---|",
    ]
    lines += [
        f"| {r.model} | {r.loss} | {r.path} | {r.samples} | {r.loss_error:.1e} | {r.metric_error:.1e} | "
        f"{'identical' if r.same_batches else 'OTHERS'} | {'equal' if r.passed else '**FAILED**'} |"
        for r in rows
    ]
    if differences:
        lines += ["", *_dropout_lines(differences, arguments)]
    return "\n".join(lines)


def _dropout_lines(differences: list[Difference], arguments: argparse.Namespace) -> list[str]:
    lines = [
        f"With dropout, the five-star ratings of ml-100k, {arguments.seeds} seeds, "
        f"{arguments.dropout_epochs} epochs, cross-entropy. Difference: ours less RecBole's, of the mean "
        "validation NDCG@10.",
        "",
        "| model | path | RecBole | ours | difference | 95 % interval (Welch) | |",
        "|---|---|---:|---:|---:|---|---|",
    ]
    for d in differences:
        half = d.half_width(0.05)
        verdict = "as two seeds" if d.passed(len(differences)) else "**FAILED**"
        lines.append(
            f"| {d.model} | {d.path} | {statistics.fmean(d.theirs):.4f} | {statistics.fmean(d.ours):.4f} | "
            f"{d.mean:+.4f} | {d.mean - half:+.4f} to {d.mean + half:+.4f} | {verdict} |"
        )
    return lines


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Are the fast paths equal to RecBole?")
    parser.add_argument("--models", nargs="+", choices=sorted(served()), help="default: all with a fast path")
    parser.add_argument("--epochs", type=int, default=3, help="without dropout")
    parser.add_argument(
        "--batches",
        type=int,
        default=2,
        help="of 2048 samples in an epoch without dropout, for models that are slow in RecBole; 0: all",
    )
    parser.add_argument("--skip-dropout", action="store_true", help="only the first part")
    parser.add_argument("--seeds", type=int, default=5, help="with dropout")
    parser.add_argument("--dropout-epochs", type=int, default=5, help="with dropout")
    parser.add_argument("--threads", type=int, default=0, help="of torch; default: torch's own choice")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
