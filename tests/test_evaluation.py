"""Scores of models, their intervals, and the report page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from maskdpo.evaluation.scores import bootstrap_interval, compare_models, count_by_question
from maskdpo.evaluation.show import print_scores
from maskdpo.report.page import ReportInputs, mark_sentences, render_report
from maskdpo.report.training_plots import read_training_log
from schemas.labels import Label
from schemas.records import Annotation, Document, Message, Sentence, Verdict

GOOD, BAD, NONE = Label.NO_HALLUCINATION, Label.CONTRADICTORY, Label.UNDETERMINED


def annotation(
    question: str, index: int, labels: Sequence[Label], text: str | None = None
) -> Annotation:
    text = text or " ".join("Aa." for _ in labels)
    return Annotation(
        id=f"{question}-{index}",
        question_id=question,
        topic=f"topic of {question}",
        document_ids=["d"],
        prompt=[Message(role="user", content=f"Ask <b>{question}</b>?")],
        text=text,
        sentences=[
            Sentence(
                start=4 * place,
                end=4 * place + 3,
                verdict=Verdict(label=label, reason="test" if label is NONE else None),
            )
            for place, label in enumerate(labels)
        ],
    )


def compare(models: dict[str, list[Annotation]], questions: list[str]) -> dict:  # type: ignore[type-arg]
    return compare_models(
        models,
        questions,
        topics={question: f"topic of {question}" for question in questions},
        num_resamples=200,
        seed=0,
    )


def example_scores() -> tuple[dict[str, list[Annotation]], dict]:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    questions = [f"q{index}" for index in range(12)]

    def draw(share: float) -> list[Annotation]:
        return [
            annotation(question, index, [GOOD if rng.random() < share else BAD for _ in range(5)])
            for question in questions
            for index in range(3)
        ]

    models = {"base": draw(0.4), "mask_dpo": draw(0.7)}
    return models, compare(models, questions)


def test_counts_and_scores_are_pooled() -> None:
    rows = [
        annotation("a", 0, [GOOD, GOOD, BAD]),
        annotation("a", 1, [GOOD, NONE]),
        annotation("b", 0, [BAD, Label.NO_FACT]),
    ]
    np.testing.assert_array_equal(
        count_by_question(rows, ["a", "b", "c"]),
        [[3, 1, 0, 1, 2], [0, 1, 1, 0, 1], [0, 0, 0, 0, 0]],
    )
    row = compare({"m": rows}, ["a", "b", "c"])["models"]["m"]
    assert row["score"] == 3 / 5
    assert row["coverage"] == pytest.approx(6 / 7)
    assert row["anah_score"] == pytest.approx(1 - 2 / 6)
    assert (row["num_responses"], row["num_sentences"]) == (3, 7)
    assert row["correct_per_response"] == 1.0
    assert row["by_topic"]["topic of b"]["score"] == 0.0


def test_intervals_hold_the_score_and_the_better_model_is_seen_to_be_better() -> None:
    _, scores = example_scores()
    for row in scores["models"].values():
        assert 0 <= row["low"] < row["score"] < row["high"] <= 1
    gap = scores["differences"]["mask_dpo"]
    assert gap["low"] > 0
    assert gap["difference"] == pytest.approx(
        scores["models"]["mask_dpo"]["score"] - scores["models"]["base"]["score"]
    )


def test_a_model_does_not_differ_from_itself() -> None:
    models, _ = example_scores()
    questions = [f"q{index}" for index in range(12)]
    gap = compare({"a": models["base"], "b": models["base"]}, questions)["differences"]["b"]
    assert gap == {"difference": 0.0, "low": 0.0, "high": 0.0}


def test_intervals_resample_questions_not_sentences() -> None:
    """Ten copies of each response say nothing new, and must not narrow the interval."""
    questions = [f"q{index}" for index in range(8)]
    once = [annotation(q, 0, [GOOD if i % 2 else BAD] * 4) for i, q in enumerate(questions)]
    copies = [a.model_copy(update={"id": f"{a.id}-{k}"}) for a in once for k in range(10)]
    rows = compare({"once": once, "copies": copies}, questions)["models"]
    assert (rows["once"]["low"], rows["once"]["high"]) == (
        rows["copies"]["low"],
        rows["copies"]["high"],
    )


def test_degenerate_cases_are_none_not_errors(tmp_path: Path) -> None:
    nothing = compare({"m": [], "n": []}, ["a", "b"])
    assert nothing["models"]["m"]["score"] is None
    assert nothing["models"]["m"]["low"] is None
    assert nothing["differences"]["n"]["difference"] is None
    single = compare({"m": [annotation("a", 0, [GOOD])]}, ["a"])["models"]["m"]
    assert (single["score"], single["low"], single["high"]) == (1.0, None, None)
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(nothing, allow_nan=False))
    print_scores(path)


def test_bootstrap_agrees_with_theory() -> None:
    """The mean of n coin flips: the interval is close to the normal one."""
    values = np.random.default_rng(1).integers(0, 2, 400).astype(float)
    found = bootstrap_interval(
        lambda index: values[index].mean(axis=-1), 400, num_resamples=2000, seed=0
    )
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.low == pytest.approx(values.mean() - half, abs=0.006)
    assert found.high == pytest.approx(values.mean() + half, abs=0.006)


class Page(HTMLParser):
    """Tags and the addresses they would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "data")]
        assert not any(key.startswith("on") for key, _ in attrs)


