"""Reading the verdicts of a window of sentences: protocol `response`.

The rule: a verdict counts for a sentence only when it names the sentence's id, once, and echoes
how the sentence begins. The same holds for a label that a repaired reply must keep.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from annotator.judging.evidence.quotes import count_units
from annotator.judging.protocols.confidence import label_probabilities
from annotator.judging.protocols.copied import find_copy
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import (
    ReplyFault,
    form_fault,
    labels_in,
    read_label,
    read_object,
)
from annotator.judging.protocols.repairs import fault_of_ending
from annotator.judging.protocols.steps import ProtocolSettings, read_verdict
from annotator.models.backend import Reply
from schemas.labels import Label
from schemas.records import Verdict

# About three words of English, or six characters of Chinese.
_BEGINS_UNITS = 12
_MAX_ID_CHARS = 10
# The keys of a verdict in an object that may be broken, in the order they are written.
_KEYS = re.compile(r'"(id|begins|label)"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|(\d{1,9}))', re.I)


def read_window(
    reply: Reply, owed: Sequence[int], inputs: ProtocolInput, settings: ProtocolSettings
) -> tuple[dict[int, Verdict], dict[int, ReplyFault]]:
    """Verdicts by sentence, and why the other sentences of `owed` have none."""
    values = fault_of_ending(reply) or read_object(reply.text, "verdicts")
    items = values if isinstance(values, ReplyFault) else values["verdicts"]
    if not isinstance(items, list):
        whole = items if isinstance(items, ReplyFault) else form_fault("verdicts is no list")
        return {}, _faults_of_all(whole, reply.text, owed, inputs)
    by_id: dict[int, list[tuple[int, Mapping[str, Any]]]] = {}
    for position, item in enumerate(items):
        if isinstance(item, dict) and (number := read_id(item.get("id"))) is not None:
            by_id.setdefault(number - 1, []).append((position, item))
    confidences = label_probabilities(reply.text, reply.logprobs, num_labels=len(items))
    good: dict[int, Verdict] = {}
    faults: dict[int, ReplyFault] = {}
    for number in owed:
        named = by_id.get(number, [])
        fault = _fault_of_id([item for _, item in named], inputs, number)
        if fault is not None:
            faults[number] = fault
            continue
        ((position, item),) = named
        confidence = confidences[position] if confidences else None
        verdict = read_verdict(item, inputs, number, settings, "response", confidence=confidence)
        if isinstance(verdict, ReplyFault):
            faults[number] = verdict
        else:
            good[number] = verdict
    return good, faults


def _fault_of_id(
    items: Sequence[Mapping[str, Any]], inputs: ProtocolInput, number: int
) -> ReplyFault | None:
    """Why the verdicts with a sentence's id are not exactly one verdict on it.

    None where they are.
    """
    sentence = inputs.sentence(number)
    echoing = [item for item in items if begins_alike(item.get("begins"), sentence)]
    if len(items) == 1 and echoing:
        return None
    if len(items) == 1 and (copy := find_copy(items[0], (), inputs.wording)):
        return ReplyFault(reason="copied_form", detail=copy)
    if len(items) == 1:
        detail = "'begins' is not how the sentence of this id begins"
    else:
        detail = f"{len(items)} verdicts for this id" if items else "no verdict for this id"
    labels = (read_label(item.get("label")) for item in echoing)
    known = frozenset(label for label in labels if label is not None)
    return ReplyFault(reason="wrong_ids", detail=detail, labels=known)


def _faults_of_all(
    fault: ReplyFault, text: str, owed: Sequence[int], inputs: ProtocolInput
) -> dict[int, ReplyFault]:
    """The fault of a whole reply for each sentence, with its label of that sentence."""
    labels: dict[int, set[Label]] = {}
    number, begins = -1, ""
    for match in _KEYS.finditer(text):
        key, value = match[1].lower(), match[2] if match[3] is None else match[3]
        if key == "id":
            number, begins = (read_id(value) or 0) - 1, ""
        elif key == "begins":
            begins = value
        elif number in owed and begins_alike(begins, inputs.sentence(number)):
            label = read_label(value)
            labels.setdefault(number, set()).update([label] if label else [])
    in_prose = fault.labels - labels_in(text) if fault.reason == "ambiguous" else frozenset()
    return {
        n: replace(fault, labels=frozenset(labels[n]) | in_prose if labels.get(n) else frozenset())
        for n in owed
    }


def read_id(value: object) -> int | None:
    """An id as a number; `"3"` and `3.0` are 3, true is not an id."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < _MAX_ID_CHARS:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def begins_alike(begins: object, sentence: str) -> bool:
    """Whether an echo is the beginning of the sentence, which connects a verdict with its sentence.

    Letters and digits are compared, so marks and case may differ. It must be long enough to
    distinguish the sentences of a window.
    """
    if not isinstance(begins, str):
        return False
    said, there = _letters(begins), _letters(sentence)
    return there.startswith(said) and said.startswith(beginning_of(sentence))


def _letters(text: str) -> str:
    """Letters and digits without case, width and accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text).casefold()))


def beginning_of(sentence: str) -> str:
    """The number of first letters and digits that an echo must have, wide ones counted twice."""
    kept = ""
    for letter in _letters(sentence):
        if count_units(kept) >= _BEGINS_UNITS:
            break
        kept += letter
    return kept
