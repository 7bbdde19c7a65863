"""Formulas in MathML as one line of text: from their TeX source where present, else from the
structure.

The rule: the structure is never lost. A power is 10⁶ and not 106, a fraction 1/2 and not 12, and of
alternative forms of a formula only one is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annotator.documents.readers.raised import write_mark

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

MATH_TAGS = frozenset({"math", "m:math", "mml:math"})
MAX_DEPTH = 100  # more deeply nested formulas are read as characters separated by spaces
_TEX = re.compile(r"(?:^|[/-])(?:la)?tex$", re.I)  # application/x-tex; not text/plain
_CONTENT = frozenset("apply bind cn ci csymbol piecewise".split())
_PADDED = frozenset({"mfrac", "msqrt", "mroot", "mtable", "mtext", "mspace", "apply", "cn"})
_INVISIBLE = {"\u2061": " ", "\u2062": "", "\u2063": ",", "\u2064": " "}
_ACCENTS = {
    "¯": "\u0304", "‾": "\u0304", "―": "\u0304", "_": "\u0304", "^": "\u0302", "ˆ": "\u0302",
    "~": "\u0303", "˜": "\u0303", "→": "\u20d7", "⃗": "\u20d7", "˙": "\u0307", ".": "\u0307",
    "¨": "\u0308",
}  # fmt: skip
_PRIMES = frozenset("′″‴'°∘")
_INFIX = {
    "plus": "+", "minus": "−", "times": "×", "divide": "/", "eq": "=", "neq": "≠", "lt": "<",
    "gt": ">", "leq": "≤", "geq": "≥", "approx": "≈", "equivalent": "≡", "in": "∈",
}  # fmt: skip
_SINGLE = re.compile(r"[\w√∞%°]+(?:[.,][\w]+)*|[\w]?[\u0300-\u036f\u20d7]*")
_RAISED_END = re.compile(r"[⁰¹²³⁴-⁹ⁿ]\Z|\}\Z")
_WORD_END = re.compile(r"[^\W\d_]{2}\Z")
_WORD_START = re.compile(r"[^\W\d_]{2}")


@dataclass(kw_only=True, slots=True)
class _Open:
    """An element whose children are being read: their names and texts."""

    node: LexborNode
    name: str
    names: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def read_math(node: LexborNode) -> str:
    """A formula as one line of text."""
    for note in node.css("annotation"):
        if _TEX.search(note.attributes.get("encoding") or ""):
            source = " ".join(note.text(deep=True).split())
            if source:
                return source
    alternative = " ".join((node.attributes.get("alttext") or "").split())
    # Some pages repeat the bare characters there, as 106 for a power.
    flat = node.text(deep=True, separator="", strip=True)
    bare = "".join(alternative.split()) == "".join(flat.split())
    if alternative and not (bare and node.css_first("msup, msub, mfrac, msubsup, mroot")):
        return alternative
    return _read_structure(node)


def _read_structure(root: LexborNode) -> str:
    """The text of the tree, from its leaves up, without recursion."""
    stack = [_Open(node=root, name=_name(root))]
    children = [root.first_child]
    while True:
        child = children[-1]
        if child is not None:
            children[-1] = child.next
            if child.is_text_node:
                text = " ".join((child.text_content or "").split())
                if text:
                    stack[-1].names.append("#text")
                    stack[-1].texts.append(text)
            elif child.is_element_node:
                if len(stack) >= MAX_DEPTH:
                    return " ".join(root.text(deep=True, separator=" ").split())
                stack.append(_Open(node=child, name=_name(child)))
                children.append(child.first_child)
            continue
        done = stack.pop()
        children.pop()
        text = " ".join(_write(done).split()) if done.name != "mspace" else _write(done)
        if not stack:
            return text
        stack[-1].names.append(done.name)
        stack[-1].texts.append(text)


def _name(node: LexborNode) -> str:
    """The name of an element without its prefix: mml:mfrac is mfrac."""
    return (node.tag or "").rsplit(":", 1)[-1]


def _write(element: _Open) -> str:
    return _WRITERS.get(element.name, _write_row)(element)


def _elements(element: _Open) -> list[str]:
    """The texts of the child elements, without stray characters between them."""
    pairs = zip(element.names, element.texts, strict=True)
    return [text for name, text in pairs if name != "#text"]


def _write_row(element: _Open) -> str:
    """The children side by side, with a space where they would join."""
    last, last_name = "", ""
    pieces: list[str] = []
    for name, text in zip(element.names, element.texts, strict=True):
        if not text:
            continue
        shown = _INVISIBLE.get(text, text)
        if shown != text and not shown.strip():
            pieces.append(shown)
            last += shown
            continue
        if last and _run_together(last, last_name, shown, name):
            pieces.append(" ")
        pieces.append(shown)
        last, last_name = shown, name
    return "".join(pieces)


def _run_together(before: str, before_name: str, after: str, after_name: str) -> bool:
    first, second = before[-1], after[0]
    # A letter or figure, also a raised one, a bracket or the end of a mark such as _{10}.
    ends, starts = first.isalnum() or first in ")}%°", second.isalnum() or second in "√"
    if not starts or not ends:
        return False
    if second.isdecimal():
        return first != ")" or before_name in _PADDED
    padded = before_name in _PADDED or (after_name in _PADDED and after_name != "msqrt")
    return padded or bool(
        first.isalnum() and (_WORD_END.search(before) or _WORD_START.match(after))
    )


def _choose_form(element: _Open) -> str:
    """One form of a formula that has several; presentation is preferred to content."""
    forms = list(zip(element.names, element.texts, strict=True))
    shown = [text for name, text in forms if name not in ("annotation", "annotation-xml")]
    others = [text for name, text in forms if name == "annotation-xml" and text]
    first = next((name for name in element.names if name != "#text"), "")
    if others and (not shown or first in _CONTENT):
        return others[0]
    return shown[0] if shown else ""


def _write_two(element: _Open) -> str:
    """A fraction or a root with its index."""
    parts = _elements(element)
    if len(parts) != 2:
        return " ".join(element.texts)
    first, second = parts
    if element.name == "mroot":
        sign = {"3": "∛", "4": "∜", "2": "√"}.get(second, f"root[{second}]")
        return f"{sign}({first})"
    thickness = (element.node.attributes.get("linethickness") or "").strip()
    if re.fullmatch(r"0+(?:\.0*)?[a-z%]*", thickness):  # without a bar: a binomial coefficient
        return f"binom({first}, {second})"
    return f"{_grouped(first)}/{_grouped(second)}"


def _grouped(text: str) -> str:
    """`text` in brackets unless it is one number or name."""
    return text if _SINGLE.fullmatch(text) else f"({text})"


def _write_scripts(element: _Open) -> str:
    name, parts = element.name, _elements(element)
    if not parts:
        return ""
    base, rest = parts[0], parts[1:]
    if name in ("munder", "mover") and len(rest) == 1 and rest[0] in _ACCENTS and len(base) == 1:
        return base + ("\u0332" if name == "munder" else _ACCENTS[rest[0]])
    raised = {"msup": [True], "mover": [True], "msub": [False], "munder": [False]}.get(
        name, [False, True]
    )
    if name == "msup" or len(rest) == 2:
        base = _power_base(base)
    written = [_write_script(text, raised=up) for text, up in zip(rest, raised, strict=False)]
    return base + "".join(written)


def _power_base(base: str) -> str:
    """The base of a power: (a+b)², and not a+b²."""
    closed = base.startswith("(") and base.endswith(")") and base.count("(") == 1
    single = closed or _SINGLE.fullmatch(base) or len(base) == 1
    named = re.fullmatch(r"[^\W_]+_\{[^{}]*\}|[|\[][^|\[\]]*[|\]]", base)
    if (single and not _RAISED_END.search(base)) or named or not base:
        return base
    return f"({base})"


def _write_script(text: str, *, raised: bool) -> str:
    if not text or (raised and _PRIMES.issuperset(text)):
        return text
    return write_mark(text, raised=raised)


def _write_multiscripts(element: _Open) -> str:
    """Indices on both sides: ¹⁴₆C."""
    if not element.texts:
        return ""
    names = element.names[1:]
    texts = element.texts[1:]
    middle = names.index("mprescripts") if "mprescripts" in names else len(names)

    def write(scripts: list[str], *, before: bool) -> str:
        lowered = "".join(_write_script(text, raised=False) for text in scripts[0::2])
        raised = "".join(_write_script(text, raised=True) for text in scripts[1::2])
        return raised + lowered if before else lowered + raised

    ahead = write(texts[middle + 1 :], before=True)
    return ahead + element.texts[0] + write(texts[:middle], before=False)


def _write_fenced(element: _Open) -> str:
    attributes = element.node.attributes
    opens = attributes.get("open")
    closes = attributes.get("close")
    separators = attributes.get("separators")
    marks = "".join((separators if separators is not None else ",").split())
    out = []
    for index, text in enumerate(element.texts):
        if index:
            out.append((marks[min(index - 1, len(marks) - 1)] if marks else "") or " ")
        out.append(text)
    start, end = "(" if opens is None else opens, ")" if closes is None else closes
    return f"{start}{''.join(out)}{end}"


def _write_applied(element: _Open) -> str:
    """Content MathML: an operator and its operands."""
    if not element.names:
        return ""
    operator, values = element.names[0], element.texts[1:]
    if operator == "power" and len(values) == 2:
        return _power_base(values[0]) + write_mark(values[1], raised=True)
    if operator == "root" and len(values) == 1:
        return f"√{_grouped(values[0])}"
    if operator == "minus" and len(values) == 1:
        return f"−{_grouped(values[0])}"
    if operator in _INFIX:
        grouped = values if operator in ("eq", "neq", "lt", "gt", "leq", "geq") else None
        return _INFIX[operator].join(grouped or map(_grouped, values))
    return f"{element.texts[0] or operator}({', '.join(values)})"


_WRITERS: Mapping[str, Callable[[_Open], str]] = {
    **dict.fromkeys(("mphantom", "annotation", "mprescripts", "none"), lambda _: ""),
    **dict.fromkeys(("msup", "msub", "msubsup", "munder", "mover", "munderover"), _write_scripts),
    **dict.fromkeys(("mfrac", "mroot"), _write_two),
    **dict.fromkeys(("mtr", "mlabeledtr"), lambda element: ", ".join(element.texts)),
    "mmultiscripts": _write_multiscripts,
    "semantics": _choose_form,
    "maction": lambda element: (element.texts or [""])[0],
    "mspace": lambda element: " " + _write_row(element),
    "sep": lambda _: "/",
    "ms": lambda element: f'"{_write_row(element)}"',
    "msqrt": lambda element: f"√{_grouped(_write_row(element))}",
    "mfenced": _write_fenced,
    "mtable": lambda element: f"[{'; '.join(element.texts)}]",
    "apply": _write_applied,
}
