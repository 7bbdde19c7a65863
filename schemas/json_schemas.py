"""JSON Schemas of the records, for users who write these files in other languages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from schemas.files.sidecar import Sidecar
from schemas.records import (
    Annotation,
    Document,
    Failure,
    Pair,
    Question,
    Response,
    Verdict,
)
from schemas.reviews import PairReview, Review

RECORDS: dict[str, type[BaseModel]] = {
    "document": Document,
    "question": Question,
    "response": Response,
    "verdict": Verdict,
    "annotation": Annotation,
    "review": Review,
    "pair_review": PairReview,
    "failure": Failure,
    "pair": Pair,
    "sidecar": Sidecar,
}


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the record called `name`; KeyError when unknown."""
    schema = RECORDS[name].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
