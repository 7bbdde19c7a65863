"""`maskdpo forget`: what goes from a run, what stays to the byte, and what does not come back."""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from command_line import Run, make_run
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_server import ScriptedJudge
from sample_server import ChatServer, completion

import maskdpo.forgetting.forget
from annotator.calls.store import Store
from annotator.calls.store_takeover import is_taken_over, take_over
from formats.forgotten import FORGOTTEN_NAME, Forgotten
from formats.reviews import REVIEW_FILES
from formats.reviews.log import read_reviews
from maskdpo.forgetting.rows import forget_in
from maskdpo.forgetting.targets import Targets
from schemas.errors import BackendError
from schemas.files.own_files import is_sealed

SECRET = "Varneby"  # a word of the response q1-0 and of nothing else
TRUTHS = {
    "Person 0 came from Karsted-0 long ago.": ("supported", "born in Karsted-0"),
    "Person 1 came from Karsted-1 long ago.": ("supported", "born in Karsted-1"),
    "Person 1 lived in the clinic of Varneby.": ("not_mentioned", ""),
    "Person 2 came from Karsted-2 long ago.": ("supported", "born in Karsted-2"),
    "I cannot say anything about that person.": ("no_fact", ""),
    "Thank you for this question!": ("no_fact", ""),
}
REPLIES = {
    "q0-0": ["Person 0 came from Karsted-0 long ago.", "Thank you for this question!"],
    "q0-1": ["I cannot say anything about that person."],
    "q1-0": [
        "Person 1 came from Karsted-1 long ago.",
        "Person 1 lived in the clinic of Varneby.",
        "I cannot say anything about that person.",
    ],
    "q1-1": ["Person 1 came from Karsted-1 long ago."],
    "q2-0": ["Person 2 came from Karsted-2 long ago."],
    "q2-1": ["Person 2 came from Karsted-2 long ago."],
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(monkeypatch, capsys)


class World:
    """A run of three questions, sampled and judged over one server."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder / "mine"
        self.config = folder / "run.yaml"
        self.asked: list[str] = []
        self._run = run
        self._turns: dict[str, int] = {}
        self._judge = ScriptedJudge(TRUTHS)
        self.folder.mkdir(parents=True)
        write(
            self.folder / "documents.jsonl",
            [
                {"id": f"d{n}", "text": f"Person {n} was born in Karsted-{n} in {1900 + n}."}
                for n in range(3)
            ],
        )
        write(
            self.folder / "questions.jsonl",
            [
                {"id": f"q{n}", "document_ids": [f"d{n}"], "question": f"Who is person {n}?"}
                for n in range(3)
            ],
        )

    def __call__(self, *arguments: object, code: int = 0) -> tuple[str, str]:
        """Run a command against the server; returns standard output and error."""
        with ChatServer(self._answer) as server:
            self._write_config(server.base_url)
            found, out, err = self._run(*arguments, "--config", self.config)
        assert found == code, out + err
        return out, err

    def _answer(self, body):
        self.asked.append(body["model"])
        if body["model"] == "judge":
            return completion(self._judge.reply(body))
        number = body["messages"][-1]["content"].split()[-1].strip("?")
        turn = self._turns.get(number, 0)
        self._turns[number] = turn + 1
        return completion(" ".join(REPLIES[f"q{number}-{turn % 2}"]))

    def _write_config(self, base_url: str) -> None:
        import yaml

        sections = {
            "run": {"dir": str(self.folder)},
            "sample": {
                "backend": "openai", "base_url": base_url, "model": "policy",
                "num_responses": 2, "concurrency": 1,
            },
            "annotate": {
                "judge": "llm",
                "llm": {"base_url": base_url, "model": "judge", "protocol": "sentence"},
            },
        }  # fmt: skip
        self.config.write_text(yaml.safe_dump(sections))

    def rows(self, name: str) -> list[dict]:
        return read(self.folder / name)

    def files(self) -> dict[str, bytes]:
        """Every file of the run but locks, by name."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }

    def holders(self, word: str = SECRET) -> list[str]:
        """The files that hold a word."""
        return sorted(name for name, content in self.files().items() if word.encode() in content)


@pytest.fixture
def world(tmp_path: Path, run: Run) -> World:
    made = World(tmp_path, run)
    made("sample")
    made("annotate")
    made.asked.clear()
    return made


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def review(response_id: str, who: str, **changes) -> dict:
    """A review of today's form; `former` gives one of earlier versions."""
    return {
        "id": f"{response_id}-{who}",
        "response_id": response_id,
        "text_sha256": "ab" * 32,
        "start": 0,
        "end": 5,
        "action": "label",
        "spans": [{"start": 0, "end": 5, "label": "no_hallucination"}],
        "who": who,
        "when": "2026-01-31T12:00Z",
    } | changes


def former(response_id: str, who: str) -> dict:
    row = review(response_id, who)
    return {key: row[key] for key in row if key not in ("id", "action")}


def test_a_response_leaves_every_file_and_the_store(world):
    write(world.folder / "reviews.jsonl", [review("q1-0", "Mira"), review("q1-1", "Mira")])
    write(world.folder / "corrections.jsonl", [former("q1-0", "Jo"), former("q0-0", "Jo")])
    shutil.copy(world.folder / "responses.jsonl", world.folder / "responses.partial.jsonl")
    failed = {"id": "q1-0", "stage": "annotate", "reason": "x", "detail": "y"}
    write(world.folder / "annotations.failed.jsonl", [failed, failed | {"id": "q1-1"}])
    write(world.folder / "responses.failed.jsonl", [failed])
    write(world.folder / "dataset.conflicts.jsonl", [{"response_id": "q1-0", "decisions": []}])
    assert "store.sqlite" in world.holders() and "responses.jsonl" in world.holders()
    before = {name: world.rows(name) for name in ("responses.jsonl", "annotations.jsonl")}
    out, _ = world("forget", "--response", "q1-0")
    assert world.holders() == []
    assert "reviews.jsonl: 1 row removed" in out
    assert "4 stored calls removed (judge 3, reply 1)" in out
    for name, rows in before.items():
        assert world.rows(name) == [row for row in rows if row["id"] != "q1-0"]
    assert [row["response_id"] for row in world.rows("reviews.jsonl")] == ["q1-1"]
    assert [row["response_id"] for row in world.rows("corrections.jsonl")] == ["q0-0"]
    assert [row["id"] for row in world.rows("annotations.failed.jsonl")] == ["q1-1"]
    assert not (world.folder / "responses.failed.jsonl").exists()
    assert not (world.folder / "dataset.conflicts.jsonl").exists()
    assert [row["kind"] for row in world.rows(FORGOTTEN_NAME)] == ["response"]


def test_nobody_else_s_calls_are_lost(world):
    """The refusal and the sentence on Karsted-1 are in other responses, too."""
    world("forget", "--response", "q1-0")
    world("sample")
    world("annotate")
    assert world.asked == []
    assert len(world.rows("annotations.jsonl")) == 5


def test_what_was_forgotten_does_not_come_back(world):
    rows = (world.folder / "responses.jsonl").read_bytes()
    world("forget", "--response", "q1-0")
    kept = (world.folder / "responses.jsonl").read_bytes()
    out, err = world("sample")
    assert (world.folder / "responses.jsonl").read_bytes() == kept and world.asked == []
    assert "forgotten 1" in out and "responses left out because of maskdpo forget: 1" in err
    out, _ = world("sample", "--estimate")
    assert "calls to make: 0" in out
    (world.folder / "responses.jsonl").write_bytes(rows)
    _, err = world("annotate", code=2)
    assert "responses.jsonl:3: response 'q1-0' was forgotten" in err
    assert "maskdpo forget --response q1-0" in err
    world("forget", "--response", "q1-0")
    world("annotate")
    assert world.holders() == []


def test_calls_of_a_judge_that_is_no_longer_in_the_config_are_found(world, run):
    """The sidecar of the annotations says who judged; a quoted sentence gives the rest away."""
    quoting = json.dumps({"begins": "Person 1 lived in the clinic of Varneby."})
    with Store(world.folder / "store.sqlite") as store:
        store.put_many("judge", {"of another judge": {"text": quoting}})
    settings = ["--set", f"run.dir={world.folder}"]
    code, out, _ = run("forget", "--response", "q1-0", *settings)
    assert code == 0 and "5 stored calls removed (judge 4, reply 1)" in out
    assert world.holders() == []


def test_a_text_that_another_response_has_stays_and_is_reported(world):
    stored = (world.folder / "store.sqlite").read_bytes()
    _, err = world("forget", "--response", "q2-0")
    assert "'q2-1' has the same text as 'q2-0': that text stays" in err
    assert b"Person 2 came from Karsted-2" in stored
    world("sample")
    world("annotate")
    assert world.asked == [] and "q2-1" in {row["id"] for row in world.rows("annotations.jsonl")}
    out, err = world("forget", "--response", "q2-1")
    assert "that text stays" not in err and "judge 1, reply 1" in out
    assert b"Person 2 came from Karsted-2" not in (world.folder / "store.sqlite").read_bytes()


def test_a_person_leaves_reviews_conflicts_failed_rows_and_sidecars(world):
    folder = world.folder
    reviews = [review("q0-0", "Dr. Li"), review("q0-0", "Mira"), former("q1-0", "Dr.  Li ")]
    write(folder / "reviews.jsonl", reviews)
    write(folder / "corrections.jsonl", [former("q0-0", "Dr. Li")])
    three = [{"who": who, "label": "no_fact"} for who in ("Dr. Li", "Mira", "Jo")]
    rows = [
        {"response_id": "q0-0", "decisions": three},
        {"response_id": "q0-1", "decisions": three[:2]},
        {"response_id": "q1-0", "decisions": three[1:]},
    ]
    write(folder / "dataset.conflicts.jsonl", rows)
    detail = "dr. li and Dr. Lind wrote 'x' in a row of Dr. Li's"
    write(
        folder / "reviews.failed.jsonl",
        [{"id": "s.csv:3", "stage": "import", "reason": "bad_row", "detail": detail}],
    )
    meta = {
        "format": "maskdpo.review", "version": "1.0", "config": {"who": "Dr. Li", "format": "csv"},
        "inputs": {"checked Dr. Li.csv": {"bytes": 3}}, "models": {"judge": "Dr. Li"},
    }  # fmt: skip
    (folder / "reviews.jsonl.meta.json").write_text(json.dumps(meta))
    responses = (folder / "responses.jsonl").read_bytes()
    out, _ = world("forget", "--who", "Dr. Li")
    assert "reviews.jsonl: 2 rows removed" in out
    assert world.rows("reviews.jsonl") == [reviews[1]]
    assert world.rows("corrections.jsonl") == []
    assert world.rows("dataset.conflicts.jsonl") == [
        {"response_id": "q0-0", "decisions": three[1:]},
        rows[2],
    ]
    (row,) = world.rows("reviews.failed.jsonl")
    assert row["detail"] == ("(forgotten) and Dr. Lind wrote 'x' in a row of (forgotten)'s")
    masked = json.loads((folder / "reviews.jsonl.meta.json").read_text())
    assert masked["config"] == {"who": "(forgotten)", "format": "csv"}
    assert list(masked["inputs"]) == ["checked (forgotten).csv"]
    assert masked["models"] == meta["models"] and masked["version"] == "1.0"
    assert (folder / "responses.jsonl").read_bytes() == responses
    known = Forgotten.read(folder / FORGOTTEN_NAME)
    assert known.has_person("Dr. Li") and not known.has_person("Mira")


def test_a_row_that_was_cut_off_goes_where_it_may_be_of_the_person(world):
    path = world.folder / "reviews.jsonl.cut-off"
    write(world.folder / "reviews.jsonl", [review("q0-0", "Dr. Li"), review("q0-0", "Mira")])
    rows = [json.dumps(review("q0-0", who)).partition('"when"')[0] for who in ("Dr. Li", "Mira")]
    whole, other = (row + '"when":' for row in rows)
    path.write_text(f"{whole}\n{other}\n{rows[1][:40]}\n")
    world("forget", "--who", "Dr. Li")
    assert path.read_text() == f"{other}\n"
    world("forget", "--response", "q0-0")
    assert not path.exists()


def test_a_resolution_stays_where_a_review_that_it_names_was_removed(world):
    rows = [review("q0-0", "Dr. Li"), review("q0-0", "Mira")]
    rows.append({**review("q0-0", "Jo"), "resolves": [row["id"] for row in rows]})
    write(world.folder / "reviews.jsonl", rows)
    world("forget", "--who", "Dr. Li")
    assert world.rows("reviews.jsonl") == rows[1:]
    assert len(read_reviews(world.folder / "reviews.jsonl")) == 2


def test_other_rows_stay_byte_for_byte(world):
    path = world.folder / "reviews.jsonl"
    kept = b'{"who":  "Mira", "odd": 1.50}\nno json at all\n\n{"who": "Jo", "note": "Dr. Li"}\n'
    gone = json.dumps(review("q0-0", "Dr. Li")).encode() + b"\n"
    end = kept.index(b"\n") + 1
    path.write_bytes(kept[:end] + gone + kept[end:])
    world("forget", "--who", "Dr. Li")
    assert path.read_bytes() == kept


def test_a_dry_run_counts_the_same_and_changes_nothing(world):
    write(world.folder / "reviews.jsonl", [review("q1-0", "Mira"), review("q1-1", "Jo")])
    before = world.files()
    given = ("forget", "--response", "q1-0", "--who", "Jo")
    dry, _ = world(*given, "--dry-run")
    assert world.files() == before and "dry run: nothing was changed" in dry
    done, _ = world(*given)
    counted = [line for line in dry.splitlines() if "would be removed" in line]
    found = [line for line in done.splitlines() if "removed" in line]
    assert counted and [line.replace("would be ", "") for line in counted] == found


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (
            ("--who", "Mirra"),
            "contains the reviewer 'Mirra'; nothing was changed; did you mean 'Mira'?",
        ),
        (
            ("--response", "q1-7"),
            "contains the response 'q1-7'; nothing was changed; did you mean 'q1-",
        ),
        (
            ("--who", "Mira", "--response", "zzz"),
            "response 'zzz'; nothing was changed; known: q0-0",
        ),
    ],
)
def test_an_unknown_name_changes_nothing(world, given, hint):
    write(world.folder / "reviews.jsonl", [review("q1-0", "Mira")])
    before = world.files()
    _, err = world("forget", *given, code=2)
    assert hint in err and world.files() == before


