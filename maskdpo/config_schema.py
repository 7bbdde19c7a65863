"""The JSON Schema of a whole run config, by which editors complete and check YAML.

The rule: what `load_run_config` reads is valid by this schema. A setting that an option or --set
may still give is not required, a former name is accepted (and deprecated), and so are the short
forms that a section reads, such as `prices: 0`. A rule between two settings is not in it: maskdpo
checks those itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from maskdpo.config_sections import SECTION_NAMES, section_model
from schemas.config import Section, section_in

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{name}"

# (section class, setting) -> a further form that its validator reads.
_SHORT_FORMS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("ModelConfig", "prices"): {"const": 0, "description": "nothing is paid"},
    ("EvaluateConfig", "factscore"): {"type": "boolean", "description": "with its defaults"},
    ("TrainConfig", "evaluate"): {"const": False, "description": "no"},
    ("TrainConfig", "save"): {"const": False, "description": "no"},
    ("TrainConfig", "report_to"): {"$ref": "items", "description": "one tracker"},
}


def config_schema() -> dict[str, Any]:
    """The schema of a run config: a property per section, each described in `$defs`."""
    sections = {name: section_model(name) for name in SECTION_NAMES}
    models = list(_models(sections.values()))
    _, schema = models_json_schema([(model, "validation") for model in models])
    definitions = copy.deepcopy(schema["$defs"])
    for model in models:
        _relax(definitions[model.__name__], model)
    return {
        "$schema": DIALECT,
        "title": "maskdpo run config",
        "description": "Settings of a run, one section per stage; every setting is optional here "
        "where the command line may give it.",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _section(model) for name, model in sections.items()},
        "$defs": definitions,
    }


def _section(model: type[Section]) -> dict[str, Any]:
    """A section, or nothing at all after its name."""
    description = (model.__doc__ or "").split("\n\n")[0].strip()
    reference = {"$ref": _REF.format(name=model.__name__)}
    return {"description": description, "anyOf": [reference, {"type": "null"}]}


def _models(sections: Iterable[type[Section]]) -> Iterator[type[Section]]:
    """The sections and those inside them, each once."""
    waiting = list(sections)
    seen: set[type[Section]] = set()
    while waiting:
        model = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        yield model
        inner = (section_in(field.annotation) for field in model.model_fields.values())
        waiting += [found for found in inner if found is not None]


def _relax(definition: dict[str, Any], model: type[Section]) -> None:
    """Say no more of a section than its reader demands."""
    properties: dict[str, Any] = definition["properties"]
    for name in definition.pop("required", ()):
        said = properties[name].get("description", "")
        properties[name]["description"] = f"{said} (required, here or on the command line)".strip()
    for name, value in properties.items():
        value.pop("title", None)  # the name again, in capitals
        value["description"] = " ".join(value.get("description", "").split())
        field = model.model_fields[name]
        if field.default_factory is not None:
            value["default"] = field.get_default(call_default_factory=True)
        short = _short_form(model, name)
        if short is not None:
            properties[name] = _either(value, short)
    for former, present in model.FORMER_NAMES.items():
        properties[former] = {
            **properties[present],
            "deprecated": True,
            "description": f"former name of {present!r}",
        }
    definition["additionalProperties"] = False


def _short_form(model: type[Section], name: str) -> Mapping[str, Any] | None:
    for owner in model.__mro__:
        if (owner.__name__, name) in _SHORT_FORMS:
            return _SHORT_FORMS[owner.__name__, name]
    return None


def _either(value: dict[str, Any], short: Mapping[str, Any]) -> dict[str, Any]:
    """A setting that may also have its short form; what describes it stays outside."""
    outside = {key: value.pop(key) for key in [*value] if key in ("default", "description")}
    forms = value.pop("anyOf", None) or [value]
    if short.get("$ref") == "items":
        short = {**value["items"], "description": short["description"]}
    return {**outside, "anyOf": [*forms, dict(short)]}
