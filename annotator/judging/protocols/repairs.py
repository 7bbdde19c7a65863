"""Unusable replies: requested again once, with the mistake described, to correct their form and
never the label.

The rule: a repaired reply must keep the label that an unusable reply gave to a sentence.

| the unusable reply                              | what the repaired reply may label            |
|-------------------------------------------------|----------------------------------------------|
| a label, but quotes missing, weak or none       | the same label; another: `evidence_not_found`|
|                                                 | or `weak_evidence`, as before                |
| a label in a copied, broken or otherwise wrong  | the same label; another: `ambiguous`         |
| form, a reply that loops behind its label       |                                              |
| several labels (`ambiguous`)                    | one of those; another: `ambiguous`           |
| no readable label; a label under an id or an    | any                                          |
| echo of another sentence (`wrong_ids`)          |                                              |

A reply cut off for length is not an answer yet: the same call is made once more with twice the
max_tokens. A reply that repeats itself until max_tokens would do so again; its repair describes
that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from annotator.calls.dialogue import Answer, Ask
from annotator.judging.protocols.label_words import LABEL_WORDS
from annotator.judging.protocols.prompts import fill, wrap
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import ReplyFault, labels_in
from annotator.judging.protocols.thinking import THINKING_HINT, find_answer
from annotator.models.backend import Reply, RequestFailure
from schemas.labels import Label
from schemas.records import Message, Verdict

EVIDENCE_FAULTS = frozenset({"evidence_not_found", "weak_evidence"})
_MAX_REPEATED_CHARS = 4_000
_MAX_QUOTE_CHARS = 200
_LOOP_CHARS = 90  # at least as many characters, and three rounds
_MAX_ROUND_CHARS = 400

Step = Generator[Ask, Answer, Reply | ReplyFault]


def ask_with_room(ask: Ask, mend: Callable[[Reply], Reply | None] = lambda _: None) -> Step:
    """A reply, whole or looping: one cut off for length is requested again with twice the
    max_tokens, unless `mend` makes a whole one of it."""
    is_thinking = False
    for room in (1, 2):
        answer = yield ask if room == 1 else _with_room(ask, room)
        if isinstance(answer, RequestFailure):
            return ReplyFault(reason=answer.reason, detail=answer.detail)
        if answer.finish_reason == "content_filter":
            return ReplyFault(reason="content_filter", detail="the server withheld the reply")
        if (mended := mend(answer)) is not None:
            return mended
        if answer.finish_reason != "length" or find_loop(answer.text) is not None:
            return answer
        is_thinking = find_answer(answer.text) is None or not answer.text.strip()
    hint = f": it was still thinking; {THINKING_HINT}" if is_thinking else ""
    return ReplyFault(reason="cut_off", detail=f"the reply did not fit twice max_tokens{hint}")


def _with_room(ask: Ask, room: int) -> Ask:
    decoding = replace(ask.decoding, max_tokens=ask.decoding.max_tokens * room)
    return replace(ask, decoding=decoding)


def fault_of_ending(reply: Reply) -> ReplyFault | None:
    """The fault of a reply with only thoughts, or with a loop; None for a whole reply.

    White space without end after a JSON object, which servers that enforce a schema allow, is not a
    fault: the object is whole.
    """
    if not reply.text.strip() and reply.reasoning.strip():
        return ReplyFault(reason="cut_off", detail=f"it is thoughts alone: {THINKING_HINT}")
    if reply.finish_reason != "length" or reply.text.rstrip()[-1:] == "}":
        return None
    return ReplyFault(
        reason="cut_off",
        detail="it repeats itself until max_tokens",
        words="looped",
        labels=labels_in(reply.text),
    )


def find_loop(text: str) -> int | None:
    """Where a text begins to repeat its last part up to its end, three times or more; else None.

    >>> find_loop("[" + "'no', " * 20)
    1
    """
    for size in range(1, _MAX_ROUND_CHARS + 1):
        start = len(text) - size
        while start > 0 and text[start - 1] == text[start - 1 + size]:
            start -= 1
        if len(text) - start >= max(3 * size, _LOOP_CHARS):
            return start
    return None


def repair(ask: Ask, reply: Reply, fault: str, inputs: ProtocolInput) -> Ask:
    """The conversation with the unusable reply, its fault described, and the request to correct it.

    The reply is repeated without its thoughts, and a loop with its first round only.
    """
    said = find_answer(reply.text) or reply.text
    loop = find_loop(said) if reply.finish_reason == "length" else None
    said = said[: _MAX_REPEATED_CHARS if loop is None else loop + _LOOP_CHARS]
    said = said if said.strip() else "-"  # some servers refuse a message without text
    request = fill(inputs.prompts.repair, {"fault": fault})
    turns = [Message(role="assistant", content=said), Message(role="user", content=request)]
    return replace(ask, messages=[*ask.messages, *turns], purpose="repair")


def name_fault(fault: ReplyFault, inputs: ProtocolInput) -> str:
    """The mistake described to the model, in the language of its prompts."""
    faults = inputs.prompts.faults
    words = faults.get(fault.words or fault.reason, faults["unparsable"])
    quote = f"\n{wrap('quote', fault.quote[:_MAX_QUOTE_CHARS])}" if fault.quote else ""
    return fill(words, {"detail": fault.detail, "quote": quote})


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstLabel:
    """The labels of a sentence in earlier replies, and the first fault that made them unusable."""

    labels: frozenset[Label]
    fault: ReplyFault

    def changed_by(self, found: Verdict | ReplyFault) -> ReplyFault | None:
        """The fault of a repaired reply that changes the label; None where it does not."""
        labels = frozenset({found.label}) if isinstance(found, Verdict) else found.labels
        if not labels or labels & self.labels:
            return None
        change = f"from {_spell(self.labels)} to {_spell(labels)}"
        is_evidence = self.fault.reason in EVIDENCE_FAULTS
        return ReplyFault(
            reason=self.fault.reason if is_evidence else "ambiguous",
            detail=f"the repaired reply changed the label {change}; before: {self.fault.detail}",
            missing=self.fault.missing,
        )


def remember(first: FirstLabel | None, fault: ReplyFault) -> FirstLabel | None:
    """The labels that the next reply must keep: those so far and those of `fault`'s reply."""
    if not fault.labels:
        return first
    if first is None:
        return FirstLabel(labels=fault.labels, fault=fault)
    blame = first.fault if first.fault.reason in EVIDENCE_FAULTS else fault
    return FirstLabel(labels=first.labels & fault.labels, fault=blame)


def _spell(labels: frozenset[Label]) -> str:
    return " or ".join(sorted(LABEL_WORDS.get(label, label.value) for label in labels))
