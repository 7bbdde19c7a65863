"""Mistyped settings: the hint is a command that works, and blames what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run, make_run

from maskdpo.cli.setting_hints import known_settings
from maskdpo.config import load_run_config
from maskdpo.config_sections import SECTION_NAMES
from schemas.errors import ConfigError, nearest


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("sample --num-responses 4", "it is a setting: --set sample.num_responses=4"),
        ("sample --num-responses=4", "it is a setting: --set sample.num_responses=4"),
        ("annotate --judge llm", "it is a setting: --set annotate.judge=llm"),
        ("annotate --model my-judge", "it is a setting: --set annotate.llm.model=my-judge"),
        ("train --epochs", "it is a setting: --set train.epochs=VALUE"),
        ("validate --num-responses 4", "it is a setting: --set sample.num_responses=4"),
        ("sample --temprature 1", "did you mean --set sample.temperature=1?"),
        ("sample --estimat", "'--estimate'"),
    ],
)
def test_an_option_that_is_a_setting_is_named_as_one(
    run: Run, arguments: str, expected: str
) -> None:
    code, _, err = run(*arguments.split())
    assert code == 2 and expected in err


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "num_responses=16",
            "section.key=value; did you mean sample.num_responses=16 or evaluate.",
        ),
        ("text.language=no", "unknown section 'text'; did you mean annotate.text.language=no?"),
        ("samle.model=x", "unknown section 'samle'; did you mean 'sample'?"),
        ("sample", "must look like section.key=value"),
        (
            "sample.temprature=1",
            "--set sample.temprature=1: unknown key 'temprature'; did you mean",
        ),
        ("annotate.llm.votes=x", "--set annotate.llm.votes=x: 'llm.votes' is 'x'"),
        (
            "annotate.judge=llm",
            "run.yaml with --set: annotate: the judge 'llm' needs a section llm",
        ),
    ],
)
def test_a_wrong_override_is_blamed_and_not_the_file(
    tmp_path: Path, override: str, expected: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("sample: {model: m}\nannotate: {max_failed: 0.1}\n")
    with pytest.raises(ConfigError) as caught:
        load_run_config(path, [override])
    assert expected in str(caught.value)
    assert str(path) not in str(caught.value) or "with --set" in expected


def test_the_file_is_blamed_for_its_own_faults(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("sample: {temprature: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load_run_config(path, ["sample.num_responses=0"])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("--set sample.num_responses=0: ")
    assert lines[1].startswith(f"{path}: sample: unknown key 'temprature'")


def test_of_many_names_the_nearest_three_are_shown() -> None:
    known = [path.removeprefix("train.") for path in known_settings("train")]
    assert len(known) > 40
    hint = nearest("zzzz", known)
    assert hint.startswith(f"the nearest of {len(known)} known: ") and hint.count(", ") == 2
    assert nearest("zzzz", ["b", "a"]) == "known: a, b"


def test_every_section_is_searched() -> None:
    assert all(known_settings(section) for section in SECTION_NAMES)
    assert "annotate.llm.prices.prompt" in known_settings("annotate")
