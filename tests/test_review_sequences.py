"""Whatever people do with sheets, in whatever order: no label is lost.

Random sequences of what happens at a desk: a sheet is exported (again), two people fill it in, it
is imported (again, or an older copy of it), somebody changes their mind. Then `build` runs without
an option. Every person's last label of every sentence is in the data set, or in a listed conflict.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from build_rows import questions, write_annotations
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from maskdpo.cli.main import cli
from schemas.errors import InputError
from schemas.labels import Label

PEOPLE = ("Dr Li", "'t Hooft")
LABELS = [label.value for label in Label]
Sentence = tuple[str, int, int]


@dataclass
class Desk:
    """A run folder, the sheets in it, and what each person said last of each sentence."""

    folder: Path
    format: str
    said: dict[tuple[str, Sentence], str] = field(default_factory=dict)
    sheets: dict[str, list[tuple[str, Sentence, str]]] = field(default_factory=dict)
    day: int = 0

    def run(self, *arguments: object) -> tuple[int, str]:
        """The exit code of a command and what it printed."""
        values = [*map(str, arguments), "--set", f"run.dir={self.folder}"]
        try:
            result = CliRunner().invoke(cli, values, catch_exceptions=False)
        except InputError as error:
            return 2, str(error)
        return result.exit_code, result.output

    def export(self, name: str, *options: str) -> None:
        """Write a sheet; one that somebody filled in must be refused and left as it is."""
        path = self.folder / name
        before = path.read_bytes() if path.exists() else b""
        code, printed = self.run("export", "--format", self.format, "--output", path, *options)
        if self.sheets.get(name):
            assert code == 2, printed
            assert path.read_bytes() == before
        else:
            assert code == 0, printed
            self.sheets[name] = []

    def fill(self, name: str, who: str, labels: list[str | None]) -> None:
        """Write labels into the first rows; the day makes a later decision later."""
        self.day += 1
        rows = list(self.rows(name))
        for row, label in zip(rows, labels, strict=False):
            if label is None:
                continue
            when = f"2026-01-01T00:{self.day // 60:02}:{self.day % 60:02}Z"
            row |= {"person_label": label, "who": who, "when": when}
        self.write(name, rows)
        self.sheets[name] = [
            (row["who"], place(row), row["person_label"]) for row in rows if row["person_label"]
        ]

    def bring_back(self, name: str) -> None:
        """Import a sheet, and remember what it says of whom."""
        code, printed = self.run("import", self.folder / name)
        assert code == (0 if self.sheets.get(name) else 2), printed
        for row in self.rows(name):
            if row["person_label"]:
                self.say(row["who"], place(row), row["person_label"], row["when"])

    def say(self, who: str, sentence: Sentence, label: str, when: str) -> None:
        key = (who, sentence)
        if key not in self._times or self._times[key] <= when:
            self.said[key], self._times[key] = label, when

    _times: dict[tuple[str, Sentence], str] = field(default_factory=dict)

    def rows(self, name: str) -> Iterator[dict[str, str]]:
        path = self.folder / name
        if self.format == "csv":
            text = path.read_bytes().decode("utf-8-sig")
            yield from csv.DictReader(io.StringIO(text, newline=""))
            return
        import openpyxl

        sheet = openpyxl.load_workbook(path).worksheets[0]
        head, *body = sheet.iter_rows(values_only=True)
        for values in body:
            cells = zip(head, values, strict=True)
            yield {str(key): "" if value is None else str(value) for key, value in cells}

    def write(self, name: str, rows: list[dict[str, str]]) -> None:
        """Save the sheet as a person's program does."""
        path = self.folder / name
        if self.format == "csv":
            out = io.StringIO(newline="")
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)
            path.write_bytes(out.getvalue().encode("utf-8-sig"))
            return
        import openpyxl

        book = openpyxl.load_workbook(path)
        sheet = book.worksheets[0]
        column = {cell.value: cell.column for cell in sheet[1]}
        for number, row in enumerate(rows, start=2):
            for key in ("person_label", "who", "when"):
                if row[key]:
                    sheet.cell(number, column[key], row[key])
        book.save(path)

    def check(self, rule: str) -> None:
        """Build without an option for reviews; look every label up."""
        fixed = ("build.test_share=0", "build.near_duplicate=0", f"build.conflicts={rule}")
        options = [part for item in fixed for part in ("--set", item)]
        code, printed = self.run("build", *options, "--no-plots")
        assert code == 0, printed
        table = self.folder / "dataset" / "sentences" / "train-00000-of-00001.parquet"
        found = {
            (row["response_id"], row["start"], row["end"]): row
            for row in pq.read_table(table).to_pylist()
        }
        path = self.folder / "dataset.conflicts.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        listed = {
            (item["who"], (row["response_id"], span["start"], span["end"]), span["label"])
            for row in map(json.loads, lines)
            for item in row["decisions"]
            for span in item["spans"]
        }
        for (who, sentence), label in self.said.items():
            row = found[sentence]
            in_data = row["source"] == "person" and row["label"] == label
            assert in_data or (who, sentence, label) in listed, (who, sentence, label)
            others = {
                other for (name, at), other in self.said.items() if at == sentence and name != who
            }
            if others - {label}:  # never resolved without a word
                assert (who, sentence, label) in listed
            else:
                assert in_data


def place(row: dict[str, str]) -> Sentence:
    return (row["response_id"].removeprefix("'"), int(row["start"]), int(row["end"]))


STEPS = st.one_of(
    st.tuples(st.just("export"), st.sampled_from(["a", "b"]), st.booleans()),
    st.tuples(
        st.just("fill"),
        st.sampled_from(["a", "b"]),
        st.sampled_from(PEOPLE),
        st.lists(st.sampled_from([None, *LABELS]), max_size=6),
    ),
    st.tuples(st.just("import"), st.sampled_from(["a", "b"])),
)


@settings(max_examples=12, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=9),
    kind=st.sampled_from(["csv", "csv", "xlsx"]),
    rule=st.sampled_from(["skip", "majority", "latest"]),
)
def test_every_label_is_in_the_data_set_or_in_a_listed_conflict(
    steps: list[tuple], kind: str, rule: str
) -> None:
    with TemporaryDirectory() as folder:
        desk = Desk(folder=Path(folder) / "run", format=kind)
        write_annotations(desk.folder / "annotations.jsonl", questions(2))
        for name in ("a", "b"):
            desk.export(f"{name}.{kind}")
        for step, name, *more in steps:
            if step == "export":
                desk.export(f"{name}.{kind}", *(["--blind"] if more[0] else []))
            elif step == "fill":
                desk.fill(f"{name}.{kind}", *more)
            else:
                desk.bring_back(f"{name}.{kind}")
        for name in ("a", "b"):
            desk.bring_back(f"{name}.{kind}")
        desk.check(rule)


def test_the_sequence_of_two_people_in_full(tmp_path: Path) -> None:
    desk = Desk(folder=tmp_path / "run", format="csv")
    write_annotations(desk.folder / "annotations.jsonl", questions(3))
    desk.export("li.csv")
    desk.fill("li.csv", PEOPLE[0], ["contradictory"] * 10)
    desk.export("li.csv")  # refused
    desk.bring_back("li.csv")
    desk.export("hooft.csv", "--blind")
    desk.fill("hooft.csv", PEOPLE[1], ["contradictory", "no_fact", "contradictory"])
    desk.bring_back("hooft.csv")
    desk.bring_back("li.csv")
    assert len(desk.said) == 13
    desk.check("skip")
    rows = (desk.folder / "reviews.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 13
