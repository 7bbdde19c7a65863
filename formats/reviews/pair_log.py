"""The file of people's decisions about pairs: read, appended to, and what counts of it.

The rule: rows are appended and never changed. Of one person's decisions about a pair the last one
counts (by time, then place in the file); a pair is dropped if the last decision of any person is
`drop`. So only the person who dropped a pair takes that drop back, and the order of rows with
different times does not matter.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from formats.reviews.log import locked, parse_time
from schemas.errors import Fault, InputError
from schemas.files.appending import append_lines, move_cut_off_end
from schemas.files.jsonl import read_lines, scan_rows
from schemas.records import Pair
from schemas.reviews import PairReview, make_pair_review, text_sha256

PairKey = tuple[str, str, str]  # question id, SHA-256 of the chosen and of the rejected text
_OWN_KEYS = frozenset({"chosen_sha256", "rejected_sha256", "action"})


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedPairReview:
    """A decision about a pair with its line in the file."""

    line: int
    review: PairReview

    @property
    def order(self) -> tuple[datetime, int, str]:
        """Sort key: of one person's decisions about a pair, the last one counts."""
        made = parse_time(self.review.when) or datetime.min.replace(tzinfo=UTC)
        return (made, self.line, self.review.id)


def key_of_pair(pair: Pair) -> PairKey:
    """What ties a decision to a pair."""
    return (
        pair.question_id or pair.id,
        text_sha256(pair.chosen[0].content),
        text_sha256(pair.rejected[0].content),
    )


def key_of_review(review: PairReview) -> PairKey:
    """The pair that a decision is about."""
    return (review.question_id, review.chosen_sha256, review.rejected_sha256)


def decide(pair: Pair, *, action: str, who: str, note: str = "", when: str = "") -> PairReview:
    """A person's decision about a pair, made now (or at `when`)."""
    question_id, chosen, rejected = key_of_pair(pair)
    return make_pair_review(
        question_id=question_id,
        chosen_id=pair.chosen_id,
        rejected_id=pair.rejected_id,
        chosen_sha256=chosen,
        rejected_sha256=rejected,
        action=action,
        who=who,
        when=when or now(),
        note=note,
    )


def now() -> str:
    """The time of a decision that is made now."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_pair_reviews(path: Path) -> list[LoggedPairReview]:
    """All decisions of a file, in its order; one that occurs twice counts once.

    Raises InputError with every fault of the file. A file without rows is not a fault.
    """
    found: dict[str, LoggedPairReview] = {}
    faults: list[Fault] = []
    for item in scan_rows(path, PairReview):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        first = found.setdefault(
            item.record.id, LoggedPairReview(line=item.line, review=item.record)
        )
        if first.review != item.record:
            message = (
                f"duplicate id {item.record.id!r}, first used on line {first.line} for another "
                "decision; ids must be unique in a file"
            )
            faults.append(Fault(path=str(path), line=item.line, message=message))
    if faults:
        raise InputError(faults)
    return list(found.values())


def read_all_pair_reviews(paths: Sequence[Path]) -> list[LoggedPairReview]:
    """The decisions of several files as one list; at equal times the later file counts."""
    found: dict[str, LoggedPairReview] = {}
    lines = 0
    for path in paths:
        entries = read_pair_reviews(path)
        for entry in entries:
            kept = LoggedPairReview(line=lines + entry.line, review=entry.review)
            if found.setdefault(entry.review.id, kept).review != entry.review:
                message = f"id {entry.review.id!r} is used in another file for another decision"
                raise InputError.of(path, message, line=entry.line)
        lines += max((entry.line for entry in entries), default=0)
    return list(found.values())


def append_pair_review(path: Path, review: PairReview) -> int:
    """Append one decision to the file `path`, which need not exist; on the disk when it returns.

    A last line that was cut off is moved to `NAME.cut-off` first. Returns the number of its bytes.
    Raises InputError where another process holds the file.
    """
    with locked(path):
        moved = move_cut_off_end(path)
        append_lines(path, [review.model_dump_json()])
    return moved


def last_decisions(entries: Iterable[LoggedPairReview]) -> dict[PairKey, dict[str, PairReview]]:
    """The decision of each person that counts, by pair and person."""
    found: defaultdict[PairKey, dict[str, PairReview]] = defaultdict(dict)
    for entry in sorted(entries, key=lambda item: item.order):
        of_pair = found[key_of_review(entry.review)]
        of_pair.pop(entry.review.who, None)  # so that the latest of all people comes last
        of_pair[entry.review.who] = entry.review
    return dict(found)


def drops_among(decisions: Mapping[str, PairReview]) -> list[PairReview]:
    """The drops of one pair that count, of `last_decisions`; empty: the pair stays."""
    return [review for review in decisions.values() if review.action == "drop"]


@dataclass(kw_only=True)
class PairDrops:
    """The drops that count, by question; `num_reviews` are all decisions, also `keep`."""

    num_reviews: int = 0
    by_question: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[LoggedPairReview]) -> PairDrops:
        """The drops of these decisions, in any order."""
        kept = list(entries)
        found = cls(num_reviews=len(kept))
        for (question_id, *texts), decisions in last_decisions(kept).items():
            if drops := drops_among(decisions):
                found.by_question.setdefault(question_id, {})[texts[0], texts[1]] = len(drops)
        return found

    def of_question(self, question_id: str) -> Mapping[tuple[str, str], int]:
        """How many people dropped each pair of a question, by the SHA-256 of its two texts."""
        return self.by_question.get(question_id, {})

    def __len__(self) -> int:
        return sum(sum(drops.values()) for drops in self.by_question.values())


def holds_pair_reviews(path: Path) -> bool:
    """Whether a file's first row that is an object is a decision about a pair."""
    for _, text in read_lines(path):
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict):
            return values.keys() >= _OWN_KEYS
    return False
