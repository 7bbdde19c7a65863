"""A checked sheet as gold: people's corrections of annotations, against the verdicts as made."""

import hashlib
import json

import pytest

from maskdpo.agreement.gold import read_gold
from maskdpo.cli import main
from schemas.errors import InputError
from schemas.labels import Label

TEXT = "A right one. A wrong one. Nobody looked."


def write_lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def verdict(label):
    return {"label": label, "judge": "j"}


def correction(name, start, end, label, text=TEXT):
    return {
        "response_id": name,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "start": start,
        "end": end,
        "spans": [{"start": start, "end": end, "label": label}],
        "who": "me",
        "when": "2026-01-31T12:00Z",
    }


@pytest.fixture
def files(tmp_path):
    places = [(0, 12), (13, 25), (26, 40)]
    rows = [
        {
            "id": name,
            "question_id": "q",
            "topic": "t",
            "prompt": [{"role": "user", "content": "?"}],
            "text": TEXT,
            "sentences": [
                {"start": start, "end": end, "verdict": verdict("no_hallucination")}
                for start, end in places
            ],
        }
        for name in ("a", "b", "unchecked")
    ]
    write_lines(tmp_path / "annotations.jsonl", *rows)
    write_lines(tmp_path / "documents.jsonl", {"id": "d", "topic": "t", "text": "A right one."})
    return tmp_path


def read(folder):
    return read_gold(
        folder / "corrections.jsonl",
        documents=None,
        default_documents=folder / "documents.jsonl",
        annotations=folder / "annotations.jsonl",
    )


def test_only_what_people_looked_at_is_gold(files):
    write_lines(
        files / "corrections.jsonl",
        correction("a", 0, 12, "no_hallucination"),
        correction("b", 13, 25, "contradictory"),
        correction("b", 0, 12, "contradictory", text="another text"),
        correction("gone", 0, 12, "contradictory"),
    )
    gold = read(files)
    labels = {
        (item.id, s.start): s.verdict.label
        for item in gold.annotations
        for s in item.sentences
        if s.verdict.label is not Label.UNDETERMINED
    }
    assert labels == {("a", 0): Label.NO_HALLUCINATION, ("b", 13): Label.CONTRADICTORY}
    assert all(item.document_ids == ["d"] for item in gold.annotations)
    assert gold.num_refused == 2 and "2 corrections" in gold.notes()[0]


def test_the_verdicts_that_were_checked_are_measured_without_asking(files, monkeypatch, capsys):
    write_lines(
        files / "corrections.jsonl",
        correction("a", 0, 12, "no_hallucination"),
        correction("b", 13, 25, "contradictory"),
    )
    arguments = ["--gold", "corrections.jsonl", "--judge", "annotations.jsonl", "--json"]
    monkeypatch.chdir(files)
    monkeypatch.setattr("sys.argv", ["maskdpo", "agreement", *arguments, "--set", "run.dir=."])
    main()
    result = json.loads(capsys.readouterr().out)
    assert (result["num_sentences"], result["recall_factual"]) == (2, 1.0)
    assert result["recall_hallucinated"] == 0.0


def test_corrections_of_other_responses_are_an_error(files):
    write_lines(files / "corrections.jsonl", correction("gone", 0, 12, "contradictory"))
    with pytest.raises(InputError, match="no correction is of a response in"):
        read(files)
    (files / "annotations.jsonl").unlink()
    with pytest.raises(InputError, match="holds corrections of annotations"):
        read(files)
