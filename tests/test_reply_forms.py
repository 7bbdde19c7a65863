"""Replies in forms that real models write: read right, or a fault that names what is wrong."""

import json

import pytest
from reply_support import make_inputs

from annotator.judging.protocols.anah_reply import read_fact, read_final, read_points
from annotator.judging.protocols.prose import names_another, states_another, takes_back
from annotator.judging.protocols.read_reply import ReplyFault, read_object
from annotator.judging.protocols.thinking import find_answer
from schemas.labels import Label

SUPPORTED, CONTRADICTED = Label.NO_HALLUCINATION, Label.CONTRADICTORY
NOT_MENTIONED, NO_FACT = Label.UNVERIFIABLE, Label.NO_FACT


def verdict(label, reason="as it is"):
    return json.dumps({"quotes": ["x"], "reason": reason, "label": label}, ensure_ascii=False)


YES, NO, OPEN = verdict("supported"), verdict("contradicted"), verdict("not_mentioned")


@pytest.mark.parametrize(
    "text",
    [
        f"{YES}\nThe documents support this sentence.",
        f"{YES}\nI hope this helps!",
        f"{YES}\nNothing in the documents contradicts it.",
        f"{YES}\n文档支持这个句子，没有矛盾。",
        f"{NO}\nIt is not supported by the documents.",
        f"{NO}\n该句与文档矛盾。",
        f"{NO}\nSo this is a hallucination.",
        f"{NO}\nThat is wrong.",
        f"{YES}\nNothing in it is wrong.",
        f"{OPEN}\nThe documents do not support it and do not contradict it.",
        f"{OPEN}\n文档既不支持，也不矛盾。",
        f"{OPEN}\nNo document mentions the fact, so it isn't supported.",
        f"At first glance it could be supported, but 1932 is not 1923.\n{NO}",
        f"The sentence may be supported or contradicted. Let me look.\n```json\n{OPEN}\n```",
        f"Label: contradicted\n{NO}",
        f"结论：矛盾\n{NO}",
        f"<think>It is supported. Wait, no: contradicted.</think>{NO}",
        f"<thinking>supported?</thinking>\n{NO}",
        f"[THINK]supported[/THINK]{NO}",
        f"◁think▷supported◁/think▷{NO}",
        f"It must be supported, I think.</think>\n\n{NO}",
        f"<|channel|>analysis<|message|>supported<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{NO}<|return|>",
        f"<|channel|>final <|constrain|>json<|message|>{NO}",
        f"analysisIt may be supported.assistantfinal{NO}",
        verdict("supported", "Not contradicted, not not_mentioned: supported. Wait, yes."),
        verdict("not_mentioned", "既不是 supported 也不是 contradicted"),
        YES.replace("x", "how to write <think> in HTML"),
    ],
)
def test_an_answer_that_the_text_around_it_agrees_with_is_read(text):
    assert not isinstance(read_object(text, "label"), ReplyFault)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (f'{YES} Correction: the label should be "contradicted".', {SUPPORTED, CONTRADICTED}),
        (f"{YES}\nOn second thought, the documents are silent.", set()),
        (f"{YES}\nHowever, the year is contradicted by document 1.", {SUPPORTED, CONTRADICTED}),
        (f"{YES}\nIt is unsupported.", {SUPPORTED, NOT_MENTIONED}),
        (f"{YES}\nThe sentence is not supported.", set()),
        (f"{YES}\n最终标签应为contradicted", {SUPPORTED, CONTRADICTED}),
        (f"{YES}\n更正：以上有误。", {SUPPORTED, CONTRADICTED, NOT_MENTIONED}),
        (f"{YES}\n但是文档没有支持这一点。", set()),
        (f"{OPEN}\nWait. The document does support it.", {NOT_MENTIONED, SUPPORTED}),
        (f"{OPEN}\nFinal label: no_fact", {NOT_MENTIONED, NO_FACT}),
        (f"The label is supported.\n{NO}", {SUPPORTED, CONTRADICTED}),
        (f"Answer: not_mentioned\n\n{NO}", {NOT_MENTIONED, CONTRADICTED}),
        (f"**supported**\n{NO}", {SUPPORTED, CONTRADICTED}),
        (f"I would label this as supported.\n{NO}", {SUPPORTED, CONTRADICTED}),
        (f"{YES}\nThat is wrong.", {SUPPORTED, CONTRADICTED, NOT_MENTIONED}),
        (f"{YES}\nActually, the document gives no year.", set()),
        (f"标签：支持\n{NO}", {SUPPORTED, CONTRADICTED}),
        (f"{YES}\nActually {NO}", {SUPPORTED, CONTRADICTED}),
        (f"</think>{YES} I mark it as a hallucination.", {SUPPORTED, CONTRADICTED, NOT_MENTIONED}),
    ],
)
def test_text_that_names_another_label_makes_an_answer_ambiguous(text, labels):
    found = read_object(text, "label")
    assert isinstance(found, ReplyFault)
    assert (found.reason, found.labels) == ("ambiguous", labels)


