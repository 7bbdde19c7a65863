"""A new user, from a run of the baseline judge to a data set with their labels, by keyboard alone.

MASKDPO_DESK_LABELS names a file of human labels, such as factcheck_bench.jsonl: the run is then
made of its responses. Each question gets a second, shorter response, so that there are pairs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser_support import Person, chromium, needs_chromium, person
from command_process import ROOT
from desk_run import DOCUMENT, reviews
from desk_support import DeskProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium
LABELS = os.environ.get("MASKDPO_DESK_LABELS")
KEYS = {"1": "no_hallucination", "2": "contradictory", "3": "unverifiable", "4": "no_fact"}
WAIT_S = 60
SENTENCES = [
    "Mira Tolvan was born in Karsted in {year}.", "She bakes bread.", "She keeps {count} goats.",
    "Her brother lives in Bremmel.", "Everybody likes her.",
]  # fmt: skip


def maskdpo(folder: Path, *arguments: str) -> str:
    """Run a command; what it printed. It must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(
        [sys.executable, "-m", "maskdpo", *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout + found.stderr


def made_responses(folder: Path) -> list[dict[str, Any]]:
    """Twelve questions about one document."""
    row = json.dumps({"id": "d", "text": DOCUMENT})
    (folder / "documents.jsonl").write_text(row + "\n", encoding="utf-8")
    return [
        {
            "id": f"r{number}", "question_id": f"q{number}", "topic": f"topic {number % 3}",
            "language": "en", "document_ids": ["d"],
            "prompt": [{"role": "user", "content": f"Who is Mira Tolvan, part {number}?"}],
            "text": " ".join(SENTENCES).format(year=1945 + number, count=number),
        }
        for number in range(12)
    ]  # fmt: skip


def given_responses(folder: Path, labels: str) -> list[dict[str, Any]]:
    """The responses of a file of human labels, without the labels."""
    maskdpo(folder, "import", labels, "--output", "people.jsonl",
            "--documents-output", "documents.jsonl")  # fmt: skip
    rows = [json.loads(line) for line in (folder / "people.jsonl").open(encoding="utf-8")]
    return [{name: row[name] for name in row if name != "sentences"} for row in rows]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that the baseline judge has annotated."""
    folder = tmp_path / "run"
    folder.mkdir()
    rows = given_responses(folder, LABELS) if LABELS else made_responses(folder)
    shorter = [
        {**row, "id": f"{row['id']}-short", "text": row["text"][: len(row["text"]) // 2]}
        for row in rows
    ]
    lines = "".join(json.dumps(row) + "\n" for row in [*rows, *shorter])
    (folder / "responses.jsonl").write_text(lines, encoding="utf-8")
    maskdpo(tmp_path, "annotate", "--set", "run.dir=run")
    return folder


@dataclass
class Reader:
    """A person at the keyboard. `pressed` counts the keys; the mouse is never used.

    decided   by response and offsets: the labels as the person gave them last
    """

    user: Person
    run: Path
    name: str
    decided: dict[tuple[str, int, int], str] = field(default_factory=dict)
    pressed: int = 0

    def press(self, *keys: str) -> None:
        """Keys, each when the page has settled."""
        for key in keys:
            self.user.page.locator("#desk:not([aria-busy])").wait_for()
            self.user.page.keyboard.press(key)
            self.pressed += 1
        self.user.page.locator("#desk:not([aria-busy])").wait_for()

    def place(self) -> tuple[str, int, int]:
        """The response and the offsets of what is decided next."""
        page = self.user.page
        page.locator("#decision").wait_for()
        name = page.locator("[data-text=response]").get_attribute("data-id") or ""
        start, end = (int(page.locator(f"#decision [name={one}]").input_value())
                      for one in ("start", "end"))  # fmt: skip
        return name, start, end

    def mine(self) -> list[dict[str, Any]]:
        return [row for row in reviews(self.run) if row["who"] == self.name]

    def until(self, count: int) -> None:
        """Wait for a number of own rows in the file."""
        end = time.monotonic() + WAIT_S
        while len(self.mine()) < count:
            assert time.monotonic() < end, (count, len(self.mine()))
            self.user.page.wait_for_timeout(20)

    def decide(self, key: str) -> None:
        """A label for the current sentence."""
        place, count = self.place(), len(self.mine())
        self.press(key)
        self.until(count + 1)
        self.user.page.wait_for_function(
            "place => document.querySelector('#decision [name=start]')?.value !== place[1]"
            " || document.querySelector('[data-text=response]')?.dataset.id !== place[0]",
            arg=[place[0], str(place[1])],
        )
        self.decided[place] = KEYS[key]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def begin(reader: Reader, desk: DeskProcess) -> None:
    """Open the printed address, give a name, continue: all by keyboard."""
    page = reader.user.page
    page.goto(desk.url)
    page.locator("input[name=who]:focus").wait_for()
    page.keyboard.type(reader.name)
    page.keyboard.press("Enter")
    page.locator("[data-page=runs]").wait_for()
    page.wait_for_load_state("load")
    page.keyboard.press("u")
    page.locator(".sentence[aria-current]:focus").wait_for()


def key_for(place: tuple[str, int, int]) -> str:
    """Some label, the same for the same place."""
    return "1223"[(place[1] + len(place[0])) % 4]


def review_responses(reader: Reader, count: int) -> None:
    """Decide all sentences of this many responses, in the order in which they come."""
    seen: dict[str, None] = {}
    while True:
        place = reader.place()
        if place[0] not in seen and len(seen) == count:
            return
        seen[place[0]] = None
        reader.decide(key_for(place))


def test_a_new_user_reviews_ten_responses_and_builds(browser: Browser, run: Path) -> None:
    with DeskProcess(run.parent, "run") as desk:
        with person(browser) as one, person(browser) as two:
            ada, ben = Reader(one, run, "Ada"), Reader(two, run, "Ben")
            begin(ada, desk)
            review_responses(ada, 10)
            undo_one(ada)
            words = mark_wrong_words(ada)
            split_and_give_evidence(ada)
            begin(ben, desk)
            conflict = disagree(ben, ada)
            resolve(ada, conflict)
            one.picture("journey-end")
        assert desk.stop() == 0
    rows = reviews(run)
    assert [row["action"] for row in rows].count("withdraw") == 1
    assert all(row["blind"] for row in rows[:10])
    check_data_set(run, ada.decided, conflict)
    assert words in {
        (row["response_id"], item["start"], item["end"])
        for row in rows for span in row["spans"] for item in span["error_spans"]
    }  # fmt: skip
    printed = maskdpo(run.parent, "agreement", "--set", "run.dir=run", "--gold",
                      "run/reviews.jsonl", "--judge", "run/annotations.jsonl")  # fmt: skip
    assert "kappa" in printed


def undo_one(reader: Reader) -> None:
    """Take the last decision back, and decide otherwise."""
    last, count = list(reader.decided)[-1], len(reader.mine())
    reader.press("z")
    reader.until(count + 1)
    reader.user.page.locator("[data-announce]").wait_for()
    assert reader.place() == last
    reader.decide("4")
    assert reader.decided[last] == "no_fact"


def mark_wrong_words(reader: Reader) -> tuple[str, int, int]:
    """Mark the first two words of the current sentence by keyboard: response and offsets."""
    place = reader.place()
    reader.press("w", "Shift+ArrowRight", "Enter")
    reader.user.page.locator(".drafted-line").wait_for()
    ((start, end),) = json.loads(reader.user.page.locator("[name=words]").input_value())
    assert start == place[1]
    reader.decide("2")
    return place[0], start, end


def split_and_give_evidence(reader: Reader) -> None:
    """Split a sentence before its second word, with a sentence of the document as evidence."""
    place, count, page = reader.place(), len(reader.mine()), reader.user.page
    reader.press("e", "Enter")
    page.locator(".drafted-line .given").wait_for()
    reader.press("x", "Enter")
    page.locator(".parts").wait_for()
    reader.press("1")
    page.locator(".parts .label").wait_for()
    reader.press("2")
    reader.until(count + 1)
    last = reader.mine()[-1]
    assert (last["action"], last["start"], last["end"]) == ("split", *place[1:])
    assert [span["label"] for span in last["spans"]] == ["no_hallucination", "contradictory"]
    assert last["evidence"]
    for span in last["spans"]:
        reader.decided[place[0], span["start"], span["end"]] = span["label"]


def disagree(ben: Reader, ada: Reader) -> tuple[str, int, int]:
    """The second person decides a sentence of the first one otherwise."""
    for _ in range(20):
        place = ben.place()
        assert "Ada" not in ben.user.page.locator("#details-pane").inner_text()
        other = next(key for key in KEYS if KEYS[key] != ada.decided.get(place))
        ben.decide(other)
        if place in ada.decided:
            return place
    raise AssertionError("the second person met no sentence of the first")


def resolve(reader: Reader, place: tuple[str, int, int]) -> None:
    """Go to the conflicts by key, and decide the only one."""
    count, page = len(reader.mine()), reader.user.page
    reader.press("c")
    page.wait_for_url("**/conflicts")
    page.wait_for_load_state("load")
    reader.user.picture("journey-conflicts")
    reader.press("c")
    page.locator(".sides").wait_for()
    page.wait_for_load_state("load")
    reader.user.picture("journey-conflict")
    assert "Ben" in page.locator("main").inner_text()
    reader.press("3")
    reader.until(count + 1)
    last = reader.mine()[-1]
    assert (last["response_id"], last["start"], last["end"]) == place
    assert len(last["resolves"]) == 2
    reader.decided[place] = "unverifiable"


def check_data_set(
    run: Path, decided: Mapping[tuple[str, int, int], str], conflict: tuple[str, int, int]
) -> None:
    """The built pairs have the people's labels at exactly their places, and train by them."""
    import pyarrow.parquet as pq

    printed = maskdpo(run.parent, "build", "--set", "run.dir=run", "--set", "build.test_share=0")
    assert "run/reviews.jsonl are used" in printed
    assert "people disagree" not in printed, "the conflict is resolved"
    rows = pq.read_table(run / "dataset" / "pairs").to_pylist()
    num_checked = 0
    for row in rows:
        for side in ("chosen", "rejected"):
            num_checked += check_side(row[f"{side}_id"], side, row[f"{side}_spans"], decided)
    assert num_checked >= 10
    counts = json.loads((run / "dataset" / "manifest.json").read_text())["counts"]
    assert counts.get("conflicts", 0) == 0
    assert counts["reviews"] == len(reviews(run))
    assert counts["reviews_resolved"] == 2, conflict


def check_side(
    name: str,
    side: str,
    spans: Sequence[Mapping[str, Any]],
    decided: Mapping[tuple[str, int, int], str],
) -> int:
    trains = {
        "chosen": {"no_hallucination", "no_fact"},
        "rejected": {"contradictory", "unverifiable"},
    }
    found = 0
    for span in spans:
        label = decided.get((name, span["start"], span["end"]))
        if label is not None:
            assert span["label"] == label, (name, span)
            assert (span["weight"] > 0) == (label in trains[side])
            found += 1
    return found


@pytest.mark.parametrize("blind", [True, False])
def test_two_hundred_confirmations_take_two_hundred_keys(
    browser: Browser, run: Path, blind: bool
) -> None:
    """At most 210 keys from the first page on: one per sentence, across responses."""
    options = () if blind else ("--no-blind",)
    total = sum(
        1 for line in (run / "annotations.jsonl").open() for _ in json.loads(line)["sentences"]
    )
    wanted = min(200, total)
    with DeskProcess(run.parent, "run", "--who", "Ada", *options) as desk, person(browser) as one:
        reader = Reader(one, run, "Ada")
        one.page.goto(desk.url)
        reader.press("u")
        one.page.locator(".sentence[aria-current]:focus").wait_for()
        for number in range(wanted):
            reader.press("1" if blind else "a")
            reader.until(number + 1)
    assert len(reader.mine()) == wanted
    assert reader.pressed <= wanted * 1.05
    assert len({(row["response_id"], row["start"]) for row in reader.mine()}) == wanted
    assert {row["blind"] for row in reader.mine()} == {blind}
