"""Marked sentences: a text with its verdicts, as HTML and as text for a terminal.

The rule: the pieces of a marked text, joined, are the text, unchanged. What a mark says is readable
without colour and without a pointer: each marked sentence ends with its number and a symbol
(✓ correct, ✗ hallucinated, – no fact, ? undetermined), and the numbers return in the list of
verdicts; a terminal shows wrong words as [[words]]. A sentence of several pieces is one mark.
Everything that comes from data is escaped here: for HTML, and for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from schemas.error_spans import given_places, group_pieces
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Sentence, Span, Verdict
from schemas.spans import Offsets, gaps, trim
from schemas.text.terminal import one_line, printable

Kind = Literal["correct", "hallucinated", "neutral"]

_MAX_DETAIL_CHARS = 600
# Background and text colour are always set together: a notebook's own colours may be dark.
MARK_CSS = """\
.maskdpo-text { white-space: pre-wrap; overflow-wrap: anywhere; }
.maskdpo-text mark, mark.maskdpo { border-radius: 3px; padding: 0 .15em; unicode-bidi: isolate;
  box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.maskdpo-text sup, mark.maskdpo sup { font-size: .7em; font-weight: 600; line-height: 0;
  margin-left: .15em; white-space: nowrap; }
mark.maskdpo.correct { background: #d5ecef; color: #10353b; border-bottom: 2px solid #2a7f8e; }
mark.maskdpo.hallucinated { background: #f8e0ca; color: #4a2008;
  border-bottom: 2px dashed #b3541e; }
mark.maskdpo.neutral { background: #eceff4; color: #2b313b; border-bottom: 2px dotted #6b7280; }
mark.maskdpo.masked { background: #fafbfc; color: #59616e; border-bottom-width: 1px; }
.maskdpo-text sup a { color: inherit; }
mark.maskdpo .wrong { text-decoration: underline wavy #b3541e; text-underline-offset: .15em; }
mark.maskdpo .wrong.trains { background: #f8e0ca; color: #4a2008; }
mark.maskdpo .wrong.masked { background: #fafbfc; color: #59616e; }
ol.maskdpo-verdicts { font-size: .85em; margin: .4em 0 0; padding-left: 2.2em; }
@media (prefers-color-scheme: dark) {
  mark.maskdpo.correct { background: #123f47; color: #dff3f5; border-bottom-color: #5cc0cf; }
  mark.maskdpo.hallucinated { background: #54290f; color: #fdeadb; border-bottom-color: #f0955a; }
  mark.maskdpo.neutral { background: #2c323c; color: #e3e7ee; border-bottom-color: #98a1b0; }
  mark.maskdpo.masked { background: #181b20; color: #a7afbc; }
  mark.maskdpo .wrong { text-decoration-color: #f0955a; }
  mark.maskdpo .wrong.trains { background: #54290f; color: #fdeadb; }
  mark.maskdpo .wrong.masked { background: #181b20; color: #a7afbc; }
}
@media print { mark.maskdpo { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
_STYLES = {"correct": "cyan", "hallucinated": "bold yellow", "neutral": "dim"}
_ANSI = {"cyan": "36", "bold": "1", "yellow": "33", "dim": "2", "underline": "4"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One sentence of a text with what was said of it: `text[start:end]`.

    number   of the sentence in its text, from 1
    label    the label in words; "no verdict" for text of a pair that no span covers
    detail   confidence, reason, rationale, and words that the judge gave and that were not located,
             on one line; empty where there is none
    source   who gave the verdict
    wrong    the wrong words inside the sentence, in offsets of the text; empty: the whole sentence
    weight   what the sentence weighs in training; None where nothing trains yet (an annotation)
    rest     of a sentence of pieces: the weight of what is not wrong in it, and `weight` is that of
             the wrong words; None for a whole sentence
    """

    start: int
    end: int
    kind: Kind
    label: str
    number: int
    detail: str = ""
    source: Literal["judge", "person"] = "judge"
    wrong: tuple[tuple[int, int], ...] = ()
    weight: float | None = None
    rest: float | None = None

    @property
    def symbol(self) -> str:
        """One character for the label, the same in HTML and in a terminal."""
        if self.kind == "correct":
            return "✓"
        if self.kind == "hallucinated":
            return "✗"
        return "–" if self.label == words_of(Label.NO_FACT) else "?"

    @property
    def masked(self) -> bool:
        """Whether the sentence takes no part in training."""
        return self.weight == 0 and not self.rest

    @property
    def training(self) -> str:
        """What trains, in words: `masked`, `trains, weight 0.5`; empty where nothing trains yet."""
        if self.masked or self.weight is None:
            return "masked" if self.masked else ""
        if self.rest is None:
            return "trains" if self.weight == 1 else f"trains, weight {self.weight:g}"
        words = _in_words(self.weight, "wrong words train", "wrong words are masked")
        return f"{words}, {_in_words(self.rest, 'the rest trains', 'the rest is masked')}"

    @property
    def tag(self) -> str:
        """What follows the sentence: `1✓`, `2✗ masked`, `3✓ weight 0.5`, `4✗ words only`."""
        parts = [f"{self.number}{self.symbol}"]  # without a blank, at which a line would break
        if self.masked:
            parts.append("masked")
        elif self.rest is not None:
            parts.append(_weights_of_parts(self.weight or 0.0, self.rest))
        elif self.weight is not None and self.weight != 1:
            parts.append(f"weight {self.weight:g}")
        return " ".join(parts)

    @property
    def description(self) -> str:
        """The verdict on one line: label, who gave it, confidence, reason, rationale."""
        label = f"{self.label} (by a person)" if self.source == "person" else self.label
        return f"{label}: {self.detail}" if self.detail else label


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a text: a marked sentence, or text between marks (`mark` is None)."""

    text: str
    mark: Mark | None = None

    @property
    def segments(self) -> list[tuple[str, bool]]:
        """The text in parts, each with whether it is wrong words; joined, they are the text."""
        found: list[tuple[str, bool]] = []
        position = 0
        at = self.mark.start if self.mark else 0
        for start, end in self.mark.wrong if self.mark else ():
            first, last = start - at, end - at
            found += [(self.text[position:first], False), (self.text[first:last], True)]
            position = last
        return [item for item in (*found, (self.text[position:], False)) if item[0]]


def words_of(label: Label) -> str:
    """A label as a reader sees it: `no hallucination`."""
    return label.value.replace("_", " ")


def kind_of(label: Label) -> Kind:
    """Which of the three ways of marking a label has."""
    if label in CORRECT_LABELS:
        return "correct"
    return "hallucinated" if label in HALLUCINATED_LABELS else "neutral"


def mark_of(label: Label) -> Mark:
    """How a sentence with this label is marked, for a legend."""
    return Mark(start=0, end=0, kind=kind_of(label), label=words_of(label), number=0)


def marks_of(annotation: Annotation) -> list[Mark]:
    """One mark per sentence of an annotation, in order."""
    return marks_of_sentences(annotation.sentences)


def marks_of_sentences(sentences: Sequence[Sentence]) -> list[Mark]:
    """`marks_of` for sentences alone."""
    return [
        Mark(
            start=sentence.start,
            end=sentence.end,
            kind=kind_of(sentence.verdict.label),
            label=words_of(sentence.verdict.label),
            number=number,
            detail=_detail(sentence.verdict),
            source=sentence.verdict.source,
            wrong=tuple(given_places(sentence)),
        )
        for number, sentence in enumerate(sentences, start=1)
    ]


def marks_of_pair_side(text: str, spans: Sequence[Span] | None) -> list[Mark]:
    """One mark per sentence of a side of a pair, also where it is several spans; text that no span
    covers is masked, and marked so.

    Without spans (None) the whole text trains as in stock DPO: there are no marks.
    """
    if spans is None:
        return []
    groups = group_pieces(spans)
    found: list[tuple[int, int, list[Span]]] = [(one[0].start, one[-1].end, one) for one in groups]
    for start, end in gaps(len(text), [(start, end) for start, end, _ in found]):
        if words := trim(text, start, end):
            found.append((*words, []))
    found.sort(key=lambda item: item[0])
    return [
        _mark_of_pieces(text, number, (start, end), pieces)
        for number, (start, end, pieces) in enumerate(found, start=1)
    ]


def _mark_of_pieces(text: str, number: int, place: Offsets, pieces: Sequence[Span]) -> Mark:
    """The mark of a sentence; one without wrong words has the weight of what it is made of."""
    wrong = [piece for piece in pieces if piece.part == "error"]
    rest = [piece.weight for piece in pieces if piece.part != "error"]
    weighed = [piece.weight for piece in wrong] or rest
    words = (trim(text, piece.start, piece.end) for piece in wrong)
    is_unmarked = bool(pieces) and pieces[0].part == "context" and not wrong
    return Mark(
        start=place[0],
        end=place[1],
        kind=kind_of(pieces[0].label) if pieces else "neutral",
        label=words_of(pieces[0].label) if pieces else "no verdict",
        number=number,
        detail="only punctuation is marked as wrong" if is_unmarked else "",
        wrong=tuple(item for item in words if item is not None),
        weight=max(weighed, default=0.0),
        rest=max(rest) if wrong and rest else None,
    )


def cut(text: str, marks: Sequence[Mark]) -> list[Piece]:
    """The text cut at its marks. The pieces, joined, are the text."""
    pieces = [(mark.start, Piece(text=text[mark.start : mark.end], mark=mark)) for mark in marks]
    spans = [(mark.start, mark.end) for mark in marks]
    pieces += [(start, Piece(text=text[start:end])) for start, end in gaps(len(text), spans)]
    return [piece for _, piece in sorted(pieces, key=lambda item: item[0])]


def html_of(
    text: str, marks: Sequence[Mark], *, language: str = "", style: bool = True, anchor: str = ""
) -> str:
    """The marked text as an HTML fragment, escaped; it opens alone and inside a page.

    language  code of the text's language, for screen readers and fonts
    style     put MARK_CSS before it; without, the page has to hold it once
    anchor    each number links to `#ANCHORsNUMBER`, where the page explains the sentence
    """
    lang = f' lang="{escape(language)}"' if language else ""
    body = "".join(_html_piece(piece, anchor) for piece in cut(text, marks))
    head = f"<style>{MARK_CSS}</style>" if style else ""
    return f'{head}<div class="maskdpo-text" dir="auto"{lang}>{body}</div>'


def html_of_verdicts(marks: Sequence[Mark]) -> str:
    """The verdicts as a numbered list, escaped: what each mark means, in words."""
    rows = "".join(
        f'<li value="{mark.number}">{mark.symbol} <b>{escape(mark.label)}</b>'
        f"{escape(mark.description[len(mark.label) :])}</li>"
        for mark in marks
    )
    return f'<ol class="maskdpo-verdicts">{rows}</ol>'


def text_of(text: str, marks: Sequence[Mark], *, colour: bool = False) -> str:
    """The marked text for a terminal: `Mira [[sings]]. [1✗]`; `colour` adds ANSI colours.

    What a terminal would obey in the text itself is printed as '?'.
    """
    return "".join(
        f"\x1b[{_ansi(style)}m{part}\x1b[0m" if colour and style else part
        for part, style in terminal_parts(text, marks)
    )


def lines_of_verdicts(marks: Sequence[Mark]) -> list[str]:
    """One line per mark for a terminal: `1 ✓ no hallucination: confidence 0.90 (lexical)`."""
    return [
        f"{mark.number} {mark.symbol} {one_line(mark.description, _MAX_DETAIL_CHARS)}"
        for mark in marks
    ]


def terminal_parts(text: str, marks: Sequence[Mark]) -> Iterator[tuple[str, str]]:
    """Parts of the marked text, each with the name of its look in `rich` (empty: none)."""
    for piece in cut(text, marks):
        if piece.mark is None:
            yield printable(piece.text), ""
            continue
        colour = _STYLES[piece.mark.kind]
        style = "dim" if piece.mark.masked or piece.mark.rest == 0 else colour
        of_words = f"{'dim' if piece.mark.weight == 0 else colour} underline"
        for words, is_wrong in piece.segments:
            if is_wrong:
                yield f"[[{printable(words)}]]", of_words
            else:
                yield printable(words), style
        yield f" [{piece.mark.tag}]", "dim" if piece.mark.masked else colour


def _html_piece(piece: Piece, anchor: str) -> str:
    mark = piece.mark
    if mark is None:
        return escape(piece.text)
    is_pale = mark.masked or mark.rest == 0
    names = f"maskdpo {mark.kind}{' masked' if is_pale else ''}"
    spoken = f"sentence {mark.number}: {mark.label}{_spoken_weight(mark)}"
    tag = f'<span role="img" aria-label="{escape(spoken)}">{escape(mark.tag)}</span>'
    if anchor:
        tag = f'<a href="#{escape(anchor)}s{mark.number}">{tag}</a>'
    return f'<mark class="{names}">{_with_wrong_words(piece)}<sup>{tag}</sup></mark>'


def _spoken_weight(mark: Mark) -> str:
    if mark.masked or mark.rest is not None:
        return f", {mark.training}"
    return f", trains with weight {mark.weight:g}" if mark.weight is not None else ""


def _with_wrong_words(piece: Piece) -> str:
    """The sentence, escaped, with its wrong words underlined, and pale or not as they train."""
    mark = piece.mark
    look = "" if mark is None or mark.rest is None else " trains" if mark.weight else " masked"
    return "".join(
        f'<span class="wrong{look}">{escape(words)}</span>' if is_wrong else escape(words)
        for words, is_wrong in piece.segments
    )


def _in_words(weight: float, trains: str, masked: str) -> str:
    if not weight:
        return masked
    return trains if weight == 1 else f"{trains} with weight {weight:g}"


def _weights_of_parts(words: float, rest: float) -> str:
    """`words only`, `rest only, weight 0.5`, `words weight 1, rest weight 0.5`."""
    if words and rest:
        return f"words weight {words:g}, rest weight {rest:g}"
    name, weight = ("words", words) if words else ("rest", rest)
    return f"{name} only" if weight == 1 else f"{name} only, weight {weight:g}"


def _ansi(style: str) -> str:
    return ";".join(_ANSI[word] for word in style.split())


def _detail(verdict: Verdict) -> str:
    parts = []
    if verdict.confidence is not None:
        parts.append(f"confidence {verdict.confidence:.2f} ({verdict.confidence_kind})")
    parts += [part for part in (verdict.reason, verdict.rationale) if part]
    parts += [
        f'wrong words "{item.words}" not used ({item.reason.replace("_", " ")})'
        for item in verdict.missing_error_words
        if item.words
    ]
    return ", ".join(parts)
