"""Which responses a preview shows, and the fragment that is set apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.judging.judge import JudgeTask
from annotator.judging.runs.preview import choose_preview
from annotator.judging.tasks import set_fragment_apart
from annotator.text.sentences import split_sentences
from schemas.records import Message, Response


def task(number: int, topic: str, size: int) -> JudgeTask:
    response = Response(
        id=f"r{number}",
        question_id=f"q{number}",
        topic=topic,
        prompt=[Message(role="user", content="What?")],
        text="x" * size,
    )
    return JudgeTask(response=response, sentences=[(0, size)], documents=[])


def test_topics_take_turns():
    tasks = [task(n, "ABC"[n // 10], n % 10 + 1) for n in range(30)]
    chosen = choose_preview(tasks, 6)
    assert sorted(item.response.topic for item in chosen) == ["A", "A", "B", "B", "C", "C"]


def test_fewer_than_the_topics_are_spread_over_them():
    tasks = [task(n, f"t{n:03}", 5) for n in range(100)]
    chosen = [int(item.response.topic[1:]) for item in choose_preview(tasks, 3)]
    assert chosen == sorted(chosen)
    assert chosen[0] < 40 < chosen[1] < 60 < chosen[2]


def test_lengths_are_spread_within_a_topic():
    tasks = [task(n, "A", n + 1) for n in range(90)]
    sizes = sorted(len(item.response.text) for item in choose_preview(tasks, 3))
    assert sizes[0] < 35 < sizes[1] < 60 < sizes[2]


@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(1, 9))), st.integers(1, 12))
def test_as_many_as_wanted_each_once_in_order(rows: list[tuple[str, int]], count: int):
    tasks = [task(n, topic, size) for n, (topic, size) in enumerate(rows)]
    chosen = choose_preview(tasks, count)
    numbers = [int(item.response.id[1:]) for item in chosen]
    assert len(chosen) == min(count, len(tasks))
    assert numbers == sorted(set(numbers))
    assert chosen == choose_preview(tasks, count)


def ended(text: str, finish_reason: str) -> tuple[list[str], str | None]:
    response = Response(
        id="r",
        question_id="q",
        prompt=[Message(role="user", content="What?")],
        text=text,
        finish_reason=finish_reason,
    )
    whole, fragment = set_fragment_apart(response, split_sentences(text, language="en"))
    return [text[a:b] for a, b in whole], fragment and text[slice(*fragment)]


@pytest.mark.parametrize(
    ("text", "whole", "fragment"),
    [
        ("It opened. From her home, where", ["It opened."], "From her home, where"),
        ("From her home, where", [], "From her home, where"),
        ("It opened. Then it closed.", ["It opened.", "Then it closed."], None),
        ('It opened. He said "go."', ["It opened.", 'He said "go."'], None),
        ("It opened. Did it **close?**", ["It opened.", "Did it **close?**"], None),
        ("它在1999年开放。然后它", ["它在1999年开放。"], "然后它"),
        ("它在1999年开放。然后它关闭了。", ["它在1999年开放。", "然后它关闭了。"], None),
    ],
)
def test_a_fragment_cut_off_by_length_is_set_apart(
    text: str, whole: list[str], fragment: str | None
):
    assert ended(text, "length") == (whole, fragment)


@pytest.mark.parametrize("finish_reason", ["stop", "unknown", "content_filter"])
def test_only_where_the_length_limit_ended_the_response(finish_reason: str):
    assert ended("It opened. A list without a stop", finish_reason)[1] is None
