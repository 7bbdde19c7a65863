"""The counts of a build: its input, and the outcome of each response and question.

The rule: every count is a sum over questions, so the counts of shards add up to those of the whole,
and three equations always hold:

    responses = responses_in_pairs + all unused_*
    questions = questions_in_pairs + all dropped_*
    reviews   = reviews_applied + _superseded + _in_conflict + _without_label + _refused
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_builder.build_question import Outcome
from dataset_builder.config import BuildConfig
from dataset_builder.folder.write import PAIRS, SENTENCES, parquet_name
from dataset_builder.review_outcome import REVIEW_COUNTS
from dataset_builder.splits.empty_splits import OF_TEST, note_on_test
from dataset_builder.splits.near_topics import find_near_topics, topics_by_split
from dataset_builder.splits.splits import Split
from dataset_builder.unused import EXPLANATIONS, FAULTY, LEAKING, Unused
from formats.reviews.conflicts import Conflict
from schemas.labels import Label
from schemas.records import Failure

# The first counts are in every manifest, the others only where they are not 0.
_ALWAYS = (
    "responses",
    "questions",
    "topics",
    "sentences",
    "verdicts_person",
    "verdicts_judge",
    "pairs",
    "responses_in_pairs",
    "questions_in_pairs",
    "active_chosen",
    "active_rejected",
)
_SOMETIMES = (
    *REVIEW_COUNTS,
    "forgotten",
    OF_TEST,
    *(f"label_{label}" for label in Label),
    *(f"unused_{reason}" for reason in Unused),
    *(f"dropped_{reason}" for reason in Unused),
)
_ROWS = tuple(f"{name}_{split}" for name in (PAIRS, SENTENCES) for split in Split)
LEAK_SHARE_TO_NOTE = 0.2


@dataclass(kw_only=True)
class BuildCounts:
    """Counts, failed rows and conflicts between people; added question by question."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    num_reviewers: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one question."""
        counts, selection = self.counts, outcome.selection
        counts["questions"] += 1
        counts["responses"] += len(outcome.rows)
        counts.update(outcome.review_counts)
        counts["reviews"] += sum(
            count for name, count in outcome.review_counts.items() if name.startswith("reviews_")
        )
        self.conflicts.extend(outcome.conflicts)
        self.failures.extend(outcome.refused)
        for row in outcome.rows:
            counts["sentences"] += len(row.sentences)
            for sentence in row.sentences:
                counts[f"label_{sentence.verdict.label}"] += 1
                counts[f"verdicts_{sentence.verdict.source}"] += 1
        counts["pairs"] += len(outcome.pairs)
        counts["responses_in_pairs"] += len(outcome.rows) - len(selection.unused)
        counts["questions_in_pairs"] += selection.dropped is None
        for pair in outcome.pairs:
            counts["active_chosen"] += _num_active(pair.chosen_spans or ())
            counts["active_rejected"] += _num_active(pair.rejected_spans or ())
        for reason in selection.unused.values():
            counts[f"unused_{reason}"] += 1
        if selection.dropped is not None:
            counts[f"dropped_{selection.dropped}"] += 1
        counts[OF_TEST] += outcome.split is Split.TEST
        self._add_failures(outcome)

    def refuse(self, refused: Iterable[Failure]) -> None:
        """Count reviews of responses that are not in the input."""
        for failure in refused:
            self.counts["reviews"] += 1
            self.counts["reviews_refused"] += 1
            self.failures.append(failure)

    def _add_failures(self, outcome: Outcome) -> None:
        reason = outcome.selection.dropped
        if reason not in FAULTY or reason is None:
            return
        for row in outcome.rows:
            detail = f"question {row.question_id!r}: {EXPLANATIONS[reason]}"
            self.failures.append(Failure(id=row.id, stage="build", reason=reason, detail=detail))


def order_counts(
    counts: Mapping[str, int], files: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    """Counts as they are in a manifest: in a fixed order, the rows per split last."""
    rows = {
        f"{name}_{split}": files.get(parquet_name(name, split), {}).get("rows", 0)
        for name in (PAIRS, SENTENCES)
        for split in Split
    }
    return {
        **{name: counts.get(name, 0) for name in _ALWAYS},
        **{name: counts[name] for name in _SOMETIMES if counts.get(name)},
        **rows,
    }


def add_counts(parts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """The sums of the counts of several shards, without the rows per split."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update({name: count for name, count in part.items() if name not in _ROWS})
    return total


def sort_failures(failures: Iterable[Failure]) -> list[Failure]:
    """Failures in a fixed order."""
    return sorted(failures, key=lambda row: (row.stage, row.id, row.reason, row.detail))


def make_notes(counts: Mapping[str, int], config: BuildConfig, folder: Path) -> list[str]:
    """Notes for the user on the data set in `folder`, in addition to its counts."""
    empty = note_on_test(counts, config)
    notes = [empty] if empty is not None else []
    num_leaking = sum(counts.get(f"dropped_{reason}", 0) for reason in LEAKING)
    if num_leaking > LEAK_SHARE_TO_NOTE * counts["questions"]:
        notes += _notes_on_leaks(counts, config)
    near = find_near_topics(topics_by_split(folder)).describe()
    if near is not None:
        notes.append(near)
    if counts.get("forgotten"):
        notes.append(
            f"{counts['forgotten']} responses and reviews are left out because they were removed "
            "(maskdpo forget)"
        )
    return notes


def _notes_on_leaks(counts: Mapping[str, int], config: BuildConfig) -> Iterator[str]:
    """One note for each filter that dropped questions."""
    for reason, why, setting in (
        (
            Unused.IN_EVALUATION,
            "they share their words with an evaluation question",
            f"build.decontaminate_words ({config.decontaminate_words})",
        ),
        (
            Unused.NEAR_DUPLICATE,
            f"they are nearly the same as a question of the split '{Split.TEST}'",
            f"build.near_duplicate ({config.near_duplicate:g})",
        ),
    ):
        if num_dropped := counts.get(f"dropped_{reason}", 0):
            yield (
                f"{num_dropped} of {counts['questions']} questions were dropped from train because "
                f"{why}; if they only look alike, raise {setting}"
            )


def _num_active(spans: Iterable[Any]) -> int:
    return sum(span.weight > 0.0 for span in spans)
