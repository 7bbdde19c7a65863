"""--help lists every setting, those of nested sections too, with its description and default."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from maskdpo.cli.main import COMMANDS, cli
from maskdpo.cli.setting_hints import known_settings
from maskdpo.cli.settings_help import setting_rows
from maskdpo.config_sections import SECTION_NAMES, section_model
from schemas.config import Section, section_in

WIDTH = 100


def help_of(verb: str, width: int = WIDTH) -> str:
    done = CliRunner().invoke(cli, [verb, "--help"], terminal_width=width)
    assert done.exit_code == 0, done.output
    return done.output


def sections() -> list[type[Section]]:
    """Every section of a run config, and every section in one."""
    found = {}

    def walk(model: type[Section]) -> None:
        found[model.__name__] = model
        for field in model.model_fields.values():
            inner = section_in(field.annotation)
            if inner is not None:
                walk(inner)

    for name in SECTION_NAMES:
        walk(section_model(name))
    return list(found.values())


@pytest.mark.parametrize("model", sections(), ids=lambda model: model.__name__)
def test_every_setting_has_a_description(model: type[Section]) -> None:
    empty = [
        name for name, field in model.model_fields.items() if len(field.description or "") < 10
    ]
    assert not empty, f"{model.__name__} says nothing of {empty}"


@pytest.mark.parametrize("section", SECTION_NAMES)
def test_every_setting_that_can_be_set_has_a_row(section: str) -> None:
    rows = list(setting_rows(section_model(section)))
    assert not [name for name, text in rows if "\n" in text], "a description of several paragraphs"
    names = [f"{section}.{name.strip()}" for name, _ in rows]
    assert sorted(names) == sorted(known_settings(section))


@pytest.mark.parametrize(
    ("verb", "row"),
    [
        ("annotate", "    llm.window  maximum number of sentences per call, .* \\[12\\]"),
        ("annotate", "    llm.timeout_s  openai: timeout of one request, in seconds \\[600.0\\]"),
        ("annotate", "      llm.prices.prompt  price of a million prompt tokens \\[required\\]"),
        ("annotate", "    retrieval.overlap  sentences that a passage shares .* \\[1\\]"),
        ("annotate", "    lexical.threshold  A sentence with this score .* \\[0.5\\]"),
        ("annotate", "    cascade.min_confidence  A verdict of the first .* \\[0.9\\]"),
        ("annotate", "    text.splitter  The library that finds sentence ends .* \\[sentencex\\]"),
        (
            "annotate",
            "    llm.structured  .* always validated \\(values: response_format, "
            "structured_outputs, none\\) \\[response_format\\]",
        ),
        ("ingest", "  max_file_mb  Largest size of a file, in MB; .* \\[64.0\\]"),
        ("train", "    lora.rank  inner size of the added matrices \\[16\\]"),
        ("train", "    lora.merge  write the whole model .* \\[true\\]"),
        ("train", "  max_steps  stop after this many optimiser steps, .* \\[none\\]"),
        ("sample", "    prices.currency  name of the currency \\[USD\\]"),
        ("build", "    label_policy.chosen  Labels whose .* \\[no_hallucination, no_fact\\]"),
    ],
)
def test_a_nested_setting_has_a_line_of_its_own_under_its_parent(verb: str, row: str) -> None:
    lines = help_of(verb).splitlines()
    name, text = re.split(r"(?<=\w)  ", row)
    start = next(index for index, line in enumerate(lines) if re.match(rf"{name}(  |$)", line))
    shown = lines[start][len(name) :].split()
    for line in lines[start + 1 :]:
        if not line.startswith(" " * 20):
            break
        shown += line.split()
    assert re.search(text, " ".join(shown)), " ".join(shown)
    parent = name.strip().rpartition(".")[0]
    if parent:
        above = [line.split()[0] for line in lines[:start] if line.strip()]
        assert parent in above


@pytest.mark.parametrize("verb", COMMANDS)
def test_no_line_of_help_is_too_wide_and_no_description_has_a_gap(verb: str) -> None:
    text = help_of(verb)
    settings = text.partition("\nSettings (")[2].partition("\nExamples:")[0]
    assert "Keys:" not in text
    body = settings.partition("\n")[2].rstrip()
    assert "\n\n" not in body, "a blank line within the settings"
    before_examples = text.partition("\nExamples:")[0]
    assert max(map(len, before_examples.splitlines())) <= WIDTH


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_says_what_it_does(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.name for option in options if len(option.help or "") < 10] == []
