"""TRL's preference columns, which ours already are: `prompt`, `chosen`, `rejected`.

Out, nothing is lost: every column of a pair goes along, and a trainer that knows nothing of spans
leaves them alone. In, both of TRL's layouts are read (messages, or plain strings), with or
without a prompt of its own (the messages both sides begin with are then the prompt).
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

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
    for side in ("chosen", "rejected"):
        if isinstance(known.get(side), str):
            known[side] = [{"role": "assistant", "content": known[side]}]
        elif not isinstance(known.get(side), list):
            raise ValueError(f"{side!r} is {show_value(known.get(side))}, must be text or messages")
    if isinstance(known.get("prompt"), str):
        known["prompt"] = [{"role": "user", "content": known["prompt"]}]
    if "prompt" not in known:
        known |= _split_prompt(known["chosen"], known["rejected"])
    try:
        return Pair.model_validate_json(json.dumps(known))
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, Pair))) from None


def _split_prompt(chosen: list[Any], rejected: list[Any]) -> dict[str, list[Any]]:
    count = 0
    while count < min(len(chosen), len(rejected)) - 1 and chosen[count] == rejected[count]:
        count += 1
    if not count:
        raise ValueError("has no 'prompt', and 'chosen' and 'rejected' begin differently")
    return {"prompt": chosen[:count], "chosen": chosen[count:], "rejected": rejected[count:]}
