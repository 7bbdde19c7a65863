"""Protocol `anah`: the three questions of ANAH-v2 (arXiv 2407.04693) in one conversation.

Is there a fact to check? What do the documents say about it? Given that, which label? The
wording is ours; a `prompts` folder takes the one that published judge weights were trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeVar

from annotator.generation.backend import Reply
from annotator.generation.dialogue import Answer, Ask, Dialogue
from annotator.judging.confidence import combine_votes, tag_probability
from annotator.judging.material import Material
from annotator.judging.prompts import fill, wrap
from annotator.judging.protocol_steps import (
    NEED_QUOTES,
    NOT_THERE,
    ProtocolSettings,
    ask_with_room,
    finish,
    form_fault,
    locate_quotes,
    make_decoding,
    make_seed,
    repair,
    undetermined,
)
from annotator.judging.reading import (
    ReplyFault,
    read_label,
    read_references,
    read_tagged_label,
    read_tags,
)
from schemas.labels import Label
from schemas.records import Message, Verdict

ReadT = TypeVar("ReadT")

_DECIDING = frozenset({Label.NO_HALLUCINATION, Label.CONTRADICTORY, Label.UNVERIFIABLE})


def judge_anah(
    material: Material, number: int, settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    """Protocol `anah`: the three questions of ANAH-v2 (arXiv 2407.04693) in one conversation."""
    votes = []
    for vote in range(settings.votes):
        votes.append((yield from _three_questions(material, number, settings, vote)))
    return finish([combine_votes(votes)])


def _three_questions(
    material: Material, number: int, settings: ProtocolSettings, vote: int
) -> Generator[Ask, Answer, Verdict]:
    """The conversation; what ends it early is a label or a fault."""
    prompts = material.prompts
    content = {"sentence": wrap("sentence", material.sentence(number))}
    messages = material.opening([number], fill(prompts.anah_fact, content))
    decoding = make_decoding(settings, settings.max_tokens, None)
    ask = Ask(messages=messages, decoding=decoding, seed=make_seed(settings, vote))
    has_fact, ask, reply = yield from _ask_tagged(ask, material, _read_fact)
    if has_fact is not True:
        return _settle(has_fact if isinstance(has_fact, ReplyFault) else Label.NO_FACT, settings)
    ask = _go_on(ask, reply, fill(prompts.anah_points, content))
    points, ask, reply = yield from _ask_points(ask, material, settings)
    if isinstance(points, ReplyFault):
        return _settle(points, settings)
    if not points:
        return _settle(Label.UNVERIFIABLE, settings)
    evidence = locate_quotes(points, material)
    ask = _go_on(ask, reply, fill(prompts.anah_verdict, content))
    label, _, reply = yield from _ask_tagged(ask, material, _read_final)
    if label in NEED_QUOTES and not evidence and settings.evidence == "require":
        label = ReplyFault(reason="evidence_not_found", detail=NOT_THERE)
    verdict = _settle(label, settings)
    probability = tag_probability(reply.text, reply.logprobs)
    if isinstance(label, ReplyFault) or probability is None:
        return verdict.model_copy(update={"evidence": evidence})
    sure = {"confidence": probability, "confidence_kind": "logprob", "evidence": evidence}
    return verdict.model_copy(update=sure)


def _ask_points(
    ask: Ask, material: Material, settings: ProtocolSettings
) -> Generator[Ask, Answer, tuple[list[str] | ReplyFault, Ask, Reply]]:
    """The points of the documents; asked for once more where no document holds any of them."""
    points, ask, reply = yield from _ask_tagged(ask, material, _read_points)
    if isinstance(points, ReplyFault) or not points or settings.evidence == "keep":
        return points, ask, reply
    if locate_quotes(points, material):
        return points, ask, reply
    return (yield from _ask_tagged(repair(ask, reply, NOT_THERE, material), material, _read_points))


def _settle(found: Label | ReplyFault, settings: ProtocolSettings) -> Verdict:
    if isinstance(found, ReplyFault):
        return undetermined(found, settings, "anah")
    return Verdict(label=found, judge=settings.judge, protocol="anah")


def _ask_tagged(
    ask: Ask, material: Material, read: Callable[[str], ReadT | ReplyFault]
) -> Generator[Ask, Answer, tuple[ReadT | ReplyFault, Ask, Reply]]:
    """Ask until `read` makes something of the reply, at most twice."""
    nothing = Reply(text="", finish_reason="unknown")
    for is_last in (False, True):
        reply = yield from ask_with_room(ask)
        if isinstance(reply, ReplyFault):
            return reply, ask, nothing
        value = read(reply.text)
        if not isinstance(value, ReplyFault) or is_last:
            return value, ask, reply
        ask = repair(ask, reply, value.detail, material)
    raise AssertionError("unreachable: the second reading always returns")


def _read_fact(text: str) -> bool | ReplyFault:
    if not text.strip():
        return ReplyFault(reason="empty_reply", detail="it is empty")
    tags = {*read_tags(text), " ".join(text.casefold().strip(" .。").split())}
    says_none = any(read_label(tag) is Label.NO_FACT for tag in tags)
    says_fact = bool(tags & {"fact", "facts", "has fact", "has facts", "有事实", "事实"})
    if says_none == says_fact:
        return form_fault("it says neither <Fact> nor <No Facts>, or both")
    return says_fact


def _read_points(text: str) -> list[str] | ReplyFault:
    """The points listed; [] for the answer that there are none."""
    if not text.strip():
        return ReplyFault(reason="empty_reply", detail="it is empty")
    points = read_references(text)
    tags = {*read_tags(text), " ".join(text.casefold().strip(" .。").split())}
    says_none = any(read_label(tag) is Label.UNVERIFIABLE for tag in tags)
    if says_none and points and "<reference" in text.casefold():
        return ReplyFault(reason="ambiguous", detail="it lists points and says there are none")
    if says_none:
        return []
    return points or form_fault("it lists no <Reference> and says nothing of there being none")


def _read_final(text: str) -> Label | ReplyFault:
    return read_tagged_label(text, _DECIDING)


def _go_on(ask: Ask, reply: Reply, question: str) -> Ask:
    """The conversation with the model's answer and the next question."""
    said = Message(role="assistant", content=reply.text)
    messages = [*ask.messages, said, Message(role="user", content=question)]
    return replace(ask, messages=messages, purpose="verdict")
