"""How much of a slow server's capacity the annotator uses, and what the sequential loop gets.

A loopback server answers every call `--latency` seconds late. With C calls at once the ideal is
C / latency calls a second. The peer is the published annotator's way (open-compass/ANAH, its
eval script): one call at a time with the same client, output kept in a list; re-implemented here
from its description and run in the same process against the same server.

    python benchmarks/annotate_throughput.py
    python benchmarks/annotate_throughput.py --calls 6400 --concurrency 32

The last line is one JSON object: calls_per_s (median of the runs), ideal_calls_per_s, ratio,
ratio_low, ratio_high, sequential_calls_per_s, memory_growth_mb (of the client, from a tenth of
the calls to all of them).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate

VERDICT = json.dumps({"quotes": [], "reason": "not there", "label": "not_mentioned"})
SENTENCES = 8


def main() -> None:
    args = parse_arguments()
    ideal = args.concurrency / args.latency
    with SlowServer(args.latency) as url:
        measure(url, SENTENCES * args.concurrency, args.concurrency)  # imports are no throughput
        runs = [measure(url, args.calls, args.concurrency) for _ in range(args.runs)]
        sequential = measure_sequential(url, args.sequential_calls)
    rates = [rate for rate, _ in runs]
    middle = statistics.median(rates)
    growth = max(grown for _, grown in runs)
    print(f"ideal {ideal:.0f} calls/s; ours {min(rates):.1f} to {max(rates):.1f}, {args.runs} runs")
    print(f"one call at a time: {sequential:.1f} calls/s; client memory grew {growth:.1f} MB")
    result = {
        "calls": args.calls,
        "concurrency": args.concurrency,
        "latency_s": args.latency,
        "calls_per_s": round(middle, 2),
        "ideal_calls_per_s": round(ideal, 2),
        "ratio": round(middle / ideal, 4),
        "ratio_low": round(min(rates) / ideal, 4),
        "ratio_high": round(max(rates) / ideal, 4),
        "sequential_calls_per_s": round(sequential, 2),
        "memory_growth_mb": round(growth, 1),
    }
    print(json.dumps(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3200)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sequential-calls", type=int, default=40)
    return parser.parse_args()


def measure(url: str, num_calls: int, concurrency: int) -> tuple[float, float]:
    """(calls a second, growth of this process's memory in MB after a tenth of the calls)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, num_calls // SENTENCES)
        config = AnnotateConfig.parse(
            {
                "judge": "llm",
                "llm": {
                    "model": "judge",
                    "base_url": url,
                    "protocol": "sentence",
                    "concurrency": concurrency,
                },
            },
            where="benchmark",
        )
        memory = MemoryWatch()
        started = time.perf_counter()
        with memory:
            result = run_annotate(
                config,
                responses=folder / "responses.jsonl",
                documents=folder / "documents.jsonl",
                output=folder / "annotations.jsonl",
                store=folder / "store.sqlite",
            )
        elapsed = time.perf_counter() - started
        assert result.counts["label_unverifiable"] == num_calls, result.counts
    return num_calls / elapsed, memory.growth_mb


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
    """The published loop: one call, wait, append, next; calls a second."""
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
    fact = "The harbour of Karsted has been dredged twice since the old lighthouse burned down."
    document = {"id": "d", "text": " ".join([fact] * 18)}
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
    """A chat server in a process of its own that answers everything alike, late."""

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
