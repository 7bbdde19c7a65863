"""Quantities: what is read as one, and when two forms state one amount."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.judging.lexical.quantities import read_quantities
from annotator.judging.lexical.quantity import Relation, relate

SAME = [
    ("cost $3.2 million in 1999", "cost $3,200,000 in 1999"),
    ("3.2M dollars", "$3.2 million"),
    ("1.2 km", "1,200 m"),
    ("1200 m", "1.2 km"),
    ("50 %", "50 percent"),
    ("1,204 metres", "1204 m"),
    ("1 h", "60 minutes"),
    ("20 °C", "68 °F"),
    ("20 degrees", "20 °C"),
    ("12 May 1999", "May 12, 1999"),
    ("1999-05-12", "12.05.1999"),
    ("1999年5月12日", "12 May 1999"),
    ("12 mai 1999", "12. Mai 1999"),
    ("May 1999", "12 May 1999"),
    ("in 1999", "12 May 1999"),
    ("twelve goats", "12 goats"),
    ("twenty-one", "21"),
    ("two hundred and fifty people", "250 people"),
    ("三百人", "300 people"),
    ("两千万元", "20,000,000元"),
    ("3.2亿", "320000000"),
    ("3亿2000万", "3.2亿"),
    ("百分之五十", "50%"),
    ("5‰", "0.5%"),
    ("about 1,200 metres", "1,204 metres"),
    ("约1200米", "1204米"),
    ("1.2 km", "1,204 m"),
    ("£5 million", "5 million pounds"),
    ("5 miles", "8 km"),
    ("５０％", "50%"),
    ("１２０４米", "1204米"),
    ("٥٠ km", "50 km"),
    ("version 2.3.1", "v2.3.1"),
    ("the 1920s", "1924"),
    ("19th century", "1850"),
    ("20世纪", "1950年"),
    ("二00八年", "2008年"),
    ("一九9八年5月", "May 1998"),
    ("costa€5", "€5"),
    ("hk$5", "5 hkd"),
    ("10 to 20 km", "10–20 km"),
    ("between 10 and 20 km", "10-20 km"),
    ("from 1999 to 2003", "1999–2003"),
    ("3rd", "third"),
    ("第三次", "third"),
    ("42-year-old", "aged 42"),
    ("42 years old", "42岁"),
    ("3:30 pm", "15:30"),
    ("3 pm", "15:00"),
    ("more than 1,000 people", "1,204 people"),
    ("3公里", "三公里"),
    ("5 kg", "5000 g"),
    ("5 µg", "0.005 mg"),
    ("12,34,567", "1234567"),
    ("1 204 m", "1,204 m"),
    ("1.204.000 m", "1204 km"),
    ("3,5 km", "3.5 km"),
    ("300 BC", "公元前300年"),
    ("二〇一九年", "2019"),
    ("a dozen eggs", "12 eggs"),
    ("US$5", "$5"),
    ("500 yuan", "￥500"),
    ("30亿美元", "$3 billion"),
    ("24 months", "2 years"),
    ("一百二十米", "120 m"),
    ("3-5 million people", "3 million to 5 million people"),
    ("90年代", "1990s"),
    ("20世纪80年代", "1980s"),
    ("1500 people", "1500"),
    ("98 km/h", "98 kph"),
    ("100 mph", "161 km/h"),
    ("5 square kilometres", "5 km²"),
    ("nearly 1,200", "1,195"),
    ("5 million", "5000000"),
    ("5千克", "5 kg"),
    ("6.5 billion won", "65亿韩元"),
]
OTHER = [
    ("-20 degrees", "20 degrees"),
    ("12 May 1999", "12 June 1999"),
    ("13 May 1999", "12 May 1999"),
    ("in 1998", "12 May 1999"),
    ("1,300 metres", "1,204 metres"),
    ("3 million", "3.2 million"),
    ("$5 million", "€5 million"),
    ("5 feet", "5 metres"),
    ("555-0142", "555-0143"),
    ("version 2.3.2", "version 2.3.1"),
    ("F-16", "F-18"),
    ("the 1930s", "1924"),
    ("19世纪", "1950年"),
    ("5 percentage points", "5 percent"),
    ("5 km", "5 km²"),
    ("+44 20 7946 0958", "+44 20 7946 0957"),
]
NEAR = [
    ("12 May 1999", "May 1999"),
    ("in 1924", "the 1920s"),
    ("15 km", "10-20 km"),
]


def relations(sentence: str, document: str) -> set[Relation]:
    """The best relation of each quantity of the sentence."""
    stated = read_quantities(document)
    assert stated
    found = {max(relate(said, other) for other in stated) for said in read_quantities(sentence)}
    assert found
    return found


@pytest.mark.parametrize(("sentence", "document"), SAME)
def test_one_amount_in_two_forms(sentence: str, document: str) -> None:
    assert relations(sentence, document) == {Relation.SAME}


@pytest.mark.parametrize(("sentence", "document"), OTHER)
def test_another_amount_of_one_kind(sentence: str, document: str) -> None:
    assert relations(sentence, document) == {Relation.OTHER}


@pytest.mark.parametrize(("sentence", "document"), NEAR)
def test_what_is_neither_stated_nor_denied(sentence: str, document: str) -> None:
    assert relations(sentence, document) == {Relation.NEAR}


@pytest.mark.parametrize(
    "text",
    [
        "一名面包师住在三明治店",
        "她十分高兴，万一下雨",
        "百万富翁",
        "五金店",
        "四川省有九江",
        "千万不要",
        "三三两两",
        "We may go in May.",
        "One of the men is the one.",
        "Room 5a and a 3D film",
    ],
)
def test_words_that_only_look_like_numbers(text: str) -> None:
    assert read_quantities(text) == ()


def test_a_list_number_is_no_quantity() -> None:
    assert [item.text for item in read_quantities("1. It costs $5.")] == ["$5"]
    assert [item.text for item in read_quantities("12. Mai 1999")] == ["12. Mai 1999"]


def test_a_range_gives_its_unit_to_both_ends() -> None:
    low, high = read_quantities("between 10 and 20 km")
    assert (low.value, high.value) == (10_000, 20_000)
    assert (low.low, low.high) == (10_000, 20_000)


@given(st.text(max_size=300))
def test_any_text_is_read_without_overlap(text: str) -> None:
    found = read_quantities(text)
    assert all(item.text == text[item.start : item.end] != "" for item in found)
    ends = [0, *(item.end for item in found)]
    assert all(end <= item.start for end, item in zip(ends, found, strict=False))
    assert all(relate(item, item) is Relation.SAME for item in found)
