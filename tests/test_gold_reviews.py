"""People's reviews of annotations as gold: conflicts, blindness, and agreement between people."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from annotator.agreement.gold import Gold, read_gold
from maskdpo.cli.main import main
from schemas.errors import InputError
from schemas.labels import Label

TEXT = "A right one. A wrong one. Nobody looked."
PLACES = [(0, 12), (13, 25), (26, 40)]
NUMBERS = itertools.count()


def write_lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def correction(name: str, start: int, end: int, label: str, text: str = TEXT) -> dict[str, Any]:
    """A row of earlier versions."""
    return {
        "response_id": name,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "start": start,
        "end": end,
        "spans": [{"start": start, "end": end, "label": label}],
        "who": "me",
        "when": "2026-01-31T12:00Z",
    }


def review(name: str, number: int, label: str | None, **changed: Any) -> dict[str, Any]:
    """A review of sentence `number`; without a label it has no spans."""
    start, end = PLACES[number]
    text = texts_of(name)
    values = correction(name, start, end, label or "", text) | {
        "id": f"r{next(NUMBERS)}",
        "action": "label",
    }
    if label is None:
        values["spans"] = []
    return values | changed


def texts_of(name: str) -> str:
    """One text per response: sentences at the same places, the last letter another."""
    return TEXT[:-2] + name[0] + "."


def annotation(name: str, text: str) -> dict[str, Any]:
    verdict = {"label": "no_hallucination", "judge": "j"}
    return {
        "id": name,
        "question_id": "q",
        "topic": "t",
        "prompt": [{"role": "user", "content": "?"}],
        "text": text,
        "sentences": [{"start": start, "end": end, "verdict": verdict} for start, end in PLACES],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [annotation(name, texts_of(name)) for name in ("a", "b", "c")]
    write_lines(tmp_path / "annotations.jsonl", *rows)
    write_lines(tmp_path / "documents.jsonl", {"id": "d", "topic": "t", "text": "A right one."})
    return tmp_path


def read(folder: Path, *rows: dict[str, Any]) -> Gold:
    return read_gold(
        write_lines(folder / "reviews.jsonl", *rows),
        documents=None,
        default_documents=folder / "documents.jsonl",
        annotations=folder / "annotations.jsonl",
    )


def labels_of(gold: Gold) -> dict[tuple[str, int], Label]:
    return {
        (item.id, sentence.start): sentence.verdict.label
        for item in gold.annotations
        for sentence in item.sentences
        if sentence.verdict.label is not Label.UNDETERMINED
    }


def test_only_what_people_looked_at_is_gold(folder: Path) -> None:
    """Rows of earlier versions among them; reviews of another text or response are left out."""
    gold = read(
        folder,
        correction("a", 0, 12, "no_hallucination", texts_of("a")),
        review("b", 1, "contradictory"),
        correction("b", 0, 12, "contradictory", "another text"),
        review("gone", 0, "contradictory"),
    )
    expected = {("a", 0): Label.NO_HALLUCINATION, ("b", 13): Label.CONTRADICTORY}
    assert labels_of(gold) == expected
    assert gold.num_refused == 2 and "2 reviews" in gold.notes()[0]


def test_what_people_differ_on_is_a_conflict_and_not_gold(folder: Path) -> None:
    gold = read(
        folder,
        review("a", 0, "contradictory", who="Ann"),
        review("a", 0, "no_hallucination", who="Bo"),
        review("a", 1, "contradictory", who="Ann"),
        review("a", 1, "contradictory", who="Bo"),
        review("a", 2, "unverifiable", who="Ann"),
        review("a", 2, "contradictory", who="Bo"),
        review("b", 0, "no_hallucination", who="Bo"),
    )
    assert labels_of(gold) == {
        ("a", 13): Label.CONTRADICTORY,
        ("b", 0): Label.NO_HALLUCINATION,
    }
    assert gold.people is not None
    assert (gold.people.num_people, gold.people.num_conflicts) == (2, 2)
    assert (gold.people.num_compared, gold.people.num_agreed) == (3, 1)
    # Hallucinated or not: Ann 3 of 3, Bo 2 of 3; chance alone agrees on 2 of 3.
    assert gold.people.kappa == pytest.approx(0.0)
    notes = " ".join(gold.notes())
    assert "sentences on which people differ, not used as gold: 2;" in notes
    assert "the same label to 1 of 3 sentences that both decided (0.333)" in notes
    assert "Ann" not in notes


def test_people_are_measured_on_what_each_decided_alone_and_gold_is_what_they_resolved(
    folder: Path,
) -> None:
    rows = [
        review("a", 0, "contradictory", who="Ann", id="a1"),
        review("a", 0, "no_hallucination", who="Bo", id="b1"),
        review("a", 1, "no_fact", who="Ann"),
        review("a", 1, "no_hallucination", who="Bo"),
        review("a", 1, "no_fact", who="Cy"),
        review("b", 1, "contradictory", who="Bo", id="b2"),
        review("b", 1, None, who="Bo", action="withdraw", withdraws="b2"),
        review("a", 0, "contradictory", who="Bo", resolves=["a1", "b1"], when="2026-02-01"),
    ]
    gold = read(folder, *rows)
    people = gold.people
    assert people is not None and labels_of(gold) == {("a", 0): Label.CONTRADICTORY}
    assert (people.num_people, people.num_conflicts) == (3, 1)
    assert (people.num_compared, people.num_agreed) == (4, 1)
    assert people.kappa == pytest.approx(0.0)
    # Units (contradictory, right) and (no_fact, right, no_fact): 5 labels, 1 + 2 + 2 in all.
    assert people.alpha == pytest.approx(1 - 4 * (2 + 2) / (25 - 9))
    assert people.alpha_binary == pytest.approx(1 - 4 * 2 / (25 - 17))
    notes = " ".join(gold.notes())
    assert "Krippendorff's alpha of 3 people: 0.000 over all labels, 0.000 of" in notes


def test_the_last_decision_of_a_person_counts_and_no_decision_counts_for_none(
    folder: Path,
) -> None:
    gold = read(
        folder,
        review("a", 0, "contradictory", who="Ann", round=1),
        review("a", 0, "no_hallucination", who="Ann", round=2),
        review("a", 0, "no_hallucination", who="Bo"),
        review("a", 1, "undetermined", who="Ann"),
        review("a", 1, "contradictory", who="Bo"),
        review("a", 2, None, who="Ann", action="skip"),
        review("a", 2, "contradictory", who="Bo"),
        review("b", 0, None, who="Ann", action="agree"),
    )
    assert gold.people is not None
    assert (gold.people.num_compared, gold.people.num_agreed) == (1, 1)
    assert gold.people.kappa is None and "not defined" in " ".join(gold.notes())
    assert labels_of(gold)["b", 0] is Label.NO_HALLUCINATION


def test_labels_given_with_the_judges_label_in_view_are_counted_apart(folder: Path) -> None:
    gold = read(
        folder,
        review("a", 0, "contradictory", blind=True),
        review("a", 1, "contradictory", blind=True),
        review("b", 0, None, action="agree"),
        review("b", 1, None, action="skip", blind=True),
    )
    assert gold.people is not None
    assert (gold.people.num_blind, gold.people.num_in_view) == (2, 1)
    assert gold.notes()[0].startswith(
        "3 labels of 1 person: 2 blind, 1 with the judge's label in view, which agree"
    )


def test_identical_answers_are_one_gold_row_with_the_labels_of_all(folder: Path) -> None:
    write_lines(folder / "annotations.jsonl", annotation("a1", TEXT), annotation("a2", TEXT))
    rows = [correction("a1", 0, 12, "no_hallucination"), correction("a2", 13, 25, "contradictory")]
    expected = {("a1", 0): Label.NO_HALLUCINATION, ("a1", 13): Label.CONTRADICTORY}
    assert labels_of(read(folder, *rows)) == expected
    rows.append(correction("a2", 0, 12, "contradictory") | {"who": "you"})
    gold = read(folder, *rows)
    assert labels_of(gold) == {("a1", 13): Label.CONTRADICTORY}
    assert gold.people is not None and gold.people.num_conflicts == 1


def test_the_verdicts_that_were_checked_are_measured_without_asking(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(
        folder / "reviews.jsonl",
        review("a", 0, "no_hallucination"),
        review("b", 1, "contradictory"),
        review("b", 2, "contradictory"),
        review("b", 2, "no_hallucination", who="you"),
    )
    arguments = ["--gold", "reviews.jsonl", "--judge", "annotations.jsonl", "--json"]
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["maskdpo", "agreement", *arguments, "--set", "run.dir=."])
    main()
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert (result["num_sentences"], result["recall_factual"]) == (2, 1.0)
    assert result["recall_hallucinated"] == 0.0
    assert result["people"] == {
        "num_people": 2,
        "num_conflicts": 1,
        "num_blind": 0,
        "num_in_view": 4,
        "num_compared": 1,
        "num_agreed": 0,
        "kappa": 0.0,
        "alpha": 0.0,
        "alpha_binary": 0.0,
    }
    assert "sentences on which people differ, not used as gold: 1;" in printed.err


def test_reviews_of_other_responses_are_an_error(folder: Path) -> None:
    with pytest.raises(InputError, match="no review has a label of a response in"):
        read(folder, review("gone", 0, "contradictory"))
    with pytest.raises(InputError, match="no review has a label"):
        read(folder, review("a", 0, None, action="skip"))
    (folder / "annotations.jsonl").unlink()
    with pytest.raises(InputError, match="holds reviews of annotations"):
        read(folder, review("a", 0, "contradictory"))
