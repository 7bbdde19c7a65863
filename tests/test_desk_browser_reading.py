"""The reading page in a real browser: by keyboard, light, dark and Chinese, with hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser_support import Person, chromium, needs_chromium, person

pytestmark = needs_chromium
desk_support = pytest.importorskip("desk_support", reason="needs the extra `serve`")

from desk_rows import HOSTILE, hostile, owls  # noqa: E402
from desk_run import desk_of, recorded  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMED = "/review/s/test/r/{}/{}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    return desk_of(tmp_path, *owls())


def enter(user: Person, address: str, place: str = NAMED.format(1, 0)) -> None:
    """Begin a session and open a sentence."""
    user.page.set_default_timeout(5000)
    user.page.request.get(f"{address}/review?token={desk_support.TOKEN}", max_redirects=0)
    user.page.goto(address + place)
    user.page.locator(".sentence[aria-current]:focus").wait_for()


def settled(user: Person) -> None:
    user.page.locator("#desk:not([aria-busy])").wait_for()


def test_a_response_by_keyboard(browser: Browser, desk: Any) -> None:
    source = desk.sources["test"]
    with desk_support.serving(desk, who="Ada") as address, person(browser) as user:
        enter(user, address)
        page = user.page
        page.keyboard.press("1")
        page.locator("#s1[aria-current]:focus").wait_for()
        page.keyboard.press("2")
        page.locator("#s2[aria-current]:focus").wait_for()
        page.keyboard.press("z")  # undo goes back to the sentence
        page.locator("#s1[aria-current]:focus").wait_for()
        for key in ("w", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "Enter"):
            page.keyboard.press(key)
        page.locator(".drafted-line").wait_for()
        page.keyboard.press("m")
        page.keyboard.type("wrong weight: 1 j ?")
        page.keyboard.press("Escape")
        page.keyboard.press("2")
        page.locator("#s2[aria-current]:focus").wait_for()
        page.keyboard.type("34")
        page.wait_for_url("**/r/2/0")
    reviews = recorded(source)
    actions = [(one.action, one.start) for one in reviews]
    again = [("label", 20), ("label", 50), ("label", 76)]
    assert actions == [("label", 0), ("label", 20), ("withdraw", 20), *again]
    [span] = reviews[3].spans
    text = owls()[0][0].text
    assert [text[one.start : one.end] for one in span.error_spans] == ["3.5 kg"]
    assert reviews[3].note == "wrong weight: 1 j ?"
    assert all(one.blind for one in reviews if one.action == "label" and one.start != 20)


@pytest.mark.parametrize("look", ["light", "dark", "zh"])
def test_no_serious_fault_of_accessibility(browser: Browser, desk: Any, look: str) -> None:
    with (
        desk_support.serving(desk, who="Ada") as address,
        person(browser, dark=look == "dark") as user,
    ):
        enter(user, address)
        if look == "zh":
            user.page.goto(f"{address}/review/settings?next={NAMED.format(1, 0)}")
            user.page.locator("input[value=zh]").check()
            user.page.locator("main button.main").click()
            user.page.wait_for_url(address + NAMED.format(1, 0))
        assert user.serious_findings() == []
        user.picture(f"reading-{look}")
        user.page.keyboard.press("2")
        user.page.keyboard.press("k")
        settled(user)
        user.page.locator("#s0[aria-current]").wait_for()
        assert user.serious_findings() == []
        user.picture(f"reading-decided-{look}")
        for path in ("/review/settings", "/review/name"):
            user.page.goto(address + path)
            assert user.serious_findings() == []


@pytest.mark.parametrize("number", range(0, len(HOSTILE), 8))
def test_hostile_texts_do_nothing(browser: Browser, tmp_path: Path, number: int) -> None:
    check_hostile(browser, tmp_path, range(number, min(number + 1, len(HOSTILE))))


def check_hostile(browser: Browser, folder: Path, numbers: range) -> None:
    """Each hostile text, before and after a decision: shown, not executed; keys still act."""
    annotations, documents = hostile()
    desk = desk_of(folder, annotations, documents)
    source = desk.sources["test"]
    with desk_support.serving(desk, who="Ada") as address, person(browser) as user:
        for number in numbers:
            response = source.index.response_of(annotations[number].id)
            enter(user, address, NAMED.format(response, 0))
            page = user.page
            page.keyboard.press("1")
            page.locator("#s1[aria-current]:focus").wait_for()
            page.keyboard.press("2")
            page.keyboard.press("z")
            page.locator("#s1[aria-current]").wait_for()
            settled(user)
            shown = page.locator("[data-text=response]").evaluate("one => one.textContent")
            wanted = annotations[number].text.replace("\0", "\ufffd")
            assert shown == wanted
            assert page.evaluate("window.evil") is None
            assert page.locator("main").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            labels = [one.spans[0].label for one in recorded(source) if one.action == "label"]
            assert labels[-2:] == ["no_hallucination", "contradictory"]
