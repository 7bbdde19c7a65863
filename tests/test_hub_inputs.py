"""train, import, agreement and validate on data sets of the Hub and of the library `datasets`.

The Hub is a server on loopback, the client the real libraries.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import Run, make_run
from hub_client import HubProcess
from hub_rows import (
    CARD,
    PREFERENCES,
    clean,
    parquet,
    preference,
    publish,
    publish_preferences,
)
from loopback_hub import GOOD_TOKEN, LoopbackHub, Repo
from tiny_models import make_pair_values, save_model_folder, write_dataset

from maskdpo.data_sets.hub import is_hub_id, split_name
from maskdpo.data_sets.opening import open_data_set
from schemas.errors import InputError
from schemas.files.columnar import plain_rows
from schemas.files.jsonl import read_records
from schemas.files.sidecar import read_sidecar_values
from schemas.files.tables import column_names, scan_values
from schemas.records import Annotation

LABELS, OURS = "some-org/labels", "some-org/pairs"
TEXT = "Rome is old. Rome is new."
TRAIN_SETTINGS = [
    "--set=train.device=cpu",
    "--set=train.batch_size=2",
    "--set=train.epochs=1",
    "--set=train.progress=false",
]


def label_row(index: int = 0, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": f"r{index}",
        "source": "Someone",
        "group": f"g{index}",
        "question": "2020-01-01T00:00:00",  # a text, whatever it looks like
        "documents": [{"id": f"d{index}", "text": "Rome is old."}],
        "response": TEXT,
        "sentences": [
            {"start": 0, "end": 12, "label": "factual"},
            {"start": 13, "end": 25, "label": "hallucinated"},
        ],
    }
    return row | changes


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


@pytest.fixture
def preferences(hub: LoopbackHub) -> Repo:
    return publish_preferences(hub)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


# --- names --------------------------------------------------------------------------------------


def test_what_is_a_path_is_never_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert is_hub_id("org/pairs") and is_hub_id("org/pairs@v1")
    for name in ("runs/pairs", "org/pairs.jsonl", "org/sheet.XLSX", "pairs", "a/b/c", "/org/x"):
        assert not is_hub_id(name), name
    assert split_name("org/pairs@v1") == ("org/pairs", "v1")
    assert split_name("org/pairs@v1", "v1") == ("org/pairs", "v1")
    for name, revision in (("org/pairs@", None), ("org/pairs@v1", "v2")):
        with pytest.raises(InputError, match="give it once"):
            split_name(name, revision)


@pytest.mark.slow
def test_a_folder_wins_over_a_data_set_of_the_same_name(
    hub: LoopbackHub, client: HubProcess, preferences: Repo, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / PREFERENCES
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text(json.dumps(preference(7)) + "\n", encoding="utf-8")
    asked = len(hub.requests)
    done = clean(
        client.run("import", folder, "--format", "trl", "--output", tmp_path / "annotations.jsonl")
    )
    assert done.code == 0, done.err
    assert len(hub.requests) == asked
    assert len(read_records(tmp_path / "annotations.jsonl", Annotation)) == 2


# --- train --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_train_reads_preferences_of_the_hub_and_says_that_they_have_no_spans(
    client: HubProcess, preferences: Repo, policy: Path, tmp_path: Path
) -> None:
    arguments = ["train", "--dataset", PREFERENCES, "--split", "train_prefs", "--model", policy]
    arguments += ["--output", tmp_path / "model", *TRAIN_SETTINGS]
    done = clean(client.run(*arguments))
    assert done.code == 0, done.err
    assert "4 of 4 training pairs have no sentence spans: they train as stock DPO" in done.err
    assert done.err.count("stock DPO") == 1
    record = json.loads((tmp_path / "model" / "training.json").read_text(encoding="utf-8"))
    assert record["dataset"] == {
        "dataset": PREFERENCES,
        "revision": preferences.head("main"),
        "config_name": "default",
        "train_split": "train_prefs",
        "test_split": "test_prefs",
    }
    assert record["counts"]["pairs"] == 4 and record["counts"]["test_pairs"] == 1

    # Another commit with the same content is the same run; other content is another run.
    preferences.commit("main", "a new card", {**preferences.files(), "README.md": CARD.encode()})
    again = clean(client.run(*arguments))
    assert again.code == 0 and "finished, nothing to do" in again.err
    changed = parquet([preference(i, chosen="Other.") for i in range(4)])
    name = "data/train_prefs-00000-of-00001.parquet"
    preferences.commit("main", "other rows", {**preferences.files(), name: changed})
    other = clean(client.run(*arguments))
    assert other.code == 2 and "the training pairs changed" in other.err


@pytest.mark.slow
def test_train_reads_our_own_data_set_of_the_hub_as_it_reads_the_folder(
    hub: LoopbackHub, client: HubProcess, policy: Path, tmp_path: Path
) -> None:
    hub.reset()
    folder = write_dataset(tmp_path / "dataset")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    repo = publish(hub, OURS, files, private=True)
    first = repo.head("main")
    repo.commit("main", "later", {"README.md": b"empty now"})
    common = ["--model", policy, *TRAIN_SETTINGS]
    here = clean(client.run("train", "--dataset", folder, "--output", tmp_path / "a", *common))
    there = clean(
        client.run(
            "train", "--dataset", f"{OURS}@{first}", "--output", tmp_path / "b", *common,
            token=GOOD_TOKEN,
        )
    )  # fmt: skip
    assert (here.code, there.code) == (0, 0), there.err
    assert "stock DPO" not in there.err
    records = [
        json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8")) for name in "ab"
    ]
    assert records[0]["content"] == records[1]["content"]
    assert records[0]["key"] == records[1]["key"]
    assert "dataset" not in records[0]
    assert records[1]["dataset"] == {"dataset": OURS, "revision": first}


@pytest.mark.slow
def test_train_reads_a_folder_of_datasets(policy: Path, tmp_path: Path, run: Run) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [make_pair_values(index) for index in range(4)]
    data = datasets.DatasetDict(
        train=datasets.Dataset.from_list(rows[:3]), test=datasets.Dataset.from_list(rows[3:])
    )
    data.save_to_disk(tmp_path / "saved")
    code, _, err = run(
        "train", "--dataset", tmp_path / "saved", "--model", policy, "--output",
        tmp_path / "model", *TRAIN_SETTINGS,
    )  # fmt: skip
    assert code == 0, err
    assert "stock DPO" not in err
    record = json.loads((tmp_path / "model" / "training.json").read_text(encoding="utf-8"))
    assert record["counts"]["pairs"] == 3 and record["counts"]["test_pairs"] == 1
    assert record["dataset"] == {"dataset": "saved", "train_split": "train", "test_split": "test"}
    (tmp_path / "one.jsonl").write_text("{}\n", encoding="utf-8")
    code, _, err = run("train", "--dataset", "one.jsonl", "--split", "x", "--model", policy)
    assert code == 2 and "one.jsonl is a file: --split" in err


# --- import and agreement -----------------------------------------------------------------------


@pytest.mark.slow
def test_import_reads_pairs_and_records_where_they_are_from(
    client: HubProcess, preferences: Repo, tmp_path: Path
) -> None:
    output = tmp_path / "annotations.jsonl"
    arguments = ("import", PREFERENCES, "--format", "trl", "--output", output)
    done = clean(client.run(*arguments, "--split", "train_prefs"))
    assert done.code == 0, done.err
    assert len(read_records(output, Annotation)) == 8
    inputs = read_sidecar_values(output)["inputs"]
    entry = inputs[f"{PREFERENCES}/data/train_prefs-00000-of-00001.parquet"]
    assert entry["revision"] == preferences.head("main")
    assert entry["split"] == "train_prefs" and len(entry["sha256"]) == 64
    # A rerun replaces its own output, also of another commit; another source does not.
    files = dict(preferences.files())
    files["data/train_prefs-0.parquet"] = files.pop("data/train_prefs-00000-of-00001.parquet")
    preferences.commit("main", "renamed", files)
    assert clean(client.run(*arguments, "--split", "train_prefs")).code == 0
    entry = read_sidecar_values(output)["inputs"][f"{PREFERENCES}/data/train_prefs-0.parquet"]
    assert entry["revision"] == preferences.head("main")
    refused = clean(client.run(*arguments, "--config-name", "other"))
    assert refused.code == 2 and "is not overwritten" in refused.err
    output.unlink()
    assert clean(client.run(*arguments, "--config-name", "other")).code == 0
    assert len(read_records(output, Annotation)) == 6


@pytest.mark.slow
def test_labels_of_the_hub_are_imported_and_are_gold(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    hub.reset()
    good = [label_row(index) for index in range(6)]
    bad = label_row(6, sentences=[{"start": 0, "end": 99, "label": "factual"}])
    repo = publish(
        hub,
        LABELS,
        {
            "data/train-00000-of-00002.parquet": parquet(good[:3]),
            "data/train-00001-of-00002.parquet": parquet([*good[3:], bad]),
            "data/test-00000-of-00001.parquet": parquet(good[:2]),
        },
        private=True,
    )
    output = tmp_path / "annotations.jsonl"
    arguments = ("import", LABELS, "--output", output, "--max-failed", "0.5")
    done = clean(client.run(*arguments, token=GOOD_TOKEN))
    assert done.code == 0, done.err
    assert f"note: {LABELS}: the split 'train' is read; it also has 'test'" in done.err
    rows = read_records(output, Annotation)
    assert [row.id for row in rows] == [f"r{index}" for index in range(6)]
    assert rows[0].prompt[0].content == "2020-01-01T00:00:00"
    failed = (tmp_path / "annotations.failed.jsonl").read_text(encoding="utf-8")
    assert f"{LABELS}/train:7: sentences[0] [0, 99)" in failed
    inputs = read_sidecar_values(output)["inputs"]
    assert {entry["revision"] for entry in inputs.values()} == {repo.head("main")}
    assert len(inputs) == 2

    # No row of the test split is wrong.
    done = clean(
        client.run(
            "agreement", "--gold", LABELS, "--split", "test", "--json",
            "--annotations-output", tmp_path / "judged.jsonl",
            token=GOOD_TOKEN,
        )
    )  # fmt: skip
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["gold"] == f"{LABELS}/test"
    inputs = read_sidecar_values(tmp_path / "judged.jsonl")["inputs"]
    assert [entry["split"] for entry in inputs.values()] == ["test"]
    refused = clean(
        client.run("agreement", "--gold", LABELS, "--documents", output, token=GOOD_TOKEN)
    )
    assert refused.code == 2 and "holds its documents" in refused.err


def test_a_null_of_parquet_is_a_field_left_out(tmp_path: Path, run: Run) -> None:
    first = label_row(0, question=None, language=None, generator=None, extra=None)
    rows = [first, label_row(1, generator="m", extra=3)]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(parquet(rows))
    code, _, err = run("import", "set", "--output", "annotations.jsonl")
    assert code == 0, err
    found = read_records(tmp_path / "annotations.jsonl", Annotation)
    assert [row.model for row in found] == ["", "m"]
    assert "responses without a question: 1;" in err


def test_json_lines_of_a_folder_are_read_as_they_are(tmp_path: Path, run: Run) -> None:
    """The library's own reader would make a time of the question."""
    (tmp_path / "set").mkdir()
    text = "".join(json.dumps(label_row(index)) + "\n" for index in range(2))
    (tmp_path / "set" / "test.jsonl").write_text(text, encoding="utf-8")
    code, _, err = run("import", "set", "--output", "annotations.jsonl")
    assert code == 0, err
    found = read_records(tmp_path / "annotations.jsonl", Annotation)
    assert found[0].prompt[0].content == "2020-01-01T00:00:00"


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_rows_are_read_in_batches_and_not_as_a_whole(tmp_path: Path, suffix: str) -> None:
    """A counter: the most bytes that Arrow holds while 41 MB are read."""
    table = pa.table({"text": [f"{index:0>200}" for index in range(200_000)]})
    path = tmp_path / f"train{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, path, row_group_size=10_000, use_dictionary=False)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=10_000)
    size = table.nbytes
    del table
    before, most, count = pa.total_allocated_bytes(), 0, 0
    for count, values in scan_values(path):
        if count % 5_000 == 0:
            most = max(most, pa.total_allocated_bytes() - before)
            assert values == {"text": f"{count - 1:0>200}"}
    assert count == 200_000
    assert most < size / 4