def page_of(annotations: dict[str, list[Annotation]], scores: dict, log: Path) -> str:  # type: ignore[type-arg]
    return render_report(
        ReportInputs(
            title="A <title>",
            scores=scores,
            annotations=annotations,
            documents={"d": Document(id="d", text="<script>alert(1)</script> & truth")},
            training_logs={"mask_dpo": log},
            notes=["a note with <i>"],
            num_examples=2,
        )
    )


def test_the_page_is_self_contained_and_escapes_what_models_say(tmp_path: Path) -> None:
    annotations, scores = example_scores()
    evil = '</mark><script src="http://127.0.0.1/x.js"></script><img src=x onerror=y>'
    annotations["base"][0] = annotation("q0", 0, [GOOD]).model_copy(
        update={
            "text": "Aa. " + evil,
            "sentences": [
                Sentence(
                    start=0,
                    end=4 + len(evil),
                    verdict=Verdict(label=BAD, rationale='" onmouseover="alert(1)'),
                )
            ],
        }
    )
    log = tmp_path / "training_log.jsonl"
    log.write_text('{"step": 1, "loss": 0.7}\n{"step": 2, "loss": 0.6}\n{"step": 3, "lo')
    text = page_of(annotations, scores, log)
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "link"} & set(page.tags)
    assert all(address.startswith("#") for address in page.loads)
    assert "default-src 'none'" in text
    assert page.tags.count("svg") == 4  # three pictures of scores, one training curve
    assert "&lt;script src=" in text
    assert "mask_dpo" in text


def test_the_page_says_what_is_not_known(tmp_path: Path) -> None:
    scores = compare({"m": [], "n": []}, ["a", "b"])
    text = page_of({"m": [], "n": []}, scores, tmp_path / "none.jsonl")
    assert "<td>-</td>" in re.sub(r"\s+", "", text)


def test_marked_sentences_and_gaps_are_the_response() -> None:
    pieces = mark_sentences(annotation("q", 0, [GOOD, BAD, NONE]))
    assert "".join(piece.text for piece in pieces) == "Aa. Aa. Aa."
    assert [piece.kind for piece in pieces if piece.kind] == ["correct", "hallucinated", "neutral"]
    assert pieces[-1].hint == "undetermined, test"


def test_training_log_reads_past_rubbish_and_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        'rubbish\n[1]\n{"step": "x", "loss": 1}\n{"step": 2, "loss": 0.5, "note": "x", "b": NaN}\n'
        '{"step": 4, "loss"'
    )
    assert read_training_log(path) == {"loss": [(2.0, 0.5)]}
