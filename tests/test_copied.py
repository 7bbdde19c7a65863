"""Replies that copy the prompt are no verdict; honest ones that resemble it are."""

import itertools
import json
import re

import pytest
from reply_support import follow, make_inputs

from annotator.judging.domains.domain import load_domain, render_guidance
from annotator.judging.llm_judge import LlmJudge
from annotator.judging.protocols.anah import anah_dialogue
from annotator.judging.protocols.copied import find_copy, make_wording
from annotator.judging.protocols.load_prompts import load_prompts
from annotator.judging.protocols.prompts import FAULTS, wording_language
from annotator.judging.protocols.response import window_dialogue
from annotator.judging.protocols.sentence import sentence_dialogue
from annotator.judging.protocols.steps import ProtocolSettings
from schemas.errors import ConfigError
from schemas.labels import Label

LABELS = ["supported", "contradicted", "not_mentioned", "no_fact"]
SENTENCE = "Ada was born in Karsted in 1901."
DOCUMENT = "Ada Berg was born in Karsted in the year 1901. She kept three cats."
FOUND = "Ada Berg was born in Karsted in the year 1901."
ALL = "supported | contradicted | not_mentioned | no_fact"
FORMER = {
    "en": ("...", "one short sentence", "its first eight words, copied"),
    "zh": ("……", "一句简短的理由", "照抄该句开头的八个字"),
}
CURRENT = {
    "en": (
        "the passage of a <document> that decides, in the very words",
        "Explain the label, briefly and in words of your own.",
        "Copy the first eight words of that sentence",
    ),
    "zh": (
        "每条逐字抄录 <document> 中起决定作用的一段",
        "用你自己的话简要解释为何选这个标签",
        "照抄该句开头的八个字",
    ),
}
CLAUSES = {
    "en": ("in the very words of that document", "Explain the label", "Copy the first eight words"),
    "zh": ("没有文档谈到时", "用你自己的话简要解释为何选这个标签", "照抄该句开头的八个字"),
}
BARE = ("quote", "string", "begins")
BRACKETED = ("<quote from a document>", "{{reason}}", "[the beginning]")


def judge(values, protocol="sentence", evidence="require", **inputs):
    """The verdict on one sentence whose judge replies `values`, always."""
    settings = ProtocolSettings(judge="j", evidence=evidence)
    shown = make_inputs([SENTENCE], [DOCUMENT], **inputs)
    if protocol == "response":
        values = {"verdicts": [{"id": 1, "begins": SENTENCE, **values}]}
        dialogue = window_dialogue(shown, [0], settings)
    else:
        dialogue = sentence_dialogue(shown, 0, settings)
    (found,), asked = follow(dialogue, [json.dumps(values, ensure_ascii=False)])
    return found, asked


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("protocol", ["sentence", "response"])
@pytest.mark.parametrize("evidence", ["require", "keep"])
def test_a_reply_made_of_placeholders_has_no_label(language, protocol, evidence):
    copies = (FORMER[language], CURRENT[language], CLAUSES[language], BARE, BRACKETED)
    for (quote, reason, begins), label, quotes in itertools.product(
        copies, [*LABELS, ALL], ("one", "two", "none")
    ):
        shown = {"one": [quote], "two": [quote, quote], "none": []}[quotes]
        values = {"quotes": shown, "reason": reason, "label": label}
        if protocol == "response":
            values["begins"] = begins if quotes == "two" else SENTENCE
        found, asked = judge(values, protocol, evidence, language=language)
        assert found.label is Label.UNDETERMINED
        assert found.reason in ("copied_form", "unparsable"), values
        assert len(asked) == 2
        words = load_prompts(language).faults["copied_form"]
        assert words in asked[1].messages[-1].content


