"""Two people in two browsers on one run, and a server that is killed: nothing is lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_support import Person, chromium, needs_chromium, person
from desk_rows import OWLS, annotation, owls
from desk_run import reviews
from desk_support import DeskProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium
KEYS = {"1": "no_hallucination", "2": "contradictory"}
WAIT_S = 60


def write_owls(folder: Path, count: int) -> Path:
    """A run with `count` responses of four sentences."""
    _, documents = owls()
    rows = [annotation(f"owl-{one}", OWLS) for one in range(count)]
    folder.mkdir()
    for name, records in (("annotations", rows), ("documents", documents)):
        lines = "".join(f"{record.model_dump_json()}\n" for record in records)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def rows_of(run: Path, who: str) -> list[tuple[str, int, str]]:
    """The labels of a person in the order of the file."""
    return [
        (row["response_id"], row["start"], row["spans"][0]["label"])
        for row in reviews(run)
        if row["who"] == who and row["spans"]
    ]


class Browsing:
    """A person who goes through the sentences; `given` is what they decided, as the page showed."""

    def __init__(self, user: Person, run: Path, who: str, pattern: str) -> None:
        self.user, self.run, self.who, self.pattern = user, run, who, pattern
        self.given: list[tuple[str, int, str]] = []
        user.expect(
            "Failed to load", "ERR_CONNECTION", "ERR_EMPTY", "ERR_SOCKET", "failed: ", "htmx:"
        )

    def begin(self, desk: DeskProcess) -> None:
        page = self.user.page
        page.goto(desk.url)
        page.locator("input[name=who]").fill(self.who)
        page.keyboard.press("Enter")
        page.locator("[data-page=runs]").wait_for()
        page.goto(f"{desk.address}/review/s/run/next")
        page.locator(".sentence[aria-current]:focus").wait_for()

    def place(self) -> tuple[str, int]:
        page = self.user.page
        name = page.locator("[data-text=response]").get_attribute("data-id") or ""
        return name, int(page.locator("#decision [name=start]").input_value())

    def press(self) -> None:
        """Decide the current sentence; its page may not come for a while."""
        key = self.pattern[len(self.given) % len(self.pattern)]
        self.given.append((*self.place(), KEYS[key]))
        self.user.page.keyboard.press(key)

    def wait(self) -> None:
        """Until the page shows the next sentence."""
        name, start, _ = self.given[-1]
        end = time.monotonic() + WAIT_S
        while self.place() == (name, start):
            assert time.monotonic() < end, self.user.page.locator("#desk-message").inner_text()
            self.user.page.wait_for_timeout(20)


def work_through(browser: Browser, run: Path, *, each: int, kills: int) -> None:
    """Both decide `each` sentences in turn; the server is killed now and then."""
    with person(browser) as one, person(browser) as two:
        desk = DeskProcess(run.parent, "run")
        desk.start()
        port = int(desk.address.rpartition(":")[2])
        ada, ben = Browsing(one, run, "Ada", "1"), Browsing(two, run, "Ben", "12")
        for reader in (ada, ben):
            reader.begin(desk)
        try:
            for number in range(each):
                ada.press()
                if kills and number and number % max(1, each // (kills + 1)) == 0:
                    desk.kill()
                    ben.press()
                    desk = DeskProcess(run.parent, "run", port=port)
                    desk.start()
                else:
                    ben.press()
                ada.wait()
                ben.wait()
            assert rows_of(run, "Ada") == ada.given
            assert rows_of(run, "Ben") == ben.given
            one.page.goto(f"{desk.address}/review/s/run/conflicts")
            text = one.page.locator("main").inner_text()
            differing = {place[:2] for place in ada.given} & {
                place[:2] for place in ben.given if place[2] == "contradictory"
            }
            assert differing
            assert f"{len(differing)}" in text
        finally:
            desk.kill()


@pytest.mark.parametrize("kills", [1])
def test_two_people_and_a_kill(tmp_path: Path, kills: int) -> None:
    with chromium() as browser:
        work_through(browser, write_owls(tmp_path / "run", 8), each=8, kills=kills)
