"""What is shown on a terminal: marked texts, verdicts in words, evidence in the documents' words.

The rule: every text of data goes through `printable`, and nothing of it is read as markup. The
same lines come out of a pipe, without colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from maskdpo.show.evidence import Citation, Citations
from maskdpo.show.marks import (
    Mark,
    lines_of_verdicts,
    marks_of,
    marks_of_pair_side,
    terminal_parts,
)
from maskdpo.show.sources import Shown
from maskdpo.show.summary import note_on, summarise
from schemas.error_spans import group_pieces
from schemas.records import Annotation, Document, Pair, Span
from schemas.text.terminal import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NO_SPANS = "no spans: all of it trains (stock DPO)"
_MIN_COLUMNS_WIDTH = 88  # narrower terminals show the two sides of a pair one below the other
_MAX_LINE_CHARS = 300
_UNKNOWN_WIDTH = 80


def print_rows(rows: Sequence[Shown], documents: Mapping[str, Document]) -> None:
    """Print rows for a person to read; `documents` by id, for the words of the evidence."""
    console = _console()
    for number, row in enumerate(rows, start=1):
        record = row.record
        console.print()
        _say(console, _title(f"{number} of {len(rows)}", record.id))
        _say(console, _facts(row))
        _say(console, _labelled("question", record.prompt[-1].content))
        console.print()
        if isinstance(record, Pair):
            _print_pair(console, record)
            continue
        if note := note_on(record):
            console.print(f"({note})")
        marks = marks_of(record) if isinstance(record, Annotation) else []
        _say(console, _marked(record.text, marks))
        if isinstance(record, Annotation):
            _print_verdicts(console, record, marks, documents)


def _console() -> Console:
    """A console on standard output; a letter that its encoding lacks is printed as '?'."""
    import sys

    from rich.console import Console

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False, emoji=False)
    if console.width < 1:  # a terminal that reports no size, or COLUMNS=0: nothing would be printed
        console.width = _UNKNOWN_WIDTH
    return console


def _title(place: str, identifier: str) -> Text:
    from rich.text import Text

    return Text.assemble((place, "bold"), "  ", (one_line(identifier, 80), "bold"))


def _facts(row: Shown) -> Text:
    """Topic, model, score and the like, on one line."""
    from rich.text import Text

    record = row.record
    parts = [f"topic {record.topic}" if record.topic else "", record.language]
    if isinstance(record, Pair):
        parts += [record.policy, f"judge {record.judge}" if record.judge else "", row.split]
    else:
        parts.append(record.model)
    if isinstance(record, Annotation):
        parts.append(summarise(record))
    return Text(" · ".join(one_line(part, 80) for part in parts if part), style="dim")


def _labelled(name: str, text: str) -> Text:
    from rich.text import Text

    return Text.assemble((f"{name}: ", "dim"), printable(text.strip()))


def _marked(text: str, marks: Sequence[Mark]) -> Text:
    from rich.text import Text

    return Text.assemble(*terminal_parts(text, marks))


def _print_verdicts(
    console: Console,
    annotation: Annotation,
    marks: Sequence[Mark],
    documents: Mapping[str, Document],
) -> None:
    """A line per sentence, what it cites below it, then the documents by their numbers."""
    citations = Citations([annotation], documents)
    console.print()
    for mark, line, sentence in zip(
        marks, lines_of_verdicts(marks), annotation.sentences, strict=True
    ):
        _line(console, line, 2, "bold" if mark.kind == "hallucinated" else "")
        if mark.wrong:
            _line(console, _wrong_words(annotation.text, mark), 6)
        for citation in citations.of(sentence.verdict):
            _line(console, _describe(citation), 6)
        for quote in sentence.verdict.missing_quotes:
            missing = f'in no document: "{one_line(quote, _MAX_LINE_CHARS)}"'
            _line(console, missing, 6)
    cited = [item for item in citations.documents.values() if item.places]
    for item in cited:
        _line(console, f"D{item.number} is {one_line(item.name, 120)}", 2, "dim")
    if uncited := len(citations.documents) - len(cited):
        line = f"{uncited} document{'s' if uncited > 1 else ''} of this response not cited"
        _line(console, line, 2, "dim")


def _describe(citation: Citation) -> str:
    if not citation.quote.strip():
        return f"{citation.label} characters {citation.start:,} to {citation.end:,}"
    return f'{citation.label} "{one_line(citation.quote, _MAX_LINE_CHARS)}"'


def _say(console: Console, text: Text, indent: int = 0) -> None:
    """Print a text wrapped to the terminal, all lines indented, without spaces at their ends."""
    from rich.text import Text

    for line in text.wrap(console, max(console.width - indent, 20)):
        line.rstrip()
        console.print(Text(" " * indent).append_text(line) if line.plain else "", soft_wrap=True)


def _line(console: Console, line: str, indent: int, style: str = "") -> None:
    from rich.text import Text

    _say(console, Text(printable(line), style=style), indent)


def _print_pair(console: Console, pair: Pair) -> None:
    """Chosen and rejected side by side where the terminal is wide enough."""
    from rich.table import Table

    sides = [
        ("chosen", pair.chosen[0].content, pair.chosen_spans, pair.chosen_score),
        ("rejected", pair.rejected[0].content, pair.rejected_spans, pair.rejected_score),
    ]
    titles = [_side_title(name, spans, score) for name, _, spans, score in sides]
    texts = [_side(text, spans) for _, text, spans, _ in sides]
    if console.width < _MIN_COLUMNS_WIDTH:
        for title, text in zip(titles, texts, strict=True):
            for part in (title, text):
                _say(console, part)
            console.print()
        return
    table = Table(expand=True, show_lines=False)
    for title in titles:
        table.add_column(title, ratio=1)
    table.add_row(*texts)
    console.print(table)


def _side_title(name: str, spans: Sequence[Span] | None, score: float | None) -> Text:
    from rich.text import Text

    parts = [f"score {score:.2f}"] if score is not None else []
    if spans is None:
        parts.append(NO_SPANS)
    else:
        sentences = group_pieces(spans)
        active = sum(any(piece.weight > 0 for piece in pieces) for pieces in sentences)
        parts.append(f"{active} of {len(sentences)} sentences train")
    return Text.assemble((name, "bold"), f" ({', '.join(parts)})")


def _side(text: str, spans: Sequence[Span] | None) -> Text:
    """The marked text of one side, then a line per sentence."""
    from rich.text import Text

    marks = marks_of_pair_side(text, spans)
    shown = _marked(text, marks)
    for line in _side_lines(text, marks):
        shown.append(f"\n{line}", style="dim")
    return shown if shown.plain else Text("(empty)")


def _side_lines(text: str, marks: Sequence[Mark]) -> Iterator[str]:
    if marks:
        yield ""
    for mark in marks:
        detail = f"; {mark.detail}" if mark.detail else ""
        yield f"{mark.number} {mark.symbol} {mark.label}: {mark.training}{detail}"
        if mark.wrong:
            yield f"  {_wrong_words(text, mark)}"


def _wrong_words(text: str, mark: Mark) -> str:
    words = "; ".join(f'"{text[start:end]}"' for start, end in mark.wrong)
    return f"wrong words: {one_line(words, _MAX_LINE_CHARS)}"
