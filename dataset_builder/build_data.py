"""The Parquet files of a build, question by question.

The rule: memory holds one question and one row group per file, however large the input is, and
every response of the input is either in a pair or counted under a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataset_builder.build_counts import BuildCounts, order_counts, sort_failures
from dataset_builder.build_question import Outcome, build_question
from dataset_builder.config import BuildConfig
from dataset_builder.folder.provenance import Provenance
from dataset_builder.folder.write import PAIRS, SENTENCES, DataWriter
from dataset_builder.input_index import InputIndex
from dataset_builder.pairs import sentence_rows
from dataset_builder.quoted_evidence import DescribeEvidence, Quotes, describe_place
from dataset_builder.splits.leaks import make_leak_finder
from formats.forgotten import Forgotten
from formats.reviews.conflicts import Conflict
from formats.reviews.decisions import refusal
from formats.reviews.names import make_pseudonyms
from formats.reviews.pair_log import PairDrops, read_all_pair_reviews
from schemas.records import Failure
from schemas.reviews import Review
from schemas.shard import Shard


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
) -> WrittenData:
    """Write the Parquet files of the data set into `folder`.

    stale   ids of documents that changed after the annotation; they are not quoted
    """
    counted, provenance = BuildCounts(config=config), Provenance()
    with (
        # Next to the data: the size of the input's index; removed before the folder is moved.
        TemporaryDirectory(dir=folder, prefix=".scratch") as scratch,
        InputIndex(Path(scratch), config, shard, Forgotten.read(*inputs.forgotten)) as index,
        DataWriter(folder, pieces=config.has_pieces) as writer,
    ):
        index.load(inputs.annotations, inputs.reviews)
        drops = PairDrops.of(index.kept_decisions(read_all_pair_reviews(inputs.pair_reviews)))
        reviewers = index.reviews.reviewers()
        counted.num_reviewers = len(reviewers)
        pseudonyms = None if config.publish_names else make_pseudonyms(reviewers)
        find_leak = make_leak_finder(config, index, inputs.evaluation_questions)
        describe = _make_describe(config, index, inputs.documents, stale)
        for responses in index.questions():
            outcome = build_question(
                responses,
                config,
                reviews=index.reviews.of(responses),
                drops=drops.of_question(responses[0].question_id),
                find_leak=find_leak,
                topic_name=index.prompts.topic_name,
            )
            counted.add(outcome)
            provenance.add_question(outcome.rows)
            for licenses in _write_outcome(outcome, writer, describe, pseudonyms):
                provenance.quoted.update(licenses)
        index.raise_faults()
        if shard.index == 1:  # so that the shards count each once
            counted.refuse(map(_refuse_stray, index.reviews.strays()))
        counted.count_drops(drops)
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


def _make_describe(
    config: BuildConfig, index: InputIndex, documents: Sequence[Path], stale: Collection[str]
) -> DescribeEvidence:
    """How evidence is written: its offsets, and its text if documents are given."""
    quotes = Quotes(index.connection, config.quote_licenses, stale=stale)
    for path in documents:
        quotes.add_all(path)
    return quotes.describe if documents else describe_place


def _write_outcome(
    outcome: Outcome,
    writer: DataWriter,
    describe: DescribeEvidence,
    pseudonyms: Mapping[str, str] | None,
) -> Iterator[list[str]]:
    """Write the rows of one question; yields the licences of what each sentence quotes."""
    if outcome.split is None:
        return
    for pair in outcome.pairs:
        writer.add(PAIRS, outcome.split, pair.model_dump(mode="json"))
    for row in outcome.rows:
        replaced = outcome.replaced.get(row.id)
        for values in sentence_rows(row, replaced, describe=describe, pseudonyms=pseudonyms):
            writer.add(SENTENCES, outcome.split, values)
            yield [item["license"] for item in values["evidence"] if item["license"]]


def _refuse_stray(review: Review) -> Failure:
    message = "no annotation has this response's id, so the review changes nothing"
    return refusal(review, "unknown_response", message)
