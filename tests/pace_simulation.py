"""Servers with hidden limits, and clients with a gate each, in virtual time."""

import heapq
import itertools
import random
from collections import Counter, deque
from dataclasses import dataclass, field

from annotator.models.pacing.control import PaceControl
from annotator.models.pacing.gate import Gate


class HiddenLimit:
    """Whether a server accepts a call at a time: `rate` calls/s, which may be changed at any time.

    kinds   fixed: windows of `window_s` from 0; sliding: the last `window_s`; bucket: filled at
            `rate`, holds `rate * window_s` calls; slots: `rate` calls under way
    """

    def __init__(self, kind, rate, window_s=1.0):
        self.kind, self.rate, self.window_s = kind, rate, window_s
        self._window, self._count = -1, 0
        self._recent = deque()
        self._tokens, self._filled_at = max(1.0, rate * window_s), 0.0
        self.under_way = 0

    def accepts(self, now):
        return getattr(self, f"_{self.kind}")(now)

    def retry_after(self, now):
        """Whole seconds, as servers send them."""
        return 1 if self.kind != "fixed" else int(self.window_s - now % self.window_s) + 1

    def _fixed(self, now):
        window = int(now / self.window_s)
        if window != self._window:
            self._window, self._count = window, 0
        self._count += 1
        return self._count <= self.rate * self.window_s

    def _sliding(self, now):
        while self._recent and self._recent[0] <= now - self.window_s:
            self._recent.popleft()
        if len(self._recent) >= self.rate * self.window_s:
            return False
        self._recent.append(now)
        return True

    def _bucket(self, now):
        most = max(1.0, self.rate * self.window_s)
        self._tokens = min(most, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _slots(self, now):
        return self.under_way < self.rate


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
        rng = random.Random(self.seed)
        gates = gates or [Gate(PaceControl(self.concurrency, 0.0), 0.0)]
        self.gates = gates
        order = itertools.count()
        events = []
        wake = [0.0] * len(gates)
        budget = [0.0] * len(gates)

        def push(at, what):
            heapq.heappush(events, (at, next(order), what))

        for at, rate in self.changes:
            push(at, ("change", rate))
        for number in range(len(gates)):
            push(0.0, ("wake", number, 0.0))
        for at, call, every in self.ticks:
            push(at, ("tick", call, every))

        def poke(number, now):
            wake[number] = now
            push(now, ("wake", number, now))

        self.poke = poke
        now = 0.0
        while events:
            now, _, event = heapq.heappop(events)
            if now > seconds:
                break
            if event[0] == "change":
                self.limit.rate = event[1]
                continue
            if event[0] == "tick":
                push(now + event[2], event)
                event[1](now)
                continue
            number = event[1]
            gate = gates[number]
            if event[0] == "wake":
                if event[2] != wake[number]:
                    continue
            else:
                _, _, ticket, passed, retry_after, in_slot = event
                if in_slot:
                    self.limit.under_way -= 1
                if passed:
                    gate.ended(ticket, now, is_answer=True)
                else:
                    gate.refused(ticket, now, retry_after)
            while True:
                if self.demand is not None:
                    have = self.demand * now / len(gates) - budget[number]
                    if have < 1:
                        delay = (1 - have) * len(gates) / self.demand + 1e-6
                        break
                delay = gate.delay(now)
                if delay is None or delay > 0:
                    break
                ticket = gate.take(now)
                budget[number] += 1
                passed = self.limit.accepts(now)
                (self.accepted if passed else self.refused)[int(now)] += 1
                after = None
                if passed:
                    self.limit.under_way += 1
                    took = self.latency(rng) if callable(self.latency) else self.latency
                else:
                    after = self.limit.retry_after(now) if self.with_retry_after else None
                    took = self.refusal_s
                    budget[number] -= 1
                took *= 1 + 0.1 * rng.random()
                push(now + took, ("end", number, ticket, passed, after, passed))
            if delay is not None:
                wake[number] = now + delay + rng.random() * self.jitter_s
                push(wake[number], ("wake", number, wake[number]))
        return self

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
