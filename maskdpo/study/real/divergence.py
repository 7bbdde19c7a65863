"""How far a policy has moved: the KL divergence from the base model, on the policy's own samples.

The rule: the mean over responses of log policy(response) - log base(response) is an unbiased
estimate of KL(policy | base) in nats per response, where the responses were sampled from the policy
at temperature 1. It can be below 0 by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas.records import Response

_ROWS = 32


def mean_kl(
    policy: Path, base: Path, responses: Sequence[Response], *, dtype: str, device: str
) -> float | None:
    """Nats per response; None without responses."""
    if not responses:
        return None
    one = _log_probs(policy, responses, dtype=dtype, device=device)
    other = _log_probs(base, responses, dtype=dtype, device=device)
    return sum(a - b for a, b in zip(one, other, strict=True)) / len(responses)


def _log_probs(
    folder: Path, responses: Sequence[Response], *, dtype: str, device: str
) -> list[float]:
    """The log-probability of each response, with its end, given its prompt."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True
    )
    model.to(device).eval()
    rows = [_encode(tokenizer, response) for response in responses]
    with torch.inference_mode():
        return [value for batch in _batches(rows) for value in _score(model, batch, device)]


def _encode(tokenizer: Any, response: Response) -> tuple[list[int], list[int]]:
    messages = [message.model_dump() for message in response.prompt]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    end = [tokenizer.eos_token_id] if response.finish_reason == "stop" else []
    encode = tokenizer(  # one call for both, so that both are tokenised alike
        [prompt, response.text], add_special_tokens=False
    )["input_ids"]
    return encode[0], encode[1] + end


def _batches(
    rows: Sequence[tuple[list[int], list[int]]],
) -> Iterator[Sequence[tuple[list[int], list[int]]]]:
    for start in range(0, len(rows), _ROWS):
        yield rows[start : start + _ROWS]


def _score(model: Any, rows: Sequence[tuple[list[int], list[int]]], device: str) -> list[float]:
    import torch

    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    for row, (prompt, answer) in enumerate(rows):
        ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
    ids = ids.to(device)
    hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
    head = model.get_output_embeddings()
    sums = []
    for row, (prompt, answer) in enumerate(rows):
        if not answer:
            sums.append(0.0)
            continue
        first, last = len(prompt), len(prompt) + len(answer)
        logits = head(hidden[row, first - 1 : last - 1]).float()
        chosen = ids[row, first:last, None]
        sums.append(float(logits.log_softmax(-1).gather(-1, chosen).sum()))
    return sums
