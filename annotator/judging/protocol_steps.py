"""What the protocols share: how a judge model is asked about sentences, and what its answers mean.

Each is a dialogue (annotator/generation/dialogue.py): pure, one call after another. The rules:

- a reply cut off for length is asked again with twice the room, once;
- an unusable reply is asked again once, with the fault named;
- a decided verdict whose quotes no document holds is asked again once, with that said;
- what is unusable then is `undetermined`, with the true reason. Never a guess.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from annotator.generation.backend import Decoding, Reply, RequestFailure
from annotator.generation.dialogue import Answer, Ask, Unusable
from annotator.judging.material import Material
from annotator.judging.prompts import fill
from annotator.judging.reading import ReplyFault, read_label, read_quotes
from schemas.hashing import stable_seed
from schemas.labels import Label
from schemas.records import Evidence, Message, Verdict

_LABEL_NAMES = ("supported", "contradicted", "not_mentioned", "no_fact")
NEED_QUOTES = frozenset({Label.NO_HALLUCINATION, Label.CONTRADICTORY})
_ASKED = NEED_QUOTES | {Label.UNVERIFIABLE, Label.NO_FACT}
_MAX_REPEATED_CHARS = 4_000
_MAX_RATIONALE_CHARS = 500

Step = Generator[Ask, Answer, Reply | ReplyFault]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolSettings:
    """How verdicts are asked for.

    max_tokens     room for the verdict of one sentence
    keep_share     keep the share of the votes as confidence
    evidence       "require": a decided verdict needs a quote that a document holds;
                   "keep": it stands without, and its evidence is empty
    """

    judge: str
    max_tokens: int = 512
    temperature: float = 0.0
    votes: int = 1
    keep_share: bool = False
    logprobs: bool = False
    seed: int = 0
    evidence: Literal["require", "keep"] = "require"


def verdict_schema() -> dict[str, Any]:
    """The JSON Schema of one sentence's verdict."""
    return closed_object(
        quotes={"type": "array", "items": {"type": "string"}},
        reason={"type": "string"},
        label={"type": "string", "enum": list(_LABEL_NAMES)},
    )


def form_fault(detail: str) -> ReplyFault:
    """A reply, or a part of it, that is not of the form asked for."""
    return ReplyFault(reason="unparsable", detail=detail)


def closed_object(**properties: Any) -> dict[str, Any]:
    """The JSON Schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


NOT_THERE = "none of its quotes stands in a document word for word"


def read_verdict(
    values: Mapping[str, Any],
    material: Material,
    settings: ProtocolSettings,
    protocol: str,
    confidence: float | None,
) -> Verdict | ReplyFault:
    """The verdict a JSON object of a reply holds, its quotes located; or why it holds none."""
    label = read_label(values.get("label"))
    if label not in _ASKED:
        return ReplyFault(
            reason="unknown_label",
            detail=f"its label is none of {', '.join(_LABEL_NAMES)}",
        )
    quotes = read_quotes(values.get("quotes"))
    if quotes is None:
        return form_fault("its quotes are no list of strings")
    evidence = locate_quotes(quotes, material)
    if (
        label in NEED_QUOTES
        and settings.evidence == "require"
        and not (evidence or quotes_a_title(quotes, material))
    ):
        return ReplyFault(reason="evidence_not_found", detail=NOT_THERE)
    said = values.get("reason")
    rationale = said.strip()[:_MAX_RATIONALE_CHARS] if isinstance(said, str) else ""
    return Verdict(
        label=label,
        confidence=confidence,
        confidence_kind="logprob" if confidence is not None else None,
        evidence=evidence,
        rationale=rationale,
        judge=settings.judge,
        protocol=protocol,
    )


def locate_quotes(quotes: Sequence[str], material: Material) -> list[Evidence]:
    """Where the documents say the quotes; those that are not there are left out."""
    locate = material.finder.locate
    places = [place for quote in quotes for place in locate(quote, material.texts)]
    return [
        Evidence(
            document_id=material.task.documents[place.document].id,
            start=place.start,
            end=place.end,
            score=place.score,
        )
        for place in dict.fromkeys(places)
    ]


def quotes_a_title(quotes: Sequence[str], material: Material) -> bool:
    """Whether a quote stands in a document's title, which has no offsets in its text."""
    titles = [document.title for document in material.task.documents if document.title.strip()]
    return any(material.finder.locate(quote, titles) for quote in quotes)


def ask_with_room(ask: Ask) -> Step:
    """A whole reply: one cut off for length is asked again with twice the room."""
    for room in (1, 2):
        decoding = replace(ask.decoding, max_tokens=ask.decoding.max_tokens * room)
        answer = yield replace(ask, decoding=decoding)
        if isinstance(answer, RequestFailure):
            return ReplyFault(reason=answer.reason, detail=answer.detail)
        if answer.finish_reason == "content_filter":
            return ReplyFault(reason="content_filter", detail="the server withheld the reply")
        if answer.finish_reason != "length":
            return answer
    return ReplyFault(reason="cut_off", detail="the reply did not fit twice max_tokens")


def repair(ask: Ask, reply: Reply, fault: str, material: Material) -> Ask:
    """The conversation with the unusable reply, its fault named, and the request to mend it."""
    said = Message(role="assistant", content=reply.text[:_MAX_REPEATED_CHARS])
    request = Message(role="user", content=fill(material.prompts.repair, {"fault": fault}))
    return replace(ask, messages=[*ask.messages, said, request], purpose="repair")


def make_decoding(
    settings: ProtocolSettings, max_tokens: int, schema: Mapping[str, Any] | None
) -> Decoding:
    """How a reply of at most `max_tokens` tokens is drawn."""
    return Decoding(
        max_tokens=max_tokens,
        temperature=settings.temperature,
        schema=schema,
        logprobs=settings.logprobs,
    )


def make_seed(settings: ProtocolSettings, vote: int) -> int:
    """The seed of a vote: 31 bits, so that every server takes it."""
    return stable_seed(settings.seed, f"vote-{vote}") >> 32


def undetermined(fault: ReplyFault, settings: ProtocolSettings, protocol: str) -> Verdict:
    """The verdict where there is none, with the true reason."""
    return Verdict(
        label=Label.UNDETERMINED,
        reason=fault.reason,
        rationale=fault.detail,
        judge=settings.judge,
        protocol=protocol,
    )


def finish(verdicts: list[Verdict]) -> list[Verdict] | Unusable[list[Verdict]]:
    """Verdicts as a dialogue's result: with one undetermined, its calls may be asked again."""
    num_decided = sum(verdict.label is not Label.UNDETERMINED for verdict in verdicts)
    if num_decided == len(verdicts):
        return verdicts
    return Unusable(result=verdicts, is_useless=not num_decided)
