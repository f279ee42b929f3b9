"""Which process of a test run gets which tests, and when: none is idle while another has much to do."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

BY_TEST = ("tests/end_to_end/test_many_workers.py", "tests/end_to_end/test_phases.py")
BY_TEST += ("tests/end_to_end/test_pipeline.py", "tests/end_to_end/test_supervision.py")
"""Files of minutes whose tests share nothing that is dear to make."""
BY_MODEL = ("tests/training/test_fast_equality.py",)
"""Files whose tests of one model share what was trained for it."""
_FIRST = ("tests/end_to_end/", "tests/training/", "tests/running/", "tests/api/", "tests/search/")
_FIRST += ("tests/report/", "tests/recbole_api/", "tests/cli/", "tests/common/test_secrets.py")
"""What takes longest; a file of seconds is what is left at the end."""


class LongestFirst(LoadScopeScheduling):
    """A file is one process's, for its fixtures; a long one is divided. The order is that of the tests."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """The name of the tests that one process runs together with this one."""
    file = nodeid.partition("::")[0]
    if file in BY_TEST:
        return nodeid.partition("[")[0]
    if file in BY_MODEL:
        model = nodeid.partition("[")[2].rstrip("]").partition("-")[0]
        return f"{file}::{model}"
    return file


def longest_first(items: list[pytest.Item]) -> None:
    """Put the tests with real processes first, then those that train, then what else takes long."""
    count = Counter(item.nodeid.partition("::")[0] for item in items)

    def rank(item: pytest.Item) -> tuple[int, int]:
        file = item.nodeid.partition("::")[0]
        folder = next((n for n, start in enumerate(_FIRST) if file.startswith(start)), len(_FIRST))
        return folder, -count[file]

    items.sort(key=rank)
