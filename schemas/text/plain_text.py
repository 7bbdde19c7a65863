"""Text as it is compared when one looks for traces of it: its letters and digits.

The rule: the same words are equal however they are spaced, quoted, escaped or written large.
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
