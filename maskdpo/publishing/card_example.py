"""The pair that a data set's card shows: marked sentences, what trains and what is masked.

The rule: the choice is a function of the data set alone, and its text is data that went through
no editor. So a pair must be short, name both of its responses (so that `forget` finds the card
by their ids), and hold nothing that a push would refuse in a card. A long question is a reason
against a pair, too, except where wrong words are marked: there its beginning is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dataset_builder.folder.write import PAIRS, parquet_name
from dataset_builder.splits.splits import Split
from maskdpo.publishing.markdown import Trusted, code, is_plain_code, mark_bold
from maskdpo.publishing.privacy import holds_private
from maskdpo.show.marks import cut, marks_of_pair_side
from schemas.error_spans import group_pieces
from schemas.records import Message, Pair, Span
from trainer.data import scan_pairs

MAX_QUESTION_CHARS = 300
MAX_SIDE_CHARS = 900
MAX_SIDE_SENTENCES = 10
_MAX_ID_CHARS = 512
_NUM_LOOKED_AT = 1_000


@dataclass(frozen=True, kw_only=True)
class ExampleSide:
    """One side: its sentences as (symbol, text with wrong words in bold, label, what trains)."""

    name: Trusted
    response: Trusted
    score: Trusted
    num_active: int
    rows: Sequence[tuple[Trusted, Trusted, Trusted, Trusted]]


@dataclass(frozen=True, kw_only=True)
class CardExample:
    """A pair as a reader of the card sees it."""

    question: str
    sides: Sequence[ExampleSide]
    has_wrong_words: bool = False


def find_example(folder: Path, manifest: Mapping[str, Any]) -> CardExample | None:
    """The example of the data set in `folder`; None where no pair will do.

    Of the first pairs it is the first in which both sides have sentences that train and some
    that are masked; else one in which either has; else the first that is short. A pair in which
    wrong words train comes before those without.
    """
    found: dict[tuple[bool, int], Pair] = {}
    for pair in islice(_read_pairs(folder, manifest), _NUM_LOOKED_AT):
        if not _is_fit(pair):
            continue
        mixed = sum(map(_is_mixed, (pair.chosen_spans, pair.rejected_spans)))
        found.setdefault((_trains_words(pair), mixed), pair)
        if (_may_have_words(pair), 2) in found:
            break
    return _show(found[max(found)]) if found else None


def _read_pairs(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Pair]:
    for split in (Split.TRAIN, Split.TEST):
        name = parquet_name(PAIRS, split)
        if name in manifest["files"]:
            rows = scan_pairs(folder / name)
            yield from (row.pair for row in rows if row.pair is not None)


def _is_fit(pair: Pair) -> bool:
    question = pair.prompt[-1].content
    texts = [pair.chosen[0].content, pair.rejected[0].content]
    spans = [pair.chosen_spans or [], pair.rejected_spans or []]
    return (
        (len(question) <= MAX_QUESTION_CHARS or _may_have_words(pair))
        and all(text.strip() and len(text) <= MAX_SIDE_CHARS for text in texts)
        and all(0 < len(group_pieces(items)) <= MAX_SIDE_SENTENCES for items in spans)
        and all(is_plain_code(name) for name in (pair.chosen_id, pair.rejected_id))
        and not any(map(holds_private, (question, *texts, pair.chosen_id, pair.rejected_id)))
    )


def _is_mixed(spans: Sequence[Span] | None) -> bool:
    weights = [span.weight > 0 for span in spans or ()]
    return any(weights) and not all(weights)


def _may_have_words(pair: Pair) -> bool:
    """Whether the data set may have pieces of sentences: then all of its spans are numbered."""
    return any(span.sentence is not None for span in pair.rejected_spans or ())


def _trains_words(pair: Pair) -> bool:
    return any(span.part == "error" and span.weight > 0 for span in pair.rejected_spans or ())


def _show(pair: Pair) -> CardExample:
    return CardExample(
        question=_shorten(pair.prompt[-1].content),
        has_wrong_words=any(
            span.part == "error"
            for span in (*(pair.chosen_spans or ()), *(pair.rejected_spans or ()))
        ),
        sides=[
            _side("Chosen", pair.chosen, pair.chosen_spans, pair.chosen_id, pair.chosen_score),
            _side(
                "Rejected",
                pair.rejected,
                pair.rejected_spans,
                pair.rejected_id,
                pair.rejected_score,
            ),
        ],
    )


def _shorten(question: str) -> str:
    """The beginning of a question that holds its document."""
    is_short = len(question) <= MAX_QUESTION_CHARS
    return question if is_short else question[:MAX_QUESTION_CHARS].rstrip() + " …"


def _side(
    name: str,
    messages: Sequence[Message],
    spans: Sequence[Span] | None,
    identifier: str,
    score: float | None,
) -> ExampleSide:
    text = messages[0].content
    marks = marks_of_pair_side(text, spans)
    return ExampleSide(
        name=Trusted(name),
        response=code(identifier, _MAX_ID_CHARS),
        score=Trusted("-" if score is None else f"{score:.2f}"),
        num_active=sum(not mark.masked for mark in marks),
        rows=[
            (
                Trusted(piece.mark.symbol),
                mark_bold(piece.segments),
                Trusted(piece.mark.label),
                Trusted(piece.mark.training),
            )
            for piece in cut(text, marks)
            if piece.mark
        ],
    )
