"""The pair that a card quotes: chosen by the data alone, escaped, and gone when it is forgotten."""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations
from command_line import Run, make_run
from markdown_it import MarkdownIt

from dataset_builder.config import BuildConfig
from maskdpo.publishing.card_merge import merge_cards
from maskdpo.publishing.dataset import build_dataset
from maskdpo.publishing.markdown import (
    compose_card,
    is_plain_code,
    join_card,
    section_lines,
    split_card,
)
from maskdpo.publishing.model_card import ModelFacts
from maskdpo.publishing.privacy import holds_private, text_faults
from maskdpo.publishing.push import PushOptions, run_push
from schemas.errors import InputError
from schemas.labels import Label

CONFIG = BuildConfig(test_share=0.0, near_duplicate=0.0)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(monkeypatch, capsys)


def build(folder: Path, rows: list[dict[str, Any]], config: BuildConfig = CONFIG) -> Path:
    annotations = write_annotations(folder / "annotations.jsonl", rows)
    return build_dataset(config, annotations=annotations, output=folder / "dataset").output


def example_of(folder: Path) -> str:
    card = split_card((folder / "README.md").read_text(encoding="utf-8"))
    return next((part.text for part in card.segments if part.name == "example"), "")


def question(
    name: str, chosen: list[Label], rejected: list[Label], **changes: Any
) -> list[dict[str, Any]]:
    return [
        annotation_row(f"{name}/a", chosen, question=name, **changes),
        annotation_row(f"{name}/b", rejected, question=name, **changes),
    ]


def test_a_card_shows_a_pair_with_what_trains_and_what_is_masked(tmp_path: Path) -> None:
    rows = question("q1", [GOOD, BAD, GOOD], [GOOD, Label.CONTRADICTORY, Label.NO_FACT])
    example = example_of(build(tmp_path, rows))
    assert "Question: What of q1?" in example
    assert "**Chosen**, response `q1/a`, score 0.67: 2 of 3 sentences train." in example
    assert "| ✓ | Sentence 0 of q1/a. | no hallucination | trains |" in example
    assert "| ✗ | Sentence 1 of q1/a. | hallucinated | masked |" in example
    assert "**Rejected**, response `q1/b`, score 0.50: 1 of 3 sentences train." in example
    assert "| ✓ | Sentence 0 of q1/b. | no hallucination | masked |" in example
    assert "| ✗ | Sentence 1 of q1/b. | contradictory | trains |" in example
    assert "| – | Sentence 2 of q1/b. | no fact | masked |" in example
    html = MarkdownIt("commonmark").enable("table").render(example)
    assert html.count("<table>") == 2


def test_a_weight_that_is_no_switch_is_shown(tmp_path: Path) -> None:
    rows = question(
        "q1", [GOOD, BAD], [BAD], verdict={"confidence": 0.75, "confidence_kind": "votes"}
    )
    config = BuildConfig(test_share=0.0, near_duplicate=0.0, weighting="confidence")
    assert "| trains, weight 0.75 |" in example_of(build(tmp_path, rows, config))


def test_the_first_pair_that_shows_masks_on_both_sides_is_taken(tmp_path: Path) -> None:
    plain = question("q1", [GOOD], [BAD])
    half = question("q2", [GOOD, GOOD, BAD], [BAD])
    full = question("q3", [GOOD, GOOD, BAD], [GOOD, BAD])
    more = question("q4", [GOOD, GOOD, BAD], [GOOD, BAD])
    for number, (rows, wanted) in enumerate(
        [
            (plain, "q1/a"),
            (plain + half, "q2/a"),
            (plain + half + full, "q3/a"),
            (plain + full + more + half, "q3/a"),
        ]
    ):
        assert f"response `{wanted}`" in example_of(build(tmp_path / str(number), rows))


