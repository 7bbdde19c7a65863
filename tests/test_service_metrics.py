"""Metrics of the service: counts by configured names, in a format that Prometheus reads."""

from __future__ import annotations

import json
from pathlib import Path

from judge_server import ScriptedJudge
from metrics_text import Samples, faults_for_textfile, read_text
from prometheus_client import CONTENT_TYPE_LATEST
from sample_server import ChatServer, as_json
from service_support import LABELS, TOKEN, ServiceProcess

from annotator.service.guard.middleware import Seen
from annotator.service.metrics import Metrics
from schemas.events import (
    Advanced,
    CallAnswered,
    CallAsked,
    CallsServed,
    Usage,
)
from schemas.labels import Label
from schemas.records import Annotation, Message, Sentence, Verdict


def read(metrics: Metrics) -> Samples:
    return read_text(metrics.render()[0])


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
    tell = metrics.on_event("default")
    tell(CallAsked(key="a"))
    tell(CallAnswered(key="a", prompt=9, cached=4, completion=7, cost=0.25, currency="EUR"))
    metrics.on_event("second")(CallsServed(count=3))
    tell(Advanced(stage="annotate", count=2, usage=Usage(asked=99)))
    found = read(metrics)
    assert found["maskdpo_responses_judged_total", "default"] == 2
    assert found["maskdpo_calls_total", "default", "judge"] == 1
    assert found["maskdpo_calls_total", "second", "judge"] == 0
    assert found["maskdpo_calls_from_store_total", "second", "judge"] == 3
    assert found["maskdpo_tokens_total", "prompt", "default", "judge"] == 9
    assert found["maskdpo_cost_total", "EUR", "default", "judge"] == 0.25


def test_an_outcome_that_is_not_a_code_is_no_label() -> None:
    metrics = Metrics()
    metrics.not_annotated("default", "sk-secret-Key")
    assert read(metrics)["maskdpo_annotations_total", "default", "other"] == 1
    assert b"secret" not in metrics.render()[0]


def test_annotations_and_sentences_are_counted_without_their_texts() -> None:
    metrics = Metrics()
    metrics.annotated("default", make_annotation(Label.NO_FACT, Label.NO_FACT, Label.UNVERIFIABLE))
    metrics.annotated("second", make_annotation(Label.NO_FACT))
    metrics.not_annotated("second", "judge_failed")
    metrics.refused("second")
    found = read(metrics)
    assert found["maskdpo_annotations_total", "default", "done"] == 1
    assert found["maskdpo_annotations_total", "second", "judge_failed"] == 1
    assert found["maskdpo_sentences_total", "no_fact", "default", "judge"] == 2
    assert found["maskdpo_sentences_total", "unverifiable", "default", "judge"] == 1
    assert found["maskdpo_sentences_total", "no_fact", "second", "judge"] == 1
    assert found["maskdpo_refused_total", "second"] == 1
    assert b"secret" not in metrics.render()[0]


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


def test_the_text_is_that_which_the_client_accepts() -> None:
    metrics = Metrics()
    metrics.on_event("default")
    plain, content_type = metrics.render("text/plain;version=0.0.4, */*")
    assert content_type == CONTENT_TYPE_LATEST and b"# EOF" not in plain
    assert faults_for_textfile(plain.decode()) == []
    newer, content_type = metrics.render("application/openmetrics-text; version=1.0.0; q=0.9")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert newer.endswith(b"# EOF\n") and newer.count(b"# UNIT maskdpo_call_seconds seconds") == 1
    calls = {key for key in read_text(newer) if key[0].startswith("maskdpo_call")}
    assert calls == {key for key in read_text(plain) if key[0].startswith("maskdpo_call")}


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
        accepted = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        newer = service.send("GET", "/metrics", headers=accepted)
    assert newer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert newer.body.endswith(b"# EOF\n")
    assert shown.status == 200
    assert shown.headers["content-type"].startswith("text/plain; version=")
    found = read_text(shown.body)
    assert found["maskdpo_annotations_total", "default", "done"] == 1
    assert found["maskdpo_annotations_total", "default", "invalid_request"] == 1
    assert found["maskdpo_responses_judged_total", "default"] == 1
    for label in LABELS:
        assert found["maskdpo_sentences_total", label, "default", "judge"] == 1
    assert found["maskdpo_queue_requests", "default"] == 0
    route = "/v1/jobs/{job_id}"
    assert found["maskdpo_http_requests_total", route, "404"] == 1
    counts = {key: value for key, value in found.items() if key[0].startswith("maskdpo_calls")}
    assert counts.items() <= read_text(newer.body).items()
    for secret in (b"0123456789abcdef", b"secret-path", b"Mira", TOKEN.encode()):
        assert secret not in shown.body


def test_calls_of_a_judge_model_are_counted_as_in_a_run(tmp_path: Path) -> None:
    truths = {
        "Mira Tolvan was born in Karsted in 1950.": ("contradicted", "born in Karsted in 1951"),
        "She works as a baker.": ("supported", "works as a baker"),
    }
    prices = {"prompt": 0, "completion": 1000, "currency": "EUR"}
    models = as_json(200, {"data": [{"id": "judge", "root": "judge"}]})
    with ChatServer(ScriptedJudge(truths), models=models) as server:
        llm = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"}
        config = {
            "run": {"dir": "."},
            "annotate": {"judge": "llm", "llm": {**llm, "prices": prices}},
            "serve": {"judges": {"words": {"judge": "lexical"}}},
        }
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        with ServiceProcess(tmp_path, "--config", "run.yaml") as service:
            for _ in range(2):
                assert service.annotate().status == 200
            found = read_text(service.get("/metrics").body)
    judge = ("default", "judge")
    assert found["maskdpo_calls_total", *judge] == len(server.asked) == 2
    assert found["maskdpo_calls_total", "words", "judge"] == 0
    assert found["maskdpo_calls_from_store_total", *judge] == 2
    assert found["maskdpo_call_seconds_count", *judge] == 2
    assert found["maskdpo_tokens_total", "completion", *judge] == 10
    assert round(found["maskdpo_cost_total", "EUR", *judge], 9) == 0.01
    assert found["maskdpo_calls_under_way", *judge] == 0
    assert found["maskdpo_sentences_total", "contradictory", *judge] == 2
