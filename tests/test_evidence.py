"""Evidence in words: only of documents whose own licence permits it."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation_row, write_annotations

from dataset_builder.config import BuildConfig
from dataset_builder.folder.validate import validate_folder
from maskdpo.publishing.dataset import build_dataset
from schemas.errors import InputError

TEXT = "Ünï was born in Karsted. SECRET."


def document(identifier: str, **changes: Any) -> dict[str, Any]:
    return {"id": identifier, "text": TEXT, "license": "CC BY-SA 4.0"} | changes


def evidence(identifier: str, start: int = 0, end: int = 24) -> dict[str, Any]:
    return {"document_id": identifier, "start": start, "end": end, "score": 0.5}


def build(
    tmp_path: Path, places: list[dict[str, Any]], documents: list[dict[str, Any]], **settings: Any
) -> Path:
    rows = [
        annotation_row("g", [GOOD], verdict={"evidence": places}),
        annotation_row("b", [BAD]),
    ]
    given = write_annotations(tmp_path / "documents.jsonl", documents)
    return build_dataset(
        BuildConfig(test_share=0.0, **settings),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        output=tmp_path / "dataset",
        documents=[given] if documents else [],
    ).output


def quoted(folder: Path) -> list[str | None]:
    table = pq.read_table(folder / "sentences" / "train-00000-of-00001.parquet")
    return [item["text"] for row in table.to_pylist() for item in row["evidence"]]


def test_only_a_licence_that_permits_it_lets_text_out(tmp_path: Path) -> None:
    documents = [
        document("free"),
        document("none", license=""),
        document("closed", license="all rights reserved"),
    ]
    places = [evidence(name) for name in ("free", "none", "closed", "absent")]
    places += [evidence("free", 30, 99), evidence("free", 5, 5)]
    folder = build(tmp_path, places, documents)
    assert quoted(folder) == [TEXT[:24], None, None, None, None, None]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["quoted"] == {"cc-by-sa-4.0": 1}
    assert "documents.jsonl" in manifest["inputs"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "(pieces by licence: `cc-by-sa-4.0` 1)" in card
    assert validate_folder(folder).findings == []
    for path in folder.rglob("*"):
        assert path.is_dir() or b"SECRET" not in path.read_bytes()


def test_without_documents_or_with_a_shorter_list_nothing_is_quoted(tmp_path: Path) -> None:
    assert quoted(build(tmp_path, [evidence("free")], [])) == [None]
    folder = build(tmp_path, [evidence("free")], [document("free")], quote_licenses=("cc0-1.0",))
    assert quoted(folder) == [None]
    assert "the documents themselves are not part" in (folder / "README.md").read_text("utf-8")


def test_one_id_for_two_texts_is_a_fault(tmp_path: Path) -> None:
    documents = [document("free"), document("free"), document("free", text="Other.")]
    with pytest.raises(InputError, match=r"documents\.jsonl:3: document id 'free' was used"):
        build(tmp_path, [evidence("free")], documents)
