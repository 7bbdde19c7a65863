"""The Python API: texts in, judged responses out; every way to give them, every way to stop."""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_server import ScriptedJudge, asked_sentences
from sample_server import ChatServer

import maskdpo
from annotator.judging.config import LexicalConfig
from annotator.judging.lexical import LexicalJudge
from maskdpo.api.inputs import MAX_COMPARED
from schemas.files.jsonl import write_records

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = "Mira Tolvan was born in Karsted in 1901. She kept two cats."
RIGHT = "Mira Tolvan was born in Karsted in 1901."
WRONG = "Mira Tolvan was born in Karsted in 1902."
TRUTHS = {
    RIGHT: ("supported", RIGHT),
    WRONG: ("contradicted", RIGHT),
    "She kept two cats.": ("supported", "She kept two cats."),
    "She painted boats.": ("not_mentioned", ""),
}
QUESTION = "Who is Mira Tolvan?"


def labels(result: Any) -> list[str]:
    return [str(sentence.label) for sentence in result.sentences]


def judge_of(server: ChatServer, **changes: Any) -> maskdpo.Judge:
    values = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"} | changes
    return maskdpo.Judge(**values)


# One text


def test_one_text_is_judged_at_once() -> None:
    result = maskdpo.annotate(f"{WRONG} She kept two cats.", documents=[DOCUMENT], judge="lexical")
    assert isinstance(result, maskdpo.JudgedResponse)
    first, second = result.sentences
    assert (first.text, first.label) == (WRONG, maskdpo.Label.CONTRADICTORY)
    assert result.text[first.start : first.end] == WRONG
    assert first.confidence is not None
    assert first.confidence_kind == "lexical"
    (evidence,) = first.evidence
    assert evidence.document_id == "d1"
    assert evidence.text == RIGHT == DOCUMENT[evidence.start : evidence.end]
    assert evidence.score is not None
    assert second.label == "no_hallucination"
    assert result.score == 0.5
    assert isinstance(result.record, maskdpo.Annotation)
    assert result.record.sentences[0].verdict.label is first.label
    assert result.id == result.record.id == "1"


@pytest.mark.parametrize(
    ("text", "documents", "said"),
    [
        ("", DOCUMENT, "the text of response '1' is empty (empty_response)"),
        ({"txt": "a"}, DOCUMENT, "unknown key 'txt'; did you mean 'text'?"),
        ({"text": "A.", "document_ids": ["d9"]}, DOCUMENT, "names 'd9', which no document has"),
    ],
)
def test_one_that_cannot_be_judged_is_one_sentence(text: Any, documents: str, said: str) -> None:
    with pytest.raises(maskdpo.InputError, match=r"^responses: ") as caught:
        maskdpo.annotate(text, documents)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "one",
    [
        RIGHT,
        {"text": RIGHT},
        {"id": "x", "text": RIGHT, "question": QUESTION},
        maskdpo.Response(
            id="x",
            question_id="q",
            prompt=[maskdpo.Message(role="user", content=QUESTION)],
            text=RIGHT,
        ),
    ],
)
def test_every_form_of_one_response(one: Any) -> None:
    result = maskdpo.annotate(one, DOCUMENT)
    assert labels(result) == ["no_hallucination"]
    assert labels(maskdpo.annotate(result, DOCUMENT)) == ["no_hallucination"]  # judged again


# Documents


