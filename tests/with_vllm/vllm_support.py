"""A tiny chat model that vllm can serve: byte-level, so it can write any JSON (and any Chinese)."""

from pathlib import Path

from tiny_models import byte_level_tokenizer


def write_servable_model(folder: Path, *, seed: int = 0) -> Path:
    """A random two-layer Llama with heads of 32, the narrowest that vllm's CPU kernels take."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_level_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=16_384,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.1,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
