"""The command line as a user meets it: exit codes, sentences, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from maskdpo.cli.main import COMMANDS, cli, main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call `maskdpo ARGUMENTS` in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["maskdpo", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def document() -> dict[str, Any]:
    return {
        "id": "d1",
        "topic": "mira",
        "text": "Mira Tolvan was born in Karsted. She works as a baker. She keeps a goat.",
    }


def response(index: int, text: str, /, **changed: Any) -> dict[str, Any]:
    return {
        "id": f"r{index}",
        "question_id": "q1",
        "topic": "mira",
        "document_ids": ["d1"],
        "prompt": [{"role": "user", "content": "Who is Mira Tolvan?"}],
        "text": text,
    } | changed


GOOD = "Mira Tolvan was born in Karsted. She works as a sailor."


@pytest.fixture
def annotate(run: Run, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Write responses (rows, or raw bytes) and annotate them."""

    def call(responses: list[dict[str, Any]] | bytes, *more: object) -> tuple[int, str, str]:
        path = tmp_path / "responses.jsonl"
        if isinstance(responses, bytes):
            path.write_bytes(responses)
        else:
            write_lines(path, responses)
        documents = write_lines(tmp_path / "documents.jsonl", [document()])
        output = tmp_path / "annotations.jsonl"
        return run(
            "annotate", "--responses", path, "--documents", documents, "--output", output, *more
        )

    return call


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def line_of(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def test_annotate_tells_true_from_false_and_says_what_the_judge_is(
    annotate: Run, tmp_path: Path
) -> None:
    code, out, err = annotate([response(1, GOOD)])
    assert code == 0, err
    assert err.startswith("note: ")
    assert "baseline" in err.splitlines()[0]
    (row,) = rows_of(tmp_path / "annotations.jsonl")
    labels = [sentence["verdict"]["label"] for sentence in row["sentences"]]
    assert labels == ["no_hallucination", "contradictory"]
    assert "wrote" in out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "responses.jsonl: holds no rows"),
        (line_of(response(1, GOOD)) + line_of(response(2, GOOD, text=3)), "jsonl:2: 'text' is 3"),
        (
            line_of(response(1, GOOD)) + line_of(response(2, GOOD, txet="x")),
            "responses.jsonl:2: unknown key 'txet'; did you mean 'text'?",
        ),
        (line_of(response(1, GOOD)) * 2, "responses.jsonl:2: duplicate id 'r1', first used on"),
        (b"{\n", "responses.jsonl:1: not valid JSON"),
    ],
)
def test_malformed_files_end_with_2_and_nothing_written(
    annotate: Run, tmp_path: Path, content: bytes, expected: str
) -> None:
    code, _, err = annotate(content)
    assert code == 2
    assert expected in err
    assert not (tmp_path / "annotations.jsonl").exists()


