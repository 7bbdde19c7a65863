"""Marked sentences: joined pieces are the text; labels are readable without colour; all escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from maskdpo.show.marks import (
    cut,
    html_of,
    html_of_verdicts,
    lines_of_verdicts,
    marks_of,
    marks_of_pair_side,
    text_of,
)
from schemas.labels import Label
from schemas.records import Annotation, ErrorSpan, Message, Sentence, Span, Verdict

TEXT = "Mira Tolvan was born in 1950. She paints.  Hello! Perhaps."


def make(text: str, *verdicts: tuple[str, Verdict]) -> Annotation:
    """An annotation whose sentences are these parts of `text`, in order."""
    sentences, position = [], 0
    for part, verdict in verdicts:
        start = text.index(part, position)
        position = start + len(part)
        sentences.append(Sentence(start=start, end=position, verdict=verdict))
    return Annotation(
        id="r1",
        question_id="q1",
        prompt=[Message(role="user", content="Who is Mira Tolvan?")],
        text=text,
        sentences=sentences,
    )


def sample() -> Annotation:
    return make(
        TEXT,
        (
            "Mira Tolvan was born in 1950.",
            Verdict(
                label=Label.CONTRADICTORY,
                confidence=0.9,
                confidence_kind="lexical",
                rationale="born in 1948",
                error_spans=[ErrorSpan(start=24, end=28), ErrorSpan(start=26, end=40)],
            ),
        ),
        ("She paints.", Verdict(label=Label.NO_HALLUCINATION, source="person")),
        ("Hello!", Verdict(label=Label.NO_FACT)),
        ("Perhaps.", Verdict(label=Label.UNDETERMINED, reason="no_document")),
    )


class Words(HTMLParser):
    """The text that a browser shows of a page, and the tags and attributes it saw."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._off = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"style", "sup"}:
            self._off = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "sup"}:
            self._off = False

    def handle_data(self, data: str) -> None:
        if not self._off:
            self.text += data


def test_pieces_joined_are_the_text() -> None:
    item = sample()
    pieces = cut(item.text, marks_of(item))
    assert "".join(piece.text for piece in pieces) == TEXT
    kinds = [piece.mark.kind for piece in pieces if piece.mark]
    assert kinds == ["hallucinated", "correct", "neutral", "neutral"]


def test_a_terminal_shows_labels_without_colour() -> None:
    shown = text_of(TEXT, marks_of(sample()))
    assert shown == (
        "Mira Tolvan was born in [[1950.]] [1✗] She paints. [2✓]  Hello! [3–] Perhaps. [4?]"
    )
    assert lines_of_verdicts(marks_of(sample())) == [
        "1 ✗ contradictory: confidence 0.90 (lexical), born in 1948",
        "2 ✓ no hallucination (by a person)",
        "3 – no fact",
        "4 ? undetermined: no_document",
    ]


def test_colour_adds_nothing_but_colour() -> None:
    marks = marks_of(sample())
    coloured = text_of(TEXT, marks, colour=True)
    assert "\x1b[1;33mMira" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == text_of(TEXT, marks)


def test_a_terminal_never_sees_what_it_would_obey() -> None:
    item = make("a\x1b[2Jb.", ("a\x1b[2Jb.", Verdict(label=Label.NO_FACT, rationale="x\x1b[3Jy\n")))
    assert "\x1b" not in text_of(item.text, marks_of(item))
    assert "\x1b" not in "".join(lines_of_verdicts(marks_of(item)))
    assert "\n" not in "".join(lines_of_verdicts(marks_of(item)))


def test_html_shows_the_text_and_names_each_label() -> None:
    page = Words(html_of(TEXT, marks_of(sample()), language="en"))
    assert page.text == TEXT
    assert ("div", {"class": "maskdpo-text", "dir": "auto", "lang": "en"}) in page.tags
    spoken = [given["aria-label"] for _, given in page.tags if given.get("role") == "img"]
    assert spoken[0] == "sentence 1: contradictory"
    assert spoken[3] == "sentence 4: undetermined"
    assert "4?</span></sup></mark>" in html_of(TEXT, marks_of(sample()))


def test_numbers_link_to_what_explains_them() -> None:
    page = Words(html_of(TEXT, marks_of(sample()), anchor="r1"))
    links = [given["href"] for tag, given in page.tags if tag == "a"]
    assert links == ["#r1s1", "#r1s2", "#r1s3", "#r1s4"]
    assert "<a " not in html_of(TEXT, marks_of(sample()))


def test_wrong_words_are_underlined_and_cut_at_the_sentence() -> None:
    assert marks_of(sample())[0].wrong == ((24, 29),)
    assert 'in <span class="wrong">1950.</span><sup' in html_of(TEXT, marks_of(sample()))


def test_html_escapes_all_that_is_data() -> None:
    evil = '<script>alert(1)</script>"&\'<b onclick="x">.'
    item = make(evil, (evil, Verdict(label=Label.UNDETERMINED, reason=evil, rationale=evil)))
    page = html_of(evil, marks_of(item), language='"><script>') + html_of_verdicts(marks_of(item))
    assert "<script" not in page
    assert "onclick=" not in page.replace("onclick=&quot;", "")
    assert Words(html_of(evil, marks_of(item))).text == evil


def span(start: int, end: int, label: Label, weight: float) -> Span:
    return Span(start=start, end=end, label=label, weight=weight)


def test_a_pair_says_what_trains_and_what_is_masked() -> None:
    text = "Aa. Bb. Cc.  Dd."
    marks = marks_of_pair_side(
        text,
        [
            span(0, 3, Label.NO_HALLUCINATION, 1.0),
            span(4, 7, Label.HALLUCINATED, 0.0),
            span(8, 11, Label.NO_HALLUCINATION, 0.5),
        ],
    )
    assert text_of(text, marks) == ("Aa. [1✓] Bb. [2✗ masked] Cc. [3✓ weight 0.5]  Dd. [4? masked]")
    page = html_of(text, marks)
    assert '<mark class="maskdpo hallucinated masked">Bb.' in page
    assert 'aria-label="sentence 2: hallucinated, masked"' in page
    assert 'aria-label="sentence 3: no hallucination, trains with weight 0.5"' in page
    assert marks[3].label == "no verdict"


def test_a_pair_without_spans_has_no_marks() -> None:
    assert marks_of_pair_side("Aa.", None) == []
    assert text_of("Aa.", []) == "Aa."
