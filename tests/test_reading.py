"""Replies that look like an answer and are none."""

import json

import pytest
from reply_support import make_inputs

from annotator.calls.json_reply import clean_value, find_json_objects, scan_json_objects
from annotator.judging.protocols.anah_reply import read_fact, read_final, read_points
from annotator.judging.protocols.confidence import (
    combine_votes,
    label_probabilities,
    tag_probability,
)
from annotator.judging.protocols.read_reply import ReplyFault, read_label, read_object
from annotator.judging.protocols.window_reply import begins_alike, read_id
from schemas.labels import Label
from schemas.records import Verdict

GOOD = '{"quotes": ["x"], "label": "supported"}'


def test_json_among_prose_fences_and_thoughts_is_read():
    for text in (
        GOOD,
        f"Here it is:\n```json\n{GOOD}\n```\nDone.",
        f"<think>maybe {{broken</think>\n{GOOD}",
        f"{GOOD}\n\nAgain: {GOOD}",
    ):
        assert read_object(text, "label") == {"quotes": ["x"], "label": "supported"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_reply"),
        ("<think>not finished " + GOOD, "cut_off"),
        (f"<think>{GOOD}</think>The sentence is contradicted.", "unparsable"),
        (f'Draft {GOOD}. My answer: {{"quotes": ["was "born""], "label": "x"}}', "unparsable"),
        (f"For example {GOOD}. Final: {{'label': 'not_mentioned'}}", "unparsable"),
        (f'For example {GOOD}. Answer: {{"Label": "contradicted"}}', "ambiguous"),
        (f'{{"draft": {GOOD}, "reason": "no "it" is not", "label": "contradicted"}}', "unparsable"),
        (f'{{"claim": {GOOD}, "label": "supported", "label": "contradicted"}}', "unparsable"),
        (f'{GOOD} Wait, that is wrong: {{"label": "contra', "unparsable"),
        (f'{GOOD} {{"quotes": [], "label": "not_mentioned"}}', "ambiguous"),
        ('{"verdict": 1}', "unparsable"),
        ("{" * 50_000, "unparsable"),
    ],
)
def test_what_may_mean_something_else_is_a_fault(text, reason):
    found = read_object(text, "label")
    assert isinstance(found, ReplyFault)
    assert found.reason == reason


@pytest.mark.parametrize("verdicts", ["7", "true", "null", '"none"', "{}", "[3]"])
def test_verdicts_that_are_no_list_of_objects_can_be_read(verdicts):
    text = f'{{"verdicts": {verdicts}}}'
    assert read_object(text, "verdicts") == json.loads(text)  # what they lack is found later


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("SUPPORTED", Label.NO_HALLUCINATION),
        ("<No_Hallucination>", Label.NO_HALLUCINATION),
        (" “Not-Mentioned”. ", Label.UNVERIFIABLE),
        ("**contradicted**", Label.CONTRADICTORY),
        ("＜无法验证＞。", Label.UNVERIFIABLE),
        ("not supported", None),
        ("partially supported", None),
        ("!supported", None),
        ("≠ supported", None),
        ("No, hallucination!", None),
        ("supported | contradicted | not_mentioned | no_fact", None),
        ("", None),
        (7, None),
    ],
)
def test_labels_by_any_name_and_no_other(text, label):
    assert read_label(text) is label


def points_of(text):
    return read_points(text, make_inputs(["Ada had a cat."], ["Ada had a cat."]), 0)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_final, "<Contradictory>", Label.CONTRADICTORY),
        (read_final, "The documents say otherwise.\n<Contradictory>", Label.CONTRADICTORY),
        (read_final, "无法验证。", Label.UNVERIFIABLE),
        (read_final, "It is not <Contradictory>. They state it: no hallucination.", None),
        (read_final, "不是<矛盾>，而是无法验证。", None),
        (read_final, "<No Hallucination>\nThat would be wrong; it is a <Hallucination>.", None),
        (read_final, "<No Hallucination>\n<Contradictory>", None),
        (read_final, "<No Facts>", None),
        (read_fact, "<No Facts>", False),
        (read_fact, "<Fact>", True),
        (read_fact, "<有事实>", True),
        (read_fact, "<Fact>No</Fact>", None),
        (read_fact, "The sentence holds no <Fact> that could be checked.", None),
        (read_fact, "No: facts.", None),
        (points_of, "<No Reference Information>", []),
        (points_of, "<Reference>Ada had a cat.</Reference>", ["Ada had a cat."]),
        (points_of, "- Ada had a cat.\n2. Ada sang.", ["Ada had a cat.", "Ada sang."]),
        (points_of, "- Ada had a cat.\n<No Reference Information>", None),
        (points_of, "", None),
    ],
)
def test_tags_stand_alone_or_are_no_answer(read, text, value):
    found = read(text)
    assert isinstance(found, ReplyFault) if value is None else found == value


