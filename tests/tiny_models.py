"""Small tokenizers and models, made on the spot: no download, no file from outside the tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# Threads cost more than they give at this size, most of all beside other test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SENTENCES = [
    "Ada Ling was born in Lima in 1871. She studied law, and then she wrote eleven novels.",
    "The river rises in the north; it is 1,204 km long. It freezes in most winters!",
    "你好，世界。我们今天去北京。他出生于一九七一年。",
    "Is it true? Yes: the tower has 3 floors and a clock.\n\n- first point\n- second point\n",
    "user assistant system question answer",
]
CHATML = (
    "{% for message in messages %}{{ '<|start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}"
    "{% endif %}"
)
TRIMMING = CHATML.replace("message['content']", "message['content'] | trim")
SPECIAL = ["<|pad|>", "<|start|>", "<|end|>"]


def byte_level_tokenizer(
    *, template: str | None = CHATML, trim_offsets: bool = False, vocab_size: int = 420
) -> Any:
    """Byte-level BPE, as in GPT-2, Llama 3 and Qwen."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return _wrap(tokenizer, template)


def unigram_tokenizer(*, template: str | None = CHATML, vocab_size: int = 200) -> Any:
    """Unigram with Metaspace, as SentencePiece makes for Llama 2, T5 and Gemma."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size,
        special_tokens=["<unk>", *SPECIAL],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return _wrap(tokenizer, template, unk_token="<unk>")


def _wrap(tokenizer: Any, template: str | None, unk_token: str | None = None) -> Any:
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|start|>"],
        unk_token=unk_token,
    )
    wrapped.chat_template = template
    return wrapped


def tiny_llama(vocab_size: int, *, seed: int = 0) -> Any:
    """A randomly initialised Llama of some 20,000 parameters, float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=512,
            initializer_range=0.3,
            tie_word_embeddings=False,
        )
    )


def tiny_gemma(vocab_size: int) -> Any:
    """As `tiny_llama`, a Gemma."""
    from transformers import GemmaConfig, GemmaForCausalLM

    return GemmaForCausalLM(
        GemmaConfig(
            vocab_size=vocab_size,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            initializer_range=0.3,
        )
    )


def tiny_gpt2(vocab_size: int) -> Any:
    """As `tiny_llama`, a GPT-2 without dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=128,
            initializer_range=0.3,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    )


def tiny_qwen(vocab_size: int, version: int, **changes: Any) -> Any:
    """As `tiny_llama`, a Qwen of that version."""
    import transformers

    config = getattr(transformers, f"Qwen{version}Config")(
        vocab_size=vocab_size,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.3,
        tie_word_embeddings=version == 2,
        **changes,
    )
    return getattr(transformers, f"Qwen{version}ForCausalLM")(config)


def save_model_folder(folder: Path, tokenizer: Any | None = None, *, seed: int = 0) -> Path:
    """A model folder as a user would have it."""
    tokenizer = tokenizer or byte_level_tokenizer()
    tiny_llama(len(tokenizer), seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_pair_values(index: int = 0) -> dict[str, Any]:
    """A pair row: two sentences per side, one of which is wrong on either side."""
    chosen = f"Ada Ling was born in Lima in {1871 + index}. She wrote eleven novels."
    rejected = f"Ada Ling was born in Oslo in {1890 + index}. She studied law."
    cut, rejected_cut = chosen.index(".") + 1, rejected.index(".") + 1
    return {
        "id": f"pair-{index}",
        "prompt": [{"role": "user", "content": f"Who was Ada Ling, number {index}?"}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "chosen_spans": [
            _span(0, cut, "no_hallucination", 1.0),
            _span(cut + 1, len(chosen), "contradictory", 0.0),
        ],
        "rejected_spans": [
            _span(0, rejected_cut, "contradictory", 1.0),
            _span(rejected_cut + 1, len(rejected), "no_hallucination", 0.0),
        ],
        "chosen_score": 1.0,
        "rejected_score": 0.0,
        "topic": f"topic-{index}",
    }


def write_dataset(folder: Path, num_train: int = 6, num_test: int = 2) -> Path:
    """A data set folder in our layout, without going through the builder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "pairs").mkdir(parents=True)
    rows = [make_pair_values(index) for index in range(num_train + num_test)]
    for name, part in (("train", rows[:num_train]), ("test", rows[num_train:])):
        if part:
            table = pa.Table.from_pylist(part)
            pq.write_table(table, folder / "pairs" / f"{name}-00000-of-00001.parquet")
    manifest = {"format": "maskdpo.pairs", "version": "1.0"}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def _span(start: int, end: int, label: str, weight: float) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, "weight": weight}
