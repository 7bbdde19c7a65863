"""A judge is measured on the documents that `annotate` would show it, whatever it is set to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.agreement.gold_verdicts import make_gold_tasks, with_documents
from annotator.judging.config import AnnotateConfig
from annotator.judging.tasks import DocumentFinder, prepare_tasks, split_response
from maskdpo.cli.main import main
from schemas.errors import InputError
from schemas.files.jsonl import Row
from schemas.labels import Label
from schemas.records import Annotation, Document, Message, Response, Sentence, Verdict

SETTINGS = get_args(AnnotateConfig.model_fields["find_documents"].annotation)
DOCUMENTS = [
    Document(id="ada", topic="ada", text="Ada was born in Lima. She keeps goats."),
    Document(id="ada2", topic="ada", text="Ada sells cheese in Karsted."),
    Document(id="bo", topic="bo", text="Bo teaches music in Uldinas."),
    Document(id="free", text="Cid builds boats in Norra."),
]
SENTENCES = ["Ada was born in Lima.", "Bo teaches music.", "Cid builds boats.", "Nobody knows."]
FALSE = Verdict(label=Label.HALLUCINATED, source="person")

responses = st.builds(
    lambda topic, ids, parts: Response(
        id="r",
        question_id="q",
        topic=topic,
        language="en",
        document_ids=ids,
        prompt=[Message(role="user", content="Tell me more.")],
        text=" ".join(parts),
    ),
    st.sampled_from(["", "ada", "bo", "unknown"]),
    st.lists(st.sampled_from([item.id for item in DOCUMENTS]), max_size=3),
    st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3),
)


def test_all_settings_are_here() -> None:
    assert set(SETTINGS) == {"auto", "ids", "topic", "corpus"}


@settings(deadline=None, max_examples=60)
@given(responses, st.sampled_from(SETTINGS))
def test_agreement_finds_the_documents_that_annotate_finds(
    response: Response, setting: Any
) -> None:
    config = AnnotateConfig(find_documents=setting)
    rows = [Row(line=1, record=response)]
    prepared = prepare_tasks(rows, DOCUMENTS, config=config, responses=Path("r.jsonl"))
    places = split_response(response, config)
    gold = Annotation(
        **dict(response),
        sentences=[Sentence(start=start, end=end, verdict=FALSE) for start, end in places],
    )
    (task,) = make_gold_tasks(with_documents([gold], DOCUMENTS, config), DOCUMENTS)
    assert task.documents == prepared.tasks[0].documents


@pytest.mark.parametrize(
    ("setting", "named", "by_topic", "by_neither"),
    [
        ("auto", ["bo"], ["ada", "ada2"], []),
        ("ids", ["bo"], [], []),
        ("topic", ["ada", "ada2"], ["ada", "ada2"], []),
        ("corpus", ["free"], ["free"], ["free"]),
    ],
)
def test_what_each_setting_finds(
    setting: Any, named: list[str], by_topic: list[str], by_neither: list[str]
) -> None:
    finder = DocumentFinder(DOCUMENTS, AnnotateConfig(find_documents=setting))
    for topic, ids, expected in (
        ("ada", ["bo", "bo"], named),
        ("ada", [], by_topic),
        ("", [], by_neither),
    ):
        response = Response(
            id="r",
            question_id="q",
            topic=topic,
            document_ids=ids,
            prompt=[Message(role="user", content="Who?")],
            text="Cid builds boats.",
        )
        assert [item.id for item in finder.find(response, [(0, 17)])] == expected


def test_an_unknown_document_is_named_whatever_the_setting() -> None:
    gold = Annotation(
        id="r",
        question_id="q",
        document_ids=["gone"],
        prompt=[Message(role="user", content="?")],
        text="Yes.",
        sentences=[Sentence(start=0, end=4, verdict=FALSE)],
    )
    for setting in SETTINGS:
        with pytest.raises(InputError, match="names document 'gone'"):
            with_documents([gold], DOCUMENTS, AnnotateConfig(find_documents=setting))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gold of people that names a topic and no document."""
    text = "Ada was born in Lima. She keeps lions."
    verdicts = [{"label": label, "source": "person"} for label in ("no_hallucination", "no_fact")]
    row = {
        "id": "r",
        "question_id": "q",
        "topic": "ada",
        "language": "en",
        "prompt": [{"role": "user", "content": "Who is Ada?"}],
        "text": text,
        "sentences": [
            {"start": 0, "end": 21, "verdict": verdicts[0]},
            {"start": 22, "end": len(text), "verdict": verdicts[1]},
        ],
    }
    (tmp_path / "people.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    lines = "".join(item.model_dump_json() + "\n" for item in DOCUMENTS)
    (tmp_path / "documents.jsonl").write_text(lines, encoding="utf-8")
    for name in ("ids", "topic"):
        (tmp_path / f"{name}.yaml").write_text(f"annotate: {{documents: {name}}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> dict[str, Any]:
    given = ["--gold", "people.jsonl", "--documents", "documents.jsonl", "--json", *arguments]
    monkeypatch.setattr("sys.argv", ["maskdpo", "agreement", *given])
    main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_the_setting_decides_the_figures_and_the_baselines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for setting, coverage in (("auto", 1.0), ("topic", 1.0), ("corpus", 1.0), ("ids", 0.0)):
        result = measure(monkeypatch, capsys, "--set", f"annotate.find_documents={setting}")
        assert result["coverage"] == coverage, setting
        assert result["baselines"]["lexical"]["coverage"] == coverage


def test_two_judges_are_each_shown_what_their_own_config_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = measure(monkeypatch, capsys, "--compare", "topic.yaml", "ids.yaml")
    assert result["coverage"] == 1.0
    assert result["compared_with"]["coverage"] == 0.0
