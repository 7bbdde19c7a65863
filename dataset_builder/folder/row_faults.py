"""What can be wrong with one row of a data set: pure functions from a row to its faults.

The rule: a row is read as it is in the file (a dict from Parquet, with its nulls), never through a
record class, because a record stops at its first fault and these functions report all. Faults that
involve several rows are in `dataset_builder.folder.seen_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, get_args

from dataset_builder.folder.piece_faults import find_piece_faults
from schemas.error_spans import group_piece_rows
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label, Side
from schemas.messages import ROLES_RULE, ends_with_user, turns_alternate
from schemas.records import FinishReason, Role
from schemas.spans import check_cover
from schemas.validation import show_value

Row = Mapping[str, Any]
SCORE_TOLERANCE = 1e-6
_LABELS = frozenset(Label)
_ROLES = get_args(Role)
_FINISH_REASONS = get_args(FinishReason)


class FaultKind(StrEnum):
    """The name of a fault, for programs; its message is for people."""

    # the folder
    MANIFEST = "manifest"
    FORMAT_VERSION = "format_version"
    FILE_MISSING = "file_missing"
    FILE_UNLISTED = "file_unlisted"
    FILE_NAME = "file_name"
    HASH_DIFFERS = "hash_differs"
    ROWS_DIFFER = "rows_differ"
    UNREADABLE = "unreadable"
    COLUMN = "column"
    CARD = "card"
    NO_PAIRS = "no_pairs"
    # any row
    NULL = "null"
    ID = "id"
    DUPLICATE_ID = "duplicate_id"
    TOPIC_IN_TWO_SPLITS = "topic_in_two_splits"
    QUESTION_IN_TWO_SPLITS = "question_in_two_splits"
    LABEL = "label"
    # pairs
    ROLE = "role"
    ROLES_ALTERNATE = "roles_alternate"
    PROMPT_END = "prompt_end"
    SIDE_MESSAGES = "side_messages"
    SIDE_ROLE = "side_role"
    SIDE_EMPTY = "side_empty"
    SIDES_EQUAL = "sides_equal"
    SPANS_ON_ONE_SIDE = "spans_on_one_side"
    SPAN_EMPTY = "span_empty"
    SPAN_ORDER = "span_order"
    SPAN_BOUNDS = "span_bounds"
    SPAN_COVER = "span_cover"
    PIECES = "pieces"
    WEIGHT = "weight"
    UNDETERMINED_TRAINS = "undetermined_trains"
    NOTHING_ACTIVE = "nothing_active"
    SCORE_RANGE = "score_range"
    SCORE_ORDER = "score_order"
    SCORE_DIFFERS = "score_differs"
    FINISH_REASON = "finish_reason"
    # sentences
    TEXT_LENGTH = "text_length"
    REASON = "reason"
    CONFIDENCE = "confidence"
    EVIDENCE = "evidence"
    ERROR_SPAN = "error_span"
    SOURCE = "source"
    PAIR_AND_SENTENCES = "pair_and_sentences"


RowFault = tuple[FaultKind, str]


def pair_faults(row: Row) -> Iterator[RowFault]:
    """All faults of one row of `pairs`."""
    if not row["id"]:
        yield FaultKind.ID, "'id' is empty"
    yield from _prompt_faults(row["prompt"])
    for side in Side:
        yield from _side_faults(row, side)
    chosen, rejected = content_of(row, Side.CHOSEN), content_of(row, Side.REJECTED)
    if chosen is not None and chosen == rejected:
        yield FaultKind.SIDES_EQUAL, "'chosen' and 'rejected' are the same text"
    if (row["chosen_spans"] is None) != (row["rejected_spans"] is None):
        yield (
            FaultKind.SPANS_ON_ONE_SIDE,
            "spans are given on one side only; give both, or neither (stock DPO)",
        )
    yield from _score_faults(row)


def sentence_faults(row: Row) -> Iterator[RowFault]:
    """All faults of one row of `sentences`."""
    for name in ("response_id", "question_id", "text"):
        if row[name] is None:
            yield FaultKind.NULL, f"{name!r} is null"
    if row["response_id"] == "":
        yield FaultKind.ID, "'response_id' is empty"
    yield from _label_faults(row["label"], "label")
    if row["label"] == Label.UNDETERMINED and not row["reason"]:
        yield FaultKind.REASON, "'label' is 'undetermined', but 'reason' is missing"
    start, end, text = row["start"], row["end"], row["text"]
    if start is None or end is None:
        yield FaultKind.NULL, "'start' or 'end' is null"
    elif start < 0 or end <= start:
        yield FaultKind.SPAN_EMPTY, f"[{start}, {end}) is not a span; 0 <= start < end is needed"
    elif text is not None and len(text) != end - start:
        yield (
            FaultKind.TEXT_LENGTH,
            f"'text' has {len(text)} characters, but [{start}, {end}) has {end - start}",
        )
    if row["confidence"] is not None and not 0.0 <= row["confidence"] <= 1.0:
        yield FaultKind.CONFIDENCE, f"'confidence' is {row['confidence']}, must be in [0, 1]"
    if row["source"] not in {"judge", "person"}:
        value = show_value(row["source"])
        yield FaultKind.SOURCE, f"'source' is {value}, must be 'judge' or 'person'"
    for index, item in enumerate(row["evidence"] or []):
        yield from _evidence_faults(index, item)
    for index, item in enumerate(row.get("error_spans") or []):
        yield from _error_span_faults(index, item)


def content_of(row: Row, side: Side) -> str | None:
    """The text of a side, if the row has exactly one message there."""
    messages = row[side]
    if messages is None or len(messages) != 1 or messages[0] is None:
        return None
    content: str | None = messages[0]["content"]
    return content


def _prompt_faults(prompt: Sequence[Row] | None) -> Iterator[RowFault]:
    if not prompt:
        yield FaultKind.NULL, "'prompt' is empty; it needs at least a user's message"
        return
    for index, message in enumerate(prompt):
        yield from _message_faults(message, f"prompt[{index}]")
    roles = [message["role"] for message in prompt if message is not None]
    if not turns_alternate(roles):
        words = f"the roles of 'prompt' are {show_value(roles)}; {ROLES_RULE}"
        yield FaultKind.ROLES_ALTERNATE, words
    if not ends_with_user(roles):
        last = show_value(roles[-1]) if roles else "null"
        yield FaultKind.PROMPT_END, f"'prompt' ends with role {last}, must be 'user'"


def _message_faults(message: Row | None, place: str) -> Iterator[RowFault]:
    if message is None or message["content"] is None:
        yield FaultKind.NULL, f"'{place}' has no content"
    if message is not None and message["role"] not in _ROLES:
        role, allowed = show_value(message["role"]), ", ".join(_ROLES)
        yield FaultKind.ROLE, f"'{place}.role' is {role}, must be one of {allowed}"


def _side_faults(row: Row, side: Side) -> Iterator[RowFault]:
    messages = row[side]
    if messages is None or len(messages) != 1:
        found = 0 if messages is None else len(messages)
        yield FaultKind.SIDE_MESSAGES, f"'{side}' holds {found} messages, must hold exactly one"
        return
    yield from _message_faults(messages[0], f"{side}[0]")
    if messages[0] is not None and messages[0]["role"] != "assistant":
        role = show_value(messages[0]["role"])
        yield FaultKind.SIDE_ROLE, f"'{side}' has role {role}, must be 'assistant'"
    reason = row[f"{side}_finish_reason"]
    if reason is not None and reason not in _FINISH_REASONS:
        allowed = ", ".join(_FINISH_REASONS)
        shown = show_value(reason)
        yield FaultKind.FINISH_REASON, f"'{side}_finish_reason' is {shown}, must be of {allowed}"
    content = content_of(row, side)
    if content is None:
        return
    if not content.strip():
        yield FaultKind.SIDE_EMPTY, f"'{side}' is empty or only white space"
    if row[f"{side}_spans"] is not None:
        yield from _span_faults(content, row[f"{side}_spans"], f"{side}_spans")


def _span_faults(text: str, spans: Sequence[Row], column: str) -> Iterator[RowFault]:
    """Faults of one side's spans; coverage is checked only if the offsets are valid."""
    previous_end, sound = 0, True
    for index, span in enumerate(spans):
        place = f"{column}[{index}]"
        if span is None or span["start"] is None or span["end"] is None:
            yield FaultKind.NULL, f"'{place}' has no start or no end"
            sound = False
            continue
        found = list(_place_faults(text, span["start"], span["end"], previous_end, place))
        sound = sound and not found
        yield from found
        previous_end = max(previous_end, span["end"])
        yield from _label_faults(span["label"], f"{place}.label")
        yield from _weight_faults(span, place)
    if sound:
        yield from _cover_faults(text, [(span["start"], span["end"]) for span in spans], column)
        for message in find_piece_faults(spans, column):
            yield FaultKind.PIECES, message
    weights = [span["weight"] for span in spans if span is not None]
    if not any(weight is not None and weight > 0.0 for weight in weights):
        yield FaultKind.NOTHING_ACTIVE, f"no span of '{column}' has a weight above 0"


