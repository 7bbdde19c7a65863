"""Plain text: the file's characters unchanged, without front matter."""

from __future__ import annotations

from annotator.documents.readers.decode import decode
from annotator.documents.readers.file_text import FileText, clean
from annotator.documents.readers.front_matter import count_unread, split_front_matter
from schemas.text.language_codes import AUTO


def read_plain(data: bytes, *, encoding: str = AUTO, language: str = AUTO) -> FileText:
    """The text of a .txt file; its line breaks stay. Raises UnreadableError."""
    text, name = decode(data, encoding=encoding, language=language)
    fields, body = split_front_matter(text, plain=True)
    return FileText(
        text=clean(body),
        title=fields["title"],
        topic=fields["topic"],
        language=fields["language"],
        source=fields["source"],
        license=fields["license"],
        encoding=name,
        not_read=count_unread(text, plain=True),
    )
