"""Two service processes on one store, killed at random moments while they do a job."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from core_support import judge_config
from jobs_support import WAIT_S, add_job, command_output, open_jobs, serve_in_process, world
from judge_server import ScriptedJudge
from test_annotate_kill import IMPORTED, WatchfulServer

from annotator.calls.usage import NO_LIMITS, Limits
from annotator.service.jobs.job import Job
from annotator.service.jobs.jobs import Jobs
from annotator.service.jobs.results import ResultReader


class RunnerProcess:
    """A process that runs jobs without HTTP; it starts with all imports done."""

    def __init__(self, run: Path, base_url: str, concurrency: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*IMPORTED, "jobs_support", "annotator.service.jobs.runner"])
        self._process = context.Process(target=serve_in_process, args=(run, base_url, concurrency))
        self._process.start()

    def kill(self) -> bool:
        """SIGKILL; returns whether it hit a living process."""
        self._process.kill()
        self._process.join(WAIT_S)
        return self._process.exitcode == -signal.SIGKILL

    def end(self) -> None:
        """It ends by itself when no job is left."""
        self._process.join(WAIT_S)
        assert self._process.exitcode == 0


class RealService:
    """`maskdpo serve`, possibly killed before it is up."""

    def __init__(self, run: Path, base_url: str, concurrency: int) -> None:
        llm = {
            "model": "judge",
            "base_url": base_url,
            "protocol": "sentence",
            "concurrency": concurrency,
        }
        options = ["annotate.judge=llm", f"annotate.llm={json.dumps(llm)}", f"run.dir={run}"]
        command = [sys.executable, "-m", "maskdpo", "serve", "--port", "0"]
        command += [part for option in options for part in ("--set", option)]
        with (run / "service.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> bool:
        """SIGKILL; returns whether it hit a living process."""
        self._process.kill()
        return self._process.wait(WAIT_S) == -signal.SIGKILL

    def end(self) -> None:
        """A service continues without jobs."""
        assert self._process.poll() is None
        self._process.terminate()
        self._process.wait(WAIT_S)


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
    start: type[RunnerProcess | RealService] = RunnerProcess,
) -> Killed:
    """Do one job with two service processes, each started again when it is killed."""
    run = folder / "run"
    judge = ScriptedJudge(world(run, num_responses=num_responses))
    began = time.monotonic()
    with WatchfulServer(judge, run / "store.sqlite", source) as server:
        with open_jobs(run) as (_, jobs):
            job = add_job(jobs, run_lines(run), limits=limits)

        processes = [start(run, server.base_url, concurrency) for _ in range(2)]
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
                    for at in source.sample((0, 1), source.choice((1, 1, 2))):
                        if processes[at].kill():
                            killed += 1
                            processes[at] = start(run, server.base_url, concurrency)
                rows.read()
                time.sleep(0.02)
            while not rows.is_over:
                rows.read()
            ended = jobs.get(job.id)
        for process in processes:
            process.end()
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
