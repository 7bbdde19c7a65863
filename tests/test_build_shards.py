"""Many files, many shards, one result; and no more in memory than one question."""

import random
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, questions, write_annotations
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.config import BuildConfig
from dataset_builder.input_index import BlockReader, InputIndex
from dataset_builder.reading.heads import HeadReader
from dataset_builder.review_outcome import conflicts_path
from formats.forgotten import Forgotten
from maskdpo.cli.main import cli
from maskdpo.publishing.dataset import build_dataset, merge_datasets
from schemas.errors import ConfigError, InputError
from schemas.files.shard import Shard
from schemas.files.writing import write_json
from schemas.labels import Label
from schemas.reviews import ReviewSpan, make_review, text_sha256
from schemas.stage import StageResult, failures_path

CONFIG = BuildConfig(test_share=0.3)
COPIED = [{"role": "user", "content": "Who ran the mill at Karsted?"}]


def many_rows() -> list[dict[str, Any]]:
    """Questions with every fate: pairs, near duplicates, faults, ties, several in a topic."""
    rows = [row | {"topic": f"topic {i // 6}"} for i, row in enumerate(questions(60))]
    rows = [row | ({"prompt": COPIED} if index < 60 else {}) for index, row in enumerate(rows)]
    rows += [
        annotation_row("p1", [GOOD], question="p"),
        annotation_row("p2", [BAD], question="p", prompt=[{"role": "user", "content": "Else?"}]),
        annotation_row("t1", [GOOD], question="t", topic="one"),
        annotation_row("t2", [BAD], question="t", topic="two"),
        annotation_row("lonely", [GOOD], question="l", topic=""),
    ]
    return random.Random(4).sample(rows, len(rows))


