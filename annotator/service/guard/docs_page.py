"""The page /docs: the OpenAPI document as HTML, made on this machine.

The rule: no script and no other host. The page shows where the token goes, so nothing may run in it
that could read one; its content security policy allows its own style sheet and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

_METHODS = ("get", "post", "put", "patch", "delete")
_REF = "#/components/schemas/"
Spec = Mapping[str, Any]
Type = tuple[tuple[str, str], ...]
"""A type as pieces of text, each with the name of the schema that it refers to, or ""."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A parameter, a property or a response."""

    name: str
    type: Type
    note: str
    is_required: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Row, ...]
    bodies: tuple[Row, ...]
    responses: tuple[Row, ...]
    curl: str

    @property
    def anchor(self) -> str:
        """The operation's place on the page."""
        return f"{self.method}{self.path}".replace("/", "-").strip("-")


def add_docs(app: FastAPI) -> None:
    """Adds /docs and its style sheet; they are not part of the OpenAPI document."""

    @cache
    def page() -> str:
        return render(app.openapi())

    async def docs(_: Request) -> Response:
        return Response(page(), media_type="text/html")

    async def style(_: Request) -> Response:
        return Response(_style(), media_type="text/css")

    app.add_route("/docs", docs, methods=["GET"], include_in_schema=False)
    app.add_route("/docs/page.css", style, methods=["GET"], include_in_schema=False)


def render(spec: Spec) -> str:
    """The page of an OpenAPI document."""
    environment = Environment(
        loader=PackageLoader("annotator.service.guard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    schemas = spec.get("components", {}).get("schemas", {})
    return environment.get_template("docs.html.jinja").render(
        title=spec["info"]["title"],
        version=spec["info"]["version"],
        description=spec["info"].get("description", ""),
        operations=list(operations(spec)),
        schemas={
            name: (schema.get("description", ""), _properties(schema))
            for name, schema in sorted(schemas.items())
        },
    )


def operations(spec: Spec) -> Iterator[Operation]:
    """Each operation, in the order of the document."""
    for path, item in spec["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(method, path, item[method], spec)


def _operation(method: str, path: str, found: Spec, spec: Spec) -> Operation:
    content = found.get("requestBody", {}).get("content", {})
    return Operation(
        method=method.upper(),
        path=path,
        summary=found.get("summary", ""),
        description=found.get("description", ""),
        parameters=tuple(_parameter(one) for one in found.get("parameters", ())),
        bodies=tuple(_media(kind, one) for kind, one in content.items()),
        responses=tuple(_response(code, one) for code, one in found["responses"].items()),
        curl=_curl(method, path, found, spec),
    )


def _parameter(found: Spec) -> Row:
    schema = found.get("schema", {})
    note = found.get("description") or schema.get("description", "")
    name = f"{found['name']} ({found['in']})"
    return Row(name=name, type=type_of(schema), note=note, is_required=found.get("required", False))


def _media(kind: str, found: Spec) -> Row:
    return Row(name=kind, type=type_of(found.get("schema", {})), note="")


def _response(code: str, found: Spec) -> Row:
    content = found.get("content", {}).items()
    pieces = [piece for kind, one in content for piece in _sent_as(kind, one.get("schema", {}))]
    return Row(name=code, type=tuple(pieces[1:]), note=found.get("description", ""))


def _sent_as(kind: str, schema: Spec) -> Type:
    """A comma, then a type; what is not JSON has its content type."""
    is_json = kind == "application/json"
    return ((", ", ""), *(type_of(schema) if is_json else ((kind, ""),)))


def _properties(schema: Spec) -> tuple[Row, ...]:
    required = schema.get("required", ())
    return tuple(
        Row(
            name=name,
            type=type_of(found),
            note=found.get("description", ""),
            is_required=name in required,
        )
        for name, found in schema.get("properties", {}).items()
    )


def type_of(schema: Spec) -> Type:
    """A schema in words, such as "list of Verdict".

    >>> type_of({"type": "array", "items": {"$ref": "#/components/schemas/Verdict"}})
    (('list of ', ''), ('Verdict', 'Verdict'))
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return ((name, name),)
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if choices:
        pieces = [piece for one in choices for piece in ((" or ", ""), *type_of(one))]
        return tuple(pieces[1:])
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if values is not None:
        return ((" | ".join(json.dumps(value) for value in values), ""),)
    if schema.get("type") == "array":
        return (("list of ", ""), *type_of(schema.get("items", {})))
    return ((str(schema.get("type", "any")), ""),)


def _curl(method: str, path: str, found: Spec, spec: Spec) -> str:
    parts = ["curl"] if method == "get" else ["curl", "-X", method.upper()]
    if found.get("security", spec.get("security", ())):
        parts.append('-H "Authorization: Bearer $MASKDPO_TOKEN"')
    content = found.get("requestBody", {}).get("content", {})
    kind = next(iter(content), None)
    lines = " ".join([*parts, f'"$MASKDPO_URL{path}"'])
    if kind is None:
        return lines
    example = _example(content[kind], spec)
    body = "@body.json" if example is None else _as_sent(example)
    quoted = body.replace("'", "'\\''")
    return f"{lines} \\\n  -H 'Content-Type: {kind}' --data-binary '{quoted}'"


def _as_sent(example: Any) -> str:
    """Text as it is, such as rows of NDJSON; anything else as JSON."""
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)


def _example(media: Spec, spec: Spec) -> Any:
    """The example of a body, or of its schema; None where there is none."""
    schema = media.get("schema", {})
    name = schema.get("$ref", "").removeprefix(_REF)
    named = spec.get("components", {}).get("schemas", {}).get(name, {})
    if "example" in media:
        return media["example"]
    return next(iter(named.get("examples", schema.get("examples", ()))), None)


@cache
def _style() -> str:
    return (files("annotator.service.guard") / "templates" / "page.css").read_text("utf-8")
