"""A real small model as judge, in the three protocols: a wrong label is worse than none.

Opt-in (`make test-real-models`): the default run does not collect this folder. The model has 135
million parameters. It copies the form, loops in lists and seldom quotes right, so its replies
are a test of how replies are read.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from real_judge_log import NEED_QUOTES, letters, read_lines
from real_judges import PROTOCOLS, Setting, find_figures, run_protocol
from real_model_support import MODEL, serve

ROOT = Path(__file__).resolve().parents[2]
MIRA = "Mira Tolvan was born in Karsted in 1951. She works as a baker. She keeps two goats."
OREN = "Oren Falk teaches music in Uldinas. He was born in 1984 and plays the cello."
# (question, document, response, people's label)
LABELLED = [
    ("Who is Mira Tolvan?", MIRA, "Mira Tolvan was born in Karsted in 1951.", "factual"),
    ("What does Mira Tolvan do?", MIRA, "Mira Tolvan works as a sailor.", "hallucinated"),
    ("Has Mira Tolvan animals?", MIRA, "She keeps two goats.", "factual"),
    ("Who is Oren Falk?", OREN, "Oren Falk teaches music in Uldinas.", "factual"),
    ("When was Oren Falk born?", OREN, "He was born in 1948.", "hallucinated"),
    ("Hello?", OREN, "I hope this helps you!", "no_fact"),
]

# Most of this model's replies are of no use, and the run is to go on all the same.
TO_THE_END = ("annotate.max_useless=0", "annotate.max_undetermined_share=1")
PASSAGE = 16  # letters of a quote that no document says, under whatever label
NEUTRAL = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "presence_penalty": 0.0}


def write_gold(path: Path) -> Path:
    rows = [
        {
            "id": f"r{n}",
            "source": "made up",
            "language": "en",
            "group": f"g{n}",
            "question": question,
            "documents": [{"id": f"d{n}", "text": document}],
            "response": response,
            "sentences": [{"start": 0, "end": len(response), "label": label}],
        }
        for n, (question, document, response, label) in enumerate(LABELLED)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("server") / "server.log") as address:
        yield address


@pytest.fixture(scope="module", params=PROTOCOLS)
def run(request, server, tmp_path_factory) -> Path:
    """The folder of a protocol's run and rerun."""
    folder = tmp_path_factory.mktemp(request.param)
    setting = Setting(
        server=server, model=MODEL, code=ROOT, max_tokens=64, concurrency=1, extra=TO_THE_END
    )
    run_protocol(setting, request.param, write_gold(folder / "gold.jsonl"), folder)
    return folder


def test_a_repair_flips_no_label_and_no_copied_form_is_a_verdict(run):
    figures = find_figures(run)
    assert figures["sentences"] == len(LABELLED), (run / "output.txt").read_text()
    assert figures["calls"] >= len(LABELLED)
    assert figures["failed_calls"] == 0
    assert (figures["flips"], figures["copied_form"]) == (0, 0), figures["cases"]


def test_a_verdict_has_evidence_of_the_document_or_a_reason(run):
    said = letters(
        " ".join(
            line["reply"]["choices"][0]["message"]["content"]
            for line in read_lines(run / "calls.jsonl")
        )
    )
    for row, (_, document, _, _) in zip(
        read_lines(run / "annotations.jsonl"), LABELLED, strict=True
    ):
        for verdict in (item["verdict"] for item in row["sentences"]):
            assert (verdict["label"] == "undetermined") == bool(verdict["reason"]), verdict
            if verdict["label"] in NEED_QUOTES:
                assert verdict["evidence"], verdict
            if verdict["label"] != "undetermined":
                missing = verdict.get("missing_quotes", [])
                assert all(len(letters(quote)) < PASSAGE for quote in missing), verdict
            for place in verdict["evidence"]:
                quote = document[place["start"] : place["end"]]
                assert quote and (place["score"] < 1 or letters(quote) in said), verdict


def test_a_rerun_asks_nothing(run):
    assert find_figures(run)["rerun_calls"] == 0


def test_what_the_server_adds_to_sampling_is_switched_off(run):
    for line in read_lines(run / "calls.jsonl"):
        assert NEUTRAL.items() <= line["request"].items()


def test_what_the_server_reports_of_its_model_is_recorded(run):
    with closing(sqlite3.connect(run / "calls.sqlite")) as store:
        runs = [json.loads(models) for (models,) in store.execute("SELECT models FROM runs")]
    assert len(runs) == 2  # the run and its rerun
    for models in runs:
        (served,) = models[0]["served"]
        assert (served["id"], served["owned_by"]) == (MODEL, "llamacpp")
        assert served["meta"]["n_params"] == 134_515_008
