"""The service under more load than it can take: statuses, rate, latency, memory, job status.

Needs locust (pip install locust). Part 1: the baseline (lexical) behind `maskdpo serve`, and
locust with `--connections` clients for `--seconds`, each of which begins requests at a fixed
interval, together `--load` times the rate of `maskdpo annotate`. Every request is a new response
of 8 sentences with a new document of about 250 words. The command judges the same kind of rows,
from files, before and after it. Part 2: a judge server of 200 ms, and 32 connections that each send
one request after another. In both parts the status of a job is read 20 times per second.

    python benchmarks/service_load.py
    python benchmarks/service_load.py --seconds 20 --load 3

The last line is one JSON object: `statuses`, `offered_per_s`, `accepted_per_s`, `command_per_s`
(median of its runs), `of_command`, `service_cores` (CPU of the service and its worker processes),
`others_cores` and `command_others_cores` (CPU of other programs meanwhile: more than 0.2 spoils
the figures), `p50_ms` and `p99_ms` of accepted requests, `memory_mb_10_s`,
`memory_mb_end` (the service and its worker processes), `memory_growth`, `status_p99_ms` of part 1,
`status_during_calls_p99_ms` of part 2, and `met`: which aims the figures reach.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from annotate_throughput import FACT, SlowServer
from service_process import ROOT, OtherLoad, ServiceProcess, percentile
from service_rows import make_request
from service_throughput import judge_settings

MIN_OF_COMMAND = 0.80
MAX_P99_MS = 1000.0
MAX_GROWTH = 1.1
MAX_STATUS_MS = 250.0
MAX_STATUS_DURING_CALLS_MS = 50.0
CALLS_AT_ONCE, LATENCY_S = 32, 0.2
COMMAND_ROWS = 1000
OTHERS_OF_COMMAND: list[float] = []


def main() -> None:
    args = parse_arguments()
    if find_spec("locust") is None:
        raise SystemExit("service_load.py needs locust; install it with: pip install locust")
    before = [measure_command() for _ in range(args.command_runs)]
    found = asyncio.run(measure_overload(args, statistics.median(before)))
    after = [measure_command() for _ in range(args.command_runs)]
    found |= asyncio.run(measure_during_calls(args))
    print(json.dumps(conclude(found, [*before, *after])))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--load", type=float, default=2.5, help="times the command's rate")
    parser.add_argument("--command-runs", type=int, default=2, help="before, and again after")
    return parser.parse_args()


def conclude(found: dict[str, Any], command: Sequence[float]) -> dict[str, Any]:
    """The figures, and which aims they reach."""
    command_per_s = statistics.median(command)
    found |= {
        "command_per_s": round(command_per_s, 1),
        "command_low": round(min(command), 1),
        "command_high": round(max(command), 1),
        "command_others_cores": OTHERS_OF_COMMAND,
        "of_command": round(found["accepted_per_s"] / command_per_s, 3),
        "memory_growth": round(found["memory_mb_end"] / found["memory_mb_10_s"], 3),
    }
    found["met"] = {
        "statuses": set(found["statuses"]) <= {"200", "429"} and "429" in found["statuses"],
        "of_command": found["of_command"] >= MIN_OF_COMMAND,
        "p99_ms": found["p99_ms"] < MAX_P99_MS,
        "memory_growth": found["memory_growth"] <= MAX_GROWTH,
        "status_p99_ms": found["status_p99_ms"] < MAX_STATUS_MS,
        "status_during_calls_p99_ms": (
            found["status_during_calls_p99_ms"] < MAX_STATUS_DURING_CALLS_MS
        ),
    }
    return found


# The command.


def measure_command() -> float:
    """Responses per second of `maskdpo annotate`, by the seconds in its sidecar."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents, responses = [], []
        for number in range(COMMAND_ROWS):
            made = make_request(rng)
            documents.append({"id": f"d{number}", "text": made["documents"][0]})
            row = {"id": f"r{number}", "question_id": f"q{number}", **made["response"]}
            row |= {"document_ids": [f"d{number}"], "prompt": [{"role": "user", "content": "?"}]}
            responses.append(row)
        for file, rows in (("documents", documents), ("responses", responses)):
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (folder / f"{file}.jsonl").write_text(text, encoding="utf-8")
        others, own_s = OtherLoad(), -own_cpu_s()
        subprocess.run(
            [sys.executable, "-m", "maskdpo", "annotate", "--set", f"run.dir={folder}"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=folder,
            check=True,
            capture_output=True,
        )
        sidecar = json.loads((folder / "annotations.jsonl.meta.json").read_text(encoding="utf-8"))
        OTHERS_OF_COMMAND.append(others.cores(own_s + own_cpu_s()))
        return COMMAND_ROWS / sum(sidecar["timings"].values())


# Part 1: more load than the service can take.


async def measure_overload(args: argparse.Namespace, command_per_s: float) -> dict[str, Any]:
    """The service under the load of locust."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ServiceProcess(folder, []) as service:
            async with StatusReader(service) as status:
                others, own_s, service_s = OtherLoad(), -own_cpu_s(), -service.cpu_s()
                locust = start_locust(args, service, folder / "load.json", command_per_s)
                memory = await watch_memory(service, args.seconds)
                await asyncio.to_thread(locust.wait)
                service_s += service.cpu_s()
                others_cores = others.cores(own_s + own_cpu_s() + service_s)
        load = json.loads((folder / "load.json").read_text(encoding="utf-8"))
    seconds, statuses = load["seconds"], load["statuses"]
    return {
        "connections": args.connections,
        "others_cores": others_cores,
        "service_cores": round(service_s / seconds, 2),
        "seconds": round(seconds, 1),
        "statuses": statuses,
        "offered_per_s": round(sum(statuses.values()) / seconds, 1),
        "accepted_per_s": round(statuses.get("200", 0) / seconds, 1),
        "p50_ms": round(1000 * percentile(load["accepted_s"], 0.5), 1),
        "p99_ms": round(1000 * percentile(load["accepted_s"], 0.99), 1),
        "max_ms": round(1000 * max(load["accepted_s"], default=0.0), 1),
        "memory_mb_10_s": round(memory[0], 1),
        "memory_mb_end": round(memory[1], 1),
        "status_p50_ms": round(1000 * percentile(status.took, 0.5), 1),
        "status_p99_ms": round(1000 * percentile(status.took, 0.99), 1),
    }


def own_cpu_s() -> float:
    """CPU seconds of this process, and of its children that have ended."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def start_locust(
    args: argparse.Namespace, service: ServiceProcess, result: Path, command_per_s: float
) -> subprocess.Popen[bytes]:
    """Locust without its page, as a process."""
    command = [sys.executable, "-m", "locust", "--headless", "--only-summary"]
    command += ["--locustfile", str(Path(__file__).with_name("service_load_user.py"))]
    command += ["--users", str(args.connections), "--spawn-rate", str(args.connections)]
    command += ["--run-time", f"{args.seconds + 1}s", "--host", service.url]
    rate = args.load * command_per_s / args.connections
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LOAD_RATE_PER_CLIENT": str(rate),
        "LOAD_HEADERS": json.dumps(service.headers),
        "LOAD_RESULT": str(result),
    }
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


