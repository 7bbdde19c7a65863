"""The dialogue in which a model breaks one sentence into atomic facts.

The rule: only a reply with exactly one list of facts is read, and an empty list is an answer: the
sentence states no fact. At most three calls: the first; one with more tokens when the reply was cut
off; one that names the fault when nothing could be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from annotator.calls.dialogue import Ask, Dialogue, Unusable
from annotator.calls.json_reply import find_json_objects
from annotator.judging.facts.config import FactsConfig
from annotator.judging.facts.prompt import SCHEMA, build_messages
from annotator.models.backend import Decoding, RequestFailure
from annotator.models.detail_line import detail_line
from schemas.hashing import stable_seed
from schemas.records import Response
from schemas.text.language import resolve_language

_ROOM = 2  # times max_tokens, for a reply that was cut off


@dataclass(frozen=True, kw_only=True, slots=True)
class FactSource:
    """A sentence that states something: `response.text[start:end]`."""

    response: Response
    start: int
    end: int

    @property
    def text(self) -> str:
        """The sentence."""
        return self.response.text[self.start : self.end].strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class SentenceFacts:
    """The atomic facts of a sentence; with a `reason` no reply could be read, and there are none.

    reason   a short code: unusable_reply, cut_off, or that of a failed request
    """

    facts: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""

    @property
    def is_read(self) -> bool:
        """Whether the facts are known."""
        return not self.reason


def split_into_facts(source: FactSource, config: FactsConfig) -> Dialogue[SentenceFacts]:
    """Ask for the atomic facts of a sentence. `Unusable` where no reply can be read."""
    max_tokens, is_repair = config.max_tokens, False
    purpose = "facts"
    spent: set[str] = set()  # steps that are done at most once
    while True:
        reply = yield _ask(source, config, max_tokens, is_repair=is_repair, purpose=purpose)
        if isinstance(reply, RequestFailure):
            failed = SentenceFacts(reason=reply.reason, detail=reply.detail)
            return Unusable(result=failed, is_useless=True)
        facts = read_facts(reply.text)
        if facts is not None:
            return SentenceFacts(facts=facts)
        is_cut_off = reply.finish_reason == "length"
        purpose = "more room" if is_cut_off else "repair"
        if purpose in spent:
            reason = "cut_off" if is_cut_off else "unusable_reply"
            unread = SentenceFacts(reason=reason, detail=detail_line(reply.text))
            return Unusable(result=unread, is_useless=True)
        spent.add(purpose)
        if is_cut_off:
            max_tokens *= _ROOM
        else:
            is_repair = True


def read_facts(text: str) -> tuple[str, ...] | None:
    """The facts in a reply, each once, in order; None where there is not exactly one list of texts.

    >>> read_facts('Sure: {"facts": ["Mira was born in 1901.", "Mira was born in  1901."]}')
    ('Mira was born in 1901.',)
    """
    # A server without a reasoning parser leaves the thinking in the text.
    _, closed, answer = text.rpartition("</think>")
    found = find_json_objects(answer if closed else text)
    lists = [item["facts"] for item in found if "facts" in item]
    if len(lists) != 1 or not isinstance(lists[0], list):
        return None
    facts: dict[str, str] = {}
    for item in lists[0]:
        if not isinstance(item, str) or not any(map(str.isalnum, item)):
            return None
        fact = " ".join(item.split())
        facts.setdefault(fact.casefold(), fact)
    return tuple(facts.values())


def _ask(
    source: FactSource, config: FactsConfig, max_tokens: int, *, is_repair: bool, purpose: str
) -> Ask:
    response = source.response
    messages = build_messages(
        question=response.prompt[-1].content,
        response=response.text,
        sentence=source.text,
        language=response.language or resolve_language("auto", response.text),
        is_repair=is_repair,
    )
    decoding = Decoding(temperature=config.temperature, max_tokens=max_tokens, schema=SCHEMA)
    # 31 bits: every server accepts them, some read a seed as 32 signed bits.
    seed = stable_seed(config.seed, source.text) >> 32
    return Ask(messages=messages, decoding=decoding, seed=seed, purpose=purpose)
