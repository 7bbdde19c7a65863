"""A filter as a query string: the round trip, and refusals that name what is allowed."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskdpo.desk.model import Filter, Order, Status
from maskdpo.desk.web.filter_query import PARAMETERS, QueryError, read_filter, write_filter
from schemas.labels import Label
from schemas.records import MAX_WHOLE

# All code points, single surrogates too: topics come from files.
WORDS = st.frozensets(st.text(st.characters(exclude_categories=()), max_size=8), max_size=3)
FILTERS = st.builds(
    Filter,
    labels=st.frozensets(st.sampled_from(list(Label))),
    reasons=WORDS,
    topics=WORDS,
    languages=WORDS,
    confidence=st.none() | st.floats(0.0, 1.0),
    status=st.sampled_from(list(Status)),
    judge_differs=st.booleans(),
    people_differ=st.booleans(),
    flagged=st.booleans(),
    unreviewed=st.booleans(),
    second=st.booleans(),
    everyone=st.booleans(),
    text=st.text(st.characters(exclude_categories=()), max_size=20),
    order=st.sampled_from(list(Order)),
    seed=st.integers(0, MAX_WHOLE),
)


@given(FILTERS)
def test_a_filter_comes_back_from_its_query(filter: Filter) -> None:
    query = write_filter(filter)
    assert read_filter(query) == filter
    assert query.isascii()
    assert write_filter(read_filter(query)) == query


@given(
    st.text(max_size=60)
    | st.lists(st.tuples(st.sampled_from(PARAMETERS), st.text())).map(urlencode)
)
def test_any_query_is_a_filter_or_refused(query: str) -> None:
    try:
        found = read_filter(query)
    except QueryError as error:
        assert str(error)
    else:
        assert read_filter(write_filter(found)) == found


def test_defaults_are_left_out_and_the_order_is_fixed() -> None:
    assert write_filter(Filter()) == ""
    one = Filter(topics=frozenset({"b", "a"}), text="x y", order=Order.RANDOM, seed=3)
    assert write_filter(one) == "topic=a&topic=b&q=x+y&order=random&seed=3"
    assert write_filter(Filter(flagged=True), {"after": 7}) == "flagged=1&after=7"


def test_a_form_with_empty_fields_is_no_condition() -> None:
    assert read_filter("label=&topic=&confidence=&status=&q=&order=&seed=&flagged=") == Filter()


def test_sentences_without_a_topic_are_not_all_sentences() -> None:
    without = Filter(topics=frozenset({""}))
    assert write_filter(without) == "without=topic"
    assert read_filter("without=topic") == without


def test_parameters_of_the_page_are_not_of_the_filter() -> None:
    assert read_filter("after=7&status=open", also=("after",)) == Filter(status=Status.OPEN)


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("label=wrong", ["label", "'wrong'", "no_hallucination", "undetermined"]),
        ("confidence=1.5", ["confidence", "'1.5'", "0 to 1"]),
        ("confidence=nan", ["confidence", "'nan'", "0 to 1"]),
        ("status=done", ["status", "'done'", "decided"]),
        ("flagged=yes", ["flagged", "'yes'", "0 and 1"]),
        ("order=newest", ["order", "'newest'", "least_sure"]),
        ("seed=-1", ["seed", "'-1'", "whole numbers"]),
        ("seed=٣", ["seed", "whole numbers"]),
        (f"seed={MAX_WHOLE + 1}", ["seed", str(MAX_WHOLE)]),
        ("without=label", ["without", "'label'", "reason, topic, language"]),
        ("status=open&status=all", ["status", "'all' and 'open'", "one value"]),
        ("labels=no_fact", ["'labels'", "did you mean 'label'"]),
        ("q=%ff", ["UTF-8"]),
        ("q=" + "x" * 501, ["501", "500"]),
        ("x" * 9000, ["9,000", "8,000"]),
        ("label=no_fact&" * 300, ["200 parameters"]),
    ],
)
def test_a_refusal_names_parameter_value_and_what_is_allowed(query: str, parts: list[str]) -> None:
    with pytest.raises(QueryError) as refusal:
        read_filter(query)
    for part in parts:
        assert part in str(refusal.value)
