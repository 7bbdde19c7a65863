"""TRL's preference columns, which maskdpo uses too: `prompt`, `chosen`, `rejected`.

On export nothing is lost: every column of a pair is written, and a trainer that does not know spans
ignores them. On import, all of TRL's layouts are read (`schemas.preference_rows`): messages or
plain strings, with the prompt in its own column, inside both sides, or both ways.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from schemas.preference_rows import has_our_columns, split_row
from schemas.records import Pair
from schemas.validation import describe_errors, show_value


def trl_row(pair: Pair) -> dict[str, Any]:
    """A pair as TRL reads it: all of its columns, and where spans have pieces, `part` in each.

    Without it in whole sentences, a reader of JSON would see rows of different types.
    """
    values = pair.model_dump(mode="json")
    for span in (*(values["chosen_spans"] or ()), *(values["rejected_spans"] or ())):
        if "sentence" in span:
            span.setdefault("part", None)
    return values


def trl_pair(values: object, *, identifier: str) -> Pair:
    """The pair of a row in either layout; ValueError with one sentence per fault."""
    if not isinstance(values, dict):
        raise ValueError(f"a row must be an object, found {show_value(values)}")
    ours = has_our_columns(values)
    names = list(Pair.model_fields) if ours else ["prompt", "chosen", "rejected"]
    known = {name: values[name] for name in names if values.get(name) is not None}
    if not isinstance(known.get("id"), str):
        known["id"] = identifier
    known |= split_row(values.get("prompt"), values.get("chosen"), values.get("rejected"))
    try:
        return Pair.model_validate_json(json.dumps(known))
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, Pair))) from None
