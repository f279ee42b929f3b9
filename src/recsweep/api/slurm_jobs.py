"""Jobs of SLURM that work on a study: an array of workers, and one that closes it after them."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recsweep.common.errors import UserError
from recsweep.planning.plan import StudyPlan
from recsweep.running.deadline import seconds_of
from recsweep.sweeps.resources import CPUS_ELSEWHERE

WARNING_SECONDS = 120
"""SLURM warns a job so long before it ends it, by a minute more or less; at most in the last quarter."""
MOST_REQUEUES = 100
"""So often a job that ran out of time goes back into the queue: one that comes to nothing has an end."""
_SBATCH, _SINFO = "sbatch", "sinfo"
_SCRIPT = """#!/bin/bash
# SIGUSR1 comes before the time limit: trials are saved, and the job goes back into the queue.
# SIGTERM (preempted, cancelled) reaches every process of the job by itself.
again=0
trap 'again=1; kill -USR1 "$work" 2>/dev/null' USR1
trap ':' TERM
{commands} &
work=$!
while wait "$work"; code=$?; kill -0 "$work" 2>/dev/null; do :; done
if [ "$again" = 1 ] && [ "$code" != 0 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


@dataclass(frozen=True)
class SlurmJob:
    """One job as `sbatch` takes it: its options, and its script on the standard input."""

    study: str
    log: Path
    """The file of what it says; with SLURM's words for its numbers."""
    options: tuple[str, ...]
    script: str

    def after(self, jobs: Sequence[str], *, whatever: bool = True) -> SlurmJob:
        """The same job, begun once others are over; `whatever` became of them, or where all went well."""
        if not jobs:
            return self
        kind = "afterany" if whatever else "afterok"
        return replace(self, options=(*self.options, f"--dependency={kind}:{':'.join(jobs)}"))

    def __str__(self) -> str:
        """The command and the script, to be read, or pasted into a shell."""
        return f"{shlex.join([_SBATCH, *self.options])} <<'END'\n{self.script}END"


def workers_of(plan: StudyPlan, tasks: int, command: Sequence[str]) -> SlurmJob:
    """An array of jobs that fill a study.

    Args:
        tasks: how many.
        command: of each, one word each.
    """
    log = _log(plan, "%A_%a")
    options = (*_options(plan), f"--array=1-{tasks}", _output(log))
    return SlurmJob(plan.name, log, options, _script([command]))


def closing_of(plan: StudyPlan, commands: Sequence[Sequence[str]]) -> SlurmJob:
    """The job that fills what is left of a study, tests its winner, writes its files.

    Args:
        commands: one after the other, as long as all goes well.
    """
    log = _log(plan, "%j")
    return SlurmJob(plan.name, log, (*_options(plan), _output(log)), _script(commands))


def _script(commands: Sequence[Sequence[str]]) -> str:
    """The script of a job. Every word is quoted: none of them is read as anything else."""
    quoted = [shlex.join(command) for command in commands]
    whole = quoted[0] if len(quoted) == 1 else f"{{ {' && '.join(quoted)}; }}"
    return _SCRIPT.format(commands=whole, requeues=MOST_REQUEUES)


def _options(plan: StudyPlan) -> tuple[str, ...]:
    asked = plan.resources
    return (
        "--parsable",
        f"--job-name=recsweep-{plan.model_name}",
        f"--comment={plan.name}",
        f"--cpus-per-task={asked.cpus or CPUS_ELSEWHERE}",
        f"--mem={asked.mebibytes}M",
        *([f"--gres=gpu:{asked.gpus}"] if asked.gpus else []),
        *([f"--time={asked.minutes}"] if asked.minutes else []),
        f"--signal=B:USR1@{min(WARNING_SECONDS, 15 * (asked.minutes or WARNING_SECONDS))}",
        "--requeue",
        "--open-mode=append",
    )


def _log(plan: StudyPlan, number: str) -> Path:
    folder = plan.outputs.logs / "slurm" / plan.dataset_name / plan.model_name
    return folder.absolute() / f"{plan.phase}.{number}.log"


def _output(log: Path) -> str:
    return f"--output={str(log.parent).replace('%', '%%')}/{log.name}"


def submit(job: SlurmJob, environment: Mapping[str, str]) -> str:
    """Hand a job to SLURM; its number there.

    Args:
        environment: of the job; what stands in it is seen by nobody else.

    Raises:
        UserError: SLURM is not here, or refuses it.
    """
    told = _ask([_SBATCH, *job.options], environment, job.script)
    return told.strip().split(";")[0]  # with the name of the cluster behind it, where there are several


@dataclass(frozen=True)
class Partition:
    """Where SLURM runs jobs, unless it is told otherwise."""

    name: str
    seconds: float | None
    """Of a job, at most; None: any number."""
    gpus: bool
    """It has some."""


def partition_of(environment: Mapping[str, str]) -> Partition:
    """The partition that `SBATCH_PARTITION` names, else the usual one.

    Raises:
        UserError: SLURM is not here, or has no such partition.
    """
    named = environment.get("SBATCH_PARTITION", "")
    choice = ["--partition", named] if named else []
    told = _ask([_SINFO, "--noheader", *choice, "--format", "%P %l %G"], environment)
    rows = [row.split(maxsplit=2) for row in told.splitlines() if len(row.split()) >= 3]
    if named and not rows:
        raise UserError(f"SBATCH_PARTITION: SLURM has no partition {named}; `sinfo` lists them; correct it")
    own = [row for row in rows if named or row[0].endswith("*")]
    name, limit, _ = own[0] if own else ("", "", "")
    return Partition(name.rstrip("*"), seconds_of(limit), any("gpu" in row[2] for row in own or rows))


def fitted(plan: StudyPlan, partition: Partition) -> StudyPlan:
    """A study as it asks for no GPU where there is none, and nobody has said that it wants one.

    Raises:
        UserError: its jobs would wait for ever, as they ask for more minutes than the partition gives.
    """
    minutes = plan.resources.minutes
    if partition.seconds is not None and minutes is not None and 60 * minutes > partition.seconds:
        raise UserError(
            f"{plan.label}: resources.minutes is {minutes}, but SLURM's partition {partition.name} "
            f"ends jobs after {partition.seconds / 60:g}; ask for less (trials go on in the next job), or "
            "name another partition in SBATCH_PARTITION"
        )
    said = plan.sweep.resources.gpus is not None or plan.model.resources.gpus is not None
    if said or partition.gpus:
        return plan
    resources = plan.sweep.resources.model_copy(update={"gpus": 0})
    return replace(plan, sweep=plan.sweep.model_copy(update={"resources": resources}))


def _ask(command: Sequence[str], environment: Mapping[str, str], given: str = "") -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, env=dict(environment))
    except FileNotFoundError:
        raise UserError(
            f"there is no `{command[0]}` on this machine; SLURM's commands are on its login nodes; run it "
            "there, or with --dry-run to see the jobs"
        ) from None
    if done.returncode:
        why = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise UserError(f"`{command[0]}` refuses: {why}; correct that, or ask your site")
    return done.stdout