def _place_faults(
    text: str, start: int, end: int, previous_end: int, place: str
) -> Iterator[RowFault]:
    if start >= end:
        yield FaultKind.SPAN_EMPTY, f"'{place}' [{start}, {end}) is empty"
    if start < 0 or end > len(text):
        yield (
            FaultKind.SPAN_BOUNDS,
            f"'{place}' [{start}, {end}) is outside the text of {len(text)} characters",
        )
    if 0 <= start < previous_end:
        yield (
            FaultKind.SPAN_ORDER,
            f"'{place}' [{start}, {end}) starts before the end of an earlier span "
            f"({previous_end}); spans must be sorted and disjoint",
        )


def _cover_faults(text: str, places: Iterable[tuple[int, int]], column: str) -> Iterator[RowFault]:
    try:
        check_cover(text, list(places))
    except ValueError as error:
        yield FaultKind.SPAN_COVER, f"'{column}': {error}"


def _label_faults(label: object, place: str) -> Iterator[RowFault]:
    if label not in _LABELS:
        allowed = ", ".join(Label)
        yield FaultKind.LABEL, f"'{place}' is {show_value(label)}, must be one of {allowed}"


def _weight_faults(span: Row, place: str) -> Iterator[RowFault]:
    weight = span["weight"]
    if weight is None or not math.isfinite(weight) or not 0.0 <= weight <= 1.0:
        yield FaultKind.WEIGHT, f"'{place}.weight' is {weight}, must be in [0, 1]"
    elif weight > 0.0 and span["label"] == Label.UNDETERMINED:
        yield (
            FaultKind.UNDETERMINED_TRAINS,
            f"'{place}' is 'undetermined' and has weight {weight}, must be 0",
        )


