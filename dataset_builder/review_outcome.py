"""What a build reports about reviews: counts, the list of conflicts, notes.

The rule: the list of conflicts names people, so it is next to the data set folder and never in it,
and no push sends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from formats.reviews import PAIR_REVIEWS_NAME
from formats.reviews.conflicts import Conflict
from schemas.files.jsonl import write_records
from schemas.text.counted import count_of

if TYPE_CHECKING:
    from dataset_builder.config import BuildConfig

REVIEW_COUNTS = (
    "reviews",
    "reviews_applied",
    "reviews_superseded",
    "reviews_in_conflict",
    "reviews_resolved",
    "reviews_withdrawn",
    "reviews_without_label",
    "reviews_refused",
    "conflicts",
    "labels_carried_over",
    "wrong_words_differ",
)
# Decisions about pairs, pairs left out by them, and drops that fit no pair of the build.
PAIR_COUNTS = ("pair_reviews", "pairs_dropped_by_people", "pair_reviews_unused")


def conflicts_path(output: Path) -> Path:
    """`dataset` -> `dataset.conflicts.jsonl`."""
    return output.with_name(f"{output.name}.conflicts.jsonl")


def write_conflicts(output: Path, conflicts: Iterable[Conflict]) -> None:
    """Write the conflicts next to `output`, by response and offsets; without any, no file."""
    found = sorted(conflicts, key=lambda item: (item.question_id, item.response_id, item.start))
    path = conflicts_path(output)
    if found:
        write_records(path, found)
    else:
        path.unlink(missing_ok=True)


def list_conflicts_of_nothing(output: Path, conflicts: Sequence[Conflict]) -> str:
    """Write the conflicts of a build without pairs: they may be why. Returns a clause on them."""
    if not conflicts:
        return ""
    write_conflicts(output, conflicts)
    return f"; people disagree on {_places(len(conflicts))}, listed in {conflicts_path(output)}"


def notes_on_people(
    counts: Mapping[str, int], config: BuildConfig, output: Path, num_reviewers: int
) -> Iterator[str]:
    """Notes for the user on the people behind a data set, and the outcome of their reviews."""
    yield from _notes_on_drops(counts)
    if not counts.get("reviews"):
        return
    people = f"{num_reviewers:,} {'person' if num_reviewers == 1 else 'people'}"
    if config.publish_names:
        yield f"the data set gives the names of {people} (build.publish_names=true)"
    else:
        yield (
            f"the data set holds reviews of {people} as reviewer-1, reviewer-2, ...; it does not "
            "give their names (build.publish_names=false)"
        )
    if counts.get("conflicts"):
        yield (
            f"people disagree on {_places(counts['conflicts'])} "
            f"(build.conflicts={config.conflicts}); each is listed with all decisions in "
            f"{conflicts_path(output)}"
        )
    if counts.get("wrong_words_differ"):
        yield (
            f"people gave one label and marked other wrong words on "
            f"{_places(counts['wrong_words_differ'])}; the error spans of the latest review are "
            "used, also if it has none"
        )
    if counts.get("reviews_superseded"):
        yield (
            f"{counts['reviews_superseded']:,} reviews were superseded by later ones of the same "
            "person"
        )
    if counts.get("reviews_resolved"):
        yield (
            f"{counts['reviews_resolved']:,} reviews are of conflicts that somebody resolved; the "
            "label of that decision is used"
        )
    if counts.get("reviews_withdrawn"):
        yield f"{counts['reviews_withdrawn']:,} reviews were withdrawn by the person who made them"
    if counts.get("labels_carried_over"):
        yield (
            f"{counts['labels_carried_over']:,} sentences have the label that people gave the same "
            "sentence of an identical answer"
        )
    if counts.get("reviews_refused"):
        yield (
            f"{counts['reviews_refused']:,} reviews were refused and have no effect; the failed "
            "rows give the reasons"
        )


def _notes_on_drops(counts: Mapping[str, int]) -> Iterator[str]:
    if dropped := counts.get("pairs_dropped_by_people"):
        yield f"{count_of(dropped, 'pair')} left out that people dropped ({PAIR_REVIEWS_NAME})"
    if unused := counts.get("pair_reviews_unused"):
        yield (
            f"{count_of(unused, 'drop')} in {PAIR_REVIEWS_NAME} changed nothing: this build makes "
            "no pair of that question with these two texts"
        )


def _places(count: int) -> str:
    return "1 place" if count == 1 else f"{count:,} places"
