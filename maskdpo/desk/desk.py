"""The desk: its sources, each with its index and its file of reviews.

The rule: a decision is in the file of reviews, on the disk, before anything else knows of it; the
index follows the file, never the other way round. What others append (another desk, an import) is
taken over at the next request.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from formats.reviews import REVIEW_FILES
from formats.reviews.journal import Journal, News, Written
from formats.reviews.log import Logged, read_reviews
from formats.reviews.standing import standing
from maskdpo.desk.index.files import FOLDER, choose_folder
from maskdpo.desk.index.index import Index
from maskdpo.desk.index.marks import mark_of
from maskdpo.desk.model import Row
from maskdpo.desk.people.assignment import Assignment
from maskdpo.desk.people.work import Work
from maskdpo.desk.shown import NAME as SHOWN_NAME
from maskdpo.desk.shown import Shown
from maskdpo.desk.sources import SourceFiles, find_sources
from schemas.errors import InputError
from schemas.events import OnEvent, ignore
from schemas.reviews import Review
from schemas.text.counted import count_of

if TYPE_CHECKING:
    from maskdpo.desk.config import ReviewConfig

_AT_ONCE = 8
_BEFORE_ALL = 10**9  # lines of former files come before those of the present one
_LOOKED_AT = 800  # last reviews of a person in which an undo looks for one that counts


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A review that is in the file. `is_known`: it was there already."""

    entry: Logged
    is_known: bool
    message: str = ""


