"""`maskdpo show` on a terminal: what a file is, which rows are chosen, what is printed of them."""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import pytest
from command_line import Run, make_run
from show_rows import DOCUMENT, annotation_row, document_row, pair_row, response_row, verdict, write

from maskdpo.show.choice import Choice, choose
from maskdpo.show.sources import Kind, find_source, read_source
from schemas.errors import ConfigError, InputError
from schemas.events import Event, Started
from schemas.hashing import stable_seed
from schemas.labels import Label


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return make_run(monkeypatch, capsys)


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    write(tmp_path / "documents.jsonl", [document_row()])
    return write(tmp_path / "annotations.jsonl", [annotation_row()])


def one_sentence(number: int, label: str = "no_fact", **changes: object) -> dict[str, object]:
    own = verdict(label, reason="no_reply") if label == "undetermined" else verdict(label)
    sentences = [{"start": 0, "end": 3, "verdict": own}]
    return annotation_row(f"r{number}", text="Ja.", sentences=sentences, **changes)


def test_a_terminal_shows_verdicts_and_evidence_in_the_documents_words(
    run: Run, annotated: Path
) -> None:
    code, out, err = run("show", annotated)
    assert code == 0
    assert "Mira Tolvan was born in [[1950]]. [1✗] She paints. [2✓] She lives in Orvel. [3?]" in out
    lines = [line.strip() for line in out.splitlines()]
    assert "question: Who is Mira Tolvan?" in lines
    assert "1 ✗ contradictory: confidence 0.90 (votes), the document says 1948" in lines
    assert 'wrong words: "1950"' in lines
    assert 'D1.2 "She was born in 1948"' in lines
    assert "2 ✓ no hallucination (by a person)" in lines
    assert 'D1.1 "is a painter"' in lines
    assert "3 ? undetermined: no_reply" in lines
    assert 'in no document: "lives in Orvel today"' in lines
    assert "D1 is tolvan (Tolvan, Mira)" in lines
    assert "1 of 1 annotations" in err
    assert "\x1b" not in out  # a pipe gets no colours


