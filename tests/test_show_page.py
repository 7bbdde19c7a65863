"""The page of `maskdpo show --html`: escaped, small, opens alone; documents once, links whole."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import Run, make_run
from show_rows import DOCUMENT, annotation_row, document_row, evidence, pair_row, verdict, write

from maskdpo.show.evidence import Cited
from maskdpo.show.marks import MARK_CSS
from maskdpo.show.page_documents import choose_embedded, cut_document
from schemas.records import Document

VOID = {"meta", "br", "hr", "img", "link", "input"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


class Page(HTMLParser):
    """A page taken apart: tags with attributes, text by the tag it is in. Tags must nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def values(self, name: str) -> list[str]:
        """All values of an attribute, in order."""
        return [given[name] or "" for _, given in self.tags if name in given]


def show(run: Run, path: Path, *arguments: object) -> tuple[Page, str]:
    page = path.parent / "page.html"
    code, out, err = run("show", path, "--html", page, *arguments)
    assert code == 0, err
    assert f"wrote {page} (" in out
    text = page.read_text(encoding="utf-8")
    return Page(text), text


def test_a_page_opens_alone_and_its_links_lead_somewhere(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "documents.jsonl", [document_row()])
    path = write(tmp_path / "a.jsonl", [annotation_row(), annotation_row("r2", question_id="q2")])
    page, text = show(run, path)
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert "http" not in re.sub("http-equiv", "", text)
    assert "url(" not in text and "@import" not in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href")
    assert len(links) > 10
    assert all(link[0] == "#" and link[1:] in ids for link in links)
    assert set(page.values("aria-labelledby")) <= set(ids)


def test_a_sentence_leads_to_its_verdict_and_on_to_the_documents_words(
    run: Run, tmp_path: Path
) -> None:
    write(tmp_path / "documents.jsonl", [document_row()])
    page, text = show(run, write(tmp_path / "a.jsonl", [annotation_row()]))
    assert '<a href="#q1r1s1">' in text
    row = re.sub(r"\s+", " ", text.split('<li id="q1r1s1">')[1].split("</li>")[0])
    assert "<b>contradictory</b>: confidence 0.90 (votes), the document says 1948" in row
    assert "wrong words: <q>1950</q>" in row
    assert '<a href="#d1e2">D1.2</a>' in row
    assert '<mark class="evidence"><sup id="d1e2">2</sup>She was born in 1948</mark> in' in text
    assert "(by a person)" in text.split('<li id="q1r1s2">')[1].split("</li>")[0]
    assert "quoted, but in no document: <q>lives in Orvel today</q>" in text
    assert ("details", {"class": "document", "id": "d1", "open": None}) in page.tags
    assert "<b>D1</b> tolvan (Tolvan, Mira)" in text
    assert [tag for tag, _ in page.tags if tag in {"h1", "h2", "h3"}] == ["h1", "h2", "h3", "h3"]


def test_a_page_escapes_all_that_is_data(run: Run, tmp_path: Path) -> None:
    evil = "</style></details><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    row = annotation_row(
        evil,
        question_id=evil,
        topic=evil,
        language=evil,
        model=evil,
        document_ids=[evil],
        text=evil,
        prompt=[{"role": "system", "content": evil}, {"role": "user", "content": evil}],
        sentences=[
            {
                "start": 0,
                "end": len(evil),
                "verdict": verdict(
                    "undetermined",
                    reason=evil,
                    rationale=evil,
                    missing_quotes=[evil],
                    error_spans=[{"start": 3, "end": 40}],
                    evidence=[{"document_id": evil, "start": 2, "end": 30}],
                ),
            }
        ],
    )
    path = write(tmp_path / "<b>.jsonl", [row])
    write(
        tmp_path / "documents.jsonl", [document_row(id=evil, title=evil, text=evil, language=evil)]
    )
    page, text = show(run, path)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, given in page.tags for name in given if name.startswith("on")]
    assert text.count("<style>") == text.count("</style>") == 1
    pairs = [pair_row(evil, topic=evil, policy=evil, judge=evil, language=evil)]
    pairs[0]["chosen"] = [{"role": "assistant", "content": evil}]
    pairs[0]["chosen_spans"] = pairs[0]["rejected_spans"] = None
    page, _ = show(run, write(tmp_path / "pairs.jsonl", pairs))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}


