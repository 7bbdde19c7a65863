"""Worker processes change no byte and no message of a build, and their end is reported."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_builder import build_data, input_index
from dataset_builder.build import build_pairs, run_build
from dataset_builder.config import BuildConfig, Weighting
from dataset_builder.reading import row_files
from dataset_builder.reading.row_files import JsonLinesFile, RowFiles
from dataset_builder.workers import Workers
from formats.forgotten import FORGOTTEN_NAME, remember
from schemas.errors import BackendError, ConfigError, InputError
from schemas.files.jsonl import read_places
from schemas.records import Annotation, Pair
from schemas.reviews import ReviewSpan, make_pair_review, make_review, text_sha256

CONFIG = BuildConfig(test_share=0.4)
MARK = "MASKDPO_TEST_MARK"


class Shared(Workers):
    """Processes that stay for the next build."""

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[int, Shared]]:
    found = {number: Shared(number) for number in (2, 3)}
    yield found
    for pool in found.values():
        Workers.__exit__(pool)


# --- equal bytes, equal messages -----------------------------------------------------------------

WORDS = ("Karsted", "Venn", "Orm", "the mill", "the old mill", "in winter")
FAULTS = (
    "{nonsense",
    "[1, 2]",
    json.dumps(annotation_row("no-text", [GOOD]) | {"text": ""}),
    json.dumps(annotation_row("more", [GOOD]) | {"more": 1}),
    json.dumps(annotation_row("", [GOOD])),
)


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    """Rows of all kinds, in some files, with what people decided about them."""
    rows: list[Any] = []
    for number in range(draw(st.integers(1, 6))):
        topic = draw(st.sampled_from(["Venn", "venn ", "Orm", ""]))
        asked = " ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)))
        for index in range(draw(st.integers(1, 4))):
            labels = draw(st.lists(st.sampled_from([GOOD, BAD]), min_size=1, max_size=3))
            changes: dict[str, Any] = {"topic": topic}
            if draw(st.integers(0, 15)) == 0:
                changes["topic"] = "another"
            content = f"Who ran {asked}?"
            changes["prompt"] = [{"role": "user", "content": content}]
            name = f"q{number}/{index}"
            rows.append(annotation_row(name, labels, question=f"q{number}", **changes))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        rows.insert(draw(st.integers(0, len(rows))), draw(st.sampled_from([*FAULTS, "", "  "])))
    if draw(st.integers(0, 3)) == 0:
        again = draw(st.sampled_from([row for row in rows if isinstance(row, dict)]))
        rows.append(again)
    return {
        "rows": draw(st.permutations(rows)),
        "files": draw(st.integers(1, 3)),
        "forgotten": draw(st.lists(st.sampled_from(["q0/0", "q1/1"]), max_size=2, unique=True)),
        "reviewed": draw(st.lists(st.sampled_from(["q0/0", "q1/0", "gone"]), max_size=2)),
        "asked": draw(st.lists(st.sampled_from(WORDS), max_size=1)),
        "drops": draw(st.booleans()),
        "strategy": draw(st.sampled_from(["best_worst", "mirrored"])),
    }


def write_inputs(folder: Path, drawn: dict[str, Any], config: BuildConfig) -> dict[str, Any]:
    """The files of a build by argument."""
    rows, count = drawn["rows"], drawn["files"]
    files = [
        write_annotations(folder / f"{index}.jsonl", rows[index::count]) for index in range(count)
    ]
    if drawn["forgotten"]:
        remember(folder / FORGOTTEN_NAME, responses=drawn["forgotten"])
    sound = [row for row in rows if isinstance(row, dict)]
    people = []
    for number, name in enumerate(drawn["reviewed"]):
        text = next((row["text"] for row in sound if row["id"] == name), "unknown")
        place = {"start": 0, "end": len(text)}
        people.append(
            make_review(
                response_id=name,
                text_sha256=text_sha256(text),
                action="label",
                spans=[ReviewSpan(**place, label=(GOOD, BAD)[number])],
                who=f"person {number}",
                when=f"2026-01-0{number + 1}",
                **place,
            )
        )
    asked = [
        {"id": str(number), "question": f"Who ran {word}?"}
        for number, word in enumerate(drawn["asked"])
    ]
    decided = [drop(pair) for pair in pairs_of(sound, config)[:1]] if drawn["drops"] else []
    return {
        "annotations": files,
        "reviews": write_rows(folder / "people.jsonl", people),
        "pair_reviews": write_rows(folder / "drops.jsonl", decided),
        "evaluation_questions": write_rows(folder / "asked.jsonl", asked),
    }


def write_rows(path: Path, rows: Sequence[Any]) -> list[Path]:
    lines = [json.dumps(row) if isinstance(row, dict) else row.model_dump_json() for row in rows]
    return [write_annotations(path, lines)] if rows else []


def pairs_of(rows: Sequence[dict[str, Any]], config: BuildConfig) -> Sequence[Pair]:
    unique = {row["id"]: row for row in rows}
    found = [Annotation.model_validate_json(json.dumps(row)) for row in unique.values()]
    return build_pairs(found, config).pairs


def drop(pair: Pair) -> Any:
    return make_pair_review(
        question_id=pair.question_id,
        chosen_id=pair.chosen_id,
        rejected_id=pair.rejected_id,
        chosen_sha256=text_sha256(pair.chosen[0].content),
        rejected_sha256=text_sha256(pair.rejected[0].content),
        action="drop",
        who="ann",
        when="2026-01-01",
    )


def outcome(output: Path, **arguments: Any) -> tuple[Any, ...]:
    """All bytes and the report of a build, or its error."""
    try:
        result = run_build(output=output, **arguments)
    except (InputError, ConfigError) as error:
        return type(error), getattr(error, "faults", None), str(error)
    written = {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file()
    }
    return written, dict(result.counts), list(result.failures), list(result.notes)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=inputs(), rows_per_block=st.sampled_from([1, 4, 256]))
def test_workers_change_no_byte_and_no_message(
    pools: dict[int, Shared], drawn: dict[str, Any], rows_per_block: int
) -> None:
    config = BuildConfig.parse({"test_share": 0.4, "strategy": drawn["strategy"]}, where="build")
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        given_files = write_inputs(Path(name), drawn, config)
        build = partial(outcome, Path(name) / "dataset", config=config, **given_files)
        expected = build(workers=1)
        patch.setattr(input_index, "ROWS_PER_BLOCK", rows_per_block)
        patch.setattr(row_files, "PART_BYTES", 700)
        assert build(workers=1) == expected
        patch.setattr(build_data, "Workers", pools.__getitem__)
        for number in pools:
            assert build(workers=number) == expected


def test_an_error_of_a_question_is_raised_unless_a_fault_comes_before_it(
    pools: dict[int, Shared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `lexical` that the first reading does not see, so it is found where the question is built.
    ranking = json.dumps(
        annotation_row("q3/a", [GOOD], question="q3", verdict={"confidence": 0.5})
    ).replace('"confidence": 0.5', '"confidence": 0.5, "confidence_kind": "lexic\\u0061l"')
    assert "lexical" not in ranking
    faulty = {
        name: json.dumps(annotation_row(f"{name}/a", [GOOD], question=name) | {"text": "Short."})
        for name in ("q1", "q5")
    }
    config = BuildConfig(test_share=0.0, weighting=Weighting.CONFIDENCE)
    monkeypatch.setattr(build_data, "Workers", lambda number: pools.get(number, Workers(number)))
    for rows_per_block in (1, 256):
        monkeypatch.setattr(input_index, "ROWS_PER_BLOCK", rows_per_block)
        for number in (1, 2):
            build = partial(run_build, config, output=tmp_path / "dataset", workers=number)
            path = write_annotations(tmp_path / "a.jsonl", [ranking, faulty["q5"]])
            with pytest.raises(ConfigError, match="lexical"):
                build(annotations=path)
            path = write_annotations(tmp_path / "a.jsonl", [ranking, *faulty.values()])
            with pytest.raises(InputError) as caught:
                build(annotations=path)
            assert [fault.line for fault in caught.value.faults] == [2, 3]
    assert not (tmp_path / "dataset").exists()


def test_parts_of_a_file_are_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('\ufeff{"a": 1}\n\n  \n{"b": "x\u2028y"}\r\n{"c": 3}'.encode())
    expected = [(line, start, text) for line, start, text in read_places(path)]
    assert [line for line, _, _ in expected] == [1, 4, 5]
    for size in (1, 2, 5, 9, 1_000):
        monkeypatch.setattr(row_files, "PART_BYTES", size)
        file = JsonLinesFile(path)
        found, before = [], 0
        for part in file.parts():
            scanned = file.scan(part)
            assert scanned.torn_line is None
            for place, text in scanned.rows:
                found.append((before + place.line, place.start, text))
                assert file.read(place) == text
            before += scanned.num_lines
        file.close()
        assert found == expected


def test_a_last_line_that_is_cut_off_is_found_in_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n{"c')
    monkeypatch.setattr(row_files, "PART_BYTES", 8)
    file = JsonLinesFile(path)
    scanned = [file.scan(part) for part in file.parts()]
    file.close()
    assert [(len(part.rows), part.torn_line) for part in scanned] == [(1, None), (1, None), (0, 1)]


def test_few_files_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "MAX_OPEN_FILES", 2)
    paths = [write_annotations(tmp_path / f"{n}.jsonl", questions(1)) for n in range(5)]
    files = RowFiles(paths, tmp_path)
    for number in (0, 1, 2, 0, 3, 4, 0):
        files[number].scan(files[number].parts()[0])
        handles = [file for file in files.files if getattr(file, "_handle", None) is not None]
        assert len(handles) <= 2
        assert files.files[number] in handles
    files.close()


def test_the_default_is_one_process_for_a_small_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_annotations(tmp_path / "a.jsonl", questions(1))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert build_data.count_workers([path, tmp_path / "absent"]) == 1
    monkeypatch.setattr(build_data, "MIN_BYTES_PER_WORKER", path.stat().st_size // 3)
    assert build_data.count_workers([path]) == 3
    assert build_data.count_workers([path] * 3) == 8


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "a.jsonl", questions(2_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(BackendError, match=r"scratch file .* cannot be written: .* Make room"):
            run_build(CONFIG, annotations=path, output=tmp_path / "dataset")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [item.name for item in tmp_path.iterdir()] == ["a.jsonl"]


# --- processes -----------------------------------------------------------------------------------


class Double:
    """A job; it ends its process, or fails, at the tasks that say so."""

    def __call__(self, task: Any) -> Any:
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "exit":
            os._exit(7)
        if task == "fail":
            raise InputError.of("a.jsonl", "is wrong", line=3)
        if task == "unpicklable":
            raise Unpicklable(lambda: None)
        if task == "print":
            print("noise in the results")
        return task * 2

    def close(self) -> None:
        pass


class Unpicklable(Exception):
    pass


def test_results_come_in_the_order_of_the_tasks(pools: dict[int, Shared]) -> None:
    numbers = range(50)
    for pool in (Workers(1), *pools.values()):
        assert list(pool.map(Double, numbers)) == [2 * number for number in numbers]
    assert list(pools[2].map(Double, ["print", "a"])) == ["printprint", "aa"]
    assert list(pools[2].map(Double, [])) == []


def test_tasks_are_taken_only_as_results_are(pools: dict[int, Shared]) -> None:
    taken = []
    results = pools[2].map(Double, (taken.append(n) or n for n in range(1_000)))  # type: ignore[func-returns-value]
    for number in range(5):
        assert next(results) == 2 * number
        assert len(taken) <= 6 + number
    results.close()  # type: ignore[attr-defined]


def test_errors_come_in_their_turn(pools: dict[int, Shared]) -> None:
    def tasks() -> Iterator[Any]:
        yield from (1, 2)
        raise InputError.of("b.jsonl", "cannot be read")

    for pool in (Workers(1), pools[2]):
        results = pool.map(Double, ["a", "fail", "b"])
        assert next(results) == "aa"
        with pytest.raises(InputError) as caught:
            next(results)
        assert [(one.path, one.line) for one in caught.value.faults] == [("a.jsonl", 3)]
        results = pool.map(Double, tasks())
        assert [next(results), next(results)] == [2, 4]
        with pytest.raises(InputError, match=r"b\.jsonl"):
            next(results)
    with pytest.raises(RuntimeError, match="Unpicklable"):
        list(pools[2].map(Double, ["unpicklable"]))


@pytest.mark.parametrize(("task", "how"), [("die", "by SIGKILL"), ("exit", "with status 7")])
def test_a_process_that_ends_is_reported(task: str, how: str) -> None:
    with Workers(2) as pool:
        results = pool.map(Double, ["a", task, "b", "c"])
        assert next(results) == "aa"
        with pytest.raises(BackendError, match=f"ended {how} before .*--workers 1"):
            list(results)


def many_rows(folder: Path) -> Path:
    return write_annotations(folder / "annotations.jsonl", questions(4_000))


def processes_of(mark: str) -> list[int]:
    """The processes that have this mark in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            values = (folder / "environ").read_bytes() if folder.name.isdigit() else b""
        except OSError:
            continue
        found += [int(folder.name)] if f"{MARK}={mark}".encode() in values else []
    return found


