"""Compose files as compose reads them: with their anchors and the variables of `.env` put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")


def composed(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """A compose file with variables put in, as `docker compose config` shows it."""
    return dict(_put_in(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")), environment))


def _put_in(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _put_in(one, environment) for key, one in value.items()}
    if isinstance(value, list):
        return [_put_in(one, environment) for one in value]
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda found: environment.get(found[1]) or found[2] or "", value)


def example() -> dict[str, str]:
    """The variables of `.env.example`."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, flags=re.MULTILINE))
