"""Other formats, both ways: lossless where they allow it, a clear refusal where they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, LABELS, annotation_row, questions, write_annotations
from hypothesis import example, given
from hypothesis import strategies as st

from dataset_builder.build import load_pairs, run_build
from dataset_builder.config import BuildConfig
from formats.export import ExportFormat, run_export
from formats.human_labels import read_human_labels
from formats.import_human_labels import run_import
from formats.import_pairs import run_import_pairs
from formats.published import (
    PublishedItem,
    locate_sentences,
    make_item,
    read_item,
)
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import read_records
from schemas.labels import Label
from schemas.records import Annotation, Failure
from schemas.stage import failures_path

Spans = list[tuple[int, int, Label]]
SAYABLE = st.sampled_from([GOOD, BAD])


def build(tmp_path: Path, rows: list[Any], **settings: Any) -> Path:
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    run_build(BuildConfig(**settings), annotations=source, output=tmp_path / "dataset")
    return tmp_path / "dataset"


# --- the published JSON: one response ----------------------------------------------------------


@st.composite
def texts_with_spans(draw: st.DrawFn, labels: Any = SAYABLE) -> tuple[str, Spans]:
    """Texts of few different sentences, so that most of them repeat; any white space between."""
    sentences = draw(
        st.lists(
            st.sampled_from(["Ja.", "No, no!", "日本。", "J", "a.", "-"]), min_size=1, max_size=8
        )
    )
    text, spans = draw(st.sampled_from(["", " ", "\n"])), []
    for sentence in sentences:
        start = len(text)
        text += sentence
        spans.append((start, len(text), draw(labels)))
        text += draw(st.sampled_from(["", " ", "  ", "\n\n", "\u3000"]))
    return text, spans


def squeeze(item: dict[str, list[str]]) -> dict[str, list[str]]:
    """The item as the published code's sentence splitter leaves it: without its white space."""
    return {**item, "sents": ["".join(sentence.split()) for sentence in item["sents"]]}


@given(response=texts_with_spans())
def test_a_response_comes_back_character_for_character(response: tuple[str, Spans]) -> None:
    text, spans = response
    item = make_item(text, spans)
    assert [text[start:end] for start, end, _ in spans] == item["sents"]
    assert read_item(text, PublishedItem(**item)) == spans
    assert read_item(text, PublishedItem(**squeeze(item))) == spans


@given(
    response=texts_with_spans(labels=LABELS).filter(
        lambda response: any(label not in {GOOD, BAD} for _, _, label in response[1])
    ),
    lossy=st.booleans(),
)
def test_a_label_without_a_word_is_refused_by_name(
    response: tuple[str, Spans], lossy: bool
) -> None:
    text, spans = response
    labels = {label for _, _, label in spans}
    if lossy and Label.UNDETERMINED not in labels:
        types = make_item(text, spans, lossy=True)["type"]
        assert set(types) <= {"hallucination", "no_hallucination"}
        return
    unsayable = {Label.UNDETERMINED} if lossy else labels - {GOOD, BAD}
    with pytest.raises(ValueError, match=r"has no word|no word") as caught:
        make_item(text, spans, lossy=lossy)
    assert any(f"'{label}'" in str(caught.value) for label in unsayable)


@given(
    text=st.text(alphabet="ab \n", max_size=10),
    cuts=st.sets(st.integers(0, 10), max_size=6),
)
@example(text="a a", cuts={2, 3})  # the second of two: the search would find the first
def test_what_is_written_is_always_found_again(text: str, cuts: set[int]) -> None:
    """Spans of any shape, with gaps and loose white space: the same back, or refused."""
    places = sorted(cut for cut in cuts if cut <= len(text))
    spans = [(a, b, GOOD) for a, b in zip(places[::2], places[1::2], strict=False)]
    try:
        item = make_item(text, spans)
    except ValueError:
        return
    back = read_item(text, PublishedItem(**item))
    assert [span for span in back if span[2] is GOOD] == spans


