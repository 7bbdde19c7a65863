"""How well a judge finds the wrong words that people marked: figures per character.

The rules of the count:

- a sentence that is called hallucinated is wrong at its error spans, cut at its ends and joined
  where they overlap (`given_places`); without an error span in it, it is wrong as a whole, as for
  weights. Error spans of any other sentence do not count. This holds for people and judge;
- a response counts with the sentences that people labelled and the judge decided, as in all
  other figures (annotator/agreement/measure.py). One in which people mark nothing counts, too: all
  that the judge marks there is too much;
- every character of a place counts, white space and punctuation too. White space between sentences
  belongs to no sentence and never counts;
- a set of labels (a source) in which people gave no error spans is left out: its people marked
  sentences, not words.

Let J and P be the characters that the judge and people call wrong, |.| their number, over all
responses together:

| figure            | what it is                                     | not defined (None) when     |
|-------------------|------------------------------------------------|-----------------------------|
| char_precision    | |J and P| / |J|                                | the judge marks nothing     |
| char_recall       | |J and P| / |P|                                | people mark nothing         |
| char_f1           | 2 |J and P| / (|J| + |P|), their harmonic mean | neither marks anything      |
| iou               | |J and P| / |J or P| of a response, mean over  | there is no response        |
|                   | responses; 1 where neither marks anything      |                             |
| example_precision | share of the responses that the judge calls    | the judge calls none so     |
|                   | hallucinated, which people do, too             |                             |
| example_recall    | share of those of people that the judge finds  | people call none so         |
| example_f1        | harmonic mean of the two                       | neither calls one so        |

`char_f1` and `example_f1` are 0.0, not None, when one side alone marks something. A response is
hallucinated when one of its sentences is.

Sources: characters and examples as RAGTruth measures them ("span-level" and "response-level
detection": Niu et al. 2024, arXiv 2401.00396, section 5.3; the paper does not say where it divides:
characters are summed over responses first here, as in LettuceDetect's evaluation on RAGTruth).
RAGTruth has no IoU: it is that of Mu-SHROOM (Vazquez et al. 2025, arXiv 2504.11975; its scorer's
`score_iou`). The IoU of all characters together would add nothing: it is F1 / (2 - F1).

Intervals: annotator/agreement/intervals.py, over groups; as for sentences, a figure has none with
fewer than two groups in its denominator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.agreement.figures import (
    Counts,
    Figure,
    FigureKind,
    estimate_difference,
    estimate_figures,
    ratio,
    to_float,
)
from annotator.agreement.gold_verdicts import JudgedSentence
from annotator.agreement.intervals import Group, Interval
from schemas.error_spans import given_places, join_places
from schemas.labels import HALLUCINATED_LABELS
from schemas.records import Sentence
from schemas.spans import Offsets

BOTH, JUDGED, PEOPLE, IOU, RESPONSES, BOTH_HALL, JUDGED_HALL, PEOPLE_HALL = range(8)
NUM_COUNTS = 8
CHAR_FIGURES = ("char_precision", "char_recall", "char_f1", "iou")


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanAgreement:
    """The figures of one judge, and what its words add to its sentences.

    num_sentences         labelled by people and decided by the judge; all figures are over these
    num_with_spans        those of `num_hallucinated` in which people gave error spans
    num_judged_with_spans sentences that the judge calls hallucinated and gives error spans for
    num_characters        wrong characters: of both, of the judge, of people
    whole_sentences       CHAR_FIGURES of the same judge without its error spans; None when it gives
                          none: its figures are those
    gain                  `char_f1` less that of `whole_sentences`, with a paired interval; None
                          when the judge gives no error spans
    """

    num_responses: int
    num_sentences: int
    num_hallucinated: int
    num_with_spans: int
    num_judged_hallucinated: int
    num_judged_with_spans: int
    num_characters: Mapping[str, int]
    num_examples: Mapping[str, int]
    figures: Mapping[str, Figure]
    whole_sentences: Mapping[str, Figure] | None
    gain: SpanDifference | None

    def __getitem__(self, name: str) -> Figure:
        return self.figures[name]

    def to_dict(self) -> dict[str, Any]:
        """One JSON object; figures are flat: NAME, NAME_low and NAME_high."""
        values: dict[str, Any] = {
            "num_responses": self.num_responses,
            "num_sentences": self.num_sentences,
            "num_hallucinated": self.num_hallucinated,
            "num_with_spans": self.num_with_spans,
            "num_judged_hallucinated": self.num_judged_hallucinated,
            "num_judged_with_spans": self.num_judged_with_spans,
            "num_characters": dict(self.num_characters),
            "num_examples": dict(self.num_examples),
            **_flat(self.figures),
        }
        whole, gain = self.whole_sentences, self.gain
        values["whole_sentences"] = None if whole is None else _flat(whole)
        values["gain"] = None if gain is None else gain.to_dict()
        return values


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanDifference:
    """`char_f1` of the first, of the second, and the first less the second with its interval."""

    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None

    def to_dict(self) -> dict[str, Any]:
        """One flat JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


