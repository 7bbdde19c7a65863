"""Which calls are sent again, when, and to which server.

The rule: a call that a full server refused is sent again until some server accepts it; it has
failed only when it was refused MOST_REFUSALS times while the same server accepted others. Other
failures that another try may cure are repeated up to `max_retries` times at the same server, and
then once at another one. All of them are sent through `Pace` like new calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from annotator.models.openai.endpoints import MIN_FAILURES_IN_A_ROW, Endpoint, EndpointPool
from annotator.models.openai.held_failures import SERVER_FAILURES, Answered
from annotator.models.openai.retries import retry_delay

# A full server says nothing about the request; one that is refused this often, while others are
# accepted, is itself the cause. Fewer than the number that sets a server aside.
MOST_REFUSALS = MIN_FAILURES_IN_A_ROW - 2
_SUSPECT = 2


@dataclass(kw_only=True, eq=False, slots=True)
class Again:
    """A call that waits to be sent again.

    failed  its last failure, returned if it cannot be sent
    due     monotonic time of the earliest send at `only` or `held`, in seconds
    only    the server that it is repeated at, unless that is set aside
    held    the server that refused it, which may have it again from `due`; others at once
    but     the server that it has failed at for good
    num_refused  how often it was refused
    num_accepted calls that the server had accepted when it refused this one
    is_suspect   others were accepted between its refusals
    """

    failed: Answered
    due: float
    only: Endpoint | None = None
    held: Endpoint | None = None
    but: Endpoint | None = None
    num_refused: int = 0
    num_accepted: int = 0
    is_suspect: bool = False

    @property
    def gives_way(self) -> bool:
        """Whether another call should be tried first: this one may itself be what is refused."""
        held = self.held
        is_alone = held is not None and held.gate.num_accepted == self.num_accepted
        return self.num_refused > 1 and is_alone

    def fits(self, endpoint: Endpoint, now: float) -> bool:
        """Whether it may be sent to a server now."""
        if self.only is not None and self.only.rests_until <= now:
            return endpoint is self.only and now >= self.due
        if self.held is endpoint:
            return now >= self.due
        return endpoint is not self.but


@dataclass(kw_only=True, slots=True)
class _History:
    """The failures of one call so far.

    num_counted   refusals that count: others were accepted since the one before
    num_accepted  calls that the server had accepted at the last refusal
    """

    num_retries: int = 0
    num_refused: int = 0
    num_counted: int = 0
    num_accepted: int = -1
    is_moved: bool = False


class Resends:
    """The failed calls of one stream, by id."""

    def __init__(self, pool: EndpointPool, *, max_retries: int) -> None:
        self._pool = pool
        self._max_retries = max_retries
        self._histories: dict[str, _History] = {}

    def decide(self, answer: Answered, now: float) -> Again | None:
        """How a call is sent again after this answer; None where the answer is final."""
        again = self._decide(answer, now) if answer.failure is not None else None
        if again is None:
            self._histories.pop(answer.finished[0].id, None)
        return again

    def _decide(self, answer: Answered, now: float) -> Again | None:
        history = self._histories.setdefault(answer.finished[0].id, _History())
        endpoint = answer.endpoint
        if endpoint is None:
            return None
        if answer.is_refusal:
            history.num_refused += 1
            is_alone = endpoint.gate.num_accepted == history.num_accepted
            if not is_alone:
                history.num_accepted = endpoint.gate.num_accepted
                history.num_counted += 1
            if history.num_counted < MOST_REFUSALS:
                due = now + (answer.retry_after or 0.0)
                return Again(
                    failed=answer,
                    due=due,
                    held=endpoint,
                    num_refused=history.num_refused,
                    num_accepted=history.num_accepted,
                    is_suspect=history.num_counted >= _SUSPECT and not is_alone,
                )
        elif answer.is_retried and history.num_retries < self._max_retries:
            due = now + retry_delay(history.num_retries, answer.retry_after)
            history.num_retries += 1
            return Again(failed=answer, due=due, only=endpoint)
        failure = answer.failure
        if history.is_moved or failure is None or not may_be_the_servers(failure.reason):
            return None
        if self._pool.choose(now, but=endpoint) is None:
            return None
        history.is_moved, history.num_retries = True, 0
        return Again(failed=answer, due=now, but=endpoint)


def may_be_the_servers(reason: str) -> bool:
    """Whether another server might answer a request that failed this way."""
    if reason in SERVER_FAILURES or reason in {"bad_response", "no_choices"}:
        return True
    return reason.startswith("http_5") or reason in {"http_401", "http_403", "http_404"}


def earliest(waiting: Sequence[Again], now: float) -> float | None:
    """Seconds until the first of these may be sent again; None where all may be sent now."""
    return min((item.due - now for item in waiting if item.due > now), default=None)