@pytest.mark.parametrize(
    "texts",
    [
        ["x" * 901 + ".", "Yes."],
        ["It is in /home/ana/notes.txt.", "Yes."],
        ["The key is sk-abcdefghijklmnopqrstuvwxyz0123456789.", "Yes."],
        ["Open http://127.0.0.1:8000/x now.", "Yes."],
    ],
)
def test_a_pair_that_a_card_must_not_hold_is_not_taken(tmp_path: Path, texts: list[str]) -> None:
    bad = question("q1", [GOOD, BAD], [GOOD, BAD, BAD])
    bad[0] = annotation_row("q1/a", [GOOD, BAD], question="q1", texts=texts)
    assert example_of(build(tmp_path / "alone", bad)) == ""
    rows = bad + question("q2", [GOOD], [BAD])
    folder = build(tmp_path / "both", rows)
    assert "response `q2/a`" in example_of(folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert text_faults("README.md", card, allowed=frozenset()) == []


@pytest.mark.parametrize("name", ["q`1", "q|1", "q  1"])
def test_a_response_that_a_search_would_not_find_is_not_taken(tmp_path: Path, name: str) -> None:
    assert not is_plain_code(name)
    assert is_plain_code("q1-" + "x" * 500)
    assert example_of(build(tmp_path, question(name, [GOOD], [BAD]))) == ""


def test_a_quoted_sentence_is_no_markup(tmp_path: Path) -> None:
    evil = [
        "| a | b |\n\n# Title\n<script>alert(1)</script> <img src=x onerror=y>.",
        "[click](javascript:alert(1)) ![x](http://h/p.png) **bold** `code` "
        "<!-- maskdpo:end example -->.",
    ]
    rows = question("q1", [GOOD, BAD], [BAD, BAD], texts=evil)
    rows[1] = annotation_row("q1/b", [BAD, BAD], question="q1", texts=evil[::-1])
    rows[0]["prompt"] = rows[1]["prompt"] = [{"role": "user", "content": "\n".join(evil)}]
    folder = build(tmp_path, rows)
    example = example_of(folder)
    html = MarkdownIt("commonmark").enable("table").render(example)
    assert "alert(1)" in html
    for tag in ("<script", "<img", "<a ", "<strong>bold", "<h1", "<!--"):
        assert tag not in html
    assert html.count("<tr>") == 2 * (1 + 2)


def test_two_builds_quote_the_same_pair(tmp_path: Path) -> None:
    one = build(tmp_path / "1", questions(20))
    other = build(tmp_path / "2", questions(20))
    assert example_of(one) == example_of(other) != ""


def test_names_of_this_machine_are_words_in_a_quote_and_names_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "tolvan")
    card = compose_card({}, {"summary": "Two pairs.", "example": "Who is Mira Tolvan?\n\nAh."})
    lines = section_lines(card, "example")
    assert [card.splitlines()[number - 1] for number in lines] == ["Who is Mira Tolvan?", "", "Ah."]
    assert section_lines(card, "none") == range(0)
    (fault,) = text_faults("README.md", card, allowed=frozenset())
    assert "this machine's user" in str(fault)
    assert text_faults("README.md", card, allowed=frozenset(), data_lines=lines) == []
    named = card.replace("Two pairs.", "Pairs of tolvan.").replace("Ah.", "See /home/x/y.")
    found = text_faults("README.md", named, allowed=frozenset(), data_lines=lines)
    assert [named.splitlines()[(fault.line or 0) - 1] for fault in found] == [
        "Pairs of tolvan.",
        "See /home/x/y.",
    ]
    assert holds_private("See /home/x/y.")
    assert not holds_private("Who is Mira Tolvan?")


@pytest.mark.parametrize(("asked", "is_sent"), [("Mira Tolvan", True), ("Mira", False)])
def test_a_push_checks_all_of_a_card_but_its_quote_for_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, is_sent: bool
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "tolvan")
    rows = question("q1", [GOOD, BAD], [BAD])
    for row in rows:
        row["prompt"] = [{"role": "user", "content": f"Who is {asked}?"}]
    config = BuildConfig(license="mit", title="Pairs" if is_sent else "Pairs of Tolvan")
    folder = build(tmp_path, rows, config)
    assert f"Question: Who is {asked}?" in example_of(folder)
    options = PushOptions(repo="some-org/pairs", dry_run=True)
    if is_sent:
        assert run_push(folder, options, ModelFacts()).commit is None
    else:
        with pytest.raises(InputError, match="this machine's user"):
            run_push(folder, options, ModelFacts())


def test_a_push_replaces_the_quote_even_where_it_was_edited() -> None:
    theirs = compose_card({}, {"summary": "Old.", "example": "A forgotten sentence."})
    edited = theirs.replace("A forgotten sentence.", "A forgotten sentence, edited.")
    ours = split_card(compose_card({}, {"summary": "New.", "example": "Another."}))
    merged = merge_cards(ours, split_card(edited.replace("Old.", "Old, edited.")))
    text = join_card(merged.card)
    assert "forgotten" not in text
    assert "Another." in text
    assert "Old, edited." in text  # what is no quote is a person's
    assert merged.kept == ["section 'summary'"]
    without = merge_cards(split_card(compose_card({}, {"summary": "New."})), split_card(edited))
    assert "forgotten" not in join_card(without.card)
    gone = re.sub(r"(?s)<!-- maskdpo:begin example.*end example -->", "", theirs)
    assert "Another." not in join_card(merge_cards(ours, split_card(gone)).card)


def test_a_forgotten_response_is_found_in_the_card_and_leaves_it(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    rows = question("q1", [GOOD, BAD], [GOOD, BAD, BAD]) + question("q2", [GOOD, BAD], [BAD])
    responses = [{key: row[key] for key in row if key != "sentences"} for row in rows]
    write_annotations(folder / "responses.jsonl", responses)
    write_annotations(folder / "annotations.jsonl", rows)
    settings = ["--set", f"run.dir={folder}", "--set", "build.test_share=0"]
    settings += ["--set", "build.near_duplicate=0"]
    assert run("build", "--no-plots", *settings)[0] == 0
    assert "response `q1/a`" in example_of(folder / "dataset")
    page = tmp_path / "mine" / "pairs.html"
    assert run("show", folder / "dataset", "--html", page)[0] == 0
    code, out, _ = run("forget", "--response", "q1/a", *settings)
    assert code == 0
    assert str(folder / "dataset" / "README.md") in out
    assert str(page) in out
    code, _, err = run("build", "--no-plots", *settings)
    assert code == 0, err
    card = (folder / "dataset" / "README.md").read_text(encoding="utf-8")
    assert "q1/a" not in card
    assert "of q1/a." not in json.dumps(card)
    assert "response `q2/a`" in example_of(folder / "dataset")
