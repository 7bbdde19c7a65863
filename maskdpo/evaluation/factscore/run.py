"""FActScore of one model: its facts, and the judge's verdicts on them; files in `output/NAME/`.

The rule: the writer's calls and the judge's are in the run's store and count towards its limits, so
a rerun asks for nothing twice. `facts.jsonl` holds one row per fact, `fact_verdicts.jsonl` the same
rows judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.calls.metrics.counting import RunMetrics, listen
from annotator.calls.usage import Budget
from annotator.judging.config import AnnotateConfig
from annotator.judging.facts.dialogue import SentenceFacts
from annotator.judging.facts.run import factual_sentences, find_facts, make_sources
from annotator.judging.runs.annotate import run_annotate
from maskdpo.evaluation.factscore.config import Writer
from maskdpo.evaluation.factscore.verdicts import (
    JudgedFacts,
    collect_verdicts,
    make_fact_responses,
    sentence_as_fact,
)
from maskdpo.evaluation.own_files import FACT_VERDICTS, FACTS, write_own
from schemas.errors import InputError
from schemas.events import OnEvent, heard_by, ignore
from schemas.files.jsonl import read_records
from schemas.files.sidecar import sidecar_path
from schemas.records import Annotation
from schemas.stage import StageResult, failures_path

FindFacts = Callable[[Annotation], Sequence[str]]
"""A rule that returns the atomic facts of a judged response, as texts; for closed worlds."""


@dataclass(frozen=True, kw_only=True)
class FactsRun:
    """The judged facts of a model by response id, and what the run reported."""

    judged: Mapping[str, JudgedFacts]
    results: Sequence[StageResult] = ()


@dataclass(frozen=True, kw_only=True)
class FactScorer:
    """Finds and judges the facts of a model's responses.

    writer       the model that writes the facts; None: a rule finds them
    find_facts   that rule; None: each sentence is one fact
    metrics      counts the calls of both, as writer and judge
    """

    annotate: AnnotateConfig
    documents: Path | None
    store: Path
    budget: Budget
    writer: Writer | None
    find_facts: FindFacts | None = None
    retry_failed: bool = False
    same_model: bool = False
    on_event: OnEvent = ignore
    metrics: RunMetrics | None = None

    def judge(self, name: str, annotations: Sequence[Annotation], folder: Path) -> FactsRun:
        """The facts of the model `name` with their verdicts; files are in `folder`.

        Raises what `find_facts` and `run_annotate` raise.
        """
        output = folder / FACTS
        found, notes = self._find(name, annotations)
        write_own(output, make_fact_responses(annotations, found))
        judged, results = self._judge_facts(name, output, folder / FACT_VERDICTS)
        rows = collect_verdicts(annotations, found, judged)
        facts = StageResult(output=output, num_rows=len(judged), notes=notes)
        return FactsRun(judged=rows, results=[facts, *results])

    def _find(
        self, name: str, annotations: Sequence[Annotation]
    ) -> tuple[Mapping[str, Sequence[SentenceFacts]], Sequence[str]]:
        """The facts of each response, sentence by sentence or in one piece, and notes."""
        if self.find_facts is not None:
            rule = self.find_facts
            return {item.id: [SentenceFacts(facts=tuple(rule(item)))] for item in annotations}, ()
        if self.writer is None:
            return {item.id: sentences_as_facts(item) for item in annotations}, ()
        return self._ask(name, self.writer, annotations)

    def _ask(
        self, name: str, writer: Writer, annotations: Sequence[Annotation]
    ) -> tuple[Mapping[str, Sequence[SentenceFacts]], Sequence[str]]:
        found = find_facts(
            writer.config,
            make_sources((item, factual_sentences(item)) for item in annotations),
            store=self.store,
            limits=self.budget,
            retry_failed=self.retry_failed,
            same_model=self.same_model,
            stage=f"evaluate {name}: facts",
            section=writer.section,
            on_event=heard_by(self.on_event, listen(self.metrics, "writer")),
        )
        return found.by_response, found.notes

    def _judge_facts(
        self, name: str, facts: Path, output: Path
    ) -> tuple[dict[str, Annotation], list[StageResult]]:
        """The judged facts by id; a file of an earlier run is removed where there is no fact."""
        if not facts.stat().st_size:
            for path in (output, sidecar_path(output), failures_path(output)):
                path.unlink(missing_ok=True)
            return {}, []
        result = run_annotate(
            self.annotate,
            responses=facts,
            documents=self.documents,
            output=output,
            store=self.store,
            stage=f"evaluate {name}: judge of facts",
            limits=self.budget,
            retry_failed=self.retry_failed,
            same_model=self.same_model,
            on_event=heard_by(self.on_event, listen(self.metrics, "judge")),
        )
        self.budget.meters[-1].check_replies()
        return {item.id: item for item in _read(output)}, [result]


def sentences_as_facts(annotation: Annotation) -> list[SentenceFacts]:
    """Each sentence that may state a fact as one fact."""
    sentences = factual_sentences(annotation)
    return [sentence_as_fact(annotation.text[start:end]) for start, end in sentences]


def _read(path: Path) -> list[Annotation]:
    """The judged facts; none where every fact failed."""
    try:
        return read_records(path, Annotation)
    except InputError:
        if path.exists() and not path.read_bytes().strip():
            return []
        raise
