"""Markdown: rendered to HTML by a CommonMark parser and read as a page, without its front matter.

The rule: one renderer. Everything that a Markdown file and a page have in common (lists, tables,
code) gives the same text, and HTML inside Markdown is not a special case. Where CommonMark itself
would change what was typed, `markdown_rules` differs from it.
"""

from __future__ import annotations

from annotator.documents.readers.decode import decode
from annotator.documents.readers.file_text import FileText, clean
from annotator.documents.readers.front_matter import count_unread, split_front_matter
from annotator.documents.readers.html import count_struck, render_markup
from annotator.documents.readers.markdown_rules import make_parser
from schemas.text.language_codes import AUTO


def read_markdown(data: bytes, *, encoding: str = AUTO, language: str = AUTO) -> FileText:
    """The text of a Markdown file; title, topic, language, source and licence of its front matter.

    Without a title there, the only first-level heading is the title. Raises UnreadableError.
    """
    markup, name = decode(data, encoding=encoding, language=language)
    fields, body = split_front_matter(markup)
    page = make_parser().render(body)
    text, heading = render_markup(page)
    return FileText(
        text=clean(text),
        title=fields["title"] or heading,
        topic=fields["topic"],
        language=fields["language"],
        source=fields["source"],
        license=fields["license"],
        encoding=name,
        not_read=count_unread(markup) | count_struck(page),
    )
