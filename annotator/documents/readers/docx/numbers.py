"""The numbers of Word's lists, which are not stored as text.

The rule: a number is what Word shows, so counting follows Word. Lists of one definition
(w:abstractNum) continue each other, even with other text between. A list (w:num) that overrides its
start restarts when it is first used. An item restarts the levels below it. A level that was skipped
counts as used once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from annotator.documents.readers.docx.labels import write_number
from annotator.documents.readers.docx.styles import NumberRef, Styles, find_under, is_on, value_of

BULLET = "-"
_MAX_LEVEL = 8
_PLACE = re.compile("%([1-9])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A level of a list.

    restart     how many levels above restart it: for level 2, 2 means both, 0 means none
    """

    start: int
    style: str
    text: str
    suffix: str
    restart: int
    legal: bool
    hidden: bool
    paragraph_style: str


@dataclass(frozen=True, kw_only=True, slots=True)
class List:
    """A list (w:num): whose numbers it continues, its levels, and where it starts again."""

    definition: str
    levels: Mapping[int, Level]
    overrides: Mapping[int, int]

    def level_of(self, ref: NumberRef) -> int:
        """A level that is linked to the paragraph's style, else the stated one, else the first."""
        linked = {level.paragraph_style: index for index, level in self.levels.items()}
        found = (linked[style] for style in ref.styles if style in linked)
        return next(found, ref.level or 0)

    def start_of(self, index: int) -> int:
        """The first number of a level."""
        level = self.levels.get(index)
        return self.overrides.get(index, level.start if level is not None else 1)


def read_lists(root: Element | None, styles: Styles) -> dict[str, List]:
    """All lists of a file, by the id that paragraphs use."""
    if root is None:
        return {}
    definitions = {item.get("w:abstractNumId", ""): item for item in root.findall("w:abstractNum")}
    nums = {item.get("w:numId", ""): item for item in root.findall("w:num")}
    levels_of = {key: dict(_read_levels(item)) for key, item in definitions.items()}
    lists: dict[str, List] = {}
    for key, num in nums.items():
        definition = _find_definition(num, definitions, nums, styles)
        levels = dict(levels_of.get(definition, {}))
        overrides: dict[int, int] = {}
        for override in num.findall("w:lvlOverride"):
            levels |= dict(_read_levels(override))
            start = value_of(override, "w:startOverride")
            if start:
                overrides[_whole(override.get("w:ilvl", ""), 0)] = _whole(start, 1)
        lists[key] = List(definition=definition, levels=levels, overrides=overrides)
    return lists


class ListCounter:
    """Counts the items of a text, in reading order."""

    def __init__(self, lists: Mapping[str, List]) -> None:
        self._lists = lists
        self._counts: dict[str, dict[int, int]] = {}  # definition -> level -> number
        self._started: set[tuple[str, int]] = set()

    def next_label(self, ref: NumberRef) -> str:
        """The number of the next item with the space that follows it; '' for an unknown list."""
        found = self._lists.get(ref.num_id)
        index = found.level_of(ref) if found is not None else 0
        if found is None or index not in found.levels:
            return ""
        counts = self._counts.setdefault(found.definition, {})
        self._count(found, ref.num_id, index, counts)
        level = found.levels[index]
        if level.hidden:
            return ""
        label = _write_label(found, index, counts)
        tight = level.suffix == "nothing" and label != BULLET
        return label + ("" if tight or not label else " ")

    def _count(self, found: List, num_id: str, index: int, counts: dict[int, int]) -> None:
        for above in range(index):
            counts.setdefault(above, found.start_of(above))
        anew = index in found.overrides and (num_id, index) not in self._started
        self._started.add((num_id, index))
        if anew or index not in counts:
            counts[index] = found.start_of(index)
        else:
            counts[index] += 1
        for below in [key for key in counts if key > index]:
            level = found.levels.get(below)
            if level is None or index < level.restart:
                del counts[below]


def _write_label(found: List, index: int, counts: Mapping[int, int]) -> str:
    level = found.levels[index]
    if level.style == "bullet":
        # Usually a character of a symbol font; words are kept.
        return level.text if len(level.text) > 1 and level.text.isalnum() else BULLET

    def write(match: re.Match[str]) -> str:
        place = int(match.group(1)) - 1
        if place > index:
            return ""
        style = found.levels[place].style if place in found.levels else "decimal"
        return write_number(counts[place], "decimal" if level.legal else style)

    return _PLACE.sub(write, level.text).strip()


def _find_definition(
    num: Element, definitions: Mapping[str, Element], nums: Mapping[str, Element], styles: Styles
) -> str:
    """The definition of a list; where it only names a list style, the definition of that style."""
    key = value_of(num, "w:abstractNumId")
    for _ in range(5):
        link = value_of(definitions.get(key), "w:numStyleLink")
        target = nums.get(styles.num_of_list_style(link)) if link else None
        if target is None:
            return key
        key = value_of(target, "w:abstractNumId")
    return key


def _read_levels(parent: Element) -> Iterator[tuple[int, Level]]:
    for item in parent.findall("w:lvl"):
        index = _whole(item.get("w:ilvl", ""), 0)
        if index > _MAX_LEVEL:
            continue
        restart = _whole(value_of(item, "w:lvlRestart"), index)
        legal = item.find("w:isLgl")
        vanish = find_under(item, "w:rPr", "w:vanish")
        yield (
            index,
            Level(
                start=_whole(value_of(item, "w:start"), 0),
                style=_read_style(item),
                text=value_of(item, "w:lvlText"),
                suffix=value_of(item, "w:suff"),
                restart=min(restart, index),
                legal=legal is not None and is_on(legal.get("w:val")),
                hidden=vanish is not None and is_on(vanish.get("w:val")),
                paragraph_style=value_of(item, "w:pStyle"),
            ),
        )


def _read_style(item: Element) -> str:
    """The number format; a custom one ("001, 002, ...") exists only in Word's newer form."""
    chosen = find_under(item, "mc:AlternateContent", "mc:Choice", "w:numFmt")
    style = item.find("w:numFmt") if chosen is None else chosen
    if style is None:
        return "decimal"
    value = style.get("w:val", "decimal")
    return style.get("w:format", value) if value == "custom" else value


def _whole(value: str, default: int) -> int:
    return int(value) if re.fullmatch("[0-9]{1,9}", value) else default
