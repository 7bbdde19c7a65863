"""The part of JSON Schema that our schemas use, for tests: whether a value is valid."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == math.floor(value),
}
_KNOWN = {
    "$defs", "$ref", "$schema", "additionalProperties", "anyOf", "const", "default", "deprecated",
    "description", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxLength",
    "maximum", "minItems", "minLength", "minProperties", "minimum", "pattern", "properties",
    "title", "type",
}  # fmt: skip


def faults(
    value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str = ""
) -> list[str]:
    """What is wrong with `value`, each with its place; AssertionError for a word not known here."""
    unknown = set(schema) - _KNOWN
    assert not unknown, f"{at}: this check does not know {unknown}"
    found = []
    if "$ref" in schema:
        found += faults(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, at)
    if "anyOf" in schema and all(faults(value, form, root, at) for form in schema["anyOf"]):
        found.append(f"{at}: {value!r} is of no allowed form")
    if "type" in schema and not _TYPES[schema["type"]](value):
        return [*found, f"{at}: {value!r} is no {schema['type']}"]
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        found.append(f"{at}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    found += _limits(value, schema, at)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += faults(item, schema["items"], root, f"{at}[{index}]")
    if isinstance(value, dict):
        found += _keys(value, schema, root, at)
    return found


def _limits(value: Any, schema: Mapping[str, Any], at: str) -> list[str]:
    is_number = _is_number(value)
    wrong = [
        is_number and value < schema.get("minimum", -math.inf),
        is_number and value > schema.get("maximum", math.inf),
        is_number and value <= schema.get("exclusiveMinimum", -math.inf),
        is_number and value >= schema.get("exclusiveMaximum", math.inf),
        isinstance(value, str) and len(value) < schema.get("minLength", 0),
        isinstance(value, str) and len(value) > schema.get("maxLength", math.inf),
        isinstance(value, str) and not re.search(schema.get("pattern", ""), value),
        isinstance(value, dict) and len(value) < schema.get("minProperties", 0),
        isinstance(value, list) and len(value) < schema.get("minItems", 0),
    ]
    return [f"{at}: {value!r} is out of bounds"] if any(wrong) else []


def _keys(
    value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> list[str]:
    found = []
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, item in value.items():
        if key in known:
            found += faults(item, known[key], root, f"{at}.{key}")
        elif others is False:
            found.append(f"{at}: unknown key {key!r}")
        elif isinstance(others, dict):
            found += faults(item, others, root, f"{at}.{key}")
    return found