@pytest.mark.parametrize(
    ("documents", "ids"),
    [
        (DOCUMENT, ["d1"]),
        (maskdpo.Document(id="a", text=DOCUMENT), ["a"]),
        ({"text": DOCUMENT}, ["d1"]),
        ({"id": "a", "text": DOCUMENT, "title": "Mira"}, ["a"]),
        ({"a": DOCUMENT, "b": {"text": "Else."}}, ["a", "b"]),
        ([DOCUMENT, {"text": "Else."}, maskdpo.Document(id="x", text="More.")], ["d1", "d2", "x"]),
        ((text for text in [DOCUMENT, "Else."]), ["d1", "d2"]),
    ],
)
def test_every_form_of_documents(documents: Any, ids: list[str]) -> None:
    result = maskdpo.annotate(RIGHT, documents)
    assert result.record.document_ids == ids
    assert labels(result) == ["no_hallucination"]


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([{"txt": "a"}, DOCUMENT, 5], ["documents[0]: required key 'text' is missing",
                                       "documents[0]: unknown key 'txt'; did you mean 'text'?",
                                       "documents[2]: is 5, but it must be a text or have"]),
        ({"a": 5}, ["documents['a']: is 5"]),
        ([{"id": "a", "text": "A."}, {"id": "a", "text": "B."}],
         ["documents[1]: has the id 'a', and so has documents[0]"]),
        (5, ["documents is 5, but it must be a text"]),
    ],
)  # fmt: skip
def test_wrong_documents_are_named_before_anything_is_judged(
    documents: Any, said: list[str]
) -> None:
    with pytest.raises(maskdpo.MaskDpoError) as caught:
        maskdpo.annotate([], documents)
    for sentence in said:
        assert sentence in str(caught.value)


