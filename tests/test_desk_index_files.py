"""The files of an index: what a kill, a rerun, another desk and a folder without rights leave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from desk_run import open_run, row, write_run

from maskdpo.desk.desk import OpenSource
from maskdpo.desk.model import Filter
from schemas.labels import Label
from schemas.reviews import Review, make_review, text_sha256

ROWS = [row(f"r{number:03}", f"Number {number} is here. It is one.") for number in range(300)]

# Adds reviews until more is changed than SQLite keeps in memory, and is killed before the end.
KILLED_IN_A_CHANGE = """
import os, signal, sys
from pathlib import Path
from desk_run import open_run
from formats.reviews.log import Logged
from schemas.reviews import Review

source = open_run(Path(sys.argv[1])).sources["run"]
first = Review.model_validate_json(sys.argv[2])

def entries():
    for line in range(1, 4_000):
        name = f"r{line % 300:03}"
        copy = first.model_copy(update={"id": f"{line}", "response_id": name, "note": "x" * 3_000})
        yield Logged(line=line, review=copy)
    os.kill(os.getpid(), signal.SIGKILL)

source.index.add_reviews(entries())
"""


def a_review(source: OpenSource, name: str, who: str = "Ada") -> str:
    number = source.index.response_of(name)
    assert number is not None
    annotation = source.index.annotation(number)
    place = {"start": annotation.sentences[0].start, "end": annotation.sentences[0].end}
    return make_review(
        response_id=name, text_sha256=text_sha256(annotation.text), action="label", who=who,
        when="2026-01-01T10:00:00Z", spans=[{**place, "label": Label.NO_FACT}], **place,
    ).model_dump_json()  # fmt: skip


def index_files(run: Path) -> list[str]:
    return sorted(path.name for path in (run / ".review").glob("*.sqlite*"))


def test_a_desk_that_is_killed_in_the_middle_of_a_change_opens_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ROWS)
    desk = open_run(run)
    review = a_review(desk.sources["run"], "r007")
    desk.close()
    before = index_files(run)
    code = [sys.executable, "-c", KILLED_IN_A_CHANGE, str(run), review]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(code, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -signal.SIGKILL
    left = index_files(run)
    assert [name for name in left if name.endswith("-journal")]  # more than memory was changed
    source = open_run(run).sources["run"]
    assert source.progress("Ada")[0] == 0
    assert source.people() == []
    assert before[0] in index_files(run)  # the same file, mended


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ROWS)
    open_run(run).close()
    (name,) = index_files(run)
    path = run / ".review" / name
    data = bytearray(path.read_bytes())
    for at in range(4096 * 3, len(data), 4096):
        data[at : at + 200] = b"\xff" * 200
    path.write_bytes(data)
    source = open_run(run).sources["run"]
    assert source.index.counts().responses == 300
    assert source.index.find(Filter(text="number"), "Ada").total == 300


def test_a_desk_keeps_its_index_while_another_makes_a_new_one(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ROWS)
    first = open_run(run).sources["run"]
    os.utime(run / "annotations.jsonl", ns=(1, 1))
    second = open_run(run).sources["run"]
    for source, who in ((first, "Ada"), (second, "Ben")):
        source.record(Review.model_validate_json(a_review(source, "r007", who)))
    assert [first.progress(who)[0] for who in ("Ada", "Ben")] == [1, 0]
    for source in (first, second):
        source.refresh()
        assert [source.progress(who)[0] for who in ("Ada", "Ben")] == [1, 1]


def test_desks_that_start_together_make_one_index(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ROWS)
    started: list[object] = []
    opened: list[OpenSource] = []

    def start() -> None:
        desk = open_run(run, on_event=lambda event: started.append(type(event).__name__))
        opened.append(desk.sources["run"])

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started.count("Started") == 1
    assert [source.index.counts().sentences for source in opened] == [600] * 4


def test_what_a_killed_build_left_is_removed_and_other_files_are_not(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ROWS)
    open_run(run).close()
    (name,) = index_files(run)
    folder = run / ".review"
    left = folder / f"{name}.0a1b2c3d.part"
    other = folder / "annotations.jsonl.old.jsonl.0123456789abcdef.sqlite"
    for path in (left, other):
        path.write_bytes(b"some")
    shutil.copy(folder / name, folder / "notes.sqlite")
    os.utime(run / "annotations.jsonl", ns=(1, 1))
    open_run(run).close()
    assert not left.exists()
    assert (folder / name).exists()
    os.utime(folder / name, (1, 1))
    os.utime(run / "annotations.jsonl", ns=(2, 2))
    open_run(run).close()
    assert not (folder / name).exists()
    assert other.read_bytes() == b"some"
    assert (folder / "notes.sqlite").exists()


def test_a_folder_that_cannot_be_made_gives_a_temporary_index_and_a_note(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ROWS)
    (run / ".review").write_text("a file")
    desk = open_run(run)
    assert desk.sources["run"].index.counts().responses == 300
    (note,) = desk.notes
    folder = Path(note.partition("the index is in ")[2].partition(" until")[0])
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0
    desk.close()
    assert not folder.exists()
    assert (run / ".review").read_text() == "a file"


def test_a_second_row_of_one_id_is_a_fault(tmp_path: Path) -> None:
    rows = [row("a", "One is here."), row("a", "Two is here."), row("a", "One is here.")]
    index = open_run(write_run(tmp_path / "run", rows)).sources["run"].index
    counts = index.counts()
    assert (counts.responses, counts.sentences, counts.num_faults) == (1, 1, 2)
    assert "annotations.jsonl:2: duplicate id 'a', first used on line 1" in counts.faults[0]
    assert index.annotation(1).text == "One is here."


def test_an_open_desk_makes_an_index_that_was_removed_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ROWS)
    source = open_run(run).sources["run"]
    source.record(Review.model_validate_json(a_review(source, "r007")))
    shutil.rmtree(run / ".review")
    source.refresh()
    source.record(Review.model_validate_json(a_review(source, "r008")))
    assert source.progress("Ada")[0] == 2
    assert len(index_files(run)) == 1
