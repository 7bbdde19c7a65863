"""The end of `annotate`: reasons, exit codes, fragments, and a preview before the rest is paid."""

import json
import re

import pytest
from click.testing import CliRunner
from judge_server import ScriptedJudge
from judge_support import make_world, read_labels
from sample_server import ChatServer, as_json, completion

from maskdpo.cli.commands.annotate_command import command
from schemas.errors import BackendError, InputError, TooManyFailuresError

PROSE = "I would rather talk about the weather."


@pytest.fixture
def annotate(tmp_path):
    """Run the command on the world in tmp_path; returns click's result."""

    def run(server, *options: str, text_input: str | None = None):
        settings = {
            "judge": "llm",
            "llm.model": "judge",
            "llm.base_url": server.base_url,
            "llm.protocol": "sentence",
            "llm.max_retries": 0,
        }
        words = [f"--set=annotate.{name}={value}" for name, value in settings.items()]
        files = [f"--{name}={tmp_path / f'{name}.jsonl'}" for name in ("responses", "documents")]
        output = f"--output={tmp_path / 'annotations.jsonl'}"
        store = f"--store={tmp_path / 'store.sqlite'}"
        arguments = [*files, output, store, *words, *options]
        return CliRunner().invoke(command, arguments, input=text_input)

    return run


def edit_responses(folder, **values):
    path = folder / "responses.jsonl"
    rows = [json.loads(line) | values for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_a_small_run_without_a_useful_reply_is_an_error_that_shows_one(annotate, tmp_path):
    make_world(tmp_path, num_responses=2)
    with ChatServer(lambda _: completion(PROSE)) as server:
        result = annotate(server)
    assert isinstance(result.exception, BackendError)
    assert "weather" in str(result.exception)
    assert set(read_labels(tmp_path / "annotations.jsonl").values()) == {
        ("undetermined", "unparsable")
    }


def test_too_many_undetermined_sentences_are_an_error_after_the_output(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=4)
    judge = ScriptedJudge(truths)

    def reply(body):
        return completion(PROSE) if "mountain" in judge_tail(body) else judge(body)

    with ChatServer(reply) as server:
        result = annotate(server)
        assert isinstance(result.exception, TooManyFailuresError)
        assert "4 of 16 sentences are undetermined (unparsable 4)" in str(result.exception)
        assert len(read_labels(tmp_path / "annotations.jsonl")) == 16
        allowed = annotate(server, "--set=annotate.max_undetermined_share=0.25")
    assert allowed.exit_code == 0
    assert "4 of 16 sentences are undetermined (unparsable 4)" in allowed.output


def judge_tail(body) -> str:
    opening = next(m["content"] for m in body["messages"] if m["role"] == "user")
    return opening.rpartition("</response>")[2]


def test_the_fragment_at_a_length_limit_is_not_asked_about(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=3)
    edit_responses(tmp_path, finish_reason="length", text="Person 0 came from Karsted-0. Then she")
    judge = ScriptedJudge({**truths, "Person 0 came from Karsted-0.": ("not_mentioned", "")})
    with ChatServer(judge) as server:
        result = annotate(server, "--set=annotate.max_undetermined_share=0.5")
        assert all("Then she\n</sentence>" not in str(asked) for asked in server.asked)
    assert result.exit_code == 0, result.output
    labels = read_labels(tmp_path / "annotations.jsonl")
    assert labels["Then she"] == ("undetermined", "cut_off")
    assert labels["Person 0 came from Karsted-0."] == ("unverifiable", None)


def test_a_preview_without_a_terminal_writes_nothing_and_its_calls_serve_the_run(
    annotate, tmp_path
):
    truths = make_world(tmp_path, num_responses=12)
    with ChatServer(ScriptedJudge(truths)) as server:
        first = annotate(server, "--preview=3")
        assert first.exit_code == 0, first.output
        num_previewed = len(server.asked)
        assert num_previewed == 12
        assert not (tmp_path / "annotations.jsonl").exists()
        assert first.output.count("\nresponse r") == 3
        assert "calls to make: 36" in first.output
        assert 'evidence: "Person' in first.output
        assert "--yes" in first.output
        second = annotate(server, "--preview=3", "--yes")
        assert second.exit_code == 0, second.output
        assert len(server.asked) == 48
    # 48 sentences, those of the preview once
    line = next(line for line in second.output.splitlines() if line.startswith("annotate: 12 of"))
    assert sum(int(number) for number in re.findall(r"[a-z_]+ (\d+)(?=,|$)", line)) == 48
    assert len(read_labels(tmp_path / "annotations.jsonl")) == 48


def test_a_preview_counts_towards_the_limits_of_the_run(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=12)
    with ChatServer(ScriptedJudge(truths)) as server:
        result = annotate(server, "--preview=3", "--yes", "--max-calls=20")
        assert result.exit_code == 1
        assert "max_calls=20" in str(result.exception)
        assert len(server.asked) == 20


def test_what_the_judge_says_is_printed_without_control_characters(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=1)
    judge = ScriptedJudge(truths)
    judge_verdict = judge.verdict
    judge.verdict = lambda text: judge_verdict(text) | {"reason": "red \x1b[31m"}
    with ChatServer(judge) as server:
        result = annotate(server, "--preview=1")
    assert "rationale: red ?[31m" in result.output
    assert "\x1b" not in result.output


def test_a_preview_shows_the_wrong_words(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=1)
    judge = ScriptedJudge(truths)
    judge_verdict = judge.verdict
    judge.verdict = lambda text: judge_verdict(text) | {"wrong": ["7 cats", "felines"]}
    with ChatServer(judge) as server:
        result = annotate(server, "--preview=1", "--set=annotate.llm.ask_spans=true")
    assert "wrong words: 7 cats\n" in result.output
    assert "words not marked: 'felines' (nowhere)\n" in result.output


@pytest.mark.parametrize("answer", ["prose", "failure"])
def test_a_run_without_a_useful_reply_leaves_an_earlier_output_as_it_is(annotate, tmp_path, answer):
    truths = make_world(tmp_path, num_responses=2)
    output = tmp_path / "annotations.jsonl"
    with ChatServer(ScriptedJudge(truths)) as server:
        assert annotate(server).exit_code == 0
    before = output.read_bytes()
    useless = completion(PROSE) if answer == "prose" else as_json(402, {"error": "no credits"})
    with ChatServer(lambda _: useless) as server:
        result = annotate(server, "--set=annotate.llm.max_tokens=200")
    assert isinstance(result.exception, BackendError)
    assert "of an earlier run is not changed" in str(result.exception)
    assert output.read_bytes() == before


def test_a_preview_without_a_useful_reply_names_no_temporary_file(annotate, tmp_path):
    make_world(tmp_path, num_responses=2)
    with ChatServer(lambda _: completion(PROSE)) as server:
        result = annotate(server, "--preview=1")
    assert isinstance(result.exception, BackendError)
    assert "weather" in str(result.exception)
    assert "judged.jsonl" not in str(result.exception)


def test_a_preview_of_rows_that_cannot_be_judged_names_the_file_and_the_first(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=2)
    edit_responses(tmp_path, text="  ")
    with ChatServer(ScriptedJudge(truths)) as server:
        result = annotate(server, "--preview=1")
    assert isinstance(result.exception, InputError)
    assert f"{tmp_path / 'responses.jsonl'}: no row can be judged" in str(result.exception)
    assert "only white space" in str(result.exception)
