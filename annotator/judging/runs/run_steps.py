"""The steps of an annotate run: read its inputs, judge, write rows in input order, report.

The rule: a row is written only after all rows before it, so what is written at any moment is the
beginning of the complete file, byte for byte. Each step may run in another thread than the one
before; rows may be written while others are judged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from annotator.calls.identity import IdentifiedModels
from annotator.calls.running.source import Items
from annotator.calls.store import Store
from annotator.calls.usage import Meter
from annotator.judging.annotator import STAGE, Annotator, make_annotation
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.domains.domain import find_domain
from annotator.judging.judge import Judge, Judged, JudgeFailure, JudgeTask
from annotator.judging.make_judge import asks_a_model, make_judge
from annotator.judging.runs.outcome import assess_run
from annotator.judging.runs.output_checks import check_paths, refuse_labels
from annotator.judging.runs.sidecar import describe_run
from annotator.judging.runs.stored_replies import begin_run
from annotator.judging.runs.verdict_spool import TaskKeys, VerdictSpool
from annotator.judging.runs.verdict_tally import VerdictTally
from annotator.judging.stream_judge import JudgeProcesses
from annotator.judging.tasks import PreparedRows, TaskMaker, prepare_with
from annotator.models.backend import Backend
from schemas.errors import BackendError
from schemas.events import Ended, OnEvent, RowsFinished, RowsFound, Started, ignore
from schemas.files.jsonl import read_records
from schemas.files.parts import InputPart, name_part, read_source
from schemas.files.sidecar import describe_files, write_sidecar
from schemas.labels import Label
from schemas.records import Annotation, Document, Failure, Response, Verdict
from schemas.stage import StageResult, failures_path, write_failures

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """The files of a run; `store` is only checked here. `part` limits it to some responses."""

    responses: Path
    documents: Path | None
    output: Path
    store: Path
    part: InputPart | None = None


@dataclass(frozen=True, kw_only=True)
class RunMeans:
    """What several runs of one config share, such as the parts of one input.

    tasks     finds sentences and documents; made from the documents of the run's files
    backend   calls the judge model
    judge     a judge that needs neither a store nor a meter
    """

    tasks: TaskMaker | None = None
    backend: Backend | None = None
    judge: Judge | None = None


NO_MEANS = RunMeans()


class Clock:
    """Seconds of each step of a run, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, name: str) -> None:
        """The step `name` ends now, and the next begins."""
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """What a run read: `described` are hashes of the files, `order` the ids of all rows."""

    config: AnnotateConfig
    files: RunFiles
    described: Mapping[str, Mapping[str, object]]
    order: Sequence[str]
    prepared: PreparedRows
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class Work:
    """The tasks of a run in input order, the key of each, and one task per key."""

    tasks: Sequence[JudgeTask]
    keys: Sequence[str]
    distinct: Mapping[str, JudgeTask]

    @classmethod
    def of(cls, judge: Judge, tasks: Sequence[JudgeTask]) -> Work:
        """Find equal tasks: they are judged once."""
        task_keys = TaskKeys(judge)
        keys = [task_keys.key(task) for task in tasks]
        distinct: dict[str, JudgeTask] = {}
        for key, task in zip(keys, tasks, strict=True):
            distinct.setdefault(key, task)
        return cls(tasks=tasks, keys=keys, distinct=distinct)


def read_inputs(
    config: AnnotateConfig,
    files: RunFiles,
    *,
    check: Callable[[], None] = lambda: None,
    tasks: TaskMaker | None = None,
) -> RunInputs:
    """Read and check the files of a run, and find the sentences and documents of each response.

    `check` is called for each response, and may raise to stop the work. With `tasks` the documents
    are not read.
    """
    check_paths(files.responses, files.documents, output=files.output, store=files.store)
    refuse_labels(files.output)
    clock = Clock()
    config = with_domain(config)
    described = _describe(config, files)
    rows = read_source(files.responses, Response, files.part)
    tasks = tasks or make_task_maker(config, files.documents)
    prepared = prepare_with(tasks, _checked(rows, check), responses=files.responses)
    clock.note("split_s")
    return RunInputs(
        config=config,
        files=files,
        described=described,
        order=[row.record.id for row in rows],
        prepared=prepared,
        clock=clock,
    )


