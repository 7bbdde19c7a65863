"""The run config: sections composed, unknown keys refused with the nearest, overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.judging.config import AnnotateConfig
from maskdpo.config import load_run_config
from maskdpo.evaluation.config import EvaluateConfig
from schemas.errors import ConfigError
from trainer.config import TrainConfig


def config_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def error_of(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_run_config(config_file(tmp_path, text), overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trian: {}", "unknown section 'trian'; did you mean 'train'?"),
        ("train: {lerning_rate: 1}", "train: unknown key 'lerning_rate'; did you mean 'learning"),
        ("train: {beta: -1}", "'beta' is -1, but input should be greater than 0"),
        ("train: {eos: none}", "'eos' is 'none', but input should be 'neither', 'chosen' or"),
        ("annotate: {text: {splitter: spay}}", "'text.splitter' is 'spay'"),
        ("annotate: {text: {splitr: x}}", "unknown key 'text.splitr'; did you mean 'splitter'?"),
        ("train: 3", "section 'train' must contain keys"),
        ("- a", "must contain sections"),
        ("train: {", "not valid YAML"),
        ("run: {dir: a\n", "run.yaml:2: not valid YAML"),
    ],
)
def test_a_wrong_config_is_a_sentence(tmp_path: Path, text: str, expected: str) -> None:
    message = error_of(tmp_path, text)
    assert expected in message
    assert "run.yaml" in message


def test_sections_a_verb_does_not_use_are_checked_too(tmp_path: Path) -> None:
    message = error_of(tmp_path, "sample: {temprature: 1}\nbuild: {test_share: 3}")
    assert "did you mean 'temperature'?" in message
    assert "'test_share' is 3" in message


def test_a_required_key_may_come_from_an_option(tmp_path: Path) -> None:
    config = load_run_config(config_file(tmp_path, "train: {beta: 0.3}"))
    with pytest.raises(ConfigError) as error:
        config.section(TrainConfig, "train")
    assert str(error.value) == (
        f"{tmp_path / 'run.yaml'}: train.model is missing; give it with --model MODEL, "
        "--set train.model=VALUE, or in the section 'train' of this file"
    )
    with pytest.raises(ConfigError, match=r"^evaluate\.models is missing; give it with --model "):
        load_run_config(None).section(EvaluateConfig, "evaluate")
    assert config.section(TrainConfig, "train", model="m").beta == 0.3


def test_overrides_are_yaml_and_reach_inside(tmp_path: Path) -> None:
    path = config_file(tmp_path, "annotate: {text: {language: zh}}")
    config = load_run_config(path, ["annotate.text.splitter=nltk", "train.beta=2e-1"])
    settings = config.section(AnnotateConfig, "annotate")
    assert (settings.text.language, settings.text.splitter) == ("zh", "nltk")
    assert config.section(TrainConfig, "train", model="m").beta == 0.2


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("", ["evaluate.factscore=true", "evaluate.factscore.gamma=3"]),
        ("", ["evaluate.factscore.gamma=3"]),
        ("evaluate: {factscore: true}", ["evaluate.factscore.gamma=3"]),
        ("evaluate: {factscore: {gamma: 3}}", ["evaluate.factscore.facts=model"]),
    ],
)
def test_true_is_a_section_to_which_keys_are_added(
    tmp_path: Path, text: str, overrides: list[str]
) -> None:
    writer = "evaluate.factscore.writer.model=x"
    config = load_run_config(config_file(tmp_path, text), [*overrides, writer])
    found = config.section(EvaluateConfig, "evaluate", models={"m": "m"}).factscore
    assert found is not None and found.writer is not None
    assert (found.gamma, found.facts, found.writer.model) == (3.0, "model", "x")


@pytest.mark.parametrize(
    ("text", "override"),
    [
        ("evaluate: {factscore: false}", "evaluate.factscore.gamma=3"),
        ("evaluate: {factscore: 1}", "evaluate.factscore.gamma=3"),
        ("annotate: {llm: true}", "annotate.llm.model=x"),  # it has a required setting
        ("train: {lora: true}", "train.lora.r=8"),
    ],
)
def test_any_other_value_has_no_keys(tmp_path: Path, text: str, override: str) -> None:
    key = override.split(".")[1]
    assert f"{key!r} is a value and has no keys" in error_of(tmp_path, text, override)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.beta", "must look like section.key=value"),
        ("train=1", "must look like section.key=value"),
        ("trian.beta=1", "did you mean 'train'?"),
        ("train.beta={", "is not valid YAML"),
        ("train.beta=x", "'beta' is 'x'"),
        ("train.beta.x=1", "beta"),
    ],
)
def test_a_wrong_override_is_a_sentence(tmp_path: Path, override: str, expected: str) -> None:
    assert expected in error_of(tmp_path, "train: {model: m}", override)


def test_an_empty_file_and_no_file_are_defaults(tmp_path: Path) -> None:
    for path in (config_file(tmp_path, ""), config_file(tmp_path, "train:\n"), None):
        assert load_run_config(path).run.path("responses.jsonl") == Path(
            "runs/default/responses.jsonl"
        )


def test_questions_and_documents_may_live_elsewhere(tmp_path: Path) -> None:
    run = load_run_config(config_file(tmp_path, "run: {dir: a, documents: b/d.jsonl}")).run
    assert run.path("documents.jsonl") == Path("b/d.jsonl")
    assert run.path("questions.jsonl") == Path("a/questions.jsonl")


def test_a_bare_no_is_the_word_no(tmp_path: Path) -> None:
    """YAML reads `no` as false; a user who writes `evaluate: no` means the word."""
    config = load_run_config(config_file(tmp_path, "train: {model: m, evaluate: no, save: no}"))
    settings = config.section(TrainConfig, "train")
    assert (settings.evaluate, settings.save) == ("no", "no")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    message = error_of(tmp_path, "train:\n  model: a\n  model: b\n")
    assert "run.yaml:3: not valid YAML: the key 'model' is given twice" in message
