"""recsweep beside WarpRec, for models that both have.

Same data (ml-100k; one random split 8:1:1, sequential models leave-one-out), same sizes, rates and batches
where both know them. WarpRec's models are implementations of its own, so validation scores stand beside
times. The arms take turns, two threads each:

    recsweep   one process, training and a validation after each epoch, as its worker does both
    WarpRec    `warprec.run -p train` with one configuration, in `.venv-warprec`, on a Ray head that is
               started here; times from the table that Ray Tune keeps of its trial

    python benchmarks/rivals.py --write

What each model came to is kept (`--keep`), and a run that was ended goes on with `--resume`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import warprec_arm
from recsweep.common.files import write_json
from results import command, own_lines, write_section
from speed_arms import Bench
from speed_cases import BUILTIN, Case

ROOT = Path(__file__).resolve().parents[1]
THREADS = 2
BATCH = 2048


@dataclass(frozen=True)
class Rival:
    """A model that WarpRec has too."""

    params: dict[str, Any]
    """WarpRec's, the values of RecBole's defaults."""
    epochs: int = 6
    """Of each arm; 0: it has none."""
    kind: str = "general"
    parameter: tuple[str, Any] = ("learning_rate", 0.001)
    """What recsweep is told; the rest are its defaults."""


GRADIENTS = {"learning_rate": 0.001, "batch_size": BATCH}
SEQUENCES = {"neg_samples": 0, "max_seq_len": 50, "reg_weight": 0.0, "weight_decay": 0.0, **GRADIENTS}
RIVALS = {
    "BPR": Rival({"embedding_size": 64, "reg_weight": 0.0, **GRADIENTS}),
    "LightGCN": Rival({"embedding_size": 64, "n_layers": 2, "reg_weight": 1e-5, **GRADIENTS}),
    "MultiVAE": Rival(
        {
            **{"intermediate_dim": 600, "latent_dim": 128, "corruption": 0.5, "weight_decay": 0.0},
            **{"anneal_cap": 0.2, "anneal_step": 200_000, **GRADIENTS},
        }
    ),
    "EASE": Rival({"l2": 250.0}, 0, parameter=("reg_weight", 250.0)),
    "ItemKNN": Rival({"k": 100, "similarity": "cosine"}, 0, parameter=("k", 100)),
    "GRU4Rec": Rival(
        {"embedding_size": 64, "hidden_size": 128, "num_layers": 1, "dropout_prob": 0.3, **SEQUENCES},
        1,
        "sequential",
    ),
    "SASRec": Rival(
        {
            **{"embedding_size": 64, "n_layers": 2, "n_heads": 2, "inner_size": 256},
            **{"dropout_prob": 0.5, "attn_dropout_prob": 0.5, **SEQUENCES},
        },
        1,
        "sequential",
    ),
}


@dataclass
class Found:
    """Of each repeat: seconds an epoch, or of a fit with its validation, and seconds to the first batch."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    our_start: list[float] = field(default_factory=list)
    their_start: list[float] = field(default_factory=list)
    our_score: float = 0.0
    their_score: float = 0.0


def main() -> int:
    arguments = _arguments()
    python, remark = warprec_arm.interpreter()
    bench = Bench(python, ROOT, arguments.work / "cache", 1, THREADS)
    found = {**{model: Found() for model in arguments.models}, **_kept(arguments)}
    cases = {model: _case(model) for model in arguments.models}
    with tempfile.TemporaryDirectory(prefix="rivals-", dir="/tmp") as temporary:
        folder = Path(temporary)
        for case in cases.values():
            bench.statistics(case)
            if not (folder / case.kind).exists():
                warprec_arm.write_split(folder / case.kind, bench.pairs(case))
        with warprec_arm.head(python, folder / "ray"):
            for repeat, (model, case) in itertools.product(range(arguments.repeats), cases.items()):
                if repeat < len(found[model].theirs):
                    continue
                _ours(bench, case, repeat, found[model])
                _theirs(python, model, folder, repeat, found[model])
                print(f"{model} {repeat + 1}: {found[model]}", file=sys.stderr, flush=True)
                write_json(arguments.keep, {name: asdict(one) for name, one in found.items() if one.theirs})
    lines = list(table(found))
    print("\n".join(lines))
    if arguments.write:
        write_section("rivals", document(lines, arguments.repeats, remark))
    return 0


def _kept(arguments: argparse.Namespace) -> dict[str, Found]:
    """The chosen models that an earlier run has done."""
    if not (arguments.resume and arguments.keep.is_file()):
        return {}
    kept = json.loads(arguments.keep.read_text(encoding="utf-8"))
    return {model: Found(**kept[model]) for model in arguments.models if model in kept}


def _case(model: str) -> Case:
    rival = RIVALS[model]
    return Case(
        *(BUILTIN, model, 1.0, 1.0, None, max(rival.epochs, 1), 1, (1.0, 1.0, 1.0)),
        kind=rival.kind,
        draws=True,
        parameter=rival.parameter,
    )


def _ours(bench: Bench, case: Case, repeat: int, found: Found) -> None:
    figures = bench.run("C", case, repeat)
    found.ours.append(figures.epoch)
    found.our_start.append(figures.start)
    found.our_score = figures.scores[-1]


def _theirs(python: Path, model: str, folder: Path, repeat: int, found: Found) -> None:
    rival = RIVALS[model]
    params = {**rival.params, **({"epochs": rival.epochs} if rival.epochs else {})}
    ran = warprec_arm.run(python, model, params, folder / rival.kind, folder / f"{model}-{repeat}", THREADS)
    found.theirs.append(ran.epoch)
    found.their_start.append(ran.setup)
    found.their_score = ran.score


def table(found: dict[str, Found]) -> Iterator[str]:
    """Markdown: seconds of both, their ratio, starts, scores of both."""
    yield (
        "| model | recsweep, s | WarpRec, s | times as fast | to the first batch, s: recsweep | WarpRec "
        "| validation NDCG@10: recsweep | WarpRec |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for model, one in found.items():
        ours, theirs = statistics.median(one.ours), statistics.median(one.theirs)
        what = "an epoch with validation" if RIVALS[model].epochs else "fit and validation"
        yield (
            f"| {model}, {what} | {ours:.3g} | {theirs:.3g} | **{theirs / ours:.1f}** "
            f"| {statistics.median(one.our_start):.1f} | {statistics.median(one.their_start):.1f} "
            f"| {one.our_score:.4f} | {one.their_score:.4f} |"
        )


def document(lines: list[str], repeats: int, remark: str) -> str:
    """The section of RESULTS.md."""
    return "\n".join(
        [
            "## Beside WarpRec",
            "",
            f"Written by `{command()}` on {datetime.now():%Y-%m-%d}.",
            "What is compared, and how, stands at the top of [rivals.py](rivals.py).",
            "",
            f"- ml-100k; medians of {repeats} repeats, in turns; {THREADS} threads each.",
            f"- WarpRec 2.2.8{f', {remark}' if remark else ''}; Ray's head is started beforehand.",
            *own_lines(),
            "",
            *lines,
            "",
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="recsweep beside WarpRec.")
    parser.add_argument("--models", nargs="+", choices=list(RIVALS), default=list(RIVALS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--work", type=Path, default=ROOT / "outputs" / "bench-speed")
    parser.add_argument("--keep", type=Path, default=ROOT / "outputs" / "bench-rivals.json")
    parser.add_argument("--resume", action="store_true", help="go on with what was kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
