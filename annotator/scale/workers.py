"""Workers of annotate, sample and questions: each runs its command on pieces of the input.

The rule: a worker makes its model, its documents and its judge once, and then calls the same run
function as the command on one machine, so its rows are the same. A maker of workers is plain data:
it is sent to the machine where the worker runs, and names files that must be readable there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.make_judge import asks_a_model, make_judge
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.runs.run_steps import RunMeans, make_task_maker
from annotator.models.backend import Backend
from annotator.models.config import ModelConfig, SampleConfig
from annotator.models.make_backend import make_backend
from annotator.sampling.questions import run_questions
from annotator.sampling.questions_config import QuestionsConfig
from annotator.sampling.sample import run_sample
from annotator.scale.work import Piece, PieceReport, WorkerContext
from formats.forgotten import Forgotten
from schemas.errors import BackendError
from schemas.events import OnEvent
from schemas.stage import StageResult

_MOST_FEW = 100  # calls of a piece that may all fail without ending the run


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all workers of a run are given.

    source        the input that the pieces divide
    also          other stores of the run, whose replies are used
    retry_failed  repeat calls that failed in earlier runs
    same_model    use stored replies of a model that reports itself otherwise
    """

    source: Path
    also: Sequence[Path] = ()
    retry_failed: bool = False
    same_model: bool = False


@dataclass(frozen=True, kw_only=True)
class MakeAnnotateWorker:
    """Makes workers of `annotate`."""

    config: AnnotateConfig
    common: Common
    documents: Path | None

    def __call__(self, context: WorkerContext) -> AnnotateWorker:
        """A worker in this process."""
        return AnnotateWorker(self, context)


class AnnotateWorker:
    """Judges pieces of a file of responses."""

    def __init__(self, make: MakeAnnotateWorker, context: WorkerContext) -> None:
        self._make = make
        self._context = context
        config = with_domain(make.config)
        model = config.llm if asks_a_model(config) else None
        self._means = RunMeans(
            tasks=make_task_maker(config, make.documents),
            backend=_make_backend(model, context) if model else None,
            judge=None if model else make_judge(config, documents=_listed(make.documents)),
        )

    def run(self, piece: Piece, on_event: OnEvent) -> PieceReport:
        """Judge the responses of a piece; raises what `run_annotate` raises."""
        make, common = self._make, self._make.common
        result = run_annotate(
            make.config,
            responses=common.source,
            documents=make.documents,
            output=piece.output,
            **_shared(piece, common, self._context, on_event),
            means=self._means,
        )
        backend = self._means.backend
        return _report(piece, result, backend.notes() if backend else ())

    def close(self) -> None:
        """Nothing is open between pieces."""


@dataclass(frozen=True, kw_only=True)
class MakeSampleWorker:
    """Makes workers of `sample`; responses of `forgotten` are left out."""

    config: SampleConfig
    common: Common
    forgotten: Forgotten

    def __call__(self, context: WorkerContext) -> SampleWorker:
        """A worker in this process."""
        return SampleWorker(self, context)


class SampleWorker:
    """Samples responses to pieces of a file of questions."""

    def __init__(self, make: MakeSampleWorker, context: WorkerContext) -> None:
        self._make = make
        self._context = context
        self._backend = _make_backend(make.config, context)

    def run(self, piece: Piece, on_event: OnEvent) -> PieceReport:
        """Sample the responses of a piece; raises what `run_sample` raises."""
        make = self._make
        forgotten = make.forgotten
        result = run_sample(
            make.config,
            questions=make.common.source,
            output=piece.output,
            **_shared(piece, make.common, self._context, on_event),
            backend=self._backend,
            is_forgotten=forgotten.has_response if forgotten.knows_responses else None,
        )
        return _report(piece, result, self._backend.notes())

    def close(self) -> None:
        """Nothing is open between pieces."""


@dataclass(frozen=True, kw_only=True)
class MakeQuestionsWorker:
    """Makes workers of `questions`."""

    config: QuestionsConfig
    common: Common

    def __call__(self, context: WorkerContext) -> QuestionsWorker:
        """A worker in this process."""
        return QuestionsWorker(self, context)


class QuestionsWorker:
    """Writes questions from pieces of a file of documents."""

    def __init__(self, make: MakeQuestionsWorker, context: WorkerContext) -> None:
        self._make = make
        self._context = context
        self._backend = _make_backend(make.config, context)

    def run(self, piece: Piece, on_event: OnEvent) -> PieceReport:
        """Write the questions of a piece; raises what `run_questions` raises."""
        make = self._make
        result = run_questions(
            make.config,
            documents=make.common.source,
            output=piece.output,
            **_shared(piece, make.common, self._context, on_event),
            backend=self._backend,
        )
        return _report(piece, result, self._backend.notes())

    def close(self) -> None:
        """Nothing is open between pieces."""


def _make_backend(config: ModelConfig, context: WorkerContext) -> Backend:
    return make_backend(config, paces=context.paces)


def _report(piece: Piece, result: StageResult, notes: Sequence[str]) -> PieceReport:
    """The report of a piece. Raises BackendError where no call of it got a usable reply, unless it
    has few: those may be at fault, and others would end in the same way."""
    report = PieceReport.of(piece, result, notes=notes)
    if report.total_failure and _count_calls(piece, result) >= _MOST_FEW:
        raise BackendError(report.total_failure)
    return report


def _count_calls(piece: Piece, result: StageResult) -> int:
    """The calls of a piece, also those whose replies were stored."""
    counts = result.counts
    if "calls" in counts:
        return counts["calls"] + counts["calls_from_store"]
    return piece.num_rows


def _listed(path: Path | None) -> list[Path]:
    return [] if path is None else [path]


def _shared(
    piece: Piece, common: Common, context: WorkerContext, on_event: OnEvent
) -> dict[str, Any]:
    """The arguments that all run functions take."""
    assert piece.store is not None
    return {
        "store": piece.store,
        "part": piece.rows,
        "also": common.also,
        "limits": context.budget,
        "retry_failed": common.retry_failed,
        "same_model": common.same_model,
        "on_event": on_event,
    }
