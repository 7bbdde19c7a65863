"""The judge that a caller of the Python API names, as the settings that `annotate` takes.

The rule: a wrong setting is one sentence that names it, raised before any call is made. Settings
hold no key, so none is ever shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from annotator.judging.config import AnnotateConfig
from annotator.judging.llm_config import LlmConfig
from annotator.text.config import TextConfig
from schemas.errors import ConfigError
from schemas.secret_values import hide_keys
from schemas.validation import describe_errors, show_value

if TYPE_CHECKING:
    from annotator.judging.judge import Judge as AnyJudge

NAMES = ("lexical",)
"""Judges that need no settings."""

_METHODS = ("fingerprint", "notes", "closing_notes", "judge")


class Judge(LlmConfig):
    """A judge model: which one, its server, and how it is asked.

    It takes every setting of the section `annotate.llm` by keyword (docs/judge-settings.md). The
    key of a server is read from the environment variable that `api_key_env` names, never given
    here. Raises ConfigError for an unknown or wrong setting.

    >>> Judge(model="my-judge", protocol="response")
    Judge(model='my-judge', protocol='response')
    """

    @model_validator(mode="wrap")
    @classmethod
    def _faults_are_sentences(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            lines = [f"maskdpo.Judge: {text}" for text in describe_errors(error, cls)]
            raise ConfigError("\n".join(lines)) from None

    def __repr__(self) -> str:
        given = [name for name in type(self).model_fields if name in self.model_fields_set]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in given)
        return hide_keys(f"Judge({shown})")

    __str__ = __repr__


def resolve_judge(
    judge: str | LlmConfig | AnnotateConfig | AnyJudge, *, domain: str | None, language: str
) -> tuple[AnnotateConfig, AnyJudge | None]:
    """The settings of `annotate`, and the judge itself where the caller made one.

    Raises ConfigError for an unknown name, domain or language.
    """
    values, own = _read_judge(judge)
    if domain is not None:
        values["domain"] = domain
    if language != "auto":
        text = values.get("text", TextConfig())
        given = {name: getattr(text, name) for name in text.model_fields_set}
        values["text"] = TextConfig.parse(given | {"language": language}, where="maskdpo.annotate")
    return AnnotateConfig.parse(values, where="maskdpo.annotate"), own


def _read_judge(judge: object) -> tuple[dict[str, Any], Any]:
    if isinstance(judge, AnnotateConfig):
        return {name: getattr(judge, name) for name in judge.model_fields_set}, None
    if isinstance(judge, LlmConfig):
        given = {name: getattr(judge, name) for name in judge.model_fields_set}
        return {"judge": "llm", "llm": LlmConfig.model_validate(given)}, None
    if isinstance(judge, str):
        if judge not in NAMES:
            raise ConfigError(
                f"judge is {show_value(judge)}, but it must be 'lexical' or, for a judge model, "
                "maskdpo.Judge(model=...)"
            )
        return {"judge": judge}, None
    if not isinstance(judge, type) and all(callable(getattr(judge, name, 0)) for name in _METHODS):
        return {}, judge
    raise ConfigError(
        f"judge is {show_value(judge)}, but it must be 'lexical', maskdpo.Judge(model=...), "
        "maskdpo.AnnotateConfig(...), or an object with the methods of a judge "
        f"({', '.join(_METHODS)})"
    )
