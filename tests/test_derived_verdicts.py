"""Verdicts are derived from stored calls in every run: a corrected rule reaches old stores."""

import pytest
from judge_server import ScriptedJudge
from judge_support import make_world, read_labels
from sample_server import ChatServer

from annotator.calls.store import Store
from annotator.judging.config import AnnotateConfig
from annotator.judging.protocols import read_reply as reading
from annotator.judging.runs.annotate import run_annotate
from maskdpo.cli.progress import Progress
from schemas.errors import BackendError

NOWHERE = "http://127.0.0.1:9/v1"  # nothing listens: a call would fail


def annotate(folder, base_url, **llm):
    values = {"model": "judge", "base_url": base_url, "max_retries": 0} | llm
    return run_annotate(
        AnnotateConfig.parse({"judge": "llm", "llm": values}, where="annotate"),
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "store.sqlite",
    )


@pytest.mark.parametrize("protocol", ["response", "sentence"])
def test_a_fix_in_reading_gives_an_old_store_new_verdicts_without_a_call(
    tmp_path, monkeypatch, protocol
):
    scripted = ScriptedJudge(make_world(tmp_path, num_responses=3))
    with ChatServer(scripted) as server:
        first = annotate(tmp_path, server.base_url, protocol=protocol)
        num_calls = len(server.asked)
    assert first.counts["calls"] == num_calls > 0
    before = read_labels(tmp_path / "annotations.jsonl")
    words = reading.read_words
    monkeypatch.setattr(
        reading, "read_words", lambda value: words(value).replace("contradicted", "supported")
    )
    again = annotate(tmp_path, NOWHERE, protocol=protocol)
    assert (again.counts["calls"], again.counts["calls_from_store"]) == (0, num_calls)
    changed = {
        sentence: (old[0], new[0])
        for sentence, new in read_labels(tmp_path / "annotations.jsonl").items()
        if new != (old := before[sentence])
    }
    assert changed == {
        f"Person {n} kept {n + 7} cats.": ("contradictory", "no_hallucination") for n in range(3)
    }


def test_a_rerun_is_without_a_server_and_equal_to_the_byte(tmp_path):
    scripted = ScriptedJudge(make_world(tmp_path))
    with ChatServer(scripted) as server:
        annotate(tmp_path, server.base_url)
    written = (tmp_path / "annotations.jsonl").read_bytes()
    annotate(tmp_path, NOWHERE)
    assert (tmp_path / "annotations.jsonl").read_bytes() == written
    (tmp_path / "store.sqlite").unlink()
    with pytest.raises(BackendError):
        annotate(tmp_path, NOWHERE)


def test_what_a_changed_setting_costs_is_reported_before_a_call(tmp_path, capsys):
    scripted = ScriptedJudge(make_world(tmp_path, num_responses=2))
    files = {"output": tmp_path / "annotations.jsonl", "store": tmp_path / "store.sqlite"}

    def run(server, **llm):
        values = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"} | llm
        run_annotate(
            AnnotateConfig.parse({"judge": "llm", "llm": values}, where="annotate"),
            responses=tmp_path / "responses.jsonl",
            documents=tmp_path / "documents.jsonl",
            **files,
            on_event=Progress(),
        )
        return capsys.readouterr().err

    with ChatServer(scripted) as server:
        assert "changed" not in run(server)
        assert "changed" not in run(server)
        said = run(server, evidence="keep")
        assert "evidence 'require' -> 'keep'. Of 8 stored calls 8 are used by this run" in said
        said = run(server, max_tokens=500)
        assert "Of 8 stored calls 0 are used by this run" in said


def test_replies_that_a_fix_made_usable_are_not_asked_again_by_retry_failed(tmp_path, monkeypatch):
    scripted = ScriptedJudge(make_world(tmp_path, num_responses=2))
    words = reading.read_words
    with ChatServer(scripted) as server, monkeypatch.context() as faulty:
        faulty.setattr(reading, "read_words", lambda value: words(value).replace("no", "??"))
        annotate(tmp_path, server.base_url, protocol="sentence")
    with Store(tmp_path / "store.sqlite") as calls:
        assert calls.count("judge", failed=True) > 0
    annotate(tmp_path, NOWHERE, protocol="sentence")
    with Store(tmp_path / "store.sqlite") as calls:
        # What is left are the requests to mend a reply, which are not looked up any more.
        assert calls.count("judge", failed=False) == 8
