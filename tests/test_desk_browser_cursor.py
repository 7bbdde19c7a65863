"""Wrong words, splits and evidence in a real browser: by keys, by drag, in all directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser_support import chromium, needs_chromium, person

pytestmark = needs_chromium
key_desk = pytest.importorskip("key_desk", reason="needs the packages of the extra `serve`")

if TYPE_CHECKING:
    from browser_support import Person
    from key_desk import KeyDesk, KeyServer
    from playwright.sync_api import Browser

ENGLISH, CHINESE = "The 👩‍👩‍👧 owl weighs 3.5 kg. ", "猫头鹰在夜里飞行。"
HEBREW = "הינשוף עף בלילה. "
TEXTS = [ENGLISH, CHINESE, HEBREW, "The last one."]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def desk() -> KeyDesk:
    return key_desk.KeyDesk(texts=TEXTS)


@pytest.fixture
def server(desk: KeyDesk) -> Iterator[KeyServer]:
    with key_desk.key_server(desk) as one:
        yield one


@pytest.fixture
def user(browser: Browser, server: KeyServer) -> Iterator[Person]:
    with person(browser) as one:
        one.page.set_default_timeout(5000)
        key_desk.open_desk(one.page, server)
        yield one


def press(user: Person, keys: str) -> None:
    """Press keys, and wait until no request runs."""
    for key in keys.split():
        user.page.keyboard.press(key)
    user.page.locator("#desk:not([aria-busy])").wait_for()


def marked(desk: KeyDesk) -> list[tuple[str, str]]:
    """(operation, marked text; of a cut what follows it in its sentence)."""
    response = "".join(desk.texts)
    found = []
    for op, identity, start, end in desk.drafts:
        text = desk.document if identity == "d" else response
        found.append((op, text[start:end] if op != "cut" else text[start:].split(". ")[0]))
    return found


def test_words_by_keys(user: Person, desk: KeyDesk) -> None:
    press(user, "w ArrowRight Space")
    press(user, "ArrowRight Shift+ArrowRight Enter")
    press(user, "w End ArrowLeft Shift+ArrowLeft Enter")
    assert marked(desk) == [("word", "👩‍👩‍👧"), ("word", "owl weighs"), ("word", "3.5 kg")]
    press(user, "1")
    user.page.locator("#s1:focus").wait_for()
    assert desk.decided == [(0, "1")]


def test_words_and_characters_of_chinese(user: Person, desk: KeyDesk) -> None:
    press(user, "j")
    user.page.locator("#s1:focus").wait_for()
    press(user, "w Enter")
    press(user, "w c ArrowRight Enter")
    assert marked(desk) == [("word", "猫头鹰"), ("word", "头")]


def test_arrows_follow_what_is_read_from_right_to_left(user: Person, desk: KeyDesk) -> None:
    user.page.goto(user.page.url.replace("/0", "/2"))
    user.page.locator("#s2:focus").wait_for()
    press(user, "w ArrowLeft Enter")
    press(user, "w ArrowRight Enter")
    assert marked(desk) == [("word", "עף"), ("word", "הינשוף")]


def test_escape_ends_the_cursor_and_nothing_is_marked(user: Person, desk: KeyDesk) -> None:
    for end in ("Escape", "w"):
        press(user, f"w ArrowRight {end}")
        assert user.page.evaluate("CSS.highlights.size") == 0
    press(user, "ArrowRight Enter Space")
    assert desk.drafts == []


def test_a_sentence_is_split_before_a_word(user: Person, desk: KeyDesk) -> None:
    press(user, "x ArrowRight ArrowRight Enter")
    assert marked(desk) == [("cut", "weighs 3.5 kg")]


def test_evidence_by_keys(user: Person, desk: KeyDesk) -> None:
    press(user, "e ArrowDown Enter")
    press(user, "e Shift+ArrowDown Enter")
    assert [text.strip() for _, text in marked(desk)] == [
        "The second one.",
        "The first sentence. The second one.",
    ]


def test_the_cursor_in_a_document_begins_at_the_place_that_is_shown(
    user: Person, desk: KeyDesk
) -> None:
    user.page.evaluate(
        """() => {
          const text = document.querySelector("[data-text=document]").firstChild;
          const mark = document.createElement("mark");
          mark.dataset.scroll = "true";
          const range = document.createRange();
          range.setStart(text, 21);
          range.setEnd(text, 37);
          range.surroundContents(mark);
        }"""
    )
    press(user, "e Enter")
    assert [text.strip() for _, text in marked(desk)] == ["The second one."]


def select(user: Person, element: str, start: int, end: int) -> None:
    """Select units of the first text node of an element, as a drag does."""
    user.page.evaluate(
        """([query, start, end]) => {
          const node = document.querySelector(query).firstChild;
          getSelection().setBaseAndExtent(node, end, node, start);
        }""",
        [element, start, end],
    )


def test_a_selection_is_marked_by_its_button(user: Person, desk: KeyDesk) -> None:
    select(user, "#s0", 0, 3)
    user.page.locator("#desk-tools [data-press=word]").click()
    user.page.locator("#desk-tools").wait_for(state="hidden")
    user.page.locator("#desk:not([aria-busy])").wait_for()
    select(user, "[data-text=document]", 4, 9)
    user.page.locator("#desk-tools [data-press=evidence]").click()
    user.page.locator("#desk-tools").wait_for(state="hidden")
    user.page.locator("#desk:not([aria-busy])").wait_for()
    select(user, "#s0", 0, 3)
    press(user, "w")
    assert marked(desk) == [("word", "The"), ("evidence", "first"), ("word", "The")]


@pytest.mark.parametrize(
    ("element", "key", "message"),
    [
        ("#s3", "w", "outside the current sentence"),
        ("[data-text=document]", "w", "not of a document"),
        ("#s0", "e", "a passage of a document"),
    ],
)
def test_a_selection_elsewhere_is_reported(
    user: Person, desk: KeyDesk, element: str, key: str, message: str
) -> None:
    select(user, element, 0, 3)
    assert user.page.locator("#desk-tools").is_hidden() == (key == "w" and element == "#s3")
    press(user, key)
    user.page.locator("#desk-message").get_by_text(message).wait_for()
    assert desk.drafts == []


def test_a_text_that_the_browser_changed_is_reported(user: Person, desk: KeyDesk) -> None:
    select(user, "#s0", 0, 3)
    user.page.evaluate("document.querySelector('#s3').append(' translated')")
    press(user, "w")
    user.page.locator("#desk-message").get_by_text("The browser changed this text").wait_for()
    assert desk.drafts == []
