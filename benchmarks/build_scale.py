"""Measures `build` at ANAH-v2's size: time, peak memory, and how both grow with the data.

    python benchmarks/build_scale.py [--repeats 3] [--output build_scale.json]

Builds 196,000 responses (822,000 sentences, made by scale_rows.py) and then twice as many, with
near duplicates removed, each build in a separate process, the two sizes and the peer in turn.
`seconds` and `peak_mb` are the medians at the first size, `ratio_at_double` is the median of the
ratios of neighbouring runs, and `noise` gives the lowest and highest. The peak is the largest
resident set of the process. If seconds vary but processor seconds do not, the machine had other
work.

Peer: `datasets` reads the same JSONL and writes it as Parquet, which is the minimum that a builder
must do: without checks, selection, weights, duplicates or splits. `seconds_over_peer` is the ratio
of neighbouring runs, median with its spread.

    target    180 s and 1,536 MB at the first size, a ratio of at most 2.2
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scale_rows import FULL_RESPONSES, write_rows

MAX_SECONDS = 180.0
MAX_PEAK_MB = 1_536.0
MAX_RATIO = 2.2
BUILD = """
import json, sys
from pathlib import Path
from maskdpo.publishing.dataset import build_dataset
from dataset_builder.config import BuildConfig

result = build_dataset(BuildConfig(), annotations=Path(sys.argv[1]), output=Path(sys.argv[2]))
print(json.dumps(dict(result.counts)))
"""

PEER = """
import json, sys, tempfile
from datasets import load_dataset

with tempfile.TemporaryDirectory(dir=sys.argv[2] + "/..") as cache:
    rows = load_dataset("json", data_files=sys.argv[1], cache_dir=cache, split="train")
    rows.to_parquet(cache + "/rows.parquet")
    print(json.dumps({"responses": len(rows)}))
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One build: wall-clock and processor seconds, peak resident megabytes, and its counts."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    counts: dict[str, int]


def run_once(program: str, annotations: Path, output: Path) -> Run:
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(annotations), str(output)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    # wait4 gives the peak of this one child; RUSAGE_CHILDREN would keep the largest of all.
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit("a run failed; its message is above")
    return Run(
        seconds=time.perf_counter() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1_024,
        counts=json.loads(printed.splitlines()[-1]),
    )


def summarise(single: Sequence[Run], double: Sequence[Run], peer: Sequence[Run]) -> dict[str, Any]:
    """The report; figures are medians."""
    counts = single[0].counts
    assert all(run.counts == counts for run in single)
    seconds, at_double = (_median(runs, "seconds") for runs in (single, double))
    peak, peak_at_double = (_median(runs, "peak_mb") for runs in (single, double))
    growths = [later.seconds / run.seconds for run, later in zip(single, double, strict=True)]
    over_peer = [run.seconds / other.seconds for run, other in zip(single, peer, strict=True)]
    ratio = statistics.median(growths)
    return {
        "benchmark": "build_scale",
        "peer": "datasets: the same JSONL to Parquet",
        "responses": counts["responses"],
        "sentences": counts["sentences"],
        "seconds": round(seconds, 1),
        "peak_mb": round(peak, 1),
        "ratio_at_double": round(ratio, 3),
        "seconds_at_double": round(at_double, 1),
        "peak_mb_at_double": round(peak_at_double, 1),
        "noise": {
            "seconds": _range(single, "seconds"),
            "seconds_at_double": _range(double, "seconds"),
            "cpu_seconds": _range(single, "cpu_seconds"),
            "cpu_seconds_at_double": _range(double, "cpu_seconds"),
            "peak_mb": _range(single, "peak_mb"),
            "ratio_at_double": _spread(growths),
            "repeats": len(single),
        },
        "peer_seconds": round(_median(peer, "seconds"), 1),
        "seconds_over_peer": round(statistics.median(over_peer), 2),
        "seconds_over_peer_spread": _spread(over_peer),
        "counts": counts,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "met": seconds <= MAX_SECONDS and peak <= MAX_PEAK_MB and ratio <= MAX_RATIO,
    }


def _median(runs: Sequence[Run], name: str) -> float:
    return statistics.median(getattr(run, name) for run in runs)


def _range(runs: Sequence[Run], name: str) -> list[float]:
    values = [round(getattr(run, name), 1) for run in runs]
    return [min(values), max(values)]


def _spread(ratios: Sequence[float]) -> list[float]:
    return [round(min(ratios), 2), round(max(ratios), 2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=int, default=FULL_RESPONSES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scratch", type=Path, help="where the data go [the temporary folder]")
    parser.add_argument("--output", type=Path, help="also write the report to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        folder = Path(name)
        sizes = {1: folder / "single.jsonl", 2: folder / "double.jsonl"}
        for factor, path in sizes.items():
            write_rows(path, factor * arguments.responses)
        runs: dict[int, list[Run]] = {1: [], 2: []}
        peer: list[Run] = []
        for _ in range(arguments.repeats):
            for factor, path in sizes.items():  # in turn, so that a slow period affects both
                run = run_once(BUILD, path, folder / "dataset")
                runs[factor].append(run)
                said = f"{run.counts['responses']:,} responses: {run.seconds:.1f} s"
                print(f"{said}, {run.peak_mb:.0f} MB", file=sys.stderr)
            peer.append(run_once(PEER, sizes[1], folder / "dataset"))
            print(f"peer: {peer[-1].seconds:.1f} s, {peer[-1].peak_mb:.0f} MB", file=sys.stderr)
    report = json.dumps(summarise(runs[1], runs[2], peer))
    print(report)
    if arguments.output:
        arguments.output.write_text(report + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
