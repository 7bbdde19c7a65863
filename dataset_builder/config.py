"""The settings of `build`: which verdicts train, which pairs are kept, how topics are split."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from formats.reviews.conflicts import ConflictRule
from schemas.config import Section
from schemas.labels import LabelPolicy
from schemas.stage import DEFAULT_MAX_FAILED


class Strategy(StrEnum):
    """How the responses to one question become pairs; `strategies` says which paper has which."""

    BEST_WORST = "best_worst"
    MIRRORED = "mirrored"
    ABOVE_MARGIN = "above_margin"
    TWO_SIGMA = "two_sigma"
    LENGTH_MATCHED = "length_matched"


class Weighting(StrEnum):
    """What a sentence that trains weighs."""

    BINARY = "binary"
    CONFIDENCE = "confidence"


class BuildConfig(Section):
    """From annotations to a data set of preference pairs."""

    FORMER_NAMES: ClassVar[Mapping[str, str]] = {"policy": "label_policy"}

    label_policy: LabelPolicy = LabelPolicy()
    """Which labels train on which side of a pair."""

    min_confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """A judge's verdict of lower confidence, or of none where this is above 0, weighs 0.

    A person's verdict is not touched, and neither are scores: they count labels.
    """

    weighting: Weighting = Weighting.BINARY
    """binary: a sentence that trains weighs 1. confidence: it weighs the judge's confidence.

    With `confidence`, a person's verdict weighs 1, and a judge's without a confidence 0. The
    lexical judge's confidence is a ranking and no probability: such a row stops the build.
    """

    conflicts: ConflictRule = ConflictRule.SKIP
    """What a sentence becomes on which several people disagree. Each conflict is listed.

    skip: it is undetermined and does not train. majority: the label that most people gave, where
    one has more than any other. latest: the label of the latest review.
    """

    publish_names: bool = False
    """Write reviewers' names into the data set. Without it they are reviewer-1, reviewer-2, ..."""

    strategy: Strategy = Strategy.BEST_WORST
    """best_worst, mirrored, above_margin, two_sigma or length_matched (docs/building.md)."""

    min_margin: float = Field(default=0.0, ge=0.0, le=1.0)
    """Least difference of score between chosen and rejected. Equal scores never make a pair."""

    max_pairs: int = Field(default=8, ge=1)
    """Most pairs per question, widest margins first (mirrored and above_margin)."""

    max_length_ratio: float = Field(default=1.2, ge=1.0)
    """Most characters of the longer answer per character of the shorter (length_matched)."""

    max_hallucinated_chosen: float = Field(default=1.0, ge=0.0, le=1.0)
    """Most of a chosen answer's decided sentences that may be hallucinated, as a share."""

    max_undetermined: float = Field(default=1.0, ge=0.0, le=1.0)
    """Most of an answer's sentences that may be `undetermined`, as a share, on either side."""

    min_active_sentences: int = Field(default=1, ge=1)
    """Least sentences with weight on each side."""

    min_active_characters: int = Field(default=1, ge=1)
    """Least characters in sentences with weight on each side."""

    check_language: bool = False
    """Leave out answers that are surely in another language than their row says."""

    near_duplicate: float = Field(default=0.8, ge=0.0, le=1.0)
    """Training questions this alike to a test question are dropped; 0 looks for none.

    Alike: shared over all character 5-grams of the two prompts, less those of a common template.
    """

    decontaminate_words: int = Field(default=13, ge=1)
    """Training questions that share this many words in a row with an evaluation question go.

    An evaluation question of fewer words must be contained whole. Needs evaluation questions.
    """

    test_share: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of topics, on average, whose rows go to the split `test`."""

    seed: int = 0
    """Another seed draws other topics for `test`."""

    quote_licenses: tuple[str, ...] = (
        "cc0-1.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "odc-by",
        "pddl",
        "public-domain",
    )
    """Documents under these licences are quoted as evidence; of others, ids and offsets go out.

    Needs `--documents`, whose rows say their `license`.
    """

    max_failed: float = Field(default=DEFAULT_MAX_FAILED, ge=0.0, le=1.0)
    """Share of the responses that may be recorded as failed rows before the exit code is 1.

    A response that was read and not chosen is no failure; one whose question disagrees with
    itself (two prompts, two topics) is.
    """

    title: str = Field(default="Preference pairs with sentence spans", min_length=1, max_length=200)
    """The heading of the data set's card."""

    license: str = Field(default="", pattern=r"^[a-z0-9][a-z0-9.\-]*$|^$")
    """The data set's licence as the Hub names it (`cc-by-4.0`); left out of the card when empty."""
