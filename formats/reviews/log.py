"""The file of reviews: read, and appended to.

The rule: existing rows of the file are never changed, not by a byte. New reviews are appended in
one step, under a lock; a decision that the person has already made identically and did not
withdraw is not repeated, so that importing a sheet twice changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from formats.reviews.standing import standing
from schemas.errors import Fault, InputError
from schemas.files.appending import append_lines, cut_off_end
from schemas.files.jsonl import scan_rows
from schemas.files.sidecar import check_sidecar
from schemas.reviews import Review, again

LOCK_WAIT_S = 60.0
Order = tuple[int, datetime, int, str]  # round, time, line, id
_Sentence = tuple[str, str, int, int]  # response id, SHA-256 of the text, start, end


@dataclass(frozen=True, kw_only=True, slots=True)
class Logged:
    """A review with its line in the file: of two, the later line counts.

    offset    the byte at which the line begins; -1 where it is not known
    """

    line: int
    review: Review
    offset: int = field(default=-1, compare=False)

    @property
    def order(self) -> Order:
        """Sort key: of one person's decisions on a sentence, the last one counts."""
        return (self.review.round, time_of(self.review), self.line, self.review.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    """What `append_reviews` did.

    num_new          reviews written
    num_known        decisions that were already in the file, and were not repeated
    num_changed      of the new ones, those in which a person changes their earlier labels
    num_back         those that return to a label which the person had changed or withdrawn, and
                     which count now: a change of mind, or an old sheet that was imported again
    num_outdated     of the changed ones, those that are older than the decision that they would
                     change
    num_disagreeing  sentences of the new ones for which another person decided differently
    """

    num_new: int = 0
    num_known: int = 0
    num_changed: int = 0
    num_back: int = 0
    num_outdated: int = 0
    num_disagreeing: int = 0


def read_reviews(path: Path) -> list[Logged]:
    """All reviews of a file, in its order; a review that occurs twice counts once.

    Raises InputError with every fault of the file. A file without rows is not a fault.
    """
    check_sidecar(path, Review.__name__)
    found: dict[str, Logged] = {}
    faults: list[Fault] = []
    for item in scan_rows(path, Review):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        first = found.setdefault(item.record.id, Logged(line=item.line, review=item.record))
        if first.review != item.record:
            message = duplicate_id(first.review.id, first.line)
            faults.append(Fault(path=str(path), line=item.line, message=message))
    if faults:
        raise InputError(faults)
    return list(found.values())


def append_reviews(path: Path, reviews: Sequence[Review]) -> Appended:
    """Append `reviews`, in their order, to the file `path`, which need not exist.

    Raises InputError, with nothing written, when the file holds rows that are not valid reviews,
    ends in the middle of a row, or stays locked by another process.
    """
    with locked(path):
        present = read_reviews(path) if path.exists() else []
        _refuse_torn_end(path)
        fresh, result = compare(present, reviews)
        if fresh:
            append_lines(path, [review.model_dump_json() for review in fresh])
    return result


def compare(present: Sequence[Logged], reviews: Iterable[Review]) -> tuple[list[Review], Appended]:
    """Those of `reviews` that are new decisions, and the counts of all."""
    latest: defaultdict[_Sentence, dict[str, Logged]] = defaultdict(dict)
    labels: defaultdict[tuple[_Sentence, str], list[object]] = defaultdict(list)
    for entry in sorted(present, key=lambda item: item.order):
        labels[_sentence(entry.review), entry.review.who].append(_labels(entry.review))
    for entry in sorted(standing(present), key=lambda item: item.order):
        latest[_sentence(entry.review)][entry.review.who] = entry
    ids = {entry.review.id for entry in present}
    count = {entry.review.id for entry in standing(present)}
    line = max((entry.line for entry in present), default=0)
    fresh: list[Review] = []
    num_known = num_changed = num_back = num_outdated = 0
    disagreeing: set[_Sentence] = set()
    for review in reviews:
        place = _sentence(review)
        of_sentence = latest[place]
        mine = of_sentence.get(review.who)
        if review.id in count or (mine is not None and _decision(mine.review) == _decision(review)):
            num_known += 1
            continue
        line += 1
        entry = Logged(line=line, review=again(review, ids))
        num_changed += mine is not None and _labels(mine.review) != _labels(review)
        others = (item.review for who, item in of_sentence.items() if who != review.who)
        if any(_labels(other) and _labels(other) != _labels(review) for other in others):
            disagreeing.add(place)
        if mine is None or mine.order < entry.order:
            of_sentence[review.who] = entry
            if mine is None or _labels(mine.review) != _labels(review):
                num_back += _labels(review) in labels[place, review.who]
        else:
            num_outdated += 1
        ids.add(entry.review.id)
        count.add(entry.review.id)
        fresh.append(entry.review)
    return fresh, Appended(
        num_new=len(fresh),
        num_known=num_known,
        num_changed=num_changed,
        num_back=num_back,
        num_outdated=num_outdated,
        num_disagreeing=len(disagreeing),
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file of reviews; raises InputError when another process holds it."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_WAIT_S)
    try:
        with lock:
            yield
    except Timeout:
        message = f"is being written by another process for {LOCK_WAIT_S:g} s; run this again later"
        raise InputError.of(path, message) from None


def duplicate_id(name: str, line: int) -> str:
    """The message on an id that two decisions have."""
    return (
        f"duplicate id {name!r}, first used on line {line} for another decision; ids must be "
        "unique in a file"
    )


def parse_time(when: str) -> datetime | None:
    """An ISO 8601 time; without a zone it is read as UTC. None when it is not a valid time."""
    try:
        parsed = datetime.fromisoformat(when)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def time_of(review: Review) -> datetime:
    """When a review was made; the earliest possible time where it has none."""
    return parse_time(review.when) or datetime.min.replace(tzinfo=UTC)


def _refuse_torn_end(path: Path) -> None:
    """Raise InputError where the last line is incomplete: it would become a bad row."""
    if cut_off_end(path):
        with path.open("rb") as handle:
            last = sum(1 for _ in handle)
        message = (
            "the last line is cut off; remove it or complete it, and run this again. Nothing was "
            "written"
        )
        raise InputError([Fault(path=str(path), line=last, message=message)])


def _sentence(review: Review) -> _Sentence:
    return (review.response_id, review.text_sha256, review.start, review.end)


def _decision(review: Review) -> dict[str, object]:
    """What a person decided, without id and time."""
    return review.model_dump(exclude={"id", "when"})


def _labels(review: Review) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label) for span in review.spans]
