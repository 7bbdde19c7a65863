"""What a run will cost, before anything is spent.

The rule: dialogues are followed through the store as the run would follow them, and then with the
replies of a model that makes no mistake. So the calls are those of the run, as far as replies can
be predicted; the additional cost of repairs cannot.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from annotator.calls.dialogue import Ask, Dialogue, Unusable, call_key
from annotator.calls.store import Store
from annotator.calls.stored_calls import unpack
from annotator.calls.usage import Tokens, estimate_prompt
from annotator.models.backend import Reply, RequestFailure
from annotator.models.prices import Prices, show_money
from annotator.text.token_estimate import estimate_tokens

ResultT = TypeVar("ResultT")
Assume = Callable[[Ask], Reply]
"""The reply of a model that makes no mistake; its text is counted where no token count is known."""


@dataclass(kw_only=True)
class Estimate:
    """Calls still to be made, and about how many tokens they have.

    num_stored   calls whose replies are in the store
    cached       of the prompt tokens, those a call shares with the call before it: the part that a
                 server with a prefix cache need not compute
    notes        what the figures do not include
    """

    prices: Prices | None = None
    num_calls: int = 0
    num_stored: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    notes: list[str] = field(default_factory=list)
    at_most: bool = False

    @property
    def cost(self) -> float | None:
        """In the currency of `prices`; None without prices."""
        if self.prices is None:
            return None
        tokens = self.tokens
        return self.prices.cost(
            prompt=tokens.prompt, cached=tokens.cached, completion=tokens.completion
        )

    def rows(self) -> list[tuple[str, str]]:
        """The table: (name, value)."""
        most = "at most " if self.at_most else ""
        about = most + "about "
        rows = [
            ("calls to make", f"{most}{self.num_calls:,}"),
            ("answers in the store", f"{self.num_stored:,}"),
            ("prompt tokens", f"{about}{self.tokens.prompt:,}"),
            ("of them a prefix cache can serve", f"about {self.tokens.cached:,}"),
            ("completion tokens", f"{about}{self.tokens.completion:,}"),
        ]
        if self.prices is not None and not self.prices.is_free:
            rows.append(("cost", about + show_money(self.cost or 0.0, self.prices.currency)))
        return rows


def total_rows(parts: Sequence[Estimate]) -> list[tuple[str, str]]:
    """The sum of several estimates, whose prices are in one currency: (name, value)."""
    most = "at most " if any(part.at_most for part in parts) else ""
    tokens = sum((part.tokens for part in parts), Tokens())
    rows = [
        ("calls to make", f"{most}{sum(part.num_calls for part in parts):,}"),
        ("prompt tokens", f"{most}about {tokens.prompt:,}"),
        ("completion tokens", f"{most}about {tokens.completion:,}"),
    ]
    currencies = {part.prices.currency for part in parts if part.prices and not part.prices.is_free}
    if currencies:
        cost = sum(part.cost or 0.0 for part in parts)
        rows.append(("cost", f"{most}about {show_money(cost, ', '.join(sorted(currencies)))}"))
    return rows


class Estimator:
    """Follows dialogues and adds up the calls they would make; equal calls count once."""

    def __init__(self, store: Store, *, kind: str, fingerprint: Mapping[str, Any]) -> None:
        self._store = store
        self._kind = kind
        self._fingerprint = fingerprint
        self._seen: set[str] = set()
        self._before = ""
        self._prompt = self._cached = 0
        # Completion lengths by the token limit: those of stored replies are known, not guessed.
        self._room = self._guessed = 0
        self._told = self._told_room = 0
        self.num_calls = 0
        self.num_stored = 0

    def follow(self, dialogue: Dialogue[ResultT], assume: Assume | None) -> ResultT | None:
        """The dialogue's result.

        Without `assume` it stops at the first call that is not stored: None.
        """
        try:
            ask = next(dialogue)
            while True:
                key = call_key(self._kind, self._fingerprint, ask)
                stored = self._store.peek_many([key]).get(key)
                if stored is not None:
                    answer = unpack(stored)
                    self._count_stored(key, ask, answer)
                else:
                    reply = assume(ask) if assume is not None else None
                    self._count_owed(key, ask, reply)
                    if reply is None:
                        return None
                    answer = reply
                ask = dialogue.send(answer)
        except StopIteration as end:
            result: ResultT | Unusable[ResultT] = end.value
            return result.result if isinstance(result, Unusable) else result

    def _count_stored(self, key: str, ask: Ask, answer: Reply | RequestFailure) -> None:
        if key in self._seen:
            return
        self._seen.add(key)
        self.num_stored += 1
        if isinstance(answer, Reply) and answer.completion_tokens is not None:
            self._told += answer.completion_tokens
            self._told_room += ask.decoding.max_tokens

    def _count_owed(self, key: str, ask: Ask, reply: Reply | None) -> None:
        if key in self._seen:
            return
        self._seen.add(key)
        self.num_calls += 1
        prompt = estimate_prompt(ask.messages)
        text = "\n".join(f"{item.role}\n{item.content}" for item in ask.messages)
        shared = text[: _num_shared(self._before, text)]
        self._before = text
        self._prompt += prompt
        self._cached += min(estimate_tokens(shared), prompt)
        self._room += ask.decoding.max_tokens
        most = ask.decoding.max_tokens
        self._guessed += most if reply is None else min(estimate_tokens(reply.text), most)

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the calls followed so far, stored or not."""
        return frozenset(self._seen)

    @property
    def tokens(self) -> Tokens:
        """The keys of all calls still to be made."""
        completion = self._guessed
        if self._told_room:
            completion = round(self._room * self._told / self._told_room)
        return Tokens(prompt=self._prompt, cached=self._cached, completion=completion)

    @property
    def knows_replies(self) -> bool:
        """Whether stored replies show how long replies are."""
        return bool(self._told_room)


def _num_shared(one: str, other: str) -> int:
    """The length of the common beginning of two texts, in characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@contextmanager
def look_into(
    path: Path, *, retry_failed: bool = False, also: Sequence[Path] = ()
) -> Iterator[Store]:
    """The store at `path`, and those of `also` (see Store).

    Where none exists, an empty temporary one, so that no file is made there.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = path if path.exists() else Path(folder) / "store.sqlite"
        with Store(place, retry_failed=retry_failed, also=also) as store:
            yield store
