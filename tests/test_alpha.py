"""Krippendorff's alpha: worked examples of its author, and the package of that name."""

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annotator.agreement.alpha import nominal_alpha


def counted(people: tuple[str, ...]) -> list[list[int]]:
    labels = sorted({label for row in people for label in row} - {"."})
    return [[unit.count(label) for label in labels] for unit in zip(*people, strict=True)]


@pytest.mark.parametrize(
    ("people", "alpha"),
    [  # Krippendorff (2011), sections A, B and C: each person's labels by unit; "." is missing
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_the_worked_examples_of_its_author(people: tuple[str, ...], alpha: float) -> None:
    assert nominal_alpha(counted(people)) == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize("counts", [[], [[1, 0], [0, 1]], [[3, 0], [2, 0]], [[0, 0]]])
def test_it_is_not_defined_without_two_labels_of_a_unit_or_with_one_label_only(
    counts: list[list[int]],
) -> None:
    assert nominal_alpha(counts) is None


def test_units_with_one_label_change_nothing() -> None:
    counts = [[2, 1], [0, 2], [3, 0]]
    assert nominal_alpha(counts) == nominal_alpha([*counts, [0, 1], [1, 0]])
    assert nominal_alpha([[2, 0], [0, 3]]) == 1.0
    assert nominal_alpha([[1, 1]]) == 0.0


@settings(max_examples=300, deadline=None)
@given(
    st.integers(2, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 4), min_size=width, max_size=width), min_size=1, max_size=30
        )
    )
)
def test_it_is_that_of_the_package_krippendorff(counts: list[list[int]]) -> None:
    table = np.array(counts)
    kept = table[table.sum(axis=1) >= 2]
    assume(len(kept) and (kept.sum(axis=0) > 0).sum() > 1)
    theirs = krippendorff.alpha(value_counts=table, level_of_measurement="nominal")
    assert nominal_alpha(counts) == pytest.approx(theirs, abs=1e-12)
