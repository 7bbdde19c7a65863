"""How far a policy is from its reference: the KL divergence, from the policy's own samples.

For a response y sampled from the policy pi at temperature 1, two estimates of KL(pi || ref) in
nats per response:

    kl          the sum over the tokens of KL(pi(. | y<t) || ref(. | y<t)), over the vocabulary
    log_ratio   log pi(y) - log ref(y)

The first is the second with the choice of each token averaged out (Rao-Blackwell; Amini et al.
2025, arXiv 2504.10637): never negative, with a much smaller variance. It is the one to read.

The rule: a response's tokens are those of its text after the rendered prompt, and the end token
where the response ended by itself. The text is tokenized again, so a response whose tokens the
tokenizer would not have chosen (about 5% in a study's world) counts with other tokens than were
sampled. That makes log_ratio too small, below 0 for a model that hardly moved; kl depends on the
tokens only through what precedes each.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """The two estimates of one response in nats, and its number of tokens, end included."""

    log_ratio: float
    kl: float
    num_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sequence:
    """Token ids of prompt and completion, and where the completion begins."""

    ids: list[int]
    first: int

    @property
    def num_scored(self) -> int:
        """Number of tokens of the completion."""
        return len(self.ids) - self.first


def measure_divergence(
    policy: Path,
    reference: Path,
    responses: Sequence[Response],
    *,
    dtype: str = "float32",
    device: str = "cpu",
    batch_size: int = 64,
) -> list[Divergence]:
    """One per response, in their order. Policy and reference have the same tokenizer.

    dtype        precision of the weights; probabilities are float32
    batch_size   responses at once: each token takes a few times 4 bytes per entry of the vocabulary

    Where both folders are the same, all are 0.
    """
    from annotator.models.local.model_loading import choose_device, load_network, load_tokenizer

    tokenizer = load_tokenizer(policy)
    sequences = [_tokenize(tokenizer, response) for response in responses]
    found = dict.fromkeys(range(len(sequences)), (0.0, 0.0))
    if policy != reference and sequences:
        place = choose_device(device)
        networks = [load_network(folder, dtype, place) for folder in (policy, reference)]
        found = dict(_compare(networks, sequences, batch_size))
    return [
        Divergence(log_ratio=found[number][0], kl=found[number][1], num_tokens=item.num_scored)
        for number, item in enumerate(sequences)
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


def _compare(
    networks: Sequence[Any], sequences: Sequence[_Sequence], batch_size: int
) -> Iterator[tuple[int, tuple[float, float]]]:
    """The number of each sequence, and its log-ratio and divergence in nats."""
    import torch

    order = sorted(range(len(sequences)), key=lambda number: len(sequences[number].ids))
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        with torch.inference_mode():
            sums_2B = _compare_batch(networks, [sequences[number] for number in numbers])
        for number, ratio, kl in zip(numbers, *sums_2B.tolist(), strict=True):
            yield number, (ratio, kl)


def _compare_batch(networks: Sequence[Any], batch: Sequence[_Sequence]) -> torch.Tensor:
    """Sums over the completions, float64 [2, B]: log-ratios, and divergences of the next token.

    Rows are padded at the end, which no token before it sees.
    """
    import torch

    width, device = max(len(item.ids) for item in batch), networks[0].device
    rows = [item.ids + [0] * (width - len(item.ids)) for item in batch]
    ids_BT = torch.tensor(rows, device=device)
    starts_B1 = torch.tensor([[item.first] for item in batch], device=device)
    ends_B1 = torch.tensor([[len(item.ids)] for item in batch], device=device)
    mask_BT = (torch.arange(width, device=device) < ends_B1).long()
    places_T = torch.arange(1, width, device=device)
    scored_BT = (places_T >= starts_B1) & (places_T < ends_B1)
    policy_BTV, reference_BTV = (
        network(ids_BT, attention_mask=mask_BT).logits[:, :-1].float().log_softmax(dim=-1)
        for network in networks
    )
    ratios_BTV = policy_BTV - reference_BTV
    sampled_BT = ratios_BTV.gather(-1, ids_BT[:, 1:, None]).squeeze(-1)
    expected_BT = (policy_BTV.exp() * ratios_BTV).sum(dim=-1)
    return torch.stack([sampled_BT, expected_BT]).double().mul(scored_BT).sum(dim=-1)
