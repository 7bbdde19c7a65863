"""Planted facts, and the forms in which a fact may be written; shared by all formats.

The rule: a fact is judged as a careful reader of the text would understand it, whatever the format
of that text. So a pattern accepts every usual form of the same fact (10⁵, 10^5, 10^{5}; a heading
with or without `#`) and refuses forms with another meaning (105, 10 5).

Facts are written as templates. `{^5}` is raised, `{_2}` lowered, `{[1,2]}` a raised citation mark,
`{/3|4}` a fraction; `~` before the closing brace also permits the plain form (`m{^2~}`: m2 is
usual).
"""

from __future__ import annotations

import html
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

_GROUP = re.compile(r"\{([\^_\[/])([^{}]*?)\]?(~?)\}")
_WIDE = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u201c\u201d]")
_SUPERSCRIPTS = dict(zip("0123456789+-−–()=nikabm", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁽⁾⁼ⁿⁱᵏᵃᵇᵐ", strict=True))
_SUBSCRIPTS = dict(zip("0123456789+-−()=aeoxijkmn", "₀₁₂₃₄₅₆₇₈₉₊₋₋₍₎₌ₐₑₒₓᵢⱼₖₘₙ", strict=True))
# Characters with more than one usual form. A backslash or an entity is how Markdown escapes.
_SAME = {
    " ": r"(?:[*_`$]{1,3}|\\\))?(?: |&nbsp;)(?:[*_`$]{1,3}|\\\()?",
    "-": "\\\\?[-‐‑]\u2060?",  # the judge marks a line end that the text kept with U+2060
    "–": "(?:\\\\?[-‐‑–]|--)",
    "−": "\\\\?[-‐‑–−]",
    '"': '["“”]',
    "'": "['‘’]",
    "<": "(?:\\\\?<|&lt;)",
    ">": "(?:\\\\?>|&gt;)",
    "&": "(?:&|&amp;)",
    "μ": "[μµ]",
}
_IN_SCRIPT = {".": "[.·˙⋅]", "a": "[ªᵃₐ]"}  # with more than one form there
_VULGAR = {"1|2": "½", "1|4": "¼", "3|4": "¾", "1|3": "⅓", "2|3": "⅔"}
_OPEN_RAISED = r" ?(?:\\?\^[{(\[]?|\*\*|<sup>)"
_CLOSE_RAISED = r"(?:[})\]]|</sup>|\^)?"
_OPEN_LOWERED = r"(?:\\?_[{(\[]?|<sub>)"
_CLOSE_LOWERED = r"(?:[})\]]|</sub>)?"
# Between the marks of one place, and around each: [1, 2], [1][2], ^{1,2}, ¹,², [[1]](#note-1).
_OPEN_MARK = r" ?(?:(?:\\?\[)+\\?\^?|\\?\^[{(\[]?\[?|<sup>(?:\\?\[)?|\()"
_CLOSE_MARK = r"(?:(?:\\?\])?</sup>|(?:\\?\])+|[})]|\^)?(?:\(\S*?\))?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One planted fact: what the text must contain, and what it must not.

    scope    'text': anywhere, white space as one space; 'line': inside one line;
             'cell': in one row, under its column's heading; 'field': a field of the file
    label    words in the value's row; the name of the field
    column   the heading of the value's column; '' if the row is enough
    """

    states: str
    must: re.Pattern[str]
    never: tuple[re.Pattern[str], ...] = ()
    scope: str = "text"
    label: str = ""
    column: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A generated file and the facts that are planted in it."""

    name: str
    format_name: str
    data: bytes
    facts: tuple[Fact, ...]


class Numbers:
    """Numbers of one document, all different, from a seed."""

    def __init__(self, seed: object) -> None:
        self._random = random.Random(str(seed))
        self._given: set[str] = set()

    def year(self) -> int:
        """A year of four digits."""
        return self._new(1901, 2019)

    def digit(self) -> int:
        """2 to 9; they repeat only when there are no others."""
        return self._new(2, 9)

    def two(self) -> int:
        """12 to 98."""
        return self._new(12, 98)

    def three(self) -> int:
        """121 to 979."""
        return self._new(121, 979)

    def thousands(self) -> str:
        """Such as 4,217."""
        return f"{self._new(1021, 9879):,}"

    def decimal(self) -> str:
        """Such as 6.5."""
        return f"{self._random.randint(2, 9)}.{self._new(1, 9)}"

    def _new(self, low: int, high: int) -> int:
        for _ in range(200):
            number = self._random.randint(low, high)
            if str(number) not in self._given:
                break
        self._given.add(str(number))
        return number


def says(template: str, *, never: Sequence[str] = (), also: str = "") -> Fact:
    """The text contains this, and neither a form of `never` nor marks joined to their numbers.

    `also` is a regular expression for another way of writing it.
    """
    right, wrong = expand(template)
    return Fact(
        states=template,
        must=re.compile(f"{right}|{also}" if also else right),
        never=_never(template, wrong, never),
    )


def matches(states: str, pattern: str, *never: str) -> Fact:
    """A fact with its own regular expressions, as formulas need."""
    return Fact(
        states=states, must=re.compile(pattern), never=tuple(re.compile(form) for form in never)
    )


def heading(template: str, *, never: Sequence[str] = ()) -> Fact:
    """A separate line, with or without marks of Markdown."""
    right, wrong = expand(template)
    before, after = r"^[#>*_\s|]*", r"[*_#\s|]*$"
    return Fact(
        states=f"heading: {template}",
        must=re.compile(before + right + after),
        never=tuple(
            re.compile(before + form + after)
            for form in (*wrong, *(expand(item)[0] for item in never))
        ),
        scope="line",
    )


def item(mark: object, start: str) -> Fact:
    """A list mark directly before its item: `7.`, `7)`, `(7)`, `7、`; no other mark there."""
    text = expand(start)[0]
    ending = r"(?:\\?[.)）]|、|．)"
    own = re.escape(str(mark))
    any_mark = r"(?:\d{1,4}|[A-Za-z]|[ivxlcIVXLC]{1,6}|[一二三四五六七八九十]{1,3})"
    return Fact(
        states=f"item {mark}: {start}",
        must=re.compile(rf"(?<![\w.])[(（]?{own}{ending} ?[*_]{{0,3}}{text}"),
        never=(re.compile(rf"(?<![\w.])[(（]?(?!{own}{ending}){any_mark}{ending} ?{text}"),),
    )


def cell(label: str, value: str, column: str = "", *, never: Sequence[str] = ()) -> Fact:
    """A value in the row of its label and, if the text has cells, under its heading."""
    right, wrong = expand(value)
    return Fact(
        states=f"row {label}" + (f", column {column}" if column else "") + f": {value}",
        must=re.compile(right),
        never=_never(value, wrong, never),
        scope="cell",
        label=label,
        column=column,
    )


def field(name: str, value: str) -> Fact:
    """A field of the file's front matter, kept as text."""
    return Fact(
        states=f"{name}: {value}",
        must=re.compile(rf"(?<!\S){name}: *[\"']?{expand(value)[0]}[\"']?"),
        scope="field",
        label=name,
    )


def expand(template: str) -> tuple[str, list[str]]:
    """A regular expression for the right forms, and one for each mark joined to its number."""
    pieces = _split(template)
    rights, plains = [], []
    for index, (kind, content, is_plain_right) in enumerate(pieces):
        if kind == "":
            text = _literal(content, opens=index == 0, closes=index == len(pieces) - 1)
            rights.append(text)
            plains.append("")
            continue
        right, plain = _marked(kind, content)
        if kind == "_" and index < len(pieces) - 1 and pieces[index + 1][1][:1].isdigit():
            right = f"(?:{right} ?|{re.escape(content)} )"  # log_10 5, and log10 5, are clear
            plain = re.escape(content)
        if index == len(pieces) - 1:
            right, plain = right + r"(?!\d)", plain + r"(?![.,]?\d)"
        rights.append(f"(?:{right}|{plain})" if is_plain_right else right)
        plains.append("" if is_plain_right else plain)
    wrong = [
        "".join(
            f"{plain} ?" if at == index else f"(?:{right}|{other})" if other else right
            for at, (right, other) in enumerate(zip(rights, plains, strict=True))
        )
        for index, plain in enumerate(plains)
        if plain
    ]
    return "".join(rights), wrong


def as_html(template: str) -> str:
    """The template as markup, its text escaped."""
    tags = {"^": "sup", "[": "sup", "_": "sub"}
    made = ""
    for kind, content, _ in _split(template):
        text = html.escape(content, quote=False)
        made += f"<{tags[kind]}>{text}</{tags[kind]}>" if kind else text
    return made


def as_runs(template: str) -> list[tuple[str, str]]:
    """The template as pieces: ('', text), ('^', raised) and ('_', lowered)."""
    return [("^" if kind == "[" else kind, content) for kind, content, _ in _split(template)]


def plain(template: str) -> str:
    """The template with its marks joined to the text, as a bad reader gives it."""
    return "".join(content for _, content, _ in _split(template))


def _never(
    template: str, wrong: Sequence[str], never: Sequence[str]
) -> tuple[re.Pattern[str], ...]:
    """The forms that state something else; 2*3 without its star is one of them."""
    starless = re.sub(r"(?<=\d)\*(?=\d)", "", template)
    others = [*never, *([starless] if starless != template else [])]
    return tuple(re.compile(form) for form in (*wrong, *(expand(other)[0] for other in others)))


def _split(template: str) -> list[tuple[str, str, bool]]:
    """(kind, content, whether the plain form is also right); the kind of text is ''."""
    pieces, start = [], 0
    for match in _GROUP.finditer(template):
        if match.start() > start:
            pieces.append(("", template[start : match.start()], False))
        pieces.append((match[1], match[2], bool(match[3])))
        start = match.end()
    if start < len(template):
        pieces.append(("", template[start:], False))
    return pieces


def _literal(text: str, *, opens: bool, closes: bool) -> str:
    """A pattern for `text` with its usual other forms, not inside a longer number or word."""
    made = ""
    for index, character in enumerate(text):
        before = text[index - 1] if index else ""
        if _WIDE.match(character) or (before and _WIDE.match(before) and character.isalnum()):
            made += " ?" if before else ""
        if character in _SAME:
            made += _SAME[character]
        elif character.isalnum():
            made += character
        else:
            made += r"\\?" + re.escape(character)
    if opens and text[0].isdigit():
        made = rf"(?<!\d)(?<!\d[.,]){made}"
    elif opens and text[0].isascii() and text[0].isalpha():
        made = f"(?<![A-Za-z]){made}"
    if closes and text[-1].isdigit():
        made += r"(?![.,]?\d)"
    elif closes and text[-1].isascii() and text[-1].isalpha():
        made += "(?![A-Za-z])"
    return made


def _marked(kind: str, content: str) -> tuple[str, str]:
    """Patterns for a correct mark, and for one joined to the text before it."""
    text = "".join(_SAME.get(character, re.escape(character)) for character in content)
    if kind == "/":
        over, under = (re.escape(part) for part in content.split("|"))
        right = (
            rf"(?:[({{]?{over}[)}}]? ?[/∕⁄] ?[({{]?{under}[)}}]?|\\frac ?\{{ ?{over} ?\}} ?\{{ ?"
            rf"{under} ?\}}|{_VULGAR.get(content, '(?!)')})"
        )
        return right, f"{over} ?{under}"
    if kind == "[":
        numbers = re.findall(r"\w+", content)
        between = rf"{_CLOSE_MARK}[,;˒–\- ]{{0,2}}(?:{_OPEN_MARK})?"
        raised = r"[,;˒⁻ ⁾⁽–\-]{0,3}".join(_in_script(one, _SUPERSCRIPTS) for one in numbers)
        right = rf"(?:{raised}|{_OPEN_MARK}{between.join(numbers)}{_CLOSE_MARK})"
        return right, r" ?" + r"[,–\- ]{1,2}".join(numbers)
    if kind == "^":
        shown, start, end = _SUPERSCRIPTS, _OPEN_RAISED, _CLOSE_RAISED
    else:
        shown, start, end = _SUBSCRIPTS, _OPEN_LOWERED, _CLOSE_LOWERED
    return rf"(?:{_in_script(content, shown)}|{start}{text}{end})", " ?" + text


def _in_script(content: str, shown: dict[str, str]) -> str:
    """The content in raised or lowered characters; what has none stays between them."""
    return "".join(
        _IN_SCRIPT.get(character) or re.escape(shown.get(character, character))
        for character in content
    )