def test_the_name_of_a_file_is_not_taken_for_its_text(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    write_records(path, [maskdpo.Document(id="a", text=DOCUMENT)])
    with pytest.raises(maskdpo.ConfigError, match="is the name of a file"):
        maskdpo.annotate(RIGHT, str(path))
    with pytest.raises(maskdpo.ConfigError, match="responses is the text"):
        maskdpo.annotate(str(path), DOCUMENT)
    assert labels(maskdpo.annotate(RIGHT, path)) == ["no_hallucination"]


def test_a_text_is_compared_with_every_document() -> None:
    documents = ["Olden has five bridges.", "Varn lies by a sea.", DOCUMENT]
    result = maskdpo.annotate(f"{RIGHT} Olden has five bridges.", documents)
    assert labels(result) == ["no_hallucination"] * 2
    assert [item.evidence[0].document_id for item in result.sentences] == ["d3", "d1"]


def test_among_many_documents_a_search_chooses() -> None:
    others = [f"Town {n} was founded in {1800 + n}." for n in range(MAX_COMPARED)]
    result = maskdpo.annotate(RIGHT, [*others, DOCUMENT])
    assert f"d{MAX_COMPARED + 1}" in result.record.document_ids
    assert len(result.record.document_ids) < MAX_COMPARED
    assert labels(result) == ["no_hallucination"]
    few = maskdpo.annotate(RIGHT, [*others[1:], DOCUMENT])
    assert len(few.record.document_ids) == MAX_COMPARED


def test_a_response_keeps_the_documents_that_it_names() -> None:
    documents = [
        {"id": "a", "text": DOCUMENT, "topic": "Mira"},
        {"id": "b", "text": "Olden has five bridges.", "topic": "Olden"},
    ]
    rows = [
        {"id": "1", "text": RIGHT, "document_ids": ["b"]},
        {"id": "2", "text": RIGHT, "topic": "Olden"},
        {"id": "3", "text": RIGHT},
    ]
    found = {row.id: labels(row) for row in maskdpo.annotate(rows, documents)}
    assert found["3"] == ["no_hallucination"]
    assert found["1"] == found["2"] == ["unverifiable"]


def test_a_question_names_documents_too() -> None:
    documents = {"a": DOCUMENT, "b": "Olden has five bridges."}
    question = maskdpo.Question(id="q7", question=QUESTION, document_ids=["b"])
    (row,) = maskdpo.annotate([RIGHT], documents, question=question)
    assert (row.id, row.record.question_id) == ("q7-1", "q7")
    assert row.record.document_ids == ["b"]
    longest = maskdpo.Question(id="q" * 512, question=QUESTION)
    rows = list(maskdpo.annotate([RIGHT, {"id": "x" * 513, "txt": 1}], DOCUMENT, question=longest))
    assert {row.id[-2:] for row in rows} == {"-1", "-2"}


def test_a_response_may_bring_a_question_of_its_own() -> None:
    rows = [{"text": RIGHT, "question": QUESTION}, {"text": WRONG, "question": QUESTION}]
    results = list(maskdpo.annotate(rows, DOCUMENT))
    assert [row.id for row in results] == ["1", "2"]
    assert len(maskdpo.build_pairs(results)) == 1
    for bad in ({"question": ""}, {"question": QUESTION, "prompt": []}):
        (row,) = maskdpo.annotate([{"text": RIGHT, **bad}], DOCUMENT)
        assert isinstance(row, maskdpo.Failure)
        assert "question" in row.detail


# Many


def test_a_bad_response_is_a_failure_and_the_rest_continue() -> None:
    rows = list(maskdpo.annotate([RIGHT, "", {"id": "x"}, 5, WRONG], DOCUMENT))
    failed = {row.id: row.reason for row in rows if isinstance(row, maskdpo.Failure)}
    judged = {row.id: labels(row) for row in rows if isinstance(row, maskdpo.JudgedResponse)}
    assert failed == {"2": "empty_response", "x": "bad_response", "4": "bad_response"}
    assert judged == {"1": ["no_hallucination"], "5": ["contradictory"]}


def test_responses_are_pulled_as_there_is_room() -> None:
    pulled = 0

    def without_end() -> Iterator[str]:
        nonlocal pulled
        for _ in itertools.count():
            pulled += 1
            yield RIGHT

    rows = maskdpo.annotate(without_end(), DOCUMENT)
    assert pulled == 0
    found = list(itertools.islice(rows, 100))
    assert [row.id for row in found] == [str(n) for n in range(1, 101)]
    assert pulled < 1000


def test_what_the_responses_raise_reaches_the_caller_after_the_rest() -> None:
    def broken() -> Iterator[str]:
        yield RIGHT
        raise OSError("the file is gone")

    rows = maskdpo.annotate(broken(), DOCUMENT)
    assert labels(next(rows)) == ["no_hallucination"]
    with pytest.raises(OSError, match="the file is gone"):
        next(rows)


def test_it_works_inside_a_running_event_loop() -> None:
    async def cell() -> list[list[str]]:
        one = maskdpo.annotate(RIGHT, DOCUMENT)
        return [labels(one), *(labels(row) for row in maskdpo.annotate([WRONG], DOCUMENT))]

    assert asyncio.run(cell()) == [["no_hallucination"], ["contradictory"]]


def test_a_service_awaits_one_and_iterates_over_many() -> None:
    is_closed = False

    async def queue() -> AsyncIterator[str]:
        nonlocal is_closed
        try:
            for _ in range(1000):
                yield RIGHT
        finally:
            is_closed = True

    async def serve() -> None:
        assert labels(await maskdpo.aannotate(WRONG, DOCUMENT)) == ["contradictory"]
        rows = [row async for row in maskdpo.aannotate([RIGHT, ""], DOCUMENT)]
        assert {type(row) for row in rows} == {maskdpo.JudgedResponse, maskdpo.Failure}
        stream = maskdpo.aannotate(queue(), DOCUMENT)
        async for row in stream:
            assert labels(row) == ["no_hallucination"]
            break
        await stream.aclose()
        assert is_closed
        with pytest.raises(maskdpo.InputError, match="empty_response"):
            await maskdpo.aannotate("", DOCUMENT)

    asyncio.run(serve())


# Judge models and their store


def test_a_store_keeps_calls_also_where_the_caller_stops(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    texts = [RIGHT, WRONG, "She kept two cats.", "She painted boats."]
    with ChatServer(ScriptedJudge(TRUTHS)) as server:
        judge = judge_of(server, concurrency=1)
        rows = maskdpo.annotate(texts, DOCUMENT, judge=judge, store=store)
        first = next(rows)
        del rows
        assert not store.with_name("store.sqlite-wal").exists()  # it is closed
        found = {
            row.id: labels(row)
            for row in maskdpo.annotate(texts, DOCUMENT, judge=judge, store=store)
        }
        assert found == {
            "1": ["no_hallucination"],
            "2": ["contradictory"],
            "3": ["no_hallucination"],
            "4": ["unverifiable"],
        }
        # What was answered is not asked again; one call may have been under way.
        asked = [asked_sentences(request.body)[0][1] for request in server.asked]
        assert asked.count(first.text) == 1
        assert len(asked) <= len(texts) + 1


def test_an_open_store_stays_open(tmp_path: Path) -> None:
    with (
        ChatServer(ScriptedJudge(TRUTHS)) as server,
        maskdpo.Store(tmp_path / "store.sqlite") as store,
    ):
        for _ in range(2):
            maskdpo.annotate(RIGHT, DOCUMENT, judge=judge_of(server), store=store)
        assert len(server.asked) == 1


def test_without_a_store_calls_are_kept_for_one_use_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ChatServer(ScriptedJudge(TRUTHS)) as server:
        for _ in range(2):
            result = maskdpo.annotate(WRONG, DOCUMENT, judge=judge_of(server))
        assert labels(result) == ["contradictory"]
        assert result.sentences[0].evidence[0].text == RIGHT
        assert len(server.asked) == 2
    assert list(tmp_path.iterdir()) == []


def test_limits_stop_before_the_call_that_does_not_fit(tmp_path: Path) -> None:
    texts = [RIGHT, WRONG, "She kept two cats."]
    with ChatServer(ScriptedJudge(TRUTHS)) as server:
        judge = judge_of(server, concurrency=1)
        with pytest.raises(maskdpo.LimitReachedError, match="max_calls=2"):
            list(maskdpo.annotate(texts, DOCUMENT, judge=judge, max_calls=2))
        assert len(server.asked) == 2
        priced = judge_of(server, prices={"prompt": 1e6, "completion": 0})
        with pytest.raises(maskdpo.LimitReachedError, match=r"max_cost=0\.5"):
            maskdpo.annotate(RIGHT, DOCUMENT, judge=priced, max_cost=0.5)
        with pytest.raises(maskdpo.ConfigError, match="the judge has no prices"):
            maskdpo.annotate([RIGHT], DOCUMENT, judge=judge, max_cost=0.5)
        assert len(server.asked) == 2


def test_a_judge_that_cannot_be_reached_is_one_sentence() -> None:
    with ChatServer(ScriptedJudge(TRUTHS)) as server:
        judge = judge_of(server, max_retries=0)
    with pytest.raises(maskdpo.BackendError) as caught:
        maskdpo.annotate(RIGHT, DOCUMENT, judge=judge)
    assert server.base_url in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"max_calls": -1}, "max_calls is -1"), ({"max_cost": "5"}, "max_cost is '5'")],
)
def test_wrong_limits_are_named(limits: Any, said: str) -> None:
    with pytest.raises(maskdpo.ConfigError, match=said):
        maskdpo.annotate([], DOCUMENT, **limits)


