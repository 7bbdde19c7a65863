"""All hostile texts in a real browser: none executes, none breaks the page, keys still act."""

from __future__ import annotations

from pathlib import Path

from browser_support import chromium, needs_chromium
from desk_rows import HOSTILE
from test_desk_browser_reading import check_hostile

pytestmark = needs_chromium


def test_all_hostile_texts(tmp_path: Path) -> None:
    with chromium() as browser:
        check_hostile(browser, tmp_path, range(len(HOSTILE)))
