"""What the protocols share: how a judge model is asked about sentences, and the requirements for a
verdict.

Each is a dialogue (annotator/calls/dialogue.py): pure, one call after another. The rules:

- an unusable reply is requested again once, with the fault described (protocols/repairs.py);
- a reply that copies the prompt is not a verdict;
- `supported` and `contradicted` need quotes, and every one of them must be in a document;
- the other labels need none, but a passage that they quote must be in a document, too;
- a sentence without a usable verdict is `undetermined`, with the true reason; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from annotator.calls.dialogue import Unusable
from annotator.judging.evidence.find_evidence import FoundEvidence, find_evidence
from annotator.judging.evidence.quotes import count_units
from annotator.judging.evidence.wrong_words import find_wrong_words
from annotator.judging.protocols.copied import find_copy
from annotator.judging.protocols.label_words import LABEL_WORDS
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import ReplyFault, form_fault, read_label, read_quotes
from annotator.models.backend import Decoding
from schemas.hashing import stable_seed
from schemas.labels import Label
from schemas.records import Verdict

NEED_QUOTES = frozenset({Label.NO_HALLUCINATION, Label.CONTRADICTORY})
MAX_QUOTES = 5
MAX_WRONG = 5
_MAX_RATIONALE_CHARS = 500
_ASSUMED_REASON = "The documents say so, and nothing in them speaks against it."
_ASSUMED_WORDS = 4  # per sentence, in about as many characters
_ASSUMED_WORDS_CHARS = 24
# Number of letters, wide ones count twice. With a label that needs no quote, a shorter one is
# "none" or a name.
_PASSAGE_UNITS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolSettings:
    """How verdicts are requested.

    max_tokens     maximum number of tokens for the verdict of one sentence
    window         maximum number of sentences per call, for a protocol with several per call
    keep_share     keep the share of the votes as confidence
    evidence       "require": a decided verdict needs quotes, each of them in a document;
                   "keep": it counts without, and quotes in no document are in `missing_quotes`
    """

    judge: str
    max_tokens: int = 512
    window: int = 12
    temperature: float = 0.0
    votes: int = 1
    keep_share: bool = False
    logprobs: bool = False
    seed: int = 0
    evidence: Literal["require", "keep"] = "require"


def verdict_schema(*, ask_spans: bool = False) -> dict[str, Any]:
    """The JSON Schema of one sentence's verdict; with `ask_spans`, the wrong words come last.

    The lists are bounded, or a small model would fill them up to max_tokens. Lengths of
    strings are not: fewer servers support that.
    """
    text = {"type": "string"}
    wrong = {"type": "array", "items": text, "maxItems": MAX_WRONG}
    return closed_object(
        quotes={"type": "array", "items": text, "maxItems": MAX_QUOTES},
        reason=text,
        label={"type": "string", "enum": list(LABEL_WORDS.values())},
        **({"wrong": wrong} if ask_spans else {}),
    )


def assumed_verdict(inputs: ProtocolInput, number: int) -> dict[str, Any]:
    """A verdict that needs no repair: its label needs no quote, and its quote is in a document."""
    words = " ".join(inputs.sentence(number).split()[:_ASSUMED_WORDS])[:_ASSUMED_WORDS_CHARS]
    wrong = {"wrong": [words]} if inputs.prompts.asks_spans else {}
    quoted = {"quotes": [inputs.sample_quote], "reason": _ASSUMED_REASON}
    return {**quoted, "label": "not_mentioned", **wrong}


def closed_object(**properties: Any) -> dict[str, Any]:
    """The JSON Schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_verdict(
    values: Mapping[str, Any],
    inputs: ProtocolInput,
    number: int,
    settings: ProtocolSettings,
    protocol: str,
    *,
    confidence: float | None,
) -> Verdict | ReplyFault:
    """The verdict on sentence `number` that a JSON object holds; or why there is none."""
    label = read_label(values.get("label"))
    bound = frozenset({label}) if label in LABEL_WORDS else frozenset[Label]()
    quotes = read_quotes(values.get("quotes"))
    if quotes is None:
        return replace(form_fault("its quotes are no list of strings"), labels=bound)
    found = find_evidence(quotes, inputs, number)
    copy = find_copy(values, found.missing, inputs.wording)
    if copy is not None:
        return ReplyFault(reason="copied_form", detail=copy, labels=bound)
    if label is None or label not in LABEL_WORDS:
        names = ", ".join(LABEL_WORDS.values())
        return ReplyFault(reason="unknown_label", detail=f"its label is none of {names}")
    if settings.evidence == "require" and (label in NEED_QUOTES or _claims_passages(found)):
        fault = fault_of_evidence(quotes, found)
        if fault is not None:
            return replace(fault, labels=bound)
    said = values.get("reason")
    rationale = said.strip()[:_MAX_RATIONALE_CHARS] if isinstance(said, str) else ""
    wrong = find_wrong_words(values.get("wrong"), label, inputs, number)
    return Verdict(
        label=label,
        confidence=confidence,
        confidence_kind="logprob" if confidence is not None else None,
        evidence=found.evidence,
        missing_quotes=found.missing,
        error_spans=wrong.spans,
        missing_error_words=wrong.missing,
        rationale=rationale,
        judge=settings.judge,
        protocol=protocol,
    )


