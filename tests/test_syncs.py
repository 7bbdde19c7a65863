"""What a training step waits for: at most two reads of the device per micro-batch, one per step.

Counted are the operations that make a GPU's queue run dry: reading a number, and whatever has a
shape that depends on values (a boolean mask as an index, nonzero, unique).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from steps import EXAMPLES, VOCABULARY, refer, use_layout
from tiny_models import tiny_llama
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.layouts import Layout
from trainer.loss import LossSettings
from trainer.mask_dpo import MaskDpoTrainer, Method

WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero", "equal"}
ACCUMULATION = 3


class CountWaits(TorchDispatchMode):
    """Counts operations that would wait for a GPU, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name.startswith("index") and any(
            isinstance(part, torch.Tensor) and part.dtype in {torch.bool, torch.uint8}
            for argument in args[1:]
            for part in (argument if isinstance(argument, (list, tuple)) else [argument])
        )
        if name in WAITING or masks:
            self.waits[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
def test_a_micro_batch_waits_for_the_device_at_most_twice(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainingArguments

    model = tiny_llama(VOCABULARY)
    examples = [*EXAMPLES, *EXAMPLES]
    choice = use_layout(model, layout, examples)
    trainer = MaskDpoTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=2,
            gradient_accumulation_steps=ACCUMULATION,
            num_train_epochs=1,
            max_grad_norm=0.0,
            use_cpu=True,
            report_to=[],
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
        ),
        method=Method(loss=LossSettings(), choice=choice),
        train_items=refer(examples, tiny_llama(VOCABULARY, seed=5)),
        eval_items=[],
    )
    counted = CountWaits()
    plain = trainer.training_step

    def tolist(tensor: torch.Tensor) -> Any:  # which on a CPU dispatches nothing
        counted.waits["tolist"] += 1
        return read(tensor)

    read = torch.Tensor.tolist

    def step(*args: Any, **kwargs: Any) -> Any:
        with counted, monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "tolist", tolist)
            return plain(*args, **kwargs)

    trainer.training_step = step
    trainer.train()
    assert trainer.state.global_step == 1
    # Segments are read once, to plan the attention of all layers; the two of padded rows are
    # transformers', which looks whether a padding mask masks anything.
    assert counted.waits.total() == ACCUMULATION * (2 if layout == "padded" else 1), counted.waits


def test_a_micro_batch_asks_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a whole optimiser step does: how many pairs it has, and whether it may be taken."""
    import trainer.mask_dpo as module

    asked: list[int] = []
    monkeypatch.setattr(module, "max_of_processes", lambda value, _: asked.append(value) or value)
    from transformers import TrainingArguments

    model = tiny_llama(VOCABULARY)
    examples = [*EXAMPLES, *EXAMPLES]
    trainer = MaskDpoTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=1,
            gradient_accumulation_steps=ACCUMULATION,
            num_train_epochs=1,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        ),
        method=Method(loss=LossSettings(), choice=use_layout(model, "shared", examples)),
        train_items=refer(examples, tiny_llama(VOCABULARY, seed=5)),
        eval_items=[],
    )
    reduced: list[Any] = []
    plain = trainer.accelerator.reduce
    trainer.accelerator.reduce = lambda value, **how: reduced.append(1) or plain(value, **how)
    trainer.train()
    assert trainer.state.global_step == 2
    assert asked == [0, 0] and len(reduced) == 2
