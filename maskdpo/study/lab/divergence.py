"""How far a policy is from its reference: the KL divergence, from the policy's own samples.

For responses y sampled from the policy pi at temperature 1, the mean of log pi(y) - log ref(y) is
an unbiased estimate of KL(pi || ref) in nats per response.

The rule: a response's tokens are those of its text after the rendered prompt, and the end token
where the response ended by itself. The text is tokenized again: a response whose tokens the
tokenizer would not have chosen counts with other tokens than were sampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.records import Response

if TYPE_CHECKING:
    import torch

_BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRatio:
    """log pi(y) - log ref(y) of one response in nats, and its number of tokens, end included."""

    value: float
    num_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sequence:
    """Token ids of prompt and completion, and where the completion begins."""

    ids: list[int]
    first: int


def log_ratios(policy: Path, reference: Path, responses: Sequence[Response]) -> list[LogRatio]:
    """One per response, in their order. Policy and reference have the same tokenizer.

    Where both folders are the same, all are 0.
    """
    from annotator.models.local.model_loading import choose_device, load_network, load_tokenizer

    tokenizer = load_tokenizer(policy)
    sequences = [_tokenize(tokenizer, response) for response in responses]
    totals = [0.0] * len(sequences)
    if policy != reference:
        for sign, folder in ((1.0, policy), (-1.0, reference)):
            network = load_network(folder, "float32", choose_device("cpu"))
            for number, value in _sum_logps(network, sequences):
                totals[number] += sign * value
    return [
        LogRatio(value=total, num_tokens=len(item.ids) - item.first)
        for total, item in zip(totals, sequences, strict=True)
    ]


def mean_with_error(
    values: Sequence[float], topics: Sequence[str]
) -> tuple[float | None, float | None]:
    """The mean, and its standard error for topics that are sampled with all of their responses.

    With s_t the sum of a topic's differences from the mean, T topics and N values, the error is
    sqrt(T / (T - 1) * sum s_t^2) / N. The mean is None without values, the error with fewer than
    two topics.
    """
    if not values:
        return None, None
    mean = math.fsum(values) / len(values)
    sums: dict[str, float] = {}
    for value, topic in zip(values, topics, strict=True):
        sums[topic] = sums.get(topic, 0.0) + value - mean
    if len(sums) < 2:
        return mean, None
    squares = math.fsum(item * item for item in sums.values())
    return mean, math.sqrt(len(sums) / (len(sums) - 1) * squares) / len(values)


def _tokenize(tokenizer: Any, response: Response) -> _Sequence:
    messages: list[Mapping[str, str]] = [message.model_dump() for message in response.prompt]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    first, second = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, response.text)
    )
    end = [tokenizer.eos_token_id] if response.finish_reason == "stop" else []
    return _Sequence(ids=[*first, *second, *end], first=len(first))


def _sum_logps(network: Any, sequences: Sequence[_Sequence]) -> Iterator[tuple[int, float]]:
    """The number of each sequence and the log-probability of its completion, in nats."""
    import torch

    order = sorted(range(len(sequences)), key=lambda number: len(sequences[number].ids))
    for start in range(0, len(order), _BATCH_SIZE):
        numbers = order[start : start + _BATCH_SIZE]
        with torch.inference_mode():
            sums_B = _score_batch(network, [sequences[number] for number in numbers])
        yield from zip(numbers, sums_B.tolist(), strict=True)


def _score_batch(network: Any, batch: Sequence[_Sequence]) -> torch.Tensor:
    """Sums over the completions, float64 [B]; rows are padded at the end, which no token sees."""
    import torch

    width = max(len(item.ids) for item in batch)
    ids_BT = torch.tensor([item.ids + [0] * (width - len(item.ids)) for item in batch])
    places_T = torch.arange(1, width)
    starts_B1 = torch.tensor([[item.first] for item in batch])
    ends_B1 = torch.tensor([[len(item.ids)] for item in batch])
    scored_BT = (places_T >= starts_B1) & (places_T < ends_B1)
    logits_BTV = network(ids_BT, attention_mask=_mask(ends_B1, width)).logits[:, :-1]
    logps_BTV = logits_BTV.log_softmax(dim=-1)
    logps_BT = logps_BTV.gather(-1, ids_BT[:, 1:, None]).squeeze(-1)
    sums_B: torch.Tensor = (logps_BT.double() * scored_BT).sum(dim=-1)
    return sums_B


def _mask(ends_B1: torch.Tensor, width: int) -> torch.Tensor:
    import torch

    return (torch.arange(width) < ends_B1).long()
