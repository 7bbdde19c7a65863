"""Ten thousand random selections and two hundred drags in a real browser: no wrong offsets."""

from __future__ import annotations

import random

from browser_support import chromium, needs_chromium, person
from selection_cases import run_drags, run_selections
from text_page import text_server

pytestmark = needs_chromium


def test_ten_thousand_selections() -> None:
    rng = random.Random(10)
    with chromium() as browser, text_server() as server, person(browser) as one:
        wrong = [fault for _ in range(171) for fault in run_selections(one.page, server, rng, 60)]
    assert wrong == []


def test_two_hundred_drags() -> None:
    rng = random.Random(20)
    with chromium() as browser, text_server() as server, person(browser) as one:
        useful, wrong = run_drags(one.page, server, rng, 200)
    assert useful >= 200
    assert wrong == []
