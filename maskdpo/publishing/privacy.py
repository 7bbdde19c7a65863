"""What must not be published in a card or manifest: keys, paths, hosts and users of this machine.

The rule: a push that would publish one of these stops before anything is sent, and reports the
place. The text of this program has none by construction (`dataset_builder.pairs.public_name`); this
is the check.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import socket
from collections.abc import Container, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from schemas.errors import Fault
from schemas.secret_values import hide_keys, holds_key
from schemas.validation import show_value

MIN_NAME_CHARS = 3
# Names that identify no one and are words of ordinary texts.
COMMON_NAMES = frozenset(
    "admin app dev docker home localhost main node model root runner server test train ubuntu user "
    "worker".split()
)
_ROOTS = (
    "data|etc|export|gpfs|home|lustre|media|mnt|nfs|opt|private|project|projects|root|run|scratch|"
    "srv|storage|tmp|usr|Users|var|Volumes|work|workspace"
)
_PATTERNS = {
    "a path of this machine": re.compile(
        rf"(?<![\w./:<-])/(?:{_ROOTS})/[^\s\"'`<>|)]+|(?<![\w/])~/[^\s\"'`<>|)]+|\bfile://\S+"
        r"|(?<!\w)[A-Za-z]:\\+\w[^\s\"'`<>|)]*|\\\\\w+\\\w+"
    ),
    "a host of a private network": re.compile(
        r"\blocalhost:\d+|\b(?:127|10)(?:\.\d{1,3}){3}\b|\b192\.168(?:\.\d{1,3}){2}\b"
        r"|\b172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}\b|\b[\w-]+\.(?:local|internal|lan)\b"
    ),
}


def text_faults(
    name: str, text: str, *, allowed: frozenset[str], data_lines: Container[int] = ()
) -> list[Fault]:
    """Texts that name this machine, line by line.

    allowed      names that are public anyway
    data_lines   lines (from 1) that quote the data: one of their words may equal a name of this
                 machine or its user without naming it
    """
    return [
        Fault(path=name, line=number, message=_message(what, value))
        for number, line in enumerate(text.splitlines(), start=1)
        for what, value in (_find_any(line) if number in data_lines else _find(line, allowed))
    ]


def holds_private(text: str) -> bool:
    """Whether a text holds a key, a path or a host, on whatever machine it is read."""
    return any(True for _ in _find_any(text))


def json_faults(name: str, value: Any, *, allowed: frozenset[str]) -> list[Fault]:
    """The same for the keys and strings of a JSON value, each with its place."""
    return [
        Fault(path=name, line=None, message=f"{place}: {_message(what, found)}")
        for place, text in _strings(value, "")
        for what, found in _find(text, allowed)
    ]


def _message(what: str, value: str) -> str:
    return f"names {what}, {show_value(value)}; nothing was sent: remove it and push again"


def _find_any(text: str) -> Iterator[tuple[str, str]]:
    if holds_key(text):
        yield "a key", hide_keys(text)
    for what, pattern in _PATTERNS.items():
        for match in pattern.finditer(text):
            yield what, match[0]


def _find(text: str, allowed: frozenset[str]) -> Iterator[tuple[str, str]]:
    yield from _find_any(text)
    for what, name in _own_names():
        if name.lower() in allowed:
            continue
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE):
            yield what, name


def _own_names() -> Iterator[tuple[str, str]]:
    names = [("this machine's host name", socket.gethostname())]
    with contextlib.suppress(KeyError, OSError):  # a user of a container without a name
        names.append(("this machine's user", getpass.getuser()))
    for what, name in names:
        is_plain = name.lower() in COMMON_NAMES or name.lower() in _words_of_cards()
        if len(name) >= MIN_NAME_CHARS and not is_plain:
            yield what, name


@lru_cache(maxsize=1)
def _words_of_cards() -> frozenset[str]:
    """Words that are in every card: they do not reveal a machine named `dpo` or a user `may`."""
    templates = Path(__file__).parent / "templates"
    texts = [path.read_text(encoding="utf-8") for path in sorted(templates.iterdir())]
    return frozenset(re.findall(r"[a-z0-9]+", " ".join(texts).lower()))


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            inside = f"{place}.{key}" if place else str(key)
            yield inside, str(key)
            yield from _strings(item, inside)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{place}[{index}]")