def test_the_judge_reads_the_question_and_the_domain() -> None:
    with ChatServer(ScriptedJudge(TRUTHS)) as server:
        judge = judge_of(server)
        maskdpo.annotate(RIGHT, DOCUMENT, judge=judge, question=QUESTION, domain="medical")
        asked = json.dumps(server.asked[-1].body)
        assert QUESTION in asked
        maskdpo.annotate(RIGHT, DOCUMENT, judge=judge)
        plain = json.dumps(server.asked[-1].body)
    assert QUESTION not in plain
    assert len(asked) > len(plain) + 100  # the guidance of the domain


# Which judge


def test_settings_and_own_judges_are_judges_too() -> None:
    strict = maskdpo.AnnotateConfig.parse({"lexical": {"threshold": 1.0}}, where="annotate")
    assert labels(maskdpo.annotate("She painted boats.", DOCUMENT)) == ["unverifiable"]
    assert labels(maskdpo.annotate("She painted boats.", DOCUMENT, judge=strict)) != [
        "unverifiable"
    ]
    own = LexicalJudge(LexicalConfig(threshold=1.0))
    assert labels(maskdpo.annotate("She painted boats.", DOCUMENT, judge=own)) != ["unverifiable"]


def test_settings_that_find_documents_are_kept() -> None:
    by_id = maskdpo.AnnotateConfig.parse({"find_documents": "ids"}, where="annotate")
    assert maskdpo.annotate(RIGHT, DOCUMENT, judge=by_id).record.document_ids == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"judge": "lexcal"}, "judge is 'lexcal', but it must be 'lexical'"),
        ({"judge": 5}, "judge is 5"),
        ({"judge": maskdpo.Judge}, "judge is <class"),
        ({"domain": "medcal"}, "did you mean 'medical'?"),
        ({"language": "xx1"}, "language: 'xx1' is not a language code"),
        ({"question": " "}, "question is ' ', but it must be a text that is not empty"),
    ],
)
def test_wrong_settings_are_named_by_the_call(arguments: Any, said: str) -> None:
    with pytest.raises(maskdpo.ConfigError) as caught:
        maskdpo.annotate([], DOCUMENT, **arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "m", "protocl": "x"}, "unknown key 'protocl'; did you mean 'protocol'?"),
        ({}, "required key 'model' is missing"),
        ({"model": "m", "window": 0}, "'window' is 0"),
        ({"model": "m", "base_url": "127.0.0.1"}, "must look like http://127.0.0.1:8000/v1"),
    ],
)
def test_a_wrong_setting_of_a_judge_model_is_one_sentence(settings: Any, said: str) -> None:
    with pytest.raises(maskdpo.ConfigError, match=r"^maskdpo\.Judge: ") as caught:
        maskdpo.Judge(**settings)
    assert said in str(caught.value)


