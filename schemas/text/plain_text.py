"""Text in the form in which traces of it are searched for: its letters and digits.

The rule: the same words are equal whatever their spacing, quotes, escapes or capitals.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """Letters and digits only, in lower case.

    >>> plain('She said: "No."')
    'shesaidno'
    """
    return "".join(_WORD.findall(text.casefold()))