def wait_until(condition: Any, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_workers_end_with_the_command(tmp_path: Path, number: signal.Signals) -> None:
    source, mark = many_rows(tmp_path), uuid.uuid4().hex
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "maskdpo", "build", "--annotations", source, "--workers", "2"),
            *("--output", tmp_path / "dataset", "--no-plots"),
        ],
        env=os.environ | {MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(processes_of(mark)) == 3)
    time.sleep(0.5)  # somewhere in the build
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    wait_until(lambda: not processes_of(mark))
    assert not (tmp_path / "dataset").exists()
    assert "Traceback" not in said
    if number is signal.SIGINT:
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"annotations.jsonl"}


def test_a_killed_worker_ends_a_build_with_one_sentence(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from dataset_builder import workers\n"
        "ask = workers._Worker.ask\n"
        "asked = []\n"
        "def kill(self, *task):\n"
        "    asked.append(self)\n"
        "    if len(asked) == 9:\n"
        "        os.kill(self._process.pid, signal.SIGKILL)\n"
        "    return ask(self, *task)\n"
        "workers._Worker.ask = kill\n"
        "from maskdpo.cli.main import main\n"
        "main()\n"
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    source = many_rows(tmp_path)
    done = subprocess.run(
        [
            *(sys.executable, path, "build", "--annotations", source, "--workers", "2"),
            *("--output", tmp_path / "dataset", "--no-plots"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "error: a worker process ended by SIGKILL" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"annotations.jsonl", "program.py"}


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "annotations.jsonl", questions(100))
    path = tmp_path / "script.py"
    path.write_text(
        "from pathlib import Path\n"
        "import maskdpo\n"
        "print('once')\n"
        f"maskdpo.build_dataset(maskdpo.BuildConfig(), annotations=Path({str(source)!r}),\n"
        f"    output=Path({str(tmp_path / 'dataset')!r}), workers=2)\n"
    )
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert done.stdout == "once\n"
    assert (tmp_path / "dataset" / "manifest.json").is_file()
