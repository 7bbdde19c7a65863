"""`maskdpo agreement` as a user meets it: what may be gold, what may be a judge, what comes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.folder.agreement_record import read_agreement
from maskdpo.cli.main import main

Run = Callable[..., tuple[int, str, str]]
EVIL = '\x1b[31m</div><script src="http://127.0.0.1/x.js"></script>[bold]\u202e$\\frac$'


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call `maskdpo agreement ARGUMENTS` in this process: exit code, output, errors."""

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
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


ENGLISH = "Mira Tolvan was born in Karsted. She works as a sailor."
CHINESE = "米拉出生于卡斯泰德。她是一名水手。"


def gold_row(index: int, **changed: Any) -> dict[str, Any]:
    """The first sentence is supported, the second is not; people agree unless `changed`."""
    is_chinese = index % 2 == 1
    text, cut = (CHINESE, 10) if is_chinese else (ENGLISH, 32)
    truth = (
        "米拉出生于卡斯泰德。她是一名面包师。"
        if is_chinese
        else ("Mira Tolvan was born in Karsted. She works as a baker.")
    )
    start = cut if is_chinese else cut + 1
    return {
        "id": f"g{index}",
        "source": "small" if index == 0 else "large",
        "language": "zh" if is_chinese else "en",
        "group": f"group {index}",
        "question": "Who is Mira Tolvan?",
        "documents": [{"id": f"d{index}", "text": truth}],
        "response": text,
        "generator": "someone",
        "sentences": [
            {"start": 0, "end": cut, "label": "factual"},
            {"start": start, "end": len(text), "label": "hallucinated"},
        ],
    } | changed


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """Fourteen responses; people and word overlap differ on one sentence of the last."""
    rows = [gold_row(index) for index in range(13)]
    last = gold_row(14)
    last["sentences"][0]["label"] = "hallucinated"
    return write_lines(tmp_path / "gold.jsonl", [*rows, last])


@pytest.fixture
def measure(run: Run, gold: Path) -> Callable[..., dict[str, Any]]:
    """The result of `agreement --json`, which must end well."""

    def call(*arguments: object, labels: Path = gold) -> dict[str, Any]:
        code, out, err = run("agreement", "--gold", labels, "--json", *arguments)
        assert code == 0, err
        values: dict[str, Any] = json.loads(out)
        return values

    return call


Measure = Callable[..., dict[str, Any]]


def test_one_object_with_figures_lines_and_slices(measure: Measure, tmp_path: Path) -> None:
    output = tmp_path / "agreement.json"
    values = measure("--output", output)
    assert json.loads(output.read_text("utf-8")) == values
    assert (values["gold"], values["judge"]) == ("gold.jsonl", "lexical")
    assert (values["num_sentences"], values["num_groups"], values["num_decided"]) == (28, 14, 28)
    assert values["balanced_accuracy"] == pytest.approx((13 / 13 + 14 / 15) / 2)
    assert values["recall_hallucinated"] == pytest.approx(14 / 15)
    assert values["balanced_accuracy_low"] < 1.0 == values["balanced_accuracy_high"]
    assert list(values["baselines"]) == ["majority", "overlap", "lexical"]
    assert values["baselines"]["lexical"]["kappa"] == values["kappa"]
    assert values["by_source"]["small"]["is_small"] is True
    assert values["by_source"]["large"]["num_sentences"] == 26
    assert set(values["by_language"]) == {"en", "zh"}
    assert values["calibration"]["num_sentences"] == 28
    assert "comparison" not in values
    card = read_agreement(output)
    assert (card["judge"], card["num_groups"]) == ("lexical", 14)
    assert list(card["baselines"]) == ["majority", "overlap", "lexical"]


def test_imported_labels_measure_the_same(run: Run, measure: Measure, gold: Path) -> None:
    folder = gold.parent / "run"
    assert run("import", gold, "--set", f"run.dir={folder}")[0] == 0
    people = folder / "annotations.jsonl"
    direct = measure()
    named = measure("--documents", folder / "documents.jsonl", labels=people)
    found = measure("--set", f"run.dir={folder}", labels=people)
    assert named == found == direct | {"gold": "annotations.jsonl"}


