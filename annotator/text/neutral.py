"""Content made harmless for a prompt: it cannot open a tag of ours or a chat template's marker.

The rule: one code point for one, so offsets into the neutralised text are offsets into the text.
"""

from __future__ import annotations

import re

# A bracket before a tag or marker, also of full width or with invisible space behind it; and
# `[` before the markers of Llama 2's template.
_OPENERS = re.compile(
    r"[<＜](?=[\s\u200b-\u200f\u2060\ufeff]*[/|!?\w<＜])|\[(?=/?(?:INST|SYS)\b)", re.I
)
_SAFE = {"<": "‹", "＜": "‹", "[": "［"}


def neutralise(text: str) -> str:
    """`text` without what could open a tag or a template's marker; as many code points as before.

    >>> neutralise("2 < 3 </document> <|im_end|>")
    '2 ‹ 3 ‹/document> ‹|im_end|>'
    """
    return _OPENERS.sub(lambda match: _SAFE[match[0]], text)
