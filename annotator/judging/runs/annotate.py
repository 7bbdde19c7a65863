"""`annotate`: from responses and documents to a verdict for every sentence.

The rule that makes it safe to kill: a judge's calls are stored, and verdicts are derived from them
in every run. The output appears complete, in the order of the responses. A rerun makes only the
missing calls and writes the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.judging.annotator import STAGE, Annotator, make_annotation
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.domains.domain import find_domain
from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from annotator.judging.make_judge import asks_a_model, judge_meter, make_judge
from annotator.judging.runs.outcome import assess_run
from annotator.judging.runs.sidecar import describe_run
from annotator.judging.runs.stored_replies import begin_run
from annotator.judging.runs.verdict_spool import TaskKeys, VerdictSpool
from annotator.judging.runs.verdict_tally import VerdictTally
from annotator.judging.tasks import PreparedRows, prepare_tasks
from schemas.errors import BackendError, ConfigError
from schemas.events import Ended, OnEvent, Started, ignore
from schemas.files.jsonl import read_records, read_rows, write_records
from schemas.files.own_files import (
    has_keys,
    refuse_labels_of_people,
    refuse_to_replace_unless,
)
from schemas.files.sidecar import describe_files, read_sidecar_values, write_sidecar
from schemas.records import Annotation, Document, Failure, Response
from schemas.stage import StageResult, write_failures


@dataclass(frozen=True, kw_only=True)
class _Work:
    """The tasks of a run in input order, the key of each, and one task per key."""

    tasks: Sequence[JudgeTask]
    keys: Sequence[str]
    distinct: Mapping[str, JudgeTask]

    @classmethod
    def of(cls, judge: Judge, tasks: Sequence[JudgeTask]) -> _Work:
        """Find equal tasks: they are judged once."""
        task_keys = TaskKeys(judge)
        keys = [task_keys.key(task) for task in tasks]
        distinct: dict[str, JudgeTask] = {}
        for key, task in zip(keys, tasks, strict=True):
            distinct.setdefault(key, task)
        return cls(tasks=tasks, keys=keys, distinct=distinct)


def run_annotate(
    config: AnnotateConfig,
    *,
    responses: Path,
    documents: Path | None,
    output: Path,
    store: Path,
    limits: Limits | Budget = NO_LIMITS,
    retry_failed: bool = False,
    same_model: bool = False,
    stage: str = STAGE,
    on_event: OnEvent = ignore,
    meter: Meter | None = None,
) -> StageResult:
    """Judge every sentence of `responses` and write `output`, its sidecar and its failed rows.

    `meter` counts this run together with others, in place of `limits`. `stage` is the name of the
    run in the store; settings are compared with its last run.

    Counts: `judged` (responses that differ) and `equal` (responses that share the verdicts of an
    equal one), `sentences`, one `label_*` per label, one `error_words_*` per outcome of asked wrong
    words (`VerdictTally.words`), and for a judge that asks a model `calls` and `calls_from_store`.
    Too many undetermined sentences, or no usable reply, are the result's `trouble`.

    Raises, before anything is judged, InputError when a file does not have the expected content,
    and ConfigError when `output` is an input or, without `same_model`, when another model is served
    than in the last run on `store`. Raises BackendError where no reply is usable and `output`
    exists already: it is not changed.
    """
    _check_paths(responses, documents, output=output, store=store)
    refuse_labels(output)
    clock = _Clock()
    config = with_domain(config)
    inputs = describe_files(_input_files(config, responses, documents))
    rows = read_rows(responses, Response)
    known = read_records(documents, Document) if documents is not None else []
    prepared = prepare_tasks(rows, known, config=config, responses=responses)
    clock.note("split_s")
    meter = meter or judge_meter(config, limits)
    with Store(store, retry_failed=retry_failed) as calls, VerdictSpool(output.parent) as spool:
        sources = [] if documents is None else [documents]
        judge = make_judge(config, store=calls, meter=meter, documents=sources)
        annotator = Annotator(config, store=calls, judge=judge, meter=meter, on_event=on_event)
        work = _Work.of(judge, prepared.tasks)
        distinct = list(work.distinct.values())
        models = begin_run(annotator, distinct, stage=stage, same_model=same_model)
        _judge(annotator, work, spool)
        clock.note("judge_s")
        _keep_former(meter, output)
        tally = VerdictTally()
        write_records(output, _annotations(work, spool, judge.name, tally))
    clock.note("write_s")
    failures = _collect_failures([row.record.id for row in rows], prepared, work, spool.failures)
    write_failures(output, failures)
    counts = _count(config, len(rows), work, tally, meter, num_failed=len(failures))
    sidecar = describe_run(
        annotator, inputs=inputs, models=models, counts=counts, timings=clock.seconds
    )
    write_sidecar(output, sidecar)
    return _conclude(annotator, output, counts, tally, failures=failures, notes=models.notes)


def _conclude(
    annotator: Annotator,
    output: Path,
    counts: Mapping[str, int],
    tally: VerdictTally,
    *,
    failures: Sequence[Failure],
    notes: Sequence[str],
) -> StageResult:
    """What the run reports; `notes` are those about the models."""
    judge, meter = annotator.judge, annotator.meter
    outcome = assess_run(
        tally,
        meter,
        judge=judge.name,
        output=output,
        max_undetermined_share=annotator.config.max_undetermined_share,
    )
    return StageResult(
        output=output,
        num_rows=counts["responses"],
        failures=failures,
        counts=counts,
        notes=[*judge.notes(), *notes, *outcome.notes, *judge.closing_notes()],
        table=meter.rows() if meter.num_asked or meter.num_served else (),
        trouble=outcome.trouble,
    )


class _Clock:
    """Seconds of each step of a run, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, name: str) -> None:
        """The step `name` ends now, and the next begins."""
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


