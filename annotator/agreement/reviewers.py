"""How well people's reviews agree: conflicts, blindness, and agreement between people.

The rule: people are compared on the places that they finally decided, at the same offsets of the
same text. Of one person only the last decision counts, `undetermined` is not a decision, and
neither is the resolution of a conflict: who resolves it has read what the others decided.

    num_agreed      both gave the same label
    kappa           Cohen's, of two classes: hallucinated, and all else
    alpha           Krippendorff's, of all labels, over places with two or more people
    alpha_binary    the same of the two classes of kappa
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from annotator.agreement.alpha import nominal_alpha
from annotator.agreement.figures import compute_figures, count_groups, to_float
from formats.reviews.decisions import Decision, find_fault, resolve_agreement
from formats.reviews.log import Logged
from formats.reviews.standing import standing
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
    alpha, alpha_binary  of any number of people (annotator/agreement/alpha.py); None as kappa
    """

    num_people: int
    num_conflicts: int
    num_blind: int
    num_in_view: int
    num_compared: int
    num_agreed: int
    kappa: float | None
    alpha: float | None
    alpha_binary: float | None

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
            notes.append(
                f"two people gave the same label to {self.num_agreed:,} of {self.num_compared:,} "
                f"sentences that both decided ({share:.3f}); kappa of hallucinated or not: "
                f"{_show(self.kappa)}"
            )
            notes.append(
                f"Krippendorff's alpha of {count_of(self.num_people, 'person', 'people')}: "
                f"{_show(self.alpha)} over all labels, {_show(self.alpha_binary)} of hallucinated "
                "or not"
            )
        if self.num_conflicts:
            notes.append(
                f"sentences on which people differ, not used as gold: {self.num_conflicts:,}; "
                "maskdpo build lists them"
            )
        return notes


def measure_people(texts: Iterable[Sequence[Decision]], *, num_conflicts: int) -> PeopleFigures:
    """The figures of people's own decisions of each text (`own_decisions`)."""
    blind: dict[str, bool] = {}
    people: set[str] = set()
    pairs: list[tuple[Label, Label]] = []
    units: list[Sequence[Label]] = []
    for decisions in texts:
        decided = [item for item in decisions if item.label is not Label.UNDETERMINED]
        blind |= {item.entry.review.id: item.entry.review.blind for item in decided}
        people |= {item.who for item in decided}
        of_places = _labels_by_place(decided)
        units += of_places
        pairs += [pair for labels in of_places for pair in combinations(labels, 2)]
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
        alpha=nominal_alpha([[unit.count(label) for label in Label] for unit in units]),
        alpha_binary=nominal_alpha(
            [[wrong, len(unit) - wrong] for unit in units for wrong in [_num_wrong(unit)]]
        ),
    )


def entries_by_text(
    rows: Sequence[Annotation], reviews: Mapping[str, Sequence[Logged]]
) -> dict[str, list[Logged]]:
    """The valid reviews that stand, by text, of one question's responses."""
    stand = standing(entry for row in rows for entry in reviews.get(row.id, ()))
    of_response: defaultdict[str, list[Logged]] = defaultdict(list)
    for entry in stand:
        of_response[entry.review.response_id].append(entry)
    entries: defaultdict[str, list[Logged]] = defaultdict(list)
    for row in rows:
        for entry in of_response[row.id]:
            settled = resolve_agreement(entry, row)
            if settled is not None and find_fault(entry.review, row.text) is None:
                entries[row.text].append(settled)
    return dict(entries)


def are_of_several(decisions: Iterable[Decision]) -> bool:
    """Whether two people decided on common characters of a text."""
    decided = [item for item in decisions if item.label is not Label.UNDETERMINED]
    pairs = combinations(decided, 2)
    return any(one.who != two.who and one.overlaps(two) for one, two in pairs)


def _labels_by_place(decisions: Iterable[Decision]) -> list[list[Label]]:
    """The labels of each place, in the order of the people's names."""
    places: defaultdict[tuple[int, int], dict[str, Label]] = defaultdict(dict)
    for item in decisions:
        places[item.start, item.end][item.who] = item.label
    return [[labels[who] for who in sorted(labels)] for labels in places.values()]


def _num_wrong(labels: Iterable[Label]) -> int:
    return sum(label in HALLUCINATED_LABELS for label in labels)


def _show(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
