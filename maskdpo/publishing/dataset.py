"""A data set folder for publication: the output of `build` or `merge`, with pictures and a card.

The rule: data, pictures and card appear together or not at all. The builder writes a temporary
folder next to the output; pictures and card are made from its content, and then it is renamed. A
card that a person edited is never replaced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from dataset_builder.build import StagedDataset, make_inputs, staged_build
from dataset_builder.config import BuildConfig
from dataset_builder.folder.merge import staged_merge
from dataset_builder.folder.read import load_manifest
from dataset_builder.folder.statistics import STATISTICS_NAME
from dataset_builder.folder.write import CARD_NAME, MANIFEST_NAME, check_replaceable
from maskdpo.publishing.card_edits import is_card_edited
from maskdpo.publishing.card_example import find_example
from maskdpo.publishing.dataset_card import render_card
from maskdpo.publishing.dataset_plots import draw_dataset_plots
from schemas.errors import ConfigError
from schemas.files.shard import Shard
from schemas.files.sidecar import describe_file
from schemas.files.writing import write_json
from schemas.stage import StageResult


def build_dataset(
    config: BuildConfig,
    *,
    annotations: Path | Sequence[Path],
    output: Path,
    reviews: Sequence[Path] = (),
    pair_reviews: Sequence[Path] = (),
    evaluation_questions: Sequence[Path] = (),
    documents: Sequence[Path] = (),
    forgotten: Sequence[Path] = (),
    shard: Shard | None = None,
    agreement: Path | None = None,
    workers: int | None = None,
    plots: bool = False,
) -> StageResult:
    """Write a data set folder, as `maskdpo build` does, with a card; returns counts and notes.

    annotations            files of annotations; their rows are one set
    reviews                files of people's decisions, which replace the annotations' verdicts
    pair_reviews           files of people's decisions about pairs; a dropped one is left out
    evaluation_questions   files of questions that no training question may resemble
    documents              files of documents to quote as evidence, where their licence permits it
    forgotten              lists of removed rows, which must not return
    shard                  build only this part of the questions
    agreement              the result of `maskdpo agreement`, for the card
    workers                processes that read and build; None: this machine's cores, and 1 for an
                           input of less than 32 MB. It changes no byte.
    plots                  draw the card's pictures (needs matplotlib)

    An earlier data set in `output` is replaced. Raises InputError for invalid input and for a build
    without training pairs; ConfigError for settings, for an `output` with other files, and if a
    person edited the card of the folder that would be replaced.
    """
    inputs = make_inputs(
        annotations=annotations,
        reviews=reviews,
        pair_reviews=pair_reviews,
        evaluation_questions=evaluation_questions,
        documents=documents,
        forgotten=forgotten,
    )
    staged = staged_build(
        config,
        inputs,
        output=output,
        shard=shard,
        agreement=agreement,
        workers=workers,
        replaces=[CARD_NAME],
    )
    return _publish(staged, output, plots=plots)


def merge_datasets(shards: Sequence[Path], *, output: Path, plots: bool = False) -> StageResult:
    """Join the parts of one build into a data set folder, with a card and, with `plots`, its
    pictures."""
    staged = staged_merge(shards, output=output, replaces=[CARD_NAME])
    return _publish(staged, output, plots=plots)


def add_card(folder: Path, *, plots: bool = False) -> None:
    """Write README.md into a data set folder and, with `plots`, the pictures that it shows.

    Both are made from the folder's manifest and statistics; the card also quotes one pair. The
    manifest then lists the pictures.
    """
    manifest = load_manifest(folder)
    statistics = json.loads((folder / STATISTICS_NAME).read_text(encoding="utf-8"))
    config = BuildConfig.parse(manifest["config"], where=str(folder / MANIFEST_NAME))
    if plots:
        pictures = draw_dataset_plots(statistics, folder)
        manifest["files"] |= {name: describe_file(folder / name) for name, _ in pictures}
        manifest["pictures"] = [{"file": name, "alt": text} for name, text in pictures]
        write_json(folder / MANIFEST_NAME, manifest)
    card = render_card(manifest, config, statistics, find_example(folder, manifest))
    (folder / CARD_NAME).write_text(card, encoding="utf-8")


def _publish(
    staged: AbstractContextManager[StagedDataset], output: Path, *, plots: bool
) -> StageResult:
    """Add the card to a staged data set, which is then moved into place."""
    check_replaceable(output, replaces=[CARD_NAME])
    _keep_edited_card(output)
    with staged as dataset:
        add_card(dataset.folder, plots=plots)
        _keep_edited_card(output)  # the build took some time; a user may have edited it
    return dataset.result


def _keep_edited_card(output: Path) -> None:
    """Raise ConfigError if the card of the data set at `output` was edited by hand."""
    if output.is_dir() and is_card_edited(output / CARD_NAME):
        raise ConfigError(
            f"output {output}: its card {CARD_NAME} was edited by hand and is not overwritten; "
            "move the card away, or name another folder"
        )