def test_a_judge_shows_what_was_set_and_never_a_key() -> None:
    judge = maskdpo.Judge(model="my-judge", protocol="response")
    assert repr(judge) == str(judge) == "Judge(model='my-judge', protocol='response')"
    key = "sk-" + "a1b2" * 10
    for settings in ({"api_key_env": key}, {"params": {"x": key}}, {"model": key}):
        with pytest.raises(maskdpo.ConfigError) as caught:
            maskdpo.Judge(**{"model": "m", **settings})
        assert key not in str(caught.value)
    hidden = maskdpo.Judge.model_construct(_fields_set={"model"}, model=key)
    assert key not in repr(hidden)


# What is shown


def test_nothing_is_printed_unless_asked(capfd: pytest.CaptureFixture[str]) -> None:
    list(maskdpo.annotate([RIGHT], DOCUMENT))
    assert capfd.readouterr() == ("", "")
    list(maskdpo.annotate([RIGHT, "", 5, WRONG], DOCUMENT, progress=True))
    assert "annotate: 4 of 4 responses" in capfd.readouterr().err


def test_events_reach_the_listener_with_and_without_a_bar() -> None:
    for progress in (False, True):
        seen: list[Any] = []
        list(maskdpo.annotate([RIGHT], DOCUMENT, on_event=seen.append, progress=progress))
        names = [type(event) for event in seen]
        events = maskdpo.events
        assert names == [events.Started, events.Advanced, events.Ended]


HOSTILE = "Mira <script>alert(1)</script> \x1b[31mpaints & dances."


def test_a_result_is_escaped_in_a_notebook_and_in_a_terminal() -> None:
    result = maskdpo.annotate(HOSTILE, {"<b>id</b>": HOSTILE})
    page = result._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>id" not in page
    for text in (str(result), repr(result), str(result.sentences[0])):
        assert "\x1b" not in text
    lines = str(result).splitlines()
    assert lines[0].endswith("[1✓]")
    assert any("<b>id</b>: " in line for line in lines)


# Pairs, scores, files


