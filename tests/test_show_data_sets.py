"""`maskdpo show` on data sets by name: folders of others, files of any kind, and the Hub.

The Hub is a server on loopback, the client the real libraries.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from command_line import Run, make_run
from hub_client import HubProcess
from hub_rows import (
    PREFERENCES,
    clean,
    parquet,
    preference,
    publish,
    publish_preferences,
)
from loopback_hub import GOOD_TOKEN, LoopbackHub, Repo
from show_rows import annotation_row, pair_row, write

from maskdpo.show.choice import Choice, choose
from maskdpo.show.sources import find_source, read_source
from schemas.errors import Fault
from schemas.files import tables
from trainer.data import find_pair_files, read_pairs

OURS = "some-org/pairs"
NO_SPANS = "no spans: all of it trains (stock DPO)"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    return make_run(monkeypatch, capsys)


@pytest.fixture
def preferences(hub: LoopbackHub) -> Repo:
    return publish_preferences(hub)


def without_id(index: int) -> dict[str, Any]:
    """A pair with spans whose row has no id."""
    return {key: value for key, value in pair_row(str(index)).items() if key != "id"}


def write_arrow(path: Path, rows: list[dict[str, Any]], *, stream: bool) -> Path:
    table = pa.Table.from_pylist(rows)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as out, new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return path


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["p.jsonl", "p.ndjson", "p.json", "lines.json", "p.parquet", "p.arrow", "stream.arrow"]
)
def test_each_kind_of_file_is_counted_and_shown(tmp_path: Path, name: str) -> None:
    rows = [preference(1), preference(2), preference(3, rejected=None)]
    path = tmp_path / name
    if path.suffix == ".parquet":
        path.write_bytes(parquet(rows))
    elif path.suffix == ".arrow":
        write_arrow(path, rows, stream=name == "stream.arrow")
    elif name == "p.json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    else:
        write(path, list(rows))
    assert tables.count_rows(path) == 3
    found = list(read_source(find_source(str(path))))
    kept = [item for item in found if not isinstance(item, Fault)]
    assert [(item.record.id, item.row) for item in kept] == [(f"{name}:1", 1), (f"{name}:2", 2)]
    assert [(item.path, item.line) for item in found if isinstance(item, Fault)] == [(str(path), 3)]
    read = read_pairs(find_pair_files(path).train)  # as train does
    assert [pair.id for pair in read.pairs] == [item.record.id for item in kept]
    assert [failure.detail.partition(" ")[0] for failure in read.failures] == [f"{path}:3:"]


def test_pairs_of_others_are_shown_as_texts_without_spans(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_text(json.dumps([preference(3)]), encoding="utf-8")
    code, out, err = run("show", "pairs.json")
    assert code == 0, err
    assert "question: Who is number 3?" in out
    assert "She was born in Karsted." in out and "He was born in 1903." in out
    assert out.count(NO_SPANS) == 2
    assert "1 of 1 pairs" in err
    assert "published" not in err
    code, _, err = run("show", "pairs.json", "--label", "no_fact")
    assert code == 2
    assert "There are labels: none, as its pairs have no sentence spans" in err


def test_labels_in_the_published_form_are_mentioned(run: Run, tmp_path: Path) -> None:
    items = {"sents": ["She was born in Karsted."], "type": ["hallucination"]}
    row = preference(1, chosen_item=items, rejected_item=items)
    write(tmp_path / "file.jsonl", [row])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "train.parquet").write_bytes(parquet([row]))
    for name, label in (("file.jsonl", "file.jsonl"), ("folder", "folder/train.parquet")):
        code, _, err = run("show", name)
        assert code == 0
        assert f"note: {label} has sentence labels in the published form" in err
        assert "maskdpo import --format published" in err


def test_a_bad_row_of_a_json_array_is_named_with_its_number(run: Run, tmp_path: Path) -> None:
    rows = [preference(1), {"chosen": 3, "rejected": "x"}, 7]
    (tmp_path / "pairs.json").write_text(json.dumps(rows), encoding="utf-8")
    code, _, err = run("show", "pairs.json")
    assert code == 0
    assert "note: not shown: pairs.json:2: 'chosen' must be a list of messages" in err
    assert "note: not shown: pairs.json:3: a row must be an object" in err
    assert "note: 2 rows of 3 have faults" in err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no rows; it can be: annotations"),
        ([[1]], "are not JSON objects. It can be: "),
        ([annotation_row()], "not JSON Lines but a JSON array; one JSON object per line is needed"),
        ([{"question": "Who?"}], "holds questions; show the responses"),
    ],
)
def test_other_json_arrays_are_refused_in_one_sentence(
    run: Run, tmp_path: Path, rows: list[object], message: str
) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    code, out, err = run("show", "rows.json")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_an_empty_table_says_that_it_is_empty(run: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    schema = pa.Table.from_pylist([preference(1)]).schema
    pq.write_table(schema.empty_table(), tmp_path / "none.parquet")
    code, _, err = run("show", "none.parquet")
    assert code == 2
    assert "none.parquet: holds no rows" in err


# --- folders ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_folder_of_save_to_disk_is_shown_split_by_split(run: Run, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [without_id(index) for index in range(5)]
    bad = {**without_id(5), "chosen_spans": rows[0]["rejected_spans"][:0]}
    both = datasets.DatasetDict(
        train=datasets.Dataset.from_list(rows[:3]),
        held_out=datasets.Dataset.from_list([*rows[3:], bad]),
    )
    both.save_to_disk(tmp_path / "saved")
    code, out, err = run("show", "saved")
    assert code == 0, err
    assert "1 of 3  data-00000-of-00001.arrow:1" in out
    assert "2 ✗ unverifiable: masked" in out
    assert "note: saved: the split 'train' is read; it also has 'held_out' (--split)" in err
    assert "3 of 3 pairs" in err
    code, out, err = run("show", "saved", "--split", "held_out", "--limit", "1", "--html", "p.html")
    assert code == 0, err
    assert "note: saved" not in err
    assert "1 of 3 pairs; 2 left out" in out
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<h1>saved</h1>" in page
    assert "held_out" in page
    code, _, err = run("show", "saved", "--split", "dev")
    assert (code, "has no split 'dev'; it has 'train', 'held_out' (--split)" in err) == (2, True)
    datasets.Dataset.from_list([{"text": "a"}]).save_to_disk(tmp_path / "texts")
    code, _, err = run("show", "texts")
    assert code == 2
    assert "texts/data-00000-of-00001.arrow: has no column 'chosen', 'rejected'" in err


def test_our_own_folder_is_shown_without_the_library_datasets(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "d" / "pairs").mkdir(parents=True)
    (tmp_path / "d" / "pairs" / "train-0.parquet").write_bytes(parquet([pair_row()]))
    assert "1 of 1 pairs" in run("show", "d")[2]
    assert "1 of 1 pairs" in run("show", "d", "--split", "train")[2]
    code, _, err = run("show", "d", "--split", "test")
    assert (code, "d: has no split 'test'; it has 'train' (--split)" in err) == (2, True)
    code, _, err = run("show", "d", "--split", "dev")
    assert (code, "the package 'datasets' is not installed" in err) == (2, True)


# --- the Hub ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_preferences_of_the_hub_are_shown(
    hub: LoopbackHub, client: HubProcess, preferences: Repo, tmp_path: Path
) -> None:
    first = preferences.head("main")
    bad = {**preference(1), "rejected": None}
    changed = {**preferences.files(), "other/rows.jsonl": json.dumps(bad).encode() + b"\n"}
    preferences.commit("main", "one row without a side", changed)

    done = clean(client.run("show", PREFERENCES, "--split", "test_prefs"))
    assert done.code == 0, done.err
    assert "He was born in 1909." in done.out
    assert NO_SPANS in done.out
    assert "1 of 1 pairs" in done.err

    page = tmp_path / "page.html"
    arguments = ("show", f"{PREFERENCES}@{first}", "--config-name", "other", "--sample", "2")
    done = clean(client.run(*arguments, "--html", page))
    assert done.code == 0, done.err
    assert "2 of 3 pairs" in done.out
    assert f"<h1>{PREFERENCES}@{first}</h1>" in page.read_text(encoding="utf-8")

    done = clean(client.run("show", PREFERENCES, "--config-name", "other"))
    assert done.code == 2
    assert f"{PREFERENCES}/other/rows.jsonl:1: 'rejected' must be a list of messages" in done.err
    assert "no row can be shown: 1 of 1 have faults" in done.err


@pytest.mark.slow
def test_our_own_data_set_of_the_hub_is_shown_as_the_folder_is(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path, run: Run
) -> None:
    hub.reset()
    files = {
        f"pairs/{split}-00000-of-00001.parquet": parquet([pair_row(f"{split}-1")])
        for split in ("train", "test")
    }
    files["manifest.json"] = json.dumps({"format": "maskdpo.pairs", "version": "1.0"}).encode()
    publish(hub, OURS, files, private=True)
    for name, content in files.items():
        path = tmp_path / "local" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for options in ((), ("--split", "test"), ("--label", "unverifiable", "--id", "test-1")):
        there = clean(client.run("show", OURS, *options, token=GOOD_TOKEN))
        assert there.code == 0, there.err
        assert there.out.count("2 ✗ unverifiable: masked") == (1 if options else 2)
        code, _, err = run("show", "local", *options)
        assert (code, err.splitlines()[-1]) == (0, there.err.splitlines()[-1])


@pytest.mark.slow
def test_what_of_the_hub_cannot_be_shown_is_one_sentence(
    hub: LoopbackHub, client: HubProcess, preferences: Repo
) -> None:
    publish(hub, "some-org/private", {"train.parquet": parquet([preference(0)])}, private=True)
    publish(hub, "some-org/texts", {"train.parquet": parquet([{"text": "a"}])})
    for arguments, words in (
        ((PREFERENCES,), "has no split 'train'; it has 'train_prefs', 'test_prefs' (--split)"),
        (
            (PREFERENCES, "--config-name", "x"),
            "has no configuration 'x'; it has 'default', 'other'",
        ),
        ((f"{PREFERENCES}@never",), "has no revision 'never' on the Hub"),
        (("some-org/private",), "a private one needs HF_TOKEN"),
        (("some-org/texts",), "some-org/texts/train.parquet: has no column 'chosen', 'rejected'"),
        (("no/such/path",), "not found; it can be: annotations"),
        (("org/pairs.jsonl",), "not found; it can be: annotations"),
    ):
        done = clean(client.run("show", *arguments))
        assert done.code == 2, (arguments, done.err)
        assert words in done.err, (arguments, done.err)
        assert done.err.count("error:") == 1
    hub.drop("info")
    done = clean(client.run("show", PREFERENCES))
    assert done.code == 3
    assert "rerun to try again" in done.err


def test_a_long_table_is_streamed(tmp_path: Path) -> None:
    """A counter: the most bytes that Arrow holds while some of 6,000 pairs are chosen."""
    import pyarrow.parquet as pq

    rows = [preference(index, chosen=f"{index:0>4000}") for index in range(6_000)]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=500, use_dictionary=False)
    size = table.nbytes
    del table
    most = []
    before = pa.total_allocated_bytes()
    chosen = choose(
        find_source(str(tmp_path / "p.parquet")),
        Choice(sample=3, limit=3),
        on_event=lambda _: most.append(pa.total_allocated_bytes() - before),
    )
    assert (chosen.num_rows, chosen.num_matching, len(chosen.rows)) == (6_000, 6_000, 3)
    assert len(most) > 10
    assert max(most) < size / 3
