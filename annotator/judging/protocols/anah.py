"""Protocol `anah`: the three questions of ANAH-v2 (arXiv 2407.04693) in one conversation.

Is there a fact to check? What do the documents say about it? Given that, which label? The rule:
the label comes last, from points that are in documents; without such points there is no label. The
wording is from this project; a `prompts` folder may hold the one that published judge weights were
trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeVar

from annotator.calls.dialogue import Answer, Ask, Dialogue
from annotator.judging.evidence.find_evidence import find_evidence
from annotator.judging.protocols.anah_reply import read_fact, read_final, read_points
from annotator.judging.protocols.confidence import combine_votes, tag_probability
from annotator.judging.protocols.prompts import Placeholders, fill, wrap
from annotator.judging.protocols.protocol import Dialogues, JudgingProtocol
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import ReplyFault
from annotator.judging.protocols.repairs import (
    FirstLabel,
    ask_with_room,
    fault_of_ending,
    name_fault,
    remember,
    repair,
)
from annotator.judging.protocols.steps import (
    NEED_QUOTES,
    ProtocolSettings,
    as_result,
    fault_of_evidence,
    make_decoding,
    make_seed,
    undetermined,
)
from annotator.models.backend import Reply
from schemas.labels import Label
from schemas.records import Message, Verdict

ReadT = TypeVar("ReadT")


def anah_dialogue(
    inputs: ProtocolInput, number: int, settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    """The verdict on one sentence."""
    votes = []
    for vote in range(settings.votes):
        votes.append((yield from _three_questions(inputs, number, settings, vote)))
    return as_result([combine_votes(votes, keep_share=settings.keep_share)])


def _three_questions(
    inputs: ProtocolInput, number: int, settings: ProtocolSettings, vote: int
) -> Generator[Ask, Answer, Verdict]:
    """The conversation; a label or a fault ends it early."""
    prompts = inputs.prompts
    content = {"sentence": wrap("sentence", inputs.sentence(number))}
    messages = inputs.opening([number], fill(prompts.text("anah_fact"), content))
    decoding = make_decoding(settings, settings.max_tokens, None)
    ask = Ask(messages=messages, decoding=decoding, seed=make_seed(settings, vote))
    has_fact, ask, reply = yield from _ask_tagged(ask, inputs, read_fact)
    if has_fact is not True:
        return _settle(has_fact if isinstance(has_fact, ReplyFault) else Label.NO_FACT, settings)
    ask = _go_on(ask, reply, fill(prompts.text("anah_points"), content))
    points, ask, reply = yield from _ask_points(ask, inputs, number, settings)
    if isinstance(points, ReplyFault):
        return _settle(points, settings)
    if not points:
        return _settle(Label.UNVERIFIABLE, settings)
    found = find_evidence(points, inputs, number)
    ask = _go_on(ask, reply, fill(prompts.text("anah_verdict"), content))
    label, _, reply = yield from _ask_tagged(ask, inputs, read_final)
    if label in NEED_QUOTES and settings.evidence == "require":
        label = fault_of_evidence(points, found) or label
    verdict = _settle(label, settings)
    quoted = {"evidence": found.evidence, "missing_quotes": found.missing}
    probability = tag_probability(reply.text, reply.logprobs)
    if isinstance(label, ReplyFault) or probability is None:
        return verdict.model_copy(update=quoted)
    sure = {"confidence": probability, "confidence_kind": "logprob"}
    return verdict.model_copy(update=quoted | sure)


def _ask_points(
    ask: Ask, inputs: ProtocolInput, number: int, settings: ProtocolSettings
) -> Generator[Ask, Answer, tuple[list[str] | ReplyFault, Ask, Reply]]:
    """The points from the documents; requested once more where some are not in the documents.

    Points that are in no document after that are a fault, whatever label would follow; so is a
    reply that then lists none. Whether weak points are enough depends on the label, which may need
    none.
    """

    def read(text: str) -> list[str] | ReplyFault:
        return read_points(text, inputs, number)

    points, ask, reply = yield from _ask_tagged(ask, inputs, read)
    if isinstance(points, ReplyFault) or not points or settings.evidence == "keep":
        return points, ask, reply
    before = fault_of_evidence(points, find_evidence(points, inputs, number))
    if before is None:
        return points, ask, reply
    ask = repair(ask, reply, name_fault(before, inputs), inputs)
    points, ask, reply = yield from _ask_tagged(ask, inputs, read)
    if isinstance(points, ReplyFault):
        return points, ask, reply
    if not points:
        detail = f"the repaired reply has no points any more; before: {before.detail}"
        return replace(before, detail=detail), ask, reply
    fault = fault_of_evidence(points, find_evidence(points, inputs, number))
    is_missing = fault is not None and fault.reason == "evidence_not_found"
    return (fault if fault and is_missing else points), ask, reply


def _settle(found: Label | ReplyFault, settings: ProtocolSettings) -> Verdict:
    if isinstance(found, ReplyFault):
        return undetermined(found, settings, "anah")
    return Verdict(label=found, judge=settings.judge, protocol="anah")


def _ask_tagged(
    ask: Ask, inputs: ProtocolInput, read: Callable[[str], ReadT | ReplyFault]
) -> Generator[Ask, Answer, tuple[ReadT | ReplyFault, Ask, Reply]]:
    """Ask until `read` accepts the reply, at most twice; the first label is kept."""
    nothing = Reply(text="", finish_reason="unknown")
    first: FirstLabel | None = None
    for is_last in (False, True):
        reply = yield from ask_with_room(ask)
        if isinstance(reply, ReplyFault):
            return reply, ask, nothing
        value = fault_of_ending(reply) or read(reply.text)
        if first and isinstance(value, Label):
            changed = first.changed_by(Verdict(label=value))
            return changed or value, ask, reply
        if not isinstance(value, ReplyFault) or is_last:
            return value, ask, reply
        first = remember(first, value)
        ask = repair(ask, reply, name_fault(value, inputs), inputs)
    raise AssertionError("unreachable: the second reading always returns")


def _go_on(ask: Ask, reply: Reply, question: str) -> Ask:
    """The conversation with the model's answer and the next question."""
    said = Message(role="assistant", content=reply.text)
    messages = [*ask.messages, said, Message(role="user", content=question)]
    return replace(ask, messages=messages, purpose="verdict")


