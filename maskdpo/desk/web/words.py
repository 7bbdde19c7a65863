"""The words of the interface: one YAML file per page and language, `words/LANGUAGE/PAGE.yaml`.

The rule: both languages have the same keys with the same placeholders; this is checked at the
start, and a key that does not exist is an error, never an empty place on a page.

A key begins with the name of its file: `reading.next: Next sentence`. A text with a count may have
two forms, chosen by `count`:

    list.found:
      one: "{count} sentence"
      other: "{count} sentences"
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from schemas.errors import ConfigError
from schemas.files.yaml_files import parse_yaml

LANGUAGES = {"en": "English", "zh": "中文"}
Text = str | Mapping[str, str]
Texts = Mapping[str, Text]


@dataclass(frozen=True, slots=True)
class Translate:
    """`t` of the templates: `t("list.found", count=3)`. Whole numbers get thousands separators."""

    lang: str
    texts: Texts

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of `key`. Raises KeyError for an unknown key or a missing value."""
        text = self.texts[key]
        if not isinstance(text, str):
            text = text["one" if values.get("count") == 1 else "other"]
        return text.format_map({name: _shown(value) for name, value in values.items()})

    def has(self, key: str) -> bool:
        """Whether there is a text for `key`."""
        return key in self.texts


def _shown(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value


@cache
def load_words() -> Mapping[str, Translate]:
    """The words of each language. Raises ConfigError where the languages differ."""
    folder = files("maskdpo.desk.web") / "words"
    texts = {lang: read_texts(folder / lang) for lang in LANGUAGES}
    check_texts(texts)
    return {lang: Translate(lang, found) for lang, found in texts.items()}


def read_texts(folder: Traversable | Path) -> dict[str, Text]:
    """All texts of one language."""
    found: dict[str, Text] = {}
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".yaml"):
            found.update(_read_file(file))
    return found


def _read_file(file: Traversable | Path) -> dict[str, Text]:
    page = file.name.removesuffix(".yaml")
    values = parse_yaml(file.read_text(encoding="utf-8"))
    for key, text in values.items():
        forms = text.values() if isinstance(text, dict) else [text]
        if not key.startswith(f"{page}.") or not all(isinstance(form, str) for form in forms):
            raise ConfigError(f"{file}: {key!r} must begin with '{page}.' and be a text")
        if isinstance(text, dict) and set(text) != {"one", "other"}:
            raise ConfigError(f"{file}: {key!r} must have the forms 'one' and 'other'")
    return dict(values)


def check_texts(texts: Mapping[str, Texts]) -> None:
    """Raises ConfigError, with all differences between the languages."""
    faults = list(_differences(texts))
    if faults:
        raise ConfigError("words of the review desk: " + "; ".join(faults))


def _differences(texts: Mapping[str, Texts]) -> Iterator[str]:
    everywhere = {key for found in texts.values() for key in found}
    for key in sorted(everywhere):
        missing = [lang for lang, found in texts.items() if key not in found]
        if missing:
            yield f"{key} is missing in {', '.join(missing)}"
        elif len({frozenset(placeholders(found[key])) for found in texts.values()}) > 1:
            yield f"{key} has different placeholders"


def placeholders(text: Text) -> set[str]:
    """The names in braces, of all forms."""
    forms = [text] if isinstance(text, str) else text.values()
    parsed = [part for form in forms for part in string.Formatter().parse(form)]
    return {name for _, name, _, _ in parsed if name is not None}
