"""The core of sampling: from questions to responses, for every caller.

The rule: as for `annotator.judging.annotator`. No files of rows, no progress bars, no own event
loop; questions are pulled when they can be sent, and a reply is stored before its response is
returned.
"""

from __future__ import annotations

import threading
from collections import Counter
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
from schemas.events import (
    Advanced,
    BatchStep,
    Ended,
    OnEvent,
    RowsFinished,
    RowsFound,
    Started,
    ignore,
)
from schemas.records import Failure, Question, Response

STAGE = "sample"
# Questions of a local model that run together, in batches of its size.
_BATCHES_A_WINDOW = 4


class Sampler:
    """Requests `num_responses` responses per question from the model of `config`.

    store       stores the replies, and is never closed here
    limits      limits on calls, which raise LimitReachedError; a `Budget` is shared with others
    on_event    is called with progress, cost and failures (schemas/events.py)
    backend     a model made elsewhere, in place of the one of `config`
    meter       counts the calls together with others, in place of `limits`

    It may be pickled (worker processes, Ray), with the given `backend` if that can be pickled: a
    copy has its own connection to the same store and its own limits, and reports no events. Raises
    ConfigError where the model or prices are missing.
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
        """The backend, made when it is first needed; all threads share it."""
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
        """All responses to make, by question, then by number."""
        return make_slots(self.config, self.backend.fingerprint(), questions)

    async def sample(self, questions: Items[Question]) -> AsyncGenerator[Response | Failure, None]:
        """Responses in order of completion, each exactly once.

        `questions` is an iterable or asynchronous iterable of any length; each gives
        `num_responses` responses (K of the paper), named `QUESTION_ID-NUMBER`. A request that
        failed is a `Failure` with the response's id. Raises LimitReachedError at a limit and
        BackendError when servers fail: replies received by then are in the store. Closing it
        cancels the calls under way.
        """
        pending: dict[str, Slot] = {}  # by number: a source may contain a question twice
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
        """`sample` for callers without an event loop.

        The work is done while the caller waits for the next one.
        """
        return block_on(self.sample(questions))

    def fetch(self, slots: Sequence[Slot]) -> dict[str, RequestFailure]:
        """Make the calls that are not stored; returns the failures, by key.

        Slots of one key (equal prompts at temperature 0) are one call.
        """
        first_slot_of: dict[str, Slot] = {}
        for slot in slots:
            first_slot_of.setdefault(slot.key, slot)
        how_often = Counter(slot.key for slot in slots)
        owed = first_slot_of.keys() - self.store.present(first_slot_of)
        failed: dict[str, RequestFailure] = {}
        dialogues = ((slot.key, _ask_for_failure(slot.ask)) for slot in first_slot_of.values())
        self.on_event(Started(stage=STAGE, total=len(first_slot_of), unit="reply"))
        self.on_event(RowsFound(count=len(slots)))
        self._report_steps()
        try:
            for done in run_dialogues(self.backend, self.calls, dialogues):
                failed.update({key: item for key, item in done if item is not None})
                num_failed = sum(how_often[key] for key, item in done if item is not None)
                num_rows = sum(how_often[key] for key, _ in done)
                self.on_event(RowsFinished(done=num_rows - num_failed, failed=num_failed))
                self._report(len(done))
        except (BackendError, ConfigError, LimitReachedError) as error:
            # Replies before a server refuses the key or model were paid for.
            kept = owed & self.store.present(owed)
            if isinstance(error, LimitReachedError) or (
                isinstance(error, ConfigError) and not kept
            ):
                raise
            raise BackendError(
                f"{error} ({len(kept)} of {len(owed)} missing replies were received and are stored "
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
        """Report the progress of the batch under way, where the backend runs long batches."""
        if self.on_event is not ignore and isinstance(self.backend, DrawsInBatches):
            self.backend.on_step = lambda step: self.on_event(
                BatchStep(stage=STAGE, step=step, usage=self.meter.snapshot())
            )


def ask_once(ask: Ask) -> Dialogue[Outcome]:
    """The dialogue of a slot: one call."""
    return (yield ask)


def _ask_for_failure(ask: Ask) -> Dialogue[RequestFailure | None]:
    """The reply is in the store; only a failure is returned."""
    answer = yield ask
    return answer if isinstance(answer, RequestFailure) else None