def test_nothing_to_forget_is_a_mistake(world, tmp_path):
    assert "--who NAME or --response ID" in world("forget", code=2)[1]
    assert "is not a name" in world("forget", "--who", " ", code=2)[1]
    nowhere = f"run.dir={tmp_path / 'nowhere'}"
    assert "is not a run folder" in world("forget", "--who", "x", "--set", nowhere, code=2)[1]


def test_the_same_command_finishes_a_run_that_was_killed(world, monkeypatch):
    write(world.folder / "reviews.jsonl", [review("q1-0", "Mira"), review("q1-1", "Mira")])
    given = ("forget", "--response", "q1-0")
    steps = ["remember", "forget_in", "remove_from"]
    for name in steps:
        with monkeypatch.context() as patch:
            patch.setattr(maskdpo.forgetting.forget, name, killed)
            world(*given, code=3)
    assert (world.folder / FORGOTTEN_NAME).exists()
    world(*given)
    assert world.holders() == []
    done = world.files()
    out, err = world(*given)
    assert "nothing is left to remove" in out and "was removed before" in err
    assert {k: v for k, v in world.files().items() if "sqlite" not in k} == {
        k: v for k, v in done.items() if "sqlite" not in k
    }


def killed(*_arguments, **_options):
    raise BackendError("the power went")


