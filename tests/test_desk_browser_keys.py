"""Keys in a real browser: queue, text fields, repeats, input methods, a lost server, help."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from browser_support import chromium, needs_chromium, person

pytestmark = needs_chromium
key_desk = pytest.importorskip("key_desk", reason="needs the packages of the extra `serve`")

if TYPE_CHECKING:
    from browser_support import Person
    from key_desk import KeyDesk, KeyServer
    from playwright.sync_api import Browser, Page

TYPED = """([key, code, more]) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", {key, code, bubbles: true, cancelable: true, ...more}))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def desk() -> KeyDesk:
    return key_desk.KeyDesk(texts=[f"Sentence number {one} is here. " for one in range(60)])


@pytest.fixture
def server(desk: KeyDesk) -> Iterator[KeyServer]:
    with key_desk.key_server(desk) as one:
        yield one


@pytest.fixture
def user(browser: Browser, server: KeyServer) -> Iterator[Person]:
    with person(browser) as one:
        key_desk.open_desk(one.page, server)
        yield one


def until(page: Page, done: Callable[[], bool]) -> None:
    """Let the browser work until something is so."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "it did not happen in a minute"
        page.wait_for_timeout(20)


def at(page: Page, number: int) -> None:
    """Wait until a sentence is the current one and has the focus."""
    page.locator(f"#s{number}[aria-current]:focus").wait_for()


def test_fifty_keys_typed_ahead_decide_fifty_sentences(user: Person, desk: KeyDesk) -> None:
    desk.delay = 0.01
    user.page.keyboard.type("12" * 25)
    at(user.page, 50)
    assert desk.decided == [(number, "12"[number % 2]) for number in range(50)]


def test_waiting_keys_are_dropped_where_a_request_failed(user: Person, desk: KeyDesk) -> None:
    desk.delay, desk.faults = 0.2, [409]
    user.expect("status of 409", "Error Code 409")
    user.page.keyboard.type("111")
    message = user.page.locator("#desk-message")
    message.get_by_text("The file changed. 2 more keys").wait_for()
    assert desk.decided == []
    user.page.locator("#desk-reload").click()
    message.wait_for(state="hidden")
    at(user.page, 0)


def test_a_held_key_decides_once(user: Person, desk: KeyDesk) -> None:
    for repeat in (False, True, True):
        user.page.evaluate(TYPED, ["1", "Digit1", {"repeat": repeat}])
    at(user.page, 1)
    user.page.evaluate(TYPED, ["1", "Digit1", {"repeat": True}])
    user.page.keyboard.press("j")
    at(user.page, 2)
    assert desk.decided == [(0, "1")]


@pytest.mark.parametrize(
    ("pressed", "decided"),
    [
        (["2", "Numpad2", {}], True),
        (["\uff12", "Digit2", {}], True),  # full width
        (["é", "Digit2", {}], True),  # a French keyboard without Shift
        (["2", "Digit2", {"isComposing": True}], False),
        (["Process", "Digit2", {"keyCode": 229}], False),
        (["2", "Digit2", {"ctrlKey": True}], False),
        (["2", "Digit2", {"altKey": True}], False),
    ],
)
def test_what_counts_as_a_key(
    user: Person, desk: KeyDesk, pressed: list[object], decided: bool
) -> None:
    user.page.evaluate(TYPED, pressed)
    user.page.keyboard.press("0")
    at(user.page, 2 if decided else 1)
    assert desk.decided == ([(0, "2"), (1, "0")] if decided else [(0, "0")])


def test_keys_of_other_alphabets_are_known_by_their_place(user: Person) -> None:
    user.page.evaluate(TYPED, ["о", "KeyJ", {}])  # j on a Russian keyboard
    at(user.page, 1)


def test_a_text_field_takes_its_keys(user: Person, desk: KeyDesk) -> None:
    desk.delay = 0.2
    user.page.keyboard.type("m")  # what follows is typed before the field is there
    user.page.keyboard.type("1 j ?")
    field = user.page.locator("textarea:focus")
    field.wait_for()
    user.page.keyboard.type(" 2x")
    assert field.input_value() == "1 j ? 2x"
    user.page.keyboard.press("Escape")
    user.page.locator("#s0:focus").wait_for()
    user.page.locator("textarea").focus()
    user.page.keyboard.press("Control+Enter")
    user.page.locator("textarea").wait_for(state="detached")
    user.page.keyboard.press("1")
    at(user.page, 1)
    assert (desk.notes, desk.decided) == (["1 j ? 2x"], [(0, "1")])


def test_a_key_outlives_the_server(user: Person, desk: KeyDesk, server: KeyServer) -> None:
    user.expect("net::ERR_", "htmx:afterRequest", "htmx:sendError")
    user.page.keyboard.press("1")
    at(user.page, 1)
    server.stop()
    user.page.keyboard.press("2")
    message = user.page.locator("#desk-message")
    message.get_by_text("The server does not reply").wait_for()
    user.page.keyboard.press("2")
    assert user.page.locator("#s1[aria-current]").count() == 1
    server.start()
    at(user.page, 2)
    message.wait_for(state="hidden")
    user.page.keyboard.press("1")
    at(user.page, 3)
    assert desk.decided == [(0, "1"), (1, "2"), (2, "1")]


def test_the_help_opens_and_returns_the_focus(user: Person, desk: KeyDesk) -> None:
    page = user.page
    for close in ("Escape", "?"):
        page.keyboard.press("?")
        page.locator("dialog[open]").wait_for()
        page.keyboard.press("1")
        page.keyboard.press(close)
        page.locator("dialog").wait_for(state="hidden")
        at(page, 0)
    page.keyboard.press("?")
    assert user.serious_findings() == []
    user.picture("help")
    assert desk.decided == []


def test_reports_are_read_out_from_a_region_that_stays(user: Person) -> None:
    page = user.page
    page.evaluate("window.live = document.getElementById('desk-live')")
    page.keyboard.press("1")
    at(page, 1)
    assert page.evaluate("window.live.isConnected && window.live.textContent") == (
        "Recorded (0, '1')"
    )
