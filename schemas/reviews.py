"""`Review`: what one person decided about one sentence of a response.

The rule: reviews are appended and never changed. A person who changes their mind adds a review, and
one who takes a decision back adds a withdrawal; which of several counts is decided when a data set
is built (`formats/reviews/`).

Rows of earlier versions (`Correction`: no `id`, no `action`) are read as reviews.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import ErrorSpan, Evidence, Identifier, Record

REVIEW_ID_CHARS = 32
Action = Literal["label", "agree", "skip", "flag", "split", "withdraw"]
DECIDING: frozenset[Action] = frozenset({"label", "agree", "split"})


class ReviewSpan(Record):
    """A person's label for a place in a response.

    error_spans    the wrong words in it, in any order, and they may overlap; empty: all of it.
                   Kept as given
    """

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    label: Label
    error_spans: list[ErrorSpan] = Field(default=[])


class Review(Record):
    """One person's decision about the characters [start, end) of a response.

    text_sha256    SHA-256 (hex) of the response's text in UTF-8: what the person saw
    action         label: another label or the first one. agree: the judge's label is right.
                   split: the sentence is divided into `spans`. skip: no decision. flag: somebody
                   should look at it; no decision either. withdraw: the review named in `withdraws`
                   no longer counts, as if it had never been made
    spans          the labels of `label`, `agree` and `split`. An `agree` without spans takes the
                   label that the sentence has when the data set is built
    blind          the judge's label was not shown
    round          a second look of the same person has a higher number, and counts instead
    when           ISO 8601; without a zone it is UTC
    withdraws      id of a review of the same person, with action `withdraw` only. It may be a
                   withdrawal: then what that one withdrew counts again
    resolves       ids of the reviews of a conflict, also of other people, that no longer count for
                   the characters [start, end): this decision counts instead
    """

    id: Identifier
    response_id: Identifier
    text_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    action: Action = "label"
    spans: list[ReviewSpan] = Field(default=[])
    evidence: list[Evidence] = Field(default=[])
    blind: bool = False
    round: int = Field(default=1, ge=1)
    who: str
    when: str
    note: str = ""
    withdraws: Identifier | None = Field(default=None, exclude_if=lambda name: name is None)
    resolves: list[Identifier] = Field(default=[], exclude_if=lambda names: not names)

    @model_validator(mode="before")
    @classmethod
    def _read_former(cls, values: Any) -> Any:
        """A row of earlier versions gets the id that its content has, and its action."""
        if not isinstance(values, dict) or "id" in values or "action" in values:
            return values
        spans = values.get("spans")
        whole = isinstance(spans, list) and [_place(item) for item in spans] == [_place(values)]
        filled = {"evidence": [], "blind": False, "round": 1, "note": ""} | values
        filled["action"] = "label" if whole else "split"
        if isinstance(spans, list):
            filled["spans"] = [
                {"error_spans": []} | item if isinstance(item, dict) else item for item in spans
            ]
        return {**filled, "id": review_id(filled)}

    @model_validator(mode="after")
    def _spans_fit_the_action(self) -> Self:
        if self.action not in DECIDING and self.spans:
            raise ValueError(f"action {self.action!r} decides nothing, so 'spans' must be empty")
        if self.action == "label" and not self.spans:
            raise ValueError("action 'label' needs its label in 'spans'")
        if self.action == "withdraw" and self.withdraws is None:
            raise ValueError("action 'withdraw' needs the id of a review in 'withdraws'")
        if self.action != "withdraw" and self.withdraws is not None:
            raise ValueError(f"action {self.action!r} withdraws nothing; remove 'withdraws'")
        if self.action not in DECIDING and self.resolves:
            raise ValueError(f"action {self.action!r} decides nothing, so it has no 'resolves'")
        for span in self.spans:
            for item in span.error_spans:
                place = f"error span [{item.start}, {item.end})"
                if item.start >= item.end:
                    raise ValueError(f"{place} is empty; 'end' must exceed 'start'")
                if item.start < span.start or item.end > span.end:
                    raise ValueError(f"{place} is outside its span [{span.start}, {span.end})")
        return self


def review_id(values: dict[str, Any]) -> str:
    """The id of a review from its other fields: the same decision has the same id."""
    content = {name: value for name, value in values.items() if name != "id"}
    return content_key(content)[:REVIEW_ID_CHARS]


def again(review: Review, taken: Container[str]) -> Review:
    """The same decision made once more, with an id that is not in `taken`.

    A person who withdraws a decision and makes it again at the same time gives the same content.
    """
    name = review.id
    while name in taken:
        name = content_key([name, review.id])[:REVIEW_ID_CHARS]
    return review.model_copy(update={"id": name})


def text_sha256(text: str) -> str:
    """What ties a review to the text it was made for: SHA-256 (hex) of its UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def make_review(**values: Any) -> Review:
    """A review with the id that its content gives; raises ValidationError as `Review` does."""
    draft = Review.model_validate({**values, "id": "new"})
    return draft.model_copy(update={"id": review_id(draft.model_dump(mode="json"))})


class PairReview(Record):
    """One person's decision to leave a preference pair out of the data set, or to keep it.

    It counts for every pair of the question with these two texts, whatever the responses' ids. A
    later decision of the same person about the same pair counts instead of it.

    question_id       of the pair; where it has none, the pair's own id
    chosen_sha256     SHA-256 (hex) of the chosen text in UTF-8, as the person saw it
    rejected_sha256   of the rejected text
    when              ISO 8601; without a zone it is UTC
    """

    id: Identifier
    question_id: Identifier
    chosen_id: str = ""
    rejected_id: str = ""
    chosen_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rejected_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    action: Literal["drop", "keep"]
    who: str = Field(min_length=1)
    when: str
    note: str = ""

    @field_validator("when")
    @classmethod
    def _is_a_time(cls, when: str) -> str:
        try:
            datetime.fromisoformat(when)
        except ValueError:
            raise ValueError(f"is {when!r}, but it must look like 2026-01-31T12:00Z") from None
        return when


def make_pair_review(**values: Any) -> PairReview:
    """A decision about a pair with the id that its content gives, as `make_review`."""
    draft = PairReview.model_validate({**values, "id": "new"})
    return draft.model_copy(update={"id": review_id(draft.model_dump(mode="json"))})


def _place(values: Any) -> tuple[Any, Any] | None:
    return (values.get("start"), values.get("end")) if isinstance(values, dict) else None
