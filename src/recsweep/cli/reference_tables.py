"""The tables of the pages and the lists of the Makefile, made from the settings and the commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from recsweep.cli.commands import cli
from recsweep.cli.declare import GROUPS, Command, Option
from recsweep.looking.models import model_rows
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import descriptions, facts, field_at
from recsweep.sweeps.options import MAKE_ONLY, OF_A_STUDY, OF_A_SWEEP, SETTINGS, keys
from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.setting import THIS, Setting

SWEEP_LINK, STUDY_LINK = (
    "[options of a sweep](#options-of-a-sweep)",
    "[options of a study](#options-of-a-study)",
)
COMMANDS = [command for command in cli.commands.values() if isinstance(command, Command)]


BY_MAKE = [setting for setting in SETTINGS.values() if setting.make]


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def cells_by_first(page: str) -> dict[str, list[str]]:
    """The other cells of each row of a table, by the first one."""
    lines = (re.split(r"(?<!\\)\|", line)[1:-1] for line in page.splitlines() if line.startswith("|"))
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


# -- commands -------------------------------------------------------------------------------------


def commands() -> str:
    """The commands by what people do with them."""
    return table(
        ("command", "to", "what for"),
        (
            (f"[`{command.name}`](#recsweep-{command.name})", group.lower(), _sentence(command.help or ""))
            for group in GROUPS
            for command in COMMANDS
            if command.group == group
        ),
    )


def _sentence(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")


def options(settings: Iterable[Setting]) -> str:
    """Options with their default, what they may be, and what they are for."""
    return table(("option", "default", "values", "meaning"), map(_option, settings))


def _option(setting: Setting) -> tuple[str, ...]:
    value = "" if setting.switch else f" {setting.shown or 'NAME'}"
    told = _sentence(setting.help) + (f". {setting.more}" if setting.more else "")
    found = setting.facts
    default = found.default_text if setting.key or setting.required or found.default is not None else "-"
    values = "" if setting.switch else "names" if setting.several and not found.choices else found.values
    return ", ".join(f"`{flag}{value}`" for flag in setting.flags), default, values, told


def of_a_sweep() -> str:
    """The options that override a sweep file."""
    return options(SETTINGS[name] for name in ("config", *OF_A_SWEEP) if not SETTINGS[name].elsewhere)


def of_a_study() -> str:
    """The options that narrow a command."""
    return options(SETTINGS[name] for name in OF_A_STUDY)


def takes(command: Command) -> str:
    """The options of a command: the shared options in a sentence, its own in a table."""
    found = [option.setting for option in command.params if isinstance(option, Option)]
    shared = [setting for setting in found if SETTINGS.get(setting.name) is setting]
    names = [setting.name for setting in shared]
    parts = [
        _share(SWEEP_LINK, ["config", *OF_A_SWEEP], names),
        _share(STUDY_LINK, [*OF_A_STUDY], names),
    ]
    own = [setting for setting in found if setting.heading == THIS]
    said = " and ".join(part for part in parts if part)
    if not said:
        return options(own) if own else "Takes no options."
    return f"Takes {said}{', and:' if own else '.'}" + (f"\n\n{options(own)}" if own else "")


def _share(link: str, group: list[str], names: list[str]) -> str:
    """A group of options that a command takes: all, all but some, or some."""
    offered = [name for name in group if not SETTINGS[name].elsewhere]
    taken = [SETTINGS[name].flag for name in offered if name in names]
    left = [SETTINGS[name].flag for name in offered if name not in names]
    if not left or not taken:
        return f"the {link}" if taken else ""
    if len(left) <= 4:
        return f"the {link} (not {', '.join(f'`{flag}`' for flag in left)})"
    return f"{', '.join(f'`{flag}`' for flag in taken)} of the {link}"


# -- keys and variables ---------------------------------------------------------------------------


AGAIN = "protocol."
"""Keys that may stand at the top as well, where they are explained."""


def config_keys(model: type[Frozen], prefix: str, page: str) -> str:
    """Keys of a file below a section; what is said of each is kept from the page.

    Args:
        prefix: `search.`; empty for the keys of the first level.
        page: the table as it is.
    """
    advice = {key: cells[-1] for key, cells in cells_by_first(page).items()}
    rows = []
    for key in keys(model):
        if (
            key.startswith(AGAIN)
            or not key.startswith(prefix)
            or (model is SweepConfig and "." in key.removeprefix(prefix))
        ):
            continue
        path = tuple(key.split("."))
        _, owner = field_at(model, path)
        found = facts(model, path)
        told = advice.get(key) or descriptions(owner).get(path[-1], "")
        rows.append((f"`{key}`", found.default_text, found.values.replace("keys and values", "keys"), told))
    return table(("key", "default", "values", "how to choose it"), rows)


def overrides() -> str:
    """Where each setting can be set beside the file."""
    named = [setting for setting in SETTINGS.values() if setting.key or setting.make]
    return table(
        ("key", "option of `recsweep`", "Make variable", "`snakemake --config` key"),
        (
            (
                f"`{setting.key}`" if setting.key else _unkeyed(setting),
                "" if setting.elsewhere else f"`{setting.flag}`",
                f"`{setting.make}`" if setting.make else "",
                f"`{setting.snakemake}`" if setting.snakemake else "",
            )
            for setting in named
        ),
    )


def _unkeyed(setting: Setting) -> str:
    return "the file itself" if setting.name == "config" else _sentence(setting.help).split(",")[0].lower()


def make_variables(shipped: Mapping[str, str]) -> str:
    """The variables of the Makefile.

    Args:
        shipped: what the shipped sweep says, by the names of options.
    """
    rows = []
    for setting in (setting for setting in SETTINGS.values() if setting.make):
        found = setting.facts
        words = "" if not found.choices or setting.several else f": {found.values}"
        default = shipped.get(setting.name, "") or (
            "" if setting.key or found.default is None else found.default_text
        )
        rows.append((f"`{setting.make}`", _sentence(setting.help) + words, default))
    rows += [
        (f"`{name}`", text, {"CORES": "1", "PYTHON": "python3"}[name]) for name, text in MAKE_ONLY.items()
    ]
    return table(("variable", "what it sets", "default"), rows)


def models(root: Path) -> str:
    """Every model of RecBole, with the spaces that are shipped."""
    rows = [row.shown() for row in model_rows(root / "config" / "models")]
    return table(rows[0], (row.values() for row in rows))


# -- the Makefile ---------------------------------------------------------------------------------


def make_lists() -> str:
    """The lists of the Makefile: its variables, the settings that they give, what each command takes."""
    keyed = [setting.make for setting in BY_MAKE if setting.key]
    others = [setting.make for setting in BY_MAKE if not setting.key]
    lines = [f"SETTINGS := {' '.join(keyed)}", f"OTHERS := {' '.join([*others, 'CORES'])}"]
    lines += [f"key_{setting.make} := {setting.name}" for setting in BY_MAKE if setting.name != "config"]
    for command in COMMANDS:
        taken = [setting.make for setting in BY_MAKE if setting.name in command.takes]
        lines.append(f"takes_{command.name} := {' '.join(taken)}")
    return "\n".join(lines)


def make_help() -> str:
    """The lines that `make help` prints of the variables."""
    lines = []
    for setting in BY_MAKE:
        found = setting.facts
        words = found.values if found.choices and not setting.several else ""
        default = f"default {found.default}" if not setting.key and found.default else ""
        told = "; ".join(part for part in (_sentence(setting.help), words, default) if part)
        lines.append((setting.make, told.replace("`", "")))
    return "\n".join(f"#v {name} {text}" for name, text in [*lines, *MAKE_ONLY.items()])
