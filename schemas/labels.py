"""Sentence labels, and the one policy that says which of them train on which side.

The four ANAH labels (arXiv 2407.04693, section 3) come from judges that distinguish the kinds of
hallucination; `hallucinated` from people and judges that do not. `undetermined` is the label when a
judge cannot decide: it always has a reason, and never counts as factual or as hallucinated.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import field_validator

from schemas.config import Section


class Label(StrEnum):
    """What a judge or a person decided about one sentence."""

    NO_HALLUCINATION = "no_hallucination"
    CONTRADICTORY = "contradictory"
    UNVERIFIABLE = "unverifiable"
    NO_FACT = "no_fact"
    HALLUCINATED = "hallucinated"
    UNDETERMINED = "undetermined"


CORRECT_LABELS = frozenset({Label.NO_HALLUCINATION})
HALLUCINATED_LABELS = frozenset({Label.CONTRADICTORY, Label.UNVERIFIABLE, Label.HALLUCINATED})


class Side(StrEnum):
    """A side of a preference pair."""

    CHOSEN = "chosen"
    REJECTED = "rejected"


class LabelPolicy(Section):
    """Which labels train on which side of a pair (Mask-DPO, arXiv 2503.02846, section 3.3)."""

    chosen: tuple[Label, ...] = (Label.NO_HALLUCINATION, Label.NO_FACT)
    """Labels whose sentences train in the preferred answer."""

    rejected: tuple[Label, ...] = (
        Label.CONTRADICTORY,
        Label.UNVERIFIABLE,
        Label.HALLUCINATED,
    )
    """Labels whose sentences train in the other answer."""

    @field_validator("chosen", "rejected")
    @classmethod
    def _undetermined_never_trains(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        if Label.UNDETERMINED in labels:
            raise ValueError("'undetermined' trains on neither side; remove it from the policy")
        return labels

    def weight(self, label: Label, side: Side) -> float:
        """1.0 where a sentence of this label trains on this side, else 0.0 (masked)."""
        return 1.0 if label in self.kept(side) else 0.0

    def kept(self, side: Side) -> tuple[Label, ...]:
        """The labels whose sentences train on this side."""
        return self.chosen if side is Side.CHOSEN else self.rejected
