"""Replies without an end: loops, thoughts, and what was only cut off for length."""

import json

import pytest
from reply_support import (
    FOUND,
    LABELS,
    ask_anah,
    ask_sentence,
    ask_window,
    item,
    verdict,
)

from annotator.judging.protocols.repairs import find_loop
from annotator.judging.protocols.steps import MAX_QUOTES, verdict_schema
from annotator.models.backend import Reply
from schemas.labels import Label


def cut(text):
    return Reply(text=text, finish_reason="length")


LOOP = '{"quotes": ["...", ' + '"One short sentence", ' * 30


def test_a_loop_is_named_and_not_given_more_room():
    found, asked = ask_sentence([cut(LOOP), cut(LOOP)])
    assert (found.label, found.reason) == (Label.UNDETERMINED, "cut_off")
    assert [ask.decoding.max_tokens for ask in asked] == [100, 100]
    assert "repeats itself" in asked[1].messages[-1].content
    assert "at most five quotes" in asked[1].messages[-1].content
    assert len(asked[1].messages[-2].content) < 150
    found, asked = ask_sentence([cut(LOOP), verdict("supported", FOUND)])
    assert found.label is LABELS["supported"]
    both, asked = ask_window([cut(LOOP), [item(1, "supported", FOUND), item(2, "no_fact")]])
    assert [one.label for one in both] == [LABELS["supported"], LABELS["no_fact"]]
    assert [ask.decoding.max_tokens for ask in asked] == [200, 200]
    found, asked = ask_anah([cut("<Fact> " * 40), "<No Facts>"])
    assert (found.label, len(asked)) == (LABELS["no_fact"], 2)


def test_white_space_without_end_after_an_object_is_no_loop():
    text = json.dumps(verdict("supported", FOUND)) + "\n" * 300
    found, asked = ask_sentence([cut(text)])
    assert (found.label, len(asked)) == (LABELS["supported"], 1)
    found, asked = ask_sentence([cut('{"quotes": [' + " " * 300), verdict("supported", FOUND)])
    assert "repeats itself" in asked[1].messages[-1].content
    assert found.label is LABELS["supported"]


def test_a_label_before_a_loop_holds():
    first = json.dumps({"verdicts": [item(1, "contradicted", FOUND)]})[:-2]
    loop = f'{first}, {{"id": 2, "begins": "She kept three grey cats", "quotes": [' + '"a", ' * 40
    good = [item(1, "supported", FOUND), item(2, "no_fact")]
    (one, two), _ = ask_window([cut(loop), good])
    assert (one.reason, two.label) == ("ambiguous", LABELS["no_fact"])


def test_a_reply_that_was_only_cut_gets_twice_the_room_in_the_same_words():
    text = json.dumps(verdict("supported", FOUND))[:60]
    found, asked = ask_sentence([cut(text), verdict("supported", FOUND)])
    assert found.label is LABELS["supported"]
    assert [ask.decoding.max_tokens for ask in asked] == [100, 200]
    assert asked[0].messages == asked[1].messages
    found, asked = ask_sentence([cut(text)])
    assert (found.reason, len(asked)) == ("cut_off", 2)
    assert "still thinking" not in found.rationale


@pytest.mark.parametrize("text", ["<think>Let me see, the year", ""])
def test_thinking_that_fills_twice_the_room_names_the_settings(text):
    found, asked = ask_sentence([Reply(text=text, finish_reason="length", reasoning="Let me see")])
    assert (found.reason, len(asked)) == ("cut_off", 2)
    assert "max_tokens" in found.rationale and "enable_thinking: false" in found.rationale


def test_a_reply_that_is_thoughts_alone_names_the_settings_and_is_mended():
    thoughts = Reply(text="", finish_reason="stop", reasoning="It is supported.")
    found, asked = ask_sentence([thoughts])
    assert (found.reason, len(asked)) == ("cut_off", 2)
    assert "enable_thinking: false" in found.rationale
    assert asked[1].messages[-2].content == "-"
    found, _ = ask_sentence([thoughts, verdict("contradicted", FOUND)])
    assert found.label is LABELS["contradicted"]


def test_thoughts_are_not_repeated_in_a_repair():
    _, asked = ask_sentence(["<think>A long thought.</think>It is supported."])
    assert asked[1].messages[-2].content == "It is supported."


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None),
        ("Ada was born in Karsted in 1901, and in her house lived three grey cats. " * 2, None),
        ("ab" * 20, None),
        ("x" * 90, 0),
        ("He said: " + "no no " * 20, 8),
        ("".join(f'"quote {n}", ' for n in range(40)), None),
    ],
)
def test_a_loop_is_three_rounds_of_the_same_to_the_end(text, place):
    assert find_loop(text) == place


def test_the_list_of_quotes_is_bounded():
    assert verdict_schema()["properties"]["quotes"]["maxItems"] == MAX_QUOTES == 5
    assert "maxLength" not in json.dumps(verdict_schema())
