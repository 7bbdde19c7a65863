"""What the service counts, in the text format of Prometheus.

The rule: a label holds a name from the settings, a route as it is documented, or a word of a fixed
list; never an id, a text, a path or an address of a client. Each service has a registry of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

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
from prometheus_client.registry import Collector

from schemas.events import (
    Advanced,
    CallAnswered,
    CallAsked,
    CallFailed,
    CallRetried,
    CallsServed,
    Event,
    OnEvent,
)
from schemas.records import Annotation

if TYPE_CHECKING:
    from annotator.service.guard.middleware import Seen

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_REASON = re.compile(r"[a-z_]{1,40}|http_[1-5][0-9]{2}")


class Metrics:
    """The counts of one service process, safe to add to from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._counter("http_requests", "Requests ended.", "route", "status")
        self._seconds = Histogram(
            "maskdpo_http_request_seconds",
            "Seconds until a request ended; a stream ends with its work.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._judged = self._counter(
            "responses_judged", "Responses judged, those of jobs too.", "judge"
        )
        self._annotations = self._counter(
            "annotations", "Requests for an annotation by outcome.", "judge", "outcome"
        )
        self._sentences = self._counter(
            "sentences", "Sentences of these annotations.", "judge", "label"
        )
        self._refused = self._counter("refused", "Requests refused for lack of room.", "judge")
        self._asked = self._counter("judge_calls", "Calls sent to a judge model.", "judge")
        self._served = self._counter("judge_calls_from_store", "Calls found stored.", "judge")
        self._failed = self._counter("judge_failures", "Calls without reply.", "judge", "reason")
        self._retried = self._counter("judge_retries", "Calls sent again.", "judge", "reason")
        self._tokens = self._counter("judge_tokens", "Tokens of replies.", "judge", "kind")
        self._cost = self._counter("judge_cost", "Cost of replies.", "judge", "currency")
        self._queue = Gauge(
            "maskdpo_queue_requests",
            "Requests for annotations under way or waiting.",
            ["judge"],
            registry=self._registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"maskdpo_{name}", text, labels, registry=self._registry)

    def on_event(self, judge: str, *, currency: str = "") -> OnEvent:
        """A listener for the calls of `judge`, whose prices are in `currency`."""

        def count(event: Event) -> None:
            match event:
                case Advanced():
                    self._judged.labels(judge).inc(event.count)
                case CallAsked():
                    self._asked.labels(judge).inc()
                case CallsServed():
                    self._served.labels(judge).inc(event.count)
                case CallAnswered():
                    self._add_reply(judge, currency, event)
                case CallFailed():
                    self._failed.labels(judge, _word(event.reason)).inc()
                case CallRetried():
                    self._retried.labels(judge, _word(event.reason)).inc()

        return count

    def _add_reply(self, judge: str, currency: str, reply: CallAnswered) -> None:
        self._tokens.labels(judge, "prompt").inc(reply.prompt)
        self._tokens.labels(judge, "cached").inc(reply.cached)
        self._tokens.labels(judge, "completion").inc(reply.completion)
        if reply.cost and currency:
            self._cost.labels(judge, currency).inc(reply.cost)

    def observe(self, request: Seen) -> None:
        """A request has ended."""
        self._requests.labels(request.route, str(request.status)).inc()
        self._seconds.labels(request.route).observe(request.seconds)

    def annotated(self, judge: str, annotation: Annotation) -> None:
        """A request has its annotation."""
        self._annotations.labels(judge, "done").inc()
        for sentence in annotation.sentences:
            self._sentences.labels(judge, sentence.verdict.label.value).inc()

    def not_annotated(self, judge: str, outcome: str) -> None:
        """A request has none; `outcome` is a short code, such as `timeout`."""
        self._annotations.labels(judge, _word(outcome)).inc()

    def refused(self, judge: str) -> None:
        """There was no room for a request."""
        self._refused.labels(judge).inc()

    def watch_queue(self, judge: str, length: Callable[[], int]) -> None:
        """Read the number of requests inside `judge` with every `render`."""
        self._queue.labels(judge).set_function(length)

    def watch_jobs(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Read the number of jobs by state with every `render`."""
        self._registry.register(_Jobs(count))

    def render(self) -> bytes:
        """All of it, as `CONTENT_TYPE`."""
        return generate_latest(self._registry)


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


def _word(reason: str) -> str:
    return reason if _REASON.fullmatch(reason) else OTHER
