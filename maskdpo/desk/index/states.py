"""What people did with each sentence of a response, computed from its reviews.

The rule: the functions of `formats.reviews` decide what counts, as in `build`; nothing is decided
here a second time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from formats.reviews.conflicts import ConflictRule, Decided, resolve
from formats.reviews.decisions import (
    CUT,
    NOT_LABELLED,
    Decision,
    decisions_of_people,
    find_fault,
    own_decisions,
    resolve_agreement,
)
from formats.reviews.log import Logged
from formats.reviews.standing import standing
from maskdpo.desk.model import State
from schemas.labels import Label
from schemas.records import Annotation, Sentence
from schemas.reviews import Review

# Places that a person has not labelled, or whose label went with a part of it: still to be decided.
_LEFT_OVER = frozenset({CUT, NOT_LABELLED})


def states_of(annotation: Annotation, entries: Sequence[Logged]) -> list[State]:
    """One state per sentence; `entries` are all reviews of the response and of its copies."""
    if not entries:
        return [State() for _ in annotation.sentences]
    sound = [
        settled
        for entry in entries
        if find_fault(entry.review, annotation.text) is None
        and (settled := resolve_agreement(entry, annotation)) is not None
    ]
    own = own_decisions(sound, annotation.text)
    final = decisions_of_people(sound, annotation.text)
    resolved = resolve(final, annotation.text, ConflictRule.SKIP)
    conflicts = [place for place, _, _ in resolved.conflicts]
    stand = sorted(standing(sound), key=lambda entry: entry.order)
    alone = _by_person(own)
    by_person = _latest(alone, final)
    return [
        State(
            by=_labels(sentence, by_person),
            own=_labels(sentence, alone),
            blind=frozenset(
                who
                for who, items in alone.items()
                if (here := [item for item in items if _overlap(item, sentence)])
                and all(item.entry.review.blind for item in here)
            ),
            skipped=_skipped(sentence, stand),
            flagged=frozenset(
                entry.review.who
                for entry in stand
                if entry.review.action == "flag" and _overlap(entry.review, sentence)
            ),
            conflict=any(start < sentence.end and sentence.start < end for start, end in conflicts),
            label=_only(item.label for item in resolved.decided if _overlap(item, sentence)),
        )
        for sentence in annotation.sentences
    ]


def _by_person(decisions: Sequence[Decision]) -> Mapping[str, list[Decision]]:
    found: defaultdict[str, list[Decision]] = defaultdict(list)
    for item in decisions:
        found[item.who].append(item)
    return found


def _latest(
    alone: Mapping[str, Sequence[Decision]], final: Sequence[Decision]
) -> Mapping[str, Sequence[Decision]]:
    """Each person's decisions: their own ones, and over them those that resolve a conflict."""
    found = dict(alone)
    for item in final:
        if item.entry.review.resolves:
            kept = [one for one in found.get(item.who, ()) if not one.overlaps(item)]
            found[item.who] = [*kept, item]
    return found


def _labels(
    sentence: Sentence, by_person: Mapping[str, Sequence[Decision]]
) -> Mapping[str, Label | None]:
    return {
        who: _only(item.label for item in here)
        for who, items in by_person.items()
        if (here := [item for item in items if _overlap(item, sentence)])
        and any(item.reason not in _LEFT_OVER for item in here)
    }


def _skipped(sentence: Sentence, stand: Sequence[Logged]) -> frozenset[str]:
    """Who skipped the sentence last; a decision after it ends that."""
    last: dict[str, str] = {}
    for entry in stand:
        if entry.review.action != "flag" and _overlap(entry.review, sentence):
            last[entry.review.who] = entry.review.action
    return frozenset(who for who, action in last.items() if action == "skip")


def _only(labels: Iterable[Label]) -> Label | None:
    found = set(labels)
    return found.pop() if len(found) == 1 else None


def _overlap(one: Review | Decision | Decided, sentence: Sentence) -> bool:
    return one.start < sentence.end and sentence.start < one.end


def write_state(state: State) -> str:
    """A state as JSON; "" for one in which nobody did anything."""
    if not (state.by or state.skipped or state.flagged):
        return ""
    values: dict[str, object] = {
        "by": {who: label and label.value for who, label in state.by.items()},
        "skipped": sorted(state.skipped),
        "flagged": sorted(state.flagged),
        "conflict": state.conflict,
        "label": state.label and state.label.value,
    }
    if state.blind:
        values["blind"] = sorted(state.blind)
    if state.own != state.by:
        values["own"] = {who: label and label.value for who, label in state.own.items()}
    return json.dumps(values)


def read_state(text: str) -> State:
    """What `write_state` wrote."""
    if not text:
        return State()
    values = json.loads(text)
    return State(
        by=_read_labels(values["by"]),
        own=_read_labels(values.get("own", values["by"])),
        blind=frozenset(values.get("blind", ())),
        skipped=frozenset(values["skipped"]),
        flagged=frozenset(values["flagged"]),
        conflict=values["conflict"],
        label=None if values["label"] is None else Label(values["label"]),
    )


def _read_labels(values: Mapping[str, str | None]) -> Mapping[str, Label | None]:
    return {who: None if label is None else Label(label) for who, label in values.items()}
