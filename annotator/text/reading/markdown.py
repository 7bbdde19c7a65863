"""Markdown: rendered to HTML by a CommonMark parser and read as a page, front matter apart.

The rule: one renderer. Whatever a Markdown file and a page have in common (lists, tables, code)
comes out the same, and HTML inside Markdown is no special case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from annotator.text.language import AUTO
from annotator.text.reading.decode import decode
from annotator.text.reading.file_text import FileText, clean, one_line
from annotator.text.reading.html import render_markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(
    r"---[ \t]*\r?\n(.{0,65536}?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
# Our fields, and what front matter calls them.
_KEYS = {
    "title": ("title",),
    "topic": ("topic",),
    "language": ("language", "lang"),
    "source": ("source", "url", "canonical_url"),
    "license": ("license", "licence"),
}


def read_markdown(data: bytes, *, encoding: str = AUTO, language: str = AUTO) -> FileText:
    """The text of a Markdown file; title, topic, language, source and licence of its front matter.

    Without a title there, the only first-level heading is the title. Raises UnreadableError.
    """
    markup, name = decode(data, encoding=encoding, language=language)
    fields, body = split_front_matter(markup)
    text, heading = render_markup(_parser().render(body))
    return FileText(
        text=clean(text),
        title=fields["title"] or heading,
        topic=fields["topic"],
        language=fields["language"],
        source=fields["source"],
        license=fields["license"],
        encoding=name,
    )


def split_front_matter(markup: str) -> tuple[dict[str, str], str]:
    """The known fields of YAML front matter ('' where it has none), and the rest of the file.

    What is no YAML mapping is no front matter, and stays.
    """
    nothing = dict.fromkeys(_KEYS, "")
    match = _FRONT_MATTER.match(markup)
    if match is None:
        return nothing, markup
    try:
        values = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date such as 2020-13-45
        return nothing, markup
    if not isinstance(values, dict):
        return nothing, markup
    return {field: _first_of(values, names) for field, names in _KEYS.items()}, markup[
        match.end() :
    ]


def _first_of(values: Mapping[Any, Any], names: Sequence[str]) -> str:
    stated = {str(key).lower(): one_line(value) for key, value in values.items()}
    return next((stated[name] for name in names if stated.get(name)), "")


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from markdown_it.common.utils import escapeHtml
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.footnote import footnote_plugin

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    # Without these a footnote of one word is a link's target, and emphasis bends formulas.
    parser.use(footnote_plugin).use(dollarmath_plugin)

    def keep_formula(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
        token = tokens[index]
        mark = "$" if token.type == "math_inline" else "$$"
        formula = f"{mark}{escapeHtml(token.content)}{mark}"
        return formula if mark == "$" else f"<p>{formula}</p>"

    for kind in ("math_inline", "math_inline_double", "math_block", "math_block_label"):
        parser.add_render_rule(kind, keep_formula)
    return parser
