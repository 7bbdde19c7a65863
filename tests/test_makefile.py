"""`make COMMAND CONFIG=... ARGS=...` gives both to the command, whichever takes a run config."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from maskdpo.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
TARGETS = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def takes_config(name: str) -> bool:
    command = cli.get_command(click.Context(cli), name)
    return command is not None and any("--config" in item.opts for item in command.params)


WITH_CONFIG = sorted(filter(takes_config, TARGETS))


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("name", WITH_CONFIG)
def test_a_command_gets_its_run_config_and_options(name: str) -> None:
    variables = (name, "CONFIG=run.yaml", "ARGS=--some-option")
    done = subprocess.run(
        # Under `make test` this make would also print the folder that it enters and leaves.
        ["make", "--no-print-directory", "-n", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    line = done.stdout.strip().splitlines()[-1]
    assert line.split()[-4:] == [name, "--config", "run.yaml", "--some-option"]


def test_the_targets_are_found() -> None:
    assert {"annotate", "doctor", "train"} <= set(WITH_CONFIG)
