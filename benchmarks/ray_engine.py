"""Measures `annotate --engine ray` with the baseline judge: responses per second and core.

    python benchmarks/ray_engine.py [--responses 20000] [--repeats 1] [--output ray_engine.json]

Writes the rows of annotate_scale.py and annotates them, each by commands as users run them, in
turn:

    local    `maskdpo annotate`: one process, one core
    shards   `maskdpo annotate --shard I/N`, N at the same time, one per core, and `maskdpo merge`
    ray      `maskdpo annotate --engine ray`: a local cluster with one worker per core

`per_core` is responses / (seconds x cores used), with everything in the seconds: start of the
cluster, imports, joining. Ratios are those of neighbouring runs, with their spread. Where two cores
share hardware, two processes get less than twice the work done: compare ray with shards, too.

    target    per_core of ray at least 0.85 of that of local
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
    cores = os.cpu_count() or 1
    runs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "rows"
        write_rows(folder, arguments.responses)
        for _ in range(arguments.repeats):
            runs.append(measure(folder, cores))
            print({way: round(seconds, 1) for way, seconds in runs[-1].items()}, file=sys.stderr)
    used = {"local": 1, "shards": cores, "ray": cores}
    rates = {
        way: [arguments.responses / (run[way] * number) for run in runs]
        for way, number in used.items()
    }
    report = {
        "benchmark": "ray_engine",
        "responses": arguments.responses,
        "cores": cores,
        "seconds": {way: round(statistics.median(run[way] for run in runs), 1) for way in used},
        "per_core": {way: round(statistics.median(found), 1) for way, found in rates.items()},
        "ray_over_local": _ratios(rates["ray"], rates["local"]),
        "ray_over_shards": _ratios(rates["ray"], rates["shards"]),
        "repeats": arguments.repeats,
    }
    report["met"] = report["ray_over_local"]["median"] >= TARGET
    print(json.dumps(report))
    if arguments.output:
        arguments.output.write_text(json.dumps(report) + "\n", encoding="utf-8")


def _ratios(ours: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    ratios = [one / two for one, two in zip(ours, others, strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
    }


if __name__ == "__main__":
    main()