@pytest.mark.parametrize("kind", ["stream.arrow", "file.arrow", "rows.ndjson", "array.json"])
def test_each_layout_holds_the_same_rows(tmp_path: Path, kind: str) -> None:
    rows = [{"id": "a", "day": "2020-01-01", "none": None}, {"id": "b", "day": "", "none": None}]
    path = tmp_path / kind
    table = pa.Table.from_pylist(rows)
    if kind == "rows.ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif kind == "array.json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        new = pa.ipc.new_file if kind == "file.arrow" else pa.ipc.new_stream
        with pa.OSFile(str(path), "wb") as out, new(out, table.schema) as writer:
            writer.write_table(table)
    assert list(scan_values(path)) == [(1, rows[0]), (2, rows[1])]
    assert column_names(path) == ["id", "day", "none"]
    path.write_bytes(path.read_bytes()[:20])
    if kind != "rows.ndjson":  # where it is a bad row
        with pytest.raises(InputError, match="org/set: "):
            list(scan_values(path, name="org/set"))


def test_a_package_that_is_missing_is_named_with_its_command(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(parquet([label_row()]))
    monkeypatch.setitem(sys.modules, "datasets", None)
    code, _, err = run("import", "set", "--output", "annotations.jsonl")
    assert code == 2
    assert "the package 'datasets' is not installed; get it with: pip install" in err


# --- validate -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_validate_checks_a_saved_folder_row_by_row(tmp_path: Path, run: Run) -> None:
    datasets = pytest.importorskip("datasets")
    folder = write_dataset(tmp_path / "dataset")
    rows = pq.read_table(next((folder / "pairs").glob("train*"))).to_pylist()
    from build_rows import questions, write_annotations

    from dataset_builder.config import BuildConfig
    from maskdpo.publishing.dataset import build_dataset

    built = build_dataset(
        BuildConfig(test_share=0.3, near_duplicate=0.0),
        annotations=write_annotations(tmp_path / "annotations.jsonl", questions(8)),
        output=tmp_path / "built",
    ).output
    rows = pq.read_table(built / "pairs" / "train-00000-of-00001.parquet").to_pylist()
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    code, out, err = run("validate", "saved")
    assert code == 0, out + err
    assert "saved is valid (rows: saved/data-00000-of-00001.arrow" in out
    assert "without a manifest" in err
    rows[1]["chosen_spans"][0]["end"] = 4_000
    rows[2]["id"] = rows[0]["id"]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "wrong")
    code, out, err = run("validate", "wrong")
    assert code == 2
    assert "wrong/data-00000-of-00001.arrow row 1" in out
    assert "wrong/data-00000-of-00001.arrow row 2" in out and "duplicate_id" in out
    code, out, _ = run("validate", "built", "--config-name", "sentences", "--split", "test")
    assert code == 0, out
    code, _, err = run("validate", "saved", "--statistics")
    assert code == 2 and "--statistics needs" in err


