"""The requirements for a written question: one reason for each kind of fault.

The rule: a question is kept only when its quote is in the text that the writer saw, word for word
apart from form (annotator/text/quote_places.py), and contains something that the question does not.
A model's claim that the document answers it is not enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from annotator.sampling.near_questions import content_words, fold, split_words
from annotator.sampling.question_wording import is_yes_no, needs_document
from annotator.text.function_words import FUNCTION_CHARACTERS, is_date_word, is_function_word
from annotator.text.quote_edges import NUMBER_WORDS
from annotator.text.quote_places import find_stretches, make_quote
from annotator.text.quote_text import QuoteText, read_quote_text
from schemas.text.language import detect_language

MAX_QUESTION_CHARS = 600
MAX_QUOTE_CHARS = 1000
_MIN_QUOTE_WORDS = 3  # for scripts without spaces: pairs of characters, so four characters
_MIN_SHARED = 0.15  # of a question's content words, those that the document or topic has
_STEM_LETTERS = 5  # "composed" and "composer" count as equal
_MIN_SURE_CHARS = 25  # a question shorter than this is not refused for its language

# Languages in which a question needs no question mark.
_UNMARKED = frozenset({"th", "lo", "km", "my"})
_QUESTION_END = re.compile("[?\uff1f\u061f\u055e][\\s\"'\u201d\u2019\u300d\u300f\u00bb)\uff09]*$")
_ASKS_FOR_NUMBER = re.compile(
    r"\b(?:when|(?:what|which)\s+year|how\s+(?:many|much|old))\b|何时|哪一?年|什么时候|多少",
    re.IGNORECASE,
)
_ALIASES = {"yue": "zh", "wuu": "zh", "cmn": "zh"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The part of a document that the writer reads, with the data for checking its questions."""

    topic: str
    window: str
    language: str
    text: QuoteText
    stems: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A question in the writer's reply."""

    question: str
    quote: str


def make_source(*, topic: str, window: str, language: str) -> Source:
    """The source of a window; `language` is the one that the document states, or ''."""
    return Source(
        topic=topic,
        window=window,
        language=_code(language) or detect_language(window),
        text=read_quote_text(window),
        stems=_stems(f"{topic}\n{window}"),
    )


def read_draft(item: Any) -> Draft | None:
    """The question and quote of one object of a reply; None where they are not text."""
    if not isinstance(item, dict):
        return None
    fields = {str(name).strip().casefold(): value for name, value in item.items()}
    question, quote = fields.get("question"), fields.get("quote")
    if not isinstance(question, str) or not isinstance(quote, str):
        return None
    return Draft(question=" ".join(question.split()), quote=quote)


def find_fault(draft: Draft, source: Source) -> str | None:
    """The reason why a question is not kept; None when it is valid."""
    question = draft.question
    if not _is_question(question, source.language):
        return "not_a_question"
    if needs_document(question):
        return "not_self_contained"
    if not _is_in_language(question, source.language):
        return "wrong_language"
    if is_yes_no(question, source.language):
        return "yes_no_question"
    if not _is_about(question, source):
        return "off_topic"
    return _quote_fault(draft, source)


def _is_question(text: str, language: str) -> bool:
    if not 4 <= len(text) <= MAX_QUESTION_CHARS or not any(map(str.isalpha, text)):
        return False
    if language == "el" and text.endswith((";", "\u037e")):
        return True
    return language in _UNMARKED or bool(_QUESTION_END.search(text))


def _is_in_language(question: str, language: str) -> bool:
    """Leniently: names in another language do not count, and a short text proves little."""
    found = detect_language(question)
    if not language or not found or found == language:
        return True
    # The scripts of East Asia are certain, even for a short question.
    if {found, language} & {"zh", "ja", "ko"}:
        return False
    if len(question) < _MIN_SURE_CHARS:
        return True
    without_names = re.sub(r"(?<!^)\b[^\W\d_a-z]\w*", "", question)
    return detect_language(without_names) == language


def _is_about(question: str, source: Source) -> bool:
    stems = _stems(question)
    return not stems or len(stems & source.stems) >= _MIN_SHARED * len(stems)


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:_STEM_LETTERS] for word in content_words(fold(text)))


def _quote_fault(draft: Draft, source: Source) -> str | None:
    if len(split_words(fold(draft.quote))) < _MIN_QUOTE_WORDS:
        return "quote_too_short"
    quote = make_quote(draft.quote.strip(" \"'\u201c\u201d\u300c\u300d"))
    if len(quote.raw) > MAX_QUOTE_CHARS:
        return "quote_too_long"
    if not any(find_stretches(quote, source.text)):
        is_there = fold(quote.raw) in fold(source.window)
        return "quote_cut" if is_there else "quote_not_found"
    return "answer_in_question" if _adds_nothing(draft, source.language) else None


def _adds_nothing(draft: Draft, language: str) -> bool:
    """Whether the question contains what its quote says, or the number that it asks for."""
    asked, said = _content(draft.question, language), _content(draft.quote, language)
    if not said - asked:
        return True
    if not _ASKS_FOR_NUMBER.search(draft.question):
        return False
    numbers = {word for word in said if word[0].isdecimal()}
    words = set(read_quote_text(draft.quote).tokens()) - set(
        read_quote_text(draft.question).tokens()
    )
    has_other = any(word in NUMBER_WORDS or is_date_word(word) for word in words)
    return bool(numbers) and numbers <= asked and not has_other


def _content(text: str, language: str) -> frozenset[str]:
    """Numbers, beginnings of content words, and characters of scripts without spaces."""
    return frozenset(
        word if word[0].isdecimal() else word[:_STEM_LETTERS]
        for word in read_quote_text(text).tokens()
        if word[0].isalnum()
        and word not in FUNCTION_CHARACTERS
        and not is_function_word(word, language)
    )


def _code(language: str) -> str:
    """The ISO 639 code of a document's language field; '' for anything else ("English")."""
    code = re.split("[-_]", language.strip().lower())[0]
    code = _ALIASES.get(code, code)
    return code if re.fullmatch("[a-z]{2,3}", code) else ""
