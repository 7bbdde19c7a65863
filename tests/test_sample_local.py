"""Sampling from a local model: batches, ends, refusals, and kills that change no byte."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sample_support import CHAT_TEMPLATE, WORDS, write_questions, write_tiny_model

from annotator.calls.store import Store
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from schemas.errors import BackendError, ConfigError, InputError
from schemas.files.jsonl import read_records
from schemas.records import Response
from schemas.stage import check_failures

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def sample(tmp_path, model):
    """Sample in a folder of its own; answers (StageResult, responses)."""

    def run(*, folder="run", num_questions=7, **settings):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        if not (place / "questions.jsonl").exists():
            write_questions(place / "questions.jsonl", num_questions)
        values = {"model": str(model), "num_responses": 3, "max_tokens": 24, "batch_size": 4}
        result = run_sample(
            SampleConfig.parse(values | settings, where="sample"),
            questions=place / "questions.jsonl",
            output=place / "responses.jsonl",
            store=place / "calls.db",
        )
        lines = result.output.read_text().splitlines()
        return result, [Response.model_validate_json(line) for line in lines]

    return run


def texts(responses):
    return {response.id: (response.text, response.finish_reason) for response in responses}


def test_responses_are_in_input_order_and_a_rerun_loads_no_model(sample, model):
    first, responses = sample()
    content = first.output.read_bytes()
    assert [r.id for r in responses] == [f"q{q}-{k}" for q in range(7) for k in range(3)]
    assert {r.model for r in responses} == {model.name}
    assert {r.finish_reason for r in responses} == {"stop", "length"}
    again, _ = sample()
    assert again.counts["from_store"] == 21
    assert again.output.read_bytes() == content
    sidecar = json.loads((first.output.parent / "responses.jsonl.meta.json").read_text())
    assert sidecar["format"] == "maskdpo.response"
    assert sidecar["counts"]["asked"] == 21


def test_a_row_says_the_same_alone_and_in_any_batch(sample):
    _, alone = sample(folder="alone", batch_size=1)
    _, beside = sample(folder="beside", batch_size=5)
    _, together = sample(folder="together", batch_size=64)
    assert texts(alone) == texts(beside) == texts(together)
    assert len({text for text, _ in texts(alone).values()}) > 10


def test_a_row_says_the_same_whatever_questions_stand_beside_it(sample):
    _, few = sample(folder="few", num_questions=2)
    _, many = sample(folder="many", num_questions=7)
    assert texts(few).items() <= texts(many).items()


@pytest.mark.parametrize("change", [{"seed": 1}, {"temperature": 0.7}, {"top_p": 0.3}])
def test_another_seed_temperature_or_nucleus_says_something_else(sample, change):
    _, before = sample()
    result, after = sample(**change)
    assert result.counts["from_store"] == 0
    assert texts(before) != texts(after)


def test_temperature_0_equals_greedy_generate(sample, model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, responses = sample(temperature=0.0, num_responses=1)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model)
    for response in responses:
        messages = [message.model_dump() for message in response.prompt]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        output = network.generate(**inputs, do_sample=False, max_new_tokens=24)
        new = output[0, inputs["input_ids"].shape[1] :]
        assert response.text == tokenizer.decode(new, skip_special_tokens=True)


def test_first_tokens_follow_the_models_own_distribution(sample, model):
    """The whole chain, template to text, against a softmax computed apart from it."""
    from scipy.stats import chisquare
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, responses = sample(num_questions=1, num_responses=3000, max_tokens=1, batch_size=1000)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model)
    prompt = f"<|user|> {responses[0].prompt[0].content} <|assistant|>"
    with torch.inference_mode():
        logits_V = network(torch.tensor([tokenizer(prompt)["input_ids"]])).logits[0, -1]
    probs = dict(zip(tokenizer.get_vocab(), [0.0] * len(tokenizer), strict=True))
    for word, token in tokenizer.get_vocab().items():
        probs[word] = float(logits_V.double().softmax(-1)[token])
    words = [word for word in WORDS if probs[word] * 3000 >= 5]
    observed = [sum(r.text == word for r in responses) for word in words]
    expected = [probs[word] * 3000 for word in words]
    observed.append(3000 - sum(observed))
    expected.append(3000 - sum(expected))
    assert chisquare(observed, expected).pvalue > 0.001
    ended = sum(r.finish_reason == "stop" for r in responses) / 3000
    assert abs(ended - probs["<end>"]) < 0.03


def test_a_reply_is_cut_off_if_and_only_if_no_end_was_drawn(sample, model, tmp_path):
    _, responses = sample()
    with Store(tmp_path / "run" / "calls.db") as calls:
        rows = calls._connection.execute("SELECT value FROM calls").fetchall()
    replies = [json.loads(value) for (value,) in rows]
    for reply in replies:
        num_words = len(reply["text"].split())
        if reply["finish_reason"] == "length":
            assert reply["completion_tokens"] == 24
        else:
            assert num_words <= reply["completion_tokens"] - 1 < 24
    assert len(replies) == len(responses)


def test_a_models_own_sampling_defaults_are_set_aside(sample, tmp_path, model):
    import shutil

    other = tmp_path / "penalised"
    shutil.copytree(model, other)
    path = other / "generation_config.json"
    own = json.loads(path.read_text())
    path.write_text(json.dumps(own | {"repetition_penalty": 9.0, "max_length": 5}))
    _, plain = sample(folder="plain")
    _, with_own = sample(folder="own", model=str(other))
    assert texts(plain) == texts(with_own)


def test_a_retrained_model_in_the_same_folder_serves_no_old_replies(sample, tmp_path):
    folder = write_tiny_model(tmp_path / "policy", seed=1)
    _, before = sample(model=str(folder))
    write_tiny_model(folder, seed=2)
    result, after = sample(model=str(folder))
    assert result.counts["from_store"] == 0
    assert texts(before) != texts(after)
    folder.rename(tmp_path / "moved")
    assert sample(model=str(tmp_path / "moved"))[0].counts["from_store"] == 21


def test_more_responses_keep_those_there_are(sample):
    _, before = sample(num_responses=2)
    result, after = sample(num_responses=3)
    assert result.counts["from_store"] == 14
    assert texts(before).items() <= texts(after).items()


def test_a_prompt_that_does_not_fit_is_a_row_and_not_asked_with_others(sample, tmp_path):
    place = tmp_path / "run"
    place.mkdir()
    rows = [{"id": "a", "question": "a ?"}, {"id": "long", "question": "a " * 300}]
    rows.append({"id": "b", "question": "b ?"})
    (place / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result, responses = sample()
    assert [response.question_id for response in responses] == ["a"] * 3 + ["b"] * 3
    assert {failure.reason for failure in result.failures} == {"prompt_too_long"}
    assert "context of 256" in result.failures[0].detail
    with pytest.raises(Exception, match="3 of 9 rows failed"):
        check_failures(result, 0.05)
    again, _ = sample()
    assert again.counts == result.counts | {"from_store": 9}


def test_a_template_that_refuses_a_conversation_is_a_row(sample, tmp_path):
    template = "{{ raise_exception('roles must alternate') }}"
    folder = write_tiny_model(tmp_path / "strict", template=template + CHAT_TEMPLATE)
    result, _ = sample(model=str(folder), system_prompt="Be brief.")
    assert {(f.reason, f.detail) for f in result.failures} == {
        ("chat_template", "roles must alternate")
    }
    assert not any("system" in note for note in result.notes)


def test_a_template_without_a_system_role_gets_the_text_in_the_user_message(sample, tmp_path):
    template = "{% if messages|length > 1 %}{{ raise_exception('no system role') }}{% endif %}"
    folder = write_tiny_model(tmp_path / "strict", template=template + CHAT_TEMPLATE)
    result, responses = sample(model=str(folder), system_prompt="one two", num_questions=2)
    assert not result.failures
    for row in responses:
        assert [message.role for message in row.prompt] == ["user"]
        assert row.prompt[0].content.startswith("one two\n\nwhere was")
    assert any("does not support a system message" in note for note in result.notes)
    again, same = sample(model=str(folder), system_prompt="one two", num_questions=2)
    assert again.counts["from_store"] == len(same)
    assert same == responses


def test_template_variables_reach_the_template(sample, tmp_path):
    template = "{% if shout %}<|system|> eight {% endif %}" + CHAT_TEMPLATE
    folder = write_tiny_model(tmp_path / "variables", template=template)
    _, plain = sample(model=str(folder))
    result, shouted = sample(model=str(folder), chat_template_kwargs={"shout": True})
    assert result.counts["from_store"] == 0
    assert texts(plain) != texts(shouted)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "./nowhere"}, "model folder './nowhere' does not exist"),
        ({"model": "/nowhere/at/all"}, "does not exist"),
        ({"device": "cuda:99"}, "device is 'cuda:99', but"),
        ({"max_tokens": 256}, "max_tokens is 256, but tiny has a context of 256"),
        ({"temperature": -1}, "'temperature' is -1"),
        ({"top_p": 0}, "'top_p' is 0"),
        ({"num_responses": 0}, "'num_responses' is 0"),
        ({"dtype": "int8"}, "'dtype' is 'int8'"),
        ({"device": "cpu", "dtype": "float16"}, "float16 needs a CUDA device"),
        ({"chat_template_kwargs": {"tokenize": True}}, "chat_template_kwargs holds tokenize"),
        ({"temprature": 1}, "did you mean 'temperature'"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_nothing_is_written(
    sample, tmp_path, settings, sentence
):
    with pytest.raises(ConfigError, match=sentence) as caught:
        sample(**settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "responses.jsonl").exists()


def test_folders_that_cannot_be_loaded_are_named(sample, tmp_path, model):
    import shutil

    from safetensors.torch import load_file, save_file

    def broken(name):
        shutil.copytree(model, tmp_path / name)
        return tmp_path / name

    (broken("no_config") / "config.json").unlink()
    weights = broken("no_weights") / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    (broken("torn") / "model.safetensors").write_bytes(b"\x00" * 40)
    partial = broken("partial") / "model.safetensors"
    tensors = load_file(partial)
    tensors.pop("model.norm.weight")
    save_file(tensors, partial, metadata={"format": "pt"})
    (broken("bad_config") / "config.json").write_text('{"model_type": "of the future"}')
    write_tiny_model(tmp_path / "no_template", template=None)
    (tmp_path / "file").write_text("")
    for name, sentence in {
        "no_config": "holds no config.json",
        "no_weights": "the only weights that are loaded",
        "torn": "the model in .* cannot be loaded",
        "partial": r"lacks 1 of the model's weights \(first: model.norm.weight\)",
        "bad_config": "cannot be loaded",
        "no_template": "has no chat template",
        "file": "is a file",
    }.items():
        with pytest.raises(ConfigError, match=sentence):
            sample(model=str(tmp_path / name))


def test_a_hub_that_cannot_be_reached_is_a_backend_error(tmp_path):
    program = """
