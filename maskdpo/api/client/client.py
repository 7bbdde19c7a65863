"""`Client`: the annotation service from Python, without an event loop.

The rule: it waits for the same functions that `AsyncClient` awaits, with the same arguments.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from annotator.service.jobs.job import State
from maskdpo.api.client import jobs, service, single
from maskdpo.api.client.address import DEFAULT_URL, make_address
from maskdpo.api.client.edge import Edge
from maskdpo.api.client.given import job_options, read_given, read_limits, read_many, write_rows
from maskdpo.api.client.many import annotate_many, check_concurrency
from maskdpo.api.client.progress import drawn
from maskdpo.api.client.replies import DomainInfo, JobStatus, JudgeInfo
from maskdpo.api.client.waiting import Waiting
from maskdpo.api.inputs import Documents, ResponseLike, read_documents
from maskdpo.api.results import JudgedResponse, JudgedSentence
from schemas.errors import BackendError
from schemas.records import Failure, Question


class Client:
    """The annotation service at one address. Use it as a context manager, or close it.

    base_url     the address that `maskdpo serve` prints
    token        the token that it prints; None reads the variable MASKDPO_TOKEN
    timeout_s    the longest silence of the service, in seconds
    max_retries  how often a request is sent again: after a broken connection, and where the service
                 is full (429) or stops (503), after the time that it names

    It may be used from several threads. Errors are those of `maskdpo.annotate`: ConfigError for a
    wrong token or setting, InputError for what the service refuses, LimitReachedError at a limit,
    BackendError where service or judge fail.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        token: str | None = None,
        *,
        timeout_s: float = 330.0,
        max_retries: int = 5,
    ) -> None:
        self._edge = Edge(make_address(base_url, token, timeout_s, max_retries))
        self._waiting = Waiting(self._edge)

    def annotate(
        self,
        response: ResponseLike,
        documents: Documents | None = None,
        *,
        question: str | Question | None = None,
        judge: str | None = None,
        domain: str | None = None,
    ) -> JudgedResponse:
        """Judge each sentence of one response, as `maskdpo.annotate` does.

        documents  what it is compared with; None: the documents of the service's run, by
                   `document_ids` or `topic` of the response
        judge      a name of `judges()`; None: the default one
        domain     a name of `domains()`; None: that of the judge's settings
        """
        given = read_given(documents, question=question, judge=judge, domain=domain)
        return self._waiting.run(single.annotate(self._edge, given, given.read(response)))

    def stream(
        self,
        response: ResponseLike,
        documents: Documents | None = None,
        *,
        question: str | Question | None = None,
        judge: str | None = None,
        domain: str | None = None,
    ) -> SentenceStream:
        """The same, sentence by sentence, each as soon as it is judged."""
        given = read_given(documents, question=question, judge=judge, domain=domain)
        sentences = single.stream(self._edge, given, given.read(response))
        return SentenceStream(self._waiting.iterate(sentences))

    def annotate_many(
        self,
        responses: Path | Iterable[ResponseLike],
        documents: Documents | None = None,
        *,
        question: str | Question | None = None,
        judge: str | None = None,
        domain: str | None = None,
        concurrency: int = 32,
    ) -> Generator[JudgedResponse | Failure, None, None]:
        """Results in order of completion, with up to `concurrency` requests at once.

        A response that cannot be judged is a `Failure` with its id and reason; the rest continue.
        """
        given = read_given(documents, question=question, judge=judge, domain=domain)
        items, concurrency = read_many(responses), check_concurrency(concurrency)
        return self._waiting.iterate(annotate_many(self._edge, given, items, concurrency))

    def submit(
        self,
        responses: Path | Iterable[ResponseLike],
        documents: Documents | None = None,
        *,
        question: str | Question | None = None,
        judge: str | None = None,
        domain: str | None = None,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Upload responses as a job, which the service finishes on its own, also after a crash.

        responses        a pathlib.Path of a file, or an iterable. In a file, `document_ids` and
                         `topic` choose the documents of each row, as for `maskdpo annotate`
        documents        uploaded with the responses; None: the documents of the service's run
        idempotency_key  the same key gives the same job; None: a new job each time
        """
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        options = job_options(judge=judge, domain=domain, limits=limits)
        with write_rows(responses, documents, question) as rows:
            key = idempotency_key or uuid4().hex
            return self._job(self._waiting.run(jobs.upload(self._edge, rows, options, key)))

    def submit_files(
        self,
        responses: str = "responses.jsonl",
        documents: str | None = None,
        *,
        judge: str | None = None,
        domain: str | None = None,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """A job of files in the run's folder of the service, by their names there."""
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        files = {"responses": responses} | ({"documents": documents} if documents else {})
        options = files | job_options(judge=judge, domain=domain, limits=limits)
        key = idempotency_key or uuid4().hex
        return self._job(self._waiting.run(jobs.refer(self._edge, options, key)))

    def job(self, id: str) -> Job:
        """The job with this id."""
        return self._job(self._waiting.run(jobs.status(self._edge, id)))

    def jobs(self, *, state: State | None = None, limit: int | None = None) -> list[Job]:
        """All jobs, or those in one state, the newest first."""
        return [*map(self._job, self._waiting.run(jobs.listing(self._edge, state, limit)))]

    def judges(self) -> list[JudgeInfo]:
        """The judges of the service, the default one first."""
        return self._waiting.run(service.judges(self._edge))

    def domains(self) -> list[DomainInfo]:
        """The domains that the service knows."""
        return self._waiting.run(service.domains(self._edge))

    def version(self) -> str:
        """The version of maskdpo that serves."""
        return self._waiting.run(service.version(self._edge))

    def ready(self) -> bool:
        """Whether the service runs and each of its judges can be used; needs no token."""
        return self._waiting.run(service.ready(self._edge))

    def close(self) -> None:
        """Close all connections."""
        self._waiting.close()

    def _job(self, status: JobStatus) -> Job:
        return Job(self._waiting, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._edge.address.base_url!r})"


