"""`--engine ray`: annotate, sample and questions on the workers of a Ray cluster.

The rule: nothing but speed differs. The inputs are checked as on one machine, the files are the
same, and the same command continues a run that stopped.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from pydantic import BaseModel

from maskdpo.config import RunConfig
from schemas.events import OnEvent, Started
from schemas.stage import StageResult

if TYPE_CHECKING:
    from annotator.calls.metrics.counting import RunMetrics
    from annotator.calls.usage import Limits
    from annotator.models.config import ModelConfig
    from annotator.scale.config import RayConfig
    from annotator.scale.run import Stage
    from annotator.scale.work import MakeWorker, Piece, PieceReport
    from schemas.files.shard import Shard

RecordT = TypeVar("RecordT", bound=BaseModel)
EngineName = Literal["local", "ray"]


def engine_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --engine, and pass it the name as `engine`. Put it under `shard_option`."""

    @click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        help="Where the work is done: in this process, or by the workers of a Ray cluster (that "
        "of RAY_ADDRESS, or one of this machine; settings in section 'ray'). [local]",
    )
    @functools.wraps(function)
    def wrapped(engine: EngineName, shard: Shard | None, **options: Any) -> Any:
        if engine == "ray" and shard is not None:
            raise click.UsageError(
                "--engine ray cuts the input itself and cannot be combined with --shard"
            )
        return function(engine=engine, shard=shard, **options)

    return wrapped


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How a stage is run on a cluster, apart from what it does.

    config    the run config, with its section `ray`
    """

    config: RunConfig
    limits: Limits
    on_event: OnEvent
    metrics: RunMetrics | None


def run_on_cluster(
    stage: Stage[RecordT],
    options: EngineOptions,
    *,
    model: ModelConfig | None,
    retry_failed: bool,
    same_model: bool,
) -> StageResult:
    """Run `stage` on Ray; the files and the result are those of a run in this process.

    `model` is the model that is called; None for a judge without one.
    """
    from annotator.scale.config import RayConfig
    from annotator.scale.run import run_in_pieces

    config = _with_gpus(options.config.section(RayConfig, "ray"), model)
    return run_in_pieces(
        stage,
        _RayEngine(stage=stage, options=options, config=config),
        num_actors=config.actors or os.cpu_count() or 1,
        num_pieces=config.pieces,
        shard_format=None if config.output == "joined" else config.output,
        retry_failed=retry_failed,
        same_model=same_model,
        on_event=options.on_event,
    )


@dataclass(frozen=True, kw_only=True)
class _RayEngine:
    """Runs pieces on Ray; what the workers count goes into the metrics of the command."""

    stage: Stage[Any]
    options: EngineOptions
    config: RayConfig

    def __call__(self, pieces: Sequence[Piece], make_worker: MakeWorker) -> Iterator[PieceReport]:
        from annotator.calls.metrics.counting import ROLES
        from annotator.calls.metrics.snapshot import MetricsBoard
        from annotator.scale.on_ray.engine import RayRun, run_on_ray
        from annotator.scale.tally import MakeStageTally

        options = self.options
        num_rows = sum(piece.num_rows for piece in pieces)
        board = None
        if options.metrics is not None:
            board = MetricsBoard()
            options.metrics.include(board.total)
        run = RayRun(
            make_worker=make_worker,
            started=Started(stage=self.stage.name, total=num_rows, unit=self.stage.unit),
            config=self.config,
            limits=options.limits,
            on_event=options.on_event,
            make_tally=None if board is None else MakeStageTally(role=ROLES[self.stage.name]),
            board=board,
        )
        return run_on_ray(pieces, run)


def _with_gpus(config: RayConfig, model: ModelConfig | None) -> RayConfig:
    """With a GPU for each worker that loads a model itself, unless the setting says otherwise.

    For transformers only if this machine has one: it also runs on a CPU.
    """
    needs_one = model is not None and (
        model.backend == "vllm"
        or (model.backend == "transformers" and shutil.which("nvidia-smi") is not None)
    )
    if not needs_one or "gpus_per_actor" in config.model_fields_set:
        return config
    return config.model_copy(update={"gpus_per_actor": 1.0})
