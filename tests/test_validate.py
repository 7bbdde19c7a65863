"""`validate`: every planted fault is found, at its file and row, and nothing else is."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.config import BuildConfig
from dataset_builder.folder.row_faults import FaultKind, pair_faults, sentence_faults
from dataset_builder.folder.validate import MAX_FINDINGS, validate_folder
from dataset_builder.folder.write import pair_schema, sentence_schema
from maskdpo.publishing.dataset import build_dataset
from schemas.errors import InputError
from schemas.files.sidecar import describe_file
from schemas.spans import check_cover

TRAIN = "pairs/train-00000-of-00001.parquet"
TEST = "pairs/test-00000-of-00001.parquet"
SENTENCES = "sentences/train-00000-of-00001.parquet"
SENTENCES_TEST = "sentences/test-00000-of-00001.parquet"
ROW = 3
Row = dict[str, Any]
Change = Callable[[Row], None]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    source = write_annotations(folder / "annotations.jsonl", questions(40))
    build_dataset(BuildConfig(test_share=0.3), annotations=source, output=folder / "dataset")
    return folder / "dataset"


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "dataset"))


def read(folder: Path, name: str) -> list[Row]:
    rows: list[Row] = pq.read_table(folder / name).to_pylist()
    return rows


def write(folder: Path, name: str, rows: list[Row], *, sealed: bool = True) -> None:
    """Rewrite a file, and unless asked otherwise let the manifest agree with it."""
    schema = pair_schema() if name.startswith("pairs") else sentence_schema()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name)
    if sealed:
        seal(folder, name, len(rows))


def seal(folder: Path, name: str, num_rows: int) -> None:
    """Make the manifest's hash and row count agree with a file."""
    described = describe_file(folder / name) | {"rows": num_rows}
    change_manifest(folder, lambda manifest: manifest["files"].update({name: described}))


def change_manifest(folder: Path, change: Change) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def change_row(folder: Path, name: str, change: Change, row: int = ROW) -> None:
    rows = read(folder, name)
    change(rows[row])
    write(folder, name, rows)


def put(*path: Any) -> Change:
    """Set a place inside a row: `put("chosen_spans", 0, "end", 99)`."""
    *places, key, value = path

    def change(row: Row) -> None:
        target: Any = row
        for place in places:
            target = target[place]
        target[key] = value

    return change


def swap_spans(row: Row) -> None:
    row["chosen_spans"].reverse()


def overlap_spans(row: Row) -> None:
    row["chosen_spans"][1]["start"] = row["chosen_spans"][0]["end"] - 3


def add_turn(row: Row) -> None:
    row["prompt"].append({"role": "user", "content": "And?"})


def add_message(row: Row) -> None:
    row["chosen"].append({"role": "assistant", "content": "More."})


def copy_side(row: Row) -> None:
    for name in ("", "_spans", "_score", "_id"):
        row[f"rejected{name}"] = copy.deepcopy(row[f"chosen{name}"])


def mask_all(row: Row) -> None:
    for span in row["rejected_spans"]:
        span["weight"] = 0.0


def train_undetermined(row: Row) -> None:
    row["chosen_spans"][0]["label"] = "undetermined"


