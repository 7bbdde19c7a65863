"""Plain words: what a person reads has no phrase of `tests/words.py`, which reads every place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import words

PROSE = "It is told whether the others go on."
MODULE = f'''"""{PROSE}"""

# {PROSE}
WIDTH = 3
"""{PROSE}"""


def fail(name: str) -> None:
    """
    A first paragraph.

    {PROSE}
    """
    raise ValueError(f"{{name}} is told whether the"
                     " others go on.")
'''


def hits_in(text: str) -> set[str]:
    place = words.Text(path="a.md", line=1, kind="pages", words=words.plain(text))
    return {hit.phrase for hit in words.find_hits(place)}


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    """Where each phrase is in this checkout."""
    places: dict[str, list[str]] = {phrase.name: [] for phrase in words.PHRASES}
    for hit in words.count(words.ROOT):
        places[hit.phrase].append(f"{hit.text.path}:{hit.text.line}: {hit.found}")
    return places


@pytest.mark.parametrize("phrase", words.PHRASES, ids=lambda phrase: phrase.name)
def test_no_text_has_the_phrase(phrase: words.Phrase, found: dict[str, list[str]]) -> None:
    assert found[phrase.name] == [], f"write instead: {phrase.instead}"


@pytest.mark.parametrize("phrase", words.PHRASES, ids=lambda phrase: phrase.name)
def test_a_phrase_is_found_and_its_ordinary_use_is_not(phrase: words.Phrase) -> None:
    assert phrase.name in hits_in(phrase.example)
    assert phrase.name in hits_in(phrase.example.replace(" ", "\n"))
    assert phrase.name not in hits_in(phrase.ordinary)
    assert phrase.name not in hits_in(phrase.instead)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the prose once in every kind of place."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text(f"# Page\n\n- {PROSE}\n\n```text\n{PROSE}\n```\n")
    cells = [{"cell_type": kind, "source": [PROSE]} for kind in ("markdown", "code")]
    (tmp_path / "docs/notebook.ipynb").write_text(json.dumps({"cells": cells}))
    for page in words.PAGES:
        (tmp_path / page).write_text(PROSE.replace(" ", "\n"))
    for package in words.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "module.py").write_text(MODULE)
    (tmp_path / "trainer/page.jinja").write_text(f"<p class='a'>{PROSE}</p>{{{{ value }}}}\n")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/a.yaml").write_text(f"a: 1  # {PROSE}\n")
    (tmp_path / "Makefile").write_text(f"all:  ## {PROSE}\n")
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_text(f"# {PROSE}\ntrue\n")
    return tmp_path


def places(hits: list[words.Hit]) -> Iterator[tuple[str, int, str]]:
    for hit in hits:
        yield hit.text.path, hit.text.line, hit.phrase


def test_every_place_is_read(checkout: Path) -> None:
    expected = {("docs/page.md", 3), ("configs/a.yaml", 1), ("Makefile", 1), (".ci/run", 1)}
    expected |= {(page, 1) for page in words.PAGES} | {("trainer/page.jinja", 1)}
    expected |= {("docs/notebook.ipynb", 1)}
    lines = (1, 3, 5, 12, 14)
    expected |= {(f"{package}/module.py", line) for package in words.PACKAGES for line in lines}
    both = {(*place, phrase) for place in expected for phrase in ("told", "goes on")}
    hits = list(places(words.count(checkout)))
    assert set(hits) == both
    assert len(hits) == len(both)


def test_paths_limit_what_is_counted(checkout: Path) -> None:
    assert {path for path, _, _ in places(words.count(checkout, ("docs", "Make")))} == {
        "docs/page.md",
        "docs/notebook.ipynb",
        "Makefile",
    }


def test_data_and_prompts_are_not_read(tmp_path: Path, checkout: Path) -> None:
    before = len(words.count(checkout))
    for name in words.ONLY_COMMENTS:
        path = tmp_path / name
        path = path / "a.py" if name.endswith("/") else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'WORDS = "{PROSE}"\n')
    (tmp_path / "annotator/prompts.yaml").write_text(f"system: {PROSE}\n")
    assert len(words.count(checkout)) == before


def test_excluded_places_exist() -> None:
    for name in words.ONLY_COMMENTS:
        assert (words.ROOT / name).exists(), name


def test_the_table_has_a_row_per_phrase_and_sums(checkout: Path) -> None:
    lines = words.table(words.count(checkout)).splitlines()
    assert len(lines) == len(words.PHRASES) + 2
    told = next(line for line in lines if line.startswith("told "))
    packages = len(words.PACKAGES)
    assert re.findall(r"\d+", told) == [
        str(n) for n in (5, 3 * packages, packages, packages + 1, 3, 5 * packages + 9)
    ]
