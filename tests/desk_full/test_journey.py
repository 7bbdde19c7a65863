"""The whole desk in a real browser: every page is accessible; 200 confirmations take 200 keys."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from browser_support import chromium, needs_chromium, person
from desk_rows import OWLS, annotation, hostile, owls
from desk_run import desk_of
from desk_support import DeskProcess

pytestmark = needs_chromium
PAGES = ("", "/people", "/conflicts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with 60 responses of four sentences."""
    _, documents = owls()
    rows = [
        annotation(f"owl-{one}", [(f"Owl {one} hunts at night. ", "no_hallucination"), *OWLS[1:]])
        for one in range(60)
    ]
    for name, records in (("annotations", rows), ("documents", documents)):
        lines = [f"{record.model_dump_json()}\n" for record in records]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("dark", [False, True])
def test_no_page_has_a_serious_fault_of_accessibility(folder: Path, dark: bool) -> None:
    with (
        chromium() as browser,
        DeskProcess(folder, "annotations.jsonl", "--who", "Ada") as desk,
        person(browser, dark=dark) as user,
    ):
        user.page.goto(desk.url)
        assert user.serious_findings() == []
        for path in PAGES:
            user.page.goto(f"{desk.address}/review/s/annotations.jsonl{path}")
            assert user.serious_findings() == []
            user.picture(f"page{path.replace('/', '-')}-{'dark' if dark else 'light'}")


def test_two_hundred_confirmations(folder: Path) -> None:
    with (
        chromium() as browser,
        DeskProcess(folder, "annotations.jsonl", "--who", "Ada", "--no-blind") as desk,
        person(browser) as user,
    ):
        user.page.goto(desk.url)
        user.page.goto(f"{desk.address}/review/s/annotations.jsonl/next")
        for done in (50, 100, 150, 200):
            user.page.locator(".sentence[aria-current]:focus").wait_for()
            user.page.keyboard.type("a" * 50)
            end = time.monotonic() + 60
            while lines(folder) < done:
                assert time.monotonic() < end, f"{lines(folder)} reviews after a minute"
                user.page.wait_for_timeout(50)
            user.page.locator("#desk:not([aria-busy])").wait_for()
    assert lines(folder) == 200


def lines(folder: Path) -> int:
    """Reviews in the file so far."""
    path = folder / "reviews.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_pairs_and_conflicts_are_accessible(tmp_path: Path) -> None:
    from test_desk_browser_hostile import write_pairs, write_reviews

    desk_of(tmp_path, *hostile()).close()
    write_reviews(tmp_path)
    write_pairs(tmp_path / "pairs.jsonl")
    pages = [
        ("test", ["/s/test/conflicts", "/s/test/conflicts/2", "/s/test/people"]),
        ("pairs.jsonl", ["", "/s/pairs.jsonl/pairs", "/s/pairs.jsonl/pairs/3"]),
    ]
    with chromium() as browser:
        for name, paths in pages:
            with (
                DeskProcess(tmp_path, name, "--who", "Ada") as desk,
                person(browser) as user,
            ):
                user.page.goto(desk.url)
                for path in paths:
                    user.page.goto(f"{desk.address}/review{path}")
                    assert user.serious_findings() == [], path
                    user.picture(f"hostile{path.replace('/', '-')}")
