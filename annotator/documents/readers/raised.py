"""Raised and lowered marks in a line of text: powers, indices, citation marks, ordinals.

The rule: a mark never joins the number before or after it. 10<sup>5</sup> is not 105 and
log<sub>10</sub>5 is not log105. The form of a mark depends on both neighbours, so the pieces of a
line are collected first and joined at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Of letters only those that Unicode has as superscripts and subscripts, not as phonetic signs.
_RAISED = dict(zip("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ", strict=True))
_LOWERED = dict(
    zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)
_WORD = re.compile(r"[^\W\d_]{2}")  # "max" stays a word: T_{max}
_PARTED_DIGITS = re.compile(r"\d\s+\d")
_LEADING_DASH = re.compile(r"^[–‒](?=\s?\d)")  # typed as a minus

_NUMBERS = re.compile(r"\[?\d{1,3}[a-z]?(?:(?:\s*[,;–—-]\s*|\s+)\d{1,3}[a-z]?)+\]?")
_POWER_BASE = re.compile(r"(?:(?<![\d.,])(?:10|2)|(?<![^\W_])[^\W\d_])\Z")  # 10, 2, a lone letter
_ORDINAL = re.compile(r"st|nd|rd|th|er|ers|re|ère|ème|ième|nde|nds", re.I)
_COUNTED = re.compile(r"(?:\d|(?<![^\W_])[IVXLCDM]+)\Z")  # 19 or XIX
_SIGNS = {"tm": "™", "sm": "℠"}
_TIGHT_SIGNS = frozenset("°∘′″'\"$€£¥®©™℠")
_FRACTION_BARS = frozenset("/⁄∕")
_NOTE_LINK_BEFORE = frozenset(
    ".!?,;:。！？，；：…([{"
)  # "end.[3]": the splitter recognises this form
_SENTENCE_ENDS = (".", "?", "。", "？")  # a number raised after one is not a power
_NOT_AFTER_SEAM = frozenset(".,;:!?)]}”’»。，、；：！？）")
_NOT_BEFORE_SEAM = frozenset("([{“‘«（")
_WORD_IN_PROSE = re.compile(r"[^\W\d_]{4}")

MAX_DEPTH = 20  # marks inside marks; deeper ones are separated by spaces
_MAX_MARK_CHARS = 60  # longer text is small print and not a mark
_MAX_MERGED_CHARS = 200
_TAIL_CHARS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mark:
    """`reference`: the page marks it as a link to a note."""

    text: str
    raised: bool
    reference: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seam:
    """The border between two boxes. `words`: words are separated there too, not only digits."""

    words: bool


_Piece = str | _Mark | _Seam


@dataclass(kw_only=True, slots=True)
class _Frame:
    pieces: list[_Piece]
    raised: bool
    reference: bool


class InlineText:
    """One line under construction: text, and marks that open and close around it."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._frames: list[_Frame] = []
        self._num_ignored = 0  # open marks without a frame

    def add(self, text: str) -> None:
        """Text with the white space of its source."""
        self._top().append(text)

    def add_seam(self, *, words: bool = False) -> None:
        """A border between two boxes: digits do not join across it, nor words with `words`."""
        self._top().append(_Seam(words=words))

    @property
    def in_mark(self) -> bool:
        """Whether a mark is open."""
        return bool(self._frames)

    def open_mark(self, *, raised: bool, reference: bool = False) -> None:
        """What follows is raised or lowered, until `close_mark`."""
        if self._num_ignored or len(self._frames) >= MAX_DEPTH:
            self._num_ignored += 1
            self._top().append(_Seam(words=True))
        else:
            self._frames.append(_Frame(pieces=[], raised=raised, reference=reference))

    def point_to_note(self) -> None:
        """The mark that is open holds a link to a note."""
        if self._frames:
            self._frames[-1].reference = True

    def close_mark(self) -> None:
        """End the innermost mark."""
        if self._num_ignored:
            self._num_ignored -= 1
            self._top().append(_Seam(words=True))
            return
        frame = self._frames.pop()
        text = " ".join(_join(frame.pieces).split())
        mark = _Mark(text=text, raised=frame.raised, reference=frame.reference)
        self._top().append(mark)

    def take(self) -> str:
        """The line, and an empty one after it.

        A mark that contains blocks ends with its first block.
        """
        ignored, self._num_ignored = self._num_ignored + len(self._frames), 0
        while self._frames:
            self.close_mark()
        self._num_ignored = ignored
        text = _join(self._pieces)
        self._pieces.clear()
        return text

    def _top(self) -> list[_Piece]:
        return self._frames[-1].pieces if self._frames else self._pieces


def write_mark(text: str, *, raised: bool) -> str:
    """`text` raised or lowered: 10⁵ where every character has such a form, else ^{6.5}."""
    return _unicode_form(text, raised=raised) or f"{'^' if raised else '_'}{{{text}}}"


def _unicode_form(text: str, *, raised: bool) -> str:
    """`text` in raised or lowered characters; '' where one of them has no such form."""
    if _PARTED_DIGITS.search(text) or _WORD.search(text):
        return ""
    forms = _RAISED if raised else _LOWERED
    found = [
        forms.get(character, "") for character in "".join(_LEADING_DASH.sub("−", text).split())
    ]
    return "".join(found) if all(found) else ""


