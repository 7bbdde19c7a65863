"""Chat templates that print the date: one date per run, recorded and reused."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import CHATML, byte_level_tokenizer, save_model_folder, write_dataset
from train_support import train, weights_of
from transformers.utils import chat_template_utils

from schemas.errors import ConfigError
from schemas.records import Message
from trainer.callbacks import LogFile
from trainer.render import FROZEN_DATE, frame_prompt, prints_date

DATED = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ '<|start|>system\nToday is ' + date_string + '<|end|>\n' }}" + CHATML
)
CLOCK = "{{ strftime_now('%H:%M') }}" + CHATML


def set_today(monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(year, 5, 6, 7, 8, tzinfo=tz or datetime.UTC)

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    monkeypatch.setattr("trainer.template_date.datetime.datetime", Clock)


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = byte_level_tokenizer(template=DATED)
    return save_model_folder(tmp_path_factory.mktemp("dated") / "model", tokenizer)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


def manifest_of(output: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((output / "training.json").read_text(encoding="utf-8"))
    return values


def test_a_template_that_reads_the_clock_is_found() -> None:
    for template, kwargs, expected in (
        (CHATML, {}, False),
        (DATED, {}, True),
        (DATED, {"date_string": "26 Jul 2024"}, False),
        (CLOCK, {}, True),
        ("{{ strftime_now('%F') }}" + CHATML, {}, True),
        ("{{ strftime_now('%e %h') }}" + CHATML, {}, True),
    ):
        assert prints_date(byte_level_tokenizer(template=template), kwargs) is expected


def test_the_frozen_date_is_written_as_the_template_asks() -> None:
    day = datetime.datetime(2031, 5, 6)
    letters = "aAbBcCdDeFgGhHIjklmMnprRsStTuUVwWxXyYzZ"
    formats = ["%d %b %Y", "%-d %B %y", "%A %j", "100%% at %%d", "%^a %_d"]
    formats += [f"%{letter}|" for letter in letters]
    question = [Message(role="user", content="Which one?")]
    for text in formats:
        template = "{{ strftime_now('" + text + "') }}" + CHATML
        tokenizer = byte_level_tokenizer(template=template)
        frame = frame_prompt(tokenizer, question, {FROZEN_DATE: datetime.date(2031, 5, 6)})
        assert frame.head.startswith(day.strftime(text) + "<|start|>user"), text
        assert tokenizer.chat_template == template


@pytest.mark.parametrize("opening", ["", "\n\n  ", "  {% if true %}x{% endif %}", "{#- a -#}\n y"])
def test_freezing_the_date_changes_nothing_else(opening: str) -> None:
    tokenizer = byte_level_tokenizer(template=opening + CHATML)
    question = [Message(role="user", content="Which one?")]
    plain = frame_prompt(tokenizer, question, {})
    assert frame_prompt(tokenizer, question, {FROZEN_DATE: datetime.date(2031, 5, 6)}) == plain


def test_the_same_pairs_are_the_same_tokens_on_any_day(
    dated: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_today(monkeypatch, 2031)
    first = train(dated, dataset, tmp_path / "first")
    assert manifest_of(first.output)["config"]["template_date"] == "2031-05-06"
    assert any("2031-05-06 (train.template_date)" in note for note in first.notes)
    set_today(monkeypatch, 2032)
    assert "finished" in train(dated, dataset, tmp_path / "first").notes[0]
    # Another run with the same reference cache: nothing is computed again.
    second = train(dated, dataset, tmp_path / "second", beta=0.2)
    assert second.counts["reference_computed"] == 0 and second.counts["reference_reused"] == 16
    assert manifest_of(second.output)["config"]["template_date"] == "2031-05-06"
    # A date of one's own is another run, in which every prompt differs.
    with pytest.raises(ConfigError, match="template_date"):
        train(dated, dataset, tmp_path / "first", template_date="2020-01-02")
    third = train(dated, dataset, tmp_path / "third", template_date="2020-01-02")
    assert third.counts["reference_reused"] == 0
    fresh = train(dated, dataset, tmp_path / "other" / "fresh")
    assert manifest_of(fresh.output)["config"]["template_date"] == "2032-05-06"


def test_a_run_resumed_tomorrow_trains_on_the_same_prompts(
    dated: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 4:
            raise Killed

    set_today(monkeypatch, 2031)
    changes: dict[str, Any] = {"save": "steps", "save_steps": 2}
    whole = train(dated, dataset, tmp_path / "a" / "whole", **changes)
    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "on_step_begin", die, raising=False)
        with pytest.raises(Killed):
            train(dated, dataset, tmp_path / "b" / "run", **changes)
    for path in (tmp_path / "b" / "reference").glob("*.json"):
        path.unlink()  # the run's own record is enough
    set_today(monkeypatch, 2032)
    resumed = train(dated, dataset, tmp_path / "b" / "run", **changes)
    assert weights_of(resumed.output) == weights_of(whole.output)


def test_templates_without_a_date_record_none(tmp_path: Path, dataset: Path) -> None:
    policy = save_model_folder(tmp_path / "policy")
    plain = train(policy, dataset, tmp_path / "plain", template_date="2020-01-02", max_steps=1)
    assert manifest_of(plain.output)["config"]["template_date"] is None
    assert not list((tmp_path / "reference").glob("*.json"))
