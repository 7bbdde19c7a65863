"""Servers whose limits nobody knows: what share of them is used, and how many calls are refused.

    python benchmarks/unknown_rates.py --seconds 90

Peer: the servers' own limits. Two servers on loopback accept 40 and 90 calls/s in windows of a
second; one sends Retry-After with a refusal, the other does not; the second halves its limit at a
third of the time. With --workers 2, two processes share the pace through one coordinator. With
--engine, `maskdpo sample` sends the calls, in this process (local) or from the workers of a local
Ray cluster (ray), until all its rows are there; `lost` are rows that are missing.
Prints per server: allowed and accepted calls after the first 30 s and from 30 s after the change,
refused share of all calls, and seconds until 90% of the limit is used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from limited_server import LimitedServer  # noqa: E402

from annotator.models.backend import Decoding, Reply, Request  # noqa: E402
from annotator.models.config import ModelConfig  # noqa: E402
from annotator.models.openai.openai_backend import OpenAIBackend  # noqa: E402
from annotator.models.pacing.coordinator import Coordinator  # noqa: E402
from annotator.models.pacing.reports import PaceReport, PaceShare  # noqa: E402
from schemas.records import Message  # noqa: E402

SETTLED_S = 30


class LockedCoordinator:
    """A coordinator that several threads of a manager's process use."""

    def __init__(self) -> None:
        self._coordinator = Coordinator()
        self._lock = threading.Lock()

    def report(self, worker: str, reports: list[PaceReport]) -> list[PaceShare]:
        """See `Coordinator.report`."""
        with self._lock:
            return self._coordinator.report(worker, reports)


class Manager(BaseManager):
    """The process of the shared coordinator."""


Manager.register("LockedCoordinator", LockedCoordinator)


def ask(backend: OpenAIBackend, seconds: float, name: str) -> tuple[int, int]:
    """Send calls for some seconds; how many were taken, and how many got a reply."""
    ends = time.monotonic() + seconds
    num_taken = num_replies = 0

    def take(limit: int) -> list[list[Request]]:
        nonlocal num_taken
        if time.monotonic() >= ends:
            return []
        first, num_taken = num_taken, num_taken + limit
        return [
            [
                Request(
                    id=f"{name}{number}",
                    messages=(Message(role="user", content=f"{number}"),),
                    seed=1,
                    decoding=Decoding(max_tokens=4),
                )
            ]
            for number in range(first, num_taken)
        ]

    async def run() -> None:
        nonlocal num_replies
        async for finished in backend.stream(take):
            num_replies += sum(isinstance(outcome, Reply) for _, outcome in finished)

    asyncio.run(run())
    return num_taken, num_replies


def sample(servers: list[LimitedServer], engine: str, num_replies: int) -> int:
    """Sample that many replies by the command; the number of rows that are missing."""
    with tempfile.TemporaryDirectory() as name:
        questions, output = Path(name) / "questions.jsonl", Path(name) / "responses.jsonl"
        rows = [{"id": f"q{n}", "question": f"Who is person {n}?"} for n in range(num_replies)]
        questions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        urls = json.dumps([server.base_url for server in servers])
        command = [
            sys.executable, "-m", "maskdpo", "sample", "--engine", engine,
            "--questions", str(questions), "--output", str(output), "--model", "policy",
            "--set", "sample.backend=openai", "--set", f"sample.base_urls={urls}",
            "--set", "sample.num_responses=1", "--set", "sample.concurrency=256",
            "--set", "ray.actors=2", "--set", "ray.cpus_per_actor=0.5",
        ]  # fmt: skip
        subprocess.run(command, check=True)
        return num_replies - len(output.read_bytes().splitlines())


def measure(server: LimitedServer, change_at: float | None, seconds: float) -> dict[str, object]:
    """The figures of one server, from its own counts."""
    accepted, refused = server.counts()
    num_refused, num_accepted = sum(refused.values()), sum(accepted.values())

    def use(start: int, end: int) -> float:
        return sum(accepted[n] for n in range(start, end)) / server.allowed(start, end)

    def until(start: int) -> int | None:
        ends = range(start, int(seconds) - 5)
        return next((n - start for n in ends if use(n, n + 5) >= 0.9), None)

    first_end = int(change_at or seconds - 1)
    found: dict[str, object] = {
        "accepted": num_accepted,
        "refused_share": round(num_refused / max(1, num_refused + num_accepted), 4),
        "use": round(use(min(SETTLED_S, first_end - 5), first_end), 3),
        "seconds_until_90": until(0),
    }
    if change_at is not None:
        start = int(change_at)
        found["use_after_change"] = round(use(start + SETTLED_S, int(seconds) - 1), 3)
        found["seconds_until_90_after_change"] = until(start)
    return found


def main() -> None:
    """Run the servers and the workers, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="duration [120]")
    parser.add_argument("--workers", type=int, default=1, help="processes that send calls [1]")
    parser.add_argument("--kind", default="fixed", help="fixed, sliding or bucket [fixed]")
    parser.add_argument("--latency", type=float, default=0.05, help="of a reply, seconds [0.05]")
    parser.add_argument("--engine", choices=["local", "ray"], help="send calls by the command")
    options = parser.parse_args()
    half_at = options.seconds / 3
    settings = {"kind": options.kind, "latency_s": options.latency}
    with (
        LimitedServer(40, retry_after=True, **settings) as first,
        LimitedServer(90, retry_after=False, changes=[(half_at, 45)], **settings) as second,
    ):
        config = ModelConfig.model_validate(
            {
                "backend": "openai",
                "model": "policy",
                "base_urls": [first.base_url, second.base_url],
                "concurrency": 256,
            }
        )
        seconds = options.seconds
        if options.engine:
            both = [first, second]
            num_replies = int(0.96 * sum(server.allowed(0, seconds) for server in both))
            totals = [(sample(both, options.engine, num_replies), 0)]
            seconds = min(max(server.counts()[0]) for server in both) - 1
        elif options.workers == 1:
            totals = [ask(OpenAIBackend(config), options.seconds, "a")]
        else:
            context = get_context("spawn")
            with Manager(ctx=context) as manager:
                backend = OpenAIBackend(config, manager.LockedCoordinator())  # type: ignore[attr-defined]
                with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
                    jobs = [
                        pool.submit(ask, backend, options.seconds, f"w{number}-")
                        for number in range(options.workers)
                    ]
                    totals = [job.result() for job in jobs]
        result = {
            "workers": options.workers,
            "engine": options.engine,
            "kind": options.kind,
            "lost": sum(taken - replied for taken, replied in totals),
            "limit_40_retry_after": measure(first, None, seconds),
            "limit_90_then_45": measure(second, half_at, seconds),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