def test_the_text_is_removed_after_the_calls_that_hold_it(world, monkeypatch):
    """Without the text a second run could not find them."""
    monkeypatch.setattr(maskdpo.forgetting.forget, "remove_from", killed)
    world("forget", "--response", "q1-0", code=3)
    assert "q1-0" in {row["id"] for row in world.rows("responses.jsonl")}
    assert Forgotten.read(world.folder / FORGOTTEN_NAME).has_response("q1-0")


def test_a_response_that_sample_left_out_meanwhile_loses_its_reply_all_the_same(world):
    rows = world.rows("responses.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maskdpo.forgetting.forget, "forget_in", killed)
        world("forget", "--response", "q1-0", code=3)
    write(world.folder / "responses.jsonl", [row for row in rows if row["id"] != "q1-0"])
    (world.folder / "annotations.jsonl").unlink()
    world("forget", "--response", "q1-0")
    assert world.holders() == []


def test_stores_of_earlier_versions_in_the_folder_are_searched(world):
    """Where they were copied into the run's store before, they are not copied once more."""
    own, former = world.folder / "store.sqlite", world.folder / "agreement.sqlite"
    shutil.copy(own, former)
    assert take_over(own, former) == 0 and is_taken_over(own, former)
    world("forget", "--response", "q1-0")
    assert world.holders() == [] and is_taken_over(own, former)
    with Store(former) as store:
        assert store.count("reply") == 5 and store.count("judge") == 5


def test_a_former_store_that_was_never_copied_may_still_be(world):
    own, former = world.folder / "store.sqlite", world.folder / "agreement.sqlite"
    own.rename(former)
    world("forget", "--response", "q1-0")
    assert world.holders() == [] and not own.exists()
    assert take_over(own, former) == 10


def test_other_places_are_listed_and_left_as_they_are(world):
    folder = world.folder
    write(
        folder / "reviews.jsonl", [review("q1-0", "Dr. Li"), review("q1-1", "Mira", note="Dr. Li")]
    )
    (folder / "dataset").mkdir()
    (folder / "dataset" / "sentences.parquet").write_bytes(b"torn")
    sheets = folder / "sheets"
    sheets.mkdir()
    table = "response_id\twho\r\nq1-0\tDr. Li\r\n"
    (sheets / "utf16.csv").write_bytes(table.encode("utf-16"))
    (sheets / "other.csv").write_text("response_id,who\r\nq1-00,Dr. Lind\r\n")
    with zipfile.ZipFile(sheets / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", "<t>Dr. Li</t>" + "<t>x</t>" * 1000)
    before = {path: path.read_bytes() for path in sheets.iterdir()}
    out, err = world("forget", "--who", "Dr. Li")
    listed = out.split("but still containing a name or id:\n")[1].splitlines()[:3]
    names = ["reviews.jsonl", "sheets/book.xlsx", "sheets/utf16.csv"]
    assert [line.strip() for line in listed] == [str(folder / name) for name in names]
    assert "other.csv" not in out
    assert {path: path.read_bytes() for path in sheets.iterdir()} == before
    assert f"dataset was built before; build it again: maskdpo build --config {world.config}" in err
    assert "sentences.parquet cannot be searched" in err
    assert "The Hub keeps every earlier version" in err and "train it again" in err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_a_chinese_name_is_found_in_every_encoding(world, encoding):
    write(world.folder / "reviews.jsonl", [review("q0-0", "李明华")])
    (world.folder / "sheet.csv").write_text("谁\n李明华医生\n", encoding=encoding)
    out, _ = world("forget", "--who", "李明华")
    assert "sheet.csv" in out and "reviews.jsonl: 1 row removed" in out


def test_a_parquet_sheet_is_searched(world):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(world.folder / "reviews.jsonl", [review("q0-0", "Jo")])
    for name, who in (("a.parquet", "Jo"), ("b.parquet", "Joanna")):
        table = pa.Table.from_pylist([{"c": {"who": [who]}}])
        pq.write_table(table, world.folder / name)
    out, _ = world("forget", "--who", "Jo")
    assert "a.parquet" in out and "b.parquet" not in out


def test_an_id_that_is_a_number_harms_no_sidecar(world):
    write(world.folder / "reviews.jsonl", [review("1", "Mira")])
    before = (world.folder / "annotations.jsonl.meta.json").read_bytes()
    write(
        world.folder / "reviews.failed.jsonl",
        [{"id": "s:1", "stage": "import", "reason": "x", "detail": "row 1 of 1 names '1'"}],
    )
    world("forget", "--response", "1")
    assert (world.folder / "annotations.jsonl.meta.json").read_bytes() == before
    (row,) = world.rows("reviews.failed.jsonl")
    assert row["detail"] == "row 1 of 1 names '(forgotten)'"


def test_a_name_is_found_in_the_names_of_files(world):
    folder = world.folder
    write(folder / "reviews.jsonl", [review("q0-0", "Dr. Mira Tolvan")])
    inputs = {"checked_dr_mira_tolvan.csv": {"bytes": 3}, "Dr-Mira.Tolvan (2).xlsx": {"bytes": 4}}
    (folder / "reviews.jsonl.meta.json").write_text(json.dumps({"inputs": inputs}))
    (folder / "checked_dr_mira_tolvan.csv").write_text("person_label\nwrong\n")
    out, _ = world("forget", "--who", "Dr. Mira Tolvan")
    masked = json.loads((folder / "reviews.jsonl.meta.json").read_text())
    assert list(masked["inputs"]) == ["checked_(forgotten).csv", "(forgotten) (2).xlsx"]
    assert f"  {folder / 'checked_dr_mira_tolvan.csv'}" in out.splitlines()


def fill_sheet(path: Path, who: dict[str, str]) -> None:
    """Give each sentence of a sheet a label; `who` by response id, else Jo."""
    import csv

    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        columns, rows = list(reader.fieldnames or []), list(reader)
    for row in rows:
        row |= {"person_label": "no_fact", "who": who.get(row["response_id"], "Jo")}
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_rows_of_a_forgotten_person_or_response_are_not_imported(world, tmp_path):
    sheet = tmp_path / "sheet.csv"
    world("export", "--format", "csv", "--output", sheet)
    fill_sheet(sheet, {"q0-0": "Mira Tolvan", "q2-0": "Mira  Tolvan"})
    write(world.folder / "reviews.jsonl", [review("q0-0", "Mira Tolvan")])
    world("forget", "--who", "Mira Tolvan", "--response", "q1-0")
    output = world.folder / "reviews.jsonl"
    allowed = ("--max-failed", "1", "--output", output)
    world("import", "--format", "csv", sheet, *allowed)
    imported = {row["response_id"] for row in world.rows("reviews.jsonl")}
    assert {"q0-1", "q1-1"} <= imported and not imported & {"q0-0", "q1-0", "q2-0"}
    failed = world.rows("reviews.failed.jsonl")
    details = [row["detail"] for row in failed]
    assert len(failed) == 6 and all("was forgotten in this run" in text for text in details)
    assert failed[0]["id"] == "sheet.csv:2" and "the person in 'who'" in details[0]
    assert sum("the response in 'response_id'" in text for text in details) == 3
    assert not any("Tolvan" in text or "q1-0" in text for text in details)
    fill_sheet(sheet, dict.fromkeys(REPLIES, "Mira Tolvan"))
    _, err = world("import", "--format", "csv", sheet, "--output", output, code=2)
    assert "was forgotten in this run" in err and "Tolvan" not in err


def test_a_failed_row_that_quotes_the_response_goes(world):
    """An import keeps the words to which a sentence of a sheet was changed."""
    rows = [
        {"id": f"sheet.csv:{n}", "stage": "import", "reason": "edited_text", "detail": text}
        for n, text in enumerate(
            [
                "the sentence is now: Person 1 lived in the clinic of Varneby, in 1871.",
                "the sentence is now: Person 1 came from Karsted-1 long ago.",
            ]
        )
    ]
    write(world.folder / "reviews.failed.jsonl", rows)
    world("forget", "--response", "q1-0")
    assert world.rows("reviews.failed.jsonl") == rows[1:] and world.holders() == []


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["Dr. Li", "Dr.  Li", "Dr. Lind", "dr. li", "Mira"]),
            st.sampled_from(["q1", "q1-0", "q1-00", "Q1-0"]),
            st.booleans(),
        ),
        max_size=12,
    ),
    ends_whole=st.booleans(),
    name=st.sampled_from(REVIEW_FILES),
)
def test_the_rows_that_go_are_those_and_no_others(tmp_path_factory, rows, ends_whole, name):
    """Each row that stays is there to the byte and in its place."""
    path = tmp_path_factory.mktemp("run") / name
    lines = [
        json.dumps(former(response, who) if is_old else review(response, who), ensure_ascii=False)
        for who, response, is_old in rows
    ]
    text = "\n".join(lines) + ("\n" if lines and ends_whole else "")
    path.write_text(text)
    targets = Targets(people=frozenset({"Dr. Li"}), responses=frozenset({"q1-0"}))
    goes = [who in ("Dr. Li", "Dr.  Li") or response == "q1-0" for who, response, _ in rows]
    change = forget_in(path, targets)
    assert change.num_removed == sum(goes) and change.num_masked == 0
    kept = [line for line, gone in zip(lines, goes, strict=True) if not gone]
    assert path.read_text().splitlines() == kept
    if not any(goes):
        assert path.read_text() == text
    assert not forget_in(path, targets)


