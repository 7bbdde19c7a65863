"""A small chat model trained from scratch in a closed world: a Llama, its tokenizer, its training.

The result is a real chat model: a tokenizer with a chat template and safetensors weights. The demo
and the study give the texts.

The rule: all randomness comes from torch's seed, which the caller sets, and from the caller's texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.events import Advanced, Ended, OnEvent, Started
from schemas.files.writing import follow_umask

if TYPE_CHECKING:
    import torch

END = "<|end|>"
IGNORED = -100  # the label that torch's cross-entropy ignores
STAGE = "base model"
_PAD = "<|pad|>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '" + END + "' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def render_prompt(question: str) -> str:
    """A question as the chat template writes it, with the start of the answer."""
    return f"<|user|>{question}{END}<|assistant|>"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> Any:
    """A byte-level BPE trained on these texts: exact offsets, no unknown tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[_PAD, END, *_ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return _as_chat_tokenizer(core)


def make_word_tokenizer(words: Iterable[str]) -> Any:
    """A tokenizer with one token per word; any other text becomes bytes, so offsets stay exact.

    A word may begin with a space. At each place of a text, the longest word is taken.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    longest_first = sorted(set(words), key=lambda word: (-len(word), word))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    encoded = [to_bytes.pre_tokenize_str(word)[0][0] for word in longest_first]
    tokens = dict.fromkeys([_PAD, END, *_ROLES, *alphabet, *encoded])
    vocab = {token: number for number, token in enumerate(tokens)}
    # Without merges, only a whole word is more than a byte (ignore_merges takes it as it is).
    core = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    pattern = Regex("|".join(re.escape(word) for word in longest_first))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), to_bytes]
    )
    core.decoder = decoders.ByteLevel()
    return _as_chat_tokenizer(core)


def _as_chat_tokenizer(core: Any) -> Any:
    """The tokenizer with the special tokens and the chat template."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=_PAD,
        additional_special_tokens=list(_ROLES),
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def new_model(
    tokenizer: Any, *, hidden_size: int, num_layers: int, initializer_range: float = 0.02
) -> Any:
    """A Llama with random weights (of this standard deviation) and a context of 256 tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden_size,
            intermediate_size=3 * hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            initializer_range=initializer_range,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def fit(
    model: Any,
    next_loss: Callable[[], torch.Tensor],
    *,
    num_steps: int,
    learning_rate: float,
    on_event: OnEvent,
) -> float:
    """Run all training steps, each on the loss of a new batch; returns the last one."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=learning_rate, total_steps=num_steps, pct_start=0.1
    )
    loss_value = float("nan")
    model.train()
    on_event(Started(stage=STAGE, total=num_steps, unit="step"))
    try:
        for _ in range(num_steps):
            loss = next_loss()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            loss_value = float(loss.detach())
            on_event(Advanced(stage=STAGE, count=1))
    finally:
        on_event(Ended(stage=STAGE))
    return loss_value


def save_model(model: Any, tokenizer: Any, output: Path) -> None:
    """Write weights, config and tokenizer, readable as the umask allows."""
    model.save_pretrained(output, safe_serialization=True)
    for path in output.glob("*.safetensors"):
        follow_umask(path)  # safetensors makes files that only their owner can read
    tokenizer.save_pretrained(output)