def test_with_verdicts_of_many_sentences_any_label_behind_them_is_ambiguous():
    items = [{"id": 1, "label": "supported"}, {"id": 2, "label": "contradicted"}]
    text = json.dumps({"verdicts": items})
    assert read_object(f"{text}\nDone.", "verdicts") == {"verdicts": items}
    found = read_object(f"{text}\nSentence 2 is supported, though.", "verdicts")
    assert isinstance(found, ReplyFault) and found.reason == "ambiguous"
    same = json.dumps({"verdicts": items[:1]})
    assert not isinstance(read_object(f"{same}\nAll supported.", "verdicts"), ReplyFault)


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{YES}",
        f"<thinking>\n{YES}",
        "[THINK] It is supported",
        f"◁think▷ {YES}",
        f"<|channel|>analysis<|message|>The label is supported. {YES}",
        f"<think>a</think><think>{YES}",
        f"{YES}<think>Wait, is it",
    ],
)
def test_thinking_that_never_ends_is_cut_off_and_names_the_settings(text):
    assert find_answer(text) is None
    for found in (read_object(text, "label"), read_final(text), read_fact(text)):
        assert isinstance(found, ReplyFault)
        assert found.reason == "cut_off"
        assert "max_tokens" in found.detail and "enable_thinking: false" in found.detail


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<No Hallucination>\nThe documents support it.", SUPPORTED),
        ("<think>Contradictory?</think>\n<No Hallucination>", SUPPORTED),
        ("It seemed contradictory at first, yet both say 1932.\n<No Hallucination>", SUPPORTED),
        ("<Unverifiable>\nNothing there supports or contradicts it.", NOT_MENTIONED),
        ("<矛盾>\n文档写的是1932年。", CONTRADICTED),
        ("<No Hallucination>\nWait, the document says 1932, so it is wrong: Contradictory.", None),
        ("<No Hallucination>\nHowever, it contradicts the second point.", None),
        ("<No Hallucination>\nNo wait.", None),
        ("<无幻觉>\n不过这与文档矛盾。", None),
        ("<无法验证>\n文档支持该句。", None),
        ("Answer: Contradictory\n<No Hallucination>", None),
        ("My verdict is unverifiable.\n<No Hallucination>", None),
        ("<Contradictory>\nNot contradictory, now that I look.", None),
    ],
)
def test_a_tag_counts_only_when_the_prose_around_it_agrees(text, value):
    found = read_final(text)
    assert found == value if value else isinstance(found, ReplyFault)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<Fact>\nThe sentence states a year that can be checked.", True),
        ("<No Facts>\nIt does not contain a fact.", False),
        ("<No Facts>\nIn fact, it is a greeting.", False),
        ("<无事实>\n这是一句问候。", False),
        ("<Fact>\nThe sentence does not contain a fact.", None),
        ("<Fact>\nIt holds no checkable fact.", None),
        ("<有事实>\n但句中没有可核对的事实。", None),
        ("<No Facts>\nThe year is a checkable fact.", None),
        ("It contains no facts.\n<Fact>", None),
        ("<Fact>\nCorrection: <No Facts>", None),
    ],
)
def test_a_fact_tag_that_the_prose_denies_is_ambiguous(text, value):
    found = read_fact(text)
    if value is None:
        assert isinstance(found, ReplyFault) and found.reason == "ambiguous"
    else:
        assert found is value


DOCUMENTS = ["Ada kept three cats. There is no information about her youth.", "阿达养了三只猫。"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("None.", []),
        ("none", []),
        ("N/A", []),
        ("Nothing.", []),
        ("There are no points in the documents.", []),
        ("There are no relevant points in the documents that bear on this sentence.", []),
        ("No information in the documents about this sentence", []),
        ("I found no passages about her birth.", []),
        ("没有", []),
        ("没有。", []),
        ("文档中没有相关内容。", []),
        ("文档中没有与该句有关的内容。", []),
        ("There is no information about her youth.", ["There is no information about her youth."]),
        ("<Reference>Ada kept three cats.</Reference>", ["Ada kept three cats."]),
        ("1. Ada kept three cats.", ["Ada kept three cats."]),
        ("There is no information about dogs, but Ada kept three cats.", "points"),
        ("There are no points except that Ada kept three cats.", "points"),
        ("没有提到狗，但阿达养了三只猫。", "points"),
        ("<Reference>...</Reference>", "copied_form"),
        ("<Reference>the points of the documents that bear on this sentence</Reference>",
         "copied_form"),
        ("<No Reference Information>\n- Ada kept three cats.", "ambiguous"),
        ("Here it is:\n```\n<No Reference Information>\n```\nDone.", "unparsable"),
        ("<think>none", "cut_off"),
    ],
)  # fmt: skip
def test_that_there_are_no_points_may_be_said_in_plain_words(text, value):
    found = read_points(text, make_inputs(["Ada had cats."], DOCUMENTS), 0)
    if isinstance(found, ReplyFault):
        assert found.reason == value
    else:
        assert found == value or (value == "points" and found)


def test_prose_is_weighed_by_what_it_says_of_the_label():
    assert names_another("This is contradicted.", {SUPPORTED})
    assert not names_another("Nothing is contradicted.", {SUPPORTED})
    assert not names_another("A supporter of contradistinction.", {NO_FACT})
    assert not states_another("It could be supported.", {CONTRADICTED})
    assert states_another("My answer is: supported", {CONTRADICTED})
    assert states_another("So:\n  supported \n", {CONTRADICTED})
    assert not states_another("It is no\nfact that it is not\nsupported", {CONTRADICTED})
    assert takes_back("Wait!") and not takes_back("She was waiting.")