def all_bytes(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_files(folder: Path, rows: list[dict[str, Any]], count: int) -> list[Path]:
    return [
        write_annotations(folder / f"part-{index}.jsonl", rows[index::count])
        for index in range(count)
    ]


def write_reviews(path: Path) -> Path:
    values = {
        "text_sha256": "0" * 64,
        "start": 0,
        "end": 1,
        "spans": [],
        "action": "split",
        "who": "w",
        "when": "2026-01-01",
    }
    ids = ["p1", "p1", "q7/best", "nobody"]
    rows = [make_review(response_id=name, note=str(n), **values) for n, name in enumerate(ids)]
    for number, index in enumerate((9, 9, 40, 41, 52)):  # the first two people disagree
        text = annotation(f"q{index}/best", [GOOD, GOOD]).text
        label = (Label.NO_HALLUCINATION, Label.UNVERIFIABLE)[number % 2]
        place = {"start": 0, "end": len(text)}
        changes = {
            "text_sha256": text_sha256(text),
            "action": "label",
            "spans": [ReviewSpan(**place, label=label)],
            "who": f"person {5 - number}",
            "when": f"2026-01-0{number + 1}",
        }
        rows.append(make_review(response_id=f"q{index}/best", **(values | place | changes)))
    path.write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
    return path


def build_parts(tmp_path: Path, count: int, config: BuildConfig = CONFIG) -> list[Path]:
    files = write_files(tmp_path, many_rows(), 3)
    reviews = [write_reviews(tmp_path / "reviews.jsonl")]
    folders = []
    for index in range(1, count + 1):
        folders.append(tmp_path / "parts" / str(index))
        build_dataset(
            config,
            annotations=files,
            reviews=reviews,
            output=folders[-1],
            shard=Shard(index=index, count=count),
        )
    return folders


def build_whole(tmp_path: Path) -> StageResult:
    return build_dataset(
        CONFIG,
        annotations=write_files(tmp_path, many_rows(), 3),
        reviews=[write_reviews(tmp_path / "reviews.jsonl")],
        output=tmp_path / "whole",
    )


@pytest.mark.parametrize("count", [1, 4, 40])
def test_shards_merged_are_the_build_in_one_piece(tmp_path: Path, count: int) -> None:
    whole = build_whole(tmp_path)
    if count == 1:
        again = build_dataset(
            CONFIG,
            annotations=write_files(tmp_path, many_rows(), 3)[::-1],
            reviews=[tmp_path / "reviews.jsonl"],
            output=tmp_path / "again",
        )
        assert all_bytes(again.output) == all_bytes(whole.output)
        return
    parts = build_parts(tmp_path, count)  # of 40 shards of 63 questions, some are empty
    merged = merge_datasets(random.Random(0).sample(parts, count), output=tmp_path / "merged")
    assert all_bytes(merged.output) == all_bytes(whole.output)
    assert dict(merged.counts) == dict(whole.counts)
    assert (whole.counts["conflicts"], whole.counts["reviews_applied"]) == (1, 3)
    listed = conflicts_path(whole.output).read_bytes()
    assert conflicts_path(merged.output).read_bytes() == listed
    notes = [note.replace("merged.conflicts", "whole.conflicts") for note in merged.notes]
    assert (merged.num_rows, notes) == (whole.num_rows, whole.notes)
    assert [*merged.failures] == [*whole.failures]
    assert failures_path(merged.output).read_bytes() == failures_path(whole.output).read_bytes()
    assert whole.counts["dropped_near_duplicate"]
    assert [row.reason for row in whole.failures].count("text_changed") == 3


def test_files_and_their_order_decide_no_row(tmp_path: Path) -> None:
    rows = many_rows()
    one = build_dataset(
        CONFIG, annotations=write_files(tmp_path / "1", rows, 1), output=tmp_path / "one"
    )
    five = build_dataset(
        CONFIG, annotations=write_files(tmp_path / "5", rows, 5), output=tmp_path / "five"
    )
    found = [
        {name: text for name, text in all_bytes(result.output).items() if ".parquet" in name}
        for result in (one, five)
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 4


@given(st.text(min_size=1), st.integers(1, 50))
def test_a_question_falls_to_one_shard(question_id: str, count: int) -> None:
    shards = [Shard(index=index, count=count) for index in range(1, count + 1)]
    assert [shard.has(question_id) for shard in shards].count(True) == 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", ""])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must look like 2/4"):
        Shard.parse(text)


def test_parts_that_do_not_make_a_whole_are_refused(tmp_path: Path) -> None:
    one, two, three = build_parts(tmp_path, 3)
    output = tmp_path / "merged"

    def refuses(words: str, *parts: Path) -> None:
        with pytest.raises(InputError, match=words):
            merge_datasets(parts, output=output)
        assert not output.exists()

    refuses("is one of 3 parts; also give 2/3", one, three)
    refuses("is part 1/3, like", one, two, three, copy_of(one))
    refuses("is a whole data set", build_whole(tmp_path).output)
    refuses("not a data set of maskdpo", tmp_path)
    other = tmp_path / "other"
    build_parts(other, 3, CONFIG.model_copy(update={"seed": 1}))
    seeds = "seed is 1, not 0; build all parts with the same settings"
    refuses(f"from another build than .*'config' differ: {seeds}", one, two, other / "parts" / "3")
    path = next((two / "pairs").iterdir())
    path.write_bytes(path.read_bytes() + b" ")
    refuses("its hash differs", one, two, three)
    path.unlink()
    refuses("is missing; build this shard again", one, two, three)


def copy_of(folder: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, folder.with_name("copy")))


def test_faults_of_all_files_are_told_in_order_and_ids_are_one_set(tmp_path: Path) -> None:
    first = write_annotations(
        tmp_path / "a.jsonl",
        [*questions(2), annotation_row("late", [GOOD], text="short"), "{nonsense"],
    )
    # A row with an id that is taken is not read again, so its text is not a second fault.
    taken = annotation_row("q0/best", [GOOD], text="short")
    second = write_annotations(tmp_path / "b.jsonl", [taken])
    (tmp_path / "c.jsonl").write_text("")
    with pytest.raises(InputError) as caught:
        build_dataset(
            CONFIG,
            annotations=[tmp_path / "c.jsonl", second, first],
            output=tmp_path / "dataset",
        )
    told = [(Path(fault.path).name, fault.line) for fault in caught.value.faults]
    assert told == [("a.jsonl", 7), ("a.jsonl", 8), ("b.jsonl", 1), ("c.jsonl", None)]
    assert f"first used on {first}:1; ids must be unique in all files" in str(caught.value)
    assert not (tmp_path / "dataset").exists()


