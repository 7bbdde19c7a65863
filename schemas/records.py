"""The records that stages pass to each other, one JSON object per line.

One rule makes them correct: offsets are Unicode code points into the untouched text, so
`text[start:end]` is the sentence, always. A record that breaks the rule cannot be built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.labels import Label
from schemas.messages import (
    ROLES_RULE,
    ends_with_user,
    is_empty,
    tidy_message,
    turns_alternate,
)
from schemas.spans import check_cover, check_order
from schemas.validation import show_value

Role = Literal["system", "user", "assistant"]
Part = Literal["error", "context"]
WrongLabel = Literal[Label.CONTRADICTORY, Label.UNVERIFIABLE, Label.HALLUCINATED]
FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "unknown"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Identifier = Annotated[str, Field(min_length=1, max_length=512)]
MAX_WHOLE = 2**53 - 1  # the largest whole number that every reader of JSON keeps
Whole = Annotated[int, Field(ge=0, le=MAX_WHOLE)]


def _no_items(*, exclude_if: Callable[[Any], bool] | None = None) -> Any:
    """A list that is empty by default. A plain `[]` is copied for each record, by Python's
    `deepcopy`, which took half of the time of reading an annotation."""
    return Field(default_factory=list, exclude_if=exclude_if, json_schema_extra={"default": []})


class Record(BaseModel):
    """Base of all records: strict types, no unknown keys, finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Message(Record):
    """One turn of a conversation, as chat templates and servers take it.

    Unknown keys that are null or empty are left out, and text parts are joined
    (`schemas.messages`).
    """

    # For the error message of any other key.
    OTHER_KEYS: ClassVar[str] = (
        "a message has 'role' and 'content'. Other keys may be null or empty; one with a value "
        "would change the prompt, so remove it or write it into 'content'"
    )

    role: Role
    content: str

    _tidy = model_validator(mode="before")(tidy_message)


class Document(Record):
    """A reference text that states what is true."""

    id: Identifier
    text: str
    title: str = ""
    topic: str = ""
    language: str = ""
    source: str = ""
    license: str = ""


class Question(Record):
    """A prompt for the policy. `"question": "..."` is input shorthand for one user message."""

    # For error messages: what a missing key may be given as, and what other keys may have meant.
    SHORTHANDS: ClassVar[Mapping[str, str]] = {
        "messages": "give it, or the text of one user message as 'question'"
    }
    ALSO_ACCEPTED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("query", "prompt", "text", "instruction", "input"), "question"
    )

    id: Identifier
    topic: str = ""
    language: str = ""
    messages: list[Message] = Field(min_length=1)
    document_ids: list[str] = _no_items()

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, values: Any) -> Any:
        """Messages from the shorthand; empty columns of a table are left out."""
        if not isinstance(values, dict):
            return values
        given = {
            name: value for name, value in values.items() if name == "id" or not is_empty(value)
        }
        if "messages" in given or "question" not in values:
            if "question" in given:
                raise ValueError("give either 'question' or 'messages', not both")
            empty = {"messages": values["messages"]} if "messages" in values else {}
            return empty | given
        content = values["question"]
        if not isinstance(content, str) or not content.strip():
            raise ValueError(f"'question' is {content!r}, but it must be a non-empty string")
        given.pop("question")
        return {**given, "messages": [{"role": "user", "content": content}]}

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        roles = [message.role for message in self.messages]
        if not ends_with_user(roles):
            raise ValueError(f"the last message has role {roles[-1]!r}, but it must be 'user'")
        if not turns_alternate(roles):
            raise ValueError(f"the roles of 'messages' are {show_value(roles)}; {ROLES_RULE}")
        if any(item.role == "user" and not item.content.strip() for item in self.messages):
            raise ValueError("a message of the user is empty or only white space")
        return self


class Response(Record):
    """A response of a policy; `prompt` holds the messages exactly as sent, system included.

    `reasoning` (a thinking model's private text) is kept separately, and is never judged or trained
    on.
    """

    id: Identifier
    question_id: Identifier
    topic: str = ""
    language: str = ""
    document_ids: list[str] = _no_items()
    prompt: list[Message] = Field(min_length=1)
    text: str
    reasoning: str = ""
    model: str = ""
    sampling: dict[str, Any] = {}
    finish_reason: FinishReason = "unknown"


class Evidence(Record):
    """A place in a document that a verdict rests on: `document.text[start:end]`."""

    document_id: Identifier
    start: Whole
    end: Whole
    score: Fraction | None = None

    @model_validator(mode="after")
    def _is_a_place(self) -> Self:
        if self.start > self.end:
            raise ValueError(f"[{self.start}, {self.end}) is not a place; 'end' is before 'start'")
        return self


class ErrorSpan(Record):
    """Wrong words inside a sentence, in offsets of the response's text.

    label    the kind of hallucination, where these words were given one of their own
    kind     what the source calls the error, in its own words
    """

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    label: WrongLabel | None = Field(default=None, exclude_if=lambda label: label is None)
    kind: str = Field(default="", exclude_if=lambda kind: not kind)


