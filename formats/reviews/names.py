"""Pseudonyms: how a data set names the people who reviewed it.

The rule: a name leaves this machine only where `publish_names` is true. `reviewer-1` is the person
whose first review is the earliest, so a person who joins later does not change the other numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

PSEUDONYM = r"reviewer-[1-9][0-9]*"
SEPARATOR = " | "  # between several people's names in one cell


def make_pseudonyms(names: Iterable[str]) -> Mapping[str, str]:
    """A pseudonym for each name, in the order of their first reviews."""
    return {name: f"reviewer-{number}" for number, name in enumerate(names, start=1)}


def show_names(names: Sequence[str], shown: Mapping[str, str] | None) -> str:
    """Several people in one cell: by pseudonym, or by name where `shown` is None."""
    if shown is None:
        return SEPARATOR.join(names)
    return SEPARATOR.join(sorted((shown[name] for name in names), key=_number))


def _number(pseudonym: str) -> int:
    return int(pseudonym.rsplit("-", maxsplit=1)[-1])
