"""Labels named in the prose around an answer, in English and Chinese.

The rule: an answer counts only when nothing after it names another label or withdraws it, and
nothing before it states another one as the answer. Discussing labels before the answer is allowed;
so is "not supported" next to a label other than `supported`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from schemas.labels import Label

_WHOLE = {
    r"no[\s_-]+hallucinations?": Label.NO_HALLUCINATION,
    r"not[\s_-]+mentioned": Label.UNVERIFIABLE,
    r"no[\s_-]+reference[\s_-]+information": Label.UNVERIFIABLE,
    r"no[\s_-]+facts?": Label.NO_FACT,
    "无幻觉": Label.NO_HALLUCINATION,
    "无法验证|未提及|无参考信息": Label.UNVERIFIABLE,
    "无事实": Label.NO_FACT,
}
_NAMES = {
    r"support(?:s|ed)?": Label.NO_HALLUCINATION,
    r"contradict(?:s|ed|ory|ion|ions)?": Label.CONTRADICTORY,
    r"unsupported|unverifiable": Label.UNVERIFIABLE,
    r"hallucinat(?:ed|ion|ions)|wrong|incorrect|false|untrue|inaccurate": Label.HALLUCINATED,
    "支持": Label.NO_HALLUCINATION,
    "矛盾": Label.CONTRADICTORY,
    "幻觉|错误|有误|不正确|不符": Label.HALLUCINATED,
}
_LABELS = [*_WHOLE.values(), *_NAMES.values()]
# A denial and up to three words between it and the label, within one sentence.
_WORDS_BETWEEN = r"(?:[^\w.!?;:。！？；：]+\w+){0,3}?[^\w.!?;:。！？；：]+"
DENIAL = (
    r"(?:(?<![a-z])(?:not|no|never|neither|nor|nothing|none|without|cannot|[a-z]+n['’]t)"
    rf"(?![a-z]){_WORDS_BETWEEN}|(?:不|没有|没|未|并未|无|并非|不是)[^。！？；，,\s]{{0,3}}?)"
)
_MENTION = re.compile(
    r"(?:"
    + "|".join(f"(?P<w{n}>{_bound})" for n, _bound in enumerate(_WHOLE))
    + rf"|(?P<denial>{DENIAL})?(?:"
    + "|".join(f"(?P<w{n}>{_bound})" for n, _bound in enumerate(_NAMES, start=len(_WHOLE)))
    + r"))(?![a-z])",
    re.I,
)
_STATED = re.compile(
    r"(?:\b(?:label|answer|verdict|judge?ment|classification|conclusion)|标签|答案|结论|判断)"
    r"[^\w.。]{0,4}(?:(?:is|would be|should be|must be|应为|应该是|应是|为|是)[^\w.。]{0,4})?\Z"
    r"|\b(?:label|mark|classif|rate|choose|chose|conclude)\w*(?:\s+\w+){0,3}?[^\w.]{1,4}\Z",
    re.I,
)
_OR = re.compile(r"\s*(?:,?\s*n?or|/|、|或者?)\s*", re.I)
_TAKEN_BACK = re.compile(
    r"\b(?:wait|correction|corrected|on second thought|scratch that|i was wrong|my mistake"
    r"|made a mistake|actually|on reflection|let me correct|i meant)\b"
    r"|更正|等等|等一下|不对|我错了|改为|应改|应为|重新考虑",
    re.I,
)


def takes_back(text: str) -> bool:
    """Whether prose after an answer withdraws it, with or without another one."""
    return _TAKEN_BACK.search(text) is not None


def names_another(text: str, labels: Set[Label]) -> bool:
    """Whether prose names a label other than the only one of `labels`, or denies that one.

    With several of them (verdicts of many sentences) any label in prose may mean a change.
    """
    return any(_differs(label, denied, labels) for _, label, denied in _mentions(text))


def states_another(text: str, labels: Set[Label]) -> bool:
    """Whether prose states a label as the answer ("my label: supported") that is not one of
    `labels`."""
    for match, label, denied in _mentions(text):
        before = text[max(0, match.start() - 60) : match.start()]
        around = text[max(0, match.start() - 20) : match.end() + 20]
        line = next((line for line in around.splitlines() if match[0] in line), "")
        is_alone = line.strip(" \t*_`<>\"'.。“”") == match[0]
        if (is_alone or _STATED.search(before)) and _differs(label, denied, labels):
            return True
    return False


def labels_named(text: str) -> frozenset[Label]:
    """The labels that prose names and does not deny; "wrong" may mean either of two."""
    named = {label for _, label, denied in _mentions(text) if not denied}
    if Label.HALLUCINATED in named:
        named = named - {Label.HALLUCINATED} | {Label.CONTRADICTORY, Label.UNVERIFIABLE}
    return frozenset(named)


def _mentions(text: str) -> Iterator[tuple[re.Match[str], Label, bool]]:
    """(match, label, whether it is denied); a denial also applies to what follows after "or"."""
    is_denied, end = False, 0
    for match in _MENTION.finditer(text):
        if re.match("[a-z]", text[match.start() - 1 : match.start()], re.I):
            continue  # inside a longer word
        goes_on = is_denied and _OR.fullmatch(text[end : match.start()]) is not None
        is_denied, end = match["denial"] is not None or goes_on, match.end()
        number = next(n for n in range(len(_LABELS)) if match[f"w{n}"] is not None)
        yield match, _LABELS[number], is_denied


def _differs(label: Label, denied: bool, labels: Set[Label]) -> bool:
    if label is Label.HALLUCINATED:
        return not denied and bool(labels & {Label.NO_HALLUCINATION, Label.NO_FACT})
    return label in labels if denied else labels != {label}
