"""Workers by their contract: processes, and the threads that stand in for them."""

from __future__ import annotations

import pytest

from helpers.light_hand import process_main, thread_main
from helpers.thread_workers import ThreadWorkers
from helpers.workers_contract import WorkersContract
from recsweep.running.local_workers import LocalWorkers


class TestLocalWorkers(WorkersContract):
    @pytest.fixture
    def workers(self):
        workers = LocalWorkers(process_main)
        yield workers
        workers.close()


class TestThreadWorkers(WorkersContract):
    @pytest.fixture
    def workers(self):
        workers = ThreadWorkers(thread_main)
        yield workers
        workers.close()
