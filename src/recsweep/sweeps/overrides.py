"""Values that options, Make variables, `--config` keys and the environment set over a sweep's file."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Mapping
from typing import Any

from pydantic import ValidationError

from recsweep.common.address import AddressError, StoreAddress
from recsweep.common.cores import cores
from recsweep.common.errors import InputError
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.documents import nearest, rule, short_value
from recsweep.sweeps.options import OF_A_SWEEP, SETTINGS, variable

OVERRIDES: dict[str, tuple[str, ...]] = {name: SETTINGS[name].path for name in OF_A_SWEEP}
"""Options of the command line (and of --config and the environment), and the key that each one sets."""
_LISTS = tuple(name for name in OF_A_SWEEP if SETTINGS[name].several)
_SWITCHES = tuple(name for name in OF_A_SWEEP if SETTINGS[name].switch)
_TEXTS = (
    *("storage_file", "outputs", "checkpoints", "engine", "algo", "pruner", "scheduler", "device"),
    *("wandb_project", "mlflow_uri"),
)
_REPLACES = {"scheduler": "pruner", "pruner": "scheduler"}
"""One rule ends trials: who gives one does not want the other of the file."""
_WHOLE = re.compile(r"[-+]?[0-9]{1,100}")
_REAL = re.compile(
    r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(inf|infinity|nan)", re.IGNORECASE
)
_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def called(option: str, given_as: Mapping[str, str]) -> str:
    """The name of an option where it was given; on the command line, where nobody says otherwise."""
    return given_as.get(option, f"--{option.replace('_', '-')}")


def from_environment() -> dict[str, Any]:
    """The overrides that the environment gives, by the names of their options; an empty one gives nothing.

    Raises:
        InputError: a flag that is neither on nor off.
    """
    found: dict[str, Any] = {}
    for option in OVERRIDES:
        text = os.environ.get(variable(option), "")
        if text and option in _SWITCHES:
            if text.lower() not in _FLAGS:
                raise InputError(variable(option), f"must be 1 or 0, but got {text!r}", "correct the value")
            found[option] = _FLAGS[text.lower()]
        elif text:
            found[option] = text
    return found


def given_of(overrides: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The overrides without those that give nothing, lists as lists, the address of the store as what it is.

    Raises:
        InputError: an unknown option, an address that is none, or two of them.
    """
    given: dict[str, Any] = {}
    for option, value in overrides.items():
        if option not in OVERRIDES:
            raise InputError(called(option, names), "is no setting of a sweep", nearest(option, OVERRIDES))
        if value is None or value == "" or value == () or value is False:
            continue
        if option in _LISTS:
            value = str(value).split() if not isinstance(value, list | tuple) else list(value)
        if option == "workers" and str(value) == "-1":
            value = cores()
        try:
            given[option] = StoreAddress.of(value) if option == "storage" else value
        except AddressError as error:
            raise InputError(called(option, names), error.problem, error.fix) from None
    if "storage" in given and "storage_file" in given:
        raise InputError(called("storage", names), "stands beside storage_file", "give one of them")
    return given


def option_flags(overrides: Mapping[str, Any], takes: Container[str] = OVERRIDES) -> list[str]:
    """The command-line options that give the same overrides, one word each: `--max-evals=3`.

    Those are left out that a command does not take, and the address of the store: arguments can be read by
    everybody, it goes by the environment.
    """
    flags: list[str] = []
    for option, value in given_of(overrides, {}).items():
        if option == "storage" or option not in takes:
            continue
        name = called(option, {})
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        flags.append(name if str(value) == "True" else f"{name}={text}")
    return flags


def override(config: SweepConfig, given: Mapping[str, Any], names: Mapping[str, str]) -> SweepConfig:
    """The config with what is given over it.

    Raises:
        InputError: a value that does not fit; the option that gave it is named.
    """
    data = _overridden(config, given)
    try:
        return SweepConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = _to_blame(config, given, first)
        problem, fix = rule(first, data)
        if first["type"] != "value_error":  # our own validators name the value themselves
            value = first["input"] if option in _LISTS and first["type"] != "too_short" else given[option]
            problem += f", but got {short_value(value)}"
        raise InputError(called(option, names), problem, fix) from None


def _overridden(config: SweepConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    data = config.model_dump()
    if "storage" in given or "storage_file" in given:
        data |= {"storage": None, "storage_file": None}
    for option, other in _REPLACES.items():
        if given.get(option, "none") != "none" and other not in given:
            target, key = _at(data, other)
            target[key] = "none"
    for option, value in given.items():
        target, key = _at(data, option)
        target[key] = _from_text(option, value)
    return data


def _at(data: dict[str, Any], option: str) -> tuple[dict[str, Any], str]:
    """The section in which an option's key stands, and the key."""
    *parents, key = OVERRIDES[option]
    for parent in parents:
        if data[parent] is None:  # a section that the file leaves out
            data[parent] = {}
        data = data[parent]
    return data, key


def _from_text(option: str, value: Any) -> Any:
    """The value of an option in its type, where it was given as text that has such a form."""
    if not isinstance(value, str) or option in (*_TEXTS, *_LISTS):
        return value
    if option in _SWITCHES:
        return _FLAGS.get(value.lower(), value)
    if _WHOLE.fullmatch(value):
        return int(value)
    return float(value) if _REAL.fullmatch(value) else value


def _to_blame(config: SweepConfig, given: Mapping[str, Any], mistake: Any) -> str:
    """The option that set the wrong value; of a rule between values the last without which it holds."""
    location = tuple(mistake["loc"])
    for option in given:
        if OVERRIDES[option] == location[: len(OVERRIDES[option])]:
            return option
    for option in reversed(list(given)):
        try:
            SweepConfig.model_validate(
                _overridden(config, {name: value for name, value in given.items() if name != option})
            )
        except ValidationError as error:
            if any(other["loc"] == mistake["loc"] for other in error.errors(include_url=False)):
                continue
        return option
    return list(given)[-1]
