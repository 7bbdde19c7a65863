"""Runs jobs in the event loop of a service process, together with other processes on one store.

The rule: a job is run by the process that holds its lease in the store. A process that ends
without giving it back (killed, or its machine stopped) is found dead by the store's own rules, and
another one takes the job; nothing is lost, since every call that was answered is stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from annotator.calls.running.handover import end_task, wait_out
from annotator.calls.store import Store
from annotator.judging.stream_judge import JudgeProcesses
from annotator.service.jobs.attempt import Attempt, JobJudge, LostJobError, StoppedError
from annotator.service.jobs.ending import end_of
from annotator.service.jobs.job import OPEN, Job, State, Wanted, lease_key
from annotator.service.jobs.jobs import Jobs
from annotator.service.jobs.threads import Threads
from schemas.errors import BackendError, MaskDpoError
from schemas.events import OnEvent, ignore

JudgeOf = Callable[[str, str | None], JobJudge]
"""`judge_of(name, domain)`: the judge of a job."""

LOOK_S = 0.5  # seconds between two looks at the table, and at what is wanted of a running job
_EXPIRE_EVERY_S = 60.0
_QUEUED_AT_ONCE = 64  # more than one look can start
_RUNNING: tuple[State, ...] = ("running",)
_log = logging.getLogger(__name__)


class JobRunner:
    """Runs at most `running_jobs` jobs at the same time.

    store       the service's store: its heartbeat shows that this process lives
    judge_of    called in the event loop, before and during a job; raises ConfigError for a judge
                that is not there any more, and BackendError for one that may not be asked now
    processes   worker processes of a judge that computes, shared with others
    on_event    by the name of a judge: is called with the events of its jobs
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        store: Store,
        judge_of: JudgeOf,
        processes: JudgeProcesses | None = None,
        running_jobs: int = 2,
        same_model: bool = False,
        on_event: Callable[[str], OnEvent] = lambda judge: ignore,
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._judge_of = judge_of
        self._processes = processes
        self._most = running_jobs
        self._same_model = same_model
        self._on_event = on_event
        self._threads = Threads(2 * running_jobs + 2)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._unreleased = set[str]()  # ended here, with a lease that is kept
        self._expired_at = float("-inf")

    async def run(self) -> None:
        """Run jobs until cancelled; jobs under way then go back into the queue at once."""
        news = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(news.set)

        self._jobs.on_change = wake
        try:
            while True:
                news.clear()
                try:
                    await self._look()
                except BackendError as error:  # a locked file
                    _log.warning("jobs: %s", error)
                except Exception as error:  # one fault must not end all jobs
                    _log.error("jobs: %s", type(error).__name__)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await news.wait()
        finally:
            for task in self._running.values():
                task.cancel()
            await wait_out(asyncio.gather(*self._running.values(), return_exceptions=True))
            self._threads.close()

    async def _look(self) -> None:
        """Start what can be started, and settle what nobody runs any more."""
        self._running = {name: task for name, task in self._running.items() if not task.done()}
        for name in tuple(self._unreleased - self._running.keys()):
            await self._release(name)
        look = partial(self._jobs.table.open_jobs, most_queued=_QUEUED_AT_ONCE)
        for job in await self._threads.run(look):
            if job.id in self._running or not self._is_due(job):
                continue
            taken = await self._threads.run(partial(self._take, job))
            if taken is not None:
                self._running[job.id] = asyncio.create_task(self._run(taken))
        if time.monotonic() - self._expired_at > _EXPIRE_EVERY_S:
            self._expired_at = time.monotonic()
            await self._threads.run(self._jobs.expire)

    def _is_due(self, job: Job) -> bool:
        if job.wanted != "run":
            return True  # its process may have ended before it noticed: then it is settled here
        if len(self._running) >= self._most:
            return False
        return job.state != "waiting" or (job.retry_at or 0.0) <= time.time()

    def _take(self, job: Job) -> Job | None:
        """Lease a job and make it ours; None where another process has it."""
        key = lease_key(job.id)
        if not self._store.claim([key]):
            return None
        try:
            taken = self._jobs.table.take(job.id, uuid.uuid4().hex, time.time())
            if taken is None:
                self._settle(job)
        except BaseException:
            self._store.release([key])
            raise
        if taken is None:
            self._store.release([key])
        return taken

    def _settle(self, job: Job) -> None:
        """Pause or end a job that does not run, if that is wanted; the caller holds its lease."""
        wanted = self._jobs.get(job.id).wanted
        values: dict[str, Any] = {"state": "paused", "wanted": "run", "owner": ""}
        if wanted == "cancel":
            values = self._jobs.end_values("cancelled")
        if wanted != "run":
            self._jobs.table.change(job.id, values, states=OPEN, owner=job.owner)

    async def _run(self, job: Job) -> None:
        """One attempt, from its start to the row that says how it ended."""
        try:
            await self._attempt(job)
        except Exception as error:  # its row says running: found again when the lease is free
            _log.error("job %s: %s", job.id, type(error).__name__)
        finally:
            await self._release(job.id)

    async def _release(self, job_id: str) -> None:
        """Give a lease back; where that fails (a full disk), the next look tries again."""
        try:
            await self._threads.run(lambda: self._store.release([lease_key(job_id)]))
        except BackendError as error:
            self._unreleased.add(job_id)
            _log.warning("job %s: its lease is kept: %s", job_id, type(error).__name__)
        else:
            self._unreleased.discard(job_id)

    async def _attempt(self, job: Job) -> None:
        try:
            attempt = Attempt(
                job,
                table=self._jobs.table,
                folders=self._jobs.folders,
                store=self._store,
                threads=self._threads,
                judge=self._judge_of(job.request.judge, job.request.domain),
                processes=self._processes,
                same_model=self._same_model,
                on_event=self._on_event(job.request.judge),
            )
        except Exception as error:
            await self._write_end(job, None, error)
            return
        work = asyncio.create_task(attempt.work())
        try:
            wanted = await self._watch(attempt, work)
        except MaskDpoError as error:  # another model is served now, or the store is locked
            await self._stop(attempt, work)
            await self._write_end(job, attempt, error)
            return
        except BaseException as error:
            await self._stop(attempt, work)
            if isinstance(error, asyncio.CancelledError):  # the service stops: others may continue
                spent = {"spent": attempt.spent(), "reserved": None}
                await self._change(job, {"state": "queued", "owner": "", **spent})
            raise
        if wanted in ("pause", "cancel") and not work.done():
            await self._stop(attempt, work)
            await self._report(attempt)
            await self._change(job, {"reserved": None, "state": "queued", "owner": ""})
            await self._threads.run(lambda: self._settle(job.model_copy(update={"owner": ""})))
        elif wanted is None:
            await self._stop(attempt, work)
        else:
            await self._write_end(job, attempt, work.exception(), work)

    async def _watch(self, attempt: Attempt, work: asyncio.Task[Any]) -> Wanted | None:
        """Write progress until the work ends or is not wanted any more; returns what is wanted.

        Raises BackendError where the judge may not be asked any more.
        """
        request = attempt.job.request
        while True:
            await asyncio.wait([work], timeout=LOOK_S)
            wanted = await self._report(attempt)
            if work.done() or wanted != "run":
                return "run" if work.done() else wanted
            self._judge_of(request.judge, request.domain)

    async def _report(self, attempt: Attempt) -> Wanted | None:
        progress, spent, job = attempt.progress(), attempt.spent(), attempt.job
        return await self._threads.run(
            lambda: self._jobs.table.report(job.id, job.owner, progress=progress, spent=spent)
        )

    async def _stop(self, attempt: Attempt, work: asyncio.Task[Any]) -> None:
        attempt.stop()
        await end_task(work)

    async def _write_end(
        self,
        job: Job,
        attempt: Attempt | None,
        error: BaseException | None,
        work: asyncio.Task[Any] | None = None,
    ) -> None:
        if isinstance(error, (LostJobError, StoppedError)):
            return
        result = work.result() if work is not None and error is None else None
        end = end_of(job, error, result, attempt=attempt, folder=self._jobs.run)
        values = {**end.values}
        if end.is_final:
            values = {**self._jobs.end_values(end.state), **values}
        await self._change(job, {"reserved": None, **values, "state": end.state, "owner": ""})

    async def _change(self, job: Job, values: dict[str, Any]) -> None:
        await self._threads.run(
            lambda: self._jobs.table.change(job.id, values, states=_RUNNING, owner=job.owner)
        )
