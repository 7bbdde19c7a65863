"""The core of sampling: questions in, responses out, for whoever asks.

The rule: as for `annotator.judging.annotator`. No files of rows, no bars, no event loop of its own;
questions are pulled as there is room, and a reply is stored before its response is seen.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import cached_property
from itertools import count
from typing import Any

from annotator.calls.dialogue import Ask, Dialogue
from annotator.calls.run_dialogues import run_dialogues, stream_dialogues
from annotator.calls.running.blocking import block_on
from annotator.calls.running.open_dialogues import Done, Named
from annotator.calls.running.source import Items, iterate
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.models.backend import Backend, DrawsInBatches, Outcome, Reply, RequestFailure
from annotator.models.config import SampleConfig
from annotator.models.make_backend import make_backend
from annotator.sampling.slots import REPLY_KIND, Slot, make_response, make_slots
from schemas.errors import BackendError, ConfigError, LimitReachedError
from schemas.events import Advanced, BatchStep, Ended, OnEvent, Started, ignore
from schemas.records import Failure, Question, Response

STAGE = "sample"
# Questions of a local model that are asked together, in batches of its size.
_BATCHES_A_WINDOW = 4


class Sampler:
    """Asks the model of `config` for `num_responses` responses per question.

    store       keeps the replies, and is never closed here
    limits      where calls stop, with LimitReachedError; a `Budget` is shared with others
    on_event    is called with progress, cost and failures (schemas/events.py)
    backend     a model made elsewhere, in place of the one of `config`
    meter       counts the calls together with others, in place of `limits`

    It may be pickled (worker processes, Ray), with a `backend` that was given where that can be: a
    copy has its own connection to the same store and its own limits, and reports to nobody.
    Raises ConfigError where the model or prices are missing.
    """

    def __init__(
        self,
        config: SampleConfig,
        *,
        store: Store,
        limits: Limits | Budget = NO_LIMITS,
        on_event: OnEvent = ignore,
        backend: Backend | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.config = config
        self.store = store
        self.on_event = on_event
        self._given_backend = backend
        self._making = threading.Lock()
        self.meter = meter or Meter(prices=config.prices, limits=limits, section=STAGE)
        if on_event is not ignore:
            self.meter.on_event = on_event

    @property
    def backend(self) -> Backend:
        """The model that is asked, made when it is first needed: one, whichever threads need it."""
        with self._making:
            return self._backend

    @cached_property
    def _backend(self) -> Backend:
        return self._given_backend or make_backend(self.config)

    @property
    def calls(self) -> StoredCalls:
        """The replies of this run."""
        return StoredCalls(self.store, kind=REPLY_KIND, meter=self.meter)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "store": self.store,
            "limits": self.meter.budget.limits,
            "backend": self._given_backend,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def slots_of(self, questions: Sequence[Question]) -> list[Slot]:
        """All responses to be had, by question, then by number."""
        return make_slots(self.config, self.backend.fingerprint(), questions)

    async def sample(self, questions: Items[Question]) -> AsyncGenerator[Response | Failure, None]:
        """Responses in order of completion, each exactly once.

        A request that failed is a `Failure` with the response's id. Raises LimitReachedError at a
        limit and BackendError when servers are gone: what was answered by then is in the store.
        Closing it cancels the calls under way.
        """
        pending: dict[str, Slot] = {}  # by number: a source may hold a question twice
        window = self.config.batch_size * _BATCHES_A_WINDOW
        dialogues = self._begin(questions, pending)
        stream: AsyncGenerator[Done[Outcome], None] = stream_dialogues(
            self.backend, self.calls, dialogues, window=window
        )
        self.on_event(Started(stage=STAGE, total=None, unit="reply"))
        self._report_steps()
        try:
            async with aclosing(stream) as results:
                async for done in results:
                    self._report(len(done))
                    for name, outcome in done:
                        yield self._finish(pending.pop(name), outcome)
        finally:
            self.on_event(Ended(stage=STAGE))

    def sample_now(self, questions: Iterable[Question]) -> Iterator[Response | Failure]:
        """`sample` for callers without an event loop; it works while the next one is waited for."""
        return block_on(self.sample(questions))

    def fetch(self, slots: Sequence[Slot]) -> dict[str, RequestFailure]:
        """Ask for what is not stored; returns what failed, by key.

        Slots of one key (equal prompts at temperature 0) are one call.
        """
        first_slot_of: dict[str, Slot] = {}
        for slot in slots:
            first_slot_of.setdefault(slot.key, slot)
        owed = first_slot_of.keys() - self.store.present(first_slot_of)
        failed: dict[str, RequestFailure] = {}
        dialogues = ((slot.key, _ask_for_failure(slot.ask)) for slot in first_slot_of.values())
        self.on_event(Started(stage=STAGE, total=len(first_slot_of), unit="reply"))
        self._report_steps()
        try:
            for done in run_dialogues(self.backend, self.calls, dialogues):
                failed.update({key: item for key, item in done if item is not None})
                self._report(len(done))
        except (BackendError, ConfigError, LimitReachedError) as error:
            # A server that refuses key or model in the middle has been paid for what came before.
            kept = owed & self.store.present(owed)
            if isinstance(error, LimitReachedError) or (
                isinstance(error, ConfigError) and not kept
            ):
                raise
            raise BackendError(
                f"{error} ({len(kept)} of {len(owed)} owed replies are kept "
                f"in {self.store.path}; the same command continues)"
            ) from None
        finally:
            self.on_event(Ended(stage=STAGE))
        return failed

    async def _begin(
        self, questions: Items[Question], pending: dict[str, Slot]
    ) -> AsyncGenerator[Named[Outcome], None]:
        numbers = map(str, count())
        async with aclosing(iterate(questions)) as source:
            async for question in source:
                for slot in self.slots_of([question]):
                    name = next(numbers)
                    pending[name] = slot
                    yield name, ask_once(slot.ask)

    def _finish(self, slot: Slot, outcome: Outcome) -> Response | Failure:
        if isinstance(outcome, Reply):
            return make_response(self.config, self.backend.model, slot, outcome)
        return Failure(id=slot.id, stage=STAGE, reason=outcome.reason, detail=outcome.detail)

    def _report(self, count: int) -> None:
        if self.on_event is not ignore:
            self.on_event(Advanced(stage=STAGE, count=count, usage=self.meter.snapshot()))

    def _report_steps(self) -> None:
        """Report how far the batch under way is, where the backend runs long batches."""
        if self.on_event is not ignore and isinstance(self.backend, DrawsInBatches):
            self.backend.on_step = lambda step: self.on_event(
                BatchStep(stage=STAGE, step=step, usage=self.meter.snapshot())
            )


def ask_once(ask: Ask) -> Dialogue[Outcome]:
    """The dialogue of a slot: one call."""
    return (yield ask)


def _ask_for_failure(ask: Ask) -> Dialogue[RequestFailure | None]:
    """The reply is in the store; only a failure is handed on."""
    answer = yield ask
    return answer if isinstance(answer, RequestFailure) else None
