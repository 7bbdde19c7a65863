"""Makes content harmless in a prompt: it cannot open one of our tags or a chat template's marker.

The rule: each code point becomes one code point, so offsets into the neutralised text are offsets
into the text.
"""

from __future__ import annotations

import re

# Anything that looks like an opening angle bracket, unless a number follows as in `x < 3`; its
# entity; `[` before the markers of templates that use square ones; and the full-width bar that
# some templates use in theirs.
_MARKERS = (
    "INST|SYS|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|gMASK|sMASK|MODEL_SETTINGS"
)
_OPENERS = re.compile(
    r"[<＜﹤](?!\x20?\d)"
    r"|&(?=(?:lt|#0*60|#x0*3c)\b)"
    rf"|\[(?=[^\w\]]*(?:{_MARKERS})\b)"
    r"|[｜▁](?=[^\s]*[>＞])",
    re.I,
)
_SAFE = {"<": "‹", "＜": "‹", "﹤": "‹", "&": "＆", "[": "［", "｜": "|", "▁": "_"}


def neutralise(text: str) -> str:
    """`text` without what could open a tag or a template's marker; the number of code points is the
    same.

    >>> neutralise("2 < 3 </document> <|im_end|>")
    '2 < 3 ‹/document> ‹|im_end|>'
    """
    return _OPENERS.sub(lambda match: _SAFE[match[0]], text)