def _join(pieces: Iterable[_Piece]) -> str:
    """The line that the pieces make."""
    ordered = _merge(pieces)
    out: list[str] = []
    tail = ""
    index = 0
    while index < len(ordered):
        piece = ordered[index]
        step, after = 1, _first_character(ordered, index + 1)
        if isinstance(piece, str):
            shown = piece
        elif isinstance(piece, _Seam):
            shown = " " if _parts(piece, tail[-1:], after) else ""
        elif fraction := _read_fraction(ordered, index):
            shown, step = fraction, 3
            before = " " if tail[-1:].isdigit() else ""
            shown = before + shown + (" " if _first_character(ordered, index + 3).isalnum() else "")
        else:
            shown = _write(piece, tail, after)
        out.append(shown)
        tail = (tail + shown[-_TAIL_CHARS:])[-_TAIL_CHARS:]
        index += step
    return "".join(out)


def _merge(pieces: Iterable[_Piece]) -> list[_Piece]:
    """The pieces without empty ones.

    Adjacent borders are merged, and so is a list of citations that was raised part by part.
    """
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if piece == "" or (isinstance(piece, _Mark) and not piece.text):
            continue
        if isinstance(piece, _Seam) and isinstance(last, _Seam):
            merged[-1] = _Seam(words=piece.words or last.words)
        elif isinstance(piece, _Mark) and isinstance(last, _Mark) and _are_one_list(last, piece):
            reference = last.reference or piece.reference
            merged[-1] = _Mark(text=last.text + piece.text, raised=True, reference=reference)
        else:
            merged.append(piece)
    return merged


def _are_one_list(first: _Mark, second: _Mark) -> bool:
    separated = first.text[-1] in ",;–" or second.text[0] in ",;–"
    short = len(first.text) + len(second.text) < _MAX_MERGED_CHARS
    return first.raised and second.raised and separated and short


def _first_character(pieces: list[_Piece], index: int) -> str:
    """The character that follows, '' for none and for a mark, which handles itself."""
    for piece in pieces[index : index + 2]:
        if isinstance(piece, str):
            return piece[0]
        if isinstance(piece, _Mark):
            return ""
    return ""


def _parts(seam: _Seam, before: str, after: str) -> bool:
    if not before or not after or before.isspace() or after.isspace():
        return False
    if seam.words:
        return before not in _NOT_BEFORE_SEAM and after not in _NOT_AFTER_SEAM
    return before.isdigit() and after.isdigit()


def _read_fraction(pieces: list[_Piece], index: int) -> str:
    """<sup>1</sup>/<sub>2</sub> as ¹/₂; '' where it is not a fraction."""
    if index + 2 >= len(pieces):
        return ""
    upper, bar, lower = pieces[index : index + 3]
    if not (isinstance(upper, _Mark) and isinstance(lower, _Mark) and isinstance(bar, str)):
        return ""
    numbers = upper.text.isdecimal() and lower.text.isdecimal()
    if bar not in _FRACTION_BARS or not numbers or not upper.raised or lower.raised:
        return ""
    return write_mark(upper.text, raised=True) + bar + write_mark(lower.text, raised=False)


def _write(mark: _Mark, tail: str, after: str) -> str:
    """A mark between the text before it, which ends with `tail`, and the character after it."""
    text, before = mark.text, tail[-1:]
    if _is_reference(mark, tail):
        shown = text if text.startswith(("[", "(")) else f"[{text}]"
        tight = not before or before.isspace() or before in _NOTE_LINK_BEFORE or before == "]"
        return ("" if tight else " ") + shown + (" " if after.isalnum() else "")
    if _is_prose(text, before):
        opens = " " if before and not before.isspace() else ""
        return opens + text + (" " if after.isalnum() else "")
    if mark.raised and (word := _write_word(text, tail, after)):
        return word
    if not any(character.isalnum() or character in _RAISED for character in text):
        # "5*" and then "3" would be a product.
        return text + (" " if after.isalnum() and not _TIGHT_SIGNS.issuperset(text) else "")
    form = _unicode_form(text, raised=mark.raised)
    if not form or after.isdigit():
        return f"{'^' if mark.raised else '_'}{{{text}}}"
    forms = _RAISED if mark.raised else _LOWERED
    return f" {form}" if before in forms.values() else form


def _is_reference(mark: _Mark, tail: str) -> bool:
    """A link to a note, [3], or several numbers where no power is meant."""
    text = mark.text
    if mark.reference or (text.startswith("[") and text.endswith("]")):
        return True
    if mark.raised and text.isdecimal() and tail[-1:] in _SENTENCE_ENDS:
        return True
    several = mark.raised and _NUMBERS.fullmatch(text) is not None
    return several and _POWER_BASE.search(tail) is None


def _is_prose(text: str, before: str) -> bool:
    """Small print, and not a mark of the text before it."""
    if len(text) > _MAX_MARK_CHARS:
        return True
    alone = not before or not (before.isalnum() or before in ")]}")
    most_spaces = 0 if alone else 2
    return text.count(" ") > most_spaces and _WORD_IN_PROSE.search(text) is not None


def _write_word(text: str, tail: str, after: str) -> str:
    """An ordinal's ending or a trade mark's sign; '' for anything else."""
    if text.lower() in _SIGNS and not text.islower():
        return _SIGNS[text.lower()]
    if after.isalnum():
        # 20<sup>o</sup>C is the sign of an angle or a temperature.
        return "º" if text == "o" and tail[-1:].isdigit() and after in "CFK" else ""
    if _COUNTED.search(tail):
        if _ORDINAL.fullmatch(text):
            return text  # 1st is one word
        if text in ("e", "o"):
            return {"e": "ᵉ", "o": "º"}[text]
    return "º" if text == "o" and tail[-1:] in ("n", "N") else ""
