"""A person's verdict beats the judge's, and says what it replaced."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, questions, write_annotations
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.build import build_pairs, load_pairs, run_build
from dataset_builder.config import BuildConfig
from dataset_builder.reviews.apply import apply_corrections
from schemas.errors import InputError
from schemas.files import read_records
from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import Annotation, Correction, Failure, Sentence
from schemas.spans import check_cover
from schemas.stage import failures_path

LABELS = list(Label)


def correction(row: Annotation, first: int, last: int, *spans: Any, **changes: Any) -> Correction:
    """Spans are (start, end, label); without one, the whole stretch is `no_hallucination`."""
    found = spans or [(first, last, GOOD)]
    values = {
        "response_id": row.id,
        "text_sha256": hashlib.sha256(row.text.encode()).hexdigest(),
        "start": first,
        "end": last,
        "spans": [{"start": a, "end": b, "label": label.value} for a, b, label in found],
        "who": "reviewer-7",
        "when": "2026-03-01T10:00:00Z",
    }
    return Correction.model_validate_json(json.dumps(values | changes))


def shown(sentences: list[Sentence]) -> list[tuple[int, int, str, str]]:
    return [(s.start, s.end, s.verdict.label.value, s.verdict.source) for s in sentences]


def test_a_persons_label_takes_the_place_of_the_judges() -> None:
    row = annotation("r", [GOOD, BAD], texts=["It is so.", "It is not."])
    done = apply_corrections(row, [correction(row, 10, 20)])
    assert shown(done.annotation.sentences) == [
        (0, 9, "no_hallucination", "judge"),
        (10, 20, "no_hallucination", "person"),
    ]
    origin = done.replaced[10, 20]
    assert (origin.who, origin.when) == ("reviewer-7", "2026-03-01T10:00:00Z")
    assert shown(list(origin.sentences)) == [(10, 20, "hallucinated", "judge")]
    assert (0, 9) not in done.replaced
    assert row.sentences[1].verdict.label is BAD  # a verdict is never altered


def test_a_cut_sentence_keeps_no_verdict_outside_the_stretch() -> None:
    row = annotation("r", [BAD, GOOD], texts=["One two", "three four"])
    done = apply_corrections(row, [correction(row, 4, 13, (4, 7, GOOD))])
    assert [
        (row.text[s.start : s.end], s.verdict.label.value, s.verdict.reason)
        for s in done.annotation.sentences
    ] == [
        ("One", "undetermined", "corrected_in_part"),
        ("two", "no_hallucination", None),
        ("three", "undetermined", "not_labelled"),
        ("four", "undetermined", "corrected_in_part"),
    ]


def test_the_later_correction_wins_whatever_the_order_of_the_file() -> None:
    row = annotation("r", [GOOD], texts=["It is so."])
    early = correction(row, 0, 9, (0, 9, BAD), when="2026-03-01T23:00:00+02:00")
    late = correction(row, 0, 9, (0, 9, Label.NO_FACT), when="2026-03-01T22:00:00+00:00")
    for order in ([early, late], [late, early]):
        done = apply_corrections(row, order)
        assert shown(done.annotation.sentences) == [(0, 9, "no_fact", "person")]
        assert shown(list(done.replaced[0, 9].sentences)) == [(0, 9, "hallucinated", "person")]
        assert done.num_applied == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text_sha256": "0" * 64}, "text_changed"),
        ({"when": "yesterday"}, "bad_time"),
        ({"end": 99}, "bad_spans"),
        ({"start": 5, "end": 5}, "bad_spans"),
        ({"spans": [{"start": 0, "end": 12, "label": "no_fact"}]}, "bad_spans"),
        ({"spans": [{"start": 9, "end": 10, "label": "no_fact"}]}, "bad_spans"),
        (
            {
                "spans": [
                    {"start": 3, "end": 6, "label": "no_fact"},
                    {"start": 0, "end": 4, "label": "no_fact"},
                ]
            },
            "bad_spans",
        ),
    ],
)
def test_what_does_not_fit_the_text_is_refused(changes: dict[str, Any], reason: str) -> None:
    row = annotation("r", [BAD, BAD], texts=["It is so.", "Or not."])
    done = apply_corrections(row, [correction(row, 0, 10, **changes), correction(row, 10, 17)])
    assert [(failure.id, failure.reason) for failure in done.refused] == [("r", reason)]
    assert [s.verdict.label for s in done.annotation.sentences] == [BAD, GOOD]
    assert done.num_applied == 1


@st.composite
def corrected_texts(draw: st.DrawFn) -> tuple[Annotation, list[Correction]]:
    texts = draw(st.lists(st.text("aé𝒳. ", min_size=1).filter(str.strip), min_size=1, max_size=4))
    row = annotation(
        "r",
        draw(st.lists(st.sampled_from(LABELS), min_size=len(texts), max_size=len(texts))),
        texts=texts,
    )
    found = []
    for number in range(draw(st.integers(0, 3))):
        marks = sorted(draw(st.sets(st.integers(0, len(row.text)), min_size=2, max_size=6)))
        spans = [
            (a, b, draw(st.sampled_from(LABELS)))
            for a, b in zip(marks[::2], marks[1::2], strict=False)
            if row.text[a:b].strip()
        ]
        when = f"2026-03-0{draw(st.integers(1, 9))}"
        if spans:
            found.append(correction(row, marks[0], marks[-1], *spans, when=when, note=str(number)))
    return row, found


@given(case=corrected_texts(), data=st.data())
def test_sentences_stay_sound_and_every_corrected_character_is_the_persons(
    case: tuple[Annotation, list[Correction]], data: st.DataObject
) -> None:
    row, corrections = case
    done = apply_corrections(row, data.draw(st.permutations(corrections)))
    assert done == apply_corrections(row, corrections)
    assert done.num_applied == len(corrections)
    after = done.annotation.sentences
    check_cover(row.text, [(s.start, s.end) for s in after])
    # A painted text: each correction in turn, the oldest first.
    painted: list[tuple[str, str] | None] = [None] * len(row.text)
    for sentence in row.sentences:
        paint(painted, sentence.start, sentence.end, (sentence.verdict.label, "judge"))
    for one in sorted(corrections, key=lambda item: (item.when, content_key(item.model_dump()))):
        paint(painted, one.start, one.end, (Label.UNDETERMINED, "person"))
        for span in one.spans:
            paint(painted, span.start, span.end, (span.label, "person"))
    for sentence in after:
        if sentence.verdict.reason == "corrected_in_part":
            continue
        place = range(sentence.start, sentence.end)
        seen = {painted[i] for i in place if row.text[i].strip()}
        assert seen == {(sentence.verdict.label, sentence.verdict.source)}
    touched = [(one.start, one.end) for one in corrections]
    for sentence in row.sentences:
        if not any(a < sentence.end and sentence.start < b for a, b in touched):
            assert sentence in after


def paint(
    painted: list[tuple[str, str] | None], start: int, end: int, colour: tuple[str, str]
) -> None:
    painted[start:end] = [colour] * (end - start)


def test_corrections_decide_selection_and_weights() -> None:
    best, worst = annotation("b", [GOOD, GOOD]), annotation("w", [GOOD, BAD])
    whole = len(best.text)
    wrong = correction(best, 0, whole, (0, whole, BAD))
    plain = build_pairs([best, worst], BuildConfig()).pairs
    assert (plain[0].chosen_id, plain[0].rejected_id) == ("b", "w")
    (pair,) = build_pairs([best, worst], BuildConfig(), corrections={"b": [wrong]}).pairs
    assert (pair.chosen_id, pair.rejected_id) == ("w", "b")
    assert pair.id != plain[0].id
    assert [span.weight for span in pair.rejected_spans or []] == [1.0]
    assert pair.judge == "j | person"


def test_a_build_keeps_who_corrected_what_and_counts_the_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = questions(6)
    bad = Annotation.model_validate_json(json.dumps(rows[2]))
    half = Annotation.model_validate_json(json.dumps(rows[1]))
    given_rows = [
        correction(half, 0, len(half.text), (0, len(half.text), GOOD)),
        correction(bad, 0, len(bad.text), text_sha256="f" * 64),
        correction(bad, 0, len(bad.text), response_id="nobody"),
    ]
    path = tmp_path / "corrections.jsonl"
    path.write_text("".join(row.model_dump_json() + "\n" for row in given_rows), encoding="utf-8")
    result = run_build(
        BuildConfig(test_share=0.0),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        corrections=[path],
        output=tmp_path / "dataset",
    )
    assert (result.counts["corrections"], result.counts["corrections_refused"]) == (1, 2)
    assert result.counts["verdicts_person"] == 1
    failures = read_records(failures_path(result.output), Failure)
    assert [(row.id, row.reason) for row in failures] == [
        ("nobody", "unknown_response"),
        (bad.id, "text_changed"),
    ]
    assert "2 corrections were refused" in result.notes[0]
    table = pq.read_table(result.output / "sentences" / "train-00000-of-00001.parquet").to_pylist()
    (found,) = [row for row in table if row["correction"] is not None]
    assert (found["response_id"], found["source"], found["judge"]) == (half.id, "person", "person")
    assert found["correction"]["who"] == "reviewer-7"
    assert [entry["label"] for entry in found["correction"]["replaced"]] == [GOOD, BAD]
    manifest = (result.output / "manifest.json").read_text(encoding="utf-8")
    card = (result.output / "README.md").read_text(encoding="utf-8")
    assert "reviewer-7" not in manifest + card
    assert "corrections.jsonl" in json.loads(manifest)["inputs"]
    assert len(load_pairs(result.output, "train")) == 6


def test_a_corrections_file_that_is_no_such_thing_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    path.write_text(json.dumps(annotation_row("a", [GOOD])) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"corrections\.jsonl:1: "):
        run_build(
            BuildConfig(),
            annotations=write_annotations(tmp_path / "annotations.jsonl", questions(2)),
            corrections=[path],
            output=tmp_path / "dataset",
        )
    assert not (tmp_path / "dataset").exists()
