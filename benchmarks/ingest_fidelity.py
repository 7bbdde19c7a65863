"""Measures what ingest keeps of a document: planted facts that come out right, changed or lost.

    python benchmarks/ingest_fidelity.py
    python benchmarks/ingest_fidelity.py --format html --show
    python benchmarks/ingest_fidelity.py --seed 7 --write made

The documents are generated here, with numbers from the seed. Each contains planted facts: numbers,
units, comparisons, headings, list marks, table values, whole sentences. Every reader's text is
judged by the same patterns. A fact is `changed` when the text states something else in its place,
`lost` when it states neither. Peers that are not installed are skipped with the command that adds
them.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest_documents import Document, Fact
from ingest_documents_docx import make_docx_documents
from ingest_documents_html import make_html_documents
from ingest_documents_markdown import make_markdown_documents, make_text_documents
from ingest_documents_pdf import make_pdf_documents

MAKERS: dict[str, Callable[[int], list[Document]]] = {
    "html": make_html_documents,
    "md": make_markdown_documents,
    "txt": make_text_documents,
    "pdf": make_pdf_documents,
    "docx": make_docx_documents,
}
FORMATS = tuple(MAKERS)
OUTCOMES = ("right", "changed", "lost")
MAX_CHARS = 1_000_000
_HYPHEN_END = re.compile(r"(?<=\w)-[ \t]*\r?\n[ \t]*(?=\w)")
_CELL_ENDS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader returns for a file: its text and fields (None: it has none), or an error."""

    text: str = ""
    fields: Mapping[str, str] | None = None
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader by name: the formats it reads, and what to install for it."""

    name: str
    formats: Sequence[str]
    read: Callable[[Document], Reading]
    install: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One reader on one format."""

    format_name: str
    reader: str
    documents: int
    outcomes: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Counts planted facts that a reader keeps, changes or loses, as peers do.",
        epilog="Prints a table and, as its last line, one JSON object. Exits with 1 if our "
        "reader changed or lost a fact. Examples: --format pdf --show; --seed 7; --write made",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the numbers planted [0]")
    parser.add_argument(
        "--format", choices=FORMATS, nargs="+", default=list(FORMATS), help="formats [all]"
    )
    parser.add_argument("--show", action="store_true", help="print each fact changed or lost")
    parser.add_argument("--ours-only", action="store_true", help="run no peers")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="write the generated documents there"
    )
    arguments = parser.parse_args()
    documents = make_documents(arguments.seed, arguments.format)
    if arguments.write:
        write_documents(documents, arguments.write)
    readers = [READERS[0]] if arguments.ours_only else find_installed(READERS)
    rows = []
    for format_name in arguments.format:
        chosen = [document for document in documents if document.format_name == format_name]
        for reader in readers:
            rows.append(measure(reader, format_name, chosen, show=arguments.show))
            print(describe(rows[-1]))
    for reader in readers:
        total = add_up(reader.name, rows)
        rows.append(total)
        print(describe(total))
    result = {
        "benchmark": "ingest_fidelity",
        "seed": arguments.seed,
        "rows": [as_json(row) for row in rows],
    }
    print(json.dumps(result))
    ours = next(row for row in rows if row.reader == "ours" and row.format_name == "all")
    sys.exit(1 if ours.outcomes["changed"] or ours.outcomes["lost"] else 0)


def make_documents(seed: int, formats: Sequence[str] = FORMATS) -> list[Document]:
    """The generated documents of these formats; the same seed gives the same bytes."""
    return [document for name in formats for document in MAKERS[name](seed)]


def measure(
    reader: Reader, format_name: str, documents: Sequence[Document], *, show: bool = False
) -> Row:
    """One reader on the documents of one format."""
    row = Row(format_name=format_name, reader=reader.name, documents=len(documents))
    if format_name not in reader.formats:
        return row
    for document in documents:
        reading = reader.read(document)
        for fact in document.facts:
            outcome = judge(fact, reading)
            row.outcomes[outcome] += 1
            if show and outcome != "right":
                where = reading.failure or excerpt(fact, reading)
                print(f"  {reader.name} {document.name} {outcome}: {fact.states}\n      {where}")
    return row