def _score_faults(row: Row) -> Iterator[RowFault]:
    scores: list[float] = []
    for side in Side:
        score = row[f"{side}_score"]
        if score is None:
            continue
        if not 0.0 <= score <= 1.0:
            yield FaultKind.SCORE_RANGE, f"'{side}_score' is {score}, must be in [0, 1]"
            continue
        scores.append(score)
        expected = _score_of(row[f"{side}_spans"])
        if expected is not None and abs(expected - score) > SCORE_TOLERANCE:
            yield (
                FaultKind.SCORE_DIFFERS,
                f"'{side}_score' is {score:g}, but its spans' labels give {expected:g}",
            )
    if len(scores) == len(Side) and scores[0] <= scores[1]:
        yield (
            FaultKind.SCORE_ORDER,
            f"'chosen_score' {scores[0]:g} is not above 'rejected_score' {scores[1]:g}",
        )


def _score_of(spans: Sequence[Row] | None) -> float | None:
    known = [span for span in spans or [] if span is not None]
    labels = [pieces[0]["label"] for pieces in group_piece_rows(known)]
    correct = sum(label in CORRECT_LABELS for label in labels)
    decided = correct + sum(label in HALLUCINATED_LABELS for label in labels)
    return correct / decided if decided else None


def _error_span_faults(index: int, item: Row | None) -> Iterator[RowFault]:
    start, end = (item["start"], item["end"]) if item is not None else (None, None)
    if start is None or end is None or not 0 <= start < end:
        message = f"'error_spans[{index}]' [{start}, {end}) is not a span; 0 <= start < end is"
        yield FaultKind.ERROR_SPAN, f"{message} needed"


def _evidence_faults(index: int, item: Row | None) -> Iterator[RowFault]:
    if item is None or not item["document_id"]:
        yield FaultKind.EVIDENCE, f"'evidence[{index}]' names no document"
        return
    start, end = item["start"], item["end"]
    if start is None or end is None or not 0 <= start <= end:
        yield FaultKind.EVIDENCE, f"'evidence[{index}]' [{start}, {end}) is not a span"
        return
    text, permit = item.get("text"), item.get("license")
    if text is not None and (len(text) != end - start or not permit):
        message = f"'evidence[{index}].text' has {len(text)} characters and licence "
        yield FaultKind.EVIDENCE, message + f"{permit!r}, not {end - start} and a licence"
