"""Decisions of people about pairs: the file, what counts of it, and what a build makes of it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, questions, write_annotations
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dataset_builder.build import build_pairs
from dataset_builder.config import BuildConfig, Strategy
from dataset_builder.folder.read import load_pairs
from formats.reviews.pair_log import (
    LoggedPairReview,
    PairDrops,
    append_pair_review,
    decide,
    drops_among,
    holds_pair_reviews,
    key_of_pair,
    last_decisions,
    read_pair_reviews,
)
from maskdpo.cli.main import cli
from maskdpo.publishing.dataset import build_dataset, merge_datasets
from schemas.errors import InputError
from schemas.files.appending import cut_off_path
from schemas.files.shard import Shard
from schemas.records import Pair
from schemas.reviews import PairReview

CONFIG = BuildConfig(test_share=0.3)
ALL_PAIRS = BuildConfig(strategy=Strategy.ABOVE_MARGIN, max_pairs=9, test_share=0.0)
ROWS = [
    annotation(f"q{number}/{name}", labels, question=f"q{number}")
    for number in range(4)
    for name, labels in (
        ("a", [GOOD, GOOD, GOOD]),
        ("b", [GOOD, GOOD, BAD]),
        ("c", [GOOD, BAD, BAD]),
        ("d", [BAD, BAD, BAD]),
    )
]
BUILT = build_pairs(ROWS, ALL_PAIRS).pairs


def logged(reviews: list[PairReview]) -> list[LoggedPairReview]:
    return [LoggedPairReview(line=line, review=item) for line, item in enumerate(reviews, 1)]


def write(path: Path, reviews: list[PairReview]) -> Path:
    path.write_text("".join(item.model_dump_json() + "\n" for item in reviews), encoding="utf-8")
    return path


DECISIONS = st.lists(
    st.tuples(
        st.integers(0, len(BUILT) - 1),
        st.sampled_from(["drop", "keep"]),
        st.sampled_from(["ann", "ben"]),
        st.integers(0, 10_000),
    ),
    max_size=30,
    unique_by=lambda item: item[3],
)


@given(DECISIONS, st.randoms())
@settings(max_examples=150, deadline=None)
def test_drops_in_any_order_leave_the_other_pairs_as_they_were(
    made: list[tuple[int, str, str, int]], shuffled: random.Random
) -> None:
    reviews = [
        decide(
            BUILT[index], action=action, who=who, when=f"2026-01-01T00:00:{second / 1000:06.3f}Z"
        )
        for index, action, who, second in ((i, a, w, s * 5) for i, a, w, s in made)
    ]
    last: dict[tuple[int, str], str] = {}
    for index, action, who, _ in sorted(made, key=lambda item: item[3]):
        last[index, who] = action
    dropped = {index for (index, _), action in last.items() if action == "drop"}
    shuffled.shuffle(reviews)
    built = build_pairs(ROWS, ALL_PAIRS, drops=PairDrops.of(logged(reviews)))
    assert built.pairs == [pair for index, pair in enumerate(BUILT) if index not in dropped]
    used = {name for pair in built.pairs for name in (pair.chosen_id, pair.rejected_id)}
    assert used | built.unused.keys() == {row.id for row in ROWS}
    assert not used & built.unused.keys()
    assert {pair.question_id for pair in built.pairs} | built.dropped.keys() == {
        row.question_id for row in ROWS
    }


def test_the_last_decision_of_each_person_counts_and_any_drop_drops() -> None:
    pair = BUILT[0]
    entries = logged(
        [
            decide(pair, action="drop", who="ann", when="2026-01-01"),
            decide(pair, action="drop", who="ben", when="2026-01-02"),
            decide(pair, action="keep", who="ann", when="2026-01-03"),
        ]
    )
    decisions = last_decisions(entries)[key_of_pair(pair)]
    assert [(item.who, item.action) for item in decisions.values()] == [
        ("ben", "drop"),
        ("ann", "keep"),
    ]
    assert [item.who for item in drops_among(decisions)] == ["ben"]
    assert len(PairDrops.of(entries)) == 1
    later = decide(pair, action="keep", who="ben", when="2026-01-04T00:00+09:00")
    assert not len(PairDrops.of([*entries, LoggedPairReview(line=4, review=later)]))
    earlier = decide(pair, action="keep", who="ben", when="2026-01-02T08:00+09:00")
    assert len(PairDrops.of([*entries, LoggedPairReview(line=4, review=earlier)])) == 1


def test_a_drop_counts_for_the_pair_with_these_texts_of_this_question_only() -> None:
    drop = decide(BUILT[0], action="drop", who="ann", when="2026-01-01")
    for changes in (
        {"question_id": "q9"},
        {"chosen_sha256": "0" * 64},
        {"rejected_sha256": "0" * 64},
        {"chosen_sha256": drop.rejected_sha256, "rejected_sha256": drop.chosen_sha256},
    ):
        other = drop.model_copy(update=changes)
        assert build_pairs(ROWS, ALL_PAIRS, drops=PairDrops.of(logged([other]))).pairs == BUILT
    renamed = drop.model_copy(update={"chosen_id": "x", "rejected_id": "y"})
    assert build_pairs(ROWS, ALL_PAIRS, drops=PairDrops.of(logged([renamed]))).pairs == BUILT[1:]


def test_two_pairs_without_a_question_are_told_apart() -> None:
    def foreign(identifier: str) -> Pair:
        values = {
            "id": identifier,
            "prompt": [{"role": "user", "content": identifier}],
            "chosen": [{"role": "assistant", "content": "Yes."}],
            "rejected": [{"role": "assistant", "content": "No."}],
        }
        return Pair.model_validate_json(json.dumps(values))

    assert key_of_pair(foreign("a")) != key_of_pair(foreign("b"))


@pytest.mark.parametrize(
    "changes", [{"when": "yesterday"}, {"action": "maybe"}, {"who": ""}, {"chosen_sha256": "f00"}]
)
def test_a_row_that_cannot_count_is_refused(changes: dict[str, Any]) -> None:
    values = decide(BUILT[0], action="drop", who="ann").model_dump() | changes
    with pytest.raises(ValidationError):
        PairReview.model_validate(values)


def test_the_file_is_appended_to_and_a_cut_off_row_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "pair_reviews.jsonl"
    first = decide(BUILT[0], action="drop", who="ann", note="both wrong")
    assert append_pair_review(path, first) == 0
    before = path.read_bytes()
    with path.open("ab") as handle:
        handle.write(b'{"id": "half')
    second = decide(BUILT[1], action="keep", who="ben")
    assert append_pair_review(path, second) == len(b'{"id": "half')
    assert path.read_bytes().startswith(before)
    assert [entry.review for entry in read_pair_reviews(path)] == [first, second]
    assert cut_off_path(path).read_bytes() == b'{"id": "half\n'
    assert holds_pair_reviews(path)
    path.write_text(
        first.model_copy(update={"who": "eve"}).model_dump_json() + "\n" + path.read_text()
    )
    with pytest.raises(InputError, match="duplicate id"):
        read_pair_reviews(path)


def test_a_build_counts_drops_and_records_them(tmp_path: Path) -> None:
    rows = [json.loads(row.model_dump_json()) for row in ROWS]
    annotations = write_annotations(tmp_path / "annotations.jsonl", rows)
    copy = BUILT[2].model_copy(update={"question_id": "gone"})
    reviews = [
        decide(BUILT[0], action="drop", who="ann"),
        decide(BUILT[0], action="drop", who="ben"),
        decide(BUILT[1], action="keep", who="ben"),
        decide(copy, action="drop", who="Ben Mara"),
    ]
    drops = write(tmp_path / "Ben Mara.jsonl", reviews)
    plain = build_dataset(ALL_PAIRS, annotations=annotations, output=tmp_path / "plain")
    result = build_dataset(
        ALL_PAIRS, annotations=annotations, pair_reviews=[drops], output=tmp_path / "dataset"
    )
    expected = {"pair_reviews": 4, "pairs_dropped_by_people": 1, "pair_reviews_unused": 1}
    assert {name: result.counts[name] for name in expected} == expected
    assert "pair_reviews" not in plain.counts
    assert result.counts["pairs"] == plain.counts["pairs"] - 1
    pairs = load_pairs(plain.output, "train")
    assert load_pairs(result.output, "train") == [one for one in pairs if one.id != BUILT[0].id]
    assert any("1 pair left out that people dropped" in note for note in result.notes)
    assert any("1 drop in pair_reviews.jsonl changed nothing" in note for note in result.notes)
    manifest = json.loads((result.output / "manifest.json").read_text())
    assert "pair_reviews.jsonl" in manifest["inputs"]
    assert "Mara" not in json.dumps(manifest)
    assert "People dropped 1 of these pairs" in (result.output / "README.md").read_text()
    checked = CliRunner().invoke(cli, ["validate", str(result.output)])
    assert checked.exit_code == 0, checked.output


def test_a_question_without_a_pair_left_is_counted(tmp_path: Path) -> None:
    annotations = write_annotations(tmp_path / "annotations.jsonl", questions(3))
    config = BuildConfig(test_share=0.0, near_duplicate=0)
    plain = build_dataset(config, annotations=annotations, output=tmp_path / "plain")
    pairs = load_pairs(plain.output, "train")
    path = write(tmp_path / "p.jsonl", [decide(pairs[0], action="drop", who="ann")])
    result = build_dataset(
        config, annotations=annotations, pair_reviews=[path], output=tmp_path / "dataset"
    )
    counts = result.counts
    assert counts["dropped_by_people"] == 1
    assert counts["unused_by_people"] == 2
    unused = sum(count for name, count in counts.items() if name.startswith("unused_"))
    assert counts["responses"] == counts["responses_in_pairs"] + unused
    write(path, [decide(pair, action="drop", who="ann") for pair in pairs])
    with pytest.raises(InputError, match=r"people dropped each of its pairs.*--no-reviews"):
        build_dataset(
            config, annotations=annotations, pair_reviews=[path], output=tmp_path / "dataset"
        )


def test_shards_with_drops_are_the_build_in_one_piece(tmp_path: Path) -> None:
    rows = [row | {"topic": f"topic {i // 6}"} for i, row in enumerate(questions(60))]
    annotations = write_annotations(tmp_path / "annotations.jsonl", rows)
    plain = build_dataset(CONFIG, annotations=annotations, output=tmp_path / "plain")
    pairs = [pair for split in ("train", "test") for pair in load_pairs(plain.output, split)]
    reviews = [decide(pair, action="drop", who="ann") for pair in pairs[::7]]
    reviews += [
        decide(pairs[0].model_copy(update={"question_id": f"gone {n}"}), action="drop", who="ben")
        for n in range(5)
    ]
    path = write(tmp_path / "pair_reviews.jsonl", reviews)
    whole = build_dataset(
        CONFIG, annotations=annotations, pair_reviews=[path], output=tmp_path / "whole"
    )
    parts = []
    for index in range(1, 4):
        parts.append(tmp_path / "parts" / str(index))
        shard = Shard(index=index, count=3)
        build_dataset(
            CONFIG, annotations=annotations, pair_reviews=[path], output=parts[-1], shard=shard
        )
    merged = merge_datasets(parts, output=tmp_path / "merged")
    assert dict(merged.counts) == dict(whole.counts)
    assert whole.counts["pair_reviews_unused"] == 5
    assert merged.notes == whole.notes
    for file in whole.output.rglob("*"):
        if file.is_file():
            same = merged.output / file.relative_to(whole.output)
            assert same.read_bytes() == file.read_bytes(), file


def run_build(folder: Path, *more: str) -> tuple[str, dict[str, int]]:
    config = f"run.dir={folder / 'run'}"
    result = CliRunner().invoke(
        cli, ["build", "--set", config, "--set", "build.test_share=0", "--no-plots", *more]
    )
    assert result.exit_code == 0, result.output
    manifest = json.loads((folder / "run" / "dataset" / "manifest.json").read_text())
    return result.output, manifest["counts"]


def test_build_finds_the_file_and_no_reviews_leaves_it_out(tmp_path: Path) -> None:
    rows = questions(4)
    write_annotations(tmp_path / "run" / "annotations.jsonl", rows)
    _, plain = run_build(tmp_path)
    pair = load_pairs(tmp_path / "run" / "dataset", "train")[0]
    path = tmp_path / "run" / "pair_reviews.jsonl"
    append_pair_review(path, decide(pair, action="drop", who="ann"))
    output, counts = run_build(tmp_path)
    assert f"the decisions about pairs in {path} are used" in output
    assert (counts["pairs"], counts["pairs_dropped_by_people"]) == (plain["pairs"] - 1, 1)
    output, counts = run_build(tmp_path, "--no-reviews")
    assert f"{path} is not used (--no-reviews)" in output
    assert counts == plain
    other = tmp_path / "others.jsonl"
    other.write_text("")
    output, counts = run_build(tmp_path, "--reviews", str(other))
    assert f"{path} is not used (--reviews names other files)" in output
    assert counts == plain
    output, counts = run_build(tmp_path, "--reviews", str(other), "--reviews", str(path))
    assert counts["pairs_dropped_by_people"] == 1


def test_build_finds_drops_that_were_made_next_to_the_data_set(tmp_path: Path) -> None:
    annotations = write_annotations(tmp_path / "judged" / "a.jsonl", questions(4))
    arguments = ["build", "--annotations", str(annotations), "--no-plots"]
    arguments += ["--set", "build.test_share=0", "--set", f"run.dir={tmp_path / 'run'}"]
    arguments += ["--output", str(tmp_path / "sets" / "one")]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    pair = load_pairs(tmp_path / "sets" / "one", "train")[0]
    path = tmp_path / "sets" / "pair_reviews.jsonl"
    append_pair_review(path, decide(pair, action="drop", who="ann"))
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert pair.id not in [one.id for one in load_pairs(tmp_path / "sets" / "one", "train")]
    other = pair.model_copy(update={"chosen_id": "other", "rejected_id": "another"})
    write(path, [decide(other, action="drop", who="ann")])
    assert f"{path} is not used" in CliRunner().invoke(cli, arguments).output


def test_forget_removes_a_persons_decisions_and_those_about_a_response(tmp_path: Path) -> None:
    run = tmp_path / "run"
    rows = questions(4)
    write_annotations(run / "annotations.jsonl", rows)
    run_build(tmp_path)
    pairs = load_pairs(run / "dataset", "train")
    path = run / "pair_reviews.jsonl"
    reviews = [
        decide(pairs[0], action="drop", who="Ann Doe"),
        decide(pairs[1], action="drop", who="ben"),
        decide(pairs[2], action="drop", who="ben"),
    ]
    write(path, reviews)
    forget = ["forget", "--set", f"run.dir={run}"]
    done = CliRunner().invoke(cli, [*forget, "--who", "ann  doe".title()])
    assert done.exit_code == 0, done.output
    assert [entry.review for entry in read_pair_reviews(path)] == reviews[1:]
    done = CliRunner().invoke(cli, [*forget, "--response", pairs[1].rejected_id])
    assert done.exit_code == 0, done.output
    assert [entry.review for entry in read_pair_reviews(path)] == reviews[2:]
    append_pair_review(path, reviews[0])  # brought back from another machine
    _, counts = run_build(tmp_path)
    assert counts["pairs_dropped_by_people"] == 1
    assert counts["pair_reviews"] == 1


def test_show_says_what_the_file_is(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [decide(BUILT[0], action="drop", who="ann")])
    result = CliRunner().invoke(cli, ["show", str(path)])
    assert "decisions of people about pairs; show the pairs" in str(result.exception)


def test_a_sentence_review_is_no_decision_about_a_pair(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "a.jsonl", [annotation_row("a", [GOOD])])
    assert not holds_pair_reviews(path)
