"""`maskdpo build`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from formats.reviews import PAIR_REVIEWS_NAME, REVIEW_FILES
from maskdpo.cli.options import (
    FOLDER,
    INPUT_FILE,
    INPUT_ROWS,
    DocumentedCommand,
    config_options,
    expand_inputs,
    plots_option,
    report_result,
)
from maskdpo.config import RunConfig
from schemas.errors import ConfigError


@click.command(
    "build",
    cls=DocumentedCommand,
    section="build",
    examples="""
    maskdpo build --config run.yaml
    maskdpo build --annotations annotations.jsonl --output dataset --set build.test_share=0.2
    maskdpo build --annotations 'judged/*.jsonl' --reviews people.jsonl --output dataset
    maskdpo build --annotations 'judged/*.jsonl' --shard 2/4 --output parts/2   (then: merge)
    """,
)
@config_options
@click.option(
    "--annotations",
    type=INPUT_ROWS,
    multiple=True,
    help="Annotations, JSON Lines or Parquet: a file, a folder of parts or a glob pattern; may be "
    "repeated [RUN/annotations.jsonl].",
)
@click.option(
    "--reviews",
    "--corrections",
    "reviews",
    type=INPUT_FILE,
    multiple=True,
    help="Reviews, which replace the annotations' verdicts, and decisions about pairs; a file or "
    "pattern; may be repeated [reviews.jsonl and pair_reviews.jsonl next to the annotations and in "
    "RUN].",
)
@click.option(
    "--no-reviews",
    is_flag=True,
    help="Use only the judge's verdicts: no reviews, and no drops of pairs.",
)
@click.option(
    "--evaluation-questions",
    type=INPUT_FILE,
    multiple=True,
    help="Questions for evaluation: training questions that share words with them are dropped.",
)
@click.option(
    "--documents",
    type=INPUT_FILE,
    multiple=True,
    help="Documents to quote as evidence if their licence permits it; a file or pattern.",
)
@click.option(
    "--shard", metavar="I/N", help="Build part I of N; join the parts with maskdpo merge."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that read and build; the data set is the same with any number [the cores; 1 "
    "for an input below 32 MB].",
)
@click.option("--output", type=FOLDER, help="Data set folder [RUN/dataset].")
@click.option(
    "--agreement", type=INPUT_FILE, help="Output file of maskdpo agreement, for the card."
)
@plots_option
def command(
    config: RunConfig,
    *,
    annotations: tuple[Path, ...],
    reviews: tuple[Path, ...],
    no_reviews: bool,
    evaluation_questions: tuple[Path, ...],
    documents: tuple[Path, ...],
    shard: str | None,
    workers: int | None,
    output: Path | None,
    agreement: Path | None,
    plots: bool,
) -> None:
    """Turn annotations into preference pairs with spans, weights, a card and a manifest.

    Reviews (maskdpo import of a sheet) in reviews.jsonl next to the annotations are used without an
    option; pairs that people dropped, in pair_reviews.jsonl, are left out. When people disagree,
    build.conflicts decides, and each conflict is listed in OUTPUT.conflicts.jsonl.
    """
    from dataset_builder.config import BuildConfig
    from dataset_builder.folder.statistics import STATISTICS_NAME
    from formats.forgotten import FORGOTTEN_NAME
    from maskdpo.publishing.dataset import build_dataset
    from maskdpo.report.dataset_table import print_statistics
    from schemas.files.shard import Shard

    settings = config.section(BuildConfig, "build")
    sources = expand_inputs(
        annotations or (config.run.path("annotations.jsonl"),),
        made_by="make it with: maskdpo annotate (or maskdpo import)",
    )
    target = output or config.run.path("dataset")
    people = _find_reviews(config, sources, target, given=reviews, refused=no_reviews)
    result = build_dataset(
        settings,
        annotations=sources,
        output=target,
        reviews=people.reviews,
        pair_reviews=people.pair_reviews,
        evaluation_questions=expand_inputs(
            evaluation_questions,
            made_by="--evaluation-questions must be JSONL; see: maskdpo schema question",
        ),
        documents=expand_inputs(
            documents, made_by="--documents must be JSONL; see: maskdpo schema document"
        ),
        forgotten=[config.run.path(FORGOTTEN_NAME)],
        shard=Shard.parse(shard) if shard else None,
        agreement=agreement,
        workers=workers,
        plots=plots,
    )
    print_statistics(json.loads((result.output / STATISTICS_NAME).read_text(encoding="utf-8")))
    report_result(result, settings.max_failed)


@dataclass(frozen=True, kw_only=True)
class PeopleFiles:
    """The files of what people decided: about sentences, and about pairs."""

    reviews: Sequence[Path]
    pair_reviews: Sequence[Path]


def _find_reviews(
    config: RunConfig,
    annotations: Sequence[Path],
    output: Path,
    *,
    given: tuple[Path, ...],
    refused: bool,
) -> PeopleFiles:
    """The files of people's decisions: the given ones, else those that belong to the data.

    These are next to the annotations, or elsewhere (in the run directory; decisions about pairs
    also next to the output) if they are about a response of the annotations. Each file is
    printed, used or not.
    """
    if given and refused:
        raise ConfigError("--reviews and --no-reviews exclude each other")
    there = _files_that_belong(config, annotations, output)
    if given:
        made_by = "maskdpo import makes it from a sheet; for the rows see: maskdpo schema review"
        named = expand_inputs(given, made_by=made_by)
        used = {path.resolve() for path in named}
        for path in there:
            if path.name == PAIR_REVIEWS_NAME and path.resolve() not in used:
                click.echo(f"note: {path} is not used (--reviews names other files)", err=True)
        return _by_kind(named)
    found = []
    for path in there:
        is_elsewhere = path.parent not in {item.parent for item in annotations}
        if refused:
            click.echo(f"note: {path} is not used (--no-reviews)", err=True)
        elif is_elsewhere and not _reviews_any(path, annotations):
            click.echo(f"note: {path} is not used: it has no review of these responses", err=True)
        else:
            what = "decisions about pairs" if path.name == PAIR_REVIEWS_NAME else "reviews"
            click.echo(f"note: the {what} in {path} are used", err=True)
            found.append(path)
    return _by_kind(found)


def _files_that_belong(
    config: RunConfig, annotations: Sequence[Path], output: Path
) -> Sequence[Path]:
    """Each file with a name for people's decisions, once, in the folders of a build."""
    folders = dict.fromkeys([*(path.parent for path in annotations), config.run.dir])
    places = [folder / name for folder in folders for name in (*REVIEW_FILES, PAIR_REVIEWS_NAME)]
    places.append(output.parent / PAIR_REVIEWS_NAME)
    present: dict[Path, Path] = {}
    for path in places:
        if path.is_file():
            present.setdefault(path.resolve(), path)
    return list(present.values())


def _by_kind(paths: Sequence[Path]) -> PeopleFiles:
    from formats.reviews.pair_log import holds_pair_reviews

    about_pairs = {path for path in paths if holds_pair_reviews(path)}
    return PeopleFiles(
        reviews=[path for path in paths if path not in about_pairs],
        pair_reviews=[path for path in paths if path in about_pairs],
    )


def _reviews_any(path: Path, annotations: Sequence[Path]) -> bool:
    """Whether a file of people's decisions is about a response in these annotations."""
    from formats.reviews.log import read_reviews
    from formats.reviews.pair_log import read_pair_reviews
    from schemas.files.jsonl import read_ids

    if path.name == PAIR_REVIEWS_NAME:
        reviewed = {
            name
            for entry in read_pair_reviews(path)
            for name in (entry.review.chosen_id, entry.review.rejected_id)
        }
    else:
        reviewed = {entry.review.response_id for entry in read_reviews(path)}
    return any(name in reviewed for item in annotations for name in read_ids(item))
