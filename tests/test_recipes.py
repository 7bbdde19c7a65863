"""The shipped configurations: each can be read, and says the number of pairs it claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from maskdpo.config import load_run_config
from trainer.config import TrainConfig

CONFIGS = Path(__file__).parents[1] / "configs"
# How many devices each is for; 32 pairs a step are the paper's.
DEVICES = {
    "llama-3.1-8b-4gpu": 4,
    "llama-3.1-8b-8gpu": 8,
    "llama-3.1-8b-lora": 1,
    "qwen2.5-7b-4gpu": 4,
    "qwen3-8b-4gpu": 4,
    "internlm3-8b-4gpu": 4,
}


def train_section(path: Path) -> TrainConfig:
    return load_run_config(path, []).section(TrainConfig, "train")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("train/*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_read_and_says_its_pairs(path: Path) -> None:
    config = train_section(path)
    if path.stem == "closed-world-cpu":
        assert config.batch_size * config.gradient_accumulation == 8
        return
    pairs = DEVICES[path.stem] * config.batch_size * config.gradient_accumulation
    assert pairs == 32
    assert (config.beta, config.epochs, config.max_length) == (0.1, 3, 1024)
    assert config.learning_rate == (5e-6 if config.lora else 5e-7)
    for part in path.read_text(encoding="utf-8").split():
        if part.startswith("configs/"):
            assert (CONFIGS.parent / part).is_file(), part


def test_the_example_is_read() -> None:
    assert train_section(CONFIGS / "example.yaml").beta == 0.1


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("accelerate/*.yaml")), ids=lambda path: path.stem
)
def test_accelerate_takes_its_configs(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config: Any = load_config_from_file(str(path))
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config.distributed_type.value == values["distributed_type"]
    assert config.num_processes == values["num_processes"]
