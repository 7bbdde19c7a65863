"""One attempt to do a job: the steps of `annotate` on its files, in the service's event loop.

The rule: the attempt that a row names as its owner is the only one that may change it or put the
complete file in place; rows go into a file of the attempt's own until then.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO

from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Meter, Tokens
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import JudgeTask
from annotator.judging.llm_judge import LlmJudge
from annotator.judging.make_judge import asks_a_model, judge_meter
from annotator.judging.runs.run_steps import (
    JudgingRun,
    RunFiles,
    RunInputs,
    RunMeans,
    make_annotator,
    read_inputs,
)
from annotator.judging.runs.verdict_spool import VerdictSpool
from annotator.judging.stream_judge import JudgeProcesses
from annotator.models.backend import Backend
from annotator.service.config import CLAIM_WAIT_S
from annotator.service.jobs.files import JobFolders
from annotator.service.jobs.job import DOCUMENTS, RESPONSES, Job, Progress, Spent
from annotator.service.jobs.table import JobTable
from annotator.service.jobs.threads import Threads
from schemas.errors import BackendError
from schemas.events import CallAnswered, CallAsked, Event, OnEvent
from schemas.stage import StageResult

_ROWS_AT_ONCE = 256  # written between two looks whether the job is still wanted
_RATE_WINDOW_S = 30.0


@dataclass(frozen=True, kw_only=True)
class JobJudge:
    """The judge of a job.

    config    its settings, with the job's domain
    backend   the connections that it shares with others; None: its own
    meter     counts its calls, too, and its limits hold as well as those of the job
    """

    config: AnnotateConfig
    backend: Backend | None = None
    meter: Meter | None = None


class LostJobError(Exception):
    """Another process runs the job now."""


class StoppedError(Exception):
    """The attempt was stopped during work in a thread."""


class Attempt:
    """One run of a job that its row says is ours.

    on_event   is called with calls, progress and failures
    """

    def __init__(
        self,
        job: Job,
        *,
        table: JobTable,
        folders: JobFolders,
        store: Store,
        threads: Threads,
        judge: JobJudge,
        processes: JudgeProcesses | None,
        same_model: bool,
        on_event: OnEvent,
    ) -> None:
        self.job = job
        self._table = table
        self._folders = folders
        self._store_path = store.path
        self._threads = threads
        self._config, self._backend = judge.config, judge.backend
        self._processes = processes
        self._same_model = same_model
        self._forward = on_event
        self._store: Store | None = None
        self._stop = threading.Event()
        self.meter = _meter(judge, job)
        self._reserved: Spent | None = None
        self._num_replies = 0
        self._run: JudgingRun | None = None
        self._labels: dict[str, int] = {}
        self._pace: deque[tuple[float, int]] = deque()

    # --- the work ---

    def stop(self) -> None:
        """End work in threads soon; the task that runs `work` is cancelled by the caller."""
        self._stop.set()

    async def work(self) -> StageResult:
        """Do the job: its files are written when this returns.

        Raises LostJobError, StoppedError, and the errors of `run_annotate`. Cancelled, it gives
        back its leases first.
        """
        with ExitStack() as files:
            inputs = await self._threads.run(self._read)
            try:
                spool = files.enter_context(VerdictSpool(self._folders.of(self.job.id)))
                run = await self._threads.run(partial(self._begin, inputs, spool))
                part = files.enter_context(self._open_part())
                self._run = run
                await self._judge(run, part)
                return await self._threads.run(partial(self._finish, run, part))
            finally:
                if self._store is not None:
                    await self._threads.run(self._store.close)

    def _read(self) -> RunInputs:
        folder = self._folders.of(self.job.id)
        self._folders.remove_parts(self.job)
        files = RunFiles(
            responses=folder / RESPONSES,
            documents=folder / DOCUMENTS,
            output=self._folders.annotations(self.job),
            store=self._store_path,
        )
        return read_inputs(self._config, files, check=self._check)

    def _begin(self, inputs: RunInputs, spool: VerdictSpool) -> JudgingRun:
        self._store = Store(
            self._store_path, first_run=self.job.first_run, claim_wait_s=CLAIM_WAIT_S
        )
        annotator = make_annotator(
            inputs,
            store=self._store,
            meter=self.meter,
            on_event=self._on_event,
            means=RunMeans(backend=self._backend),
            processes=self._processes,
        )
        request = self.job.request
        stage = f"job {request.judge} {request.domain or ''}".strip()
        run = JudgingRun(inputs, annotator, spool, stage=stage)
        run.begin(same_model=self._same_model)
        return run

    def _open_part(self) -> IO[str]:
        path = self._folders.part(self.job)
        return path.open("w", encoding="utf-8", newline="\n")

    async def _judge(self, run: JudgingRun, part: IO[str]) -> None:
        judge = run.annotator.judge
        gently = isinstance(judge, LlmJudge) and judge.backend.streams
        tasks = one_by_one(run.distinct) if gently else run.distinct
        async with aclosing(run.judge(tasks)) as batches:
            async for _ in batches:
                await self._threads.run(partial(self._write_ready, run, part))

    def _write_ready(self, run: JudgingRun, part: IO[str]) -> int:
        """Write rows that are ready, at most a few hundred; returns how many."""
        count = 0
        for row in islice(run.take_ready(), _ROWS_AT_ONCE):
            part.write(row.model_dump_json() + "\n")
            count += 1
        part.flush()
        self._labels = dict(run.tally.labels)
        return count

    def _finish(self, run: JudgingRun, part: IO[str]) -> StageResult:
        while self._write_ready(run, part):
            self._check()
        run.keep_former()
        os.fsync(part.fileno())
        if self._table.wanted(self.job.id, self.job.owner) is None:
            raise LostJobError
        try:
            self._folders.part(self.job).replace(self._folders.annotations(self.job))
        except FileNotFoundError:  # a later attempt removed it
            raise LostJobError from None
        return run.conclude()

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError

    @property
    def max_failed(self) -> float:
        """The share of the responses that may fail without a note."""
        return self._config.max_failed

    @property
    def num_replies(self) -> int:
        """Replies of this attempt, stored ones left out."""
        return self._num_replies

    # --- what it costs ---

    def _on_event(self, event: Event) -> None:
        """Before a call of a job with limits is sent, the most that it may cost is recorded."""
        if isinstance(event, CallAsked) and self.job.request.limits != NO_LIMITS:
            reserved = self.spent(most=True)
            if reserved != self._reserved:
                if not self._table.reserve(self.job.id, self.job.owner, reserved):
                    raise BackendError("another process runs this job now")
                self._reserved = reserved
        self._num_replies += isinstance(event, CallAnswered)
        self._forward(event)

    def spent(self, *, most: bool = False) -> Spent:
        """What the job has spent in all its attempts; with `most`, calls under way count with the
        most that they may cost."""
        meter = self.meter
        tokens = meter.most if most else meter.tokens
        return Spent(
            calls=meter.num_asked,
            served=meter.num_served,
            prompt=tokens.prompt,
            cached=tokens.cached,
            completion=tokens.completion,
            is_estimated=meter.is_estimated,
            cost=meter.cost_of(tokens) if meter.is_priced else None,
            currency=meter.prices.currency if meter.prices and meter.is_priced else "",
        )

    # --- how far it is ---

    def progress(self) -> Progress:
        """How far it is, and how fast in the last half minute."""
        run = self._run
        if run is None:
            return Progress(total=self.job.progress.total)
        total, done = len(run.inputs.order), run.num_done
        rate = self._rate(done)
        return Progress(
            total=total,
            done=done,
            failed=run.num_failed,
            labels=self._labels,
            rate_per_s=round(rate, 3) if rate else None,
            eta_s=round((total - done) / rate, 1) if rate else None,
        )

    def _rate(self, done: int) -> float:
        """Responses per second in the last half minute; 0.0 where it is not known.

        What a judge model has from the store comes first and says nothing about the rest.
        """
        if asks_a_model(self._config) and not self._num_replies:
            return 0.0
        now = time.monotonic()
        self._pace.append((now, done))
        while len(self._pace) > 2 and now - self._pace[0][0] > _RATE_WINDOW_S:
            self._pace.popleft()
        began, before = self._pace[0]
        return (done - before) / (now - began) if now > began else 0.0


def _meter(judge: JobJudge, job: Job) -> Meter:
    """The meter of an attempt, which continues where the last one ended."""
    meter = judge_meter(judge.config, job.request.limits)
    meter.parent = judge.meter
    before = job.reserved or job.spent
    meter.num_asked = before.calls
    meter.tokens = Tokens(prompt=before.prompt, cached=before.cached, completion=before.completion)
    meter.is_estimated = before.is_estimated or job.reserved is not None
    return meter


async def one_by_one(tasks: Iterable[JudgeTask]) -> AsyncGenerator[JudgeTask, None]:
    """The tasks, with a turn for other work of the event loop between two: where all replies are
    stored, nothing else would make the judge wait."""
    for task in tasks:
        yield task
        await asyncio.sleep(0)