def make_task_maker(config: AnnotateConfig, documents: Path | None) -> TaskMaker:
    """Finds the documents of a response among those of the file `documents`.

    `config` is one `with_domain`.
    """
    known = read_records(documents, Document) if documents is not None else []
    return TaskMaker(known, config)


class JudgingRun:
    """A run whose inputs were read: judges its tasks and writes its rows.

    spool      keeps the verdicts until they are written; never closed here
    num_done   rows that are judged or failed
    tally      counts the verdicts of the rows that are written
    """

    def __init__(
        self, inputs: RunInputs, annotator: Annotator, spool: VerdictSpool, *, stage: str = STAGE
    ) -> None:
        self.inputs = inputs
        self.annotator = annotator
        self.tally = VerdictTally()
        self._spool = spool
        self._stage = stage
        self.work = Work.of(annotator.judge, inputs.prepared.tasks)
        self._key_of = {id(task): key for key, task in self.work.distinct.items()}
        self._how_often = Counter(self.work.keys)
        self._models = IdentifiedModels(records=[], served={}, notes=[])
        self._num_taken = 0
        self.num_done = len(inputs.prepared.failures)

    @property
    def distinct(self) -> list[JudgeTask]:
        """The tasks that are judged."""
        return list(self.work.distinct.values())

    def begin(self, *, same_model: bool) -> None:
        """Record the run in the store before anything is spent. Raises ConfigError where another
        model is served than before."""
        self._models = begin_run(
            self.annotator, self.distinct, stage=self._stage, same_model=same_model
        )

    def judge_now(self) -> None:
        """Judge each distinct task once."""
        self._begin_judging()
        try:
            for batch in self.annotator.judge_now(self.distinct):
                self._keep(batch)
        finally:
            self._end_judging()

    async def judge(self, tasks: Items[JudgeTask]) -> AsyncGenerator[None, None]:
        """`judge_now` in the caller's event loop; yields after each batch that was judged.

        `tasks` are those of `distinct`. Closing it cancels the calls under way.
        """
        self._begin_judging()
        try:
            async with aclosing(self.annotator.judge_stream(tasks)) as batches:
                async for batch in batches:
                    self._keep(batch)
                    yield
        finally:
            self._end_judging()

    def _keep(self, batch: Judged) -> None:
        for task, outcome in batch:
            key = self._key_of[id(task)]
            self._spool.put(key, task, outcome)
            self.num_done += self._how_often[key]
            self._report_rows(key, task, outcome)

    def _report_rows(
        self, key: str, task: JudgeTask, outcome: Sequence[Verdict] | JudgeFailure
    ) -> None:
        """Report the rows of one task that was judged."""
        count = self._how_often[key]
        if isinstance(outcome, JudgeFailure) or key in self._spool.failures:
            self.annotator.on_event(RowsFinished(failed=count))
            return
        labels = Counter(item.label.value for item in outcome)
        if task.fragment is not None:
            labels[Label.UNDETERMINED.value] += 1
        labels = Counter({label: number * count for label, number in labels.items()})
        self.annotator.on_event(RowsFinished(done=count, labels=labels))

    def _begin_judging(self) -> None:
        report = self.annotator.on_event
        report(Started(stage=STAGE, total=len(self.distinct), unit="response"))
        report(RowsFound(count=len(self.inputs.order)))
        report(RowsFinished(failed=len(self.inputs.prepared.failures)))

    def _end_judging(self) -> None:
        self.annotator.on_event(Ended(stage=STAGE))
        self.inputs.clock.note("judge_s")

    def take_ready(self) -> Iterator[Annotation]:
        """The next annotations in input order, up to the first row that is not judged yet.

        Each is returned once, and counted in `tally`.
        """
        work = self.work
        while self._num_taken < len(work.tasks):
            task, key = work.tasks[self._num_taken], work.keys[self._num_taken]
            if not self._spool.has(key):
                return
            self._num_taken += 1
            if key in self._spool.failures:
                continue
            annotation = make_annotation(
                task, self._spool.get(key, task), judge=self.annotator.judge.name
            )
            self.tally.add(
                [annotation.text[item.start : item.end] for item in annotation.sentences],
                [item.verdict for item in annotation.sentences],
                task.documents,
            )
            yield annotation

    def keep_former(self) -> None:
        """Raise BackendError where no reply was usable and the output holds verdicts of an earlier
        run."""
        meter, output = self.annotator.meter, self.inputs.files.output
        if meter.total_failure and output.exists():
            raise BackendError(f"{meter.total_failure}. {output} of an earlier run is not changed")

    def conclude(self) -> StageResult:
        """Write the failed rows and the sidecar of the output, which is complete; the report."""
        inputs, annotator = self.inputs, self.annotator
        output = inputs.files.output
        inputs.clock.note("write_s")
        failures = self.failures()
        write_failures(output, failures)
        counts = self._count(num_failed=len(failures))
        sidecar = describe_run(
            annotator,
            inputs=inputs.described,
            models=self._models,
            counts=counts,
            timings=inputs.clock.seconds,
        )
        files = [output, failures_path(output)]
        write_sidecar(output, name_part(sidecar, inputs.files.part, files))
        return self._report(counts, failures)

    def failures(self) -> list[Failure]:
        """All failed rows so far, in input order."""
        by_id = {failure.id: failure for failure in self.inputs.prepared.failures}
        failed = self._spool.failures
        for task, key in zip(self.work.tasks, self.work.keys, strict=True):
            if key in failed:
                by_id[task.response.id] = Failure(
                    id=task.response.id,
                    stage=STAGE,
                    reason=failed[key].reason,
                    detail=failed[key].detail,
                )
        return [by_id[name] for name in self.inputs.order if name in by_id]

    @property
    def num_failed(self) -> int:
        """Failed rows so far."""
        failed = list(self._spool.failures)
        return len(self.inputs.prepared.failures) + sum(self._how_often[key] for key in failed)

    def _count(self, *, num_failed: int) -> dict[str, int]:
        work, tally, meter = self.work, self.tally, self.annotator.meter
        counts = {
            "responses": len(self.inputs.order),
            "failed": num_failed,
            "judged": len(work.distinct),
            "equal": len(work.tasks) - len(work.distinct),
            "sentences": tally.num_sentences,
        } | {f"label_{label}": count for label, count in sorted(tally.labels.items())}
        counts |= {f"error_words_{name}": count for name, count in sorted(tally.words.items())}
        if asks_a_model(self.annotator.config):
            counts |= {"calls": meter.num_asked, "calls_from_store": meter.num_served}
        return counts

    def _report(self, counts: Mapping[str, int], failures: Sequence[Failure]) -> StageResult:
        judge, meter = self.annotator.judge, self.annotator.meter
        output = self.inputs.files.output
        outcome = assess_run(
            self.tally,
            meter,
            judge=judge.name,
            output=output,
            max_undetermined_share=self.annotator.config.max_undetermined_share,
        )
        return StageResult(
            output=output,
            num_rows=counts["responses"],
            failures=failures,
            counts=counts,
            notes=[*judge.notes(), *self._models.notes, *outcome.notes, *judge.closing_notes()],
            table=meter.rows() if meter.num_asked or meter.num_served else (),
            trouble=outcome.trouble,
        )