K = FaultKind
# One fault in row 3 of the pairs: what is changed, and every kind of fault that follows from it.
IN_PAIRS: dict[str, tuple[Change, set[FaultKind]]] = {
    "span past the end": (
        put("chosen_spans", 1, "end", 999),
        {K.SPAN_BOUNDS, K.PAIR_AND_SENTENCES},
    ),
    "span before the start": (
        put("chosen_spans", 0, "start", -1),
        {K.SPAN_BOUNDS, K.PAIR_AND_SENTENCES},
    ),
    "spans not sorted": (swap_spans, {K.SPAN_ORDER, K.PAIR_AND_SENTENCES}),
    "spans that overlap": (overlap_spans, {K.SPAN_ORDER, K.PAIR_AND_SENTENCES}),
    "empty span": (put("chosen_spans", 1, "start", 47), {K.SPAN_EMPTY, K.PAIR_AND_SENTENCES}),
    "text in no span": (put("chosen_spans", 0, "end", 5), {K.SPAN_COVER, K.PAIR_AND_SENTENCES}),
    "unknown label": (put("chosen_spans", 0, "label", "fine"), {K.LABEL}),
    "negative weight": (put("chosen_spans", 0, "weight", -0.5), {K.WEIGHT}),
    "weight above one": (put("chosen_spans", 0, "weight", 1.5), {K.WEIGHT}),
    "weight that is no number": (put("chosen_spans", 0, "weight", float("nan")), {K.WEIGHT}),
    "undetermined sentence trains": (train_undetermined, {K.UNDETERMINED_TRAINS}),
    "nothing trains": (mask_all, {K.NOTHING_ACTIVE}),
    "two messages on a side": (add_message, {K.SIDE_MESSAGES}),
    "side by a user": (put("rejected", 0, "role", "user"), {K.SIDE_ROLE}),
    "empty side": (
        lambda row: (put("rejected", 0, "content", " ")(row), put("rejected_spans", [])(row)),
        {K.SIDE_EMPTY, K.NOTHING_ACTIVE, K.PAIR_AND_SENTENCES},
    ),
    "sides alike": (copy_side, {K.SIDES_EQUAL, K.SCORE_ORDER}),
    "two user turns": (add_turn, {K.ROLES_ALTERNATE}),
    "unknown role": (put("prompt", 0, "role", "bot"), {K.ROLE, K.ROLES_ALTERNATE, K.PROMPT_END}),
    "prompt without messages": (put("prompt", []), {K.NULL}),
    "spans on one side": (put("rejected_spans", None), {K.SPANS_ON_ONE_SIDE}),
    "score out of range": (put("chosen_score", 1.2), {K.SCORE_RANGE}),
    "score of other labels": (put("chosen_score", 0.75), {K.SCORE_DIFFERS}),
    "scores the wrong way round": (
        lambda row: (put("chosen_score", 0.0)(row), put("rejected_score", 1.0)(row)),
        {K.SCORE_DIFFERS, K.SCORE_ORDER},
    ),
    "unknown finish reason": (put("chosen_finish_reason", "tired"), {K.FINISH_REASON}),
    "no id": (put("id", ""), {K.ID}),
    "other text than its sentences": (
        lambda row: put("chosen", 0, "content", row["chosen"][0]["content"].upper())(row),
        {K.PAIR_AND_SENTENCES},
    ),
}
IN_SENTENCES: dict[str, tuple[Change, set[FaultKind]]] = {
    "unknown label": (put("label", "fine"), {K.LABEL}),
    "undetermined without a reason": (put("label", "undetermined"), {K.REASON}),
    "text of another length": (put("text", "short"), {K.TEXT_LENGTH}),
    "confidence out of range": (put("confidence", 7.0), {K.CONFIDENCE}),
    "unknown source": (put("source", "oracle"), {K.SOURCE}),
    "evidence without a document": (
        put("evidence", [{"document_id": "", "start": 0, "end": 1, "score": None}]),
        {K.EVIDENCE},
    ),
}


def found_in(folder: Path) -> set[tuple[FaultKind, str, int | None]]:
    return {(item.kind, item.file, item.row) for item in validate_folder(folder).findings}


def test_a_clean_data_set_has_no_fault(clean: Path) -> None:
    validation = validate_folder(clean)
    assert validation.findings == []
    assert validation.num_rows == {
        name: len(read(clean, name)) for name in (TRAIN, TEST, SENTENCES, SENTENCES_TEST)
    }
    assert validation.num_rows[TRAIN] > ROW + 1


