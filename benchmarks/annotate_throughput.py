"""How much of a slow server's capacity the annotator uses, and what CPU its client takes.

A loopback server, in a separate process, replies to every call after `--latency` seconds. With C
concurrent calls the ideal is C / latency calls per second. Each side is measured in a separate
process, in turn, so that other load on the machine affects all of them:

- annotate: `maskdpo annotate` with the sentence protocol, store and output included;
- client: the backend alone, with prepared requests;
- openai: `openai.AsyncOpenAI`, `chat.completions.create` under a semaphore, nothing stored;
- with --former DIR, the first two of another checkout: `git worktree add DIR COMMIT`;
- sequential: the published annotator's way (open-compass/ANAH, its eval script): one call at a
  time, output kept in a list; re-implemented here from its description.

    python benchmarks/annotate_throughput.py
    python benchmarks/annotate_throughput.py --former ../former --concurrency 256 --runs 5

The last line is one JSON object per --concurrency (a list of them where there are several), about
annotate: calls_per_s (median of the runs), ideal_calls_per_s, ratio, ratio_low, ratio_high,
client_cpu_ms_per_call (CPU of the client process, median) with its low and high,
sequential_calls_per_s, memory_growth_mb (from a tenth of the calls to all of them; the largest),
and `peers` with the same figures of the other sides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
VERDICT = json.dumps({"quotes": [], "reason": "not there", "label": "not_mentioned"})
SENTENCES = 8
FACT = "The harbour of Karsted has been dredged twice since the old lighthouse burned down."
DOCUMENT = " ".join([FACT] * 18)
FORMER = " of --former"


def main() -> None:
    args = parse_arguments()
    if args.side:
        use_checkout()
        print(json.dumps(measure(args.side, args.url, args.calls, args.concurrency[0])))
        return
    results = []
    with SlowServer(args.latency) as url:
        sequential = measure_sequential(url, args.sequential_calls)
        for concurrency in args.concurrency:
            calls = args.calls or max(3200, 40 * concurrency)
            sides = measure_all(args, url, calls, concurrency)
            results.append(report(sides, calls, concurrency, args.latency, sequential))
    print(json.dumps(results if len(results) > 1 else results[0]))


def use_checkout() -> None:
    """Import our packages only from PYTHONPATH, even if a checkout is installed as editable.

    The finder of an editable install would add modules that a former checkout lacks.
    """
    sys.meta_path[:] = [
        finder
        for finder in sys.meta_path
        if "__editable__" not in getattr(finder, "__module__", "")
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, help="default 3200, or 40 per call at once")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sequential-calls", type=int, default=40)
    parser.add_argument("--former", type=Path, help="another checkout to measure in the same run")
    parser.add_argument("--side", help=argparse.SUPPRESS)  # what a child process measures
    parser.add_argument("--url", help=argparse.SUPPRESS)
    return parser.parse_args()


# The runs, each in a separate process.

Runs = dict[str, list[dict[str, float]]]


def measure_all(args: argparse.Namespace, url: str, calls: int, concurrency: int) -> Runs:
    """The figures of each side, run after run."""
    checkouts = {"": ROOT} | ({FORMER: args.former.resolve()} if args.former else {})
    sides: list[tuple[str, str, Path]] = [
        (f"{side}{name}", side, checkout)
        for side in ("annotate", "client")
        for name, checkout in checkouts.items()
    ]
    sides.append(("openai", "openai", ROOT))
    runs: Runs = {name: [] for name, _, _ in sides}
    for _ in range(args.runs):
        for name, side, checkout in sides:
            runs[name].append(run_side(side, checkout, url, calls, concurrency))
    return runs


def run_side(side: str, checkout: Path, url: str, calls: int, concurrency: int) -> dict[str, float]:
    """One run of one side with the code of `checkout`."""
    command = [sys.executable, __file__, "--side", side, "--url", url]
    command += ["--calls", str(calls), "--concurrency", str(concurrency)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command, env=environment, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def report(
    runs: Runs, calls: int, concurrency: int, latency: float, sequential: float
) -> dict[str, Any]:
    """Print a table of the runs; returns the figures of `annotate`, with its peers."""
    ideal = concurrency / latency
    figures = {name: summarize(items, ideal) for name, items in runs.items()}
    print(f"{calls:,} calls of {latency * 1000:g} ms, {concurrency} at once: ideal {ideal:g}/s")
    print(f"  {'':22} {'calls/s':>8} {'of ideal':>16} {'CPU ms per call':>21} {'grew MB':>8}")
    for name, item in figures.items():
        print(
            f"  {name:22} {item['calls_per_s']:8.1f} {item['ratio']:7.1%} ({item['ratio_low']:.0%}"
            f"-{item['ratio_high']:.0%}) {item['client_cpu_ms_per_call']:8.3f} "
            f"({item['client_cpu_ms_low']:.3f}-{item['client_cpu_ms_high']:.3f}) "
            f"{item['memory_growth_mb']:8.1f}"
        )
    print(f"  {'one call at a time':22} {sequential:8.1f}")
    ours = figures.pop("annotate")
    result = {"calls": calls, "concurrency": concurrency, "latency_s": latency, **ours}
    result |= {"ideal_calls_per_s": round(ideal, 2), "sequential_calls_per_s": round(sequential, 2)}
    for name in ("annotate", "client"):
        if former := figures.get(name + FORMER):
            own = ours if name == "annotate" else figures[name]
            share = own["client_cpu_ms_per_call"] / former["client_cpu_ms_per_call"]
            result[f"{name}_cpu_to_former"] = round(share, 3)
            print(f"  CPU per call, {name}: {share:.2f} of the former checkout's")
    return result | {"peers": figures}


def summarize(runs: Sequence[dict[str, float]], ideal: float) -> dict[str, float]:
    """Median, lowest and highest of the runs of one side."""
    rates = [run["calls_per_s"] for run in runs]
    cpu = [run["cpu_ms_per_call"] for run in runs]
    return {
        "calls_per_s": round(statistics.median(rates), 2),
        "ratio": round(statistics.median(rates) / ideal, 4),
        "ratio_low": round(min(rates) / ideal, 4),
        "ratio_high": round(max(rates) / ideal, 4),
        "client_cpu_ms_per_call": round(statistics.median(cpu), 4),
        "client_cpu_ms_low": round(min(cpu), 4),
        "client_cpu_ms_high": round(max(cpu), 4),
        "memory_growth_mb": round(max(run["memory_growth_mb"] for run in runs), 1),
    }


# What a child process does.


def measure(side: str, url: str, calls: int, concurrency: int) -> dict[str, float]:
    """Rate, CPU of this process per call, and memory of `calls` calls; imports do not count."""
    ask = {"annotate": run_annotator, "client": run_client, "openai": run_openai}[side]
    ask(url, SENTENCES * concurrency, concurrency)
    memory = MemoryWatch()
    with memory:
        started, cpu = time.perf_counter(), time.process_time()
        ask(url, calls, concurrency)
        cpu, elapsed = time.process_time() - cpu, time.perf_counter() - started
    return {
        "calls_per_s": calls / elapsed,
        "cpu_ms_per_call": 1000 * cpu / calls,
        "memory_growth_mb": memory.growth_mb,
    }


def run_annotator(url: str, calls: int, concurrency: int) -> None:
    """`maskdpo annotate` on new files."""
    from annotator.judging.config import AnnotateConfig

    try:
        from annotator.judging.runs.annotate import run_annotate

        silent = {}
    except ImportError:  # a former checkout
        from annotator.judging.annotate import run_annotate  # type: ignore[import-not-found]

        silent = {"show_progress": False}
    model = {"model": "judge", "base_url": url, "concurrency": concurrency}
    settings = {"judge": "llm", "llm": {**model, "protocol": "sentence"}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, calls // SENTENCES)
        result = run_annotate(
            AnnotateConfig.parse(settings, where="benchmark"),
            responses=folder / "responses.jsonl",
            documents=folder / "documents.jsonl",
            output=folder / "annotations.jsonl",
            store=folder / "store.sqlite",
            **silent,
        )
        assert result.counts["label_unverifiable"] == calls, result.counts


def run_client(url: str, calls: int, concurrency: int) -> None:
    """The backend alone, with prepared requests; replies are only counted."""
    from schemas.records import Message

    try:
        from annotator.models.backend import Decoding, Request
        from annotator.models.config import ModelConfig
        from annotator.models.openai.openai_backend import OpenAIBackend
    except ImportError:  # a former checkout
        from annotator.generation.backend import Decoding, Request  # type: ignore[import-not-found]
        from annotator.generation.config import ModelConfig  # type: ignore[import-not-found]
        from annotator.generation.openai_backend import (  # type: ignore[import-not-found]
            OpenAIBackend,
        )
    config = ModelConfig(backend="openai", model="judge", base_url=url, concurrency=concurrency)
    decoding = Decoding(max_tokens=400)
    numbers = iter(range(calls))

    def take(limit: int) -> list[list[Request]]:
        return [
            [
                Request(
                    id=str(number),
                    messages=(Message(role="user", content=f"{DOCUMENT}\nBoat {number}?"),),
                    seed=1,
                    decoding=decoding,
                )
            ]
            for number in islice(numbers, limit)
        ]

    assert sum(map(len, OpenAIBackend(config).generate(take))) == calls


def run_openai(url: str, calls: int, concurrency: int) -> None:
    """The client that most programs use, with as many calls at once."""
    from openai import AsyncOpenAI

    async def run() -> None:
        room = asyncio.Semaphore(concurrency)
        async with AsyncOpenAI(base_url=url, api_key="none") as client:

            async def ask(number: int) -> bool:
                async with room:
                    reply = await client.chat.completions.create(
                        model="judge",
                        messages=[{"role": "user", "content": f"{DOCUMENT}\nBoat {number}?"}],
                        max_tokens=400,
                        temperature=0.0,
                        seed=1,
                    )
                return bool(reply.choices[0].message.content)

            assert all(await asyncio.gather(*map(ask, range(calls))))

    asyncio.run(run())


class MemoryWatch:
    """Resident memory of this process, read every tenth of a second."""

    def __init__(self) -> None:
        self._read: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._stop.wait(0.1):
            self._read.append(process.memory_info().rss / 1e6)

    @property
    def growth_mb(self) -> float:
        """From the end of the first tenth of the readings to the highest of the rest."""
        later = self._read[len(self._read) // 10 :]
        return max(later) - later[0] if later else 0.0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def measure_sequential(url: str, num_calls: int) -> float:
    """The published loop: one call, wait, append, next; calls per second."""
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none")
    kept = []
    started = time.perf_counter()
    for number in range(num_calls):
        message = {"role": "user", "content": f"Sentence {number}?"}
        answer = client.chat.completions.create(model="judge", messages=[message])  # type: ignore[list-item]
        kept.append(answer.choices[0].message.content)
    return num_calls / (time.perf_counter() - started)


def write_rows(folder: Path, num_responses: int) -> None:
    """Responses of SENTENCES sentences each, over a document of some 250 words."""
    document = {"id": "d", "text": DOCUMENT}
    (folder / "documents.jsonl").write_text(json.dumps(document) + "\n", encoding="utf-8")
    with (folder / "responses.jsonl").open("w", encoding="utf-8") as handle:
        for number in range(num_responses):
            said = [f"Boat {number} carried {n} tons of salt." for n in range(SENTENCES)]
            row = {
                "id": f"r{number}",
                "question_id": f"q{number}",
                "language": "en",
                "document_ids": ["d"],
                "prompt": [{"role": "user", "content": f"What did boat {number} carry?"}],
                "text": " ".join(said),
            }
            handle.write(json.dumps(row) + "\n")


class SlowServer:
    """A chat server in a separate process that gives the same reply to all calls, after a delay."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> str:
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(theirs, self._latency))
        self._process.start()
        return f"http://127.0.0.1:{ours.recv()}/v1"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def serve(pipe: object, latency: float) -> None:
    """A minimal HTTP/1.1 server: asyncio, keep-alive, one fixed answer."""
    choice = {"message": {"role": "assistant", "content": VERDICT}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 400, "completion_tokens": 20}
    answer = json.dumps({"choices": [choice], "usage": usage}).encode()
    models = b'{"data": [{"id": "judge"}]}'

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                await reader.readexactly(length)
                body = models if head.startswith(b"GET") else answer
                if body is answer:
                    await asyncio.sleep(latency)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                    + str(len(body)).encode()
                    + b"\r\n\r\n"
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        await server.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
