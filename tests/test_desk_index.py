"""The index: what lists hold and in which order, what comes next, and what follows the reviews."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desk_run import open_run, row, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from maskdpo.desk.config import ReviewConfig
from maskdpo.desk.desk import Desk, OpenSource, open_desk
from maskdpo.desk.index.columns import LABELS
from maskdpo.desk.index.index import Index
from maskdpo.desk.model import Filter, Order, Status
from schemas.errors import InputError
from schemas.labels import Label
from schemas.reviews import make_review, text_sha256

WRONG = {"label": "contradictory", "confidence": 0.4, "confidence_kind": "votes"}
UNSURE = {"label": "undetermined", "reason": "no_document"}
SURE = {"label": "no_hallucination", "confidence": 0.9, "confidence_kind": "votes"}
ROWS = [
    row("a", "Mira bakes bread. Mira has goats.", [SURE, SURE], topic="food", language="en"),
    row("b", "She was born in 1950. Café olé.", [WRONG, SURE], topic="life", language="en"),
    row("c", "北京图书馆建于1912年。每年有人参观。", [SURE, UNSURE], topic="books", language="zh"),
    row("d", "No confidence here."),
]


@pytest.fixture
def source(tmp_path: Path) -> OpenSource:
    return next(iter(open_run(write_run(tmp_path / "run", ROWS)).sources.values()))


def texts(source: OpenSource, wanted: Filter, who: str = "Ada", **more: Any) -> list[str]:
    found = source.index.find(wanted, who, **more).rows
    return [source.index.annotation(one.response).text[one.start : one.end] for one in found]


def decide(
    source: OpenSource, response: str, number: int, label: str, who: str = "Ada", **values: Any
) -> str:
    numbered = source.index.response_of(response)
    assert numbered is not None
    annotation = source.index.annotation(numbered)
    place = annotation.sentences[number]
    spans = [{"start": place.start, "end": place.end, "label": Label(label)}] if label else []
    given = {
        "response_id": response, "text_sha256": text_sha256(annotation.text),
        "start": place.start, "end": place.end, "action": "label", "spans": spans, "who": who,
        "when": "2026-01-01T10:00:00Z",
    }  # fmt: skip
    return source.record(make_review(**{**given, **values})).entry.review.id


def test_responses_with_the_least_sure_sentence_come_first(source: OpenSource) -> None:
    assert texts(source, Filter()) == [
        "北京图书馆建于1912年。", "每年有人参观。", "She was born in 1950.", "Café olé.",
        "Mira bakes bread.", "Mira has goats.", "No confidence here.",
    ]  # fmt: skip


def test_orders(source: OpenSource) -> None:
    assert texts(source, Filter(order=Order.LEAST_SURE))[:2] == [
        "每年有人参观。",
        "She was born in 1950.",
    ]
    assert texts(source, Filter(order=Order.LEAST_SURE))[-1] == "No confidence here."
    assert texts(source, Filter(order=Order.FILE))[0] == "Mira bakes bread."
    one = texts(source, Filter(order=Order.RANDOM, seed=1))
    assert one == texts(source, Filter(order=Order.RANDOM, seed=1))
    assert one != texts(source, Filter(order=Order.RANDOM, seed=2))
    assert sorted(one) == sorted(texts(source, Filter()))


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(labels=frozenset({Label.CONTRADICTORY})), 1),
        (Filter(labels=frozenset({Label.CONTRADICTORY, Label.UNDETERMINED})), 2),
        (Filter(reasons=frozenset({"no_document"})), 1), (Filter(topics=frozenset({"food"})), 2),
        (Filter(topics=frozenset({"nothing"})), 0), (Filter(topics=frozenset({""})), 1),
        (Filter(languages=frozenset({"zh"})), 2), (Filter(confidence=0.5), 1),
        (Filter(confidence=0.5, languages=frozenset({"zh"})), 0), (Filter(unreviewed=True), 7),
        (Filter(status=Status.DECIDED), 0), (Filter(flagged=True), 0),
        (Filter(text="mira"), 2), (Filter(text="cafe"), 1), (Filter(text="OLÉ café"), 1),
        (Filter(text='"bakes bread"'), 1), (Filter(text='"bread bakes"'), 0),
        (Filter(text="书馆"), 1), (Filter(text="北"), 1), (Filter(text="馆北"), 0),
        (Filter(text="1912"), 1), (Filter(text="AND OR NOT *"), 0), (Filter(text="   "), 7),
    ],
)  # fmt: skip
def test_filters(source: OpenSource, wanted: Filter, count: int) -> None:
    page = source.index.find(wanted, "Ada")
    assert (len(page.rows), page.total) == (count, count)


def test_pages_follow_each_other_in_every_order(source: OpenSource) -> None:
    for order in Order:
        wanted, seen, after = Filter(order=order, seed=3), [], None
        for _ in range(5):
            page = source.index.find(wanted, "Ada", after, limit=2)
            seen += [one.id for one in page.rows]
            after = page.after
            if after is None:
                break
        assert seen == [one.id for one in source.index.find(wanted, "Ada").rows]
        back = source.index.find(wanted, "Ada", seen[4], limit=2, back=True)
        assert [one.id for one in back.rows] == seen[2:4]
        assert back.before == seen[2]


def test_the_next_row_is_that_of_the_list(source: OpenSource) -> None:
    for order in Order:
        wanted = Filter(order=order, seed=3)
        ids = [one.id for one in source.index.find(wanted, "Ada").rows]
        for one, two in zip(ids, [*ids[1:], None], strict=True):
            found = source.index.step(wanted, "Ada", one)
            assert (found and found.id) == two
            if two is not None:
                previous = source.index.step(wanted, "Ada", two, back=True)
                assert previous is not None
                assert previous.id == one


def test_a_decision_changes_the_lists_of_that_person_alone(source: OpenSource) -> None:
    decide(source, "b", 0, "contradictory")
    assert "She was born in 1950." not in texts(source, Filter(status=Status.OPEN))
    assert "She was born in 1950." in texts(source, Filter(status=Status.OPEN), "Ben")
    assert texts(source, Filter(status=Status.DECIDED)) == ["She was born in 1950."]
    assert source.index.find(Filter(unreviewed=True), "Ben").total == 6
    assert source.index.counts().open == 6
    assert source.index.find(Filter(judge_differs=True), "Ada").total == 0
    decide(source, "a", 1, "unverifiable")
    assert texts(source, Filter(judge_differs=True)) == ["Mira has goats."]
    assert source.progress("Ada") == (2, 7)
    assert source.progress("Ben") == (0, 7)


def test_conflicts_flags_skips_and_withdrawals(source: OpenSource) -> None:
    one = decide(source, "a", 0, "no_fact")
    two = decide(source, "a", 0, "unverifiable", "Ben")
    assert texts(source, Filter(people_differ=True)) == ["Mira bakes bread."]
    own = {who: [LABELS[one] for one in codes if one >= 0] for who, codes in
           source.index.own_labels().items()}  # fmt: skip
    assert own == {"Ada": ["no_fact"], "Ben": ["unverifiable"]}
    decide(source, "a", 0, "unverifiable", "Cem", resolves=[one, two])
    assert texts(source, Filter(people_differ=True)) == []
    (state, _) = source.index.states_of(source.index.row(5).response)
    assert state.label is Label.UNVERIFIABLE
    assert state.own == {"Ada": Label.NO_FACT, "Ben": Label.UNVERIFIABLE}
    assert state.by["Cem"] is Label.UNVERIFIABLE
    assert state.skipped == frozenset()
    decide(source, "d", 0, "", action="flag")
    decide(source, "d", 0, "", action="skip")
    assert texts(source, Filter(flagged=True)) == ["No confidence here."]
    assert texts(source, Filter(status=Status.SKIPPED)) == ["No confidence here."]
    assert "No confidence here." not in texts(source, Filter(status=Status.OPEN))
    decide(source, "a", 0, "", action="withdraw", withdraws=one)
    assert "Mira bakes bread." in texts(source, Filter(status=Status.OPEN))
    last = source.last_review("Ada")
    assert last is not None
    assert last.action == "skip"


def test_the_second_reading_is_a_share_of_what_one_other_person_decided(tmp_path: Path) -> None:
    rows = [row(f"r{number:03}", "One sentence.") for number in range(200)]
    desk = open_run(write_run(tmp_path / "run", rows), share=0.25, seed=7)
    source = desk.sources["run"]
    for number in range(0, 200, 2):
        decide(source, f"r{number:03}", 0, "no_fact")
    assert source.index.find(Filter(second=True), "Ada").total == 0
    due = source.index.find(Filter(second=True), "Ben", limit=200).rows
    assert 10 < len(due) < 40
    assert {int(source.index.annotation(one.response).id[1:]) % 2 for one in due} == {0}


def test_identical_answers_are_shown_once_and_share_their_reviews(tmp_path: Path) -> None:
    rows = [row(name, "One sentence.", question_id="q") for name in ("b", "a", "c")]
    rows.append(row("x", "One sentence."))
    source = open_run(write_run(tmp_path / "run", rows)).sources["run"]
    counts = source.index.counts()
    assert (counts.responses, counts.copies, counts.sentences) == (2, 2, 2)
    number = source.index.response_of("c")
    assert number is not None
    assert source.index.annotation(number).id == "a"
    assert source.index.copies(number) == ["a", "b", "c"]
    decide(source, "c", 0, "no_fact")
    assert source.index.find(Filter(status=Status.DECIDED), "Ada").total == 1


def test_what_another_desk_appends_is_taken_over(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    one, two = (open_run(folder).sources["run"] for _ in range(2))
    decide(one, "b", 0, "contradictory")
    two.refresh()
    assert texts(two, Filter(status=Status.DECIDED)) == ["She was born in 1950."]
    decide(two, "b", 0, "no_fact", "Ben")
    one.refresh()
    assert texts(one, Filter(people_differ=True)) == ["She was born in 1950."]


def test_a_new_start_knows_everything_and_a_replaced_file_too(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    first = open_run(folder)
    decide(first.sources["run"], "b", 0, "contradictory")
    decide(first.sources["run"], "a", 0, "no_fact", "Ben")
    first.close()
    again = open_run(folder).sources["run"]
    assert again.progress("Ada")[0] == again.progress("Ben")[0] == 1
    assert again.people() == ["Ada", "Ben"]
    path = folder / "reviews.jsonl"
    kept = [line for line in path.read_text().splitlines() if '"Ben"' not in line]
    path.unlink()
    path.write_text("\n".join(kept) + "\n")
    again.refresh()
    assert again.progress("Ada")[0] == 1
    assert again.progress("Ben")[0] == 0
    assert open_run(folder).sources["run"].people() == ["Ada"]


def builds(desk_folder: Path) -> int:
    seen: list[object] = []
    folder = desk_folder / ".review"
    before = {path.name: path.stat().st_ino for path in folder.iterdir()} if folder.exists() else {}
    open_run(desk_folder, on_event=seen.append).close()
    after = {path.name: path.stat().st_ino for path in folder.iterdir()}
    return int(before != after)


def test_the_index_is_made_again_only_when_a_file_changed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    assert builds(folder) == 1
    assert builds(folder) == 0
    write_run(folder, ROWS[:2])
    assert builds(folder) == 1
    assert open_run(folder).sources["run"].index.counts().responses == 2
    (folder / "documents.jsonl").write_text('{"id": "d", "text": "other"}\n')
    source = open_run(folder).sources["run"]
    document = source.index.document("d")
    assert document is not None
    assert document.text == "other"
    for path in (folder / ".review").iterdir():
        path.write_bytes(b"no database")
    assert open_run(folder).sources["run"].index.counts().responses == 2


def test_a_bad_row_is_counted_and_the_rest_is_used(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    path = folder / "annotations.jsonl"
    path.write_text('{"id": "x"}\n' + path.read_text())
    desk = open_run(folder)
    counts = desk.sources["run"].index.counts()
    assert (counts.responses, counts.num_faults) == (4, 1)
    assert desk.notes[0].startswith("1 row of ")
    assert "annotations.jsonl:1" in counts.faults[0]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = write_run(tmp_path_factory.mktemp("search") / "run", ROWS)
    return open_run(folder).sources["run"].index


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_query_is_an_error(searched: Index, query: str) -> None:
    assert searched.find(Filter(text=query), "Ada").total >= 0


def test_each_two_neighbouring_characters_find_their_sentence(searched: Index) -> None:
    for one in searched.find(Filter(languages=frozenset({"zh"})), "Ada").rows:
        text = searched.annotation(one.response).text[one.start : one.end].rstrip("。")
        for at in range(len(text) - 1):
            found = searched.find(Filter(text=text[at : at + 2]), "Ada").rows
            if not text[at : at + 2].isdigit() and not any(map(str.isdigit, text[at : at + 2])):
                assert one in found, text[at : at + 2]


def test_an_empty_file_of_annotations_is_an_empty_desk(tmp_path: Path) -> None:
    desk: Desk = open_run(write_run(tmp_path / "run", ROWS[3:]))
    assert desk.sources["run"].index.find(Filter(text="nothing"), "Ada").rows == []


def test_who_was_shown_labels_is_known_after_a_restart_and_with_a_new_index(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    first, other = (open_run(folder).sources["run"] for _ in range(2))
    first.note_shown("Ada", [1, 2])
    for _ in range(2):
        assert [other.was_shown("Ada", number) for number in (1, 2, 3)] == [True, True, False]
        assert not other.was_shown("Ben", 1)
        (folder / "annotations.jsonl").touch()
        other = open_run(folder).sources["run"]
    first.refresh()
    assert first.was_shown("Ada", 2)


def test_a_decision_that_the_index_missed_is_taken_over(
    source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk of the index is full, or another program holds it: the decision is in the file."""
    add = source.index.add_reviews
    monkeypatch.setattr(source.index, "add_reviews", lambda *_: (_ for _ in ()).throw(OSError))
    with pytest.raises(OSError):
        decide(source, "b", 0, "contradictory")
    monkeypatch.setattr(source.index, "add_reviews", add)
    source.refresh()
    assert source.progress("Ada")[0] == 1
    decide(source, "b", 0, "contradictory")
    assert source.progress("Ada")[0] == 1


