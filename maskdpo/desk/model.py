"""What the parts of the desk pass to each other: rows of the index, filters, drafts, states.

The rule: plain, frozen data. A sentence's `id` is its place in the reading order (responses with
the least sure sentence first, their sentences in order), so that the next one is the next number.
Nothing here is kept longer than an index; what lasts is in the file of reviews.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.labels import Label
from schemas.spans import Offsets


class Order(StrEnum):
    """In which order sentences are listed and come next."""

    READING = "reading"  # whole responses, the one with the least sure sentence first
    LEAST_SURE = "least_sure"  # single sentences, least sure first
    FILE = "file"
    RANDOM = "random"  # by seed


class Status(StrEnum):
    """What the person who asks has done with a sentence."""

    ALL = "all"
    OPEN = "open"  # neither decided nor skipped by this person
    DECIDED = "decided"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which sentences are listed. Of one field any value, all fields together.

    labels, reasons   of the judge
    confidence        at most this; a sentence without a confidence never fits
    judge_differs     what people decided differs from the judge's label
    people_differ     people decided differently, and nobody resolved it
    unreviewed        nobody decided it; one that waits for a second reading looks like that, too
    second            waits for a second reading by the person who asks
    everyone          also what is assigned to other people
    text              words that the sentence contains; of CJK, any two characters in a row
    """

    labels: frozenset[Label] = frozenset()
    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    confidence: float | None = None
    status: Status = Status.ALL
    judge_differs: bool = False
    people_differ: bool = False
    flagged: bool = False
    unreviewed: bool = False
    second: bool = False
    everyone: bool = False
    text: str = ""
    order: Order = Order.READING
    seed: int = 0

    @property
    def reveals_labels(self) -> bool:
        """Whether a person who follows this list knows something of the judge's label."""
        return bool(self.labels or self.reasons or self.judge_differs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A sentence in the index.

    response   number of the response in the index
    number     of the sentence in its response, from 0
    """

    id: int
    response: int
    number: int
    start: int
    end: int
    label: Label
    reason: str
    confidence: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What people did with one sentence.

    by         each person's last label; None where parts of the sentence have different ones
    own        the same without decisions that resolve a conflict: what each decided alone
    blind       whose own decision was made without the judge's label
    skipped, flagged   who skipped it last, and who has flagged it
    conflict   people differ, and nobody resolved it
    label      what people decided together; None: nobody, or in conflict, or of different parts
    """

    by: Mapping[str, Label | None] = field(default_factory=dict)
    own: Mapping[str, Label | None] = field(default_factory=dict)
    blind: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    flagged: frozenset[str] = frozenset()
    conflict: bool = False
    label: Label | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some rows of a list, in its order.

    total      rows that fit; `is_exact` is false where counting stopped at this number
    before, after   ids to continue from; None at the end
    """

    rows: Sequence[Row]
    total: int
    is_exact: bool = True
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What a person prepares before a decision.

    start, end   the place: a sentence, or several joined ones
    cuts         where it is split, sorted offsets inside the place
    labels       of the parts so far, in order
    words        the wrong words, sorted and disjoint
    evidence     places in documents: (document id, start, end)
    """

    start: int
    end: int
    cuts: Sequence[int] = ()
    labels: Sequence[Label] = ()
    words: Sequence[Offsets] = ()
    evidence: Sequence[tuple[str, int, int]] = ()
    note: str = ""
