"""A fourth protocol: a file, its prompts and a line in the table are enough, for every command."""

import json
import pickle
import re
import sys
from dataclasses import replace

import pytest
from judge_server import asked_sentences
from judge_support import make_world, read_labels
from sample_server import ChatServer, completion
from yes_no_protocol import make_protocol, write_prompts

from annotator.calls.store import Store
from annotator.judging.config import AnnotateConfig
from annotator.judging.llm_config import LlmConfig
from annotator.judging.make_judge import make_judge
from annotator.judging.protocols.load_prompts import load_prompts
from annotator.judging.protocols.prompts import LANGUAGES
from annotator.judging.protocols.table import PROTOCOLS
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.runs.asked_keys import find_asked_keys
from annotator.judging.runs.estimate import estimate_annotate
from maskdpo.cli.main import main
from schemas.errors import ConfigError
from schemas.files.jsonl import read_records
from schemas.files.sidecar import sidecar_path
from schemas.records import Annotation, Document, Response

FIRST_THREE = ["response", "sentence", "anah"]
NOWHERE = "http://127.0.0.1:9/v1"


class YesNoJudge:
    """Says of each sentence whether it is supported; if faulty, at first not of cats."""

    def __init__(self, truths, *, is_faulty=False):
        self.truths = truths
        self.is_faulty = is_faulty

    def __call__(self, body):
        (_, text), is_first = asked_sentences(body)[0], len(body["messages"]) == 2
        if is_first and "cats" in text and self.is_faulty:
            return completion("I cannot say.")
        return completion("Yes." if self.truths[text][0] == "supported" else "no")


@pytest.fixture
def protocol(tmp_path, monkeypatch):
    """The protocol, in the table for one test."""
    made = make_protocol(write_prompts(tmp_path / "yes_no"))
    monkeypatch.setitem(PROTOCOLS, "yes_no", made)
    return made


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run `maskdpo` in the test's folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["maskdpo", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def make_config(base_url=NOWHERE, **llm):
    values = {"model": "judge", "base_url": base_url, "protocol": "yes_no", **llm}
    return AnnotateConfig.parse({"judge": "llm", "llm": values}, where="annotate")


def files_in(folder):
    names = {"responses": "responses.jsonl", "documents": "documents.jsonl"}
    return {key: folder / name for key, name in names.items()} | {"store": folder / "s.sqlite"}


def test_it_is_estimated_judged_repaired_and_continued(tmp_path, protocol):
    truths = make_world(tmp_path, num_responses=5)
    files, output = files_in(tmp_path), tmp_path / "annotations.jsonl"
    assert estimate_annotate(make_config(), **files).num_calls == 20
    with ChatServer(YesNoJudge(truths, is_faulty=True)) as server:
        config = make_config(server.base_url)
        run_annotate(config, **files, output=output)
        num_asked = len(server.asked)
        run_annotate(config, **files, output=output)
        assert len(server.asked) == num_asked == 20 + 5  # a repair for each sentence about cats
    expected = {
        text: ("no_hallucination" if label == "supported" else "hallucinated", None)
        for text, (label, _) in truths.items()
    }
    assert read_labels(output) == expected
    for item in read_records(output, Annotation):
        assert {s.verdict.protocol for s in item.sentences} == {"yes_no"}
    done = estimate_annotate(config, **files)
    assert (done.num_calls, done.num_stored, done.at_most) == (0, 25, False)
    keys = find_asked_keys(
        config,
        read_records(files["responses"], Response),
        read_records(files["documents"], Document),
        store=files["store"],
    )
    assert len(keys) == 25
    assert json.loads(sidecar_path(output).read_text())["config"]["llm"]["protocol"] == "yes_no"


def test_the_estimate_is_exact(tmp_path, protocol):
    truths = make_world(tmp_path, num_responses=5)
    files = files_in(tmp_path)
    estimate = estimate_annotate(make_config(), **files)
    with ChatServer(YesNoJudge(truths)) as server:
        output = tmp_path / "annotations.jsonl"
        run_annotate(make_config(server.base_url), **files, output=output)
        assert len(server.asked) == estimate.num_calls
    assert not estimate.at_most


def test_a_protocol_with_a_bound_reports_it(tmp_path, protocol, monkeypatch, run):
    bounded = replace(protocol, upper_bound="fewer where nothing is asked")
    monkeypatch.setitem(PROTOCOLS, "yes_no", bounded)
    make_world(tmp_path, num_responses=2)
    estimate = estimate_annotate(make_config(), **files_in(tmp_path))
    assert estimate.at_most
    assert "protocol 'yes_no': fewer where nothing is asked" in estimate.notes
    _, out, _ = run("domain", "check", "general", "--protocol", "yes_no")
    assert re.search(r"yes_no +calls +3, prompt tokens +[\d,]+, at most", out)


def test_config_and_schema_name_the_protocols_of_the_table(protocol):
    schema = LlmConfig.model_json_schema()["properties"]["protocol"]
    assert schema["enum"] == [*FIRST_THREE, "yes_no"]
    with pytest.raises(ConfigError) as caught:
        make_config(protocol="yesno")
    assert str(caught.value) == (
        "annotate: 'llm.protocol' is 'yesno', but input should be 'response', 'sentence', "
        "'anah' or 'yes_no'"
    )


