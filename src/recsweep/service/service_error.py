"""A refusal of the service, as its clients are told: an error with field, value and fix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from recsweep.common.errors import EXIT_BUG, EXIT_PAUSED, EXIT_USER, RecsweepError

_LATER = (429, 502, 503, 504)
_BUG = 500


class ServiceError(RecsweepError):
    """The service refused a request, or cannot be reached.

    Attributes:
        status: of HTTP; None where the service cannot be reached.
        detail: the problem, in a sentence.
        field: of the request: a key of the job, a parameter, a header.
        value: what it held, in a few letters.
        fix: what to do about it.
        mistakes: all of them, each with `field`, `problem`, `fix` and `value`.
        state: of the job, where it is not in one for what was asked.
        allowed: what can be asked of it now.
        retry_after: seconds, where the same may be granted later.
    """

    def __init__(self, detail: str, status: int | None = None, **told: Any) -> None:
        self.status, self.detail = status, detail
        self.field: str | None = told.get("field")
        self.value: str | None = told.get("value")
        self.fix: str | None = told.get("fix")
        self.mistakes: list[dict[str, Any]] = told.get("errors") or []
        self.state: str | None = told.get("state")
        self.allowed: list[str] = told.get("allowed") or []
        self.retry_after: float | None = told.get("retry_after")
        self.exit_code = EXIT_PAUSED if self.is_passing else EXIT_BUG if status == _BUG else EXIT_USER
        super().__init__(f"{detail}; {self.fix}" if self.fix and self.fix not in detail else detail)

    @property
    def is_passing(self) -> bool:
        """True where the same may be granted later."""
        return self.status is None or self.status in _LATER


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """The error of an answer; one that is no problem+json is of something else than the service."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    wait = headers.get("retry-after", "")
    later = {"retry_after": float(wait)} if wait.isdigit() else {}
    if not isinstance(told, dict) or "detail" not in told:
        fix = "look whether recsweep serves there, or a proxy is in between"
        return ServiceError(f"the answer was {status}, which is none of recsweep's", status, fix=fix, **later)
    details = ("field", "value", "fix", "errors", "state", "allowed")
    return ServiceError(str(told["detail"]), status, **{name: told.get(name) for name in details}, **later)