@pytest.mark.parametrize("language", ["en", "zh"])
def test_anah_has_no_label_from_placeholders(language):
    fact = {"en": "<Fact>", "zh": "<有事实>"}[language]
    inputs = make_inputs([SENTENCE], [DOCUMENT], language=language)
    prompts = load_prompts(language)
    copies = [
        "<Reference>...</Reference>",
        "<Reference>……</Reference>",
        "...",
        *FORMER[language],
        *CURRENT[language],
        prompts.anah_points,
        prompts.anah_fact,
        prompts.anah_verdict,
    ]
    for copy, evidence in itertools.product(copies, ("require", "keep")):
        for start in ([fact], []):
            settings = ProtocolSettings(judge="j", evidence=evidence)
            (found,), _ = follow(anah_dialogue(inputs, 0, settings), [*start, copy])
            assert found.label is Label.UNDETERMINED, copy


OWN_PROMPT = """\
Label it. For example:
{"quotes": ["Oren Falk teaches music in Uldinas."], "reason": "it says he teaches",
 "label": "not_mentioned"}
or {'quotes': ['text'], 'reason': 'why', 'label': 'no_fact'}
{{sentence}}"""


@pytest.mark.parametrize("label", LABELS)
def test_examples_of_own_prompts_are_no_verdict(label):
    prompts = load_prompts("en").model_copy(update={"sentence": OWN_PROMPT})
    for quotes, reason in (
        (["Oren Falk teaches music in Uldinas."], "it says he teaches"),
        (["Oren Falk teaches music in Uldinas."], "my own words"),
        ([], "It says: he teaches."),
        (["text"], "why"),
    ):
        values = {"quotes": quotes, "reason": reason, "label": label}
        found, _ = judge(values, prompts=prompts)
        assert (found.label, found.reason) == (Label.UNDETERMINED, "copied_form")
        plain, _ = judge(values)
        assert plain.reason != "copied_form"


@pytest.mark.parametrize("name", ["general", "zh_general"])
def test_examples_of_a_domain_are_no_verdict(name):
    domain = load_domain(name)
    guidance = render_guidance(domain)
    for example, label in itertools.product(domain.examples, LABELS):
        for quotes, reason in (
            ([example.document], example.reason),
            ([example.sentence], "my own words for it"),
            ([example.document.strip()[:60].rpartition(" ")[0]], "my own words for it"),
            ([], example.reason),
        ):
            if not "".join(quotes) + reason:
                continue
            values = {"quotes": [q for q in quotes if q], "reason": reason, "label": label}
            if not values["quotes"] and reason != example.reason:
                continue
            found, _ = judge(values, guidance=guidance, language=domain.wording)
            assert (found.label, found.reason) == (Label.UNDETERMINED, "copied_form"), values


def test_what_a_document_says_is_quoted_even_when_an_example_says_it_too():
    guidance = f"\n\nDocument: {DOCUMENT}\nSentence: She was born in 1901.\nReason: Same year."
    for quotes in ([FOUND], [DOCUMENT]):
        values = {"quotes": quotes, "reason": "The year agrees.", "label": "supported"}
        found, asked = judge(values, guidance=guidance)
        assert (found.label, len(asked)) == (Label.NO_HALLUCINATION, 1)


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "-",
        "ok",
        "Same year.",
        "Not mentioned.",
        "It is a question.",
        "No document says it.",
        "The documents are silent.",
        "The sentence says something that the documents do not say.",
        "The documents neither state nor contradict it.",
        "A greeting, which holds nothing that could be checked.",
        "The label follows from the first document.",
        "A short sentence without a fact.",
        "The first eight words agree with the document.",
        "Copied word for word.",
        "It is an opinion.",
        "文档没有提到。",
        "这是一句问候。",
        "文档写的是同一年。",
        "句子中没有可核对的事实。",
        "没有文档谈到她的猫。",
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_honest_short_reason_is_no_copy(reason, language):
    values = {"quotes": [FOUND], "reason": reason, "label": "supported"}
    found, asked = judge(values, language=language)
    assert (found.label, len(asked)) == (Label.NO_HALLUCINATION, 1)


