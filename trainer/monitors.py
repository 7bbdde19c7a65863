"""What a run reports: sums over pairs and tokens, from which the logged means are computed.

The rule: everything is a sum until it is logged, so that a mean over batches of different sizes and
over processes is correct. Each is over the time since the last line of its kind:

    loss                            mean over pairs
    rewards/chosen, /rejected       beta times the weighted log-ratio of a side
    rewards/margins, /accuracies    their difference, and how often it is positive
    displaced                       share of pairs whose chosen side became less likely than it was
                                    under the reference (likelihood displacement, arXiv 2410.08847)
    active_share                    active tokens / completion tokens
    logratios/SIDE_active, _masked  mean log pi - log ref of a side's active and masked tokens
    kl                              mean of exp(r) - 1 - r over tokens, r their log-ratio: an
                                    estimate of KL(reference || policy) per token on answers drawn
                                    from the reference (J. Schulman 2020, "k3")
    tokens_per_s, pairs_per_s       through forward, backward and optimiser, of all processes
    mfu                             operations per second / peak of the devices, if known

Masked tokens and `kl` are measured only in logged steps (they cost rows of the LM head) and in
evaluation. In training, masked tokens after a side's last active one are not computed, so they are
not in these means.

This module imports torch at its head: only code that already has a model imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.loss import PairLosses, PairSums

_PER_PAIR = (
    "loss",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "displaced",
)


class Monitor:
    """Sums over batches of one kind, training or evaluation."""

    def __init__(self, *, peak_flops: float | None = None) -> None:
        self._sums: dict[str, Tensor] = {}
        self._peak_flops = peak_flops

    def add_batch(
        self,
        losses: PairLosses,
        sums: PairSums,
        logps_N: Tensor,
        batch: Mapping[str, Any],
        *,
        whole: bool,
    ) -> None:
        """Add one batch; `logps_N` are for all listed tokens if `whole`, else the active ones."""
        counted_B = batch["counted"]
        chosen_B, rejected_B = losses.chosen_rewards_B, losses.rejected_rewards_B
        # Masked sums, not selection by a mask: the size of a selection would wait for the device.
        values = {
            "loss": losses.losses_B.detach(),
            "rewards/chosen": chosen_B,
            "rewards/rejected": rejected_B,
            "rewards/margins": chosen_B - rejected_B,
            "rewards/accuracies": (chosen_B > rejected_B).float(),
            "displaced": (sums.ratios_2B[0].detach() < 0).float(),
        }
        self._add("pairs", counted_B.sum())
        for name, value_B in values.items():
            self._add(name, torch.where(counted_B, value_B, 0.0).sum())
        self._add("num_active", torch.tensor(float(batch["num_active"])))
        self._add("num_completion", torch.tensor(float(batch["num_completion"])))
        self._add_tokens(logps_N.detach(), batch, whole=whole)

    def add_work(self, *, tokens: int, flops: int, pairs: int) -> None:
        """Add the work of a batch."""
        for name, value in {"tokens": tokens, "flops": flops, "trained_pairs": pairs}.items():
            self._add(f"work/{name}", torch.tensor(float(value), dtype=torch.float64))

    def add_seconds(self, seconds: float) -> None:
        """Add the seconds of an optimiser step."""
        self._add("work/seconds", torch.tensor(seconds, dtype=torch.float64))

    def drain(self, accelerator: Any) -> dict[str, float]:
        """Means since the last call, over all processes; empty when nothing was added."""
        if not self._sums:
            return {}
        # Processes may have seen different kinds of tokens, but must sum the same names.
        for name in _NAMES:
            self._add(name, torch.zeros(()))
        names = sorted(self._sums)
        device = accelerator.device
        stacked = torch.stack([self._sums[name].to(device).double() for name in names])
        totals = accelerator.reduce(stacked, reduction="sum").tolist()
        self._sums = {}
        sums = dict(zip(names, totals, strict=True))
        means = {name: sums[name] / sums["pairs"] for name in _PER_PAIR if sums["pairs"]}
        means["active_share"] = sums["num_active"] / max(sums["num_completion"], 1.0)
        for name in _RATIOS:
            if sums[f"count/{name}"]:  # no masked tokens, no mean: omitted instead of 0
                means[name] = sums[name] / sums[f"count/{name}"]
        if sums["count/kl"]:
            means["kl"] = sums["kl"] / sums["count/kl"]
        return means | self._speeds(sums, accelerator.num_processes)

    def _speeds(self, sums: Mapping[str, float], num_processes: int) -> dict[str, float]:
        seconds = sums["work/seconds"] / num_processes  # processes work in parallel
        if not seconds:
            return {}
        speeds = {
            "tokens_per_s": sums["work/tokens"] / seconds,
            "pairs_per_s": sums["work/trained_pairs"] / seconds,
        }
        if self._peak_flops:
            speeds["mfu"] = sums["work/flops"] / seconds / (self._peak_flops * num_processes)
        return speeds

    def _add_tokens(self, logps_N: Tensor, batch: Mapping[str, Any], *, whole: bool) -> None:
        ratios_N = logps_N - batch["reference"]
        sides_N, active_N = batch["sides"], batch["weights"] != 0
        for side, name in ((0, "chosen"), (1, "rejected")):
            kinds = [("active", active_N)] + ([("masked", ~active_N)] if whole else [])
            for kind, kept_N in kinds:
                mine_N = kept_N & (sides_N == side)
                self._add(f"logratios/{name}_{kind}", torch.where(mine_N, ratios_N, 0.0).sum())
                self._add(f"count/logratios/{name}_{kind}", mine_N.sum())
        if whole:
            self._add("kl", (ratios_N.exp() - 1 - ratios_N).sum())
            self._add("count/kl", torch.tensor(float(len(ratios_N))))

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value if name in self._sums else value


_RATIOS = tuple(
    f"logratios/{side}_{kind}" for side in ("chosen", "rejected") for kind in ("active", "masked")
)
_NAMES = (
    "pairs",
    *_PER_PAIR,
    "num_active",
    "num_completion",
    *_RATIOS,
    *(f"count/{name}" for name in _RATIOS),
    "kl",
    "count/kl",
    "work/tokens",
    "work/flops",
    "work/trained_pairs",
    "work/seconds",
)
