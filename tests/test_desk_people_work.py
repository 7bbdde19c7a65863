"""Who reads what, what each person has done, pace, agreement and resolutions, without pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from desk_people_support import annotation, decide, write
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from formats.reviews.log import Logged, append_reviews
from maskdpo.desk.people.agreement import measure_agreement, measure_judge
from maskdpo.desk.people.assignment import EVERYTHING, Assignment, share_of
from maskdpo.desk.people.pace import measure_pace
from maskdpo.desk.people.progress import Progress
from maskdpo.desk.people.resolving import Side, find_dispute, resolve_as
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.reviews import Review, make_review

GOOD, BAD = Label.NO_HALLUCINATION, Label.CONTRADICTORY
LABELS = st.sampled_from([label for label in Label if label is not Label.UNDETERMINED])
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(st.lists(st.text(min_size=1, max_size=5), unique=True, min_size=2), st.text(), st.integers())
def test_each_response_has_one_first_and_another_second_reader(
    names: list[str], response: str, seed: int
) -> None:
    found = Assignment(people=names, seed=seed)
    first, second = found.first_reader(response), found.second_reader(response)
    assert first in names and second in names and first != second
    backwards = Assignment(people=names[::-1], seed=seed)
    assert backwards.first_reader(response) == first
    share = share_of(seed, response)
    low, high = found.ranges(str(first)).first
    assert low <= share < high
    low, high = found.ranges(str(second)).second
    assert low <= share < high


def test_work_is_shared_evenly() -> None:
    found = Assignment(people=("Ann", "Ben", "Cho"))
    readers = [found.first_reader(f"r{number}") for number in range(3000)]
    assert all(900 < readers.count(who) < 1100 for who in found.people)


def test_without_people_everybody_reads_everything() -> None:
    assert Assignment().ranges("Ann") == EVERYTHING and Assignment().first_reader("r") is None
    listed = Assignment(people=("Ann", "Ben"))
    assert listed.ranges("Cho") == EVERYTHING and not listed.lists("Cho") and listed.lists("Ann")


def test_pace_leaves_out_breaks_and_imports() -> None:
    seconds = [0, 10, 20, 35, 335, 3000, 3010]
    times = [NOON + timedelta(seconds=one) for one in seconds]
    found = measure_pace(times, NOON + timedelta(seconds=3600))
    assert found.median_s == 10 and found.last_hour == 6
    assert found.seconds_left(30) == 300
    assert measure_pace(times[:3], NOON).seconds_left(30) is None
    assert measure_pace([NOON] * 50, NOON).median_s is None


def test_progress_follows_the_file(tmp_path: Path) -> None:
    first = decide("Ann", 0, GOOD)
    path = write(tmp_path, [first, decide("Ann", 1, None, action="skip")])
    progress = Progress(path)
    ann = progress.people()["Ann"]
    assert (ann.decided, ann.blind, ann.skipped) == (1, 1, 1)
    append_reviews(path, [
        decide("Ann", 0, BAD, minute=1, blind=False), decide("Ann", 1, BAD, minute=2),
        decide("Ben", 1, None, action="flag"),
    ])  # fmt: skip
    people = progress.people()
    assert (people["Ann"].decided, people["Ann"].blind, people["Ann"].skipped) == (2, 1, 0)
    assert people["Ben"].flagged == 1 and len(people["Ann"].times) == 2
    line = decide("Ann", 2, GOOD, minute=3).model_dump_json().encode() + b"\n"
    for part, num_decided in ((line[:40], 2), (line[40:], 3)):  # read while it is written
        with path.open("ab") as handle:
            handle.write(part)
        assert progress.people()["Ann"].decided == num_decided
    path.write_text(first.model_dump_json() + "\n", encoding="utf-8")
    assert progress.people()["Ann"].decided == 1 and "Ben" not in progress.people()


def test_a_withdrawn_review_counts_again_once_the_withdrawal_is_withdrawn(
    tmp_path: Path,
) -> None:
    one = decide("Ann", 0, GOOD)
    undo = decide("Ann", 0, None, action="withdraw", withdraws=one.id, minute=1)
    redo = decide("Ann", 0, None, action="withdraw", withdraws=undo.id, minute=2)
    path = tmp_path / "reviews.jsonl"
    progress, found = Progress(path), []
    for review in (one, undo, redo):
        with path.open("a", encoding="utf-8") as handle:
            handle.write(review.model_dump_json() + "\n")
        ann = progress.people()["Ann"]
        found.append((ann.decided, len(ann.times)))
    assert found == [(1, 1), (0, 0), (1, 1)]


def codes(table: Iterable[Mapping[str, Label | None]]) -> dict[str, npt.NDArray[np.int8]]:
    """By person, the number of each label; -1: none, -2: several."""
    rows, numbers = list(table), {None: -2} | {one: at for at, one in enumerate(Label)}
    return {
        who: np.array([numbers[row[who]] if who in row else -1 for row in rows], dtype=np.int8)
        for who in {who for row in rows for who in row}
    }


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1))
def test_kappa_and_judge_figures_are_those_of_scikit_learn(rows: list[tuple[Label, Label]]) -> None:
    found = measure_agreement(codes({"Ann": one, "Ben": two} for one, two in rows)).pairs[0]
    ones = [one in HALLUCINATED_LABELS for one, _ in rows]
    twos = [two in HALLUCINATED_LABELS for _, two in rows]
    if found.kappa is not None:
        assert found.kappa == pytest.approx(cohen_kappa_score(ones, twos))
    assert found.num_both == len(rows) and found.num_same == sum(a is b for a, b in rows)
    judged = measure_judge(Counter(rows))
    if judged.balanced_accuracy is not None:
        assert judged.balanced_accuracy == pytest.approx(balanced_accuracy_score(ones, twos))
    assert judged.num_same == sum(a == b for a, b in zip(ones, twos, strict=True))


def test_agreement_leaves_out_cannot_tell_and_sentences_of_one() -> None:
    table = [{"Ann": GOOD, "Ben": Label.UNDETERMINED}, {"Ann": GOOD}, {"Ann": GOOD, "Ben": None}]
    found = measure_agreement(codes(table))
    assert (found.num_sentences, found.alpha, found.pairs) == (0, None, ())
    judged = measure_judge(Counter([(GOOD, Label.UNDETERMINED), (Label.UNDETERMINED, GOOD)]))
    assert (judged.num_compared, judged.num_undetermined) == (0, 1)


def logged(reviews: list[Review]) -> list[Logged]:
    return [Logged(line=line, review=review) for line, review in enumerate(reviews, start=1)]


def test_a_resolution_as_one_side_keeps_its_words_and_evidence() -> None:
    one = annotation(0)
    place = one.sentences[0]
    words = [{"start": 17, "end": 21}]
    ben = decide("Ben", 0, BAD).model_dump(exclude={"id"})
    ben["spans"][0]["error_spans"] = words
    ben["evidence"] = [{"document_id": "d", "start": 0, "end": 4}]
    reviews = [decide("Ann", 0, GOOD), make_review(**ben)]
    dispute = find_dispute(one, logged(reviews), (place.start, place.end))
    assert dispute is not None
    choice = next(side for side in dispute.sides if side.who == "Ben")
    assert isinstance(choice, Side)
    made = resolve_as(dispute, one, choice, who="Cho", when="2026-01-02T00:00:00Z", blind=True)
    assert made.action == "label" and made.spans[0].error_spans[0].start == 17
    assert made.evidence[0].document_id == "d"
    assert set(made.resolves) == {review.id for review in reviews}
    assert find_dispute(one, logged([*reviews, made]), (place.start, place.end)) is None
    later = decide("Dan", 0, GOOD, minute=9)
    assert find_dispute(one, logged([*reviews, made, later]), (0, 22)) is not None
