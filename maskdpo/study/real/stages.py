"""Stages of a study: what is finished, on which device, and what it took.

The rule: a stage's record is written last and at once, after all of its files. A stage with a
record is never run again, on another device neither; one without is run again, on whatever its own
parts kept.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.files.writing import write_json

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(kw_only=True)
class Usage:
    """Wall and CPU time in seconds, and the peak of resident (and GPU) memory in MiB."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    gpu_peak_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The records of a folder's stages: `stages/NAME.json`."""

    folder: Path
    device: str
    on_stage: Callable[[str], None] = field(default=lambda name: None)

    def run(self, name: str, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The values of a stage, from its record or from `work`, whose files are then complete.

        The record's `usage` is that of the attempt that finished. Where `work` returns a key
        `earlier` (a Usage as a dict), the time of earlier attempts is added.
        """
        path = self.folder / "stages" / f"{name}.json"
        if not path.exists():
            self.on_stage(name)
            with measured() as usage:
                values = dict(work())
            earlier = values.pop("earlier", {})
            taken = {
                "wall_s": round(usage.wall_s + earlier.get("wall_s", 0.0), 2),
                "cpu_s": round(usage.cpu_s + earlier.get("cpu_s", 0.0), 2),
                "peak_mb": round(usage.peak_mb),
                "gpu_peak_mb": None if usage.gpu_peak_mb is None else round(usage.gpu_peak_mb),
            }
            record = {"stage": name, "device": self.device, "values": values, "usage": taken}
            write_json(path, record)
        return dict(json.loads(path.read_text(encoding="utf-8"))["values"])

    def names(self) -> set[str]:
        """The finished stages."""
        return {path.stem for path in (self.folder / "stages").glob("*.json")}

    def usages(self) -> list[dict[str, Any]]:
        """One row per finished stage, by time of its end.

        `device` is None where the record is from before devices were recorded.
        """
        paths = sorted(
            (self.folder / "stages").glob("*.json"), key=lambda path: path.stat().st_mtime
        )
        rows = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return [
            {"stage": row["stage"], "device": row.get("device"), **row["usage"]} for row in rows
        ]


@contextmanager
def measured() -> Iterator[Usage]:
    """What the block takes, in this process with all of its threads."""
    usage = Usage()
    wall, cpu = time.monotonic(), time.process_time()
    with suppress(OSError):  # Linux only: the peak since now, not since the process began
        _CLEAR.write_text("5", encoding="ascii")
    _reset_gpu_peak()
    yield usage
    usage.wall_s = time.monotonic() - wall
    usage.cpu_s = time.process_time() - cpu
    usage.peak_mb = _peak_mb()
    usage.gpu_peak_mb = _gpu_peak_mb()


def _peak_mb() -> float:
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)


def _reset_gpu_peak() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def _gpu_peak_mb() -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_allocated()) / 1024**2
