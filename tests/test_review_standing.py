"""Withdrawn reviews count for nothing, resolved conflicts are none, in any order of the rows."""

from itertools import permutations
from typing import Any

import pytest
from build_rows import annotation
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from formats.reviews.apply import Reviewed, apply_reviews
from formats.reviews.conflicts import ConflictRule
from formats.reviews.decisions import decisions_of_people, own_decisions
from formats.reviews.log import Logged
from formats.reviews.standing import sort_withdrawn, standing
from schemas.labels import Label
from schemas.reviews import Review, ReviewSpan, make_review, review_id, text_sha256
from schemas.spans import check_cover

RIGHT, WRONG, NONE = Label.NO_HALLUCINATION, Label.HALLUCINATED, Label.NO_FACT
ROW = annotation("r1", [RIGHT, WRONG], texts=["One is red.", "Two is blue."])
TEXT = ROW.text
FIRST, SECOND = ((item.start, item.end) for item in ROW.sentences)
GROUPS = (
    "applied",
    "superseded",
    "in_conflict",
    "resolved",
    "withdrawn",
    "without_label",
    "refused",
)


def review(who: str, label: Label | None, place: tuple[int, int] = FIRST, **changes: Any) -> Review:
    start, end = place
    values = {
        "response_id": "r1",
        "text_sha256": text_sha256(TEXT),
        "start": start,
        "end": end,
        "spans": [ReviewSpan(start=start, end=end, label=label)] if label else [],
        "who": who,
        "when": "2026-03-01T10:00:00Z",
    }
    return make_review(**(values | changes))


def withdraw(target: Review, **changes: Any) -> Review:
    values = {"who": target.who, "action": "withdraw", "withdraws": target.id} | changes
    return review(label=None, place=(target.start, target.end), **values)


def logged(*reviews: Review) -> list[Logged]:
    return [Logged(line=line, review=item) for line, item in enumerate(reviews, start=1)]


def applied(*reviews: Review, rule: ConflictRule = ConflictRule.SKIP) -> Reviewed:
    return apply_reviews([ROW], {"r1": logged(*reviews)}, rule)


def labels(done: Reviewed) -> list[tuple[Label, str]]:
    return [(item.verdict.label, item.verdict.source) for item in done.rows[0].sentences]


def counts(done: Reviewed) -> dict[str, int]:
    found = {name: done.counts.get(f"reviews_{name}", 0) for name in GROUPS}
    return {name: count for name, count in found.items() if count}


def test_a_withdrawn_review_counts_as_if_it_had_never_been_made() -> None:
    early, late = review("Li", NONE), review("Li", WRONG, when="2026-04-01")
    for rows in permutations([early, late, withdraw(late, when="2020-01-01")]):
        done = applied(*rows)
        assert labels(done)[0] == (NONE, "person")
        assert counts(done) == {"applied": 1, "withdrawn": 1, "without_label": 1}
    done = applied(late, withdraw(late))
    assert done.rows[0] == ROW and not done.replaced["r1"]


def test_a_withdrawal_of_a_withdrawal_brings_the_review_back() -> None:
    first = review("Li", WRONG)
    chain = [first]
    for length in range(1, 60):
        chain.append(withdraw(chain[-1]))
        for rows in (chain, chain[::-1]):
            assert standing(logged(*rows)) == (
                [item for item in logged(*rows) if item.review is first] if length % 2 == 0 else []
            )
    found = sort_withdrawn(logged(*chain))
    assert (len(found.withdrawals), len(found.withdrawn)) == (30, 30)


def test_two_withdrawals_of_one_review_must_both_be_withdrawn() -> None:
    first = review("Li", WRONG)
    one, two = withdraw(first), withdraw(first, note="again")
    undo = withdraw(one)
    assert not standing(logged(first, one, two, undo))
    assert len(standing(logged(first, one, two, undo, withdraw(two)))) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"who": "Bo"}, "other_person"), ({"withdraws": "missing"}, "unknown_review")],
)
def test_nobody_withdraws_what_another_person_decided(changes: Any, reason: str) -> None:
    first = review("Li", WRONG)
    done = applied(first, withdraw(first, **changes))
    assert labels(done)[0] == (WRONG, "person")
    assert [failure.reason for failure in done.refused] == [reason]
    assert counts(done) == {"applied": 1, "refused": 1}
    assert "Li" not in done.refused[0].detail and "Bo" not in done.refused[0].detail


