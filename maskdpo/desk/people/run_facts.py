"""What is known about the run that made a file of annotations, from its sidecar.

The rule: a fact that is not recorded is None, never a guess; nothing is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.files.sidecar import read_sidecar_values


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """Facts of a run; calls_from_store are replies that cost nothing again."""

    judge: str | None = None
    protocol: str | None = None
    calls: int | None = None
    calls_from_store: int | None = None
    seconds: float | None = None
    failed: int | None = None


def read_facts(path: Path) -> RunFacts:
    """The facts of the run that made the annotations `path`."""
    values = read_sidecar_values(path)
    counts, timings = _object(values, "counts"), _object(values, "timings")
    config = _object(values, "config")
    seconds = [item for item in timings.values() if isinstance(item, int | float)]
    return RunFacts(
        judge=_text(_object(values, "models").get("judge")) or _text(config.get("judge")),
        protocol=_text(_object(config, "llm").get("protocol")),
        calls=_count(counts.get("calls")),
        calls_from_store=_count(counts.get("calls_from_store")),
        seconds=sum(seconds) if seconds else None,
        failed=_count(counts.get("failed")),
    )


def _object(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