from pathlib import Path
from annotator.models.config import SampleConfig
from annotator.sampling.sample import make_backend
from schemas.errors import BackendError
try:
    make_backend(SampleConfig(model="nobody/nothing"))
except BackendError as error:
    print(error)
"""
    environment = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert "the Hub cannot be reached" in done.stdout


def test_questions_are_checked_before_the_model(sample, tmp_path):
    place = tmp_path / "run"
    place.mkdir()
    (place / "questions.jsonl").write_text('{"id": "a", "question": "b"}\n{"id": "a"}\n')
    with pytest.raises(InputError, match=r"questions\.jsonl:2"):
        sample(model="./nowhere")
    (place / "questions.jsonl").write_text(json.dumps({"id": "x" * 511, "question": "b"}) + "\n")
    with pytest.raises(InputError, match="'id' has 511 characters, but 510 are allowed here"):
        sample(model="./nowhere")


def test_the_output_must_be_a_file_of_its_own(tmp_path, model):
    questions = write_questions(tmp_path / "questions.jsonl", 1)
    config = SampleConfig(model=str(model))
    (tmp_path / "file").write_text("")
    for output, sentence in (
        (questions, "is the questions file"),
        (tmp_path, "is a folder"),
        (tmp_path / "file" / "r.jsonl", "cannot be made"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            run_sample(config, questions=questions, output=output, store=tmp_path / "calls.db")
    assert not (tmp_path / "calls.db").exists()


# One process loads the libraries and forks a child for each moment; a child kills itself there.
KILLED_SAMPLER = """
import os, signal, sys
from pathlib import Path
import torch, transformers
from annotator.calls import store
from annotator.models.local import row_noise
from annotator.sampling import sample
from annotator.models.config import SampleConfig
from schemas.files import writing

