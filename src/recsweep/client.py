"""The service from Python: jobs made, watched and stopped over HTTP, by the types of the service's answers.

    client = Client("http://127.0.0.1:8000", token)
    job = client.create({"name": "LR", "dataset": "ml-100k", "model": "SASRec", "num_samples": 5})
    client.start(job.id)
    print(client.wait(job.id).best)

The only importer of httpx.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MutableSequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

from recsweep.common.errors import InputError
from recsweep.common.files import atomic_path
from recsweep.common.masking import remember
from recsweep.service.event_stream import END, Event, events_in
from recsweep.service.service_error import ServiceError, refusal

__all__ = ["Client", "Event", "ServiceError"]

if TYPE_CHECKING:
    import httpx

    from recsweep.service.answers import (
        Answer,
        Artifacts,
        Datasets,
        JobAnswer,
        JobPage,
        JobSummary,
        Models,
        Plan,
        TrialAnswer,
        TrialWithCurve,
    )

    AnswerT = TypeVar("AnswerT", bound=Answer)

URL = "http://127.0.0.1:8000"
"""Where `recsweep serve` listens by default."""
_PREFIX = "/api/tuning"
_QUIET_SECONDS = 45.0
"""A stream that says nothing for so long is broken: a sign of life comes every 15."""
_PAUSE_SECONDS, _LONGEST_PAUSE = 0.5, 10.0


class Client:
    """A service, asked with a token. Each call is one request; what it answers has the service's own types.

    Args:
        url: where it is: `http://127.0.0.1:8000`.
        token: of `RECSWEEP_TOKEN`, or of the file that the service names when it starts.
        timeout_seconds: how long an answer is waited for.
        patience_seconds: how long `wait` and `events` bear with a service that is away.

    Raises:
        InputError: the address or the token cannot be one.
    """

    def __init__(
        self,
        url: str = URL,
        token: str = "",
        timeout_seconds: float = 60.0,
        patience_seconds: float = 60.0,
    ) -> None:
        import httpx

        self.url, local = _checked(url)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise InputError("token", "is empty, or holds what no header can", "give that of RECSWEEP_TOKEN")
        remember(token)
        self._patience = patience_seconds
        # A proxy of the environment is no way to this machine itself, and would be told the token.
        self._http = httpx.Client(
            base_url=f"{self.url}{_PREFIX}/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_seconds,
            trust_env=not local,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        """Give back its connections."""
        self._http.close()

    # -- jobs --------------------------------------------------------------------------------------

    def create(self, job: Mapping[str, Any], key: str | None = None) -> JobAnswer:
        """Make a job, which runs when it is started.

        Args:
            job: its fields, as the service's page on jobs has them.
            key: a word of yours; a second call with it returns the first one's job.

        Raises:
            ServiceError: something in it is wrong; `mistakes` has each field.
        """
        from recsweep.service.answers import JobAnswer

        return self._told(JobAnswer, "POST", "jobs", json=dict(job), headers=_given({"Idempotency-Key": key}))

    def validate(self, job: Mapping[str, Any]) -> Plan:
        """The studies and trials that a job would have, or the error of `create`. Nothing is made."""
        from recsweep.service.answers import Plan

        return self._told(Plan, "POST", "validate", json=dict(job))

    def list(
        self,
        status: str | None = None,
        model: str | None = None,
        dataset: str | None = None,
        page: int = 100,
    ) -> Iterator[JobSummary]:
        """The jobs, the newest first, asked for page by page as they are taken.

        Args:
            status: only jobs in this state.
            model: only jobs with this model.
            dataset: only jobs with this data set.
            page: how many are asked for at once.
        """
        from recsweep.service.answers import JobPage

        asked = {"status": status, "model": model, "dataset": dataset, "limit": page}
        found: JobPage | None = None
        while found is None or found.next:
            after = found.next if found else None
            found = self._told(JobPage, "GET", "jobs", params=_given({**asked, "after": after}))
            yield from found.jobs

    def get(self, job_id: str) -> JobAnswer:
        """A job with its trials, the best of them, how far it is, and how long it will take."""
        from recsweep.service.answers import JobAnswer

        return self._told(JobAnswer, "GET", _path("jobs", job_id))

    def start(self, job_id: str) -> JobSummary:
        """Let a job wait for a job worker.

        Raises:
            ServiceError: it is not in a state for that; `allowed` says what can be done.
        """
        return self._moved(job_id, "start")

    def cancel(self, job_id: str) -> JobSummary:
        """End a job: its running trials stop, and their slots go back."""
        return self._moved(job_id, "cancel")

    def resume(self, job_id: str) -> JobSummary:
        """Go on with a job that was cancelled, is paused, or failed. No trial runs twice."""
        return self._moved(job_id, "resume")

    def delete(self, job_id: str) -> None:
        """Remove a job that does not run, with its trials and its files."""
        self._ask("DELETE", _path("jobs", job_id))

    def wait(self, job_id: str, timeout_seconds: float | None = None, every: float = 1.0) -> JobAnswer:
        """The job, once it is completed, failed, cancelled or paused.

        Args:
            timeout_seconds: how long it is waited for; None: as long as it takes.
            every: seconds from one look to the next.

        Raises:
            TimeoutError: it is not over by then.
        """
        began = heard = time.monotonic()
        while True:
            try:
                job = self.get(job_id)
                heard = time.monotonic()
                if job.status.over:
                    return job
            except ServiceError as error:
                self._bear(error, heard)
            if timeout_seconds is not None and time.monotonic() - began >= timeout_seconds:
                raise TimeoutError(f"job {job_id} is not over after {timeout_seconds:g} s")
            time.sleep(every)

    def events(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """Each thing that happens in a job, until it is over. A stream that breaks is taken up again.

        Args:
            after: the number of an event; those behind it come.
        """
        heard, pause = time.monotonic(), _PAUSE_SECONDS
        while True:
            error, opened = ServiceError("the stream of events broke off"), list[float]()
            try:
                for event in self._stream(job_id, after, opened):
                    pause, after = _PAUSE_SECONDS, event.n or after
                    yield event
                    if event.kind == END:
                        return
            except ServiceError as refused:
                error = refused
            if (
                opened and time.monotonic() - opened[0] > pause
            ):  # it was heard until now: an epoch may be long
                heard = time.monotonic()
            self._bear(error, heard)
            time.sleep(error.retry_after or pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    # -- what they found -----------------------------------------------------------------------------

    def trials(self, job_id: str, page: int = 200) -> Iterator[TrialAnswer]:
        """The trials of a job, study by study and slot by slot, asked for page by page as they are taken."""
        from recsweep.service.answers import TrialPage

        found: TrialPage | None = None
        while found is None or found.next:
            asked = _given({"limit": page, "after": found.next if found else None})
            found = self._told(TrialPage, "GET", _path("jobs", job_id, "trials"), params=asked)
            yield from found.trials

    def trial(self, job_id: str, slot: int, study: str | None = None) -> TrialWithCurve:
        """One trial, with the score of every validation.

        Args:
            slot: its number in its study.
            study: `ml-100k/SASRec`, where the job has several.
        """
        from recsweep.service.answers import TrialWithCurve

        path = _path("jobs", job_id, "trials", str(slot))
        return self._told(TrialWithCurve, "GET", path, params=_given({"study": study}))

    def artifacts(self, job_id: str) -> Artifacts:
        """The files of a job."""
        from recsweep.service.answers import Artifacts

        return self._told(Artifacts, "GET", _path("jobs", job_id, "artifacts"))

    def download(self, job_id: str, path: str, target: Path | str) -> Path:
        """Bring a file of a job here; the path of it.

        Args:
            path: as `artifacts` has it.
            target: a file, which is replaced; or a folder, in which it keeps its name.
        """
        to = Path(target, Path(path).name) if Path(target).is_dir() else Path(target)
        asked = f"{_path('jobs', job_id, 'artifacts')}/{quote(path)}"
        with self._answer("GET", asked) as answer, atomic_path(to) as draft, draft.open("wb") as file:
            for block in answer.iter_bytes():
                file.write(block)
        return to

    def models(self) -> Models:
        """The models that can be asked for, with their default spaces."""
        from recsweep.service.answers import Models

        return self._told(Models, "GET", "models")

    def datasets(self) -> Datasets:
        """The data sets that can be asked for."""
        from recsweep.service.answers import Datasets

        return self._told(Datasets, "GET", "datasets")

    # -- asked ---------------------------------------------------------------------------------------

    def _moved(self, job_id: str, action: str) -> JobSummary:
        from recsweep.service.answers import JobSummary

        return self._told(JobSummary, "POST", _path("jobs", job_id, action))

    def _told(self, kind: type[AnswerT], method: str, path: str, **more: Any) -> AnswerT:
        """An answer by its type; what a later version says beside it is left out."""
        return kind.model_validate_json(self._ask(method, path, **more), extra="ignore")

    def _ask(self, method: str, path: str, **more: Any) -> bytes:
        with self._answer(method, path, **more) as answer:
            return answer.read()

    def _stream(self, job_id: str, after: int, opened: MutableSequence[float]) -> Iterator[Event]:
        headers, path = {"Last-Event-ID": str(after)}, _path("jobs", job_id, "events")
        with self._answer("GET", path, headers=headers, timeout=_QUIET_SECONDS) as answer:
            opened.append(time.monotonic())
            if answer.status_code == HTTPStatus.NO_CONTENT:  # it is over, and all was heard
                yield Event(END)
            yield from events_in(answer.iter_lines())

    @contextmanager
    def _answer(self, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:
        """The answer to a request, as it comes.

        Raises:
            ServiceError: the service is away, or refuses.
        """
        import httpx

        try:
            with self._http.stream(method, path, **more) as answer:
                if not answer.is_success:
                    raise refusal(answer.status_code, answer.headers, answer.read())
                yield answer
        except httpx.TransportError as lost:
            raise _away(self.url, lost) from None

    def _bear(self, error: ServiceError, heard: float) -> None:
        """Raise an error that will not pass, or one that has stood for too long."""
        if not error.is_passing or time.monotonic() - heard >= self._patience:
            raise error from None


def _checked(url: str) -> tuple[str, bool]:
    """The address of a service without what stands behind it, and whether it is on this machine."""
    try:
        parts = urlsplit(url.strip())
        host, usable = parts.hostname, parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        host, usable = None, False
    if not host or not usable or "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError("url", "is no address of a service", f"write it as {URL}")
    path = parts.path.rstrip("/").removesuffix(_PREFIX)
    return f"{parts.scheme}://{parts.netloc}{path}", host in ("127.0.0.1", "::1", "localhost")


def _away(url: str, lost: Exception) -> ServiceError:
    fix = "start it by `recsweep serve`, or give its address"
    return ServiceError(f"{url} does not answer ({str(lost) or type(lost).__name__})", fix=fix)


def _path(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}
