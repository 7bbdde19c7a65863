"""Scoring pairs without training on them: for the reference pass, and the check of a layout.

Shapes and errors are those of `trainer.head.score_tokens`, which does the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trainer.batches import lay_tensors
from trainer.examples import Example
from trainer.layouts import Layout, arrange

if TYPE_CHECKING:
    import numpy as np
    import torch

    from trainer.head import Head

    Logps = np.ndarray[Any, np.dtype[np.float32]]


def score_completions(
    model: Any, examples: Sequence[Example], *, layout: Layout, head: Head, dtype: torch.dtype
) -> list[Logps]:
    """A float32 array per side, chosen sides first: log-probabilities of the completion tokens."""
    import numpy as np
    import torch

    from trainer.head import autocast, score_tokens

    batch, lengths = _lay_out(model, examples, layout)
    with _evaluating(model), torch.no_grad(), autocast(batch["rows"].device, dtype):
        logps_N = score_tokens(model, batch, head).cpu().numpy()
    return [part.copy() for part in np.split(logps_N, np.cumsum(lengths)[:-1])]


def embedding_gradients(
    model: Any, examples: Sequence[Example], *, layout: Layout, head: Head, dtype: torch.dtype
) -> torch.Tensor:
    """Gradient of the sum of those log-probabilities in the input embeddings, float32 [ids, H].

    Summed per token id, in the order of the ids, so that it is the same in every layout. No
    gradient of a weight is computed.
    """
    import torch

    from trainer.head import autocast, score_tokens

    batch, _ = _lay_out(model, examples, layout)
    sides = [side for example in examples for side in (example.chosen, example.rejected)]
    device = batch["rows"].device
    known = torch.tensor(sorted({0}.union(*(side.token_ids for side in sides))), device=device)
    embedded: list[torch.Tensor] = []

    def keep(*call: Any) -> torch.Tensor:
        embedded.append(call[-1].detach().requires_grad_())
        return embedded[-1]

    handle = model.get_input_embeddings().register_forward_hook(keep)
    try:
        with _evaluating(model), torch.enable_grad(), autocast(device, dtype):
            total = score_tokens(model, batch, head).sum()
            (gradient_RTH,) = torch.autograd.grad(total, embedded[:1])
    finally:
        handle.remove()
    places = torch.searchsorted(known, batch["input_ids"].flatten())
    gradient = gradient_RTH.flatten(0, 1).float()
    return gradient.new_zeros(len(known), gradient.shape[-1]).index_add(0, places, gradient).cpu()


def _lay_out(
    model: Any, examples: Sequence[Example], layout: Layout
) -> tuple[dict[str, Any], list[int]]:
    """A batch on the model's device that scores all completions, and how many tokens of each."""
    import numpy as np
    import torch

    device = next(model.parameters()).device
    arrangement = arrange(examples, layout, "completion")
    ids = [np.asarray(placed.sequence.token_ids)[placed.scored] for placed in arrangement.placed]
    batch = lay_tensors(arrangement) | {
        "rows": torch.from_numpy(np.concatenate([placed.places for placed in arrangement.placed])),
        "targets": torch.from_numpy(np.concatenate(ids)),
    }
    return {name: value.to(device) for name, value in batch.items()}, [len(part) for part in ids]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
