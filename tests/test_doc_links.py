"""What the documentation points at is there: files, headings, modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from structure import PACKAGES

import maskdpo

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "|".join((*PACKAGES, "tests", "benchmarks"))
FORMATS = {"maskdpo.pairs"}  # names of file formats look like modules


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub writes them in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_modules_in_the_text_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{FOLDERS})/[\w/.\-]+)`", text))
    assert {path for path in named if not (ROOT / path).exists()} == set()
    for name in re.findall(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`", text):
        whole = ROOT / name.replace(".", "/")
        places = (whole.with_suffix(".py"), whole, whole.parent.with_suffix(".py"))
        is_public = name.split(".")[:2] in [["maskdpo", public] for public in maskdpo.__all__]
        assert name in FORMATS or is_public or any(place.exists() for place in places), name


def test_every_page_is_linked_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"}
    assert {page for page in pages if f"({page})" not in text} == set()
