"""Calls `maskdpo ARGUMENTS` in this process, as tests of the command line want it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from maskdpo.cli.main import main

Run = Callable[..., tuple[int, str, str]]


def make_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function of arguments: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["maskdpo", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call
