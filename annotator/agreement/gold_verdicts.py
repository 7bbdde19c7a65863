"""People's sentences, and a judge's verdict on each.

The rule: people's labels and a judge's verdicts have exactly the same offsets. The judge is
given the sentences that people labelled, and is never shown a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

from annotator.agreement.intervals import Group, name_group
from annotator.calls.usage import Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from annotator.judging.tasks import DocumentFinder
from schemas.errors import InputError
from schemas.events import (
    Advanced,
    Ended,
    OnEvent,
    RowsFinished,
    RowsFound,
    Started,
    ignore,
)
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Document, Sentence, Verdict

NOT_NAMED = "not named"


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedResponse:
    """A response with people's labels, and the judge's verdict on each of its sentences."""

    gold: Annotation
    verdicts: Sequence[Verdict]

    def to_annotation(self) -> Annotation:
        """The response with the judge's verdicts in the place of the people's."""
        sentences = [
            Sentence(start=sentence.start, end=sentence.end, verdict=verdict)
            for sentence, verdict in zip(self.gold.sentences, self.verdicts, strict=True)
        ]
        return self.gold.model_copy(update={"sentences": sentences})


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedSentence:
    """One sentence that people labelled, and the judge's verdict on it."""

    gold: Annotation
    sentence: Sentence
    verdict: Verdict

    @property
    def is_hallucinated(self) -> bool:
        """Whether people call it hallucinated. Their `no_fact` counts as not hallucinated."""
        return self.sentence.verdict.label in HALLUCINATED_LABELS

    @property
    def judged(self) -> bool | None:
        """Whether the judge calls it hallucinated; None where it did not decide."""
        if self.verdict.label is Label.UNDETERMINED:
            return None
        return self.verdict.label in HALLUCINATED_LABELS

    @property
    def judged_sentence(self) -> Sentence:
        """The sentence with the judge's verdict in the place of people's."""
        return self.sentence.model_copy(update={"verdict": self.verdict})

    @property
    def is_right(self) -> bool | None:
        """Whether judge and people agree; None where the judge did not decide."""
        return None if self.judged is None else self.judged == self.is_hallucinated

    @property
    def text(self) -> str:
        """The sentence itself."""
        return self.gold.text[self.sentence.start : self.sentence.end]

    @property
    def group(self) -> Group:
        """The unit of intervals: the topic, else the question."""
        return name_group(self.gold.topic, self.gold.question_id)

    @property
    def source(self) -> str:
        """The set of labels it comes from, which an import stores as the verdict's `judge`."""
        return self.sentence.verdict.judge or NOT_NAMED

    @property
    def language(self) -> str:
        """The response's language."""
        return self.gold.language or NOT_NAMED


def with_documents(
    gold: Sequence[Annotation], documents: Sequence[Document], config: AnnotateConfig
) -> list[Annotation]:
    """`gold` with the ids of the documents that `annotate` finds for it under `config`.

    Raises InputError when an annotation names a document that is not among `documents`.
    """
    finder = DocumentFinder(documents, config)
    found = []
    for annotation in gold:
        unknown = finder.unknown_ids(annotation)
        if unknown:
            message = f"names document {unknown[0]!r}, which is not among the documents"
            raise InputError.of(f"annotation {annotation.id!r}", message)
        places = [(item.start, item.end) for item in annotation.sentences]
        ids = [document.id for document in finder.find(annotation, places)]
        found.append(annotation.model_copy(update={"document_ids": ids}))
    return found


def make_gold_tasks(
    gold: Sequence[Annotation], documents: Sequence[Document], *, also: Container[str] = ()
) -> list[JudgeTask]:
    """One task for each response with at least one label of a person, with the documents it names.

    `gold` comes from `with_documents`. Sentences that people left unlabelled are included, as they
    would be in `annotate`. `also` has the ids of responses to judge without such a label.
    """
    by_id = {document.id: document for document in documents}
    return [
        JudgeTask(
            response=annotation,
            sentences=[(item.start, item.end) for item in annotation.sentences],
            documents=[by_id[name] for name in annotation.document_ids],
        )
        for annotation in gold
        # Otherwise there is nothing to compare with, and a paid judge would be paid for nothing.
        if annotation.id in also or any(_is_labelled(item) for item in annotation.sentences)
    ]


def judge_gold(
    gold: Sequence[Annotation],
    tasks: Sequence[JudgeTask],
    judge: Judge,
    *,
    meter: Meter | None = None,
    on_event: OnEvent = ignore,
) -> list[JudgedResponse]:
    """The verdicts of `judge` on `tasks`, in the order of `gold`.

    A response that could not be judged, or not sentence by sentence, is undetermined throughout,
    with the reason. `meter` is that of the judge's calls; a judge without one is fast, and reports
    no progress.
    """
    outcomes: dict[str, list[Verdict]] = {}
    listen = on_event if meter is not None else ignore
    report = meter.on_event if meter is not None else ignore
    listen(Started(stage="agreement", total=len(tasks), unit="response"))
    report(RowsFound(count=len(tasks)))
    try:
        for batch in judge.judge(tasks):
            for task, outcome in batch:
                outcomes[task.response.id] = verdicts = _read_outcome(task, outcome, judge.name)
                report(_describe(outcome, verdicts))
            usage = meter.snapshot() if meter is not None else None
            listen(Advanced(stage="agreement", count=len(batch), usage=usage))
    finally:
        listen(Ended(stage="agreement"))
    asked = {task.response.id for task in tasks}
    return [
        JudgedResponse(gold=annotation, verdicts=outcomes[annotation.id])
        for annotation in gold
        if annotation.id in asked
    ]


def _describe(
    outcome: Sequence[Verdict] | JudgeFailure, verdicts: Sequence[Verdict]
) -> RowsFinished:
    if isinstance(outcome, JudgeFailure) or len(outcome) != len(verdicts):
        return RowsFinished(failed=1)
    return RowsFinished(done=1, labels=Counter(item.label.value for item in verdicts))


def labelled_sentences(judged: Sequence[JudgedResponse]) -> list[JudgedSentence]:
    """The sentences that people labelled, in order; unlabelled ones are left out."""
    return [
        JudgedSentence(gold=response.gold, sentence=sentence, verdict=verdict)
        for response in judged
        for sentence, verdict in zip(response.gold.sentences, response.verdicts, strict=True)
        if _is_labelled(sentence)
    ]


def _read_outcome(
    task: JudgeTask, outcome: Sequence[Verdict] | JudgeFailure, judge: str
) -> list[Verdict]:
    num_sentences = len(task.sentences)
    if isinstance(outcome, JudgeFailure):
        reason = outcome.reason
    elif len(outcome) == num_sentences:
        return list(outcome)
    else:
        reason = "verdict_count"
    return [Verdict(label=Label.UNDETERMINED, reason=reason, judge=judge)] * num_sentences


def _is_labelled(sentence: Sentence) -> bool:
    return sentence.verdict.label is not Label.UNDETERMINED
