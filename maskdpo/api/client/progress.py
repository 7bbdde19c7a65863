"""Draws the progress of a job, as commands draw theirs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from maskdpo.api.client.replies import JobStatus
from schemas.events import Advanced, Ended, Started, Usage


@contextmanager
def drawn(job: str, *, progress: bool) -> Generator[Callable[[JobStatus], None], None, None]:
    """What is called with each status of a job; without `progress` it does nothing."""
    if not progress:
        yield lambda status: None
        return
    from maskdpo.cli.progress import Progress

    draw, stage, done = Progress(), f"job {job}", -1

    def show(status: JobStatus) -> None:
        nonlocal done
        if done < 0:
            draw(Started(stage=stage, total=status.rows.total, unit="response"))
            done = 0
        count = max(status.rows.done - done, 0)  # an attempt after a crash begins again
        draw(Advanced(stage=stage, count=count, usage=_usage(status)))
        done += count

    try:
        yield show
    finally:
        draw(Ended(stage=stage))


def _usage(status: JobStatus) -> Usage | None:
    used = status.usage
    if not used.calls and not used.calls_from_store:
        return None
    return Usage(
        asked=used.calls,
        served=used.calls_from_store,
        prompt=used.prompt_tokens,
        cached=used.cached_tokens,
        completion=used.completion_tokens,
        is_estimated=used.is_estimated,
        cost=used.cost,
        currency=used.currency,
        labels={str(label): count for label, count in status.labels.items()},
    )
