"""`build`: annotations in, a data set folder out.

The rule that makes it correct: the folder is a function of the annotations' content and the
settings. Rows are ordered by question and response id, not by the input's order, and every
response of the input is either in a pair or counted under a reason. Memory holds one question and
one row group a file, whatever the input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataset_builder.build_counts import (
    Tally,
    make_notes,
    order_counts,
    sort_failures,
)
from dataset_builder.build_question import Outcome, build_question
from dataset_builder.config import BuildConfig
from dataset_builder.folder.finish import Draw, finish_folder, read_agreement
from dataset_builder.folder.judge_record import read_judging
from dataset_builder.folder.provenance import Provenance
from dataset_builder.folder.read import load_pairs
from dataset_builder.folder.write import (
    PAIRS,
    PAIRS_FORMAT,
    SENTENCES,
    DataWriter,
    check_replaceable,
    new_folder,
)
from dataset_builder.input_index import Shard, Spool
from dataset_builder.pairs import sentence_rows
from dataset_builder.quoted_evidence import DescribeEvidence, Quotes, describe_place
from dataset_builder.review_outcome import (
    list_conflicts_of_nothing,
    notes_on_people,
    write_conflicts,
)
from dataset_builder.splits.empty_splits import find_empty
from dataset_builder.splits.leaks import make_leak_finder
from dataset_builder.unused import Unused
from formats.forgotten import FORGOTTEN_NAME, Forgotten
from formats.reviews import REVIEWS_NAME
from formats.reviews.decisions import refusal
from formats.reviews.log import Logged
from formats.reviews.names import make_pseudonyms
from schemas.document_versions import find_stale_documents, notes_on_stale
from schemas.errors import InputError
from schemas.files.sidecar import describe_files, make_sidecar
from schemas.records import Annotation, Failure, Pair
from schemas.reviews import Review
from schemas.stage import StageResult, write_failures

__all__ = ["Built", "build_pairs", "load_pairs", "run_build"]


@dataclass(frozen=True, kw_only=True)
class Built:
    """The pairs of all questions, ordered by question, and why the other responses are in none.

    unused     by response id
    dropped    by question id
    """

    pairs: Sequence[Pair]
    unused: Mapping[str, Unused]
    dropped: Mapping[str, Unused]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The files of a build, in any order; of each kind their rows are one set.

    reviews               people's verdicts, which beat the annotations'
    evaluation_questions  what no training question may be like
    documents             quoted as evidence where their licence permits it
    forgotten             lists of what must not be in a data set (`formats.forgotten`)
    """

    annotations: Sequence[Path]
    reviews: Sequence[Path] = ()
    evaluation_questions: Sequence[Path] = ()
    documents: Sequence[Path] = ()
    forgotten: Sequence[Path] = ()


def run_build(
    config: BuildConfig,
    *,
    annotations: Path | Sequence[Path],
    output: Path,
    reviews: Sequence[Path] = (),
    evaluation_questions: Sequence[Path] = (),
    documents: Sequence[Path] = (),
    forgotten: Sequence[Path] = (),
    shard: Shard | None = None,
    agreement: Path | None = None,
    draw: Draw | None = None,
) -> StageResult:
    """Build the data set folder `output`, replacing one that `build` made before.

    forgotten   lists of maskdpo forget; those next to the annotations are read as well
    shard       build these questions only; `dataset_builder.folder.merge` puts the parts together
    agreement   a report of `maskdpo agreement`, for the card
    draw        makes the card's pictures from the statistics; none without it

    Raises InputError for faulty files and when no pair of the split `train` can be made (a shard
    may have none), ConfigError when `output` holds anything else; nothing is written then.
    """
    check_replaceable(output)
    measured = read_agreement(agreement) if agreement else None
    paths = [annotations] if isinstance(annotations, Path) else sorted(annotations)
    stale = find_stale_documents(paths, documents)
    inputs = Inputs(
        annotations=paths,
        reviews=sorted(reviews),
        evaluation_questions=sorted(evaluation_questions),
        documents=sorted(documents),
        forgotten=[*forgotten, *(path.with_name(FORGOTTEN_NAME) for path in paths)],
    )
    part = shard or Shard()
    with new_folder(output) as folder:
        tally, provenance, files = _build_data(config, inputs, folder, part, stale.ids)
        counts = order_counts(tally.counts, files)
        empty = find_empty(counts, config) if part.count == 1 else None
        if empty is not None:
            listed = list_conflicts_of_nothing(output, tally.conflicts)
            raise InputError.of(_name_all(paths), empty + listed)
        manifest = {
            **make_manifest(config, inputs=describe_inputs(inputs), counts=counts, files=files),
            **provenance.to_dict(),
            "agreement": measured,
            "judging": read_judging(paths),
            **({"reviewers": tally.num_reviewers} if tally.num_reviewers else {}),
            **({"shard": str(part)} if part.count > 1 else {}),
        }
        finish_folder(folder, manifest, config, draw=draw)
    failures = sort_failures(tally.failures)
    write_failures(output, failures)
    write_conflicts(output, tally.conflicts)
    return StageResult(
        output=output,
        num_rows=counts["responses"] + counts.get("reviews_refused", 0),
        failures=failures,
        counts=counts,
        notes=[
            *notes_on_people(counts, config, output, tally.num_reviewers),
            *(make_notes(counts, config, output) if part.count == 1 else ()),
            *notes_on_stale(stale, "is not quoted"),
        ],
    )


