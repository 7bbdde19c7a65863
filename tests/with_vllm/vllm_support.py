"""A tiny chat model that vllm can serve, and a server of it: `python vllm_support.py FOLDER`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tiny_models import byte_level_tokenizer

SERVER = "vllm.entrypoints.openai.api_server"


def write_servable_model(folder: Path, *, seed: int = 0) -> Path:
    """A random two-layer Llama over bytes: it can write any JSON, and any Chinese.

    Heads of 32 are the narrowest that vllm's CPU kernels take. Hidden unit 0 is a constant (no
    layer writes to it), so its column of the head is a bias: the model likes to close what it
    opened and dislikes white space, or a random model would seldom finish a JSON text.
    """
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
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    network = LlamaForCausalLM(config)
    with torch.no_grad():
        network.model.embed_tokens.weight[:, 0] = 1.0
        for layer in network.model.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        bias_V = network.lm_head.weight[:, 0]
        bias_V.zero_()
        for token, text in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
            if text in ('"', "]"):
                bias_V[token] = 3.0
            elif text == tokenizer.eos_token:
                bias_V[token] = 1.5
            elif text[0] in "ĠĊĉč":  # how byte-level tokenizers write white space
                bias_V[token] = -2.5
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def serve(folder: Path, *, name: str, log: Path) -> Iterator[str]:
    """vllm's OpenAI-compatible server of the model in `folder`; yields its base_url."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", SERVER, "--model", str(folder), "--served-model-name", name]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    # vllm's CPU sampler dies of a seeded request whose prompt it reads in chunks.
    command += ["--enforce-eager", "--enable-prompt-tokens-details", "--no-enable-chunked-prefill"]
    environment = os.environ | {"VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        _wait_until_healthy(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(1200):  # a busy machine takes minutes
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text(errors='replace')[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"the server is not up: {log.read_text(errors='replace')[-3000:]}")


if __name__ == "__main__":
    print(write_servable_model(Path(sys.argv[1])))
