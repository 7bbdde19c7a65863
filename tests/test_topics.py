"""Two spellings of a topic are one topic: in a split, in a question, in counts, in `validate`."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import questions, write_annotations
from command_line import make_run
from hypothesis import given
from hypothesis import strategies as st
from work_counter import count_steps

from dataset_builder.config import BuildConfig
from dataset_builder.folder.statistics import compute_statistics
from dataset_builder.folder.validate import validate_folder
from dataset_builder.splits.near_topics import find_near_topics
from dataset_builder.splits.splits import Split, split_of
from dataset_builder.splits.topics import topic_key
from maskdpo.publishing.dataset import build_dataset, merge_datasets
from schemas.files.shard import Shard
from schemas.files.sidecar import describe_file
from schemas.stage import StageResult

ONE_TOPIC = [
    ("City 3", "city 3 "),
    ("City 3", "city\u00a03"),
    ("City 3", "\uff23ity \uff13"),
    ("New York", "new-york"),
    ("Karsted (bridge)", "Karsted: bridge."),
    ("J. R. R. Tolkien", "J.R.R. Tolkien"),
    ("O'Neill", "O\u2019Neill"),
    ("U.S.", "US"),
    ("R&D", "R & D"),
    ("红楼梦", "《红楼梦》"),
    ("玛丽居里", "玛丽·居里"),
    ("北京大学", "北京 大学"),
    ("Straße", "STRASSE"),
    ("Kar\u00adsted", "Karsted"),
    ("World War Ⅱ", "World War II"),
    ("*Karsted*", "Karsted"),
    ("1914–1918", "1914-1918"),
    ("Cafe\u0301", "Café"),
    ("\u2764\ufe0f", "\u2764"),
    ("  ", " \t"),
]
TWO_TOPICS = [
    ("C++", "C#"),
    ("C", "C++"),
    ("C", "C#"),
    ("A", "A*"),
    ("NET", ".NET"),
    ("1.5", "15"),
    ("1.5", "1 5"),
    ("-5", "5"),
    ("R&D", "R D"),
    ("!!", "??"),
    ("!!", ""),
    (" ", ""),
    ("São Paulo", "Sao Paulo"),
    ("한국", "조선"),
    ("山下", "山上"),
    ("World War I", "World War II"),
    ("$100", "100"),
    ("☆", "★"),
    ("कि", "का"),
]


@pytest.mark.parametrize(("one", "other"), ONE_TOPIC)
def test_spellings_of_one_topic(one: str, other: str) -> None:
    assert topic_key(one) == topic_key(other) != ""


@pytest.mark.parametrize(("one", "other"), TWO_TOPICS)
def test_what_a_name_needs_is_kept(one: str, other: str) -> None:
    assert topic_key(one) != topic_key(other)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=12))
def test_a_key_is_its_own_key_and_only_nothing_has_none(topic: str) -> None:
    key = topic_key(topic)
    assert topic_key(key) == key
    assert bool(key) == bool(topic)
    assert topic_key(f" {topic}\n") == key or not topic


@given(st.text(alphabet="abcXYZ 123", min_size=1))
def test_the_short_way_for_plain_topics_is_the_long_way(topic: str) -> None:
    assert topic_key(topic) == topic_key(topic + "\u00ad")


# --- in a build ----------------------------------------------------------------------------------

SPELLINGS = ("City {}", "city {} ", "CITY\u00a0{}.", "City  {}")


def build(tmp_path: Path, rows: list[dict[str, Any]], **settings: Any) -> StageResult:
    return build_dataset(
        BuildConfig.model_validate({"test_share": 0.3, "near_duplicate": 0} | settings),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        output=tmp_path / "dataset",
    )


def spelled(number: int) -> list[dict[str, Any]]:
    """Questions of 12 topics, each topic spelled in four ways."""
    rows = questions(number)
    for row in rows:
        index = int(row["question_id"][1:])
        row["topic"] = SPELLINGS[index % 4].format(index // 4)
    return rows


def topics_of(folder: Path, split: str) -> set[str]:
    paths = folder.glob(f"*/{split}-*.parquet")
    return {topic for path in paths for topic in pq.read_table(path)["topic"].to_pylist()}


def test_spellings_of_a_topic_are_in_one_split_and_counted_once(tmp_path: Path) -> None:
    result = build(tmp_path, spelled(48))
    train, test = (topics_of(result.output, split) for split in ("train", "test"))
    assert len(train | test) == 48 and train and test  # written as they are spelled
    assert not {topic_key(topic) for topic in train} & {topic_key(topic) for topic in test}
    assert result.counts["topics"] == 12
    assert compute_statistics(result.output)["all"]["num_topics"] == 12
    assert not validate_folder(result.output).num_faults


def test_without_spellings_a_split_is_that_of_the_topic_as_it_is_spelled(tmp_path: Path) -> None:
    rows = questions(40)
    result = build(tmp_path, rows)
    for split in Split:
        assert topics_of(result.output, split) == {
            row["topic"]
            for row in rows
            if split_of(topic=row["topic"], question_id="", seed=0, test_share=0.3) is split
        }


def test_the_least_spelling_decides_in_any_order_and_in_every_shard(tmp_path: Path) -> None:
    rows = spelled(24)
    whole = build(tmp_path / "whole", rows).output
    other = build(tmp_path / "other", rows[::-1]).output
    for split in Split:
        expected = {
            row["topic"]
            for row in rows
            if split_of(
                topic=min(
                    item["topic"]
                    for item in rows
                    if topic_key(item["topic"]) == topic_key(row["topic"])
                ),
                question_id="",
                seed=0,
                test_share=0.3,
            )
            is split
        }
        assert topics_of(whole, split) == topics_of(other, split) == expected


def test_two_spellings_in_one_question_are_one_topic(tmp_path: Path) -> None:
    rows = questions(20)
    for number, row in enumerate(rows):
        row["topic"] = f"{('Karsted', 'karsted ', 'KARSTED')[number % 3]} {row['question_id']}"
    assert build(tmp_path, rows).counts["questions_in_pairs"] == 20
    for row in rows[:27:3]:
        row["topic"] = "Halden"
    assert build(tmp_path, rows).counts["dropped_topics_differ"] == 9


def test_validate_refuses_two_spellings_in_two_splits(tmp_path: Path) -> None:
    folder = build(tmp_path, questions(40)).output
    name = "pairs/test-00000-of-00001.parquet"
    table = pq.read_table(folder / name)
    known = pq.read_table(folder / "pairs/train-00000-of-00001.parquet")["topic"][0].as_py()
    topics = [f" {known.upper()}!", *table["topic"].to_pylist()[1:]]
    place = table.schema.get_field_index("topic")
    changed = table.set_column(place, table.schema.field(place), pa.array(topics))
    pq.write_table(changed, folder / name)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = describe_file(folder / name) | {"rows": len(topics)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = validate_folder(folder)
    assert set(found.by_kind) == {"topic_in_two_splits"}
    assert repr(topics[0]) in found.findings[0].message
    assert repr(known) in found.findings[0].message


# --- near-equal topics ---------------------------------------------------------------------------

NEAR = [
    ("Karsted bridge", "The Karsted bridge"),
    ("Karsted bridge", "bridge of Karsted"),
    ("Karsted bridge", "Karsted bridges"),
    ("allergy", "allergies"),
    ("Mercury", "Mercury (planet)"),
    ("Karsted lighthouse", "Karsted lighthuose"),
    ("Karsted lighthouse", "Karsted lighthose"),
    ("Karsted lighthouse", "Karsted lightthouse"),
    ("Karsted", "Karstet"),
    ("Karsted", "Kar sted"),
    ("Tolkien, J. R. R.", "J. R. R. Tolkien"),
    ("青川大学附属医院", "青川大学附属医院（医院）"),
]
APART = [
    ("World War I", "World War II"),
    ("Topic 1", "Topic 2"),
    ("Karsted", "Karsted (1904)"),
    ("Karsted", "Karsted (1)"),
    ("Karsted 1903", "Karsted (1904)"),
    ("Iran", "Iraq"),
    ("History of Iran", "History of Iraq"),
    ("Gambia", "Zambia"),
    ("North Karst", "South Karst"),
    ("hypotension", "hypertension"),
    ("Mercury (planet)", "Mercury (element)"),
    ("Vitamin B12", "Vitamin B6"),
    ("Type A", "Type B"),
    ("flights from Paris to London", "flights from London to Paris"),
    ("第一次世界大战", "第二次世界大战"),
    ("Karsted", " KARSTED!"),  # one topic
    ("C++", "C#"),
    ("Karsted bridge", "Karsted harbour"),
]


@pytest.mark.parametrize(("one", "other"), NEAR)
def test_topics_that_are_nearly_equal(one: str, other: str) -> None:
    for train, test in ((one, other), (other, one)):
        found = find_near_topics({"train": ["Halden", train], "test": [test, "Senna"]})
        assert (found.num, list(found.examples)) == (1, [(train, test)])


@pytest.mark.parametrize(("one", "other"), APART)
def test_topics_that_are_two(one: str, other: str) -> None:
    for train, test in ((one, other), (other, one)):
        assert find_near_topics({"train": [train], "test": [test]}).describe() is None
    assert not find_near_topics({"train": [one, other]}).num  # of one split


@given(st.text("abcd", min_size=6, max_size=9), st.data())
def test_a_typing_error_inside_a_word_is_found(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(word) - 1))
    letter = data.draw(st.sampled_from("xyz"))
    wrong = data.draw(
        st.sampled_from(
            [word[:place] + letter + word[place:], word[:place] + letter + word[place + 1 :]]
        )
    )
    assert find_near_topics({"train": [word], "test": [wrong]}).num == 1


def test_the_work_on_topics_grows_with_their_number_not_with_its_square() -> None:
    def find(num: int) -> None:
        names = [f"{'abcdefghij'[i % 10] * 3}{i * 7919 % 100_003} of Karsted" for i in range(num)]
        cut = num * 9 // 10
        assert not find_near_topics({"train": names[:cut], "test": names[cut:]}).num

    few, many = (count_steps(lambda num=num: find(num)) for num in (1_000, 2_000))
    assert many < 2.5 * few


def test_near_topics_are_a_note_of_build_merge_and_validate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = questions(40)
    topics = {row["question_id"]: row["topic"] for row in rows}
    split = {
        name: split_of(topic=topic, question_id="", seed=0, test_share=0.3)
        for name, topic in topics.items()
    }
    test = next(topics[name] for name in topics if split[name] is Split.TEST)
    near = next(
        name
        for name in (f"The {test}{'s' * number} ()" for number in range(99))
        if split_of(topic=name, question_id="", seed=0, test_share=0.3) is Split.TRAIN
    )
    changed = next(name for name in topics if split[name] is Split.TRAIN)
    rows = [row | {"topic": near} if row["question_id"] == changed else row for row in rows]
    result = build(tmp_path, rows)
    noted = f"1 topic is nearly equal to a topic of another split: {near!r} and {test!r}"
    assert any(noted in note for note in result.notes)
    found = validate_folder(result.output)
    assert not found.num_faults and noted in found.notes[0]
    run, report = make_run(monkeypatch, capsys), tmp_path / "report.json"
    code, out, error = run("validate", result.output, "--json", report)
    assert (code, "is valid" in out, f"note: {noted}" in error) == (0, True, True)
    assert noted in json.loads(report.read_text())["notes"][0]
    shards = []
    for index in (1, 2):
        shards.append(
            build_dataset(
                BuildConfig(test_share=0.3, near_duplicate=0),
                annotations=tmp_path / "annotations.jsonl",
                output=tmp_path / f"part{index}",
                shard=Shard(index=index, count=2),
            ).output
        )
    assert merge_datasets(shards, output=tmp_path / "merged").notes == result.notes