def _claims_passages(found: FoundEvidence) -> bool:
    """Whether a quote that is in no document is long enough to have been meant as a passage."""
    return any(count_units(quote) >= _PASSAGE_UNITS for quote in found.missing)


def fault_of_evidence(quotes: Sequence[str], found: FoundEvidence) -> ReplyFault | None:
    """The fault in the quotes of a verdict that needs them; None where they are evidence."""
    if not quotes:
        return ReplyFault(reason="evidence_not_found", detail="it has no quote", words="no_quote")
    if found.missing:
        is_own = found.missing[0] in found.in_response
        detail = f"{len(found.missing)} of its {len(quotes)} quotes are in no document"
        return ReplyFault(
            reason="evidence_not_found",
            detail=detail + (", but in the response" if is_own else ""),
            missing=tuple(found.missing),
            words="of_response" if is_own else "not_found",
            quote=found.missing[0],
        )
    if found.is_weak:
        return ReplyFault(
            reason="weak_evidence",
            detail="its quotes carry too little content",
            words="weak_evidence",
            quote=quotes[0],
        )
    return None


def make_decoding(
    settings: ProtocolSettings, max_tokens: int, schema: Mapping[str, Any] | None
) -> Decoding:
    """How a reply of at most `max_tokens` tokens is sampled."""
    return Decoding(
        max_tokens=max_tokens,
        temperature=settings.temperature,
        schema=schema,
        logprobs=settings.logprobs,
    )


def make_seed(settings: ProtocolSettings, vote: int) -> int:
    """The seed of a vote: 31 bits, so that every server accepts it."""
    return _seed_of_vote(settings.seed, vote)


@lru_cache(maxsize=1024)
def _seed_of_vote(seed: int, vote: int) -> int:
    return stable_seed(seed, f"vote-{vote}") >> 32


def undetermined(fault: ReplyFault, settings: ProtocolSettings, protocol: str) -> Verdict:
    """An undetermined verdict, with the true reason."""
    return Verdict(
        label=Label.UNDETERMINED,
        reason=fault.reason,
        missing_quotes=list(fault.missing),
        rationale=fault.detail,
        judge=settings.judge,
        protocol=protocol,
    )


def as_result(verdicts: list[Verdict]) -> list[Verdict] | Unusable[list[Verdict]]:
    """Verdicts as a dialogue's result: with an undetermined one, its calls may be made again."""
    num_decided = sum(verdict.label is not Label.UNDETERMINED for verdict in verdicts)
    if num_decided == len(verdicts):
        return verdicts
    return Unusable(result=verdicts, is_useless=not num_decided)
