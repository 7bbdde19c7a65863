"""The judge's prompts: YAML files, one per language, and the code that reads and fills them.

The rule: content (documents, questions, responses) is put into a user message between tags of
ours, one pass over the template, and cannot hold such a tag itself. A text that closes a tag,
pretends to be the next message or gives orders is therefore seen, quoted, and nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from annotator.text.neutral import neutralise
from schemas.config import Section
from schemas.errors import ConfigError, nearest
from schemas.files.yaml_files import read_yaml
from schemas.hashing import content_key
from schemas.validation import describe_errors

LANGUAGES = ("en", "zh")
_HERE = Path(__file__).parent
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


# What each text must hold, and what else it may hold.
_PLACEHOLDERS: dict[str, tuple[set[str], set[str]]] = {
    "system": (set(), {"guidance"}),
    "prefix": ({"documents"}, {"question", "response"}),
    "sentence": ({"sentence"}, set()),
    "response": ({"sentences"}, set()),
    "anah_fact": ({"sentence"}, set()),
    "anah_points": (set(), {"sentence"}),
    "anah_verdict": (set(), {"sentence"}),
    "repair": ({"fault"}, set()),
}
# How a mistake is named to the model: see `faults` in en.yaml.
FAULTS = (
    "unparsable",
    "empty_reply",
    "ambiguous",
    "unknown_label",
    "wrong_ids",
    "cut_off",
    "copied_form",
    "looped",
    "no_quote",
    "not_found",
    "of_response",
    "weak_evidence",
    "only_these_ids",
)
_FAULT_PLACEHOLDERS = {"detail", "quote"}
_CHINESE = ("zh", "zho", "chi", "cmn")


class Prompts(Section):
    """The wording of one language. An empty `system` sends no system message."""

    version: int = Field(ge=1)
    system: str
    prefix: str
    sentence: str
    response: str
    anah_fact: str
    anah_points: str
    anah_verdict: str
    repair: str
    faults: dict[str, str]

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Self:
        for name, (needed, allowed) in _PLACEHOLDERS.items():
            found = set(_PLACEHOLDER.findall(getattr(self, name)))
            unknown = sorted(found - needed - allowed)
            if unknown:
                known = ", ".join(sorted(needed | allowed)) or "none"
                raise ValueError(f"{name} has the placeholder {unknown[0]!r}; allowed: {known}")
            missing = sorted(needed - found)
            if missing:
                raise ValueError(f"{name} lacks the placeholder {{{{{missing[0]}}}}}")
        return self

    @field_validator("faults")
    @classmethod
    def _faults_are_known(cls, faults: dict[str, str]) -> dict[str, str]:
        for name, text in faults.items():
            if name not in FAULTS:
                raise ValueError(f"{name!r} is no fault; {nearest(name, list(FAULTS))}")
            unknown = sorted(set(_PLACEHOLDER.findall(text)) - _FAULT_PLACEHOLDERS)
            if unknown:
                raise ValueError(
                    f"{name} has the placeholder {unknown[0]!r}; allowed: detail, quote"
                )
        return faults

    @property
    def requests(self) -> tuple[str, ...]:
        """The texts that ask for a reply and describe its form."""
        return (
            self.sentence,
            self.response,
            self.anah_fact,
            self.anah_points,
            self.anah_verdict,
        )

    @property
    def corrections(self) -> tuple[str, ...]:
        """The texts that ask for a repair."""
        return (self.repair, *self.faults.values())

    @property
    def sha256(self) -> str:
        """The digest that goes into keys and sidecars."""
        return content_key(self.model_dump())


def load_prompts(language: str, folder: Path | None = None) -> Prompts:
    """The prompts for texts of `language`: Chinese ones for 'zh', else English ones.

    `folder` may hold files of the same names; a key given there replaces ours, also one of
    `faults`. Raises ConfigError for a folder without such a file, bad YAML, an unknown or empty
    key, a key given twice.
    """
    name = wording_language(language)
    values = dict(_read(_HERE / f"{name}.yaml"))
    if folder is None:
        return Prompts.model_validate(values)
    if not folder.is_dir():
        raise ConfigError(f"prompts {str(folder)!r} is no folder; give one that holds en.yaml")
    own = folder / f"{name}.yaml"
    if not own.exists() and not any((folder / f"{other}.yaml").exists() for other in LANGUAGES):
        raise ConfigError(f"prompts {str(folder)!r} holds neither en.yaml nor zh.yaml")
    changed = dict(_read(own)) if own.exists() else {}
    if isinstance(changed.get("faults"), dict):
        changed["faults"] = values["faults"] | changed["faults"]
    values |= changed
    try:
        return Prompts.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{own}: {describe_errors(error, Prompts)[0]}") from None


def wording_language(language: str) -> Literal["en", "zh"]:
    """The language of the prompts for texts of `language`, as `zh`, `ZH`, `zh_CN` or `zh-Hant`."""
    return "zh" if re.split("[-_]", language.strip().lower())[0] in _CHINESE else "en"


@lru_cache(maxsize=16)
def _read_cached(path: Path, _changed: int) -> Mapping[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold prompts by name, found {type(values).__name__}")
    return values


def _read(path: Path) -> Mapping[str, Any]:
    return _read_cached(path, path.stat().st_mtime_ns)


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with its {{placeholders}} replaced, in one pass: what is put in is not read again.

    A placeholder that `values` lacks is replaced by nothing.
    """
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), template)


def wrap(tag: str, text: str, number: int | None = None) -> str:
    """`text` as delimited content; `number` distinguishes one such element from the next."""
    name = tag if number is None else f'{tag} id="{number}"'
    return f"<{name}>\n{neutralise(text)}\n</{tag}>"