def test_odd_rows_elsewhere_do_not_stop_it(world, monkeypatch):
    """Rows that no other command would read, in every file, and a key that is not set."""
    odd = b'{"id": ["q1-0"]}\n{"id": null, "who": 7, "decisions": [3]}\n[]\n{"id": "q1-0", \n"x"\n'
    for name in ("documents", "questions", "responses", "annotations", "reviews"):
        with (world.folder / f"{name}.jsonl").open("ab") as handle:
            handle.write(odd)
    write(world.folder / "a.conflicts.jsonl", [{"decisions": "none", "who": ["Mira"]}])
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    out, err = world("forget", "--response", "q1-0")
    assert world.holders() == [] and "(judge 3, reply 1)" in out and "derived" not in err
    assert (world.folder / "responses.jsonl").read_bytes().endswith(odd)


def test_half_a_surrogate_pair_survives_a_replaced_name(world):
    write(world.folder / "reviews.jsonl", [review("q0-0", "Dr. Li")])
    path = world.folder / "reviews.failed.jsonl"
    path.write_text('{"id": "s:1", "detail": "Dr. Li wrote \\ud83d"}\n')
    world("forget", "--who", "Dr. Li")
    assert json.loads(path.read_text())["detail"] == "(forgotten) wrote \ud83d"