@pytest.mark.slow
def test_scripts_stay_where_they_are(
    client: HubProcess, preferences: Repo, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Only the data files of the split are fetched."""
    files = {**preferences.files(), "data/loader.py": b"raise SystemExit('a script ran')"}
    commit = preferences.commit("main", "with scripts", files)
    arguments = ("import", PREFERENCES, "--format", "trl", "--split", "train_prefs")
    done = clean(client.run(*arguments, "--output", tmp_path / "annotations.jsonl"))
    assert done.code == 0, done.err
    homes = list(tmp_path_factory.getbasetemp().glob("hf_home*"))
    fetched = {path.name for home in homes for path in home.rglob("*") if commit in path.parts}
    fetched = {name for name in fetched if name.endswith((".parquet", ".py", ".jsonl"))}
    assert fetched == {"train_prefs-00000-of-00001.parquet"}


@pytest.mark.slow
def test_validate_names_the_columns_that_a_foreign_set_lacks(
    client: HubProcess, preferences: Repo
) -> None:
    done = clean(client.run("validate", PREFERENCES))
    assert done.code == 2
    assert f"{PREFERENCES}/data/train_prefs-00000-of-00001.parquet: column: " in done.out
    assert "has no column 'chosen_spans'" in done.out


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_cannot_be_read_is_one_clear_sentence(
    hub: LoopbackHub, client: HubProcess, preferences: Repo, policy: Path, tmp_path: Path
) -> None:
    publish(hub, "some-org/private", {"train.parquet": parquet([preference(0)])}, private=True)
    publish(hub, "some-org/texts", {"train.parquet": parquet([{"text": "a"}])})
    publish(hub, "some-org/table", {"train.csv": b"prompt,chosen\na,b\n"})
    publish(hub, "some-org/empty", {"README.md": b"nothing"})
    publish(hub, "some-org/script", {"script.py": b"import os\n"})
    publish(
        hub,
        "some-org/outside",
        {"README.md": b"---\nconfigs:\n- config_name: default\n  data_files: ../../x.jsonl\n---\n"},
    )
    publish(hub, "some-org/three", {
        "README.md": CARD.replace("config_name: default", "config_name: first").encode(),
        **{name: data for name, data in preferences.files().items() if name != "README.md"},
    })  # fmt: skip
    for arguments, token, words in (
        (("some-org/absent",), GOOD_TOKEN, ["neither a folder here nor a data set on the Hub"]),
        (("some-org/private",), None, ["a private one needs HF_TOKEN"]),
        ((f"{PREFERENCES}@never",), None, ["has no revision 'never' on the Hub"]),
        ((PREFERENCES, "--split", "dev"), None, ["has no split 'dev'", "'train_prefs', 'test"]),
        ((PREFERENCES,), None, ["has no split 'train'; it has 'train_prefs', 'test_prefs'"]),
        ((PREFERENCES, "--config-name", "x"), None, ["no configuration 'x'", "'default', 'other"]),
        (("some-org/three",), None, ["several configurations: 'first', 'other'"]),
        (("some-org/texts",), None, ["has no column 'chosen', 'rejected'", "it has 'text'"]),
        (("some-org/table",), None, ["holds train.csv", ".parquet, .arrow"]),
        (("some-org/empty",), None, ["holds no data files", ".parquet"]),
        (("some-org/script",), None, ["needs a Python script", "never run"]),
        (("some-org/outside",), None, ["some-org/outside: "]),
        (("no/such/path",), None, ["not found"]),
    ):
        done = clean(
            client.run(
                "train", "--model", policy, "--output", tmp_path / "m", "--dataset", *arguments,
                token=token,
            )
        )  # fmt: skip
        assert done.code == 2, (arguments, done.code, done.err)
        for word in words:
            assert word in done.err, (arguments, done.err)
        assert done.err.count("error:") == 1
    done = clean(client.run("import", PREFERENCES, "--split", "train_prefs"))
    assert done.code == 2
    assert "human labels need 'id', 'source', 'group'" in done.err
    assert "import them with --format trl" in done.err
    done = clean(client.run("import", PREFERENCES, "--split", "train_prefs", "--format", "csv"))
    assert done.code == 2 and "--format csv reads a file" in done.err


@pytest.mark.slow
def test_without_a_network_the_sentence_says_what_to_do(
    hub: LoopbackHub, preferences: Repo, tmp_path: Path
) -> None:
    with HubProcess(hub.url, tmp_path / "home", offline=True) as offline:
        for verb in (["import"], ["agreement", "--gold"], ["train", "--model=m", "--dataset"]):
            done = clean(offline.run(*verb, PREFERENCES))
            assert done.code == 2, done.err
            assert "HF_HUB_OFFLINE is set; unset it to reach the Hub" in done.err
            assert f"hf download --repo-type dataset {PREFERENCES} --local-dir" in done.err


@pytest.mark.slow
def test_a_hub_that_hangs_up_is_reported_and_a_rerun_succeeds(
    hub: LoopbackHub, client: HubProcess, preferences: Repo, tmp_path: Path
) -> None:
    arguments = ("import", PREFERENCES, "--format", "trl", "--split", "train_prefs")
    arguments += ("--output", str(tmp_path / "annotations.jsonl"))
    for step in ("info", "tree", "resolve"):
        changed = parquet([preference(i, score=len(step) / 7) for i in range(4)])
        name = "data/train_prefs-00000-of-00001.parquet"
        preferences.commit("main", f"not cached: {step}", {**preferences.files(), name: changed})
        hub.drop(step)
        done = clean(client.run(*arguments))
        assert done.code == 3, (step, done.err)
        assert "rerun to try again" in done.err
        assert not (tmp_path / "annotations.jsonl").exists()
        hub.mend()
        assert clean(client.run(*arguments)).code == 0
        (tmp_path / "annotations.jsonl").unlink()


def test_nothing_outside_a_folder_is_read(tmp_path: Path) -> None:
    """A card, or a state of save_to_disk, that names a file elsewhere is refused."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "train.parquet").write_bytes(parquet([preference(0)]))
    card = tmp_path / "card"
    card.mkdir()
    (card / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: ../secret/*.parquet\n---\n",
        encoding="utf-8",
    )
    saved = tmp_path / "saved"
    saved.mkdir()
    state = {"_data_files": [{"filename": "../secret/train.parquet"}]}
    (saved / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for folder in (card, saved):
        with pytest.raises(InputError, match="inside the folder"):
            open_data_set(str(folder))


def damaged_texts() -> pa.Table:
    """A column whose second text is not UTF-8."""
    offsets, data = (
        pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0])),
        pa.py_buffer(b"a\xff\xfe"),
    )
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    return pa.table({"prompt": texts, "chosen": ["x", "y"], "rejected": ["p", "q"]})


def damaged_offsets() -> pa.Table:
    """A column whose first text ends far outside its memory."""
    offsets = pa.py_buffer(bytes([0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0, 0]))
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ab")])
    return pa.table({"prompt": texts, "chosen": ["x", "y"], "rejected": ["p", "q"]})


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_texts_that_are_not_utf8_are_one_sentence(tmp_path: Path, run: Run, suffix: str) -> None:
    path = tmp_path / f"train{suffix}"
    if suffix == ".parquet":
        pq.write_table(damaged_texts(), path)
        assert "train.parquet: cannot be read as Parquet: " in run("show", path)[2]
    else:
        with pa.ipc.new_file(path, damaged_texts().schema) as file:
            file.write_table(damaged_texts())
    with pytest.raises(InputError, match=r"cannot be read as (Parquet|Arrow): .*UTF"):
        list(scan_values(path))


def test_offsets_outside_the_memory_are_one_sentence() -> None:
    (batch,) = damaged_offsets().to_batches()
    with pytest.raises(InputError, match=r"x\.arrow: cannot be read as Arrow: "):
        plain_rows(batch, Path("x.arrow"))


def test_a_time_that_python_cannot_hold_is_one_sentence() -> None:
    (batch,) = pa.table({"when": pa.array([2**62], pa.timestamp("s"))}).to_batches()
    with pytest.raises(InputError, match=r"x\.parquet: cannot be read as Parquet: "):
        plain_rows(batch, Path("x.parquet"))


class Listener:
    """A server on loopback that counts what connects to it, and hangs up."""

    def __enter__(self) -> Listener:
        self.num_calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def was_called(self) -> bool:
        return self.num_calls > 0

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                self.num_calls += 1
                connection.close()


@pytest.mark.parametrize("file", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize(
    "named",
    [
        "data_files: {url}/rows.jsonl",
        "data_files: 'zip://rows.jsonl::{url}/rows.zip'",
        "data_files: [{{split: train, path: ['{url}/*.parquet']}}]",
        "data_dir: {url}/data",
    ],
)
def test_no_address_that_a_card_names_is_opened(tmp_path: Path, named: str, file: str) -> None:
    (tmp_path / "train.parquet").write_bytes(parquet([preference(0)]))
    with Listener() as listener:
        values = f"configs:\n- config_name: default\n  {named.format(url=listener.url)}\n"
        card = f"---\n{values}---\n" if file == "README.md" else values
        (tmp_path / file).write_text(card, encoding="utf-8")
        with pytest.raises(InputError, match="only files inside the data set are read") as caught:
            open_data_set(str(tmp_path))
        assert not listener.was_called()
    assert f"its {file} names '" in str(caught.value)
    assert "http://127.0.0.1" in str(caught.value)


@pytest.mark.slow
def test_no_address_that_a_card_on_the_hub_names_is_opened(
    hub: LoopbackHub, client: HubProcess
) -> None:
    hub.reset()
    with Listener() as listener:
        card = f"---\nconfigs:\n- config_name: a\n  data_files: {listener.url}/x.jsonl\n---\n"
        publish(
            hub,
            "some-org/elsewhere",
            {"README.md": card.encode(), "train.parquet": parquet([preference(0)])},
        )
        done = clean(client.run("import", "some-org/elsewhere"))
        assert done.code == 2
        assert "some-org/elsewhere: its README.md names 'http://" in done.err
        assert not listener.was_called()


@pytest.mark.parametrize(
    "card",
    [
        b"configs: [",
        b"configs: 5",
        b"configs: [5]",
        b"configs: [{data_files: 7}]",
        b"configs: [{config_name: a, data_files: {5: 6}}]",
        b"configs: [{config_name: a, data_files: [{split: 5, path: 6}]}]",
        b"configs: &a [*a]",
        b"configs: !!python/object/apply:os.getcwd []",
        b"dataset_info: {features: 5}",
        b"- a",
        b"configs: \xff",
        b"[" * 3_000,
    ],
)
def test_a_card_that_is_wrong_is_one_sentence(tmp_path: Path, card: bytes) -> None:
    (tmp_path / "train.parquet").write_bytes(parquet([preference(0)]))
    (tmp_path / "README.md").write_bytes(b"---\n" + card + b"\n---\n")
    with pytest.raises(InputError) as caught:
        open_data_set(str(tmp_path))
    assert "\n" not in str(caught.value)
    assert "cannot be" in str(caught.value)


def test_a_pickle_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="holds no data files"):
        open_data_set(str(tmp_path / "set"))
