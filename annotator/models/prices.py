"""The price of a model's tokens.

The rule: "not given" is not zero. A setting `prices` is None until the user sets it; `prices: 0`
means that nothing is paid. Money is computed, printed and limited only where prices are given.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from schemas.config import Section


class Prices(Section):
    """Prices per million tokens of one model; `prices: 0` means that both prices are 0."""

    prompt: float = Field(ge=0.0, description="price of a million prompt tokens")
    completion: float = Field(ge=0.0, description="price of a million completion tokens")
    cached: float | None = Field(
        default=None,
        ge=0.0,
        description=(
            "price of a million prompt tokens that came from the server's prefix cache; "
            "default: as prompt"
        ),
    )
    currency: str = Field(
        default="USD", min_length=1, max_length=8, description="name of the currency"
    )

    @property
    def is_free(self) -> bool:
        """Whether no token costs anything."""
        return not (self.prompt or self.completion or self.cached)

    def cost(self, *, prompt: int, cached: int, completion: int) -> float:
        """The cost of these tokens, in `currency`; `cached` are part of `prompt`."""
        per_cached = self.prompt if self.cached is None else self.cached
        spent = (prompt - cached) * self.prompt + cached * per_cached + completion * self.completion
        return spent / 1e6


FREE = Prices(prompt=0.0, completion=0.0)


def show_money(amount: float, currency: str) -> str:
    """An amount as text: four decimals, six where it is less than a hundredth.

    >>> show_money(12.5, "USD"), show_money(0.00004, "USD")
    ('12.5000 USD', '0.000040 USD')
    """
    return f"{amount:,.4f} {currency}" if amount >= 0.01 else f"{amount:.6f} {currency}"


def read_prices(value: Any) -> Any:
    """The raw setting `prices` with its short form expanded; ValueError for another number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if value:
        raise ValueError(
            f"found {value!r}; give prompt and completion, per million tokens, or 0 where nothing "
            "is paid"
        )
    return {"prompt": 0.0, "completion": 0.0}