def _dialogues(inputs: ProtocolInput, settings: ProtocolSettings) -> Dialogues:
    for number in range(len(inputs.task.sentences)):
        yield number, anah_dialogue(inputs, number, settings)


def _assume(inputs: ProtocolInput, first: int, ask: Ask) -> str:
    """The reply to the last question: there is a fact, and a point about it."""
    prompts = inputs.prompts
    content = {"sentence": wrap("sentence", inputs.sentence(first))}
    asked = {message.content for message in ask.messages if message.role == "user"}
    if fill(prompts.text("anah_verdict"), content) in asked:
        return "<Unverifiable>"
    if fill(prompts.text("anah_points"), content) in asked:
        return f"<Reference>{inputs.sample_quote}</Reference>"
    return next((tag for tag in _FACT_TAGS if tag in prompts.text("anah_fact")), _FACT_TAGS[0])


_FACT_TAGS = ("<Fact>", "<有事实>")
ANAH = JudgingProtocol(
    name="anah",
    summary="the three questions of ANAH-v2 per sentence",
    texts={
        "anah_fact": Placeholders(needed={"sentence"}),
        "anah_points": Placeholders(allowed={"sentence"}),
        "anah_verdict": Placeholders(allowed={"sentence"}),
    },
    dialogues=_dialogues,
    assume=_assume,
    upper_bound="up to three calls per sentence, fewer without a fact",
    shown_call=2,
)