def test_a_torn_last_line_costs_no_good_row(annotate: Run, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = annotate(line_of(response(1, GOOD)) + line_of(response(2, GOOD))[:40])
    assert code == 0
    assert "responses.jsonl:2: the last line is cut off" in err
    assert [row["id"] for row in rows_of(tmp_path / "annotations.jsonl")] == ["r1"]


def test_bad_rows_are_recorded_and_good_rows_kept(annotate: Run, tmp_path: Path) -> None:
    code, _, err = annotate(
        [
            response(1, GOOD),
            response(2, ""),
            response(3, " \n\t "),
            response(4, GOOD, document_ids=["nowhere"]),
            response(5, GOOD + " "),
        ],
        "--set",
        "annotate.max_failed=0.9",
    )
    assert code == 0, err
    assert [row["id"] for row in rows_of(tmp_path / "annotations.jsonl")] == ["r1", "r5"]
    failed = rows_of(tmp_path / "annotations.failed.jsonl")
    assert [(row["id"], row["reason"]) for row in failed] == [
        ("r2", "empty_response"),
        ("r3", "empty_response"),
        ("r4", "missing_document"),
    ]
    assert "responses.jsonl:4" in failed[2]["detail"]
    assert "nowhere" in failed[2]["detail"]
    assert "3 rows failed (empty_response 2, missing_document 1)" in err


def test_too_many_failures_end_with_1_and_keep_the_good(annotate: Run, tmp_path: Path) -> None:
    code, _, err = annotate([response(1, GOOD), response(2, "")])
    assert code == 1
    assert "1 of 2 rows failed, more than max_failed=0.05" in err
    assert len(rows_of(tmp_path / "annotations.jsonl")) == 1


def test_a_2_mb_response_is_a_recorded_row(annotate: Run, tmp_path: Path) -> None:
    long = "Mira Tolvan was born in Karsted. " * 65_000
    code, _, err = annotate(
        [response(1, GOOD), response(2, long)], "--set", "annotate.max_failed=0.5"
    )
    assert code == 0, err
    (failed,) = rows_of(tmp_path / "annotations.failed.jsonl")
    assert failed["reason"] == "response_too_long"
    assert len(rows_of(tmp_path / "annotations.jsonl")) == 1


def test_a_version_from_the_future_is_refused(annotate: Run, tmp_path: Path) -> None:
    (tmp_path / "responses.jsonl.meta.json").write_text(
        '{"format": "maskdpo.response", "version": "9.0"}'
    )
    code, _, err = annotate([response(1, GOOD)])
    assert code == 2
    assert "responses.jsonl.meta.json: has format version 9.0, newer than" in err


def test_a_missing_input_says_which_verb_makes_it(run: Run, tmp_path: Path) -> None:
    code, _, err = run("annotate", "--set", f"run.dir={tmp_path}")
    assert code == 2
    assert f"{tmp_path}/responses.jsonl: not found; make it with: maskdpo sample" in err


def gold_row(index: int, **changed: Any) -> dict[str, Any]:
    return {
        "id": f"g{index}",
        "source": "ours",
        "language": "en",
        "group": f"group {index}",
        "question": "Who is Mira Tolvan?",
        "documents": [{"id": f"d{index}", "text": document()["text"]}],
        "response": GOOD,
        "generator": "someone",
        "sentences": [
            {"start": 0, "end": 32, "label": "factual"},
            {"start": 33, "end": 55, "label": "hallucinated"},
        ],
    } | changed


def test_agreement_prints_one_json_object(run: Run, tmp_path: Path) -> None:
    gold = write_lines(tmp_path / "gold.jsonl", [gold_row(index) for index in range(4)])
    code, out, err = run("agreement", "--gold", gold, "--judge", "lexical", "--json")
    assert code == 0, err
    values = json.loads(out)
    assert values["balanced_accuracy"] == 1.0
    assert values["f1_hallucinated"] == 1.0
    assert values["kappa"] == 1.0
    assert (values["coverage"], values["num_sentences"]) == (1.0, 8)
    assert {"majority", "overlap"} <= set(values["baselines"])


def test_agreement_prints_a_table(run: Run, tmp_path: Path) -> None:
    gold = write_lines(tmp_path / "gold.jsonl", [gold_row(index) for index in range(4)])
    code, out, _ = run("agreement", "--gold", gold)
    assert code == 0
    assert "lexical" in out
    assert "8 sentences of 4 responses in 4 groups" in out


def test_a_span_past_the_end_is_named_and_the_others_are_imported(run: Run, tmp_path: Path) -> None:
    bad = gold_row(2, sentences=[{"start": 0, "end": 99, "label": "factual"}])
    gold = write_lines(tmp_path / "gold.jsonl", [gold_row(1), bad, gold_row(3)])
    code, _, err = run(
        "import", gold, "--set", f"run.dir={tmp_path / 'run'}", "--max-failed", "0.5"
    )
    assert code == 0, err
    assert len(rows_of(tmp_path / "run" / "annotations.jsonl")) == 2
    (failed,) = rows_of(tmp_path / "run" / "annotations.failed.jsonl")
    assert "gold.jsonl:2" in failed["detail"]
    assert "99" in failed["detail"]
    code, _, err = run("agreement", "--gold", gold, "--json")
    assert code == 2
    assert "gold.jsonl:2" in err


def test_import_then_build(run: Run, tmp_path: Path) -> None:
    rows = [
        gold_row(1, group="one"),
        gold_row(
            2,
            group="one",
            sentences=[
                {"start": 0, "end": 32, "label": "hallucinated"},
                {"start": 33, "end": 55, "label": "hallucinated"},
            ],
            response=GOOD.replace("Karsted", "Uldinas"),
        ),
    ]
    gold = write_lines(tmp_path / "gold.jsonl", rows)
    folder = tmp_path / "run"
    assert run("import", gold, "--set", f"run.dir={folder}")[0] == 0
    code, out, err = run("build", "--set", f"run.dir={folder}", "--set", "build.test_share=0.0")
    assert code == 0, err
    assert "pairs 1" in out
    assert (folder / "dataset" / "README.md").exists()
    assert (folder / "dataset" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["anotate"], "did you mean 'annotate'?"),
        (["schema", "anotation"], "did you mean 'annotation'?"),
        (["sample", "--set", "sample.modle=x"], "did you mean 'model'?"),
        (["evaluate", "--model", "x"], "must look like NAME=FOLDER"),
        (
            ["train", "--config", "/nowhere/run.yaml"],
            "/nowhere/run.yaml: there is no such",
        ),
    ],
)
def test_wrong_calls_end_with_2(run: Run, arguments: list[str], expected: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert expected in err


def test_schema_and_doctor(run: Run) -> None:
    assert json.loads(run("schema", "pair")[1])["title"] == "Pair"
    code, out, _ = run("doctor")
    assert code == 0
    assert "sentencex" in out


def test_a_package_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    write_lines(tmp_path / "responses.jsonl", [response(1, GOOD)])
    write_lines(tmp_path / "documents.jsonl", [document()])
    script = (
        "import sys; sys.modules['sentencex'] = None\n"
        f"sys.argv = ['maskdpo', 'annotate', '--set', 'run.dir={tmp_path}']\n"
        "from maskdpo.cli.main import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    assert "'sentencex'" in result.stderr
    assert "pip install" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_is_quick() -> None:
    """A counter, not a clock: what --help imports decides its time."""
    script = (
        "import sys; sys.argv = ['maskdpo', '--help']\n"
        "from maskdpo.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "ours = [m for m in sys.modules if m.split('.')[0] in "
        "('schemas', 'annotator', 'dataset_builder', 'trainer', 'pydantic', 'rich')]\n"
        "print(ours, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "Stages, in the order of a run" in result.stdout
    assert result.stderr.strip() == "[]"


def test_help_of_every_command_imports_no_library_that_does_the_work() -> None:
    heavy = (
        "aiohttp asyncio bm25s datasets huggingface_hub jinja2 matplotlib nltk numpy openai "
        "openpyxl pyarrow rich scipy spacy tokenizers torch tqdm transformers"
    )
    script = (
        "import sys\n"
        "from maskdpo.cli.main import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    sys.argv = ['maskdpo', name, '--help']\n"
        "    try: main()\n    except SystemExit: pass\n"
        f"print([name for name in {heavy.split()} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.count("Usage:") == len(COMMANDS)
    assert result.stderr.strip() == "[]"


def test_a_build_of_mostly_failed_rows_ends_with_1(run: Run, tmp_path: Path) -> None:
    """Two topics under one question fail both responses; the other question makes its pair."""
    verdicts = {
        "r1": ("no_hallucination", "a"),
        "r2": ("hallucinated", "a"),
        "r3": ("no_hallucination", "a"),
        "r4": ("hallucinated", "b"),
    }
    rows = [
        response(index, f"Answer {index}.", topic=topic, question_id=f"q{(index + 1) // 2}")
        | {"sentences": [{"start": 0, "end": 9, "verdict": {"label": label}}]}
        for index, (label, topic) in enumerate(verdicts.values(), start=1)
    ]
    source = write_lines(tmp_path / "annotations.jsonl", rows)
    arguments = ("build", "--annotations", source, "--output", tmp_path / "dataset", "--no-plots")
    code, _, err = run(*arguments, "--set", "build.test_share=0")
    assert code == 1
    assert "2 of 4 rows failed, more than max_failed=0.05" in err
    assert (tmp_path / "dataset" / "manifest.json").exists()
    assert run(*arguments, "--set", "build.max_failed=0.5")[0] == 0


def test_help_names_what_a_setting_can_be() -> None:
    """Where its description does not name all of them already."""
    text = " ".join(CliRunner().invoke(cli, ["train", "--help"]).output.split())
    assert "after warm-up (values: cosine, linear, constant, constant_with_warmup) [cosine]" in text
    assert "in addition to training_log.jsonl (values: tensorboard, wandb, mlflow, trackio)" in text
    assert "neither, chosen or both [neither; both for pairs that train without spans" in text
    assert "--num_processes 4 \\ -m maskdpo train" in text
