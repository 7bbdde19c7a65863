"""Shared by the rules of all languages: the surroundings of a full stop, and units.

The rule: a rule reads a bounded window around one full stop and returns True (a sentence ends
there), False (none does) or None (unknown: the library decides).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from schemas.text.scripts import CJK_LETTERS

Verdict = bool | None

_BEFORE_CHARS = 60
_WORD = re.compile(rf"(?:[^\W_{CJK_LETTERS}]|[.&])+\Z")
_OPENING = '([“"„«'
# Skips marks that close the sentence and that open the next one.
_AFTER = re.compile(r"[\"'”’»)\]]{0,8}\s*[\"'“‘(\[«„_]?[ \u00a0\u202f]?")
_NEXT_WORD = re.compile(r"[^\W\d_]{1,30}")
_APOSTROPHE = re.compile(r"x(?:s|m|ve|re|ll|d)\Z")  # the view has an x in place of an apostrophe


def words(text: str) -> frozenset[str]:
    """The words of a list; an apostrophe is an x in the view of a text."""
    return frozenset(text.replace("'", "x").split())


def without_apostrophe(word: str) -> str:
    """`It` for it's and `I` for I'm, in the form of the view."""
    return _APOSTROPHE.sub("", word)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """A full stop and the text around it; nothing further away is read."""

    before: str  # up to 60 characters of the block, without the full stop
    word: str  # letters, digits and dots right before it
    previous: str  # the word before that one, with its punctuation; "" at the block's start
    touching: str  # the character right after it
    following: str  # the next character other than a space or opening mark
    next_word: str  # the letters that begin there
    after_next: str  # the character after `next_word`

    @property
    def low(self) -> str:
        """The word in lower case."""
        return self.word.lower()

    @property
    def starter(self) -> str:
        """The next word in lower case, without 's or 'm, when it has a capital; else ""."""
        if not self.next_word[:1].isupper():
            return ""
        return without_apostrophe(self.next_word.lower())

    @property
    def is_dotted(self) -> bool:
        """Whether the word is letters with stops between them: U.S, p.o, Ph.D."""
        parts = self.word.split(".")
        return len(parts) > 1 and all(0 < len(part) <= 2 and part.isalpha() for part in parts)


Judge = Callable[[Stop], Verdict]


def read_stop(view: str, end: int, *, start: int, limit: int) -> Stop:
    """The full stop that ends at `end`, in the block [start, limit)."""
    before = view[max(start, end - 1 - _BEFORE_CHARS) : end - 1]
    # Tokens first: a pattern anchored at the end would be tried at each of the 60 characters.
    tokens = before.rsplit(None, 2)
    last = tokens[-1] if tokens and not before[-1:].isspace() else ""
    match = _WORD.search(last)
    word = match.group() if match else ""
    opening = last[: len(last) - len(word)].rstrip(_OPENING)
    index = -2 if last else -1
    previous = opening or (tokens[index] if len(tokens) >= -index else "")
    after = _AFTER.match(view, end, limit)
    position = after.end() if after else end
    next_word = _NEXT_WORD.match(view, position, limit)
    after_next = next_word.end() if next_word else position
    return Stop(
        before=before,
        word=word,
        previous=previous.rpartition("(")[2].lstrip(_OPENING),
        touching=view[end : min(end + 1, limit)],
        following=view[position : min(position + 1, limit)],
        next_word=next_word.group() if next_word else "",
        after_next=view[after_next : min(after_next + 1, limit)],
    )


def judge_in_any_language(stop: Stop) -> Verdict:
    """Decimals, initials without spaces, names such as .NET, and stops followed by more of the
    word."""
    touching = stop.touching
    if touching.isalnum() and stop.before[-1:].isspace():
        return False  # .NET, .5
    if touching and touching in ",:-/@\\_=":
        return False  # J.-C., "e.g., this", a path
    if stop.word[-1:].isdigit() and touching.isdigit():
        return False
    if touching.isalpha() and len(stop.word.rpartition(".")[2]) == 1 and stop.word.isalpha():
        return False if len(stop.word) == 1 else None
    if touching.isalpha() and stop.is_dotted and len(stop.word.rpartition(".")[2]) == 1:
        return False  # T.S.Eliot
    return None


_CLOSED = re.compile(r"[)\]%\"”’]\Z")


def judge_without_space(stop: Stop, starters: frozenset[str]) -> Verdict:
    """Whether the space after a sentence is missing: in 1950.He died. done.The next.

    Names of files and of code (System.Out, torch.nn.Linear, main.py) look alike, so a word in
    small letters needs a starter after it, and a number needs a word with a capital. Where only the
    capital suggests an end (is big.London is), the library decides.
    """
    spaced = stop.after_next.isspace() or stop.after_next == ","
    is_starter = spaced and stop.starter in starters
    if not stop.word:
        return True if is_starter and _CLOSED.search(stop.before) else None
    if stop.word.isdigit() and stop.next_word[:1].isupper():
        # 1.Paris may be an item of a list; a number after a word is not.
        in_prose = stop.previous.isalpha() or (stop.previous and len(stop.word) > 2)
        follows = is_starter or (spaced and stop.next_word[1:].islower())
        return True if in_prose and follows else None
    is_plain = stop.before[-len(stop.word) - 1 : -len(stop.word)] in (" ", "")
    if not (is_plain and stop.word.isalpha() and stop.word.islower() and spaced):
        return False
    return True if is_starter and len(stop.word) > 1 else None


# Units that a full stop may shorten or follow. A word that is not listed and has a slash (mmol/L),
# a degree sign or only one letter is a unit too when a number is before it.
UNITS = words(
    "mm cm dm km in ft yd mi oz lb lbs kg mg mcg µg μg ng pg ml cl dl gal qt pt tsp tbsp tsps "
    "tbsps sec secs min mins hr hrs wk wks mo mos yr yrs hz khz mhz ghz kw mw gw kv mv ma kj cal "
    "kcal kpa mpa hpa pa psi atm mol mmol iu bn mn tn mph kph kwh mwh rpm db ppm ppb bps px doz "
    "pkg pkgs sq cu kb gb tb mb meq mmhg hg std"
)
_MEASURE = re.compile(
    r"(?P<number>\d[\d.,]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half))"
    r"[ \u00a0\u202f-]?(?P<unit>[°µμ]?[^\W\d_]{1,5}[²³]?(?:/[^\W_]{1,6}){0,3})\Z"
)
_RATE = re.compile(r"[^\W_]/[^\W\d_]{1,3}\Z")
_MAX_UNIT_CHARS, _MAX_MEASURE_CHARS = 6, 32
_YEAR = re.compile(r"1\d{3}|20\d\d")


def is_measure(stop: Stop) -> bool:
    """Whether a number and a unit are before the stop, or a rate such as mg/L without one.

    After a year a capital letter is an initial (In 1921 A. Einstein ...), not a unit.
    """
    if len(stop.word) > _MAX_UNIT_CHARS:
        return False
    near = stop.before[-_MAX_MEASURE_CHARS:]
    if _RATE.search(near):
        return True
    match = _MEASURE.search(near)
    if match is None:
        return False
    unit = match["unit"]
    if len(unit) > 1:
        return unit.lower() in UNITS or not unit.isalpha() or "°" in unit
    return unit.islower() or not _YEAR.fullmatch(match["number"])


_NO_VOWEL = re.compile(r"[^\W\d_]?[bcdfghjklmnpqrstvwxz]+")
_CHAT = words("hm hmm mm mmm shh pfft thx pls plz btw tbh np idk brb lmk nvm ty mr pst psst ")


def lacks_a_vowel(word: str) -> bool:
    """Whether a word in small letters can only be an abbreviation: bldg, Hrsg, tbsp."""
    low = word.lower()
    return (
        len(word) > 1
        and word[1:].islower()
        and not re.search("[aeiouyäöüéèà]", low)
        and _NO_VOWEL.fullmatch(low) is not None
        and low not in _CHAT
    )


def is_roman(word: str) -> bool:
    """II, XIV: a number in capitals of at least two letters."""
    return len(word) > 1 and not word.strip("IVXLC")
