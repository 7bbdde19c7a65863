"""The counts of a build: its input, and the outcome of each response and question.

The rule: every count is a sum over questions, so the counts of shards add up to those of the whole,
and three equations always hold:

    responses = responses_in_pairs + all unused_*
    questions = questions_in_pairs + all dropped_*
    reviews   = reviews_applied + _superseded + _in_conflict + _resolved + _withdrawn
                + _without_label + _refused
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
from dataset_builder.review_outcome import PAIR_COUNTS, REVIEW_COUNTS
from dataset_builder.splits.empty_splits import OF_TEST, note_on_test
from dataset_builder.splits.near_topics import find_near_topics, topics_by_split
from dataset_builder.splits.splits import Split
from dataset_builder.unused import EXPLANATIONS, FAULTY, LEAKING, Unused
from dataset_builder.weights import lacks_wrong_words, measure_active
from formats.human_spans import collect
from formats.reviews.conflicts import Conflict
from formats.reviews.pair_log import PairDrops
from schemas.error_spans import given_places
from schemas.labels import HALLUCINATED_LABELS, Label, Side
from schemas.records import Annotation, Failure
from schemas.text.counted import count_of

# Only with granularity span, and then also if 0: error spans, hallucinated sentences with and
# without any in them, and responses that cannot be a rejected side: only punctuation was marked.
MARKED_COUNTS = (
    "error_spans",
    "hallucinated_with_error_spans",
    "hallucinated_without_error_spans",
    "responses_without_wrong_words",
)
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
    *PAIR_COUNTS,
    "forgotten",
    OF_TEST,
    *MARKED_COUNTS,
    *(f"label_{label}" for label in Label),
    *(f"unused_{reason}" for reason in Unused),
    *(f"dropped_{reason}" for reason in Unused),
)
_ROWS = tuple(f"{name}_{split}" for name in (PAIRS, SENTENCES) for split in Split)
LEAK_SHARE_TO_NOTE = 0.2


@dataclass(kw_only=True)
class BuildCounts:
    """Counts, failed rows and conflicts between people; added question by question.

    num_marked   sentences with error spans
    used_drops   drops of people that left a pair out
    """

    config: BuildConfig
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    num_reviewers: int = 0
    num_marked: int = 0
    used_drops: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one question."""
        counts, selection = self.counts, outcome.selection
        counts["questions"] += 1
        counts["responses"] += len(outcome.rows)
        counts.update(outcome.review_counts)
        if not self.config.has_pieces:  # they decide nothing then
            counts.pop("wrong_words_differ", None)
        counts["reviews"] += sum(
            count for name, count in outcome.review_counts.items() if name.startswith("reviews_")
        )
        self.conflicts.extend(outcome.conflicts)
        self.failures.extend(outcome.refused)
        verdicts = Counter(
            (sentence.verdict.label, sentence.verdict.source)
            for row in outcome.rows
            for sentence in row.sentences
        )
        for (label, source), count in verdicts.items():
            counts["sentences"] += count
            counts[f"label_{label}"] += count
            counts[f"verdicts_{source}"] += count
        for row in outcome.rows:
            self._count_marked(row)
        counts["pairs"] += len(outcome.pairs)
        counts["pairs_dropped_by_people"] += outcome.dropped_pairs
        self.used_drops += outcome.used_drops
        counts["responses_in_pairs"] += len(outcome.rows) - len(selection.unused)
        counts["questions_in_pairs"] += selection.dropped is None
        for choice in selection.choices:
            for side, chosen in ((Side.CHOSEN, choice.chosen), (Side.REJECTED, choice.rejected)):
                num_active, _ = measure_active(chosen.annotation, side, self.config)
                counts[f"active_{side}"] += num_active
        for reason in selection.unused.values():
            counts[f"unused_{reason}"] += 1
        if selection.dropped is not None:
            counts[f"dropped_{selection.dropped}"] += 1
        counts[OF_TEST] += outcome.split is Split.TEST
        self._add_failures(outcome)

    def add_block(self, other: BuildCounts) -> None:
        """Add the counts of later questions; the number of reviewers is that of the whole."""
        self.counts.update(other.counts)
        self.failures += other.failures
        self.conflicts += other.conflicts
        self.num_marked += other.num_marked
        self.used_drops += other.used_drops

    def _count_marked(self, row: Annotation) -> None:
        self.num_marked += sum([bool(item.verdict.error_spans) for item in row.sentences])
        if not self.config.has_pieces:
            return
        # An error span outside its sentence, such as the space after it, marks nothing in it.
        faulty = [
            bool(given_places(item))
            for item in row.sentences
            if item.verdict.label in HALLUCINATED_LABELS
        ]
        # One that goes over several sentences is in the verdicts of all of them.
        self.counts["error_spans"] += len(collect(row.sentences))
        self.counts["hallucinated_with_error_spans"] += sum(faulty)
        self.counts["hallucinated_without_error_spans"] += len(faulty) - sum(faulty)
        self.counts["responses_without_wrong_words"] += lacks_wrong_words(row, self.config)

    def count_drops(self, drops: PairDrops) -> None:
        """Count people's decisions about pairs, after all questions: a drop may fit none."""
        self.counts["pair_reviews"] += drops.num_reviews
        self.counts["pair_reviews_unused"] += len(drops) - self.used_drops

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
        **{
            name: counts[name]
            for name in _SOMETIMES
            if counts.get(name) or (name in MARKED_COUNTS and name in counts)
        },
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
    return [*notes, *_notes_on_marked(counts, config)]


def note_on_ignored(num_marked: int, config: BuildConfig) -> list[str]:
    """One sentence about error spans in the input that the granularity does not use."""
    if config.has_pieces or not num_marked:
        return []
    return [
        f"error spans of {count_of(num_marked, 'sentence')} are not in the data set and "
        f"change no weight with build.granularity '{config.granularity}'; to train on the wrong "
        "words alone: --set build.granularity=span"
    ]


def _notes_on_marked(counts: Mapping[str, int], config: BuildConfig) -> Iterator[str]:
    if not config.has_pieces:
        return
    marked = counts.get("hallucinated_with_error_spans", 0)
    unmarked = counts.get("hallucinated_without_error_spans", 0)
    if not marked:
        yield (
            "no hallucinated sentence has error spans, so each trains as a whole on the rejected "
            "side; error spans come from people (import, reviews) or from a judge "
            "(annotate.llm.ask_spans)"
        )
    elif unmarked:
        yield (
            f"{unmarked} of {marked + unmarked} hallucinated sentences have no error spans and "
            "train as a whole on the rejected side"
        )
    if without := counts.get("responses_without_wrong_words", 0):
        yield (
            f"{count_of(without, 'response')} cannot be a rejected side: in their hallucinated "
            "sentences only punctuation or white space is marked"
        )


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
