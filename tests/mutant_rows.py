"""What a row of the tables of mutants is; see `tests/mutants.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault in one file, and the tests, as pytest takes them, that must notice.

    `slow` is for tests that start several processes; `--fast` leaves those out.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    slow: bool = False


def mutants_of(file: str, *rows: tuple[str, str, str, str], slow: bool = False) -> list[Mutant]:
    """Rows of name, old text, new text and tests; tests without `tests/` and separated by space."""
    return [
        Mutant(name=name, file=file, old=old, new=new, tests=tests, slow=slow)
        for name, old, new, tests in rows
    ]


def reaching(setting: str) -> str:
    """The test that a setting acts."""
    return f"test_settings_reach.py::test_a_setting_reaches_where_it_acts[{setting}]"
