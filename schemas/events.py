"""What a run reports while it works: typed events, for a caller to display, log or forward.

The rule: nothing here prints. A run calls `on_event` from the thread it works in, with plain frozen
data that holds no prompt and no reply. A slow listener should put events into its own queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """The calls of one model so far.

    asked         calls sent to the backend; `served` are replies found in the store
    prompt, cached, completion    tokens; `cached` is part of `prompt`
    is_estimated  some counts are estimates, because the server reports none
    cost          in `currency`; None where prices are not known
    total_cost    the cost of all models of the run, as text with its currency; empty for one model
    labels        verdicts so far by label (or whatever else the run makes)
    failures      failed calls by reason
    """

    asked: int = 0
    served: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    is_estimated: bool = False
    cost: float | None = None
    currency: str = ""
    total_cost: str = ""
    labels: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """Work of `total` units begins; `total` is None where the number is not known in advance."""

    stage: str
    total: int | None
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Advanced:
    """`count` more units are done, 0 where only `usage` changed.

    `usage` is None for work without calls.
    """

    stage: str
    count: int
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchStep:
    """A local model runs a batch and is at its `step`-th token; nothing is finished yet."""

    stage: str
    step: int
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The work of `stage` has ended, complete or not."""

    stage: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """A message that a user must be able to read before more is spent."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallAsked:
    """A call was sent to a backend; `key` is its content key."""

    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallAnswered:
    """A call's reply is stored; tokens as counted or estimated, `cost` None without prices.

    `seconds` is the time from sending it (for the last time) to its reply; None for a local model.
    """

    key: str
    prompt: int
    cached: int
    completion: int
    cost: float | None
    currency: str = ""
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallsServed:
    """`count` calls have an outcome in the store and are not sent."""

    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFailed:
    """A call got no reply and is stored as a failure; `detail` is one line without keys."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallDropped:
    """A call that was sent is cancelled: it has no outcome, and may be sent again later."""

    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRetried:
    """A server refused or dropped a call, which is sent again after `wait_s` seconds."""

    key: str
    reason: str
    wait_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerPace:
    """One server of a model at this moment; numbers are of calls.

    server     its host and port; never a path, a user or a key
    under_way  sent to it, without a reply yet
    room       those that it may have at once
    rate       those per second that it gets at most; None: no limit is known
    waiting    those that were refused and wait to be sent again
    sent       sent to it so far, those sent again included
    refused    refused by it so far, because it was full
    """

    server: str
    under_way: int
    room: int
    rate: float | None = None
    waiting: int = 0
    sent: int = 0
    refused: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServersPaced:
    """The servers of one model now; reported before the first call, about once a second while calls
    are made, and after the last."""

    servers: Sequence[ServerPace]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsFound:
    """`count` rows of the input are to be finished."""

    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsFinished:
    """Rows of the input are finished; `labels` counts the sentences of those done, by verdict."""

    done: int = 0
    failed: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)


Event = (
    Started
    | Advanced
    | BatchStep
    | Ended
    | Noted
    | CallAsked
    | CallAnswered
    | CallsServed
    | CallFailed
    | CallDropped
    | CallRetried
    | ServersPaced
    | RowsFound
    | RowsFinished
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener that ignores all events."""


def heard_by(*listeners: OnEvent) -> OnEvent:
    """One listener that passes each event to all of them, in this order."""
    heard = [item for item in listeners if item is not ignore]
    if len(heard) < 2:
        return heard[0] if heard else ignore

    def pass_on(event: Event) -> None:
        for listener in heard:
            listener(event)

    return pass_on
