"""Recognise a file that should hold one JSON object per line and does not, and name a converter.

The rule: advice is given only where the first line shows the format for certain; anything else is
reported row by row.
"""

from __future__ import annotations

from pathlib import Path

_WANTED = "one JSON object per line is needed"
# How a file begins, what it is, and the command that converts it.
_BY_START = (
    (b"[{", "not JSON Lines but a JSON array", "jq -c '.[]' {path} > NEW.jsonl"),
    (b"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {path} > NEW.jsonl"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {path} > NEW.jsonl"),
    (b"PAR1", "a Parquet file", ""),
    (b"PK\x03\x04", "a zip or Excel file", ""),
)


def advise_on_format(path: Path, text: bytes) -> str:
    """One sentence about a file whose first line `text` is not a row.

    '' where nothing is certain.
    """
    start = b"[{" if text.strip() == b"[" else text.strip()
    for begins, what, command in _BY_START:
        if start.startswith(begins):
            convert = f"; convert the file with: {command.format(path=path)}" if command else ""
            return f"{what}; {_WANTED}{convert}"
    if start.startswith(b"{"):
        if start.endswith(b"}") or _has_rows_below(path):
            return ""
        convert = f"jq -c . {path} > NEW.jsonl"
        return f"not valid JSON by itself; {_WANTED}; convert the file with: {convert}"
    head = start.decode("utf-8", "replace")
    is_table = not head.startswith('"{') and max(head.count(mark) for mark in ",;\t") >= 2
    return f"a table (CSV), not JSON; {_WANTED}" if is_table else ""


def encoding_faults(text: bytes) -> list[str]:
    """One sentence for a line that is not UTF-8; '' for any other."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return [
            f"not UTF-8 text (byte 0x{text[error.start]:02x} at {error.start}); save the file as "
            "UTF-8, or convert it with: iconv -f CP1252 -t UTF-8 OLD > NEW"
        ]
    return []


def _has_rows_below(path: Path) -> bool:
    """Whether the second line begins an object: then only the first line is invalid."""
    with path.open("rb") as handle:
        lines = (line.strip() for line in handle)
        second = next((line for index, line in enumerate(filter(None, lines)) if index), b"")
    return second.startswith(b"{")
