"""How well a judge agrees with people, per sentence.

The rules of the count, the same for a judge and for the baselines:

- a sentence is hallucinated or it is not. People's `no_fact` counts as not hallucinated, and so
  does a judge's: a sentence without a checkable statement invents nothing;
- sentences that people left undetermined are left out;
- a judge's `undetermined` is neither right nor wrong. It lowers `coverage`, the share of
  people's sentences that the judge decided, and every other figure is over those decided;
- intervals are over groups (the topic, else the question), never over single sentences: sentences
  about one source text are not independent (annotator/agreement/intervals.py).

What each figure is, and when it is None: annotator/agreement/figures.py. Calibration:
annotator/agreement/calibration.py. Where people marked the wrong words: annotator/agreement/
span_figures.py and soft_labels.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.agreement.baselines import OverlapJudge
from annotator.agreement.calibration import Calibration, measure_calibration
from annotator.agreement.figures import Figure, count_groups, estimate_figures
from annotator.agreement.gold_verdicts import (
    JudgedResponse,
    JudgedSentence,
    judge_gold,
    labelled_sentences,
    make_gold_tasks,
    with_documents,
)
from annotator.agreement.intervals import INTERVAL_NAME
from annotator.agreement.soft_labels import SoftAgreement, measure_soft_labels
from annotator.agreement.span_figures import SpanAgreement, measure_spans
from annotator.calls.usage import Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import Judge
from annotator.judging.lexical import LexicalJudge
from formats.reviews.decisions import Decision
from schemas.events import OnEvent, ignore
from schemas.labels import Label
from schemas.records import Annotation, Document, Verdict

MIN_SLICE_SENTENCES = 20
MIN_GROUPS = 10  # with fewer, an interval says little about other texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """One row: a judge's figures by name (FIGURES of agreement_figures), each with its interval.

    num_decided  sentences the judge decided; every figure but coverage is over these
    abstentions  the others by reason, most frequent first
    spans        figures per character; None where people gave no error spans
    """

    num_decided: int
    abstentions: Mapping[str, int]
    figures: Mapping[str, Figure]
    spans: SpanAgreement | None = None

    def __getitem__(self, name: str) -> Figure:
        return self.figures[name]

    def to_dict(self) -> dict[str, Any]:
        """Flat: NAME, NAME_low and NAME_high of each figure."""
        values: dict[str, Any] = {
            "num_decided": self.num_decided,
            "abstentions": dict(self.abstentions),
        }
        for name, figure in self.figures.items():
            values[name] = figure.value
            values[f"{name}_low"] = figure.low
            values[f"{name}_high"] = figure.high
        if self.spans is not None:
            values["spans"] = self.spans.to_dict()
        return values


@dataclass(frozen=True, kw_only=True, slots=True)
class AgreementSlice:
    """The sentences of one source or language; `is_small` below MIN_SLICE_SENTENCES."""

    num_sentences: int
    num_hallucinated: int
    num_groups: int
    is_small: bool
    agreement: Agreement

    def to_dict(self) -> dict[str, Any]:
        """One flat JSON object."""
        return {
            "num_sentences": self.num_sentences,
            "num_hallucinated": self.num_hallucinated,
            "num_groups": self.num_groups,
            "is_small": self.is_small,
        } | self.agreement.to_dict()


@dataclass(frozen=True, kw_only=True, slots=True)
class AgreementReport:
    """A judge against people's labels, with the free baselines.

    num_sentences, num_responses and num_groups count what people labelled. baselines are
    `majority` (always the more frequent class), `overlap` (plain coverage, one threshold) and
    `lexical` (the lexical judge with its own defaults). by_source and by_language are sorted by
    name. calibration is None for a judge that gives no confidence, soft_labels where no two people
    reviewed the same words.
    """

    judge: str
    num_sentences: int
    num_hallucinated: int
    num_responses: int
    num_groups: int
    agreement: Agreement
    calibration: Calibration | None
    baselines: Mapping[str, Agreement]
    by_source: Mapping[str, AgreementSlice]
    by_language: Mapping[str, AgreementSlice]
    judged: Sequence[JudgedResponse]
    soft_labels: SoftAgreement | None = None

    @property
    def sentences(self) -> list[JudgedSentence]:
        """The sentences that people labelled, with the judge's verdicts."""
        return labelled_sentences(self.judged)

    @property
    def has_few_groups(self) -> bool:
        """Whether the intervals rest on very few groups."""
        return 0 < self.num_groups < MIN_GROUPS

    @property
    def interval(self) -> str:
        """The explanation of the brackets."""
        return f"{INTERVAL_NAME} ({self.num_groups})"

    def to_dict(self) -> dict[str, Any]:
        """One JSON object: the judge's figures are flat, all else is nested under its name."""
        soft = {} if self.soft_labels is None else {"soft_labels": self.soft_labels.to_dict()}
        return {
            "judge": self.judge,
            "num_sentences": self.num_sentences,
            "num_hallucinated": self.num_hallucinated,
            "num_responses": self.num_responses,
            "num_groups": self.num_groups,
            "interval": self.interval,
            **self.agreement.to_dict(),
            "calibration": self.calibration.to_dict() if self.calibration else None,
            "baselines": {name: line.to_dict() for name, line in self.baselines.items()},
            "by_source": {name: part.to_dict() for name, part in self.by_source.items()},
            "by_language": {name: part.to_dict() for name, part in self.by_language.items()},
            **soft,
        }


def measure_agreement(
    gold: Sequence[Annotation],
    documents: Sequence[Document],
    judge: Judge,
) -> AgreementReport:
    """Judge every response of `gold` and compare with its labels (rules: the module's docstring).

    The judge is given the people's own sentences. Raises InputError when an annotation names a
    document that is not among `documents`. One class only, nothing decided, nothing labelled:
    figures that are then undefined are None.
    """
    return measure_judges(gold, documents, [judge])[0]


