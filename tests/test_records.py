"""Records, spans, labels, scores and hashes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.hashing import content_key, stable_fraction, stable_seed
from schemas.json_schemas import RECORDS, json_schema
from schemas.labels import Label, LabelPolicy, Side
from schemas.records import Annotation, Message, Pair, Question, Sentence, Span, Verdict
from schemas.scores import ResponseScore, score_labels
from schemas.spans import check_cover, check_order, gaps, trim

TRUE = Verdict(label=Label.NO_HALLUCINATION)


def annotation(text: str, *spans: tuple[int, int]) -> Annotation:
    return Annotation(
        id="r",
        question_id="q",
        prompt=[Message(role="user", content="?")],
        text=text,
        sentences=[Sentence(start=start, end=end, verdict=TRUE) for start, end in spans],
    )


def pair(**changed: Any) -> Pair:
    values: dict[str, Any] = {
        "id": "p",
        "prompt": [Message(role="user", content="?")],
        "chosen": [Message(role="assistant", content="Yes. No.")],
        "rejected": [Message(role="assistant", content="No.")],
        "chosen_spans": [Span(start=0, end=4, label=Label.NO_HALLUCINATION, weight=1.0)],
        "rejected_spans": [Span(start=0, end=3, label=Label.HALLUCINATED, weight=1.0)],
    }
    return Pair(**(values | changed))


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 2), (1, 3)], "sorted and disjoint"),
        ([(3, 5), (0, 2)], "sorted and disjoint"),
        ([(0, 9)], "ends past the text, which has 5 characters"),
        ([(2, 2)], "is empty"),
        ([(0, 2)], "is in no span"),
    ],
)
def test_spans_that_break_the_rule_are_refused(spans: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_cover("ab cd", spans)
    with pytest.raises(ValidationError, match=message):
        annotation("ab cd", *spans)


def test_offsets_are_code_points() -> None:
    made = annotation("😀 文。", (0, 1), (2, 4))
    assert [made.text[item.start : item.end] for item in made.sentences] == ["😀", "文。"]


@given(st.text(), st.lists(st.integers(0, 60), unique=True))
def test_gaps_and_spans_tile_the_text(text: str, cuts: list[int]) -> None:
    cuts = sorted(cut for cut in cuts if cut <= len(text))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    check_order(text, spans)
    tiles = sorted([*spans, *gaps(len(text), spans)])
    assert "".join(text[start:end] for start, end in tiles) == text


@given(st.text())
def test_trim_strips_and_only_strips(text: str) -> None:
    found = trim(text, 0, len(text))
    assert (text[slice(*found)] if found else "") == text.strip()


def test_undetermined_needs_a_reason() -> None:
    with pytest.raises(ValidationError, match="needs a 'reason'"):
        Verdict(label=Label.UNDETERMINED)
    assert Verdict(label=Label.UNDETERMINED, reason="timeout").reason == "timeout"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chosen": [Message(role="user", content="x")]}, "must be 'assistant'"),
        ({"chosen": [Message(role="assistant", content="x")] * 2}, "at most 1 item"),
        ({"prompt": [Message(role="assistant", content="x")]}, "must be 'user'"),
        ({"chosen_spans": None}, "on both sides, or on neither"),
        (
            {"rejected_spans": [Span(start=0, end=4, label=Label.HALLUCINATED, weight=1.0)]},
            "past the text",
        ),
    ],
)
def test_unsound_pairs_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        pair(**changed)


def test_a_pair_without_spans_is_plain_dpo() -> None:
    assert pair(chosen_spans=None, rejected_spans=None).chosen_spans is None


def test_question_shorthand() -> None:
    made = Question.model_validate_json('{"id": "q", "question": "Why?"}')
    assert made.messages == [Message(role="user", content="Why?")]
    with pytest.raises(ValidationError, match="either 'question' or 'messages'"):
        Question.model_validate(
            {"id": "q", "question": "x", "messages": [{"role": "user", "content": "x"}]}
        )


@pytest.mark.parametrize("label", Label)
def test_default_policy(label: Label) -> None:
    policy = LabelPolicy()
    chosen = label in ("no_hallucination", "no_fact")
    rejected = label in ("contradictory", "unverifiable", "hallucinated")
    assert policy.weight(label, Side.CHOSEN) == float(chosen)
    assert policy.weight(label, Side.REJECTED) == float(rejected)


def test_undetermined_cannot_be_made_to_train() -> None:
    with pytest.raises(ValidationError, match="trains on neither side"):
        LabelPolicy(chosen=(Label.UNDETERMINED,))


def test_scores() -> None:
    made = score_labels(
        [Label.NO_HALLUCINATION] * 3
        + [Label.CONTRADICTORY, Label.NO_FACT, Label.NO_FACT]
        + [Label.UNDETERMINED] * 2
    )
    assert made == ResponseScore(
        num_correct=3, num_hallucinated=1, num_no_fact=2, num_undetermined=2
    )
    assert made.score == 0.75
    assert made.coverage == 0.75
    assert made.anah == pytest.approx(1 - 1 / 6)


def test_scores_of_nothing_are_none() -> None:
    empty = score_labels([])
    assert (empty.score, empty.coverage, empty.anah) == (None, None, None)
    assert score_labels([Label.NO_FACT, Label.UNDETERMINED]).score is None
    unknown = score_labels([Label.UNDETERMINED] * 3)
    assert (unknown.score, unknown.coverage, unknown.anah) == (None, 0.0, None)


@given(st.lists(st.sampled_from(list(Label))), st.lists(st.sampled_from(list(Label))))
def test_scores_add_up(left: list[Label], right: list[Label]) -> None:
    assert score_labels(left) + score_labels(right) == score_labels(left + right)


def test_keys_and_seeds_are_the_same_in_every_process() -> None:
    value = {"b": [1, 2.5, None], "a": "文"}
    code = (
        "from schemas.hashing import *; "
        f"print(content_key({value!r}), stable_seed(1, 'x'), stable_fraction(1, 'x'))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    here = f"{content_key(value)} {stable_seed(1, 'x')} {stable_fraction(1, 'x')}"
    assert other.stdout.strip() == here


def test_keys_tell_contents_apart() -> None:
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key(["ab", "c"]) != content_key(["a", "bc"])
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_key(float("nan"))


@pytest.mark.parametrize("name", RECORDS)
def test_json_schemas_are_schemas(name: str) -> None:
    schema = json_schema(name)
    assert schema["type"] == "object"
    assert set(schema["required"]) <= set(schema["properties"])
