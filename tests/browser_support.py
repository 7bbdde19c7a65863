"""A real Chromium for the tests of the desk: one browser, a context of its own for each person.

The rule: a page is faultless. What the console reports as an error, what the policy of the page
refuses, an exception in a script, a failed request and a reply of 400 or more end the test, except
what it says it expects.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
IS_THERE = CHROMIUM is not None and find_spec("playwright") is not None
needs_chromium = pytest.mark.skipif(
    not IS_THERE, reason="needs Chromium and the package playwright (see CONTRIBUTING.md)"
)
# A folder for pictures of the pages, to look at.
PICTURES = os.environ.get("MASKDPO_DESK_PICTURES")
# Reported by the page itself, where the driver cannot see it.
_VIOLATIONS = """() => document.addEventListener("securitypolicyviolation",
    (event) => console.error("policy: " + event.violatedDirective + " " + event.blockedURI))"""


class Person:
    """One person's browser: its page, and the faults that it showed."""

    def __init__(
        self, browser: Browser, *, width: int = 1280, height: int = 800, dark: bool = False
    ):
        self._context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        self._context.set_default_timeout(15_000)
        self._context.add_init_script(f"({_VIOLATIONS})()")
        self.faults: list[str] = []
        self._expected: tuple[str, ...] = ()
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda one: one.type == "error" and self._note(one.text))
        self.page.on("pageerror", lambda error: self._note(f"exception: {error}"))
        self.page.on("requestfailed", lambda one: self._failed(one.url, one.failure))
        self.page.on("dialog", lambda one: (self._note(f"dialog: {one.message}"), one.dismiss()))

    def expect(self, *parts: str) -> None:
        """From now on, faults with one of these parts are expected."""
        self._expected = parts

    def check(self) -> None:
        """Fail if the pages showed an unexpected fault."""
        assert not self.faults, self.faults

    def close(self) -> None:
        """Close the browser of this person."""
        self._context.close()

    def picture(self, name: str) -> None:
        """Save a picture of the page, if a folder is given."""
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))

    def serious_findings(self) -> list[str]:
        """What axe-core finds serious or critical on the page."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:4]]}"
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]

    def _note(self, text: str) -> None:
        if not any(part in text for part in self._expected):
            self.faults.append(text)

    def _failed(self, url: str, failure: str | None) -> None:
        if failure != "net::ERR_ABORTED":  # a page that was left
            self._note(f"failed: {url} {failure}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def person(browser: Browser, **options: bool | int) -> Iterator[Person]:
    """A person's browser, which must have shown no fault when the block ends."""
    one = Person(browser, **options)  # type: ignore[arg-type]
    try:
        yield one
        one.check()
    finally:
        one.close()
