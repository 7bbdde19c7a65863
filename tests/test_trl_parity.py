"""Without spans the defaults are stock DPO: loss and gradients as TRL 1.16 computes them.

The peer is TRL's own trainer on its own data loader's batch, tokenised by TRL from the same
conversations; nothing of its pipeline is re-implemented here.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from steps import compute_losses, refer, use_layout
from tiny_models import (
    byte_level_tokenizer,
    make_pair_values,
    tiny_llama,
    unigram_tokenizer,
)

from trainer.config import TrainConfig
from trainer.data import parse_pair
from trainer.examples import Example, prepare_examples
from trainer.layouts import Layout

pytest.importorskip("trl", reason="the peer of this test; installed with the extra 'dev'")

BETA = 0.1
TOLERANCE = 1e-5
NUM_PAIRS = 4


def trl_trainer(model: Any, reference: Any, tokenizer: Any, rows: list[Any], folder: Path) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    columns = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in rows]
    return DPOTrainer(
        model=model,
        ref_model=reference,
        args=DPOConfig(
            output_dir=str(folder),
            beta=BETA,
            per_device_train_batch_size=NUM_PAIRS,
            bf16=False,
            gradient_checkpointing=False,
            max_length=1024,
            report_to=[],
            use_cpu=True,
        ),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(columns),
    )


def our_examples(tokenizer: Any, rows: list[Any], **changes: Any) -> list[Example]:
    """By the defaults, but for what says that spans are not to be used."""
    config = TrainConfig.parse({"model": "m", "beta": BETA} | changes, where="test")
    prepared = prepare_examples([parse_pair(row, row["id"]) for row in rows], tokenizer, config)
    assert not prepared.dropped
    return list(prepared.examples)


@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
@pytest.mark.parametrize("make_tokenizer", [byte_level_tokenizer, unigram_tokenizer])
def test_loss_and_every_gradient_equal_trl(
    make_tokenizer: Any, layout: Layout, tmp_path: Path
) -> None:
    tokenizer = make_tokenizer()
    rows = [make_pair_values(index) for index in range(NUM_PAIRS)]
    rows[1]["chosen"][0]["content"] += " 😀 And,  later,\n\n- 你好。"
    model, reference = tiny_llama(len(tokenizer), seed=1), tiny_llama(len(tokenizer), seed=2)

    # TRL replaces the model's forward, so it gets one of its own.
    trainer = trl_trainer(copy.deepcopy(model), reference, tokenizer, rows, tmp_path)
    (peer_batch,) = list(trainer.get_train_dataloader())
    peer_loss = trainer.compute_loss(trainer.model, peer_batch)
    peer_loss.backward()
    peer_gradients = {name: p.grad for name, p in trainer.model.named_parameters()}

    examples = our_examples(tokenizer, rows, use_spans=False)
    plain = [
        {name: value for name, value in row.items() if not name.endswith("_spans")} for row in rows
    ]
    assert our_examples(tokenizer, plain) == examples
    assert our_examples(tokenizer, rows, use_spans=False, eos="neither") != examples
    items = refer(examples, tiny_llama(len(tokenizer), seed=2))
    choice = use_layout(model, layout, examples)
    losses = compute_losses(model, items, layout=layout, head=choice.head)
    loss = losses.losses_B.mean()
    loss.backward()

    ours = {
        tuple(side.token_ids[side.first :])
        for example in examples
        for side in (example.chosen, example.rejected)
    }
    peers = {tuple(r) for r in kept_ids(peer_batch["input_ids"], peer_batch["completion_mask"])}
    assert ours == peers
    assert loss.item() == pytest.approx(peer_loss.item(), abs=TOLERANCE)
    assert abs(peer_loss.item() - 0.693147) > 100 * TOLERANCE  # policy and reference do differ
    for name, parameter in model.named_parameters():
        difference = (parameter.grad - peer_gradients[name]).abs().max().item()
        assert difference < TOLERANCE, f"{name}: gradients differ by {difference}"
        assert peer_gradients[name].abs().max().item() > 100 * TOLERANCE, f"{name} tests nothing"


def kept_ids(input_ids: Any, mask: Any) -> list[list[int]]:
    return [row[kept.bool()].tolist() for row, kept in zip(input_ids, mask, strict=True)]
