"""Golden numbers for every value that is logged, worked out by hand from the docstring's terms."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from trainer.callbacks import StepTimer
from trainer.loss import PairLosses, PairSums
from trainer.monitors import Monitor


class Processes:
    """As many processes as threads call `reduce`: what accelerate does, without starting any."""

    device = torch.device("cpu")

    def __init__(self, count: int = 1) -> None:
        self.num_processes = count
        self._given: list[torch.Tensor] = []
        self._all_are_here = threading.Barrier(count)

    def reduce(self, tensor: torch.Tensor, reduction: str) -> torch.Tensor:
        """The sum over all processes, on each of them."""
        assert reduction == "sum"
        self._given.append(tensor)
        self._all_are_here.wait(timeout=60)
        total = torch.stack(self._given).sum(0)
        if not self._all_are_here.wait(timeout=60):
            self._given.clear()
        self._all_are_here.wait(timeout=60)
        return total


@dataclass(frozen=True, kw_only=True)
class Token:
    """A scored token: which pair and side, its weight, and both log-probabilities."""

    pair: int
    side: int
    weight: float
    policy: float
    reference: float


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the trainer hands over of one batch. Values per pair stand in lists."""

    losses: Sequence[float]
    chosen: Sequence[float]  # rewards
    rejected: Sequence[float]
    ratios: Sequence[float]  # of the chosen side, not times beta
    num_completion: int
    counted: Sequence[bool] = ()
    tokens: Sequence[Token] = field(default_factory=list)


def add(monitor: Monitor, batch: Batch, *, whole: bool = True) -> None:
    """Active tokens first, as `trainer.batches` lists them; without the masked if not `whole`."""
    tokens = sorted(batch.tokens, key=lambda token: token.weight == 0)
    active = [token for token in tokens if token.weight]
    tokens = tokens if whole else active
    chosen = torch.tensor(batch.ratios)
    columns: dict[str, Any] = {
        "reference": torch.tensor([token.reference for token in tokens]),
        "weights": torch.tensor([token.weight for token in tokens]),
        "pairs": torch.tensor([token.pair for token in tokens], dtype=torch.int64),
        "sides": torch.tensor([token.side for token in tokens], dtype=torch.int64),
        "num_active": len(active),
        "num_completion": batch.num_completion,
        "num_pairs": len(batch.losses),
        "counted": torch.tensor(list(batch.counted) or [True] * len(batch.losses)),
    }
    monitor.add_batch(
        PairLosses(
            losses_B=torch.tensor(batch.losses, requires_grad=True),
            chosen_rewards_B=torch.tensor(batch.chosen),
            rejected_rewards_B=torch.tensor(batch.rejected),
        ),
        # Rejected ratios, log-probabilities and weights are logged nowhere: values that would show.
        PairSums(
            ratios_2B=torch.stack([chosen, torch.full_like(chosen, -77.0)]).requires_grad_(),
            logps_2B=torch.full((2, len(chosen)), -55.0),
            weights_2B=torch.full((2, len(chosen)), 33.0),
        ),
        torch.tensor([token.policy for token in tokens], requires_grad=True),
        columns,
        whole=whole,
    )


def token(pair: int, side: int, weight: float, ratio: float) -> Token:
    """A token whose policy log-probability is above the reference's by `ratio`."""
    return Token(pair=pair, side=side, weight=weight, policy=-3.0 + ratio, reference=-3.0)


# Three pairs and one; every mean of means differs from the mean.
LARGE = Batch(
    losses=[0.5, 0.75, 1.5],
    chosen=[0.25, -0.5, 1.0],
    rejected=[-0.25, 0.5, 0.25],
    ratios=[2.5, -5.0, 0.0],
    num_completion=10,
    tokens=[
        token(0, 0, 1.0, 0.5),
        token(0, 0, 0.5, 0.25),
        token(0, 0, 0.0, -1.0),
        token(1, 1, 2.0, -0.75),
        token(2, 1, 0.0, 2.0),
    ],
)
SMALL = Batch(
    losses=[0.25],
    chosen=[0.75],
    rejected=[0.75],
    ratios=[-0.5],
    num_completion=6,
    tokens=[token(0, 0, 1.0, 1.5), token(0, 1, 1.0, 0.25), token(0, 0, 0.0, 0.5)],
)
# A pair that fills up a process's batch, with values that would spoil every mean.
STAND_IN = Batch(
    losses=[0.25, 1e6],
    chosen=[0.75, 1e6],
    rejected=[0.75, -1e6],
    ratios=[-0.5, -1e6],
    num_completion=6,
    counted=[True, False],
    tokens=SMALL.tokens,
)


