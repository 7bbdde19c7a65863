"""The prompt and the two replies of a preference row, in any of TRL's conversational layouts.

The rule: a prompt is one conversation that both sides continue with one message each. It may be
given once, or inside both sides, or both ways; a prompt given twice must be the same, and is used
once.

    prompt            chosen, rejected            the prompt is
    "Who?"            [reply]                     [user "Who?"]
    [.., user]        [reply]                     as given
    absent            [.., user, reply]           what both sides begin with
    "Who?", [user]    [.., user, reply]           what both sides begin with: it holds that prompt

A system message may be in the prompt, in the sides, or in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.messages import is_empty, tidy_message
from schemas.validation import show_value

SIDES = ("chosen", "rejected")
Messages = list[Any]


def has_our_columns(values: Mapping[str, object]) -> bool:
    """Whether the columns of a row with our names have our meaning, those of `records.Pair`.

    Rows of others may use a name such as `topic` for something else. A row is ours if it has spans,
    or if it names both responses and its spans are null, as where whole answers train.
    """
    spans = [f"{side}_spans" for side in SIDES]
    if any(values.get(name) is not None for name in spans):
        return True
    return all(name in values for name in spans) and all(values.get(f"{s}_id") for s in SIDES)


def split_row(prompt: object, chosen: object, rejected: object) -> dict[str, Messages]:
    """`prompt`, `chosen` and `rejected` of a row as lists of messages, without repetition.

    A side is messages, or the text of one reply; a prompt is messages, the text of one user
    message, or nothing. What the messages hold is not checked here. Raises ValueError with one
    sentence where the sides do not continue one prompt.
    """
    sides = [_read_side(name, side) for name, side in zip(SIDES, (chosen, rejected), strict=True)]
    given = _read_prompt(prompt)
    lengths = [len(side) for side in sides]
    if given and 1 in lengths and lengths != [1, 1]:
        with_prompt, without = SIDES if lengths[1] == 1 else SIDES[::-1]
        raise ValueError(
            f"{with_prompt!r} holds {max(lengths)} messages and {without!r} holds its reply only; "
            "give the prompt in 'prompt' alone, or in both"
        )
    count = _count_shared(*sides)
    if not given and not count:
        raise ValueError("has no 'prompt', and 'chosen' and 'rejected' begin differently")
    if lengths == [1, 1]:
        return {"prompt": given, "chosen": sides[0], "rejected": sides[1]}
    shared = sides[0][:count]
    for name, side in zip(SIDES, sides, strict=True):
        if given and len(side) - count > 1:
            raise ValueError(
                f"{name!r} holds {len(side) - count} messages after the {count} that both sides "
                "begin with; it must hold the prompt and one reply, or one reply"
            )
    return {
        "prompt": _merge(given, shared),
        "chosen": sides[0][count:],
        "rejected": sides[1][count:],
    }


def _read_side(name: str, side: object) -> Messages:
    if isinstance(side, str):
        return [{"role": "assistant", "content": side}]
    if not isinstance(side, list):
        raise ValueError(f"{name!r} is {show_value(side)}, must be text or messages")
    if not side:
        raise ValueError(f"{name!r} is empty, must hold a reply")
    return [_tidy(message, f"{name}[{index}]") for index, message in enumerate(side)]


def _read_prompt(prompt: object) -> Messages:
    """The prompt as messages; [] where it is empty."""
    if is_empty(prompt):
        return []
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list):
        raise ValueError(f"'prompt' is {show_value(prompt)}, but it must be text or messages")
    return [_tidy(message, f"prompt[{index}]") for index, message in enumerate(prompt)]


def _tidy(message: object, place: str) -> Any:
    try:
        return tidy_message(message)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _count_shared(chosen: Messages, rejected: Messages) -> int:
    """How many equal messages both sides begin with; each keeps its last one, the reply."""
    count = 0
    while count < min(len(chosen), len(rejected)) - 1 and chosen[count] == rejected[count]:
        count += 1
    return count


def _merge(given: Messages, shared: Messages) -> Messages:
    """The prompt that is given and the one that both sides begin with, as one.

    The given one may be the beginning or the end of the other: data sets of long conversations give
    their first or last question as the prompt.
    """
    if not given:
        return shared
    system, turns = _part_system(given)
    system_of_sides, turns_of_sides = _part_system(shared)
    is_inside = turns and turns in (turns_of_sides[: len(turns)], turns_of_sides[-len(turns) :])
    if not is_inside or (system and system_of_sides and system != system_of_sides):
        raise ValueError(
            f"'prompt' is {_show(given)}, but 'chosen' and 'rejected' begin with {_show(shared)}; "
            "give the prompt once, or the same prompt in all three"
        )
    return (system or system_of_sides) + turns_of_sides


def _part_system(messages: Messages) -> tuple[Messages, Messages]:
    first = messages[0] if messages else None
    count = int(isinstance(first, dict) and first.get("role") == "system")
    return messages[:count], messages[count:]


def _show(messages: Sequence[Any]) -> str:
    if not messages:
        return "nothing in common"
    return show_value(
        [item.get("content") if isinstance(item, dict) else item for item in messages]
    )