class SentenceStream(Iterator[JudgedSentence]):
    """Sentences of one response as they are judged; `result` is the whole of it at the end."""

    def __init__(self, rows: Generator[JudgedSentence | JudgedResponse, None, None]) -> None:
        self._rows = rows
        self._result: JudgedResponse | None = None

    def result(self) -> JudgedResponse:
        """The whole response; waits for what is not judged yet. Sentences are not kept."""
        for _ in self:
            pass
        if self._result is None:
            raise BackendError("the stream was closed before its result")
        return self._result

    def close(self) -> None:
        """End the stream; what is judged by then is stored by the service."""
        self._rows.close()

    def __next__(self) -> JudgedSentence:
        row = next(self._rows)
        if isinstance(row, JudgedSentence):
            return row
        self._result = row
        return next(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Job:
    """A job of the service.

    latest   its status when it was last asked for
    """

    def __init__(self, waiting: Waiting, status: JobStatus) -> None:
        self._waiting = waiting
        self._edge = waiting.edge
        self.latest = status

    @property
    def id(self) -> str:
        """The id by which `Client.job` finds it, also from another process."""
        return self.latest.id

    def status(self) -> JobStatus:
        """The job as it is now."""
        self.latest = self._waiting.run(jobs.status(self._edge, self.id))
        return self.latest

    def wait(self, *, progress: bool = False, timeout_s: float | None = None) -> JobStatus:
        """The job when it has ended or was paused.

        progress   draw progress on standard error
        timeout_s  raise TimeoutError after this time, in seconds; the job continues

        Raises LimitReachedError at a limit of the job, and BackendError for a job that failed.
        """
        with drawn(self.id, progress=progress) as show:
            self.latest = self._waiting.run(jobs.wait(self._edge, self.id, timeout_s, show))
        return self.latest

    def results(self, documents: Documents = ()) -> Generator[JudgedResponse, None, None]:
        """Results in the order of the input, while the job runs; ends with the job.

        documents   as in `maskdpo.annotate`; evidence of other documents has its place and no text

        Responses that could not be judged are left out (`failures`). Raises the errors of `wait`.
        """
        known = {document.id: document for document in read_documents(documents)}
        return self._waiting.iterate(jobs.results(self._edge, self.id, known))

    def events(self) -> Generator[JobStatus, None, None]:
        """The status whenever it changes, until the job has ended or was paused."""
        return self._waiting.iterate(jobs.events(self._edge, self.id))

    def failures(self) -> list[Failure]:
        """The responses that could not be judged, with their reasons."""
        return self._waiting.run(jobs.failures(self._edge, self.id))

    def save(self, path: str | Path) -> int:
        """Write the annotations of a finished job to a file that `maskdpo build` reads.

        Returns their number. Failures go to `NAME.failed.jsonl`. Raises ConfigError where `path`
        holds something else than annotations, or what a person decided.
        """
        return self._waiting.run(jobs.save(self._edge, self.id, Path(path)))

    def pause(self) -> JobStatus:
        """Stop asking the judge until `resume`; what is judged is kept."""
        return self._tell("pause")

    def resume(
        self,
        *,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
    ) -> JobStatus:
        """Continue after `pause` or a limit. Limits that are given replace the former ones."""
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        return self._tell("resume", limits)

    def cancel(self) -> JobStatus:
        """End the job; what is judged is kept in the service's store."""
        return self._tell("cancel")

    def retry_failed(
        self,
        *,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
    ) -> JobStatus:
        """Judge again what failed or stayed undetermined because a call failed."""
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        return self._tell("retry-failed", limits)

    def delete(self) -> None:
        """Remove the upload and the results of a job that has ended or was paused."""
        self._waiting.run(jobs.delete(self._edge, self.id))

    def _tell(self, what: str, limits: Mapping[str, float] | None = None) -> JobStatus:
        self.latest = self._waiting.run(jobs.tell(self._edge, self.id, what, limits))
        return self.latest

    def __repr__(self) -> str:
        return f"Job({self.id!r}, state={self.latest.state!r})"