def test_pairs_are_those_of_the_builder() -> None:
    from dataset_builder.build import build_pairs
    from dataset_builder.config import BuildConfig

    texts = [f"{RIGHT} She kept two cats.", f"{WRONG} She kept two cats.", f"{RIGHT} {WRONG}"]
    rows = list(maskdpo.annotate([*texts, ""], DOCUMENT, question=QUESTION))
    records = [row.record for row in rows if isinstance(row, maskdpo.JudgedResponse)]
    for settings in ({}, {"strategy": "mirrored", "max_pairs": 2}, {"min_margin": 0.9}):
        config = BuildConfig.parse(settings, where="test")
        expected = build_pairs(records, config)
        for given in (settings, config):
            pairs = maskdpo.build_pairs(rows, given)
            assert list(pairs) == list(expected.pairs)
            assert pairs.unused == {name: str(reason) for name, reason in expected.unused.items()}
            assert (pairs.num_responses, pairs.num_failures) == (3, 1)
    assert pairs.counts == {"below_min_margin": 3}
    assert pairs.explain() == ["3 x below_min_margin: " + pairs.explain()[0].split(": ", 1)[1]]
    (pair,) = built = maskdpo.build_pairs(records)
    assert isinstance(built[:1], maskdpo.Pairs)
    assert built[0] == pair
    assert pair.chosen[0].content == texts[0]
    page = built._repr_html_()
    assert page.count("<mark") == 4
    assert QUESTION in page
    assert "[2✓ masked]" not in page
    assert QUESTION in str(built)
    assert repr(built) == "Pairs(1 pair from 3 responses; in no pair: 1 between)"


def test_what_cannot_be_paired_is_named() -> None:
    rows = list(maskdpo.annotate([RIGHT, WRONG], DOCUMENT, question=QUESTION))
    with pytest.raises(maskdpo.InputError, match=r"annotations\[2\]: has the id 'q-\w+-1', and so"):
        maskdpo.build_pairs([*rows, rows[0]])
    with pytest.raises(maskdpo.InputError, match=r"annotations\[0\]: is 5"):
        maskdpo.build_pairs([5])  # type: ignore[list-item]
    with pytest.raises(maskdpo.ConfigError, match=r"unknown key 'stratgy'; did you mean"):
        maskdpo.build_pairs(rows, {"stratgy": "mirrored"})
    with pytest.raises(maskdpo.ConfigError, match="config is 5"):
        maskdpo.build_pairs(rows, 5)  # type: ignore[arg-type]
    with pytest.raises(maskdpo.ConfigError, match=r"it must be a list of what maskdpo\.annotate"):
        maskdpo.build_pairs(rows[0])  # type: ignore[arg-type]


def test_no_pairs_are_explained_where_they_are_printed() -> None:
    pairs = maskdpo.build_pairs([maskdpo.annotate(RIGHT, DOCUMENT, question=QUESTION)])
    assert str(pairs) == "0 pairs from 1 response; in no pair: 1 no_other_response"


def test_the_score_is_counted_over_all_responses() -> None:
    rows = list(maskdpo.annotate([f"{RIGHT} She kept two cats.", WRONG, ""], DOCUMENT))
    total = maskdpo.score(rows)
    assert (total.num_correct, total.num_hallucinated) == (2, 1)
    assert total.score == pytest.approx(2 / 3)
    judged = next(row for row in rows if isinstance(row, maskdpo.JudgedResponse))
    assert maskdpo.score(judged) == maskdpo.score(judged.record) == judged.counts
    assert maskdpo.score([]).score is None


