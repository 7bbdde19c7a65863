"""From key to paint on the reading page in Chromium, with many sentences.

    python benchmarks/desk_paint.py --sentences 200000 --keys 200

Makes a run (desk_rows.py), starts `maskdpo review` and Chromium (headless, 1280x800), and presses
keys one at a time. Time runs from the page's `keydown` event until the second animation frame after
the page shows the next sentence, so that the first frame with it was painted. Prints milliseconds
for a decision (a review that is on the disk) and for a step without one. The peer is the page
itself without a request: the time of two animation frames after a key.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desk_rows import write_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

TOKEN = "a-token-for-the-benchmark-of-the-desk"
_WATCH = """() => {
  const frames = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
  const settle = (name) => frames(() => window[name].push(performance.now() - window.pressed));
  window.times = []; window.empty = []; window.pressed = 0;
  window.addEventListener("keydown", (event) => {
    window.pressed = performance.now();
    if (event.key === "q") settle("empty");
  }, true);
  document.addEventListener("htmx:afterSettle", () => settle("times"));
}"""


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The desk of a run: the process and its address with the token."""
    process = subprocess.Popen(
        [sys.executable, "-m", "maskdpo", "review", str(folder), "--port", "0", "--who", "Ada"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "MASKDPO_TOKEN": TOKEN},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(r"open (\S+)", line):
            return process, found[1]
    raise RuntimeError("the desk did not start")


def measure(page: Page, key: str, count: int, name: str) -> list[float]:
    """Milliseconds of `count` presses of a key."""
    page.evaluate(f"window.{name}.length = 0")
    for number in range(1, count + 1):
        page.keyboard.press(key)
        page.wait_for_function(f"count => window.{name}.length >= count", arg=number)
    found = page.evaluate(f"window.{name}")
    return [float(one) for one in found]


def describe(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 1),
        "max": round(ordered[-1], 1),
    }


def run(sentences: int, keys: int) -> dict[str, Any]:
    """All figures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        write_run(folder, sentences)
        process, url = start(folder)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(url)
                page.goto(url.partition("?")[0] + "/s/run/next")
                page.evaluate(f"({_WATCH})()")
                empty = measure(page, "q", keys, "empty")
                decide = measure(page, "1", keys, "times")
                step = measure(page, "j", keys, "times")
                browser.close()
        finally:
            process.terminate()
            process.wait()
    return {
        "sentences": sentences,
        "keys": keys,
        "two_frames_ms": describe(empty),
        "decide_ms": describe(decide),
        "next_ms": describe(step),
    }


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sentences", type=int, default=200_000, help="[200000]")
    parser.add_argument("--keys", type=int, default=200, help="of each kind [200]")
    given = parser.parse_args()
    print(json.dumps(run(given.sentences, given.keys)))


if __name__ == "__main__":
    main()
