"""Protocol `response`: one structured call for many sentences of a response.

The rule: a verdict counts for a sentence only when it names the sentence's id, once, and echoes
how the sentence begins. A judge that shifts, repeats or invents ids labels nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from typing import Any

from annotator.generation.backend import Reply
from annotator.generation.dialogue import Answer, Ask, Dialogue
from annotator.judging.confidence import combine_votes, label_probabilities
from annotator.judging.material import Material
from annotator.judging.prompts import fill, wrap
from annotator.judging.protocol_steps import (
    ProtocolSettings,
    ask_with_room,
    closed_object,
    finish,
    form_fault,
    make_decoding,
    make_seed,
    read_verdict,
    repair,
    undetermined,
    verdict_schema,
)
from annotator.judging.quotes import count_units
from annotator.judging.reading import (
    ReplyFault,
    read_object,
)
from schemas.records import Message, Verdict

# About three words of English, or six characters of Chinese.
_BEGINS_UNITS = 12
_MAX_ID_CHARS = 10


def verdicts_schema(ids: Sequence[int]) -> dict[str, Any]:
    """The JSON Schema of the verdicts of several sentences."""
    properties = verdict_schema()["properties"]
    one = closed_object(
        id={"type": "integer", "enum": list(ids)}, begins={"type": "string"}, **properties
    )
    verdicts = {"type": "array", "items": one, "minItems": len(ids), "maxItems": len(ids)}
    return closed_object(verdicts=verdicts)


def judge_response(
    material: Material, numbers: Sequence[int], settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    """Protocol `response`: one structured call for the sentences `numbers` of a response."""
    votes = []
    for vote in range(settings.votes):
        votes.append((yield from _judge_window(material, numbers, settings, vote)))
    return finish(
        [
            combine_votes(of_one, keep_share=settings.keep_share)
            for of_one in zip(*votes, strict=True)
        ]
    )


def _judge_window(
    material: Material, numbers: Sequence[int], settings: ProtocolSettings, vote: int
) -> Generator[Ask, Answer, list[Verdict]]:
    shown = "\n".join(wrap("sentence", material.sentence(n), n + 1) for n in numbers)
    messages = material.opening(numbers, fill(material.prompts.response, {"sentences": shown}))
    found: dict[int, Verdict] = {}
    faults: dict[int, ReplyFault] = {}
    owed = list(numbers)
    ask = _window_ask(messages, owed, settings, vote)
    for _ in range(3):  # asked, form mended, quotes mended
        reply = yield from ask_with_room(ask)
        if isinstance(reply, ReplyFault):
            faults |= dict.fromkeys(owed, reply)
            break
        before = {n: fault.reason for n, fault in faults.items()}
        good, faults = _read_window(reply, owed, material, settings)
        found |= good
        owed = [n for n in owed if n not in good]
        if not owed or all(_same_kind(before.get(n), faults[n].reason) for n in owed):
            break
        named = "; ".join(f"id {n + 1}: {faults[n].detail}" for n in owed)
        detail = f"{named}. Only these ids are asked for again"
        again = repair(ask, reply, detail, material)
        ask = _window_ask(again.messages, owed, settings, vote, purpose="repair")
    return [
        found[n] if n in found else undetermined(faults[n], settings, "response") for n in numbers
    ]


def _same_kind(before: str | None, now: str) -> bool:
    """Whether a fault was there the last time, too: form is mended once, and quotes once."""
    return before is not None and (before == "evidence_not_found") == (now == "evidence_not_found")


def _window_ask(
    messages: Sequence[Message],
    numbers: Sequence[int],
    settings: ProtocolSettings,
    vote: int,
    *,
    purpose: str = "verdict",
) -> Ask:
    schema = verdicts_schema([n + 1 for n in numbers])
    decoding = make_decoding(settings, settings.max_tokens * len(numbers), schema)
    return Ask(
        messages=messages, decoding=decoding, seed=make_seed(settings, vote), purpose=purpose
    )


def _read_window(
    reply: Reply, owed: Sequence[int], material: Material, settings: ProtocolSettings
) -> tuple[dict[int, Verdict], dict[int, ReplyFault]]:
    """Verdicts by sentence, and why the other sentences have none."""
    values = read_object(reply.text, "verdicts")
    items = values if isinstance(values, ReplyFault) else values["verdicts"]
    if not isinstance(items, list):
        fault = items if isinstance(items, ReplyFault) else form_fault("verdicts is no list")
        return {}, dict.fromkeys(owed, fault)
    by_id: dict[int, list[tuple[int, Mapping[str, Any]]]] = {}
    for position, item in enumerate(items):
        if isinstance(item, dict) and (number := _read_id(item.get("id"))) is not None:
            by_id.setdefault(number - 1, []).append((position, item))
    confidences = label_probabilities(reply.text, reply.logprobs, num_labels=len(items))
    good: dict[int, Verdict] = {}
    faults: dict[int, ReplyFault] = {}
    for number in owed:
        named = by_id.get(number, [])
        if len(named) != 1:
            count = "no verdict" if not named else f"{len(named)} verdicts"
            faults[number] = ReplyFault(reason="wrong_ids", detail=f"{count} for this id")
            continue
        position, item = named[0]
        if not _begins_alike(item.get("begins"), material.sentence(number)):
            detail = "'begins' is not how the sentence of this id begins"
            faults[number] = ReplyFault(reason="wrong_ids", detail=detail)
            continue
        confidence = confidences[position] if confidences else None
        verdict = read_verdict(item, material, settings, "response", confidence)
        if isinstance(verdict, ReplyFault):
            faults[number] = verdict
        else:
            good[number] = verdict
    return good, faults


def _read_id(value: object) -> int | None:
    """An id as a number; `"3"` and `3.0` are 3, true is none."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < _MAX_ID_CHARS:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def cut_windows(material: Material, size: int) -> Iterator[list[int]]:
    """The sentences of a response in windows of at most `size`, in order.

    No two sentences of a window begin alike, so that an echo of its beginning names one of them:
    `She was born in 1950.` and `She was born in Oslo.` are asked about in two calls.
    """
    window: list[int] = []
    beginnings: set[str] = set()
    for number in range(len(material.task.sentences)):
        beginning = _beginning(material.sentence(number))
        if window and (len(window) == size or _is_among(beginning, beginnings)):
            yield window
            window, beginnings = [], set()
        window.append(number)
        beginnings.add(beginning)
    if window:
        yield window


def _is_among(beginning: str, others: Set[str]) -> bool:
    """Whether an echo of `beginning` could be of another one: equal, or one begins the other."""
    return any(beginning.startswith(one) or one.startswith(beginning) for one in others)


def _begins_alike(begins: object, sentence: str) -> bool:
    """Whether an echo is the sentence's own beginning: what ties a verdict to its sentence.

    Letters and digits are compared, so marks and case may differ. It must be as long as what
    tells the sentences of a window apart.
    """
    if not isinstance(begins, str):
        return False
    said, there = _letters(begins), _letters(sentence)
    return there.startswith(said) and said.startswith(_beginning(sentence))


def _letters(text: str) -> str:
    """Letters and digits without case, width and accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text).casefold()))


def _beginning(sentence: str) -> str:
    """As many of its first letters and digits as an echo must have, wide ones counted twice."""
    kept = ""
    for letter in _letters(sentence):
        if count_units(kept) >= _BEGINS_UNITS:
            break
        kept += letter
    return kept
