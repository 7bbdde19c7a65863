"""What `build` writes, `validate` accepts: one owner for each invariant, for any annotations."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, write_annotations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dataset_builder.config import BuildConfig
from dataset_builder.folder.validate import validate_folder
from dataset_builder.folder.write import CARD_NAME
from maskdpo.publishing.card_edits import is_card_edited
from maskdpo.publishing.dataset import build_dataset
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import read_records
from schemas.labels import Label
from schemas.records import Annotation, Evidence, Failure, Question
from schemas.stage import failures_path

# What breaks a rule somewhere: white space, NUL, marks of Markdown and YAML, other lines' ends.
ODD = [" ", "\n", "\u2028", "\0", "`|", "---\n", "a", "A ", "\ufeff", "é", "e\u0301", "/x/y", "中"]
TEXTS = st.lists(st.sampled_from([*ODD, "Yes. ", "No. "]), max_size=4).map("".join)
IDS = st.sampled_from([*ODD, "q", "Q", "q ", "a" * 512])
ROLES = st.sampled_from(["user", "user", "assistant", "system"])
ANY_ROLES = st.lists(ROLES, min_size=1, max_size=4)
LABELS = st.sampled_from([GOOD, BAD] * 4 + list(Label))


@st.composite
def evidence(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(st.integers(0, 5))
    end = draw(st.sampled_from([start, start + 1, 2**53 - 1]))
    return {"document_id": draw(IDS), "start": start, "end": end}


@st.composite
def sentences(draw: st.DrawFn, text: str) -> list[dict[str, Any]]:
    """Spans that cover the text, white-space ones among them; at most three cuts."""
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=3)) | {0, len(text)})
    found = []
    for start, end in pairwise(cuts):
        if not text[start:end].strip() and draw(st.booleans()):
            continue
        label = draw(LABELS)
        verdict: dict[str, Any] = {
            "label": label.value,
            "reason": draw(st.sampled_from([None, "", "\n"])),
            "confidence": draw(st.sampled_from([None, 0.0, 0.5, 1.0])),
            "votes": draw(st.none() | st.dictionaries(IDS, st.integers(0, 2**53 - 1), max_size=2)),
            "evidence": draw(st.lists(evidence(), max_size=2)),
            "judge": draw(st.sampled_from(["", "j", "/a/b", "\0"])),
            "source": draw(st.sampled_from(["judge", "person"])),
        }
        if label is Label.UNDETERMINED:
            verdict["reason"] = "no_evidence"
        found.append({"start": start, "end": end, "verdict": verdict})
    return found


@st.composite
def annotations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of annotations.jsonl, several to a question, whatever the record accepts."""
    rows = []
    for number, question in enumerate(draw(st.lists(IDS, min_size=1, max_size=4, unique=True))):
        roles = draw(
            st.just(["user"])
            | st.just(["system", "user"])
            | st.lists(ROLES, min_size=1, max_size=4)
        )
        prompt = [{"role": role, "content": draw(TEXTS)} for role in roles]
        topic = draw(st.sampled_from(["", "t", "T ", "u"]))
        for index in range(draw(st.integers(1, 4))):
            text = draw(TEXTS) + draw(st.sampled_from(["Yes.", "No.", "No. Yes.", ""]))
            rows.append(
                {
                    "id": draw(IDS)[:500] + f"{number}-{index}",
                    "question_id": question,
                    "topic": topic if draw(st.integers(0, 9)) else "other",
                    "language": draw(st.sampled_from(["", "en", "zz", "no", "---"])),
                    "prompt": prompt,
                    "text": text,
                    "model": draw(st.sampled_from(["", "m", "/a", "`", "http://h/p"])),
                    "finish_reason": draw(st.sampled_from(["stop", "length", "unknown"])),
                    "sentences": draw(sentences(text)),
                }
            )
    return rows


CONFIGS = st.builds(
    BuildConfig,
    strategy=st.sampled_from(["best_worst", "mirrored", "above_margin", "two_sigma"]),
    weighting=st.sampled_from(["binary", "confidence"]),
    min_confidence=st.sampled_from([0.0, 0.5]),
    test_share=st.sampled_from([0.0, 0.5]),
    near_duplicate=st.sampled_from([0.0, 0.8]),
    title=st.sampled_from(["Pairs", "no", "2026-01-31", "a: b\n---\n", "é\r\n<b>", "\u2028"]),
    license=st.sampled_from(["", "cc-by-4.0", "1.0"]),
)


def check(rows: Sequence[dict[str, Any]], config: BuildConfig) -> int:
    """Build and validate; returns the number of pairs, 0 where the build refuses the rows."""
    for row in rows:
        Annotation.model_validate_json(json.dumps(row))
    with tempfile.TemporaryDirectory() as folder:
        source = write_annotations(Path(folder) / "annotations.jsonl", list(rows))
        try:
            result = build_dataset(config, annotations=source, output=Path(folder) / "dataset")
        except (InputError, ConfigError):
            return 0
        found = validate_folder(result.output)
        assert not found.num_faults, [str(finding) for finding in found.findings]
        assert not is_card_edited(result.output / CARD_NAME)  # else no build could replace it
        return result.counts["pairs"]


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(annotations(), CONFIGS)
def test_what_build_writes_is_valid(rows: list[dict[str, Any]], config: BuildConfig) -> None:
    check(rows, config)


