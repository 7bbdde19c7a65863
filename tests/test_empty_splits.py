"""A build without training pairs is refused with the true reason; so is every note on a split."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations

from dataset_builder.build import run_build
from dataset_builder.config import BuildConfig
from dataset_builder.folder.merge import run_merge
from dataset_builder.splits.empty_splits import _HELP, find_empty, note_on_test
from dataset_builder.splits.splits import Split, split_of
from dataset_builder.unused import EXPLANATIONS, Unused
from schemas.errors import InputError
from schemas.files.shard import Shard
from schemas.stage import StageResult


def build(
    tmp_path: Path, rows: Sequence[dict[str, Any]], shard: Shard | None = None, **settings: Any
) -> StageResult:
    return run_build(
        BuildConfig.model_validate({"near_duplicate": 0} | settings),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        output=tmp_path / f"dataset{shard or ''}".replace("/", "-"),
        shard=shard,
    )


def refusal(tmp_path: Path, rows: Sequence[dict[str, Any]], **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        build(tmp_path, rows, **settings)
    assert not (tmp_path / "dataset").exists()
    assert not list(tmp_path.glob("*failed*"))
    return str(caught.value)


def numbers_add_up(message: str) -> bool:
    """Whether the counts of reasons and pairs are those of all questions."""
    found = re.search(r"of (\d+) questions", message)
    assert found
    parts = [int(count) for count in re.findall(r"(\d+) x ", message)]
    gave = re.search(r"(\d+) gave pairs", message)
    return int(found[1]) == sum(parts) + (int(gave[1]) if gave else 0)


def in_split(split: Split, number: int) -> list[dict[str, Any]]:
    """The rows of `number` questions whose topics fall to a split."""
    rows = questions(40 * number)
    mine = [
        row
        for row in rows
        if split_of(topic=row["topic"], question_id="", seed=0, test_share=0.1) is split
    ]
    return mine[: 3 * number]


def test_when_train_repeats_test_the_filter_is_named(tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "Who ran the old mill at Karsted before the fire?"}]
    rows = [row | {"prompt": prompt} for row in questions(30)]
    message = refusal(tmp_path, rows, near_duplicate=0.8)
    assert "the split 'train' has no pair: of 30 questions, 28 x near_duplicate (" in message
    assert "2 gave pairs of the split 'test'" in message
    assert "raise build.near_duplicate (0.8)" in message
    assert numbers_add_up(message)


def test_when_all_topics_fall_to_test_the_share_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, questions(3), test_share=0.999999)
    assert (
        "topics of all 3 questions are in the split 'test' (test_share=0.999999, seed=0)" in message
    )
    assert "lower build.test_share, set another build.seed" in message
    message = refusal(tmp_path, in_split(Split.TEST, 2))
    assert "topics of all 2 questions are in the split 'test' (test_share=0.1" in message


def test_when_training_questions_give_nothing_their_reason_is_named(tmp_path: Path) -> None:
    tied = [
        annotation_row(f"{row['id']}", [GOOD], question=row["question_id"], topic=row["topic"])
        for row in in_split(Split.TRAIN, 4)
    ]
    message = refusal(tmp_path, [*tied, *in_split(Split.TEST, 1)])
    assert "of 5 questions, 4 x scores_tied (" in message
    assert "1 gave pairs of the split 'test'" in message
    assert numbers_add_up(message)
    message = refusal(tmp_path, tied)
    assert "gives no pair: of 4 questions with 12 responses, 4 x scores_tied" in message
    assert "sample.num_responses" in message


def test_merge_refuses_it_and_one_shard_may_be_empty(tmp_path: Path) -> None:
    rows = in_split(Split.TEST, 3)
    shards = [build(tmp_path, rows, Shard(index=index, count=2)).output for index in (1, 2)]
    with pytest.raises(InputError, match="the topics of all 3 questions are in the split 'test'"):
        run_merge(shards, output=tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_the_note_on_an_empty_test_split_is_true(tmp_path: Path) -> None:
    train = in_split(Split.TRAIN, 4)
    note = build(tmp_path, train).notes[0]
    assert (
        "split 'test' of 'pairs' is empty and not written: no question is in it (4 topics" in note
    )
    tied = [
        annotation_row(row["id"], [BAD], question=row["question_id"], topic=row["topic"])
        for row in in_split(Split.TEST, 2)
    ]
    result = build(tmp_path, [*train, *tied])
    assert (
        "2 questions are in it (test_share=0.1, seed=0), and none of them gave a pair"
        in (result.notes[0])
    )
    assert "2 x nothing_correct" in result.notes[0]
    assert result.counts["questions_of_test"] == 2
    assert not build(tmp_path, train, test_share=0).notes  # no test split was asked for


def test_shards_say_the_same_of_the_test_split(tmp_path: Path) -> None:
    rows = [*in_split(Split.TRAIN, 6), *in_split(Split.TEST, 2)]
    whole = build(tmp_path, rows)
    shards = [build(tmp_path, rows, Shard(index=index, count=3)).output for index in (1, 2, 3)]
    merged = run_merge(shards, output=tmp_path / "merged")
    assert merged.counts == whole.counts
    assert whole.counts["questions_of_test"] == 2


def test_each_reason_names_a_setting_that_exists() -> None:
    config = BuildConfig()
    assert _HELP.keys() == EXPLANATIONS.keys() == set(Unused)
    for reason in Unused:
        counts = {"questions": 2, "responses": 4, "pairs": 0, f"dropped_{reason}": 2}
        message = find_empty(counts, config) or ""
        assert f"2 x {reason} (" in message
        for setting in re.findall(r"build\.(\w+)", message):
            assert setting in BuildConfig.model_fields
        assert note_on_test({"pairs_test": 1}, config) is None


def test_each_reason_has_a_way_out() -> None:
    from dataset_builder.splits.empty_splits import _HELP
    from dataset_builder.unused import EXPLANATIONS, Unused

    assert set(_HELP) == set(EXPLANATIONS) == set(Unused)
