"""One store per run directory: another --output never pays again, and old stores are found."""

import pytest
import yaml
from old_store import QUESTIONS, write_old_store
from sample_server import ChatServer

from maskdpo.cli.main import main
from maskdpo.config import load_run_config
from maskdpo.run_store import find_run_store

NOWHERE = "http://127.0.0.1:9/v1"  # nothing listens: a call would fail


def write_config(folder, base_url, **run):
    (folder / "questions.jsonl").write_text(QUESTIONS, encoding="utf-8")
    values = {
        "run": {"dir": str(folder / "run"), "questions": str(folder / "questions.jsonl")} | run,
        "sample": {
            "backend": "openai",
            "model": "policy",
            "base_url": base_url,
            "num_responses": 2,
            "max_retries": 0,
        },
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return str(path)


def call(monkeypatch, *arguments):
    """Run the command line; its exit code."""
    monkeypatch.setattr("sys.argv", ["maskdpo", *arguments])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_another_output_pays_nothing_again(tmp_path, monkeypatch, capsys):
    with ChatServer() as server:
        config = write_config(tmp_path, server.base_url)
        assert call(monkeypatch, "sample", "--config", config) == 0
        elsewhere = tmp_path / "elsewhere" / "again.jsonl"
        assert call(monkeypatch, "sample", "--config", config, "--output", str(elsewhere)) == 0
        assert len(server.asked) == 4
    assert "from_store 4" in capsys.readouterr().out
    assert (tmp_path / "run" / "store.sqlite").is_file()
    assert [path.name for path in elsewhere.parent.glob("*.sqlite")] == []
    assert elsewhere.read_bytes() == (tmp_path / "run" / "responses.jsonl").read_bytes()


def test_a_store_next_to_an_output_of_an_earlier_version_serves_the_run(
    tmp_path, monkeypatch, capsys
):
    config = write_config(tmp_path, NOWHERE)
    former = write_old_store(tmp_path / "elsewhere" / "store.sqlite")
    content = former.read_bytes()
    arguments = ["sample", "--config", config, "--output", str(former.parent / "a.jsonl")]
    assert call(monkeypatch, *arguments, "--estimate") == 0
    assert "calls to make: 0" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    assert call(monkeypatch, *arguments) == 0
    said = capsys.readouterr()
    assert "from_store 4" in said.out
    assert f"5 stored calls of {former} were copied" in said.err
    assert former.read_bytes() == content
    assert call(monkeypatch, *arguments) == 0
    assert "were copied" not in capsys.readouterr().err


def test_a_swapped_model_stops_the_command_with_exit_2(tmp_path, monkeypatch, capsys):
    def models(root):
        return (200, "application/json", b'{"data": [{"id": "policy", "root": "%s"}]}' % root)

    with ChatServer(models=models(b"/w/a")) as server:
        config = write_config(tmp_path, server.base_url)
        assert call(monkeypatch, "sample", "--config", config) == 0
    with ChatServer(models=models(b"/w/b")) as server:
        here = f"sample.base_url={server.base_url}"
        arguments = ["sample", "--config", config, "--set", here]
        assert call(monkeypatch, *arguments) == 2
        assert "add --same-model" in capsys.readouterr().err
        assert call(monkeypatch, *arguments, "--same-model") == 0
        assert server.asked == []
        assert call(monkeypatch, *arguments) == 0
        assert call(monkeypatch, *arguments, "--set", "sample.revision=b") == 0
        assert len(server.asked) == 4


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def store_of(*overrides, output="out/a.jsonl", given=None, names=("store.sqlite",)):
    from pathlib import Path

    config = load_run_config(None, overrides)
    return find_run_store(config, Path(output), given=given, names=names)


def test_without_a_run_directory_the_output_s_folder_is_one(here):
    assert str(store_of().path) == "out/store.sqlite"
    assert str(store_of("run.dir=mine").path) == "mine/store.sqlite"
    default = here / "runs" / "default"
    default.mkdir(parents=True)
    (default / "store.sqlite").touch()
    assert str(store_of().path) == "runs/default/store.sqlite"
    (here / "out").mkdir()
    (here / "out" / "store.sqlite").touch()
    assert str(store_of().path) == "out/store.sqlite"


def test_a_named_store_is_taken_as_it_is(here):
    (here / "out").mkdir()
    (here / "out" / "store.sqlite").touch()
    found = store_of("run.dir=mine", given=here / "my.sqlite")
    assert (found.path, list(found.formers)) == (here / "my.sqlite", [])


def test_former_stores_are_found_next_to_the_output_and_in_the_run_directory(here):
    for place in ("out/store.sqlite", "out/agreement.sqlite", "mine/agreement.sqlite"):
        (here / place).parent.mkdir(exist_ok=True)
        (here / place).touch()
    found = store_of("run.dir=mine", names=("store.sqlite", "agreement.sqlite"))
    assert [str(item) for item in found.formers] == [
        "out/store.sqlite",
        "out/agreement.sqlite",
        "mine/agreement.sqlite",
    ]
    same = store_of("run.dir=out")
    assert (str(same.path), list(same.formers)) == ("out/store.sqlite", [])


def test_what_failed_is_not_asked_again_without_retry_failed(tmp_path, monkeypatch, capsys):
    failing = (400, "application/json", b'{"error": "no"}')
    good = (200, "application/json", b'{"choices": [{"message": {"content": "a"}}]}')
    answers = [failing]
    with ChatServer(lambda body: answers[0]) as server:
        config = write_config(tmp_path, server.base_url)
        arguments = ["sample", "--config", config]
        assert call(monkeypatch, *arguments) != 0
        num_asked = len(server.asked)
        said = capsys.readouterr().err
        answers[0] = good
        assert call(monkeypatch, *arguments) != 0
        assert len(server.asked) == num_asked
        assert "--retry-failed" in said + capsys.readouterr().err
        assert call(monkeypatch, *arguments, "--retry-failed") == 0
        assert len(server.asked) == num_asked + 4
