"""Measures `build` at two million responses: time, peak memory, and how both grow with the data.

    python benchmarks/build_scale.py [--responses 2000000] [--repeats 1] [--output build_scale.json]

Builds 2,000,000 responses (8.4 million sentences, made by scale_rows.py) and then twice as many,
with near duplicates removed, each build in a separate process, the two sizes and the peer in turn.
Needs 25 GB of disk. `seconds` and the peaks are the medians at the first size, `ratio_at_double` is
the median of the ratios of neighbouring runs, and `noise` gives the lowest and highest. `peak_mb`
is the largest sum of the resident sets of the build's processes, seen every SAMPLE_S seconds; pages
that processes share count several times. `peak_mb_of_one` is the largest resident set of any of
them. If seconds vary but processor seconds do not, the machine had other work.

Peer: `datasets` reads the same JSONL and writes it as Parquet, which is the minimum that a builder
must do: without checks, selection, weights, duplicates or splits. `seconds_over_peer` is the ratio
of neighbouring runs, median with its spread.

    target    600 s and 2,048 MB at the first size, a ratio of at most 2.1
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
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scale_rows import write_rows

NUM_RESPONSES = 2_000_000
MAX_SECONDS = 600.0
MAX_PEAK_MB = 2_048.0
MAX_RATIO = 2.1
SAMPLE_S = 0.25
BUILD = """
import json, sys
from pathlib import Path
from maskdpo.publishing.dataset import build_dataset
from dataset_builder.config import BuildConfig

workers = int(sys.argv[3]) if len(sys.argv) > 3 else None
result = build_dataset(
    BuildConfig(), annotations=Path(sys.argv[1]), output=Path(sys.argv[2]), workers=workers
)
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
    peak_mb_of_one: float
    counts: dict[str, int]


class PeakOfTree:
    """The largest sum of the resident sets of a process and all that it started (Linux)."""

    def __init__(self, pid: int) -> None:
        self.peak_mb = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakOfTree:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.peak_mb = max(self.peak_mb, sum(map(resident_mb, self._tree())))

    def _tree(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(path.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended
            children.setdefault(parent, []).append(int(path.parent.name))
        found = [self._pid]
        for pid in found:
            found += children.get(pid, [])
        return found


def resident_mb(pid: int) -> float:
    """The resident set of a process; 0 once it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def run_once(program: str, *arguments: object) -> Run:
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with PeakOfTree(process.pid) as tree:
        printed = process.stdout.read()
        # wait4 gives the figures of this child and of those that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit("a run failed; its message is above")
    return Run(
        seconds=time.perf_counter() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=tree.peak_mb,
        peak_mb_of_one=usage.ru_maxrss / 1_024,
        counts=json.loads(printed.splitlines()[-1]),
    )


def summarise(single: Sequence[Run], double: Sequence[Run], peer: Sequence[Run]) -> dict[str, Any]:
    """The report; figures are medians."""
    counts = single[0].counts
    assert all(run.counts == counts for run in single)
    seconds, at_double = (_median(runs, "seconds") for runs in (single, double))
    peak, peak_at_double = (_median(runs, "peak_mb") for runs in (single, double))
    growths = [later.seconds / run.seconds for run, later in zip(single, double, strict=True)]
    over_peer = [run.seconds / other.seconds for run, other in zip(single, peer, strict=False)]
    ratio = statistics.median(growths)
    return {
        "benchmark": "build_scale",
        "peer": "datasets: the same JSONL to Parquet",
        "responses": counts["responses"],
        "sentences": counts["sentences"],
        "seconds": round(seconds, 1),
        "peak_mb": round(peak, 1),
        "peak_mb_of_one": round(_median(single, "peak_mb_of_one"), 1),
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
        "peer_seconds": round(_median(peer, "seconds"), 1) if peer else None,
        "seconds_over_peer": round(statistics.median(over_peer), 2) if peer else None,
        "seconds_over_peer_spread": _spread(over_peer) if peer else None,
        "counts": counts,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "met": seconds <= MAX_SECONDS and peak <= MAX_PEAK_MB and ratio <= MAX_RATIO,
    }


def _median(runs: Sequence[Run], name: str) -> float:
    return float(statistics.median(getattr(run, name) for run in runs))


def _range(runs: Sequence[Run], name: str) -> list[float]:
    values = [round(getattr(run, name), 1) for run in runs]
    return [min(values), max(values)]


def _spread(ratios: Sequence[float]) -> list[float]:
    return [round(min(ratios), 2), round(max(ratios), 2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--responses", type=int, default=NUM_RESPONSES)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--workers", type=int, help="processes of the build [by cores and size]")
    parser.add_argument("--no-peer", action="store_true", help="leave the peer out")
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
                chosen = () if arguments.workers is None else (arguments.workers,)
                run = run_once(BUILD, path, folder / "dataset", *chosen)
                runs[factor].append(run)
                said = f"{run.counts['responses']:,} responses: {run.seconds:.1f} s"
                print(f"{said}, {run.peak_mb:.0f} MB", file=sys.stderr)
            if arguments.no_peer:
                continue
            peer.append(run_once(PEER, sizes[1], folder / "dataset"))
            print(f"peer: {peer[-1].seconds:.1f} s, {peer[-1].peak_mb:.0f} MB", file=sys.stderr)
    report = json.dumps(summarise(runs[1], runs[2], peer))
    print(report)
    if arguments.output:
        arguments.output.write_text(report + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