def test_two_inputs_of_one_name_are_both_in_the_manifest(tmp_path: Path) -> None:
    import json

    rows = questions(4)
    files = [
        write_annotations(tmp_path / "one" / "a.jsonl", rows[:6]),
        write_annotations(tmp_path / "two" / "a.jsonl", rows[6:]),
    ]
    found = [
        build_dataset(CONFIG, annotations=order, output=tmp_path / "dataset")
        and (tmp_path / "dataset" / "manifest.json").read_text()
        for order in (files, files[::-1])
    ]
    assert found[0] == found[1]
    assert [*json.loads(found[0])["inputs"]] == ["a.jsonl", "a.jsonl (2)"]


def test_one_question_is_read_at_a_time(tmp_path: Path) -> None:
    class Counting(BlockReader):
        num_read = 0

        def _read(self, *place: Any) -> Any:
            self.num_read += 1
            return super()._read(*place)

    path = write_annotations(tmp_path / "a.jsonl", questions(200))
    reader = HeadReader(config=CONFIG, shard=Shard(), forgotten=Forgotten())
    number = 0
    with InputIndex(tmp_path, reader) as index:
        index.load([path])
        blocks = list(index.blocks())
        rows = Counting(index.scratch, [path])
        for block in blocks:
            for number, responses in enumerate(rows.read(block, []), start=number + 1):  # noqa: B020
                assert len(responses) == 3
                assert rows.num_read == 3 * number
        rows.close()
    assert number == 200
    assert len(blocks) == 3  # of 256 rows at most, so of 85 questions


def test_more_files_than_may_be_open_are_read(tmp_path: Path) -> None:
    files = write_files(tmp_path, questions(60), 150)
    result = build_dataset(CONFIG, annotations=files, output=tmp_path / "dataset")
    assert result.counts["responses"] == 180


# --- the command line ----------------------------------------------------------------------------


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [str(item) for item in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_build_by_pattern_in_shards_and_merge_from_the_command_line(tmp_path: Path) -> None:
    write_files(tmp_path / "in", many_rows(), 3)
    (tmp_path / "in" / "notes.txt").write_text("no rows")
    settings = ["--set", "build.test_share=0.3", "--no-plots"]
    pattern = tmp_path / "in" / "part-*.jsonl"
    parts = [tmp_path / "parts" / str(index) for index in (1, 2)]
    for index, part in enumerate(parts, start=1):
        run("build", "--annotations", pattern, "--shard", f"{index}/2", "--output", part, *settings)
    said = run("merge", *parts, "--output", tmp_path / "merged", "--no-plots")
    assert "responses 185" in said
    run("build", "--annotations", pattern, "--output", tmp_path / "whole", *settings)
    assert all_bytes(tmp_path / "merged") == all_bytes(tmp_path / "whole")
    with pytest.raises(InputError, match=r"none-\*\.jsonl: not found"):
        run("build", "--annotations", tmp_path / "none-*.jsonl", "--output", tmp_path / "x")


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "a[1].jsonl", questions(3))
    run("build", "--annotations", path, "--output", tmp_path / "dataset", "--no-plots")
    write_json(tmp_path / "done.json", {})


def test_the_same_settings_are_named_for_every_strategy(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "a.jsonl", questions(12))
    for strategy in ("best_worst", "mirrored", "above_margin", "two_sigma", "length_matched"):
        said = run(
            "build",
            "--annotations",
            path,
            "--output",
            tmp_path / strategy,
            "--no-plots",
            "--set",
            f"build.strategy={strategy}",
            "--set",
            "build.max_length_ratio=9",
        )
        pairs = 36 if strategy == "above_margin" else 12
        assert f"pairs {pairs}," in said
        run("validate", tmp_path / strategy)
