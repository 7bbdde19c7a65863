"""TRL's preference columns, which ours already are: `prompt`, `chosen`, `rejected`.

Out, nothing is lost: every column of a pair goes along, and a trainer that knows nothing of spans
leaves them alone. In, all of TRL's layouts are read (`schemas.preference_rows`): messages or plain
strings, with the prompt given by itself, inside both sides, or both ways.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from schemas.preference_rows import split_row
from schemas.records import Pair
from schemas.validation import describe_errors, show_value


def trl_row(pair: Pair) -> dict[str, Any]:
    """A pair as TRL reads it: all of its columns."""
    return pair.model_dump(mode="json")


def trl_pair(values: object, *, identifier: str) -> Pair:
    """The pair of a row in either layout; ValueError with one sentence a fault."""
    if not isinstance(values, dict):
        raise ValueError(f"a row must be an object, found {show_value(values)}")
    # Columns of our names mean what ours mean only where the spans came along.
    ours = values.get("chosen_spans") is not None
    names = list(Pair.model_fields) if ours else ["prompt", "chosen", "rejected"]
    known = {name: values[name] for name in names if values.get(name) is not None}
    if not isinstance(known.get("id"), str):
        known["id"] = identifier
    known |= split_row(values.get("prompt"), values.get("chosen"), values.get("rejected"))
    try:
        return Pair.model_validate_json(json.dumps(known))
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, Pair))) from None
