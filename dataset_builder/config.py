"""The settings of `build`: which verdicts train, which pairs are kept, how topics are split."""

from __future__ import annotations

from pydantic import Field

from schemas.config import Section
from schemas.labels import LabelPolicy


class BuildConfig(Section):
    """From annotations to a data set of preference pairs."""

    policy: LabelPolicy = LabelPolicy()
    """Which labels train on which side of a pair."""

    min_confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """A judge's verdict of lower confidence, or of none where this is above 0, weighs 0.

    A person's verdict is not touched, and neither are scores: they count labels.
    """

    min_margin: float = Field(default=0.0, ge=0.0, le=1.0)
    """Least difference of score between chosen and rejected. Equal scores never make a pair."""

    test_share: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of topics, on average, whose rows go to the split `test`."""

    seed: int = 0
    """Another seed draws other topics for `test`."""

    title: str = Field(default="Preference pairs with sentence spans", min_length=1, max_length=200)
    """The heading of the data set's card."""

    license: str = Field(default="", pattern=r"^[a-z0-9][a-z0-9.\-]*$|^$")
    """The data set's licence as the Hub names it (`cc-by-4.0`); left out of the card when empty."""
