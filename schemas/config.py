"""The base of every config section: unknown keys are refused with the nearest known one.

Each package owns its section and `maskdpo.config` composes them into one run config, so that a
setting is described, checked and defaulted in exactly one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from schemas.errors import ConfigError
from schemas.secret_values import ADVICE, find_keys
from schemas.validation import describe_errors, first_model

# What YAML 1.1 read as a boolean, and pydantic still would.
_OLD_BOOLEANS = frozenset("y yes n no on off".split())


class Section(BaseModel):
    """A frozen group of settings, none of which is an API key.

    Build it with `parse` from a user's values.
    """

    # Attribute docstrings are the settings' descriptions in every command's --help.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    FORMER_NAMES: ClassVar[Mapping[str, str]] = {}
    """Map of former names to present ones: a config file may use either, but not both."""

    TRUE_FOR_DEFAULTS: ClassVar[frozenset[str]] = frozenset()
    """Settings with a section that is off by default: true is the section with its defaults."""

    @model_validator(mode="before")
    @classmethod
    def _former_names_are_read(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        present = {cls.FORMER_NAMES.get(key, key): value for key, value in values.items()}
        if len(present) < len(values):
            both = next(name for name in cls.FORMER_NAMES if name in values)
            raise ValueError(given_twice(both, cls.FORMER_NAMES[both]))
        return present

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_a_section(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name in cls.TRUE_FOR_DEFAULTS:
            return {} if value else None
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _holds_no_key(cls, value: Any, info: ValidationInfo) -> Any:
        """Settings go into sidecars, stores and error messages: they must not contain an API
        key."""
        if isinstance(value, Mapping) and first_model(
            cls.model_fields[str(info.field_name)].annotation
        ):
            return value  # a separate section, which checks itself
        for place in find_keys(value, (str(info.field_name),)):
            inside = f" at {'.'.join(place[1:])}" if place[1:] else ""
            raise ValueError(f"holds what looks like a key{inside}; {ADVICE}")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _booleans_are_true_or_false(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value.lower() in _OLD_BOOLEANS:
            annotation = cls.model_fields[str(info.field_name)].annotation
            kinds = {annotation, *get_args(annotation)}
            if bool in kinds and str not in kinds:
                raise ValueError(f"{value!r} is text in YAML 1.2; write true or false")
        return value

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str) -> Self:
        """Checked settings, or a ConfigError that names `where`, the key and what is allowed."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            lines = [f"{where}: {text}" for text in describe_errors(error, cls)]
            raise ConfigError("\n".join(lines)) from None


def given_twice(former: str, present: str) -> str:
    """The error message for a setting that is given under both of its names."""
    return f"{former!r} is the former name of {present!r}; give {present!r} alone"


def section_in(annotation: Any) -> type[Section] | None:
    """The section that a setting of this type holds, such as `llm`.

    None where it holds a value, or sections by names of the user.
    """
    if get_origin(annotation) is dict:
        return None
    found = first_model(annotation)
    return found if found is not None and issubclass(found, Section) else None
