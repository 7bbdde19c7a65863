"""Front matter: the YAML block between "---" lines at the top of a Markdown or text file.

The rule: values are text as typed. `no` is a language and `007` a title, so no value becomes a
boolean, a number or a date; and a block that is not front matter stays in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from annotator.documents.readers.file_text import field_text
from schemas.files.yaml_files import YamlFault, parse_yaml_texts

_BREAK = r"(?:\r\n|\r|\n)"
_BLOCK = re.compile(
    rf"---[ \t]*{_BREAK}(.{{0,65536}}?){_BREAK}(?:---|\.\.\.)[ \t]*(?:{_BREAK}|\Z)", re.DOTALL
)
# Our fields, and their names in front matter.
_KEYS = {
    "title": ("title",),
    "topic": ("topic",),
    "language": ("language", "lang"),
    "source": ("source", "url", "canonical_url"),
    "license": ("license", "licence"),
}
_KNOWN = frozenset(name for names in _KEYS.values() for name in names)
_KEY_OF_A_PROGRAM = re.compile(
    r"[a-z][\w.-]*"
)  # such as layout and sidebar_position; not "Warning"
_LINE = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*:(?:[ \t]+(.*))?")
_CONTINUED = re.compile(r"[ \t#]|-(?:[ \t]|\Z)|\Z")  # of a line: it belongs to the key above
_QUOTED = re.compile(r"""(["'])(.*)\1""")


def split_front_matter(text: str, *, plain: bool = False) -> tuple[dict[str, str], str]:
    """The known fields of front matter ('' where it has none), and the rest of the file.

    A block without a key of front matter stays in the text: a warning between two rules is not
    front matter. In a `plain` text file one of our fields is needed.
    """
    match, values = _find_block(text, plain=plain)
    if match is None:
        return dict.fromkeys(_KEYS, ""), text
    return {field: _first_of(values, names) for field, names in _KEYS.items()}, text[match.end() :]


def count_unread(text: str, *, plain: bool = False) -> dict[str, int]:
    """The parts of front matter that no document gets, for `FileText.not_read`.

    front_matter_fields         fields of other names
    front_matter_lists          known fields that hold a list or keys instead of one text
    front_matter_left_in_text   1 where a block with a known field is not closed or not YAML
    """
    match, values = _find_block(text, plain=plain)
    counts = {
        "front_matter_fields": sum(key.lower() not in _KNOWN for key in values),
        "front_matter_lists": _count_lists(match[1]) if match and "" in values.values() else 0,
        "front_matter_left_in_text": int(match is None and _looks_like_ours(text)),
    }
    return {kind: count for kind, count in counts.items() if count}


def _find_block(text: str, *, plain: bool) -> tuple[re.Match[str] | None, dict[str, str]]:
    match = _BLOCK.match(text)
    values = _read_values(match[1]) if match else {}
    names = [key.lower() for key in values]
    known = not _KNOWN.isdisjoint(names)
    programs = not plain and all(_KEY_OF_A_PROGRAM.fullmatch(key) for key in values)
    if match is None or not values or not (known or programs):
        return None, {}
    return match, values


def _read_values(block: str) -> dict[str, str]:
    """The values of a YAML mapping as typed, '' for a list or mapping.

    {} where it is not a mapping.
    """
    try:
        loaded = parse_yaml_texts(block)
    except YamlFault:
        return _read_lines(block)
    if not isinstance(loaded, dict):
        return {}
    return {str(key): field_text(value) for key, value in loaded.items()}


def _count_lists(block: str) -> int:
    """Known fields whose value is a list or a mapping."""
    try:
        loaded = parse_yaml_texts(block)
    except YamlFault:
        return 0
    return sum(
        isinstance(value, (list, dict)) and str(key).lower() in _KNOWN
        for key, value in (loaded.items() if isinstance(loaded, dict) else ())
    )


def _looks_like_ours(text: str) -> bool:
    """Whether a file begins with '---' and, right below, lines with a known field."""
    first, *lines = text[:2_000].splitlines() or [""]
    if first.rstrip() != "---":
        return False
    for line in lines:
        match = _LINE.fullmatch(line)
        if match and match[1].lower() in _KNOWN:
            return True
        if not match and not _CONTINUED.match(line):
            return False
    return False


def _read_lines(block: str) -> dict[str, str]:
    """ "key: value" lines that are not YAML, such as `title: Salt: a history`; {} for others."""
    values: dict[str, str] = {}
    for line in block.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            value = (match[2] or "").strip()
            quoted = _QUOTED.fullmatch(value)
            values.setdefault(match[1], field_text(quoted[2] if quoted else value))
        elif not _CONTINUED.match(line) or not values:
            return {}
    return values


def _first_of(values: Mapping[str, str], names: Sequence[str]) -> str:
    stated: dict[str, str] = {}
    for key, value in values.items():
        stated.setdefault(key.lower(), value)
    return next((stated[name] for name in names if stated.get(name)), "")
