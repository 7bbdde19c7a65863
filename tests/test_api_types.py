"""The types of the Python API: what mypy infers, and which mistakes it finds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_a_type_checker_sees_real_types() -> None:
    """With the settings and the cache of `make check`."""
    source = ROOT / "tests" / "typed_api.py"
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", str(source)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    wrong = [
        number
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1)
        if "# wrong: " in line
    ]
    found = [int(number) for number in re.findall(r"typed_api\.py:(\d+): error", result.stdout)]
    assert len(wrong) == 2
    assert found == wrong, result.stdout + result.stderr


def test_every_package_says_that_it_is_typed() -> None:
    from structure import PACKAGES

    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file(), package
    assert '"*" = ["py.typed"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
