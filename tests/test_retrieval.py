"""Passages keep their offsets, and what is found fits the budget and does not depend on chance."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_server import ScriptedJudge
from judge_support import LABELS, make_world, read_labels
from sample_server import ChatServer

from annotator.documents.passages import Passage, cut_passages, merge_passages
from annotator.documents.retrieval import PassageIndex, read_terms
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.text.config import RetrievalConfig
from annotator.text.token_estimate import estimate_tokens
from schemas.errors import ConfigError
from schemas.records import Document

texts = st.text(alphabet="ab c.D\n。水火!?1", max_size=400)


def index(*texts, **settings):
    documents = [Document(id=f"d{n}", text=text) for n, text in enumerate(texts)]
    return PassageIndex(documents, RetrievalConfig(**settings), splitter="sentencex")


@given(texts, st.integers(1, 5), st.integers(0, 3))
def test_passages_cover_all_that_is_no_space_in_order(text, size, overlap):
    config = RetrievalConfig(passage_sentences=size + overlap, overlap=overlap)
    document = Document(id="d", text=text, language="en")
    passages = cut_passages(document, 0, config, splitter="sentencex")
    covered = set().union(*(range(item.start, item.end) for item in passages))
    assert {n for n, character in enumerate(text) if not character.isspace()} <= covered
    starts = [item.start for item in passages]
    assert starts == sorted(starts)
    for start, end in merge_passages(passages).get(0, []):
        assert text[start:end].strip() == text[start:end]


def test_touching_passages_are_shown_as_one_and_documents_keep_their_order():
    passages = [
        Passage(document=1, start=0, end=4),
        Passage(document=0, start=20, end=30),
        Passage(document=0, start=0, end=10),
        Passage(document=0, start=9, end=15),
    ]
    assert merge_passages(passages) == {0: [(0, 15), (20, 30)], 1: [(0, 4)]}


def test_terms_of_both_languages():
    assert read_terms("Two CATS' glass, 1984") == ["two", "cat", "glass", "1984"]
    assert read_terms("水火") == ["水火"]
    assert read_terms("在水火中 Ada") == ["在水", "水火", "火中", "ada"]


@pytest.mark.parametrize(
    ("needle", "query"),
    [
        ("Mira Tolvan was born in Karsted in 1931.", "Where was Mira Tolvan born?"),
        ("米拉于一九三一年生于卡斯特德。", "米拉生于哪里？"),
    ],
)
def test_the_passage_that_answers_is_found_among_many(needle, query):
    noise = [
        f"The ferry number {n} sails at {n} o'clock. 第{n}号渡轮准时出发。" for n in range(300)
    ]
    found = index(" ".join(noise[:150]), f"{noise[150]} {needle} {noise[151]}", *noise[152:])
    (best,) = found.search(query, limit=1)
    assert needle in found.text(best)


def test_equal_scores_go_by_place():
    same = index(*["A red boat."] * 40)
    assert [item.document for item in same.search("red boat", limit=5)] == [0, 1, 2, 3, 4]


def test_nothing_is_found_where_nothing_is_alike():
    assert index("A red boat.").search("絵", limit=3) == []
    assert index("", "  ").search("boat", limit=3) == []


@given(
    st.lists(st.text(alphabet="abcde .", max_size=300), min_size=1, max_size=4),
    st.lists(st.text(alphabet="abcde ", max_size=30), min_size=1, max_size=4),
    st.integers(64, 120),
)
def test_what_is_found_fits_the_budget(documents, sentences, max_tokens):
    found_in = index(*documents, max_tokens=max_tokens, passage_sentences=2)
    found = found_in.find("a b", sentences)
    sets = [found.shared] if found.shared is not None else found.own
    assert found.shared is not None or len(found.own) == len(sentences)
    for passages in sets:
        total = sum(estimate_tokens(found_in.text(item)) for item in passages)
        assert total <= max_tokens


def test_an_overlap_must_leave_something_new():
    with pytest.raises(ConfigError, match="below passage_sentences=2"):
        RetrievalConfig.parse({"passage_sentences": 2, "overlap": 2}, where="retrieval")


def annotate(folder, server, **settings):
    llm = {"model": "judge", "base_url": server.base_url}
    result = run_annotate(
        AnnotateConfig.parse({"judge": "llm", "llm": llm} | settings, where="annotate"),
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "store.sqlite",
    )
    return read_labels(result.output)


def lengthen(folder, times):
    """Bury each document's text between paragraphs that say nothing of it."""
    rows = [json.loads(line) for line in (folder / "documents.jsonl").read_text().splitlines()]
    noise = "The ferry sails at noon. Bread is baked before dawn. The square is swept on Mondays. "
    for row in rows:
        row["text"] = f"{noise * times}\n\n{row['text']}\n\n{noise * times}"
    (folder / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("max_tokens", [400, 64])
def test_long_documents_are_judged_by_their_passages(tmp_path, max_tokens):
    truths = make_world(tmp_path, num_responses=4)
    lengthen(tmp_path, 200)
    with ChatServer(ScriptedJudge(truths)) as server:
        labels = annotate(tmp_path, server, retrieval={"max_tokens": max_tokens})
        prompts = [call.body["messages"][1]["content"] for call in server.asked]
    assert labels == {text: (LABELS[label], None) for text, (label, _) in truths.items()}
    documents = [prompt.partition("</document>")[0] for prompt in prompts]
    assert max(map(estimate_tokens, documents)) <= max_tokens + 20
    # One call per response while all its passages fit one prompt, else one per sentence.
    assert len(prompts) == (4 if max_tokens == 400 else 16)


@pytest.mark.parametrize("documents", ["ids", "topic", "corpus"])
def test_documents_by_id_by_topic_or_by_searching_all(tmp_path, documents):
    truths = make_world(tmp_path, num_responses=6)
    for name in ("documents", "responses"):
        path = tmp_path / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for number, row in enumerate(rows):
            row["topic"] = f"t{number}"
            if name == "responses" and documents != "ids":
                row["document_ids"] = []
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ChatServer(ScriptedJudge(truths)) as server:
        labels = annotate(tmp_path, server, find_documents=documents)
    assert labels == {text: (LABELS[label], None) for text, (label, _) in truths.items()}


@given(st.text(max_size=200), st.text(max_size=40))
def test_an_estimate_of_tokens_grows_with_the_text(text, more):
    assert estimate_tokens("") == 0
    assert 0 <= estimate_tokens(text) <= estimate_tokens(text + more) + 1
    assert estimate_tokens("water " * 1000) == pytest.approx(1000, rel=0.1)
