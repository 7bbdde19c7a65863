"""The journal of reviews: nothing that was acknowledged is lost, with several writers and kills."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from formats.reviews.journal import Journal
from formats.reviews.log import append_reviews, read_reviews
from schemas.errors import InputError
from schemas.files.appending import append_lines, cut_off_path
from schemas.files.sidecar import sidecar_path
from schemas.labels import Label
from schemas.reviews import Review, ReviewSpan, make_review

WRITER = """
import sys
from pathlib import Path
from formats.reviews.journal import Journal
from schemas.reviews import make_review

journal = Journal(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    review = make_review(
        response_id=f"r{number}", text_sha256="a" * 64, start=0, end=1, action="skip",
        who=sys.argv[2], when="2026-03-01", note="n" * (number % 700),
    )
    print(journal.append(review).entry.review.id, flush=True)
"""


def review(who: str = "Li", start: int = 0, **changes: Any) -> Review:
    span = ReviewSpan(start=start, end=start + 5, label=Label.NO_FACT)
    values = {
        "response_id": "r1",
        "text_sha256": "a" * 64,
        "start": start,
        "end": start + 5,
        "spans": [span],
        "who": who,
        "when": "2026-03-01T10:00:00Z",
    }
    return make_review(**(values | changes))


def withdraw(target: Review) -> Review:
    return review(target.who, target.start, action="withdraw", spans=[], withdraws=target.id)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "reviews.jsonl"


def writer(path: Path, who: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), who, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )


def test_rows_of_others_are_read_once_and_with_their_place(path: Path) -> None:
    mine, other = Journal(path), Journal(path)
    assert mine.read_new().rows == ()
    first = mine.append(review(note="日本 👩‍⚕️\u2028x"))
    assert [item.review for item in other.read_new().rows] == [first.entry.review]
    assert mine.read_new().rows == []
    second = other.append(review("Bo"))
    third = mine.append(review("Cy"))
    assert [item.review.who for item in third.news.rows] == ["Bo"]
    assert not mine.read_new().rows
    entries = [first.entry, second.entry, third.entry]
    assert [item.line for item in entries] == [1, 2, 3]
    data = path.read_bytes()
    for item in entries:
        line = data[item.offset :].split(b"\n", 1)[0]
        assert Review.model_validate_json(line) == item.review
    assert read_reviews(path) == entries
    meta = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
    assert (meta["format"], meta["version"]) == ("maskdpo.review", "1.2")


def test_a_decision_is_written_once_and_again_after_it_was_withdrawn(path: Path) -> None:
    journal = Journal(path)
    first = journal.append(review())
    again = journal.append(review())
    assert again.is_known and again.entry == first.entry
    journal.append(withdraw(first.entry.review))
    back = journal.append(review())  # at the same time, so with the same content
    assert not back.is_known and back.entry.review.id != first.entry.review.id
    assert not journal.append(withdraw(back.entry.review)).is_known
    assert len(read_reviews(path)) == 4


def test_a_file_that_was_replaced_or_shortened_is_read_anew(path: Path) -> None:
    journal = Journal(path)
    for number in range(3):
        journal.append(review(f"p{number}"))
    lines = path.read_bytes().splitlines(keepends=True)
    replacement = path.with_name("new")
    replacement.write_bytes(lines[0] + lines[2])
    replacement.replace(path)
    news = journal.read_new()
    assert news.is_replaced and [item.review.who for item in news.rows] == ["p0", "p2"]
    os.truncate(path, len(lines[0]))
    news = journal.append(review("p9")).news
    assert news.is_replaced and [item.review.who for item in news.rows] == ["p0"]
    assert journal.append(review("p2")).entry.line == 3  # forgotten before, so not known
    path.write_bytes(b"".join(lines).replace(b'"p2"', b'"q2"'))  # in place, of the same length
    assert journal.read_new().is_replaced
    path.unlink()
    news = journal.read_new()
    assert news.is_replaced and not news.rows
    assert not journal.read_new().is_replaced


def test_a_row_that_is_being_written_is_left_for_the_next_read(path: Path) -> None:
    journal = Journal(path)
    journal.append(review())
    row = review("Bo").model_dump_json().encode() + b"\n"
    with path.open("ab") as handle:
        for part in (row[:20], row[20:-1]):
            handle.write(part)
            handle.flush()
            assert not journal.read_new().rows
        handle.write(row[-1:])
    assert [item.review.who for item in journal.read_new().rows] == ["Bo"]


@pytest.mark.filterwarnings("ignore::schemas.files.jsonl.TornTailWarning")
def test_a_line_that_was_cut_off_is_moved_aside_with_a_message(path: Path) -> None:
    journal = Journal(path)
    journal.append(review())
    torn = review("Bö").model_dump_json().encode()[:-9]
    with path.open("ab") as handle:
        handle.write(torn)
    with pytest.raises(InputError, match="cut off"):
        append_reviews(path, [review("Cy")])
    written = journal.append(review("Cy"))
    assert f"{len(torn):,} bytes were moved to {cut_off_path(path)}" in written.message
    assert cut_off_path(path).read_bytes() == torn + b"\n"
    assert [item.review.who for item in read_reviews(path)] == ["Li", "Cy"]
    assert journal.mend() == ""


def test_a_last_line_without_its_newline_is_completed(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(review().model_dump_json(), encoding="utf-8")
    written = Journal(path).append(review("Bo"))
    assert written.entry.line == 2 and [item.line for item in written.news.rows] == [1]
    assert [item.review.who for item in read_reviews(path)] == ["Li", "Bo"]


def test_bad_rows_are_faults_with_their_line_and_the_rest_is_read(path: Path) -> None:
    path.parent.mkdir()
    other = review().model_copy(update={"who": "Bo"})
    rows = [review().model_dump_json()] * 2 + ['{"id": "x"}', "", other.model_dump_json()]
    path.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    news = Journal(path).read_new()
    assert [item.review.who for item in news.rows] == ["Li"]
    assert {fault.line for fault in news.faults} == {3, 5}
    assert "duplicate id" in news.faults[-1].message


def test_a_file_of_another_kind_is_refused(path: Path) -> None:
    path.parent.mkdir()
    sidecar_path(path).write_text(
        '{"format": "maskdpo.response", "version": "1.0"}', encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"maskdpo\.review"):
        Journal(path)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "reviews.jsonl"
    append_lines(path, ["x" * 100])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            append_lines(path, ["y" * 150])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, former)
    assert path.read_bytes() == before


def test_two_processes_that_append_at_once_lose_and_tear_nothing(path: Path) -> None:
    both = [writer(path, who, 500) for who in ("Li", "Bo")]
    acknowledged = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [len(ids) for ids in acknowledged] == [500, 500]
    found = [entry.review.id for entry in read_reviews(path)]
    assert len(found) == 1000
    for ids in acknowledged:  # each in its own order
        wanted = set(ids)
        assert [name for name in found if name in wanted] == ids


def acknowledged(process: "subprocess.Popen[str]", count: int) -> Iterator[str]:
    assert process.stdout is not None
    for _ in range(count):
        yield process.stdout.readline().strip()


@pytest.mark.parametrize("count", [1, 7, 60, 150])
def test_what_was_acknowledged_before_a_kill_is_there(path: Path, count: int) -> None:
    process = writer(path, "Li", 100_000)
    ids = list(acknowledged(process, count))
    process.kill()
    rest = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL
    ids += [line for line in rest.split("\n")[:-1] if line]
    journal = Journal(path)
    journal.append(review("Bo"))
    assert {*ids} <= {entry.review.id for entry in read_reviews(path)}
