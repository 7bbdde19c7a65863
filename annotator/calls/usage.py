"""What calls cost, and the limits at which a run stops: tokens, money, number of calls.

The rule that keeps a limit: a call is admitted only if the amount spent, the maximum cost of the
calls under way, and the maximum cost of the call itself are together within the limit. A limit on
money without prices is refused before the first call. Tokens that a server does not count are
estimated, and shown as estimates.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

from annotator.calls.useless import UselessReplies
from annotator.models.backend import Outcome, Reply, Request, RequestFailure
from annotator.models.prices import Prices, show_money
from annotator.text.token_estimate import estimate_tokens
from schemas.errors import BackendError, ConfigError
from schemas.events import (
    CallAnswered,
    CallDropped,
    CallFailed,
    CallsServed,
    OnEvent,
    Usage,
    ignore,
)
from schemas.records import Message

# Tokens of the template around each message: role names and markers.
_TOKENS_A_MESSAGE = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits at which a run stops; None means no limit. They do not count stored calls.

    max_calls   calls made
    max_tokens  prompt and completion tokens together
    max_cost    money in the currency of the model's `prices`, which must then be set
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None

    @property
    def bound_tokens(self) -> bool:
        """Whether there is a limit on tokens or on cost."""
        return self.max_tokens is not None or self.max_cost is not None

    def after(self, *, calls: int, tokens: int, cost: float) -> Limits:
        """What is left of the limits when that much is spent; never negative."""
        return Limits(
            max_calls=None if self.max_calls is None else max(0, self.max_calls - calls),
            max_tokens=None if self.max_tokens is None else max(0, self.max_tokens - tokens),
            max_cost=None if self.max_cost is None else max(0.0, self.max_cost - cost),
        )


NO_LIMITS = Limits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Token counts of one call or of many."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion; cached ones are part of the prompt."""
        return self.prompt + self.completion

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            prompt=self.prompt + other.prompt,
            cached=self.cached + other.cached,
            completion=self.completion + other.completion,
        )

    def __sub__(self, other: Tokens) -> Tokens:
        return Tokens(
            prompt=self.prompt - other.prompt,
            cached=self.cached - other.cached,
            completion=self.completion - other.completion,
        )


@dataclass(kw_only=True)
class Budget:
    """The limits of one run, and all meters whose calls count towards them.

    A run that calls several models (`evaluate`, `agreement --compare`) has a meter for each, with
    the prices of that model; a limit is on the sum over all of them.
    """

    limits: Limits = NO_LIMITS
    meters: list[Meter] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _exceeded: list[str] = field(default_factory=list)
    _needed: str = ""

    def join(self, meter: Meter) -> None:
        """Count `meter` too. Raises ConfigError as `check_prices` does."""
        check_prices(self.limits, [(item.section, item.prices) for item in (*self.meters, meter)])
        self.meters.append(meter)

    def admits(self, meter: Meter, requests: Sequence[Request]) -> bool:
        """Whether `requests`, counted by `meter`, fit the limits together with all calls under way.

        A call under way counts at its maximum: its prompt and `max_tokens`. The caller must hold
        `lock`. After False, `describe_stop` says which limit was the reason.
        """
        limits = self.limits
        exceeded = []
        self._needed = ""
        if limits.max_calls is not None and self.num_asked + len(requests) > limits.max_calls:
            exceeded.append(f"max_calls={limits.max_calls}")
        if limits.bound_tokens:
            more = sum(map(reserve, requests), Tokens())
            most = [
                (item, item.most + (more if item is meter else Tokens())) for item in self.meters
            ]
            total = sum(tokens.total for _, tokens in most)
            if limits.max_tokens is not None and total > limits.max_tokens:
                exceeded.append(f"max_tokens={limits.max_tokens}")
            cost = sum(item.cost_of(tokens) or 0.0 for item, tokens in most)
            if limits.max_cost is not None and cost > limits.max_cost:
                exceeded.append(f"max_cost={limits.max_cost:g}")
            self._needed = f", and the next may take {meter.show(more)}"
        self._exceeded = exceeded
        return not exceeded

    @property
    def num_under_way(self) -> int:
        """Calls of all meters without an outcome yet."""
        return sum(item.num_under_way for item in self.meters)

    @property
    def num_asked(self) -> int:
        """Calls made so far, failed ones too."""
        return sum(item.num_asked for item in self.meters)

    @property
    def tokens(self) -> Tokens:
        """Tokens of all replies so far."""
        return sum((item.tokens for item in self.meters), Tokens())

    @property
    def cost_text(self) -> str:
        """The cost so far with its currency; empty where no model has prices."""
        priced = [item for item in self.meters if item.is_priced]
        if not priced:
            return ""
        about = "about " if any(item.is_estimated for item in priced) else ""
        assert priced[0].prices is not None
        cost = sum(item.cost or 0.0 for item in priced)
        return about + show_money(cost, priced[0].prices.currency)

    def describe_stop(self) -> str:
        """A sentence: which limit the next call does not fit, and what was spent."""
        return self._describe_stop(self.num_asked, self.tokens.total, self.cost_text)

    def _describe_stop(self, num_calls: int, num_tokens: int, cost: str) -> str:
        cost = f", {cost}" if cost else ""
        return (
            f"the next call does not fit {' and '.join(self._exceeded)}: {num_calls:,} calls "
            f"were made ({num_tokens:,} tokens{cost}){self._needed}"
        )

    def rows(self) -> list[tuple[str, str]]:
        """The final table of a run with several models: (name, value)."""
        tokens = self.tokens
        about = "about " if any(item.is_estimated for item in self.meters) else ""
        rows = [
            ("calls made", f"{self.num_asked:,}"),
            ("answers from the store", f"{sum(item.num_served for item in self.meters):,}"),
            ("prompt tokens", f"{about}{tokens.prompt:,}"),
            ("completion tokens", f"{about}{tokens.completion:,}"),
        ]
        if self.cost_text:
            unknown = sorted({item.section for item in self.meters if item.prices is None})
            without = f" (without {', '.join(unknown)}: no prices)" if unknown else ""
            rows.append(("cost", self.cost_text + without))
        return rows


