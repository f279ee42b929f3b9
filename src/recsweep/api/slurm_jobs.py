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


def require_within_limits(plans: Sequence[StudyPlan], environment: Mapping[str, str]) -> None:
    """Refuse what SLURM would let wait for ever: more minutes than the partition gives.

    Raises:
        UserError: SLURM is not here, has no such partition, or its jobs are shorter.
    """
    named = environment.get("SBATCH_PARTITION", "")
    choice = ["--partition", named] if named else []
    rows = _ask([_SINFO, "--noheader", *choice, "--format", "%P %l"], environment).splitlines()
    limits = dict(row.split() for row in rows if len(row.split()) == 2)
    name = named or next((name for name in limits if name.endswith("*")), "")
    if named and not limits:
        raise UserError(f"SBATCH_PARTITION: SLURM has no partition {named}; `sinfo` lists them; correct it")
    most = seconds_of(limits.get(name, ""))
    for plan in plans:
        minutes = plan.resources.minutes
        if most is not None and minutes is not None and 60 * minutes > most:
            raise UserError(
                f"{plan.label}: resources.minutes is {minutes}, but SLURM's partition {name.rstrip('*')} "
                f"ends jobs after {most / 60:g}; ask for less (trials go on in the next job), or name "
                "another partition in SBATCH_PARTITION"
            )


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