def judge(fact: Fact, reading: Reading) -> str:
    """'right', 'changed' or 'lost'."""
    if reading.failure:
        return "lost"
    if fact.scope == "field" and reading.fields and reading.fields.get(fact.label):
        stated = f"{fact.label}: {reading.fields[fact.label]}"
        return "right" if fact.must.search(stated) else "changed"
    if fact.scope == "line":
        texts = [flatten(line) for line in reading.text.splitlines()]
    elif fact.scope == "cell":
        return judge_cell(fact, reading.text)
    else:
        texts = [flatten(reading.text)]
    if any(form.search(text) for form in fact.never for text in texts):
        return "changed"
    return "right" if any(fact.must.search(text) for text in texts) else "lost"


def judge_cell(fact: Fact, text: str) -> str:
    """A value is right in a row with its label and, if cells are marked, under its heading."""
    lines = text.splitlines()
    of_label = [index for index, line in enumerate(lines) if holds(fact.label, line)]
    rows = [index for index in of_label if fact.must.search(flatten(lines[index]))]
    if any(form.search(flatten(lines[index])) for index in of_label for form in fact.never):
        return "changed"
    if not rows:
        return "lost"
    if not fact.column:
        return "right"
    return "right" if any(under_heading(fact, lines, row) for row in rows) else "changed"


def under_heading(fact: Fact, lines: Sequence[str], row: int) -> bool:
    """Whether the value is in a cell of its column; true for rows without marked cells."""
    if holds(fact.column, lines[row]):
        return True
    cells = split_cells(lines[row])
    places = {index for index, text in enumerate(cells) if fact.must.search(text)}
    if len(cells) < 2:
        return True
    for line in reversed(lines[:row]):
        if holds(fact.column, line):
            heads = split_cells(line)
            if len(heads) < 2:
                continue
            return any(index in places for index, text in enumerate(heads) if fact.column in text)
    return False


def split_cells(line: str) -> list[str]:
    """The cells of a line with `|` or tabs between them."""
    parts = _CELL_ENDS.split(line.strip()) if "|" in line else line.split("\t")
    if "|" in line and len(parts) > 2 and line.strip().startswith("|"):
        parts = parts[1:]
    return [flatten(part) for part in parts]


def holds(words: str, line: str) -> bool:
    """Whether a line contains the words, not inside longer words."""
    return bool(re.search(rf"(?<!\w){re.escape(words)}(?!\w)", flatten(line)))


def flatten(text: str) -> str:
    """The text with single spaces as white space; a line that ends in a hyphen is joined."""
    text = _HYPHEN_END.sub("-\u2060", text.replace("\xad", ""))  # no reader shows soft hyphens
    return " ".join(text.split())


