"""Replay takes verdicts over where they fit; a cascade asks twice only where it must."""

import json

import pytest
from click.testing import CliRunner
from judge_server import ScriptedJudge, asked_sentences
from judge_support import LABELS, make_world, read_labels
from sample_server import ChatServer

from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from maskdpo.cli.main import cli
from schemas.errors import ConfigError
from schemas.files.jsonl import read_records
from schemas.records import Annotation


def annotate(folder, name, **settings):
    return run_annotate(
        AnnotateConfig.parse(settings, where="annotate"),
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / f"{name}.jsonl",
        store=folder / f"{name}.sqlite",
    )


def llm(server, **settings):
    return {"model": "judge", "base_url": server.base_url, "protocol": "sentence"} | settings


def test_replay_takes_over_what_fits_and_asks_nobody(tmp_path):
    truths = make_world(tmp_path)
    with ChatServer(ScriptedJudge(truths)) as server:
        made = annotate(tmp_path, "made", judge="llm", llm=llm(server))
    rows = [json.loads(line) for line in made.output.read_text().splitlines()]
    del rows[0]["sentences"][0]
    rows[0]["sentences"][0]["start"] = 0
    made.output.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    again = annotate(tmp_path, "again", judge="replay", replay={"annotations": made.output})
    assert [failure.reason for failure in again.failures] == ["not_in_file"]
    taken = read_records(again.output, Annotation)
    assert len(taken) == 11
    first = [sentence.verdict.reason for sentence in taken[0].sentences]
    assert first == ["no_matching_span", "no_matching_span", None, None]
    whole = read_records(made.output, Annotation)[1:]
    assert [item.sentences for item in taken[1:]] == [item.sentences for item in whole]


def test_a_cascade_asks_the_second_judge_only_where_the_first_is_unsure(tmp_path):
    truths = make_world(tmp_path)
    lexical = annotate(tmp_path, "lexical", judge="lexical")
    sure = {
        item.text[s.start : s.end]: s.verdict
        for item in read_records(lexical.output, Annotation)
        for s in item.sentences
        if s.verdict.confidence is None or s.verdict.confidence >= 0.8
    }
    assert 0 < len(sure) < len(truths)
    with ChatServer(ScriptedJudge(truths)) as server:
        cascade = {"first": "lexical", "second": "llm", "min_confidence": 0.8}
        result = annotate(tmp_path, "both", judge="cascade", cascade=cascade, llm=llm(server))
        asked = {text for call in server.asked for _, text in asked_sentences(call.body)}
    assert asked == truths.keys() - sure.keys()
    for item in read_records(result.output, Annotation):
        for sentence in item.sentences:
            text = item.text[sentence.start : sentence.end]
            if text in sure:
                assert sentence.verdict == sure[text]
            else:
                assert sentence.verdict.label == LABELS[truths[text][0]]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"judge": "llm"}, "needs a section llm"),
        ({"judge": "replay"}, "needs replay.annotations"),
        ({"judge": "cascade"}, "needs a section llm"),
        ({"cascade": {"first": "llm", "second": "llm"}}, "name two judges"),
        ({"llm": {"model": "m", "votes": 3}}, "temperature 0"),
        ({"llm": {"model": "m", "confidence": "votes"}}, "needs votes above 1"),
    ],
)
def test_a_judge_that_is_not_described_is_told_before_anything(settings, said):
    with pytest.raises(ConfigError, match=said):
        AnnotateConfig.parse(settings, where="annotate")


def test_agreement_measures_a_judge_model_and_keeps_its_calls(tmp_path):
    truths = make_world(tmp_path)
    with ChatServer(ScriptedJudge(truths)) as server:
        made = annotate(tmp_path, "gold", judge="llm", llm=llm(server))
        rows = [json.loads(line) for line in made.output.read_text().splitlines()]
        for row in rows:
            for sentence in row["sentences"]:
                sentence["verdict"]["source"] = "person"
        gold = tmp_path / "people.jsonl"
        gold.write_text("".join(json.dumps(row) + "\n" for row in rows))
        judge = tmp_path / "judge.yaml"
        judge.write_text(json.dumps({"annotate": {"judge": "llm", "llm": llm(server)}}))
        arguments = ["agreement", "--gold", str(gold), "--judge", str(judge), "--json"]
        arguments += ["--documents", str(tmp_path / "documents.jsonl")]
        arguments += ["--store", str(tmp_path / "agreement.sqlite")]
        before = len(server.asked)
        first = CliRunner().invoke(cli, arguments)
        assert first.exit_code == 0, first.output
        assert len(server.asked) == before + 48
        second = CliRunner().invoke(cli, arguments)
        assert len(server.asked) == before + 48
    for result in (first, second):
        assert json.loads(result.stdout.splitlines()[-1])["balanced_accuracy"] == 1.0
    assert read_labels(gold) == {text: (LABELS[label], None) for text, (label, _) in truths.items()}
