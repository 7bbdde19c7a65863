"""How much of a slow judge server's capacity the service uses, and how close it is to the core.

A loopback judge server, in a separate process, replies to every call after `--latency` seconds.
With C calls at once the ideal is C / latency calls per second. Each side is measured in turn, in
processes of its own, `--runs` times:

- service: `maskdpo serve` with the sentence protocol, and C connections that each send one request
  after another to `POST /v1/annotations`, with responses of `--sentences` sentences;
- core: `Annotator.annotate` in a process of its own, over the same responses, with C calls at once.

    python benchmarks/service_throughput.py
    python benchmarks/service_throughput.py --concurrency 256 --runs 5 --sentences 1

The last line is one JSON object. `cases` has, for each number of calls at once and of sentences:
calls_per_s of both sides (median of the runs), `of_ideal` and `of_core` (medians, with low and
high over the runs), latencies of requests in ms, CPU of the service in ms per request. `met`: at
least 85% of the ideal at 32, and at least 60% of the core's rate at 256, for the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from annotate_throughput import DOCUMENT, SlowServer, use_checkout
from service_process import ROOT, ServiceProcess, percentile

MIN_OF_IDEAL = 0.85
MIN_OF_CORE = 0.60


def main() -> None:
    args = parse_arguments()
    if args.side:
        use_checkout()
        side = {"load": run_load, "core": run_core}[args.side]
        print(json.dumps(asyncio.run(side(args))))
        return
    cases = []
    with SlowServer(args.latency) as url:
        for concurrency in args.concurrency:
            for sentences in args.sentences:
                cases.append(measure(args, url, concurrency, sentences))
                show(cases[-1])
    met = all(
        (case["concurrency"] > 32 or case["of_ideal"] >= MIN_OF_IDEAL)
        and (case["concurrency"] < 256 or case["of_core"] >= MIN_OF_CORE)
        for case in cases
    )
    print(json.dumps({"latency_s": args.latency, "cases": cases, "met": met}))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--concurrency", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--sentences", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--calls", type=int, help="default 1600, or 40 per call at once")
    for name in ("--side", "--url", "--token"):  # what a child process does
        parser.add_argument(name, help=argparse.SUPPRESS)
    return parser.parse_args()


# The runs.


def measure(
    args: argparse.Namespace, judge_url: str, concurrency: int, sentences: int
) -> dict[str, Any]:
    """Both sides in turn, run after run."""
    calls = args.calls or max(1600, 40 * concurrency)
    common = ["--calls", str(calls), "--concurrency", str(concurrency)]
    common += ["--sentences", str(sentences)]
    runs = []
    for _ in range(args.runs):
        core = run_side(["--side", "core", "--url", judge_url, *common])
        settings = judge_settings(judge_url, concurrency)
        with (
            tempfile.TemporaryDirectory() as folder,
            ServiceProcess(Path(folder), settings) as service,
        ):
            address = ["--url", service.url, "--token", service.token]
            before = service.cpu_s()
            found = run_side(["--side", "load", *address, *common])
            cpu_ms = 1000 * (service.cpu_s() - before) / found["requests_with_warm_up"]
        runs.append({"core": core["calls_per_s"], "cpu_ms": cpu_ms, **found})
    return summarize(runs, concurrency, sentences, concurrency / args.latency)


def judge_settings(judge_url: str, concurrency: int) -> list[str]:
    """The judge of both sides, as settings."""
    llm = {"model": "judge", "base_url": judge_url, "protocol": "sentence"}
    llm["concurrency"] = str(concurrency)
    return ["annotate.judge=llm", *(f"annotate.llm.{key}={value}" for key, value in llm.items())]


def run_side(arguments: Sequence[str]) -> dict[str, float]:
    """The figures of a child process."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def summarize(
    runs: Sequence[dict[str, float]], concurrency: int, sentences: int, ideal: float
) -> dict[str, Any]:
    """Medians over the runs, with the lowest and highest shares."""

    def middle(name: str) -> float:
        return round(statistics.median(run[name] for run in runs), 2)

    of_ideal = [run["calls_per_s"] / ideal for run in runs]
    of_core = [run["calls_per_s"] / run["core"] for run in runs]
    return {
        "concurrency": concurrency,
        "sentences": sentences,
        "ideal_calls_per_s": round(ideal, 1),
        "core_calls_per_s": middle("core"),
        "calls_per_s": middle("calls_per_s"),
        "of_ideal": round(statistics.median(of_ideal), 4),
        "of_ideal_low": round(min(of_ideal), 4),
        "of_ideal_high": round(max(of_ideal), 4),
        "of_core": round(statistics.median(of_core), 4),
        "of_core_low": round(min(of_core), 4),
        "of_core_high": round(max(of_core), 4),
        "p50_ms": middle("p50_ms"),
        "p99_ms": middle("p99_ms"),
        "service_cpu_ms_per_request": middle("cpu_ms"),
    }


