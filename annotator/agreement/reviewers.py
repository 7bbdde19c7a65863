"""How well people's reviews agree: conflicts, blindness, and agreement between people.

The rule: two people are compared on the places that both finally decided, at the same offsets of
the same text. Of one person only the last decision counts, and `undetermined` is not a decision.

    num_agreed    both gave the same label
    kappa         Cohen's, of two classes: hallucinated, and all else
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from annotator.agreement.figures import compute_figures, count_groups, to_float
from formats.reviews.decisions import (
    Decision,
    decisions_of_people,
    find_fault,
    resolve_agreement,
)
from formats.reviews.log import Logged
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation
from schemas.text.counted import count_of


@dataclass(frozen=True, kw_only=True, slots=True)
class PeopleFigures:
    """Figures about the people in a file of reviews, without their names.

    num_conflicts     places on which people differ, which are not gold
    num_blind         labels given without seeing the judge's label
    num_in_view       labels given with the judge's label in view
    num_compared      places that two people decided, counted once for each two people
    num_agreed        those of `num_compared` with the same label
    kappa             over `num_compared`; None where chance alone would agree always
    """

    num_people: int
    num_conflicts: int
    num_blind: int
    num_in_view: int
    num_compared: int
    num_agreed: int
    kappa: float | None

    def to_dict(self) -> dict[str, Any]:
        """One flat JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    def notes(self) -> list[str]:
        """Notes for the user."""
        labels = (
            f"{count_of(self.num_blind + self.num_in_view, 'label')} of "
            f"{count_of(self.num_people, 'person', 'people')}"
        )
        notes = [
            f"{labels}: {self.num_blind:,} blind, {self.num_in_view:,} with the judge's label in "
            "view" + (", which agree with the judge more often" if self.num_in_view else "")
        ]
        if self.num_compared:
            share = self.num_agreed / self.num_compared
            kappa = "not defined" if self.kappa is None else f"{self.kappa:.3f}"
            notes.append(
                f"two people gave the same label to {self.num_agreed:,} of {self.num_compared:,} "
                f"sentences that both decided ({share:.3f}); kappa of hallucinated or not: {kappa}"
            )
        if self.num_conflicts:
            notes.append(
                f"sentences on which people differ, not used as gold: {self.num_conflicts:,}; "
                "maskdpo build lists them"
            )
        return notes


def measure_people(texts: Iterable[Sequence[Decision]], *, num_conflicts: int) -> PeopleFigures:
    """The figures of the decisions of each text (`decisions_of_people`)."""
    blind: dict[str, bool] = {}
    people: set[str] = set()
    pairs: list[tuple[Label, Label]] = []
    for decisions in texts:
        decided = [item for item in decisions if item.label is not Label.UNDETERMINED]
        blind |= {item.entry.review.id: item.entry.review.blind for item in decided}
        people |= {item.who for item in decided}
        pairs += _label_pairs(decided)
    counts = count_groups(
        ("all", one in HALLUCINATED_LABELS, two in HALLUCINATED_LABELS) for one, two in pairs
    )
    return PeopleFigures(
        num_people=len(people),
        num_conflicts=num_conflicts,
        num_blind=sum(blind.values()),
        num_in_view=sum(not value for value in blind.values()),
        num_compared=len(pairs),
        num_agreed=sum(one is two for one, two in pairs),
        kappa=to_float(compute_figures(counts.sum(axis=0))["kappa"]) if pairs else None,
    )


def decisions_by_text(
    rows: Sequence[Annotation], reviews: Mapping[str, Sequence[Logged]]
) -> dict[str, list[Decision]]:
    """People's final decisions by text, on each different text of one question's responses."""
    entries: defaultdict[str, list[Logged]] = defaultdict(list)
    for row in rows:
        for entry in reviews.get(row.id, ()):
            settled = resolve_agreement(entry, row)
            if settled is not None and find_fault(entry.review, row.text) is None:
                entries[row.text].append(settled)
    return {text: decisions_of_people(items, text) for text, items in entries.items()}


def are_of_several(decisions: Iterable[Decision]) -> bool:
    """Whether two people decided on common characters of a text."""
    decided = [item for item in decisions if item.label is not Label.UNDETERMINED]
    pairs = combinations(decided, 2)
    return any(one.who != two.who and one.overlaps(two) for one, two in pairs)


def _label_pairs(decisions: Iterable[Decision]) -> list[tuple[Label, Label]]:
    """The labels of each pair of people at each place, in the order of their names."""
    places: defaultdict[tuple[int, int], dict[str, Label]] = defaultdict(dict)
    for item in decisions:
        places[item.start, item.end][item.who] = item.label
    return [pair for labels in places.values() for pair in combinations(_by_name(labels), 2)]


def _by_name(labels: Mapping[str, Label]) -> list[Label]:
    return [labels[who] for who in sorted(labels)]
