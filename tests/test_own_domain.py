"""The guide docs/own-domain.md as it is: its commands, its run config, one server for all."""

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import openpyxl
import pytest
from judge_server import ScriptedJudge
from sample_server import ChatServer, as_json, completion

from annotator.judging.domains.domain import load_domain, render_guidance
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Document, Question, Response

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "own-domain.md").read_text(encoding="utf-8")
JUDGE_WORDS = {
    "no_hallucination": "supported",
    "contradictory": "contradicted",
    "unverifiable": "not_mentioned",
    "no_fact": "no_fact",
}

STAGES = [
    *("doctor", "ingest", "questions", "sample", "annotate", "export", "import", "agreement"),
    *("build", "validate"),
]
NAMES = [{"id": name, "root": name} for name in ("my-writer", "my-policy", "my-judge")]

# A word of each document; its questions, each with the quote, a right answer and a wrong one.
WORLD = {
    "lighthouse": [
        ("When was the lighthouse of Ulmen built?", "lighthouse of Ulmen was built in 1871",
         "The lighthouse of Ulmen dates from 1871.", "The lighthouse of Ulmen dates from 1902."),
        ("Who designed the lighthouse of Ulmen?", "designed by Pelle Marand",
         "Pelle Marand designed the lighthouse.", "Jorun Halv designed the lighthouse."),
    ],
    "Tolvan": [
        ("Where was Mira Tolvan born?", "Mira Tolvan was born in Karsted",
         "Mira Tolvan was born in Karsted.", "Mira Tolvan was born in Sollen."),
        ("What is the profession of Mira Tolvan?", "She works as a baker",
         "Mira Tolvan is a baker.", "Mira Tolvan is a sailor."),
    ],
    "沈月": [
        ("沈月出生在哪里？", "沈月于1901年生于青川", "沈月出生在青川。", "沈月出生在石门。"),
        ("沈月最有名的小说是哪一部？", "《河灯》最为有名", "沈月最有名的小说是《河灯》。",
         "沈月最有名的小说是《山路》。"),
    ],
}  # fmt: skip


def write_papers(folder):
    """A PDF, an HTML page and a Chinese text, one topic each."""
    from reportlab.pdfgen.canvas import Canvas

    folder.mkdir()
    canvas = Canvas(str(folder / "lighthouse.pdf"))
    canvas.drawString(72, 720, "The lighthouse of Ulmen was built in 1871.")
    canvas.drawString(72, 700, "It was designed by Pelle Marand and is 34 metres high.")
    canvas.save()
    page = "<html><head><title>Mira</title></head><body><p>Mira Tolvan was born in Karsted.</p>"
    (folder / "mira.html").write_text(page + "<p>She works as a baker.</p></body></html>")
    text = "沈月于1901年生于青川。她写了三部小说，《河灯》最为有名。"
    (folder / "沈月.txt").write_text(text, encoding="utf-8")


class Models:
    """Writer, policy and judge behind one address, distinguished by the model that is asked for."""

    def __init__(self, domain):
        self.counts = Counter()
        self._turns = Counter()
        self._lock = threading.Lock()
        self._answers = {q: (good, bad) for items in WORLD.values() for q, _, good, bad in items}
        truths = {example.sentence: (example.label, example.document) for example in domain}
        truths = {
            sentence: (JUDGE_WORDS[label], document if label != "no_fact" else "")
            for sentence, (label, document) in truths.items()
        }
        for items in WORLD.values():
            for _, quote, good, bad in items:
                truths |= {good: ("supported", quote), bad: ("contradicted", quote)}
        self._judge = ScriptedJudge(truths)

    def __call__(self, body):
        with self._lock:
            self.counts[body["model"]] += 1
        match body["model"]:
            case "my-writer":
                return completion(self._write(body["messages"][-1]["content"]))
            case "my-policy":
                return completion(self._respond(body["messages"][-1]["content"]))
            case "my-judge":
                return self._judge(body)
        return as_json(404, {"error": "no such model"})

    def _write(self, prompt):
        items = next(items for word, items in WORLD.items() if word in prompt)
        asked = [{"question": question, "quote": quote} for question, quote, *_ in items]
        return json.dumps({"questions": asked}, ensure_ascii=False)

    def _respond(self, question):
        """Right and wrong in turn."""
        with self._lock:
            self._turns[question] += 1
            return self._answers[question][self._turns[question] % 2]


