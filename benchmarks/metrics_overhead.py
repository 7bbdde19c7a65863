"""What counting a run for --metrics costs: calls per second and CPU per call, with and without.

Its peer is the same run without metrics. Both annotate the same rows with a judge model on a
loopback server that replies after `--latency` seconds, in one process, in turn: each pair begins
with the other side. `with` counts all events and writes the file every `--every` seconds.

    python benchmarks/metrics_overhead.py
    python benchmarks/metrics_overhead.py --pairs 20 --concurrency 512

The last line is one JSON object: calls_per_s with and without (medians), rate_ratio and cpu_ratio
(with / without, median of the pairs) with their lowest and highest, and us_per_event, the time of
one event without anything else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from annotate_throughput import SENTENCES, SlowServer, write_rows

from annotator.calls.metrics.counting import RunMetrics
from annotator.calls.metrics.metrics_file import WRITE_EVERY_S, MetricsFile
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from schemas.events import CallAnswered, CallAsked, OnEvent, ignore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=6400, help="of each run")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds")
    parser.add_argument("--every", type=float, default=WRITE_EVERY_S, help="seconds")
    args = parser.parse_args()
    pairs = []
    with SlowServer(args.latency) as url:
        for number in range(-1, args.pairs):  # the first pair warms up
            sides = [True, False] if number % 2 else [False, True]
            pair = {side: measure(url, args, with_metrics=side) for side in sides}
            if number >= 0:
                pairs.append((pair[True], pair[False]))
    report(pairs, event_us())


Figures = tuple[float, float]
"""Calls per second, and milliseconds of CPU per call."""


def measure(url: str, args: argparse.Namespace, *, with_metrics: bool) -> Figures:
    """One run on new files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, args.calls // SENTENCES)
        started, cpu = time.perf_counter(), time.process_time()
        if with_metrics:
            metrics = RunMetrics()
            with MetricsFile(folder / "run.prom", metrics.snapshot, every_s=args.every):
                annotate(folder, url, args.concurrency, metrics.listener("judge"))
            counted = metrics.snapshot().values["calls", "judge", "default"]
            assert counted == args.calls, counted
        else:
            annotate(folder, url, args.concurrency, ignore)
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
    return args.calls / seconds, 1000 * cpu / args.calls


def annotate(folder: Path, url: str, concurrency: int, on_event: OnEvent) -> None:
    """`maskdpo annotate` without its progress bar."""
    model = {"model": "judge", "base_url": url, "concurrency": concurrency, "protocol": "sentence"}
    run_annotate(
        AnnotateConfig.parse({"judge": "llm", "llm": model}, where="benchmark"),
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "store.sqlite",
        on_event=on_event,
    )


def event_us(num_calls: int = 100_000) -> float:
    """Microseconds of one event, of calls that are asked and answered."""
    tell = RunMetrics().listener("judge")
    asked = CallAsked(key="k")
    reply = CallAnswered(
        key="k", prompt=400, cached=0, completion=20, cost=0.1, currency="USD", seconds=0.1
    )
    started = time.perf_counter()
    for _ in range(num_calls):
        tell(asked)
        tell(reply)
    return 1e6 * (time.perf_counter() - started) / (2 * num_calls)


def report(pairs: Sequence[tuple[Figures, Figures]], us_per_event: float) -> None:
    """Print a line per pair, and the JSON object."""
    rates = [one[0] / other[0] for one, other in pairs]
    cpus = [one[1] / other[1] for one, other in pairs]
    for one, other in pairs:
        print(
            f"with {one[0]:7.1f} calls/s, {one[1]:.3f} ms CPU per call; "
            f"without {other[0]:7.1f}, {other[1]:.3f}"
        )
    figures = {
        "calls_per_s_with": round(statistics.median(one[0] for one, _ in pairs), 1),
        "calls_per_s_without": round(statistics.median(other[0] for _, other in pairs), 1),
        "us_per_event": round(us_per_event, 2),
    }
    for name, ratios in (("rate", rates), ("cpu", cpus)):
        figures[f"{name}_ratio"] = round(statistics.median(ratios), 4)
        figures[f"{name}_ratio_low"] = round(min(ratios), 4)
        figures[f"{name}_ratio_high"] = round(max(ratios), 4)
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(main())