def test_reviews_of_earlier_versions_count(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    first = open_run(folder)
    decide(first.sources["run"], "b", 0, "contradictory")
    first.close()
    (folder / "reviews.jsonl").rename(folder / "corrections.jsonl")
    for path in folder.glob("reviews.jsonl*"):
        path.unlink()
    source = open_run(folder).sources["run"]
    assert source.progress("Ada")[0] == 1
    decide(source, "a", 0, "no_fact")
    assert open_run(folder).sources["run"].progress("Ada")[0] == 2
    assert (folder / "reviews.jsonl").read_text().count("\n") == 1


def test_annotations_that_are_written_again_are_taken_over(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    source = open_run(folder).sources["run"]
    decide(source, "b", 0, "contradictory")
    write_run(folder, [row("new", "A new text."), ROWS[1]])
    source.refresh()
    assert sorted(texts(source, Filter())) == ["A new text.", "Café olé.", "She was born in 1950."]
    assert texts(source, Filter(status=Status.DECIDED)) == ["She was born in 1950."]
    (folder / "annotations.jsonl").rename(folder / "away.jsonl")
    with pytest.raises(InputError, match=r"annotations\.jsonl: cannot be read any more"):
        source.refresh()
    (folder / "away.jsonl").rename(folder / "annotations.jsonl")
    source.refresh()
    assert source.index.counts().responses == 2


@pytest.mark.parametrize("content", ["", "\n\n", "not json\n", '{"id": "x"}\n'])
def test_a_file_without_a_response_is_an_error_before_the_desk_opens(
    tmp_path: Path, content: str
) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    (folder / "annotations.jsonl").write_text(content)
    with pytest.raises(InputError, match="has no response that can be reviewed"):
        open_desk(folder, ReviewConfig())


def test_rows_that_are_no_reviews_are_one_note_and_stay(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    decide(open_run(folder).sources["run"], "b", 0, "contradictory")
    path = folder / "reviews.jsonl"
    path.write_text(path.read_text() + 'not json\n{"id": "x"}\n')
    before = path.read_bytes()
    desk = open_run(folder)
    (note,) = desk.notes
    assert note.startswith(f"2 rows of {path} cannot be read as reviews")
    decide(desk.sources["run"], "a", 0, "no_fact")
    assert path.read_bytes().startswith(before)
    assert desk.sources["run"].progress("Ada")[0] == 2


def test_a_decision_that_cannot_be_written_is_one_sentence(
    source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    from formats.reviews import journal

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "append_lines", full)
    with pytest.raises(InputError, match=r"No space left on device\), so it is not saved"):
        decide(source, "b", 0, "contradictory")
    monkeypatch.undo()
    decide(source, "b", 0, "contradictory")
    assert source.progress("Ada")[0] == 1


def test_missing_documents_are_a_note(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    assert open_run(folder).notes == []
    (folder / "documents.jsonl").unlink()
    assert "run.documents" in open_run(folder).notes[0]


def test_a_rest_of_a_joined_place_is_open_again(source: OpenSource) -> None:
    number = source.index.response_of("a")
    assert number is not None
    one, two = source.index.annotation(number).sentences
    span = {"start": one.start, "end": two.end, "label": Label.NO_FACT}
    decide(source, "a", 0, "", start=one.start, end=two.end, spans=[span])
    assert source.progress("Ada")[0] == 2
    decide(source, "a", 1, "unverifiable", when="2026-01-02T10:00:00Z")
    assert [state.by for state in source.index.states_of(number)] == [
        {},
        {"Ada": Label.UNVERIFIABLE},
    ]
    assert "Mira bakes bread." in texts(source, Filter(status=Status.OPEN))


def test_a_sentence_with_parts_of_different_labels_differs_from_the_judge(
    source: OpenSource,
) -> None:
    number = source.index.response_of("a")
    assert number is not None
    start, end = (one := source.index.annotation(number).sentences[0]).start, one.end
    spans = [
        {"start": start, "end": start + 4, "label": Label.NO_HALLUCINATION},
        {"start": start + 5, "end": end, "label": Label.CONTRADICTORY},
    ]
    decide(source, "a", 0, "", action="split", spans=spans)
    assert texts(source, Filter(judge_differs=True)) == ["Mira bakes bread."]
    assert texts(source, Filter(status=Status.DECIDED)) == ["Mira bakes bread."]