def measure_spans(sentences: Sequence[JudgedSentence]) -> SpanAgreement | None:
    """The figures of a judge on sentences that people labelled (rules: the module's docstring).

    None when people gave no error spans in any of them.
    """
    rows = span_sentences(sentences)
    if not rows:
        return None
    decided = [item for item in rows if item.judged is not None]
    counts = count_characters(decided)
    totals = counts.sum(axis=0)
    judged = [item for item in decided if item.judged]
    num_judged_with_spans = sum(bool(given_places(item.judged_sentence)) for item in judged)
    whole = count_characters(decided, whole_sentences=True) if num_judged_with_spans else None
    return SpanAgreement(
        num_responses=int(totals[RESPONSES]),
        num_sentences=len(decided),
        num_hallucinated=sum(item.is_hallucinated for item in decided),
        num_with_spans=sum(_has_spans(item) for item in decided),
        num_judged_hallucinated=len(judged),
        num_judged_with_spans=num_judged_with_spans,
        num_characters=_by_side(totals, BOTH, JUDGED, PEOPLE),
        num_examples=_by_side(totals, BOTH_HALL, JUDGED_HALL, PEOPLE_HALL),
        figures=estimate_figures(counts, OF_SPANS),
        whole_sentences=None if whole is None else _only_characters(whole),
        gain=None if whole is None else compare_characters(counts, whole),
    )


def span_sentences(sentences: Sequence[JudgedSentence]) -> list[JudgedSentence]:
    """The sentences of the sources in which people gave error spans."""
    sources = {item.source for item in sentences if _has_spans(item)}
    return [item for item in sentences if item.source in sources]


def count_characters(decided: Iterable[JudgedSentence], *, whole_sentences: bool = False) -> Counts:
    """Counts [G, 8] of sentences that the judge decided, by group, sorted by name.

    whole_sentences    without the judge's error spans: all of a sentence is wrong
    """
    responses: dict[tuple[Group, str], list[JudgedSentence]] = {}
    for item in decided:
        responses.setdefault((item.group, item.gold.id), []).append(item)
    counts: dict[Group, NDArray[np.float64]] = {}
    for group, name in sorted(responses):
        row = counts.setdefault(group, np.zeros(NUM_COUNTS))
        row += _count_response(responses[group, name], whole_sentences)
    return np.array([counts[name] for name in sorted(counts)]).reshape(-1, NUM_COUNTS)


def compute_span_figures(counts: Counts) -> dict[str, NDArray[np.float64]]:
    """Each figure, [...], of counts [..., 8]; nan where it is not defined."""
    both, judged, people, iou, responses, both_hall, judged_hall, people_hall = np.moveaxis(
        np.asarray(counts, dtype=np.float64), -1, 0
    )
    return {
        "char_precision": ratio(both, judged),
        "char_recall": ratio(both, people),
        "char_f1": ratio(2 * both, judged + people),
        "iou": ratio(iou, responses),
        "example_precision": ratio(both_hall, judged_hall),
        "example_recall": ratio(both_hall, people_hall),
        "example_f1": ratio(2 * both_hall, judged_hall + people_hall),
    }


def compare_characters(first: Counts, second: Counts) -> SpanDifference:
    """`char_f1` of two counts [G, 8] of the same sentences."""
    values = [
        float(compute_span_figures(counts.sum(axis=0))["char_f1"]) for counts in (first, second)
    ]
    found = Interval()
    if np.isfinite(values).all():
        found = estimate_difference("char_f1", first, second, OF_SPANS)
    return SpanDifference(
        first=to_float(values[0]),
        second=to_float(values[1]),
        difference=to_float(values[0] - values[1]),
        low=found.low,
        high=found.high,
        p=found.p,
    )


def wrong_places(sentence: Sentence) -> list[Offsets]:
    """The places of a sentence that its verdict calls wrong, sorted and disjoint."""
    if sentence.verdict.label not in HALLUCINATED_LABELS:
        return []
    return given_places(sentence) or [(sentence.start, sentence.end)]


OF_SPANS = FigureKind(
    compute=compute_span_figures,
    rests_on={
        "char_precision": ((JUDGED,),),
        "char_recall": ((PEOPLE,),),
        "char_f1": ((JUDGED, PEOPLE),),
        "iou": ((RESPONSES,),),
        "example_precision": ((JUDGED_HALL,),),
        "example_recall": ((PEOPLE_HALL,),),
        "example_f1": ((JUDGED_HALL, PEOPLE_HALL),),
    },
)


def _count_response(items: Sequence[JudgedSentence], whole_sentences: bool) -> list[float]:
    either = judged = people = 0
    for item in items:
        marked = wrong_places(item.sentence)
        found = wrong_places(item.judged_sentence)
        if whole_sentences and item.judged:
            found = [(item.sentence.start, item.sentence.end)]
        people += _length(marked)
        judged += _length(found)
        either += _length(join_places([*marked, *found]))
    both = judged + people - either
    iou = both / either if either else 1.0
    # A sentence that is called hallucinated has at least one wrong character.
    return [both, judged, people, iou, 1, judged > 0 and people > 0, judged > 0, people > 0]


def _length(places: Iterable[Offsets]) -> int:
    return sum(end - start for start, end in places)


def _has_spans(item: JudgedSentence) -> bool:
    return item.is_hallucinated and bool(given_places(item.sentence))


def _by_side(totals: Counts, both: int, judge: int, people: int) -> dict[str, int]:
    return {
        name: int(totals[at]) for name, at in (("both", both), ("judge", judge), ("people", people))
    }


def _only_characters(counts: Counts) -> dict[str, Figure]:
    found = estimate_figures(counts, OF_SPANS)
    return {name: found[name] for name in CHAR_FIGURES}


def _flat(figures: Mapping[str, Figure]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for name, figure in figures.items():
        values |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return values
