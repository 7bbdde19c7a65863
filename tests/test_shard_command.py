"""`--shard` and `merge` on the command line: by hand, in any order, with and without a config."""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
from command_line import Run, make_run
from judge_server import ScriptedJudge
from judge_support import make_world
from sample_server import ChatServer, echo
from sample_support import write_questions

from annotator.calls.store import Store
from schemas.files.sidecar import read_sidecar_values

FILES = ("--responses", "responses.jsonl", "--documents", "documents.jsonl")
# The documents of this world support few sentences word for word.
BASELINE = ("annotate", *FILES, "--set", "annotate.max_undetermined_share=1")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


def annotate(run: Run, server: ChatServer, *options: str) -> tuple[str, str]:
    """Run the scripted judge; standard output and error of a run that ended well."""
    settings = {"judge": "llm", "llm.model": "judge", "llm.protocol": "sentence"}
    settings["llm.base_url"] = server.base_url
    given = [
        word for key, value in settings.items() for word in ("--set", f"annotate.{key}={value}")
    ]
    code, out, err = run("annotate", *FILES, *given, *options)
    assert code == 0, err
    return out, err


def next_command(err: str) -> list[str]:
    """The arguments of the command that a note names."""
    (line,) = [line for line in err.splitlines() if "maskdpo merge" in line]
    return shlex.split(line.split(": maskdpo ")[1])


def test_three_parts_by_hand_are_one_run(tmp_path: Path, run: Run) -> None:
    truths = make_world(tmp_path, num_responses=14)
    with ChatServer(ScriptedJudge(truths)) as server:
        annotate(run, server, "--output", "whole/annotations.jsonl")
        num_calls = len(server.asked)
        for number in (3, 1, 2):
            options = ("--shard", f"{number}/3", "--set", "run.dir=run")
            _, err = annotate(run, server, *options)
            assert f"this is part {number}/3 of the run; when all 3 parts are there:" in err
        assert len(server.asked) == 2 * num_calls
        code, out, err = run(*next_command(err))
        assert code == 0, err
        assert "wrote run/annotations.jsonl (responses 14, failed 0" in out
        assert (
            f"run/store.sqlite has all calls of 3 stores of parts ({num_calls:,} are new), which "
            "are not changed"
        ) in err
        whole, merged = tmp_path / "whole/annotations.jsonl", tmp_path / "run/annotations.jsonl"
        assert merged.read_bytes() == whole.read_bytes()
        assert read_sidecar_values(merged)["counts"] == read_sidecar_values(whole)["counts"]
        with Store(tmp_path / "run/store.sqlite") as store:
            assert store.count("judge") == num_calls
        _, err = annotate(run, server, "--set", "run.dir=run")  # a later run without parts
        assert len(server.asked) == 2 * num_calls
        assert "differ" not in err
    assert sorted(path.name for path in (tmp_path / "run").glob("*.sqlite*")) == [
        "store-00001-of-00003.sqlite",
        "store-00002-of-00003.sqlite",
        "store-00003-of-00003.sqlite",
        "store.sqlite",
    ]


def test_a_reply_of_any_part_is_never_asked_again(tmp_path: Path, run: Run) -> None:
    truths = make_world(tmp_path, num_responses=14)
    with ChatServer(ScriptedJudge(truths)) as server:
        for number in (1, 2, 3):
            annotate(run, server, "--shard", f"{number}/3", "--output", f"{number}.jsonl")
        num_calls = len(server.asked)
        times = Counter(json.dumps(item.body, sort_keys=True) for item in server.asked)
        assert max(times.values()) == 1
        for number in (1, 2):  # cut otherwise
            annotate(run, server, "--shard", f"{number}/2", "--output", f"h{number}.jsonl")
        assert len(server.asked) == num_calls
        annotate(run, server, "--output", "whole.jsonl", "--store", "store.sqlite")  # not cut
        assert len(server.asked) == num_calls
        (tmp_path / "store.sqlite").unlink()
    merge = ("merge", "h1.jsonl", "h2.jsonl", "--output", "a.jsonl", "--no-stores")
    assert run(*merge)[0] == 0
    assert not (tmp_path / "store.sqlite").exists()


def test_the_store_of_a_run_serves_its_parts(tmp_path: Path, run: Run) -> None:
    truths = make_world(tmp_path, num_responses=14)
    with ChatServer(ScriptedJudge(truths)) as server:
        annotate(run, server, "--output", "annotations.jsonl", "--store", "my.db")
        num_calls = len(server.asked)
        counted = 0
        for number in (1, 2):
            options = ("--shard", f"{number}/2", "--output", "p.jsonl", "--store", "my.db")
            out, _ = annotate(run, server, *options, "--estimate")
            assert "calls to make: 0" in out
            (stored,) = [line for line in out.splitlines() if "answers in the store" in line]
            counted += int(stored.split(": ")[1])
        assert counted == num_calls
        assert not list(tmp_path.glob("*-of-*"))
        annotate(run, server, *options, "--max-calls", "0")  # it needs none
        assert len(server.asked) == num_calls
        assert [path.name for path in tmp_path.glob("*-of-*")] == ["my-00002-of-00002.db"]


