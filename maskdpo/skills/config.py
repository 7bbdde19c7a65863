"""Settings of `skills`: which tasks of lm-eval, how they are asked. Models: `evaluate.models`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from schemas.config import Section


class SkillsConfig(Section):
    """The tasks that every model of `evaluate.models` does."""

    tasks: tuple[str, ...] = Field(
        min_length=1, description="names of tasks, groups or tags of lm-eval, such as gsm8k"
    )
    task_folder: Path | None = Field(
        default=None,
        description="folder with task files of your own (lm-eval's YAML, any depth) [none]",
    )
    num_shots: int | None = Field(
        default=None, ge=0, description="worked examples per prompt [each task's own]"
    )
    max_documents: int | None = Field(
        default=None, ge=1, description="documents per task, the first ones [all]"
    )
    chat_template: bool = Field(
        default=False,
        description="whether prompts get the model's chat template; lm-eval's default is false",
    )
    run_generated_code: bool = Field(
        default=False,
        description="allow tasks that run code which the model wrote, on this machine without a "
        "sandbox (humaneval, mbpp)",
    )
    batch_size: int = Field(default=8, ge=1, description="sequences per forward pass")
    seed: int = Field(default=1234, ge=0, description="seed of the choice of worked examples")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="device that computes: auto (CUDA where there is one), cpu, cuda or cuda:N",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="precision of the weights; auto is float32 on a CPU and the model's own type "
        "on CUDA",
    )