def test_a_name_is_found_however_it_is_spaced(world):
    write(world.folder / "reviews.jsonl", [review("q0-0", "Mira  Tolvan")])
    failed = {"id": "s:1", "stage": "import", "reason": "x", "detail": "of Mira\tTolvan"}
    write(world.folder / "reviews.failed.jsonl", [failed])
    (world.folder / "sheet.csv").write_text("who\nmira   tolvan\n")
    out, _ = world("forget", "--who", " Mira Tolvan")
    assert world.rows("reviews.failed.jsonl")[0]["detail"] == "of (forgotten)"
    assert "sheet.csv" in out and world.rows("reviews.jsonl") == []


def test_a_blank_response_takes_no_other_blank_reply_along(world):
    blank = {"id": "q9-0", "question_id": "q9", "prompt": [{"role": "user", "content": "?"}]}
    with (world.folder / "responses.jsonl").open("a") as handle:
        handle.write(json.dumps(blank | {"text": " "}) + "\n")
    with Store(world.folder / "store.sqlite") as store:
        store.put_many("reply", {"of another run": {"text": " "}})
    world("forget", "--response", "q9-0")
    with Store(world.folder / "store.sqlite") as store:
        assert store.present(["of another run"])


@pytest.mark.parametrize(
    ("sentence", "begins"),
    [
        (
            "Ada Quill of Varneby was treated at the clinic from March until the end of May.",
            "Ada Quill of Varneby was treated at the",
        ),
        ("沈月从三月到五月底在青川的诊所接受治疗。", "沈月从三月到五月"),
    ],
)
def test_the_beginning_that_a_judge_copies_gives_a_call_away(world, sentence, begins):
    row = {"id": "q9-0", "question_id": "q9", "prompt": [{"role": "user", "content": "?"}]}
    with (world.folder / "responses.jsonl").open("a") as handle:
        handle.write(json.dumps(row | {"text": sentence}) + "\n")
    with Store(world.folder / "store.sqlite") as store:
        begin = {"text": json.dumps({"begins": begins})}
        short = {"text": json.dumps({"begins": begins[:7]})}
        store.put_many("judge", {"of another judge": begin, "of others": short})
    world("forget", "--response", "q9-0")
    with Store(world.folder / "store.sqlite") as store:
        assert store.present(["of another judge", "of others"]) == {"of others"}


