"""Removing calls from a store: what goes, what stays, and that the bytes are gone."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.calls.store import Store
from annotator.calls.store_removal import find_traces, is_store, remove_calls
from schemas.errors import BackendError, InputError
from schemas.text.plain_text import plain

SECRET = 'The clinic of Varneby treated "Ada Quill" in 1871.'


def fill(path, values):
    with Store(path) as store:
        store.put_many("judge", values)


def bytes_of(path):
    """The store's file and its log."""
    log = path.with_name(path.name + "-wal")
    return path.read_bytes() + (log.read_bytes() if log.exists() else b"")


def traces(path, **given):
    return find_traces(path, **({"keys": (), "texts": (), "passages": ()} | given))


def test_removed_bytes_are_gone_from_the_file_and_its_log(tmp_path):
    path = tmp_path / "store.sqlite"
    fill(path, {f"k{n}": {"text": f"reply {n} " + "x" * 900} for n in range(200)})
    fill(path, {"gone": {"text": "Varneby " * 4000}, "also": {"text": "Varneby once"}})
    reader = sqlite3.connect(path)  # its log is not emptied when the store is closed
    reader.execute("SELECT count(*) FROM calls").fetchone()
    assert b"Varneby" in bytes_of(path)
    assert remove_calls(path, {"gone", "also", "never-there"}) == 2
    assert b"Varneby" not in bytes_of(path)
    reader.close()
    with Store(path) as store:
        assert store.count("judge") == 200 and store.present(["gone"]) == set()


def test_a_removal_that_was_killed_is_finished_by_the_next_one(tmp_path):
    path = tmp_path / "store.sqlite"
    fill(path, {"gone": {"text": "Varneby " * 900}, "stays": {"text": "yes"}})
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("DELETE FROM calls WHERE key = 'gone'")
    connection.commit()
    connection.close()
    assert b"Varneby" in bytes_of(path)
    assert remove_calls(path, set()) == 0
    assert b"Varneby" not in bytes_of(path)


@pytest.mark.parametrize(
    "value",
    [
        {"text": SECRET},
        {"text": '{"begins": "The clinic of Varneby treated \\"Ada Quill\\" in 1871."}'},
        {"text": '["The clinic of Varneby\\ntreated \\u0022Ada \\u0051uill\\u0022 in 1871."]'},
        {"text": "", "reasoning": "He wrote: the  clinic of\nVarneby treated “Ada Quill” in 1871!"},
        {"failure": {"reason": "refused", "detail": f"no: {SECRET}"}},
        {"text": "x", "logprobs": [["x", -0.1], [SECRET, -1.0]]},
    ],
)
def test_a_passage_is_found_however_it_is_written(tmp_path, value):
    path = tmp_path / "store.sqlite"
    fill(path, {"holds": value, "other": {"text": "The clinic of Varneby treated nobody in 1871."}})
    assert traces(path, passages={plain(SECRET)}).keys == {"holds"}


@settings(max_examples=60, deadline=None)
@given(text=st.text(min_size=1, max_size=60).filter(lambda text: len(plain(text)) > 3))
def test_any_text_is_found_in_a_reply_that_quotes_it_as_json(tmp_path_factory, text):
    import json

    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    reply = {"text": json.dumps({"quotes": [text]}), "finish_reason": "stop"}
    fill(path, {"holds": reply, "plainly": {"text": f"… {text} …"}, "other": {"text": "nothing"}})
    assert {"holds", "plainly"} <= traces(path, passages={plain(text)}).keys


def test_a_whole_reply_is_found_by_its_text_and_a_call_by_its_key(tmp_path):
    path = tmp_path / "store.sqlite"
    fill(path, {"one": {"text": "Yes."}, "two": {"text": "Yes. It is."}, "three": {"text": "No."}})
    found = traces(path, texts={"Yes."}, keys={"three", "absent"})
    assert found.keys == {"one", "three"} and found.by_kind == {"judge": 2}


def test_looking_changes_no_byte_and_leaves_no_file(tmp_path):
    path = tmp_path / "store.sqlite"
    fill(path, {"one": {"text": SECRET}})
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}
    traces(path, texts={SECRET})
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before


def test_a_store_that_a_living_process_asks_through_is_left_alone(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        store.put_many("reply", {"one": {"text": SECRET}})
        store.claim(["under way"])
        with pytest.raises(
            BackendError, match=r"another program is calling .*run the same command"
        ):
            remove_calls(path, {"one"})
        assert store.present(["one"]) == {"one"}
    assert remove_calls(path, {"one"}) == 1


def test_a_reader_that_holds_the_log_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("annotator.calls.store_removal.LOCK_WAIT_S", 0.1)
    path = tmp_path / "store.sqlite"
    fill(path, {"one": {"text": SECRET}})
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM calls").fetchone()
    with pytest.raises(BackendError, match="run the same command again"):
        remove_calls(path, {"one"})
    reader.close()
    assert remove_calls(path, {"one"}) == 0
    assert b"Varneby" not in bytes_of(path)


def test_what_is_no_store_is_known(tmp_path):
    text, other, torn = (tmp_path / name for name in ("a.txt", "b.sqlite", "c.sqlite"))
    text.write_text("x")
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE things (id)")
    connection.commit()
    connection.close()
    torn.write_bytes(b"SQLite format 3\0" + b"torn" * 100)
    assert not any(map(is_store, (text, other, torn, tmp_path / "absent")))
    fill(tmp_path / "store.sqlite", {})
    assert is_store(tmp_path / "store.sqlite")


def test_a_damaged_value_is_an_error_that_names_the_store(tmp_path):
    path = tmp_path / "store.sqlite"
    fill(path, {"one": {"text": "yes"}})
    connection = sqlite3.connect(path)
    connection.execute("UPDATE calls SET value = '{'")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"store\.sqlite: is damaged"):
        traces(path, texts={"yes"})
