"""Hints for a mistyped --set, and for settings that were given as options.

The rule: a hint is a complete command line that works, and is given only if a setting has exactly
or nearly that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from maskdpo.config_sections import SECTION_NAMES, section_model
from schemas.config import Section, section_in
from schemas.validation import show_value

MAX_HINTS = 3


def known_settings(section: str) -> list[str]:
    """Dotted paths of a section's settings, including those of sections inside it."""
    return list(_walk(section_model(section), section))


def find_settings(name: str, first: str = "") -> list[str]:
    """Settings of any section whose path ends with `name`; those of section `first` come first."""
    wanted = name.lower().replace("-", "_")
    sections = sorted(SECTION_NAMES, key=lambda section: section != first)
    return [
        path
        for section in sections
        for path in known_settings(section)
        if path.endswith(f".{wanted}")
    ]


def hint_for_override(target: str, value: str) -> str:
    """A hint for a wrong `target` of --set: '; did you mean sample.num_responses=16?' or ''."""
    found = find_settings(target)
    if not found:
        return ""
    shown = [f"{path}={_shown(value)}" for path in found[:MAX_HINTS]]
    return f"; did you mean {' or '.join(shown)}?"


def hint_for_option(option: str, value: str, section: str) -> str:
    """For an unknown option of a command: the --set of the setting with that name; '' for none."""
    name = option.lstrip("-").replace("-", "_")
    own = known_settings(section) if section else []
    found = [path for path in own if path.endswith(f".{name}")] or find_settings(name)
    given = _shown(value) or "VALUE"
    if found:
        path = min(found, key=lambda path: path.count("."))
        return f"; it is a setting: --set {path}={given}"
    near = get_close_matches(f"{section}.{name}", own, n=1, cutoff=0.8)
    return f"; did you mean --set {near[0]}={given}?" if near else ""


def _shown(value: str) -> str:
    """A value in a command line; hidden if it looks like a key."""
    shown = show_value(value)
    return value if shown == repr(value) else shown.strip("'")


def _walk(model: type[Section], place: str) -> Iterator[str]:
    inner: list[tuple[type[Section], str]] = []
    for name, field in model.model_fields.items():
        yield f"{place}.{name}"
        nested = section_in(field.annotation)
        if nested is not None:
            inner.append((nested, f"{place}.{name}"))
    for nested, path in inner:
        yield from _walk(nested, path)


def blame(place: Sequence[str], overrides: Sequence[str]) -> str:
    """The override that gave the value at `place` (section, key, ...); '' if the file did."""
    for override in reversed(overrides):
        keys = override.partition("=")[0].strip().split(".")
        shared = min(len(keys), len(place))
        if list(place[:shared]) == keys[:shared] and shared > 1:
            return override
    return ""