@pytest.mark.parametrize("name", IN_PAIRS)
def test_a_fault_in_a_pair_is_found_at_its_row(folder: Path, name: str) -> None:
    change, kinds = IN_PAIRS[name]
    change_row(folder, TRAIN, change)
    found = found_in(folder)
    # What disagrees between pair and sentences is reported where the sentences are read.
    assert {(kind, row) for kind, file, row in found if file == TRAIN} == {
        (kind, ROW) for kind in kinds - {K.PAIR_AND_SENTENCES}
    }
    elsewhere = {kind for kind, file, _ in found if file != TRAIN}
    assert elsewhere == kinds & {K.PAIR_AND_SENTENCES}


@pytest.mark.parametrize("name", IN_SENTENCES)
def test_a_fault_in_a_sentence_is_found_at_its_row(folder: Path, name: str) -> None:
    change, kinds = IN_SENTENCES[name]
    row = next(  # a response in no pair, so that the fault is alone
        index for index, row in enumerate(read(folder, SENTENCES)) if "half" in row["response_id"]
    )
    change_row(folder, SENTENCES, change, row)
    assert found_in(folder) == {(kind, SENTENCES, row) for kind in kinds}


def test_all_faults_of_a_row_and_of_other_rows_are_found_at_once(folder: Path) -> None:
    rows = read(folder, TRAIN)
    expected = set()
    for index, name in enumerate(["unknown label", "side by a user", "unknown finish reason"]):
        change, kinds = IN_PAIRS[name]
        change(rows[index])
        change_again, more = IN_PAIRS["score out of range"]
        change_again(rows[index])
        expected |= {(kind, TRAIN, index) for kind in kinds | more}
    write(folder, TRAIN, rows)
    assert found_in(folder) == expected


def test_rows_that_are_sound_alone_and_not_together(folder: Path) -> None:
    train, test = read(folder, TRAIN), read(folder, TEST)
    train[4]["id"] = train[1]["id"]
    test[0]["topic"] = train[0]["topic"]
    test[1]["question_id"] = train[2]["question_id"]
    write(folder, TRAIN, train)
    write(folder, TEST, test)
    assert found_in(folder) >= {
        (K.DUPLICATE_ID, TRAIN, 4),
        (K.TOPIC_IN_TWO_SPLITS, TEST, 0),
        (K.QUESTION_IN_TWO_SPLITS, TEST, 1),
    }
    message = next(
        str(item) for item in validate_folder(folder).findings if item.kind is K.DUPLICATE_ID
    )
    assert message.startswith(f"{TRAIN} row 4 (id {train[1]['id']!r}): duplicate_id: ")
    assert f"{TRAIN} row 1" in message


def test_sentences_of_a_response_are_in_order_and_together(folder: Path) -> None:
    rows = read(folder, SENTENCES)
    kinds = [row["response_id"].split("/")[1] for row in rows[:5]]
    assert kinds == ["best", "best", "half", "half", "worst"]
    rows[0], rows[1] = rows[1], rows[0]
    rows[3], rows[4] = rows[4], rows[3]
    write(folder, SENTENCES, rows)
    assert found_in(folder) == {
        (K.SPAN_ORDER, SENTENCES, 1),
        (K.PAIR_AND_SENTENCES, SENTENCES, 0),
        (K.DUPLICATE_ID, SENTENCES, 4),
    }


def test_a_response_of_a_pair_without_sentences_is_told(folder: Path) -> None:
    lost = read(folder, TRAIN)[0]["chosen_id"]
    rows = [row for row in read(folder, SENTENCES) if row["response_id"] != lost]
    write(folder, SENTENCES, rows)
    (finding,) = validate_folder(folder).findings
    assert (finding.kind, finding.file, finding.row) == (K.PAIR_AND_SENTENCES, TRAIN, 0)
    assert repr(lost) in finding.message


def other_bytes(folder: Path) -> None:
    write(folder, TRAIN, read(folder, TRAIN)[::-1], sealed=False)


def other_rows(folder: Path) -> None:
    write(folder, TRAIN, read(folder, TRAIN)[:-1], sealed=False)


def drop_column(folder: Path) -> None:
    table = pq.read_table(folder / TRAIN).drop_columns(["chosen_spans"])
    pq.write_table(table, folder / TRAIN)


