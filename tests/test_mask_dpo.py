"""The trainer's own arithmetic: the loss of a batch with stand-ins, and what steps measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from steps import AFTER, EXAMPLES, VOCABULARY, compute_losses, refer
from tiny_models import make_pair_values, save_model_folder, tiny_llama
from train_support import log_of, train
from transformers import TrainingArguments

from trainer.batches import collate_pairs, stand_in
from trainer.choice import Choice
from trainer.failures import NonFiniteLossError
from trainer.loss import LossSettings
from trainer.mask_dpo import MaskDpoTrainer, Method

LOSS = LossSettings(beta=0.3)


@pytest.fixture
def trainer(tmp_path: Path) -> Any:
    items = refer(EXAMPLES, tiny_llama(VOCABULARY, seed=2))
    return MaskDpoTrainer(
        model=tiny_llama(VOCABULARY, seed=1),
        args=TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=2,
            per_device_eval_batch_size=2,
            report_to=[],
            use_cpu=True,
            remove_unused_columns=False,
        ),
        method=Method(loss=LOSS, choice=Choice(layout="padded", head=AFTER, notes=[])),
        train_items=items,
        eval_items=items,
    )


def test_the_loss_of_a_batch_is_that_of_its_pairs_without_stand_ins(trainer: Any) -> None:
    """A stand-in has a loss, log 2, which must not count."""
    items = [trainer.train_dataset[index] for index in range(2)]
    losses = compute_losses(trainer.model, items, settings=LOSS).losses_B
    assert losses.sum().item() != pytest.approx(losses.mean().item())
    batch = collate_pairs([*items, stand_in(items[0])], "padded", "active")
    alone = collate_pairs([stand_in(items[0])], "padded", "active")
    for num_pairs, expected in ((2, losses.mean()), (8, losses.sum() / 8)):
        found = trainer.compute_loss(
            trainer.model, batch, num_items_in_batch=torch.tensor(num_pairs)
        )
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        empty = trainer.compute_loss(
            trainer.model, alone, num_items_in_batch=torch.tensor(num_pairs)
        )
        assert empty.item() == 0.0
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(losses.mean().item())


def test_gradients_are_averaged_over_processes_so_each_counts_as_many_times(
    trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = collate_pairs([trainer.train_dataset[0]], "padded", "active")
    alone = trainer.compute_loss(trainer.model, batch, num_items_in_batch=torch.tensor(8))
    monkeypatch.setattr(type(trainer.accelerator), "num_processes", 4)
    shared = trainer.compute_loss(trainer.model, batch, num_items_in_batch=torch.tensor(8))
    assert shared.item() == pytest.approx(4 * alone.item())


def test_a_step_counts_its_pairs_before_its_first_backward_pass(trainer: Any) -> None:
    loader = trainer.get_train_dataloader()  # batches of 2 pairs and 1
    samples, num_pairs = trainer.get_batch_samples(iter(loader), 2, torch.device("cpu"))
    assert [len(batch["ids"]) for batch in samples] == [2, 1]
    assert int(num_pairs) == 3 and sorted(trainer.step_ids) == ["a", "b", "c"]


def test_evaluation_reads_all_pairs_in_their_order_and_scores_masked_tokens(trainer: Any) -> None:
    batches = list(trainer.get_eval_dataloader())
    assert [name for batch in batches for name in batch["ids"]] == ["a", "b", "c"]
    assert sum(len(batch["targets"]) for batch in batches) == sum(
        side.num_completion for example in EXAMPLES for side in (example.chosen, example.rejected)
    )
    training = list(trainer.get_train_dataloader())
    assert sum(len(batch["targets"]) for batch in training) < sum(
        len(batch["targets"]) for batch in batches
    )


def test_every_line_of_the_log_has_what_only_logged_steps_measure(tmp_path: Path) -> None:
    """Masked tokens before active ones: they are scored in logged steps alone."""
    rows = [make_pair_values(index) for index in range(6)]
    for row in rows:
        for spans in (row["chosen_spans"], row["rejected_spans"]):
            spans[0]["weight"], spans[1]["weight"] = 0.0, 1.0
    dataset = tmp_path / "pairs.jsonl"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {"max_steps": 5, "logging_steps": 2, "evaluate": "no", "save": "no"}
    train(save_model_folder(tmp_path / "policy"), dataset, tmp_path / "model", **settings)
    lines = [line for line in log_of(tmp_path / "model") if "loss" in line]
    assert [line["step"] for line in lines] == [1, 2, 4, 5]
    assert all({"kl", "logratios/chosen_masked"} <= set(line) for line in lines)


def test_losses_that_are_not_finite_are_named_once_and_never_a_stand_in(trainer: Any) -> None:
    items = [trainer.train_dataset[index] for index in range(2)]
    good = collate_pairs([trainer.train_dataset[2]], "padded", "active")
    trainer.compute_loss(trainer.model, good, num_items_in_batch=torch.tensor(3))
    trainer._refuse_non_finite()
    assert trainer._losses_seen == []  # looked at, and not kept
    with torch.no_grad():
        trainer.model.lm_head.weight.fill_(float("nan"))
    bad = collate_pairs([*items, stand_in(items[0])], "padded", "active")
    trainer.compute_loss(trainer.model, bad, num_items_in_batch=torch.tensor(3))
    with pytest.raises(NonFiniteLossError) as caught:
        trainer._refuse_non_finite()
    assert list(caught.value.ids) == ["a", "b"]
    trainer._refuse_non_finite()
