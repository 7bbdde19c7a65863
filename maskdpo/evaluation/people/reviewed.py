"""People's labels of the evaluated answers, from files of reviews or annotations.

The rule: nothing that people did disappears. A review counts for every evaluated answer with the
text that was reviewed (`text_sha256`) to the same question; one that counts for none, or cannot be
applied, is listed with its file, its line and the reason.

reviews       as the review desk writes them; they replace the judge's verdicts as in a build
              (formats/reviews/apply.py). Where people disagree, the place is undetermined
annotations   labels that people gave to whole answers, as `maskdpo import` writes them; the
              sentences need not be those of the judge. Reviews of such an answer replace them

An answer is reviewed if people decided all of it: every sentence has a person's label, also those
that the judge called undetermined or without a fact. "Undetermined", given by a person, is such a
label; a conflict between people, an undecided rest of a sentence, and a sentence that nobody looked
at are not. Any other answer with a label is partly reviewed: it is counted, and its labels are not
used, because the sentences that people chose to label are not a random sample.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from formats.reviews.apply import apply_reviews
from formats.reviews.decisions import CANNOT_TELL
from formats.reviews.log import Logged, read_reviews
from schemas.files.jsonl import read_lines, read_rows
from schemas.labels import Label
from schemas.records import Annotation, Sentence
from schemas.reviews import text_sha256
from schemas.scores import ResponseScore, score_labels

_KEY_OF_REVIEWS = "text_sha256"
_Text = tuple[str, str]  # id of the question, text of the answer

NOT_EVALUATED, OTHER_TEXT, NOT_A_PERSON = "not_evaluated", "other_text", "not_a_person"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unused:
    """A review (or an annotation of people) that counts for no evaluated answer."""

    path: Path
    line: int
    response_id: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PeopleLabels:
    """What people decided.

    scores       people's counts of each reviewed answer, by model and place among its answers
    partly       the answers of each model with labels for some of their sentences only
    conflicts    places where people disagree, over all models
    """

    scores: Mapping[str, Mapping[int, ResponseScore]]
    partly: Mapping[str, Sequence[int]]
    num_conflicts: int = 0
    unused: Sequence[Unused] = ()


@dataclass(kw_only=True)
class _Found:
    """What the files hold about the evaluated texts."""

    reviews: dict[_Text, list[Logged]] = field(default_factory=lambda: defaultdict(list))
    labelled: dict[_Text, Annotation] = field(default_factory=dict)
    places: dict[str, tuple[Path, int]] = field(default_factory=dict)  # by id of the review
    unused: dict[tuple[Path, int], Unused] = field(default_factory=dict)

    def leave(self, path: Path, line: int, response_id: str, reason: str, message: str) -> None:
        """List a row that counts for no answer, once."""
        item = Unused(path=path, line=line, response_id=response_id, reason=reason, message=message)
        self.unused.setdefault((path, line), item)


def check_people_files(paths: Sequence[Path]) -> None:
    """Raise InputError with every fault of files of people's labels: before anything is spent."""
    for path in paths:
        if _holds_reviews(path):
            read_reviews(path)
        else:
            read_rows(path, Annotation)


def read_people(paths: Sequence[Path], answers: Mapping[str, Sequence[Annotation]]) -> PeopleLabels:
    """The labels in `paths` of the evaluated answers, which are by model.

    Raises InputError with every fault of the files.
    """
    texts = _index(answers)
    found = _Found()
    for path in paths:
        if _holds_reviews(path):
            _collect_reviews(path, texts, found)
        else:
            _collect_annotations(path, texts, found)
    scores: dict[str, dict[int, ResponseScore]] = {}
    partly: dict[str, list[int]] = {}
    contested: set[tuple[_Text, int, int]] = set()
    for name, rows in answers.items():
        by_people, conflicts = _apply_labels(rows, found)
        contested |= conflicts
        scores[name] = {
            place: score_labels(item.verdict.label for item in sentences)
            for place, sentences in by_people.items()
            if all(map(_is_decided, sentences))
        }
        partly[name] = [place for place in by_people if place not in scores[name]]
    return PeopleLabels(
        scores=scores, partly=partly, num_conflicts=len(contested), unused=_in_order(found, paths)
    )


def _holds_reviews(path: Path) -> bool:
    """Whether the first row is a review; what is wrong with it is reported by its reader."""
    for _, line in read_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return True
        return not isinstance(row, dict) or _KEY_OF_REVIEWS in row or "sentences" not in row
    return True


