"""Pieces of a sentence are one marked sentence: in terminals, pages, notebooks, cards, reports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, write_annotations
from command_line import Run, make_run
from markdown_it import MarkdownIt
from show_rows import pair_row, span, write

from dataset_builder.config import BuildConfig, Granularity
from maskdpo.api.shown import html_of_pairs, text_of_pairs
from maskdpo.publishing.dataset import build_dataset
from maskdpo.report.examples import show_answer
from maskdpo.show.choice import Choice, choose, order_of_labels
from maskdpo.show.marks import (
    Mark,
    cut,
    html_of,
    html_of_verdicts,
    marks_of_pair_side,
    marks_of_sentences,
    text_of,
)
from maskdpo.show.sources import find_source
from schemas.labels import Label
from schemas.records import Annotation, MissingWords, Pair, Sentence, Span, Verdict

TEXT = "Aa. Oslo lies in Spain, says Bo. Cc."
SPAIN = (17, 22)
SPAN = BuildConfig(granularity=Granularity.SPAN, test_share=0.0, near_duplicate=0.0)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(monkeypatch, capsys)


def piece(place: tuple[int, int], part: str | None, weight: float, number: int = 1) -> Span:
    values = {"start": place[0], "end": place[1], "label": "contradictory", "weight": weight}
    return Span.model_validate_json(json.dumps({**values, "sentence": number, "part": part}))


def marks(words: float, rest: float) -> list[Mark]:
    """The marks of TEXT, whose second sentence has 'lies' and 'Spain' as its wrong words."""
    first = Span(start=0, end=3, label=Label.NO_HALLUCINATION, weight=0.0, sentence=0)
    return marks_of_pair_side(
        TEXT,
        [
            first,
            piece((4, 9), "context", rest),
            piece((9, 13), "error", words),
            piece((13, 17), "context", rest),
            piece(SPAIN, "error", words),
            piece((22, 32), "context", rest),
            piece((33, 36), None, 1.0, number=2),
        ],
    )


def test_pieces_are_one_mark_with_the_words_inside() -> None:
    found = marks(1.0, 0.0)
    assert [(TEXT[mark.start : mark.end], mark.number) for mark in found] == [
        ("Aa.", 1),
        ("Oslo lies in Spain, says Bo.", 2),
        ("Cc.", 3),
    ]
    assert [TEXT[start:end] for start, end in found[1].wrong] == ["lies", "Spain"]
    pieces = cut(TEXT, found)
    assert "".join(piece.text for piece in pieces) == TEXT
    parts = [part for piece in pieces for part in piece.segments]
    assert "".join(words for words, _ in parts) == TEXT
    assert [words for words, is_wrong in parts if is_wrong] == ["lies", "Spain"]


@pytest.mark.parametrize(
    ("words", "rest", "tag", "training"),
    [
        (1, 0, "words only", "wrong words train, the rest is masked"),
        (0.5, 0, "words only, weight 0.5", "wrong words train with weight 0.5, the rest is masked"),
        (
            1,
            0.25,
            "words weight 1, rest weight 0.25",
            "wrong words train, the rest trains with weight 0.25",
        ),
        (
            0,
            0.5,
            "rest only, weight 0.5",
            "wrong words are masked, the rest trains with weight 0.5",
        ),
        (0, 0, "masked", "masked"),
    ],
)
def test_the_weights_of_the_parts_are_readable_without_colour(
    words: float, rest: float, tag: str, training: str
) -> None:
    found = marks(words, rest)
    assert text_of(TEXT, found) == (
        f"Aa. [1✓ masked] Oslo [[lies]] in [[Spain]], says Bo. [2✗ {tag}] Cc. [3✗]"
    )
    assert found[1].training == training
    spoken = f'aria-label="sentence 2: contradictory, {training}"'
    assert spoken in html_of(TEXT, found)
    coloured = text_of(TEXT, found, colour=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == text_of(TEXT, found)


def test_what_trains_in_a_sentence_is_not_pale() -> None:
    page = html_of(TEXT, marks(1.0, 0.0))
    assert '<mark class="maskdpo hallucinated masked">Oslo <span class="wrong trains">lies' in page
    page = html_of(TEXT, marks(0.0, 0.5))
    assert '<mark class="maskdpo hallucinated">Oslo <span class="wrong masked">lies</span>' in page
    coloured = text_of(TEXT, marks(1.0, 0.0), colour=True)
    assert "\x1b[2mOslo \x1b[0m\x1b[1;33;4m[[lies]]\x1b[0m" in coloured


def test_wrong_words_are_never_markup() -> None:
    text = "<b>\x1b[2J is so."
    spans = [
        piece((0, 7), "error", 1.0, number=0),
        piece((7, len(text)), "context", 0.0, number=0),
    ]
    assert "<b>" not in html_of(text, marks_of_pair_side(text, spans))
    assert "\x1b" not in text_of(text, marks_of_pair_side(text, spans))


def test_a_sentence_with_only_punctuation_marked_has_no_wrong_words() -> None:
    (mark,) = marks_of_pair_side("Aa, b.", [piece((0, 6), "context", 0.0, number=0)])
    assert (mark.wrong, mark.masked) == ((), True)
    assert mark.detail == "only punctuation is marked as wrong"


def test_wrong_words_that_are_the_whole_sentence_have_no_rest() -> None:
    (mark,) = marks_of_pair_side("Aa b ", [piece((0, 5), "error", 1.0, number=0)])
    assert (mark.wrong, mark.rest, mark.tag) == (((0, 4),), None, "1✗")
    assert mark.training == "trains"


def pieced_pair(**changes: Any) -> dict[str, Any]:
    """`pair_row` with a rejected side of two sentences, of which the second is pieces."""
    text = "She sings. She flies now."
    whole = {"sentence": 0, "part": None}
    second = {"sentence": 1}
    spans = [
        span(0, 10, "contradictory", 1.0) | whole,
        span(11, 15, "unverifiable", 0.0) | second | {"part": "context"},
        span(15, 20, "unverifiable", 1.0) | second | {"part": "error"},
        span(20, 25, "unverifiable", 0.0) | second | {"part": "context"},
    ]
    rejected = [{"role": "assistant", "content": text}]
    return pair_row(rejected=rejected, rejected_spans=spans, **changes)


def test_the_terminal_counts_sentences_and_names_the_words(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = run("show", write(tmp_path / "pairs.jsonl", [pieced_pair()]))
    assert code == 0
    assert "She sings. [1✗] She [[flies]] now. [2✗ words only]" in out
    assert "rejected (score 0.00, 2 of 2 sentences train)" in out
    lines = '2 ✗ unverifiable: wrong words train, the rest is masked\n  wrong words: "flies"\n'
    assert lines in out


def test_the_page_shows_one_sentence_and_its_words(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "pairs.jsonl", [pieced_pair()])
    code, _, _ = run("show", source, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert code == 0
    assert "2 of 2 sentences train" in page
    assert 'She <span class="wrong trains">flies</span> now.<sup>' in page
    words = "wrong words train, the rest is masked; wrong words: <q>flies</q>"
    assert f"<b>unverifiable</b>: {words}" in page
    assert "Underlined" in page and "words only" in page
    run("show", write(tmp_path / "plain.jsonl", [pair_row()]), "--html", tmp_path / "plain.html")
    assert "Underlined" not in (tmp_path / "plain.html").read_text(encoding="utf-8")


def test_a_choice_counts_sentences_not_pieces(tmp_path: Path) -> None:
    source = find_source(str(write(tmp_path / "pairs.jsonl", [pieced_pair()])))
    chosen = choose(source, Choice(limit=5))
    assert order_of_labels(chosen.rows)[Label.UNVERIFIABLE] == 2  # one on either side


def test_a_notebook_shows_one_sentence(tmp_path: Path) -> None:
    pair = Pair.model_validate_json(json.dumps(pieced_pair()))
    assert "rejected: She sings. [1✗] She [[flies]] now. [2✗ words only]" in text_of_pairs([pair])
    assert 'class="wrong trains">flies</span> now.<sup>' in html_of_pairs([pair], "1 pair")


def marked_question(name: str, errors: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Oslo lies in **Spain**, as the second sentence of the worse response."""
    texts = [f"Rome is {name}.", "Oslo lies in *Spain*_now, they say."]
    worst = annotation_row(f"{name}/b", [GOOD, BAD], question=name, texts=texts)
    start = len(texts[0]) + 1
    worst["sentences"][1]["verdict"]["error_spans"] = [
        {"start": start + first, "end": start + last} for first, last in errors
    ]
    return [annotation_row(f"{name}/a", [GOOD, BAD, GOOD], question=name), worst]


