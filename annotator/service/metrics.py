"""What the service counts, in the text formats of Prometheus and OpenMetrics.

The rule: a label holds a name from the settings, a route as it is documented, or a word of a fixed
list; never an id, a text, a path or an address of a client. Calls of judges, their sentences and
servers are counted as in a run (annotator/calls/metrics); here are only requests and jobs. Each
service has a registry of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from annotator.calls.metrics.counting import RunMetrics
from annotator.calls.metrics.families import BOUNDS, reason_word
from annotator.calls.metrics.rendering import SnapshotCollector
from schemas.events import Advanced, Event, OnEvent, heard_by
from schemas.records import Annotation

if TYPE_CHECKING:
    from annotator.service.guard.middleware import Seen

_OPENMETRICS = "application/openmetrics-text"
_ROLE: Literal["judge"] = "judge"


class Metrics:
    """The counts of one service process, safe to add to from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = RunMetrics()
        self._registry.register(SnapshotCollector(self._calls.snapshot))
        ProcessCollector(registry=self._registry)
        self._requests = self._counter("http_requests", "Requests ended.", "route", "status")
        self._seconds = Histogram(
            "maskdpo_http_request_seconds",
            "Seconds until a request ended; a stream ends with its work.",
            ["route"],
            buckets=BOUNDS,
            registry=self._registry,
        )
        self._judged = self._counter(
            "responses_judged", "Responses judged, those of jobs too.", "judge"
        )
        self._annotations = self._counter(
            "annotations", "Requests for an annotation by outcome.", "judge", "outcome"
        )
        self._refused = self._counter("refused", "Requests refused for lack of room.", "judge")
        self._queue = Gauge(
            "maskdpo_queue_requests",
            "Requests for annotations under way or waiting.",
            ["judge"],
            registry=self._registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"maskdpo_{name}", text, labels, registry=self._registry)

    def on_event(self, judge: str) -> OnEvent:
        """A listener for the work of `judge`."""

        def count(event: Event) -> None:
            if isinstance(event, Advanced):
                self._judged.labels(judge).inc(event.count)

        return heard_by(self._calls.listener(_ROLE, judge), count)

    def observe(self, request: Seen) -> None:
        """A request has ended."""
        self._requests.labels(request.route, str(request.status)).inc()
        self._seconds.labels(request.route).observe(request.seconds)

    def annotated(self, judge: str, annotation: Annotation) -> None:
        """A request has its annotation."""
        self._annotations.labels(judge, "done").inc()
        labels = [item.verdict.label.value for item in annotation.sentences]
        self._calls.add_sentences(_ROLE, judge, labels)

    def not_annotated(self, judge: str, outcome: str) -> None:
        """A request has none; `outcome` is a short code, such as `timeout`."""
        self._annotations.labels(judge, reason_word(outcome)).inc()

    def refused(self, judge: str) -> None:
        """There was no room for a request."""
        self._refused.labels(judge).inc()

    def watch_queue(self, judge: str, length: Callable[[], int]) -> None:
        """Read the number of requests inside `judge` with every `render`."""
        self._queue.labels(judge).set_function(length)

    def watch_jobs(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Read the number of jobs by state with every `render`."""
        self._registry.register(_Jobs(count))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All of it, and its content type: OpenMetrics where `accept`, the client's header, asks
        for it, else the text format of Prometheus."""
        if _OPENMETRICS not in accept:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Jobs(Collector):
    def __init__(self, count: Callable[[], Mapping[str, int]]) -> None:
        self._count = count

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Its name, so that the registry need not count jobs to learn it."""
        yield self._family()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The jobs now."""
        family = self._family()
        for state, number in self._count().items():
            family.add_metric([state], number)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily("maskdpo_jobs", "Jobs by state.", labels=["state"])