def retype_column(folder: Path) -> None:
    table = pq.read_table(folder / TRAIN)
    column = pa.array(["x"] * table.num_rows)
    index = table.column_names.index("chosen_score")
    pq.write_table(table.set_column(index, "chosen_score", column), folder / TRAIN)


IN_FOLDER: dict[str, tuple[Callable[[Path], Any], set[tuple[FaultKind, str]]]] = {
    "no manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        {(K.MANIFEST, "manifest.json")},
    ),
    "a manifest that is no JSON": (
        lambda folder: (folder / "manifest.json").write_text("{"),
        {(K.MANIFEST, "manifest.json")},
    ),
    "a format from the future": (
        lambda folder: change_manifest(folder, put("version", "9.0")),
        {(K.FORMAT_VERSION, "manifest.json")},
    ),
    "another format": (
        lambda folder: change_manifest(folder, put("format", "maskdpo.training")),
        {(K.FORMAT_VERSION, "manifest.json")},
    ),
    "a file that is missing": (
        lambda folder: (folder / SENTENCES_TEST).unlink(),
        {(K.FILE_MISSING, SENTENCES_TEST), (K.CARD, "README.md"), (K.PAIR_AND_SENTENCES, TEST)},
    ),
    "a file nobody named": (
        lambda folder: shutil.copy(
            folder / SENTENCES, folder / "sentences" / "extra-00000-of-00001.parquet"
        ),
        {
            (K.FILE_UNLISTED, "sentences/extra-00000-of-00001.parquet"),
            (K.CARD, "README.md"),
            (K.DUPLICATE_ID, "sentences/extra-00000-of-00001.parquet"),
            (K.TOPIC_IN_TWO_SPLITS, "sentences/extra-00000-of-00001.parquet"),
            (K.QUESTION_IN_TWO_SPLITS, "sentences/extra-00000-of-00001.parquet"),
        },
    ),
    "a name outside the folder": (
        lambda folder: change_manifest(
            folder, lambda manifest: manifest["files"].update({"../x": {"sha256": "0"}})
        ),
        {(K.FILE_NAME, "manifest.json")},
    ),
    "other bytes": (other_bytes, {(K.HASH_DIFFERS, TRAIN)}),
    "other rows": (
        other_rows,
        {(K.HASH_DIFFERS, TRAIN), (K.ROWS_DIFFER, TRAIN)},
    ),
    "a torn file": (
        lambda folder: (folder / TRAIN).write_bytes((folder / TRAIN).read_bytes()[:200]),
        {(K.HASH_DIFFERS, TRAIN), (K.UNREADABLE, TRAIN)},
    ),
    "a missing column": (drop_column, {(K.HASH_DIFFERS, TRAIN), (K.COLUMN, TRAIN)}),
    "a column of another type": (retype_column, {(K.HASH_DIFFERS, TRAIN), (K.COLUMN, TRAIN)}),
    "no card": (lambda folder: (folder / "README.md").unlink(), {(K.CARD, "README.md")}),
    "a card without a header": (
        lambda folder: (folder / "README.md").write_text("# Mine\n"),
        {(K.CARD, "README.md")},
    ),
    "no pairs": (
        lambda folder: shutil.rmtree(folder / "pairs"),
        {
            (K.FILE_MISSING, TRAIN),
            (K.FILE_MISSING, TEST),
            (K.NO_PAIRS, "pairs"),
            (K.CARD, "README.md"),
        },
    ),
}


@pytest.mark.parametrize("name", IN_FOLDER)
def test_a_fault_of_the_folder_is_found_at_its_file(folder: Path, name: str) -> None:
    change, expected = IN_FOLDER[name]
    change(folder)
    found = {(kind, file) for kind, file, _ in found_in(folder)} - {
        (K.HASH_DIFFERS, "README.md"),
        (K.FILE_MISSING, "README.md"),
    }
    assert found == expected


