"""The columns of a sheet, and the row of each sentence.

The rule: what a person reads before deciding comes first, the cells to fill in next, and the
judge's columns last. A blind sheet has no column from the judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from formats.sheets.check import make_check
from schemas.error_spans import given_places
from schemas.records import Annotation, Verdict
from schemas.reviews import text_sha256

PERSON_COLUMNS = ("person_label", "who", "when", "note")
READING_COLUMNS = (
    "response_id",
    "question_id",
    "topic",
    "language",
    "question",
    "answer",
    "copies",
    "sentence",
    "start",
    "end",
    "text",
    "evidence",
    "passage",
    "document",
    "passage_from",
)
BETWEEN_WORDS = " | "
WRONG_WORDS = "wrong_words"
JUDGE_COLUMNS = ("label", WRONG_WORDS, "reason", "confidence", "source", "judge")
COLUMNS = (*READING_COLUMNS, *PERSON_COLUMNS, "check", "text_sha256", *JUDGE_COLUMNS)
_OF_THE_JUDGE = frozenset({"evidence", "passage_from", *JUDGE_COLUMNS})
BLIND_COLUMNS = tuple(name for name in COLUMNS if name not in _OF_THE_JUDGE)
NEEDED = ("response_id", "start", "end", "person_label", "text_sha256")
WHOLE_NUMBERS = ("copies", "sentence", "start", "end")
# Columns from the annotation, of any length. The others are short, or are shortened when made.
LONG_COLUMNS = ("topic", "language", "question", "answer", "text", WRONG_WORDS, "reason", "judge")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What a sheet shows from the documents for one sentence.

    evidence  what the judge quoted; passage: the text around it, with the quote between >> and <<
    document  the title, else the id
    origin    where the passage comes from: judge, search, or empty without a passage
    """

    evidence: str = ""
    passage: str = ""
    document: str = ""
    origin: str = ""


NOTHING_SHOWN = Shown()


def columns_of(*, blind: bool, has_wrong_words: bool = False) -> tuple[str, ...]:
    """The columns of a sheet, in their order.

    has_wrong_words   a sentence of the sheet has error spans
    """
    columns = BLIND_COLUMNS if blind else COLUMNS
    return columns if has_wrong_words else tuple(name for name in columns if name != WRONG_WORDS)


def sheet_rows(
    annotation: Annotation, *, blind: bool = False, copies: int = 1, shown: Sequence[Shown] = ()
) -> Iterator[dict[str, Any]]:
    """One row per sentence, with all columns of the sheet; those of the person are empty.

    copies  responses to this question with this text
    shown   what to show from the documents, one per sentence; may be empty
    """
    digest = text_sha256(annotation.text)
    question = last_question(annotation)
    columns = columns_of(blind=blind, has_wrong_words=True)
    for index, sentence in enumerate(annotation.sentences):
        text = annotation.text[sentence.start : sentence.end]
        verdict = sentence.verdict
        found = shown[index] if shown else NOTHING_SHOWN
        place = (annotation.id, digest, sentence.start, sentence.end)
        row = {
            "response_id": annotation.id,
            "question_id": annotation.question_id,
            "topic": annotation.topic,
            "language": annotation.language,
            "question": question,
            "answer": annotation.text,
            "copies": copies,
            "sentence": index,
            "start": sentence.start,
            "end": sentence.end,
            "text": text,
            "evidence": found.evidence,
            "passage": found.passage,
            "document": found.document,
            "passage_from": found.origin,
            **dict.fromkeys(PERSON_COLUMNS, ""),
            "check": make_check(place, text, None if blind else verdict.label),
            "text_sha256": digest,
            "label": verdict.label.value,
            WRONG_WORDS: BETWEEN_WORDS.join(
                annotation.text[start:end] for start, end in given_places(sentence)
            ),
            "reason": _reason(verdict),
            "confidence": verdict.confidence,
            "source": verdict.source,
            "judge": verdict.judge,
        }
        yield {name: row[name] for name in columns}


def last_question(annotation: Annotation) -> str:
    """The user's last message."""
    return next((m.content for m in reversed(annotation.prompt) if m.role == "user"), "")


def _reason(verdict: Verdict) -> str:
    """The judge's reason: the short code, and its sentence."""
    return ": ".join(part for part in (verdict.reason, verdict.rationale) if part)