def two_responses(**changes: Any) -> list[dict[str, Any]]:
    """A question that gives a pair, unless `changes` keep it from it."""
    return [
        annotation_row("bad/a", [GOOD], question="bad", **changes),
        annotation_row("bad/b", [BAD], question="bad", **changes),
    ]


def good_question() -> list[dict[str, Any]]:
    return [
        annotation_row("good/a", [GOOD], question="good"),
        annotation_row("good/b", [BAD], question="good"),
    ]


def prompt_of(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": "What?"} for role in roles]


BAD_ROLES = [
    ("user", "user"),
    ("assistant", "user"),
    ("system", "system", "user"),
    ("user", "system", "user"),
    ("user", "assistant", "assistant", "user"),
]


@pytest.mark.parametrize("roles", BAD_ROLES)
def test_a_prompt_whose_roles_do_not_alternate_costs_its_own_question_alone(
    tmp_path: Path, roles: Sequence[str]
) -> None:
    """The rows stay readable, the good question stays, and each bad row is listed."""
    rows = [*two_responses(prompt=prompt_of(*roles)), *good_question()]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    result = build_dataset(BuildConfig(), annotations=source, output=tmp_path / "dataset")
    assert result.counts["pairs"] == 1
    assert result.counts["dropped_prompt_roles"] == 1
    failures = read_records(failures_path(result.output), Failure)
    assert [(row.id, row.reason) for row in failures] == [
        ("bad/a", "prompt_roles"),
        ("bad/b", "prompt_roles"),
    ]
    assert "must take turns" in failures[0].detail
    assert not validate_folder(result.output).num_faults


@pytest.mark.parametrize("roles", BAD_ROLES)
def test_such_a_question_is_refused_before_it_is_asked(roles: Sequence[str]) -> None:
    text = json.dumps({"id": "q", "messages": prompt_of(*roles)})
    with pytest.raises(ValidationError, match="must take turns") as refused:
        Question.model_validate_json(text)
    assert str(list(roles)) in str(refused.value)
    for good in (("user",), ("system", "user"), ("user", "assistant", "user")):
        Question.model_validate_json(json.dumps({"id": "q", "messages": prompt_of(*good)}))
    blank = [{"role": "user", "content": " "}]
    with pytest.raises(ValidationError, match="empty or only white space"):
        Question.model_validate_json(json.dumps({"id": "q", "messages": blank}))


def test_a_labelled_answer_of_white_space_is_in_no_pair(tmp_path: Path) -> None:
    rows = [
        *good_question(),
        annotation_row("good/c", [GOOD], question="good", texts=[" \n"]),
        annotation_row("blank/a", [GOOD], question="blank", texts=["\t"]),
        annotation_row("blank/b", [BAD], question="blank"),
    ]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    result = build_dataset(BuildConfig(), annotations=source, output=tmp_path / "dataset")
    assert (result.counts["pairs"], result.counts["unused_blank_text"]) == (1, 2)
    assert not validate_folder(result.output).num_faults


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"document_id": "", "start": 0, "end": 1}, "document_id"),
        ({"document_id": "d", "start": 2, "end": 1}, "'end' is before 'start'"),
        ({"document_id": "d", "start": 0, "end": 2**64}, "9007199254740991"),
        ({"document_id": "d", "start": -1, "end": 1}, "start"),
    ],
)
def test_evidence_that_is_no_place_is_refused_with_its_line(
    tmp_path: Path, place: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError):
        Evidence.model_validate(place)
    rows = [*good_question(), *two_responses(verdict={"evidence": [place]})]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    with pytest.raises(InputError) as refused:
        build_dataset(BuildConfig(), annotations=source, output=tmp_path / "dataset")
    assert refused.value.faults[0].line == 3 and words in str(refused.value)
    assert not (tmp_path / "dataset").exists()


def test_votes_that_no_column_holds_are_refused(tmp_path: Path) -> None:
    rows = two_responses(verdict={"votes": {"yes": 2**64}})
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    with pytest.raises(InputError, match="votes"):
        build_dataset(BuildConfig(), annotations=source, output=tmp_path / "dataset")


def test_half_a_character_is_refused_and_not_written(tmp_path: Path) -> None:
    """A lone surrogate is no text: neither JSON in UTF-8 nor Parquet holds it."""
    rows = [json.dumps(row).replace("What of", "\\ud800") for row in two_responses()]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    with pytest.raises(InputError, match="not valid JSON"):
        build_dataset(BuildConfig(), annotations=source, output=tmp_path / "dataset")