async def watch_memory(service: ServiceProcess, seconds: int) -> tuple[float, float]:
    """Resident memory 10 s after the first request can have come, and at the end, in MB."""
    found: list[float] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        if passed >= 10:
            found.append(service.memory_mb())
        await asyncio.sleep(1)
    return found[0], found[-1]


# The status of a job, read while others work.


class StatusReader:
    """Reads a job's status again and again. Use it as an asynchronous context manager.

    took   seconds of each reading
    """

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self.took: list[float] = []

    async def __aenter__(self) -> StatusReader:
        service = self._service
        self._session = aiohttp.ClientSession(service.url, headers=service.headers)
        self._path = await self._start_job()
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._session.close()

    async def _start_job(self) -> str:
        """The path of a job with one row, which soon ends."""
        prompt = [{"role": "user", "content": "What of the harbour?"}]
        response = {"id": "r", "question_id": "q", "prompt": prompt, "text": FACT}
        rows = [{"document": {"id": "d", "text": FACT}}, {**response, "document_ids": ["d"]}]
        body = "".join(f"{json.dumps(row)}\n" for row in rows)
        kind = {"Content-Type": "application/x-ndjson"}
        async with self._session.post("/v1/jobs", data=body, headers=kind) as reply:
            if reply.status != 201:
                raise SystemExit(f"no job: {reply.status} {await reply.text()}")
            return f"/v1/jobs/{(await reply.json())['id']}"

    async def _read(self) -> None:
        while True:
            began = time.perf_counter()
            async with self._session.get(self._path) as reply:
                assert reply.status == 200, await reply.text()
                await reply.read()
            self.took.append(time.perf_counter() - began)
            await asyncio.sleep(0.05)


# Part 2: the status of a job during calls of a slow judge server.


async def measure_during_calls(args: argparse.Namespace) -> dict[str, Any]:
    """The status of a job while the judge has as many calls under way as it may."""
    script = Path(__file__).with_name("service_throughput.py")
    with (
        SlowServer(LATENCY_S) as url,
        tempfile.TemporaryDirectory() as folder,
        ServiceProcess(Path(folder), judge_settings(url, CALLS_AT_ONCE)) as service,
    ):
        command = [sys.executable, str(script), "--side", "load", "--url", service.url]
        command += ["--token", service.token, "--concurrency", str(CALLS_AT_ONCE)]
        calls = int(min(args.seconds, 30) * CALLS_AT_ONCE / LATENCY_S)
        command += ["--sentences", "1", "--calls", str(calls)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        async with StatusReader(service) as status:
            load = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=subprocess.PIPE
            )
            said, _ = await load.communicate()
    figures = json.loads(said.splitlines()[-1])
    return {
        "calls_per_s": round(figures["calls_per_s"], 1),
        "status_during_calls_p50_ms": round(1000 * percentile(status.took, 0.5), 1),
        "status_during_calls_p99_ms": round(1000 * percentile(status.took, 0.99), 1),
    }


if __name__ == "__main__":
    main()