def test_sampled_parts_are_merged_by_a_pattern(tmp_path: Path, run: Run) -> None:
    write_questions(tmp_path / "questions.jsonl", 9)

    def sample(*options: str) -> None:
        given = ["--questions", "questions.jsonl", "--model", "policy", *options]
        given += ["--set", "sample.backend=openai", "--set", f"sample.base_url={server.base_url}"]
        code, _, err = run("sample", *given)
        assert code == 0, err

    with ChatServer(echo) as server:
        sample("--output", "whole/responses.jsonl")
        for number in (1, 2, 3, 4):
            sample("--output", f"responses-0000{number}-of-00004.jsonl", "--shard", f"{number}/4")
    (tmp_path / "responses-00001-of-00004.failed.jsonl").touch()  # a pattern may match it
    code, out, err = run("merge", "responses-*.json*")
    assert code == 0, err
    assert "wrote responses.jsonl (asked 72" in out
    expected = (tmp_path / "whole/responses.jsonl").read_bytes()
    assert (tmp_path / "responses.jsonl").read_bytes() == expected


REFUSED: dict[str, tuple[list[str], str]] = {
    "no file": (["nothing-*.jsonl"], "nothing-*.jsonl: not found; make parts with --shard I/N"),
    "two kinds": ([".", "1.jsonl"], ". is a folder, but . is a file; give one kind"),
    "no input": (["?.jsonl", "--output", "x/a.jsonl"], "name the input of the parts with --input"),
    "one part": (["1.jsonl"], "is one of 2 parts, and 1 of them are not given: 2/2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_merged_is_refused(tmp_path: Path, run: Run, name: str) -> None:
    make_world(tmp_path, num_responses=4)
    for number in (1, 2):
        options = ["--shard", f"{number}/2", "--output", f"{number}.jsonl"]
        assert run(*BASELINE, *options)[0] == 0
    shutil.move("responses.jsonl", "other.jsonl")
    arguments, expected = REFUSED[name]
    code, _, err = run("merge", *arguments)
    assert (code, expected in err) == (2, True), err
    assert run("merge", "?.jsonl", "--input", "other.jsonl", "--output", "a.jsonl")[0] == 0


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0"])
def test_a_wrong_shard_is_refused(text: str, run: Run) -> None:
    code, _, err = run("annotate", "--shard", text)
    assert (code, "must look like 2/4" in err) == (2, True)


def test_a_preview_of_a_part_is_refused(run: Run) -> None:
    code, _, err = run("annotate", "--shard", "1/2", "--preview", "3")
    assert (code, "--shard cannot be combined with --preview" in err) == (2, True)


def test_one_part_of_one_is_the_whole_run(tmp_path: Path, run: Run) -> None:
    make_world(tmp_path, num_responses=4)
    assert run(*BASELINE, "--output", "a.jsonl", "--shard", "1/1")[0] == 0
    assert "shard" not in read_sidecar_values(tmp_path / "a.jsonl")


def test_the_exit_code_is_that_of_the_run(tmp_path: Path, run: Run) -> None:
    make_world(tmp_path, num_responses=6)
    rows = (tmp_path / "responses.jsonl").read_text().splitlines()
    emptied = json.dumps({**json.loads(rows[0]), "text": ""})
    (tmp_path / "responses.jsonl").write_text("\n".join([emptied, *rows[1:]]) + "\n")
    for number in (1, 2):
        run(*BASELINE, "--shard", f"{number}/2", "--output", f"{number}.jsonl")
    code, out, err = run("merge", "?.jsonl", "--output", "annotations.jsonl")
    assert (code, "wrote annotations.jsonl" in out) == (1, True)
    assert "1 row failed (empty_response 1); see annotations.failed.jsonl" in err
    accepted = ("--set", "annotate.max_failed=0.5")
    assert run("merge", "?.jsonl", "--output", "annotations.jsonl", *accepted)[0] == 0


def test_a_forgotten_response_does_not_come_back(tmp_path: Path, run: Run) -> None:
    make_world(tmp_path, num_responses=6)
    for number in (1, 2):
        shard = ["--shard", f"{number}/2", "--output", f"parts/{number}.jsonl"]
        assert run(*BASELINE, *shard)[0] == 0
    shutil.copytree("parts", "kept")
    code, _, err = run("forget", "--response", "r3", "--set", "run.dir=.")
    assert (tmp_path / "forgotten.jsonl").exists(), (code, err)
    merge = ("merge", "kept/*.jsonl", "--input", "responses.jsonl", "--output", "a.jsonl")
    code, _, err = run(*merge)
    assert (code, "'r3' was forgotten" in err) == (2, True), err
