"""A batch of weighted pairs for TRL's DPOTrainer.

The rule: a batch has the tokens of `maskdpo.token_weights` and nothing of TRL's own tokenisation,
so that the loss is that of `maskdpo train`. TRL sums the log-probabilities of the tokens in
`completion_mask`; where weights are 0 and 1, that mask is all that Mask-DPO needs.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maskdpo.api.tokens import SideTokens, TokenWeigher
from schemas.errors import ConfigError, InputError
from schemas.packages import require

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.config import EosPolicy


class TrlCollator:
    """Rows of pairs to a batch for TRL's DPOTrainer (`data_collator=`).

    The batch has `input_ids`, `attention_mask` and `completion_mask`, which is 1 for the tokens
    that train; all have the shape [2B, T]: chosen sides, then rejected ones. With `with_weights` it
    also has `weights`, and `completion_mask` is 1 for every token of an answer: for a
    `compute_loss` of your own with `maskdpo.mask_dpo_loss`. Give DPOConfig the setting
    `remove_unused_columns=False`, so that rows come with their spans. Settings and errors are those
    of `token_weights`; without `with_weights`, a weight other than 0 and 1 raises ConfigError.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        with_weights: bool = False,
        max_length: int = 1024,
        use_spans: bool = True,
        eos: EosPolicy | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        template_date: datetime.date | None = None,
    ) -> None:
        self.with_weights = with_weights
        self._weigh = TokenWeigher(
            tokenizer,
            max_length=max_length,
            use_spans=use_spans,
            eos=eos,
            chat_template_kwargs=chat_template_kwargs,
            template_date=template_date,
        )
        self._pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The batch of at least one row."""
        if not len(rows):
            raise InputError.of("rows", "is empty, but a batch needs at least one pair")
        if isinstance(rows[0], Mapping) and "ref_chosen_logps" in rows[0]:
            raise ConfigError(
                "TRL cannot compute the reference in advance here: it keeps the result under a key "
                "that knows nothing of weights. Set precompute_ref_log_probs=False in DPOConfig"
            )
        require("torch", needed_for="maskdpo.TrlCollator")
        import torch

        weighed = [self._weigh(row) for row in rows]
        sides = [item.chosen for item in weighed] + [item.rejected for item in weighed]
        width = max(len(side.input_ids) for side in sides)

        def pad(lists: Sequence[Sequence[float]], filler: float, dtype: Any) -> Tensor:
            return torch.tensor(
                [[*row, *[filler] * (width - len(row))] for row in lists], dtype=dtype
            )

        masks = [self._mask(side) for side in sides]
        batch = {
            "input_ids": pad([side.input_ids for side in sides], self._pad_id, torch.int64),
            "attention_mask": pad([[1] * len(side.input_ids) for side in sides], 0, torch.int64),
            "completion_mask": pad(masks, 0, torch.int64),
        }
        if self.with_weights:
            batch["weights"] = pad([side.weights for side in sides], 0.0, torch.float32)
        return batch

    def _mask(self, side: SideTokens) -> list[int]:
        if self.with_weights:
            return side.completion_mask
        other = next((weight for weight in side.weights if weight not in (0.0, 1.0)), None)
        if other is not None:
            raise ConfigError(
                f"a token has the weight {other:g}, but TRL's own loss knows only 0 and 1; use "
                "TrlCollator(tokenizer, with_weights=True) and maskdpo.mask_dpo_loss "
                "(docs/python.md)"
            )
        return [int(weight) for weight in side.weights]
