"""RecBole alone trains what config files say, in RecBole's own environment (see best_config.py and panel.py).

python recbole_config_arm.py CONFIG RESULT.json [CONFIG RESULT.json …]

In an empty folder: RecBole writes into it. Of `run_recbole` nothing is changed but for Random and MacridVAE,
which draw random numbers for every score, and SGL, which draws graphs whenever it is set to training: to
count operations RecBole does both once before the training. Its tuner does not count.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FIRST_LINES = ("model: Random\n", "model: MacridVAE\n", "model: SGL\n")
"""Of configs of models that draw random numbers when their operations are counted."""


def main() -> None:
    files = sys.argv[1:]
    sys.argv = sys.argv[:1]  # RecBole reads it

    from recbole.quick_start import quick_start, run_recbole

    counting = quick_start.get_flops
    for config, result in zip(files[::2], files[1::2], strict=True):
        draws = Path(config).read_text(encoding="utf-8").startswith(FIRST_LINES)
        quick_start.get_flops = (lambda *given: 0) if draws else counting
        found = run_recbole(config_file_list=[config])
        plain = {
            "validation": float(found["best_valid_score"]),
            "valid": {name: float(value) for name, value in found["best_valid_result"].items()},
            "test": {name: float(value) for name, value in found["test_result"].items()},
        }
        Path(result).write_text(json.dumps(plain), encoding="utf-8")


if __name__ == "__main__":
    main()
