"""`make docs`: parts of the Makefile and the pages made from the settings, the schemas, the page of the API.

    python -m recsweep.cli.reference

A test fails where one of them is no longer what would be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recsweep.cli import reference_tables as tables
from recsweep.cli.api_page import api_page
from recsweep.cli.importing import recipes_table
from recsweep.common.files import write_text
from recsweep.sweeps.config import DatasetConfig, ModelConfig, SweepConfig, VariantsConfig
from recsweep.sweeps.documents import load_document, validate
from recsweep.sweeps.options import OF_A_SWEEP, SETTINGS
from recsweep.sweeps.schema import KINDS, as_text

ROOT = Path(__file__).parents[3]
Maker = Callable[[str], str]
"""Makes the text between two marks, from what stands there now."""


def made(root: Path = ROOT) -> dict[Path, str]:
    """Each file that is made, or has a part that is, as it should be."""
    files = {root / "config" / "schema" / f"{kind}.json": as_text(kind) for kind in KINDS}
    files[root / "docs" / "reference" / "api.md"] = api_page()
    for path, makers in _makers(root).items():
        text = path.read_text(encoding="utf-8")
        for name, maker in makers.items():
            text = _put(path, text, name, maker)
        files[path] = text
    return files


def stale(root: Path = ROOT) -> Iterator[str]:
    """The files that are not as they should be."""
    for path, text in made(root).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield str(path.relative_to(root))


def _makers(root: Path) -> dict[Path, dict[str, Maker]]:
    config = {"overrides": _always(tables.overrides)}
    for name, model, prefix in _KEYS:
        config[f"keys {name}"] = _keys(model, prefix)
    commands = {
        "commands": _always(tables.commands),
        "options of a sweep": _always(tables.of_a_sweep),
        "options of a study": _always(tables.of_a_study),
        **{f"takes {one.name}": _always(tables.takes, one) for one in tables.COMMANDS},
    }
    return {
        root / "Makefile": {"lists": _always(tables.make_lists), "help": _always(tables.make_help)},
        root / "README.md": {"variables": _always(tables.make_variables, _shipped(root))},
        root / "config" / "README.md": config,
        root / "docs" / "commands.md": commands,
        root / "docs" / "reference" / "models.md": {"models": _always(tables.models, root)},
        root / "docs" / "how-to" / "import.md": {"recipes": _always(recipes_table)},
    }


_KEYS = (
    ("sweep", SweepConfig, ""),
    *((name, SweepConfig, f"{name}.") for name in ("search", "pruning", "training", "evaluation")),
    *((name, SweepConfig, f"{name}.") for name in ("cooldown", "workers", "checkpoints", "resources")),
    *((name, SweepConfig, f"{name}.") for name in ("energy", "notify", "evidence")),
    ("tracking", SweepConfig, "tracking."),
    *((f"tracking {name}", SweepConfig, f"tracking.{name}.") for name in ("wandb", "mlflow")),
    ("data set", DatasetConfig, ""),
    ("model", ModelConfig, ""),
    ("variants", VariantsConfig, ""),
)


def _always(make: Callable[..., str], *arguments: Any) -> Maker:
    return lambda _: make(*arguments)


def _keys(model: Any, prefix: str) -> Maker:
    return lambda page: tables.config_keys(model, prefix, page)


def _shipped(root: Path) -> dict[str, str]:
    """The values of the shipped sweep, by the names of options."""
    sweep = validate(load_document(root / "config" / "config.yaml"), SweepConfig)
    said: dict[str, str] = {}
    for name in OF_A_SWEEP:
        value: Any = sweep
        for key in SETTINGS[name].path:
            value = getattr(value, key, None)
        if value is not None and value is not False and value != ():
            said[name] = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return said


def _put(path: Path, text: str, name: str, maker: Maker) -> str:
    """A text with one part made anew.

    Raises:
        LookupError: its marks are not there.
    """
    mark = f"# >>> {name}" if path.name == "Makefile" else f"<!-- made: {name} -->"
    end = "# <<<" if path.name == "Makefile" else "<!-- end -->"
    found = re.search(f"^{re.escape(mark)}\n(.*?)^{re.escape(end)}$", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"{path.name} has no part `{mark}` … `{end}`")
    gap = "" if path.name == "Makefile" else "\n"
    return f"{text[: found.start(1)]}{gap}{maker(found[1]).rstrip()}\n{gap}{text[found.end(1) :]}"


def main() -> None:
    """Write what is not as it should be."""
    for path, text in made().items():
        write_text(path, text)


if __name__ == "__main__":
    main()
