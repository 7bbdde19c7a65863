"""A stable number for each sentence, for random orders and for the share that is read twice.

The rule: it depends on the response's id, the offsets and the seed alone, never on the order of a
file, so two people and two machines draw the same sentences.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.hashing import stable_seed

Tickets = npt.NDArray[np.uint64]


def ticket_of(response_id: str, start: int, end: int) -> int:
    """The number of a sentence, before a seed is mixed in."""
    return stable_seed(0, f"{response_id}\n{start}\n{end}")


def mix(tickets: Tickets, seed: int) -> Tickets:
    """The numbers for one seed, in [0, 2**64): the mixing function of SplitMix64."""
    step = (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    with np.errstate(over="ignore"):
        mixed = tickets + np.uint64(step)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def share_of(tickets: Tickets, seed: int, share: float) -> npt.NDArray[np.bool_]:
    """Which of them are in a share between 0 and 1."""
    if share >= 1.0:
        return np.ones(len(tickets), dtype=np.bool_)
    return mix(tickets, seed) < np.uint64(int(max(share, 0.0) * 2**64))
