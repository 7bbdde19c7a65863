"""The last files of a data set folder: statistics and the manifest.

The rule: the manifest describes every file that `build` wrote, by name. A caller that adds files
(pictures, a card) before the folder is moved into place writes the manifest again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_builder.config import BuildConfig, Granularity
from dataset_builder.folder.statistics import STATISTICS_NAME, write_statistics
from dataset_builder.folder.write import MANIFEST_NAME, PAIRS_FORMAT
from schemas.files.sidecar import describe_file, make_sidecar
from schemas.files.writing import write_json

# A folder whose spans are whole sentences is of this version, and the settings of pieces, which did
# not exist then, are not in its manifest: it has the same bytes as from earlier releases.
_WITHOUT_PIECES = (1, 0)
_OF_PIECES = {"granularity", "context_weight", "chosen_context_weight"}


def make_manifest(
    config: BuildConfig,
    *,
    inputs: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int],
    files: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What made the folder. Without timings: two builds of one input are equal, byte for byte."""
    is_as_before = config.granularity is Granularity.SENTENCE
    sidecar = make_sidecar(
        PAIRS_FORMAT,
        config=config.model_dump(mode="json", exclude=_OF_PIECES if is_as_before else None),
        inputs=[],
        packages=["pyarrow"],
        counts=counts,
        version=None if config.has_pieces else _WITHOUT_PIECES,
    )
    return {
        **sidecar.model_dump(exclude={"timings", "models", "served", "prompts"}),
        "inputs": {name: dict(entry) for name, entry in inputs.items()},
        "files": dict(files),
    }


def write_statistics_and_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write statistics.json and manifest.json of a folder that has its Parquet files.

    `manifest["files"]` names the Parquet files with their numbers of rows; sizes are added here.
    """
    write_statistics(folder)
    files = {
        name: {**entry, "raw_bytes": _raw_bytes(folder / name)}
        for name, entry in manifest["files"].items()
    }
    described = {**files, STATISTICS_NAME: describe_file(folder / STATISTICS_NAME)}
    write_json(folder / MANIFEST_NAME, {**manifest, "files": described, "pictures": []})


def _raw_bytes(path: Path) -> int:
    """Bytes of a Parquet file's columns before compression, which the Hub shows as the size."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(index).total_byte_size for index in groups)
