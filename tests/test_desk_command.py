"""`maskdpo review` and `maskdpo serve --review` as processes: what they print, ports, stops."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from desk_support import TOKEN, DeskProcess, Visitor
from service_support import ServiceProcess

from maskdpo.cli.main import cli

DOCUMENT = "Mira Tolvan was born in Karsted in 1951. She works as a baker and keeps two goats."
ANSWER = "Mira Tolvan was born in Karsted in 1950. She works as a baker."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with three responses, in runs/mine of a working folder."""
    folder = tmp_path_factory.mktemp("work") / "runs" / "mine"
    folder.mkdir(parents=True)

    def write(name: str, rows: list[dict[str, object]]) -> Path:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    prompt = [{"role": "user", "content": "Who is Mira Tolvan?"}]
    same = {"question_id": "q", "document_ids": ["d"], "prompt": prompt}
    texts = (ANSWER, ANSWER + " She has a cat.", "She keeps two goats.")
    documents = write("documents.jsonl", [{"id": "d", "text": DOCUMENT}])
    responses = write(
        "responses.jsonl", [{"id": f"r{at}", "text": text, **same} for at, text in enumerate(texts)]
    )
    output = folder / "annotations.jsonl"
    arguments = ["annotate", "--responses", responses, "--documents", documents, "--output", output]
    done = CliRunner().invoke(cli, [str(item) for item in arguments])
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.slow
def test_review_prints_what_where_and_one_line_with_the_token(run: Path) -> None:
    with DeskProcess(run.parent.parent, "runs/mine", "--who", "Ann") as desk:
        assert (
            f"reviewing {Path('runs/mine/annotations.jsonl')}: 3 responses, 6 sentences, 6 open"
            in desk.lines
        )
        assert f"reviews are appended to {Path('runs/mine/reviews.jsonl')}" in desk.lines
        assert [TOKEN in line for line in desk.lines].count(True) == 1
        assert desk.url == f"{desk.address}/review?token={TOKEN}"
        page = desk.visitor().get("/review")
        assert page.status == 200 and "<bdi>Ann</bdi>" in page.text
        assert Visitor(desk.address).get("/healthz").status == 200
        assert desk.stop(signal.SIGINT) == 0, desk.log
    assert "Traceback" not in desk.log


@pytest.mark.slow
def test_the_next_free_port_is_taken_unless_one_was_named(run: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8766))
        except OSError:
            pass  # another program has it, which is as good
        else:
            taken.listen(1)
        with DeskProcess(run, "annotations.jsonl", port=None) as desk:
            port = int(desk.address.rpartition(":")[2])
            assert 8766 < port < 8786
            refused = CliRunner().invoke(cli, ["review", str(run), "--port", str(port)])
    assert f"cannot listen on 127.0.0.1:{port}" in str(refused.exception)
    assert "--port" in str(refused.exception)


@pytest.mark.slow
def test_the_service_has_the_desk_of_its_run_where_it_is_asked_for(run: Path) -> None:
    with ServiceProcess(run, "--review", "--set", f"run.dir={run}") as service:
        visitor = Visitor(service.address).login(who="Ann")
        assert visitor.get("/review").status == 200
        assert service.annotate().status == 200
        assert service.get("/review").status == 401  # a bearer token is no session
        assert visitor.get("/v1/jobs").status == 401  # a session is no bearer token
        assert service.get("/nothing").headers["content-type"] == "application/json"
        assert TOKEN not in service.log
        assert "/review" not in json.dumps(service.get("/openapi.json").json()["paths"])


def test_what_cannot_be_reviewed_is_refused_before_an_address_is_printed(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["review", str(tmp_path / "missing"), "--port", "0"])
    assert done.exception is not None and "missing" in str(done.exception)
    assert "token=" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--who", " "], "Give a name"),
        (["--people", "ann,ann"], "'ann' is given twice"),
        (["--people", "ann,,ben"], "a name of a person is empty"),
        (["--second", "2"], "not in the range"),
        (["--host", "0.0.0.0"], "review.hosts=[judge.example.org]"),
    ],
)
def test_a_wrong_option_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["review", str(tmp_path), *arguments])
    assert done.exit_code != 0
    assert message in done.output + str(done.exception)