@pytest.fixture
def run_line(tmp_path, monkeypatch):
    """Run a command line of the guide as it is printed, in a folder outside the clone."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    call = "from maskdpo.cli.main import main; main()"
    script = f"#!/bin/sh\nexec '{sys.executable}' -c '{call}' \"$@\"\n"
    (binaries / "maskdpo").write_text(script)
    (binaries / "maskdpo").chmod(0o755)
    folder = tmp_path / "my-domain"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
    environment.pop("OPENAI_API_KEY", None)

    def run(line):
        assert line.startswith("maskdpo ")
        done = subprocess.run(
            line, shell=True, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    return run


def fill_sheet(folder):
    """A person's labels: theirs are what is true."""
    right = {good for items in WORLD.values() for _, _, good, _ in items}
    book = openpyxl.load_workbook(folder / "to_check.xlsx")
    sheet = book["sentences"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    for row in range(2, sheet.max_row + 1):
        is_right = sheet.cell(row, columns["text"]).value in right
        label = "no_hallucination" if is_right else "contradictory"
        sheet.cell(row, columns["person_label"]).value = label
    book.save(folder / "checked.xlsx")
    return sheet.max_row - 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the guide is written for a POSIX shell")
def test_the_guide_from_a_folder_of_pdf_html_and_chinese_to_a_data_set(run_line):
    folder = Path.cwd()
    write_papers(folder / "papers")
    lines = re.findall(r"^\$ (maskdpo .*)$", GUIDE, re.M)
    lines = [line for line in lines if not line.startswith("maskdpo forget ")]
    verbs = [line.split()[1] for line in lines]
    assert [verb for verb in verbs if verb != "domain"] == STAGES
    outputs = {lines[0]: run_line(lines[0])}
    domain = load_domain(folder / "configs" / "domains" / "mine.yaml")
    models = Models(domain.examples)
    with ChatServer(models, models=as_json(200, {"data": NAMES})) as server:
        settings = re.search(r"```yaml\n(.*?)```", GUIDE, re.S)[1]
        settings = re.sub(r"http://127\.0\.0\.1:800[01]/v1", server.base_url, settings)
        (folder / "mine.yaml").write_text(settings)
        num_rows = 0
        for line in lines[1:]:
            if " import " in line:
                num_rows = fill_sheet(folder)
            outputs[line] = run_line(line)
        judged = [a.body for a in server.asked if a.body["model"] == "my-judge"]
    run = folder / "runs" / "mine"
    documents = read_records(run / "documents.jsonl", Document)
    assert sorted(item.language for item in documents) == ["en", "en", "zh"]
    assert {Path(item.source).suffix for item in documents} == {".pdf", ".html", ".txt"}
    questions = read_records(run / "questions.jsonl", Question)
    assert Counter(item.language for item in questions) == {"en": 4, "zh": 2}
    assert len(read_records(run / "responses.jsonl", Response)) == 24
    check_annotations(run, {item.id: item.text for item in documents})
    assert num_rows == 12  # each answer was given twice and is shown once
    systems = {body["messages"][0]["content"] for body in judged}
    guided = {text for text in systems if text.endswith(render_guidance(domain))}
    assert len(guided) == 2  # English and Chinese prompts; the dry run has its own guidance
    assert len(systems) == 3
    check_outputs(outputs, run)


def check_annotations(run, texts):
    """Every sentence has the label of its truth, and a decided one a quote that is there."""
    right = {good for items in WORLD.values() for _, _, good, _ in items}
    for annotation in read_records(run / "annotations.jsonl", Annotation):
        assert len(annotation.sentences) == 1
        verdict = annotation.sentences[0].verdict
        wanted = "no_hallucination" if annotation.text in right else "contradictory"
        assert (annotation.text, verdict.label) == (annotation.text, wanted)
        quotes = {quote for items in WORLD.values() for _, quote, *_ in items}
        for place in verdict.evidence:
            assert texts[place.document_id][place.start : place.end] in quotes
        assert verdict.evidence


def check_outputs(outputs, run):
    """What the commands printed, and the data set at the end."""
    said = {line.split()[1]: text for line, text in outputs.items()}
    assert "3 of 3 as the examples say" in said["domain"]
    assert re.search(r"annotations +1\.000|my-judge +1\.000", said["agreement"]), said["agreement"]
    assert "label_no_hallucination 12" in said["annotate"]
    assert "label_contradictory 12" in said["annotate"]
    assert (run / "dataset" / "manifest.json").exists()
    assert "(rows: pairs/train" in said["validate"]
    card = (run / "dataset" / "README.md").read_text(encoding="utf-8")
    section = card.split("## Agreement with people")[1].split("\n## ")[0]
    assert "was not measured" not in section
    assert "my-judge" in section
