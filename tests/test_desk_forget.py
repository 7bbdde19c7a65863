"""`maskdpo forget` also removes what a review desk keeps next to the annotations."""

from __future__ import annotations

from pathlib import Path

from desk_run import open_run, row, write_run
from test_desk_index import decide

from maskdpo.config import load_run_config
from maskdpo.forgetting.forget import run_forget


def forget(folder: Path, *, dry_run: bool = False) -> None:
    config = load_run_config(None, (f"run.dir={folder}",))
    run_forget(config, people=["Ada"], responses=[], store=folder / "store.sqlite", dry_run=dry_run)


def bytes_of_desk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((folder / ".review").iterdir()))


def test_a_person_leaves_the_index_and_the_list_of_who_saw_labels(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [row("a", "One. Two."), row("b", "Three.")])
    desk = open_run(folder)
    source = desk.sources["run"]
    for who in ("Ada", "Ben"):
        decide(source, "a", 0, "no_fact", who)
        source.note_shown(who, [1])
    desk.close()
    forget(folder, dry_run=True)
    assert b"Ada" in bytes_of_desk(folder)
    forget(folder)
    assert b"Ada" not in bytes_of_desk(folder)
    again = open_run(folder).sources["run"]
    assert again.people() == ["Ben"]
    assert again.was_shown("Ben", 1)
    assert not again.was_shown("Ada", 1)
