"""The sweeps that a command looks at: studies by a sweep file, or those of a store by the store alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsweep.api.seen import Seen, seen_by
from recsweep.cli.options import (
    overridden,
    say_aside,
    source_of,
    studies_of,
)
from recsweep.cli.stores import address_of, opened_at
from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError, UserError
from recsweep.common.names import is_name
from recsweep.common.paths import Outputs, is_made
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.overrides import OVERRIDES

if TYPE_CHECKING:
    from recsweep.study import StudyRecord

DEFAULT_OUTPUTS = Path("outputs")
_OF_A_STORE = ("storage", "storage_file", "outputs")


def look(options: dict[str, Any]) -> list[Seen]:
    """The sweeps that a command looks at.

    With a sweep file these are its studies, as the file describes them; where it names files that are not
    what they were, as the store does. With `--storage` and no file they are all that the store has.

    Raises:
        InputError: there is no such file, store or sweep.
    """
    if stands_alone(options):
        return _of_store(options)
    try:
        return [seen_by(studies_of(options, with_data=False))]
    except InputError as error:
        if (seen := _in_spite(options)) is None:
            raise
        say_aside(f"{error}; what is shown is what the store has")
        return [seen]


def stands_alone(options: dict[str, Any]) -> bool:
    """True where a store was named, and no sweep file: the default one counts where it is there."""
    if not (options.get("storage") or options.get("storage_file")):
        return False
    if source_of("config") != "default":
        return _names_a_sweep(str(options["config"]))
    typed = "commandline" in (source_of("storage"), source_of("storage_file"))
    return typed or not Path(options["config"]).is_file()


def _names_a_sweep(text: str) -> bool:
    """True where `--sweep` was given a sweep's name, and not a file."""
    return is_name(text) and Path(text).suffix not in (".yaml", ".yml") and not Path(text).exists()


# -- with a sweep file -----------------------------------------------------------------------------


def _in_spite(options: dict[str, Any]) -> Seen | None:
    """The studies in the store of a sweep whose files cannot be read any more; None where that is nothing."""
    try:
        config = overridden(options, whole=False).config
    except InputError:
        return None
    outputs = Outputs(config.outputs, config.sweep)
    address = config.storage.below(config.outputs) if config.storage is not None else outputs.storage_url
    if not is_made(address):
        return None
    return next(iter(_sweeps(address, config.outputs, config.sweep)), None)


# -- with a store alone ----------------------------------------------------------------------------


def _of_store(options: dict[str, Any]) -> list[Seen]:
    for name in OVERRIDES:
        if name not in _OF_A_STORE and options.get(name) and source_of(name) == "commandline":
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"{flag} changes a sweep, and none was named; give its file with --config")
    root = _root(options)
    address = _address(options)
    wanted = None if source_of("config") == "default" else str(options["config"])
    if found := _sweeps(address, root, wanted):
        return [_narrowed(seen, options) for seen in found]
    if wanted is not None:
        names = sorted({seen.name for seen in _sweeps(address, root, None)})
        raise InputError("--sweep", f"the store has no sweep {wanted}", nearest(wanted, names))
    raise UserError(f"the store {address} has no study of recsweep's yet; run `recsweep tune` first")


def _root(options: dict[str, Any]) -> Path:
    return Path(options["outputs"]) if options.get("outputs") else DEFAULT_OUTPUTS


def _address(options: dict[str, Any]) -> StoreAddress:
    """The address of the store that the options name.

    Raises:
        InputError: it is none.
        UserError: there is no store.
    """
    address = address_of(options)
    if not is_made(address):
        raise UserError(f"there is no store {address} yet; run `recsweep tune` first, or name another one")
    return address


def _sweeps(address: StoreAddress, root: Path, sweep: str | None) -> list[Seen]:
    """Every sweep of a store; one where it is named."""
    from recsweep.report.results import read_result
    from recsweep.study import BASELINE

    with opened_at(address) as store:
        by_sweep: dict[str, list[StudyRecord]] = {}
        for record in store.records(sweep=sweep):
            by_sweep.setdefault(record.sweep_name, []).append(record)
        return [
            Seen(
                name,
                root,
                [read_result(record, root, store) for record in sorted(records, key=_has_own_name)],
                [record for record in records if record.study_name is None],
                records,
                [read_result(record, root, store) for record in store.records(sweep=name, kind=BASELINE)],
            )
            for name, records in by_sweep.items()
        ]


def _has_own_name(record: StudyRecord) -> bool:
    return record.study_name is not None


def _narrowed(seen: Seen, options: dict[str, Any]) -> Seen:
    """With those studies as chosen that `--dataset`, `--model`, `--phase` and `--study-name` name."""
    wanted = {
        "dataset_name": options.get("dataset"),
        "model_name": options.get("model"),
        "phase": options.get("phase"),
        "study": options.get("study_name"),
    }
    asked = [
        record
        for record in seen.asked
        if all(value in (None, getattr(record, name)) for name, value in wanted.items())
    ]
    return replace(seen, asked=asked)
