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
from trainer.config import TrainConfig
from trainer.render import FROZEN_DATE, frame_prompt, prints_date
from trainer.template_date import RECORD, freeze_date, record_date

DATED = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ '<|start|>system\nToday is ' + date_string + '<|end|>\n' }}" + CHATML
)
CLOCK = "{{ strftime_now('%H:%M') }}" + CHATML
# The date after a system message only; and a template that refuses such messages.
SYSTEM_DATE = "{% if messages[0].role == 'system' %}{{ strftime_now('%Y') }}{% endif %}" + CHATML
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system message') }}{% endif %}"
    + CLOCK
)


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
        (SYSTEM_DATE, {}, True),
        (NO_SYSTEM, {}, True),
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


@pytest.mark.parametrize(
    ("setting", "resume", "of_run", "of_cache", "expected"),
    [
        ("2020-01-02", True, "2030-01-01", "2031-01-01", "2020-01-02"),
        (None, True, "2030-01-01", "2031-01-01", "2030-01-01"),
        (None, True, "2030-01-01", None, "2030-01-01"),
        (None, True, None, "2031-01-01", "2031-01-01"),
        (None, False, "2030-01-01", "2031-01-01", "2031-01-01"),
        (None, False, "2030-01-01", None, "2032-05-06"),
        (None, True, None, None, "2032-05-06"),
    ],
)
def test_the_setting_then_the_run_then_the_cache_then_today(  # noqa: PLR0917
    setting: str | None,
    resume: bool,
    of_run: str | None,
    of_cache: str | None,
    expected: str,
    dated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_today(monkeypatch, 2032)
    output, cache = tmp_path / "output", tmp_path / "cache"
    for path, content in (
        (output / "training.json", of_run and {"config": {"template_date": of_run}}),
        (cache / RECORD, of_cache and {"template_date": of_cache}),
    ):
        path.parent.mkdir()
        if content:
            path.write_text(json.dumps(content), encoding="utf-8")
    values: dict[str, Any] = {"model": str(dated), "template_date": setting, "resume": resume}
    config = freeze_date(TrainConfig.parse(values, where="test"), dated, output=output, cache=cache)
    assert str(config.template_date) == expected
    # What other runs with this cache go by stays what it was.
    (note,) = record_date(config, cache)
    assert expected in note
    recorded = json.loads((cache / RECORD).read_text(encoding="utf-8"))
    assert recorded == {"template_date": of_cache or expected}


def test_a_template_is_read_wherever_tokenizers_keep_it(dated: Path, tmp_path: Path) -> None:
    """In `tokenizer_config.json` before 2025, in files of its own since."""
    import shutil

    folder = tmp_path / "policy"
    shutil.copytree(dated, folder)
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    (folder / "chat_template.jinja").unlink()
    path = folder / "tokenizer_config.json"
    values = json.loads(path.read_text(encoding="utf-8")) | {"chat_template": template}
    path.write_text(json.dumps(values), encoding="utf-8")
    config = TrainConfig.parse({"model": str(folder)}, where="test")
    frozen = freeze_date(config, folder, output=tmp_path / "out", cache=tmp_path / "cache")
    assert frozen.template_date is not None


def test_a_template_that_is_given_its_date_records_none(dated: Path, tmp_path: Path) -> None:
    values = {"model": str(dated), "chat_template_kwargs": {"date_string": "26 Jul 2024"}}
    config = TrainConfig.parse(values, where="test")
    frozen = freeze_date(config, dated, output=tmp_path / "out", cache=tmp_path / "cache")
    assert frozen.template_date is None and record_date(frozen, tmp_path / "cache") == []
    assert not (tmp_path / "cache").exists()
