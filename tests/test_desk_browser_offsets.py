"""Offsets of selections in a real browser: emoji, CJK, combining marks, right-to-left, CR LF.

`make test-desk` runs ten thousand of them and two hundred drags.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser_support import chromium, needs_chromium, person
from selection_cases import run_drags, run_selections
from text_page import TextServer, text_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def server() -> Iterator[TextServer]:
    with text_server() as one:
        yield one


def test_selections_have_the_offsets_of_the_text(browser: Browser, server: TextServer) -> None:
    rng = random.Random(1)
    with person(browser) as one:
        wrong = [fault for _ in range(5) for fault in run_selections(one.page, server, rng, 60)]
    assert wrong == []


def test_drags_have_the_offsets_of_the_text(browser: Browser, server: TextServer) -> None:
    with person(browser) as one:
        useful, wrong = run_drags(one.page, server, random.Random(2), 10)
    assert useful >= 10
    assert wrong == []