def test_more_than_25_different_faults_were_planted() -> None:
    together = {K.DUPLICATE_ID, K.TOPIC_IN_TWO_SPLITS, K.QUESTION_IN_TWO_SPLITS, K.SPAN_ORDER}
    planted = {kind for _, kinds in (*IN_PAIRS.values(), *IN_SENTENCES.values()) for kind in kinds}
    in_folder = {kind for _, faults in IN_FOLDER.values() for kind, _ in faults}
    assert len(IN_PAIRS) >= 25
    of_pieces = {K.PIECES, K.ERROR_SPAN}  # planted in test_pieces
    assert planted | in_folder | together | of_pieces == set(FaultKind)


def test_pairs_without_spans_are_plain_dpo_and_no_fault(folder: Path) -> None:
    rows = read(folder, TRAIN)
    rows[0] |= {"chosen_spans": None, "rejected_spans": None}
    write(folder, TRAIN, rows)
    assert found_in(folder) == set()


def test_a_data_set_without_the_optional_columns_is_sound(folder: Path) -> None:
    for name in (SENTENCES, SENTENCES_TEST):
        rows = read(folder, name)
        table = pa.Table.from_pylist(rows, schema=sentence_schema()).drop_columns(["correction"])
        index = table.column_names.index("evidence")
        plain = pa.list_(
            pa.struct(
                [
                    ("score", pa.float32()),
                    ("document_id", pa.large_string()),
                    ("start", pa.int32()),
                    ("end", pa.int32()),
                ]
            )
        )
        place = {"document_id": "d", "start": 0, "end": 9, "score": None}
        evidence = pa.array([[place] for _ in rows], type=plain)
        pq.write_table(table.set_column(index, "evidence", evidence), folder / name)
        seal(folder, name, len(rows))
    assert found_in(folder) == set()


def test_sentences_that_cannot_be_read_are_one_fault_not_thousands(folder: Path) -> None:
    table = pq.read_table(folder / SENTENCES)
    pq.write_table(table.drop_columns(["label"]), folder / SENTENCES)
    seal(folder, SENTENCES, table.num_rows)
    assert found_in(folder) == {(K.COLUMN, SENTENCES, None)}


def test_what_is_kept_of_very_many_faults_is_bounded(folder: Path) -> None:
    row = read(folder, TRAIN)[0] | {"id": ""}
    row["prompt"] = [{"role": "bot", "content": "?"}] * MAX_FINDINGS
    write(folder, TRAIN, [row])
    validation = validate_folder(folder)
    assert len(validation.findings) == MAX_FINDINGS
    assert validation.num_faults > MAX_FINDINGS
    assert validation.by_kind["role"] == MAX_FINDINGS


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        validate_folder(tmp_path / "absent")


@given(
    text=st.text(alphabet="ab .\n", max_size=12),
    spans=st.lists(st.tuples(st.integers(-1, 13), st.integers(-1, 13)), max_size=4),
)
def test_spans_pass_exactly_when_the_invariants_of_records_hold(
    text: str, spans: list[tuple[int, int]]
) -> None:
    row = valid_pair() | {
        "chosen": [{"role": "assistant", "content": text}],
        "chosen_spans": [
            {"start": start, "end": end, "label": "no_hallucination", "weight": 1.0}
            for start, end in spans
        ],
    }
    kinds = {K.SPAN_EMPTY, K.SPAN_ORDER, K.SPAN_BOUNDS, K.SPAN_COVER}
    faulty = any(kind in kinds for kind, _ in pair_faults(row))
    try:
        check_cover(text, spans)
        sound = all(start >= 0 for start, _ in spans)
    except ValueError:
        sound = False
    assert faulty != sound


