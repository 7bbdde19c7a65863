"""The report page: what it says first, that it is safe, and that nothing needs a mouse."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaluation_support import (
    BAD,
    GOOD,
    OPEN,
    QUESTIONS,
    Answers,
    annotation,
    compare,
    example_answers,
    make_questions,
)

from maskdpo.report.examples import choose_questions, make_examples
from maskdpo.report.page import ReportInputs, render_report
from maskdpo.report.training_plots import read_training_log
from maskdpo.show.marks import cut, marks_of
from schemas.records import Document, ErrorSpan, Sentence, Verdict


class Page(HTMLParser):
    """Tags, the addresses they would load, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "data")]
        assert not any(key.startswith("on") for key, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(annotations: Answers, scores: Any, log: Path, **changed: Any) -> str:
    questions = list(dict.fromkeys(a.question_id for rows in annotations.values() for a in rows))
    values = {
        "title": "A <title>",
        "scores": scores,
        "annotations": annotations,
        "questions": make_questions(questions),
        "documents": {"d": Document(id="d", text="<script>alert(1)</script> & truth")},
        "training_logs": {"mask_dpo": log},
        "notes": ["a note with <i>"],
        "num_examples": 2,
    }
    return render_report(ReportInputs(**(values | changed)))


def test_the_page_is_self_contained_and_escapes_what_models_say(tmp_path: Path) -> None:
    annotations = example_answers()
    evil = '</mark><script src="http://127.0.0.1/x.js"></script><img src=x onerror=y>'
    scores = compare(annotations, QUESTIONS, descriptions={"base": evil})
    annotations["base"][0] = annotation(QUESTIONS[0], 0, [GOOD]).model_copy(
        update={
            "text": "Aa. " + evil,
            "sentences": [
                Sentence(
                    start=0,
                    end=4 + len(evil),
                    verdict=Verdict(label=BAD, rationale='" onmouseover="alert(1)' + evil),
                )
            ],
        }
    )
    log = tmp_path / "training_log.jsonl"
    log.write_text('{"step": 1, "loss": 0.7}\n{"step": 2, "loss": 0.6}\n{"step": 3, "lo')
    text = page_of(annotations, scores, log, num_examples=20)
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "link"} & set(page.tags)
    assert all(address.startswith("#") for address in page.loads)
    assert "default-src 'none'" in text
    assert page.tags.count("svg") == 5  # four pictures of scores, one training curve
    assert text.count("&lt;script src=") >= 3  # description, answer, reason
    assert evil in page.text


def test_the_page_underlines_wrong_words_and_escapes_them(tmp_path: Path) -> None:
    annotations = example_answers()
    first = annotations["base"][0]
    verdict = Verdict(label=BAD, error_spans=[ErrorSpan(start=3, end=7)])
    sentences = [Sentence(start=0, end=8, verdict=verdict)]
    annotations["base"][0] = first.model_copy(update={"text": "Aa <b>x.", "sentences": sentences})
    scores = compare(annotations, QUESTIONS)
    text = page_of(annotations, scores, tmp_path / "none", num_examples=20)
    assert '>Aa <span class="wrong">&lt;b&gt;x</span>.</mark>' in text


def test_the_page_opens_with_a_conclusion_and_ends_with_training(tmp_path: Path) -> None:
    annotations = example_answers()
    scores = compare(annotations, QUESTIONS, descriptions={"mask_dpo": "DPO with masks."})
    log = tmp_path / "training_log.jsonl"
    log.write_text('{"step": 1, "loss": 0.7}\n')
    text = page_of(annotations, scores, log)
    places = [
        text.index(part)
        for part in (
            "mask_dpo is best: it scores",
            "DPO with masks.",
            "Scores, in percent",
            "What each model answered",
            "Differences, in percentage points",
            "Responses, model by model",
            "<h2>Topics</h2>",
            "<h2>Training</h2>",
        )
    ]
    assert places == sorted(places)
    gap = scores["differences"]["mask_dpo"]
    both = f"{100 * gap['difference']:.1f} points higher than base (95% interval"
    assert f"mask_dpo scores {both} {100 * gap['low']:.1f} to" in Page(text).text
    assert "clearly higher" in text


def test_one_unit_everywhere(tmp_path: Path) -> None:
    """Percent in the table, in the pictures' words and in the topics; no fractions of one."""
    annotations = example_answers()
    scores = compare(annotations, QUESTIONS)
    text = Page(page_of(annotations, scores, tmp_path / "none")).text
    value = 100 * scores["models"]["mask_dpo"]["score"]
    assert text.count(f"{value:.1f}") >= 3
    assert f"{value / 100:.3f}" not in text
    topic = scores["models"]["base"]["by_topic"]["topic of q00"]["score"]
    assert f"topic of q00{100 * topic:.1f}" in re.sub(r"\s*\n\s*", "", text)


