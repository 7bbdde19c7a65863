"""The peers of `train_step.py`: TRL's trainer with a collator that masks, and the published loss.

The published loss is re-implemented from its description: padded batches, labels passed to the
model, which computes an unused cross-entropy, full logits for policy and reference, and a masked
sum of log-probabilities over each.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from trainer.examples import Example

BETA = 0.1


@dataclass
class MaskingCollator(DataCollatorForPreference):  # type: ignore[misc]
    """TRL's collator, whose completion mask is made from the pair's weights."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch of TRL's, in which masked tokens are not part of the completion."""
        batch: dict[str, Any] = super().torch_call(examples)
        masks = [e["chosen_mask"] for e in examples] + [e["rejected_mask"] for e in examples]
        for row, mask in zip(batch["completion_mask"], masks, strict=True):
            row[: len(mask)] = torch.tensor(mask)
        return batch


class PreparedDpoTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on tokenised data; it records the seconds of its reference pass."""

    reference_s = 0.0

    def _precompute_ref_logps(self, *arguments: Any) -> Any:
        started = time.perf_counter()
        dataset = super()._precompute_ref_logps(*arguments)
        self.reference_s = time.perf_counter() - started
        return dataset

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


def make_trl_trainer(
    model: Any,
    reference: Any,
    examples: Sequence[Example],
    arguments: Mapping[str, Any],
    *,
    cached: bool,
    lora_rank: int | None = None,
) -> Any:
    """TRL's DPOTrainer on these pairs; with `cached`, its reference sums are computed here.

    Without a `reference` they are those of the model itself (without its adapter).
    """
    lora = None
    if lora_rank is not None:
        lora = LoraConfig(
            r=lora_rank, lora_alpha=lora_rank, target_modules="all-linear", task_type="CAUSAL_LM"
        )
    return PreparedDpoTrainer(
        model=model,
        ref_model=reference,
        args=DPOConfig(
            **{"gradient_checkpointing": False, **arguments},
            beta=BETA,
            max_length=None,
            precompute_ref_log_probs=cached,
        ),
        processing_class=_tokenizer(),
        data_collator=MaskingCollator(pad_token_id=0),
        train_dataset=Dataset.from_list([_row(example) for example in examples]),
        peft_config=lora,
    )


class PublishedTrainer(Trainer):  # type: ignore[misc]
    """transformers' Trainer with the published loss."""

    def __init__(self, reference: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.reference = reference.eval().requires_grad_(False)

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        """The published loss of a batch, a scalar."""
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        batch = {
            "input_ids": inputs["input_ids"],
            "attention_mask": inputs["attention_mask"],
            "labels": labels,
        }
        policy = _sum_logps(model(**batch, use_cache=False).logits, labels)
        with torch.no_grad(), self.accelerator.autocast():  # as the policy is, by accelerate
            reference = _sum_logps(self.reference(**batch, use_cache=False).logits, labels)
        chosen, rejected = (policy - reference).chunk(2)
        return -torch.nn.functional.logsigmoid(BETA * (chosen - rejected)).mean()


def make_published_trainer(
    model: Any, reference: Any, examples: Sequence[Example], arguments: Mapping[str, Any]
) -> Any:
    """transformers' Trainer with the published loss on these pairs."""
    return PublishedTrainer(
        reference,
        model=model,
        args=TrainingArguments(**arguments),
        data_collator=MaskingCollator(pad_token_id=0),
        train_dataset=Dataset.from_list([_row(example) for example in examples]),
    )


def _sum_logps(logits: Any, labels: Any) -> Any:
    kept = labels[:, 1:] != -100
    targets = labels[:, 1:].clamp(min=0).unsqueeze(-1)
    logps = logits[:, :-1].log_softmax(-1).gather(-1, targets).squeeze(-1)
    return (logps * kept).sum(dim=1)


def _row(example: Example) -> dict[str, Any]:
    first = example.chosen.first
    return {
        "prompt_ids": example.chosen.token_ids[:first],
        "chosen_ids": example.chosen.token_ids[first:],
        "rejected_ids": example.rejected.token_ids[first:],
        "chosen_mask": [int(weight > 0) for weight in example.chosen.weights],
        "rejected_mask": [int(weight > 0) for weight in example.rejected.weights],
    }


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models

    core = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>")
