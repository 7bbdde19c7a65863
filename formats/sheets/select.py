"""Which sentences a sheet shows: without copies, filtered by label and review, or a sample.

The rule: what is chosen depends on the annotations' content and the seed, never on the order of
their file. A response to the same question with the same text is shown once, under the least id.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from formats.forgotten import same_name
from schemas.hashing import stable_fraction
from schemas.labels import Label
from schemas.records import Annotation
from schemas.reviews import Review, text_sha256
from schemas.spans import Offsets

Stratum = tuple[str, str]  # topic, label
_Answer = tuple[str, str]  # question id, SHA-256 of the text


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which sentences a sheet should show.

    labels      only sentences with these labels; empty: all
    unreviewed  only sentences that nobody reviewed, or that `who` did not review
    sample      at most this many sentences; None: all
    """

    labels: frozenset[Label] = frozenset()
    unreviewed: bool = False
    who: str = ""
    sample: int | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A response as selection sees it: where its line begins, and its sentences."""

    id: str
    question_id: str
    topic: str
    digest: str
    offset: int
    places: Sequence[Offsets]
    labels: Sequence[Label]

    @classmethod
    def of(cls, annotation: Annotation, offset: int) -> Answer:
        """The response of an annotation whose line begins at byte `offset` of its file."""
        return cls(
            id=annotation.id,
            question_id=annotation.question_id,
            topic=annotation.topic,
            digest=text_sha256(annotation.text),
            offset=offset,
            places=[(item.start, item.end) for item in annotation.sentences],
            labels=[item.verdict.label for item in annotation.sentences],
        )

    @property
    def key(self) -> _Answer:
        """The key that copies have in common."""
        return (self.question_id, self.digest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Selected:
    """A response to show: the numbers of its sentences, and how many responses are equal to it."""

    answer: Answer
    sentences: Sequence[int]
    copies: int


@dataclass(kw_only=True)
class Answers:
    """All responses of a file, copies counted; filled by `add`."""

    _shown: dict[_Answer, Answer] = field(default_factory=dict)
    _ids: defaultdict[_Answer, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, answer: Answer) -> None:
        """Count a response; of copies, the one with the least id is kept."""
        shown = self._shown.get(answer.key)
        if shown is None or answer.id < shown.id:
            self._shown[answer.key] = answer
        self._ids[answer.key].append(answer.id)

    @property
    def num_copies(self) -> int:
        """The number of responses that are not shown because an equal one is."""
        return sum(len(ids) - 1 for ids in self._ids.values())

    def select(
        self, choice: Choice, reviews: Iterable[Review] = (), *, by_seed: bool = False
    ) -> list[Selected]:
        """The responses to show, in the order of the file or, with `by_seed`, in an order from the
        seed."""
        reviewed = self._reviewed_places(reviews, choice.who) if choice.unreviewed else {}
        kept: Mapping[_Answer, Sequence[int]] = {
            key: numbers
            for key, answer in self._shown.items()
            if (numbers := _keep(answer, choice, reviewed.get(key, ())))
        }
        answers = [answer for answer in self._shown.values() if answer.key in kept]
        if choice.sample is not None:
            kept = draw(answers, kept, choice.sample, choice.seed)
        order: Callable[[Answer], object] = lambda answer: answer.offset  # noqa: E731
        if by_seed or choice.sample is not None:
            order = _seeded_order(choice.seed)
        return [
            Selected(answer=answer, sentences=kept[answer.key], copies=len(self._ids[answer.key]))
            for answer in sorted(answers, key=order)  # type: ignore[arg-type]
            if kept.get(answer.key)
        ]

    def _reviewed_places(
        self, reviews: Iterable[Review], who: str
    ) -> dict[_Answer, Collection[Offsets]]:
        """By response, the [start, end) that were reviewed; a review of a copy counts."""
        key_of = {(name, key[1]): key for key, ids in self._ids.items() for name in ids}
        found: defaultdict[_Answer, set[Offsets]] = defaultdict(set)
        wanted = same_name(who)
        for review in reviews:
            key = key_of.get((review.response_id, review.text_sha256))
            if key is not None and (not wanted or same_name(review.who) == wanted):
                found[key].add((review.start, review.end))
        return dict(found)


def _keep(answer: Answer, choice: Choice, reviewed: Collection[Offsets]) -> list[int]:
    """The numbers of the sentences that pass the filters."""
    return [
        number
        for number, ((start, end), label) in enumerate(
            zip(answer.places, answer.labels, strict=True)
        )
        if (not choice.labels or label in choice.labels)
        and not any(first <= start and end <= last for first, last in reviewed)
    ]


def _seeded_order(seed: int) -> Callable[[Answer], object]:
    """An order that does not depend on labels.

    Topics, and the responses to a question, stay together.
    """

    def order(answer: Answer) -> tuple[tuple[float, str], ...]:
        names = (answer.topic, answer.question_id, answer.id)
        return tuple((stable_fraction(seed, name), name) for name in names)

    return order


def draw(
    answers: Sequence[Answer], kept: Mapping[_Answer, Sequence[int]], size: int, seed: int
) -> dict[_Answer, Sequence[int]]:
    """A sample of `size` of the sentences `kept`, in the proportions of their topics and labels."""
    strata: defaultdict[Stratum, list[tuple[float, _Answer, int]]] = defaultdict(list)
    for answer in answers:
        for number in kept[answer.key]:
            start, end = answer.places[number]
            ticket = stable_fraction(seed, f"{answer.id}\n{start}\n{end}")
            strata[answer.topic, answer.labels[number]].append((ticket, answer.key, number))
    shares = share_out({key: len(items) for key, items in strata.items()}, size, seed)
    drawn: defaultdict[_Answer, list[int]] = defaultdict(list)
    for key, items in strata.items():
        for _, answer_key, number in heapq.nsmallest(shares[key], items):
            drawn[answer_key].append(number)
    return {answer_key: sorted(numbers) for answer_key, numbers in drawn.items()}


def share_out(sizes: Mapping[Stratum, int], size: int, seed: int) -> dict[Stratum, int]:
    """How many of each stratum: in proportion, and at least one of each where `size` allows.

    With fewer places than strata, every label gets its share, and within a label the larger topics.

    >>> share_out({("a", "x"): 90, ("b", "x"): 9, ("b", "y"): 1}, 10, 0)
    {('a', 'x'): 8, ('b', 'x'): 1, ('b', 'y'): 1}
    """
    if size >= len(sizes):
        return _proportions(sizes, size, seed)
    by_label: defaultdict[str, dict[Stratum, int]] = defaultdict(dict)
    for (topic, label), count in sizes.items():
        by_label[label][topic, label] = count
    totals = {("", label): sum(counts.values()) for label, counts in by_label.items()}
    per_label = _proportions(totals, size, seed)
    shares: dict[Stratum, int] = {}
    for label, counts in by_label.items():
        shares |= _proportions(counts, per_label["", label], seed)
    return shares


def _proportions(sizes: Mapping[Stratum, int], size: int, seed: int) -> dict[Stratum, int]:
    """Give places one by one to the stratum furthest below its share.

    The seed decides between equal ones.
    """
    total = sum(sizes.values())
    size = min(size, total)
    given = dict.fromkeys(sizes, 0)
    if size >= len(sizes):
        given = dict.fromkeys(sizes, 1)

    def entry(key: Stratum) -> tuple[float, float, Stratum]:
        lacking = size * sizes[key] / total - given[key]
        return (-lacking, stable_fraction(seed, "\n".join(key)), key)

    heap = [entry(key) for key in sizes if given[key] < sizes[key]]
    heapq.heapify(heap)
    for _ in range(size - sum(given.values())):
        _, _, key = heapq.heappop(heap)
        given[key] += 1
        if given[key] < sizes[key]:
            heapq.heappush(heap, entry(key))
    return given