def test_a_sentence_of_marks_takes_no_call_along(world):
    row = {"id": "q9-0", "question_id": "q9", "prompt": [{"role": "user", "content": "?"}]}
    with (world.folder / "responses.jsonl").open("a") as handle:
        handle.write(json.dumps(row | {"text": "* * * * * * * * * * * * zz"}) + "\n")
    with Store(world.folder / "store.sqlite") as store:
        store.put_many("question", {"of a writer": {"text": "Who lit the puzzle?"}})
    world("forget", "--response", "q9-0")
    with Store(world.folder / "store.sqlite") as store:
        assert store.present(["of a writer"])


def test_what_an_import_wrote_still_counts_as_its_own(run, tmp_path):
    rows = [
        {
            "id": name,
            "source": "mine",
            "group": "g",
            "question": "Who is Ada?",
            "documents": [{"id": "d1", "text": "Ada was born in Lima."}],
            "response": "Ada was born in Lima.",
            "sentences": [{"start": 0, "end": 21, "label": "factual"}],
        }
        for name in ("h1", "h2")
    ]
    labels = write(tmp_path / "labels.jsonl", rows)
    folder = ("--set", f"run.dir={tmp_path / 'run'}")
    assert run("import", labels, *folder)[0] == 0
    assert run("forget", "--response", "h2", *folder)[0] == 0
    assert [row["id"] for row in read(tmp_path / "run" / "annotations.jsonl")] == ["h1"]
    assert is_sealed(tmp_path / "run" / "annotations.jsonl")


