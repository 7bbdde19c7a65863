"""The demo's policy: a small Llama trained from scratch on partly corrupted biographies.

Plain next-token training on questions and answers, so that the result is a real chat model: a
tokenizer with a chat template, safetensors weights, and knowledge that is half wrong.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskdpo.demo.world import World, ask, write_biography
from schemas.events import Advanced, Ended, OnEvent, Started, ignore
from schemas.files.writing import follow_umask

END = "<|end|>"
_PAD = "<|pad|>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '" + END + "' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
STAGE = "base model"
_IGNORED = -100  # the label that torch's cross-entropy ignores


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
    tokenizer = _train_tokenizer(world, rng)
    model = _new_model(len(tokenizer), tokenizer, config)
    on_event(Started(stage=STAGE, total=config.num_steps, unit="step"))
    try:
        loss = _fit(model, tokenizer, world=world, rng=rng, config=config, on_event=on_event)
    finally:
        on_event(Ended(stage=STAGE))
    model.save_pretrained(output, safe_serialization=True)
    for path in output.glob("*.safetensors"):
        follow_umask(path)  # safetensors makes files that only their owner can read
    tokenizer.save_pretrained(output)
    return loss


def _fit(
    model: Any,
    tokenizer: Any,
    *,
    world: World,
    rng: random.Random,
    config: BaseModelConfig,
    on_event: OnEvent,
) -> float:
    """Run all training steps; returns the last loss."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config.learning_rate, total_steps=config.num_steps, pct_start=0.1
    )
    loss_value = float("nan")
    model.train()
    for _ in range(config.num_steps):
        batch = _make_batch(world, tokenizer, rng, config)
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        loss_value = float(loss.detach())
        on_event(Advanced(stage=STAGE, count=1))
    return loss_value


def _train_tokenizer(world: World, rng: random.Random) -> Any:
    """A byte-level BPE trained on the world's own text: exact offsets, no unknown tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [
        f"{ask(person.name)} {write_biography(world, person, corrupted_share=0.5, rng=rng)}"
        for person in world.people
        for _ in range(4)
    ]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=[_PAD, END, *_ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=_PAD,
        additional_special_tokens=list(_ROLES),
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def _new_model(vocab_size: int, tokenizer: Any, config: BaseModelConfig) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=3 * config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _make_batch(
    world: World, tokenizer: Any, rng: random.Random, config: BaseModelConfig
) -> dict[str, Any]:
    """A batch of new biographies; only the answer and its end are trained."""
    import torch

    prompts, texts = [], []
    for person in rng.choices(world.people, k=config.batch_size):
        biography = write_biography(world, person, corrupted_share=config.corrupted_share, rng=rng)
        prompt = f"<|user|>{ask(person.name)}{END}<|assistant|>"
        prompts.append(prompt)
        texts.append(f"{prompt}{biography}{END}")
    encoded = tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    lengths = torch.tensor([len(ids) for ids in prompt_ids])
    positions = torch.arange(encoded["input_ids"].shape[1])
    learned = (positions[None] >= lengths[:, None]) & encoded["attention_mask"].bool()
    labels = encoded["input_ids"].masked_fill(~learned, _IGNORED)
    return {
        "input_ids": encoded["input_ids"],
        "attention_mask": encoded["attention_mask"],
        "labels": labels,
    }
