"""`annotate`: responses and documents in, a verdict for every sentence out.

The rule that makes it safe to kill: verdicts go into the store batch by batch, and the output is
written from the store, whole, in the order of the responses. A rerun judges what is missing and
writes the same bytes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.generation.changes import describe_changes
from annotator.generation.live import LiveLine, say
from annotator.generation.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.domain import find_domain
from annotator.judging.domain_defaults import with_domain
from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from annotator.judging.judges import judge_meter, make_judge
from annotator.judging.stored_verdicts import (
    TaskKeys,
    may_be_retried,
    pack_verdicts,
    unpack_verdicts,
)
from annotator.judging.tasks import PreparedRows, prepare_tasks
from annotator.store import Store
from schemas.errors import ConfigError
from schemas.files import read_records, read_rows, write_records
from schemas.labels import Label
from schemas.records import Annotation, Document, Failure, Response, Sentence
from schemas.sidecar import make_sidecar, write_sidecar
from schemas.stage import StageResult, write_failures

STAGE = "annotate"
STORE_KIND = "verdict"
_WRITE_BATCH = 200


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What judging came to: failures by content key, and how many keys were new."""

    failures: Mapping[str, JudgeFailure]
    num_judged: int
    num_from_store: int


def run_annotate(
    config: AnnotateConfig,
    *,
    responses: Path,
    documents: Path | None,
    output: Path,
    store: Path,
    limits: Limits | Budget = NO_LIMITS,
    retry_failed: bool = False,
    show_progress: bool = True,
) -> StageResult:
    """Judge every sentence of `responses` and write `output`, its sidecar and its failed rows.

    Counts: `judged` and `from_store` (responses whose verdicts were made now, or found),
    `sentences`, and one `label_*` a label. Raises InputError, before anything is judged, when a
    file cannot be read as what it should be, and ConfigError when `output` is an input.
    """
    if output.resolve() in {item.resolve() for item in (responses, documents) if item}:
        raise ConfigError(f"{output} is an input and would be written over; name another output")
    if store.resolve() in {item.resolve() for item in (responses, documents, output) if item}:
        raise ConfigError(f"store {store} is also an input or the output; name another store")
    config = with_domain(config)
    started = time.perf_counter()
    rows = read_rows(responses, Response)
    known_documents = read_records(documents, Document) if documents is not None else []
    prepared = prepare_tasks(rows, known_documents, config=config, responses=responses)
    split_at = time.perf_counter()
    meter = judge_meter(config, limits)
    with Store(store, retry_failed=retry_failed) as calls:
        judge = make_judge(
            config,
            store=calls,
            meter=meter,
            documents=[] if documents is None else [documents],
        )
        task_keys = TaskKeys(judge)
        keys = [task_keys.key(task) for task in prepared.tasks]
        _say_what_changed(calls, task_keys.fingerprint, keys, show=show_progress)
        judged = _judge_missing(
            judge, prepared.tasks, keys, calls, meter=meter, show_progress=show_progress
        )
        judged_at = time.perf_counter()
        labels: Counter[str] = Counter()
        write_records(output, _annotations(prepared.tasks, keys, calls, judged.failures, labels))
    failures = _collect_failures([row.record.id for row in rows], prepared, keys, judged.failures)
    write_failures(output, failures)
    counts = {
        "responses": len(rows),
        "failed": len(failures),
        "judged": judged.num_judged,
        "from_store": judged.num_from_store,
        "sentences": labels.total(),
    } | {f"label_{label}": count for label, count in sorted(labels.items())}
    timings = {
        "split_s": split_at - started,
        "judge_s": judged_at - split_at,
        "write_s": time.perf_counter() - judged_at,
    }
    inputs = [responses] if documents is None else [responses, documents]
    if config.domain is not None:
        inputs.append(find_domain(config.domain))
    _describe_run(config, judge, output, inputs=inputs, counts=counts, timings=timings)
    return StageResult(
        output=output,
        num_rows=len(rows),
        failures=failures,
        counts=counts,
        notes=[*judge.notes(), *_failure_note(labels), *judge.closing_notes()],
        table=meter.rows() if meter.num_asked or meter.num_served else (),
    )


