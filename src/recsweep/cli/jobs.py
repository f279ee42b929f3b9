"""`recsweep jobs`: the jobs of a service, over its API."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from recsweep.cli.declare import RUN, command
from recsweep.cli.job_texts import as_table, facts_of, line_of, one_line
from recsweep.cli.keeping import confirm
from recsweep.cli.options import say_aside, source_of
from recsweep.cli.stores import as_csv, as_json
from recsweep.common.errors import InputError, SweepPaused, UserError
from recsweep.common.escape import for_terminal
from recsweep.running.aside import show_markdown
from recsweep.sweeps.documents import load_document
from recsweep.sweeps.setting import THIS, Setting

if TYPE_CHECKING:
    from recsweep.client import Client

TOKEN, READ_TOKEN = "RECSWEEP_TOKEN", "RECSWEEP_READ_TOKEN"
_MOST_OFFERED = 100
_HASTE = {"timeout_seconds": 1.0, "patience_seconds": 0.0}
"""Nobody who has pressed the Tab key waits for a service that is away."""
_LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")
_URL = Setting(
    "url",
    "Where the service is.",
    THIS,
    shown="ADDRESS",
    default="http://127.0.0.1:8000",
    more=f"The token is that of `{TOKEN}` (or `{READ_TOKEN}`, to look only). It is no option: arguments can "
    "be read by everybody",
)
_TOKEN_FILE = Setting(
    "token_file",
    f"The file that holds the token, where {TOKEN} does not.",
    THIS,
    shown="FILE",
    more="By default, for a service on this machine, the one that `recsweep serve` has made in the output "
    "folder",
    completes="file",
)
_STATUS = Setting(
    "status",
    "Of `ls`: only jobs in this state.",
    THIS,
    choices=("created", "queued", "running", "paused", "cancelling", "cancelled", "completed", "failed"),
)
_START = Setting("start", "Of `create`: start it at once.", THIS, switch=True)
_ONLY = {
    **dict.fromkeys(("status", "dataset", "model"), ("ls",)),
    "start": ("create",),
    "yes": ("rm",),
    **dict.fromkeys(("json", "csv"), ("ls", "show")),
}
"""Options that not every action heeds."""


@command(
    RUN,
    "recsweep jobs create job.yaml --start",
    _URL,
    _TOKEN_FILE,
    "outputs",
    "dataset",
    "model",
    _STATUS,
    _START,
    *("json", "csv", "yes"),
    arguments=[
        click.Argument(
            ["action"],
            type=click.Choice(["ls", "show", "create", "start", "cancel", "resume", "rm", "watch"]),
            metavar="ACTION",
        ),
        click.Argument(
            ["target"],
            required=False,
            metavar="[JOB|FILE]",
            shell_complete=lambda context, _, typed: _offered(context.params, typed),
        ),
    ],
)
def jobs(action: str, target: str | None, **options: Any) -> None:
    """Ask a service: list jobs (ls), show one, create one from a FILE (YAML or JSON), start, cancel, resume,
    rm, or watch it to its end. JOB is an id, or the end of one that `ls` shows.
    """
    _check(action, target, options)
    with _client(options) as client:
        if action == "ls":
            _ls(client, options)
        elif action == "create":
            _create(client, Path(str(target)), options)
        else:
            _OF_ONE[action](client, _meant(client, str(target)), options)


def _check(action: str, target: str | None, options: Mapping[str, Any]) -> None:
    """Refuse what an action does not heed, and ask for what it needs."""
    for name, actions in _ONLY.items():
        if options[name] and action not in actions and source_of(name) == "commandline":
            raise InputError(f"--{name}", f"has no effect on `recsweep jobs {action}`", "leave it out")
    needs = {"ls": "", "create": "FILE"}.get(action, "JOB")
    if needs and not target:
        raise InputError(needs, "is missing", f"write `recsweep jobs {action} {needs}`")
    if target and not needs:
        raise InputError(target, "has no effect on `recsweep jobs ls`", "leave it out")


# -- the service -----------------------------------------------------------------------------------


@contextmanager
def _client(options: Mapping[str, Any], **patience: float) -> Iterator[Client]:
    from recsweep.client import Client

    url = str(options["url"])
    with Client(url, _token(url, options), **patience) as client:
        yield client


def _offered(options: Mapping[str, Any], typed: str) -> list[CompletionItem]:
    """Offers of the shell for JOB or FILE: of the newest jobs those of which that can be asked now."""
    action = options.get("action")
    if action == "create":
        return [CompletionItem(typed, type="file")]
    if action not in _OF_ONE:
        return []
    wish = {"rm": "delete"}.get(str(action), action)
    try:
        with _client({**options, "url": options.get("url") or _URL.default}, **_HASTE) as client:
            page = islice(client.list(page=_MOST_OFFERED), _MOST_OFFERED)
            return [
                CompletionItem(one.id, help=f"{one.name}, {one.status}")
                for one in page
                if one.id.startswith(typed) and (wish in one.allowed or wish in ("show", "watch"))
            ]
    except Exception:  # no service, no token: a half-typed command is nobody's mistake yet
        return []


def _token(url: str, options: Mapping[str, Any]) -> str:
    """The token: of the environment, of a file; that of this machine's service is sent to no other.

    Raises:
        InputError: there is none.
    """
    given = options["token_file"]
    if given and source_of("token_file") == "commandline":
        return _read(Path(given))
    if token := os.environ.get(TOKEN, "").strip() or os.environ.get(READ_TOKEN, "").split(" ")[0].strip():
        return token
    if given:
        return _read(Path(given))
    own = Path(options["outputs"] or "outputs") / "service-token"
    if url.startswith(_LOCAL) and own.is_file():
        return _read(own)
    problem = f"there is no token for {url}"
    raise InputError(TOKEN, problem, "set the variable, or name the file that holds it by --token-file")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InputError(
            "--token-file", f"{path} cannot be read ({error})", "give the token's file"
        ) from None


def _meant(client: Client, job: str) -> str:
    """The id that is meant: as it stands, or the end of one of the newest.

    Raises:
        UserError: none is, or several are.
    """
    if len(job) == 26:
        return job
    ids = [one.id for one, _ in zip(client.list(), range(1000), strict=False) if one.id.endswith(job)]
    if len(ids) != 1:
        why = "several jobs have an id that ends so" if ids else "no job has an id that ends so"
        raise UserError(f"{job}: {why}; give the whole id, which `recsweep jobs ls` shows")
    return ids[0]


# -- what is asked of it ---------------------------------------------------------------------------


def _ls(client: Client, options: Mapping[str, Any]) -> None:
    found = list(client.list(options["status"], options["model"], options["dataset"], page=200))
    if options["json"] or options["csv"]:
        plain = [one.model_dump(mode="json") for one in found]
        click.echo(as_json(plain) if options["json"] else as_csv(plain), nl=bool(options["json"]))
    elif not found:
        click.echo("the service has no such jobs", err=True)
    else:
        show_markdown(as_table(found))


def _show(client: Client, job: str, options: Mapping[str, Any]) -> None:
    if options["csv"]:
        click.echo(as_csv([one.model_dump(mode="json") for one in client.trials(job)]), nl=False)
        return
    found = client.get(job)
    if options["json"]:
        click.echo(as_json(found.model_dump(mode="json")))
        return
    facts, table = facts_of(found)
    click.echo("\n".join(map(for_terminal, facts)))
    if table:
        click.echo()
        show_markdown(table)


def _create(client: Client, path: Path, options: Mapping[str, Any]) -> None:
    from recsweep.service.service_error import ServiceError

    document = load_document(path)
    try:
        made = client.create(document.data)
    except ServiceError as error:
        if not error.mistakes:
            raise
        first, *rest = [_placed(document.error, one) for one in error.mistakes]
        for other in rest:
            say_aside(f"recsweep: {other}")
        raise first from None
    if options["start"]:
        client.start(made.id)
    click.echo(made.id)


def _placed(error: Callable[..., InputError], mistake: Mapping[str, Any]) -> InputError:
    """A mistake of a field at its place in the file."""
    parts = [] if mistake["field"] == "body" else str(mistake["field"]).split(".")
    location = [int(part) if part.isdigit() else part for part in parts]
    return error(location, mistake["problem"], mistake["fix"], at_key="unknown key" in mistake["problem"])


def _move(action: str) -> Callable[[Client, str, Mapping[str, Any]], None]:
    def moved(client: Client, job: str, options: Mapping[str, Any]) -> None:
        click.echo(one_line(getattr(client, action)(job)))

    return moved


def _rm(client: Client, job: str, options: Mapping[str, Any]) -> None:
    found = client.get(job)
    confirm(f"remove {for_terminal(found.name)} ({job}) with its trials and files for good?", options["yes"])
    client.delete(job)
    click.echo(f"{job} is removed")


def _watch(client: Client, job: str, options: Mapping[str, Any]) -> None:
    """One line that changes on a terminal, a line for each thing that happens elsewhere; then how it ended.

    Raises:
        SweepPaused: it is not complete, and can go on.
        UserError: it failed.
    """
    here = sys.stderr
    alive, looked = here.isatty(), 0.0
    found = client.get(job)
    if "start" in found.allowed:
        say_aside(f"it is not started yet; `recsweep jobs start {job}` starts it")
    for event in iter(()) if found.status.over else client.events(job):
        if event.kind not in _TOLD or time.monotonic() - looked < _AGAIN_SECONDS:
            continue
        looked, found = time.monotonic(), client.get(job)
        text = for_terminal(line_of(found))
        here.write(f"\r\x1b[K{text}" if alive else f"{text}\n")
        here.flush()
    found = client.get(job)
    here.write("\r\x1b[K" if alive else "")
    click.echo(for_terminal(line_of(found)))
    if found.status in ("paused", "cancelled"):
        why = found.error or "somebody asked for it"
        raise SweepPaused(f"job {job} is {found.status}; {why}; `recsweep jobs resume {job}` goes on")
    if found.status == "failed":
        raise UserError(f"job {job} failed; {found.error}; correct that, then `recsweep jobs resume {job}`")


_TOLD, _AGAIN_SECONDS = ("job", "trial.started", "trial.ended", "trial.back"), 0.3
_OF_ONE: dict[str, Callable[[Client, str, Mapping[str, Any]], None]] = {
    "show": _show,
    **{action: _move(action) for action in ("start", "cancel", "resume")},
    "rm": _rm,
    "watch": _watch,
}
COMMANDS = [jobs]