def test_files_of_the_command_line_are_read_back(tmp_path: Path) -> None:
    rows = list(maskdpo.annotate([RIGHT, WRONG], {"a": DOCUMENT}))
    path = tmp_path / "annotations.jsonl"
    assert maskdpo.save_annotations(path, rows) == 2
    assert maskdpo.load_annotations(path, {"a": DOCUMENT}) == rows
    (evidence,) = maskdpo.load_annotations(path)[1].sentences[0].evidence
    assert (evidence.document_id, evidence.text) == ("a", None)
    shorter = maskdpo.load_annotations(path, {"a": "Mira"})  # the document changed since
    assert shorter[1].sentences[0].evidence[0].text is None
    assert maskdpo.load_failures(path) == []
    failure = maskdpo.Failure(id="3", stage="annotate", reason="empty_response")
    maskdpo.save_annotations(path, [*rows, failure])
    assert maskdpo.load_failures(path) == [failure]
    with path.open("a", encoding="utf-8") as handle:
        handle.write('{"id": "4"}\n')
    with pytest.raises(maskdpo.InputError, match=r"annotations\.jsonl:3: required key"):
        maskdpo.load_annotations(path)


def test_the_command_line_builds_from_saved_annotations(tmp_path: Path) -> None:
    texts = [f"{RIGHT} She kept two cats.", f"{WRONG} She kept two cats."]
    path = tmp_path / "annotations.jsonl"
    rows = maskdpo.annotate(texts, DOCUMENT, question=QUESTION)
    assert maskdpo.save_annotations(path, rows) == 2
    command = ["build", "--annotations", str(path), "--output", str(tmp_path / "dataset")]
    result = subprocess.run(
        [sys.executable, "-m", "maskdpo", *command, "--set", "build.test_share=0"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "dataset" / "manifest.json").exists()


def test_the_work_of_others_is_not_written_over(tmp_path: Path) -> None:
    rows = list(maskdpo.annotate([RIGHT], DOCUMENT))
    path = tmp_path / "notes.jsonl"
    path.write_text('{"id": "a", "note": "mine"}\n', encoding="utf-8")
    with pytest.raises(maskdpo.ConfigError, match="holds no annotations"):
        maskdpo.save_annotations(path, rows)
    assert "mine" in path.read_text(encoding="utf-8")
    path.unlink()
    for _ in range(2):  # a cell of a notebook may be run again
        maskdpo.save_annotations(path, rows)
    of_person = path.read_text(encoding="utf-8").replace('"source":"judge"', '"source":"person"')
    path.write_text(of_person, encoding="utf-8")
    with pytest.raises(maskdpo.ConfigError, match="holds what people decided"):
        maskdpo.save_annotations(path, rows)
    assert path.read_text(encoding="utf-8") == of_person


def test_sentences_are_split_as_annotate_splits_them() -> None:
    text = f"{RIGHT} She kept two cats."
    result = maskdpo.annotate(text, DOCUMENT)
    expected = [(sentence.start, sentence.end) for sentence in result.sentences]
    assert maskdpo.split_sentences(text) == expected
    assert maskdpo.split_sentences("他走了。他回来了。", language="zh") == [(0, 4), (4, 9)]
    for settings in ({"language": "xx1"}, {"splitter": "regex"}):
        with pytest.raises(maskdpo.ConfigError, match=r"maskdpo\.split_sentences: "):
            maskdpo.split_sentences(text, **settings)


# The package


def test_types_and_lazy_names_are_the_same() -> None:
    """What a type checker sees is what `__getattr__` gives."""
    tree = ast.parse((ROOT / "maskdpo" / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted([*seen, "__version__"]) == sorted(maskdpo.__all__)
    for name, place in seen.items():
        found = getattr(maskdpo, name)
        if not place.startswith("schemas.e") or found is not sys.modules.get(place):
            module, _, attribute = place.rpartition(".")
            assert found is getattr(__import__(module, fromlist=["_"]), attribute), name


def test_the_package_lists_its_names_and_version() -> None:
    script = (
        "import sys, maskdpo\n"
        "assert {'annotate', 'Judge', '__version__'} <= set(dir(maskdpo))\n"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('annotator', 'schemas', 'pydantic', 'torch')])\n"
        "print(maskdpo.__version__)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    names, version = result.stdout.splitlines()
    assert names == "[]"
    from importlib.metadata import version as installed

    assert version == installed("maskdpo")
