"""Which reader reads which file."""

from __future__ import annotations

from pathlib import PurePath

from annotator.documents.readers.docx.reader import read_docx
from annotator.documents.readers.file_text import FileText, UnreadableError
from annotator.documents.readers.html import read_html
from annotator.documents.readers.markdown import read_markdown
from annotator.documents.readers.pdf.reader import read_pdf
from annotator.documents.readers.plain import read_plain
from schemas.text.language_codes import AUTO

FORMAT_OF_SUFFIX = {
    ".txt": "txt",
    ".text": "txt",
    ".md": "md",
    ".markdown": "md",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
}


def find_format(name: str) -> str | None:
    """'txt', 'md', 'html', 'pdf' or 'docx'; None for a file name with an unsupported ending."""
    return FORMAT_OF_SUFFIX.get(PurePath(name).suffix.lower())


def read_bytes(
    data: bytes, *, format_name: str, max_chars: int, encoding: str = AUTO, language: str = AUTO
) -> FileText:
    """The text of a file of that format. Raises UnreadableError."""
    if format_name == "pdf":
        text = read_pdf(data, max_chars=max_chars)
    elif format_name == "docx":
        text = read_docx(data, max_chars=max_chars)
    elif format_name == "html":
        text = read_html(data, encoding=encoding, language=language)
    elif format_name == "md":
        text = read_markdown(data, encoding=encoding, language=language)
    else:
        text = read_plain(data, encoding=encoding, language=language)
    if len(text.text) > max_chars:
        raise UnreadableError("too_large", f"it holds more than {max_chars:,} characters")
    return text
