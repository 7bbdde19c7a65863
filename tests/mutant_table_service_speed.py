"""Faults in what the service counts, and in what keeps it fast and small."""

from __future__ import annotations

from mutant_rows import mutants_of

METRICS = "test_service_metrics.py"
SPEED = "test_service_speed.py"

SERVICE_SPEED = [
    *mutants_of(
        "annotator/service/metrics.py",
        (
            "metrics-one-label-a-response",
            "for item in annotation.sentences]",
            "for item in annotation.sentences[:1]]",
            METRICS,
        ),
        (
            "metrics-judged-once",
            "self._judged.labels(judge).inc(event.count)",
            "self._judged.labels(judge).inc()",
            METRICS,
        ),
        ("metrics-accept-ignored", "if _OPENMETRICS not in accept:", "if True:", METRICS),
        ("metrics-accept-everything", "if _OPENMETRICS not in accept:", "if False:", METRICS),
        (
            "metrics-outcome-any",
            "self._annotations.labels(judge, reason_word(outcome))",
            "self._annotations.labels(judge, outcome)",
            METRICS,
        ),
    ),
    *mutants_of(
        "annotator/judging/lexical/judge.py",
        (
            "lexical-cache-not-sent",
            "(self._config, self._most_chars)",
            "(self._config, CACHED_CHARS)",
            SPEED,
        ),
        ("lexical-cache-unbounded", "self._cached_chars += len(document.text)", "pass", SPEED),
    ),
    *mutants_of(
        "annotator/judging/excerpts.py",
        ("long-indices-by-number-only", " or self._cached_chars > _CACHED_CHARS", "", SPEED),
        ("long-indices-never-shrink", "self._cached_chars -= _num_chars(old)", "pass", SPEED),
    ),
    *mutants_of(
        "annotator/judging/llm_judge.py",
        (
            "long-documents-on-the-loop",
            "return await asyncio.to_thread(self.prepare, task)",
            "return self.prepare(task)",
            SPEED,
        ),
    ),
    *mutants_of(
        "annotator/calls/usage.py",
        (
            "served-calls-silent",
            "if count and self.on_event",
            "if not count and self.on_event",
            SPEED,
        ),
    ),
    *mutants_of(
        "annotator/judging/stream_judge.py",
        (
            "batches-of-any-size",
            "in_batches(tasks, batch_tasks)",
            "in_batches(tasks, BATCH_TASKS)",
            SPEED,
        ),
        ("workers-start-late", "for _ in range(self.count)]", "for _ in range(0)]", SPEED),
    ),
    *mutants_of(
        "annotator/service/engine.py",
        ("late-tasks-begin", "if self._is_late(order):", "if False:", SPEED),
    ),
    *mutants_of(
        "annotator/service/service.py",
        (
            "service-counts-nothing",
            "return self.metrics.on_event(judge)",
            "return lambda event: None",
            METRICS,
        ),
    ),
    *mutants_of(
        "annotator/service/api/annotation_routes.py",
        (
            "annotations-not-counted",
            "        self._metrics.annotated(self._judge_name, row)\n",
            "",
            METRICS,
        ),
    ),
    *mutants_of(
        "annotator/service/admission.py",
        ("admission-never-measures", "fade = 0.5 ** (passed / _HALF_LIFE_S)", "fade = 1.0", SPEED),
        (
            "admission-counts-the-failed",
            "self.num_inside -= 1",
            "self.num_inside -= 1\n        self._finished += 1.0",
            SPEED,
        ),
        ("admission-always-later", "self.num_inside >= self._always", "True", SPEED),
        ("admission-without-most", "self.num_inside >= self._most or", "", SPEED),
    ),
]
