"""Faults in what the service counts, and in what keeps it fast and small."""

from __future__ import annotations

from mutant_rows import mutants_of

METRICS = "test_service_metrics.py"
SPEED = "test_service_speed.py"

SERVICE_SPEED = [
    *mutants_of(
        "annotator/service/metrics.py",
        ("metrics-label-any-reason", "if _REASON.fullmatch(reason) else OTHER", "", METRICS),
        (
            "metrics-one-label-a-response",
            "for sentence in annotation.sentences:",
            "for sentence in annotation.sentences[:1]:",
            METRICS,
        ),
        (
            "metrics-served-once",
            "self._served.labels(judge).inc(event.count)",
            "self._served.labels(judge).inc()",
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
]
