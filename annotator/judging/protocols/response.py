"""Protocol `response`: one structured call for many sentences of a response.

The rule: every sentence is decided separately (annotator/judging/protocols/window_reply.py).
Verdicts with shifted, repeated or invented ids are not used, and a repair asks only for the missing
verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from typing import Any

from annotator.calls.dialogue import Answer, Ask, Dialogue
from annotator.judging.protocols.confidence import combine_votes
from annotator.judging.protocols.cut_words import mend_words
from annotator.judging.protocols.prompts import Placeholders, fill, wrap
from annotator.judging.protocols.protocol import Dialogues, JudgingProtocol
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import ReplyFault
from annotator.judging.protocols.repairs import (
    EVIDENCE_FAULTS,
    FirstLabel,
    ask_with_room,
    name_fault,
    remember,
    repair,
)
from annotator.judging.protocols.steps import (
    ProtocolSettings,
    as_result,
    assumed_verdict,
    closed_object,
    make_decoding,
    make_seed,
    undetermined,
    verdict_schema,
)
from annotator.judging.protocols.window_reply import beginning_of, read_window
from schemas.records import Message, Verdict


def verdicts_schema(ids: Sequence[int], *, ask_spans: bool) -> dict[str, Any]:
    """The JSON Schema of the verdicts of several sentences."""
    properties = verdict_schema(ask_spans=ask_spans)["properties"]
    one = closed_object(
        id={"type": "integer", "enum": list(ids)}, begins={"type": "string"}, **properties
    )
    verdicts = {"type": "array", "items": one, "minItems": len(ids), "maxItems": len(ids)}
    return closed_object(verdicts=verdicts)


def window_dialogue(
    inputs: ProtocolInput, numbers: Sequence[int], settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    """The verdicts on the sentences `numbers` of a response."""
    votes = []
    for vote in range(settings.votes):
        votes.append((yield from _judge_window(inputs, numbers, settings, vote)))
    return as_result(
        [
            combine_votes(of_one, keep_share=settings.keep_share)
            for of_one in zip(*votes, strict=True)
        ]
    )


def _judge_window(
    inputs: ProtocolInput, numbers: Sequence[int], settings: ProtocolSettings, vote: int
) -> Generator[Ask, Answer, list[Verdict]]:
    sentences = "\n".join(wrap("sentence", inputs.sentence(n), n + 1) for n in numbers)
    request = fill(inputs.prompts.request("response"), {"sentences": sentences})
    messages = inputs.opening(numbers, request)
    found: dict[int, Verdict] = {}
    faults: dict[int, ReplyFault] = {}
    first: dict[int, FirstLabel | None] = dict.fromkeys(numbers)
    owed = list(numbers)
    ask_spans = inputs.prompts.asks_spans
    ask = _window_ask(messages, owed, settings, vote, ask_spans=ask_spans)
    for _ in range(3):  # asked, form repaired, quotes repaired
        mend = mend_words(inputs.prompts, num_verdicts=len(owed), closing="}]}")
        reply = yield from ask_with_room(ask, mend)
        if isinstance(reply, ReplyFault):
            faults |= dict.fromkeys(owed, reply)
            break
        before = {n: fault.reason for n, fault in faults.items()}
        good, faults = read_window(reply, owed, inputs, settings)
        found |= _keep_labels(good, faults, first, settings)
        owed = [n for n in owed if n not in found]
        if not owed or all(_same_kind(before.get(n), faults[n].reason) for n in owed):
            break
        first |= {n: remember(first[n], faults[n]) for n in owed}
        again = repair(ask, reply, _name_faults({n: faults[n] for n in owed}, inputs), inputs)
        ask = _window_ask(
            again.messages, owed, settings, vote, ask_spans=ask_spans, purpose="repair"
        )
    return [
        found[n] if n in found else undetermined(faults[n], settings, "response") for n in numbers
    ]


def _keep_labels(
    good: Mapping[int, Verdict],
    faults: Mapping[int, ReplyFault],
    first: Mapping[int, FirstLabel | None],
    settings: ProtocolSettings,
) -> dict[int, Verdict]:
    """The final verdicts; undetermined where a repaired reply changed the label."""
    settled = dict(good)
    for number in (*good, *faults):
        earlier = first[number]
        changed = earlier.changed_by(good.get(number) or faults[number]) if earlier else None
        if changed is not None:
            settled[number] = undetermined(changed, settings, "response")
    return settled


def _name_faults(faults: Mapping[int, ReplyFault], inputs: ProtocolInput) -> str:
    """The mistakes by id, described to the model."""
    lines = [f"id {n + 1}: {name_fault(fault, inputs)}" for n, fault in faults.items()]
    return "\n".join([*lines, inputs.prompts.faults["only_these_ids"]])


def _same_kind(before: str | None, now: str) -> bool:
    """Whether the fault before had the same kind: form is repaired once, and quotes once."""
    return before is not None and (before in EVIDENCE_FAULTS) == (now in EVIDENCE_FAULTS)


def _window_ask(
    messages: Sequence[Message],
    numbers: Sequence[int],
    settings: ProtocolSettings,
    vote: int,
    *,
    ask_spans: bool,
    purpose: str = "verdict",
) -> Ask:
    schema = verdicts_schema([n + 1 for n in numbers], ask_spans=ask_spans)
    decoding = make_decoding(settings, settings.max_tokens * len(numbers), schema)
    return Ask(
        messages=messages, decoding=decoding, seed=make_seed(settings, vote), purpose=purpose
    )


def cut_windows(inputs: ProtocolInput, size: int) -> Iterator[list[int]]:
    """The sentences of a response in windows of at most `size`, in order.

    Two sentences of a window never have the same beginning, so that an echo of it identifies one of
    them: `She was born in 1950.` and `She was born in Oslo.` are asked about in two calls.
    """
    window: list[int] = []
    beginnings: set[str] = set()
    for number in range(len(inputs.task.sentences)):
        beginning = beginning_of(inputs.sentence(number))
        if window and (len(window) == size or _is_among(beginning, beginnings)):
            yield window
            window, beginnings = [], set()
        window.append(number)
        beginnings.add(beginning)
    if window:
        yield window


def _is_among(beginning: str, others: Set[str]) -> bool:
    """Whether an echo of `beginning` could be that of another one: equal, or one is a prefix of the
    other."""
    return any(beginning.startswith(one) or one.startswith(beginning) for one in others)


def _dialogues(inputs: ProtocolInput, settings: ProtocolSettings) -> Dialogues:
    # Where not all passages fit one prompt, each sentence has a separate window.
    for window in cut_windows(inputs, 1 if inputs.own else settings.window):
        yield window[0], window_dialogue(inputs, window, settings)


def _assume(inputs: ProtocolInput, _first: int, ask: Ask) -> str:
    """One verdict for each id in the call."""
    assert ask.decoding.schema is not None
    ids = ask.decoding.schema["properties"]["verdicts"]["items"]["properties"]["id"]["enum"]
    verdicts = [
        {"id": number, "begins": inputs.sentence(number - 1)[:48]}
        | assumed_verdict(inputs, number - 1)
        for number in ids
    ]
    return json.dumps({"verdicts": verdicts}, ensure_ascii=False)


RESPONSE = JudgingProtocol(
    name="response",
    summary="one call for all sentences (fewest tokens)",
    texts={"response": Placeholders(needed={"sentences"})},
    dialogues=_dialogues,
    assume=_assume,
    uses_window=True,
    can_ask_spans=True,
)