def k3(ratio: float) -> float:
    return math.exp(ratio) - 1 - ratio


GOLDEN = {
    "loss": (0.5 + 0.75 + 1.5 + 0.25) / 4,
    "rewards/chosen": (0.25 - 0.5 + 1.0 + 0.75) / 4,
    "rewards/rejected": (-0.25 + 0.5 + 0.25 + 0.75) / 4,
    "rewards/margins": (0.5 - 1.0 + 0.75 + 0.0) / 4,
    "rewards/accuracies": 2 / 4,  # a margin of 0 is no preference
    "displaced": 2 / 4,  # below the reference; where it was is no displacement
    "active_share": (3 + 2) / (10 + 6),
    "logratios/chosen_active": (0.5 + 0.25 + 1.5) / 3,  # not weighted
    "logratios/chosen_masked": (-1.0 + 0.5) / 2,
    "logratios/rejected_active": (-0.75 + 0.25) / 2,
    "logratios/rejected_masked": 2.0,
    "kl": sum(map(k3, [0.5, 0.25, -1.0, -0.75, 2.0, 1.5, 0.25, 0.5])) / 8,
}


def test_means_are_over_pairs_and_tokens_and_not_over_batches() -> None:
    monitor = Monitor()
    add(monitor, LARGE)
    add(monitor, SMALL)
    assert monitor.drain(Processes()) == pytest.approx(GOLDEN, rel=1e-6)
    assert monitor.drain(Processes()) == {}  # nothing of it is in the next line
    add(monitor, SMALL)
    assert monitor.drain(Processes())["loss"] == 0.25


def test_a_stand_in_counts_nowhere() -> None:
    monitor = Monitor()
    add(monitor, LARGE)
    add(monitor, STAND_IN)
    assert monitor.drain(Processes()) == pytest.approx(GOLDEN, rel=1e-6)


def on_processes(fill: Sequence[Callable[[Monitor], None]], **values: Any) -> list[Any]:
    """What each process logs when it took in what its function says."""
    processes = Processes(len(fill))

    def run(add_all: Callable[[Monitor], None]) -> dict[str, float]:
        monitor = Monitor(**values)
        add_all(monitor)
        return monitor.drain(processes)

    with ThreadPoolExecutor(len(fill)) as pool:
        return list(pool.map(run, fill))


def test_two_processes_log_what_one_would() -> None:
    """One has met no masked token and no rejected one: both must still add up the same names."""
    left, right = on_processes([lambda m: add(m, LARGE), lambda m: add(m, SMALL)])
    assert left == right == pytest.approx(GOLDEN, rel=1e-6)
    bare = Batch(
        losses=[0.0], chosen=[0.0], rejected=[0.0], ratios=[0.0], num_completion=1, tokens=()
    )
    left, right = on_processes([lambda m: add(m, LARGE), lambda m: add(m, bare, whole=False)])
    assert left == right
    assert left["loss"] == pytest.approx((0.5 + 0.75 + 1.5) / 4)
    assert left["logratios/rejected_masked"] == 2.0


def test_without_masked_tokens_there_is_no_mean_of_them() -> None:
    monitor = Monitor()
    add(monitor, LARGE, whole=False)
    means = monitor.drain(Processes())
    assert set(GOLDEN) - set(means) == {
        "logratios/chosen_masked",
        "logratios/rejected_masked",
        "kl",
    }
    assert means["logratios/chosen_active"] == pytest.approx((0.5 + 0.25) / 2)
    assert means["active_share"] == pytest.approx(3 / 10)


