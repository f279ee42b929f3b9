"""RecBole alone trains what a `best_config.yaml` says, in RecBole's own environment (see best_config.py).

python recbole_config_arm.py BEST_CONFIG RESULT.json    # in an empty folder: RecBole writes into it
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    config, result = sys.argv[1:3]
    sys.argv = sys.argv[:1]  # RecBole reads it

    from recbole.quick_start import run_recbole

    found = run_recbole(config_file_list=[config])
    plain = {
        "validation": float(found["best_valid_score"]),
        "test": {name: float(value) for name, value in found["test_result"].items()},
    }
    Path(result).write_text(json.dumps(plain), encoding="utf-8")


if __name__ == "__main__":
    main()
