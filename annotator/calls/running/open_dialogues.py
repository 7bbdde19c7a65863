"""The dialogues under way: each sends its calls, receives stored replies, and ends with a result.

The rule: a dialogue sees only what is stored, and its end decides how its calls count in the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from annotator.calls.dialogue import Ask, Dialogue, Unusable, call_key
from annotator.calls.stored_calls import StoredCalls
from annotator.models.backend import Backend, Outcome, Request
from schemas.errors import BackendError, LimitReachedError, MaskDpoError

ResultT = TypeVar("ResultT")
Named = tuple[str, Dialogue[ResultT]]
Done = list[tuple[str, ResultT]]

MAX_HELD = 1024  # results that wait for the caller before more dialogues are begun
POLL_S = 0.2  # seconds between looks for a call under way in another process


@dataclass(kw_only=True, eq=False, slots=True)
class OpenDialogue(Generic[ResultT]):
    """A dialogue under way, with the keys of the calls it has made."""

    name: str
    dialogue: Dialogue[ResultT]
    keys: list[str] = field(default_factory=list)


class OpenDialogues(Generic[ResultT]):
    """Sends and ends dialogues. The two ways of running build on it."""

    def __init__(self, backend: Backend, calls: StoredCalls) -> None:
        self.backend = backend
        self.calls = calls
        self._fingerprint = backend.fingerprint()
        if not calls.meter.num_under_way:
            calls.meter.useless.begin()
        self.done: Done[ResultT] = []
        self.is_at_limit = False  # the next call does not fit

    def send(self, item: OpenDialogue[ResultT], answer: Outcome | None) -> tuple[str, Ask] | None:
        """The dialogue's next call, or None when it has ended and its result is kept."""
        try:
            # A generator is started by sending None.
            ask = item.dialogue.send(answer)  # type: ignore[arg-type]
        except StopIteration as end:
            self._end(item, end.value)
            return None
        key = call_key(self.calls.kind, self._fingerprint, ask)
        item.keys.append(key)
        return key, ask

    def _end(self, item: OpenDialogue[ResultT], result: ResultT | Unusable[ResultT]) -> None:
        if isinstance(result, Unusable):
            self.calls.end(item.keys, is_usable=False, is_useless=result.is_useless)
            result = result.result
        else:
            self.calls.end(item.keys, is_usable=True, is_useless=False)
        self.done.append((item.name, result))

    def collect(self) -> Done[ResultT]:
        """The results since the last time."""
        done, self.done = self.done, []
        return done

    @property
    def is_halted(self) -> bool:
        """Whether no call may be made now. A useful reply that was under way allows calls again."""
        return self.is_at_limit or self.calls.meter.useless.is_hopeless

    def stop(self) -> MaskDpoError:
        """The error with which a halted run ends."""
        meter = self.calls.meter
        if meter.useless.is_hopeless:
            return BackendError(meter.useless.describe())
        return LimitReachedError(
            f"{meter.refusing.describe_stop()}; all replies are kept in {self.calls.store.path}, "
            "and the same command with a higher limit continues"
        )


def make_request(key: str, ask: Ask) -> Request:
    """The request of a call; its id is the call's key."""
    return Request(id=key, messages=ask.messages, seed=ask.seed, decoding=ask.decoding)