def build_pairs(
    rows: Iterable[Annotation],
    config: BuildConfig,
    *,
    reviews: Mapping[str, Sequence[Logged]] | None = None,
) -> Built:
    """Select and weigh, question by question; pure, and the same for any order of `rows`."""
    questions: dict[str, list[Annotation]] = {}
    for row in rows:
        questions.setdefault(row.question_id, []).append(row)
    pairs: list[Pair] = []
    unused: dict[str, Unused] = {}
    dropped: dict[str, Unused] = {}
    for question_id, responses in sorted(questions.items()):
        outcome = build_question(responses, config, reviews=reviews)
        pairs.extend(outcome.pairs)
        unused.update(outcome.selection.unused)
        if outcome.selection.dropped is not None:
            dropped[question_id] = outcome.selection.dropped
    return Built(pairs=pairs, unused=unused, dropped=dropped)


def make_manifest(
    config: BuildConfig,
    *,
    inputs: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int],
    files: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What made the folder. No timings: two builds of one input are the same, byte for byte."""
    sidecar = make_sidecar(
        PAIRS_FORMAT,
        config=config.model_dump(mode="json"),
        inputs=[],
        packages=["pyarrow"],
        counts=counts,
    )
    return {
        **sidecar.model_dump(exclude={"timings", "models", "served", "prompts"}),
        "inputs": {name: dict(entry) for name, entry in inputs.items()},
        "files": dict(files),
    }


def describe_inputs(inputs: Inputs) -> dict[str, dict[str, Any]]:
    """Hash and size of each input by its name; where several have one name, they are numbered.

    Files of reviews are not called by their names, which may be people's.
    """
    return describe_files(
        [
            *inputs.annotations,
            *inputs.reviews,
            *inputs.evaluation_questions,
            *inputs.documents,
        ],
        names=dict.fromkeys(inputs.reviews, REVIEWS_NAME),
    )


def _build_data(
    config: BuildConfig, inputs: Inputs, folder: Path, shard: Shard, stale: Collection[str]
) -> tuple[Tally, Provenance, dict[str, dict[str, Any]]]:
    """Write the Parquet files, question by question."""
    tally, provenance = Tally(), Provenance()
    with (
        # Beside the data: as large as the index of the input, and gone before the folder is moved.
        TemporaryDirectory(dir=folder, prefix=".scratch") as scratch,
        Spool(Path(scratch), config, shard, Forgotten.read(*inputs.forgotten)) as spool,
        DataWriter(folder) as writer,
    ):
        spool.load(inputs.annotations, inputs.reviews)
        reviewers = spool.reviewers()
        tally.num_reviewers = len(reviewers)
        pseudonyms = None if config.publish_names else make_pseudonyms(reviewers)
        find_leak = make_leak_finder(config, spool, inputs.evaluation_questions)
        quotes = Quotes(spool.connection, config.quote_licenses, stale=stale)
        for path in inputs.documents:
            quotes.add_all(path)
        for responses in spool.questions():
            outcome = build_question(
                responses,
                config,
                reviews=spool.reviews_of(responses),
                find_leak=find_leak,
                topic_name=spool.prompts.topic_name,
            )
            tally.add(outcome)
            provenance.add_question(outcome.rows)
            describe = quotes.describe if inputs.documents else describe_place
            for licenses in _write_outcome(outcome, writer, describe, pseudonyms):
                provenance.quoted.update(licenses)
        spool.raise_faults()
        tally.refuse(_stray(review) for review in spool.stray_reviews())
        tally.counts["topics"] = spool.num_topics()
        tally.counts["forgotten"] = spool.num_forgotten
    return tally, provenance, writer.files()


def _write_outcome(
    outcome: Outcome,
    writer: DataWriter,
    describe: DescribeEvidence,
    pseudonyms: Mapping[str, str] | None,
) -> Iterator[list[str]]:
    """Write the rows of one question; answers the licences of what each sentence quotes."""
    if outcome.split is None:
        return
    for pair in outcome.pairs:
        writer.add(PAIRS, outcome.split, pair.model_dump(mode="json"))
    for row in outcome.rows:
        replaced = outcome.replaced.get(row.id)
        for values in sentence_rows(row, replaced, describe=describe, pseudonyms=pseudonyms):
            writer.add(SENTENCES, outcome.split, values)
            yield [item["license"] for item in values["evidence"] if item["license"]]


def _stray(review: Review) -> Failure:
    message = "no annotation has this response's id, so the review changes nothing"
    return refusal(review, "unknown_response", message)


def _name_all(paths: Sequence[Path]) -> str:
    others = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{paths[0]}{others}"