def _keep_former(meter: Meter, output: Path) -> None:
    """Raise BackendError where no reply was usable and `output` holds verdicts of an earlier
    run."""
    if meter.total_failure and output.exists():
        raise BackendError(f"{meter.total_failure}. {output} of an earlier run is not changed")


def _count(
    config: AnnotateConfig,
    num_responses: int,
    work: _Work,
    tally: VerdictTally,
    meter: Meter,
    *,
    num_failed: int,
) -> dict[str, int]:
    counts = {
        "responses": num_responses,
        "failed": num_failed,
        "judged": len(work.distinct),
        "equal": len(work.tasks) - len(work.distinct),
        "sentences": tally.num_sentences,
    } | {f"label_{label}": count for label, count in sorted(tally.labels.items())}
    counts |= {f"error_words_{name}": count for name, count in sorted(tally.words.items())}
    if asks_a_model(config):
        counts |= {"calls": meter.num_asked, "calls_from_store": meter.num_served}
    return counts


def _input_files(config: AnnotateConfig, responses: Path, documents: Path | None) -> list[Path]:
    """The files that decide the verdicts; one that is missing is reported where it is read."""
    files = [responses, *([documents] if documents else [])]
    if config.domain is not None:
        files.append(find_domain(config.domain))
    return [path for path in files if path.is_file()]


def _check_paths(responses: Path, documents: Path | None, *, output: Path, store: Path) -> None:
    """Raise ConfigError where the output or the store would overwrite an input."""
    inputs = {item.resolve() for item in (responses, documents) if item}
    if output.resolve() in inputs:
        raise ConfigError(f"{output} is an input and would be overwritten; name another output")
    if store.resolve() in {*inputs, output.resolve()}:
        raise ConfigError(f"store {store} is also an input or the output; name another store")


def refuse_labels(output: Path) -> None:
    """Raise ConfigError where `output` is another kind of file, or holds labels of people from
    elsewhere."""
    refuse_to_replace_unless(output, _holds_annotations, by="maskdpo annotate")
    refuse_labels_of_people(output, _takes_labels_over, by="maskdpo annotate")


def _holds_annotations(path: Path) -> bool:
    return bool(read_sidecar_values(path)) or has_keys("id", "sentences")(path)


def _takes_labels_over(values: Mapping[str, Any]) -> bool:
    """Whether a sidecar is that of an annotate run whose verdicts may be those of people."""
    config = values.get("config")
    return isinstance(config, dict) and config.get("judge") in ("replay", "cascade")


def _judge(annotator: Annotator, work: _Work, spool: VerdictSpool) -> None:
    """Judge each distinct task once; verdicts and failures go to `spool`."""
    key_of = {id(task): key for key, task in work.distinct.items()}
    annotator.on_event(Started(stage=STAGE, total=len(work.distinct), unit="response"))
    try:
        for batch in annotator.judge_now(list(work.distinct.values())):
            for task, outcome in batch:
                spool.put(key_of[id(task)], task, outcome)
    finally:
        annotator.on_event(Ended(stage=STAGE))


def _annotations(
    work: _Work, spool: VerdictSpool, judge: str, tally: VerdictTally
) -> Iterator[Annotation]:
    """Annotations in input order; `tally` counts their verdicts."""
    for task, key in zip(work.tasks, work.keys, strict=True):
        if key in spool.failures:
            continue
        annotation = make_annotation(task, spool.get(key, task), judge=judge)
        tally.add(
            [annotation.text[item.start : item.end] for item in annotation.sentences],
            [item.verdict for item in annotation.sentences],
            task.documents,
        )
        yield annotation


def _collect_failures(
    order: Sequence[str],
    prepared: PreparedRows,
    work: _Work,
    failed: Mapping[str, JudgeFailure],
) -> list[Failure]:
    """All failed rows in input order."""
    by_id = {failure.id: failure for failure in prepared.failures}
    for task, key in zip(work.tasks, work.keys, strict=True):
        if key in failed:
            by_id[task.response.id] = Failure(
                id=task.response.id,
                stage=STAGE,
                reason=failed[key].reason,
                detail=failed[key].detail,
            )
    return [by_id[identifier] for identifier in order if identifier in by_id]
