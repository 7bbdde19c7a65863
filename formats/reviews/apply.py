"""People's verdicts replace the judge's: reviews applied to the annotations of one question.

The rule: every review is in exactly one of seven groups, and the counts say which: applied,
superseded (the same person decided again later), in a conflict, resolved (somebody's decision on a
conflict counts instead), withdrawn, without a label (skip, flag, a withdrawal), refused. People's
decisions replace the sentences at their place; of a sentence that is only partly covered, the rest
stays as `corrected_in_part`. Identical answers to one question share their reviews.

Worked example, a judge's sentences [0, 10) and [11, 20), and a review of [5, 20):

    spans [5, 10), [11, 20)  ->  [0, 5) undetermined, [5, 10) and [11, 20) the person's
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from formats.reviews.conflicts import (
    Conflict,
    ConflictRule,
    Decided,
    Resolved,
    describe_conflict,
    resolve,
)
from formats.reviews.decisions import (
    CUT,
    WITHOUT_LABEL,
    Decision,
    decisions_of_people,
    find_fault,
    refusal,
    resolve_agreement,
    resolved_ids,
)
from formats.reviews.log import Logged, time_of
from formats.reviews.standing import sort_withdrawn
from schemas.labels import Label
from schemas.records import Annotation, Failure, Sentence, Verdict
from schemas.spans import Offsets, gaps, trim

PERSON = "person"  # the person is in the provenance, not among the judges' names


@dataclass(frozen=True, kw_only=True, slots=True)
class Replaced:
    """Who decided on a sentence and when (the latest of them), and what was replaced.

    who          by name, sorted; of a resolved conflict also those whose reviews it was about
    sentences    the sentences that the decision overlaps, before the change
    """

    who: Sequence[str]
    when: str
    sentences: Sequence[Sentence]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviewed:
    """The responses to one question after their reviews.

    replaced     by response id and the offsets of each sentence that people decided
    conflicts    each once, also where identical answers share it
    counts       the reviews of each group of the module's rule, and `labels_carried_over`: the
                 sentences of identical answers whose label comes from another answer's review;
                 `wrong_words_differ`, places with one label for which people marked other words
    """

    rows: Sequence[Annotation]
    replaced: Mapping[str, Mapping[Offsets, Replaced]] = field(default_factory=dict)
    conflicts: Sequence[Conflict] = ()
    refused: Sequence[Failure] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def apply_reviews(
    rows: Sequence[Annotation],
    reviews: Mapping[str, Sequence[Logged]],
    rule: ConflictRule = ConflictRule.SKIP,
) -> Reviewed:
    """The responses to one question with their `reviews` (by response id) applied.

    rows      annotations of one question
    reviews   by response id; those of other responses are ignored
    rule      what a place gets where people disagree (formats/reviews/conflicts.py)

    A pure function; the order of the reviews does not matter. A review that cannot be applied
    raises nothing: it is in `refused`, as a `Failure`.
    """
    if not any(reviews.get(row.id) for row in rows):
        return Reviewed(rows=rows)
    found_standing = sort_withdrawn(entry for row in rows for entry in reviews.get(row.id, ()))
    refused = [refusal(entry.review, *fault) for entry, *fault in found_standing.refused]
    counts: Counter[str] = Counter(
        reviews_without_label=len(found_standing.withdrawals),
        reviews_withdrawn=len(found_standing.withdrawn),
    )
    stand: defaultdict[str, list[Logged]] = defaultdict(list)
    for entry in found_standing.stand:
        stand[entry.review.response_id].append(entry)
    of_text: defaultdict[str, list[Logged]] = defaultdict(list)
    for row in rows:
        sound, faulty = _sort_out(row, stand[row.id])
        of_text[row.text] += sound
        refused += faulty
    counts["reviews_refused"] = len(refused)
    resolved: dict[str, Resolved] = {}
    conflicts: list[Conflict] = []
    first_row = {row.text: row for row in sorted(rows, key=lambda row: row.id, reverse=True)}
    for text, entries in of_text.items():
        decisions = decisions_of_people(entries, text)
        resolved[text] = resolve(decisions, text, rule)
        counts.update(_count(entries, decisions, resolved[text], text))
        conflicts += [
            describe_conflict(first_row[text], place, group, taken, rule)
            for place, group, taken in resolved[text].conflicts
        ]
    found = {row.id: _apply_decisions(row, resolved[row.text].decided) for row in rows}
    own = {row.id: {entry.review.id for entry in reviews.get(row.id, ())} for row in rows}
    counts["labels_carried_over"] = sum(
        not any(entry.review.id in own[row.id] for entry in item.by)
        for row in rows
        for item in resolved[row.text].decided
    )
    return Reviewed(
        rows=[found[row.id][0] for row in rows],
        replaced={row.id: found[row.id][1] for row in rows},
        conflicts=conflicts,
        refused=refused,
        counts=counts,
    )


def _sort_out(row: Annotation, entries: Iterable[Logged]) -> tuple[list[Logged], list[Failure]]:
    """The reviews of a response that can be applied, and the failed rows of the rest."""
    sound, faulty = [], []
    for entry in sorted(entries, key=lambda item: item.order):
        fault = find_fault(entry.review, row.text)
        settled = resolve_agreement(entry, row) if fault is None else None
        if settled is not None:
            sound.append(settled)
            continue
        reason = "no_such_sentence"
        message = "it agrees with a label, but no sentence has these offsets, and 'spans' is empty"
        faulty.append(refusal(entry.review, *(fault or (reason, message))))
    return sound, faulty


def _count(
    entries: Sequence[Logged], decisions: Sequence[Decision], resolved: Resolved, text: str
) -> Counter[str]:
    """How many reviews are in each group except `refused`."""
    contested = {item.entry.review.id for _, group, _ in resolved.conflicts for item in group}
    present = {item.entry.review.id for item in decisions}
    named = resolved_ids(entries, text)
    counts: Counter[str] = Counter(conflicts=len(resolved.conflicts))
    if num_differ := sum(item.words_differ for item in resolved.decided):
        counts["wrong_words_differ"] = num_differ
    for entry in entries:
        if entry.review.action in WITHOUT_LABEL:
            counts["reviews_without_label"] += 1
        elif entry.review.id in contested:
            counts["reviews_in_conflict"] += 1
        elif entry.review.id in present:
            counts["reviews_applied"] += 1
        elif entry.review.id in named:
            counts["reviews_resolved"] += 1
        else:
            counts["reviews_superseded"] += 1
    return counts


def _apply_decisions(
    row: Annotation, decided: Sequence[Decided]
) -> tuple[Annotation, Mapping[Offsets, Replaced]]:
    """The annotation with people's labels, and the sentences that they replaced."""
    if not decided:
        return row, {}
    replaced: dict[Offsets, Replaced] = {}
    sentences: list[Sentence] = []
    for item in decided:
        before = [one for one in row.sentences if _overlap(one, item)]
        sentences.append(Sentence(start=item.start, end=item.end, verdict=_verdict(item)))
        replaced[item.start, item.end] = _replaced([item], before)
    for sentence in row.sentences:
        cutting = [item for item in decided if _overlap(sentence, item)]
        if not cutting:
            sentences.append(sentence)
            continue
        for part in _outside(sentence, cutting, row.text):
            sentences.append(part)
            replaced[part.start, part.end] = _replaced(cutting, [sentence])
    ordered = sorted(sentences, key=lambda item: item.start)
    return Annotation(**{**dict(row), "sentences": ordered}), replaced


