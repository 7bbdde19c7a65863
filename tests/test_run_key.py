"""What makes two runs the same: every setting that changes a weight, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.config import TrainConfig, run_settings

# Settings that change weights whatever else is set, each with a value that is not its default.
DECIDING: dict[str, Any] = {
    "adam_beta1": 0.5,
    "adam_beta2": 0.5,
    "adam_epsilon": 1e-3,
    "beta": 0.7,
    "chat_template_kwargs": {"enable_thinking": False},
    "dtype": "bfloat16",
    "eos": "both",
    "epochs": 1.5,
    "group_by_length": True,
    "label_smoothing": 0.2,
    "learning_rate": 1e-3,
    "length_normalize": True,
    "lora": {},
    "loss": "ipo",
    "lr_scheduler": "constant",
    "max_grad_norm": 0.5,
    "max_length": 77,
    "max_steps": 9,
    "nll_weight": 0.3,
    "seed": 7,
    "template_date": "2020-01-02",
    "use_spans": False,
    "warmup_ratio": 0.5,
    "weight_decay": 0.5,
}
# Settings that change none.
FREE: dict[str, Any] = {
    "eval_steps": 7,
    "evaluate": "no",
    "gradient_checkpointing": True,
    "head_megabytes": 7,
    "keep_checkpoints": True,
    "layout": "padded",
    "logging_steps": 1,
    "max_failed": 0.5,
    "peak_tflops": 1.0,
    "progress": False,
    "reference_batch_size": 3,
    "reference_dir": "cache",
    "report_to": ["wandb"],
    "resume": False,
    "save": "no",
    "save_steps": 7,
}


def settings_of(**changes: Any) -> dict[str, Any]:
    return run_settings(TrainConfig.parse({"model": "m"} | changes, where="test"))


@pytest.mark.parametrize("name", sorted(DECIDING))
def test_a_setting_that_changes_weights_belongs_to_the_run(name: str) -> None:
    before, after = settings_of(), settings_of(**{name: DECIDING[name]})
    # Pairs of like length are grouped in blocks, whose size then decides the order.
    also = {"block"} if name == "group_by_length" else set()
    assert {key for key in after if after[key] != before.get(key)} == {name} | also


@pytest.mark.parametrize("name", ["rank", "alpha", "target_modules", "merge"])
def test_so_do_the_settings_of_an_adapter(name: str) -> None:
    values = {"rank": 3, "alpha": 5, "target_modules": ["q_proj"], "merge": False}
    assert settings_of(lora={name: values[name]}) != settings_of(lora={})


@pytest.mark.parametrize("name", sorted(FREE))
def test_a_setting_that_changes_no_weight_does_not(name: str) -> None:
    assert settings_of(**{name: FREE[name]}) == settings_of()