def test_only_what_people_said_is_gold(run: Run, measure: Measure, gold: Path) -> None:
    folder = gold.parent / "run"
    assert run("import", gold, "--set", f"run.dir={folder}")[0] == 0
    rows = read_lines(folder / "annotations.jsonl")
    for row in rows[1:]:
        row["sentences"][0]["verdict"]["source"] = "judge"
    mixed = write_lines(folder / "mixed.jsonl", rows)
    arguments = ("--documents", folder / "documents.jsonl")
    assert measure(*arguments, labels=mixed)["num_sentences"] == 28 - 13
    _, _, err = run("agreement", "--gold", mixed, *arguments)
    assert "13 verdicts of mixed.jsonl are not a person's" in err
    for row in rows:
        for sentence in row["sentences"]:
            sentence["verdict"]["source"] = "judge"
    code, _, err = run("agreement", "--gold", write_lines(mixed, rows), *arguments)
    assert code == 2
    assert "mixed.jsonl: holds no verdict of a person" in err


def test_annotations_that_name_no_document_are_held_against_their_topic(
    run: Run, measure: Measure, gold: Path
) -> None:
    folder = gold.parent / "run"
    assert run("import", gold, "--set", f"run.dir={folder}")[0] == 0
    rows = read_lines(folder / "annotations.jsonl")
    unnamed = write_lines(folder / "unnamed.jsonl", [row | {"document_ids": []} for row in rows])
    found = measure("--documents", folder / "documents.jsonl", labels=unnamed)
    assert found["balanced_accuracy"] == measure()["balanced_accuracy"]


def test_documents_are_asked_for_where_they_are_needed(run: Run, gold: Path) -> None:
    folder = gold.parent / "run"
    code, _, err = run("agreement", "--gold", gold, "--documents", gold)
    assert code == 2
    assert "goes with annotations" in err
    assert run("import", gold, "--set", f"run.dir={folder}")[0] == 0
    people = folder / "annotations.jsonl"
    code, _, err = run("agreement", "--gold", people, "--set", f"run.dir={gold.parent}/none")
    assert code == 2
    assert "documents.jsonl: not found" in err
    assert "--documents FILE" in err


# Judges


def strict_config(tmp_path: Path) -> Path:
    """A run config whose judge hardly ever says hallucinated."""
    path = tmp_path / "strict.yaml"
    path.write_text("annotate:\n  judge: lexical\n  lexical:\n    threshold: 1.0\n")
    return path


def test_a_judge_of_a_run_config(measure: Measure, tmp_path: Path) -> None:
    strict = measure("--judge", strict_config(tmp_path))
    assert strict["recall_hallucinated"] == 0.0
    assert strict["baselines"]["lexical"]["recall_hallucinated"] > 0.9
    same = measure("--config", strict_config(tmp_path))
    assert same == strict
    loosened = measure(
        "--judge", strict_config(tmp_path), "--set", "annotate.lexical.threshold=0.5"
    )
    assert loosened == measure("--judge", "lexical")


def test_verdicts_made_earlier_are_a_judge(measure: Measure, tmp_path: Path) -> None:
    verdicts = tmp_path / "verdicts.jsonl"
    first = measure("--annotations-output", verdicts)
    again = measure("--judge", verdicts)
    assert again == first
    assert json.loads((tmp_path / "verdicts.jsonl.meta.json").read_text())["models"] == {
        "judge": "lexical"
    }


def test_verdicts_of_annotate_are_a_judge(run: Run, measure: Measure, gold: Path) -> None:
    folder = gold.parent / "run"
    assert run("import", gold, "--set", f"run.dir={folder}")[0] == 0
    responses = [
        {key: value for key, value in row.items() if key != "sentences"}
        for row in read_lines(folder / "annotations.jsonl")
    ]
    write_lines(folder / "responses.jsonl", responses)
    judged = folder / "judged.jsonl"
    arguments = ("--set", f"run.dir={folder}", "--output", judged)
    assert run("annotate", *arguments)[0] == 0
    assert measure("--judge", judged) == measure()


