"""Cards as text: values are escaped for Markdown, and a later push can find each section.

Two rules. Everything from data or settings is a value, never part of a template, and is escaped on
output unless the program itself made the text (`Trusted`). And people may edit a card: every
section of this program is between two markers, and a comment at the end has the digest of each, so
that an update knows what a person changed.

    ---
    license: cc-by-4.0                      the header, YAML
    ---
    <!-- maskdpo:begin splits -->
    | split | pairs |                       a section
    <!-- maskdpo:end splits -->
    All other text belongs to a person. <!-- maskdpo:state {"header": {"license": "0a1b..."},
    "sections": {"splits": "2c3d..."}} -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from schemas.files import yaml_files
from schemas.hashing import content_key

MAX_NAME_CHARS = 100
MAX_NAMES = 20
DIGEST_CHARS = 12
HINT = "<!-- Written by maskdpo. Edit anywhere: a push keeps your text and updates the rest. -->"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~])")
_BEGIN = re.compile(r"^<!-- maskdpo:begin ([a-z]+) -->\s*$")
_END = "<!-- maskdpo:end {} -->"
_STATE = re.compile(r"^<!-- maskdpo:state (\{.*\}) -->\s*$", re.MULTILINE)
_HEADER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


class Trusted(str):
    """Text that this program made or already escaped; it is written to a card unchanged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A part of a card's body: a section of this program by its name, or (None) a person's text."""

    name: str | None
    text: str


@dataclass(frozen=True, kw_only=True)
class CardState:
    """Digests of the text of this program: header values by key, sections by name."""

    header: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CardText:
    """A parsed card. `state` is None if this program never wrote to it."""

    header: str
    segments: Sequence[Segment]
    state: CardState | None


def render_sections(
    template: Path, names: Sequence[str], values: Mapping[str, Any]
) -> dict[str, str]:
    """The blocks `names` of a template by name; a block that renders empty is left out."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        finalize=escape_markdown,
        autoescape=False,  # the output is Markdown, which `finalize` escapes
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loaded = environment.get_template(template.name)
    context = loaded.new_context(dict(values))
    rendered = {name: "".join(loaded.blocks[name](context)).strip() for name in names}
    return {name: text for name, text in rendered.items() if text}


def compose_card(header: Mapping[str, Any], sections: Mapping[str, str]) -> str:
    """A new card, with the state that a later merge needs."""
    state = CardState(
        header={key: digest(value) for key, value in header.items()},
        sections={name: digest(text) for name, text in sections.items()},
    )
    segments = [Segment(name=name, text=text) for name, text in sections.items()]
    body = [Segment(name=None, text=HINT), *segments]
    return join_card(CardText(header=dump_yaml(header), segments=body, state=state))


def join_card(card: CardText) -> str:
    """The text of a card."""
    parts = []
    for segment in card.segments:
        if segment.name is None:
            parts.append(segment.text)
        else:
            begin = f"<!-- maskdpo:begin {segment.name} -->"
            parts.append(f"{begin}\n{segment.text}\n{_END.format(segment.name)}")
    if card.state is not None:
        state = {"header": dict(card.state.header), "sections": dict(card.state.sections)}
        parts.append(f"<!-- maskdpo:state {json.dumps(state, sort_keys=True)} -->")
    body = "\n\n".join(part for part in parts if part) + "\n"
    # A body that begins with '---' would be read as a header.
    is_headed = bool(card.header) or body.startswith("---")
    return (f"---\n{card.header}---\n\n" if is_headed else "") + body


def split_card(text: str) -> CardText:
    """Parse a card. A marker must be alone on its line; a begin without its end is text."""
    # A lone carriage return also ends a line, and must not merge with a following line feed.
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = _HEADER.match(text)
    header, body = (found[1], text[found.end() :]) if found else ("", text)
    states = list(_STATE.finditer(body))
    state = _read_state(states[-1][1]) if states else None
    lines = _STATE.sub("", body).split("\n")
    segments: list[Segment] = []
    free: list[str] = []
    index = 0
    while index < len(lines):
        begin = _BEGIN.match(lines[index])
        end = _find(lines, _END.format(begin[1]), index) if begin else None
        if begin is None or end is None:
            free.append(lines[index])
            index += 1
            continue
        segments += _free_segment(free)
        free = []
        text = "\n".join(lines[index + 1 : end]).strip()
        segments.append(Segment(name=begin[1], text=text))
        index = end + 1
    return CardText(header=header, segments=[*segments, *_free_segment(free)], state=state)


