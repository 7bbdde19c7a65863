"""What a written question must be before it is kept: one reason for each way to fail.

The rule: a question is kept only when its quote stands in the text that the writer saw, word
for word but for white space, case and typography. A model's word that the document answers it
is not enough.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from annotator.generation.near_questions import content_words, fold, split_words
from annotator.text.language import detect_language

MAX_QUESTION_CHARS = 600
MAX_QUOTE_CHARS = 1000
_MIN_QUOTE_WORDS = 3  # for scripts without spaces: pairs of characters, so four characters
_MIN_SHARED = 0.15  # of a question's content words, those that the document or topic has
_MIN_SURE_CHARS = 25  # a question shorter than this is not refused for its language

# Languages that end a question without a mark.
_UNMARKED = frozenset({"th", "lo", "km", "my"})
_QUESTION_END = re.compile("[?\uff1f\u061f\u055e][\\s\"'\u201d\u2019\u300d\u300f\u00bb)\uff09]*$")
_ALIASES = {"yue": "zh", "wuu": "zh", "cmn": "zh"}

_TEXT_WORD = (
    "(?:document|text|passage|article|paragraph|excerpt|extract|section|page|story|report|source)"
)
_POINTS_AT_TEXT = re.compile(
    rf"""
    \b(?:this|these)\s+{_TEXT_WORD}s?\b
    | \bthe\s+(?:above|below|given|following|provided|present)\b(?!\s+sea\b)
    | \b(?:according\s+to|based\s+on|in|from|by|per|of)\s+the\s+{_TEXT_WORD}\b(?!\s+\d)
    | \bdoes\s+the\s+(?:{_TEXT_WORD}|author)\b
    | \baccording\s+to\s+the\s+author\b
    | \b(?:mentioned|described|stated|listed|given|named)\s+(?:above|below|here)\b
    | \bas\s+above\b | \babove[- ](?:mentioned|named)\b
    | \b(?:dieser|diesem|dieses)\s+(?:text|dokument|artikel|abschnitt)
    | \b(?:ce|cet|cette)\s+(?:texte|document|article|passage)
    | \b(?:este|esta|questo|neste|deste)\s+(?:texto|testo|documento|art[ií]culo|articolo|pasaje)
    | (?:该|本|此|这|上述|以上|下列|下述|前述)(?:一)?(?:篇|段|份|个|些)?
      (?:文章|文本|文档|文件|文献|文字|段落|材料|资料|章节|短文)(?!馆|局|室)
    | (?<![日基版资根剧课样副原范脚])(?:该文|本文|此文)(?![化学明物献件坛集具字])
    | (?:根据|依据|按照)(?:文章|文本|文档|材料|资料|原文|上文)
    | (?<![历])上文(?![化学明物字]) | 下文(?![化学明物字])
    | (?:文章|原文|文档|文本|材料)(?:中|里|提到|所述|指出)
    | (?<![论英中日法德俄语散古外作正人天])文中(?!子)
    | 作者认为
    | この(?:文章|文書|記事|テキスト|資料) | (?:이|위)\s?(?:글|문서|텍스트|기사)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A pronoun as the subject, with nothing before it that it could stand for.
_BARE_PRONOUN = re.compile(
    r"^\W*(?:(?:in|on|at)\s+)?(?:who|what|when|where|why|how|which|whom)(?:\s+(?:year|city|country))?"
    r"\s+(?:is|was|are|were|did|does|do|has|had|have|can|could|will|would)\s+"
    r"(?:he|she|they|his|her|their|this|these|those)\b(?!\s+\w+\s+of\b)"
    r"|^\W*(?:他|她|它)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The part of a document that the writer sees, and what its questions are held against."""

    topic: str
    window: str
    language: str
    folded: str
    stems: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A question as the writer gave it."""

    question: str
    quote: str


def make_source(*, topic: str, window: str, language: str) -> Source:
    """The source of a window; `language` is the document's own word for it, or ''."""
    return Source(
        topic=topic,
        window=window,
        language=_code(language) or detect_language(window),
        folded=_typeset(window),
        stems=_stems(f"{topic}\n{window}"),
    )


def read_draft(item: Any) -> Draft | None:
    """The question and quote of one object of a reply; None where they are no text."""
    if not isinstance(item, dict):
        return None
    fields = {str(name).strip().casefold(): value for name, value in item.items()}
    question, quote = fields.get("question"), fields.get("quote")
    if not isinstance(question, str) or not isinstance(quote, str):
        return None
    return Draft(question=" ".join(question.split()), quote=quote)


def find_fault(draft: Draft, source: Source) -> str | None:
    """The reason why a question is not kept; None when it is sound."""
    question = draft.question
    if not _is_question(question, source.language):
        return "not_a_question"
    if _POINTS_AT_TEXT.search(question) or _BARE_PRONOUN.search(question):
        return "not_self_contained"
    if not _is_in_language(question, source.language):
        return "wrong_language"
    if not _is_about(question, source):
        return "off_topic"
    return _quote_fault(draft.quote, source)


def _is_question(text: str, language: str) -> bool:
    if not 4 <= len(text) <= MAX_QUESTION_CHARS or not any(map(str.isalpha, text)):
        return False
    if language == "el" and text.endswith((";", "\u037e")):
        return True
    return language in _UNMARKED or bool(_QUESTION_END.search(text))


def _is_in_language(question: str, language: str) -> bool:
    """Leniently: names of another language count for nothing, and little text proves little."""
    found = detect_language(question)
    if not language or not found or found == language:
        return True
    # The scripts of East Asia are certain, however short the question.
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
    # Five letters: "composed" and "composer" are about the same.
    return frozenset(word[:5] for word in content_words(fold(text)))


def _quote_fault(quote: str, source: Source) -> str | None:
    folded = _typeset(quote).strip(" .\u2026\u3002,;:\"'")
    if len(split_words(folded)) < _MIN_QUOTE_WORDS:
        return "quote_too_short"
    if len(folded) > MAX_QUOTE_CHARS:
        return "quote_too_long"
    return None if folded in source.folded else "quote_not_found"


_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u2032\u300c\u300d", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u2033\u300e\u300f\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None),
        "\u2039": "<",  # the bracket that `neutralise` puts into the prompt
        "\u203a": ">",
        "\u3002": ".",
    }
)
_SPACE_BY_WIDE = re.compile(r"(?<=[\u2e80-\u9fff\uf900-\ufaff]) | (?=[\u2e80-\u9fff\uf900-\ufaff])")


def _typeset(text: str) -> str:
    """`text` without what copying changes: white space, case, quotes, dashes, width."""
    plain = unicodedata.normalize("NFKC", text.translate(_PLAIN)).casefold()
    return _SPACE_BY_WIDE.sub("", " ".join(plain.split()))


def _code(language: str) -> str:
    """The ISO 639 code of a document's language field; '' for what is none ("English")."""
    code = re.split("[-_]", language.strip().lower())[0]
    code = _ALIASES.get(code, code)
    return code if re.fullmatch("[a-z]{2,3}", code) else ""
