from itertools import product

from build_rows import BAD, DECIDED, GOOD, annotation, responses
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.config import BuildConfig
from dataset_builder.select import Selection
from dataset_builder.select import select as select_with
from dataset_builder.strategies import Choice
from dataset_builder.unused import Unused
from schemas.labels import Label
from schemas.records import Annotation

UNKNOWN, NO_FACT = Label.UNDETERMINED, Label.NO_FACT
MARGINS = st.sampled_from([0.0, 0.25, 0.5, 1.0])


def select(rows: list[Annotation], min_margin: float = 0.0) -> Selection:
    return select_with(rows, BuildConfig(min_margin=min_margin))


def only_choice(rows: list[Annotation]) -> tuple[str, str]:
    (choice,) = select(rows).choices
    return choice.chosen.annotation.id, choice.rejected.annotation.id


def share_correct(row: Annotation) -> float | None:
    """The score, said a second time and in other words."""
    decided = [s.verdict.label for s in row.sentences if s.verdict.label in DECIDED]
    return decided.count(Label.NO_HALLUCINATION) / len(decided) if decided else None


@given(rows=responses(), min_margin=MARGINS)
def test_every_response_is_used_or_has_a_reason(rows: list[Annotation], min_margin: float) -> None:
    selection = select(rows, min_margin)
    used = [
        side.annotation.id
        for choice in selection.choices
        for side in (choice.chosen, choice.rejected)
    ]
    assert sorted([*used, *selection.unused]) == sorted(row.id for row in rows)
    assert (selection.dropped is None) == bool(selection.choices)


@given(rows=responses(), min_margin=MARGINS)
def test_no_two_responses_make_a_wider_pair(rows: list[Annotation], min_margin: float) -> None:
    widths = [
        better - worse
        for left, right in product(rows, rows)
        if (better := share_correct(left)) is not None
        and (worse := share_correct(right)) is not None
        and left.text != right.text
    ]
    selection = select(rows, min_margin)
    for choice in selection.choices:
        check_choice(choice)
        assert choice.chosen.score - choice.rejected.score >= min_margin
        # One text has one verdict here only by chance: the copy that is left out may differ.
        if Unused.DUPLICATE_TEXT not in selection.unused.values():
            assert choice.chosen.score - choice.rejected.score == max(widths)
    if Unused.DUPLICATE_TEXT not in selection.unused.values():
        possible = any(width > 0 and width >= min_margin for width in widths)
        assert bool(selection.choices) == possible


def check_choice(choice: Choice) -> None:
    chosen, rejected = choice.chosen.annotation, choice.rejected.annotation
    assert chosen.text != rejected.text
    assert choice.chosen.score == share_correct(chosen)
    assert choice.rejected.score == share_correct(rejected)
    assert choice.chosen.score > choice.rejected.score
    assert GOOD in [s.verdict.label for s in chosen.sentences]
    assert any(s.verdict.label in DECIDED - {GOOD} for s in rejected.sentences)


@given(rows=responses(), data=st.data())
def test_order_does_not_matter(rows: list[Annotation], data: st.DataObject) -> None:
    assert select(rows) == select(data.draw(st.permutations(rows)))


def test_ties_at_the_top_go_to_more_correct_then_fewer_undetermined_then_least_id() -> None:
    worst = annotation("z", [BAD])
    one, two = annotation("a", [GOOD]), annotation("b", [GOOD, GOOD])
    assert only_choice([one, two, worst]) == ("b", "z")
    unsure = annotation("a", [GOOD, GOOD, UNKNOWN])
    assert only_choice([unsure, two, worst]) == ("b", "z")
    twin = annotation("c", [GOOD, GOOD])
    assert only_choice([twin, two, worst]) == ("b", "z")


def test_ties_at_the_bottom_go_to_fewer_correct_then_more_hallucinated_then_least_id() -> None:
    best = annotation("z", [GOOD])
    one, two = annotation("a", [BAD]), annotation("b", [BAD, BAD])
    assert only_choice([one, two, best]) == ("z", "b")
    assert only_choice([two, annotation("c", [BAD, BAD]), best]) == ("z", "b")
    half, quarters = annotation("d", [GOOD, BAD]), annotation("c", [GOOD, BAD, GOOD, BAD])
    assert only_choice([half, quarters, best]) == ("z", "d")


def test_reasons() -> None:
    good, bad = annotation("g", [GOOD]), annotation("b", [BAD])
    half = annotation("h", [GOOD, BAD])
    silent = annotation("s", [NO_FACT, UNKNOWN])
    copy = annotation("h2", [BAD, BAD], texts=["Sentence 0 of h.", "Sentence 1 of h."])

    assert select([good, half, bad, silent, copy]).unused == {
        "h": Unused.BETWEEN,
        "h2": Unused.DUPLICATE_TEXT,
        "s": Unused.NOTHING_DECIDED,
    }
    assert select([silent]).dropped is Unused.NOTHING_DECIDED
    assert select([silent, good]).dropped is Unused.NO_OTHER_RESPONSE
    assert select([bad, annotation("c", [BAD, NO_FACT])]).dropped is Unused.NOTHING_CORRECT
    assert select([half, annotation("i", [BAD, GOOD])]).dropped is Unused.SCORES_TIED
    assert select([good, half], min_margin=0.6).dropped is Unused.BELOW_MIN_MARGIN
    assert select([good, half], min_margin=0.5).dropped is None


def test_responses_that_cannot_be_compared_are_not() -> None:
    good = annotation("g", [GOOD])
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What of q?"}]
    assert select([good, annotation("b", [BAD], prompt=system)]).unused == {
        "g": Unused.PROMPTS_DIFFER,
        "b": Unused.PROMPTS_DIFFER,
    }
    assert select([good, annotation("b", [BAD], topic="t")]).dropped is Unused.TOPICS_DIFFER
    prefilled = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}]
    rows = [annotation("g", [GOOD], prompt=prefilled), annotation("b", [BAD], prompt=prefilled)]
    assert select(rows).dropped is Unused.PROMPT_ENDS_WITHOUT_USER
