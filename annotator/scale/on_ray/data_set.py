"""Pieces as a Ray Data set: one row per piece, mapped by actors, outcomes in order of completion.

The rule: actors that end are started again, and Ray repeats what they had in hand. What Ray does
not repeat (its own faults, a cluster that went away) ends the iteration: the driver then asks for
the outcomes that are missing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from annotator.scale.config import RayConfig
from annotator.scale.on_ray.actor import CONTENT, NUMBER, ActorTask, PieceActor
from annotator.scale.on_ray.outcome import Outcome
from annotator.scale.work import Piece

if TYPE_CHECKING:
    from ray.data import Dataset

# One piece is under way and the next is already there, so no worker waits for the driver.
_IN_FLIGHT = 2
_MOST_INIT_DEATHS = 50


def outcomes_of(
    pieces: Mapping[int, Piece], task: ActorTask, config: RayConfig
) -> Iterator[Outcome]:
    """The outcome of each piece as soon as it is there. Raises Ray's errors.

    Ray Data starts actors that ended again without limit, and repeats their tasks: its defaults.
    """
    import ray

    rows = [{NUMBER: number, CONTENT: pickle.dumps(piece)} for number, piece in pieces.items()]
    data: Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    _set_context(data.context)
    data = data.map_batches(
        PieceActor,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(
            size=min(task.num_actors, len(rows)), max_tasks_in_flight_per_actor=_IN_FLIGHT
        ),
        num_cpus=config.cpus_per_actor,
        num_gpus=config.gpus_per_actor or None,
        fn_constructor_args=(pickle_task(task),),
    )
    for batch in data.iter_batches(batch_size=None, prefetch_batches=0):
        for content in batch[CONTENT]:
            outcome: Outcome = pickle.loads(content)
            yield outcome


def pickle_task(task: ActorTask) -> bytes:
    """`task` as bytes; what is defined in a script or a test goes with it by value."""
    from ray import cloudpickle

    content: bytes = cloudpickle.dumps(task)  # type: ignore[no-untyped-call]
    return content


def _set_context(context: Any) -> None:
    """Settings of one data set: no bars, no time limit for a piece, dead actors start again."""
    wanted = {
        "enable_progress_bars": False,
        "enable_operator_progress_bars": False,
        "print_on_execution_start": False,
        "enable_auto_log_stats": False,
        "execution_no_progress_timeout_s": -1,
        "max_consecutive_actor_init_deaths": _MOST_INIT_DEATHS,
        "wait_for_min_actors_s": -1,
    }
    for name, value in wanted.items():
        if hasattr(context, name):  # some came with later versions
            setattr(context, name, value)