def test_the_marked_text_is_the_text(run: Run, tmp_path: Path) -> None:
    text = "Sie malt  Bilder.\n\n<b>Ja</b> & 'so'.\tNein."
    places = [(0, 17), (19, 36), (37, 42)]
    sentences = [{"start": a, "end": b, "verdict": verdict("no_fact")} for a, b in places]
    row = annotation_row(text=text, sentences=sentences, document_ids=[])
    _, page = show(run, write(tmp_path / "a.jsonl", [row]))
    fragment = page.split('<div class="maskdpo-text"')[1].split(">", 1)[1].split("</div>")[0]
    words = re.sub(r"<[^>]+>", "", re.sub(r"<sup>.*?</sup>", "", fragment))
    from html import unescape

    assert unescape(words) == text


def test_answers_to_one_question_share_their_documents(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "documents.jsonl", [document_row(text=DOCUMENT + " x" * 200 + " end")])
    rows = [annotation_row("r1"), annotation_row("r2"), annotation_row("r3", question_id="q2")]
    page, text = show(run, write(tmp_path / "a.jsonl", rows))
    assert len([tag for tag, _ in page.tags if tag == "section"]) == 2
    assert len([tag for tag, _ in page.tags if tag == "article"]) == 3
    assert text.count("x end") == 1  # the document is there once
    second = text.split('id="q2"')[1]
    assert '<a href="#d1">whole document</a>' in second
    assert (
        '<mark class="evidence"><sup><a href="#d1e2">2</a></sup>She was born in 1948</mark>'
        in second
    )
    assert "[319 characters left out]" in second
    assert "Contents: 2 questions" in text


def test_documents_that_nobody_cites_are_folded(run: Run, tmp_path: Path) -> None:
    other = document_row(id="other", text="A river.")
    write(tmp_path / "documents.jsonl", [document_row(), other])
    row = annotation_row(document_ids=["other", "tolvan"])
    page, text = show(run, write(tmp_path / "a.jsonl", [row]))
    assert "<summary>Other documents, cited by no sentence here: 1</summary>" in text
    assert ("details", {"class": "document", "id": "d2"}) in page.tags
    assert text.index('id="d1"') < text.index('id="d2"')


def test_evidence_without_documents_is_named_by_its_place(run: Run, tmp_path: Path) -> None:
    _, text = show(run, write(tmp_path / "a.jsonl", [annotation_row()]))
    assert "evidence D1.2 (characters 26 to 46)" in text
    assert "no documents.jsonl was found" in text
    assert "#d1" not in text


def test_a_page_of_pairs_shows_both_sides(run: Run, tmp_path: Path) -> None:
    rows = [pair_row(), pair_row("p2", chosen_spans=None, rejected_spans=None)]
    rows[1]["rejected_finish_reason"] = "length"
    page, text = show(run, write(tmp_path / "pairs.jsonl", rows))
    titles = [text.strip() for text in page.texts["h3"]]
    assert titles == ["chosen", "rejected"] * 2
    assert '<mark class="maskdpo hallucinated masked">She flies.' in text
    flat = re.sub(r"\s+", " ", text)
    assert "response r7 · score 0.50 · 1 of 2 sentences train" in flat
    assert '<b>unverifiable</b>: <span class="masked-words">masked</span>' in flat
    assert "<b>no hallucination</b>: trains, weight 0.5</li>" in flat
    assert "<b>contradictory</b>: trains</li>" in flat
    assert flat.count("no spans: all of it trains, as in stock DPO") == 2
    assert "<b>cut off at the token limit</b>" in flat


def test_a_page_says_what_it_leaves_out(run: Run, tmp_path: Path) -> None:
    rows: list[dict[str, object] | str] = [
        annotation_row(f"r{n}", question_id=f"q{n}") for n in range(5)
    ]
    path = write(tmp_path / "a.jsonl", [*rows, "{}"])
    _, text = show(run, path, "--limit", 2)
    assert "4 more match and are left out of this page." in text
    _, text = show(run, path, "--id", "r1", "--id", "r3")
    assert "left out of this page" not in text
    assert "Rows that could not be read: 1" in text


def test_counts_of_labels_are_those_of_the_page(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [annotation_row("r1"), annotation_row("r2")])
    _, text = show(run, path, "--limit", 1)
    flat = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))
    assert "no hallucination✓ 1 (33.3%) contradictory✗ 1 (33.3%) undetermined? 1 (33.3%)" in flat


