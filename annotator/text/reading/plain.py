"""Plain text: the file's characters as they stand."""

from __future__ import annotations

from annotator.text.language import AUTO
from annotator.text.reading.decode import decode
from annotator.text.reading.file_text import FileText, clean


def read_plain(data: bytes, *, encoding: str = AUTO, language: str = AUTO) -> FileText:
    """The text of a .txt file; its line breaks stay. Raises UnreadableError."""
    text, name = decode(data, encoding=encoding, language=language)
    return FileText(text=clean(text), encoding=name)
