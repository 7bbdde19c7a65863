"""The judge's prompts: YAML files, one per language, and the code that checks and fills them.

The rule: content (documents, questions, responses) is put into a user message between our tags, in
one pass over the template, and cannot contain such a tag itself. A text that closes a tag, pretends
to be the next message or gives orders is therefore only quoted content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from annotator.text.neutral import neutralise
from schemas.config import Section
from schemas.errors import nearest
from schemas.hashing import content_key
from schemas.secret_values import ADVICE, holds_key

LANGUAGES = ("en", "zh")
SHARED_PROMPTS = Path(__file__).parent
# The text that asks for the wrong words, and where it is: apart from the shared prompts, so that
# their fingerprint stays as it is.
WRONG_WORDS = "wrong_words"
WRONG_WORDS_PROMPTS = SHARED_PROMPTS.parent / "wrong_words"
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placeholders:
    """The placeholders of one text: required ones, and optional ones."""

    needed: Set[str] = frozenset()
    allowed: Set[str] = frozenset()

    def fault(self, name: str, text: str) -> str | None:
        """The fault in the placeholders of `text`, the prompt `name`; None without a fault."""
        found = set(_PLACEHOLDER.findall(text))
        unknown = sorted(found - self.needed - self.allowed)
        if unknown:
            known = ", ".join(sorted(self.needed | self.allowed)) or "none"
            return f"{name} has the placeholder {unknown[0]!r}; allowed: {known}"
        missing = sorted(self.needed - found)
        return f"{name} lacks the placeholder {{{{{missing[0]}}}}}" if missing else None


# Of the texts that all protocols share. A protocol's own: `JudgingProtocol.texts`.
_SHARED_TEXTS = {
    "system": Placeholders(allowed={"guidance"}),
    "prefix": Placeholders(needed={"documents"}, allowed={"question", "response"}),
    "repair": Placeholders(needed={"fault"}),
}
# How a mistake is described to the model: see `faults` in en.yaml.
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
    """The wording of one language. An empty `system` sends no system message.

    The texts with which protocols ask are further keys, read with `text`: the table of protocols
    says which are required (`load_prompts` checks it).
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str] = Field(init=False)

    version: int = Field(ge=1)
    system: str
    prefix: str
    repair: str
    faults: dict[str, str]

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Self:
        for name, placeholders in _SHARED_TEXTS.items():
            fault = placeholders.fault(name, getattr(self, name))
            if fault:
                raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _requests_hold_no_key(self) -> Self:
        for name, text in self.__pydantic_extra__.items():
            if holds_key(text):
                raise ValueError(f"{name}: holds what looks like a key; {ADVICE}")
        return self

    @field_validator("faults")
    @classmethod
    def _faults_are_known(cls, faults: dict[str, str]) -> dict[str, str]:
        for name, text in faults.items():
            if name not in FAULTS:
                raise ValueError(f"{name!r} is not a fault; {nearest(name, list(FAULTS))}")
            unknown = sorted(set(_PLACEHOLDER.findall(text)) - _FAULT_PLACEHOLDERS)
            if unknown:
                raise ValueError(
                    f"{name} has the placeholder {unknown[0]!r}; allowed: detail, quote"
                )
        return faults

    def text(self, name: str) -> str:
        """The text `name` of a protocol."""
        return self.__pydantic_extra__[name]

    @property
    def asks_spans(self) -> bool:
        """Whether the requests of verdicts ask for the wrong words, too (`ask_spans`)."""
        return WRONG_WORDS in self.__pydantic_extra__

    def request(self, name: str) -> str:
        """The text `name` of a protocol, with the request for the wrong words behind it."""
        parts = [self.text(name), *([self.text(WRONG_WORDS)] if self.asks_spans else [])]
        return "\n".join(parts)

    @property
    def requests(self) -> tuple[str, ...]:
        """The texts that ask for a reply and describe its form."""
        return tuple(self.__pydantic_extra__.values())

    @property
    def corrections(self) -> tuple[str, ...]:
        """The texts that ask for a repair."""
        return (self.repair, *self.faults.values())

    @property
    def sha256(self) -> str:
        """The digest that goes into fingerprints and sidecars."""
        return content_key(self.model_dump())


def wording_language(language: str) -> Literal["en", "zh"]:
    """The language of the prompts for texts of `language`, as `zh`, `ZH`, `zh_CN` or `zh-Hant`."""
    return "zh" if re.split("[-_]", language.strip().lower())[0] in _CHINESE else "en"


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with its {{placeholders}} replaced, in one pass: inserted values are not searched
    again.

    A placeholder without a value is replaced by an empty text.
    """
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), template)


def wrap(tag: str, text: str, number: int | None = None) -> str:
    """`text` as delimited content; `number` distinguishes one such element from the next."""
    name = tag if number is None else f'{tag} id="{number}"'
    return f"<{name}>\n{neutralise(text)}\n</{tag}>"
