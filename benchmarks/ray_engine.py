"""Measures `annotate --engine ray` with the baseline judge: responses per second and core.

    python benchmarks/ray_engine.py [--responses 20000] [--repeats 1] [--output ray_engine.json]

Writes the rows of annotate_scale.py and annotates them, each by commands as users run them, in
turn:

    local    `maskdpo annotate`: one process, one core
    shards   `maskdpo annotate --shard I/N`, N at the same time, one per core, and `maskdpo merge`
    ray      `maskdpo annotate --engine ray`: a local cluster with one worker per core

`per_core` is responses / (seconds x cores used), with everything in the seconds: start of the
cluster, imports, joining. The same is done with START_RESPONSES first, which shows what starting
and ending take whatever the size; `per_core_after_start` is of the responses and seconds beyond
these. Ratios are those of neighbouring runs, with their spread. Where two cores share hardware, two
processes get less than twice the work done: compare ray with shards, too.

    target    per_core_after_start of ray at least 0.85 of that of local
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from annotate_scale import FULL_RESPONSES, write_rows

TARGET = 0.85
START_RESPONSES = 100


def annotate(folder: Path, output: Path, *options: str) -> list[str]:
    return [
        sys.executable, "-m", "maskdpo", "annotate",
        "--responses", str(folder / "responses.jsonl"),
        "--documents", str(folder / "documents.jsonl"),
        "--output", str(output), "--store", str(output.with_suffix(".sqlite")), *options,
    ]  # fmt: skip


def seconds_of(commands: Sequence[Sequence[str]]) -> float:
    """Wall-clock seconds of commands that run at the same time."""
    began = time.perf_counter()
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
    for process in processes:
        if process.wait():
            sys.exit("a run failed; run its command by hand")
    return time.perf_counter() - began


def measure(folder: Path, cores: int) -> dict[str, float]:
    """Seconds of each way, on the same rows; their outputs must be equal."""
    found = {"local": seconds_of([annotate(folder, folder / "local.jsonl")])}
    names = [folder / f"part-{i:05}-of-{cores:05}.jsonl" for i in range(1, cores + 1)]
    parts = [
        annotate(folder, name, "--shard", f"{i}/{cores}") for i, name in enumerate(names, start=1)
    ]
    merge = [
        sys.executable, "-m", "maskdpo", "merge", *map(str, names), "--no-stores",
        "--input", str(folder / "responses.jsonl"), "--output", str(folder / "shards.jsonl"),
    ]  # fmt: skip
    found["shards"] = seconds_of(parts) + seconds_of([merge])
    options = ["--engine", "ray", "--set", f"ray.actors={cores}"]
    found["ray"] = seconds_of([annotate(folder, folder / "ray.jsonl", *options)])
    rows = (folder / "local.jsonl").read_bytes()
    for name in ("shards", "ray"):
        if (folder / f"{name}.jsonl").read_bytes() != rows:
            sys.exit(f"{name} wrote other rows than local")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=int, default=FULL_RESPONSES)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if arguments.responses < 10 * START_RESPONSES:
        parser.error(f"--responses {arguments.responses}: must be {10 * START_RESPONSES:,} or more")
    cores = os.cpu_count() or 1
    runs = []
    starts = []
    with tempfile.TemporaryDirectory() as name:
        few, folder = Path(name) / "few", Path(name) / "rows"
        write_rows(few, START_RESPONSES)
        write_rows(folder, arguments.responses)
        for _ in range(arguments.repeats):
            starts.append(measure(few, cores))
            runs.append(measure(folder, cores))
            for found in (starts[-1], runs[-1]):
                print({way: round(seconds, 1) for way, seconds in found.items()}, file=sys.stderr)
    used = {"local": 1, "shards": cores, "ray": cores}
    rates = {
        way: [arguments.responses / (run[way] * number) for run in runs]
        for way, number in used.items()
    }
    num_more = arguments.responses - START_RESPONSES
    after = {
        way: [
            num_more / ((run[way] - start[way]) * number)
            for start, run in zip(starts, runs, strict=True)
        ]
        for way, number in used.items()
    }
    report = {
        "benchmark": "ray_engine",
        "responses": arguments.responses,
        "cores": cores,
        "seconds": _medians({way: [run[way] for run in runs] for way in used}),
        "seconds_of_start": _medians({way: [run[way] for run in starts] for way in used}),
        "per_core": _medians(rates),
        "ray_over_local": _ratios(rates["ray"], rates["local"]),
        "ray_over_shards": _ratios(rates["ray"], rates["shards"]),
        "per_core_after_start": _medians(after),
        "ray_over_local_after_start": _ratios(after["ray"], after["local"]),
        "ray_over_shards_after_start": _ratios(after["ray"], after["shards"]),
        "repeats": arguments.repeats,
    }
    report["met"] = report["ray_over_local_after_start"]["median"] >= TARGET
    print(json.dumps(report))
    if arguments.output:
        arguments.output.write_text(json.dumps(report) + "\n", encoding="utf-8")


def _medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {way: round(statistics.median(values), 1) for way, values in found.items()}


def _ratios(ours: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    ratios = [one / two for one, two in zip(ours, others, strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
    }


if __name__ == "__main__":
    main()
