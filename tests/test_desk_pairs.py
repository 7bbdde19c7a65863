"""Pairs in the desk: any row of any kind of file, decisions as files change."""

import json
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations

from dataset_builder.config import BuildConfig
from formats.reviews import PAIR_REVIEWS_NAME
from formats.reviews.pair_log import append_pair_review, decide, key_of_pair
from maskdpo.desk.pairs.decisions import PairDecisions, decisions_path
from maskdpo.desk.pairs.pair_desk import ChangedError, PairDesk, PairFilter
from maskdpo.desk.pairs.rows import open_rows
from maskdpo.desk.pairs.sides import sides_of
from maskdpo.publishing.dataset import build_dataset
from schemas.records import Pair
from trainer.data import scan_pairs

CONFIG = BuildConfig(test_share=0.3, near_duplicate=0)


def foreign(number: int, **more: Any) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": f"Question {number} 😀?"}],
        "chosen": [{"role": "assistant", "content": f"答案 {number}."}],
        "rejected": [{"role": "assistant", "content": f"Wrong\u202e {number}."}],
    } | more


def write_pairs(path: Path, rows: list[Any]) -> Path:
    """The rows in the format of the file's suffix."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif path.suffix == ".jsonl":
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\ufeff" + "\n\n".join(lines) + "\n", encoding="utf-8")
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist(rows)
        if path.suffix == ".parquet":
            pq.write_table(table, path, row_group_size=7)
        else:
            make = pa.ipc.new_stream if path.name.startswith("s") else pa.ipc.new_file
            with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=7)
    return path


def built(folder: Path, count: int = 40, **changes: Any) -> Path:
    annotations = write_annotations(folder / "annotations.jsonl", questions(count))
    build_dataset(CONFIG, annotations=annotations, output=folder / "dataset", **changes)
    return folder / "dataset"


def pair_at(desk: PairDesk, number: int) -> Pair:
    pair = desk.show(number, PairFilter()).pair
    assert pair is not None
    return pair


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.parquet", "stream.arrow", "file.arrow"])
def test_each_row_is_read_by_its_number_as_train_reads_it(tmp_path: Path, name: str) -> None:
    rows = [foreign(number) for number in range(30)]
    path = write_pairs(tmp_path / name, rows)
    expected = [row.pair for row in scan_pairs(path)]
    if name == "p.jsonl":  # ids of rows without one count lines there
        expected = [pair and pair.model_copy(update={"id": ""}) for pair in expected]
    pairs = open_rows(path)
    assert len(pairs) == 30
    for number in (30, 1, 8, 7, 15, 14, 29):
        found = pairs.read(number).pair
        if name == "p.jsonl":
            found = found and found.model_copy(update={"id": ""})
        assert found == expected[number - 1]
    for number in (1, 30):
        pair = pairs.read(number).pair
        assert pair is not None
        assert pairs.numbers_of(key_of_pair(pair)) == [number]
    for number in (0, 31, -1):
        with pytest.raises(IndexError):
            pairs.read(number)
    pairs.close()


def test_a_data_set_folder_has_one_numbering_over_its_splits(tmp_path: Path) -> None:
    folder = built(tmp_path)
    pairs = open_rows(folder)
    found = [pairs.heading(number) for number in range(1, len(pairs) + 1)]
    splits = [item.split for item in found]
    assert splits == sorted(splits, reverse=True)
    assert {"train", "test"} == set(splits)
    for item in (found[0], found[-1]):
        pair = pairs.read(item.number).pair
        assert pair is not None
        assert (pair.question_id, pair.topic) == (item.question_id, item.topic)
        numbers = pairs.numbers(topic=item.topic)
        assert item.number in numbers
        assert all(pairs.heading(number).topic == item.topic for number in numbers)
        assert pairs.numbers(text=item.question_id.upper()) == [
            one.number for one in found if item.question_id in one.question_id
        ]


def test_a_row_that_cannot_be_read_keeps_its_number(tmp_path: Path) -> None:
    path = write_pairs(
        tmp_path / "p.jsonl", [foreign(1), '{"chosen": 3', {"chosen": 3}, foreign(4)]
    )
    pairs = open_rows(path)
    assert (len(pairs), pairs.num_faulty) == (4, 2)
    assert "not valid JSON" in pairs.read(2).fault
    assert "'chosen' must be" in pairs.read(3).fault
    assert pairs.read(4).pair is not None


def test_decisions_are_next_to_the_data_and_never_in_a_data_set_folder(tmp_path: Path) -> None:
    folder = built(tmp_path / "run")
    expected = (tmp_path / "run").resolve() / PAIR_REVIEWS_NAME
    inside = next((folder / "pairs").glob("*.parquet"))
    assert decisions_path(folder) == decisions_path(inside) == expected
    path = write_pairs(tmp_path / "p.jsonl", [foreign(1)])
    assert decisions_path(path) == tmp_path.resolve() / PAIR_REVIEWS_NAME
    origins = [PairDesk(item).origin for item in (folder, inside, path)]
    assert origins == ["run", "run", "other"]
    (folder.parent / "annotations.jsonl").unlink()
    assert PairDesk(folder).origin == "folder"


def test_a_drop_is_seen_by_others_and_taken_back_by_the_person(tmp_path: Path) -> None:
    folder = built(tmp_path)
    ann, ben = PairDesk(folder), PairDesk(folder)
    key = ann.show(3, PairFilter()).key
    assert ann.decide(3, key, action="drop", who="ann", note="both wrong")
    assert not ann.decide(3, key, action="drop", who="ann", note="both wrong")  # a key twice
    shown = ben.show(3, PairFilter())
    assert [(item.who, item.note) for item in shown.drops] == [("ann", "both wrong")]
    assert [row.heading.number for row in ben.page(PairFilter(show="dropped")).rows] == [3]
    assert 3 not in [row.heading.number for row in ben.page(PairFilter(show="kept")).rows]
    assert ben.decide(3, key, action="keep", who="ben", note="")
    assert ann.show(3, PairFilter()).drops
    assert ann.decide(3, key, action="keep", who="ann", note="")
    assert not ben.show(3, PairFilter()).drops
    assert len((tmp_path / PAIR_REVIEWS_NAME).read_text().splitlines()) == 3


def test_next_and_previous_stay_in_the_filter(tmp_path: Path) -> None:
    desk = PairDesk(built(tmp_path))
    for number in (2, 5, 9):
        desk.decide(number, desk.show(number, PairFilter()).key, action="drop", who="ann", note="")
    dropped = PairFilter(show="dropped")
    shown = desk.show(5, dropped)
    assert (shown.previous, shown.following, shown.place, shown.total) == (2, 9, 2, 3)
    outside = desk.show(6, dropped)
    assert (outside.previous, outside.following, outside.place) == (5, 9, 0)
    ends = desk.show(1, PairFilter()), desk.show(len(desk.refresh()), PairFilter())
    assert (ends[0].previous, ends[1].following) == (None, None)


def test_after_a_build_the_page_shows_the_new_pairs_and_what_was_left_out(tmp_path: Path) -> None:
    folder = built(tmp_path)
    desk = PairDesk(folder)
    first, second = pair_at(desk, 1), pair_at(desk, 2)
    key = desk.show(1, PairFilter()).key
    desk.decide(1, key, action="drop", who="ann", note="")
    built(tmp_path, pair_reviews=[tmp_path / PAIR_REVIEWS_NAME])
    assert pair_at(desk, 1) == second
    with pytest.raises(ChangedError):
        desk.decide(1, key, action="drop", who="ann", note="")
    with pytest.raises(ChangedError):
        desk.decide(10**6, key, action="drop", who="ann", note="")
    (left,) = desk.absent()
    assert (left.question_id, left.who) == (first.question_id, "ann")
    with pytest.raises(ChangedError):
        desk.take_back(left.id, "ben")
    assert desk.take_back(left.id, "ann")
    assert not desk.absent()
    built(tmp_path, pair_reviews=[tmp_path / PAIR_REVIEWS_NAME])
    assert pair_at(desk, 1) == first


def test_the_file_is_read_as_it_grows_and_anew_where_it_was_replaced(tmp_path: Path) -> None:
    pairs = [Pair.model_validate_json(json.dumps(foreign(n, id=str(n)))) for n in range(3)]
    path = tmp_path / PAIR_REVIEWS_NAME
    decisions = PairDecisions(path)
    decisions.refresh()
    reviews = [decide(pair, action="drop", who="ann") for pair in pairs]
    append_pair_review(path, reviews[0])
    with path.open("a") as handle:
        handle.write("{}\n" + reviews[1].model_dump_json()[:40])
    decisions.refresh()
    assert list(decisions.dropped()) == [key_of_pair(pairs[0])]
    assert [fault.line for fault in decisions.faults] == [2]
    with path.open("a") as handle:
        handle.write(reviews[1].model_dump_json()[40:] + "\n")
    decisions.refresh()
    assert len(decisions.dropped()) == 2
    other = tmp_path / "other"
    other.write_text(reviews[2].model_dump_json() + "\n")
    other.replace(path)
    decisions.refresh()
    assert list(decisions.dropped()) == [key_of_pair(pairs[2])]
    assert (decisions.faults, decisions.people()) == ([], ["ann"])
    path.unlink()
    decisions.refresh()
    assert not decisions.dropped()


def test_a_side_shows_what_trains_and_its_pieces_are_the_text(tmp_path: Path) -> None:
    rows = [
        annotation_row("a", [GOOD, GOOD, BAD], question="q"),
        annotation_row("b", [BAD, BAD, GOOD], question="q"),
    ]
    annotations = write_annotations(tmp_path / "annotations.jsonl", rows)
    config = BuildConfig(test_share=0.0)
    build_dataset(config, annotations=annotations, output=tmp_path / "dataset")
    pair = pair_at(PairDesk(tmp_path / "dataset"), 1)
    for side, text in zip(sides_of(pair), (pair.chosen, pair.rejected), strict=True):
        joined = "".join(words for piece in side.pieces for words, _ in piece.segments)
        assert joined == text[0].content
        assert (side.num_training, side.num_masked) == (2, 1)
        assert [piece.training for piece in side.pieces if piece.number] == (
            ["trains", "trains", "masked"]
        )
    plain = Pair.model_validate_json(json.dumps(foreign(1, id="x")))
    (chosen, _) = sides_of(plain)
    assert not chosen.has_spans
    assert [piece.number for piece in chosen.pieces] == [0]
