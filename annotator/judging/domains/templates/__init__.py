"""The files that `maskdpo domain new` writes: a commented domain in English, and one in Chinese."""

from __future__ import annotations

from pathlib import Path

from annotator.judging.domains.domain import check_name
from annotator.judging.protocols.prompts import fill
from schemas.errors import ConfigError
from schemas.text.language_codes import AUTO, check_code

_HERE = Path(__file__).parent


def new_domain(name: str, *, language: str = AUTO) -> str:
    """The YAML of a new domain that works unchanged, with comments that say what to change.

    In Chinese where `language` is. Raises ConfigError for a name that is not a valid file name, or
    a language that is not a valid code.
    """
    try:
        check_name(name)
        check_code(language)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    wording = "zh" if language.split("-")[0].lower() == "zh" else "en"
    template = (_HERE / f"{wording}.yaml").read_text(encoding="utf-8")
    return fill(template, {"name": name, "language": language})
