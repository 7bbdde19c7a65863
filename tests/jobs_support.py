"""Runs of jobs without HTTP: a folder, its jobs, and runners in this process or in others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from core_support import judge_config
from judge_support import make_world

from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Limits
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.backend import Backend
from annotator.service.config import ServeConfig
from annotator.service.jobs.attempt import JobJudge
from annotator.service.jobs.job import Job, JobRequest
from annotator.service.jobs.jobs import Jobs
from annotator.service.jobs.runner import JobRunner

WAIT_S = 60.0
CALLS_A_RESPONSE = 4


def world(folder: Path, *, num_responses: int) -> Any:
    """Files of a run in `folder`; returns what is true of each sentence."""
    folder.mkdir(parents=True, exist_ok=True)
    return make_world(folder, num_responses=num_responses)


def upload_lines(folder: Path) -> Iterator[bytes]:
    """The files of a run as the lines of an upload, documents first."""
    for line in (folder / "documents.jsonl").read_bytes().splitlines():
        yield json.dumps({"document": json.loads(line)}).encode() + b"\n"
    yield from (folder / "responses.jsonl").read_bytes().splitlines(keepends=True)


@contextmanager
def open_jobs(
    folder: Path, *, limits: Limits = NO_LIMITS, **serve: Any
) -> Iterator[tuple[Store, Jobs]]:
    """The store and the jobs of the run in `folder`."""
    with Store(folder / "store.sqlite") as store:
        jobs = Jobs(
            folder,
            store=store,
            serve=ServeConfig.model_validate(serve),
            check=lambda request: None,
            documents=folder / "documents.jsonl",
            limits=limits,
        )
        try:
            yield store, jobs
        finally:
            jobs.close()


def add_job(
    jobs: Jobs,
    lines: Iterable[bytes],
    *,
    limits: Limits = NO_LIMITS,
    judge: str = "default",
    key: str | None = None,
) -> Job:
    """Upload a job."""
    new = jobs.begin(JobRequest(judge=judge, limits=limits), key=key)
    try:
        for line in lines:
            new.write(line)
        return jobs.add(new)[0]
    finally:
        new.discard()


@asynccontextmanager
async def running(
    store: Store,
    jobs: Jobs,
    config: AnnotateConfig,
    *,
    backend: Backend | None = None,
    **options: Any,
) -> AsyncIterator[JobRunner]:
    """A runner at work, stopped at the end."""
    runner = JobRunner(
        jobs,
        store=store,
        judge_of=lambda name, domain: JobJudge(config=config, backend=backend),
        **options,
    )
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def wait_for(
    jobs: Jobs, job_id: str, is_reached: Callable[[Job], bool], *, wait_s: float = WAIT_S
) -> Job:
    """The job when `is_reached` holds."""
    async with asyncio.timeout(wait_s):
        while True:
            job = jobs.get(job_id)
            if is_reached(job):
                return job
            await asyncio.sleep(0.02)


def has_ended(job: Job) -> bool:
    return job.has_ended


def has_stopped(job: Job) -> bool:
    return job.has_ended or job.state in ("waiting", "paused")


def run_jobs(
    jobs: Jobs,
    store: Store,
    config: AnnotateConfig,
    job_id: str,
    *,
    is_done: Callable[[Job], bool] = has_stopped,
    **options: Any,
) -> Job:
    """Run jobs until the one with that id has ended or waits."""

    async def run() -> Job:
        async with running(store, jobs, config, **options):
            return await wait_for(jobs, job_id, is_done)

    return asyncio.run(run())


def serve_in_process(folder: Path, base_url: str, concurrency: int) -> None:
    """A service process without HTTP: runs jobs until none is left."""

    async def run() -> None:
        config = judge_config(base_url, concurrency=concurrency)
        with open_jobs(folder) as (store, jobs):
            async with running(store, jobs, config):
                while jobs.table.open_jobs(most_queued=1):
                    await asyncio.sleep(0.05)

    asyncio.run(run())


def command_output(folder: Path, config: AnnotateConfig, source: Path) -> bytes:
    """What `maskdpo annotate` writes for the files in `source`, with a store of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    run_annotate(
        config,
        responses=source / "responses.jsonl",
        documents=source / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "store.sqlite",
    )
    return (folder / "annotations.jsonl").read_bytes()
