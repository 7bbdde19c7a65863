"""Which rules apply to a language.

The rule: a language without separate rules uses the English ones, as its library does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from annotator.text.rules import cjk, english, french, german
from annotator.text.rules.base import Judge, Verdict, read_stop

_JUDGES: dict[str, Judge] = {"fr": french.judge, "de": german.judge}


def primary_code(language: str) -> str:
    """zh of zh-TW and zh_Hant; small letters."""
    return language.lower().replace("_", "-").split("-")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The rules of one language, for a place in the view of a block [start, limit).

    A full stop is tested when ends are searched and again when they are placed, so the results are
    cached by offset: an instance is for one text.
    """

    language: str
    verdicts: dict[int, Verdict] = field(default_factory=dict)

    def judge_full_stop(self, view: str, end: int, *, start: int, limit: int) -> Verdict:
        """Whether the full stop that ends at `end` ends a sentence; None: the library decides."""
        if end not in self.verdicts:
            judge = _JUDGES.get(self.language, english.judge)
            self.verdicts[end] = judge(read_stop(view, end, start=start, limit=limit))
        return self.verdicts[end]

    def has_speaker_after(self, view: str, end: int, *, start: int, limit: int) -> bool:
        """Whether the quotation that ends at `end` continues with its speaker."""
        return cjk.has_speaker_after(view, end, start=start, limit=limit, language=self.language)


def find_rules(language: str) -> Rules:
    """The rules, for one text, of an ISO code such as 'en' or 'zh-TW'; "" where it is unknown."""
    return Rules(language=primary_code(language))