@pytest.mark.parametrize(
    ("begins", "sentence", "alike"),
    [
        ("Ada was born in", "Ada was born in Karsted.", True),
        ("ADA, was born in", "**Ada was born** in Karsted.", True),
        ("Émile était né", "E\u0301mile e\u0301tait ne\u0301 là.", True),
        ("他养了三只灰猫", "他养了三只灰猫，都很老。", True),
        ("Yes.", "Yes.", True),
        ("A", "Ada was born in Karsted.", False),
        ("Ada was", "Ada was born in Karsted.", False),
        ("Ada was burned", "Ada was born in Karsted.", False),
        ("他养了", "他养了三只灰猫，都很老。", False),
        (None, "Ada was born.", False),
    ],
)
def test_an_echo_names_its_sentence_or_nothing(begins, sentence, alike):
    assert begins_alike(begins, sentence) is alike


def test_ids_are_small_numbers():
    assert [read_id(value) for value in (3, "3", 3.0)] == [3, 3, 3]
    assert [read_id(value) for value in (True, None, "x", "9" * 5000, 3.5)] == [None] * 5


def vote(label, reason=None):
    return Verdict(label=Label(label), reason=reason, judge="j")


def test_a_label_needs_more_than_half_of_the_votes():
    yes, no, unknown = (
        vote("no_hallucination"),
        vote("contradictory"),
        vote("undetermined", "unparsable"),
    )
    won = combine_votes([yes, yes, no], keep_share=True)
    assert (won.label, won.confidence, won.confidence_kind) == (yes.label, 0.6667, "votes")
    assert combine_votes([yes, yes, no], keep_share=False).confidence is None
    for votes, reason in (
        ([yes, no], "tied_votes"),
        ([yes, unknown, unknown], "no_majority"),
        ([unknown, unknown], "unparsable"),
    ):
        assert combine_votes(votes, keep_share=True).reason == reason


def test_label_probabilities_need_sound_tokens_that_spell_the_reply():
    tokens = [('{"label": "', -0.1), ("supp", -0.5), ("orted", -0.25), ('"}', 0.0)]
    text = "".join(token for token, _ in tokens)
    assert label_probabilities(text, tokens, num_labels=1) == [0.4724]
    assert label_probabilities(text, tokens, num_labels=2) is None
    assert label_probabilities(text, tokens[1:], num_labels=1) is None
    for odd in (float("nan"), float("inf"), 1000.0):
        unsound = [("{", odd), *tokens]
        assert label_probabilities("{" + text, unsound, num_labels=1) is None
        assert tag_probability("<Fact>", [("<Fact>", odd)]) is None


def test_half_a_surrogate_pair_is_written_as_a_question_mark():
    (value,) = find_json_objects('{"reason": "ok \\ud83d", "quotes": ["\\udc00"]}')
    assert value == {"reason": "ok ?", "quotes": ["?"]}
    assert clean_value({"a\ud800": [1, None]}) == {"a?": [1, None]}


def test_one_scan_finds_whole_and_broken_objects_with_their_places():
    text = 'a {"b": {"c": 1}} {"d": {"e": 2} {"f": 3, "f": 4} {"g": 5}'
    found = [(text[item.start : item.end], item.value) for item in scan_json_objects(text)]
    assert found == [
        ('{"b": {"c": 1}}', {"b": {"c": 1}}),
        ("{", None),  # never closed; what is inside is found by itself
        ('{"e": 2}', {"e": 2}),
        ("{", None),  # a key twice
        ('{"g": 5}', {"g": 5}),
    ]
    assert find_json_objects(text) == [{"b": {"c": 1}}, {"e": 2}, {"g": 5}]
    assert read_object(text, "b").reason == "unparsable"
