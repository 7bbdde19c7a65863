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
    quotes_a_title,
    repair,
    undetermined,
)
from annotator.judging.reading import LABEL_NAMES, ReplyFault, read_choice, read_references
from schemas.labels import Label
from schemas.records import Message, Verdict

ReadT = TypeVar("ReadT")

_FACT = dict.fromkeys(("fact", "facts", "has fact", "has facts", "有事实", "事实"), True) | {
    words: False for words, label in LABEL_NAMES.items() if label is Label.NO_FACT
}
_NO_POINTS = dict.fromkeys(("no reference information", "无参考信息"), True)
_DECIDING = (Label.NO_HALLUCINATION, Label.CONTRADICTORY, Label.UNVERIFIABLE)
_FINAL = {words: label for words, label in LABEL_NAMES.items() if label in _DECIDING}


def judge_anah(
    material: Material, number: int, settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    """Protocol `anah`: the three questions of ANAH-v2 (arXiv 2407.04693) in one conversation."""
    votes = []
    for vote in range(settings.votes):
        votes.append((yield from _three_questions(material, number, settings, vote)))
    return finish([combine_votes(votes, keep_share=settings.keep_share)])


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
    is_shown = bool(evidence) or quotes_a_title(points, material)
    if label in NEED_QUOTES and not is_shown and settings.evidence == "require":
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
    if locate_quotes(points, material) or quotes_a_title(points, material):
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
    return read_choice(text, _FACT)


def _read_points(text: str) -> list[str] | ReplyFault:
    """The points listed; [] for the answer that there are none."""
    none_said = read_choice(text, _NO_POINTS)
    points = read_references(text)
    if not isinstance(none_said, ReplyFault):
        if points:
            detail = "it lists points and says there are none"
            return ReplyFault(reason="ambiguous", detail=detail)
        return []
    if none_said.reason != "unparsable":
        return none_said
    return points or form_fault("it lists no <Reference> and does not say that there is none")


def _read_final(text: str) -> Label | ReplyFault:
    return read_choice(text, _FINAL)


def _go_on(ask: Ask, reply: Reply, question: str) -> Ask:
    """The conversation with the model's answer and the next question."""
    said = Message(role="assistant", content=reply.text)
    messages = [*ask.messages, said, Message(role="user", content=question)]
    return replace(ask, messages=messages, purpose="verdict")
