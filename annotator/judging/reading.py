"""Reading what a judge model wrote: JSON among prose, tags in any case, labels by any name.

The rule: a reading is right or it is a `Fault`. Nothing here guesses: two answers that differ,
a label that is none, a quote that is no text are faults, named so that the model can mend them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from annotator.generation.json_reply import find_json_objects
from schemas.labels import Label


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyFault:
    """Why a reply, or one verdict of it, cannot be used: a short code, and a phrase for it."""

    reason: str
    detail: str


# The label a judge is asked for, ANAH's names, and what models say for the same.
_NAMES: dict[str, Label] = {
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


def read_label(value: object) -> Label | None:
    """The label a string names, whatever its case, separators and brackets; None for none.

    >>> read_label("<No_Hallucination>")
    <Label.NO_HALLUCINATION: 'no_hallucination'>
    """
    if not isinstance(value, str):
        return None
    words = re.sub(r"[\W_]+", " ", value.casefold()).strip()
    return _NAMES.get(words)


def read_object(text: str, key: str) -> dict[str, Any] | ReplyFault:
    """The one object in `text` that has `key`; a fault for none, and for two that differ."""
    if not text.strip():
        return ReplyFault(reason="empty_reply", detail="it is empty")
    found = [value for value in find_json_objects(text) if key in value]
    if not found:
        return ReplyFault(reason="unparsable", detail=f"it holds no JSON object with {key!r}")
    if any(value != found[0] for value in found):
        return ReplyFault(reason="ambiguous", detail=f"it holds several objects with {key!r}")
    return found[0]


def read_quotes(value: object) -> list[str] | None:
    """The quotes of a verdict; None for what is no list of strings. Empty ones are left out."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return [item.strip() for item in value if item.strip()]


_TAG = re.compile(r"[<＜《\[【]\s*/?\s*([^<>＜＞《》\[\]【】]{1,40}?)\s*[>＞》\]】]")


def read_tags(text: str) -> list[str]:
    """The words in brackets, casefolded, in order: `<No Facts>` gives `no facts`."""
    return [re.sub(r"[\W_]+", " ", tag.casefold()).strip() for tag in _TAG.findall(text)]


def read_tagged_label(text: str, allowed: frozenset[Label]) -> Label | ReplyFault:
    """The one label a reply names: by its tags, else by being nothing but the label."""
    if not text.strip():
        return ReplyFault(reason="empty_reply", detail="it is empty")
    named = {label for tag in read_tags(text) if (label := read_label(tag)) in allowed}
    if not named and (label := read_label(text)) in allowed:
        named = {label}
    if len(named) > 1:
        return ReplyFault(reason="ambiguous", detail="it names more than one label")
    if not named:
        return ReplyFault(reason="unparsable", detail="it names none of the labels asked for")
    (label,) = named
    assert label is not None
    return label


_REFERENCE = re.compile(r"<\s*reference\s*>(.*?)<\s*/\s*reference\s*>", re.I | re.S)


def read_references(text: str) -> list[str]:
    """The points a judge listed: those in <Reference> tags, else the lines of a plain list."""
    tagged = [point.strip() for point in _REFERENCE.findall(text) if point.strip()]
    if tagged:
        return tagged
    lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)、])\s*", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if len(line) > 3 and not read_tags(line)]
