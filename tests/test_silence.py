"""A score cannot be won by saying less, and whoever says less is named everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evaluation_support import BAD, EMPTY, GOOD, OPEN, annotation, compare, make_questions

from maskdpo.evaluation.outcomes import tally_model
from maskdpo.evaluation.show import print_scores
from maskdpo.evaluation.silence import answers_less
from maskdpo.evaluation.words import conclude
from maskdpo.report.page import ReportInputs, render_report
from schemas.labels import Label
from schemas.records import Annotation

QUESTIONS = [f"q{index:02}" for index in range(30)]
HARD = set(QUESTIONS[:10])
NUM_RESPONSES = 3


def truthful(question: str, index: int) -> Annotation:
    """4 of 5 sentences correct where the question is easy, 1 of 5 where it is hard."""
    num_good = 1 if question in HARD else 4
    return annotation(question, index, [GOOD] * num_good + [BAD] * (5 - num_good))


def answer_all(change: Callable[[Annotation, int], Annotation | None]) -> list[Annotation]:
    """All questions, with `change` made to the responses to hard ones; None: no response."""
    rows = []
    for question in QUESTIONS:
        for index in range(NUM_RESPONSES):
            row: Annotation | None = truthful(question, index)
            if row is not None and question in HARD:
                row = change(row, index)
            if row is not None:
                rows.append(row)
    return rows


def relabel(labels: list[Label]) -> Callable[[Annotation, int], Annotation]:
    return lambda row, index: annotation(row.question_id, index, labels)


REFUSALS: dict[str, Callable[[Annotation, int], Annotation | None]] = {
    "no response": lambda row, index: None,
    "no_fact sentences": relabel([EMPTY, EMPTY]),
    "empty text": relabel([]),
    "undetermined": relabel([OPEN, EMPTY]),
    "some of several responses": lambda row, index: row if index else None,
    "some with no_fact": lambda row, index: row if index else relabel([EMPTY])(row, index),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_refusing_the_hardest_questions_gains_nothing_and_is_shown(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"base": answer_all(lambda row, _: row), "quiet": answer_all(REFUSALS[kind])}
    scores = compare(models, QUESTIONS, num_responses=NUM_RESPONSES)
    base, quiet = scores["models"]["base"], scores["models"]["quiet"]

    assert quiet["score"] == pytest.approx(base["score"])
    assert scores["differences"]["quiet"]["difference"] == 0.0
    if not kind.startswith("some"):  # what it would have gained over its own questions
        assert quiet["own_score"] == pytest.approx(0.8)
        assert base["own_score"] == pytest.approx(0.6)
        assert (quiet["num_questions"], quiet["own_num_questions"]) == (20, 20)

    share = 60 / 90 if not kind.startswith("some") else 80 / 90
    assert (base["answered"], quiet["answered"]) == (1.0, pytest.approx(share))
    assert base["anah_flag"] is None
    assert f"quiet answered {100 * share:.1f}% of its responses" in quiet["anah_flag"]
    (warning,) = scores["warnings"]
    assert f"quiet answered {90 * share:.0f} of 90 responses" in warning

    path = tmp_path / "scores.json"
    path.write_text(json.dumps(scores, allow_nan=False))
    print_scores(path)
    terminal = " ".join(capsys.readouterr().out.split())
    assert f"warning: {warning}" in terminal
    assert "*: not comparable" in terminal
    assert f" {100 * quiet['anah_score']:.1f}* " in terminal
    assert f"[{100 * quiet['low']:.1f}, {100 * quiet['high']:.1f}] {100 * share:.1f}" in terminal
    page = render_page(models, scores)
    assert f"<b>Warning:</b> {warning}" in page
    assert page.index("<b>Warning:</b>") < page.index("<table>")
    assert "<sup>*</sup>" in page
    assert f"{100 * quiet['high']:.1f}</td><td>{100 * share:.1f}</td>" in page


def render_page(models: dict[str, list[Annotation]], scores: Any) -> str:
    return render_report(
        ReportInputs(
            title="t",
            scores=scores,
            annotations=models,
            questions=make_questions(QUESTIONS),
            documents={},
            training_logs={},
            notes=[],
            num_examples=3,
        )
    )


def test_a_mean_over_questions_is_not_won_by_short_answers_to_hard_ones() -> None:
    """One sentence instead of five to each hard question, right as seldom: pooled, it would win."""

    def brief(row: Annotation, index: int) -> Annotation:
        number = int(row.question_id[1:])
        return annotation(row.question_id, index, [GOOD if number % 5 == 0 else BAD])

    models = {"base": answer_all(lambda row, _: row), "brief": answer_all(brief)}
    scores = compare(models, QUESTIONS, num_responses=NUM_RESPONSES)
    rows = scores["models"]
    assert rows["brief"]["score"] == pytest.approx(rows["base"]["score"])

    def pooled(row: dict[str, int]) -> float:
        return row["num_correct"] / (row["num_correct"] + row["num_hallucinated"])

    assert pooled(rows["brief"]) > pooled(rows["base"]) + 0.1


def two_models(first: list[Label], second: list[Label], num_questions: int = 20) -> Any:
    questions = [f"q{index:02}" for index in range(num_questions)]
    models = {
        name: [annotation(question, 0, labels) for question in questions]
        for name, labels in (("base", first), ("other", second))
    }
    return compare(models, questions)


def test_a_higher_score_with_fewer_facts_is_named() -> None:
    scores = two_models([GOOD] * 5 + [BAD] * 5, [GOOD] * 5 + [BAD] * 2)
    (warning,) = scores["warnings"]
    assert "other scores higher with fewer facts per answer (-30.0% against base)" in warning
    assert scores["pairs"][0]["facts_change"] == -3.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([GOOD] * 5 + [BAD] * 5, [GOOD] * 6 + [BAD] * 4),  # as many facts
        ([GOOD] * 5 + [BAD] * 5, [GOOD] * 2 + [BAD] * 5),  # fewer, and a lower score
        ([GOOD] * 5 + [BAD] * 5, [GOOD] * 9 + [BAD] * 5),  # more facts
        ([GOOD] * 5 + [BAD] * 5, [GOOD] * 5 + [BAD] * 5),
    ],
)
def test_no_warning_without_a_reason(first: list[Label], second: list[Label]) -> None:
    scores = two_models(first, second)
    # Fewer facts and a lower score: seen from the other side, more facts and a higher score.
    assert scores["warnings"] == []


def test_a_small_fall_of_facts_is_named_where_its_interval_leaves_zero_out() -> None:
    """One of a hundred sentences less: 1%, under the 2% that is named in any case."""
    questions = [f"q{index}" for index in range(12)]
    base = [annotation(q, 0, [GOOD] * 50 + [BAD] * 50) for q in questions]
    steady = [annotation(q, 0, [GOOD] * 50 + [BAD] * 49) for q in questions]
    uneven = [
        annotation(q, 0, [GOOD] * 52 + [BAD] * (46 + 4 * (index % 2)))
        for index, q in enumerate(questions)
    ]
    falls = [compare({"base": base, "m": rows}, questions) for rows in (steady, uneven)]
    assert falls[0]["pairs"][0]["facts_high"] < 0
    assert "fewer facts" in falls[0]["warnings"][0]
    assert falls[1]["pairs"][0]["facts_high"] > 0
    assert falls[1]["warnings"] == []


def test_a_large_fall_of_facts_is_named_however_uncertain_it_is() -> None:
    """8% fewer facts, on two topics of six: the interval is too wide to leave zero out."""
    questions = [f"q{index}" for index in range(6)]
    base = [annotation(q, 0, [GOOD] * 10 + [BAD] * 10) for q in questions]
    sizes = (20, 20, 20, 20, 12, 18)
    other = [
        annotation(q, 0, [GOOD] * 11 + [BAD] * (size - 11))
        for q, size in zip(questions, sizes, strict=True)
    ]
    scores = compare({"base": base, "m": other}, questions)
    assert scores["pairs"][0]["facts_high"] > 0
    assert "fewer facts per answer (-8.3% against base)" in scores["warnings"][0]


def test_a_single_missing_response_is_named_and_a_higher_score_sharpens_the_words() -> None:
    questions = [f"q{index}" for index in range(20)]
    base = [annotation(q, i, [GOOD, BAD]) for q in questions for i in range(2)]
    better = [annotation(q, i, [GOOD, GOOD]) for q in questions for i in range(2)][1:]
    (plain,) = compare({"base": base, "m": base[1:]}, questions, num_responses=2)["warnings"]
    assert plain.startswith("m answered 39 of 40 responses (97.5%; 1 failed), less than base")
    assert "score is higher" not in plain
    (sharp,) = compare({"base": base, "m": better}, questions, num_responses=2)["warnings"]
    assert "Yet its score is higher than that of base:" in sharp
    scores = compare({"base": base, "m": better}, questions, num_responses=2)
    assert "m has the highest score, 100.0%" in conclude(scores)[0]
    assert "read the warnings first" in conclude(scores)[0]


def test_a_baseline_that_answers_less_is_named_too() -> None:
    questions = [f"q{index}" for index in range(4)]
    rows = [annotation(q, 0, [GOOD, BAD]) for q in questions]
    scores = compare({"base": rows[:2], "m": rows, "n": rows}, questions)
    (warning,) = scores["warnings"]
    assert warning.startswith("base answered 2 of 4 responses (50.0%; 2 failed), less than m")
    assert "m 100.0%, n 100.0%" in warning
    assert all(row["anah_flag"] is None for row in scores["models"].values())


def test_a_baseline_with_fewer_facts_and_a_higher_score_is_named_by_its_own_share() -> None:
    scores = two_models([GOOD] * 5 + [BAD] * 2, [GOOD] * 5 + [BAD] * 5)
    (warning,) = scores["warnings"]
    assert "base scores higher with fewer facts per answer (-30.0% against other)" in warning
    assert [row["has_warning"] for row in scores["models"].values()] == [True, False]


def test_a_small_uncertain_fall_of_facts_is_not_named_from_either_side() -> None:
    """1% on average, 11% less here and 9% more there: by chance, for all that can be seen."""
    questions = [f"q{index}" for index in range(12)]
    base = [annotation(q, 0, [GOOD] * 50 + [BAD] * 50) for q in questions]
    fewer = [
        annotation(q, 0, [GOOD] * 60 + [BAD] * (49 if index % 2 else 29))
        for index, q in enumerate(questions)
    ]
    for models, sign in (({"base": base, "m": fewer}, -1), ({"m": fewer, "base": base}, 1)):
        scores = compare(models, questions)
        (pair,) = scores["pairs"]
        assert pair["facts_change"] == sign * 1.0 and pair["difference"] * sign < 0
        assert pair["facts_low"] < 0 < pair["facts_high"]
        assert scores["warnings"] == []


def test_answers_are_compared_per_response_that_was_asked_for() -> None:
    rows = [annotation(q, index, [GOOD]) for q in ("a", "b") for index in range(2)]
    more = [*rows, annotation("a", 2, [GOOD]), annotation("b", 2, [EMPTY])]
    four, five = (tally_model(items, ["a", "b"], 2) for items in (rows, more))
    assert (four.num_answered, four.num_asked) == (4, 4)
    assert (five.num_answered, five.num_asked) == (5, 6)
    assert answers_less(five, four) and not answers_less(four, five)
    assert not answers_less(four, four)
