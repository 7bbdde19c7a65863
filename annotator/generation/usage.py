"""What calls cost, and the limits at which a run stops: tokens, money, number of calls.

The rule that keeps a limit: a call is admitted only while what was spent, what is under way at
its most and the call itself fit. What a server does not count is estimated, and said to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from annotator.generation.backend import Outcome, Reply, Request
from annotator.generation.config import Prices
from annotator.generation.useless import UselessReplies
from annotator.text.token_estimate import estimate_tokens
from schemas.records import Message

# Tokens of the template around each message: role names and markers.
_TOKENS_A_MESSAGE = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Where a run stops; None is no limit. They bound this run, not what the store holds."""

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None


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


@dataclass(kw_only=True)
class Meter:
    """Counts the calls of one run and says whether another one fits.

    num_asked      calls handed to the backend
    num_served     answers found in the store
    labels         what the run's verdicts say so far, counted by whoever makes them
    useless        replies that came and were of no use
    """

    prices: Prices = field(default_factory=Prices)
    limits: Limits = field(default_factory=Limits)
    num_asked: int = 0
    num_served: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    failures: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    is_estimated: bool = False
    useless: UselessReplies = field(default_factory=UselessReplies)
    _under_way: dict[str, Tokens] = field(default_factory=dict)

    @property
    def num_under_way(self) -> int:
        """Calls handed to the backend whose outcome is not there yet."""
        return len(self._under_way)

    def admits(self, requests: Sequence[Request]) -> bool:
        """Whether `requests` fit the limits beside all that is under way at its most."""
        limits = self.limits
        if limits.max_calls is not None and self.num_asked + len(requests) > limits.max_calls:
            return False
        if limits.max_tokens is None and limits.max_cost is None:
            return True
        most = self.tokens
        for reserved in (*self._under_way.values(), *map(reserve, requests)):
            most += reserved
        if limits.max_tokens is not None and most.total > limits.max_tokens:
            return False
        return limits.max_cost is None or self._cost(most) <= limits.max_cost

    def start(self, request: Request) -> None:
        """A request is handed to the backend."""
        self.num_asked += 1
        is_bounded = self.limits.max_tokens is not None or self.limits.max_cost is not None
        # Estimating takes time; without a bound on tokens nobody reads the estimate.
        self._under_way[request.id] = reserve(request) if is_bounded else Tokens()

    def finish(self, request: Request, outcome: Outcome) -> None:
        """Its outcome is there; a failed call is taken to have cost nothing."""
        self._under_way.pop(request.id, None)
        if isinstance(outcome, Reply):
            self.tokens += self._tokens_of(request, outcome)
        else:
            self.failures[outcome.reason] += 1

    @property
    def cost(self) -> float:
        """What this run has cost so far, in the currency of `prices`."""
        return self._cost(self.tokens)

    def _cost(self, tokens: Tokens) -> float:
        return self.prices.cost(
            prompt=tokens.prompt, cached=tokens.cached, completion=tokens.completion
        )

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

    def line(self) -> str:
        """The run so far in one line: calls, tokens, cost, labels, failures."""
        parts = [f"calls {self.num_asked:,}"]
        if self.num_served:
            parts.append(f"stored {self.num_served:,}")
        about = "~" if self.is_estimated else ""
        if self.tokens.total:
            parts.append(f"tokens {about}{_short(self.tokens.total)}")
        if self.tokens.cached and self.tokens.prompt:
            parts.append(f"cached {self.tokens.cached / self.tokens.prompt:.0%}")
        if self.cost:
            parts.append(f"{about}{self.cost:.2f} {self.prices.currency}")
        if self.labels:
            parts.append(", ".join(f"{name} {n:,}" for name, n in self.labels.most_common(4)))
        if self.failures:
            named = ", ".join(f"{name} {n:,}" for name, n in self.failures.most_common(3))
            parts.append(f"failed: {named}")
        return " | ".join(parts)

    def rows(self) -> list[tuple[str, str]]:
        """The final table: (name, value)."""
        about = "about " if self.is_estimated else ""
        prompt = f"{about}{self.tokens.prompt:,}"
        if self.tokens.cached:
            prompt += f", {self.tokens.cached:,} of them cached"
        rows = [
            ("calls asked", f"{self.num_asked:,}"),
            ("answers from the store", f"{self.num_served:,}"),
            ("prompt tokens", prompt),
            ("completion tokens", f"{about}{self.tokens.completion:,}"),
        ]
        if self.prices.prompt or self.prices.completion:
            rows.append(("cost", f"{about}{self.cost:,.4f} {self.prices.currency}"))
        rows += [(f"failed: {name}", f"{count:,}") for name, count in self.failures.most_common()]
        return rows


def estimate_prompt(messages: Sequence[Message]) -> int:
    """About how many tokens a conversation has as a prompt, for any model."""
    return sum(estimate_tokens(item.content) + _TOKENS_A_MESSAGE for item in messages)


def reserve(request: Request) -> Tokens:
    """The most that a request is expected to cost."""
    return Tokens(prompt=estimate_prompt(request.messages), completion=request.decoding.max_tokens)


def _short(count: int) -> str:
    return f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e3:.1f}k"
