"""A server with a hidden limit, and clients with a gate each, in virtual time."""

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

from limited_server import HiddenLimit

from annotator.models.pacing.control import PaceControl
from annotator.models.pacing.gate import Gate


@dataclass(kw_only=True)
class World:
    """One server with a hidden limit, and clients that always have more to send.

    latency        seconds of a reply, or a function of a random generator
    refusal_s      seconds of a refusal
    jitter_s       largest delay of a client's timers
    changes        (time, rate): the limit becomes this
    demand         calls/s that all clients together have to send; None: always more
    """

    limit: HiddenLimit
    latency: object = 0.1
    refusal_s: float = 0.003
    jitter_s: float = 0.002
    with_retry_after: bool = True
    changes: tuple = ()
    concurrency: int = 4096
    demand: float | None = None
    seed: int = 0
    accepted: Counter = field(default_factory=Counter)  # per second
    refused: Counter = field(default_factory=Counter)
    ticks: list = field(default_factory=list)

    def run(self, seconds, gates=None):
        """Until that time; `gates`: one per client, by default one with limits of its own."""
        self.gates = gates or [Gate(PaceControl(self.concurrency, 0.0), 0.0)]
        self._rng = random.Random(self.seed)
        self._order = itertools.count()
        self._events = []
        self._wakes = [0.0] * len(self.gates)
        self._num_taken = [0] * len(self.gates)
        for at, rate in self.changes:
            self._push(at, self._change, rate)
        for at, call, every in self.ticks:
            self._push(at, self._tick, call, every)
        for number in range(len(self.gates)):
            self.poke(number, 0.0)
        while self._events:
            now, _, call, arguments = heapq.heappop(self._events)
            if now > seconds:
                break
            self.now = now
            call(now, *arguments)
        return self

    def poke(self, number, at):
        """A client looks whether it may send something."""
        self._wakes[number] = at
        self._push(at, self._wake, number, at)

    def soon(self, call):
        """Call something a moment later."""
        self._push(self.now + 0.003, call)

    def _push(self, at, call, *arguments):
        heapq.heappush(self._events, (at, next(self._order), call, arguments))

    def _change(self, now, rate):
        self.limit.rate = rate

    def _tick(self, now, call, every):
        call(now)
        self._push(now + every, self._tick, call, every)

    def _wake(self, now, number, planned):
        if planned == self._wakes[number]:
            self._send(now, number)

    def _end(self, now, number, ticket, passed, retry_after):
        if passed:
            self.limit.under_way -= 1
            self.gates[number].ended(ticket, now, is_answer=True)
        else:
            self.gates[number].refused(ticket, now, retry_after)
        self._send(now, number)

    def _send(self, now, number):
        """Everything that this client may send now."""
        while (delay := self._delay(now, number)) == 0.0:
            ticket = self.gates[number].take(now)
            passed = self.limit.accepts(now)
            (self.accepted if passed else self.refused)[int(now)] += 1
            retry_after = None
            if passed:
                self.limit.under_way += 1
                self._num_taken[number] += 1
                took = self.latency(self._rng) if callable(self.latency) else self.latency
            else:
                took = self.refusal_s
                retry_after = self.limit.retry_after(now) if self.with_retry_after else None
            took *= 1 + 0.1 * self._rng.random()
            self._push(now + took, self._end, number, ticket, passed, retry_after)
        if delay is not None:
            self.poke(number, now + delay + self._rng.random() * self.jitter_s)

    def _delay(self, now, number):
        if self.demand is not None:
            share = self.demand / len(self.gates)
            missing = 1 - (share * now - self._num_taken[number])
            if missing > 0:
                return missing / share + 1e-6
        return self.gates[number].delay(now)

    def use(self, start, end, rate):
        """Share of the calls that the server allowed in these seconds."""
        return sum(self.accepted[second] for second in range(start, end)) / (rate * (end - start))

    def refused_share(self):
        refused = sum(self.refused.values())
        return refused / max(1, refused + sum(self.accepted.values()))

    def seconds_until(self, start, rate, share=0.9, span=5):
        """Seconds from `start` until `span` seconds in a row used `share` of the limit."""
        second = start
        while self.use(second, second + span, rate) < share:
            second += 1
            if second > start + 300:
                return float("inf")
        return second - start
