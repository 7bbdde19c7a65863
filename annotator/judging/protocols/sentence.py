"""Protocol `sentence`: one structured call per sentence; documents first, the sentence last."""

from __future__ import annotations

import json
from collections.abc import Generator

from annotator.calls.dialogue import Answer, Ask, Dialogue
from annotator.judging.protocols.confidence import combine_votes, label_probabilities
from annotator.judging.protocols.cut_words import mend_words
from annotator.judging.protocols.prompts import Placeholders, fill, wrap
from annotator.judging.protocols.protocol import Dialogues, JudgingProtocol
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import ReplyFault, read_object
from annotator.judging.protocols.repairs import (
    EVIDENCE_FAULTS,
    FirstLabel,
    ask_with_room,
    fault_of_ending,
    name_fault,
    remember,
    repair,
)
from annotator.judging.protocols.steps import (
    ProtocolSettings,
    as_result,
    assumed_verdict,
    make_decoding,
    make_seed,
    read_verdict,
    undetermined,
    verdict_schema,
)
from annotator.models.backend import Reply
from schemas.records import Verdict


def sentence_dialogue(
    inputs: ProtocolInput, number: int, settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    """The verdict on one sentence."""
    tail = fill(
        inputs.prompts.request("sentence"), {"sentence": wrap("sentence", inputs.sentence(number))}
    )
    messages = inputs.opening([number], tail)
    schema = verdict_schema(ask_spans=inputs.prompts.asks_spans)
    votes = []
    for vote in range(settings.votes):
        decoding = make_decoding(settings, settings.max_tokens, schema)
        ask = Ask(messages=messages, decoding=decoding, seed=make_seed(settings, vote))
        verdict = yield from _ask_until_usable(ask, inputs, number, settings)
        votes.append(verdict)
    return as_result([combine_votes(votes, keep_share=settings.keep_share)])


def _ask_until_usable(
    ask: Ask, inputs: ProtocolInput, number: int, settings: ProtocolSettings
) -> Generator[Ask, Answer, Verdict]:
    """A verdict, with its form repaired once and its quotes once; the first label counts."""
    mend = mend_words(inputs.prompts, num_verdicts=1, closing="}")
    repaired: set[bool] = set()
    first: FirstLabel | None = None
    while True:
        reply = yield from ask_with_room(ask, mend)
        if isinstance(reply, ReplyFault):
            return undetermined(reply, settings, "sentence")
        found = _read_sentence_reply(reply, inputs, number, settings)
        changed = first.changed_by(found) if first else None
        if changed is not None:
            return undetermined(changed, settings, "sentence")
        if isinstance(found, Verdict):
            return found
        is_evidence = found.reason in EVIDENCE_FAULTS
        if is_evidence in repaired:
            return undetermined(found, settings, "sentence")
        repaired.add(is_evidence)
        first = remember(first, found)
        ask = repair(ask, reply, name_fault(found, inputs), inputs)


def _read_sentence_reply(
    reply: Reply, inputs: ProtocolInput, number: int, settings: ProtocolSettings
) -> Verdict | ReplyFault:
    loop = fault_of_ending(reply)
    values = loop or read_object(reply.text, "label")
    if isinstance(values, ReplyFault):
        return values
    known = label_probabilities(reply.text, reply.logprobs, num_labels=1)
    confidence = known[0] if known else None
    return read_verdict(values, inputs, number, settings, "sentence", confidence=confidence)


def _dialogues(inputs: ProtocolInput, settings: ProtocolSettings) -> Dialogues:
    for number in range(len(inputs.task.sentences)):
        yield number, sentence_dialogue(inputs, number, settings)


def _assume(inputs: ProtocolInput, first: int, _ask: Ask) -> str:
    return json.dumps(assumed_verdict(inputs, first), ensure_ascii=False)


SENTENCE = JudgingProtocol(
    name="sentence",
    summary="one call per sentence, prefix shared",
    texts={"sentence": Placeholders(needed={"sentence"})},
    dialogues=_dialogues,
    assume=_assume,
    can_ask_spans=True,
)
