"""Replies that copy the prompt as an answer: its description of the form, or a worked example.

The rule: a field with the prompt's wording was not written about the sentence, so the reply is not
a verdict, whatever its label. The wording comes from the prompts in use and the domain's guidance;
a quote that is in a document is never a copy, nor is a short common phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from annotator.judging.protocols.label_words import LABEL_WORDS
from schemas.text.scripts import WIDE

# Values that earlier prompts showed, and the names of keys and types, which a judge does not write
# about a sentence. Compared after `_plain`.
_KNOWN = (
    "one short sentence",
    "its first eight words, copied",
    "supported | contradicted | not_mentioned | no_fact",
    "一句简短的理由",
    "照抄该句开头的八个字",
    "string",
    "a string",
    "字符串",
    "字符串列表",
    "一个列表",
    "句子的编号",
    "最多五条",
    "列表留空",
    "at most five",
    "quote",
    "quotes",
    "reason",
    "begins",
    "list of strings",
)
_MIN_LINE_UNITS = 3  # words, or characters of Chinese: a shorter line may be a common phrase
_MIN_RUN_UNITS = 5
_CLAUSE = re.compile(r"[.,;:。，；：、]")
_WIDE = re.compile(f"([{WIDE}])")
_SHOWN = re.compile(
    r"""["'](?:quotes|reason|begins)["']\s*[:：]\s*(\[[^\]]*\]|"[^"]*"|'[^']*')""", re.I
)
_WORD = re.compile(r"[^\W_]+")
_STRING = re.compile(r""""([^"]*)"|'([^']*)'""")
_COLON = re.compile("[:：]")
_TAGGED = re.compile(r"<reference>(.*?)</reference>", re.I | re.S)
# A placeholder as in templates: <reason>, {{quote}}, [text].
_BRACKETED = re.compile(r"<[^<>]{1,80}>|\{{1,2}[^{}]{1,80}\}{1,2}|\[[^\[\]]{1,80}\]")
_DOTS = re.compile(r"[.…。·\s]+")
_PLACEHOLDER = re.compile(r"\{\{\w+\}\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """The wording of prompts that a reply may copy, in plain form.

    values   values shown for a field; whole lines, with and without what a colon introduces;
             clauses of the requests
    form     the requests, in which the form is described
    all      requests, system message and guidance
    """

    values: frozenset[str]
    form: str
    all: str

    def is_copied_quote(self, quote: str) -> bool:
        """Whether a quote that is in no document is wording of the prompt."""
        plain = _plain(quote)
        if not plain.strip():
            return bool(_DOTS.fullmatch(quote))
        if _BRACKETED.fullmatch(quote.strip()):
            return True
        return plain in self.values or (_count(plain) >= _MIN_LINE_UNITS and plain in self.all)

    def is_copied_text(self, text: str) -> bool:
        """Whether a reason, or the beginning of a sentence, is wording of the prompt."""
        plain = _plain(text)
        if not plain.strip():
            return bool(text.strip() and _DOTS.fullmatch(text))
        is_known = plain in self.values and (_count(plain) >= _MIN_LINE_UNITS or plain in KNOWN)
        if is_known or _BRACKETED.fullmatch(text.strip()):
            return True
        return bool(_count(plain) >= _MIN_RUN_UNITS and plain in self.form)


def find_copy(values: Mapping[str, Any], missing: Sequence[str], wording: Wording) -> str | None:
    """The field of a verdict that is a copy of the prompt, described in words; None without one.

    `missing` are its quotes that are in no document.
    """
    for quote in missing:
        if wording.is_copied_quote(quote):
            return f"its quote {quote[:80]!r} is wording of the prompt"
    for key in ("reason", "begins"):
        text = values.get(key)
        if isinstance(text, str) and wording.is_copied_text(text):
            return f"its {key} {text[:80]!r} is wording of the prompt"
    label = values.get("label")
    if isinstance(label, str) and sum(word in label for word in LABEL_WORDS.values()) > 1:
        return "its label is the list of all labels"
    return None


@lru_cache(maxsize=64)
def make_wording(
    system: str, requests: tuple[str, ...], corrections: tuple[str, ...] = ()
) -> Wording:
    """The wording of a system message, guidance included, and of the requests after it."""
    requests = tuple(_PLACEHOLDER.sub("\n", text) for text in requests)
    others = tuple(_PLACEHOLDER.sub("\n", text) for text in (system, *corrections))
    values: set[str] = set()
    for text in (*others, *requests):
        for match in _SHOWN.finditer(text):
            values |= {_plain(one or other) for one, other in _STRING.findall(match[1])}
        values |= {_plain(match[1]) for match in _TAGGED.finditer(text)}
        for line in text.splitlines():
            clauses = _CLAUSE.split(line) if text in requests else ()
            parts = map(_plain, (line, _COLON.split(line, maxsplit=1)[-1], *clauses))
            values |= {part for part in parts if _count(part) >= _MIN_LINE_UNITS}
    form = _plain("\n".join([*requests, *others[1:]]))
    return Wording(
        values=frozenset(values - {" "}) | KNOWN,
        form=form,
        all=f"{form}{_plain(others[0])}",
    )


def _plain(text: str) -> str:
    """Words and single wide characters in lower case, each between spaces.

    >>> _plain("One short-sentence: 理由")
    ' one short sentence 理 由 '
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    spaced = _WIDE.sub(r" \1 ", folded)
    return f" {' '.join(_WORD.findall(spaced))} "


def _count(plain: str) -> int:
    """Words of a plain form; two wide characters count as one."""
    words = plain.split()
    num_wide = sum(_WIDE.fullmatch(word) is not None for word in words)
    return len(words) - num_wide + num_wide // 2


KNOWN = frozenset(_plain(value) for value in _KNOWN)