class OpenSource:
    """A file of annotations with its index and its reviews; thread-safe."""

    def __init__(
        self,
        files: SourceFiles,
        *,
        assignment: Assignment,
        on_event: OnEvent = ignore,
    ) -> None:
        self.files = files
        self.notes: list[str] = list(files.notes)
        self.lock = RLock()
        self._index: Index | None = None
        self._journal: Journal | None = None
        self._assignment = assignment
        self._temporary: Path | None = None
        self._is_behind = False  # the index lacks reviews that are in the file
        if files.kind == "annotations":
            self._folder = self._find_folder()
            self._shown = Shown(self._folder / SHOWN_NAME.format(files.path.name))
            self._open(on_event)

    def _find_folder(self) -> Path:
        """Where the index is kept: next to the annotations, if that folder can be written."""
        folder, is_temporary = choose_folder(self.files.path)
        if is_temporary:
            self._temporary = folder
            self.notes.append(
                f"{self.files.path.parent / FOLDER} cannot be written: the index is in {folder} "
                "until the desk is closed"
            )
        return folder

    def _open(self, on_event: OnEvent = ignore) -> None:
        """Open index and reviews. Requests under way keep the index that they have."""
        assignment = self._assignment
        self._mark = mark_of(self.files.path, self.files.documents)
        index = Index.open(
            self.files.path, self.files.documents, folder=self._folder, on_event=on_event
        )
        index.share, index.seed = assignment.second_share, assignment.seed
        journal = Journal(self.files.reviews)
        if self.files.reviews.exists() and (message := journal.mend()):
            self.notes.append(message)
        known = index.known_lines()  # before the file, which others may append to meanwhile
        news = journal.read_new()
        rows = [*self._former_reviews(), *news.rows]
        in_file = {entry.line: entry.review.id for entry in rows}
        if any(in_file.get(line) != name for line, name in known.items()):
            index.forget_reviews()
            known = {}
        index.add_reviews([one for one in rows if one.line not in known], on_event)
        self._note_faults(news)
        self._note_files(index)
        self._index, self._work, self._journal = index, Work(index, assignment), journal
        self._is_behind = False

    def _former_reviews(self) -> list[Logged]:
        """Reviews in files of earlier versions, which `build` uses too; before all others."""
        places = (self.files.reviews.with_name(name) for name in REVIEW_FILES)
        return [
            replace(entry, line=entry.line - _BEFORE_ALL)
            for path in places
            if path != self.files.reviews and path.is_file()
            for entry in read_reviews(path)
        ]

    def _has_changed(self) -> bool:
        """Whether the index is gone, or not that of the annotations and documents any more."""
        try:
            mark = mark_of(self.files.path, self.files.documents)
            return mark != self._mark or not self.index.is_there
        except OSError as error:
            message = f"cannot be read any more ({error.strerror}); put it back, then load again"
            raise InputError.of(self.files.path, message) from None

    @property
    def index(self) -> Index:
        """The index of the annotations."""
        assert self._index is not None, "pairs have no index of sentences"
        return self._index

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to review in it; of pairs this is not known here."""
        return self._index is not None and not self._index.columns.size

    @property
    def work(self) -> Work:
        """Who reads what."""
        assert self._index is not None, "pairs are not assigned"
        return self._work

    def refresh(self) -> None:
        """Take over what others appended to the reviews, and annotations that were written again.

        A page of the annotations before the change is refused when it is sent: its text's hash,
        or its place, does not fit any more.
        """
        if self._journal is None:
            return
        with self.lock:
            if self._is_behind or self._has_changed():
                self._open()
            self._take(self._journal.read_new())

    def record(self, review: Review) -> Recorded:
        """Append a review; returns when it is on the disk and the lists know of it.

        Raises InputError where it cannot be written; nothing of it is then in the file.
        """
        assert self._journal is not None, "pairs have no reviews of sentences"
        with self.lock:
            written = self._append(self._journal, review)
            self._take(written.news)
            if written.message:
                self.notes.append(written.message)
            if not written.is_known:
                self._follow([written.entry])
            return Recorded(entry=written.entry, is_known=written.is_known, message=written.message)

    def _append(self, journal: Journal, review: Review) -> Written:
        try:
            return journal.append(review)
        except OSError as error:
            message = f"the decision cannot be written ({error.strerror}), so it is not saved"
            raise InputError.of(self.files.reviews, message) from None

    def _take(self, news: News) -> None:
        if news.is_replaced:
            self._open()
            return
        if news.rows:
            self._follow(news.rows)
        self._note_faults(news)

    def _follow(self, entries: Sequence[Logged]) -> None:
        """Add what is in the file to the index; if that fails, the next request compares both."""
        try:
            self.index.add_reviews(entries)
        except BaseException:
            self._is_behind = True
            raise

    def note_shown(self, who: str, responses: Iterable[int]) -> None:
        """Keep that a person was shown the judge's labels of these responses before deciding."""
        self._shown.add(who, [self.index.id_of(one) for one in responses])

    def was_shown(self, who: str, response: int) -> bool:
        """Whether the person was shown the judge's labels of a response."""
        return self._shown.has(who, self.index.id_of(response))

    def _note_files(self, index: Index) -> None:
        """Notes on rows that are left out, and on documents that were not found."""
        counts = index.counts()
        if counts.num_faults:
            first = "; ".join(counts.faults[:3])
            self.notes.append(
                f"{count_of(counts.num_faults, 'row')} of {self.files.path} cannot be read and "
                f"will not be shown: {first}"
            )
        if self.files.documents is None:
            self.notes.append(
                f"no documents.jsonl was found next to {self.files.path}, so responses are shown "
                "without documents; name the file with --set run.documents=FILE"
            )

    def _note_faults(self, news: News) -> None:
        if news.faults:
            lines = len({fault.line for fault in news.faults})
            self.notes.append(
                f"{count_of(lines, 'row')} of {self.files.reviews} cannot be read as reviews; they "
                "stay, and maskdpo build refuses the file until they are corrected or removed: "
                + "; ".join(str(fault) for fault in news.faults[:3])
            )

    def entries(self, response: int) -> list[Logged]:
        """All reviews of a response and its copies, withdrawn ones included."""
        return self.index.entries(response)

    def last_review(self, who: str) -> Review | None:
        """The last review of a person that counts; None where there is none."""
        before = None
        for _ in range(_LOOKED_AT // _AT_ONCE):
            last = self.index.reviews_of(who, _AT_ONCE, before=before)
            for entry in last:
                if entry.review.action != "withdraw" and self.counts(entry.review):
                    return entry.review
            if len(last) < _AT_ONCE:
                return None
            before = last[-1].line
        return None

    def find_review(self, name: str) -> Review | None:
        """The review with this id; None where there is none."""
        return self.index.review(name)

    def counts(self, review: Review) -> bool:
        """Whether a review is in the file of annotations and was not withdrawn."""
        response = self.index.response_of(review.response_id)
        if response is None:
            return False
        return any(one.review.id == review.id for one in standing(self.entries(response)))

    def row_of(self, review: Review) -> Row | None:
        """The first sentence of the place of a review; None where it is not in the file."""
        response = self.index.response_of(review.response_id)
        if response is None:
            return None
        rows = self.index.rows_of(response)
        return next((row for row in rows if review.start < row.end), None)

    def progress(self, who: str) -> tuple[int, int]:
        """How many sentences a person has decided of those that are theirs, and how many these
        are; without people in the settings, of all."""
        columns, mine = self.index.columns, self.work.mine(who)
        decided = columns.of(who).decided
        if mine is None:
            return int(decided.sum()), columns.size
        return int((decided & mine).sum()), int(mine.sum())

    def people(self) -> list[str]:
        """Who made reviews."""
        return [] if self._index is None else self._index.people()

    def close(self) -> None:
        """Close the index."""
        if self._index is not None:
            self._index.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


class Desk:
    """All sources of one desk, by key."""

    def __init__(
        self,
        sources: Sequence[SourceFiles],
        *,
        people: Sequence[str] = (),
        share: float = 0.0,
        seed: int = 0,
        on_event: OnEvent = ignore,
    ) -> None:
        assignment = Assignment(people=people, second_share=share, seed=seed)
        self.sources: Mapping[str, OpenSource] = {
            files.key: OpenSource(files, assignment=assignment, on_event=on_event)
            for files in sources
        }

    @property
    def notes(self) -> list[str]:
        """Notes for the user on all sources."""
        return [note for source in self.sources.values() for note in source.notes]

    def close(self) -> None:
        """Close all files."""
        for source in self.sources.values():
            source.close()


def open_desk(
    given: Path,
    settings: ReviewConfig,
    *,
    documents: Path | None = None,
    on_event: OnEvent = ignore,
) -> Desk:
    """The desk of what is under a path. Raises InputError where there is nothing to review.

    documents   for all sources; None: those next to each, or of its run
    """
    desk = Desk(
        find_sources(given, documents=documents),
        people=settings.people,
        share=settings.second_share,
        seed=settings.seed,
        on_event=on_event,
    )
    if all(source.is_empty for source in desk.sources.values()):
        desk.close()
        raise InputError.of(given, "; ".join(["has no response that can be reviewed", *desk.notes]))
    return desk