@dataclass(kw_only=True)
class Meter:
    """Counts the calls of one model in one run and decides whether another call fits.

    prices         what tokens cost; None: not known
    limits         the limits of this run, or a budget that several meters share
    section        where the model's settings are, as errors name it: "sample", "annotate.llm"
    num_asked      calls sent to the backend
    num_served     replies and failures found in the store
    num_under_way  calls sent to the backend that have no outcome yet
    has_reply      whether a call of this run has a reply, made now or found in the store
    first_failure  the first call without one, made now or found in the store
    labels         number of verdicts of the run so far by label, counted by the judging code
    useless        replies that could not be used
    on_event       is called with what happens to each call (schemas/events.py)
    parent         counts these calls, too, and its limits hold for them as well
    refusing       the budget that the last refused call did not fit

    Raises ConfigError for a limit on cost without prices, and for two currencies in one budget.
    """

    prices: Prices | None = None
    limits: InitVar[Limits | Budget] = NO_LIMITS
    section: str = "model"
    num_asked: int = 0
    num_served: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    failures: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    is_estimated: bool = False
    useless: UselessReplies = field(default_factory=UselessReplies)
    has_reply: bool = False
    first_failure: RequestFailure | None = None
    on_event: OnEvent = ignore
    parent: Meter | None = None
    budget: Budget = field(init=False)
    refusing: Budget = field(init=False)
    num_under_way: int = field(init=False, default=0)
    # How many times a call is counted as under way, and its maximum cost. Two runs that share this
    # meter may both count one call for a moment, until one of them sees that the other makes it.
    _under_way: dict[str, tuple[int, Tokens]] = field(default_factory=dict)
    _reserved: Tokens = field(init=False, default=Tokens())

    def __post_init__(self, limits: Limits | Budget) -> None:
        self.budget = limits if isinstance(limits, Budget) else Budget(limits=limits)
        self.budget.join(self)
        self.refusing = self.budget

    @property
    def most(self) -> Tokens:
        """What was spent, and the maximum cost of the calls under way."""
        return self.tokens + self._reserved

    def start(self, requests: Sequence[Request]) -> bool:
        """Count `requests` as under way if they fit the limits together with those that are; else
        False.

        Calls of other threads come before or after it, so a limit holds for all of them together.
        """
        if self.parent is not None and not self.parent.start(requests):
            self.refusing = self.parent.refusing
            return False
        if self._start(requests):
            return True
        self.refusing = self.budget
        if self.parent is not None:
            self.parent.withdraw(requests)
        return False

    def _start(self, requests: Sequence[Request]) -> bool:
        with self.budget.lock:
            if not self.budget.admits(self, requests):
                return False
            self.num_asked += len(requests)
            for request in requests:
                # Estimating takes time, and without a limit on tokens the estimate is not used.
                most = reserve(request) if self.budget.limits.bound_tokens else Tokens()
                count, _ = self._under_way.get(request.id, (0, most))
                self._under_way[request.id] = (count + 1, most)
                self._reserved += most
                self.num_under_way += 1
            return True

    def _end(self, request: Request) -> None:
        """A request is no longer under way; the caller must hold the lock."""
        count, most = self._under_way.pop(request.id, (0, Tokens()))
        if count > 1:
            self._under_way[request.id] = (count - 1, most)
        if count:
            self._reserved -= most
            self.num_under_way -= 1

    def withdraw(self, requests: Sequence[Request]) -> None:
        """Requests that were started are not sent after all."""
        if self.parent is not None:
            self.parent.withdraw(requests)
        with self.budget.lock:
            self.num_asked -= len(requests)
            for request in requests:
                self._end(request)

    def serve(self, count: int) -> None:
        """`count` calls were found in the store."""
        self.num_served += count
        if count and self.on_event is not ignore:
            self.on_event(CallsServed(count=count))

    def finish(self, request: Request, outcome: Outcome) -> None:
        """The outcome of a request has arrived; a failed call counts as free."""
        tokens = self._count(request, outcome)
        if self.on_event is not ignore:
            self.on_event(
                CallFailed(key=request.id, reason=outcome.reason, detail=outcome.detail)
                if isinstance(outcome, RequestFailure)
                else self._describe(request, outcome, tokens)
            )

    def _count(self, request: Request, outcome: Outcome) -> Tokens:
        """Count an outcome here and above; returns its tokens."""
        if self.parent is not None:
            self.parent._count(request, outcome)
        tokens = Tokens()
        with self.budget.lock:
            self._end(request)
            if isinstance(outcome, Reply):
                tokens = self._tokens_of(request, outcome)
                self.tokens += tokens
            else:
                self.failures[outcome.reason] += 1
        return tokens

    def _describe(self, request: Request, reply: Reply, tokens: Tokens) -> CallAnswered:
        return CallAnswered(
            key=request.id,
            prompt=tokens.prompt,
            cached=tokens.cached,
            completion=tokens.completion,
            cost=self.cost_of(tokens),
            currency=self.prices.currency if self.prices is not None else "",
            seconds=reply.seconds,
        )

    def abandon(self, request: Request) -> None:
        """A request was cancelled: its cost is not known."""
        if self.parent is not None:
            self.parent.abandon(request)
        with self.budget.lock:
            self._end(request)
        if self.on_event is not ignore:
            self.on_event(CallDropped(key=request.id))

    def note(self, outcome: Outcome) -> None:
        """An outcome is passed to a dialogue, from a call made now or earlier."""
        if isinstance(outcome, Reply):
            self.has_reply = True
        else:
            self.first_failure = self.first_failure or outcome

    @property
    def all_failed(self) -> str:
        """A sentence with the first failure where every call failed; empty otherwise."""
        failure = self.first_failure
        if failure is None or self.has_reply:
            return ""
        return (
            f"every call of this run failed; the first: {failure.reason}: {failure.detail} (fix "
            "the cause, then run the same command with --retry-failed)"
        )

    @property
    def total_failure(self) -> str:
        """A sentence where every call failed, or no reply could be used; empty otherwise."""
        if self.all_failed or not self.useless.is_all or self.num_served:
            return self.all_failed
        return (
            f"{self.useless.describe()} (choose another model or other settings, then run the same "
            "command with --retry-failed)"
        )

    def check_replies(self) -> None:
        """Raise BackendError where every call failed or no reply could be used."""
        if self.total_failure:
            raise BackendError(self.total_failure)

    @property
    def is_priced(self) -> bool:
        """Whether this model's tokens have a price above 0."""
        return self.prices is not None and not self.prices.is_free

    @property
    def cost(self) -> float | None:
        """The cost of this model so far, in the currency of `prices`; None without prices."""
        return self.cost_of(self.tokens)

    def cost_of(self, tokens: Tokens) -> float | None:
        """The price of `tokens`; None without prices."""
        if self.prices is None:
            return None
        return self.prices.cost(
            prompt=tokens.prompt, cached=tokens.cached, completion=tokens.completion
        )

    def show(self, tokens: Tokens) -> str:
        """`tokens`, and their cost where it is known, as text."""
        if self.prices is None or not self.is_priced:
            return f"{tokens.total:,} tokens"
        cost = show_money(self.cost_of(tokens) or 0.0, self.prices.currency)
        return f"{tokens.total:,} tokens ({cost})"

    def _tokens_of(self, request: Request, reply: Reply) -> Tokens:
        prompt, completion = reply.prompt_tokens, reply.completion_tokens
        if prompt is None or completion is None:
            self.is_estimated = True
        counted = estimate_prompt(request.messages) if prompt is None else prompt
        return Tokens(
            prompt=counted,
            cached=min(reply.cached_tokens or 0, counted),
            completion=estimate_tokens(reply.text) if completion is None else completion,
        )

    def snapshot(self) -> Usage:
        """The run so far, as an event."""
        priced = self.prices if self.prices is not None and self.cost else None
        return Usage(
            asked=self.num_asked,
            served=self.num_served,
            prompt=self.tokens.prompt,
            cached=self.tokens.cached,
            completion=self.tokens.completion,
            is_estimated=self.is_estimated,
            cost=self.cost if priced else None,
            currency=priced.currency if priced else "",
            total_cost=self.budget.cost_text if len(self.budget.meters) > 1 else "",
            labels=dict(self.labels),
            failures=dict(self.failures),
        )

    def rows(self) -> list[tuple[str, str]]:
        """The final table: (name, value)."""
        about = "about " if self.is_estimated else ""
        prompt = f"{about}{self.tokens.prompt:,}"
        if self.tokens.cached:
            prompt += f", {self.tokens.cached:,} of them cached"
        rows = [
            ("calls made", f"{self.num_asked:,}"),
            ("answers from the store", f"{self.num_served:,}"),
            ("prompt tokens", prompt),
            ("completion tokens", f"{about}{self.tokens.completion:,}"),
        ]
        if self.prices is not None and self.is_priced:
            rows.append(("cost", about + show_money(self.cost or 0.0, self.prices.currency)))
        rows += [(f"failed: {name}", f"{count:,}") for name, count in self.failures.most_common()]
        return rows


