"""The parts of one service process, opened together and closed in the reverse order.

The rule: what is shared by all requests is made here, once: store, corpus, judges, worker
processes, limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from annotator.calls.store import Store
from annotator.calls.usage import Budget, Limits
from annotator.judging.config import AnnotateConfig
from annotator.judging.stream_judge import JudgeProcesses
from annotator.service.config import ServeConfig
from annotator.service.judges import Judges, check_judge, num_processes
from annotator.service.readiness import Watches
from schemas.events import OnEvent, ignore
from schemas.records import Document


class Service:
    """One service process. Use it as an asynchronous context manager, after `prepare`.

    folder      the folder of the run: jobs and referenced files are in it
    documents   the corpus of the run
    stopping    set when the service is about to stop: streams end
    """

    def __init__(
        self,
        config: ServeConfig,
        *,
        judges: Mapping[str, AnnotateConfig],
        folder: Path,
        store: Path,
        documents: Sequence[Document] = (),
        limits: Limits,
    ) -> None:
        self.config = config
        self.folder = folder
        self.documents = documents
        self.stopping = asyncio.Event()
        for settings in judges.values():
            check_judge(settings)
        self.store = Store(store)
        self.processes = JudgeProcesses(num_processes(config))
        self.judges = Judges(
            judges,
            serve=config,
            store=self.store,
            documents=documents,
            processes=self.processes,
            budget=Budget(limits=limits),
            on_event=self._listener,
        )
        self.watches = Watches(list(self.judges.served.values()))
        self._stack = AsyncExitStack()

    def _listener(self, judge: str) -> OnEvent:
        return ignore

    async def __aenter__(self) -> Self:
        self._stack.callback(self.store.close)
        self._stack.callback(self.processes.close)
        self._stack.push_async_callback(self.judges.close)
        await self._stack.enter_async_context(self.watches)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopping.set()
        await self._stack.aclose()
