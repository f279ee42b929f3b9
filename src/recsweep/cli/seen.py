"""What a command looks at: the studies of a sweep by its file, or those of a store by the store alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsweep.cli.openly import IN_THE_OPEN
from recsweep.cli.options import (
    Studies,
    given_options,
    overridden,
    say_aside,
    source_of,
    studies_of,
)
from recsweep.common.address import AddressError, StoreAddress, read_address
from recsweep.common.errors import InputError, UserError
from recsweep.common.names import is_name
from recsweep.common.paths import Outputs, is_made
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.overrides import OVERRIDES, given_of

if TYPE_CHECKING:
    from recsweep.report.results import StudyResult
    from recsweep.study import StudyRecord

DEFAULT_OUTPUTS = Path("outputs")
_OF_A_STORE = ("storage", "storage_file", "outputs")


@dataclass(frozen=True)
class Seen:
    """One sweep, as far as the store has it.

    Attributes:
        name: the sweep's.
        root: the folder of all outputs.
        results: of the studies that are in the store, those with a name of the user's last.
        planned: every study of the sweep by its own name, begun or not.
        asked: the studies that were asked for.
    """

    name: str
    root: Path
    results: list[StudyResult]
    planned: list[StudyRecord] = field(default_factory=list)
    asked: list[StudyRecord] = field(default_factory=list)

    @property
    def outputs(self) -> Outputs:
        return Outputs(self.root, self.name)

    @property
    def chosen(self) -> set[str]:
        """The names of the studies that were asked for."""
        return {record.name for record in self.asked}

    @property
    def not_there(self) -> list[StudyRecord]:
        """Studies that were asked for and are not in the store."""
        found = {result.record.name for result in self.results}
        return [record for record in self.asked if record.name not in found]

    @property
    def of_all(self) -> list[StudyResult]:
        """The results of all studies of the sweep, in its order, also of those that are not begun."""
        from recsweep.report.results import with_missing

        return with_missing(self.results, self.planned, self.root)

    @property
    def missing(self) -> list[StudyRecord]:
        """Studies of the sweep that are not in the store."""
        found = {result.record.name for result in self.results}
        return [record for record in self.planned if record.name not in found]


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


def address_of_store(options: dict[str, Any]) -> StoreAddress:
    """The address of the store that a command looks at.

    Raises:
        InputError: a mistake in the sweep's files or the options.
    """
    if stands_alone(options):
        return _address(options, _root(options))
    config = overridden(options).config
    return config.storage or Outputs(config.outputs, config.sweep).storage_url


def stands_alone(options: dict[str, Any]) -> bool:
    """Whether a store was named, and no sweep file: the default one counts where it is there."""
    if not (options.get("storage") or options.get("storage_file")):
        return False
    if source_of("config") != "default":
        return _names_a_sweep(str(options["config"]))
    typed = "commandline" in (source_of("storage"), source_of("storage_file"))
    return typed or not Path(options["config"]).is_file()


def _names_a_sweep(text: str) -> bool:
    """Whether `--sweep` was given a sweep's name, and not a file."""
    return is_name(text) and Path(text).suffix not in (".yaml", ".yml") and not Path(text).exists()


# -- with a sweep file -----------------------------------------------------------------------------


def seen_by(studies: Studies) -> Seen:
    """The studies of a sweep file."""
    # A study that has another name is shown beside the one of its model, not instead.
    own = [replace(plan, study_name=None) for plan in studies.all]
    names = {plan.name for plan in own}
    named = [plan for plan in studies.chosen if plan.name not in names]
    return Seen(
        studies.sweep.config.sweep,
        studies.sweep.config.outputs,
        results_of([*own, *named]),
        [plan.record() for plan in own],
        [plan.record() for plan in studies.chosen],
    )


def results_of(plans: Sequence[StudyPlan]) -> list[StudyResult]:
    """What is in the store of these studies of a sweep. Makes no store where there is none."""
    if not plans or not is_made(plans[0].storage_url):
        return []
    from recsweep.report.results import read_result
    from recsweep.search.begun import begun_studies
    from recsweep.study import Store

    root = plans[0].sweep.outputs
    with closing(Store(plans[0].storage_url, tell=say_aside)) as store:
        return [
            replace(read_result(begun.record, root, store), moved=begun.moved)
            for begun in begun_studies(plans, store)
        ]


def _in_spite(options: dict[str, Any]) -> Seen | None:
    """What the store has of a sweep whose files cannot be read any more; None where that is nothing."""
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
    address = _address(options, root)
    wanted = None if source_of("config") == "default" else str(options["config"])
    if found := _sweeps(address, root, wanted):
        return [_narrowed(seen, options) for seen in found]
    if wanted is not None:
        known = sorted({seen.name for seen in _sweeps(address, root, None)})
        raise InputError("--sweep", f"the store has no sweep {wanted}", nearest(wanted, known))
    raise UserError(f"the store {address} has no study of recsweep's yet; run `recsweep tune` first")


def _root(options: dict[str, Any]) -> Path:
    return Path(options["outputs"]) if options.get("outputs") else DEFAULT_OUTPUTS


def _address(options: dict[str, Any], root: Path) -> StoreAddress:
    """The address of the store that the options name.

    Raises:
        InputError: it is none.
        UserError: there is no store.
    """
    overrides, names = given_options({name: options.get(name) for name in _OF_A_STORE})
    given = given_of(overrides, names)
    if "storage" in given:
        address: StoreAddress = given["storage"]
        if address.secret and source_of("storage") == "commandline":
            say_aside(f"recsweep: {IN_THE_OPEN}")
    else:
        address = _read_from(Path(given["storage_file"]).expanduser())
    address = address.below(root)
    if not is_made(address):
        raise UserError(f"there is no store {address} yet; run `recsweep tune` first, or name another one")
    return address


def _read_from(file: Path) -> StoreAddress:
    try:
        return read_address(file)
    except AddressError as error:
        raise InputError("--storage-file", error.problem, error.fix) from None


def _sweeps(address: StoreAddress, root: Path, sweep: str | None) -> list[Seen]:
    """Every sweep of a store; one where it is named."""
    from recsweep.report.results import read_result
    from recsweep.study import Store

    with closing(Store(address, tell=say_aside)) as store:
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


# -- what is written of it --------------------------------------------------------------------------


def write_sweep(seen: Seen) -> None:
    """Rebuild every file of a sweep from the store."""
    from recsweep.report.study_files import write_study
    from recsweep.report.summary import write_summary

    for result in seen.results:
        write_study(result)
    if seen.planned:
        write_summary(seen.outputs, seen.of_all)
