"""The people and responses to remove, and how to find them in a text.

The rule: a name or id is matched as a separate word, never inside another word, so that similar
text is not changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from formats.forgotten import same_name, spellings
from schemas.text.plain_text import plain
from schemas.text.scripts import CJK_LETTERS

MASK = "(forgotten)"
_MIN_WORD_CHARS = 3
_CJK = re.compile(f"[{CJK_LETTERS}]")
BETWEEN_WORDS = r"[\s_.\-]+"  # of a name: `Dr. Li`, and `dr_li` in the name of a file


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What to remove: names of people, ids of responses.

    passages    texts that only those responses have, as `schemas.text.plain_text.plain` makes them
    """

    people: frozenset[str] = frozenset()
    responses: frozenset[str] = frozenset()
    passages: frozenset[str] = frozenset()

    def is_person(self, who: object) -> bool:
        """Whether a value names one of the people."""
        return isinstance(who, str) and same_name(who) in self._names

    def is_quoted(self, values: dict[str, Any]) -> bool:
        """Whether a text of a row quotes a removed response."""
        texts = [plain(item) for item in values.values() if isinstance(item, str)]
        return any(passage in text for text in texts for passage in self.passages)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(map(same_name, self.people))

    @cached_property
    def _mentions(self) -> re.Pattern[str]:
        people = [form for name in self._names for form in spellings(name)]
        forms = [mention(name) for name in sorted(people, key=len, reverse=True)]
        forms += [mention(name, is_id=True) for name in sorted(self.responses, key=len)[::-1]]
        return re.compile("|".join(forms) or r"(?!)", re.IGNORECASE)

    def mask(self, text: str) -> str:
        """`text` with every name and id replaced."""
        if self.is_person(text) or text in self.responses:
            return MASK
        return self._mentions.sub(MASK, text)


def mention(name: str, *, is_id: bool = False) -> str:
    """A regular expression for a name or id in running text, as a separate word.

    Chinese and similar scripts have no spaces between words, so their names match anywhere. A name
    of one or two letters, and an id that is a number, must be in quotation marks.
    """
    between = r"\s+" if is_id else BETWEEN_WORDS
    escaped = between.join(map(re.escape, name.split(" ")))
    if not is_id:
        escaped = escaped.replace(rf"\.{between}", between)
    is_wide = _CJK.search(name) is not None
    is_short = len(name) < _MIN_WORD_CHARS and not (is_wide and len(name) > 1)
    if is_short or (is_id and name.isdigit()):
        return rf"(?<=['\"]){escaped}(?=['\"])"
    if is_id:
        return rf"(?<![\w-]){escaped}(?![\w-])"
    return escaped if is_wide else rf"(?<![^\W_]){escaped}(?![^\W_])"
