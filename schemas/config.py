"""The base of every config section: unknown keys are refused with the nearest known one.

Each room owns its section and `maskdpo.config` composes them into one run config, so that a
setting is described, checked and defaulted in exactly one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import ConfigError
from schemas.validation import describe_errors


class Section(BaseModel):
    """A frozen group of settings. Build it with `parse` where the values come from a user."""

    # Attribute docstrings are the settings' descriptions in every verb's --help.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str) -> Self:
        """Checked settings, or a ConfigError that names `where`, the key and what is allowed."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            lines = [f"{where}: {text}" for text in describe_errors(error, cls)]
            raise ConfigError("\n".join(lines)) from None
