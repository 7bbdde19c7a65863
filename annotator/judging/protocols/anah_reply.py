"""Reading replies to the three questions of protocol `anah`.

The rule: a tag counts when it is alone on the first or last line and the text around it does not
contradict it; plain words count only for "there is none", as the whole reply.
"""

from __future__ import annotations

import re

from annotator.judging.evidence.find_evidence import find_evidence
from annotator.judging.protocols.prose import DENIAL
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import (
    LABEL_NAMES,
    TAG,
    ReplyFault,
    denies_label,
    form_fault,
    read_choice,
    read_references,
    read_words,
)
from annotator.judging.protocols.thinking import find_answer
from schemas.labels import Label

_FACT = dict.fromkeys(("fact", "facts", "has fact", "has facts", "有事实", "事实"), True) | {
    words: False for words, label in LABEL_NAMES.items() if label is Label.NO_FACT
}
_NO_POINTS = dict.fromkeys(("no reference information", "无参考信息"), True)
_DECIDING = (Label.NO_HALLUCINATION, Label.CONTRADICTORY, Label.UNVERIFIABLE)
_FINAL = {words: label for words, label in LABEL_NAMES.items() if label in _DECIDING}

_CHECKABLE = re.compile(
    rf"(?P<denial>{DENIAL})?(?P<fact>(?:\b(?:facts?|factual|checkable|verifiable)\b)|事实|可核对)",
    re.I,
)
_IDIOM = re.compile(r"\b(?:in|the|matter of|as a)\s+\Z", re.I)
_NONE = re.compile(
    r"none|nothing|n/?a"
    r"|(?:there (?:are|is|were|was) |i (?:found|find|see) )?(?:no|not any|none of the)\s+"
    r"(?:[a-z]+\s+){0,2}?(?:points?|references?|information|passages?|statements?|evidence)"
    r"(?:\s+(?:in|from|within)\s+(?:any of\s+)?(?:the\s+|these\s+)?(?:[a-z]+\s+)?"
    r"(?:documents?|texts?|materials?))?"
    r"(?:\s+(?:that|which|about|on|for|to|regarding|bearing|relating|concerning)\b"
    r"(?:(?!\b(?:but|except|only|although|though|while|however)\b)[^.,;:\n])*)?",
    re.I,
)
_NONE_CHINESE = re.compile(
    r"(?:(?:参考)?(?:文档|文件|材料|资料)(?:之?中|里|内)?)?(?:没有|并?未|没|无)(?:任何)?"
    r"(?:提及|提到|包含|找到)?(?:任何)?(?:与[^，。；,\n]{1,10}(?:相关|有关)的|(?:相关|有关)的?)?"
    r"(?:内容|信息|要点|部分|陈述)?"
)


def read_fact(text: str) -> bool | ReplyFault:
    """Whether the sentence contains a fact that could be checked."""
    return read_choice(text, _FACT, denies=_denies_fact)


def read_points(text: str, inputs: ProtocolInput, number: int) -> list[str] | ReplyFault:
    """The points listed for sentence `number`; [] for the reply that there are none."""
    none_said = read_choice(text, _NO_POINTS)
    points = read_references(text)
    if not isinstance(none_said, ReplyFault):
        if points:
            detail = "it lists points and says there are none"
            return ReplyFault(reason="ambiguous", detail=detail)
        return []
    if none_said.reason != "unparsable":
        return none_said
    return _read_list(text, points, inputs, number)


def _read_list(
    text: str, points: list[str], inputs: ProtocolInput, number: int
) -> list[str] | ReplyFault:
    """The points of a reply that is not only a tag.

    [] where it says in plain words that none exist.
    """
    said = (find_answer(text) or "").strip(" \t\r\n*\"'<>-").rstrip(".!。！")
    found = find_evidence(points, inputs, number)
    if (_NONE.fullmatch(said) or _NONE_CHINESE.fullmatch(said)) and not found.evidence:
        return []
    if not found.evidence and any(read_words(tag) in _NO_POINTS for tag in TAG.findall(text)):
        return form_fault("it says that there is none, but not alone on its line")
    copied = [point for point in found.missing if inputs.wording.is_copied_quote(point)]
    if copied:
        detail = f"its point {copied[0][:80]!r} is wording of the prompt"
        return ReplyFault(reason="copied_form", detail=detail)
    return points or form_fault("it lists no <Reference> and does not say that there is none")


def read_final(text: str) -> Label | ReplyFault:
    """The label, one of the three that follow from points."""
    return read_choice(text, _FINAL, denies=denies_label)


def _denies_fact(rest: str, has_fact: bool, _is_after: bool) -> bool:
    """Whether prose contradicts the tag about facts: "does not contain a fact" with <Fact>."""
    for match in _CHECKABLE.finditer(rest):
        if has_fact == (match["denial"] is not None) and not _IDIOM.search(
            rest[: match.start("fact")]
        ):
            return True
    return False
