"""How results look: as text in a terminal, as HTML in a notebook.

The rule: all that comes from a model or a document is data; it is escaped before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from maskdpo.show.marks import (
    MARK_CSS,
    html_of,
    html_of_verdicts,
    lines_of_verdicts,
    marks_of,
    marks_of_pair_side,
    text_of,
)
from schemas.records import Pair, Span
from schemas.text.terminal import one_line

if TYPE_CHECKING:
    from maskdpo.api.results import JudgedResponse

MAX_PAIRS_SHOWN = 10
_MAX_QUOTE = 300  # characters
# Notebooks align cells to the right and keep them on one line.
_CELL = "text-align: left; vertical-align: top; white-space: normal; line-height: 1.6"


def text_of_response(response: JudgedResponse) -> str:
    """The marked text, one line per verdict, and the evidence below its verdict."""
    marks = marks_of(response.record)
    lines = [text_of(response.text, marks), ""]
    for line, sentence in zip(lines_of_verdicts(marks), response.sentences, strict=True):
        lines.append(line)
        lines += [
            f"    {one_line(quote.document_id, 40)}: {_quoted(quote.text)}"
            for quote in sentence.evidence
        ]
    return "\n".join(lines)


def html_of_response(response: JudgedResponse) -> str:
    """The same for a notebook."""
    marks = marks_of(response.record)
    parts = [html_of(response.text, marks, language=response.record.language)]
    parts.append(html_of_verdicts(marks))
    evidence = [
        f"<li>{number}: <i>{escape(quote.document_id)}</i> {escape(_quoted(quote.text))}</li>"
        for number, sentence in enumerate(response.sentences, start=1)
        for quote in sentence.evidence
    ]
    if evidence:
        listed = f"<ul>{''.join(evidence)}</ul>"
        parts.append(f"<details><summary>Evidence</summary>{listed}</details>")
    return _block("".join(parts))


def text_of_pairs(pairs: Sequence[Pair]) -> str:
    """The first pairs: question, both sides with their marks."""
    blocks = []
    for pair in pairs[:MAX_PAIRS_SHOWN]:
        sides = [
            f"{name}: {text_of(text, marks_of_pair_side(text, spans))}"
            for name, text, spans in _sides(pair)
        ]
        blocks.append("\n".join([f"question: {one_line(pair.prompt[-1].content, 200)}", *sides]))
    return "\n\n".join([*blocks, *_note_on_rest(pairs)])


def html_of_pairs(pairs: Sequence[Pair], summary: str) -> str:
    """The same for a notebook, both sides of a pair side by side."""
    rows = []
    for pair in pairs[:MAX_PAIRS_SHOWN]:
        cells = "".join(
            f'<td style="{_CELL}">'
            f"{html_of(text, marks_of_pair_side(text, spans), style=False)}</td>"
            for _, text, spans in _sides(pair)
        )
        question = escape(one_line(pair.prompt[-1].content, 200))
        rows.append(
            f'<tr><th colspan="2" style="text-align: left">{question}</th></tr><tr>{cells}</tr>'
        )
    head = "<tr><th>chosen</th><th>rejected</th></tr>"
    notes = "".join(f"<p>{escape(line)}</p>" for line in (summary, *_note_on_rest(pairs)))
    table = f"<table>{head}{''.join(rows)}</table>" if rows else ""
    return _block(f"<style>{MARK_CSS}</style>{table}{notes}")


def _sides(pair: Pair) -> Iterator[tuple[str, str, Sequence[Span] | None]]:
    yield "chosen", pair.chosen[0].content, pair.chosen_spans
    yield "rejected", pair.rejected[0].content, pair.rejected_spans


def _note_on_rest(pairs: Sequence[Pair]) -> list[str]:
    left = len(pairs) - MAX_PAIRS_SHOWN
    return [f"and {left:,} more pairs"] if left > 0 else []


def _quoted(text: str | None) -> str:
    return f'"{one_line(text, _MAX_QUOTE)}"' if text is not None else "(document not given)"


def _block(inside: str) -> str:
    return f'<div class="maskdpo-result">{inside}</div>'