def test_verdicts_count_only_for_the_very_same_sentences(
    run: Run, measure: Measure, gold: Path, tmp_path: Path
) -> None:
    verdicts = tmp_path / "verdicts.jsonl"
    measure("--annotations-output", verdicts)
    rows = read_lines(verdicts)
    rows.pop(0)  # g0: not in the file
    rows[0]["text"] = rows[0]["text"].replace("米", "未")  # g1: another text
    rows[1]["sentences"][0]["end"] += 1  # g2: only white space more
    whole = rows[3]["sentences"]
    rows[3]["sentences"] = [whole[0] | {"end": whole[1]["end"]}]  # g4: one sentence, not two
    changed = write_lines(tmp_path / "changed.jsonl", rows)
    values = measure("--judge", changed)
    reasons = {"no_matching_span": 2, "not_in_file": 2, "text_differs": 2}
    assert values["abstentions"] == reasons
    assert values["num_decided"] == 28 - 6
    _, out, err = run("agreement", "--gold", gold, "--judge", changed)
    assert "lexical left 6 sentences undetermined: no_matching_span 2, not_in_file" in out
    assert "read from changed.jsonl (13 responses)" in err


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("lexicla", None, "'judge' is 'lexicla'"),
        ("absent.yaml", None, "absent.yaml: not found; a judge is a name, a run config"),
        ("absent.jsonl", None, "absent.jsonl: not found"),
        ("bad.yaml", "annotate: {jugde: lexical}", "did you mean 'judge'?"),
        ("empty.jsonl", "", "empty.jsonl: holds no rows"),
        ("gold.jsonl", None, "unknown key 'group'"),
        ("other.jsonl", "other", "other.jsonl: holds none of the 14 labelled responses"),
    ],
)
def test_a_judge_that_is_none_ends_with_2(
    run: Run, measure: Measure, gold: Path, *, name: str, content: str | None, expected: str
) -> None:
    path = gold.parent / name
    if content == "other":
        measure("--annotations-output", path)
        write_lines(path, [row | {"id": f"x{row['id']}"} for row in read_lines(path)])
    elif content is not None:
        path.write_text(content)
    code, _, err = run("agreement", "--gold", gold, "--judge", path if "." in name else name)
    assert code == 2
    assert expected in err


# Two judges


def test_two_judges_are_compared(run: Run, measure: Measure, gold: Path, tmp_path: Path) -> None:
    strict = strict_config(tmp_path)
    values = measure("--compare", "lexical", strict)
    assert values["judge"] == "lexical (settings)"
    assert values["compared_with"]["judge"] == "lexical (strict.yaml)"
    found = values["comparison"]
    assert found["difference"] == pytest.approx(
        values["balanced_accuracy"] - values["compared_with"]["balanced_accuracy"]
    )
    assert found["low"] > 0
    assert found["p"] < 0.01
    assert (found["num_first_better"], found["num_second_better"]) == (14, 0)
    assert found["mcnemar_p"] == pytest.approx(2 * 0.5**14)
    assert "respects groups" in found["note"]
    swapped = measure("--compare", strict, "lexical")["comparison"]
    assert swapped["difference"] == -found["difference"]
    _, out, _ = run("agreement", "--gold", gold, "--compare", "lexical", strict)
    assert "A = lexical (settings), B = lexical (strict.yaml)" in out
    assert "A alone has right 14, B alone 0" in " ".join(out.split())
    assert "not within a group" in " ".join(out.split())
    assert max(len(line) for line in out.splitlines()) <= 80


