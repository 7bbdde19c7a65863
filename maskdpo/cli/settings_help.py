"""The settings of a section as rows of --help, those of the sections in it included.

The rule: a row's name is what follows `--set SECTION.`, so that it can be copied. The description
is one paragraph that ends with the default in brackets.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from schemas.config import Section, section_in

INDENT = "  "


def setting_rows(section: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, description) of each setting; those of a section in it follow it, indented."""
    depth = prefix.count(".")
    for name, field in section.model_fields.items():
        inner = section_in(field.annotation)
        text = describe_setting(field) if inner is None else _describe_group(field)
        yield f"{INDENT * depth}{prefix}{name}", text
        if inner is not None:
            yield from setting_rows(inner, f"{prefix}{name}.")


def describe_setting(field: Any) -> str:
    """What a setting does, the words it can be and its default, as one paragraph."""
    text = " ".join((field.description or "").split())
    choices = list_choices(field.annotation)
    if any(choice not in text for choice in choices):
        text = f"{text.rstrip('.')} (values: {', '.join(choices)})"
    if field.is_required():
        return f"{text} [required]".strip()
    default = show_default(field.get_default(call_default_factory=True))
    if default == "none" and _names_default(text):
        return text
    return f"{text} [{default}]".strip()


def show_default(value: object) -> str:
    """A default as YAML takes it; `none` for what is not set or empty.

    >>> show_default(True), show_default(("a", "b")), show_default(None)
    ('true', 'a, b', 'none')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (int, float, Path)):
        return str(value)
    if isinstance(value, (list, tuple)) and value:
        return ", ".join(map(show_default, value))
    return value if isinstance(value, str) and value else "none"


def list_choices(annotation: Any) -> list[str]:
    """The words that a setting, or an item of it, can be; none where any will do."""
    if get_origin(annotation) is Literal:
        return [value for value in get_args(annotation) if isinstance(value, str)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(item.value) for item in annotation]
    return [choice for part in get_args(annotation) for choice in list_choices(part)]


def _describe_group(field: Any) -> str:
    """A section in a section: its own sentence; a default that is one is in the rows below."""
    text = " ".join((field.description or "").split())
    if field.is_required():
        return f"{text} [required]"
    default = field.get_default(call_default_factory=True)
    return f"{text} [none]" if default is None and not _names_default(text) else text


def _names_default(text: str) -> bool:
    """Whether a description gives the default itself: in brackets at its end, or in words."""
    return text.endswith("]") or "default:" in text.lower() or "Without it" in text