@pytest.mark.parametrize(
    ("text", "sentences", "places"),
    [
        ("Ja. Ja. Ja.", ["Ja.", "Ja.", "Ja."], [(0, 3), (4, 7), (8, 11)]),
        ("One. Two.\n\nThree.", ["One.", "Two.\n\n", "Three."], [(0, 4), (5, 11), (11, 17)]),
        ("A b c. D e.", ["Ab c.", "D  e."], [(0, 6), (7, 11)]),
        ("Skip me. Ja. Ja.", ["Ja.", "Ja."], [(9, 12), (13, 16)]),
        ("x ab. a b.", ["a b."], [(6, 10)]),  # the exact one, not the first but for white space
        ("日本語。です。", ["日本語。", "です。"], [(0, 4), (4, 7)]),
        ("", [], []),
    ],
)
def test_places_are_found_in_order(
    text: str, sentences: list[str], places: list[tuple[int, int]]
) -> None:
    assert locate_sentences(text, sentences) == places


def test_text_that_no_sentence_holds_is_undetermined_and_so_is_an_unknown_type() -> None:
    item = PublishedItem(sents=["Ja.", "Nein."], type=["hallucination", "no_fact"])
    assert read_item("Ja. Skip me. Nein.", item) == [
        (0, 3, BAD),
        (4, 12, Label.UNDETERMINED),
        (13, 18, Label.UNDETERMINED),
    ]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"sents": ["Ja."], "type": []}, "1 'sents' and 0 'type'"),
        ({"sents": ["Nie."], "type": ["hallucination"]}, "is not in the text"),
        ({"sents": ["Ja.", "Ja."], "type": ["hallucination"] * 2}, "after character 3"),
        ({"sents": [" "], "type": ["hallucination"]}, "only white space"),
    ],
)
def test_an_item_that_does_not_fit_its_text_is_told(item: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_item("Ja. Doch.", PublishedItem(**item))


# --- pairs out and in --------------------------------------------------------------------------


def by_id(path: Path) -> dict[str, Annotation]:
    return {row.id: row for row in read_records(path, Annotation)}


def labelled(row: Annotation) -> Spans:
    return [(item.start, item.end, item.verdict.label) for item in row.sentences]


@pytest.mark.parametrize("format_name", [ExportFormat.PUBLISHED, ExportFormat.TRL])
def test_a_data_set_goes_out_and_comes_back(tmp_path: Path, format_name: ExportFormat) -> None:
    folder = build(tmp_path, questions(12), test_share=0.4)
    original = by_id(tmp_path / "annotations.jsonl")
    result = run_export(source=folder, output=tmp_path / "out", format_name=format_name)
    pairs = {split: load_pairs(folder, split) for split in ("train", "test")}
    assert result.counts == {split: len(rows) for split, rows in pairs.items()}
    for split, rows in pairs.items():
        run_import_pairs(
            source=tmp_path / "out" / f"{split}.jsonl",
            annotations=tmp_path / f"{split}.jsonl",
            format_name=format_name,
        )
        back = by_id(tmp_path / f"{split}.jsonl")
        assert set(back) == {name for row in rows for name in (row.chosen_id, row.rejected_id)}
        for name, row in back.items():
            assert row.text == original[name].text
            assert labelled(row) == labelled(original[name])
            assert (row.question_id, row.topic) == (
                original[name].question_id,
                original[name].topic,
            )


def test_pairs_rebuilt_from_the_published_format_are_the_same(tmp_path: Path) -> None:
    folder = build(tmp_path, questions(6), test_share=0.0)
    run_export(source=folder, output=tmp_path / "out", format_name=ExportFormat.PUBLISHED)
    run_import_pairs(
        source=tmp_path / "out" / "train.jsonl",
        annotations=tmp_path / "back.jsonl",
        format_name="published",
    )
    run_build(
        BuildConfig(test_share=0.0), annotations=tmp_path / "back.jsonl", output=tmp_path / "again"
    )
    unsaid = {"policy", "judge"}  # the published format names neither
    assert [row.model_dump(exclude=unsaid) for row in load_pairs(tmp_path / "again", "train")] == [
        row.model_dump(exclude=unsaid) for row in load_pairs(folder, "train")
    ]


def test_a_pair_the_format_cannot_say_is_refused_and_the_others_are_written(
    tmp_path: Path,
) -> None:
    rows = [
        *questions(4),
        annotation_row("u1", [GOOD, Label.UNDETERMINED], question="u"),
        annotation_row("u2", [Label.CONTRADICTORY], question="u"),
    ]
    folder = build(tmp_path, rows, test_share=0.0)
    output = tmp_path / "out"
    result = run_export(source=folder, output=output, format_name=ExportFormat.PUBLISHED)
    assert result.counts == {"train": 4}
    (failure,) = read_records(failures_path(output), Failure)
    assert failure.reason == "cannot_be_said"
    assert failure.detail.startswith("chosen: sentence 1 ")
    assert "'undetermined'" in failure.detail
    result = run_export(source=folder, output=output, format_name=ExportFormat.TRL)
    assert result.counts == {"train": 5}
    assert not failures_path(output).exists()


def test_pairs_of_others_are_read_in_every_layout(tmp_path: Path) -> None:
    user = {"role": "user", "content": "Who?"}
    rows: list[Any] = [
        {"prompt": "Who?", "chosen": "Ada.", "rejected": "Bob."},
        {
            "chosen": [user, {"role": "assistant", "content": "Cid."}],
            "rejected": [user, {"role": "assistant", "content": "Dan."}],
            "score": 7,
            "topic": 3,
        },
        {"prompt": "Who?", "chosen": "Eve."},
        [],
        {"chosen": [{"role": "assistant", "content": "x"}], "rejected": []},
    ]
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{torn}\n")
    result = run_import_pairs(source=source, annotations=tmp_path / "a.jsonl", format_name="trl")
    back = list(by_id(tmp_path / "a.jsonl").values())
    assert [row.text for row in back] == ["Ada.", "Bob.", "Cid.", "Dan."]
    assert {row.prompt[0].content for row in back} == {"Who?"}
    assert len({row.question_id for row in back}) == 1
    assert {s.verdict.label for row in back for s in row.sentences} == {Label.UNDETERMINED}
    failures = read_records(failures_path(tmp_path / "a.jsonl"), Failure)
    assert [row.id for row in failures] == [f"pairs.jsonl:{line}" for line in (3, 4, 5, 6)]
    assert "'rejected' is None" in failures[0].detail
    assert (result.num_rows, len(result.failures)) == (6, 4)


def test_a_json_array_is_read_as_lines_are(tmp_path: Path) -> None:
    folder = build(tmp_path, questions(3), test_share=0.0)
    run_export(source=folder, output=tmp_path / "out", format_name=ExportFormat.PUBLISHED)
    lines = (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    array = tmp_path / "pairs.json"
    array.write_text("[" + ",".join(lines) + "]", encoding="utf-8")
    run_import_pairs(source=array, annotations=tmp_path / "a.jsonl", format_name="published")
    assert len(by_id(tmp_path / "a.jsonl")) == 6


def test_an_id_with_two_texts_is_refused(tmp_path: Path) -> None:
    item = {"sents": ["x"], "type": ["hallucination"]}
    row = {
        "prompt": [{"role": "user", "content": "?"}],
        "chosen": [{"role": "assistant", "content": "x"}],
        "rejected": [{"role": "assistant", "content": "x"}],
        "chosen_item": item,
        "rejected_item": item,
    }
    again = row | {"chosen_id": "r1", "rejected_id": "r2"}
    changed = again | {
        "chosen": [{"role": "assistant", "content": "y"}],
        "chosen_item": {"sents": ["y"], "type": ["hallucination"]},
    }
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(values) + "\n" for values in (again, changed, row)))
    result = run_import_pairs(
        source=source, annotations=tmp_path / "a.jsonl", format_name="published"
    )
    assert [failure.id for failure in result.failures] == ["pairs.jsonl:2"]
    assert "one id must mean one response" in result.failures[0].detail


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.jsonl", None, "cannot be read"),
        ("absent.json", None, "cannot be read"),
        ("empty.jsonl", "", "holds no rows"),
        ("bad.json", "[{", "not valid JSON"),
        ("bad.parquet", "PAR1", "cannot be read as Parquet"),
        ("bad.jsonl", '{"prompt": 1}\n', "'prompt' is 1"),
    ],
)
def test_a_source_that_is_none_is_told_and_nothing_written(
    tmp_path: Path, name: str, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        run_import_pairs(
            source=tmp_path / name, annotations=tmp_path / "a.jsonl", format_name="published"
        )
    assert not (tmp_path / "a.jsonl").exists()


def test_an_export_of_nothing_or_onto_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    folder = build(tmp_path, questions(2), test_share=0.0)
    with pytest.raises(ConfigError, match="is a file"):
        run_export(source=folder, output=tmp_path / "file", format_name=ExportFormat.TRL)
    with pytest.raises(InputError, match="holds no pairs"):
        run_export(source=tmp_path, output=tmp_path / "out", format_name=ExportFormat.TRL)
    assert (tmp_path / "file").read_text() == "mine"


# --- human labels ------------------------------------------------------------------------------


def human_rows() -> list[dict[str, Any]]:
    labels = ["factual", "hallucinated", "no_fact", None]
    text = "One. Two. Three. Four. Five."
    starts = [0, 5, 10, 17]
    return [
        {
            "id": f"r{index}",
            "source": "Someone",
            "language": "en",
            "group": f"g{index // 2}",
            "question": "" if index == 3 else "What?",
            "documents": [{"id": "d", "text": "One."}],
            "response": text,
            "generator": "m",
            "sentences": [
                {"start": start, "end": text.index(".", start) + 1, "label": labels[number]}
                for number, start in enumerate(starts[: index + 1])
            ],
        }
        for index in range(4)
    ]


def test_human_labels_go_out_and_come_back(tmp_path: Path) -> None:
    source = tmp_path / "labels.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in human_rows()))
    paths = {"annotations": tmp_path / "a.jsonl", "documents": tmp_path / "d.jsonl"}
    run_import(source=source, **paths)
    result = run_export(
        source=paths["annotations"],
        output=tmp_path / "back.jsonl",
        format_name=ExportFormat.HUMAN_LABELS,
        documents=paths["documents"],
    )
    assert (result.counts["responses"], result.counts["documents_left_out"]) == (4, 0)
    back = read_human_labels(tmp_path / "back.jsonl")
    assert back == read_human_labels(source)


def test_a_judges_verdict_never_leaves_as_a_persons(tmp_path: Path) -> None:
    person = {"source": "person"}
    rows = [
        annotation_row("judged", [GOOD]),
        annotation_row("kinds", [Label.CONTRADICTORY], verdict=person),
        annotation_row(
            "turns", [GOOD], verdict=person, prompt=[{"role": "system", "content": "x"}]
        ),
        annotation_row("fine", [GOOD, BAD], verdict=person),
    ]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    output = tmp_path / "out.jsonl"
    result = run_export(source=source, output=output, format_name=ExportFormat.HUMAN_LABELS)
    details = {row.id: row.detail for row in result.failures}
    assert "judged by a program (j)" in details["judged"]
    assert "'contradictory'" in details["kinds"]
    assert "one user's message" in details["turns"]
    assert [json.loads(line)["id"] for line in output.read_text().splitlines()] == ["fine"]
    result = run_export(
        source=source, output=output, format_name=ExportFormat.HUMAN_LABELS, lossy=True
    )
    assert [row.id for row in result.failures] == ["judged", "turns"]


# --- the commands ---------------------------------------------------------------------------------


def test_the_verbs_export_and_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskdpo.cli.main import main

    def run(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["maskdpo", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    folder = build(tmp_path, questions(3), test_share=0.0)
    out, back = tmp_path / "out", tmp_path / "back.jsonl"
    assert run("export", "--format", "published", folder, "--output", out) == 0
    assert run("import", "--format", "published", out / "train.jsonl", "--output", back) == 0
    assert len(by_id(back)) == 6
