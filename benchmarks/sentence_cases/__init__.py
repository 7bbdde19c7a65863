"""Hard cases for sentence splitting, by language and domain, with their right answers.

A case is one string in which `¦` marks where one sentence ends and the next one starts; the text
given to a splitter is the string without the marks. Cases are what a reader would say, also where
no splitter gets them right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.spans import Offsets, trim

from .basic import CHINESE as BASIC_CHINESE
from .basic import ENGLISH as BASIC_ENGLISH
from .basic import MARKDOWN as BASIC_MARKDOWN
from .cjk import CHINESE, JAPANESE
from .english import ENGLISH
from .european import FRENCH, GERMAN
from .held_out import HELD_OUT
from .second import SECOND

MARK = "¦"
LANGUAGES = ("en", "zh", "fr", "de", "ja")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One marked text; `domain` is for the tables, `held_out` keeps it out of the tuning."""

    language: str
    domain: str
    marked: str
    held_out: bool = False


def all_cases() -> Iterator[Case]:
    """Every case, the held-out ones last."""
    by_language = {"en": ENGLISH, "zh": CHINESE, "fr": FRENCH, "de": GERMAN, "ja": JAPANESE}
    basic = {
        ("en", "general"): BASIC_ENGLISH,
        ("zh", "general"): BASIC_CHINESE,
        ("en", "markdown"): BASIC_MARKDOWN,
    }
    for (language, domain), named in basic.items():
        for marked in named.values():
            yield Case(language=language, domain=domain, marked=marked)
    for held_out, sets in ((False, by_language), (False, SECOND), (True, HELD_OUT)):
        for language, domains in sets.items():
            for domain, texts in domains.items():
                for marked in texts:
                    yield Case(language=language, domain=domain, marked=marked, held_out=held_out)


def parse_case(case: str) -> tuple[str, list[Offsets]]:
    """The text of a case and its sentences, trimmed."""
    text = case.replace(MARK, "")
    sentences, start = [], 0
    for piece in case.split(MARK):
        span = trim(text, start, start + len(piece))
        assert span is not None, f"a case has an empty sentence: {case!r}"
        sentences.append(span)
        start += len(piece)
    return text, sentences
