"""Properties of the order of the pairs: nothing lost, nothing twice, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.samplers import STAND_IN, PairSampler

COUNTS = st.integers(1, 60)
SIZES = st.integers(1, 5)
SEEDS = st.integers(0, 2**31)


def draw_epoch(
    count: int,
    *,
    batch_size: int = 2,
    num_processes: int = 1,
    seed: int | None = 1,
    lengths: Sequence[int] | None = None,
    epoch: int = 0,
) -> list[int]:
    sampler = PairSampler(
        count, batch_size=batch_size, num_processes=num_processes, seed=seed, lengths=lengths
    )
    sampler.set_epoch(epoch)
    return list(sampler)


def cut(order: Sequence[int], block: int) -> list[Sequence[int]]:
    return [order[start : start + block] for start in range(0, len(order), block)]


def spread(order: Sequence[int], lengths: Sequence[int], block: int) -> int:
    """Sum over batches of the difference between their longest and their shortest pair."""
    batches = [[lengths[index] for index in part] for part in cut(order, block)]
    return sum(max(batch) - min(batch) for batch in batches)


@given(count=COUNTS, batch_size=SIZES, num_processes=SIZES, seed=SEEDS, data=st.data())
def test_an_epoch_has_every_pair_once_and_stand_ins_to_fill_the_last_step(
    count: int, batch_size: int, num_processes: int, seed: int, data: st.DataObject
) -> None:
    lengths = data.draw(st.none() | st.lists(st.integers(1, 9), min_size=count, max_size=count))
    sampler = PairSampler(
        count, batch_size=batch_size, num_processes=num_processes, seed=seed, lengths=lengths
    )
    block = batch_size * num_processes
    for _ in range(2):
        order = list(sampler)
        assert len(order) == len(sampler)
        assert sorted(order[:count]) == list(range(count))
        assert order[count:] == [STAND_IN] * (len(order) - count)
        if num_processes == 1:
            assert len(order) == count
        else:
            assert len(order) % block == 0 and len(order) - count < block


@given(count=COUNTS, batch_size=SIZES, num_processes=SIZES, seed=SEEDS, epoch=st.integers(0, 5))
def test_the_order_of_real_pairs_does_not_depend_on_the_number_of_processes(
    count: int, batch_size: int, num_processes: int, seed: int, epoch: int
) -> None:
    alone = draw_epoch(count, batch_size=batch_size, seed=seed, epoch=epoch)
    shared = draw_epoch(
        count, batch_size=batch_size, num_processes=num_processes, seed=seed, epoch=epoch
    )
    assert shared[:count] == alone


@given(seed=SEEDS, epoch=st.integers(0, 5), num_processes=SIZES)
def test_seed_and_epoch_decide_the_order(seed: int, epoch: int, num_processes: int) -> None:
    order = draw_epoch(40, seed=seed, epoch=epoch, num_processes=num_processes)
    assert order == draw_epoch(40, seed=seed, epoch=epoch, num_processes=num_processes)
    assert order != draw_epoch(40, seed=seed, epoch=epoch + 1, num_processes=num_processes)
    assert order != draw_epoch(40, seed=seed + 1000, epoch=epoch, num_processes=num_processes)
    assert order[:40] != list(range(40))


@given(seed=SEEDS, epoch=st.integers(0, 5))
def test_reading_an_epoch_moves_to_the_next_one(seed: int, epoch: int) -> None:
    sampler = PairSampler(40, batch_size=2, num_processes=1, seed=seed)
    sampler.set_epoch(epoch)
    orders = [list(sampler), list(sampler)]
    assert orders == [draw_epoch(40, seed=seed, epoch=at) for at in (epoch, epoch + 1)]


@given(count=COUNTS, batch_size=SIZES, num_processes=SIZES)
def test_evaluation_reads_the_data_in_its_order(
    count: int, batch_size: int, num_processes: int
) -> None:
    sampler = PairSampler(count, batch_size=batch_size, num_processes=num_processes)
    for _ in range(2):
        order = list(sampler)
        assert order[:count] == list(range(count))
        assert set(order[count:]) <= {STAND_IN}


@given(num_blocks=st.integers(1, 20), batch_size=SIZES, num_processes=SIZES, data=st.data())
def test_grouped_batches_are_as_alike_in_length_as_can_be(
    num_blocks: int, batch_size: int, num_processes: int, data: st.DataObject
) -> None:
    """Blocks of the sorted lengths, since all pairs fit into what is sorted at a time."""
    block = batch_size * num_processes
    count = num_blocks * block
    lengths = data.draw(st.lists(st.integers(1, 99), min_size=count, max_size=count))
    order = draw_epoch(count, batch_size=batch_size, num_processes=num_processes, lengths=lengths)
    assert spread(order, lengths, block) == spread(
        sorted(range(count), key=lambda index: lengths[index]), lengths, block
    )
    assert lengths[order[0]] == max(lengths)  # what does not fit in memory fails in the first step


@given(num_blocks=st.integers(51, 130), batch_size=st.integers(2, 4), seed=SEEDS)
def test_a_large_epoch_is_grouped_and_still_drawn(
    num_blocks: int, batch_size: int, seed: int
) -> None:
    """More pairs than are sorted at a time: groups differ from epoch to epoch and seed to seed."""
    count = num_blocks * batch_size
    lengths = [(index * 7919) % 1009 for index in range(count)]  # all different
    orders = [
        draw_epoch(count, batch_size=batch_size, seed=drawn, lengths=lengths, epoch=epoch)
        for drawn, epoch in ((seed, 0), (seed, 1), (seed + 1000, 0))
    ]
    plain = draw_epoch(count, batch_size=batch_size, seed=seed)
    for order in orders:
        assert sorted(order) == list(range(count))
        assert lengths[order[0]] == max(lengths)
        assert spread(order, lengths, batch_size) < 0.3 * spread(plain, lengths, batch_size)
    assert orders[0] != orders[1] and orders[0] != orders[2]
    same = draw_epoch(count, batch_size=batch_size, seed=seed, lengths=lengths)
    assert same == orders[0]


def test_batches_do_not_come_sorted_by_length() -> None:
    """Lengths that fall over an epoch would make the order of training depend on them."""
    lengths = [(index * 37) % 101 for index in range(100)]
    order = draw_epoch(100, batch_size=4, lengths=lengths)
    longest = [max(lengths[index] for index in part) for part in cut(order, 4)]
    assert any(before < after for before, after in pairwise(longest))


def test_the_order_of_grouped_batches_is_drawn() -> None:
    lengths = [(index * 37) % 101 for index in range(100)]
    orders = {
        tuple(draw_epoch(100, batch_size=4, lengths=lengths, seed=seed, epoch=epoch))
        for seed in (1, 1001)
        for epoch in range(3)
    }
    assert len(orders) == 6
    assert {min(order[4:8]) for order in orders} != {0}


@pytest.mark.parametrize(
    ("count", "batch_size", "num_processes", "expected"),
    [(5, 2, 1, 5), (5, 2, 2, 8), (8, 2, 2, 8), (1, 4, 2, 8), (9, 1, 4, 12)],
)
def test_a_length_counts_the_stand_ins(
    count: int, batch_size: int, num_processes: int, expected: int
) -> None:
    order = draw_epoch(count, batch_size=batch_size, num_processes=num_processes)
    assert len(order) == expected and order.count(STAND_IN) == expected - count
