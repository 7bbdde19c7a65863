"""`AsyncClient`: the annotation service from Python, in the caller's event loop.

The rule: the same methods as `Client`, with the same arguments, functions and errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from annotator.service.jobs.job import State
from maskdpo.api.client import jobs, service, single
from maskdpo.api.client.address import DEFAULT_URL, make_address
from maskdpo.api.client.edge import Edge
from maskdpo.api.client.given import job_options, read_given, read_limits, read_many, write_rows
from maskdpo.api.client.many import Responses, annotate_many, check_concurrency
from maskdpo.api.client.progress import drawn
from maskdpo.api.client.replies import DomainInfo, JobStatus, JudgeInfo
from maskdpo.api.inputs import Documents, ResponseLike, read_documents
from maskdpo.api.results import JudgedResponse, JudgedSentence
from schemas.errors import BackendError
from schemas.records import Failure, Question


class AsyncClient:
    """`Client` in the caller's event loop: `await` its methods, `async for` over its results.

    Use it as an asynchronous context manager, or close it with `aclose`. It belongs to one loop.
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

    async def annotate(
        self,
        response: ResponseLike,
        documents: Documents | None = None,
        *,
        question: str | Question | None = None,
        judge: str | None = None,
        domain: str | None = None,
    ) -> JudgedResponse:
        """`Client.annotate`."""
        given = read_given(documents, question=question, judge=judge, domain=domain)
        return await single.annotate(self._edge, given, given.read(response))

    def stream(
        self,
        response: ResponseLike,
        documents: Documents | None = None,
        *,
        question: str | Question | None = None,
        judge: str | None = None,
        domain: str | None = None,
    ) -> AsyncSentenceStream:
        """The same, sentence by sentence, each as soon as it is judged."""
        given = read_given(documents, question=question, judge=judge, domain=domain)
        return AsyncSentenceStream(single.stream(self._edge, given, given.read(response)))

    def annotate_many(
        self,
        responses: Responses,
        documents: Documents | None = None,
        *,
        question: str | Question | None = None,
        judge: str | None = None,
        domain: str | None = None,
        concurrency: int = 32,
    ) -> AsyncGenerator[JudgedResponse | Failure, None]:
        """`Client.annotate_many`; `responses` may also be an asynchronous iterable."""
        given = read_given(documents, question=question, judge=judge, domain=domain)
        return annotate_many(
            self._edge, given, read_many(responses), check_concurrency(concurrency)
        )

    async def submit(
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
    ) -> AsyncJob:
        """`Client.submit`; the rows are read in a thread."""
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        options = job_options(judge=judge, domain=domain, limits=limits)
        with await asyncio.to_thread(write_rows, responses, documents, question) as rows:
            key = idempotency_key or uuid4().hex
            return self._job(await jobs.upload(self._edge, rows, options, key))

    async def submit_files(
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
    ) -> AsyncJob:
        """A job of files in the run's folder of the service, by their names there."""
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        files = {"responses": responses} | ({"documents": documents} if documents else {})
        options = files | job_options(judge=judge, domain=domain, limits=limits)
        return self._job(await jobs.refer(self._edge, options, idempotency_key or uuid4().hex))

    async def job(self, id: str) -> AsyncJob:
        """The job with this id."""
        return self._job(await jobs.status(self._edge, id))

    async def jobs(self, *, state: State | None = None, limit: int | None = None) -> list[AsyncJob]:
        """All jobs, or those in one state, the newest first."""
        found = await jobs.listing(self._edge, state, limit)
        return [*map(self._job, found)]

    async def judges(self) -> list[JudgeInfo]:
        """The judges of the service, the default one first."""
        return await service.judges(self._edge)

    async def domains(self) -> list[DomainInfo]:
        """The domains that the service knows."""
        return await service.domains(self._edge)

    async def version(self) -> str:
        """The version of maskdpo that serves."""
        return await service.version(self._edge)

    async def ready(self) -> bool:
        """Whether the service runs and each of its judges can be used; needs no token."""
        return await service.ready(self._edge)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._edge.close()

    def _job(self, status: JobStatus) -> AsyncJob:
        return AsyncJob(self._edge, status)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({self._edge.address.base_url!r})"


class AsyncSentenceStream(AsyncIterator[JudgedSentence]):
    """`SentenceStream` in an event loop."""

    def __init__(self, rows: AsyncGenerator[JudgedSentence | JudgedResponse, None]) -> None:
        self._rows = rows
        self._result: JudgedResponse | None = None

    async def result(self) -> JudgedResponse:
        """The whole response; waits for what is not judged yet. Sentences are not kept."""
        async for _ in self:
            pass
        if self._result is None:
            raise BackendError("the stream was closed before its result")
        return self._result

    async def aclose(self) -> None:
        """End the stream; what is judged by then is stored by the service."""
        await self._rows.aclose()

    async def __anext__(self) -> JudgedSentence:
        row = await anext(self._rows)
        if isinstance(row, JudgedSentence):
            return row
        self._result = row
        return await anext(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class AsyncJob:
    """`Job` in an event loop.

    latest   its status when it was last asked for
    """

    def __init__(self, edge: Edge, status: JobStatus) -> None:
        self._edge = edge
        self.latest = status

    @property
    def id(self) -> str:
        """The id by which `Client.job` finds it, also from another process."""
        return self.latest.id

    async def status(self) -> JobStatus:
        """The job as it is now."""
        self.latest = await jobs.status(self._edge, self.id)
        return self.latest

    async def wait(self, *, progress: bool = False, timeout_s: float | None = None) -> JobStatus:
        """`Job.wait`."""
        with drawn(self.id, progress=progress) as show:
            self.latest = await jobs.wait(self._edge, self.id, timeout_s, show)
        return self.latest

    def results(self, documents: Documents = ()) -> AsyncGenerator[JudgedResponse, None]:
        """`Job.results`."""
        known = {document.id: document for document in read_documents(documents)}
        return jobs.results(self._edge, self.id, known)

    def events(self) -> AsyncGenerator[JobStatus, None]:
        """The status whenever it changes, until the job has ended or was paused."""
        return jobs.events(self._edge, self.id)

    async def failures(self) -> list[Failure]:
        """The responses that could not be judged, with their reasons."""
        return await jobs.failures(self._edge, self.id)

    async def save(self, path: str | Path) -> int:
        """`Job.save`."""
        return await jobs.save(self._edge, self.id, Path(path))

    async def pause(self) -> JobStatus:
        """Stop asking the judge until `resume`; what is judged is kept."""
        return await self._tell("pause")

    async def resume(
        self,
        *,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
    ) -> JobStatus:
        """Continue after `pause` or a limit. Limits that are given replace the former ones."""
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        return await self._tell("resume", limits)

    async def cancel(self) -> JobStatus:
        """End the job; what is judged is kept in the service's store."""
        return await self._tell("cancel")

    async def retry_failed(
        self,
        *,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
    ) -> JobStatus:
        """Judge again what failed or stayed undetermined because a call failed."""
        limits = read_limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        return await self._tell("retry-failed", limits)

    async def delete(self) -> None:
        """Remove the upload and the results of a job that has ended or was paused."""
        await jobs.delete(self._edge, self.id)

    async def _tell(self, what: str, limits: Mapping[str, float] | None = None) -> JobStatus:
        self.latest = await jobs.tell(self._edge, self.id, what, limits)
        return self.latest

    def __repr__(self) -> str:
        return f"AsyncJob({self.id!r}, state={self.latest.state!r})"
