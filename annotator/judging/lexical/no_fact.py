"""Sentences without a fact: refusals, greetings, closings, in six languages.

The rule: only a sentence that certainly states nothing is matched, from the first word to the last.
A sentence wrongly labelled as free of facts is never checked. So a number, a second clause or a
comparison prevents the label: `I don't know of any longer bridge` and `I can't say who, but it
opened in 1999` are checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from annotator.judging.lexical.refusals import REFUSALS, SMALL_TALK
from annotator.judging.lexical.text import read_tokens

# What turns a refusal into a claim: another clause, or a comparison.
_CLAIM = re.compile(
    r"[,;:—–] ?(?:however|though|since|as(?! an ai)|which|who|and|so|weil|car|porque)\b"
    r"|\b(?:but|although|because|other than|except|than|aber|sondern|mais|pero|sino)\b"
    r"|[，；：,](?:但|不过|然而|因为|由于|因此|而)|除了|比.{1,20}更|ですが、.{12,}",
    re.IGNORECASE,
)
_HEADING = re.compile(r"#{1,6}\s")
_LEAD_IN = re.compile(r"[:：]$")
_QUESTION = re.compile(r"[?？][\"'”’)\]*_]*$")
_SECOND_SENTENCE = re.compile(r"[.!?]\s+\w|[。！？]\s*\w")
_MAX_LEAD_IN_WORDS = 8
_CLOSING = " .!。！…~～\"'”’)*_"
_MAX_CHARS = 240
# Words with a capital letter in a polite phrase.
_NO_NAMES = frozenset({"ai", "dank", "tag", "morgen", "abend", "wiedersehen"})


def lacks_fact(sentence: str) -> bool:
    """Whether there is nothing to check: no content word, a refusal, a greeting, a heading.

    Conservative on purpose: a sentence wrongly labelled as free of facts is never checked.
    """
    stripped = sentence.strip().lstrip("*_-•> ").strip()
    content = [token for token in read_tokens(sentence) if not token.is_function]
    if not content or _HEADING.match(stripped):
        return True
    if _SECOND_SENTENCE.search(stripped):
        return False
    has_numbers = any(token.is_number for token in content)
    names = [token.text for token in content[1:] if token.is_name and token.lower not in _NO_NAMES]
    if (
        is_refusal(stripped, has_numbers=has_numbers)
        or is_small_talk(stripped, names=names, has_numbers=has_numbers)
        or _QUESTION.search(stripped)
    ):
        return True
    if len(content) > _MAX_LEAD_IN_WORDS or has_numbers:
        return False
    return bool(_LEAD_IN.search(stripped))


def is_refusal(sentence: str, *, has_numbers: bool) -> bool:
    """Whether a sentence says only that its writer does not know or will not help."""
    text = _plain(sentence)
    if has_numbers or len(text) > _MAX_CHARS:
        return False
    for sorry, refusal in REFUSALS:
        opening = sorry.match(text)
        start = opening.end() if opening else 0
        if refusal.fullmatch(text, start) and not _CLAIM.search(text, start):
            return True
    return False


def is_small_talk(sentence: str, *, names: Sequence[str], has_numbers: bool) -> bool:
    """Whether a sentence is a greeting, thanks or an offer, and nothing else."""
    text = _plain(sentence)
    if has_numbers or names or len(text) > _MAX_CHARS:
        return False
    return bool(SMALL_TALK.fullmatch(text)) and not _CLAIM.search(text)


def _plain(sentence: str) -> str:
    return " ".join(sentence.replace("’", "'").split()).strip(_CLOSING + "-•> ").strip()
