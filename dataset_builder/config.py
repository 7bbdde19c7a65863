"""The settings of `build`: which verdicts train, which pairs are kept, how topics are split."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import Field, model_validator

from formats.reviews.conflicts import ConflictRule
from schemas.config import Section
from schemas.labels import LabelPolicy
from schemas.stage import DEFAULT_MAX_FAILED


class Strategy(StrEnum):
    """How the responses to one question become pairs; `strategies` names the papers."""

    BEST_WORST = "best_worst"
    MIRRORED = "mirrored"
    ABOVE_MARGIN = "above_margin"
    TWO_SIGMA = "two_sigma"
    LENGTH_MATCHED = "length_matched"


class Weighting(StrEnum):
    """The weight of a sentence that trains."""

    BINARY = "binary"
    CONFIDENCE = "confidence"


class Granularity(StrEnum):
    """How much of an answer a verdict masks or trains."""

    SENTENCE = "sentence"
    SPAN = "span"
    RESPONSE = "response"


class BuildConfig(Section):
    """From annotations to a data set of preference pairs."""

    FORMER_NAMES: ClassVar[Mapping[str, str]] = {"policy": "label_policy"}

    label_policy: LabelPolicy = LabelPolicy()
    """Which labels train on which side of a pair."""

    granularity: Granularity = Granularity.SENTENCE
    """sentence: whole sentences train. span: of a hallucinated sentence only the wrong words train.
    response: whole answers train, as in stock DPO.

    `span` needs error spans, from people (human labels, reviews) or from a judge
    (annotate.llm.ask_spans); a hallucinated sentence without any trains as a whole.
    """

    context_weight: float = Field(default=0.0, ge=0.0, le=1.0)
    """Weight of the rest of a hallucinated sentence on the rejected side, times the sentence's own
    weight (granularity span)."""

    chosen_context_weight: float = Field(default=0.0, ge=0.0, le=1.0)
    """Weight of the rest of a hallucinated sentence on the chosen side; its wrong words weigh 0
    (granularity span)."""

    min_confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """Least confidence of a judge's verdict; below it, or without a confidence, it weighs 0.

    With 0, verdicts without a confidence train too. People's verdicts do not change, nor do scores,
    which count labels.
    """

    weighting: Weighting = Weighting.BINARY
    """binary: a sentence that trains weighs 1. confidence: its weight is the judge's confidence.

    With `confidence`, a person's verdict weighs 1, and a judge's verdict without a confidence
    weighs 0. The lexical judge's confidence is a ranking, not a probability: such a row stops the
    build.
    """

    conflicts: ConflictRule = ConflictRule.SKIP
    """The label of a sentence on which people disagree. Each conflict is listed.

    skip: it is undetermined and does not train. majority: the label that most people gave, if one
    has more than any other. latest: the label of the latest review.
    """

    publish_names: bool = False
    """Write reviewers' names into the data set; false: they are reviewer-1, reviewer-2, ..."""

    strategy: Strategy = Strategy.BEST_WORST
    """best_worst, mirrored, above_margin, two_sigma or length_matched (docs/building.md)."""

    min_margin: float = Field(default=0.0, ge=0.0, le=1.0)
    """Smallest difference of score between chosen and rejected. Equal scores never make a pair."""

    max_pairs: int = Field(default=8, ge=1)
    """Maximum number of pairs per question, widest margins first (mirrored and above_margin)."""

    max_length_ratio: float = Field(default=1.2, ge=1.0)
    """Largest ratio of the two answers' lengths, longer to shorter (length_matched)."""

    max_hallucinated_chosen: float = Field(default=1.0, ge=0.0, le=1.0)
    """Largest share of a chosen answer's decided sentences that may be hallucinated."""

    max_undetermined: float = Field(default=1.0, ge=0.0, le=1.0)
    """Largest share of an answer's sentences that may be `undetermined`, on either side."""

    min_active_sentences: int = Field(default=1, ge=1)
    """Smallest number of active sentences (weight above 0) on each side."""

    min_active_characters: int = Field(default=1, ge=1)
    """Smallest number of characters in active sentences on each side."""

    check_language: bool = False
    """Leave out answers that are certainly in another language than their row says."""

    near_duplicate: float = Field(default=0.8, ge=0.0, le=1.0)
    """Drop training questions whose similarity to a test question is at least this; 0: drop none.

    Similarity: shared / all character 5-grams of the two prompts, without those of a common
    template.
    """

    decontaminate_words: int = Field(default=13, ge=1)
    """Drop training questions that share this many words in a row with an evaluation question.

    An evaluation question with fewer words must be contained whole. Needs --evaluation-questions.
    """

    test_share: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Average share of topics whose rows are in the split `test`."""

    seed: int = 0
    """Seed for the choice of topics for `test`."""

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
    """Licences whose documents are quoted as evidence; others give only ids and offsets.

    Needs `--documents`, whose rows have a `license`.
    """

    max_failed: float = Field(default=DEFAULT_MAX_FAILED, ge=0.0, le=1.0)
    """Share of responses that may be failed rows; above it the exit code is 1.

    A response that was read but not chosen is not a failure; one whose question is inconsistent
    (two prompts, two topics) is.
    """

    title: str = Field(default="Preference pairs with sentence spans", min_length=1, max_length=200)
    """Title of the data set's card."""

    license: str = Field(default="", pattern=r"^[a-z0-9][a-z0-9.\-]*$|^$")
    """The data set's licence by its Hub id (`cc-by-4.0`); not in the card when empty."""

    @property
    def has_pieces(self) -> bool:
        """Whether spans of pairs may be pieces of sentences (format 2 of a data set folder)."""
        return self.granularity is Granularity.SPAN

    @property
    def has_spans(self) -> bool:
        """Whether pairs have spans at all."""
        return self.granularity is not Granularity.RESPONSE

    @model_validator(mode="after")
    def _context_needs_spans(self) -> Self:
        for name in ("context_weight", "chosen_context_weight"):
            value: float = getattr(self, name)
            if value and self.granularity is not Granularity.SPAN:
                raise ValueError(
                    f"{name!r} is {value:g}, which has an effect only with granularity 'span'; "
                    f"granularity is '{self.granularity}'"
                )
        return self