def make_annotator(
    inputs: RunInputs,
    *,
    store: Store,
    meter: Meter,
    on_event: OnEvent = ignore,
    means: RunMeans = NO_MEANS,
    processes: JudgeProcesses | None = None,
) -> Annotator:
    """The judge of a run with its store and meter; `means` and `processes` are shared with
    others."""
    documents = inputs.files.documents
    judge = means.judge or make_judge(
        inputs.config,
        store=store,
        meter=meter,
        documents=[] if documents is None else [documents],
        backend=means.backend,
    )
    return Annotator(
        inputs.config,
        store=store,
        judge=judge,
        meter=meter,
        on_event=on_event,
        processes=processes,
    )


def _describe(config: AnnotateConfig, files: RunFiles) -> Mapping[str, Mapping[str, object]]:
    paths = input_files(config, files.responses, files.documents)
    return describe_files(paths) if files.part is None else files.part.describe(paths)


def input_files(config: AnnotateConfig, responses: Path, documents: Path | None) -> list[Path]:
    """The files that decide the verdicts; one that is missing is reported where it is read."""
    found = [responses, *([documents] if documents else [])]
    if config.domain is not None:
        found.append(find_domain(config.domain))
    return [path for path in found if path.is_file()]


def _checked(items: Iterable[ItemT], check: Callable[[], None]) -> Iterator[ItemT]:
    for item in items:
        check()
        yield item
