"""Rows of an Arrow record batch as JSON text, computed column by column.

The rule: a row becomes the JSON object that says the same. A null is an absent key, because tables
fill every column; a number keeps its digits and its kind (1.0 stays a float). A few Arrow functions
per column make all rows of a batch, so a row costs microseconds.

Two columns hold what Arrow has no fixed type for, in the form in which
`formats.parquet_records` writes them: `sampling` may be the text of a JSON object, and `votes`
a list of {answer, count}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROLS = {chr(code): f"\\u{code:04x}" for code in range(0x20) if chr(code) not in _ESCAPED}
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_OF_COUNT = {"answer", "count"}


def json_rows(batch: Any) -> list[str]:
    """Each row of a record batch as one line of JSON, without a newline.

    Raises ValueError, which names the column, for a type that JSON has no value for, such as a
    time.
    """
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return _objects(columns, batch.num_rows).to_pylist()  # type: ignore[no-any-return]


def _objects(columns: Mapping[str, Any], count: int) -> Any:
    """JSON objects of `count` rows; a null in a column is an absent key."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow leaves out a row whose members are all null, so each row has an empty one first.
    members = [pa.array([""] * count, pa.string())]
    for name, values in columns.items():
        key = json.dumps(name, ensure_ascii=False) + ":"
        members.append(_concat(key, _values(name, values)))
    joined = pc.binary_join_element_wise(*members, ",", null_handling="skip")
    return _concat("{", pc.ascii_ltrim(joined, ","), "}")


def _values(name: str, values: Any) -> Any:
    """The JSON texts of a column or of a struct's field; null where the value is null."""
    if name == "sampling" and _is_text(values.type):
        return _of_distinct(values, _object_text)
    if name == "votes" and _holds_counts(values.type):
        return _pairs(values, "answer", "count")
    try:
        return _json(values)
    except NotImplementedError as error:
        raise ValueError(f"column {name!r} {error}") from None


def _json(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    kind = values.type
    if types.is_dictionary(kind):
        return _json(values.dictionary).take(values.indices)
    if types.is_struct(kind):
        fields = dict(zip((field.name for field in kind), values.flatten(), strict=True))
        return pc.if_else(values.is_valid(), _objects(fields, len(values)), _null())
    if types.is_map(kind):
        field = pa.field("key", kind.key_type, nullable=False)
        listed = values.cast(pa.list_(pa.struct([field, ("value", kind.item_type)])))
        return _pairs(listed, "key", "value")
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        items = pc.fill_null(_json(pc.list_flatten(values)), "null")
        return _concat("[", _joined(values, items), "]")
    return _scalars(values)


def _scalars(values: Any) -> Any:
    import pyarrow as pa
    from pyarrow import types

    kind = values.type
    if _is_text(kind):
        return _quoted(values.cast(pa.string()))
    if types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind):
        return values.cast(pa.string())
    if types.is_floating(kind):
        return _float_texts(values.cast(pa.float64()))
    raise NotImplementedError(f"has the type {kind}, for which JSON has no value")


def _pairs(values: Any, key: str, value: str) -> Any:
    """Lists of {key, value} as one JSON object each."""
    import pyarrow.compute as pc

    items = pc.list_flatten(values)
    members = _concat(
        _json(pc.struct_field(items, key)),
        ":",
        pc.fill_null(_json(pc.struct_field(items, value)), "null"),
    )
    return _concat("{", _joined(values, members), "}")


def _joined(lists: Any, items: Any) -> Any:
    """For each list the texts of its items, with commas; null where the list is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    sizes = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(sizes)])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), ",")
    return pc.if_else(lists.is_valid(), joined, _null())


def _quoted(texts: Any) -> Any:
    """JSON strings; only what JSON must escape is escaped."""
    import pyarrow.compute as pc

    if pc.any(pc.match_substring_regex(texts, '[\\x00-\\x1f"\\\\]')).as_py():
        for letter, escape in _ESCAPED.items():
            texts = pc.replace_substring(texts, letter, escape)
        if pc.any(pc.match_substring_regex(texts, "[\\x00-\\x1f]")).as_py():
            for letter, escape in _CONTROLS.items():
                texts = pc.replace_substring(texts, letter, escape)
    return _concat('"', texts, '"')


def _float_texts(values: Any) -> Any:
    """The shortest digits that give the same number; whole numbers end with .0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.replace_substring_regex(values.cast(pa.string()), r"^(-?\d+)$", r"\1.0")
    if pc.all(pc.is_finite(values)).as_py() is not False:
        return texts
    return _of_distinct(texts, lambda text: _NOT_FINITE.get(text, text))


def _object_text(text: str) -> str:
    """The text of a JSON object in one line; any other text as a JSON string, which is refused."""
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    # A line break is white space of the text: inside of a string, JSON has it escaped.
    one_line = text.replace("\n", " ").replace("\r", " ")
    return one_line if is_object else json.dumps(text, ensure_ascii=False)


def _of_distinct(texts: Any, change: Callable[[str], str]) -> Any:
    """Each text changed by a Python function, which is called once per distinct text."""
    import pyarrow as pa

    coded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    changed = [None if text is None else change(text) for text in coded.dictionary.to_pylist()]
    return pa.array(changed, pa.string()).take(coded.indices)


def _concat(*parts: Any) -> Any:
    """Texts side by side; null where one of them is null."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*parts, "")


def _null() -> Any:
    import pyarrow as pa

    return pa.scalar(None, pa.string())


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _holds_counts(kind: Any) -> bool:
    from pyarrow import types

    if not (types.is_list(kind) or types.is_large_list(kind)):
        return False
    item = kind.value_type
    return bool(types.is_struct(item) and {field.name for field in item} == _OF_COUNT)
