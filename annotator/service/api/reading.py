"""Bodies of requests: bytes to a checked model, or one clear error.

The rule: a body is checked by `check_json` first, then read by pydantic: no key given twice, no
bad UTF-8 and no endless nesting reaches a model.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from annotator.service.api.bodies import TAGS
from annotator.service.errors import MAX_DETAILS, invalid
from annotator.service.guard.json_body import bad_json, check_json
from schemas.validation import describe_details

BodyT = TypeVar("BodyT", bound=BaseModel)
_REF = "#/components/schemas/{model}"


async def read_body(request: Request, model: type[BodyT]) -> BodyT:
    """The checked body. Raises ApiError: 400 for what is not JSON, 422 for wrong content."""
    return parse_body(await request.body(), model)


def parse_body(data: bytes, model: type[BodyT]) -> BodyT:
    """The checked content of `data`."""
    check_json(data)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if details[0]["type"] == "json_invalid":
            reason = str(details[0]["ctx"].get("error", ""))
            raise bad_json(f"the body is not JSON: {reason}") from None
        sentences = describe_details(map(_without_tags, details[:MAX_DETAILS]), model)
        raise invalid(sentences[0], details=sentences if len(sentences) > 1 else ()) from None


def _without_tags(detail: Any) -> dict[str, Any]:
    """A fault whose place has the client's keys alone, not which form of a value was taken."""
    place = tuple(part for part in detail["loc"] if part not in TAGS)
    return {**detail, "loc": place}


def json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The part of the OpenAPI document that describes a JSON body."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": required, "content": content}}
