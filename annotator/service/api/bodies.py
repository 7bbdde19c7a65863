"""What clients send and get: the bodies of the API, as the OpenAPI document describes them.

The rule: unknown keys are refused, so that a mistyped name never changes a result silently.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.config import JsonDict

from schemas.records import (
    Annotation,
    FinishReason,
    Identifier,
    Message,
    Verdict,
    Whole,
)

_DOCUMENT = "Mira Tolvan was born in Karsted in 1951. She works as a baker."
_ANSWER = "Mira Tolvan was born in Karsted in 1950. She works as a baker."
_EXAMPLE: JsonDict = {"response": _ANSWER, "documents": [_DOCUMENT]}


_TEXT, _OBJECT = TAGS = ("<text>", "<object>")


def _form_of(value: Any) -> str | None:
    """Which of the two forms of a value is given; so that its faults are those of one form."""
    if isinstance(value, str):
        return _TEXT
    return _OBJECT if isinstance(value, dict | BaseModel) else None


_TextOrObject = Discriminator(
    _form_of,
    custom_error_type="text_or_object",
    custom_error_message="Input should be text or an object",
)
_Text = Annotated[str, Tag(_TEXT)]


class Body(BaseModel):
    """Base of all bodies that clients send."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class GivenDocument(Body):
    """A reference text that states what is true."""

    id: Identifier | None = Field(
        default=None, description="'d1', 'd2', ... by its place, where none is given"
    )
    text: str
    title: str = ""
    topic: str = ""
    language: str = ""
    source: str = ""
    license: str = ""


class GivenResponse(Body):
    """A response of a model, with as much about it as is known."""

    text: str = Field(description="what is judged, sentence by sentence")
    id: Identifier | None = None
    question: str | None = Field(default=None, description="what the response answers")
    prompt: list[Message] | None = Field(
        default=None, min_length=1, description="the whole conversation, in place of 'question'"
    )
    question_id: Identifier | None = None
    topic: str = ""
    language: str = Field(default="", description="ISO code; detected where none is given")
    document_ids: list[Identifier] = Field(
        default=[], description="the documents it is compared with"
    )
    model: str = ""
    finish_reason: FinishReason = "unknown"

    @model_validator(mode="after")
    def _has_one_question(self) -> GivenResponse:
        if self.question is not None and self.prompt is not None:
            raise ValueError("give either 'question' or 'prompt', not both")
        return self


class AnnotationRequest(Body):
    """One response to annotate."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    response: Annotated[_Text | Annotated[GivenResponse, Tag(_OBJECT)], _TextOrObject]
    documents: (
        list[Annotated[_Text | Annotated[GivenDocument, Tag(_OBJECT)], _TextOrObject]] | None
    ) = Field(
        default=None,
        description="What the response is compared with: all of these, or those in its "
        "'document_ids'. Without this key: the documents of the service's run, by 'document_ids' "
        "or 'topic' of the response.",
    )
    judge: str = Field(default="default", description="a name of GET /v1/judges")
    domain: str | None = Field(default=None, description="a name of GET /v1/domains")
    stream: bool = Field(
        default=False, description="send sentences as they are judged, as server-sent events"
    )


class AnnotationReply(BaseModel):
    """The response with a verdict for each sentence.

    score: correct / (correct + hallucinated) sentences; null where none was decided.
    """

    annotation: Annotation
    score: float | None
    judge: str


class SentenceEvent(BaseModel):
    """The event `sentence`: offsets are Unicode code points of the response's text."""

    index: Whole
    start: Whole
    end: Whole
    verdict: Verdict


class ErrorDetail(BaseModel):
    """Why a request was refused: a short code, and a sentence."""

    code: str
    message: str
    details: list[str] | None = None


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorDetail


class JudgeInfo(BaseModel):
    """A judge of the service."""

    name: str
    judge: Literal["lexical", "llm", "cascade", "replay"]
    model: str = ""
    protocol: str = ""
    is_default: bool
    reachable: bool | None = Field(description="null for a judge without a server")
    fault: str = Field(default="", description="why the judge cannot be used")


class JudgeList(BaseModel):
    """All judges, the default one first."""

    judges: list[JudgeInfo]


class DomainInfo(BaseModel):
    """A domain whose guidance a judge model can read."""

    name: str
    language: str


class DomainList(BaseModel):
    """All domains by name."""

    domains: list[DomainInfo]


class VersionInfo(BaseModel):
    """The version of maskdpo, and of this API."""

    version: str
    api: Literal["v1"] = "v1"


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether each judge can be used: 'ready' or 'not ready'; GET /v1/judges has the reason."""

    status: Literal["ready", "not ready"]
    judges: dict[str, str]
