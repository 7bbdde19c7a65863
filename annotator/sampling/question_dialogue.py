"""The dialogue in which a writer model writes the questions of one document.

The rule: the calls depend only on the document, the settings and the replies. At most four calls:
the first; one with more tokens when the reply was cut off; one that names the fault when nothing
could be read; one for the questions that are still missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from annotator.calls.dialogue import Ask, Dialogue, Unusable
from annotator.calls.json_reply import find_json_objects
from annotator.models.backend import Decoding, RequestFailure
from annotator.models.detail_line import detail_line
from annotator.sampling.near_questions import Shape, is_near, make_shape
from annotator.sampling.question_checks import Source, find_fault, make_source, read_draft
from annotator.sampling.questions_config import QuestionsConfig
from annotator.sampling.questions_prompt import SCHEMA, build_messages
from annotator.text.token_estimate import estimate_tokens
from schemas.hashing import stable_seed
from schemas.records import Document

_ROOM = 2  # times max_tokens, for a reply that was cut off
_MAX_CHARS_A_TOKEN = 8  # more than any text has; limits the estimate for a huge document
NO_SOUND_QUESTION = "no_sound_question"  # replies were read; their questions did not pass
_ENDS = ("\n\n", "\n", ". ", "? ", "! ", "。", "？", "！")


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The questions of a document, the number left out by reason, and why there are none."""

    questions: tuple[str, ...] = ()
    language: str = ""
    dropped: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


@dataclass(kw_only=True)
class _Sieve:
    """Keeps valid questions, up to `most`, and counts the others."""

    source: Source
    most: int
    kept: list[str] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    _shapes: list[Shape] = field(default_factory=list)

    @property
    def num_missing(self) -> int:
        return self.most - len(self.kept)

    def add(self, items: Sequence[object]) -> None:
        for item in items:
            if not self.num_missing:
                return
            draft = read_draft(item)
            fault = "malformed" if draft is None else find_fault(draft, self.source)
            if draft is not None and fault is None:
                shape = make_shape(draft.question)
                if not any(is_near(shape, other) for other in self._shapes):
                    self._shapes.append(shape)
                    self.kept.append(draft.question)
                    continue
                fault = "duplicate"
            self.dropped[fault or "malformed"] += 1


def topic_of(document: Document) -> str:
    """What the questions of a document are about: its topic, else its title, else its id."""
    return document.topic.strip() or document.title.strip() or document.id


def write_questions(document: Document, config: QuestionsConfig) -> Dialogue[Written]:
    """Ask for `config.num_questions` questions on `document`, and keep the valid ones."""
    window = cut_window(document.text, config.max_document_tokens)
    if not any(map(str.isalpha, window)):
        return Written(reason="empty_document", detail="the document holds no words")
    topic = document.topic.strip() or document.title.strip()
    source = make_source(topic=topic, window=window, language=document.language)
    sieve = _Sieve(source=source, most=config.num_questions)
    max_tokens, spare = config.max_tokens, ""
    faults: tuple[str, ...] = ()
    purpose = "questions"
    spent: set[str] = set()  # steps that are done at most once
    failure = Written(reason="unusable_reply")
    while True:
        reply = yield _ask(document, source, config, sieve, faults, max_tokens, purpose)
        if isinstance(reply, RequestFailure):
            # The cut-off reply may contain complete questions.
            sieve.add(read_items(spare))
            failure = Written(reason=reply.reason, detail=reply.detail)
            break
        items = read_items(reply.text)
        is_cut_off = reply.finish_reason == "length"
        if is_cut_off and len(items) < sieve.num_missing and "more room" not in spent:
            purpose, spare, max_tokens = "more room", reply.text, max_tokens * _ROOM
        elif not items:
            reason = "cut_off" if is_cut_off else "unusable_reply"
            failure = Written(reason=reason, detail=detail_line(reply.text))
            purpose, faults = "repair", ("unusable_reply",)
        else:
            before = sieve.dropped.copy()
            sieve.add(items)
            faults = tuple(sorted((sieve.dropped - before).keys()))
            failure = Written(reason=NO_SOUND_QUESTION, detail=_count(sieve.dropped))
            purpose = "missing"
        if purpose in spent or not sieve.num_missing:
            break
        spent.add(purpose)
    return _close(sieve, failure)


def _close(sieve: _Sieve, failure: Written) -> Written | Unusable[Written]:
    written = Written(
        questions=tuple(sieve.kept),
        language=sieve.source.language,
        dropped=dict(sieve.dropped),
        reason="" if sieve.kept else failure.reason,
        detail="" if sieve.kept else failure.detail,
    )
    if sieve.kept:
        return written
    return Unusable(result=written, is_useless=failure.reason != NO_SOUND_QUESTION)


def _ask(  # noqa: PLR0917 - the parts of one call, used in one place
    document: Document,
    source: Source,
    config: QuestionsConfig,
    sieve: _Sieve,
    faults: Sequence[str],
    max_tokens: int,
    purpose: str,
) -> Ask:
    messages = build_messages(
        topic=source.topic,
        document=source.window,
        language=source.language,
        count=sieve.num_missing,
        written=sieve.kept,
        faults=faults,
    )
    decoding = Decoding(temperature=config.temperature, max_tokens=max_tokens, schema=SCHEMA)
    # 31 bits: every server accepts them, some read a seed as 32 signed bits.
    seed = stable_seed(config.seed, document.id) >> 32
    return Ask(messages=messages, decoding=decoding, seed=seed, purpose=purpose)


def read_items(text: str) -> list[object]:
    """The questions in a reply, unchecked: those under "questions", or outside such an object."""
    # A server without a reasoning parser leaves the thinking in the text.
    _, closed, answer = text.rpartition("</think>")
    items: list[object] = []
    for found in find_json_objects(answer if closed else text):
        fields = {str(name).strip().casefold(): value for name, value in found.items()}
        listed = fields.get("questions")
        if isinstance(listed, list):
            items += listed
        elif "question" in fields:
            items.append(found)
    return items


def cut_window(text: str, max_tokens: int) -> str:
    """The beginning of `text`, at most about `max_tokens` long, ending with a whole sentence.

    The beginning, because it introduces the text: a question from the middle of a long text is
    rarely clear without it.
    """
    head = text[: max_tokens * _MAX_CHARS_A_TOKEN]
    if len(head) == len(text) and estimate_tokens(text) <= max_tokens:
        return text
    low, high = 0, len(head)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(head[:middle]) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    head = head[:low]
    for mark in _ENDS[:2], _ENDS[2:]:
        end = max(head.rfind(item) + len(item.rstrip()) for item in mark)
        if end > low // 2:
            return head[:end].rstrip()
    return head


def _count(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(dropped.items()))
