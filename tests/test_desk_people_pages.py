"""The pages of runs, lists, people and conflicts, over HTTP, around a small desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk_people_support import decide, small_desk, write
from desk_support import Visitor, serving

from formats.reviews.log import read_reviews
from schemas.labels import Label

GOOD, BAD, OPEN = Label.NO_HALLUCINATION, Label.CONTRADICTORY, Label.UNDETERMINED


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with serving(small_desk(tmp_path)) as found:
        yield found


@pytest.fixture
def visitor(address: str) -> Visitor:
    return Visitor(address).login(who="Ann")


def rows_of(page: str) -> list[str]:
    return re.findall(r"<tr[ >].*?</tr>", page.split("<tbody>")[1], re.S)


def test_runs_show_counts_shares_and_what_is_not_recorded(visitor: Visitor, tmp_path: Path) -> None:
    write(tmp_path, [decide("Ann", 0, GOOD), decide("Ben", 1, GOOD)])
    page = visitor.get("/review").text
    for part in ("2 responses, 4 sentences", "2 open for you", "1 decided by you",
                 "2 decided by anybody", "Contradictory 1 (25%)", "not recorded",
                 "/review/s/run/next?status=open"):  # fmt: skip
        assert part in page, part
    assert "style=" not in page


def test_a_blind_list_shows_the_judge_only_where_the_person_decided(
    visitor: Visitor, tmp_path: Path
) -> None:
    write(tmp_path, [decide("Ann", 0, GOOD)])
    rows = rows_of(visitor.get("/review/s/run").text)
    assert 'data-label="contradictory"' in rows[0] and "0.50" in rows[0]
    assert all("data-label" not in row and "0.50" not in row for row in rows[1:])
    visitor.post("/review/settings", {"blind": "off"})
    assert all("data-label" in row for row in rows_of(visitor.get("/review/s/run").text))


def test_a_list_escapes_texts_and_marks_hits(visitor: Visitor) -> None:
    page = visitor.get("/review/s/run?q=baker").text
    assert "She is a &lt;b&gt;<mark>baker</mark>&lt;/b&gt;." in page
    assert len(rows_of(page)) == 1 and "/review/s/run/r/1/1?q=baker" in page
    assert "<mark>你好</mark>世界" in visitor.get("/review/s/run?q=%E4%BD%A0%E5%A5%BD").text


def test_a_list_by_label_says_that_it_is_not_blind(visitor: Visitor) -> None:
    sentence = "not recorded as blind"
    assert sentence not in visitor.get("/review/s/run").text
    assert sentence in visitor.get("/review/s/run?label=no_fact").text


def test_a_form_becomes_one_address(visitor: Visitor) -> None:
    reply = visitor.get("/review/s/run?status=open&q=&topic=&order=reading", HX_Request="true")
    assert reply.headers["hx-push-url"] == "/review/s/run?status=open"


def test_a_wrong_filter_is_a_sentence(visitor: Visitor) -> None:
    reply = visitor.get("/review/s/run?status=done")
    assert reply.status == 400 and "allowed are all, open, decided, skipped" in reply.text
    assert visitor.get("/review/s/none").status == 404
    assert visitor.get("/review/s/run?at=x").status == 400


def test_people_and_their_agreement(visitor: Visitor, tmp_path: Path) -> None:
    write(tmp_path, [
        decide("Ann", number, GOOD, minute=number) for number in range(4)
    ] + [decide("Ben", 0, BAD), decide("Ben", 1, GOOD)])  # fmt: skip
    page = visitor.get("/review/s/run/people").text
    ann = rows_of(page)[0]
    assert "<bdi>Ann</bdi>" in ann and "60.0 s" in ann and "100%" in ann
    assert "decided on their own: 2" in page
    assert '<td class="number">2</td><td class="number">1</td>' in page  # both, same


def test_a_conflict_is_resolved_by_a_review_that_names_both(
    visitor: Visitor, tmp_path: Path
) -> None:
    path = write(tmp_path, [decide("Ann", 0, GOOD, note="I looked"), decide("Ben", 0, OPEN)])
    listed = visitor.get("/review/s/run/conflicts").text
    assert "/review/s/run/conflicts/1" in listed
    page = visitor.get("/review/s/run/conflicts/1").text
    assert "I looked" in page and "As Ben" in page
    key = re.search(r'name="key" value="(\w+)"', page)
    assert key is not None
    fields = {"choice": "label:no_fact", "key": key[1], "note": "both wrong"}
    reply = visitor.post("/review/s/run/conflicts/1", fields)
    assert (reply.status, reply.location) == (303, "/review/s/run/conflicts?done=1")
    ids = [entry.review.id for entry in read_reviews(path)]
    last = read_reviews(path)[-1].review
    assert sorted(last.resolves) == sorted(ids[:2])
    assert (last.who, last.note, last.spans[0].label) == ("Ann", "both wrong", Label.NO_FACT)
    after = visitor.get(reply.location).text
    assert "There are no conflicts" in after and "The judge said:" in after
    again = visitor.post("/review/s/run/conflicts/1", fields)
    assert again.status == 409 and len(read_reviews(path)) == 3


def test_a_resolution_is_undone_once_and_a_correction_of_it_resolves_again(
    visitor: Visitor, tmp_path: Path
) -> None:
    path = write(tmp_path, [decide("Ben", 0, GOOD), decide("Cho", 0, BAD)])
    page = visitor.get("/review/s/run/conflicts/1").text
    assert "Places in the documents" in page
    assert "<mark" in page.split("Places in the documents")[1]

    def resolve() -> str:
        key = re.search(r'name="key" value="(\w+)"', visitor.get("/review/s/run/conflicts/1").text)
        assert key is not None
        fields = {"choice": "side:0", "key": key[1]}
        return visitor.get(visitor.post("/review/s/run/conflicts/1", fields).location).text

    undo = re.search(r'name="undo" value="([^"]+)"', resolve())
    assert undo is not None
    for _ in range(2):
        reply = visitor.post("/review/s/run/conflicts/undo", {"undo": undo[1]})
        assert (reply.status, reply.location) == (303, "/review/s/run/conflicts/1")
    assert [one.review.action for one in read_reviews(path)] == ["label"] * 3 + ["withdraw"]
    assert "There are no conflicts" in resolve()
    page = visitor.get("/review/s/run/r/1/0").text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    visitor.post("/review/s/run/r/1/0", {**hidden, "label": "no_fact"}, HX_Request="true")
    last = read_reviews(path)[-1].review
    assert last.spans[0].label is Label.NO_FACT and len(last.resolves) == 2
    assert "There are no conflicts" in visitor.get("/review/s/run/conflicts").text
    other = visitor.post("/review/s/run/conflicts/undo", {"undo": read_reviews(path)[0].review.id})
    assert other.location == "/review/s/run/conflicts" and len(read_reviews(path)) == 6


def test_a_conflict_that_changed_since_the_page_is_not_decided(
    visitor: Visitor, tmp_path: Path
) -> None:
    path = write(tmp_path, [decide("Ann", 0, GOOD), decide("Ben", 0, BAD)])
    page = visitor.get("/review/s/run/conflicts/1").text
    key = re.search(r'name="key" value="(\w+)"', page)
    assert key is not None
    write(tmp_path, [decide("Cho", 0, Label.NO_FACT)])
    reply = visitor.post("/review/s/run/conflicts/1", {"choice": "side:0", "key": key[1]})
    assert reply.status == 409 and len(read_reviews(path)) == 3


def test_a_conflict_shows_nothing_of_the_judge(visitor: Visitor, tmp_path: Path) -> None:
    write(tmp_path, [decide("Ben", 0, GOOD), decide("Cho", 0, Label.NO_FACT)])
    page = visitor.get("/review/s/run/conflicts/1").text
    sides = page.split('<div class="sides">')[1].split('role="group"')[0]
    assert 'data-label="contradictory"' not in sides
    assert "0.5" not in sides
    assert visitor.get("/review/s/run/conflicts/2").location == "/review/s/run/conflicts"
    assert visitor.post("/review/s/run/conflicts/1", {"choice": "x", "key": "y"}).status == 409


def test_the_form_of_filters_leads_to_the_list(visitor: Visitor) -> None:
    page = visitor.get("/review/s/run?q=baker").text
    assert '<form class="filters" role="search" method="get" action="/review/s/run"' in page
    assert '<a href="/review/s/run">Clear the filters</a>' in page


def test_a_conflict_that_is_resolved_twice_at_once_is_resolved_once(
    address: str, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = write(tmp_path, [decide("Ann", 0, GOOD), decide("Ben", 0, BAD)])
    people = [Visitor(address).login(who=name) for name in ("Ann", "Ben", "Cho", "Dan")]
    key = re.search(r'name="key" value="(\w+)"', people[0].get("/review/s/run/conflicts/1").text)
    assert key is not None
    fields = {"choice": "label:no_fact", "key": key[1]}
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda one: one.post("/review/s/run/conflicts/1", fields), people))
    assert sorted(reply.status for reply in replies) == [303, 409, 409, 409]
    assert len(read_reviews(path)) == 3
