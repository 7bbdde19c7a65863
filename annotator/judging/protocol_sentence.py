"""Protocol `sentence`: one structured call a sentence; documents first, the sentence last."""

from __future__ import annotations

from collections.abc import Generator

from annotator.generation.backend import Reply
from annotator.generation.dialogue import Answer, Ask, Dialogue
from annotator.judging.confidence import combine_votes, label_probabilities
from annotator.judging.material import Material
from annotator.judging.prompts import fill, wrap
from annotator.judging.protocol_steps import (
    ProtocolSettings,
    ask_with_room,
    finish,
    make_decoding,
    make_seed,
    read_verdict,
    repair,
    undetermined,
    verdict_schema,
)
from annotator.judging.reading import (
    ReplyFault,
    read_object,
)
from schemas.records import Verdict


def judge_sentence(
    material: Material, number: int, settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    """Protocol `sentence`: one structured call for one sentence."""
    tail = fill(
        material.prompts.sentence, {"sentence": wrap("sentence", material.sentence(number))}
    )
    messages = material.opening([number], tail)
    votes = []
    for vote in range(settings.votes):
        decoding = make_decoding(settings, settings.max_tokens, verdict_schema())
        ask = Ask(messages=messages, decoding=decoding, seed=make_seed(settings, vote))
        verdict = yield from _ask_until_usable(ask, material, settings)
        votes.append(verdict)
    return finish([combine_votes(votes, keep_share=settings.keep_share)])


def _ask_until_usable(
    ask: Ask, material: Material, settings: ProtocolSettings
) -> Generator[Ask, Answer, Verdict]:
    faults: set[str] = set()
    while True:
        reply = yield from ask_with_room(ask)
        if isinstance(reply, ReplyFault):
            return undetermined(reply, settings, "sentence")
        verdict = _read_sentence_reply(reply, material, settings)
        if isinstance(verdict, Verdict):
            return verdict
        kind = "quote" if verdict.reason == "evidence_not_found" else "form"
        if kind in faults:
            return undetermined(verdict, settings, "sentence")
        faults.add(kind)
        ask = repair(ask, reply, verdict.detail, material)


def _read_sentence_reply(
    reply: Reply, material: Material, settings: ProtocolSettings
) -> Verdict | ReplyFault:
    values = read_object(reply.text, "label")
    if isinstance(values, ReplyFault):
        return values
    confidence = label_probabilities(reply.text, reply.logprobs, num_labels=1)
    return read_verdict(
        values, material, settings, "sentence", confidence[0] if confidence else None
    )