def _say_what_changed(
    calls: Store, fingerprint: Mapping[str, Any], keys: Sequence[str], *, show: bool
) -> None:
    """Before anything is spent: which settings differ from the last run's, and what they cost."""
    before = calls.begin_run(STAGE, fingerprint)
    changed = describe_changes(
        before,
        fingerprint,
        num_stored=calls.count(STORE_KIND),
        num_serving=len(calls.present(set(keys))),
    )
    if changed:
        say(changed.replace("stored calls", "stored responses' verdicts"), show=show)


def _failure_note(labels: Counter[str]) -> list[str]:
    """What to do about undetermined sentences, where there are any."""
    count = labels[Label.UNDETERMINED.value]
    if not count:
        return []
    return [
        f"{count} of {labels.total()} sentences are undetermined and train on neither side; "
        "what failed is kept as it is, and --retry-failed asks it again"
    ]


def _describe_run(
    config: AnnotateConfig,
    judge: Judge,
    output: Path,
    *,
    inputs: Sequence[Path],
    counts: Mapping[str, int],
    timings: Mapping[str, float],
) -> None:
    """Write the sidecar of the output."""
    sidecar = make_sidecar(
        "annotation",
        config=config.model_dump(mode="json"),
        inputs=inputs,
        packages=(config.text.splitter, "py3langid"),
        models={"judge": judge.name},
        counts=counts,
        timings=timings,
    )
    write_sidecar(output, sidecar)


def _judge_missing(
    judge: Judge,
    tasks: Sequence[JudgeTask],
    keys: Sequence[str],
    calls: Store,
    *,
    meter: Meter,
    show_progress: bool,
) -> _Judged:
    """Judge each content key the store lacks, once, and store batch by batch."""
    found = calls.present(set(keys))
    missing = {key: task for key, task in zip(keys, tasks, strict=True) if key not in found}
    key_of = {id(task): key for key, task in missing.items()}
    failures: dict[str, JudgeFailure] = {}
    with LiveLine(STAGE, total=len(missing), unit="response", show=show_progress) as live:
        for batch in judge.judge(list(missing.values())):
            values = {}
            for task, outcome in batch:
                packed = pack_verdicts(task, outcome)
                key = key_of[id(task)]
                if isinstance(packed, JudgeFailure):
                    failures[key] = packed
                else:
                    values[key] = packed
            retriable = {key for key, value in values.items() if may_be_retried(value)}
            calls.put_many(STORE_KIND, values, failed=retriable)
            live.update(len(batch), meter)
    num_from_store = sum(key in found for key in keys)
    return _Judged(
        failures=failures,
        num_judged=len(keys) - num_from_store,
        num_from_store=num_from_store,
    )


def _annotations(
    tasks: Sequence[JudgeTask],
    keys: Sequence[str],
    calls: Store,
    failed: Mapping[str, JudgeFailure],
    labels: Counter[str],
) -> Iterator[Annotation]:
    """Annotations from the store in input order; `labels` is counted up on the way."""
    pairs = list(zip(tasks, keys, strict=True))
    for start in range(0, len(pairs), _WRITE_BATCH):
        batch = pairs[start : start + _WRITE_BATCH]
        values = calls.get_many(key for _, key in batch)
        for task, key in batch:
            if key in failed:
                continue
            verdicts = unpack_verdicts(task, values[key])
            labels.update(verdict.label.value for verdict in verdicts)
            sentences = [
                Sentence(start=offsets[0], end=offsets[1], verdict=verdict)
                for offsets, verdict in zip(task.sentences, verdicts, strict=True)
            ]
            yield Annotation.model_validate({**dict(task.response), "sentences": sentences})


def _collect_failures(
    order: Sequence[str],
    prepared: PreparedRows,
    keys: Sequence[str],
    failed: Mapping[str, JudgeFailure],
) -> list[Failure]:
    """All failed rows in input order."""
    by_id = {failure.id: failure for failure in prepared.failures}
    for task, key in zip(prepared.tasks, keys, strict=True):
        if key in failed:
            by_id[task.response.id] = Failure(
                id=task.response.id,
                stage=STAGE,
                reason=failed[key].reason,
                detail=failed[key].detail,
            )
    return [by_id[identifier] for identifier in order if identifier in by_id]
