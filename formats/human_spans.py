"""Error spans of human labels: from the list of a row to its sentences, and back.

The rule: offsets, label, kind, order and repetitions stay as given. A span belongs to every
sentence in which it covers at least one character other than white space; one that covers none
belongs to the sentence before it. What of it can be used is decided where weights are made
(`schemas.error_spans`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.error_spans import trim_words
from schemas.labels import HALLUCINATED_LABELS
from schemas.records import Annotation, ErrorSpan, Sentence
from schemas.spans import Offsets

_Numbered = tuple[ErrorSpan, int]  # with its number among those that are equal


def distribute(
    text: str, places: Sequence[Offsets], spans: Sequence[ErrorSpan]
) -> list[list[ErrorSpan]]:
    """The error spans of each sentence, in the given order.

    places   the sentences, sorted; there is at least one where there are spans

    >>> across = ErrorSpan(start=1, end=5)
    >>> [len(found) for found in distribute("Ja. Nie.", [(0, 3), (4, 8)], [across])]
    [1, 1]
    """
    starts = [start for start, _ in places]
    of_sentence: list[list[ErrorSpan]] = [[] for _ in places]
    for span in spans:
        for index in _sentences_of(text, places, starts, span):
            of_sentence[index].append(span)
    return of_sentence


def _sentences_of(
    text: str, places: Sequence[Offsets], starts: Sequence[int], span: ErrorSpan
) -> list[int]:
    before = max(bisect_right(starts, span.start) - 1, 0)
    covered = [
        index
        for index in range(before, bisect_left(starts, span.end))
        if text[max(places[index][0], span.start) : min(places[index][1], span.end)].strip()
    ]
    return covered or [before]


def collect(sentences: Iterable[Sentence]) -> list[ErrorSpan]:
    """The one list that `distribute` took apart: each sentence's order, and as few repetitions.

    The order between spans that share no sentence is that of the sentences. The list is built as
    links from each span to the one before it (None: the list's end, and before its first span), so
    that the time grows with the number of spans and not with its square.
    """
    previous: dict[_Numbered | None, _Numbered | None] = {None: None}
    for sentence in sentences:
        fresh: list[_Numbered] = []
        for key in _numbered(sentence.verdict.error_spans):
            if key in previous:  # of an earlier sentence too: what came before it here goes there
                _insert(previous, fresh, key)
                fresh = []
            else:
                fresh.append(key)
        _insert(previous, fresh, None)
    found = []
    at = previous[None]
    while at is not None:
        found.append(at[0])
        at = previous[at]
    return found[::-1]


def _insert(
    previous: dict[_Numbered | None, _Numbered | None],
    fresh: Iterable[_Numbered],
    following: _Numbered | None,
) -> None:
    for key in fresh:
        previous[key] = previous[following]
        previous[following] = key


def _numbered(spans: Iterable[ErrorSpan]) -> list[_Numbered]:
    """Each span with its number among those that are equal."""
    seen: Counter[ErrorSpan] = Counter()
    numbered = []
    for span in spans:
        numbered.append((span, seen[span]))
        seen[span] += 1
    return numbered


def why_spread(annotation: Annotation, spans: Sequence[ErrorSpan]) -> str:
    """Which sentence would have other error spans after `distribute`, as a clause; '' for none."""
    places = [(sentence.start, sentence.end) for sentence in annotation.sentences]
    again = distribute(annotation.text, places, spans) if spans else [[] for _ in places]
    for index, (sentence, found) in enumerate(zip(annotation.sentences, again, strict=True)):
        added = Counter(found) - Counter(sentence.verdict.error_spans)
        lost = Counter(sentence.verdict.error_spans) - Counter(found)
        for span in (*lost, *added):
            relation = "has, but does not touch" if span in lost else "does not have, but touches"
            return f"sentence {index} {relation}, the error span [{span.start}, {span.end})"
    return ""


def span_values(spans: Iterable[ErrorSpan]) -> list[dict[str, Any]]:
    """Error spans as a row of human labels has them, with every key."""
    return [
        {
            "start": span.start,
            "end": span.end,
            "label": span.label.value if span.label else None,
            "kind": span.kind,
        }
        for span in spans
    ]


def count_spans(annotation: Annotation) -> Counter[str]:
    """How many error spans a response has, and how many of them are special; {} without any."""
    counts: Counter[str] = Counter()
    holders: Counter[ErrorSpan] = Counter()
    in_others: set[ErrorSpan] = set()
    for sentence in annotation.sentences:
        distinct = set(sentence.verdict.error_spans)
        holders.update(distinct)
        if sentence.verdict.label not in HALLUCINATED_LABELS:
            in_others |= distinct
    for span in collect(annotation.sentences):
        counts["spans"] += 1
        counts["spans_across_sentences"] += holders[span] > 1
        counts["spans_in_other_sentences"] += span in in_others
        counts["spans_without_words"] += trim_words(annotation.text, span.start, span.end) is None
    return counts


def notes_on_spans(counts: Mapping[str, int]) -> list[str]:
    """What a user should know about the error spans in `counts`."""
    notes = []
    total, other = counts.get("spans", 0), counts.get("spans_in_other_sentences", 0)
    if other:
        notes.append(
            f"error spans in sentences that are not labelled hallucinated: {other:,} of {total:,}; "
            "they are kept, but have no effect on the rejected side: such sentences do not train "
            "there"
        )
    empty = counts.get("spans_without_words", 0)
    if empty:
        notes.append(
            f"error spans of white space or punctuation alone: {empty:,} of {total:,}; they are "
            "kept, but have no effect: no word is marked"
        )
    return notes
