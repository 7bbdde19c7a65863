"""Chat rows as tables give them: empty keys, parts of text, and a prompt that is given twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from formats.import_pairs import run_import_pairs
from formats.trl import trl_pair
from schemas.messages import is_empty
from schemas.preference_rows import split_row
from schemas.records import Message, Question, Response
from schemas.stage import write_failures
from schemas.validation import describe_errors
from trainer.data import parse_pair, read_pairs

EMPTY: list[Any] = [None, "", [], {}, [{}], [None, {"a": []}], {"a": None, "b": [{"c": ""}]}]
VALUES: list[Any] = ["Bo", 1, 0, 0.5, False, True, " ", [{"id": "x"}], {"a": [0]}]
USER = {"role": "user", "content": "Who?"}


def reply(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def user(text: str = "Who?", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def read_question(message: dict[str, Any]) -> Message:
    text = json.dumps({"id": "q", "messages": [message]})
    try:
        return Question.model_validate_json(text).messages[0]
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, Question))) from None


def read_response(message: dict[str, Any]) -> Message:
    text = json.dumps({"id": "r", "question_id": "q", "prompt": [message], "text": "x"})
    try:
        return Response.model_validate_json(text).prompt[0]
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, Response))) from None


def read_import(message: dict[str, Any]) -> Message:
    row = {"prompt": [message], "chosen": "Yes.", "rejected": "No."}
    return trl_pair(row, identifier="p").prompt[0]


def read_training(message: dict[str, Any]) -> Message:
    row = {"prompt": [message], "chosen": [reply("Yes.")], "rejected": [reply("No.")]}
    return parse_pair(row, "p").prompt[0]


DOORS: list[Callable[[dict[str, Any]], Message]] = [
    read_question,
    read_response,
    read_import,
    read_training,
]


@pytest.mark.parametrize("read", DOORS)
@pytest.mark.parametrize("value", EMPTY)
def test_a_key_that_says_nothing_is_left_out(
    read: Callable[[dict[str, Any]], Message], value: Any
) -> None:
    assert read(user(tool_calls=value, thinking=value)) == Message(role="user", content="Who?")


@pytest.mark.parametrize("read", DOORS)
@pytest.mark.parametrize("value", VALUES)
def test_a_key_that_says_something_is_refused_with_its_value(
    read: Callable[[dict[str, Any]], Message], value: Any
) -> None:
    with pytest.raises(ValueError, match="remove it or write it into 'content'") as refused:
        read(user(weight=value))
    words = str(refused.value)
    assert "[0].weight' with the value " in words and repr(value) in words
    with pytest.raises(ValueError, match="did you mean 'content'"):
        read({**USER, "contents": value})


@pytest.mark.parametrize("read", DOORS)
def test_text_parts_are_one_text_and_other_parts_are_refused(
    read: Callable[[dict[str, Any]], Message],
) -> None:
    parts = [{"type": "text", "text": "Who ", "image": None}, {"type": "text", "text": "is Ada?"}]
    assert read({"role": "user", "content": parts}).content == "Who is Ada?"
    for bad in (
        {"type": "image", "text": "x"},
        {"type": "text", "text": None},
        {"type": "text", "text": "x", "cache": {"a": 1}},
        {"text": "x"},
        "x",
    ):
        with pytest.raises(ValueError, match=r"content\[1\] is .*parts"):
            read({"role": "user", "content": [parts[0], bad]})
    with pytest.raises(ValueError, match="valid string"):
        read({"role": "user", "content": []})


@given(
    st.recursive(
        st.none() | st.just(""),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_empty_at_any_depth_is_nothing(value: Any) -> None:
    assert is_empty(value)
    assert not is_empty([value, 0]) and not is_empty({"a": value, "b": " "})


def test_columns_of_a_question_that_say_nothing_are_left_out() -> None:
    text = '{"id": "q", "question": "Why?", "messages": null, "topic": null, "x": [{}], "y": ""}'
    made = Question.model_validate_json(text)
    assert (made.topic, made.messages) == ("", [Message(role="user", content="Why?")])
    both = {"id": "q", "question": None, "messages": [USER], "document_ids": None}
    assert Question.model_validate_json(json.dumps(both)).messages[0].content == "Who?"
    for values, words in (
        ({"id": "q", "question": "", "x": None}, "'question' is ''"),
        ({"id": "q", "messages": []}, "at least 1 item"),
        ({"id": "q", "x": 0}, "'messages' is missing"),
        ({"id": "q", "question": "Why?", "x": 0}, "unknown key 'x'"),
        ({"id": None, "question": "Why?"}, "'id' is None"),
    ):
        with pytest.raises(ValidationError) as refused:
            Question.model_validate_json(json.dumps(values))
        assert words in "; ".join(describe_errors(refused.value, Question))


turns = st.integers(0, 2).flatmap(
    lambda pairs: st.lists(
        st.text(min_size=1, max_size=8), min_size=2 * pairs + 1, max_size=2 * pairs + 1, unique=True
    )
)


@given(
    turns,
    st.none() | st.text(max_size=5),
    st.sampled_from(["prompt", "sides", "both"]),
    st.booleans(),
    st.sampled_from([{}, {"tool_calls": None}, {"name": "", "parts": [{}]}]),
)
def test_every_layout_of_one_row_gives_the_same_prompt(
    texts: list[str], system: str | None, where: str, as_text: bool, noise: dict[str, Any]
) -> None:
    """The system message is in the prompt, in the sides or in both; the prompt as well."""
    talk = [(user, reply)[index % 2](text) for index, text in enumerate(texts)]
    head = [] if system is None else [{"role": "system", "content": system}]
    row = {"prompt": [], "chosen": [reply("Yes.")], "rejected": [reply("No.", **noise)]}
    if where != "sides":
        row["prompt"] = [{**message, **noise} for message in head + talk]
        if where == "both" and as_text and len(talk) == 1:
            row["prompt"] = talk[0]["content"]  # type: ignore[assignment]
    if where != "prompt":
        row["chosen"] = [*head, *talk, *row["chosen"]]
        row["rejected"] = [{**message, **noise} for message in [*head, *talk]] + row["rejected"]
    made = split_row(row["prompt"], row["chosen"], row["rejected"])
    assert made == {"prompt": head + talk, "chosen": [reply("Yes.")], "rejected": [reply("No.")]}


SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("prompt", "begin", "expected"),
    [
        ("Who?", [USER], [USER]),
        ("Who?", [SYSTEM, USER], [SYSTEM, USER]),
        ([USER], [SYSTEM, USER], [SYSTEM, USER]),
        ([SYSTEM, USER], [USER], [SYSTEM, USER]),
        ("Who?", [user("Hi"), reply("Hi!"), USER], [user("Hi"), reply("Hi!"), USER]),
        ("Who?", [USER, reply("Ada."), user("Why?")], [USER, reply("Ada."), user("Why?")]),
        ("Who?", [], [USER]),
        (None, [SYSTEM, USER], [SYSTEM, USER]),
        ("", [USER], [USER]),
    ],
)
@pytest.mark.parametrize("in_training", [False, True])
def test_a_prompt_that_is_given_twice_is_taken_once(
    prompt: Any, begin: list[Any], expected: list[Any], in_training: bool
) -> None:
    row = {
        "prompt": prompt,
        "chosen": [*begin, reply("Yes.")],
        "rejected": [*begin, reply("No.")],
    }
    pair = parse_pair(row, "p") if in_training else trl_pair(row, identifier="p")
    assert [message.model_dump() for message in pair.prompt] == expected
    assert (pair.chosen[0].content, pair.rejected[0].content) == ("Yes.", "No.")


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "words"),
    [
        ("Who?", [USER, reply("x")], [reply("y")], "'rejected' holds its reply only"),
        ([USER], [reply("x")], [USER, reply("y")], "'chosen' holds its reply only"),
        ("Who?", [user("Why?"), reply("x")], [user("Why?"), reply("y")], "begin with ['Why?']"),
        ("Who? ", [USER, reply("x")], [USER, reply("y")], "'prompt' is ['Who? ']"),
        (
            [{"role": "system", "content": "Be long."}, USER],
            [SYSTEM, USER, reply("x")],
            [SYSTEM, USER, reply("y")],
            "the same prompt in all three",
        ),
        ("Who?", [USER, reply("x")], [user("Why?"), reply("y")], "after the 0 that both sides"),
        ([SYSTEM], [SYSTEM, reply("x")], [SYSTEM, reply("y")], "the same prompt in all three"),
        (None, [USER, reply("x")], [user("Why?"), reply("y")], "begin differently"),
        (None, [reply("x")], [reply("y")], "has no 'prompt'"),
        ("Who?", [], [reply("y")], "'chosen' is empty"),
        (7, [reply("x")], [reply("y")], "'prompt' is 7"),
        (None, [USER, reply("x")], [USER, reply("y", name="Bo")], "with the value 'Bo'"),
    ],
)
@pytest.mark.parametrize("in_training", [False, True])
def test_a_prompt_that_is_not_one_is_refused(
    prompt: Any, chosen: list[Any], rejected: list[Any], words: str, in_training: bool
) -> None:
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    with pytest.raises(ValueError) as refused:
        parse_pair(row, "p") if in_training else trl_pair(row, identifier="p")
    assert words in str(refused.value)


def test_rows_that_no_file_can_hold_are_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    """Half a character, as an id or inside a text, and JSON nested too deeply."""
    sides = {"chosen": [reply("x")], "rejected": [reply("y")]}
    good = json.dumps({"id": "good", "prompt": "Who?", **sides})
    lines = [
        json.dumps({"id": "\ud800", "prompt": "\ud800", **sides}),
        good.replace('"Who?"', "[" * 100_000 + "]" * 100_000),
        json.dumps(
            {"id": "deep", "prompt": [user(a=json.loads("[" * 400 + "1" + "]" * 400))], **sides}
        ),
        good,
    ]
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    result = run_import_pairs(source=source, annotations=tmp_path / "a.jsonl", format_name="trl")
    assert [failure.id for failure in result.failures] == [
        f"pairs.jsonl:{row}" for row in (1, 2, 3)
    ]
    read = read_pairs([source])
    assert [pair.id for pair in read.pairs] == ["good"] and len(read.failures) == 3
    write_failures(tmp_path / "out", read.failures)
