"""YAML 1.2 everywhere: words stay words, keys are unique, and what we write any reader reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml as yaml_1_1
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from annotator.judging.protocols.load_prompts import load_prompts
from maskdpo.config import load_run_config
from maskdpo.publishing.card_merge import read_header
from maskdpo.publishing.markdown import dump_yaml as dump_header
from schemas.errors import ConfigError, InputError
from schemas.files.yaml_files import YamlFault, dump_yaml, parse_yaml, parse_yaml_texts, read_yaml

# What YAML 1.1, YAML 1.2 or a line ending would change.
HARD = [
    *"no on off yes y n Y NO On null Null ~ true False << = - ? : # & * ! | > % @ {} [] ''".split(),
    *"1_000 1:30 0o7 07 010 0x1F 0b11 1e3 1E+3 1.5e3 .5 -1 .inf -.INF .NaN 190:20:30 0.1.2".split(),
    *"2024-01-31 2024-01-31T10:00:00Z a: :a #a --- ... _1 ._1 +12_3 12e03 -_ +_ -.".split(),
    *["", " ", "a b ", "a: b", "a #b", "- a", "\n", "a\nb", "\ta", "a\x85b", "\u2028", "\ufeff"],
    *["2024-01-31 10:00:00", "word " * 400, "x" * 2_000, "\x00", "a\rb", "\U0001f600", "日期"],
]
TEXTS = st.one_of(
    st.sampled_from(HARD),
    st.text("0123456789_.:+-eEoxXTZ ~nyNofsltrue", max_size=10),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
    )
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def check_every_reader(values: dict[str, Any]) -> None:
    text = dump_yaml(values)
    assert parse_yaml(text) == values
    assert yaml_1_1.safe_load(text) == values
    assert YAML(typ="safe", pure=True).load(text) == values


@pytest.mark.parametrize("text", HARD)
def test_what_some_reader_would_change_is_quoted(text: str) -> None:
    check_every_reader({"value": text, "list": [text], text: "as a key"})


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_what_is_written_reads_equal_in_yaml_1_1_and_1_2(values: dict[str, Any]) -> None:
    check_every_reader(values)


def test_a_card_header_keeps_its_words() -> None:
    header = {"language": ["no", "en"], "license": "on", "version": "1_000", "date": "2024-01-31"}
    text = dump_header(header)
    assert '- "no"' in text and "- en" in text  # only what needs quotes has them
    assert yaml_1_1.safe_load(text) == header
    assert read_header(text, where="README.md") == header
    assert dump_header({}) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("On", "On"),
        ("true", True),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-31", "2024-01-31"),
        ("010", 10),
        ("0o17", 15),
        ("2e-1", 0.2),
        ("~", None),
        ("", None),
        ("%YAML 1.1\n---\nno", "no"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


def test_every_scalar_of_front_matter_is_text() -> None:
    assert parse_yaml_texts("a: 007\nb: no\nc: ~") == {"a": "007", "b": "no", "c": "~"}


@pytest.mark.parametrize("text", ["a: {", "a: b: c", "[1", "a: 1\na: 2", "!!int x", "[" * 5_000])
def test_what_is_no_yaml_is_one_kind_of_fault(text: str) -> None:
    with pytest.raises(YamlFault):
        parse_yaml(text)


def test_norwegian_reaches_the_settings_from_file_and_command_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("annotate: {text: {language: no}}\ningest:\n  language: no\n")
    config = load_run_config(path)
    assert config.given("annotate", "text") == {"language": "no"}
    assert config.given("ingest", "language") == "no"
    assert load_run_config(None, ["ingest.language=no"]).given("ingest", "language") == "no"


@pytest.mark.parametrize("word", ["yes", "no", "on", "Off", "y"])
def test_an_old_boolean_is_refused_where_a_boolean_belongs(tmp_path: Path, word: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"train:\n  use_spans: {word}\n")
    with pytest.raises(ConfigError) as caught:
        load_run_config(path)
    assert str(caught.value) == (
        f"{path}: train: use_spans: {word!r} is text in YAML 1.2; write true or false"
    )


def test_a_number_where_a_text_belongs_names_the_quotes() -> None:
    with pytest.raises(ConfigError, match=r"'revision' is 12345, .*; put it in quotes"):
        load_run_config(None, ["sample.revision=12345"])


def test_a_key_given_twice_is_refused_in_every_file(tmp_path: Path) -> None:
    path = tmp_path / "en.yaml"
    path.write_text("version: 1\nsystem: a\nsystem: b\n")
    with pytest.raises(ConfigError, match=r"en\.yaml:3: .*'system' is given twice"):
        load_prompts("en", tmp_path)
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load_run_config(None, ["train.lora={rank: 1, rank: 2}"])
    with pytest.raises(InputError, match=r"README\.md:3: .*'license' is given twice"):
        read_header("license: a\nlicense: b\n", where="README.md")


def test_a_file_of_another_encoding_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes("run: {dir: Müller}".encode("cp1252"))
    with pytest.raises(ConfigError, match="is not UTF-8 text; save it as UTF-8"):
        read_yaml(path)
    path.write_bytes("\ufeffrun: {dir: Müller}".encode())
    assert read_yaml(path) == {"run": {"dir": "Müller"}}
