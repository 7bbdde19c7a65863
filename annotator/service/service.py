"""The parts of one service process, opened together and closed in the reverse order.

The rule: what is shared by all requests is made here, once: store, corpus, judges, worker
processes, limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self

from annotator.calls.running.handover import end_task
from annotator.calls.store import Store
from annotator.calls.usage import Budget, Limits
from annotator.judging.config import AnnotateConfig
from annotator.judging.make_judge import judge_meter
from annotator.judging.runs.stored_replies import find_model_judges
from annotator.judging.stream_judge import JudgeProcesses
from annotator.service.config import CLAIM_WAIT_S, ServeConfig
from annotator.service.jobs.attempt import JobJudge
from annotator.service.jobs.job import JobRequest
from annotator.service.jobs.jobs import Jobs
from annotator.service.jobs.runner import JobRunner
from annotator.service.jobs.threads import Threads
from annotator.service.judges import Judges, UnknownNameError, check_judge, num_processes
from annotator.service.metrics import Metrics
from annotator.service.readiness import Watches
from schemas.errors import BackendError, ConfigError
from schemas.events import OnEvent
from schemas.records import Document

_NUM_THREADS = 8  # for requests about jobs: uploads, results, changes
# Tasks that a worker process gets at once: a request waits for the rest of its batch.
_BATCH_TASKS = 2


class Service:
    """One service process. Use it as an asynchronous context manager, after `judges.identify`.

    folder         the folder of the run: jobs and referenced files are in it
    documents      the corpus of the run, and `documents_file` its file, for jobs
    retry_failed   requests repeat calls whose replies before this start could not be used; those
                   without a reply they repeat in any case, and a job on request
    stopping       set when the service is about to stop: streams end
    """

    def __init__(
        self,
        config: ServeConfig,
        *,
        judges: Mapping[str, AnnotateConfig],
        folder: Path,
        store: Path,
        documents: Sequence[Document] = (),
        documents_file: Path | None = None,
        limits: Limits,
        same_model: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self.config = config
        self.folder = folder
        self.documents = documents
        self.stopping = asyncio.Event()
        self.metrics = Metrics()
        for settings in judges.values():
            check_judge(settings)
        self.store = Store(
            store, retry_failed=retry_failed, uses_lost=False, claim_wait_s=CLAIM_WAIT_S
        )
        self.processes = JudgeProcesses(num_processes(config), batch_tasks=_BATCH_TASKS)
        self.judges = Judges(
            judges,
            serve=config,
            store=self.store,
            documents=documents,
            processes=self.processes,
            budget=Budget(limits=limits),
            on_event=self._listener,
        )
        for name, served in self.judges.served.items():
            self.metrics.watch_queue(name, partial(getattr, served.admission, "num_inside"))
        self.watches = Watches(self.judges)
        self.threads = Threads(_NUM_THREADS)
        self.jobs = Jobs(
            folder,
            store=self.store,
            serve=config,
            check=self._check_job,
            documents=documents_file,
            limits=limits,
        )
        self.metrics.watch_jobs(self.jobs.table.count)
        self._runner = JobRunner(
            self.jobs,
            store=self.store,
            judge_of=self._judge_of,
            processes=self.processes,
            running_jobs=config.running_jobs,
            same_model=same_model,
            on_event=self._listener,
        )
        self._stack = AsyncExitStack()

    async def _run_jobs(self) -> None:
        """Run jobs until the service stops; then others may continue them at once."""
        runner = asyncio.create_task(self._runner.run())
        try:
            await self.stopping.wait()
        finally:
            await end_task(runner)

    def _check_job(self, request: JobRequest) -> None:
        """Raise UnknownNameError or ConfigError for a job that cannot be done."""
        judge_meter(self.judges.config_of(request.judge, request.domain), request.limits)

    def _judge_of(self, name: str, domain: str | None) -> JobJudge:
        """The judge of a job, with the connections and limits that it shares with requests."""
        try:
            config = self.judges.config_of(name, domain)
            models = find_model_judges(self.judges.engine(name, domain).annotator.judge)
        except UnknownNameError as error:
            raise ConfigError(str(error)) from None
        if self.watches[name].is_replaced:
            raise BackendError(self.watches[name].found)
        return JobJudge(
            config=config,
            backend=models[0].backend if models else None,
            meter=self.judges.served[name].meter,
        )

    def _listener(self, judge: str) -> OnEvent:
        return self.metrics.on_event(judge)

    async def __aenter__(self) -> Self:
        self._stack.callback(self.store.close)
        self._stack.callback(self.processes.close)
        self._stack.callback(self.jobs.close)
        self._stack.callback(self.threads.close)
        self._stack.push_async_callback(self.judges.close)
        await self._stack.enter_async_context(self.watches)
        self._stack.push_async_callback(end_task, asyncio.create_task(self.judges.start()))
        self._stack.push_async_callback(end_task, asyncio.create_task(self._run_jobs()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopping.set()
        await self._stack.aclose()