def test_what_is_unclear_is_called_unclear(tmp_path: Path) -> None:
    base = example_answers()["base"]
    annotations = {"base": base, "same": base}
    text = Page(page_of(annotations, compare(annotations, QUESTIONS), tmp_path / "none")).text
    assert "No model is clearly best." in text
    assert "no clear difference" in text
    assert "is best" not in text


def test_every_verdict_is_readable_without_a_mouse(tmp_path: Path) -> None:
    annotations = example_answers()
    annotations["base"][0] = annotation(QUESTIONS[0], 0, [GOOD, BAD, OPEN])
    text = page_of(annotations, compare(annotations, QUESTIONS), tmp_path / "none", num_examples=12)
    page = Page(text)
    assert page.tags.count("li") == page.tags.count("mark") - 3  # three marks are the legend
    assert "<li><b>undetermined</b>: test</li>" in text
    assert "Hover" not in text
    assert "details::details-content" in text.split("@media print")[1]


def test_twenty_questions_and_more_are_shown_each_folded(tmp_path: Path) -> None:
    questions = [f"q{index:02}" for index in range(40)]
    rows = [annotation(question, 0, [GOOD, BAD]) for question in questions]
    annotations = {"base": rows, "mask_dpo": rows}
    from maskdpo.evaluation.config import EvaluateConfig

    count = EvaluateConfig(models={"m": "x"}).num_examples
    assert count >= 20
    scores = compare(annotations, questions)
    text = page_of(annotations, scores, tmp_path / "none", num_examples=count)
    assert text.count('<details class="example">') == count
    assert "details open" not in text
    assert f"{count} of 40 questions" in text
    for example in text.split('<details class="example">')[1:]:
        assert example.index("<b>base</b>") < example.index("<b>mask_dpo</b>")


def test_answers_that_are_cut_off_empty_or_missing_are_marked(tmp_path: Path) -> None:
    whole = annotation("a", 0, [GOOD, BAD])
    annotations = {
        "whole": [whole],
        "cut": [whole.model_copy(update={"finish_reason": "length"})],
        "empty": [annotation("a", 0, [])],
        "missing": [],
    }
    (example,) = make_examples(annotations, make_questions(["a"]), {}, 5)
    assert [(answer.model, answer.note) for answer in example.answers] == [
        ("whole", ""),
        ("cut", "cut off at the token limit"),
        ("empty", "an empty response"),
        ("missing", "no response"),
    ]
    assert example.answers[0].summary == "1 of 2 correct"
    scores = compare(annotations, ["a"])
    assert scores["models"]["cut"]["num_cut"] == 1
    assert '<span class="cut">cut off at the token limit</span>' in page_of(
        annotations, scores, tmp_path / "none"
    )


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, []),
        (2, ["b1", "d"]),
        (4, ["a1", "b1", "c1", "d"]),
        (6, ["a1", "a2", "b1", "c1", "c2", "d"]),
        (99, ["a1", "a2", "a3", "b1", "b2", "c1", "c2", "d"]),
    ],
)
def test_questions_are_spread_over_topics(count: int, expected: list[str]) -> None:
    names = ["a1", "a2", "a3", "b1", "b2", "c1", "c2", "d"]
    questions = [
        question.model_copy(update={"topic": question.id[:-1]})  # "d" has no topic
        for question in make_questions(names)
    ]
    assert [question.id for question in choose_questions(questions, count)] == expected


def test_the_page_says_what_is_not_known(tmp_path: Path) -> None:
    scores = compare({"m": [], "n": []}, ["a", "b"])
    text = page_of({"m": [], "n": []}, scores, tmp_path / "none.jsonl")
    assert "<td>-</td>" in re.sub(r"\s+", "", text)
    assert "There is no score" in text


def test_marked_sentences_and_gaps_are_the_response() -> None:
    item = annotation("q", 0, [GOOD, BAD, OPEN])
    pieces = cut(item.text, marks_of(item))
    assert "".join(piece.text for piece in pieces) == "Aa. Aa. Aa."
    marks = [piece.mark for piece in pieces if piece.mark]
    assert [mark.kind for mark in marks] == ["correct", "hallucinated", "neutral"]
    assert marks[-1].description == "undetermined: test"


def test_training_log_reads_past_rubbish_and_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        'rubbish\n[1]\n{"step": "x", "loss": 1}\n{"step": 2, "loss": 0.5, "note": "x", "b": NaN}\n'
        '{"step": 4, "loss"'
    )
    assert read_training_log(path) == {"loss": [(2.0, 0.5)]}
