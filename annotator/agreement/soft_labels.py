"""A judge against several people: does it mark what most of them mark?

The rule: nothing is voted on. The soft label of a character is the share of people who call it
wrong, among the people who decided the sentence it is in; a person calls a sentence wrong at its
error spans, or as a whole where they gave none (annotator/agreement/span_figures.py). The places on
which people differ count, which no other figure does.

A character counts when at least two people and the judge decided it. A person's last decision
counts; `undetermined` is none, and neither is the resolution of a conflict. The judge's value is 1
where it calls a character wrong, times the verdict's confidence where it has one, and 0 elsewhere.

    correlation   Spearman's rho of the two over the characters of a response, mean over responses.
                  Without variation on one side it is not defined: 1 where both sides are constant
                  and agree (both 0, or neither), else 0

This is the correlation of Mu-SHROOM (SemEval-2025 task 3, arXiv 2504.11975; its scorer's
`score_cor`). One case differs: that scorer gives 1 for any two constants, also where one side marks
everything and the other nothing; here that is 0.

Interval: annotator/agreement/intervals.py, over groups. None without a response that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.agreement.figures import Counts, Figure, FigureKind, estimate_figures, ratio
from annotator.agreement.gold_verdicts import JudgedResponse
from annotator.agreement.intervals import DIFFERENCE, Group, name_group
from annotator.agreement.span_figures import wrong_places
from formats.reviews.decisions import Decision
from schemas.labels import Label
from schemas.records import Sentence, Verdict

Floats = NDArray[np.float64]
_SAME = 1e-8  # values closer than this are one value


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftAgreement:
    """The correlation with soft labels, and what it is over."""

    num_responses: int
    num_characters: int
    correlation: Figure

    def to_dict(self) -> dict[str, Any]:
        """One flat JSON object."""
        return {
            "num_responses": self.num_responses,
            "num_characters": self.num_characters,
            "correlation": self.correlation.value,
            "correlation_low": self.correlation.low,
            "correlation_high": self.correlation.high,
        }


def measure_soft_labels(
    judged: Sequence[JudgedResponse], decisions: Mapping[str, Sequence[Decision]]
) -> SoftAgreement | None:
    """The correlation of a judge; None without decisions of several people.

    decisions    people's own decisions by response id (`own_decisions`)
    """
    if not decisions:
        return None
    rows: list[tuple[Group, str, float, int]] = []
    for response in judged:
        gold = response.gold
        people = people_values(decisions.get(gold.id, ()), len(gold.text))
        judge = judge_values(response)
        kept = np.isfinite(people) & np.isfinite(judge)
        if kept.any():
            group = name_group(gold.topic, gold.question_id)
            rows.append((group, gold.id, correlate(people[kept], judge[kept]), int(kept.sum())))
    counts: dict[Group, Floats] = {}
    for group, _, value, _ in sorted(rows):
        row = counts.setdefault(group, np.zeros(2))
        row += (value, 1)
    table = np.array([counts[name] for name in sorted(counts)]).reshape(-1, 2)
    return SoftAgreement(
        num_responses=len(rows),
        num_characters=sum(row[-1] for row in rows),
        correlation=estimate_figures(table, _OF_RESPONSES)["correlation"],
    )


def people_values(decisions: Sequence[Decision], length: int) -> Floats:
    """The soft label of each character; nan where fewer than two people decided."""
    decided, wrong = np.zeros(length), np.zeros(length)
    for item in decisions:
        if item.label is Label.UNDETERMINED:
            continue
        decided[item.start : item.end] += 1
        verdict = Verdict(label=item.label, error_spans=list(item.error_spans))
        for start, end in wrong_places(Sentence(start=item.start, end=item.end, verdict=verdict)):
            wrong[start:end] += 1
    return np.where(decided >= 2, ratio(wrong, decided), np.nan)


def judge_values(response: JudgedResponse) -> Floats:
    """What the judge gives each character; nan where it decided nothing."""
    values = np.full(len(response.gold.text), np.nan)
    for sentence in response.to_annotation().sentences:
        verdict = sentence.verdict
        if verdict.label is Label.UNDETERMINED:
            continue
        values[sentence.start : sentence.end] = 0.0
        for start, end in wrong_places(sentence):
            values[start:end] = 1.0 if verdict.confidence is None else verdict.confidence
    return values


def correlate(people: Floats, judge: Floats) -> float:
    """Spearman's rho of two series; without variation 1.0 or 0.0 (the module's docstring)."""
    is_constant = [bool(np.ptp(values) <= _SAME) for values in (people, judge)]
    if all(is_constant):
        return float((people[0] > _SAME) == (judge[0] > _SAME))
    if any(is_constant):
        return 0.0
    from scipy.stats import spearmanr

    return float(spearmanr(people, judge).statistic)


def _mean(counts: Counts) -> dict[str, Floats]:
    return {"correlation": ratio(counts[..., 0], counts[..., 1])}


_OF_RESPONSES = FigureKind(
    compute=_mean, rests_on={"correlation": ((1,),)}, scales={"correlation": DIFFERENCE}
)