@pytest.mark.parametrize(
    "reason", ["A string.", "字符串。", "列表留空。", "句子的编号", "at most five"]
)
@pytest.mark.parametrize("label", ["not_mentioned", "no_fact"])
def test_the_name_of_a_type_is_no_reason(reason, label):
    found, asked = judge({"quotes": [], "reason": reason, "label": label})
    assert (found.label, found.reason, len(asked)) == (Label.UNDETERMINED, "copied_form", 2)


@pytest.mark.parametrize("quote", ["", "-", "none", "N/A", "Ada", "the document", "无"])
def test_a_label_without_evidence_is_not_refused_for_a_short_quote(quote):
    found, asked = judge({"quotes": [quote], "reason": "silent", "label": "not_mentioned"})
    assert (found.label, len(asked)) == (Label.UNVERIFIABLE, 1)


def test_the_prompts_show_no_value_that_could_be_an_answer():
    for language in ("en", "zh"):
        prompts = load_prompts(language)
        for text in (prompts.system, *prompts.requests, *prompts.corrections):
            assert not re.search(r"""["“]\s*(?:\.{2,}|…)|\.{3}|…|\{"|":|\[""", text)
            assert "short sentence" not in text and "|" not in text
        assert "at most five" in prompts.sentence or "最多五条" in prompts.sentence
        assert prompts.faults.keys() == set(FAULTS)


def test_the_wording_is_of_the_prompts_in_use():
    wording = make_wording("Reason: it is as I say", ("Write {{sentence}} as you were asked to",))
    for copy in ("It is as I say.", "as you were asked to"):
        assert wording.is_copied_text(copy)
    assert not wording.is_copied_text("Write as you like") and not wording.is_copied_text("")
    assert find_copy({"reason": "fine", "label": "no_fact"}, ["...", "x"], wording)
    assert find_copy({"reason": "fine", "label": "no_fact"}, ["x"], wording) is None
    assert find_copy({"label": "supported or contradicted"}, [], wording)


@pytest.mark.parametrize(
    ("language", "wording"),
    [
        ("zh", "zh"), ("ZH", "zh"), ("zh_CN", "zh"), ("zh-Hant", "zh"), (" zh-TW ", "zh"),
        ("zho", "zh"), ("en", "en"), ("za", "en"), ("zhx", "en"), ("", "en"), ("ja", "en"),
    ],
)  # fmt: skip
def test_chinese_rows_get_chinese_prompts(language, wording):
    assert wording_language(language) == wording
    assert load_prompts(language) == load_prompts(wording)


def test_own_faults_replace_ours_one_by_one(tmp_path):
    file = tmp_path / "en.yaml"
    file.write_text("faults:\n  no_quote: quote something\n", encoding="utf-8")
    faults = load_prompts("en", tmp_path).faults
    assert faults["no_quote"] == "quote something"
    assert faults["not_found"] == load_prompts("en").faults["not_found"]
    for text, message in (
        ("faults:\n  no_quotes: x\n", "did you mean 'no_quote'"),
        ("faults:\n  no_quote: '{{sentence}}'\n", "placeholder 'sentence'; allowed: detail, quote"),
        ("system: a\nversion: 1\nsystem: b\n", r"en\.yaml:3: .*'system' is given twice"),
        ("system: [\n", r"en\.yaml:\d+: not valid YAML"),
        ("- a\n", "must hold prompts by name, found list"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            load_prompts("en", tmp_path)


def test_a_judge_reads_the_language_of_a_row_in_any_spelling(monkeypatch):
    inputs = make_inputs([SENTENCE], [DOCUMENT], language="zh_CN")
    from annotator.calls.usage import Meter
    from annotator.judging.llm_config import LlmConfig
    from annotator.text.config import RetrievalConfig

    judge = LlmJudge(
        config=LlmConfig(model="m", base_url="http://127.0.0.1:9/v1"),
        retrieval=RetrievalConfig(),
        splitter="sentencex",
        store=None,
        meter=Meter(),
    )
    prepared = judge.prepare(inputs.task)
    assert prepared.prompts == load_prompts("zh")