def test_withdrawals_that_name_each_other_have_no_effect() -> None:
    first = review("Li", WRONG)
    one, two = (
        withdraw(first, withdraws=other).model_copy(update={"id": name})
        for name, other in (("a", "b"), ("b", "a"))
    )
    done = applied(first, one, two)
    assert counts(done) == {"applied": 1, "refused": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": "withdraw"}, "needs the id of a review in 'withdraws'"),
        ({"action": "withdraw", "withdraws": "x", "resolves": ["y"]}, "has no 'resolves'"),
        ({"action": "skip", "resolves": ["y"]}, "has no 'resolves'"),
        ({"action": "flag", "withdraws": "x"}, "'flag' withdraws nothing"),
        ({"action": "withdraw", "withdraws": "x", "label": NONE}, "must be empty"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(changes: Any, message: str) -> None:
    given_label = changes.pop("label", None)
    with pytest.raises(ValidationError, match=message):
        review("Li", given_label, **changes)


def test_rows_without_the_new_fields_keep_their_ids() -> None:
    row = review("Li", WRONG)
    values = row.model_dump(mode="json")
    assert "withdraws" not in values and "resolves" not in values
    assert row.id == review_id(values)


@pytest.mark.parametrize("rule", list(ConflictRule))
def test_a_resolved_conflict_is_none_under_every_rule(rule: ConflictRule) -> None:
    li, bo, cy = review("Li", WRONG), review("Bo", NONE), review("Cy", NONE)
    both = [li.id, bo.id, cy.id]
    decision = review("Di", WRONG, resolves=both, when="2020-01-01")  # the oldest by its clock
    for rows in permutations([li, bo, cy, decision]):
        done = applied(*rows, rule=rule)
        assert not done.conflicts
        assert labels(done)[0] == (WRONG, "person")
        assert done.replaced["r1"][FIRST].who == ["Bo", "Cy", "Di", "Li"]
        assert counts(done) == {"applied": 1, "resolved": 3}


def test_who_decides_otherwise_after_a_resolution_makes_a_conflict_again() -> None:
    li, bo = review("Li", WRONG), review("Bo", NONE)
    decision = review("Bo", WRONG, resolves=[li.id, bo.id], when="2026-03-02")
    rows = [li, bo, decision]
    assert not applied(*rows).conflicts
    for late in (review("Cy", NONE), review("Li", NONE, when="2026-03-03")):
        (found,) = applied(*rows, late).conflicts
        assert {item.who for item in found.decisions} == {"Bo", late.who}
        named = [late.id, decision.id]
        last = review("Di", NONE, resolves=named, when="2026-03-04")
        done = applied(*rows, late, last)
        assert not done.conflicts and labels(done)[0] == (NONE, "person")
    assert not applied(*rows, review("Cy", WRONG)).conflicts


def test_a_resolution_that_is_withdrawn_or_replaced_gives_the_conflict_back() -> None:
    li, bo = review("Li", WRONG), review("Bo", NONE)
    decision = review("Di", WRONG, resolves=[li.id, bo.id])
    assert len(applied(li, bo, decision, withdraw(decision)).conflicts) == 1
    later = review("Di", NONE, when="2026-03-02")
    done = applied(li, bo, decision, later)
    assert len(done.conflicts) == 1
    assert counts(done) == {"in_conflict": 3, "superseded": 1}
    again = review("Di", NONE, when="2026-03-03", resolves=[li.id, bo.id])
    assert not applied(li, bo, decision, later, again).conflicts
    own = review("Di", NONE, round=2)  # counts after the resolution, but is named by it
    done = applied(li, own, review("Di", WRONG, resolves=[li.id, own.id]))
    assert counts(done) == {"applied": 1, "resolved": 2}


def test_a_resolution_counts_at_its_place_only_and_missing_ids_are_harmless() -> None:
    whole = (FIRST[0], SECOND[1])
    li = review(
        "Li",
        None,
        whole,
        action="split",
        spans=[ReviewSpan(start=a, end=b, label=WRONG) for a, b in (FIRST, SECOND)],
    )
    bo = review("Bo", NONE)
    decision = review("Di", NONE, resolves=[li.id, bo.id, "removed"])
    done = applied(li, bo, decision)
    assert not done.conflicts
    assert labels(done) == [(NONE, "person"), (WRONG, "person")]
    elsewhere = review("Di", NONE, SECOND, resolves=[bo.id])
    assert counts(applied(bo, elsewhere)) == {"applied": 2}


def test_own_decisions_are_those_before_any_resolution() -> None:
    li, bo = review("Li", WRONG), review("Bo", NONE)
    decision = review("Bo", WRONG, resolves=[li.id, bo.id], when="2026-03-02")
    taken_back = review("Cy", RIGHT)
    entries = logged(li, bo, decision, taken_back, withdraw(taken_back))
    assert [(item.who, item.label) for item in own_decisions(entries, TEXT)] == [
        ("Bo", NONE),
        ("Li", WRONG),
    ]
    assert [(item.who, item.label) for item in decisions_of_people(entries, TEXT)] == [
        ("Bo", WRONG)
    ]


STEP = st.tuples(
    st.sampled_from("ABC"),
    st.sampled_from(["label", "agree", "skip", "withdraw", "resolve", "split"]),
    st.sampled_from([FIRST, SECOND, (FIRST[0], SECOND[1])]),
    st.sampled_from([RIGHT, WRONG, NONE]),
    st.integers(1, 2),
    st.integers(1, 28),
    st.lists(st.integers(0, 20), max_size=4),
)


def play(steps: list[Any]) -> list[Review]:
    """Reviews with the ids that their content gives, each made once."""
    made: dict[str, Review] = {}
    for who, action, (start, end), label, turn, day, picks in steps:
        earlier = list(made.values())
        named = [earlier[pick % len(earlier)] for pick in picks] if earlier else []
        fixed: dict[str, Any] = {"round": turn, "when": f"2026-03-{day:02}"}
        if action == "withdraw":
            if not named:
                continue
            item = withdraw(named[0], who=who, **fixed)
        elif action == "skip":
            item = review(who, None, (start, end), action="skip", **fixed)
        elif action == "resolve":
            names = [other.id for other in named]
            item = review(who, label, (start, end), resolves=names, **fixed)
        elif action == "split":
            spans = [ReviewSpan(start=start, end=start + 5, label=label)]
            item = review(who, None, (start, end), action="split", spans=spans, **fixed)
        else:
            item = review(who, label, (start, end), action=action, **fixed)
        made.setdefault(item.id, item)
    return list(made.values())


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(STEP, max_size=14),
    rule=st.sampled_from(list(ConflictRule)),
    random=st.randoms(use_true_random=False),
)
def test_any_sequence_gives_disjoint_decisions_and_each_review_one_group(
    steps: list[Any], rule: ConflictRule, random: Any
) -> None:
    entries = logged(*play(steps))
    done = apply_reviews([ROW], {"r1": entries}, rule)
    check_cover(TEXT, [(item.start, item.end) for item in done.rows[0].sentences])
    assert sum(counts(done).values()) == len(entries)
    mixed = random.sample(entries, len(entries))  # lines stay with their reviews
    assert apply_reviews([ROW], {"r1": mixed}, rule).rows == done.rows
    for found in (decisions_of_people(entries, TEXT), own_decisions(entries, TEXT)):
        of_person: dict[str, int] = {}
        for item in found:
            assert item.start >= of_person.get(item.who, 0)
            of_person[item.who] = item.end
    # What anybody's standing review says of a place is a label of a person there, whichever wins.
    decided = {
        at
        for entry in standing(entries)
        if entry.review.action in ("label", "agree")
        for at in range(entry.review.start, entry.review.end)
    }
    by_people = {
        at
        for item in done.rows[0].sentences
        if item.verdict.source == "person"
        for at in range(item.start, item.end)
    }
    parted = {
        at
        for item in done.rows[0].sentences
        if item.verdict.reason == "corrected_in_part"
        for at in range(item.start, item.end)
    }
    missing = {at for at in decided - by_people - parted if not TEXT[at].isspace()}
    assert not missing
    assert done.refused == [] or all(
        failure.reason in ("other_person", "unknown_review") for failure in done.refused
    )
