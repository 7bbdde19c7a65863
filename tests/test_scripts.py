"""One definition of scripts: no module but `schemas.text.scripts` writes down their ranges."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator

import pytest
from structure import PACKAGES, ROOT

from schemas.text import scripts

NAMES = sorted(name for name in vars(scripts) if name.isupper())
HOME = "schemas/text/scripts.py"
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_ANY = "\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3000-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
_ONE = re.compile(f"[{_ANY}]")
_RANGE = re.compile(f"[{_ANY}]-[{_ANY}]")


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), text)


def ranges_in(tree: ast.Module) -> list[str]:
    """Texts that hold a range of such a script, and comparisons with one of its characters."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += _RANGE.findall(unescaped(node.value))
        elif isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            texts = [one.value for one in sides if isinstance(one, ast.Constant)]
            found += [
                one for one in texts if isinstance(one, str) and re.fullmatch(f"[{_ANY}]", one)
            ]
    return found


def test_ranges_of_scripts_are_written_down_once() -> None:
    found = {path: ranges_in(tree) for path, tree in sources()}
    assert found.pop(HOME), "the search does not see the ranges of the one definition"
    assert {path: ranges for path, ranges in found.items() if ranges} == {}


def taken_names() -> dict[str, set[str]]:
    """What each module imports from the one definition."""
    return {
        path: {alias.name for alias in node.names}
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == scripts.__name__
    }


def test_the_table_names_who_takes_what() -> None:
    listed: dict[str, set[str]] = {}
    folder = ""
    for name, names in re.findall(r"^\| (.*?) \| (.*?) \|$", scripts.__doc__ or "", re.MULTILINE):
        if "`annotator`" in name or name.startswith("elsewhere"):
            prefix = "annotator/" if "`" in name else ""
        elif name.strip().endswith("/"):
            folder = name.strip()
        else:
            path = f"{folder}{name.strip()}" if name.startswith("  ") else name.strip()
            listed[f"{prefix}{path}.py"] = set(re.findall("[A-Z_]{3,}", names))
    assert listed == taken_names()


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_a_part_of_a_class_and_in_use(name: str) -> None:
    assert re.compile(f"[{getattr(scripts, name)}]")
    taken = set.union(*taken_names().values())
    composed = set(re.findall(r"\{([A-Z_]+)\}", (ROOT / HOME).read_text(encoding="utf-8")))
    assert name in taken | composed


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("HAN", "一龥豈\U00020bb7", "あア々〇가"),
        ("HAN_SIGNS", "々〆〇", "一あ"),
        ("KANA", "あアー・ゝ", "一가ｱ"),
        ("KANA_LETTERS", "あア", "ー・一"),
        ("KANA_OF_WORDS", "あアー", "・"),
        ("HIRAGANA", "あー・", "ア"),
        ("HANGUL_SYLLABLES", "가힣", "\u1100ㅋ"),
        ("HANGUL", "가\u1100", "ㅋ一"),
        ("SOUTH_EAST_ASIAN", "กລកမ", "अ一"),
        ("WIDE", "一あア\U00020bb7", "가a"),
        ("UNSPACED", "一あก〇ｱ", "가a"),
        ("CJK_LETTERS", "一あㄅㅋ㎏", "가，"),
        ("CJK_PRINT", "一あ，（Ａ⼀", "가ㅋ“"),
    ],
)
def test_what_is_in_a_range(name: str, inside: str, outside: str) -> None:
    pattern = re.compile(f"[{getattr(scripts, name)}]")
    assert [one for one in inside if not pattern.match(one)] == []
    assert [one for one in outside if pattern.match(one)] == []


def test_han_holds_every_ideograph() -> None:
    """By the Unicode database, which knows each by its name."""
    pattern = re.compile(f"[{scripts.HAN}]")
    named = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")
    missed = [
        hex(code)
        for code in range(0x2E80, 0x33000)
        if unicodedata.name(chr(code), "").startswith(named) and not pattern.match(chr(code))
    ]
    assert missed == []
