"""The shipped configurations: each can be read, and says the number of pairs it claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import save_model_folder, write_dataset
from train_support import train

from annotator.models.config import SampleConfig
from maskdpo.config import load_run_config
from maskdpo.demo.config import DemoConfig
from maskdpo.demo.run_values import METHODS, make_run_values
from trainer.config import TrainConfig

CONFIGS = Path(__file__).parents[1] / "configs"
# How many devices each is for; 32 pairs per step are the paper's.
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
    assert config.gradient_checkpointing and not config.trust_remote_code
    for part in path.read_text(encoding="utf-8").split():
        if part.startswith("configs/"):
            assert (CONFIGS.parent / part).is_file(), part


def test_the_papers_settings_are_the_defaults_and_differ_in_pairs_a_device_alone() -> None:
    four, eight = (
        train_section(CONFIGS / "train" / f"llama-3.1-8b-{count}gpu.yaml") for count in (4, 8)
    )
    assert eight == four.model_copy(update={"batch_size": 4})
    defaults = TrainConfig.parse({"model": four.model}, where="test")
    ours = {"gradient_checkpointing": True, "save": "steps", "save_steps": 377, "eos": "neither"}
    assert four == defaults.model_copy(update=ours)


def test_the_closed_world_is_what_the_demo_trains() -> None:
    run = make_run_values(DemoConfig(), Path("runs/demo"))["train"]
    values = {**run, **METHODS["mask_dpo"].settings}
    demo = TrainConfig.parse(values, where="test")
    assert train_section(CONFIGS / "train" / "closed-world-cpu.yaml") == demo


def test_qwen3_trains_in_the_context_it_samples_in() -> None:
    config = load_run_config(CONFIGS / "train" / "qwen3-8b-4gpu.yaml", [])
    sampled, trained = config.section(SampleConfig, "sample"), config.section(TrainConfig, "train")
    assert sampled.chat_template_kwargs == {"enable_thinking": False}
    assert trained.chat_template_kwargs == sampled.chat_template_kwargs
    assert sampled.model == trained.model


def test_an_internlm3_folder_trains_without_its_own_code(tmp_path: Path) -> None:
    """As the Hub has it: code of its own named for model and tokenizer, which must not run."""
    folder = save_model_folder(tmp_path / "internlm3")
    ran = tmp_path / "ran"
    for name, extra in {
        "config.json": {
            "model_type": "internlm3",
            "architectures": ["InternLM3ForCausalLM"],
            "auto_map": {
                "AutoConfig": "its_code.InternLM3Config",
                "AutoModelForCausalLM": "its_code.InternLM3ForCausalLM",
            },
        },
        "tokenizer_config.json": {
            "tokenizer_class": "InternLM3Tokenizer",
            "auto_map": {"AutoTokenizer": ["its_code.InternLM3Tokenizer", None]},
        },
    }.items():
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(values | extra), encoding="utf-8")
    code = f"open({str(ran)!r}, 'w').close()\n"
    (folder / "its_code.py").write_text(code, encoding="utf-8")
    dataset = write_dataset(tmp_path / "dataset")
    result = train(folder, dataset, tmp_path / "model", max_steps=1)
    assert result.counts["steps"] == 1
    assert not ran.exists()
    assert not result.notes  # and it trains in the layout that shares prompts


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
