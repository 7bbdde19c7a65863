"""Metrics of the service: counts by configured names, in a format that Prometheus reads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from service_support import LABELS, TOKEN, ServiceProcess

from annotator.service.guard.middleware import Seen
from annotator.service.metrics import Metrics
from schemas.events import (
    Advanced,
    CallAnswered,
    CallAsked,
    CallFailed,
    CallRetried,
    CallsServed,
    Usage,
)
from schemas.labels import Label
from schemas.records import Annotation, Message, Sentence, Verdict


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values, in order of their names."""
    return read_text(metrics.render())


def read_text(text: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def make_annotation(*labels: Label) -> Annotation:
    return Annotation(
        id="secret-id",
        question_id="q",
        prompt=[Message(role="user", content="a secret question")],
        text="ab" * len(labels),
        sentences=[
            Sentence(start=2 * n, end=2 * n + 2, verdict=Verdict(label=label, judge="j"))
            for n, label in enumerate(labels)
        ],
    )


def test_calls_of_a_judge_are_counted_from_events() -> None:
    metrics = Metrics()
    tell = metrics.on_event("default", currency="EUR")
    for key in "ab":
        tell(CallAsked(key=key))
    tell(CallAnswered(key="a", prompt=100, cached=40, completion=7, cost=0.25))
    tell(CallFailed(key="b", reason="http_500", detail="with a secret"))
    tell(CallRetried(key="b", reason="http_429", wait_s=1.0))
    tell(CallsServed(count=3))
    tell(Advanced(stage="annotate", count=1, usage=Usage(asked=99)))
    found = read(metrics)
    assert found["maskdpo_responses_judged_total", "default"] == 1
    assert found["maskdpo_judge_calls_total", "default"] == 2
    assert found["maskdpo_judge_calls_from_store_total", "default"] == 3
    assert found["maskdpo_judge_tokens_total", "default", "prompt"] == 100
    assert found["maskdpo_judge_tokens_total", "default", "cached"] == 40
    assert found["maskdpo_judge_tokens_total", "default", "completion"] == 7
    assert found["maskdpo_judge_cost_total", "EUR", "default"] == 0.25
    assert found["maskdpo_judge_failures_total", "default", "http_500"] == 1
    assert found["maskdpo_judge_retries_total", "default", "http_429"] == 1


def test_a_reason_that_is_not_a_code_is_no_label() -> None:
    metrics = Metrics()
    tell = metrics.on_event("default")
    for reason in ("timeout", "http_999", "no server at 10.0.0.7", "a\nb", "x" * 41):
        tell(CallFailed(key="k", reason=reason, detail=""))
    metrics.not_annotated("default", "sk-secret-Key")
    found = read(metrics)
    assert found["maskdpo_judge_failures_total", "default", "timeout"] == 1
    assert found["maskdpo_judge_failures_total", "default", "other"] == 4
    assert found["maskdpo_annotations_total", "default", "other"] == 1
    assert b"secret" not in metrics.render()


def test_annotations_and_sentences_are_counted_without_their_texts() -> None:
    metrics = Metrics()
    metrics.annotated("default", make_annotation(Label.NO_FACT, Label.NO_FACT, Label.UNVERIFIABLE))
    metrics.annotated("second", make_annotation(Label.NO_FACT))
    metrics.not_annotated("second", "judge_failed")
    metrics.refused("second")
    found = read(metrics)
    assert found["maskdpo_annotations_total", "default", "done"] == 1
    assert found["maskdpo_annotations_total", "second", "judge_failed"] == 1
    assert found["maskdpo_sentences_total", "default", "no_fact"] == 2
    assert found["maskdpo_sentences_total", "default", "unverifiable"] == 1
    assert found["maskdpo_sentences_total", "second", "no_fact"] == 1
    assert found["maskdpo_refused_total", "second"] == 1
    assert b"secret" not in metrics.render()


def test_queues_and_jobs_are_read_when_they_are_rendered() -> None:
    metrics = Metrics()
    inside, jobs, num_counted = [1], {"running": 2}, 0

    def count() -> dict[str, int]:
        nonlocal num_counted
        num_counted += 1
        return jobs

    metrics.watch_queue("default", lambda: len(inside))
    metrics.watch_jobs(count)
    assert num_counted == 0
    assert read(metrics)["maskdpo_queue_requests", "default"] == 1
    inside.append(2)
    jobs["failed"] = 1
    found = read(metrics)
    assert found["maskdpo_queue_requests", "default"] == 2
    assert found["maskdpo_jobs", "running"] == 2
    assert found["maskdpo_jobs", "failed"] == 1
    assert found["process_resident_memory_bytes",] > 1e6


def test_two_services_count_separately() -> None:
    first, second = Metrics(), Metrics()
    first.refused("default")
    assert ("maskdpo_refused_total", "default") not in read(second)


def test_responses_are_counted_by_route_and_status() -> None:
    metrics = Metrics()
    for status in (200, 404, 404):
        metrics.observe(Seen(method="GET", route="/v1/jobs/{job_id}", status=status, seconds=0.2))
    found = read(metrics)
    route = "/v1/jobs/{job_id}"
    assert found["maskdpo_http_requests_total", route, "200"] == 1
    assert found["maskdpo_http_requests_total", route, "404"] == 2
    assert found["maskdpo_http_request_seconds_count", route] == 3
    assert found["maskdpo_http_request_seconds_bucket", "0.1", route] == 0
    assert found["maskdpo_http_request_seconds_bucket", "0.25", route] == 3


def test_a_service_shows_what_it_counted_and_no_id_path_or_text(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as service:
        assert service.annotate().status == 200
        assert service.annotate("   ").status == 422
        assert service.get("/v1/jobs/0123456789abcdef").status == 404
        assert service.get("/secret-path").status == 404
        assert service.send("GET", "/metrics", token=None).status == 401
        shown = service.get("/metrics")
    assert shown.status == 200
    assert shown.headers["content-type"].startswith("text/plain; version=")
    found = read_text(shown.body)
    assert found["maskdpo_annotations_total", "default", "done"] == 1
    assert found["maskdpo_annotations_total", "default", "invalid_request"] == 1
    assert found["maskdpo_responses_judged_total", "default"] == 1
    assert [found["maskdpo_sentences_total", "default", label] for label in LABELS] == [1, 1]
    assert found["maskdpo_queue_requests", "default"] == 0
    route = "/v1/jobs/{job_id}"
    assert found["maskdpo_http_requests_total", route, "404"] == 1
    for secret in (b"0123456789abcdef", b"secret-path", b"Mira", TOKEN.encode()):
        assert secret not in shown.body
