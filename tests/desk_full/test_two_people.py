"""Two people, a hundred decisions each, and three kills of the server."""

from __future__ import annotations

from pathlib import Path

from browser_support import chromium, needs_chromium
from test_desk_browser_two import work_through, write_owls

pytestmark = needs_chromium


def test_a_hundred_decisions_each_and_three_kills(tmp_path: Path) -> None:
    with chromium() as browser:
        work_through(browser, write_owls(tmp_path / "run", 40), each=100, kills=3)
