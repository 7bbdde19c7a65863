"""The file of reviews: appended to, never written again, and read whatever version wrote it."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from build_rows import questions, write_annotations

from formats.reviews import log
from formats.reviews.log import append_reviews, read_reviews
from maskdpo.cli.main import main
from schemas.errors import InputError
from schemas.labels import Label
from schemas.reviews import Review, ReviewSpan, make_review

DIGEST = "a" * 64


def review(label: Label = Label.NO_FACT, *, start: int = 0, **changes: Any) -> Review:
    values: dict[str, Any] = {
        "response_id": "r1",
        "text_sha256": DIGEST,
        "start": start,
        "end": start + 5,
        "spans": [ReviewSpan(start=start, end=start + 5, label=label)],
        "who": "Li",
        "when": "2026-03-01T10:00:00Z",
    }
    return make_review(**(values | changes))


def test_reviews_are_appended_and_what_was_there_stays_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "run" / "reviews.jsonl"
    first = append_reviews(path, [review(), review(start=5)])
    before = path.read_bytes()
    second = append_reviews(path, [review(who="Bo"), review(Label.HALLUCINATED, who="Bo", start=5)])
    assert path.read_bytes().startswith(before)
    assert [entry.review.who for entry in read_reviews(path)] == ["Li", "Li", "Bo", "Bo"]
    assert (first.num_new, first.num_disagreeing) == (2, 0)
    assert (second.num_new, second.num_changed, second.num_disagreeing) == (2, 0, 1)


def test_the_same_decision_is_written_once_whenever_it_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    append_reviews(path, [review()])
    again = append_reviews(path, [review(when="2026-05-05"), review(when="2026-05-06")])
    assert (again.num_new, again.num_known) == (0, 2)
    changed = append_reviews(path, [review(Label.HALLUCINATED, when="2026-05-05")])
    assert (changed.num_new, changed.num_changed) == (1, 1)
    back = append_reviews(path, [review(when="2026-06-01")])  # and back to the first label
    assert (back.num_new, back.num_changed) == (1, 1)
    assert len(read_reviews(path)) == 3
    wrong = [review(Label.HALLUCINATED, when=f"2026-07-0{day}") for day in (1, 2)]
    once = append_reviews(path, wrong)  # within one import as well
    assert (once.num_new, once.num_known) == (1, 1)
    assert len(read_reviews(path)) == 4


def test_a_last_line_without_its_newline_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text(review().model_dump_json(), encoding="utf-8")
    append_reviews(path, [review(start=5)])
    assert len(read_reviews(path)) == 2


@pytest.mark.filterwarnings("ignore::schemas.files.jsonl.TornTailWarning")
@pytest.mark.parametrize("tail", ['{"id": "x", "resp', '{"id": "x"}\n', "no json\n"])
def test_a_damaged_file_is_named_and_not_touched(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text(review().model_dump_json() + "\n" + tail, encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"reviews\.jsonl:2: "):
        append_reviews(path, [review(start=5)])
    assert path.read_bytes() == before


def test_one_id_for_two_decisions_is_a_fault_and_a_row_given_twice_is_one(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    row = review().model_dump_json()
    path.write_text(f"{row}\n{row}\n", encoding="utf-8")
    assert len(read_reviews(path)) == 1
    other = review().model_copy(update={"who": "Bo"}).model_dump_json()
    path.write_text(f"{row}\n{other}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r":2: duplicate id .*first used on line 1"):
        read_reviews(path)


def test_imports_at_one_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    threads = [
        threading.Thread(target=append_reviews, args=(path, [review(who=f"p{number}")]))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.review.who for entry in read_reviews(path)} == {f"p{n}" for n in range(8)}


def test_a_file_that_another_process_keeps_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LOCK_WAIT_S", 0.05)
    path = tmp_path / "reviews.jsonl"
    failed: list[str] = []

    def other() -> None:
        try:
            append_reviews(path, [review()])
        except InputError as error:
            failed.append(str(error))

    with log.locked(path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "is being written by another process" in failed[0] and not path.exists()


def former(**changes: Any) -> dict[str, Any]:
    """A row as earlier versions wrote it."""
    values = {
        "response_id": "r1",
        "text_sha256": DIGEST,
        "start": 0,
        "end": 5,
        "spans": [{"start": 0, "end": 5, "label": "hallucinated"}],
        "who": "Li",
        "when": "2026-03-01",
    }
    return values | changes


def test_corrections_of_earlier_versions_are_read_as_reviews(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    split = former(spans=[{"start": 0, "end": 3, "label": "no_fact"}])
    rows = [former(note="n"), split, former(spans=[])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    meta = {"format": "maskdpo.correction", "version": "1.0"}
    path.with_name("corrections.jsonl.meta.json").write_text(json.dumps(meta), encoding="utf-8")
    found = [entry.review for entry in read_reviews(path)]
    assert [row.action for row in found] == ["label", "split", "split"]
    assert len({row.id for row in found}) == 3
    assert found[0].note == "n" and found[0].round == 1 and not found[0].blind
    for row in found:  # written anew they keep their ids
        assert Review.model_validate_json(row.model_dump_json()) == row
    assert append_reviews(path, [found[0]]).num_known == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": "skip"}, "'skip' decides nothing, so 'spans' must be empty"),
        ({"action": "label", "spans": []}, "needs its label in 'spans'"),
        ({"action": "maybe"}, "'action' is 'maybe'"),
        ({"round": 0}, "'round' is 0"),
    ],
)
def test_a_review_that_contradicts_itself_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "reviews.jsonl"
    row = json.loads(review().model_dump_json()) | changes
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_reviews(path)


def test_offsets_that_no_text_has_are_read_and_left_to_the_build(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    row = json.loads(review().model_dump_json())
    row["end"] = row["spans"][0]["end"] = 10**15  # as many characters fit no memory
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (entry,) = read_reviews(path)
    assert entry.review.end == 10**15


def test_error_spans_are_kept_and_must_be_in_their_span(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    row = json.loads(review(start=3).model_dump_json())
    for places in ([(3, 5)], [(6, 8), (3, 5)], [(3, 8), (4, 6), (4, 6)]):
        row["spans"][0]["error_spans"] = [{"start": a, "end": b} for a, b in places]
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        (entry,) = read_reviews(path)
        assert [(item.start, item.end) for item in entry.review.spans[0].error_spans] == places
    for wrong, message in (
        ((0, 2), r"error span \[0, 2\) is outside its span \[3, 8\)"),
        ((4, 9), r"error span \[4, 9\) is outside its span \[3, 8\)"),
        ((5, 5), r"error span \[5, 5\) is empty"),
    ):
        row["spans"][0]["error_spans"] = [{"start": a, "end": b} for a, b in ((3, 5), wrong)]
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_reviews(path)


def run(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["maskdpo", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_build_takes_the_reviews_next_to_the_annotations_by_itself_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from schemas.reviews import text_sha256

    folder = tmp_path / "run"
    rows = questions(3)
    write_annotations(folder / "annotations.jsonl", rows)
    text = rows[0]["text"]
    span = ReviewSpan(start=0, end=len(text), label=Label.HALLUCINATED)
    found = [
        review(
            response_id=rows[0]["id"],
            text_sha256=text_sha256(text),
            end=len(text),
            spans=[span.model_copy(update={"label": label})],
            who=who,
        )
        for who, label in (("Dr Li", Label.HALLUCINATED), ("Dr Bo", Label.NO_FACT))
    ]
    append_reviews(folder / "reviews.jsonl", found)
    fixed = ("--set", f"run.dir={folder}", "--set", "build.test_share=0", "--no-plots")
    assert run("build", *fixed, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr()
    assert f"the reviews in {folder / 'reviews.jsonl'} are used" in shown.err
    assert "people disagree on 1 place (build.conflicts=skip)" in shown.err + shown.out
    conflicts = (folder / "dataset.conflicts.jsonl").read_text(encoding="utf-8")
    assert "Dr Li" in conflicts and "Dr Bo" in conflicts
    for path in (folder / "dataset").rglob("*"):
        assert path.is_dir() or b"Dr " not in path.read_bytes()
    assert run("build", *fixed, "--no-reviews", monkeypatch=monkeypatch) == 0
    assert "is not used (--no-reviews)" in capsys.readouterr().err
    assert not (folder / "dataset.conflicts.jsonl").exists()
    names = ("--set", "build.publish_names=true", "--set", "build.conflicts=latest")
    assert run("build", *fixed, *names, monkeypatch=monkeypatch) == 0
    assert "gives the names of 2 people" in "".join(capsys.readouterr())


def test_reviews_of_the_run_are_used_where_they_are_of_these_responses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from formats.reviews.decisions import text_sha256

    run_dir = tmp_path / "run"
    append_reviews(run_dir / "reviews.jsonl", [review()])
    rows = questions(2)
    given = write_annotations(tmp_path / "other" / "annotations.jsonl", rows)
    arguments = ("build", "--annotations", given, "--output", tmp_path / "out", "--no-plots")
    settings = ("--set", f"run.dir={run_dir}", "--set", "build.test_share=0")
    assert run(*arguments, *settings, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().err
    assert f"{run_dir / 'reviews.jsonl'} is not used: it has no review of these responses" in shown
    text = rows[0]["text"]
    span = ReviewSpan(start=0, end=len(text), label=Label.NO_FACT)
    place = {"response_id": rows[0]["id"], "text_sha256": text_sha256(text), "end": len(text)}
    append_reviews(run_dir / "reviews.jsonl", [review(**place, spans=[span])])
    lenient = ("--set", "build.max_failed=1")
    assert run(*arguments, *settings, *lenient, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr()
    assert f"the reviews in {run_dir / 'reviews.jsonl'} are used" in shown.err
    assert "reviews_applied 1, reviews_refused 1" in shown.out
