"""Reading a judge model's reply: JSON within prose, tags in any case, labels under any name.

The rule: a reading is right or it is a `ReplyFault`. Nothing here guesses: two answers that differ,
a broken answer next to a whole one, an invalid label, a tag inside a sentence that may deny it are
faults, described so that the model can correct them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from annotator.calls.json_reply import scan_json_objects
from annotator.judging.protocols.prose import (
    labels_named,
    names_another,
    states_another,
    takes_back,
)
from annotator.judging.protocols.thinking import THINKING_HINT, find_answer
from schemas.labels import Label

ValueT = TypeVar("ValueT")

MAX_REPLY_CHARS = 400_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyFault:
    """Why a reply, or one verdict of it, cannot be used.

    reason   a short code, recorded with the verdict
    detail   a phrase for a person, and for the model in a repair: a changed word changes the
             content key
    labels   the label that the reply nevertheless gave: a repair must not change it
    missing  quotes that are in no document
    words    which phrase of the prompts (`faults`) describes the mistake to the model; '' for
             `reason`
    quote    the quote that the phrase is about
    """

    reason: str
    detail: str
    labels: frozenset[Label] = frozenset()
    missing: tuple[str, ...] = ()
    words: str = ""
    quote: str = ""


def form_fault(detail: str) -> ReplyFault:
    """A reply, or a part of it, that does not have the requested form."""
    return ReplyFault(reason="unparsable", detail=detail)


# The requested labels, ANAH's names, and other words of models for the same.
LABEL_NAMES: dict[str, Label] = {
    "supported": Label.NO_HALLUCINATION,
    "support": Label.NO_HALLUCINATION,
    "factual": Label.NO_HALLUCINATION,
    "no hallucination": Label.NO_HALLUCINATION,
    "支持": Label.NO_HALLUCINATION,
    "无幻觉": Label.NO_HALLUCINATION,
    "contradicted": Label.CONTRADICTORY,
    "contradictory": Label.CONTRADICTORY,
    "contradiction": Label.CONTRADICTORY,
    "矛盾": Label.CONTRADICTORY,
    "not mentioned": Label.UNVERIFIABLE,
    "unverifiable": Label.UNVERIFIABLE,
    "unsupported": Label.UNVERIFIABLE,
    "no reference information": Label.UNVERIFIABLE,
    "无法验证": Label.UNVERIFIABLE,
    "未提及": Label.UNVERIFIABLE,
    "无参考信息": Label.UNVERIFIABLE,
    "no fact": Label.NO_FACT,
    "no facts": Label.NO_FACT,
    "无事实": Label.NO_FACT,
    "hallucinated": Label.HALLUCINATED,
    "hallucination": Label.HALLUCINATED,
}
# Brackets, quotation marks and emphasis around a label, a full stop after it. Nothing else: any
# other mark may change the meaning.
_AROUND = " \t\r\n<>‹›＜＞《》()[]【】\"'`*“”「」"
_WORDS = re.compile(r"[^\W_]+(?:[ _\-]+[^\W_]+)*")


def read_words(value: object) -> str:
    """A label-like text as plain words: `<No_Hallucination>.` is `no hallucination`; '' for others.

    >>> read_words("“Not-mentioned”"), read_words("not, mentioned")
    ('not mentioned', '')
    """
    if not isinstance(value, str) or len(value) > 80:
        return ""
    bare = value.strip(_AROUND).rstrip(".。").strip(_AROUND)
    if not _WORDS.fullmatch(bare):
        return ""
    return re.sub(r"[ _\-]+", " ", bare.casefold())


def read_label(value: object) -> Label | None:
    """The label a string names, whatever its case, separators and brackets; None for none."""
    return LABEL_NAMES.get(read_words(value))


# The value of a key "label", also in an object that is broken.
LABEL_VALUE = re.compile(r'"label"\s*:\s*"([^"]*)"', re.I)


def read_object(text: str, key: str) -> dict[str, Any] | ReplyFault:
    """The one JSON object of a reply, with `key`; fences and prose that agrees are not faults.

    A thinking model's thoughts are skipped. Faults, because it is unknown what was meant: a broken
    object, a second one that differs, an object without `key` near one with it, prose that names
    another label after the object or states one as the answer before it.
    """
    answer = _answer_of(text)
    if isinstance(answer, ReplyFault):
        return answer
    found: list[dict[str, Any]] = []
    prose: list[str] = []
    behind = 0
    for item in scan_json_objects(answer):
        if item.value is None:
            return _fault("unparsable", "it holds a broken JSON object", labels_in(answer))
        prose.append(answer[behind : item.start])
        found.append(item.value)
        behind = item.end
    if not any(key in value for value in found):
        return _fault("unparsable", f"it holds no JSON object with {key!r}", labels_in(answer))
    if any(value != found[0] for value in found):
        detail = "it holds several JSON objects that differ"
        return _fault("ambiguous", detail, labels_in(answer))
    after = "\n".join([*prose[1:], answer[behind:]])
    return _agreeing(found[0], before=prose[0], after=after)


def _agreeing(value: dict[str, Any], *, before: str, after: str) -> dict[str, Any] | ReplyFault:
    """`value`, unless the prose around it names another label."""
    items = value.get("verdicts", [value])
    listed = items if isinstance(items, list) else []
    given = [item.get("label") for item in listed if isinstance(item, dict)]
    labels = frozenset(label for one in given if (label := read_label(one)) is not None)
    if not labels:
        return value
    if names_another(after, labels) or takes_back(after) or states_another(before, labels):
        named = labels | labels_named(after) | labels_named(before)
        detail = "the text around its JSON object names another label or takes it back"
        # Withdrawn without another label: then a repair has no label to keep.
        return _fault("ambiguous", detail, named if named != labels else frozenset())
    return value


def labels_in(text: str) -> frozenset[Label]:
    """The labels that the keys "label" of a reply name, also where its JSON is broken."""
    labels = (read_label(match[1]) for match in LABEL_VALUE.finditer(text))
    return frozenset(label for label in labels if label is not None)


def _answer_of(text: str) -> str | ReplyFault:
    """The text after a reply's thoughts, or why there is none."""
    answer = find_answer(text[:MAX_REPLY_CHARS])
    if answer is None:
        return ReplyFault(reason="cut_off", detail=f"its thinking does not end: {THINKING_HINT}")
    return answer if answer.strip() else ReplyFault(reason="empty_reply", detail="it is empty")