def test_a_store_that_loses_nothing_is_not_listed(world):
    with Store(world.folder / "domain_check.sqlite"):
        pass
    out, _ = world("forget", "--response", "q1-0", "--dry-run")
    assert "store.sqlite: " in out and "domain_check.sqlite" not in out


def test_a_name_is_found_with_its_accents_apart(world):
    """As macOS writes it, in the name of a sheet that a sidecar lists, too."""
    composed, apart = "Jos\u00e9 Li", "Jose\u0301 Li"
    write(world.folder / "reviews.jsonl", [review("q0-0", composed)])
    sidecar = world.folder / "reviews.jsonl.meta.json"
    sidecar.write_text(json.dumps({"inputs": {f"of {apart}.csv": {}}}, ensure_ascii=False))
    (world.folder / "sheet.csv").write_text(f"who\n{apart}\n", encoding="utf-8")
    out, _ = world("forget", "--who", composed)
    assert "sheet.csv" in out
    assert list(json.loads(sidecar.read_text())["inputs"]) == ["of (forgotten).csv"]


def test_a_packed_file_is_named_as_one_that_cannot_be_searched(world):
    (world.folder / "backup.jsonl.gz").write_bytes(gzip.compress(b'{"id": "q1-0"}\n'))
    write(world.folder / "annotations.jsonl", [{"id": "q1-0", "question_id": "q1"}])
    out, err = world("forget", "--response", "q1-0")
    assert "backup.jsonl.gz cannot be searched" in out + err
