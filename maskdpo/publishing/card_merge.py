"""Merging the new card with the existing one, so that no text of a person is lost.

The rule, for header values and for sections: the existing card records (in its state comment) what
this program wrote last time. What is unchanged belongs to the program and is replaced; what was
changed belongs to a person and is kept; what is missing was removed by a person and is not added
again. Without such a comment the whole existing card belongs to a person, and the new one is added
to it. Only three parts are always updated: `configs` and `dataset_info`, entry by entry, because
`load_dataset` uses them to read the files; and the example, which quotes the data: a forgotten
response must not stay in a card because a person changed a word next to it. And a card without a
licence does not remove an existing licence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskdpo.publishing.markdown import HINT, CardState, CardText, Segment, digest, dump_yaml
from schemas.errors import InputError
from schemas.files.yaml_files import YamlFault, parse_yaml

LOADING_KEYS = ("configs", "dataset_info")  # lists of entries that have a `config_name`
EXAMPLE = "example"  # the section that quotes the data
_KEY = re.compile(r"^(?:[A-Za-z_][\w.-]*|\"[^\"]+\"|'[^']+')\s*:")


@dataclass(frozen=True, kw_only=True)
class MergedCard:
    """The card to push, and the parts of the existing card that were kept instead of new ones."""

    card: CardText
    kept: Sequence[str]


def merge_cards(ours: CardText, theirs: CardText | None) -> MergedCard:
    """`ours` merged into the existing card (None: no card). Raises InputError for bad YAML."""
    if theirs is None:
        return MergedCard(card=ours, kept=[])
    header, kept_keys = _merge_header(ours.header, theirs)
    segments, kept_sections = _merge_segments(ours, theirs)
    card = CardText(header=header, segments=segments, state=ours.state or theirs.state)
    return MergedCard(card=card, kept=[*kept_keys, *kept_sections])


def read_header(text: str, *, where: str) -> dict[str, Any]:
    """The values of a card's header. Raises InputError that names `where`."""
    try:
        values = parse_yaml(text) if text else {}
    except YamlFault as fault:
        message = (
            f"the header between the '---' lines is not valid YAML ({fault.problem}); correct it "
            "by hand"
        )
        line = fault.line + 1 if fault.line else None  # after the first '---'
        raise InputError.of(where, message, line=line) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError.of(
            where, "the header between the '---' lines must have the form 'key: value'"
        )
    return {str(key): value for key, value in values.items()}


def _merge_header(ours: str, theirs: CardText) -> tuple[str, list[str]]:
    """The merged YAML text: unchanged lines of the existing card keep their form and comments."""
    mine = read_header(ours, where="our README.md")
    found = read_header(theirs.header, where="README.md on the Hub")
    base = theirs.state.header if theirs.state else {}
    merged: dict[str, Any] = {}
    kept = []
    for key in dict.fromkeys([*found, *mine]):
        value, is_kept = _merge_value(key, mine, found, base)
        if value is not None:
            merged[key] = value
        if is_kept:
            kept.append(f"header {key!r}")
    return _write_header(merged, found, theirs.header), kept


def _merge_value(
    key: str, mine: Mapping[str, Any], found: Mapping[str, Any], base: Mapping[str, str]
) -> tuple[Any, bool]:
    """The value of one key (None: no such key), and whether a person's value was kept."""
    if key in LOADING_KEYS and key in mine:
        return _merge_entries(mine[key], found.get(key)), False
    if key not in found:
        return (None, True) if key in base else (mine[key], False)
    if key not in base:
        value = _unite(found[key], mine.get(key))
        return value, key in mine and value != mine[key]
    if digest(found[key]) == base[key]:
        return mine.get(key, found[key] if key == "license" else None), False
    return found[key], found[key] != mine.get(key)


def _merge_entries(mine: Sequence[Mapping[str, Any]], found: Any) -> list[Any]:
    """Our configurations, then those that a person added under other names."""
    names = {entry["config_name"] for entry in mine}
    others = [
        entry
        for entry in (found if isinstance(found, list) else [])
        if isinstance(entry, dict) and entry.get("config_name") not in names
    ]
    return [*mine, *others]


def _unite(found: Any, mine: Any) -> Any:
    if isinstance(found, list) and isinstance(mine, list):
        return [*found, *(item for item in mine if item not in found)]
    return found


def _write_header(merged: Mapping[str, Any], found: Mapping[str, Any], text: str) -> str:
    chunks = _chunks(text)
    # Flow style, anchors, unusual keys: only the values are compared.
    if list(chunks) != list(found):
        return dump_yaml(merged)
    kept = "".join(
        chunks[key] if key in found and found[key] == value else dump_yaml({key: value})
        for key, value in merged.items()
    )
    try:
        is_sound = (parse_yaml(kept) or {}) == merged
    except YamlFault:
        is_sound = False  # a value referred to a line that was removed
    return kept if is_sound else dump_yaml(merged)


def _chunks(text: str) -> dict[str, str]:
    """The lines of each top-level key, with the comments above it."""
    chunks: dict[str, str] = {}
    current, pending = "", ""
    for line in text.splitlines(keepends=True):
        if _KEY.match(line):
            current = line.split(":", 1)[0].strip().strip("\"'")
            chunks[current] = pending + line
            pending = ""
        elif line.startswith("#") or not current:
            pending += line
        else:
            chunks[current] += pending + line
            pending = ""
    if current:
        chunks[current] += pending
    return chunks


def _merge_segments(ours: CardText, theirs: CardText) -> tuple[list[Segment], list[str]]:
    base = theirs.state or CardState()
    mine = {segment.name: segment.text for segment in ours.segments if segment.name}
    segments: list[Segment] = []
    kept: list[str] = []
    for segment in theirs.segments:
        name = segment.name
        is_ours = name == EXAMPLE or base.sections.get(name or "") == digest(segment.text)
        if name is None or not is_ours:
            segments.append(segment)
            if name in mine and mine[name] != segment.text:
                kept.append(f"section {name!r}")
        elif name in mine:
            segments.append(Segment(name=name, text=mine[name]))
    present = {segment.name for segment in segments if segment.name}
    gone = [name for name in mine if name in base.sections and name not in present]
    kept += [f"section {name!r} (removed)" for name in gone]
    _insert_new(segments, ours, skip={*present, *gone}, is_ours=theirs.state is not None)
    return segments, kept


def _insert_new(segments: list[Segment], ours: CardText, *, skip: set[str], is_ours: bool) -> None:
    """Insert what only our card has after the same section as there; else at the end."""
    texts = [segment.text for segment in segments if segment.name is None]
    place = None
    for segment in ours.segments:
        if segment.name in skip:
            found = [index for index, item in enumerate(segments) if item.name == segment.name]
            place = found[-1] + 1 if found else place
            continue
        if segment.name is None and (
            any(segment.text in text for text in texts) or (is_ours and segment.text == HINT)
        ):
            continue
        place = len(segments) if place is None else place
        segments.insert(place, segment)
        place += 1
