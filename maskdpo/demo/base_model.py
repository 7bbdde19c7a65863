"""The demo's policy: a small Llama trained from scratch on partly corrupted biographies.

Plain next-token training on questions and answers (`maskdpo.scratch_model`), so that the result is
a real chat model, and its knowledge is half wrong.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskdpo.demo.world import World, ask, write_biography
from maskdpo.scratch_model import (
    END,
    IGNORED,
    fit,
    new_model,
    render_prompt,
    save_model,
    train_tokenizer,
)
from schemas.events import OnEvent, ignore

_VOCAB_SIZE = 4000


@dataclass(frozen=True, kw_only=True)
class BaseModelConfig:
    """Size and training of the base model; the defaults take about two minutes on two cores."""

    hidden_size: int = 128
    num_layers: int = 3
    num_steps: int = 900
    batch_size: int = 32
    learning_rate: float = 3e-3
    corrupted_share: float = 0.5
    seed: int = 0


def train_base_model(
    world: World, output: Path, config: BaseModelConfig, *, on_event: OnEvent = ignore
) -> float:
    """Train the base model and save it to `output`; returns the last loss (nats per token)."""
    import torch

    torch.manual_seed(config.seed)
    rng = random.Random(config.seed)
    tokenizer = train_tokenizer(_tokenizer_texts(world, rng), vocab_size=_VOCAB_SIZE)
    model = new_model(tokenizer, hidden_size=config.hidden_size, num_layers=config.num_layers)
    loss = fit(
        model,
        lambda: model(**_make_batch(world, tokenizer, rng, config)).loss,
        num_steps=config.num_steps,
        learning_rate=config.learning_rate,
        on_event=on_event,
    )
    save_model(model, tokenizer, output)
    return loss


def _tokenizer_texts(world: World, rng: random.Random) -> list[str]:
    """Questions and biographies: the world's own text."""
    return [
        f"{ask(person.name)} {write_biography(world, person, corrupted_share=0.5, rng=rng)}"
        for person in world.people
        for _ in range(4)
    ]


def _make_batch(
    world: World, tokenizer: Any, rng: random.Random, config: BaseModelConfig
) -> dict[str, Any]:
    """A batch of new biographies; only the answer and its end are trained."""
    import torch

    prompts, texts = [], []
    for person in rng.choices(world.people, k=config.batch_size):
        biography = write_biography(world, person, corrupted_share=config.corrupted_share, rng=rng)
        prompt = render_prompt(ask(person.name))
        prompts.append(prompt)
        texts.append(f"{prompt}{biography}{END}")
    encoded = tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    lengths = torch.tensor([len(ids) for ids in prompt_ids])
    positions = torch.arange(encoded["input_ids"].shape[1])
    learned = (positions[None] >= lengths[:, None]) & encoded["attention_mask"].bool()
    labels = encoded["input_ids"].masked_fill(~learned, IGNORED)
    return {
        "input_ids": encoded["input_ids"],
        "attention_mask": encoded["attention_mask"],
        "labels": labels,
    }