def test_without_its_line_in_the_table_it_is_refused(run):
    with pytest.raises(ConfigError, match="input should be 'response', 'sentence' or 'anah'"):
        make_config()
    code, _, err = run("domain", "check", "general", "--protocol", "yes_no")
    assert code == 2 and "'response', 'sentence', 'anah', 'all'" in err


def test_help_lists_the_protocols(protocol, run):
    assert "[response|sentence|anah|yes_no|all]" in run("domain", "check", "--help")[1]
    assert "protocol: response, sentence, anah" in " ".join(run("annotate", "--help")[1].split())


def test_domain_check_prints_its_messages_and_counts(protocol, run):
    code, out, err = run("domain", "check", "general")
    assert code == 0, err
    assert "=== protocol yes_no: what the judge is sent" in out
    assert "Do the documents say this?" in out and "Reply yes or no." in out
    assert re.search(r"yes_no +calls +3, prompt tokens +[\d,]+\n", out)
    code, out, _ = run("domain", "check", "zh_general", "--protocol", "yes_no")
    assert code == 0 and "只回答 yes 或 no" in out
    assert "=== protocol sentence" not in out


def test_agreement_is_estimated_and_measured(tmp_path, protocol, run):
    make_world(tmp_path, num_responses=1)
    text = "Ada kept cats. Ada sailed."
    row = {
        "id": "g1", "source": "s", "language": "en", "group": "g", "question": "Who is Ada?",
        "documents": [{"id": "d", "text": "Ada kept cats in Karsted."}], "response": text,
        "generator": "someone",
        "sentences": [
            {"start": 0, "end": 14, "label": "factual"},
            {"start": 15, "end": 26, "label": "hallucinated"},
        ],
    }  # fmt: skip
    gold = tmp_path / "gold.jsonl"
    gold.write_text(json.dumps(row) + "\n", encoding="utf-8")
    truths = {"Ada kept cats.": ("supported", ""), "Ada sailed.": ("not_mentioned", "")}
    with ChatServer(YesNoJudge(truths)) as server:
        llm = {"model": "judge", "base_url": server.base_url, "protocol": "yes_no"}
        sets = ["--set", "annotate.judge=llm"]
        for key, value in llm.items():
            sets += ["--set", f"annotate.llm.{key}={value}"]
        code, out, err = run("agreement", "--gold", gold, *sets, "--estimate")
        assert (code, len(server.asked)) == (0, 0), err
        assert "calls to make: 2\n" in out
        code, out, err = run("agreement", "--gold", gold, *sets, "--json")
        assert code == 0, err
        assert len(server.asked) == 2
    assert json.loads(out)["balanced_accuracy"] == 1.0


# ---------------------------------------------------------------- its prompts


@pytest.mark.parametrize("name", FIRST_THREE)
def test_it_changes_nothing_for_the_others(tmp_path, monkeypatch, name):
    with Store(tmp_path / "store.sqlite") as store:
        before = make_judge(make_config(protocol=name), store=store).fingerprint()
        made = make_protocol(write_prompts(tmp_path / "yes_no"))
        monkeypatch.setitem(PROTOCOLS, "yes_no", made)
        assert make_judge(make_config(protocol=name), store=store).fingerprint() == before
        its_own = make_judge(make_config(), store=store).fingerprint()
    assert its_own["prompts"] != before["prompts"]


def test_a_users_folder_may_replace_its_texts(tmp_path, protocol):
    folder = tmp_path / "mine"
    folder.mkdir()
    file = folder / "en.yaml"
    file.write_text("yes_no: '{{sentence}} Yes?'\nsystem: Be strict.\n", encoding="utf-8")
    prompts = load_prompts("en", folder, protocol=protocol)
    assert (prompts.text("yes_no"), prompts.system) == ("{{sentence}} Yes?", "Be strict.")
    # A judge with another protocol reads the same folder, and does not have the text.
    others = load_prompts("en", folder, protocol=PROTOCOLS["anah"])
    assert others.system == "Be strict." and "{{sentence}} Yes?" not in others.requests
    for text, message in (
        ("yes_no: yes?\n", "en.yaml: yes_no lacks the placeholder {{sentence}}"),
        ("yes_no: '{{sentence}} {{id}}'\n", "yes_no has the placeholder 'id'; allowed: sentence"),
        ("yes_n: '{{sentence}}'\n", "en.yaml: unknown key 'yes_n'; did you mean 'yes_no'?"),
        ("yes_no: 3\n", "'yes_no' is 3, but input should be a valid string"),
        ("yes_no: sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF\n", "looks like a key"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_prompts("en", folder, protocol=protocol)
        assert message in str(caught.value)


def test_a_text_that_its_folder_lacks_is_an_error(tmp_path, protocol):
    (protocol.folder / "zh.yaml").write_text("version: 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"zh\.yaml: required key 'yes_no' is missing"):
        load_prompts("zh", protocol=protocol)


@pytest.mark.parametrize("name", FIRST_THREE)
def test_every_protocol_of_the_table_is_whole(name):
    protocol = PROTOCOLS[name]
    assert protocol.name == name and protocol.summary
    for language in LANGUAGES:
        prompts = load_prompts(language, protocol=protocol)
        assert all(prompts.text(key) for key in protocol.texts)


def test_a_worker_process_can_be_given_protocol_and_prompts():
    for protocol in (PROTOCOLS[name] for name in FIRST_THREE):
        prompts = load_prompts("zh", protocol=protocol)
        assert pickle.loads(pickle.dumps((protocol, prompts))) == (protocol, prompts)
