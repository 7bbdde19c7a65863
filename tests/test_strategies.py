"""Selection in all its ways, compared with a second, slower account of the same rules."""

import math
from itertools import product

import pytest
from build_rows import BAD, GOOD, LABELS, annotation, responses
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.config import BuildConfig, Strategy, Weighting
from dataset_builder.select import Selection, comparable, select
from dataset_builder.strategies import Candidate, Choice
from dataset_builder.unused import EXPLANATIONS, Unused
from schemas.errors import ConfigError
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label, Side
from schemas.records import Annotation

SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
STRATEGIES = st.sampled_from(list(Strategy))
LENIENT = st.builds(BuildConfig, strategy=STRATEGIES, max_pairs=st.integers(1, 4))
STRICT = st.builds(
    BuildConfig,
    strategy=STRATEGIES,
    min_margin=SHARES,
    max_pairs=st.integers(1, 4),
    max_length_ratio=st.sampled_from([1.0, 1.5, 9.0]),
    max_hallucinated_chosen=SHARES,
    max_undetermined=SHARES,
    min_active_sentences=st.integers(1, 3),
    min_active_characters=st.sampled_from([1, 8, 20]),
)
CONFIGS = LENIENT | STRICT
# Mostly decided: undecided sentences alone make few pairs to choose from.
SIDES = st.lists(st.sampled_from([GOOD, BAD]) | LABELS, min_size=1, max_size=5)
TRAINS = {
    Side.CHOSEN: CORRECT_LABELS | {Label.NO_FACT},
    Side.REJECTED: HALLUCINATED_LABELS,
}


@st.composite
def distinct_responses(draw: st.DrawFn) -> list[Annotation]:
    """Responses of different texts and lengths, so that none is left out as a copy."""
    sides = draw(st.lists(SIDES, min_size=1, max_size=8))
    rows = []
    for index, labels in enumerate(sides):
        texts = [f"{index}" + "x" * draw(st.integers(0, 9)) + "." for _ in labels]
        rows.append(annotation(f"r{index}", labels, texts=texts))
    return draw(st.permutations(rows))


def labels_of(row: Annotation) -> list[Label]:
    return [sentence.verdict.label for sentence in row.sentences]


def score(row: Annotation) -> float:
    labels = labels_of(row)
    correct = sum(label in CORRECT_LABELS for label in labels)
    return correct / (correct + sum(label in HALLUCINATED_LABELS for label in labels))


def is_decided(row: Annotation) -> bool:
    return bool(set(labels_of(row)) & (CORRECT_LABELS | HALLUCINATED_LABELS))


def may_stand(row: Annotation, side: Side, config: BuildConfig) -> bool:
    labels = labels_of(row)
    active = [s for s in row.sentences if s.verdict.label in TRAINS[side]]
    return (
        len(active) >= config.min_active_sentences
        and sum(s.end - s.start for s in active) >= config.min_active_characters
        and labels.count(Label.UNDETERMINED) <= config.max_undetermined * len(labels)
        and (side is Side.REJECTED or 1 - score(row) <= config.max_hallucinated_chosen)
    )


def possible_pairs(
    rows: list[Annotation], config: BuildConfig
) -> list[tuple[Annotation, Annotation]]:
    """All pairs that no bound forbids, whatever the strategy."""
    decided = [row for row in rows if is_decided(row)]
    return [
        (chosen, rejected)
        for chosen, rejected in product(decided, decided)
        if score(chosen) > score(rejected)
        and score(chosen) - score(rejected) >= config.min_margin
        and may_stand(chosen, Side.CHOSEN, config)
        and may_stand(rejected, Side.REJECTED, config)
        and (config.strategy is not Strategy.LENGTH_MATCHED or is_matched(chosen, rejected, config))
    ]


def is_matched(chosen: Annotation, rejected: Annotation, config: BuildConfig) -> bool:
    lengths = sorted([len(chosen.text), len(rejected.text)])
    return lengths[1] <= config.max_length_ratio * lengths[0]


def ids(choice: Choice) -> tuple[str, str]:
    return choice.chosen.annotation.id, choice.rejected.annotation.id