def check_prices(limits: Limits, prices: Sequence[tuple[str, Prices | None]]) -> None:
    """Raise ConfigError where a limit on cost cannot be kept, before anything is spent.

    `prices` has the prices of each model that will be asked, with the section of its settings.
    """
    unknown = list(dict.fromkeys(section for section, item in prices if item is None))
    if limits.max_cost is not None and unknown:
        section = unknown[0]
        raise ConfigError(
            f"--max-cost {limits.max_cost:g}: the cost is not known, because "
            f"{' and '.join(f'{name}.prices' for name in unknown)} is not set; give the prices per "
            f"million tokens, such as --set {section}.prices.prompt=0.15 "
            f"--set {section}.prices.completion=0.60, or --set {section}.prices=0 where nothing "
            "is paid"
        )
    paid = [(section, item.currency) for section, item in prices if item and not item.is_free]
    if len({currency for _, currency in paid}) > 1:
        named = ", ".join(f"{section}.prices in {currency}" for section, currency in paid)
        raise ConfigError(f"costs in two currencies cannot be added ({named}); give all in one")


def estimate_prompt(messages: Sequence[Message]) -> int:
    """About how many tokens a conversation has as a prompt, for any model."""
    return sum(estimate_tokens(item.content) + _TOKENS_A_MESSAGE for item in messages)


def reserve(request: Request) -> Tokens:
    """The maximum that a request is expected to cost."""
    return Tokens(prompt=estimate_prompt(request.messages), completion=request.decoding.max_tokens)
