"""`maskdpo schema config`: an editor's check of a run config agrees with ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from json_schema_check import faults

from maskdpo.cli.main import cli
from maskdpo.cli.setting_hints import known_settings
from maskdpo.config import load_run_config
from maskdpo.config_schema import config_schema
from maskdpo.config_sections import SECTION_NAMES, section_model
from maskdpo.recipes import run_configs
from schemas.errors import ConfigError
from schemas.files.yaml_files import parse_yaml
from schemas.json_schemas import RECORDS

SCHEMA = config_schema()


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(cli, ["schema", "config"])
    assert done.exit_code == 0
    assert json.loads(done.output) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_names_are_listed_with_a_line_each() -> None:
    done = CliRunner().invoke(cli, ["schema"])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line.split()[0] for line in lines] == ["config", *RECORDS]
    assert all(len(line.split(maxsplit=1)[1]) > 10 for line in lines)
    assert max(map(len, lines)) <= 100
    assert "did you mean 'config'" in str(CliRunner().invoke(cli, ["schema", "confg"]).exception)


def test_the_run_configs_that_come_along_are_valid() -> None:
    recipes = run_configs()
    assert len(recipes) >= 8  # the example and the recipes
    for recipe in recipes.values():
        assert faults(parse_yaml(recipe.read()), SCHEMA, SCHEMA, recipe.name) == []


def properties_at(place: str) -> dict[str, Any]:
    """The schema of the setting at `section.key[.key]`."""
    value: dict[str, Any] = SCHEMA
    for key in place.split("."):
        forms = [value, *value.get("anyOf", [])]
        for given in forms:
            reference = given.get("$ref")
            form = SCHEMA["$defs"][reference.rpartition("/")[2]] if reference else given
            if key in form.get("properties", {}):
                assert form["additionalProperties"] is False
                value = form["properties"][key]
                break
        else:
            raise AssertionError(f"no {key} on the way to {place}")
    return value


@pytest.mark.parametrize("section", SECTION_NAMES)
def test_every_setting_is_in_it_with_description_and_default(section: str) -> None:
    fields = section_model(section).model_fields
    for place in known_settings(section):
        value = properties_at(place)
        assert len(value["description"]) >= 10, place
        name = place.partition(".")[2]
        if name in fields and not fields[name].is_required():
            assert "default" in value, place


GOOD = """
run:
sample: {model: m, prices: 0}
---
sample: {prices: {prompt: 1, completion: 2.5}}
---
annotate: {documents: topic, llm: {protocol: anah}}
---
train: {report_to: wandb, evaluate: false, save: steps, lora: {}}
---
train: {report_to: [wandb, mlflow], eos: null, lora: {target_modules: [q_proj]}}
---
build: {policy: {chosen: [no_fact]}, strategy: mirrored, license: cc-by-4.0}
---
questions: {engine: {tensor_parallel_size: 2}, base_urls: ["http://a/v1", "http://b/v1"]}
---
evaluate: {models: {base: org/model}, temperature: null}
"""
BAD = """
sampel: {model: m}
---
sample: {modle: m}
---
sample: {prices: 1}
---
sample: {prices: {prompt: -1, completion: 2}}
---
annotate: {judge: gpt}
---
annotate: {llm: {model: m, protocol: guess}}
---
annotate: {cascade: {firts: lexical}}
---
train: {lora: {rank: 0}}
---
train: {report_to: csv}
---
build: {strategy: best}
---
build: {test_share: 1.0}
---
evaluate: {models: []}
---
sample: 3
"""


@pytest.mark.parametrize("text", [*GOOD.split("---\n"), *BAD.split("---\n")])
def test_it_takes_what_the_program_takes_and_nothing_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    found = faults(parse_yaml(text), SCHEMA, SCHEMA)
    if text in GOOD.split("---\n"):
        load_run_config(path)
        assert found == []
    else:
        with pytest.raises(ConfigError):
            load_run_config(path)
        assert found


def test_a_library_for_json_schema_agrees() -> None:
    library = pytest.importorskip("jsonschema", reason="not needed by anything else")
    validator = library.Draft202012Validator(SCHEMA)
    library.Draft202012Validator.check_schema(SCHEMA)
    for text in (*GOOD.split("---\n"), *BAD.split("---\n")):
        assert validator.is_valid(parse_yaml(text)) == (text in GOOD.split("---\n"))