@given(rows=responses(), config=CONFIGS)
def test_every_response_is_used_or_has_a_reason_whatever_the_strategy(
    rows: list[Annotation], config: BuildConfig
) -> None:
    selection = select(rows, config)
    used = {name for choice in selection.choices for name in ids(choice)}
    assert used | set(selection.unused) == {row.id for row in rows}
    assert not used & set(selection.unused)
    assert (selection.dropped is None) == bool(selection.choices)
    assert set(selection.unused.values()) <= set(EXPLANATIONS)


@given(rows=distinct_responses(), config=CONFIGS)
def test_pairs_are_made_exactly_when_the_bounds_allow_one(
    rows: list[Annotation], config: BuildConfig
) -> None:
    allowed = {(a.id, b.id) for a, b in possible_pairs(rows, config)}
    choices = select(rows, config).choices
    assert {ids(choice) for choice in choices} <= allowed
    assert bool(choices) == bool(allowed)
    assert len({ids(choice) for choice in choices}) == len(choices)


@given(rows=distinct_responses(), config=CONFIGS, data=st.data())
def test_order_does_not_matter_whatever_the_strategy(
    rows: list[Annotation], config: BuildConfig, data: st.DataObject
) -> None:
    assert select(rows, config) == select(data.draw(st.permutations(rows)), config)


def select_as(strategy: Strategy, config: BuildConfig, rows: list[Annotation]) -> Selection:
    return select(rows, config.model_copy(update={"strategy": strategy}))


@given(rows=distinct_responses(), config=CONFIGS)
def test_the_best_and_the_worst_that_may_stand_make_the_widest_pair(
    rows: list[Annotation], config: BuildConfig
) -> None:
    config = config.model_copy(update={"strategy": Strategy.BEST_WORST})
    widths = [score(a) - score(b) for a, b in possible_pairs(rows, config)]
    choices = select(rows, config).choices
    assert [choice.margin for choice in choices] == ([max(widths)] if widths else [])


@given(rows=distinct_responses(), config=CONFIGS)
def test_mirrored_pairs_are_best_and_worst_of_what_is_left(
    rows: list[Annotation], config: BuildConfig
) -> None:
    left, expected = list(rows), []
    for _ in range(config.max_pairs):
        one = select_as(Strategy.BEST_WORST, config, left).choices if left else ()
        if not one:
            break
        expected.append(ids(one[0]))
        left = [row for row in left if row.id not in ids(one[0])]
    found = select_as(Strategy.MIRRORED, config, rows).choices
    assert [ids(choice) for choice in found] == expected


@given(rows=distinct_responses(), config=CONFIGS)
def test_above_margin_takes_the_widest_of_all_pairs(
    rows: list[Annotation], config: BuildConfig
) -> None:
    config = config.model_copy(update={"strategy": Strategy.ABOVE_MARGIN})
    widths = sorted((score(a) - score(b) for a, b in possible_pairs(rows, config)), reverse=True)
    choices = select(rows, config).choices
    assert [choice.margin for choice in choices] == widths[: config.max_pairs]


@given(rows=distinct_responses(), config=CONFIGS)
def test_two_sigma_rejects_what_lies_nearest_below(
    rows: list[Annotation], config: BuildConfig
) -> None:
    config = config.model_copy(update={"strategy": Strategy.TWO_SIGMA})
    pairs = possible_pairs(rows, config)
    choices = select(rows, config).choices
    assert len(choices) == bool(pairs)
    if not pairs:
        return
    scores = [score(row) for row in rows if is_decided(row)]
    mean = sum(scores) / len(scores)
    target = mean - 2 * math.sqrt(sum((s - mean) ** 2 for s in scores) / len(scores))
    best = max(score(a) for a, _ in pairs)
    distances = [abs(score(b) - target) for a, b in pairs if score(a) == best]
    assert choices[0].chosen.score == best
    assert abs(choices[0].rejected.score - target) == pytest.approx(min(distances))


@given(rows=distinct_responses(), config=CONFIGS)
def test_length_matched_takes_the_widest_pair_of_like_length(
    rows: list[Annotation], config: BuildConfig
) -> None:
    config = config.model_copy(update={"strategy": Strategy.LENGTH_MATCHED})
    widths = [score(a) - score(b) for a, b in possible_pairs(rows, config)]
    choices = select(rows, config).choices
    assert [choice.margin for choice in choices] == ([max(widths)] if widths else [])