torch.set_num_threads(1)
folder, model, moments = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]


def kill_at(owner, name, count):
    original = getattr(owner, name)
    calls = 0
    def counted(*arguments, **settings):
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **settings)
    setattr(owner, name, counted)


for moment in moments:
    kind, count = moment.split(":")
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else "lived", flush=True)
        continue
    owner, name = {
        "step": (row_noise.RowNoise, "__call__"),
        "store": (store.Store, "put_many"),
        "rename": (writing.os, "replace"),
    }[kind]
    kill_at(owner, name, int(count))
    sample.run_sample(
        SampleConfig(model=model, num_responses=3, max_tokens=24, batch_size=4),
        questions=folder / "questions.jsonl", output=folder / "responses.jsonl",
        store=folder / "calls.db",
    )
    os._exit(0)
"""


@pytest.mark.slow
def test_kills_at_any_moment_change_no_byte(sample, tmp_path, model):
    whole, _ = sample(folder="whole")
    # 21 responses in 6 batches of up to 24 steps; every child goes on where the one before died.
    moments = ["step:1", "store:1", "step:30", "store:2", "step:70", "step:2", "rename:1"]
    place = tmp_path / "run"
    place.mkdir()
    write_questions(place / "questions.jsonl", 7)
    done = subprocess.run(
        [sys.executable, "-c", KILLED_SAMPLER, str(place), str(model), *moments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == [str(int(signal.SIGKILL))] * len(moments), done.stderr
    assert not (place / "responses.jsonl").exists()
    with Store(place / "calls.db") as calls:
        num_kept = calls.count("reply")
    result, _ = sample()
    assert result.counts["from_store"] == num_kept == 21
    assert result.output.read_bytes() == whole.output.read_bytes()


def test_a_device_that_runs_out_of_memory_keeps_what_was_finished(sample, monkeypatch, tmp_path):
    from annotator.models.local import row_noise

    original = row_noise.RowNoise.__call__
    steps = 0

    def run_out(self, input_ids, scores):
        nonlocal steps
        steps += 1
        if steps == 40:
            raise torch.OutOfMemoryError("no memory left")
        return original(self, input_ids, scores)

    whole, _ = sample(folder="whole")
    with monkeypatch.context() as patch:
        patch.setattr(row_noise.RowNoise, "__call__", run_out)
        with pytest.raises(BackendError, match=r"lower batch_size .* are stored in"):
            sample()
    with Store(tmp_path / "run" / "calls.db") as calls:
        num_kept = calls.count("reply")
    result, _ = sample()
    assert 0 < num_kept < 21
    assert result.counts["from_store"] == num_kept
    assert result.output.read_bytes() == whole.output.read_bytes()
    assert len(read_records(result.output, Response)) == 21
    assert Path(result.output).parent.name == "run"
