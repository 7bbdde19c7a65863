import json
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from build_rows import (
    BAD,
    GOOD,
    annotation,
    annotation_row,
    questions,
    responses,
    write_annotations,
)
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.build import build_pairs, load_pairs
from dataset_builder.config import BuildConfig, Weighting
from dataset_builder.folder.write import new_folder, pair_schema, sentence_schema
from dataset_builder.pairs import public_name
from dataset_builder.splits.splits import Split, split_of
from maskdpo.publishing.dataset import build_dataset
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import read_records
from schemas.labels import Label
from schemas.records import Annotation, Failure, Pair
from schemas.spans import check_cover
from schemas.stage import StageResult, failures_path


def build(tmp_path: Path, rows: list[Any], config: BuildConfig | None = None) -> StageResult:
    return build_dataset(
        config or BuildConfig(),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        output=tmp_path / "dataset",
    )


def read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def read_config(folder: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    paths = sorted((folder / name).glob("*.parquet"))
    return {path.name.split("-")[0]: read_parquet(path) for path in paths}


def all_bytes(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- pairs -----------------------------------------------------------------------------------


@given(
    rows=st.lists(st.integers(0, 3), max_size=4, unique=True).flatmap(
        lambda numbers: st.tuples(*[responses(question=f"q{number}") for number in numbers])
    ),
    least=st.sampled_from([0.0, 0.5]),
)
def test_every_response_is_counted_once(rows: tuple[list[Annotation], ...], least: float) -> None:
    flat = [row for question in rows for row in question]
    built = build_pairs(flat, BuildConfig(min_confidence=least))
    used = [name for pair in built.pairs for name in (pair.chosen_id, pair.rejected_id)]
    assert sorted([*used, *built.unused]) == sorted(row.id for row in flat)
    given_pairs = [pair.question_id for pair in built.pairs]
    assert sorted([*given_pairs, *built.dropped]) == sorted(
        question[0].question_id for question in rows
    )
    by_id = {row.id: row for row in flat}
    for pair in built.pairs:
        for side, name in (("chosen", pair.chosen_id), ("rejected", pair.rejected_id)):
            spans = pair.chosen_spans if side == "chosen" else pair.rejected_spans
            content = (pair.chosen if side == "chosen" else pair.rejected)[0].content
            assert spans is not None
            assert content == by_id[name].text
            check_cover(content, [(span.start, span.end) for span in spans])
            assert any(span.weight > 0 for span in spans)
    # No verdict of these rows has a confidence: a threshold masks them all.
    assert not (least and built.pairs)


def test_a_pair_carries_what_its_responses_were() -> None:
    prompt = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    best = annotation(
        "b",
        [GOOD, Label.NO_FACT, Label.UNDETERMINED],
        prompt=prompt,
        finish_reason="length",
        model="org/one",
    )
    worst = annotation(
        "w",
        [BAD, GOOD],
        prompt=prompt,
        finish_reason="stop",
        model="/srv/me/two",
        verdict={"judge": "k"},
    )
    (pair,) = build_pairs([worst, best], BuildConfig()).pairs
    assert [m.model_dump() for m in pair.prompt] == prompt
    assert (pair.chosen_id, pair.rejected_id) == ("b", "w")
    assert (pair.chosen_finish_reason, pair.rejected_finish_reason) == ("length", "stop")
    assert (pair.chosen_score, pair.rejected_score) == (1.0, 0.5)
    assert [span.weight for span in pair.chosen_spans or []] == [1.0, 1.0, 0.0]
    assert [span.weight for span in pair.rejected_spans or []] == [1.0, 0.0]
    assert (pair.question_id, pair.topic, pair.language) == ("q", "topic of q", "en")
    assert (pair.policy, pair.judge) == ("org/one | two", "j | k")


def test_a_pairs_id_is_its_content_and_not_its_verdicts() -> None:
    def pair(best: list[Label], **changes: Any) -> Pair:
        rows = [annotation("b", best, **changes), annotation("w", [BAD], **changes)]
        return build_pairs(rows, BuildConfig()).pairs[0]

    first = pair([GOOD, GOOD])
    assert pair([GOOD, Label.NO_FACT]).id == first.id
    assert pair([GOOD, GOOD], topic="elsewhere").id == first.id
    assert pair([GOOD, GOOD], question_id="r").id != first.id  # ids stay unique in the data set
    assert pair([GOOD]).id != first.id  # one sentence less
    assert pair([GOOD, GOOD], prompt=[{"role": "user", "content": "?"}]).id != first.id


def test_weights_by_a_ranking_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    ranked = {"confidence": 0.6, "confidence_kind": "lexical"}
    rows = [
        annotation_row("a", [GOOD], verdict={"confidence": 0.9, "confidence_kind": "votes"}),
        annotation_row("b", [BAD], verdict=ranked),
    ]
    with pytest.raises(InputError, match=r":2: response 'b'.*ranks sentences") as caught:
        build(tmp_path, rows, BuildConfig(weighting=Weighting.CONFIDENCE))
    assert "build.weighting=binary" in str(caught.value)
    flat = [Annotation.model_validate(row, strict=False) for row in rows]
    with pytest.raises(ConfigError, match="not a probability"):
        build_pairs(flat, BuildConfig(weighting=Weighting.CONFIDENCE))
    assert build(tmp_path, rows, BuildConfig()).counts["pairs"] == 1


def test_pairs_with_nothing_to_train_on_a_side_are_dropped_and_counted(tmp_path: Path) -> None:
    unsure = {"confidence": 0.4, "confidence_kind": "lexical"}
    sure = {"confidence": 0.6, "confidence_kind": "lexical"}
    person = {"source": "person"}
    rows = [
        annotation_row(f"{question}/{kind}", [label], question=question, verdict=verdict)
        for question, chosen, rejected in (
            ("a", unsure, sure),
            ("b", sure, unsure),
            ("c", sure, person),
        )
        for kind, label, verdict in (("good", GOOD, chosen), ("bad", BAD, rejected))
    ]
    counts = build(tmp_path, rows, BuildConfig(min_confidence=0.5)).counts
    assert (counts["pairs"], counts["questions"]) == (1, 3)
    assert (counts["dropped_no_active_chosen"], counts["unused_no_active_chosen"]) == (1, 2)
    assert (counts["dropped_no_active_rejected"], counts["unused_no_active_rejected"]) == (1, 2)


# --- the folder ------------------------------------------------------------------------------


def test_parquet_gives_the_same_pairs_back(tmp_path: Path) -> None:
    odd = ["Ünïcode 𝒳 e\u0301.", "中文。\r\n", "a\u2028b\x00 <|im_end|>"]
    rows = [
        *questions(30),
        annotation_row("odd/g", [GOOD, GOOD, GOOD], question="odd", texts=odd),
        annotation_row("odd/b", [BAD, GOOD, Label.UNVERIFIABLE], question="odd", texts=odd[::-1]),
    ]
    result = build(tmp_path, rows)
    loaded = [pair for split in Split for pair in load_pairs(result.output, split)]
    made = build_pairs(
        read_records(tmp_path / "annotations.jsonl", Annotation), BuildConfig()
    ).pairs
    assert sorted(loaded, key=lambda pair: pair.id) == sorted(made, key=lambda pair: pair.id)
    assert result.counts["pairs"] == len(made) == 31
    assert "odd" in {pair.question_id for pair in made}


def test_columns_are_the_records_fields(tmp_path: Path) -> None:
    assert pair_schema().names == list(Pair.model_fields)
    assert sentence_schema(pieces=True).names == [*sentence_schema().names, "error_spans"]


def test_sentences_hold_every_response_with_its_text_and_evidence(tmp_path: Path) -> None:
    verdict = {
        "confidence": 0.75,
        "confidence_kind": "votes",
        "votes": {"yes": 3, "no": 1},
        "evidence": [{"document_id": "d", "start": 1, "end": 4, "score": 0.5}],
        "rationale": "SECRET quote of a document",
    }
    lonely_labels = [GOOD, Label.UNDETERMINED]
    rows = [*questions(9), annotation_row("lonely", lonely_labels, question="x", verdict=verdict)]
    result = build(tmp_path, rows)
    found = [row for part in read_config(result.output, "sentences").values() for row in part]
    texts = {row["id"]: row["text"] for row in rows}
    assert len(found) == sum(len(row["sentences"]) for row in rows)
    assert all(texts[row["response_id"]][row["start"] : row["end"]] == row["text"] for row in found)
    lonely = next(row for row in found if row["response_id"] == "lonely")
    assert lonely["votes"] == [{"answer": "no", "count": 1}, {"answer": "yes", "count": 3}]
    place = {"text": None, "license": None}  # no document gave a licence
    assert lonely["evidence"] == [verdict["evidence"][0] | place]
    assert lonely["confidence"] == 0.75
    assert not any(b"SECRET" in content for content in all_bytes(result.output).values())


def test_equal_content_gives_equal_bytes_whatever_the_order(tmp_path: Path) -> None:
    rows = questions(40)
    first = all_bytes(build(tmp_path / "one", rows).output)
    again = all_bytes(build(tmp_path / "two", rows).output)
    assert first == again
    shuffled = random.Random(1).sample(rows, len(rows))
    third = all_bytes(build(tmp_path / "three", shuffled).output)
    parquet = {name for name in first if name.endswith(".parquet")}
    assert len(parquet) == 4
    assert {name: first[name] for name in parquet} == {name: third[name] for name in parquet}


def test_the_manifest_names_content_and_no_place(tmp_path: Path) -> None:
    import hashlib

    rows = questions(20, model=f"{tmp_path}/models/mine")
    result = build(tmp_path, rows)
    manifest = json.loads((result.output / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["format"], manifest["version"]) == ("maskdpo.pairs", "1.0")
    for name, entry in manifest["files"].items():
        content = (result.output / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        if name.endswith(".parquet"):
            assert entry["rows"] == len(read_parquet(result.output / name))
    assert manifest["inputs"].keys() == {"annotations.jsonl"}
    assert manifest["policies"] == {"mine": 60}
    assert manifest["counts"] == dict(result.counts)
    assert not any(
        str(tmp_path).encode() in content for content in all_bytes(result.output).values()
    )


LOAD = """
import json, sys, datasets
found = {}
for name in (None, "pairs", "sentences"):
    data = datasets.load_dataset(sys.argv[1], name)
    found[str(name)] = {split: [len(rows), rows.column_names] for split, rows in data.items()}
found["row"] = datasets.load_dataset(sys.argv[1], split=sys.argv[2])[0]
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("num_topics", [30, 1])
def test_datasets_loads_both_configurations_offline(tmp_path: Path, num_topics: int) -> None:
    config = BuildConfig(test_share=0.2, seed=0 if num_topics > 1 else 1)  # one falls to train
    result = build(tmp_path, questions(num_topics), config)
    split = "train"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(result.output), split],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name in ("pairs", "sentences"):
        expected = {
            split: result.counts[f"{name}_{split}"]
            for split in ("train", "test")
            if result.counts[f"{name}_{split}"]
        }
        assert {split: rows[0] for split, rows in found[name].items()} == expected
    assert found["None"] == found["pairs"]
    assert found["None"][split][1] == list(Pair.model_fields)
    first = load_pairs(result.output, split)[0]
    assert Pair.model_validate_json(json.dumps(found["row"])) == first
    assert bool(result.notes) == (num_topics == 1)


# --- splits ----------------------------------------------------------------------------------


def test_splits_share_no_topic_and_new_data_moves_no_row(tmp_path: Path) -> None:
    def topics(num: int) -> dict[str, set[str]]:
        rows = [row | {"topic": f"topic {i // 6}"} for i, row in enumerate(questions(num))]
        result = build(tmp_path / str(num), rows, BuildConfig(test_share=0.3))
        parts = read_config(result.output, "pairs")
        assert {split: len(part) for split, part in parts.items()} == {
            split: result.counts[f"pairs_{split}"] for split in ("train", "test")
        }
        for name in ("pairs", "sentences"):
            found = {
                split: {row["topic"] for row in part}
                for split, part in read_config(result.output, name).items()
            }
            assert not found["train"] & found["test"]
        return found

    few, many = topics(20), topics(60)
    assert few["train"] < many["train"]
    assert few["test"] < many["test"]


@given(
    topic=st.text(),
    question=st.text(),
    seed=st.integers(0, 9),
    shares=st.tuples(*[st.floats(0, 0.99)] * 2),
)
def test_a_larger_test_share_only_adds_topics_to_test(
    topic: str, question: str, seed: int, shares: tuple[float, float]
) -> None:
    low, high = sorted(shares)
    splits = [
        split_of(topic=topic, question_id=question, seed=seed, test_share=share)
        for share in (0.0, low, high)
    ]
    assert splits[0] is Split.TRAIN
    assert all(a is Split.TRAIN or b is Split.TEST for a, b in pairwise(splits))
    if not topic:
        named = split_of(topic=question, question_id="", seed=seed, test_share=high)
        assert not question or named is splits[2]


def test_an_empty_split_is_not_written_and_said(tmp_path: Path) -> None:
    result = build(tmp_path, questions(3), BuildConfig(test_share=0.0))
    assert set(read_config(result.output, "pairs")) == {"train"}
    assert result.counts["pairs_test"] == 0
    assert not result.notes  # nobody asked for a test split
    with pytest.raises(InputError, match="has no split 'test'; it has pairs/train-00000"):
        load_pairs(result.output, "test")


# --- broken input ----------------------------------------------------------------------------


def test_no_pair_says_why_and_writes_nothing(tmp_path: Path) -> None:
    good = build(tmp_path, questions(2)).output
    before = all_bytes(good)
    rows = [
        annotation_row("a", [GOOD], question="one"),
        annotation_row("b", [GOOD], question="two"),
        annotation_row("c", [GOOD, GOOD], question="two"),
    ]
    with pytest.raises(InputError) as caught:
        build(tmp_path, rows)
    for words in (
        "gives no pair",
        "2 questions with 3 responses",
        "1 x no_other_response",
        "1 x scores_tied",
    ):
        assert words in str(caught.value)
    assert all_bytes(good) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.jsonl", "dataset"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], ["holds no rows"]),
        ([annotation_row("a", [GOOD]), "{nonsense"], [":2: not valid JSON"]),
        ([annotation_row("a", [GOOD]), annotation_row("a", [BAD])], [":2: duplicate id 'a'"]),
        ([annotation_row("a", [GOOD], text="short")], [":1: ", "ends past the text"]),
        ([annotation_row("a", [GOOD], topicc="x")], [":1: unknown key 'topicc'", "'topic'"]),
        ([annotation_row("a", [GOOD], text=7)], [":1: 'text' is 7"]),
    ],
)
def test_a_faulty_file_is_named_by_line_and_nothing_is_written(
    tmp_path: Path, rows: list[Any], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        build(tmp_path, rows)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "dataset").exists()


def test_a_format_from_the_future_is_refused(tmp_path: Path) -> None:
    result = build(tmp_path, questions(2))
    meta = tmp_path / "annotations.jsonl.meta.json"
    meta.write_text('{"format": "maskdpo.annotation", "version": "2.0"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"format version 2\.0, newer"):
        build(tmp_path, questions(2))
    manifest = result.output / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"1.0"', '"9.1"'), encoding="utf-8")
    with pytest.raises(InputError, match=r"format version 9\.1, newer"):
        load_pairs(result.output, "train")
    with pytest.raises(InputError, match="is not a data set of maskdpo"):
        load_pairs(tmp_path, "train")


def test_questions_whose_responses_disagree_are_recorded_row_by_row(tmp_path: Path) -> None:
    rows = [
        *questions(8),
        annotation_row("p1", [GOOD], question="p"),
        annotation_row("p2", [BAD], question="p", prompt=[{"role": "user", "content": "Else?"}]),
        annotation_row("t1", [GOOD], question="t", topic="one"),
        annotation_row("t2", [BAD], question="t", topic="two"),
    ]
    result = build(tmp_path, rows)
    failures = read_records(failures_path(result.output), Failure)
    assert [(row.id, row.reason) for row in failures] == [
        ("p1", "prompts_differ"),
        ("p2", "prompts_differ"),
        ("t1", "topics_differ"),
        ("t2", "topics_differ"),
    ]
    assert (result.num_rows, len(result.failures), result.counts["pairs"]) == (28, 4, 8)
    sentences = [row for part in read_config(result.output, "sentences").values() for row in part]
    names = {row["response_id"] for row in sentences}
    assert {"p1", "p2"} <= names  # sound verdicts, though they make no pair
    assert not {"t1", "t2"} & names  # they could fall into both splits
    build(tmp_path, questions(8))
    assert not failures_path(result.output).exists()


def test_responses_that_are_empty_or_huge_are_no_trouble(tmp_path: Path) -> None:
    huge = ["x" * 2_000_000 + "."]
    rows = [
        annotation_row("q/big", [GOOD], texts=huge),
        annotation_row("q/empty", [], text=""),
        annotation_row("q/spaces", [], text="  \n"),
        annotation_row("q/bad", [BAD]),
    ]
    result = build(tmp_path, rows, BuildConfig(test_share=0.0))
    (pair,) = load_pairs(result.output, "train")
    assert pair.chosen[0].content == huge[0]
    assert result.counts["unused_nothing_decided"] == 2


# --- where it is written ---------------------------------------------------------------------


def test_a_folder_of_ours_is_replaced_and_no_other(tmp_path: Path) -> None:
    output = build(tmp_path, questions(40)).output
    build(tmp_path, questions(2), BuildConfig(test_share=0.0))
    assert len(load_pairs(output, "train")) == 2
    assert sorted(path.name for path in (output / "pairs").iterdir()) == [
        "train-00000-of-00001.parquet"
    ]
    (output / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"has 'notes\.txt', which maskdpo did not write"):
        build(tmp_path, questions(2))
    (output / "notes.txt").unlink()
    (output / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no manifest\.json of maskdpo"):
        build(tmp_path, questions(2))
    assert (output / "README.md").exists()


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written: "):
        build_dataset(
            BuildConfig(),
            annotations=write_annotations(tmp_path / "annotations.jsonl", questions(2)),
            output=tmp_path / "file" / "dataset",
        )


def test_a_damaged_data_set_is_named_by_file_and_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    output = build(tmp_path, questions(3), BuildConfig(test_share=0.0)).output
    path = output / "pairs" / "train-00000-of-00001.parquet"
    rows = read_parquet(path)
    rows[1]["chosen_spans"][0]["end"] = 999
    rows[2]["chosen_spans"][0]["label"] = "fine"
    pq.write_table(pa.Table.from_pylist(rows, schema=pair_schema()), path)
    with pytest.raises(InputError) as caught:
        load_pairs(output, "train")
    assert "row 1: " in str(caught.value.faults[0])
    assert "ends past the text" in str(caught.value.faults[0])
    assert "row 2: 'chosen_spans[0].label' is 'fine'" in str(caught.value.faults[1])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load_pairs(output, "train")


def test_an_output_that_is_a_file_is_refused_and_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "dataset").write_text("a file")
    with pytest.raises(ConfigError, match="is a file"):
        build(tmp_path, questions(2))
    (tmp_path / "dataset").unlink()
    (tmp_path / "dataset").mkdir()
    assert build(tmp_path, questions(2)).counts["pairs"] == 2


def test_a_build_that_breaks_off_leaves_the_old_folder(tmp_path: Path) -> None:
    output = build(tmp_path, questions(2)).output
    before = all_bytes(output)

    def break_off() -> None:
        with new_folder(output, replaces=["README.md"]) as folder:
            (folder / "README.md").write_text("half")
            raise RuntimeError("disk full")

    def lose_the_new_folder() -> None:
        with new_folder(output, replaces=["README.md"]) as folder:
            folder.rmdir()

    for break_it, error in ((break_off, RuntimeError), (lose_the_new_folder, OSError)):
        with pytest.raises(error):
            break_it()
        assert all_bytes(output) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.jsonl", "dataset"]


# --- published names ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"),
        ("gpt-4.1", "gpt-4.1"),
        ("lexical", "lexical"),
        ("", ""),
        ("/home/someone/models/mine", "mine"),
        ("~/models/mine/", "mine"),
        ("../mine", "mine"),
        ("C:\\Users\\someone\\mine", "mine"),
        ("http://host.internal:8000/v1/mine", "mine"),
        ("mine@http://host.internal:8000", "mine@"),
        ("/", ""),
    ],
)
def test_published_names_hold_no_place(name: str, public: str) -> None:
    assert public_name(name) == public


@given(
    path=st.text(alphabet="ab/\\~.: ", max_size=12),
    root=st.sampled_from(["/", "~/", "../", "C:\\"]),
)
def test_a_published_path_is_one_part_of_it(path: str, root: str) -> None:
    assert not {"/", "\\"} & set(public_name(root + path))
