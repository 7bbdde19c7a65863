"""Wrong words inside a sentence, and numbers of sentences: kept as given; all else is as before."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, questions, write_annotations
from pydantic import ValidationError

from annotator.judging.judge import JudgeTask
from annotator.judging.runs.verdict_spool import pack_verdicts, unpack_verdicts
from dataset_builder.build import load_pairs, run_build
from dataset_builder.config import BuildConfig
from dataset_builder.splits.splits import Split
from formats.reviews.apply import apply_reviews
from formats.reviews.conflicts import ConflictRule
from formats.reviews.log import Logged
from schemas.files.sidecar import FORMAT_VERSIONS, check_format, make_sidecar
from schemas.labels import Label
from schemas.records import Annotation, ErrorSpan, Response, Span, Verdict
from schemas.reviews import Review, review_id

TEXTS = ["It is so.", "It is not."]


def spans(*places: tuple[int, int]) -> list[ErrorSpan]:
    return [ErrorSpan(start=start, end=end) for start, end in places]


def places(verdict: Verdict) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in verdict.error_spans]


def row_with(*found: tuple[int, int]) -> Annotation:
    errors = [{"start": start, "end": end} for start, end in found]
    return annotation("r", [BAD, BAD], texts=TEXTS, verdict={"error_spans": errors})


def test_what_has_none_is_written_as_before() -> None:
    before = (
        '{"label":"contradictory","reason":null,"confidence":null,"confidence_kind":null,'
        '"votes":null,"evidence":[],"rationale":"","source":"judge","judge":"j","protocol":""}'
    )
    assert Verdict(label=Label.CONTRADICTORY, judge="j").model_dump_json() == before
    span = '{"start":0,"end":4,"label":"no_fact","weight":1.0}'
    assert Span(start=0, end=4, label=Label.NO_FACT, weight=1.0).model_dump_json() == span
    assert Span.model_validate_json(span).sentence is None
    assert Verdict.model_validate_json(before).error_spans == []


def test_they_are_kept_as_given_in_any_order_and_past_the_sentence() -> None:
    given = ((15, 20), (3, 8), (0, 2), (5, 12))
    row = row_with(*given)
    assert [places(sentence.verdict) for sentence in row.sentences] == [list(given)] * 2
    assert Annotation.model_validate_json(row.model_dump_json()) == row


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((3, 3), r"error span \[3, 3\) is empty"),
        ((5, 3), r"error span \[5, 3\) is empty"),
        ((-1, 3), "greater than or equal to 0"),
        ((3, 21), "ends past the text, which has 20 characters"),
    ],
)
def test_a_place_outside_the_text_is_refused(place: tuple[int, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        row_with((0, 2), place)
    assert row_with((0, 20))


def test_numbers_of_sentences_are_kept() -> None:
    span = Span(start=0, end=4, label=BAD, weight=1.0, sentence=0)
    assert Span.model_validate_json(span.model_dump_json()) == span
    assert '"sentence":0' in span.model_dump_json()
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Span(start=0, end=4, label=BAD, weight=1.0, sentence=-1)


def test_the_spool_of_a_run_keeps_them() -> None:
    row = row_with((3, 8))
    response = Response(**{name: getattr(row, name) for name in Response.model_fields})
    offsets = [(sentence.start, sentence.end) for sentence in row.sentences]
    task = JudgeTask(response=response, sentences=offsets, documents=[])
    packed = pack_verdicts(task, [sentence.verdict for sentence in row.sentences])
    assert isinstance(packed, list)
    back = unpack_verdicts(task, json.loads(json.dumps(packed)))
    assert [places(verdict) for verdict in back] == [[(3, 8)], [(3, 8)]]


def test_a_new_minor_version_that_readers_of_1_0_would_still_open() -> None:
    assert FORMAT_VERSIONS["annotation"] == (1, 2)
    assert make_sidecar("annotation", config={}, inputs=[]).version == "1.2"
    check_format("a.jsonl", "maskdpo.annotation", "1.0", expected="annotation")


def review(row: Annotation, action: str = "label", who: str = "Li", **changes: Any) -> Review:
    """A review of the second sentence, [10, 20); `errors` are the wrong words in it."""
    errors = [{"start": start, "end": end} for start, end in changes.pop("errors", ())]
    span = {"start": 10, "end": 20, "label": "hallucinated", "error_spans": errors}
    values = {
        "response_id": row.id,
        "text_sha256": hashlib.sha256(row.text.encode()).hexdigest(),
        "start": 10,
        "end": 20,
        "action": action,
        "spans": [span] if action == "label" else [],
        "who": who,
        "when": "2026-03-01T10:00:00Z",
    }
    values |= changes
    return Review.model_validate_json(json.dumps({**values, "id": review_id(values)}))


def logged(*reviews: Review) -> list[Logged]:
    return [Logged(line=line, review=item) for line, item in enumerate(reviews, start=1)]


def second_verdict(row: Annotation, *reviews: Review) -> Verdict:
    done = apply_reviews([row], {row.id: logged(*reviews)}, ConflictRule.LATEST)
    return done.rows[0].sentences[1].verdict


def test_a_review_carries_them_into_the_verdict() -> None:
    row = annotation("r", [GOOD, GOOD], texts=TEXTS)
    assert places(second_verdict(row, review(row, errors=[(13, 15), (16, 19)]))) == [
        (13, 15),
        (16, 19),
    ]
    plain = second_verdict(row, review(row)).model_dump_json()
    assert "error_spans" not in plain and '"source":"person"' in plain


def test_who_agrees_with_a_judge_agrees_with_its_wrong_words() -> None:
    row = row_with((16, 19), (3, 8))
    verdict = second_verdict(row, review(row, "agree"))
    assert (verdict.source, places(verdict)) == ("person", [(16, 19), (3, 8)])


def test_of_several_people_those_of_the_decision_that_is_taken() -> None:
    row = annotation("r", [GOOD, GOOD], texts=TEXTS)
    early = review(row, who="Li", errors=[(10, 12)])
    other = review(row, spans=[{"start": 10, "end": 20, "label": "no_fact", "error_spans": []}])
    late = review(row, who="Bo", errors=[(16, 19)], when="2026-03-02T10:00:00Z")
    for order in ([early, late], [late, early]):
        assert places(second_verdict(row, *order)) == [(16, 19)]
    done = apply_reviews([row], {row.id: logged(late, other)}, ConflictRule.LATEST)
    (conflict,) = done.conflicts
    assert [span.error_spans for span in conflict.taken] == [late.spans[0].error_spans]
    cut = review(row, who="Bo", end=15, spans=[{"start": 10, "end": 15, "label": "no_fact"}])
    assert places(second_verdict(row, early, cut)) == []


def test_no_weight_and_no_byte_of_a_data_set_depends_on_them(tmp_path: Path) -> None:
    files: list[dict[str, bytes]] = []
    for name in ("without", "with"):
        rows = [*questions(4), annotation_row("x", [GOOD], question="q0")]
        for row in rows if name == "with" else []:
            for sentence in row["sentences"]:
                sentence["verdict"]["error_spans"] = [{"start": 0, "end": 3}]
        output = tmp_path / name / "dataset"
        annotations = write_annotations(tmp_path / name / "annotations.jsonl", rows)
        run_build(BuildConfig(test_share=0.0), annotations=annotations, output=output)
        paths = sorted(output.rglob("*.parquet"))
        files.append({path.relative_to(output).as_posix(): path.read_bytes() for path in paths})
    assert files[0] and files[0] == files[1]
    read = list(load_pairs(tmp_path / "with" / "dataset", Split.TRAIN))
    assert {span.sentence for pair in read for span in pair.chosen_spans or []} == {None}