def valid_pair() -> Row:
    return {
        "id": "p",
        "prompt": [{"role": "user", "content": "?"}],
        "chosen": [{"role": "assistant", "content": "Yes."}],
        "rejected": [{"role": "assistant", "content": "No."}],
        "chosen_spans": [{"start": 0, "end": 4, "label": "no_hallucination", "weight": 1.0}],
        "rejected_spans": [{"start": 0, "end": 3, "label": "hallucinated", "weight": 1.0}],
        "chosen_score": 1.0,
        "rejected_score": 0.0,
        "chosen_finish_reason": "stop",
        "rejected_finish_reason": "stop",
    }


NULLABLE = st.none() | st.text(max_size=2) | st.integers(-2, 9) | st.floats()
SPANS = st.none() | st.lists(
    st.none()
    | st.fixed_dictionaries(
        {
            "start": st.none() | st.integers(-2, 9),
            "end": st.none() | st.integers(-2, 9),
            "label": st.none() | st.sampled_from(["no_fact", "undetermined", "x"]),
            "weight": st.none() | st.floats(),
        }
    ),
    max_size=3,
)
MESSAGES = st.none() | st.lists(
    st.none()
    | st.fixed_dictionaries(
        {
            "role": st.none() | st.sampled_from(["user", "assistant", "system", "x"]),
            "content": st.none() | st.text(max_size=4),
        }
    ),
    max_size=3,
)
SCORES = st.none() | st.floats()


@given(
    row=st.fixed_dictionaries(
        {
            "id": st.none() | st.text(max_size=2),
            "prompt": MESSAGES,
            "chosen": MESSAGES,
            "rejected": MESSAGES,
            "chosen_spans": SPANS,
            "rejected_spans": SPANS,
            "chosen_score": SCORES,
            "rejected_score": SCORES,
            "chosen_finish_reason": st.none() | st.text(max_size=3),
            "rejected_finish_reason": st.none() | st.text(max_size=3),
        }
    )
)
def test_no_row_that_parquet_can_hold_breaks_the_check(row: Row) -> None:
    for kind, message in pair_faults(row):
        assert kind in FaultKind
        assert message


def test_a_valid_pair_and_sentence_have_no_fault() -> None:
    assert list(pair_faults(valid_pair())) == []
    row = dict.fromkeys(sentence_schema().names) | {
        "response_id": "r",
        "question_id": "q",
        "start": 0,
        "end": 4,
        "text": "Yes.",
        "label": "no_fact",
        "source": "judge",
    }
    assert list(sentence_faults(row)) == []


# --- the command ----------------------------------------------------------------------------------


def run_verb(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    from maskdpo.cli.main import main

    monkeypatch.setattr("sys.argv", ["maskdpo", "validate", *map(str, arguments)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_verb_names_rows_and_exits_with_2(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, out, _ = run_verb(capsys, monkeypatch, folder, "--statistics")
    assert code == 0
    assert "is valid" in out
    assert "label no_hallucination" in out
    rows = read(folder, TRAIN)
    for row in rows[:5]:
        row["chosen_spans"][0]["label"] = "fine"
    write(folder, TRAIN, rows)
    report = tmp_path / "faults.json"
    code, out, err = run_verb(capsys, monkeypatch, folder, "--show", 2, "--json", report)
    assert code == 2
    assert f"{TRAIN} row 1 (id {rows[1]['id']!r}): label: " in out
    assert "... and 3 more faults" in out
    assert "has 5 faults: label 5" in err
    saved = json.loads(report.read_text())
    assert [fault["row"] for fault in saved["faults"]] == [0, 1, 2, 3, 4]


def test_the_verb_says_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run_verb(capsys, monkeypatch, tmp_path / "absent")
    assert code == 2
    assert "not found; give a data set folder" in err


def test_annotations_with_repeated_sentences_make_a_sound_folder(tmp_path: Path) -> None:
    rows = [
        annotation_row("a", [GOOD, GOOD, GOOD], texts=["Ja.", "Ja.", "Ja."]),
        annotation_row("b", [BAD, BAD], texts=["Ja.", "日本語。"]),
    ]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    build_dataset(BuildConfig(test_share=0.0), annotations=source, output=tmp_path / "dataset")
    assert validate_folder(tmp_path / "dataset").findings == []
