"""Reading what a judge model wrote: JSON among prose, tags in any case, labels by any name.

The rule: a reading is right or it is a `ReplyFault`. Nothing here guesses: two answers that
differ, an answer that is broken beside one that is whole, a label that is none, a tag inside a
sentence that may deny it are faults, named so that the model can mend them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from annotator.generation.json_reply import clean_value, unique_keys
from schemas.labels import Label

ValueT = TypeVar("ValueT")

MAX_REPLY_CHARS = 400_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyFault:
    """Why a reply, or one verdict of it, cannot be used: a short code, and a phrase for it."""

    reason: str
    detail: str


# The label a judge is asked for, ANAH's names, and what models say for the same.
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
# Brackets, quotation marks and emphasis around a label, a stop behind it. Nothing else: any other
# mark may change what is said.
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


def read_object(text: str, key: str) -> dict[str, Any] | ReplyFault:
    """The one JSON object of a reply, with `key`; prose and code fences around it are no fault.

    A thinking model's thoughts are passed over. An object that is broken, a second one that
    differs, an object without `key` beside one with it are faults: which was meant is unknown.
    """
    text = without_thoughts(text)[:MAX_REPLY_CHARS]
    if not text.strip():
        return ReplyFault(reason="empty_reply", detail="it is empty")
    decoder = json.JSONDecoder(object_pairs_hook=unique_keys)
    found: list[dict[str, Any]] = []
    position = text.find("{")
    while position >= 0:
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return ReplyFault(reason="unparsable", detail="it holds a broken JSON object")
        found.append(clean_value(value))
        position = text.find("{", position)
    if not any(key in value for value in found):
        return ReplyFault(reason="unparsable", detail=f"it holds no JSON object with {key!r}")
    if any(value != found[0] for value in found):
        return ReplyFault(reason="ambiguous", detail="it holds several JSON objects that differ")
    return found[0]


_THOUGHTS = re.compile(r"\A.*</think>", re.S)


def without_thoughts(text: str) -> str:
    """A reply less a thinking model's thoughts; nothing is left where they never end."""
    if "</think>" in text:
        return _THOUGHTS.sub("", text, count=1)
    return "" if text.lstrip().startswith("<think>") else text


def read_quotes(value: object) -> list[str] | None:
    """The quotes of a verdict; None for what is no list of strings. Empty ones are left out."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return [item.strip() for item in value if item.strip()]


_TAG = re.compile(r"[<＜‹《\[【]\s*/?\s*([^<>＜＞‹›《》\[\]【】]{1,40}?)\s*[>＞›》\]】]")


def read_choice(text: str, choices: Mapping[str, ValueT]) -> ValueT | ReplyFault:
    """Which of `choices` (by its words) a reply names.

    It must name it alone: as the whole reply, or as its first or last line. Another choice, or
    another label, in brackets anywhere beside it makes the reply ambiguous.
    """
    text = without_thoughts(text)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ReplyFault(reason="empty_reply", detail="it is empty")
    alone = {words for line in (lines[0], lines[-1]) if (words := read_words(line)) in choices}
    named = {choices[words] for words in alone}
    if not named:
        return ReplyFault(
            reason="unparsable", detail="it is none of the answers asked for, alone on its line"
        )
    tags = {words for tag in _TAG.findall(text) if (words := read_words(tag))}
    others = {choices[words] for words in tags & choices.keys()}
    strange = {words for words in tags if words in LABEL_NAMES and words not in choices}
    if len(named | others) > 1 or strange:
        return ReplyFault(reason="ambiguous", detail="it names more than one answer")
    (value,) = named
    return value


_REFERENCE = re.compile(r"<\s*reference\s*>(.*?)<\s*/\s*reference\s*>", re.I | re.S)


_OPENED = re.compile(r"<\s*reference\s*>", re.I)


def read_references(text: str) -> list[str]:
    """The points a judge listed: those in <Reference> tags, else the lines of a plain list.

    [] where a tag is opened and not closed: then it is not known what was listed.
    """
    text = without_thoughts(text)
    if num_opened := len(_OPENED.findall(text)):
        tagged = [point.strip() for point in _REFERENCE.findall(text) if point.strip()]
        return tagged if len(tagged) == num_opened else []  # cut off, or not of the form
    lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)、])\s*", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if len(line) > 3 and read_label(line) is None]