def show(case: dict[str, Any]) -> None:
    """One case as text."""
    print(
        f"{case['concurrency']:4} at once, {case['sentences']} sentences: service "
        f"{case['calls_per_s']:7.1f} calls/s, {case['of_ideal']:.1%} "
        f"({case['of_ideal_low']:.0%}-{case['of_ideal_high']:.0%}) of the ideal "
        f"{case['ideal_calls_per_s']:g}, {case['of_core']:.1%} ({case['of_core_low']:.0%}-"
        f"{case['of_core_high']:.0%}) of the core's {case['core_calls_per_s']:.1f}; p50 "
        f"{case['p50_ms']:.0f} ms, p99 {case['p99_ms']:.0f} ms, "
        f"{case['service_cpu_ms_per_request']:.2f} ms of CPU per request",
        flush=True,
    )


# What a child process does.


def make_text(number: int, sentences: int) -> str:
    """A response that differs from all others."""
    return " ".join(f"Boat {number} carried {n} tons of salt." for n in range(sentences))


async def run_load(args: argparse.Namespace) -> dict[str, float]:
    """Requests over as many connections as calls at once; the first round does not count."""
    import aiohttp

    (concurrency,), (sentences,) = args.concurrency, args.sentences
    warm_up = 2 * concurrency
    count = max(args.calls // sentences, 3 * concurrency)
    headers = {"Authorization": f"Bearer {args.token}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(args.url, connector=connector, headers=headers) as session:

        async def send_all(numbers: Iterator[int]) -> list[float]:
            took = []
            for number in numbers:
                began = time.perf_counter()
                body = {"response": make_text(number, sentences), "documents": [DOCUMENT]}
                async with session.post("/v1/annotations", json=body) as reply:
                    said = await reply.read()
                assert reply.status == 200, said
                assert said.count(b'"label":"unverifiable"') == sentences, said
                took.append(time.perf_counter() - began)
            return took

        async def run(first: int, last: int) -> list[float]:
            numbers = iter(range(first, last))
            parts = await asyncio.gather(*(send_all(numbers) for _ in range(concurrency)))
            return [seconds for part in parts for seconds in part]

        await run(0, warm_up)
        began = time.perf_counter()
        took = await run(warm_up, warm_up + count)
        seconds = time.perf_counter() - began
    return {
        "calls_per_s": count * sentences / seconds,
        "requests_with_warm_up": warm_up + count,
        "p50_ms": 1000 * percentile(took, 0.5),
        "p99_ms": 1000 * percentile(took, 0.99),
    }


async def run_core(args: argparse.Namespace) -> dict[str, float]:
    """`Annotator.annotate` over the same responses; a first round does not count."""
    from annotator.calls.store import Store
    from annotator.judging.annotator import Annotator
    from annotator.judging.config import AnnotateConfig
    from schemas.records import Annotation, Document, Message, Response

    (concurrency,), (sentences,) = args.concurrency, args.sentences
    llm = {"model": "judge", "base_url": args.url, "protocol": "sentence"}
    config = AnnotateConfig.parse(
        {"judge": "llm", "llm": {**llm, "concurrency": concurrency}}, where="benchmark"
    )

    def responses(first: int, last: int) -> Iterator[Response]:
        for number in range(first, last):
            yield Response(
                id=f"r{number}",
                question_id=f"q{number}",
                document_ids=["d"],
                prompt=[Message(role="user", content="")],
                text=make_text(number, sentences),
            )

    warm_up = 2 * concurrency
    count = max(args.calls // sentences, 3 * concurrency)
    documents = [Document(id="d", text=DOCUMENT)]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store.sqlite") as store:
        annotator = Annotator(config, documents=documents, store=store)

        async def run(first: int, last: int) -> None:
            async for row in annotator.annotate(responses(first, last)):
                assert isinstance(row, Annotation), row
                assert len(row.sentences) == sentences

        await run(0, warm_up)
        began = time.perf_counter()
        await run(warm_up, warm_up + count)
        seconds = time.perf_counter() - began
    return {"calls_per_s": count * sentences / seconds}


if __name__ == "__main__":
    main()
