"""Whether a judge's servers answer, and still serve the model that they served at first.

The rule: a look asks for the list of models and makes no call that costs money. It is repeated in
the background, so that asking for the result takes no time; requests are refused while another
model is served under the same name than in this run or the last one on the store, because replies
of two models must not be mixed. A server that reports no model for a moment serves the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from annotator.calls.identity import find_difference
from annotator.models.config import ModelConfig
from annotator.models.openai.openai_backend import OpenAIBackend
from annotator.service.judges import Judges, ServedJudge
from schemas.errors import MaskDpoError

READY = "ready"
NOT_READY = "not ready"
_LOOK_EVERY_S = 10.0
_LOOK_TIMEOUT_S = 5.0


class Watch:
    """Looks at the servers of one judge from time to time.

    found        `ready`, or a sentence that says why the judge cannot be used
    is_replaced  another model is served under the name than before
    on_ready     is called after each look that finds the judge ready
    """

    def __init__(self, served: ServedJudge, *, on_ready: Callable[[], None] = lambda: None) -> None:
        llm = served.config.llm
        self._config = llm if served.model and llm and llm.backend == "openai" else None
        self._known = served.known
        self._on_ready = on_ready
        self.found = READY if self._config is None else "not looked at yet"
        self.is_replaced = False

    @property
    def is_reachable(self) -> bool | None:
        """None for a judge without servers."""
        return None if self._config is None else self.found == READY

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while self._config is not None:
            await self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once."""
        if self._config is None:
            return
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                self.found = await self._look(self._config)
        except TimeoutError:
            self.found = f"no server answered within {_LOOK_TIMEOUT_S:g} s"
        except MaskDpoError as error:
            self.found = str(error)
        if self.found == READY:
            self._on_ready()

    async def _look(self, config: ModelConfig) -> str:
        backend = OpenAIBackend(config)
        if fault := await backend.find_fault():
            return fault
        now = await backend.identify_async()
        is_compared = now and self._known and not config.revision
        difference = find_difference(self._known, now) if is_compared else None
        self.is_replaced = difference is not None
        if self.is_replaced:
            return (
                f"another model is served than before ({difference}); restart the service, with "
                "--same-model if it is the same model"
            )
        if not self._known:
            self._known.extend(now)
        return READY


class Watches:
    """The watches of all judges by name. Use it as an asynchronous context manager."""

    def __init__(self, judges: Judges) -> None:
        self._watches = {
            name: Watch(served, on_ready=partial(judges.wake, name))
            for name, served in judges.served.items()
        }
        self._tasks: list[asyncio.Task[None]] = []

    def __getitem__(self, name: str) -> Watch:
        return self._watches[name]

    @property
    def found(self) -> dict[str, str]:
        """What the last look at each judge found."""
        return {name: watch.found for name, watch in self._watches.items()}

    async def __aenter__(self) -> Watches:
        await asyncio.gather(*(watch.look() for watch in self._watches.values()))
        self._tasks = [asyncio.create_task(watch.run()) for watch in self._watches.values()]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
