"""A tiny chat model on disk, and questions for it: what the sampling tests share."""

import json
from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|> {{ message.content }} {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SENTENCE = "where was born ? in the year a b c d e f g h one two three four five six seven eight"
WORDS = SENTENCE.split()


def write_tiny_model(
    folder: Path, *, seed: int = 0, spread: float = 0.3, template: str | None = CHAT_TEMPLATE
) -> Path:
    """A random two-layer Llama over some thirty words, saved as users' models are.

    `spread` is the standard deviation of the weights: the larger, the more certain the model.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<end>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>"]
    vocabulary = {word: index for index, word in enumerate(special + WORDS)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<end>", unk_token="<unk>"
    )
    if template is not None:
        tokenizer.chat_template = template
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=vocabulary["<end>"],
        pad_token_id=vocabulary["<pad>"],
        initializer_range=spread,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_questions(path: Path, num_questions: int) -> Path:
    """Questions of different lengths, `q0` on."""
    rows = [
        {"id": f"q{n}", "topic": f"t{n % 3}", "question": " ".join(WORDS[: 2 + n % 7]) + " ?"}
        for n in range(num_questions)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