def measure_judges(
    gold: Sequence[Annotation],
    documents: Sequence[Document],
    judges: Sequence[Judge],
    *,
    settings: Sequence[AnnotateConfig] | None = None,
    meters: Sequence[Meter | None] | None = None,
    decisions: Mapping[str, Sequence[Decision]] | None = None,
    on_event: OnEvent = ignore,
) -> list[AgreementReport]:
    """`measure_agreement` of several judges on the same sentences; baselines are judged once.

    `settings` has the section `annotate` of each judge, which decides the documents it is shown;
    the baselines are shown those of the first. `meters` has the meter of each judge's calls, None
    where a judge asks no model. `decisions` has those of several people, by response id, for the
    correlation with soft labels. Raises BackendError for a judge whose calls all failed.
    """
    given = settings or [AnnotateConfig()] * len(judges)
    golds = _find_documents(gold, documents, given)
    gold = golds[0]
    decided = decisions or {}
    tasks = make_gold_tasks(gold, documents, also=decided)
    # The free parts first: a fault in them is found before anything is paid for.
    lexical = LexicalJudge()
    by_lexical = judge_gold(gold, tasks, lexical)
    by_overlap = judge_gold(gold, tasks, OverlapJudge())
    baselines = {
        "majority": _summarise(_majority(labelled_sentences(by_lexical))),
        "overlap": _summarise(labelled_sentences(by_overlap)),
        "lexical": _summarise(labelled_sentences(by_lexical)),
    }
    reports = []
    for judge, own, meter in zip(judges, golds, meters or [None] * len(judges), strict=True):
        judged = by_lexical
        if own != gold or judge.fingerprint() != lexical.fingerprint():
            own_tasks = make_gold_tasks(own, documents, also=decided)
            judged = judge_gold(own, own_tasks, judge, meter=meter, on_event=on_event)
        if meter is not None:
            meter.check_replies()
        reports.append(_report(judge.name, judged, baselines, decided))
    return reports


def largest_first(slices: Mapping[str, AgreementSlice]) -> list[tuple[str, AgreementSlice]]:
    """Slices in reading order: by number of sentences, then by name."""
    return sorted(slices.items(), key=lambda item: (-item[1].num_sentences, item[0]))


def _find_documents(
    gold: Sequence[Annotation], documents: Sequence[Document], settings: Sequence[AnnotateConfig]
) -> list[list[Annotation]]:
    """`gold` with the documents that each of `settings` finds; equal ones are searched once."""
    found: dict[tuple[str, str, str], list[Annotation]] = {}
    keys = []
    for config in settings:
        key = (config.find_documents, config.retrieval.model_dump_json(), config.text.splitter)
        if key not in found:
            found[key] = with_documents(gold, documents, config)
        keys.append(key)
    return [found[key] for key in keys]


def _report(
    judge: str,
    judged: Sequence[JudgedResponse],
    baselines: Mapping[str, Agreement],
    decisions: Mapping[str, Sequence[Decision]],
) -> AgreementReport:
    sentences = labelled_sentences(judged)
    decided = [
        (item.verdict.confidence, item.is_right) for item in sentences if item.is_right is not None
    ]
    return AgreementReport(
        judge=judge,
        num_sentences=len(sentences),
        num_hallucinated=sum(item.is_hallucinated for item in sentences),
        num_responses=len({item.gold.id for item in sentences}),
        num_groups=len({item.group for item in sentences}),
        agreement=_summarise(sentences),
        calibration=measure_calibration(
            decided,
            is_ranking=any(item.verdict.confidence_kind == "lexical" for item in sentences),
        ),
        baselines=baselines,
        by_source=_slice(sentences, lambda item: item.source),
        by_language=_slice(sentences, lambda item: item.language),
        judged=judged,
        soft_labels=measure_soft_labels(judged, decisions),
    )


def _majority(sentences: Sequence[JudgedSentence]) -> list[JudgedSentence]:
    """The same sentences, all with the more frequent class; a tie is factual."""
    is_hallucinated = 2 * sum(item.is_hallucinated for item in sentences) > len(sentences)
    label = Label.HALLUCINATED if is_hallucinated else Label.NO_HALLUCINATION
    verdict = Verdict(label=label, judge="majority")
    return [
        JudgedSentence(gold=item.gold, sentence=item.sentence, verdict=verdict)
        for item in sentences
    ]


def _slice(
    sentences: Sequence[JudgedSentence],
    name_of: Callable[[JudgedSentence], str],
) -> dict[str, AgreementSlice]:
    parts: dict[str, list[JudgedSentence]] = {}
    for item in sentences:
        parts.setdefault(name_of(item), []).append(item)
    return {
        name: AgreementSlice(
            num_sentences=len(part),
            num_hallucinated=sum(item.is_hallucinated for item in part),
            num_groups=len({item.group for item in part}),
            is_small=len(part) < MIN_SLICE_SENTENCES,
            agreement=_summarise(part),
        )
        for name, part in sorted(parts.items())
    }


def _summarise(sentences: Sequence[JudgedSentence]) -> Agreement:
    counts = count_groups((item.group, item.is_hallucinated, item.judged) for item in sentences)
    reasons = Counter(
        item.verdict.reason or Label.UNDETERMINED.value for item in sentences if item.judged is None
    )
    return Agreement(
        num_decided=len(sentences) - reasons.total(),
        abstentions=dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
        figures=estimate_figures(counts),
        spans=measure_spans(sentences),
    )