def _fault(reason: str, detail: str, labels: frozenset[Label]) -> ReplyFault:
    return ReplyFault(reason=reason, detail=detail, labels=labels)


def read_quotes(value: object) -> list[str] | None:
    """The quotes of a verdict; None where it is not a list of strings. Empty ones are left out."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return [item.strip() for item in value if item.strip()]


TAG = re.compile(r"[<＜‹《\[【]\s*/?\s*([^<>＜＞‹›《》\[\]【】]{1,40}?)\s*[>＞›》\]】]")


def read_choice(
    text: str,
    choices: Mapping[str, ValueT],
    *,
    denies: Callable[[str, ValueT, bool], bool] = lambda _rest, _value, _is_after: False,
) -> ValueT | ReplyFault:
    """Which of `choices` (by its words) a reply names.

    It must name it alone: as the whole reply, or as its first or last line. Another choice or
    label in brackets makes the reply ambiguous; so does prose after it that withdraws it, and
    prose for which `denies(prose, value, is_after)` is true. A label in brackets inside a sentence
    is not an answer, but a repair must not change it.
    """
    answer = _answer_of(text)
    if isinstance(answer, ReplyFault):
        return answer
    lines = [line for line in answer.splitlines() if line.strip()]
    is_first, is_last = (read_words(lines[place]) in choices for place in (0, -1))
    named = {choices[read_words(lines[place])] for place in (0, -1) if (is_first, is_last)[place]}
    tags = {words for tag in TAG.findall(answer) if (words := read_words(tag))}
    if not named:
        detail = "it is none of the answers asked for, alone on its line"
        tagged = frozenset(LABEL_NAMES[words] for words in tags & LABEL_NAMES.keys())
        return _fault("unparsable", detail, tagged)
    others = {choices[words] for words in tags & choices.keys()}
    strange = {words for words in tags if words in LABEL_NAMES and words not in choices}
    value = next(iter(named))
    rest = "\n".join(lines[1:] if is_first else lines[:-1])
    is_denied = denies(rest, value, is_first) or (is_first and takes_back(rest))
    if len(named | others) > 1 or strange or is_denied:
        given = {*tags, *map(read_words, (lines[0], lines[-1]))} & LABEL_NAMES.keys()
        said = {LABEL_NAMES[word] for word in given} | labels_named(rest)
        is_alternative = len(said) > 1
        detail = "it names more than one answer, or takes it back"
        return _fault("ambiguous", detail, frozenset(said if is_alternative else ()))
    return value


def denies_label(rest: str, label: Label, is_after: bool) -> bool:
    """For `read_choice`: whether the prose around a label names another one as the answer."""
    differs = names_another if is_after else states_another
    return differs(rest, {label})


_NO_POINT = ("<", "＜", "```")  # a mangled tag, a fence
_OPENED = re.compile(r"<\s*reference\s*>", re.I)
_CLOSED = re.compile(r"<\s*/\s*reference\s*>", re.I)


def read_references(text: str) -> list[str]:
    """The points that a judge listed: those in <Reference> tags, else the lines of a plain list.

    [] where a tag is opened and not closed, or empty: then the list is not known.
    """
    text = find_answer(text) or ""
    if opened := _OPENED.split(text)[1:]:
        closed = [_CLOSED.split(part, maxsplit=1) for part in opened]
        tagged = [parts[0].strip() for parts in closed if len(parts) > 1 and parts[0].strip()]
        return tagged if len(tagged) == len(opened) else []  # cut off, or not in the requested form
    lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)、])\s*", "", line).strip() for line in text.splitlines()]
    return [
        line
        for line in lines
        if len(line) > 3 and not line.startswith(_NO_POINT) and read_label(line) is None
    ]
