"""The reading page over HTTP: what it hides, what it records, what it refuses."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from desk_run import open_run, reviews, row, write_run
from desk_support import Visitor, serving

from maskdpo.desk.web.common import LABEL_KEYS
from schemas.reviews import text_sha256

TEXT = "Mira was born in 1951. She bakes bread. She has goats."
PLACES = [(0, 22), (23, 39), (40, 54)]
EVIDENCE = [{"document_id": "d", "start": 0, "end": 40, "score": 0.5}]
SAID = {
    "label": "unverifiable", "reason": "secretreason", "confidence": 0.31, "votes": {"svote": 3},
    "confidence_kind": "votes", "rationale": "secretrationale", "missing_quotes": ["secretquote"],
    "error_spans": [{"start": 5, "end": 8}], "evidence": EVIDENCE, "judge": "secretjudge",
}  # fmt: skip
SECRETS = ("secretreason", "secretrationale", "secretquote", "secretjudge", "svote", "0.31")
FIRST = "/review/s/run/r/1/0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    other = row("b", "Other text.", [{"label": "no_hallucination", "confidence": 0.99}])
    return write_run(tmp_path / "run", [row("a", TEXT, [SAID]), other])


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with serving(open_run(folder)) as found:
        yield found


@pytest.fixture
def ada(address: str) -> Visitor:
    return Visitor(address).login(who="Ada")


def form(number: int = 0, **values: Any) -> dict[str, str]:
    start, end = PLACES[number]
    given = {"start": start, "end": end, "text_sha256": text_sha256(TEXT), **values}
    return {name: one if isinstance(one, str) else json.dumps(one) for name, one in given.items()}


def at(number: int) -> str:
    return f"/review/s/run/r/1/{number}"


def post(visitor: Visitor, number: int = 0, query: str = "", **values: Any) -> Any:
    return visitor.post(at(number) + query, form(number, **values), HX_Request="true")


def value_of(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


def without_session(page: str) -> str:
    """A page without what differs by session, and of a list its rows alone."""
    return re.sub(r"[\w-]{43}|\b[0-9a-f]{32}\b", "", page.split("<tbody>")[-1])


def test_a_blind_page_is_the_same_whatever_the_judge_said(tmp_path: Path) -> None:
    """Pages of two runs that differ in the verdict alone, at each step before the decision."""
    other = {"label": "no_hallucination", "judge": "x", "confidence": 0.31}
    pages = []
    for name, verdict in (("one", SAID), ("two", other)):
        desk = open_run(write_run(tmp_path / name / "run", [row("a", TEXT, [verdict])]))
        with serving(desk) as address:
            visitor = Visitor(address).login(who="Ada")
            replies = [
                visitor.get(FIRST), visitor.get(at(1)), visitor.get(FIRST, HX_Request="true"),
                post(visitor, op="word", sel_kind="response", sel_id="a", sel_start=0, sel_end=4),
                post(visitor, op="join"), post(visitor, press="agree"),
                visitor.get("/review/s/run"),
                post(visitor, 1, label="no_fact"),
            ]  # fmt: skip
            assert [one.status for one in replies] == [200, 200, 200, 200, 200, 422, 200, 200]
            pages.append([without_session(one.text) for one in replies])
    for one, two in zip(*pages, strict=True):
        assert one.splitlines() == two.splitlines()


def test_after_the_decision_everything_that_the_judge_said_is_shown(ada: Visitor) -> None:
    before = ada.get(FIRST).text
    assert not any(secret in before for secret in SECRETS)
    following = post(ada, label="contradictory")
    assert following.headers["hx-push-url"] == at(1)
    after = ada.get(FIRST).text
    assert all(secret in after for secret in SECRETS)
    cited = re.search(r'<span class="evidence"[^>]*>(.*?)</span></span>|class="evidence"', after)
    assert cited is not None


def test_with_blind_mode_off_the_verdict_is_shown_and_agree_takes_it(
    ada: Visitor, folder: Path
) -> None:
    assert 'value="agree"' not in ada.get(FIRST).text
    ada.post("/review/settings", {"blind": "off"})
    page = ada.get(FIRST).text
    assert all(secret in page for secret in SECRETS)
    assert 'value="agree"' in page
    post(ada, press="agree")
    (last,) = reviews(folder)
    assert (last["action"], last["blind"]) == ("agree", False)
    assert last["spans"][0]["label"] == "unverifiable"
    assert last["spans"][0]["error_spans"] == [{"start": 5, "end": 8}]


def decided_blind(visitor: Visitor, folder: Path, number: int = 0, query: str = "") -> bool:
    post(visitor, number, query, label="no_fact")
    return bool(reviews(folder)[-1]["blind"])


def test_only_who_saw_nothing_decides_blind(ada: Visitor, folder: Path, address: str) -> None:
    assert decided_blind(ada, folder)
    post(ada, press="undo", undo=reviews(folder)[-1]["id"])
    assert not decided_blind(ada, folder), "the label was shown after the first decision"
    assert not decided_blind(ada, folder, 1, "?label=no_hallucination"), "the list gives it away"
    ben = Visitor(address).login(who="Ben")
    ben.post("/review/settings", {"blind": "off"})
    ben.get(FIRST)
    ben.post("/review/settings", {"blind": "on"})
    assert not decided_blind(ben, folder), "it was shown before the mode was switched on again"


def test_others_decisions_appear_after_ones_own(ada: Visitor, address: str) -> None:
    post(ada, label="no_fact", note="secretnote")
    ben = Visitor(address).login(who="Ben")
    assert "secretnote" not in ben.get(FIRST).text
    assert "Ada" not in ben.get(FIRST).text
    ben.post("/review/settings", {"blind": "off"})
    assert "secretnote" not in ben.get(FIRST).text
    post(ben, label="unverifiable")
    assert "secretnote" in ben.get(FIRST).text


def test_a_decision_sent_twice_is_recorded_once_and_undo_too(ada: Visitor, folder: Path) -> None:
    for _ in range(2):
        assert post(ada, label="no_fact").status == 200
    assert len(reviews(folder)) == 1
    undo = value_of(ada.get(FIRST).text, "undo")
    assert undo == reviews(folder)[0]["id"]
    post(ada, 1, label="no_fact")
    for _ in range(2):
        assert post(ada, 1, press="undo", undo=undo).status == 200
    assert [one["action"] for one in reviews(folder)] == ["label", "label", "withdraw"]
    assert post(ada, label="no_fact").status == 200
    assert [one["action"] for one in reviews(folder)] == ["label", "label", "withdraw", "label"]


def test_undo_walks_back_and_shows_the_sentence(ada: Visitor, folder: Path) -> None:
    for number in range(3):
        post(ada, number, label="no_fact")
    for number in (2, 1, 0):
        undo = value_of(ada.get(FIRST).text, "undo")
        reply = post(ada, press="undo", undo=undo)
        assert reply.headers["hx-push-url"] == at(number)
    assert value_of(ada.get(FIRST).text, "undo") == ""
    assert "nothing to undo" in post(ada, press="undo", undo="").text
    assert len(reviews(folder)) == 6


def test_nobody_undoes_for_another(ada: Visitor, address: str, folder: Path) -> None:
    post(ada, label="no_fact")
    ben = Visitor(address).login(who="Ben")
    post(ben, press="undo", undo=reviews(folder)[0]["id"])
    assert len(reviews(folder)) == 1


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"label": "nonsense"}, 409), ({"text_sha256": "0" * 64, "label": "no_fact"}, 409),
        ({"start": 1, "label": "no_fact"}, 409), ({"press": "nonsense"}, 409), ({}, 409),
        ({"words": [[0, 4]], "label": "no_hallucination"}, 422), ({"press": "agree"}, 422),
        ({"op": "word", "sel_kind": "response", "sel_start": 30, "sel_end": 35}, 422),
        ({"op": "evidence", "sel_kind": "response", "sel_start": 0, "sel_end": 5}, 422),
        ({"op": "evidence", "sel_kind": "document", "sel_id": "x", "sel_start": 0,
          "sel_end": 5}, 422),
        ({"op": "cut", "sel_kind": "response", "sel_start": 0, "sel_end": 0}, 422),
        ({"label": "no_fact", "note": "x" * 10_001}, 422), ({"op": "cut", "sel_start": "x"}, 409),
        ({"end": "22.0", "label": "no_fact"}, 409),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence_and_changes_nothing(
    ada: Visitor, folder: Path, values: Mapping[str, Any], status: int
) -> None:
    reply = post(ada, **values)
    assert reply.status == status, reply.text
    assert "<main" not in reply.text
    assert 10 < len(re.sub("<[^>]*>", "", reply.text).strip()) < 400
    assert reviews(folder) == []


def test_parts_joined_sentences_words_and_evidence_reach_the_file(
    ada: Visitor, folder: Path
) -> None:
    page = post(ada, op="cut", sel_kind="response", sel_id="a", sel_start=9, sel_end=9).text
    assert value_of(page, "cuts") == "[9]"
    page = post(ada, cuts=[9], label="no_hallucination").text
    labels = html.unescape(value_of(page, "labels"))
    assert json.loads(labels) == ["no_hallucination"]
    post(ada, cuts=[9], labels=labels, words=[[17, 21]], label="contradictory")
    post(ada, 1, end=54, label="no_fact", evidence=[["d", 0, 4]])
    split, joined = reviews(folder)
    assert split["action"] == "split"
    assert [(one["start"], one["end"], one["label"]) for one in split["spans"]] == [
        (0, 8, "no_hallucination"), (9, 22, "contradictory"),
    ]  # fmt: skip
    assert split["spans"][1]["error_spans"] == [{"start": 17, "end": 21}]
    assert (joined["start"], joined["end"]) == (23, 54)
    assert joined["evidence"][0]["document_id"] == "d"


def test_flags_skips_and_notes(ada: Visitor, folder: Path) -> None:
    page = post(ada, press="flag").text
    assert 'value="unflag"' in page
    post(ada, press="unflag")
    assert post(ada, press="skip").headers["hx-push-url"] == at(1)
    post(ada, label="no_fact")
    post(ada, press="note", note="why")
    rows = reviews(folder)
    assert [one["action"] for one in rows] == ["flag", "withdraw", "skip", "label", "label"]
    assert rows[-1]["note"] == "why"
    assert "why" in ada.get(FIRST).text


def test_what_comes_next_is_open_and_ends_with_a_sentence(ada: Visitor) -> None:
    reply = post(ada, 1, label="no_fact")
    assert reply.headers["hx-push-url"] == at(2)
    assert post(ada, 2, label="no_fact").headers["hx-push-url"].endswith("/r/2/0")
    post(ada, 0, label="no_fact")
    other = {"start": 0, "end": 11, "text_sha256": text_sha256("Other text."), "label": "no_fact"}
    last = ada.post("/review/s/run/r/2/0", other, HX_Request="true")
    assert "No open sentence is left" in last.text


def test_without_scripts_the_browser_is_sent_to_the_next_sentence(ada: Visitor) -> None:
    reply = ada.post(FIRST, form(label="no_fact"))
    assert reply.status == 303
    assert reply.location.startswith("/review/s/run/r/1/1")
    assert LABEL_KEYS["4"] == "no_fact"


def test_unknown_places_are_not_found(ada: Visitor) -> None:
    for path in ("/review/s/none/r/1/0", "/review/s/run/r/9/0", "/review/s/run/r/1/9",
                 "/review/s/run/r/1/-1"):  # fmt: skip
        assert ada.get(path).status == 404, path
    assert ada.get(f"{FIRST}?label=nonsense").status == 400
    assert ada.get(f"{FIRST}?doc=none&at=99999999").status == 200


def test_a_page_of_former_annotations_is_refused(ada: Visitor, folder: Path) -> None:
    ada.get(FIRST)
    write_run(folder, [row("a", TEXT.replace("1951", "1952"), [SAID])])
    reply = post(ada, label="no_fact")
    assert reply.status == 409
    assert reviews(folder) == []
    assert "1952" in ada.get(FIRST).text


def test_a_sentence_of_a_list_by_label_is_never_blind_again(ada: Visitor, folder: Path) -> None:
    ada.get(f"{FIRST}?label=unverifiable")
    assert not decided_blind(ada, folder)


def test_a_key_that_is_sent_twice_at_once_is_recorded_once(ada: Visitor, folder: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        for number in range(3):
            list(pool.map(lambda _, at=number: post(ada, at, label="no_fact"), range(4)))
    assert len(reviews(folder)) == 3
    assert ada.get(f"/review/s/run/r/{10**30}/0").status == 404
