"""How many floating-point operations a step takes: the necessary ones, and those of a layout.

The rule: a multiplication and an addition are two operations; only matrix products count. For N
parameters between embedding and LM head, V x H the size of the LM head, W the width of attention
(heads times head size), L layers:

    forward   2 N tokens + 2 V H rows + 4 W L pairs        `pairs`: visible (query, key) pairs
    backward  twice that; once if only an adapter trains

Recomputation (gradient checkpointing, chunks of the LM head) is not counted, as usual for MFU
(arXiv 2204.02311, appendix B).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainer.layouts import Arrangement

# Dense peak of the matrix units, without sparsity, in operations per second: the vendor's data
# sheets, bfloat16. Longer names first: "H100 PCIe" is another card than "H100".
PEAKS = {
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A batch's work: tokens through the layers, (query, key) pairs, rows through the LM head."""

    num_tokens: int
    num_seen: int
    num_rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    """The sizes of a model that decide its number of operations."""

    body: int
    vocabulary: int
    hidden: int
    attention_width: int
    layers: int

    def forward_flops(self, work: Work) -> int:
        """Number of operations of a forward pass."""
        return (
            2 * self.body * work.num_tokens
            + 2 * self.vocabulary * self.hidden * work.num_rows
            + 4 * self.attention_width * self.layers * work.num_seen
        )

    def step_flops(self, work: Work, *, frozen: bool = False) -> int:
        """Number of operations of forward and backward; `frozen` if only an adapter trains."""
        return (2 if frozen else 3) * self.forward_flops(work)


def measure_shape(model: Any) -> ModelShape:
    """The shape of a causal language model."""
    config = model.config.get_text_config()
    matrix = model.get_output_embeddings().weight
    vocabulary, hidden = matrix.shape
    apart = {id(matrix), id(model.get_input_embeddings().weight)}
    heads = config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return ModelShape(
        body=sum(p.numel() for p in model.parameters() if id(p) not in apart),
        vocabulary=int(vocabulary),
        hidden=int(hidden),
        attention_width=heads * head_size,
        layers=config.num_hidden_layers,
    )


def measure_work(arrangement: Arrangement, *, num_rows: int) -> Work:
    """The work of a laid-out batch in which `num_rows` tokens are scored."""
    if arrangement.segments:
        lengths = [(s.end - s.start, s.first_position) for s in arrangement.segments]
    else:
        lengths = [(arrangement.width, 0)] * len(arrangement.rows)
    return Work(
        num_tokens=arrangement.num_forwarded,
        num_seen=sum(n * (n + 1) // 2 + n * before for n, before in lengths),
        num_rows=num_rows,
    )


def find_peak(device_name: str) -> float | None:
    """Peak operations per second of a GPU by its name; None when it is not in the table."""
    return next((peak for name, peak in PEAKS.items() if name in device_name), None)