def _index(answers: Mapping[str, Sequence[Annotation]]) -> dict[str, dict[str, set[_Text]]]:
    """By response id and SHA-256 of the text: the questions and texts. Models share ids."""
    found: defaultdict[str, dict[str, set[_Text]]] = defaultdict(dict)
    for row in (row for rows in answers.values() for row in rows):
        of_id = found[row.id].setdefault(text_sha256(row.text), set())
        of_id.add((row.question_id, row.text))
    return found


def _collect_reviews(
    path: Path, texts: Mapping[str, Mapping[str, set[_Text]]], found: _Found
) -> None:
    for entry in read_reviews(path):
        review = entry.review
        about = texts.get(review.response_id, {}).get(review.text_sha256, ())
        if not about:
            found.leave(path, entry.line, review.response_id, *_why(review.response_id, texts))
            continue
        found.places[review.id] = (path, entry.line)
        for text in about:
            found.reviews[text].append(entry)


def _collect_annotations(
    path: Path, texts: Mapping[str, Mapping[str, set[_Text]]], found: _Found
) -> None:
    for row in read_rows(path, Annotation):
        record = row.record
        about = texts.get(record.id, {}).get(text_sha256(record.text), ())
        if not about:
            found.leave(path, row.line, record.id, *_why(record.id, texts))
        elif not any(item.verdict.source == "person" for item in record.sentences):
            message = "no sentence has a verdict of a person (source 'person')"
            found.leave(path, row.line, record.id, NOT_A_PERSON, message)
        else:
            found.labelled.update(dict.fromkeys(about, record))


def _why(name: str, texts: Mapping[str, Mapping[str, set[_Text]]]) -> tuple[str, str]:
    """(reason, sentence) for a row about no evaluated answer."""
    if name in texts:
        return (
            OTHER_TEXT,
            f"no evaluated answer {name!r} has the text that was reviewed (text_sha256)",
        )
    return NOT_EVALUATED, f"response {name!r} is not among the evaluated answers"


def _apply_labels(
    rows: Sequence[Annotation], found: _Found
) -> tuple[dict[int, Sequence[Sentence]], set[tuple[_Text, int, int]]]:
    """The sentences that a person labelled in the answers of one model, by place, and conflicts."""
    by_people: dict[int, Sequence[Sentence]] = {}
    conflicts: set[tuple[_Text, int, int]] = set()
    first: dict[_Text, int] = {}
    for place, row in enumerate(rows):
        text = (row.question_id, row.text)
        if text in first:  # the same answer once more, with the same reviews
            if first[text] in by_people:
                by_people[place] = by_people[first[text]]
            continue
        first[text] = place
        labelled = found.labelled.get(text)
        base = row if labelled is None else row.model_copy(update=_labels_of(labelled))
        entries = [_about(entry, row.id) for entry in found.reviews.get(text, ())]
        reviewed = apply_reviews([base], {row.id: entries})
        conflicts |= {(text, item.start, item.end) for item in reviewed.conflicts}
        for failure in reviewed.refused:
            _refuse(failure.reason, failure.detail, entries, found)
        if labelled is not None or reviewed.replaced.get(row.id):
            by_people[place] = reviewed.rows[0].sentences
    return by_people, conflicts


def _labels_of(labelled: Annotation) -> dict[str, Sequence[Sentence]]:
    return {"sentences": labelled.sentences}


def _about(entry: Logged, response_id: str) -> Logged:
    """The same review, of an equal answer with another id."""
    if entry.review.response_id == response_id:
        return entry
    return replace(entry, review=entry.review.model_copy(update={"response_id": response_id}))


def _refuse(reason: str, detail: str, entries: Iterable[Logged], found: _Found) -> None:
    """List a review that could not be applied; `detail` names it (formats/reviews/decisions.py)."""
    for entry in entries:
        if detail.startswith(f"review {entry.review.id} "):
            path, line = found.places[entry.review.id]
            found.leave(path, line, entry.review.response_id, reason, detail)


def _is_decided(sentence: Sentence) -> bool:
    verdict = sentence.verdict
    if verdict.source != "person":
        return False
    return verdict.label is not Label.UNDETERMINED or verdict.reason == CANNOT_TELL


def _in_order(found: _Found, paths: Sequence[Path]) -> list[Unused]:
    rank = {path: place for place, path in enumerate(paths)}
    return sorted(found.unused.values(), key=lambda item: (rank[item.path], item.line))