def digest(value: Any) -> str:
    """A short digest of a header value or of a section's text."""
    if isinstance(value, str):
        return content_key(value.strip())[:DIGEST_CHARS]
    return content_key(json.loads(json.dumps(value, default=str)))[:DIGEST_CHARS]  # YAML has dates


def dump_yaml(values: Mapping[str, Any]) -> str:
    """YAML in the order of the keys, one line per value; '' without values."""
    return yaml_files.dump_yaml(json.loads(json.dumps(dict(values), default=str)))


def escape_markdown(value: object) -> object:
    """The card text for each expression of a template: escaped text, readable counts."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Trusted) or not isinstance(value, str):
        return value
    return _escape(" ".join(value.split()))


def mark_bold(parts: Iterable[tuple[str, bool]]) -> Trusted:
    """One line from parts of a text, escaped, those that are marked in bold.

    A tag, because asterisks next to punctuation or within a word may not be read as bold.
    """
    lines = [(_escape(re.sub(r"\s+", " ", text)), is_bold) for text, is_bold in parts]
    return Trusted("".join(f"<b>{text}</b>" if bold else text for text, bold in lines).strip())


def _escape(line: str) -> str:
    return _MARKDOWN.sub(r"\\\1", escape(line, quote=False))


def code(value: str, max_chars: int = MAX_NAME_CHARS) -> Trusted:
    """A value as a code span that its content cannot end, on one line, also safe in a table."""
    flat = " ".join(value.split()).replace("`", "'").replace("|", "/")
    if not flat:
        return Trusted("not named")
    if len(flat) > max_chars:
        flat = flat[: max_chars - 3] + "..."
    return Trusted(f"`{flat}`")


def is_plain_code(value: str) -> bool:
    """Whether `code` shows a value letter by letter, so that a search for it finds it."""
    return bool(value) and code(value, len(value)) == f"`{value}`"


def section_lines(text: str, name: str) -> range:
    """The lines (from 1) of the section `name` in the text of a card; none where it is not there.

    Counted as `str.splitlines` counts them.
    """
    lines = text.splitlines()
    begin = f"<!-- maskdpo:begin {name} -->"
    first = next((index for index, line in enumerate(lines) if line.rstrip() == begin), None)
    last = _find(lines, _END.format(name), first) if first is not None else None
    return range(first + 2, last + 1) if first is not None and last is not None else range(0)


def counted_names(counted: Mapping[str, int]) -> list[tuple[Trusted, int]]:
    """Names with their counts, most frequent first, at most MAX_NAMES."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    shown = [(code(name), count) for name, count in ordered]
    if len(shown) <= MAX_NAMES:
        return shown
    others = sum(count for _, count in shown[MAX_NAMES:])
    return [*shown[:MAX_NAMES], (Trusted(f"{len(shown) - MAX_NAMES} others"), others)]


def _free_segment(lines: Sequence[str]) -> list[Segment]:
    text = "\n".join(lines).strip("\n")
    return [Segment(name=None, text=text)] if text.strip() else []


def _find(lines: Sequence[str], wanted: str, start: int) -> int | None:
    for index in range(start + 1, len(lines)):
        if lines[index].rstrip() == wanted:
            return index
        if _BEGIN.match(lines[index]):
            return None
    return None


def _read_state(text: str) -> CardState | None:
    """The state, or None when a person has damaged it."""
    try:
        values = json.loads(text)
        return CardState(header=dict(values["header"]), sections=dict(values["sections"]))
    except (ValueError, TypeError, KeyError):
        return None