class MissingWords(Record):
    """Words that a judge gave as the wrong ones and that could not become an error span.

    words    as the judge gave them, at most 500 characters; '' where it gave none
    reason   none_given        a hallucinated sentence, and the judge gave no words
             in_document       they are not in the sentence, but in a document
             in_response       they are not in the sentence, but elsewhere in the response
             nowhere           they are in none of these: changed words
             no_word           they hold no letter and no digit
             unreadable        the judge gave something else than text
             cut_off           the reply ended before the words did
             too_many          the judge gave more words than can be the shortest ones
             no_majority       not more than half of the votes marked the same words
             not_hallucinated  the label says that nothing is wrong
    """

    words: str
    reason: Literal[
        "none_given",
        "in_document",
        "in_response",
        "nowhere",
        "no_word",
        "unreadable",
        "cut_off",
        "too_many",
        "no_majority",
        "not_hallucinated",
    ]


class Verdict(Record):
    """What one judge or person decided about one sentence. Never changed after it is made."""

    label: Label
    reason: str | None = None
    confidence: Fraction | None = None
    confidence_kind: Literal["votes", "logprob", "lexical"] | None = None
    votes: dict[str, Whole] | None = None
    evidence: list[Evidence] = _no_items()
    missing_quotes: list[str] = _no_items(exclude_if=lambda items: not items)
    """Quotes of the judge that are in no document."""
    error_spans: list[ErrorSpan] = _no_items(exclude_if=lambda items: not items)
    """The wrong words, as judge or person gave them: in any order, possibly past the sentence's
    ends. Empty: the whole sentence (`schemas.error_spans`)."""
    missing_error_words: list[MissingWords] = _no_items(exclude_if=lambda items: not items)
    """Wrong words of a judge that became no error span; only where it was asked for them."""
    rationale: str = ""
    source: Literal["judge", "person"] = "judge"
    judge: str = ""
    protocol: str = ""

    @model_validator(mode="after")
    def _undetermined_has_a_reason(self) -> Self:
        if self.label is Label.UNDETERMINED and not self.reason:
            raise ValueError("label 'undetermined' needs a 'reason', such as 'not_labelled'")
        return self

    @model_validator(mode="after")
    def _error_spans_hold_text(self) -> Self:
        for span in self.error_spans:
            if span.start >= span.end:
                raise ValueError(
                    f"error span [{span.start}, {span.end}) is empty; 'end' must exceed 'start'"
                )
        return self


class Sentence(Record):
    """A sentence of a response with its verdict."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    verdict: Verdict


class Annotation(Response):
    """A response with a verdict for each of its sentences.

    Sentences are sorted, disjoint and cover every non-space character of `text`.
    """

    sentences: list[Sentence]

    @model_validator(mode="after")
    def _sentences_cover_the_text(self) -> Self:
        check_cover(self.text, [(item.start, item.end) for item in self.sentences])
        return self

    @model_validator(mode="after")
    def _error_spans_are_in_the_text(self) -> Self:
        length = len(self.text)
        for sentence in self.sentences:
            for span in sentence.verdict.error_spans:
                if span.end > length:
                    raise ValueError(
                        f"error span [{span.start}, {span.end}) ends past the text, which has "
                        f"{length} characters"
                    )
        return self


class Failure(Record):
    """A row that could not be made: it is data and stops nothing. Kept in `NAME.failed.jsonl`."""

    id: Identifier
    stage: str
    reason: str
    detail: str = ""


class Span(Record):
    """A sentence of one side of a pair, or a piece of one, with its label and its weight.

    label       of the sentence, also for a piece
    sentence    number of the sentence in the response, from 0; None: the span is a whole sentence
                of a data set without pieces (format 1)
    part        of a piece: `error` for wrong words, `context` for the rest of their sentence; None
                for a whole sentence
    """

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    label: Label
    weight: float = Field(ge=0.0)
    sentence: int | None = Field(default=None, ge=0, exclude_if=lambda number: number is None)
    part: Part | None = Field(default=None, exclude_if=lambda part: part is None)


class Pair(Record):
    """A preference pair. `prompt`, `chosen`, `rejected` are TRL's conversational columns.

    The trainer reads only the `weight` of the spans, not their labels. Without spans on
    both sides (None, not an empty list) a pair trains as stock DPO.
    """

    id: Identifier
    prompt: list[Message] = Field(min_length=1)
    chosen: list[Message] = Field(min_length=1, max_length=1)
    rejected: list[Message] = Field(min_length=1, max_length=1)
    chosen_spans: list[Span] | None = None
    rejected_spans: list[Span] | None = None
    chosen_score: Fraction | None = None
    rejected_score: Fraction | None = None
    chosen_finish_reason: FinishReason = "unknown"
    rejected_finish_reason: FinishReason = "unknown"
    question_id: str = ""
    topic: str = ""
    language: str = ""
    policy: str = ""
    judge: str = ""
    chosen_id: str = ""
    rejected_id: str = ""

    @model_validator(mode="after")
    def _sides_are_sound(self) -> Self:
        for side, messages, spans in (
            ("chosen", self.chosen, self.chosen_spans),
            ("rejected", self.rejected, self.rejected_spans),
        ):
            if messages[0].role != "assistant":
                raise ValueError(f"{side} has role {messages[0].role!r}, must be 'assistant'")
            if spans is not None:
                check_order(messages[0].content, [(s.start, s.end) for s in spans])
        if self.prompt[-1].role != "user":
            raise ValueError(f"the prompt ends with role {self.prompt[-1].role!r}, must be 'user'")
        if (self.chosen_spans is None) != (self.rejected_spans is None):
            raise ValueError("give spans on both sides, or on neither (stock DPO)")
        return self
