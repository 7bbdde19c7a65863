"""Scoring a few pairs without training on them: for the reference pass, and the proof of a layout.

Shapes and errors are those of `trainer.head.score_tokens`, which does the work.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """A float32 array a side, chosen sides first: the log-probability of each completion token."""
    import numpy as np
    import torch

    from trainer.head import autocast, score_tokens

    device = next(model.parameters()).device
    arrangement = arrange(examples, layout, "completion")
    ids = [np.asarray(placed.sequence.token_ids)[placed.scored] for placed in arrangement.placed]
    batch = lay_tensors(arrangement) | {
        "rows": torch.from_numpy(np.concatenate([placed.places for placed in arrangement.placed])),
        "targets": torch.from_numpy(np.concatenate(ids)),
    }
    batch = {name: value.to(device) for name, value in batch.items()}
    was_training = model.training
    model.eval()
    with torch.no_grad(), autocast(device, dtype):
        logps_N = score_tokens(model, batch, head).cpu().numpy()
    model.train(was_training)
    ends = np.cumsum([len(part) for part in ids])[:-1]
    return [part.copy() for part in np.split(logps_N, ends)]