def test_some_batches_whole_and_some_not() -> None:
    """Means of masked tokens and kl are over the batches that were measured whole."""
    monitor = Monitor()
    add(monitor, LARGE, whole=False)
    add(monitor, SMALL)
    means = monitor.drain(Processes())
    assert means["kl"] == pytest.approx(sum(map(k3, [1.5, 0.25, 0.5])) / 3)
    assert means["logratios/chosen_masked"] == 0.5
    assert means["logratios/chosen_active"] == pytest.approx(GOLDEN["logratios/chosen_active"])


@pytest.mark.parametrize("ratio", [-2.0, 0.5])
def test_kl_is_that_of_the_reference_from_the_policy(ratio: float) -> None:
    """KL(reference || policy) on answers of the reference: exp(r) - 1 - r, r = policy - reference.

    Exact where it can be summed: over both outcomes of a coin, weighted by the reference.
    """
    reference = [0.25, 0.75]
    policy = [0.25 * math.exp(ratio), 1 - 0.25 * math.exp(ratio)]
    exact = sum(
        chance * math.log(chance / other) for chance, other in zip(reference, policy, strict=True)
    )
    estimates = []
    for other, chance in zip(policy, reference, strict=True):
        monitor = Monitor()
        drawn = Token(
            pair=0, side=0, weight=1.0, policy=math.log(other), reference=math.log(chance)
        )
        add(
            monitor,
            Batch(
                losses=[0.0],
                chosen=[0.0],
                rejected=[0.0],
                ratios=[0.0],
                num_completion=1,
                tokens=[drawn],
            ),
        )
        estimates.append(chance * monitor.drain(Processes())["kl"])
    assert sum(estimates) == pytest.approx(exact, rel=1e-5)


def test_speeds_are_over_the_seconds_of_the_steps() -> None:
    monitor = Monitor(peak_flops=1e6)
    monitor.add_work(tokens=300, flops=600_000, pairs=4)
    monitor.add_work(tokens=100, flops=200_000, pairs=2)
    monitor.add_seconds(1.5)
    monitor.add_seconds(0.5)
    means = monitor.drain(Processes())
    speeds = {name: means[name] for name in ("tokens_per_s", "pairs_per_s", "mfu")}
    assert speeds == {"tokens_per_s": 200.0, "pairs_per_s": 3.0, "mfu": pytest.approx(0.4)}
    assert not set(GOLDEN) & set(means) - {"active_share"}


def test_several_processes_work_in_the_same_seconds() -> None:
    """400 tokens in 2 s on each of two: 400 a second together, and as busy as each alone."""

    def work(monitor: Monitor) -> None:
        monitor.add_work(tokens=400, flops=800_000, pairs=6)
        monitor.add_seconds(2.0)

    left, right = on_processes([work, work], peak_flops=1e6)
    assert left == right
    assert left["tokens_per_s"] == pytest.approx(400.0)
    assert left["pairs_per_s"] == pytest.approx(6.0)
    assert left["mfu"] == pytest.approx(0.4)


def test_a_speed_needs_seconds_and_mfu_a_peak() -> None:
    monitor = Monitor()
    monitor.add_work(tokens=300, flops=600_000, pairs=4)
    assert not {"tokens_per_s", "pairs_per_s", "mfu"} & set(monitor.drain(Processes()))
    monitor.add_work(tokens=300, flops=600_000, pairs=4)
    monitor.add_seconds(1.0)
    means = monitor.drain(Processes())
    assert means["tokens_per_s"] == 300.0 and "mfu" not in means


def test_a_timer_takes_in_the_seconds_between_begin_and_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = Monitor()
    timer = StepTimer(monitor)
    clock = iter([100.0, 100.5, 200.0, 201.5])  # 0.5 s and 1.5 s; what lies between is no step
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    for _ in range(2):
        timer.on_step_begin(None, None, None)
        monitor.add_work(tokens=100, flops=1, pairs=3)
        timer.on_step_end(None, None, None)
    means = monitor.drain(Processes())
    assert (means["tokens_per_s"], means["pairs_per_s"]) == (100.0, 3.0)
