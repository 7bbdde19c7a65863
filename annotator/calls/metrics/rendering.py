"""A snapshot as text: OpenMetrics 1.0, by the library of Prometheus.

The rule: the text depends only on the snapshot, in the order of the table of families, then of the
labels; a family without values is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import TYPE_CHECKING

from annotator.calls.metrics.families import BOUNDS, FAMILIES, Family
from annotator.calls.metrics.snapshot import MetricsSnapshot, Observed

if TYPE_CHECKING:
    from prometheus_client import Metric

END = b"# EOF\n"


def to_openmetrics(snapshot: MetricsSnapshot) -> bytes:
    """The text, which ends with `# EOF`; in UTF-8."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(lambda: snapshot))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


class SnapshotCollector:
    """The families of `read()` for a registry of the library, each time it is asked for them."""

    def __init__(self, read: Callable[[], MetricsSnapshot]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """The names, so that a registry refuses a family of the same name."""
        return (_library_family(family) for family in FAMILIES.values())

    def collect(self) -> Iterable[Metric]:
        """The families with values."""
        snapshot = self._read()
        for family in FAMILIES.values():
            found = _library_family(family)
            _fill(found, family, snapshot)
            if found.samples:
                yield found


def _library_family(family: Family) -> Metric:
    from prometheus_client import core

    make = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }[family.kind]
    made: Metric = make(
        f"maskdpo_{family.name}", family.text, labels=family.label_names, unit=family.unit
    )
    return made


def _fill(found: Metric, family: Family, snapshot: MetricsSnapshot) -> None:
    for (name, *labels), value in sorted(snapshot.values.items()):
        if name == family.name:
            found.add_metric(labels, value)  # type: ignore[attr-defined]
    for (name, *labels), observed in sorted(snapshot.observed.items()):
        if name == family.name:
            found.add_metric(labels, _buckets(observed), observed.total)  # type: ignore[attr-defined]


def _buckets(observed: Observed) -> list[tuple[str, float]]:
    from prometheus_client.utils import floatToGoString

    above = (*BOUNDS, float("inf"))
    bounds = [floatToGoString(bound) for bound in above]  # type: ignore[no-untyped-call]
    return list(zip(bounds, accumulate(observed.counts), strict=True))
