"""The notes and errors that pages show are those of the code.

The rule: a page must not keep a message that has changed. So each `note:`, `warning:` and `error:`
in a console block must match a string in the code; inserted values may be anything. So must each
warning and error of `doctor --config`, and the names of the rows that --estimate prints.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from structure import PACKAGES
from test_doc_links import PAGES, ROOT

from annotator.calls.estimate import Estimate
from annotator.models.prices import Prices

LEAST_LITERAL = 16  # characters of a string that are not inserted: fewer are in many messages
LEAST_SHARE = (
    0.15  # of a message that one string must explain; values and joined parts are the rest
)

KINDS = ("console", "text", "")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MESSAGE = re.compile(
    r"^((?:note|warning|error): .*?)(?=^\$ |^\w+: |^wrote |\Z)", re.MULTILINE | re.DOTALL
)

_CHECK = re.compile(r"^(?:warning|error) {2,}(.*)$", re.MULTILINE)
_ESTIMATE = re.compile(r"^\$ maskdpo .*--estimate$\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_AMOUNT = re.compile(r"^ *([a-z][a-z ]+): (?:at most )?(?:about )?[\d,.]+", re.MULTILINE)


def find_messages(page: str) -> list[str]:
    """Each message of the console blocks of a page, on one line."""
    return [
        " ".join(message.split())
        for kind, block in _BLOCK.findall(page)
        if kind in KINDS
        for message in _MESSAGE.findall(block)
        if not message.startswith("note: next: ")  # the rest of it is a command
    ] + [check for kind, block in _BLOCK.findall(page) for check in _CHECK.findall(block)]


def find_amounts(page: str) -> set[str]:
    """The names of the rows that the page shows as output of --estimate."""
    blocks = (block for _, block in _BLOCK.findall(page))
    outputs = (output for block in blocks for output in _ESTIMATE.findall(block))
    return {name for output in outputs for name in _AMOUNT.findall(output)}


def find_strings(source: str) -> Iterator[tuple[str, ...]]:
    """The literal parts of each string of a module; values are inserted between two parts."""
    nodes = list(ast.walk(ast.parse(source)))
    formatted = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in formatted for part in node.values}
    for node in formatted:
        yield tuple(
            str(part.value) if isinstance(part, ast.Constant) else "" for part in node.values
        )
    for node in nodes:
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield (node.value,)


@cache
def strings_of_the_code() -> list[tuple[str, ...]]:
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [
        parts
        for path in files
        for parts in find_strings(path.read_text(encoding="utf-8"))
        if sum(map(len, parts)) >= LEAST_LITERAL
    ]


def explained_share(message: str, strings: list[tuple[str, ...]]) -> float:
    """The largest share of a message that the literal parts of one string explain."""
    fitting = (
        sum(map(len, parts))
        for parts in strings
        if max(parts, key=len) in message
        and re.search(".*?".join(re.escape(part) for part in parts), message)
    )
    return max(fitting, default=0) / len(message)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_can_print_each_message_that_a_page_shows(page: Path) -> None:
    messages = find_messages(page.read_text(encoding="utf-8"))
    shares = {message: explained_share(message, strings_of_the_code()) for message in messages}
    assert [message for message, share in shares.items() if share < LEAST_SHARE] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_rows_of_an_estimate_that_a_page_shows_have_their_present_names(page: Path) -> None:
    known = {name for name, _ in Estimate(prices=Prices(prompt=1, completion=1)).rows()}
    assert find_amounts(page.read_text(encoding="utf-8")) <= known


def test_a_changed_message_is_noticed() -> None:
    strings = list(find_strings('f"{path}: holds another run ({key}); choose another output"'))
    assert explained_share("m: holds another run (seed); choose another output", strings) > 0.8
    assert explained_share("m: contains another run (seed); choose another output", strings) == 0
    assert find_messages("```console\n$ a\nnote: b\n  c\nerror: d\n$ e\n```\n") == [
        "note: b c",
        "error: d",
    ]
    assert find_messages("```console\n$ a\nok       x: y\nerror    b: c d\n```\n") == ["b: c d"]
    shown = "```console\n$ maskdpo sample --estimate\ncalls owed: 1,200\n$ b\nc: 1\n```\n"
    assert find_amounts(shown) == {"calls owed"}
