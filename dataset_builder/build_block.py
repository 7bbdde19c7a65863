"""Neighbouring questions, from their rows in the input to rows of the data set and counts.

The rule: the result of a block depends only on its questions and the plan, so blocks can be built
by any process in any order, and the whole is the blocks added in the order of their questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_builder.build_counts import BuildCounts
from dataset_builder.build_question import Outcome, build_question
from dataset_builder.config import BuildConfig
from dataset_builder.folder.provenance import Provenance
from dataset_builder.folder.sentence_table import SentenceTable
from dataset_builder.folder.write import PAIRS, SENTENCES, data_schemas, parquet_name
from dataset_builder.indexed_reviews import IndexedReviews
from dataset_builder.input_index import Block, BlockReader
from dataset_builder.quoted_evidence import Quoted, Quotes, quote_nothing
from dataset_builder.reading.scratch import Scratch
from dataset_builder.splits.leaks import LeakFinder
from dataset_builder.splits.splits import Split
from formats.reviews.pair_log import PairDrops
from schemas.errors import Fault, MaskDpoError
from schemas.records import Annotation, Evidence


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """What decides the result of a question in addition to its rows; a worker gets a copy.

    scratch      where the rows are; shared (`Scratch.share`) before another process reads it
    paths        the files of rows
    quotes       the text of evidence; None: only its offsets are written
    pseudonyms   by reviewer; None: names are written
    """

    config: BuildConfig
    scratch: Scratch
    paths: Sequence[Path]
    reviews: IndexedReviews
    drops: PairDrops
    find_leak: LeakFinder
    topic_name: Callable[[str], str]
    quotes: Quotes | None
    pseudonyms: Mapping[str, str] | None


@dataclass(kw_only=True)
class BuiltBlock:
    """The result of one block.

    tables    Arrow tables by name of their file (`folder.write.parquet_name`)
    faults    of the input's rows; with any, the rest is not complete
    error     what stops the build at a question of the block without a fault before it; the rows
              after that question were only checked
    """

    counts: BuildCounts
    provenance: Provenance = field(default_factory=Provenance)
    tables: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    error: MaskDpoError | None = None


class BlockBuilder:
    """Builds blocks in one process."""

    def __init__(self, plan: BuildPlan) -> None:
        self._plan = plan
        self._reader = BlockReader(plan.scratch, plan.paths)
        self._schemas = data_schemas(pieces=plan.config.has_pieces)

    def __call__(self, block: Block) -> BuiltBlock:
        """Build one block."""
        built = BuiltBlock(counts=BuildCounts(config=self._plan.config))
        rows = {split: self._no_rows(built.provenance) for split in Split}
        for responses in self._reader.read(block, built.faults):
            if built.faults or built.error is not None:
                continue  # the rest is read for its faults
            try:
                outcome = self._build(responses)
            except MaskDpoError as error:
                built.error = error
                continue
            built.counts.add(outcome)
            built.provenance.add_question(outcome.rows)
            if outcome.split is not None:
                rows[outcome.split].add(outcome)
        if not built.faults and built.error is None:
            for split, added in rows.items():
                for name, table in added.tables(self._schemas).items():
                    built.tables[parquet_name(name, split)] = table
        return built

    def close(self) -> None:
        """Close the input's files."""
        self._reader.close()

    def _build(self, responses: Sequence[Annotation]) -> Outcome:
        plan = self._plan
        return build_question(
            responses,
            plan.config,
            reviews=plan.reviews.of(responses),
            drops=plan.drops.of_question(responses[0].question_id),
            find_leak=plan.find_leak,
            topic_name=plan.topic_name,
        )

    def _no_rows(self, provenance: Provenance) -> _Rows:
        quotes = self._plan.quotes

        def quote(evidence: Evidence) -> Quoted:
            assert quotes is not None
            text, license_id = quotes.quote(evidence)
            if license_id:
                provenance.quoted[license_id] += 1
            return text, license_id

        return _Rows(
            pairs=[],
            sentences=SentenceTable(
                self._schemas[SENTENCES],
                quote=quote if quotes is not None else quote_nothing,
                pseudonyms=self._plan.pseudonyms,
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """The rows of one split."""

    pairs: list[Mapping[str, Any]]
    sentences: SentenceTable

    def add(self, outcome: Outcome) -> None:
        self.pairs.extend(pair.model_dump(mode="json") for pair in outcome.pairs)
        for row in outcome.rows:
            self.sentences.add(row, outcome.replaced.get(row.id))

    def tables(self, schemas: Mapping[str, Any]) -> dict[str, Any]:
        """The tables by configuration."""
        import pyarrow as pa

        return {
            PAIRS: pa.Table.from_pylist(self.pairs, schema=schemas[PAIRS]),
            SENTENCES: self.sentences.to_arrow(),
        }
