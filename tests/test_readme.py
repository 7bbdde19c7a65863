"""README.md is true: its Python example and its walk-through run, and print what it shows."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from judge_server import ScriptedJudge
from sample_server import ChatServer, as_json, completion
from tiny_models import save_model_folder

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
WALK = PAGE.split("## From files to a trained model")[1].split("\n## ")[0]
COMMANDS = [
    *("ingest", "questions", "sample", "annotate", "show", "build", "train"),
]
PEOPLE = [
    ("Mira Tolvan", "Karsted", "baker", "1951"),
    ("Oren Falk", "Uldinas", "teacher", "1984"),
    ("Ida Brenn", "Sollen", "sailor", "1933"),
    ("Pelle Marand", "Ulmen", "builder", "1871"),
    ("Jorun Halv", "Ostrand", "painter", "1902"),
]


class Judge(ScriptedJudge):
    """Gives the reasons that the page shows."""

    def verdict(self, text):
        verdict = super().verdict(text)
        agrees = verdict["label"] == "supported"
        return {**verdict, "reason": f"the document says {'so' if agrees else 'something else'}"}


class Model:
    """One model as writer, policy and judge. Each third answer to a question is wrong."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts = Counter()
        self._questions, self._answers, truths = {}, {}, {}
        for name, town, work, year in PEOPLE:
            last = name.split()[-1]
            born, works = f"{name} was born in {town} in {year}", f"{last} works as a {work}"
            since = f"{last} was born in {year}."
            where, what = f"Where was {name} born?", f"What is the profession of {name}?"
            self._questions[name] = [(where, born), (what, works)]
            self._answers[where] = (f"{name} was born in {town}.", f"{name} was born in Paris.")
            self._answers[what] = (f"{works}.", f"{last} works as a judge.")
            quotes = {where: born, what: f"{works} and keeps two goats"}
            for question, (right, wrong) in [(q, self._answers[q]) for q in (where, what)]:
                truths[right] = ("supported", quotes[question])
                truths[wrong] = ("contradicted", quotes[question])
            truths[since] = ("supported", born)
            self._answers[where] = tuple(f"{one} {works}." for one in self._answers[where])
            self._answers[what] = tuple(f"{one} {since}" for one in self._answers[what])
        self._judge = Judge(truths)

    def __call__(self, body):
        last = body["messages"][-1]["content"]
        if "<sentence" in json.dumps(body["messages"]):
            return self._judge(body)
        if last in self._answers:
            with self._lock:
                self._counts[last] += 1
                return completion(self._answers[last][self._counts[last] % 3 == 0])
        asked = next(items for name, items in self._questions.items() if name in last)
        rows = [{"question": question, "quote": quote} for question, quote in asked]
        return completion(json.dumps({"questions": rows}))


def steps():
    """(command line, what the page shows of its output) of the walk-through."""
    shown = "\n".join(re.findall(r"```console\n(.*?)```", WALK, re.S)[1:])
    return re.findall(r"^\$ maskdpo (.*)\n((?:(?!\$ ).*\n)*)", shown, re.M)


def run(arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "maskdpo", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def check_output(line, shown, printed):
    """Each line that the page shows was printed; one that ends with ... is only a beginning.

    Of `train` only the words count: its numbers of tokens depend on the model's tokenizer.
    """
    if line.startswith("train"):
        shown, printed = (re.sub(r"\d[\d,]*", "N", text) for text in (shown, printed))
    for wanted in shown.splitlines():
        begin = wanted.removesuffix("...")
        found = [one for one in printed.splitlines() if one.startswith(begin)]
        assert found if begin != wanted else wanted in found, (line, wanted, printed)


@pytest.mark.slow
def test_the_walk_through_from_files_to_a_trained_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "papers").mkdir()
    for name, town, work, year in PEOPLE:
        text = (
            f"{name} was born in {town} in {year}. {name.split()[-1]} works as a {work} and keeps"
        )
        (tmp_path / "papers" / f"{name.lower().replace(' ', '-')}.txt").write_text(
            f"{text} two goats.\n"
        )
    policy = save_model_folder(tmp_path / "my-model")
    settings = re.search(r"```yaml\n(.*?)```", WALK, re.S)[1]
    assert "judge: llm" in settings and "protocol: " in settings
    assert [line.split()[0] for line, _ in steps()] == COMMANDS
    names = as_json(200, {"data": [{"id": "my-model", "root": "my-model"}]})
    with ChatServer(Model(), models=names) as server:
        settings = settings.replace("http://127.0.0.1:8000/v1", server.base_url)
        (tmp_path / "run.yaml").write_text(settings)
        for line, shown in steps():
            printed = run([word.replace("/path/to/my-model", str(policy)) for word in line.split()])
            check_output(line, shown, printed)


def test_the_python_example():
    code, output = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.S).groups()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == output
