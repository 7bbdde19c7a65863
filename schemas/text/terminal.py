"""Text from data or from a server, as it may be printed to a terminal.

The rule: a terminal interprets some characters (escape sequences, control characters, bidirectional
overrides), and none of them reaches it: each is printed as '?'.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` without what a terminal would interpret; line ends stay, other white space is a blank.

    >>> printable("red \\x1b[31m")
    'red ?[31m'
    """
    return "".join(map(_printable, text))


def one_line(text: str, max_chars: int) -> str:
    """`text` on one line of at most `max_chars`, without what a terminal would interpret.

    >>> one_line("a\\n\\x1b[31mred", 20)
    'a ?[31mred'
    """
    line = printable(" ".join(text.split()))
    return line if len(line) <= max_chars else line[: max_chars - 3] + "..."


def _printable(letter: str) -> str:
    if letter == "\n" or letter.isprintable():
        return letter
    return " " if letter.isspace() else "?"
