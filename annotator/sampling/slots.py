"""The responses to make: one slot for each, with its prompt, seed and key; and its row.

The rule: a response depends only on its key (`dialogue.call_key`), and its seed only on its id.
Which responses are requested, and in which order, never changes a finished response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.calls.dialogue import Ask, call_key
from annotator.models.backend import Decoding, Reply
from annotator.models.config import SampleConfig
from annotator.models.system_role import fold_system
from schemas.hashing import stable_seed
from schemas.records import Message, Question, Response

REPLY_KIND = "reply"


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One response to make: the `index`-th of its question, and the key of its reply."""

    id: str
    question: Question
    ask: Ask
    key: str


def make_slots(
    config: SampleConfig, fingerprint: Mapping[str, Any], questions: Sequence[Question]
) -> list[Slot]:
    """All responses to make, in output order: by question, then by number."""
    slots: list[Slot] = []
    decoding = Decoding(
        temperature=config.temperature, top_p=config.top_p, max_tokens=config.max_tokens
    )
    for question in questions:
        messages = build_prompt(config.system_prompt, question.messages)
        for index in range(config.num_responses):
            response_id = f"{question.id}-{index}"
            # 31 bits: every server accepts them, some read a seed as 32 signed bits.
            seed = stable_seed(config.seed, response_id) >> 32
            ask = Ask(messages=messages, decoding=decoding, seed=seed, purpose="sample")
            key = call_key(REPLY_KIND, fingerprint, ask)
            slots.append(Slot(id=response_id, question=question, ask=ask, key=key))
    return slots


def build_prompt(system_prompt: str | None, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages as sent; a question's system message replaces the run's."""
    if system_prompt is None or messages[0].role == "system":
        return tuple(messages)
    return (Message(role="system", content=system_prompt), *messages)


def make_response(config: SampleConfig, model: str, slot: Slot, reply: Reply) -> Response:
    """The row of a slot, with `reply` of `model`."""
    return Response(
        id=slot.id,
        question_id=slot.question.id,
        topic=slot.question.topic,
        language=slot.question.language,
        document_ids=slot.question.document_ids,
        prompt=prompt_of(slot.ask.messages, reply),
        text=reply.text,
        reasoning=reply.reasoning,
        model=model,
        sampling=sampling_of(config, slot.ask.seed, reply),
        finish_reason=reply.finish_reason,
    )


def prompt_of(messages: Sequence[Message], reply: Reply) -> list[Message]:
    """The messages as they were sent to the model."""
    return list(fold_system(messages) if reply.system_in_user else messages)


def sampling_of(config: SampleConfig, seed: int, reply: Reply) -> dict[str, Any]:
    """How a reply was sampled: the settings, or those of them that were sent to a server and
    accepted.

    None where a field was not sent, so that the server's default was used.
    """
    settings = config.model_dump(include={"temperature", "top_p", "max_tokens"}) | {"seed": seed}
    if not reply.sampling:
        return settings
    return dict.fromkeys(settings) | dict(reply.sampling)
