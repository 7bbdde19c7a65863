"""`doctor`: commands that work, and what a run config needs, checked before anything is spent."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, make_run
from sample_server import ChatServer, as_json

import maskdpo.doctor.doctor
from maskdpo.cli.main import COMMANDS
from maskdpo.doctor.doctor import inspect_commands, inspect_packages
from schemas.packages import install_command

KEY = "sk-proj-Zk3pQ9vXw2LmT8aB4cDeF6gHiJ0kNrSt"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return make_run(monkeypatch, capsys)


def write_rows(path: str, *rows: dict[str, Any]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_inputs(*document_ids: str) -> None:
    write_rows("documents.jsonl", {"id": "d1", "topic": "mira", "text": "Mira keeps a goat."})
    write_rows("questions.jsonl", {"id": "q1", "question": "Who?", "document_ids": document_ids})


def write_config(**sections: Any) -> None:
    run = {"dir": "runs/r", "documents": "documents.jsonl", "questions": "questions.jsonl"}
    Path("run.yaml").write_text(json.dumps({"run": run, **sections}))


def line_of(out: str, what: str) -> str:
    """The line of one check, with its next command."""
    lines = out.splitlines()
    (index,) = [i for i, line in enumerate(lines) if line[9:].startswith(what)]
    following = lines[index + 1]
    return lines[index] + (following if "next:" in following else "")


def test_missing_packages_are_printed_with_a_command_that_can_be_copied(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name in ("torch", "peft", "pytest", "datasets"):
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(maskdpo.doctor.doctor.metadata, "version", version)
    code, out, _ = run("doctor")
    assert code == 0
    lines = out.splitlines()
    assert (
        lines[lines.index("to install datasets:") + 1]
        == "    pip install -c constraints.txt -e '.[hub]'"
    )
    assert lines[lines.index("to install torch, peft:") + 1] == f"    {install_command('torch')}"
    assert lines[lines.index("to install pytest:") + 1] == f"    {install_command('trl')}"
    lacking = {verb.name: verb.missing for verb in inspect_commands()}
    assert lacking["train"] == ("torch",) and lacking["build"] == ()


def test_every_verb_and_only_known_packages_are_listed() -> None:
    listed = {verb.name.split(" (")[0] for verb in inspect_commands()}
    assert listed == set(COMMANDS)
    known = {row.name for row in inspect_packages()}
    assert all(set(needs) <= known for needs in maskdpo.doctor.doctor._COMMANDS.values())


def test_a_sound_config_is_all_ok(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    write_inputs("d1")
    with ChatServer() as server:
        model = {"backend": "openai", "model": "policy", "base_url": server.base_url}
        judge = {"judge": "llm", "domain": "general", "llm": model}
        write_config(sample=model, annotate=judge)
        code, out, err = run("doctor", "--config", "run.yaml")
    assert code == 0, out + err
    assert line_of(out, "documents:") == "ok       documents: documents.jsonl: 1 row"
    assert line_of(out, "documents of questions").startswith("ok ")
    assert line_of(out, f"sample at {server.base_url}").endswith("serves policy")
    assert line_of(out, "annotate.llm.api_key_env").endswith("OPENAI_API_KEY is set")
    assert "responses.jsonl: does not exist yet" in line_of(out, "responses")
    assert line_of(out, "annotate.domain").startswith("ok ")
    assert line_of(out, "disk").startswith("ok ")
    assert out.splitlines()[-1].endswith("1 warnings, 0 errors")
    assert KEY not in out + err and server.asked == []  # no call of a model


@pytest.mark.parametrize(
    ("models", "model", "expected"),
    [
        (
            as_json(200, {"data": [{"id": "a"}, {"id": "b"}]}),
            "c",
            ["error", "does not serve 'c'; it serves: a, b", "--set sample.model=a"],
        ),
        (as_json(401, {}), "c", ["error", "HTTP 401", "export OPENAI_API_KEY=..."]),
        (as_json(500, {}), "c", ["warning", "HTTP 500", "usually ends in /v1"]),
        (as_json(200, ["odd"]), "c", ["error", "does not serve 'c'; it serves: nothing"]),
    ],
)
def test_a_server_that_will_not_do_is_named(
    run: Run, models: Any, model: str, expected: list[str]
) -> None:
    write_inputs("d1")
    with ChatServer(models=models) as server:
        settings = {"backend": "openai", "model": model, "base_url": server.base_url}
        write_config(sample=settings)
        code, out, _ = run("doctor", "--config", "run.yaml")
    assert code == (1 if expected[0] == "error" else 0)
    line = line_of(out, "sample at ")
    assert line.startswith(expected[0]) and all(part in line for part in expected)


def test_a_redirect_does_not_take_the_key_elsewhere(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    write_inputs("d1")
    reached = []

    def redirect(handler: Any, _: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{other.base_url}/models")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with ChatServer() as server, ChatServer() as other:
        handler_of(server)._send = redirect
        send = handler_of(other)._send
        handler_of(other)._send = lambda handler, sent: reached.append(1) or send(handler, sent)
        settings = {"backend": "openai", "model": "policy", "base_url": server.base_url}
        write_config(sample=settings)
        _, out, _ = run("doctor", "--config", "run.yaml")
    assert "HTTP 302" in line_of(out, "sample at ") and reached == []


def test_a_server_that_is_down_names_how_to_start_one(run: Run) -> None:
    write_inputs("d1")
    settings = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    write_config(sample=settings)
    code, out, _ = run("doctor", "--config", "run.yaml")
    assert code == 1
    line = line_of(out, "sample at ")
    assert "refused" in line and "next: vllm serve m" in line
    assert line_of(out, "sample.api_key_env").startswith("warning")
    assert "this machine" in line_of(out, "sample.prices")


def test_an_address_without_v1_is_corrected(run: Run) -> None:
    write_inputs("d1")

    with ChatServer() as server:
        bare = server.base_url.removesuffix("/v1")
        answer_only_under_v1(server)
        write_config(sample={"backend": "openai", "model": "policy", "base_url": bare})
        code, out, _ = run("doctor", "--config", "run.yaml")
    assert code == 1
    assert f"--set sample.base_url={server.base_url}" in line_of(out, "sample at ")


def handler_of(server: ChatServer) -> Any:
    return server._server.RequestHandlerClass


def answer_only_under_v1(server: ChatServer) -> None:
    handler = handler_of(server)
    send = handler._send

    def by_path(self: Any, sent: Any) -> None:
        send(self, sent if self.path.startswith("/v1/") else as_json(404, {}))

    handler._send = by_path


def test_a_paid_server_without_prices_is_warned_of(run: Run) -> None:
    write_inputs("d1")
    away = {"backend": "openai", "model": "m", "base_url": "http://nowhere.invalid/v1"}
    write_config(sample=away)
    _, out, _ = run("doctor", "--config", "run.yaml")
    assert line_of(out, "sample.prices").startswith("warning")
    write_config(sample=away | {"prices": 0})
    _, out, _ = run("doctor", "--config", "run.yaml")
    assert line_of(out, "sample.prices").startswith("ok")


def test_ids_and_rows_that_do_not_fit_are_errors(run: Run) -> None:
    write_inputs("d1", "dd1", "nope")
    write_rows("responses.jsonl", {"id": "r1"})
    run_section = f"--set=run.dir={os.curdir}"
    write_config()
    code, out, _ = run("doctor", "--config", "run.yaml", run_section)
    assert code == 1
    line = line_of(out, "documents of questions")
    assert "2 ids name no document: 'dd1', 'nope' (did you mean 'd1'?)" in line
    assert "responses.jsonl:1: required key" in line_of(out, "responses")
    write_inputs()
    _, out, _ = run("doctor", "--config", "run.yaml")
    line = line_of(out, "documents of questions")
    assert line.startswith("warning") and "1 of 1 have no document" in line


def test_a_domain_and_prompts_that_are_not_there_are_errors(run: Run) -> None:
    write_inputs("d1")
    judge = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "prompts": "nowhere"}
    write_config(annotate={"judge": "llm", "domain": "medicall", "llm": judge})
    code, out, _ = run("doctor", "--config", "run.yaml")
    assert code == 1
    assert "did you mean 'medical'?" in line_of(out, "annotate.domain")
    assert "is not a folder" in line_of(out, "annotate.llm.prompts")


def test_a_model_folder_is_looked_into(run: Run) -> None:
    write_inputs("d1")
    write_config(sample={"model": "./policy"}, train={"model": "org/name"})
    _, out, _ = run("doctor", "--config", "run.yaml")
    line = line_of(out, "sample.model")
    assert line.startswith("error") and "--set sample.backend=openai" in line
    line = line_of(out, "train.model")
    assert line.startswith("warning") and "from the Hub" in line and "backend" not in line
    Path("policy").mkdir()
    _, out, _ = run("doctor", "--config", "run.yaml")
    for part in ("config.json", "tokenizer", "*.safetensors"):
        assert part in line_of(out, "sample.model")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        Path("policy", name).write_text("{}")
    code, out, _ = run("doctor", "--config", "run.yaml")
    assert code == 0 and line_of(out, "sample.model").startswith("ok ")


@pytest.mark.parametrize(("free", "status"), [(1e8, "error"), (1e9, "warning"), (1e12, "ok")])
def test_little_disk_is_reported(
    run: Run, monkeypatch: pytest.MonkeyPatch, free: float, status: str
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2e12, 1e12, free))
    write_inputs("d1")
    write_config()
    code, out, _ = run("doctor", "--config", "run.yaml")
    assert line_of(out, "disk").startswith(status) and code == (status == "error")


def test_a_config_that_cannot_be_read_is_the_usual_error(run: Run) -> None:
    Path("run.yaml").write_text("sample: {modle: x}")
    code, _, err = run("doctor", "--config", "run.yaml")
    assert code == 2 and "did you mean 'model'?" in err
