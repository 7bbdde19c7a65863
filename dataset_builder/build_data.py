"""The Parquet files of a build, question by question.

The rule: memory holds some blocks of questions and one row group per file, however large the input
is, and every response of the input is either in a pair or counted under a reason. Blocks are added
in the order of their questions, so the number of worker processes changes no byte.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataset_builder.build_block import BlockBuilder, BuildPlan
from dataset_builder.build_counts import BuildCounts, order_counts, sort_failures
from dataset_builder.config import BuildConfig
from dataset_builder.folder.provenance import Provenance
from dataset_builder.folder.write import DataWriter
from dataset_builder.input_index import InputIndex
from dataset_builder.quoted_evidence import Quotes
from dataset_builder.reading.heads import HeadReader
from dataset_builder.splits.leaks import make_leak_finder
from dataset_builder.workers import Workers
from formats.forgotten import Forgotten
from formats.reviews.conflicts import Conflict
from formats.reviews.decisions import refusal
from formats.reviews.names import make_pseudonyms
from formats.reviews.pair_log import PairDrops, read_all_pair_reviews
from schemas.files.shard import Shard
from schemas.records import Failure
from schemas.reviews import Review

MIN_BYTES_PER_WORKER = 16 << 20


@dataclass(frozen=True, kw_only=True)
class BuildInputs:
    """The input files of a build; the rows of all files of a kind are one set.

    reviews               people's verdicts, which replace the annotations' verdicts
    pair_reviews          people's decisions about pairs: a dropped one is left out
    evaluation_questions  questions that no training question may resemble
    documents             quoted as evidence if their licence permits it
    forgotten             lists of removed rows, which must not return (`formats.forgotten`)
    """

    annotations: Sequence[Path]
    reviews: Sequence[Path] = ()
    pair_reviews: Sequence[Path] = ()
    evaluation_questions: Sequence[Path] = ()
    documents: Sequence[Path] = ()
    forgotten: Sequence[Path] = ()


@dataclass(frozen=True, kw_only=True)
class WrittenData:
    """The input of the Parquet files, and counts.

    files       hash, size and rows of each file by name
    failures    failed rows and refused reviews, in order
    num_marked  sentences with error spans
    """

    counts: Mapping[str, int]
    files: Mapping[str, Mapping[str, Any]]
    provenance: Provenance
    failures: Sequence[Failure]
    conflicts: Sequence[Conflict]
    num_reviewers: int
    num_marked: int = 0


def write_data(
    config: BuildConfig,
    inputs: BuildInputs,
    folder: Path,
    *,
    shard: Shard,
    stale: Collection[str] = (),
    num_workers: int | None = None,
) -> WrittenData:
    """Write the Parquet files of the data set into `folder`.

    stale         ids of documents that changed after the annotation; they are not quoted
    num_workers   processes that read and build; None: by the size of the input
    """
    counted, provenance = BuildCounts(config=config), Provenance()
    reader = HeadReader(config=config, shard=shard, forgotten=Forgotten.read(*inputs.forgotten))
    with (
        # Next to the data: the size of the input's index; removed before the folder is moved.
        TemporaryDirectory(dir=folder, prefix=".scratch") as scratch,
        InputIndex(Path(scratch), reader) as index,
        Workers(num_workers or count_workers(inputs.annotations)) as workers,
        DataWriter(folder, pieces=config.has_pieces) as writer,
    ):
        index.load(inputs.annotations, inputs.reviews, workers=workers)
        plan = _make_plan(config, inputs, index, stale)
        for built in workers.map(partial(BlockBuilder, plan), index.blocks()):
            if built.error is not None and not index.faults:
                raise built.error
            index.faults += built.faults
            if not index.faults:
                counted.add_block(built.counts)
                provenance.add_block(built.provenance)
                for name, rows in built.tables.items():
                    writer.add_table(name, rows)
        index.raise_faults()
        if shard.index == 1:  # so that the shards count each once
            counted.refuse(map(_refuse_stray, index.reviews.strays()))
        counted.num_reviewers = len(index.reviews.reviewers())
        counted.count_drops(plan.drops)
        counted.counts["topics"] = index.num_topics()
        counted.counts["forgotten"] = index.num_forgotten
    files = writer.files()
    return WrittenData(
        counts=order_counts(counted.counts, files),
        files=files,
        provenance=provenance,
        failures=sort_failures(counted.failures),
        conflicts=counted.conflicts,
        num_reviewers=counted.num_reviewers,
        num_marked=counted.num_marked,
    )


def _make_plan(
    config: BuildConfig, inputs: BuildInputs, index: InputIndex, stale: Collection[str]
) -> BuildPlan:
    """The plan for all questions of a loaded index, whose database is then shared."""
    drops = PairDrops.of(index.kept_decisions(read_all_pair_reviews(inputs.pair_reviews)))
    reviewers = index.reviews.reviewers()
    plan = BuildPlan(
        config=config,
        scratch=index.scratch,
        paths=index.paths,
        reviews=index.reviews,
        drops=drops,
        find_leak=make_leak_finder(config, index, inputs.evaluation_questions),
        topic_name=index.prompts.topic_name,
        quotes=_read_quotes(config, index, inputs.documents, stale),
        pseudonyms=None if config.publish_names else make_pseudonyms(reviewers),
    )
    index.scratch.share()
    return plan


def count_workers(annotations: Sequence[Path]) -> int:
    """The default number of workers: this process's cores, and 1 for a small input.

    A worker needs about a second to start, and about 150 MB of memory.
    """
    size = sum(path.stat().st_size for path in annotations if path.is_file())
    # Not on every system: the cores that this process may use, fewer than all in a container.
    may_use = getattr(os, "sched_getaffinity", None)
    num_cores = len(may_use(0)) if may_use is not None else os.cpu_count() or 1
    return max(1, min(num_cores, size // MIN_BYTES_PER_WORKER))


def _read_quotes(
    config: BuildConfig, index: InputIndex, documents: Sequence[Path], stale: Collection[str]
) -> Quotes | None:
    """The text of evidence; None without documents: then only offsets are written."""
    if not documents:
        return None
    quotes = Quotes(index.scratch, config.quote_licenses, stale=stale)
    for path in documents:
        quotes.add_all(path)
    return quotes


def _refuse_stray(review: Review) -> Failure:
    message = "no annotation has this response's id, so the review changes nothing"
    return refusal(review, "unknown_response", message)
