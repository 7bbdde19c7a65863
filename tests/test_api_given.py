"""The Python API given what nobody means: wrong types, tables, half characters, equal ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import maskdpo

TEXT = "Mira Tolvan was born in 1950."
DOCUMENT = "Mira Tolvan was born in 1948."
HALF = "half \ud83d of a character."
FRAME = pd.DataFrame({"id": ["a"], "text": [TEXT]})


def annotate(responses: Any = TEXT, documents: Any = DOCUMENT, **options: Any) -> Any:
    given = maskdpo.annotate(responses, documents, **options)
    return given if isinstance(given, maskdpo.JudgedResponse) else list(given)


@pytest.mark.parametrize("name", ["responses", "documents"])
@pytest.mark.parametrize("value", [None, 5, b"bytes", bytearray(b"b"), np.array("x"), object()])
def test_what_holds_no_texts_is_one_sentence(name: str, value: Any) -> None:
    with pytest.raises(maskdpo.ConfigError, match=rf"^{name} is .*, but it must be a text, a") as e:
        annotate(**{name: value})
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", ["responses", "documents"])
def test_a_data_frame_is_not_taken_for_the_names_of_its_columns(name: str) -> None:
    with pytest.raises(maskdpo.ConfigError, match=rf"^{name} is a DataFrame, whose columns") as e:
        annotate(**{name: FRAME})
    assert 'give its rows with .to_dict("records")' in str(e.value)
    assert len(annotate(FRAME.to_dict("records"))) == 1
    assert [row.id for row in annotate(FRAME["text"])] == ["1"]


@pytest.mark.parametrize("value", [5, b"store", True, [], object])
def test_a_store_is_named_by_a_path(value: Any) -> None:
    with pytest.raises(maskdpo.ConfigError, match=r"^store is .*, but it must be the name of a f"):
        annotate(store=value)


def test_a_store_that_is_a_folder_or_empty(tmp_path: Path) -> None:
    with pytest.raises(maskdpo.ConfigError, match=r"which is a folder; it must name a file"):
        annotate(store=tmp_path)
    with pytest.raises(maskdpo.ConfigError, match=r"^store is '', which is empty"):
        annotate(store="")


@pytest.mark.parametrize("value", [None, 5, "print"])
def test_a_listener_is_a_function(value: Any) -> None:
    with pytest.raises(maskdpo.ConfigError, match=r"^on_event is .*, but it must be a function"):
        annotate(on_event=value)


@pytest.mark.parametrize("name", ["max_calls", "max_tokens", "max_cost"])
def test_limits_are_numbers_of_any_kind(name: str) -> None:
    for number in (np.int64(3), np.float32(2.5), 0):
        assert annotate(**{name: number}).score == 0
    for wrong in (True, "3", float("nan"), np.int64(-1)):
        with pytest.raises(maskdpo.ConfigError, match=rf"^{name} is .*, but it must be a number"):
            annotate(**{name: wrong})


# Half characters: Python has them in a text, no file can hold them


def test_a_response_with_half_a_character_is_a_failure_among_many(tmp_path: Path) -> None:
    rows = annotate([TEXT, HALF, {"id": HALF, "text": TEXT}, _response(HALF)])
    failures = [row for row in rows if isinstance(row, maskdpo.Failure)]
    assert [row.reason for row in failures] == ["bad_response"] * 3
    assert "response 2: 'text' holds half a character (code U+D83D) at 5" in failures[0].detail
    assert maskdpo.save_annotations(tmp_path / "a.jsonl", rows) == 1
    assert len(maskdpo.load_failures(tmp_path / "a.jsonl")) == 3
    with pytest.raises(maskdpo.InputError, match=r"'text' holds half a character"):
        annotate(HALF)


@pytest.mark.parametrize(
    "documents", [HALF, {"a": HALF}, maskdpo.Document(id="a", text="x", title=HALF)]
)
def test_a_document_with_half_a_character_is_refused(documents: Any) -> None:
    with pytest.raises(maskdpo.InputError, match=r"holds half a character"):
        annotate(documents=documents)


def test_a_question_with_half_a_character_is_refused() -> None:
    with pytest.raises(maskdpo.ConfigError, match=r"^question holds half a character"):
        annotate(question=HALF)


def _response(text: str) -> maskdpo.Response:
    prompt = [maskdpo.Message(role="user", content="Who?")]
    return maskdpo.Response(id="r", question_id="q", prompt=prompt, text=text)


# Judged responses, and files


@pytest.mark.parametrize(
    "call",
    [maskdpo.build_pairs, maskdpo.score, lambda rows: maskdpo.save_annotations("a.jsonl", rows)],
)
@pytest.mark.parametrize("value", [None, 5, "annotations.jsonl", {"a": 1}, FRAME])
def test_what_holds_no_judged_responses(
    call: Callable[[Any], Any], value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(maskdpo.ConfigError, match=r"^annotations is "):
        call(value)
    assert not list(tmp_path.iterdir())


def test_one_result_is_a_list_of_one_but_makes_no_pair(tmp_path: Path) -> None:
    one = annotate()
    with pytest.raises(maskdpo.ConfigError, match="a pair is made of two responses"):
        maskdpo.build_pairs(one)  # type: ignore[arg-type]
    assert maskdpo.save_annotations(tmp_path / "a.jsonl", one) == 1
    with pytest.raises(maskdpo.InputError, match=r"^annotations\[1\]: is 5, but it must be a resu"):
        maskdpo.save_annotations(tmp_path / "b.jsonl", [one, 5])  # type: ignore[list-item]


def test_a_file_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    one = annotate()
    with pytest.raises(maskdpo.InputError, match=r"^annotations\[1\]: has the id '1', and so has"):
        maskdpo.save_annotations(tmp_path / "a.jsonl", [one, one])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "call",
    [maskdpo.load_annotations, maskdpo.load_failures, lambda p: maskdpo.save_annotations(p, [])],
)
@pytest.mark.parametrize("value", [None, 5, b"a.jsonl", ".", ""])
def test_a_file_is_named_by_a_path(call: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(maskdpo.ConfigError, match=r"^path is .*(name of a file|must name a file)$"):
        call(value)


@pytest.mark.parametrize("value", [None, b"x", ["x"]])
def test_only_a_text_has_sentences(value: Any) -> None:
    with pytest.raises(maskdpo.ConfigError, match=r"^text is .*, but it must be a text$"):
        maskdpo.split_sentences(value)
