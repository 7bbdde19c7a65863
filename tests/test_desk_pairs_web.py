"""The pages on pairs, over HTTP: list, side by side, drop, take back; hostile texts are escaped."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from desk_support import Visitor, serving
from test_desk_pairs import built, foreign, write_pairs

from formats.reviews import PAIR_REVIEWS_NAME
from formats.reviews.pair_log import read_pair_reviews

HOSTILE = "</mark><script>alert(1)</script>\" onx='1' {{ 7*7 }} \u202e\x00 &lt;"


@contextmanager
def desk_of(*paths: Path) -> Iterator[str]:
    """The pages around a desk with one source per path: s0, s1, ..."""
    sources = {}
    for number, path in enumerate(paths):
        files = SimpleNamespace(key=f"s{number}", name=path.name, kind="pairs", path=path)
        sources[files.key] = SimpleNamespace(files=files, people=list)
    other = SimpleNamespace(key="a", name="a", kind="annotations", path=paths[0])
    sources["a"] = SimpleNamespace(files=other, people=list)
    with serving(SimpleNamespace(sources=sources)) as address:
        yield address


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, text
    return found[1]


def decide(visitor: Visitor, number: int, action: str, **more: Any) -> Any:
    page = visitor.get(f"/review/s/s0/pairs/{number}")
    fields = {"pair": hidden(page.text, "pair"), "action": action, **more}
    return visitor.post(f"/review/s/s0/pairs/{number}", fields, hx_request="true")


def test_drop_and_take_back(tmp_path: Path) -> None:
    folder = built(tmp_path)
    log = tmp_path / PAIR_REVIEWS_NAME
    with desk_of(folder) as address:
        ann = Visitor(address).login(who="ann")
        listed = ann.get("/review/s/s0/pairs")
        assert listed.status == 200
        assert 'href="/review/s/s0/pairs/1"' in listed.text
        page = ann.get("/review/s/s0/pairs/2")
        assert page.status == 200
        assert 'data-key="d"' in page.text
        assert "sentences that train: " in page.text
        done = decide(ann, 2, "drop", note="both <b>wrong</b>")
        assert done.status == 200
        assert done.text.lstrip().startswith("<title>")
        assert "Recorded: dropped" in done.text
        assert "both &lt;b&gt;wrong&lt;/b&gt;" in done.text
        (entry,) = read_pair_reviews(log)
        assert (entry.review.who, entry.review.action) == ("ann", "drop")
        ben = Visitor(address).login(who="ben")
        assert "Only the person who dropped it" in ben.get("/review/s/s0/pairs/2").text
        kept = ann.get("/review/s/s0/pairs?show=kept").text
        assert 'pairs/2?show=kept"' not in kept
        assert 'pairs/3?show=kept"' in kept
        assert decide(ann, 2, "keep").status == 200
        assert "Dropped." not in ben.get("/review/s/s0/pairs/2").text
        plain = ann.post("/review/s/s0/pairs/1", {"pair": "x", "action": "drop"})
        assert plain.status == 409
        assert "nothing was recorded" in plain.text
        assert len(read_pair_reviews(log)) == 2


def test_what_a_build_left_out_can_be_taken_back(tmp_path: Path) -> None:
    folder = built(tmp_path)
    with desk_of(folder) as address:
        ann = Visitor(address).login(who="ann")
        decide(ann, 1, "drop")
        built(tmp_path, pair_reviews=[tmp_path / PAIR_REVIEWS_NAME])
        text = ann.get("/review/s/s0/pairs").text
        assert "1 dropped pair that this data set does not hold" in text
        back = {"review": hidden(text, "review")}
        assert ann.post("/review/s/s0/pairs/taken-back", {"review": "none"}).status == 409
        assert ann.post("/review/s/s0/pairs/taken-back", back).status == 303
        assert "does not hold" not in ann.get("/review/s/s0/pairs").text


def test_each_kind_of_data_says_what_a_drop_does(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", [foreign(1)])
    folder = built(tmp_path / "run")
    with desk_of(path, folder) as address:
        ann = Visitor(address).login(who="ann")
        for page in ("/review/s/s0/pairs", "/review/s/s0/pairs/1"):
            text = ann.get(page).text
            assert "was not built here" in text
            assert str(tmp_path.resolve() / PAIR_REVIEWS_NAME) in text
        assert "The next maskdpo build of this run" in ann.get("/review/s/s1/pairs/1").text
        ann.post("/review/settings", {"lang": "zh"})
        assert "此数据集不是在这里构建的" in ann.get("/review/s/s0/pairs/1").text


def test_texts_of_the_data_never_become_markup(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        side: [{"role": role, "content": HOSTILE + side}]
        for side, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant"))
    }
    names = ("question_id", "topic", "language", "policy", "judge", "chosen_id", "rejected_id")
    row |= {name: HOSTILE + name for name in names}
    span = {"start": 0, "end": 5, "label": "hallucinated", "weight": 1.0}
    row |= {"chosen_spans": [span], "rejected_spans": [span]}
    rows: list[Any] = [row, '{"<script>alert(2)</script>": ', foreign(3)]
    rows.append(foreign(4, chosen=[{"role": "assistant", "content": HOSTILE + "\ud800"}]))
    path = write_pairs(tmp_path / "p.jsonl", rows)
    with desk_of(path) as address:
        ann = Visitor(address).login(who="ann")
        pages = [
            "pairs",
            "pairs/1",
            "pairs/2",
            "pairs/4",
            "pairs?text=%3Cscript%3E",
            "pairs?topic=%00%3Cb",
        ]
        for page in pages:
            reply = ann.get(f"/review/s/s0/{page}")
            assert reply.status == 200, page
            assert "alert(1)</script>" not in reply.text
            assert "<script>" not in reply.text
            assert " onx='1'" not in reply.text
            assert not re.search(r"<[^>]*\sstyle=", reply.text)
        done = decide(ann, 1, "drop", note=HOSTILE)
        assert done.status == 200
        assert "<script>" not in done.text


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("s0/pairs/0", 404),
        ("s0/pairs/9", 404),
        ("s0/pairs/-1", 404),
        ("none/pairs", 404),
        ("a/pairs", 404),
        ("s0/pairs?show=some", 400),
    ],
)
def test_an_address_that_is_wrong_is_refused(tmp_path: Path, page: str, status: int) -> None:
    path = write_pairs(tmp_path / "p.jsonl", [foreign(1)])
    with desk_of(path) as address:
        ann = Visitor(address).login(who="ann")
        assert ann.get(f"/review/s/{page}").status == status


def test_a_change_needs_the_sessions_token_and_a_name(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", [foreign(1)])
    with desk_of(path) as address:
        ann = Visitor(address).login(who="ann")
        key = hidden(ann.get("/review/s/s0/pairs/1").text, "pair")
        fields = {"pair": key, "action": "drop"}
        assert ann.post("/review/s/s0/pairs/1", fields, csrf="").status == 403
        assert Visitor(address).post("/review/s/s0/pairs/1", fields).status == 401
        assert ann.post("/review/s/s0/pairs/1", fields | {"action": "burn"}).status == 422
        assert ann.post("/review/s/s0/pairs/1", fields | {"note": "x" * 4_001}).status == 422
        assert not (tmp_path / PAIR_REVIEWS_NAME).exists()
        assert ann.post("/review/s/s0/pairs/1", fields).status == 303
        pressed = {"pair": key, "action": "drop", "press": "keep"}
        assert ann.post("/review/s/s0/pairs/1", pressed).status == 303
        (first, second) = read_pair_reviews(tmp_path / PAIR_REVIEWS_NAME)
        assert (first.review.action, second.review.action) == ("drop", "keep")


def test_a_data_set_that_is_gone_is_an_error_page(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", [json.dumps(foreign(1))])
    with desk_of(path) as address:
        ann = Visitor(address).login(who="ann")
        assert ann.get("/review/s/s0/pairs/1").status == 200
        path.unlink()
        gone = ann.get("/review/s/s0/pairs/1")
        assert gone.status == 409
        assert "not found" in gone.text
