"""The list of what was forgotten: it recognises names and ids, and holds none of them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.forgotten import (
    FORGOTTEN_NAME,
    Forgotten,
    refuse_forgotten_rows,
    remember,
)
from schemas.errors import InputError

NAMES = st.text(min_size=1, max_size=20).filter(lambda text: text.strip())


@settings(max_examples=50, deadline=None)
@given(people=st.sets(NAMES, max_size=4), ids=st.sets(NAMES, max_size=4), other=NAMES)
def test_what_is_remembered_is_known_and_nothing_else(tmp_path_factory, people, ids, other):
    path = tmp_path_factory.mktemp("run") / FORGOTTEN_NAME
    remember(path, people=people, responses=ids)
    known = Forgotten.read(path)
    assert all(known.has_person(name) for name in people)
    assert all(known.has_response(name) for name in ids)
    assert known.has_response(other) == (other in ids)
    assert bool(known) == bool(people or ids) and known.knows_responses == bool(ids)


def test_the_file_holds_no_name_and_one_salt(tmp_path):
    path = tmp_path / FORGOTTEN_NAME
    assert remember(path, people=["Dr. Li"], responses=["q1-0"]) == 2
    assert remember(path, people=["Mira"]) == 1
    text = path.read_text()
    assert not any(name in text for name in ("Li", "q1-0", "Mira"))
    rows = [json.loads(line) for line in text.splitlines()]
    assert len({row["salt"] for row in rows}) == 1 and len(rows[0]["salt"]) == 32
    assert [row["kind"] for row in rows] == ["who", "response", "who"]
    assert remember(path, people=["Dr. Li", "Mira"], responses=["q1-0"]) == 0
    assert path.read_text() == text


def test_two_files_have_two_salts_and_are_read_together(tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    remember(one, people=["Mira"])
    remember(two, people=["Mira"], responses=["r1"])
    rows = [json.loads(path.read_text().splitlines()[0]) for path in (one, two)]
    assert rows[0]["sha256"] != rows[1]["sha256"]
    known = Forgotten.read(one, two, tmp_path / "absent.jsonl")
    assert known.has_person("Mira") and known.has_response("r1")


def test_a_person_is_not_a_response_and_spaces_do_not_count(tmp_path):
    path = tmp_path / FORGOTTEN_NAME
    remember(path, people=["Zoe\u0308  Holm "])
    known = Forgotten.read(path)
    assert known.has_person("Zo\u00eb Holm") and known.has_person("zo\u00eb holm")
    assert not known.has_person("Zo\u00eb")
    assert not known.has_response("Zo\u00eb Holm")


def test_no_file_says_nothing(tmp_path):
    assert not Forgotten.read(tmp_path / FORGOTTEN_NAME)
    assert not Forgotten.read_next_to(tmp_path / "reviews.jsonl").has_person("Mira")


@pytest.mark.parametrize(
    "row", ["{}", '{"kind": "who", "sha256": "x", "salt": "a", "when": "now"}', "no json"]
)
def test_a_row_that_cannot_be_read_is_not_passed_over(tmp_path, row):
    path = tmp_path / FORGOTTEN_NAME
    remember(path, people=["Mira"])
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(InputError, match=r"forgotten\.jsonl:2"):
        Forgotten.read(path)
    with pytest.raises(InputError, match=r"forgotten\.jsonl:2"):
        remember(path, people=["Jo"])


def test_a_file_with_forgotten_rows_is_refused_row_by_row(tmp_path):
    path, rows = tmp_path / FORGOTTEN_NAME, tmp_path / "responses.jsonl"
    remember(path, responses=["r1", "r3"])
    known = Forgotten.read(path)
    rows.write_text('{"id": "r0"}\n{"id": "r1"}\nnone\n{"response_id": "r3"}\n')
    with pytest.raises(InputError) as error:
        refuse_forgotten_rows(rows, known)
    assert [fault.line for fault in error.value.faults] == [2, 4]
    assert "maskdpo forget --response r1" in str(error.value)
    rows.write_text('{"id": "r0"}\n')
    refuse_forgotten_rows(rows, known)
