"""pydantic's errors as one sentence each: field, bad value, what is allowed; never a key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from schemas.errors import nearest
from schemas.secret_values import HIDDEN, hide_likely_keys, is_secret_name

MAX_VALUE_CHARS = 80
_MAX_SEARCHED_CHARS = 2_000  # enough to hide every key that would be shown


def describe_errors(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One sentence per fault, in the order in which pydantic reports them."""
    return describe_details(error.errors(include_url=False), model)


def describe_details(details: Iterable[Any], model: type[BaseModel]) -> list[str]:
    """One sentence for each of pydantic's details of an error."""
    return [_describe(detail, model) for detail in details]


def show_value(value: object) -> str:
    """A value for a message: its repr, without what looks like an API key, cut to one line."""
    text = hide_likely_keys(repr(value)[:_MAX_SEARCHED_CHARS])
    text = " ".join(text.splitlines())  # tables and arrays have several
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 3] + "..."


def _describe(detail: Any, model: type[BaseModel]) -> str:
    location = tuple(detail["loc"])
    field = _field_path(location)
    kind = detail["type"]
    if kind in ("extra_forbidden", "missing"):
        return _describe_key(detail, model)
    if kind == "json_invalid":
        return f"not valid JSON: {detail['ctx']['error']}"
    message = detail["msg"]
    if kind == "value_error":
        reason = str(detail["ctx"]["error"])
        return f"{field}: {reason}" if field else reason
    message = message[0].lower() + message[1:]
    if kind == "string_type" and isinstance(detail["input"], (bool, int, float)):
        message += "; put it in quotes"
    is_secret = any(is_secret_name(str(part)) for part in location)
    shown = HIDDEN if is_secret else show_value(detail["input"])
    if not field:
        return f"{message}; found {shown}"
    return f"{field!r} is {shown}, but {message}"


def _describe_key(detail: Any, model: type[BaseModel]) -> str:
    """A key that is missing or not known.

    A record's SHORTHANDS and ALSO_ACCEPTED add hints; OTHER_KEYS of a nested record says what is
    allowed.
    """
    location = tuple(detail["loc"])
    field = _field_path(location)
    if detail["type"] == "missing":
        short = getattr(model, "SHORTHANDS", {}).get(field)
        return f"required key {field!r} is missing" + (f"; {short}" if short else "")
    owner = _model_at(model, location[:-1])
    known = [field.alias or name for name, field in owner.model_fields.items()]
    also = getattr(model, "ALSO_ACCEPTED", {}) if len(location) == 1 else {}
    if location[-1] in also:
        return f"unknown key {field!r}; did you mean {also[location[-1]]!r}?"
    known = [*dict.fromkeys([*known, *also.values()])]
    hint = nearest(str(location[-1]), known)
    if hasattr(owner, "OTHER_KEYS") and not hint.startswith("did you mean"):
        shown = HIDDEN if is_secret_name(str(location[-1])) else show_value(detail["input"])
        return f"unknown key {field!r} with the value {shown}; {owner.OTHER_KEYS}"
    return f"unknown key {field!r}; {hint}"


def _field_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    return path


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model whose keys are at a place inside `model`; list indices do not change the type."""
    current: Any = model
    for part in location:
        if isinstance(part, str) and part in getattr(current, "model_fields", {}):
            current = first_model(current.model_fields[part].annotation) or current
    found: type[BaseModel] = current
    return found


def first_model(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic model that an annotation names, at any depth; None for none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = first_model(argument)
        if found is not None:
            return found
    return None