def test_stored_verdicts_are_compared_under_names_of_their_own(
    measure: Measure, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    measure("--annotations-output", one)
    measure("--judge", strict_config(tmp_path), "--annotations-output", other)
    values = measure("--compare", one, other)
    assert values["judge"] == "lexical (one.jsonl)"
    assert (
        values["comparison"]
        == measure("--compare", "lexical", strict_config(tmp_path))["comparison"]
    )
    itself = measure("--compare", one, one)
    assert (itself["judge"], itself["compared_with"]["judge"]) == ("lexical (A)", "lexical (B)")
    assert (itself["comparison"]["difference"], itself["comparison"]["mcnemar_p"]) == (0.0, 1.0)


# What is written and shown


def test_disagreements_are_listed_and_printed(run: Run, gold: Path, tmp_path: Path) -> None:
    listed = tmp_path / "disagreements.jsonl"
    code, out, err = run("agreement", "--gold", gold, "--disagreements", listed)
    assert code == 0
    assert f"wrote {listed}" in err
    (row,) = read_lines(listed)
    assert (row["response_id"], row["start"], row["end"]) == ("g14", 0, 32)
    assert row["text"] == "Mira Tolvan was born in Karsted."
    assert (row["people_label"], row["judge_label"]) == ("hallucinated", "no_hallucination")
    assert row["confidence"] == 0.98
    assert row["evidence"][0]["text"] == "Mira Tolvan was born in Karsted."
    assert "lexical differs from people on 1 of 28 decided sentences" in out
    assert "g14 [0, 32)" in out
    _, out, _ = run("agreement", "--gold", gold, "--show", "0")
    assert "differs from people on 1 of 28" in out
    assert "g14" not in out


def test_the_terminal_shows_lines_slices_and_confidence(run: Run, gold: Path) -> None:
    code, out, _ = run("agreement", "--gold", gold)
    assert code == 0
    for words in ("majority", "overlap", "lexical by source", "small ! n=2", "lexical by language"):
        assert words in out
    assert "!: fewer than 20 sentences" in out
    assert "It ranks verdicts and is not a probability: AUROC" in " ".join(out.split())
    assert "expected calibration error" not in out
    assert "28 sentences of 14 responses in 14 groups; people call 15 hallucinated" in out
    assert "fewer than 10 groups" not in out
    few = write_lines(gold, [row | {"group": "one"} for row in read_lines(gold)])
    assert "fewer than 10 groups" in run("agreement", "--gold", few)[1]


def evil_verdicts(measure: Measure, tmp_path: Path) -> Path:
    """Verdicts of a judge whose every word is an attack on whoever shows it."""
    path = tmp_path / "evil.jsonl"
    measure("--annotations-output", path)
    rows = read_lines(path)
    for row in rows:
        for sentence in row["sentences"]:
            sentence["verdict"] = {
                "label": "unverifiable",
                "rationale": EVIL,
                "judge": EVIL,
                "confidence": 1.0,
            }
    rows[-1]["sentences"][0]["verdict"] = {"label": "undetermined", "reason": EVIL}
    return write_lines(path, rows)


def test_what_a_judge_says_is_never_obeyed(
    run: Run, measure: Measure, gold: Path, tmp_path: Path
) -> None:
    rows = [
        row | {"source": EVIL + str(i), "id": EVIL + row["id"]}
        for i, row in enumerate(read_lines(gold))
    ]
    write_lines(gold, rows)
    report = tmp_path / "report.html"
    evil = evil_verdicts(measure, tmp_path)
    code, out, err = run("agreement", "--gold", gold, "--judge", evil, "--report", report)
    assert code == 0, err
    assert "[bold]" in out  # shown unchanged, not read as markup
    for letter in ("\x1b", "\u202e"):
        assert letter not in out + err
    _, out, _ = run("agreement", "--gold", gold, "--judge", evil, "--json")
    assert out.isascii()
    page = Page(report.read_text("utf-8"))
    assert not {"script", "img", "iframe", "object", "link"} & set(page.tags)
    assert all(address.startswith("#") for address in page.loads)
    assert "default-src 'none'" in page.text
    assert "&lt;script src=" in page.text


def test_a_probability_is_calibrated_and_a_ranking_is_not(
    run: Run, measure: Measure, gold: Path, tmp_path: Path
) -> None:
    ranked, sure = tmp_path / "ranked.jsonl", tmp_path / "sure.jsonl"
    found = measure("--annotations-output", ranked)["calibration"]
    assert (found["is_ranking"], found["brier_score"], found["bins"]) == (True, None, [])
    sure.write_text(ranked.read_text("utf-8").replace('"lexical"', '"votes"'), "utf-8")
    other = measure("--judge", sure)["calibration"]
    assert (other["is_ranking"], len(other["bins"])) == (False, 10)
    assert other["auroc"] == found["auroc"]
    report = tmp_path / "report.html"
    code, out, _ = run("agreement", "--gold", gold, "--judge", sure, "--report", report)
    assert code == 0
    assert "expected calibration error" in out
    page = Page(report.read_text("utf-8"))
    assert "expected calibration error" in page.text
    assert page.tags.count("svg") == 3


def test_the_page_holds_pictures_and_says_them_in_words(
    run: Run, gold: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    arguments = ("--compare", "lexical", strict_config(tmp_path), "--report", report)
    code, _, err = run("agreement", "--gold", gold, *arguments)
    assert code == 0, err
    page = Page(report.read_text("utf-8"))
    assert page.tags.count("svg") == page.tags.count("figcaption") == 2
    for words in (
        "A compared with B",
        "exact McNemar",
        "By language",
        "is not a probability: AUROC",
    ):
        assert words in page.text
    before = report.read_bytes()
    run("agreement", "--gold", gold, *arguments)
    assert report.read_bytes() == before


def test_a_page_of_a_judge_without_confidence(
    run: Run, measure: Measure, gold: Path, tmp_path: Path
) -> None:
    path = tmp_path / "silent.jsonl"
    measure("--annotations-output", path)
    rows = read_lines(path)
    for row in rows:
        for sentence in row["sentences"]:
            sentence["verdict"] |= {"confidence": None, "confidence_kind": None}
    write_lines(path, rows)
    report = tmp_path / "report.html"
    code, out, _ = run("agreement", "--gold", gold, "--judge", path, "--report", report)
    assert code == 0
    assert "gives no confidence" in out
    page = Page(report.read_text("utf-8"))
    assert page.tags.count("svg") == 1
    assert "This judge gives no confidence." in page.text


def test_the_lexical_judge_is_listed_once(run: Run, gold: Path, tmp_path: Path) -> None:
    def lines_of(out: str) -> list[str]:
        """First words of the rows of the first table."""
        rows = out.split("\u2500\n", 1)[1].splitlines()
        return [row.split()[0] for row in rows[:4] if not row[:1].isdigit()]

    report = tmp_path / "report.html"
    _, out, _ = run("agreement", "--gold", gold, "--report", report)
    assert lines_of(out) == ["lexical", "majority", "overlap"]
    assert "<td>lexical</td>" not in report.read_text("utf-8")
    # A judge of that name with other settings has other figures: the baseline stays.
    _, out, _ = run("agreement", "--gold", gold, "--judge", strict_config(tmp_path))
    assert lines_of(out) == ["lexical", "majority", "overlap", "lexical"]


def test_nothing_known_is_shown_as_such(run: Run, tmp_path: Path) -> None:
    sentences = [{"start": 0, "end": 32, "label": None}]
    gold = write_lines(tmp_path / "gold.jsonl", [gold_row(0, sentences=sentences)])
    report = tmp_path / "report.html"
    code, out, err = run("agreement", "--gold", gold, "--report", report)
    assert code == 0, err
    assert "0 sentences of 0 responses in 0 groups" in out
    assert "- [-]" in out
    assert "not defined" in report.read_text("utf-8")


class Page(HTMLParser):
    """Tags and the addresses they would load; no attribute may hold a script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "data")]
        assert not any(key.startswith("on") for key, _ in attrs)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--output", "gold.jsonl"), "gold.jsonl is also an input"),
        (("--report", "x", "--disagreements", "x"), "x is also the disagreements file"),
        (("--judge", "verdicts.jsonl", "--output", "verdicts.jsonl"), "is also an input"),
        (("--judge", "lexical", "--compare", "lexical", "lexical"), "give either one judge"),
        (("--compare", "lexical", "lexical", "--annotations-output", "x"), "one judge's verdicts"),
    ],
)
def test_files_are_never_written_over(
    run: Run,
    measure: Measure,
    gold: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(gold.parent)
    measure("--annotations-output", "verdicts.jsonl")
    before = {path.name: path.read_bytes() for path in gold.parent.iterdir()}
    code, _, err = run("agreement", "--gold", "gold.jsonl", *arguments)
    assert code == 2
    assert expected in err
    assert {path.name: path.read_bytes() for path in gold.parent.iterdir()} == before


def test_the_guide_shows_what_comes_out(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of docs/agreement.md, run: its console blocks are what the terminal shows."""
    guide = (Path(__file__).parent.parent / "docs" / "agreement.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    for name, kind in (("labels.jsonl", "json"), ("strict.yaml", "yaml")):
        Path(name).write_text(block_after(guide, f"```{kind}\n"), "utf-8")
    _, out, _ = run("agreement", "--gold", "labels.jsonl")
    assert block_after(guide, "$ maskdpo agreement --gold labels.jsonl\n").strip() == out.strip()
    _, out, _ = run("agreement", "--gold", "labels.jsonl", "--compare", "lexical", "strict.yaml")
    shown = block_after(guide, "--compare lexical strict.yaml\n...\n").strip()
    assert shown.removesuffix("...").strip() in out


def block_after(text: str, start: str) -> str:
    """The text between `start` and the end of its fenced block."""
    return text.split(start, 1)[1].split("```", 1)[0]


def test_a_judge_that_gives_one_label_only_is_reported(tmp_path: Path, run: Run) -> None:
    """Its labels are well formed, so coverage and abstentions say nothing of it."""
    rows = write_lines(tmp_path / "labels.jsonl", [gold_row(n) for n in range(12)])
    made = tmp_path / "made.jsonl"
    assert run("agreement", "--gold", rows, "--annotations-output", made)[0] == 0
    annotations = read_lines(made)
    for annotation in annotations:
        for sentence in annotation["sentences"]:
            sentence["verdict"] = {"label": "unverifiable", "judge": "tiny"}
    write_lines(made, annotations)
    page = tmp_path / "page.html"
    code, _, err = run("agreement", "--gold", rows, "--judge", made, "--report", page)
    assert code == 0, err
    assert "gives only one label, or nearly: 24 of 24 decided sentences are unverifiable" in err
    assert (
        "occur word for word in a document and are labelled as wrong by tiny: 12, for example"
        in err
    )
    assert "gives only one label" in page.read_text("utf-8")