def test_two_sigma_passes_over_the_outlier() -> None:
    def row(name: str, num_good: int, number: int) -> Annotation:
        labels = [GOOD] * num_good + [BAD] * (20 - num_good)
        return annotation(name, labels, texts=words(number))

    rows = [row(f"g{number:02d}", 19, number) for number in range(16)]
    rows += [row("near", 13, 50), row("middle", 10, 51), row("outlier", 0, 52)]
    # Mean 0.861, sigma 0.234: two sigma below is 0.39, next to the middle one's 0.5. One sigma
    # below is 0.63, next to 0.65.
    (choice,) = select_as(Strategy.TWO_SIGMA, BuildConfig(), rows).choices
    assert choice.rejected.annotation.id == "middle"
    (choice,) = select_as(Strategy.BEST_WORST, BuildConfig(), rows).choices
    assert choice.rejected.annotation.id == "outlier"


def test_above_margin_goes_on_to_the_second_best_before_the_last() -> None:
    labels = {"a": [GOOD], "b": [GOOD] * 4 + [BAD], "y": [GOOD, BAD], "z": [BAD]}
    rows = [annotation(name, found) for name, found in labels.items()]
    config = BuildConfig(max_pairs=3, strategy=Strategy.ABOVE_MARGIN)
    assert [ids(choice) for choice in select(rows, config).choices] == [
        ("a", "z"),
        ("b", "z"),
        ("a", "y"),
    ]


def words(number: int) -> list[str]:
    return [f"Text {number} sentence {index}." for index in range(20)]


def test_bounds_name_the_side_they_bar() -> None:
    half = annotation("half", [GOOD, BAD])
    bad = annotation("bad", [BAD, BAD, Label.UNDETERMINED])

    def reason(**settings: object) -> Unused | None:
        return select([half, bad], BuildConfig.model_validate(settings)).dropped

    assert reason() is None
    assert reason(max_hallucinated_chosen=0.4) is Unused.HALLUCINATED_CHOSEN
    assert reason(max_hallucinated_chosen=0.5) is None
    assert reason(min_active_sentences=2) is Unused.LITTLE_ACTIVE_CHOSEN
    assert reason(min_active_characters=24) is Unused.LITTLE_ACTIVE_CHOSEN
    assert reason(max_undetermined=0.2) is Unused.UNDETERMINED_REJECTED
    assert reason(label_policy={"rejected": ["contradictory"]}) is Unused.NO_ACTIVE_REJECTED
    assert reason(strategy="length_matched", max_length_ratio=1.1) is Unused.LENGTHS_DIFFER


def test_a_barred_response_costs_its_question_nothing() -> None:
    unsure = annotation("a", [GOOD, GOOD, Label.UNDETERMINED])
    rows = [unsure, annotation("b", [GOOD, BAD]), annotation("c", [BAD])]
    selection = select(rows, BuildConfig(max_undetermined=0.3))
    assert [ids(choice) for choice in selection.choices] == [("b", "c")]
    assert selection.unused == {"a": Unused.BETWEEN}


@given(rows=responses(), confidence=st.none() | st.floats(0.01, 1.0))
def test_confidence_weights_bar_what_has_none(
    rows: list[Annotation], confidence: float | None
) -> None:
    config = BuildConfig(weighting=Weighting.CONFIDENCE)
    verdicts = {"confidence": confidence}
    sure = [
        row.model_copy(
            update={
                "sentences": [
                    s.model_copy(update={"verdict": s.verdict.model_copy(update=verdicts)})
                    for s in row.sentences
                ]
            }
        )
        for row in rows
    ]

    def barred(candidates: list[Candidate]) -> list[bool]:
        return [item.not_chosen is not None for item in candidates]

    found = barred(comparable(sure, config)[0])
    if confidence is None:
        assert all(found)
    else:
        assert found == barred(comparable(sure, BuildConfig())[0])


def test_a_strategy_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"'strategy' is 'best'.*'mirrored'"):
        BuildConfig.parse({"strategy": "best"}, where="build")
