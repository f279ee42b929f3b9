"""The facts that a bug report needs: versions, hardware, and whether the config and the store are sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from recsweep.cli.options import say_aside
from recsweep.common import provenance
from recsweep.common.cores import cores
from recsweep.common.errors import RecsweepError
from recsweep.common.files import counted
from recsweep.common.others import cores_of_others, spare_cores
from recsweep.common.paths import is_made
from recsweep.planning.plan import StudyPlan, check_data, plan_sweep
from recsweep.running.nvml import gpu_temperature
from recsweep.sweeps.loading import Sweep

_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("RECSWEEP_NATIVE", "RECSWEEP_GEMM", "RECSWEEP_VECTORS", "RECSWEEP_TEMPLATE"),
)
_A_CORE = 0.7
"""From this many cores on other programs slow a thread on each core down."""
_SLOWER = "training takes the slower Python path"
Finding = tuple[str, str, bool]
"""A thing that was looked at, what was found, and whether it is as it should be."""


def examine(load: Callable[[], Sweep], *, cluster: bool = False) -> Iterator[Finding]:
    """Look at everything that a sweep depends on; never raises for what it looks at.

    Args:
        load: gives the sweep, or says what is wrong with it.
        cluster: this machine is one of several that work on it.
    """
    for name, version in provenance.versions().items():
        yield name, version, version != "not installed"
    yield "commit", f"{provenance.commit()} of recsweep", True
    own = provenance.repository()
    if own:
        changed = ", with changes" if own["changes"] else ""
        yield "repository", f"{own['name']} at {own['commit']}{changed}", True
    for name, value in provenance.hardware().items():
        yield name, str(value), True
    yield from _others()
    yield _libraries()
    yield from _torch()
    yield _kernels()
    temperature = gpu_temperature()
    yield "GPU temperature", "no GPU or no NVML" if temperature is None else f"{temperature:g} C", True
    for name in _VARIABLES:
        if name in os.environ:
            yield name, os.environ[name], True
    yield from _sweep(load, cluster=cluster)


def _others() -> Iterator[Finding]:
    used = cores_of_others()
    if used is None:
        return
    most = cores()
    found = f"use {used:.1f} of {counted(most, 'core')}"
    if used >= _A_CORE and most > 1:
        found += f"; `workers.threads: spare`, {spare_cores(used)} here, is as fast or faster"
    yield "other programs", found, True


def _libraries() -> Finding:
    from recsweep.recbole_api.compat import check_versions

    try:
        check_versions()
    except RecsweepError as error:
        return "libraries", str(error), False
    return "libraries", "versions that work together", True


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield "torch import", str(error), False
        return
    build = "CPU build" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
    yield "torch build", build, True
    yield "torch threads", str(torch.get_num_threads()), True
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield "GPUs", ", ".join(names) or "none", True


def _kernels() -> Finding:
    from recsweep.training.fast import build, gemm

    library = build.library()
    if os.environ.get("RECSWEEP_NATIVE") == "0":
        built = f"built as {library}" if library.is_file() else "not built"
        return "compiled kernels", f"switched off by RECSWEEP_NATIVE=0 ({built}); {_SLOWER}", True
    if library.is_file():
        return "compiled kernels", f"{library}; matrix products by {gemm.told(library.parent)}", True
    why = build.missing_tools() or "not built for this processor; run `make setup`"
    return "compiled kernels", f"none ({why}); {_SLOWER}", True


def _sweep(load: Callable[[], Sweep], *, cluster: bool) -> Iterator[Finding]:
    try:
        sweep = load()
        plans = plan_sweep(sweep)
        kept = check_data(sweep)
    except RecsweepError as error:
        yield "config", str(error), False
        return
    yield "config", f"{sweep.document.path}: {counted(len(plans), 'study')}", True
    for dataset, count in kept.items():
        yield f"data set {dataset}", f"{count} interactions", True
    yield from _store(plans)
    if cluster:
        from recsweep.cli.doctor_cluster import examine_node

        yield from examine_node(plans)


def _store(plans: list[StudyPlan]) -> Iterator[Finding]:
    from recsweep.study import State, Store

    plan = plans[0]
    if not is_made(plan.storage_url):
        yield "store", f"{plan.storage_url}: not made yet", True
        return
    try:
        store = Store(plan.storage_url, tell=say_aside)
        names = store.names()
        yield "store", f"{plan.storage_url}: {counted(len(names), 'study')}", True
        for own in plans:
            study = store.find_study(own.name)
            if study is not None:
                running = sum(trial.state == State.RUNNING for trial in study.trials())
                yield (
                    f"study {own.name}",
                    f"{len(study.results())} of {counted(own.budget, 'trial')}, {running} running",
                    True,
                )
        store.close()
    except RecsweepError as error:
        yield "store", str(error), False