def test_the_card_shows_a_pair_with_wrong_words_in_bold(tmp_path: Path) -> None:
    rows = marked_question("q1", []) + marked_question("q2", [(13, 20)])
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    folder = build_dataset(SPAN, annotations=source, output=tmp_path / "dataset").output
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "response `q2/b`, score 0.50: 1 of 2 sentences train." in card
    row = (
        "| ✗ | Oslo lies in <b>\\*Spain\\*</b>\\_now, they say. | hallucinated | "
        "wrong words train, the rest is masked |"
    )
    assert row in card
    assert "Wrong words are **bold**" in card
    html = (
        MarkdownIt("commonmark")
        .enable("table")
        .render(row.replace("| ✗", "|a|b|c|d|\n|-|-|-|-|\n| ✗"))
    )
    assert "lies in <b>*Spain*</b>_now" in html


def test_a_card_without_wrong_words_does_not_speak_of_them(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "annotations.jsonl", marked_question("q1", [(13, 20)]))
    config = SPAN.model_copy(update={"granularity": Granularity.SENTENCE})
    folder = build_dataset(config, annotations=source, output=tmp_path / "dataset").output
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Wrong words are **bold**" not in card
    assert "| ✗ | Oslo lies in \\*Spain\\*\\_now, they say. | hallucinated | trains |" in card


def test_the_report_marks_wrong_words() -> None:
    row = Annotation.model_validate_json(json.dumps(marked_question("q1", [(13, 20)])[1]))
    answer = show_answer("m", row)
    words = [part for piece in answer.pieces for part, is_wrong in piece.segments if is_wrong]
    assert words == ["*Spain*"]


def test_words_that_were_not_located_are_shown_with_their_reason() -> None:
    missing = [
        MissingWords(words="in <b>Rome</b>", reason="in_document"),
        MissingWords(words="", reason="none_given"),
    ]
    verdict = Verdict(label=Label.CONTRADICTORY, rationale="no", missing_error_words=missing)
    (mark,) = marks_of_sentences([Sentence(start=0, end=3, verdict=verdict)])
    assert mark.detail == 'no, wrong words "in <b>Rome</b>" not used (in document)'
    assert "<b>Rome" not in html_of_verdicts([mark])
