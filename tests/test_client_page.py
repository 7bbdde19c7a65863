"""docs/service.md is true: its commands and its Python code run against the real service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_process import ROOT
from service_support import TOKEN, ServiceProcess
from test_library_page import blocks

PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
CURL = PAGE.split("## Ask with curl")[1].split("\n## ")[0]
README = (ROOT / "README.md").read_text(encoding="utf-8").split("## Over HTTP")[1].split("\n## ")[0]
ADDRESS = "http://127.0.0.1:8765"
END = "==end of command=="


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("run")
    with ServiceProcess(folder, "--set", "serve.processes=1") as running:
        yield running


def shown_commands(page: str) -> Iterator[tuple[str, str]]:
    """(command, output) of each command in console blocks; further lines of a command are indented.

    >>> list(shown_commands("```console\\n$ a '\\n    b'\\nc\\n```"))
    [("a '\\n    b'", 'c')]
    """
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *rest = part.rstrip("\n").split("\n")
            count = next((n for n, line in enumerate(rest) if not line.startswith("    ")), None)
            further = rest if count is None else rest[:count]
            yield "\n".join([first, *further]), "\n".join(rest[len(further) :])


def matches(shown: str, output: str) -> bool:
    """Whether an output is the one shown, where `...` matches anything on a line."""
    pattern = ".*".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, output.strip("\n")) is not None


def run(service: ServiceProcess, command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MASKDPO_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(
    ("page", "least"), [(CURL, 20), (README, 1)], ids=["docs/service.md", "README.md"]
)
def test_each_command_with_curl_prints_what_the_page_shows(
    service: ServiceProcess, page: str, least: int, tmp_path: Path
) -> None:
    shown = [(one, out) for one, out in shown_commands(page) if not one.startswith(SKIPPED)]
    script = "".join(f"{command}\necho; echo '{END}'\n" for command, _ in shown)
    output = run(service, ["bash", "-c", script.replace(ADDRESS, service.address)], tmp_path)
    outputs = output.split(END + "\n")[:-1]
    assert len(outputs) == len(shown)
    assert sum("curl" in command for command, _ in shown) >= least
    wrong = [
        (command, found)
        for (command, expected), found in zip(shown, outputs, strict=True)
        if not matches(expected, found)
    ]
    assert wrong == []


SKIPPED = ("make ", "export ")


def test_the_python_code_prints_what_the_page_shows(
    service: ServiceProcess, tmp_path: Path
) -> None:
    parts = list(blocks(PAGE))
    assert len(parts) == 3 and all(output for _, output in parts)
    marks = [f"\nprint('== block {number}')\n" for number in range(len(parts))]
    script = "".join(mark + code for mark, (code, _) in zip(marks, parts, strict=True))
    assert ADDRESS in script
    code = script.replace(ADDRESS, service.address)
    printed = re.split(r"== block \d+\n", run(service, [sys.executable, "-c", code], tmp_path))[1:]
    assert printed == [output for _, output in parts]


def test_a_changed_output_is_noticed() -> None:
    assert matches('{"a":1,...}\nb', '{"a":1,"c":2}\nb\n\n')
    assert not matches('{"a":1,...}', '{"a":2,"c":2}')
    assert not matches("", "x")
