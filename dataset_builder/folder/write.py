"""The files of a data set folder: Parquet under an explicit schema, and the swap into place.

Two rules. The same rows give the same bytes: the schema and every writer option that decides bytes
are fixed here. A folder appears complete or not at all: it is written next to its final place and
renamed, and only a folder that this program wrote, with no other files in it, is ever replaced.
Files that a caller adds to the folder (a card) are replaced only if the caller lists them.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dataset_builder.splits.splits import Split
from formats.parquet import TableWriter
from schemas.errors import ConfigError
from schemas.files.sidecar import FORMAT_PREFIX, describe_file
from schemas.records import Pair

CARD_NAME = "README.md"
MANIFEST_NAME = "manifest.json"
PAIRS_FORMAT = "pairs"
PAIRS, SENTENCES = "pairs", "sentences"  # the configurations


def parquet_name(config_name: str, split: Split) -> str:
    """The path of one split of one configuration inside a data set folder."""
    return f"{config_name}/{split}-00000-of-00001.parquet"


def pair_schema(*, pieces: bool = False) -> Any:
    """The columns of `pairs`: the fields of `schemas.records.Pair`, in its order.

    With `pieces`, spans have the number of their sentence and their part of it (format 2).
    """
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    span = [("start", pa.int64()), ("end", pa.int64()), ("label", text), ("weight", number)]
    of_pieces = [("sentence", pa.int64()), ("part", text)]
    spans = pa.list_(pa.struct([*span, *(of_pieces if pieces else ())]))
    types = {
        "prompt": messages,
        "chosen": messages,
        "rejected": messages,
        "chosen_spans": spans,
        "rejected_spans": spans,
        "chosen_score": number,
        "rejected_score": number,
    }
    return pa.schema([(name, types.get(name, text)) for name in Pair.model_fields])


def sentence_schema(*, pieces: bool = False) -> Any:
    """The columns of `sentences`, one row per sentence; offsets as in `schemas.records`.

    With `pieces`, also the sentence's error spans as they were given (format 2).
    """
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    error = pa.struct([("start", whole), ("end", whole), ("label", text), ("kind", text)])
    evidence = pa.struct(
        [
            ("document_id", text),
            ("start", whole),
            ("end", whole),
            ("score", pa.float64()),
            ("text", text),
            ("license", text),
        ]
    )
    replaced = pa.struct(
        [("start", whole), ("end", whole), ("label", text), ("source", text), ("judge", text)]
    )
    correction = pa.struct([("who", text), ("when", text), ("replaced", pa.list_(replaced))])
    return pa.schema(
        [
            ("response_id", text),
            ("question_id", text),
            ("topic", text),
            ("language", text),
            ("policy", text),
            ("start", whole),
            ("end", whole),
            ("text", text),
            ("label", text),
            ("reason", text),
            ("confidence", pa.float64()),
            ("confidence_kind", text),
            ("votes", pa.list_(pa.struct([("answer", text), ("count", whole)]))),
            ("evidence", pa.list_(evidence)),
            ("source", text),
            ("judge", text),
            ("protocol", text),
            ("correction", correction),
            *([("error_spans", pa.list_(error))] if pieces else ()),
        ]
    )


def data_schemas(*, pieces: bool = False) -> dict[str, Any]:
    """The columns of both configurations, by name."""
    return {PAIRS: pair_schema(pieces=pieces), SENTENCES: sentence_schema(pieces=pieces)}


class DataWriter:
    """The Parquet files of a data set folder, all splits of both configurations at once.

    Use it as a context manager; `files` describes them after it has closed.
    """

    def __init__(self, folder: Path, *, pieces: bool = False) -> None:
        """`pieces`: spans may be pieces of sentences, so write the columns of format 2."""
        self._folder = folder
        self._tables = {
            parquet_name(name, split): TableWriter(folder / parquet_name(name, split), schema)
            for split in Split
            for name, schema in data_schemas(pieces=pieces).items()
        }

    def __enter__(self) -> DataWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for table in self._tables.values():
            table.close()

    def add_table(self, name: str, rows: Any) -> None:
        """Append an Arrow table to the file `name` (`parquet_name`), which has its schema.

        Rows must be in the order of their questions.
        """
        self._tables[name].add_table(rows)

    def files(self) -> dict[str, dict[str, Any]]:
        """Hash, size and rows of each file by name; splits without rows have none."""
        return {
            name: describe_file(self._folder / name) | {"rows": table.num_rows}
            for name, table in self._tables.items()
            if table.num_rows
        }


@contextmanager
def new_folder(output: Path, *, replaces: Collection[str] = ()) -> Iterator[Path]:
    """An empty folder that replaces `output` when the block ends without an error.

    The previous folder is restored when the replacement fails, and removed when it succeeds.

    replaces   files in it that its manifest does not list and that may be removed
    """
    output = output.resolve()
    check_replaceable(output, replaces=replaces)
    token = secrets.token_hex(4)
    fresh = output.with_name(f".{output.name}.{token}.new")
    old = output.with_name(f".{output.name}.{token}.old")
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(f"output {output} cannot be written: {error.strerror or error}") from None
    try:
        yield fresh
        # The build took some time; a user may have added files in the meantime.
        check_replaceable(output, replaces=replaces)
        if output.exists():
            output.rename(old)
        try:
            fresh.rename(output)
        except OSError:
            if old.exists():
                old.rename(output)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(output: Path, *, replaces: Collection[str] = ()) -> None:
    """Raise ConfigError unless `output` is absent, empty, or only a data set folder."""
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"output {output} is a file, but the data set is a folder; name another")
    found = {str(path.relative_to(output)) for path in output.rglob("*") if not path.is_dir()}
    if not found:
        return
    ours = _files_of_manifest(output / MANIFEST_NAME)
    if ours is None:
        raise ConfigError(
            f"output {output} has files but no {MANIFEST_NAME} of maskdpo, so it is not "
            "replaced; name another folder or empty this one"
        )
    strange = sorted(found - ours - set(replaces))
    if strange:
        raise ConfigError(
            f"output {output} has {strange[0]!r}, which maskdpo did not write"
            + (f" (and {len(strange) - 1} more)" if len(strange) > 1 else "")
            + "; move it away or name another folder"
        )


def _files_of_manifest(path: Path) -> set[str] | None:
    """Names of the files of a data set folder; None when the manifest is not from maskdpo."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT_PREFIX + PAIRS_FORMAT:
        return None
    files = manifest.get("files")
    names = set(files) if isinstance(files, dict) else set()
    return names | {MANIFEST_NAME}
