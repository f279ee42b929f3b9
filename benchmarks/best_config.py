"""RecBole reads `best_config.yaml`: a winner of recsweep's, trained again by RecBole alone.

A small sweep is tuned by `recsweep tune`. Its winner's `best_config.yaml` is then handed, as it is, to
RecBole's `run_recbole`, in an environment in which RecBole works (requirements-recbole.txt, `.venv-recbole`;
with `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`, since RecBole's own checkpoints hold its Config). Validation score
and test metrics must agree to four decimals; the exit code is 1 if not.

The data set takes `time_order: recbole`, and the models no dropout: the exact order of close interactions
and recsweep's dropout masks are what RecBole cannot repeat.

    python benchmarks/best_config.py
    python benchmarks/best_config.py --models FPMC
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.documents import load_document
from side_by_side import HERE, MODELS, TOLERANCE, make_sweep, recbole_python, run_timed


def main() -> int:
    arguments = _arguments()
    python = recbole_python()
    failed = False
    print("| model | metric | recsweep | RecBole alone |\n|---|---|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="recsweep-best-config-") as temporary:
        for model in arguments.models:
            plan, config = make_sweep(model, arguments, Path(temporary) / model / "recsweep")
            ours = tuned(plan, config)
            theirs = trained_by_recbole(plan, python, Path(temporary) / model / "recbole")
            for name, value in ours.items():
                failed |= abs(value - theirs[name]) > TOLERANCE
                print(f"| {model} | {name} | {value:.4f} | {theirs[name]:.4f} |", flush=True)
    print("FAILED: the metrics differ" if failed else "equal to four decimals")
    return 1 if failed else 0


def tuned(plan: StudyPlan, config: Path) -> dict[str, float]:
    """Validation score and test metrics of the winner, as `best_result.yaml` has them."""
    run_timed(
        [sys.executable, "-m", "recsweep", "tune", "--config", str(config)], config.parent, dict(os.environ)
    )
    found = load_document(plan.outputs.best_result(*plan.folder_names)).data
    test = {
        f"test {name}": round(float(value), 4) for name, value in found["test"].items()
    }  # as RecBole does
    return {"validation": float(found["score"])} | test


def trained_by_recbole(plan: StudyPlan, python: Path, folder: Path) -> dict[str, float]:
    """The same of RecBole's `run_recbole` on `best_config.yaml`."""
    folder.mkdir(parents=True)
    result = folder / "result.json"
    best = plan.outputs.best_config(*plan.folder_names)
    command = [str(python), str(HERE / "recbole_config_arm.py"), str(best.resolve()), str(result)]
    run_timed(command, folder, {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONPATH": ""})
    found = json.loads(result.read_text(encoding="utf-8"))
    return {"validation": found["validation"]} | {f"test {k}": v for k, v in found["test"].items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="RecBole trains what recsweep's best_config.yaml says.")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["FPMC", "GRU4Rec"])
    parser.add_argument("--full", action="store_true", help="all of ml-100k instead of its five-star ratings")
    parser.add_argument("--epochs", type=int, default=3, help="most epochs of a trial")
    parser.add_argument("--stopping-step", type=int, default=3)
    parser.add_argument("--seed", type=int, default=2026)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
