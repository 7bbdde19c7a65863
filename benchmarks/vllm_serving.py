"""Measures vllm: start-up, replies per second and the share of replies that follow a schema.

Run it in vllm's own environment: `.venv-vllm/bin/python benchmarks/vllm_serving.py`. Without
--model it makes the tests' tiny random model, whose replies mean nothing: then the figures show
only the overhead. The peer is the transformers backend with the same model and requests.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from annotator.models.backend import Backend, Decoding, Reply, Request
from annotator.models.config import ModelConfig
from annotator.models.make_backend import make_backend
from schemas.records import Message

# The tests' tiny model and server are used here too.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "with_vllm"))

# No maxLength: with it xgrammar allows raw control characters in strings, which is not JSON.
SCHEMA = {
    "type": "object",
    "properties": {
        "quotes": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "label": {"type": "string", "enum": ["supported", "contradicted", "not_mentioned"]},
    },
    "required": ["quotes", "label"],
    "additionalProperties": False,
}


def requests(count: int, schema: dict[str, Any] | None, max_tokens: int) -> list[Request]:
    """Requests about eight documents; those of one document are consecutive."""
    text = "The river rises in the north; it is 1,204 km long. 它全长1204公里。" * 12
    return [
        Request(
            id=f"{n}-{schema is None}",
            messages=(
                Message(role="user", content=f"Document {n * 8 // count}: {text}\nSentence {n}."),
            ),
            seed=n,
            decoding=Decoding(max_tokens=max_tokens, temperature=1.0, schema=schema),
        )
        for n in range(count)
    ]


def ask(backend: Backend, asked: list[Request]) -> tuple[float, list[Reply]]:
    """(seconds, replies); a request without a reply ends the benchmark."""
    waiting = backend.plan(asked)

    def take(limit: int) -> list[list[Request]]:
        taken, waiting[:] = waiting[:limit], waiting[limit:]
        return taken

    started = time.perf_counter()
    outcomes = [outcome for done in backend.generate(take) for _, outcome in done]
    seconds = time.perf_counter() - started
    replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
    if len(replies) < len(asked):
        raise SystemExit(f"{len(asked) - len(replies)} requests failed: {outcomes[0]}")
    return seconds, replies


def measure(backend: Backend, count: int, *, structured: bool) -> dict[str, Any]:
    """First call (which loads the model), then plain and structured replies."""
    figures: dict[str, Any] = {"start_s": round(ask(backend, requests(1, None, 1))[0], 1)}
    seconds, replies = ask(backend, requests(count, None, 64))
    figures["replies_per_s"] = round(count / seconds, 1)
    if structured:
        ask(backend, requests(1, SCHEMA, 192))  # loads the grammar compiler
        seconds, replies = ask(backend, requests(count, SCHEMA, 192))
        figures["structured_per_s"] = round(count / seconds, 1)
        whole = [reply for reply in replies if reply.finish_reason == "stop"]
        figures["structured_whole"] = round(len(whole) / count, 3)
        figures["structured_valid_of_whole"] = round(sum(map(follows, whole)) / len(whole), 3)
        cached = sum(reply.cached_tokens or 0 for reply in replies)
        prompt = sum(reply.prompt_tokens or 0 for reply in replies)
        figures["prompt_tokens_cached"] = round(cached / prompt, 3)
    return figures


def follows(reply: Reply) -> bool:
    """Whether a reply is JSON of the schema."""
    from jsonschema import Draft202012Validator

    try:
        return bool(Draft202012Validator(SCHEMA).is_valid(json.loads(reply.text)))
    except ValueError:
        return False


def main() -> None:
    from vllm_support import serve, write_servable_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a model folder (default: a tiny random one)")
    parser.add_argument("--count", type=int, default=128, help="requests per measurement")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB, of two engines one after another
    with tempfile.TemporaryDirectory() as place:
        model = arguments.model or write_servable_model(Path(place) / "tiny")
        local = {"model": str(model), "dtype": "float32", "batch_size": 64}
        figures: dict[str, Any] = {"count": arguments.count}
        engine = {"enforce_eager": True, "max_model_len": 8192}
        backend = make_backend(ModelConfig(backend="transformers", **local))
        figures["transformers"] = measure(backend, arguments.count, structured=False)
        backend = make_backend(ModelConfig(backend="vllm", engine=engine, **local))
        figures["vllm"] = measure(backend, arguments.count, structured=True)
        del backend
        started = time.perf_counter()
        with serve(model, name="served", log=Path(place) / "log.txt") as base_url:
            start_s = time.perf_counter() - started
            config = ModelConfig(
                backend="openai", model="served", base_url=base_url, concurrency=64
            )
            figures["server"] = measure(make_backend(config), arguments.count, structured=True)
            figures["server"]["start_s"] = round(start_s, 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