def test_lines_of_a_narrow_terminal_end_without_blanks(
    run: Run, annotated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _, out, _ = run("show", annotated)
    assert max(map(len, out.splitlines())) <= 40
    assert all(line == line.rstrip() for line in out.splitlines())


def test_chinese_letters_take_two_columns(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "她出生于一九四八年，是一位画家，住在河边的一座小城里，每天都画河上的船。"
    sentences = [{"start": 0, "end": len(text), "verdict": verdict("no_hallucination")}]
    row = annotation_row(text=text, sentences=sentences)
    _, out, _ = run("show", write(tmp_path / "zh.jsonl", [row]))
    wide = [line for line in out.splitlines() if "一" in line or "河" in line]
    assert len(wide) >= 2
    assert all(sum(2 if ord(char) > 0x2E80 else 1 for char in line) <= 40 for line in wide)


def test_a_terminal_gets_nothing_that_it_would_obey(run: Run, tmp_path: Path) -> None:
    evil = "a\x1b[2J\x07\u202eb"
    row = annotation_row(
        evil,
        topic=evil,
        model=evil,
        text=evil,
        prompt=[{"role": "user", "content": evil}],
        sentences=[
            {
                "start": 0,
                "end": len(evil),
                "verdict": verdict(
                    "undetermined",
                    reason=evil,
                    rationale=evil,
                    missing_quotes=[evil],
                    error_spans=[{"start": 0, "end": 5}],
                    evidence=[{"document_id": evil, "start": 0, "end": 5}],
                ),
            }
        ],
    )
    path = write(tmp_path / "annotations.jsonl", [row])
    write(tmp_path / "documents.jsonl", [document_row(id=evil, title=evil, text=evil)])
    code, out, err = run("show", path)
    assert code == 0
    assert out.count("a?[2J??b") >= 8
    code, _, err = run("show", path, "--topic", "none")
    for text in (out, err):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_markup_of_the_terminal_library_is_text(run: Run, tmp_path: Path) -> None:
    row = annotation_row(
        "[bold]", text="[red]x[/red] :smile:", sentences=[
            {"start": 0, "end": 20, "verdict": verdict("no_fact")}
        ],
    )  # fmt: skip
    _, out, _ = run("show", write(tmp_path / "a.jsonl", [row]))
    assert "[red]x[/red] :smile: [1–]" in out
    assert "[bold]" in out


def test_documents_are_named_found_or_missed(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "one" / "annotations.jsonl", [annotation_row()])
    _, out, err = run("show", path)
    assert "D1.2 characters 26 to 46" in out
    assert "no documents.jsonl was found" in err
    assert "--documents FILE" in err
    elsewhere = write(tmp_path / "two" / "d.jsonl", [document_row(), {"id": 3}])
    _, out, err = run("show", path, "--documents", elsewhere)
    assert '"She was born in 1948"' in out
    assert "rows that are not documents, left out: 1" in err
    write(tmp_path / "runs" / "x" / "documents.jsonl", [document_row()])
    _, out, _ = run("show", path, "--set", "run.dir=runs/x")
    assert '"She was born in 1948"' in out
    code, _, err = run("show", path, "--documents", "none.jsonl")
    assert (code, "none.jsonl: not found" in err) == (2, True)


def test_documents_that_changed_are_reported(run: Run, annotated: Path) -> None:
    from schemas.files.sidecar import make_sidecar, write_sidecar

    documents = annotated.with_name("documents.jsonl")
    write_sidecar(annotated, make_sidecar("annotation", config={}, inputs=[documents]))
    assert "has changed" not in run("show", annotated)[2]
    write(documents, [document_row(text=DOCUMENT[:30])])
    _, out, err = run("show", annotated)
    assert "documents.jsonl has changed since annotations.jsonl was made" in err
    assert "D1.2 characters 26 to 46" in out  # no words that do not fit


def test_of_two_documents_files_the_one_that_was_read_is_taken(
    run: Run, annotated: Path, tmp_path: Path
) -> None:
    from schemas.files.sidecar import make_sidecar, write_sidecar

    other = write(tmp_path / "runs" / "x" / "documents.jsonl", [document_row()])
    write_sidecar(annotated, make_sidecar("annotation", config={}, inputs=[other]))
    write(annotated.with_name("documents.jsonl"), [document_row(text="x" * 200)])
    _, out, err = run("show", annotated, "--set", "run.dir=runs/x")
    assert '"She was born in 1948"' in out
    assert "changed" not in err


def test_decisions_that_are_kept_apart_are_mentioned(run: Run, annotated: Path) -> None:
    assert "people decided" not in run("show", annotated)[2]
    write(annotated.with_name("reviews.jsonl"), [{"id": "v1"}])
    _, _, err = run("show", annotated)
    assert "reviews.jsonl holds what people decided, which is not shown here" in err


def test_a_pair_shows_what_trains(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [pair_row(), pair_row("p2", chosen_spans=None, rejected_spans=None)]
    path = write(tmp_path / "pairs.jsonl", rows)
    monkeypatch.setenv("COLUMNS", "140")
    code, out, err = run("show", path)
    assert code == 0
    shown = " ".join(part.strip() for part in out.replace("│", " ").replace("┃", " ").split())
    assert "chosen (score 0.50, 1 of 2 sentences train)" in shown
    assert "She paints. [1✓ weight 0.5]" in shown
    assert "[2✗ masked]" in shown
    assert "2 ✗ unverifiable: masked" in shown
    assert "1 ✗ contradictory: trains " in shown
    assert "1 ✓ no hallucination: trains, weight 0.5" in shown
    assert "no spans: all of it trains (stock DPO)" in shown
    assert "2 of 2 pairs" in err


def test_a_narrow_terminal_shows_the_sides_of_a_pair_one_by_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run("show", write(tmp_path / "pairs.jsonl", [pair_row()]))
    assert "She paints. [1✓ weight 0.5] She flies. [2✗ masked]" in out
    assert all(line == line.rstrip() for line in out.splitlines())
    assert "│" not in out


def test_a_data_set_is_shown_split_by_split(run: Run, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "dataset"
    (folder / "pairs").mkdir(parents=True)
    for name in ("train", "test"):
        table = pa.Table.from_pylist([pair_row(name)])
        pq.write_table(table, folder / "pairs" / f"{name}-00000-of-00001.parquet")
    _, out, err = run("show", folder)
    assert out.index("1 of 2  train") < out.index("2 of 2  test")
    assert "2 of 2 pairs" in err
    _, out, _ = run("show", folder, "--split", "test")
    assert "1 of 1  test" in out
    _, out, _ = run("show", folder / "pairs" / "train-00000-of-00001.parquet")
    assert "1 of 1  train" in out
    code, _, err = run("show", folder / "pairs" / "train-00000-of-00001.parquet", "--split", "test")
    assert (code, "is a file: --split and --config-name choose a part" in err) == (2, True)


def test_responses_are_shown_without_labels(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "responses.jsonl", [response_row(finish_reason="length")])
    _, out, err = run("show", path)
    assert "She paints. She lives in Orvel." in out
    assert "(cut off at the token limit)" in out
    assert "1 of 1 responses" in err
    code, _, err = run("show", path, "--label", "no_fact")
    assert code == 2
    assert "--label: " in err
    assert "maskdpo annotate" in err


def test_the_runs_annotations_are_the_default(run: Run, tmp_path: Path) -> None:
    code, _, err = run("show", "--set", "run.dir=mine")
    assert code == 2
    assert "mine/annotations.jsonl: not found; make it with: maskdpo annotate" in err
    write(tmp_path / "mine" / "annotations.jsonl", [annotation_row()])
    assert "1 of 1  r1" in run("show", "--set", "run.dir=mine")[1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([document_row()], "holds documents; they are shown next to annotations, with --documents"),
        ([{"id": "q", "question": "Who?"}], "holds questions; show the responses"),
        ([{"response": "x", "sentences": []}], "convert them with: maskdpo import "),
        ([{"id": "r", "stage": "s", "reason": "x"}], "holds rows that failed"),
        ([{"response_id": "r", "action": "label"}], "holds reviews of people"),
        ([{"a": 1, "b": 2}], "the first row has the keys 'a', 'b'. It can be: annotations"),
        (["[1]"], "its first lines are not JSON objects. It can be: annotations"),
        (["a,b,c", "1,2,3"], "a table (CSV), not JSON"),
        ([], "holds no rows; it can be: annotations"),
    ],
)
def test_other_files_are_refused_in_one_sentence(
    run: Run, tmp_path: Path, rows: list[dict[str, object] | str], message: str
) -> None:
    code, out, err = run("show", write(tmp_path / "file.jsonl", rows))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_other_folders_and_parquet_files_are_refused(run: Run, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(tmp_path / "run" / "annotations.jsonl", [annotation_row()])
    _, _, err = run("show", tmp_path / "run")
    assert "is the folder of a run; name what to show in it: " in err
    assert "run/annotations.jsonl" in err
    pq.write_table(pa.table({"response_id": ["r"], "text": ["x"]}), tmp_path / "s.parquet")
    _, _, err = run("show", tmp_path / "s.parquet")
    assert "has no column 'chosen', 'rejected'; pairs need " in err
    assert "and it has 'response_id', 'text'; show the annotations they were built from" in err
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    assert "cannot be read as Parquet" in run("show", tmp_path / "broken.parquet")[2]
    assert "not found; it can be: annotations" in run("show", "nothing.jsonl")[2]


@pytest.mark.parametrize(
    ("name", "command"),
    [("responses.jsonl", "sample"), ("annotations.jsonl", "annotate")],
)
def test_what_a_run_has_not_made_yet_is_named_with_its_command(
    run: Run, name: str, command: str
) -> None:
    code, _, err = run("show", f"runs/mine/{name}")
    assert code == 2
    assert f"runs/mine/{name}: not found; make it with: maskdpo {command}\n" in err


def test_a_broken_first_line_does_not_hide_the_rows_below(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ["[1]", '{"id": "x", "text":', one_sentence(1)])
    code, out, err = run("show", path)
    assert code == 0
    assert "1 of 1  r1" in out
    assert "2 rows of 3 have faults" in err


def test_pipes_and_devices_are_refused(run: Run, annotated: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code, _, err = run("show", pipe)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "pipe: is a device or a pipe, and what is shown must be a file" in err
    code, _, err = run("show", annotated, "--html", pipe)
    assert code == 2
    assert "is a device or a pipe, and the output must be a file" in err
    assert pipe.is_fifo()


def test_an_empty_name_of_a_page_is_refused(run: Run, annotated: Path) -> None:
    code, _, err = run("show", annotated, "--html", "")
    assert code == 2
    assert "Invalid value for '--html': the name of the file is empty" in err


def test_a_terminal_without_a_size_shows_everything(
    run: Run, annotated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    assert "question: Who is Mira Tolvan?" in run("show", annotated)[1]


def test_a_file_of_a_later_format_is_refused(run: Run, annotated: Path) -> None:
    from schemas.files.sidecar import make_sidecar, write_sidecar

    sidecar = make_sidecar("annotation", config={}, inputs=[])
    write_sidecar(annotated, sidecar.model_copy(update={"version": "99.0"}))
    assert "newer than the 1.x this maskdpo reads" in run("show", annotated)[2]


def test_rows_with_faults_are_reported_and_the_others_shown(run: Run, tmp_path: Path) -> None:
    bad: list[dict[str, object] | str] = [
        {"id": f"x{number}", "text": "", "sentences": 1} for number in range(5)
    ]
    path = write(tmp_path / "annotations.jsonl", [one_sentence(1), *bad, one_sentence(2)])
    code, out, err = run("show", path)
    assert code == 0
    assert ("1 of 2  r1" in out, "2 of 2  r2" in out) == (True, True)
    assert "note: not shown: " in err
    assert "annotations.jsonl:2: " in err
    assert len([line for line in err.splitlines() if "not shown: " in line]) == 3
    assert "note: 5 rows of 7 have faults" in err
    code, _, err = run("show", write(tmp_path / "bad.jsonl", bad))
    assert code == 2
    assert "no row can be shown" in err


def test_a_filter_keeps_rows_with_such_a_sentence(tmp_path: Path) -> None:
    rows = [
        one_sentence(1, "no_fact", topic="a"),
        one_sentence(2, "contradictory", topic="b"),
        one_sentence(3, "undetermined", topic="a"),
        annotation_row("r4", topic="c", question_id="q9"),
    ]
    source = find_source(write(tmp_path / "annotations.jsonl", rows))

    def ids(**filters: object) -> list[str]:
        found = choose(source, Choice(limit=10, **filters))  # type: ignore[arg-type]
        return [row.record.id for row in found.rows]

    assert ids(labels=frozenset({Label.CONTRADICTORY})) == ["r2", "r4"]
    assert ids(labels=frozenset({Label.NO_FACT, Label.UNDETERMINED})) == ["r1", "r3", "r4"]
    assert ids(topics=frozenset({"a", "c"})) == ["r1", "r3", "r4"]
    assert ids(reasons=frozenset({"no_reply"})) == ["r3", "r4"]
    assert ids(ids=frozenset({"r1", "q9"})) == ["r1", "r4"]
    assert ids(labels=frozenset({Label.CONTRADICTORY}), topics=frozenset({"b"})) == ["r2"]
    with pytest.raises(InputError):  # r4 has both, of two sentences
        ids(labels=frozenset({Label.CONTRADICTORY}), reasons=frozenset({"no_reply"}))


def test_pairs_are_found_by_labels_and_by_the_ids_of_their_responses(
    run: Run, tmp_path: Path
) -> None:
    path = write(tmp_path / "pairs.jsonl", [pair_row(), pair_row("p2", chosen_id="r8")])
    assert "1 of 1  p2" in run("show", path, "--id", "r8")[1]
    assert "1 of 2  p1" in run("show", path, "--label", "unverifiable")[1]
    code, _, err = run("show", path, "--reason", "no_reply")
    assert (code, "pairs, which keep labels and no reasons" in err) == (2, True)
    with pytest.raises(ConfigError):
        choose(find_source(path), Choice(reasons=frozenset({"x"}), limit=1))


def test_labels_are_named_as_in_the_file_or_as_shown(run: Run, annotated: Path) -> None:
    for name in ("no_hallucination", "no hallucination", "No-Hallucination"):
        assert run("show", annotated, "--label", name)[0] == 0
    code, _, err = run("show", annotated, "--label", "contradictry")
    assert code == 2
    assert "'contradictry' is not a label; did you mean 'contradictory'?" in err


def test_a_filter_that_matches_nothing_says_what_there_is(run: Run, annotated: Path) -> None:
    code, out, err = run("show", annotated, "--label", "no_fact", "--topic", "paintrs")
    assert (code, out) == (2, "")
    assert "no row matches, of 1 row read" in err
    assert "labels: contradictory, no_hallucination, undetermined" in err
    assert "topics: painters ('paintrs' is none of them: did you mean 'painters'?)" in err
    _, _, err = run("show", annotated, "--reason", "no_repli")
    assert "did you mean 'no_reply'?" in err
    _, _, err = run("show", annotated, "--id", "r9")
    assert "ids: r1 ('r9' is none of them)" in err


def test_a_sample_depends_on_seed_and_ids_alone(tmp_path: Path) -> None:
    rows = [one_sentence(number) for number in range(200)]
    shuffled = random.Random(1).sample(rows, len(rows))
    source = find_source(write(tmp_path / "a.jsonl", rows))
    other = find_source(write(tmp_path / "b.jsonl", shuffled))

    def ids(seed: int, of: object = source) -> list[str]:
        found = choose(of, Choice(sample=20, seed=seed, limit=50))  # type: ignore[arg-type]
        return [row.record.id for row in found.rows]

    smallest = sorted(rows, key=lambda row: stable_seed(0, f"/{row['id']}"))[:20]
    assert set(ids(0)) == {row["id"] for row in smallest}
    assert ids(0) == sorted(ids(0), key=lambda name: int(name[1:]))  # in file order
    assert set(ids(0, other)) == set(ids(0))
    assert set(ids(1)) != set(ids(0))


def test_a_limit_counts_what_it_leaves_out(run: Run, tmp_path: Path) -> None:
    rows = [
        one_sentence(number, "no_fact" if number % 2 else "contradictory") for number in range(30)
    ]
    path = write(tmp_path / "a.jsonl", rows)
    _, out, err = run("show", path)
    assert out.count("question: ") == 10
    assert "10 of 30 annotations; 20 left out" in err
    _, _, err = run("show", path, "--label", "no_fact", "--limit", "2")
    assert "2 of 15 that match, of 30 annotations; 13 left out" in err
    _, out, err = run("show", path, "--sample", "12")
    assert out.count("question: ") == 12
    assert "18 left out" in err


def test_rows_after_the_limit_are_counted_and_not_read(tmp_path: Path) -> None:
    rows: list[dict[str, object] | str] = [one_sentence(number) for number in range(3)]
    source = find_source(write(tmp_path / "a.jsonl", [*rows, "no row", "no row"]))
    found = choose(source, Choice(limit=3))
    assert (found.num_rows, found.num_faults, found.num_left_out) == (5, 0, 2)


def test_a_long_file_is_streamed_and_its_progress_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [annotation_row(f"r{number}") for number in range(6_000)])
    events: list[Event] = []
    tracemalloc.start()
    choose(find_source(path), Choice(sample=5, limit=5), on_event=events.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 5
    assert events[0] == Started(stage="show", total=6_000, unit="row")
    assert len(events) == 1 + 12 + 1
    short: list[Event] = []
    choose(find_source(path), Choice(limit=1), on_event=short.append)


def test_a_short_file_reports_no_progress(tmp_path: Path) -> None:
    events: list[Event] = []
    source = find_source(write(tmp_path / "a.jsonl", [annotation_row()]))
    choose(source, Choice(limit=5), on_event=events.append)
    assert events == []
    assert source.kind is Kind.ANNOTATIONS
    assert len(list(read_source(source))) == 1


def test_a_pipe_that_lacks_a_letter_gets_a_question_mark(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    path = write(tmp_path / "a.jsonl", [one_sentence(1, "no_hallucination")])
    done = subprocess.run(
        [sys.executable, "-m", "maskdpo", "show", path],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Ja. [1?]" in done.stdout


def test_the_page_of_the_docs_shows_what_is_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parent.parent
    text = (root / "docs" / "show.md").read_text(encoding="utf-8")
    block = text.split("```\n$ ")[1].split("```")[0]
    command, _, expected = block.partition("\n")
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "96")
    code, out, err = run(*command.split()[1:])
    assert code == 0
    assert out + err == expected
    for picture in ("marked-light.png", "marked-dark.png"):
        assert 10_000 < (root / "docs" / "images" / picture).stat().st_size < 150_000
