"""`recsweep.client` and `recsweep jobs` against a server that is real."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

import recsweep
from helpers.service import JOB, NOBODY, READ, WRITE, claimed, job, with_trials
from helpers.service import Client as App
from recsweep.cli import cli
from recsweep.client import Client, ServiceError
from recsweep.common.errors import InputError, RecsweepError
from recsweep.common.owner import this_process
from recsweep.service.claims import Claims
from recsweep.service.event_stream import Event, events_in
from recsweep.service.states import JobStatus


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, WRITE, patience_seconds=0) as made:
        yield made


def ended(app: App, job_id: str, status: JobStatus = JobStatus.COMPLETED, error: str | None = None) -> None:
    """A job that was started, had two trials, and came to an end."""
    found = claimed(app, job_id)
    with_trials(app, found, [0.1, 0.3])
    Claims(app.service.jobs, this_process()).end(found, status, error)


def test_a_job_from_its_making_to_its_removal(app: App, client: Client, tmp_path: Path) -> None:
    assert client.validate(JOB).trials == 5
    made = client.create(JOB, key="one")
    assert client.create(JOB, key="one").id == made.id
    assert client.start(made.id).status == "queued"
    assert client.cancel(made.id).status == "cancelled"
    assert client.resume(made.id).allowed == ["cancel", "delete"]
    client.cancel(made.id)
    app.service.jobs.resume(made.id)
    client.delete(made.id)
    with pytest.raises(ServiceError, match="there is no job") as caught:
        client.get(made.id)
    assert (caught.value.status, caught.value.field, caught.value.exit_code) == (404, "job_id", 2)


def test_what_a_job_found(app: App, client: Client, tmp_path: Path) -> None:
    made = client.create(job(name="found"))
    ended(app, made.id)
    found = client.wait(made.id)
    assert (found.status, found.progress.done) == (JobStatus.COMPLETED, 2)
    assert found.best is not None
    assert (found.best.slot, found.best.score) == (1, 0.3)
    assert [trial.slot for trial in client.trials(made.id, page=1)] == [0, 1], "page by page"
    assert [one.epoch for one in client.trial(made.id, 1).curve] == [1, 2]
    folder = app.service.folder(made.id)
    (folder / "a b").mkdir(parents=True)
    (folder / "a b" / "trials.csv").write_text("x\n")
    (artifact,) = client.artifacts(made.id).artifacts
    assert client.download(made.id, artifact.path, tmp_path).read_text() == "x\n"
    assert (tmp_path / "trials.csv").is_file()
    assert "SASRec" in {one.name for one in client.models().models}
    assert "ml-100k" in {one.name for one in client.datasets().datasets}


def test_jobs_are_listed_page_by_page_and_by_what_is_asked(client: Client) -> None:
    made = [client.create(job(model="FPMC", search_space=None, name=f"list {n}")).id for n in range(3)]
    assert [one.id for one in client.list(model="FPMC", page=2)] == made[::-1]
    assert list(client.list(status="running", model="FPMC")) == []


def test_a_mistake_has_its_field_its_value_and_a_fix(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        client.create(job(num_samples=0, model="SASRecc"))
    error = caught.value
    assert (error.status, error.field, error.value) == (422, "num_samples", "0")
    assert error.fix
    assert [one["field"] for one in error.mistakes] == ["num_samples"]
    made = client.create(JOB)
    with pytest.raises(ServiceError) as caught:
        client.resume(made.id)
    assert (caught.value.status, caught.value.state) == (409, "created")
    assert caught.value.allowed == ["start", "delete"]


def test_events_are_heard_at_once_and_taken_up_after_a_break(app: App, client: Client) -> None:
    made = client.create(job(name="heard"))
    stream = client.events(made.id)
    assert next(stream).kind == "job", "before it is over"
    ending = threading.Thread(target=ended, args=(app, made.id))
    ending.start()
    heard = list(stream)
    ending.join()
    assert [one.kind for one in heard if one.kind.startswith("trial")][:2] == ["trial.started", "trial.epoch"]
    assert heard[-1].kind == "end"
    numbers = [one.n for one in heard[:-1]]
    assert numbers == list(range(2, len(numbers) + 2)), "each once"
    last = numbers[-1]
    assert last is not None
    assert [one.n for one in client.events(made.id, after=last - 1)] == [last, None]
    assert list(client.events(made.id, after=last)) == [Event("end")]


def test_a_stream_that_was_silent_for_long_is_taken_up_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsweep.client._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(client, "_patience", 0.05)
    asked = []

    def stream(job_id: str, after: int, opened: list[float]) -> Iterator[Event]:
        asked.append(after)
        opened.append(time.monotonic())
        if len(asked) == 1:
            yield Event("job", n=1)
            time.sleep(0.1)  # a long epoch
            raise ServiceError("it broke off")
        yield Event("end")

    monkeypatch.setattr(client, "_stream", stream)
    assert [one.kind for one in client.events("x")] == ["job", "end"]
    assert asked == [0, 1]


def test_a_stream_is_read_as_it_is_written() -> None:
    lines = [": hello", "", "retry: 9", "", "id: 7", "event: job", 'data: {"a":', "data: 1}", "", "data: {}"]
    assert list(events_in(lines)) == [Event("job", {"a": 1}, 7)], "the last one was cut off"


def test_who_may_not_and_who_is_not_there(url: str) -> None:
    with Client(url, READ) as reader, pytest.raises(ServiceError) as caught:
        reader.create(JOB)
    assert caught.value.status == 403
    with Client(url, "no-token-of-it"[::-1]) as stranger, pytest.raises(ServiceError) as caught:
        next(stranger.list())
    assert (caught.value.status, caught.value.exit_code) == (401, 2)
    with Client("http://127.0.0.1:1", WRITE, patience_seconds=0) as alone:
        with pytest.raises(ServiceError, match="does not answer") as caught:
            alone.wait(NOBODY)
        assert (caught.value.status, caught.value.exit_code) == (None, 3)
        assert WRITE not in repr(alone)


@pytest.mark.parametrize("wrong", ["", "8000", "ftp://x", "http://", "http://me:secret@x", "http://x?a=1"])
def test_an_address_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="url: ") as caught:
        Client(wrong, WRITE)
    assert "secret" not in str(caught.value)


def test_the_address_that_the_server_prints_will_do(url: str) -> None:
    assert Client(f"{url}/api/tuning", WRITE).url == url
    assert recsweep.client.Client is recsweep.Client


# -- recsweep jobs ---------------------------------------------------------------------------------


class Said:
    """A command that was run."""

    def __init__(self, result: Result) -> None:
        error = result.exception
        own = isinstance(error, RecsweepError)
        if error is not None and not own and not isinstance(error, SystemExit):
            raise error
        self.code = error.exit_code if isinstance(error, RecsweepError) else result.exit_code
        self.out, self.err = result.stdout, result.stderr + (str(error) if own else "")


@pytest.fixture
def say(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RECSWEEP_TOKEN", WRITE)
    return lambda *words: Said(CliRunner().invoke(cli, ["jobs", *words, "--url", url]))


def test_jobs_are_made_listed_shown_and_removed(app: App, client: Client, say, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job(name="by command", model="NARM", search_space=None)))
    made = say("create", str(file), "--start")
    job_id = made.out.strip()
    assert (made.code, len(job_id)) == (0, 26)
    listed = say("ls", "--model", "NARM")
    assert "| by command | queued | ml-100k | NARM |" in listed.out
    assert [one["id"] for one in json.loads(say("ls", "--model", "NARM", "--json").out)] == [job_id]
    assert say("ls", "--model", "NARM", "--csv").out.splitlines()[0].startswith("id,name,status,")
    assert say("cancel", job_id[-8:]).out == f"{job_id} is cancelled\n"
    assert "can be asked: resume, delete" in say("show", job_id).out
    assert (refused := say("start", job_id)).code == 2
    assert "allowed now: resume, delete" in refused.err
    assert say("rm", job_id).code == 2, "nobody is there to be asked"
    assert say("rm", job_id, "--yes").out == f"{job_id} is removed\n"
    assert "no such jobs" in say("ls", "--model", "NARM").err


def test_a_mistake_in_a_file_is_told_at_its_place(say, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        "name: one\ndataset: ml-100k\nmodel: SASRec\nnum_samples: 0\nlimits:\n  timeout_mins: 5\n"
    )
    told = say("create", str(file))
    assert told.code == 2
    assert f"{file}:4:14: `num_samples` must be at least 1, but got 0" in told.err
    assert f"{file}:6:3: unknown key `limits.timeout_mins`" in told.err
    file.write_text("name: one\nmodel: SASRec\n")
    assert "give `dataset` or `datasets`" in say("create", str(file)).err


@pytest.mark.parametrize(
    ("status", "code"), [(JobStatus.COMPLETED, 0), (JobStatus.PAUSED, 3), (JobStatus.FAILED, 2)]
)
def test_a_job_is_watched_to_its_end(app: App, client: Client, say, status: JobStatus, code: int) -> None:
    made = client.create(job(name=f"watched {status}"))
    ending = threading.Timer(0.1, ended, args=(app, made.id, status, "the store was away"))
    ending.start()
    told = say("watch", made.id)
    ending.join()
    assert told.code == code, told.err
    assert f"watched {status}: {status}, 2 of 5 trials, best NDCG@10 0.3 (trial 1)" in told.out
    assert ("the store was away" in told.err) == (code > 0)
    shown = say("show", made.id)
    assert "best of ml-100k/SASRec: 0.3 (trial 1): learning_rate 0.0002" in shown.out
    assert say("show", made.id, "--csv").out.count("\n") == 3


def test_jobs_are_offered_while_a_command_is_typed(client: Client, url: str, monkeypatch) -> None:
    waiting, running = (client.create(job(name=name, model="GRU4Rec", search_space=None)).id for name in "ab")
    client.start(running)

    def offered(action: str, typed: str, address: str = url) -> dict[str, str | None]:
        words = ["jobs", "--url", address, action]
        found = ShellComplete(cli, {}, "recsweep", "_X").get_completions(words, typed)
        return {one.value: one.help for one in found}

    monkeypatch.setenv("RECSWEEP_TOKEN", WRITE)
    assert offered("show", running)[running] == "b, queued"
    assert {waiting, running} <= offered("watch", "").keys()
    assert waiting in offered("start", "")
    assert running not in offered("start", ""), "it is started already"
    assert [one for one in (waiting, running) if one in offered("cancel", "")] == [running]
    assert offered("ls", "") == {}
    assert offered("show", "", "http://127.0.0.1:1") == {}, "nobody answers there, and nobody is told"
    monkeypatch.delenv("RECSWEEP_TOKEN")
    assert offered("show", "", "http://127.0.0.1:1") == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show",), "JOB: is missing"),
        (("ls", "abc"), "abc: has no effect"),
        (("show", "abc", "--csv", "--yes"), "--yes: has no effect on `recsweep jobs show`"),
        (("show", NOBODY), "there is no job"),
        (("show", "nothing"), "no job has an id that ends so"),
        (("create", "nowhere.yaml"), "there is no such file"),
    ],
)
def test_mistakes_of_a_command(say, words: tuple[str, ...], told: str) -> None:
    said = say(*words)
    assert (said.code, told in said.err) == (2, True), said.err


def test_the_servers_token_is_read_and_sent_to_this_machine_alone(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECSWEEP_TOKEN", raising=False)
    (tmp_path / "service-token").write_text(f"{WRITE}\n")

    def say(*words: str) -> Said:
        return Said(CliRunner().invoke(cli, ["jobs", "ls", "--json", *words]))

    assert say("--url", url, "--outputs", str(tmp_path)).code == 0
    assert say("--url", url, "--token-file", str(tmp_path / "service-token")).code == 0
    elsewhere = say("--url", "http://tuning.example.org", "--outputs", str(tmp_path))
    assert (elsewhere.code, "there is no token" in elsewhere.err) == (2, True)
    assert say("--url", url, "--token-file", str(tmp_path / "none")).code == 2
