"""A build from Parquet: the bytes, the faults and the counts of the same rows as JSON Lines."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations

from dataset_builder.build import run_build
from dataset_builder.config import BuildConfig
from formats.parquet_records import write_parquet_records
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.records import Annotation

CONFIG = BuildConfig(test_share=0.3, near_duplicate=0.0)


def as_parquet(lines: Path, *, group_rows: int | None = None) -> Path:
    """The same rows as Parquet, in row groups of our size or of another program's."""
    path = lines.with_suffix(".parquet")
    write_parquet_records(path, read_records(lines, Annotation), Annotation)
    if group_rows is not None:
        pq.write_table(pq.read_table(path), path, row_group_size=group_rows)
    return path


def built(output: Path, *sources: Path) -> dict[str, bytes]:
    """The files of the data set, with the manifest without its inputs."""
    run_build(CONFIG, annotations=sources, output=output)
    files = {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }
    manifest = json.loads(files["manifest.json"])
    assert set(manifest.pop("inputs")) == {path.name for path in sources}
    return files | {"manifest.json": json.dumps(manifest).encode()}


def shuffled(num: int) -> list[dict[str, Any]]:
    rows = questions(num)
    random.Random(5).shuffle(rows)
    return rows


@pytest.mark.parametrize("group_rows", [None, 1, 7, 10_000])
def test_a_build_from_parquet_has_the_same_bytes(tmp_path: Path, group_rows: int | None) -> None:
    lines = write_annotations(tmp_path / "annotations.jsonl", shuffled(40))
    expected = built(tmp_path / "of_lines", lines)
    path = as_parquet(lines, group_rows=group_rows)
    lines.unlink()
    assert built(tmp_path / "of_parquet", path) == expected
    assert "pairs/train-00000-of-00001.parquet" in expected


def test_parquet_and_lines_are_one_input(tmp_path: Path) -> None:
    rows = shuffled(40)
    whole = built(tmp_path / "whole", write_annotations(tmp_path / "all.jsonl", rows))
    lines = write_annotations(tmp_path / "a.jsonl", rows[:50])
    table = as_parquet(write_annotations(tmp_path / "b.jsonl", rows[50:]))
    assert built(tmp_path / "mixed", lines, table) == whole


def test_nothing_is_left_of_the_copy(tmp_path: Path) -> None:
    path = as_parquet(write_annotations(tmp_path / "a.jsonl", shuffled(8)))
    built(tmp_path / "dataset", path)
    assert not [item for item in tmp_path.rglob("*") if "rows-" in item.name]


def test_small_parts_of_the_copy_have_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = write_annotations(tmp_path / "annotations.jsonl", shuffled(40))
    expected = built(tmp_path / "of_lines", lines)
    monkeypatch.setattr("dataset_builder.reading.row_files.PART_BYTES", 700)
    assert built(tmp_path / "of_parquet", as_parquet(lines)) == expected


def test_faults_name_the_file_and_the_row(tmp_path: Path) -> None:
    rows = questions(3)
    sound = as_parquet(write_annotations(tmp_path / "a.jsonl", rows))
    table = pq.read_table(sound)
    ids = [*table["id"].to_pylist()[:-2], None, rows[0]["id"]]
    place = table.column_names.index("id")
    path = tmp_path / "b.parquet"
    changed = table.set_column(place, "id", pa.array(ids))
    pq.write_table(changed, path)
    with pytest.raises(InputError) as caught:
        run_build(CONFIG, annotations=[path], output=tmp_path / "dataset")
    last = len(rows)
    assert [(item.path, item.line) for item in caught.value.faults] == [
        (str(path), last - 1),
        (str(path), last),
    ]
    assert "required key 'id' is missing" in caught.value.faults[0].message
    assert "first used on line 1" in caught.value.faults[1].message
    with pytest.raises(InputError, match=r"first used on .*a\.parquet:1"):
        run_build(CONFIG, annotations=[sound, path], output=tmp_path / "dataset")


def test_a_table_without_the_columns_stops_the_build(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), path)
    with pytest.raises(InputError, match="has no column 'question_id', so it holds no Annotation"):
        run_build(CONFIG, annotations=[path], output=tmp_path / "dataset")
    write_parquet_records(path, [], Annotation)
    with pytest.raises(InputError, match="holds no rows"):
        run_build(CONFIG, annotations=[path], output=tmp_path / "dataset")
    row = annotation_row("q/1", [GOOD, BAD], question="q")
    pq.write_table(pa.Table.from_pylist([row | {"grade": 1}]), path)
    with pytest.raises(InputError, match="unknown column 'grade'"):
        run_build(CONFIG, annotations=[path], output=tmp_path / "dataset")