def _replaced(items: Sequence[Decided], before: Sequence[Sentence]) -> Replaced:
    entries = [entry for item in items for entry in item.by]
    resolved = [entry for item in items for entry in item.resolved]
    last = max(entries, key=lambda entry: (time_of(entry.review), entry.order))
    return Replaced(
        who=sorted({entry.review.who for entry in [*entries, *resolved]}),
        when=last.review.when,
        sentences=before,
    )


def _verdict(item: Decided) -> Verdict:
    return Verdict(
        label=item.label,
        reason=item.reason,
        error_spans=list(item.error_spans),
        source="person",
        judge=PERSON,
    )


def _overlap(sentence: Sentence, item: Decided) -> bool:
    return sentence.start < item.end and item.start < sentence.end


def _outside(sentence: Sentence, cutting: Sequence[Decided], text: str) -> list[Sentence]:
    """The parts of a sentence that people's decisions do not cover."""
    length = sentence.end - sentence.start
    inside = [
        (max(item.start - sentence.start, 0), min(item.end - sentence.start, length))
        for item in cutting
    ]
    verdict = Verdict(
        label=Label.UNDETERMINED,
        reason=CUT,
        source=sentence.verdict.source,
        judge=sentence.verdict.judge,
    )
    places = (
        trim(text, sentence.start + start, sentence.start + end)
        for start, end in gaps(length, inside)
    )
    return [
        Sentence(start=place[0], end=place[1], verdict=verdict)
        for place in places
        if place is not None
    ]
