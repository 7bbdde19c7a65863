"""The last step of a data set folder: statistics, pictures, manifest, card.

The rule: it runs inside the folder that is not yet in its place, so pictures and card appear with
the data or not at all. The manifest names every file that this program made but the card, which
a person may edit; nothing here draws: whoever wants pictures hands in a `Draw`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.config import BuildConfig
from dataset_builder.folder.card import AGREEMENT_FIGURES, render_card
from dataset_builder.folder.statistics import STATISTICS_NAME, write_statistics
from dataset_builder.folder.write import CARD_NAME, MANIFEST_NAME
from dataset_builder.pairs import public_name
from schemas.errors import InputError
from schemas.files.sidecar import describe_file
from schemas.files.writing import write_json

# Statistics and a folder in; writes PNG files there; (path in the folder, text in words) of each.
Draw = Callable[[Mapping[str, Any], Path], Sequence[tuple[str, str]]]
_AGREEMENT_COUNTS = ("num_sentences", "num_responses", "num_groups", "num_hallucinated")
_AGREEMENT_INTERVAL = ("balanced_accuracy_low", "balanced_accuracy_high")


def finish_folder(
    folder: Path, manifest: Mapping[str, Any], config: BuildConfig, *, draw: Draw | None = None
) -> dict[str, Any]:
    """Write statistics.json, plots, manifest.json and README.md; answers the final manifest.

    folder      holds the Parquet files, which `manifest["files"]` names with their rows
    """
    statistics = write_statistics(folder)
    pictures = list(draw(statistics, folder)) if draw else []
    made = [STATISTICS_NAME, *(name for name, _ in pictures)]
    files = {
        name: {**entry, "raw_bytes": _raw_bytes(folder / name)}
        for name, entry in manifest["files"].items()
    }
    final = {
        **manifest,
        "files": {**files, **{name: describe_file(folder / name) for name in made}},
        "pictures": [{"file": name, "alt": text} for name, text in pictures],
    }
    write_json(folder / MANIFEST_NAME, final)
    card = render_card(final, config, statistics)
    (folder / CARD_NAME).write_text(card, encoding="utf-8")
    return final


def _raw_bytes(path: Path) -> int:
    """Bytes of a Parquet file's columns before compression, which the Hub shows as the size."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(index).total_byte_size for index in groups)


def read_agreement(path: Path) -> dict[str, Any]:
    """What `maskdpo agreement --output` wrote, less what names a place.

    Raises InputError when the file is no such report.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        lines = {"": report, **report["baselines"]}
        counts = {key: int(report[key]) for key in _AGREEMENT_COUNTS}
        figures = {name: _figures(line) for name, line in lines.items()}
        judge = public_name(str(report["judge"]))
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        message = "is no agreement report; make one with: maskdpo agreement --output FILE"
        raise InputError.of(path, message) from None
    own = figures.pop("")
    return {"judge": judge, **counts, **own, "baselines": figures}


def _figures(line: Mapping[str, Any]) -> dict[str, float | None]:
    names = (*AGREEMENT_FIGURES, *_AGREEMENT_INTERVAL)
    return {name: None if line.get(name) is None else round(float(line[name]), 6) for name in names}