def excerpt(fact: Fact, reading: Reading, width: int = 160) -> str:
    """The text about where a fact would be, for people to look at."""
    flat = flatten(reading.text)
    for form in fact.never:
        if match := form.search(flat):
            return repr(flat[max(match.start() - 40, 0) : match.end() + 40])
    words = re.findall(r"[A-Za-z\u4e00-\u9fff]{2,}", f"{fact.label} {fact.states.split(': ')[-1]}")
    for word in sorted(words, key=len, reverse=True):
        if word in flat:
            at = flat.index(word)
            return repr(flat[max(at - width // 2, 0) : at + width // 2])
    return repr(flat[:width])


def read_ours(document: Document) -> Reading:
    from annotator.documents.readers.file_text import UnreadableError
    from annotator.documents.readers.read import read_bytes

    try:
        found = read_bytes(document.data, format_name=document.format_name, max_chars=MAX_CHARS)
    except UnreadableError as error:
        return Reading(failure=f"unreadable: {error}")
    names = ("title", "topic", "language", "source", "license")
    return Reading(text=found.text, fields={name: getattr(found, name) for name in names})


def read_markitdown(document: Document) -> Reading:
    from markitdown import MarkItDown, StreamInfo

    ending = f".{document.format_name}"
    found = MarkItDown().convert_stream(
        io.BytesIO(document.data), stream_info=StreamInfo(extension=ending, charset="utf-8")
    )
    return Reading(text=found.text_content)


def read_trafilatura(document: Document) -> Reading:
    import trafilatura

    found = trafilatura.extract(
        document.data.decode(), output_format="markdown", include_formatting=True, favor_recall=True
    )
    return Reading(text=found) if found else Reading(failure="no text was extracted")


def read_pypdfium2(document: Document) -> Reading:
    import pypdfium2

    pdf = pypdfium2.PdfDocument(document.data)
    pages = [pdf[index].get_textpage().get_text_range() for index in range(len(pdf))]
    # U+FFFE is this reader's character for a hyphen at a line end.
    text = "\n\n".join(pages).replace("\ufffe", "-\n")
    return Reading(text=text)


def read_mammoth(document: Document) -> Reading:
    import mammoth

    return Reading(text=mammoth.extract_raw_text(io.BytesIO(document.data)).value)


READERS = (
    Reader(name="ours", formats=FORMATS, read=read_ours),
    Reader(
        name="markitdown",
        formats=FORMATS,
        read=read_markitdown,
        install="markitdown[docx,pdf]",
    ),
    Reader(
        name="trafilatura",
        formats=("html",),
        read=read_trafilatura,
        install="trafilatura lxml_html_clean",
    ),
    Reader(name="pypdfium2", formats=("pdf",), read=read_pypdfium2, install="pypdfium2"),
    Reader(name="mammoth", formats=("docx",), read=read_mammoth, install="mammoth"),
)


def find_installed(readers: Sequence[Reader]) -> list[Reader]:
    """The readers that can be imported, and a sentence for each other one."""
    found = []
    for reader in readers:
        try:
            if reader.install:
                __import__(reader.name)
        except ImportError as error:
            print(
                f"{reader.name} is skipped: it cannot be imported ({str(error).splitlines()[0]}); "
                f"to compare with it: pip install {reader.install}"
            )
            continue
        found.append(reader)
    return found


def add_up(reader: str, rows: Sequence[Row]) -> Row:
    """One reader on the formats that it reads."""
    read = [row for row in rows if row.reader == reader and row.outcomes]
    outcomes: Counter[str] = Counter()
    for row in read:
        outcomes.update(row.outcomes)
    return Row(
        format_name="all",
        reader=reader,
        documents=sum(row.documents for row in read),
        outcomes=outcomes,
    )


def describe(row: Row) -> str:
    """A line of the table; `-` if a reader does not read a format."""
    planted = sum(row.outcomes.values())
    counts = [f"{name} {row.outcomes[name] if planted else '-':>4}" for name in OUTCOMES]
    return (
        f"{row.format_name:>5} {row.reader:>12}: documents {row.documents:>3}, "
        f"planted {planted or '-':>4}: {', '.join(counts)}"
    )


def as_json(row: Row) -> dict[str, Any]:
    """A row for the last line."""
    planted = sum(row.outcomes.values())
    counts = {name: row.outcomes[name] if planted else None for name in OUTCOMES}
    return {
        "format": row.format_name,
        "reader": row.reader,
        "documents": row.documents,
        "planted": planted or None,
        **counts,
    }


def write_documents(documents: Sequence[Document], folder: Path) -> None:
    """The documents as files, with their facts next to them."""
    folder.mkdir(parents=True, exist_ok=True)
    for document in documents:
        path = folder / f"{document.name}.{document.format_name}"
        path.write_bytes(document.data)
        states = "".join(f"{fact.states}\n" for fact in document.facts)
        path.with_name(f"{path.name}.facts").write_text(states, encoding="utf-8")


if __name__ == "__main__":
    main()