def test_a_page_of_somebody_else_is_not_written_over(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [annotation_row()])
    page = tmp_path / "mine.html"
    page.write_text("<p>my notes</p>", encoding="utf-8")
    code, _, err = run("show", path, "--html", page)
    assert code == 2
    assert "mine.html: is not a file that maskdpo show wrote" in err
    assert page.read_text(encoding="utf-8") == "<p>my notes</p>"
    page.unlink()
    assert run("show", path, "--html", page)[0] == 0
    assert run("show", path, "--html", page)[0] == 0  # its own page it replaces


def test_pages_are_the_same_each_time(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "documents.jsonl", [document_row()])
    path = write(tmp_path / "a.jsonl", [annotation_row(f"r{n}") for n in range(20)])
    one = show(run, path, "--sample", 5)[1]
    assert one == show(run, path, "--sample", 5)[1]


def cited(text: str, *places: tuple[int, int], name: str = "d") -> Cited:
    return Cited(
        number=1, id=name, document=Document(id=name, text=text), places=sorted(set(places))
    )


def test_a_document_is_cut_at_each_place_and_stays_whole() -> None:
    parts = cut_document(cited("abcdefgh", (1, 4), (2, 6), (2, 3), (7, 99), (5, 5)))
    assert "".join(part.text for part in parts) == "abcdefgh"
    assert [(part.text, list(part.starts), part.cited) for part in parts] == [
        ("a", [], False),
        ("b", [1], True),
        ("c", [2, 3], True),
        ("d", [], True),
        ("ef", [], True),
        ("gh", [], False),
    ]


def test_a_long_document_is_cut_to_what_is_around_its_places() -> None:
    text = "".join(f"{number:05}" for number in range(10_000))
    parts = cut_document(cited(text, (30_000, 30_010), (30_500, 30_600)))
    assert [part.left_out for part in parts if part.left_out] == [28_000, 18_400]
    assert sum(len(part.text) + part.left_out for part in parts) == len(text)
    assert all(part.text in text for part in parts)
    marked = [part.text for part in parts if part.cited]
    assert marked == [text[30_000:30_010], text[30_500:30_600]]
    assert len(cut_document(cited("x" * 20_000))) == 1


def test_the_budget_is_spent_on_what_is_cited_first() -> None:
    documents = [
        cited("x" * 500, name="given"),
        cited("x" * 500, name="of-backed"),
        cited("é" * 250, (0, 9), name="cited"),
    ]
    assert choose_embedded(documents, last={"of-backed"}, max_bytes=800) == {"cited"}
    assert choose_embedded(documents, last={"of-backed"}, max_bytes=1_500) == {"cited", "given"}
    assert choose_embedded(documents, last={"given"}, max_bytes=1_500) == {"cited", "of-backed"}
    assert len(choose_embedded(documents, max_bytes=2_250)) == 3


def test_two_hundred_responses_stay_below_two_megabytes(run: Run, tmp_path: Path) -> None:
    """As many and as long documents as people read for a response: 30 of 500 characters."""
    rows, documents = [], []
    for number in range(200):
        names = [f"{number}/{index}" for index in range(30)]
        documents += [document_row(id=name, text=(DOCUMENT + "\n") * 4) for name in names]
        row = annotation_row(f"r{number}", question_id=f"q{number}", document_ids=names)
        first = row["sentences"][0]["verdict"]
        first["evidence"] = [evidence("She was born in 1948", name=name) for name in names[:3]]
        row["sentences"][1]["verdict"]["evidence"] = []
        rows.append(row)
    write(tmp_path / "documents.jsonl", documents)
    page, text = show(run, write(tmp_path / "a.jsonl", rows))
    assert len(text.encode()) < 2_000_000
    assert "documents are named and not shown, so that the page stays small" in text
    assert "(not on this page)" in text
    ids = set(page.values("id"))
    assert {f"d{number}e1" for number in range(1, 601)} <= ids  # all that is cited is there
    assert all(link[1:] in ids for link in page.values("href"))


def test_colours_of_marks_have_enough_contrast() -> None:
    """WCAG 2.2, AA: 4.5 to 1, in light and in dark."""
    light, dark = MARK_CSS.split("@media (prefers-color-scheme: dark)")
    for css in (light, dark):  # both colours are set: a notebook's own may be light or dark
        rules = re.findall(r"mark\.maskdpo ?\.([\w.]+) \{ background: (#\w+); color: (#\w+)", css)
        of_words = {"wrong.trains", "wrong.masked"}
        of_sentences = {"correct", "hallucinated", "neutral", "masked"}
        assert {name for name, _, _ in rules} == of_sentences | of_words
        for name, background, colour in rules:
            assert contrast(background, colour) >= 4.5, name


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
