"""Hostile texts in every field, on every page (the reading page: test_desk_browser_reading.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser_support import chromium, needs_chromium, person
from desk_rows import HOSTILE, hostile
from desk_run import desk_of

from formats.reviews.log import append_reviews
from schemas.labels import Label
from schemas.reviews import make_review, text_sha256

pytestmark = needs_chromium
desk_support = pytest.importorskip("desk_support", reason="needs the extra `serve`")
NAMES = ['<img src=x onerror="window.evil=1">', "\"'><script>window.evil=1</script>{{7*7}}"]


def write_reviews(folder: Path) -> None:
    """Two people with hostile names and notes, who differ on the first sentences."""
    annotations, _ = hostile()
    append_reviews(
        folder / "test" / "reviews.jsonl",
        [
            make_review(
                response_id=one.id, text_sha256=text_sha256(one.text),
                start=one.sentences[1].start, end=one.sentences[1].end, action="label",
                spans=[{"start": one.sentences[1].start, "end": one.sentences[1].end,
                        "label": label}],
                who=name, when=f"2026-01-01T10:{number:02}:00Z", note=f"{name} {HOSTILE[number]}",
                evidence=[{"document_id": one.document_ids[0], "start": 0, "end": 3}],
            )
            for number, one in enumerate(annotations)
            for name, label in zip(NAMES, (Label.NO_FACT, Label.UNVERIFIABLE), strict=True)
        ],
    )  # fmt: skip


def write_pairs(path: Path) -> None:
    """One pair per hostile text."""
    rows: list[dict[str, Any]] = []
    for number, evil in enumerate(HOSTILE):
        sides = {
            side: [{"role": "assistant", "content": f"{side}{evil}."}]
            for side in ("chosen", "rejected")
        }
        spans = {
            f"{side}_spans": [
                {"start": 0, "end": len(value[0]["content"]), "label": "no_fact", "weight": 1.0}
            ]
            for side, value in sides.items()
        }
        prompt = [{"role": "user", "content": f"What?{evil}"}]
        names = dict.fromkeys(("question_id", "topic", "policy", "judge", "chosen_id"), f"n{evil}")
        rows.append({"id": f"p{number}", "prompt": prompt, **sides, **spans, **names})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(lines, encoding="utf-8")


def test_no_page_executes_a_text(tmp_path: Path) -> None:
    desk_of(tmp_path, *hostile()).close()
    write_reviews(tmp_path)
    write_pairs(tmp_path / "pairs.jsonl")
    with chromium() as browser:
        with (
            desk_support.DeskProcess(tmp_path, "test", "--no-blind") as desk,
            person(browser) as user,
        ):
            page = user.page
            page.goto(desk.url)
            page.locator("input[name=who]").fill(NAMES[0])
            page.keyboard.press("Enter")
            page.locator("[data-page=runs]").wait_for()
            paths = ["", "/s/test", "/s/test?q=x&order=random&seed=5", "/s/test/people",
                     "/s/test/conflicts", "/settings", "/name?next=/review",
                     "/s/test/r/1/0"]  # fmt: skip
            for path in paths:
                page.goto(f"{desk.address}/review{path}")
                check(user)
            page.goto(f"{desk.address}/review/s/test/conflicts")
            for address in page.locator("main tbody a").evaluate_all("all => all.map(a => a.href)"):
                page.goto(address)
                check(user)
        with (
            desk_support.DeskProcess(tmp_path, "pairs.jsonl", "--who", "Ada") as desk,
            person(browser) as user,
        ):
            user.page.goto(desk.url)
            user.page.goto(f"{desk.address}/review/s/pairs.jsonl/pairs")
            check(user)
            for number in range(len(HOSTILE)):
                user.page.goto(f"{desk.address}/review/s/pairs.jsonl/pairs/{number + 1}")
                check(user)


def check(user: Any) -> None:
    """The page is whole, and nothing of a text was executed."""
    page = user.page
    assert page.evaluate("window.evil") is None, page.url
    assert page.locator("main").count() == 1, page.url
    assert page.locator("header nav").count() == 1, page.url
    assert page.locator("main script, main img, main iframe, main style").count() == 0, page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    assert "49" not in page.locator("header").inner_text(), page.url
