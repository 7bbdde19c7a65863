"""Who is offered which sentence: assignment, second readings, and what neither gives away; HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk_run import open_run, row, write_run
from desk_support import Visitor, serving

from maskdpo.desk.desk import Desk, OpenSource
from maskdpo.desk.model import Filter, Status
from schemas.reviews import make_review, text_sha256

PEOPLE = ("Ann", "Ben", "Cho")
ROWS = [row(f"r{number:03}", "One is here. Two is there.") for number in range(120)]
OPEN = Filter(status=Status.OPEN)


def decide(source: OpenSource, sentence: int, who: str, *, blind: bool = True) -> None:
    """A decision that the person made on their own."""
    found = source.index.row(sentence)
    text = source.index.annotation(found.response)
    place = {"start": found.start, "end": found.end}
    source.record(
        make_review(
            response_id=text.id, text_sha256=text_sha256(text.text), action="label",
            spans=[{**place, "label": found.label}], blind=blind, who=who,
            when="2026-01-01T10:00:00Z", **place,
        )
    )  # fmt: skip


def ids(source: OpenSource, who: str, wanted: Filter = OPEN) -> set[int]:
    """What comes next for a person, all of it."""
    offered = source.work.offered(who, wanted)
    rows = source.index.find(wanted, who, limit=1000, mine=offered).rows
    return {one.id for one in rows}


@contextmanager
def visiting(desk: Desk, *names: str) -> Iterator[list[Visitor]]:
    with serving(desk) as address:
        yield [Visitor(address).login(who=name) for name in names]


def test_each_sentence_has_one_first_reader_and_a_share_a_second_one(tmp_path: Path) -> None:
    desk = open_run(write_run(tmp_path, ROWS), people=PEOPLE, share=0.25)
    (source,) = desk.sources.values()
    sets = [ids(source, who) for who in PEOPLE]
    times = [sum(one in found for found in sets) for one in range(1, 241)]
    assert set(times) == {1, 2}
    assert 35 < times.count(2) < 85  # a quarter of 240
    assert all(60 < len(found) < 140 for found in sets)
    assert source.progress("Ann") == (0, len(sets[0]))
    assert len(ids(source, "Dan")) == 240  # not listed: everything
    everything = Filter(status=Status.OPEN, everyone=True)
    assert len(ids(source, "Ann", everything)) == 240


def test_a_decision_of_another_changes_nothing_that_is_assigned(tmp_path: Path) -> None:
    desk = open_run(write_run(tmp_path, ROWS), people=PEOPLE, share=0.25)
    (source,) = desk.sources.values()
    before = [ids(source, who) for who in PEOPLE]
    twice = sorted(before[0] & before[1])
    decide(source, twice[0], "Ann")
    after = [ids(source, who) for who in PEOPLE]
    assert after == [before[0] - {twice[0]}, before[1], before[2]]


def test_without_people_next_leaves_out_what_another_decided(tmp_path: Path) -> None:
    desk = open_run(write_run(tmp_path, ROWS), share=0.25)
    (source,) = desk.sources.values()
    for sentence in range(1, 201):
        decide(source, sentence, "Ann")
    found = ids(source, "Ben")
    assert found > set(range(201, 241))
    due = found - set(range(201, 241))
    assert 30 < len(due) < 70  # a quarter of 200
    assert ids(source, "Ben", Filter(second=True)) == due
    decide(source, min(due), "Ben")
    assert min(due) not in ids(source, "Cho") | ids(source, "Ben")  # two are enough
    assert source.index.find(OPEN, "Ben", limit=300).total == 239  # the list has all
    assert ids(source, "Ann") == set(range(201, 241))
    with visiting(desk, "Ben") as (ben,):
        place = ben.get("/review/s/" + source.files.key + "/next").location
        first = source.index.row(min(found - {min(due)}))
        assert place.endswith(f"/r/{first.response}/{first.number}")


def test_a_decision_goes_on_to_the_next_sentence_that_is_offered(tmp_path: Path) -> None:
    desk = open_run(write_run(tmp_path, ROWS[:4]))
    (source,) = desk.sources.values()
    for sentence in (2, 3):
        decide(source, sentence, "Ben")
    with visiting(desk, "Ann") as (ann,):
        path = f"/review/s/{source.files.key}/r/1/0"
        assert "r/1/1" not in press(ann, path)
        assert source.progress("Ann")[0] == 1


def press(visitor: Visitor, path: str) -> str:
    """Label 1 on a sentence; the address of the page that follows."""
    page = visitor.get(path).text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    given = {**fields, "label": "no_hallucination"}
    reply = visitor.post(path, given, HX_Request="true")
    assert reply.status == 200, reply.text
    assert reply.headers["hx-push-url"].endswith("/r/2/1")
    return reply.headers["hx-push-url"]


@pytest.mark.parametrize("people", [(), PEOPLE[:2]])
def test_a_second_reader_sees_the_same_pages_before_and_after_the_first_decision(
    tmp_path: Path, people: tuple[str, ...]
) -> None:
    desk = open_run(write_run(tmp_path, ROWS[:6]), people=people, share=1.0)
    (source,) = desk.sources.values()
    base = f"/review/s/{source.files.key}"
    paths = [base, f"{base}?unreviewed=1", f"{base}?status=open&order=random&seed=3",
             f"{base}/next", f"{base}/next?unreviewed=1&after=1"]  # fmt: skip
    paths += [f"{base}/r/1/0", f"{base}/r/1/1", f"{base}/r/2/0"]
    with visiting(desk, "Ben") as (ben,):
        before = [shown(ben, path) for path in paths]
        decide(source, 1, "Ann")
        assert [shown(ben, path) for path in paths] == before
        assert "no_hallucination" not in " ".join(re.findall(r"<tr.*?</tr>", before[0], re.S))
    assert source.progress("Ben") == (0, 12)


def shown(visitor: Visitor, path: str) -> str:
    reply = visitor.get(path)
    return reply.headers.get("location") or reply.text


def test_a_person_who_is_not_listed_is_told(tmp_path: Path) -> None:
    desk = open_run(write_run(tmp_path, ROWS[:6]), people=PEOPLE)
    (source,) = desk.sources.values()
    base = f"/review/s/{source.files.key}"
    with visiting(desk, "Ann", "Dan") as (ann, dan):
        for path in ("/review", base, f"{base}/people"):
            assert "your name is not among them" in dan.get(path).text
            assert "your name is not among them" not in ann.get(path).text
        assert "assigned to you" in ann.get(base).text
        assert 'name="everyone"' in ann.get(base).text
        assert "12 sentences" in dan.get(base).text
        assert f">{source.progress('Ann')[1]} sentence" in ann.get(base).text
        assert "12 sentences" in ann.get(f"{base}?everyone=1").text


def test_blind_decisions_are_compared_with_the_judge(tmp_path: Path) -> None:
    rows = [row("r", "One is here. Two is there.", [{"label": "contradictory"}])]
    desk = open_run(write_run(tmp_path, rows))
    (source,) = desk.sources.values()
    decide(source, 1, "Ann")
    decide(source, 2, "Ann", blind=False)
    with visiting(desk, "Ben") as (ben,):
        page = ben.get(f"/review/s/{source.files.key}/people").text
        section = page.split("against blind decisions")[1]
        assert re.findall(r'<td class="number">([^<]*)</td>', section)[:2] == ["1", "1"]
        assert "same class 1 of 1" in ben.get("/review").text
