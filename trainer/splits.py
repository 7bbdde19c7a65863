"""Both splits of a data set: the rows read, what became of them, and the files that list it.

The rule: every row that is read trains, is listed as failed, or is listed as dropped with its
reason; counts and files are made from the same lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.files.jsonl import write_records
from schemas.records import Failure
from schemas.stage import write_failures
from trainer.config import TrainConfig
from trainer.data import PairFiles, PairSet, read_pairs
from trainer.examples import Example, Prepared, prepare_examples

DROPPED = "dropped.jsonl"


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Both splits: the rows read, and what became of them."""

    train_rows: PairSet
    train: Prepared
    test_rows: PairSet
    test: Prepared

    @property
    def num_rows(self) -> int:
        """Number of rows read, valid and invalid."""
        return self.train_rows.num_rows + self.test_rows.num_rows

    @property
    def failures(self) -> list[Failure]:
        """Invalid rows."""
        return [*self.train_rows.failures, *self.test_rows.failures]

    @property
    def dropped(self) -> list[Failure]:
        """Pairs that cannot train."""
        return [*self.train.dropped, *self.test.dropped]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence of both splits."""
        sides = [side for item in self.examples for side in (item.chosen, item.rejected)]
        return [len(side.token_ids) for side in sides]

    @property
    def examples(self) -> list[Example]:
        """The examples of both splits."""
        return [*self.train.examples, *self.test.examples]


def prepare_splits(files: PairFiles, tokenizer: Any, config: TrainConfig) -> Splits:
    """Read and mask both splits. Raises InputError when no training pair is left."""
    train_rows = read_pairs(files.train, files.labels)
    test_rows = read_pairs(files.test, files.labels)
    splits = Splits(
        train_rows=train_rows,
        train=prepare_examples(train_rows.pairs, tokenizer, config),
        test_rows=test_rows,
        test=prepare_examples(test_rows.pairs, tokenizer, config),
    )
    if splits.train.examples:
        return splits
    if not train_rows.num_rows:
        raise InputError.of(files.name, "holds no training pairs: its files have no rows")
    lost = [*train_rows.failures, *splits.train.dropped]
    # A row without an id is identified by its place.
    first = lost[0].detail.removeprefix(f"{lost[0].id}: ")
    raise InputError.of(
        files.name,
        f"none of {train_rows.num_rows} training pairs can be used ({_listed_reasons(lost)}; "
        f"first: {lost[0].id}: {first})",
    )


def count_splits(splits: Splits) -> dict[str, int]:
    """Counts of rows, pairs and tokens; tokens are completion tokens of the training split."""
    sides = [
        side for example in splits.train.examples for side in (example.chosen, example.rejected)
    ]
    counts = {
        "rows": splits.num_rows,
        "pairs": len(splits.train.examples),
        "test_pairs": len(splits.test.examples),
        "tokens": sum(side.num_completion for side in sides),
        "active_tokens": sum(side.num_active for side in sides),
    }
    without = {pair.id for pair in splits.train_rows.pairs if pair.chosen_spans is None}
    if num_without := sum(example.id in without for example in splits.train.examples):
        counts["pairs_without_spans"] = num_without
    reasons = Counter(failure.reason for failure in splits.dropped)
    return counts | {f"dropped_{reason}": count for reason, count in sorted(reasons.items())}


def write_rejects(splits: Splits, output: Path) -> None:
    """Write failed rows next to the folder, and dropped pairs inside it."""
    write_failures(output, splits.failures)
    if splits.dropped:
        write_records(output / DROPPED, splits.dropped)
    else:
        (output / DROPPED).unlink(missing_ok=True)


def span_notes(splits: Splits, config: TrainConfig) -> list[str]:
    """One sentence about training pairs that have no spans, so that no sentence is masked."""
    count = sum(pair.chosen_spans is None for pair in splits.train_rows.pairs)
    if not count or not config.use_spans:
        return []
    return [
        f"{count} of {len(splits.train_rows.pairs)} training pairs have no sentence spans: they "
        "train as stock DPO, on every token of both answers"
    ]


def drop_notes(splits: Splits, output: Path) -> list[str]:
    """A note about pairs that could not train, if there are any."""
    if not splits.dropped:
        return []
    count = len(splits.dropped)
    return [
        f"{count} pairs could not train ({_listed_reasons(splits.dropped)}); see {output / DROPPED}"
    ]


def _listed_reasons(failures: Sequence[Failure]) -> str:
    reasons = Counter(failure.reason for failure in failures)
    return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
