"""Two service processes on one store, killed at random moments while they do a job."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core_support import judge_config
from jobs_support import WAIT_S, add_job, command_output, open_jobs, serve_in_process, world
from judge_server import ScriptedJudge
from test_annotate_kill import IMPORTED, WatchfulServer

from annotator.calls.usage import NO_LIMITS, Limits
from annotator.service.jobs.job import Job
from annotator.service.jobs.jobs import Jobs
from annotator.service.jobs.results import ResultReader

NAMES = ("first", "second")


def service_processes() -> Any:
    """Makes processes that start with all imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*IMPORTED, "jobs_support", "annotator.service.jobs.runner"])
    return context


@dataclass(kw_only=True)
class Killed:
    """A job that ended, after `num_kills` kills.

    rows       what a reader got that began with the job
    expected   what the command writes
    """

    job: Job
    num_kills: int
    server: WatchfulServer
    rows: bytes
    results: bytes
    expected: bytes
    seconds: float


class _Rows:
    """A client that reads the results while they grow, and connects again at its next row."""

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self._jobs, self._job_id = jobs, job_id
        self.data = b""
        self.is_over = False

    def read(self) -> None:
        """What is there now, through a new connection."""
        reader = ResultReader(self._jobs, self._job_id, first=self.data.count(b"\n"))
        while True:
            more, self.is_over = reader.read()
            self.data += more
            if not more:
                return


def kill_services(
    folder: Path,
    *,
    num_responses: int,
    num_kills: int,
    concurrency: int,
    longest_s: float,
    source: random.Random,
    limits: Limits = NO_LIMITS,
    wait_s: float = WAIT_S,
) -> Killed:
    """Do one job with two service processes, each started again when it is killed."""
    context = service_processes()
    run = folder / "run"
    judge = ScriptedJudge(world(run, num_responses=num_responses))
    began = time.monotonic()
    with WatchfulServer(judge, run / "store.sqlite", source) as server:
        with open_jobs(run) as (_, jobs):
            job = add_job(jobs, run_lines(run), limits=limits)

        def start() -> Any:
            process = context.Process(
                target=serve_in_process, args=(run, server.base_url, concurrency)
            )
            process.start()
            return process

        processes = {name: start() for name in NAMES}
        killed = 0
        with open_jobs(run) as (_, jobs):
            rows = _Rows(jobs, job.id)
            deadline = time.monotonic() + wait_s
            while not jobs.get(job.id).has_ended:
                assert time.monotonic() < deadline, jobs.get(job.id)
                if killed < num_kills:
                    if not _wait_for_request(server, jobs, job.id):
                        continue
                    time.sleep(source.uniform(0.0, longest_s))
                    killed += _kill_some(processes, source)
                    for name, process in processes.items():
                        if process.exitcode == -signal.SIGKILL:
                            processes[name] = start()
                rows.read()
                time.sleep(0.02)
            while not rows.is_over:
                rows.read()
            ended = jobs.get(job.id)
        for process in processes.values():
            process.join(WAIT_S)
            assert process.exitcode == 0
        seconds = time.monotonic() - began
    path = run / "jobs" / job.id / "annotations.jsonl"
    return Killed(
        job=ended,
        num_kills=killed,
        server=server,
        rows=rows.data,
        results=path.read_bytes() if path.exists() else b"",
        expected=_command(folder / "command", judge, run, source),
        seconds=seconds,
    )


def _command(folder: Path, judge: ScriptedJudge, run: Path, source: random.Random) -> bytes:
    """What the command writes, with a store and a server of its own."""
    with WatchfulServer(judge, folder / "store.sqlite", source) as server:
        return command_output(folder, judge_config(server.base_url, concurrency=32), run)


def run_lines(run: Path) -> list[bytes]:
    """The responses of a run as an upload."""
    return (run / "responses.jsonl").read_bytes().splitlines(keepends=True)


def _wait_for_request(server: WatchfulServer, jobs: Jobs, job_id: str) -> bool:
    """Wait for the next request to the judge; False where the job has ended."""
    before = server.requests.total()
    deadline = time.monotonic() + WAIT_S
    while server.requests.total() == before and time.monotonic() < deadline:
        if jobs.get(job_id).has_ended:
            return False
        time.sleep(0.005)
    return True


def _kill_some(processes: dict[str, Any], source: random.Random) -> int:
    """Kill one or both processes; returns how many kills hit a process that was there."""
    killed = 0
    for name in source.sample(NAMES, source.choice((1, 1, 2))):
        processes[name].kill()
        processes[name].join(WAIT_S)
        killed += processes[name].exitcode == -signal.SIGKILL
    return killed
