"""`build`: annotations in, a data set folder out.

The rule: the folder depends only on the annotations' content and the settings. Rows are ordered by
question and response id, not by the input's order, and every response of the input is either in a
pair or counted under a reason.

The folder has no card and no pictures: `staged_build` yields it before it is moved into place, so
that the caller (`maskdpo.publishing.dataset`) can add them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.build_counts import make_notes, note_on_ignored
from dataset_builder.build_data import BuildInputs, WrittenData, write_data
from dataset_builder.build_question import build_question
from dataset_builder.config import BuildConfig
from dataset_builder.folder.agreement_record import read_agreement
from dataset_builder.folder.judge_record import read_judging
from dataset_builder.folder.manifest import make_manifest, write_statistics_and_manifest
from dataset_builder.folder.read import load_pairs
from dataset_builder.folder.write import check_replaceable, new_folder
from dataset_builder.review_outcome import (
    list_conflicts_of_nothing,
    notes_on_people,
    write_conflicts,
)
from dataset_builder.splits.empty_splits import find_empty
from dataset_builder.unused import Unused
from formats.forgotten import FORGOTTEN_NAME
from formats.reviews import PAIR_REVIEWS_NAME, REVIEWS_NAME
from formats.reviews.log import Logged
from formats.reviews.pair_log import PairDrops
from schemas.document_versions import find_stale_documents, notes_on_stale
from schemas.errors import InputError
from schemas.files.row_folder import list_row_files
from schemas.files.shard import Shard
from schemas.files.sidecar import describe_files
from schemas.records import Annotation, Failure, Pair
from schemas.stage import StageResult, write_failures

__all__ = ["Built", "build_pairs", "load_pairs", "run_build", "staged_build"]


@dataclass(frozen=True, kw_only=True)
class Built:
    """The pairs of all questions, ordered by question, and why other responses are in no pair.

    unused     by response id
    dropped    by question id
    """

    pairs: Sequence[Pair]
    unused: Mapping[str, Unused]
    dropped: Mapping[str, Unused]


@dataclass(frozen=True, kw_only=True)
class StagedDataset:
    """A data set in a temporary folder, and what its build reports."""

    folder: Path
    result: StageResult


def run_build(
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
) -> StageResult:
    """Build the data set folder `output`: data, statistics and manifest. See `staged_build`."""
    inputs = make_inputs(
        annotations=annotations,
        reviews=reviews,
        pair_reviews=pair_reviews,
        evaluation_questions=evaluation_questions,
        documents=documents,
        forgotten=forgotten,
    )
    with staged_build(
        config, inputs, output=output, shard=shard, agreement=agreement, workers=workers
    ) as staged:
        return staged.result


def make_inputs(
    *,
    annotations: Path | Sequence[Path],
    reviews: Sequence[Path] = (),
    pair_reviews: Sequence[Path] = (),
    evaluation_questions: Sequence[Path] = (),
    documents: Sequence[Path] = (),
    forgotten: Sequence[Path] = (),
) -> BuildInputs:
    """The files of a build in one order, with the lists of maskdpo forget next to annotations."""
    given = [annotations] if isinstance(annotations, Path) else sorted(annotations)
    paths = [file for path in given for file in list_row_files(path)]
    return BuildInputs(
        annotations=paths,
        reviews=sorted(reviews),
        pair_reviews=sorted(pair_reviews),
        evaluation_questions=sorted(evaluation_questions),
        documents=sorted(documents),
        forgotten=[*forgotten, *(path.with_name(FORGOTTEN_NAME) for path in paths)],
    )


@contextmanager
def staged_build(
    config: BuildConfig,
    inputs: BuildInputs,
    *,
    output: Path,
    shard: Shard | None = None,
    agreement: Path | None = None,
    workers: int | None = None,
    replaces: Collection[str] = (),
) -> Iterator[StagedDataset]:
    """A built data set, which is moved to `output` when the block ends without an error.

    shard       build these questions only; `dataset_builder.folder.merge` puts the parts together
    agreement   a report of `maskdpo agreement`, to record in the manifest
    workers     processes that read and build; None: by cores and size of the input
                (`build_data.count_workers`). It changes no byte.
    replaces    names of files that the caller adds to a data set folder; a new folder replaces them

    Raises InputError for faulty files and when the split `train` would have no pair (a shard may
    have none), ConfigError when `output` is anything other than a data set. Then nothing is
    written.
    """
    check_replaceable(output, replaces=replaces)
    measured = read_agreement(agreement) if agreement else None
    stale = find_stale_documents(inputs.annotations, inputs.documents)
    part = shard or Shard()
    is_whole = part.count == 1
    with new_folder(output, replaces=replaces) as folder:
        written = write_data(
            config, inputs, folder, shard=part, stale=stale.ids, num_workers=workers
        )
        if is_whole:
            _refuse_empty(written, config, inputs, output)
        parts = {} if is_whole else {"shard": str(part)}
        manifest = _describe_build(config, inputs, written, measured) | parts
        write_statistics_and_manifest(folder, manifest)
        notes = [
            *notes_on_people(written.counts, config, output, written.num_reviewers),
            *(make_notes(written.counts, config, folder) if is_whole else ()),
            *note_on_ignored(written.num_marked, config),
            *notes_on_stale(stale, "is not quoted"),
        ]
        result = make_result(output, written.counts, written.failures, notes)
        yield StagedDataset(folder=folder, result=result)
    write_failures(output, written.failures)
    write_conflicts(output, written.conflicts)


def build_pairs(
    rows: Iterable[Annotation],
    config: BuildConfig,
    *,
    reviews: Mapping[str, Sequence[Logged]] | None = None,
    drops: PairDrops | None = None,
) -> Built:
    """Select and weigh, question by question; the order of `rows` does not matter.

    `reviews` are by response id; `drops` are pairs that people dropped. Raises ConfigError for
    weights by confidence when a confidence is not a probability.
    """
    questions: dict[str, list[Annotation]] = {}
    for row in rows:
        questions.setdefault(row.question_id, []).append(row)
    pairs: list[Pair] = []
    unused: dict[str, Unused] = {}
    dropped: dict[str, Unused] = {}
    for question_id, responses in sorted(questions.items()):
        dropped_pairs = drops.of_question(question_id) if drops else {}
        outcome = build_question(responses, config, reviews=reviews, drops=dropped_pairs)
        pairs.extend(outcome.pairs)
        unused.update(outcome.selection.unused)
        if outcome.selection.dropped is not None:
            dropped[question_id] = outcome.selection.dropped
    return Built(pairs=pairs, unused=unused, dropped=dropped)


def _refuse_empty(
    written: WrittenData, config: BuildConfig, inputs: BuildInputs, output: Path
) -> None:
    """Raise InputError when the data set has nothing to train on."""
    empty = find_empty(written.counts, config)
    if empty is None:
        return
    listed = list_conflicts_of_nothing(output, written.conflicts)
    others = len(inputs.annotations) - 1
    named = f"{inputs.annotations[0]}{f' (and {others} more)' if others else ''}"
    raise InputError.of(named, empty + listed)


def _describe_build(
    config: BuildConfig,
    inputs: BuildInputs,
    written: WrittenData,
    measured: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The manifest, without what `write_statistics_and_manifest` adds."""
    described = _describe_inputs(inputs)
    return {
        **make_manifest(config, inputs=described, counts=written.counts, files=written.files),
        **written.provenance.to_dict(),
        "agreement": measured,
        "judging": read_judging(inputs.annotations),
        **({"reviewers": written.num_reviewers} if written.num_reviewers else {}),
    }


def _describe_inputs(inputs: BuildInputs) -> dict[str, dict[str, Any]]:
    """Hash and size of each input by its name; equal names are numbered.

    Files of reviews are not listed under their names, which may be names of people.
    """
    return describe_files(
        [
            *inputs.annotations,
            *inputs.reviews,
            *inputs.pair_reviews,
            *inputs.evaluation_questions,
            *inputs.documents,
        ],
        names=dict.fromkeys(inputs.reviews, REVIEWS_NAME)
        | dict.fromkeys(inputs.pair_reviews, PAIR_REVIEWS_NAME),
    )


def make_result(
    output: Path, counts: Mapping[str, int], failures: Sequence[Failure], notes: Sequence[str]
) -> StageResult:
    """The report of a build or merge; refused reviews count as rows."""
    return StageResult(
        output=output,
        num_rows=counts["responses"] + counts.get("reviews_refused", 0),
        failures=failures,
        counts=counts,
        notes=notes,
    )
