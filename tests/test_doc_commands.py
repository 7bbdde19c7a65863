"""The commands and run configs that pages show exist: options, settings, sections, values.

The rule: what a reader copies from a page must be accepted. Each `maskdpo ...` of a page is looked
up in the command line itself, unless the page shows its error. The `--set` of a command are checked
together, as a run config, and so is each YAML block that holds sections.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from test_doc_links import PAGES

from maskdpo.cli.main import cli
from maskdpo.config import load_run_config
from maskdpo.config_sections import SECTIONS
from schemas.errors import ConfigError

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (?!\s)(.*)$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_PROGRAM = re.compile(r"(?:^\s*(?:\$ )?|[\w.\-/]*/|^.* -m )maskdpo (?=[a-z])(.*)")
_SETTING = re.compile(r"[a-z]+(?:\.[a-z_]+)+=\S+")


def find_commands(page: str) -> Iterator[list[str]]:
    """The arguments of each `maskdpo` on a page, without pipes, redirections and comments.

    >>> list(find_commands("`maskdpo build --output dataset > log`"))
    [['build', '--output', 'dataset']]
    """
    for line in _lines_of_code(page):
        found = _PROGRAM.match(line)
        if found:
            words = shlex.split(found[1].split(" | ")[0], comments=True)
            end = next((n for n, word in enumerate(words) if word[0] in ">("), len(words))
            yield words[:end]


def _lines_of_code(page: str) -> Iterator[str]:
    text = re.sub(r" *\\\n\s*", " ", page)
    for kind, block in _FENCE.findall(text):
        if kind in ("console", "bash", ""):
            lines = block.splitlines()
            for line, after in itertools.zip_longest(lines, lines[1:], fillvalue=""):
                is_output = kind == "console" and not line.startswith("$ ")
                if not is_output and not after.startswith("error: "):
                    yield line
    prose = _FENCE.sub("", text)
    yield from _INDENTED.findall(prose)
    yield from (code.replace("\n", " ") for code in _INLINE.findall(_INDENTED.sub("", prose)))


def check_command(words: list[str]) -> list[str]:
    """What is wrong with the arguments of `maskdpo`."""
    command: click.Command | None = cli
    words = list(words)
    with click.Context(cli) as context:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name = words.pop(0)
            command = command.get_command(context, name)
            if command is None:
                return [] if name.isupper() else [f"no command {name!r}"]
        assert command is not None
        known = {option for param in command.get_params(context) for option in param.opts}
        known |= {option for param in command.params for option in param.secondary_opts}
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    faults = [f"no option {option}" for option in options if option not in known]
    settings = [value for flag, value in itertools.pairwise(words) if flag == "--set"]
    return faults + check_settings(settings)


def check_settings(settings: list[str]) -> list[str]:
    """What is wrong with the values of --set; a placeholder such as KEY=VALUE is not one."""
    real = [item for item in settings if _SETTING.fullmatch(item)]
    try:
        load_run_config(None, real)
    except ConfigError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_on_a_page_is_accepted(page: Path) -> None:
    commands = list(find_commands(page.read_text(encoding="utf-8")))
    faults = {" ".join(words): check_command(words) for words in commands}
    assert {command: found for command, found in faults.items() if found} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_run_config_on_a_page_is_accepted(page: Path, tmp_path: Path) -> None:
    for kind, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "yaml" and set(yaml.safe_load(block)) <= set(SECTIONS):
            path = tmp_path / "run.yaml"
            path.write_text(block, encoding="utf-8")
            load_run_config(path)


def test_what_is_not_accepted_is_found() -> None:
    page = """
```console
$ maskdpo build --annotation a.jsonl   # a comment
$ maskdpo train --set train.epoch=3 \\
      --set train.seed=1
$ maskdpo build --wrong
error: a page may show a mistake
maskdpo serves at an address: this is an output
```

    torchrun -m maskdpo trains --config run.yaml
"""
    commands = [*find_commands(page)]
    assert [words[0] for words in commands] == ["build", "train", "trains"]
    build, train, trains = map(check_command, commands)
    assert build == ["no option --annotation"]
    assert "epochs" in train[0]
    assert trains == ["no command 'trains'"]
