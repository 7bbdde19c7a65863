"""The whole stage: data set folder and model folder in, trained model folder out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tiny_models import (
    byte_level_tokenizer,
    make_pair_values,
    save_model_folder,
    tiny_llama,
    write_dataset,
)

from schemas.errors import BackendError, ConfigError, InputError
from schemas.stage import StageResult, failures_path
from trainer.config import RUN_KEY_EXCLUDED, TrainConfig
from trainer.run import run_train

SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 2,
    "epochs": 2,
    "logging_steps": 1,
    "device": "cpu",
    "progress": False,
}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


def train(model: Path, dataset: Path, output: Path, **changes: Any) -> StageResult:
    config = TrainConfig.parse({"model": str(model)} | SETTINGS | changes, where="test")
    return run_train(config, dataset=dataset, output=output)


def weights_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "training_log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_trains_saves_and_says_what_it_did(model_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dataset = write_dataset(tmp_path / "dataset")
    result = train(model_folder, dataset, tmp_path / "model")
    assert result.output == tmp_path / "model"
    assert result.num_rows == 8 and not result.failures
    assert result.counts["pairs"] == 6 and result.counts["test_pairs"] == 2
    assert result.counts["steps"] == 6
    assert result.counts["reference_computed"] == 16
    assert 0 < result.counts["active_tokens"] < result.counts["tokens"]

    names = {path.name for path in result.output.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names
    assert "checkpoints" not in names
    assert not list(result.output.rglob("*.bin")) and not list(result.output.rglob("*.pt"))
    assert weights_of(result.output) != weights_of(model_folder)
    assert AutoModelForCausalLM.from_pretrained(result.output).num_parameters() > 0
    tokenizer = AutoTokenizer.from_pretrained(result.output)
    assert tokenizer.chat_template == byte_level_tokenizer().chat_template

    lines = [line for line in log_of(result.output) if "loss" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[0]["rewards/margins"] == pytest.approx(0.0, abs=1e-5)
    assert lines[-1]["rewards/margins"] > 0.01
    last = lines[-1]
    assert last["rewards/margins"] == pytest.approx(
        last["rewards/chosen"] - last["rewards/rejected"], abs=1e-6
    )
    assert last["logratios/chosen_active"] > last["logratios/rejected_active"]
    # Here every masked sentence ends its answer: in training it is not even computed.
    assert not {"logratios/chosen_masked", "logratios/rejected_masked"} & set(last)
    assert last["kl"] > 0 and last["tokens_per_s"] > 0 and last["pairs_per_s"] > 0
    assert 0 <= last["displaced"] <= 1 and "mfu" not in last  # a CPU's peak is not known
    share = result.counts["active_tokens"] / result.counts["tokens"]
    epoch_shares = [line["active_share"] for line in lines[:3]]
    assert min(epoch_shares) <= share <= max(epoch_shares)
    evaluations = [line for line in log_of(result.output) if "eval_loss" in line]
    assert [line["step"] for line in evaluations] == [3, 6]
    assert evaluations[1]["eval_loss"] < evaluations[0]["eval_loss"] < 0.6932
    for side in ("chosen", "rejected"):
        assert evaluations[1][f"eval_logratios/{side}_masked"] != 0


def test_the_same_run_again_is_recognised_and_another_is_refused(
    model_folder: Path, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    first = train(model_folder, dataset, tmp_path / "model")
    made = (first.output / "model.safetensors").stat().st_mtime_ns

    again = train(model_folder, dataset, tmp_path / "model", logging_steps=2)
    assert again.counts == first.counts and again.num_rows == first.num_rows
    assert "finished" in again.notes[0]
    assert (first.output / "model.safetensors").stat().st_mtime_ns == made

    with pytest.raises(ConfigError, match=r"learning_rate 0.001 is now 0.002.*resume=false"):
        train(model_folder, dataset, tmp_path / "model", learning_rate=2e-3)
    other = write_dataset(tmp_path / "other", num_train=4)
    with pytest.raises(ConfigError, match="the training pairs changed"):
        train(model_folder, other, tmp_path / "model")
    fresh = train(model_folder, other, tmp_path / "model", resume=False)
    assert fresh.counts["pairs"] == 4

    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("precious", encoding="utf-8")
    for resume in (True, False):
        with pytest.raises(ConfigError, match="no training run"):
            train(model_folder, dataset, full, resume=resume)
    assert (full / "thesis.txt").read_text(encoding="utf-8") == "precious"


def test_same_seed_same_weights_and_another_seed_others(model_folder: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    runs = [
        weights_of(train(model_folder, dataset, tmp_path / name, seed=seed).output)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_relabelling_costs_no_new_reference_pass(model_folder: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    first = train(model_folder, dataset, tmp_path / "masked")
    assert first.counts["reference_computed"] == 16 and first.counts["reference_reused"] == 0
    relabelled = train(model_folder, dataset, tmp_path / "plain", use_spans=False, beta=0.5)
    assert relabelled.counts["reference_computed"] == 0
    assert relabelled.counts["reference_reused"] == 16
    assert relabelled.counts["active_tokens"] > first.counts["active_tokens"]

    shorter = train(model_folder, dataset, tmp_path / "short", max_length=50)
    assert shorter.counts["reference_computed"] > 0
    other = save_model_folder(tmp_path / "other", seed=5)
    assert train(other, dataset, tmp_path / "fresh").counts["reference_computed"] == 16


def reference_model(**changes: str) -> Any:
    from trainer.reference import ReferenceModel

    values = {"weights_hash": "w", "compute_dtype": "float32", "weights_dtype": "float32"}
    return ReferenceModel(**{"device": "cpu"} | values | changes)


@pytest.mark.parametrize("layout", ["padded", "shared"])
def test_cached_reference_equals_the_model(
    layout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the cache holds is, token by token, the reference's own log-probability."""
    import torch
    from steps import sequence, use_layout

    from trainer.examples import Example
    from trainer.reference import ReferenceCache, compute_missing, sequence_key

    model = tiny_llama(40, seed=3)
    examples = [
        Example(id="a", chosen=sequence([3, 0, 5, 7, 1], 2), rejected=sequence([3, 0, 5], 1)),
        Example(id="b", chosen=sequence([3, 0, 5], 2), rejected=sequence([3, 0, 6, 7], 2)),
    ]
    sides = [side for example in examples for side in (example.chosen, example.rejected)]
    keys = {sequence_key(side) for side in sides}
    assert len(keys) == 4
    cache = ReferenceCache(tmp_path, reference_model())
    assert cache.load(keys) == {}
    counted: list[int] = []
    compute_missing(
        model,
        examples,
        cache,
        choice=use_layout(model, layout, examples),
        batch_size=1,
        dtype=torch.float32,
        on_progress=counted.append,
    )
    assert sum(counted) == 2
    found = cache.load(keys)
    fresh = tiny_llama(40, seed=3)
    for side in sides:
        with torch.no_grad():
            logits = fresh(input_ids=torch.tensor([side.token_ids])).logits[0]
        logps = logits.log_softmax(-1)
        expected = [
            logps[at - 1, side.token_ids[at]].item()
            for at in range(side.first, len(side.token_ids))
        ]
        assert found[sequence_key(side)].tolist() == pytest.approx(expected, abs=1e-5)
    for change in (
        {"weights_hash": "v"},
        {"compute_dtype": "bfloat16"},
        {"weights_dtype": "bfloat16"},
        {"device": "cuda"},
    ):
        assert ReferenceCache(tmp_path, reference_model(**change)).load(keys) == {}, change
    for library in ("torch", "transformers"):
        monkeypatch.setattr(
            "trainer.reference.installed_versions",
            lambda names, moved=library: {
                name: "99.0" if name == moved else version(name) for name in names
            },
        )
        assert ReferenceCache(tmp_path, reference_model()).load(keys) == {}, library
    (file,) = cache.folder.glob("*.arrow")
    file.write_bytes(b"torn")
    with pytest.raises(InputError, match="delete it"):
        cache.load(keys)


@pytest.mark.parametrize("lora", [None, {}])
def test_the_reference_can_be_computed_with_each_step(
    lora: Any, model_folder: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    dataset = write_dataset(tmp_path / "dataset")
    runs = [
        train(model_folder, dataset, tmp_path / str(stored), precompute=stored, lora=lora)
        for stored in (True, False)
    ]
    assert runs[0].counts["reference_computed"] == 16
    assert "reference_computed" not in runs[1].counts
    left, right = (load_file(run.output / "model.safetensors") for run in runs)
    for name, value in left.items():
        assert (value - right[name]).abs().max().item() < 1e-4, name
    losses = [[line["loss"] for line in log_of(run.output) if "loss" in line] for run in runs]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
def test_layouts_lead_to_the_same_model(layout: str, model_folder: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    changes = {"layout": layout, "group_by_length": layout == "padded", "max_steps": 3}
    plain = train(model_folder, dataset, tmp_path / "plain", layout="padded", max_steps=3)
    other = train(model_folder, dataset, tmp_path / "other", **changes)
    ends = [
        [line for line in log_of(run.output) if "eval_loss" in line][-1] for run in (plain, other)
    ]
    assert not other.notes
    if layout != "padded":
        assert ends[1]["eval_loss"] == pytest.approx(ends[0]["eval_loss"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
def test_a_killed_run_continues_to_the_same_weights(
    layout: str, model_folder: Path, tmp_path: Path
) -> None:
    changes = {"epochs": 12, "evaluate": "no", "save": "steps", "save_steps": 7, "layout": layout}
    dataset = write_dataset(tmp_path / "dataset")
    whole = train(model_folder, dataset, tmp_path / "whole", **changes)

    settings = {"model": str(model_folder)} | SETTINGS | changes
    code = (
        "import sys, json, pathlib, time\n"
        "from transformers import TrainerCallback\n"
        "import trainer.callbacks as m\n"
        "slow = lambda self, *a, **k: time.sleep(0.05)\n"
        "m.LogFile.on_step_begin = slow\n"  # so that the kill comes in the middle
        "from trainer.config import TrainConfig\n"
        "from trainer.run import run_train\n"
        "run_train(TrainConfig.parse(json.loads(sys.argv[1]), where='test'),"
        " dataset=pathlib.Path(sys.argv[2]), output=pathlib.Path(sys.argv[3]))\n"
    )
    output = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(settings), str(dataset), str(output)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not list((output / "checkpoints").glob("checkpoint-14/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output / "model.safetensors").exists()
    torn = output / "checkpoints" / "checkpoint-9999"
    torn.mkdir()  # a checkpoint whose writing never ended
    (torn / "model.safetensors").write_bytes(b"half")

    with pytest.raises(ConfigError, match=r"beta 0\.1 is now 0\.2"):
        train(model_folder, dataset, output, **changes, beta=0.2)
    resumed = train(model_folder, dataset, output, **changes)
    assert resumed.counts["reference_computed"] == 0
    assert not torn.exists()
    assert weights_of(output) == weights_of(whole.output)

    def losses(folder: Path) -> list[tuple[int, float]]:
        return [(line["step"], line["loss"]) for line in log_of(folder) if "loss" in line]

    assert losses(output) == losses(whole.output)


def test_plain_preference_data_trains_as_dpo(model_folder: Path, tmp_path: Path) -> None:
    """TRL's columns without spans or ids, and its implicit prompt, from JSONL."""
    explicit, implicit = [], []
    for index in range(3):
        row = make_pair_values(index)
        sides = {name: row[name] for name in ("chosen", "rejected")}
        explicit.append({"prompt": row["prompt"], "margin": 2.0} | sides)
        implicit.append({name: row["prompt"] + side for name, side in sides.items()})
    results = [
        train(model_folder, write_rows(tmp_path / f"{name}.jsonl", rows), tmp_path / name)
        for name, rows in (("explicit", explicit), ("implicit", implicit))
    ]
    for result in results:
        assert result.counts["pairs"] == 3 and not result.failures
    assert weights_of(results[0].output) == weights_of(results[1].output)
    assert results[1].counts["reference_reused"] == 6
    spans = train(
        model_folder,
        write_rows(tmp_path / "s.jsonl", [make_pair_values(index) for index in range(3)]),
        tmp_path / "unmasked",
        use_spans=False,
    )
    assert weights_of(spans.output) == weights_of(results[0].output)


def test_bad_rows_are_failures_and_good_rows_train(model_folder: Path, tmp_path: Path) -> None:
    bad_span = make_pair_values(1)
    bad_span["chosen_spans"][1]["end"] = 4000
    rows = [
        make_pair_values(0),
        bad_span,
        make_pair_values(0),
        {"id": "text", "chosen": "She.", "rejected": "He."},
        [1, 2],
        make_pair_values(2) | {"rejected": [{"role": "user", "content": "Hm"}]},
        make_pair_values(3) | {"rejected_spans": None},
        make_pair_values(4),
    ]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    with path.open("a", encoding="utf-8") as handle:
        handle.write('{"id": "cut off"\n')
    result = train(model_folder, path, tmp_path / "model")
    assert result.counts["pairs"] == 2 and result.num_rows == 9
    details = [failure.detail for failure in result.failures]
    assert [detail.split(": ")[0] for detail in details] == [
        f"{path}:{n}" for n in (2, 3, 4, 5, 6, 7, 9)
    ]
    for said, detail in zip(
        (
            "ends past the text",
            "duplicate id 'pair-0'",
            "has no 'prompt'",
            "must be an object",
            "must be 'assistant'",
            "spans on both sides",
            "not valid JSON",
        ),
        details,
        strict=True,
    ):
        assert said in detail
    assert details[-1].startswith(f"{path}:9: not valid JSON")
    assert len(failures_path(result.output).read_text(encoding="utf-8").splitlines()) == 7

    broken = tmp_path / "broken.jsonl"
    broken.write_text("{\n", encoding="utf-8")
    with pytest.raises(InputError, match="none of 1 training pairs can be used") as caught:
        train(model_folder, broken, tmp_path / "none")
    assert str(caught.value).count(f"{broken}:1: ") == 1  # the place is told once


def test_dropped_pairs_are_counted_and_listed(model_folder: Path, tmp_path: Path) -> None:
    control = make_pair_values(1) | {"prompt": [{"role": "user", "content": "<|end|> hi"}]}
    masked = make_pair_values(2) | {"chosen_spans": []}
    path = write_rows(tmp_path / "pairs.jsonl", [make_pair_values(0), control, masked])
    result = train(model_folder, path, tmp_path / "model")
    assert result.counts["pairs"] == 1 and not result.failures
    assert result.counts["dropped_control_token"] == 1
    assert result.counts["dropped_no_active_token"] == 1
    assert "control_token 1, no_active_token 1" in result.notes[0]
    listed = (result.output / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in listed] == ["pair-1", "pair-2"]

    nothing = write_rows(tmp_path / "nothing.jsonl", [control, masked])
    with pytest.raises(InputError, match=r"none of 2 training pairs can be used .*control_token 1"):
        train(model_folder, nothing, tmp_path / "none")


def test_unusable_data_is_one_sentence(model_folder: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def refused(dataset: Path) -> str:
        with pytest.raises(InputError) as caught:
            train(model_folder, dataset, tmp_path / "model")
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    assert "not found" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "holds no training pairs" in refused(tmp_path / "empty")
    assert "no rows" in refused(write_rows(tmp_path / "empty.jsonl", []))
    (tmp_path / "pairs.csv").touch()
    assert "must end in" in refused(tmp_path / "pairs.csv")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    assert "cannot be read as Parquet" in refused(tmp_path / "torn.parquet")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "other.parquet")
    assert "no column 'chosen', 'rejected'" in refused(tmp_path / "other.parquet")
    future = write_dataset(tmp_path / "future")
    manifest = {"format": "maskdpo.pairs", "version": "3.0"}
    (future / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "format version 3.0, newer" in refused(future)
    (future / "manifest.json").write_text("{}", encoding="utf-8")
    assert "not a data set manifest" in refused(future)


def test_unusable_models_are_one_sentence(model_folder: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    with pytest.raises(InputError, match="is not a model folder"):
        train(tmp_path / "nowhere", dataset, tmp_path / "model")
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match=r"no config\.json"):
        train(tmp_path / "bare", dataset, tmp_path / "model")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_bytes((model_folder / "config.json").read_bytes())
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="pickles"):
        train(pickled, dataset, tmp_path / "model")
    silent = save_model_folder(tmp_path / "silent", byte_level_tokenizer(template=None))
    with pytest.raises(ConfigError, match="no chat template"):
        train(silent, dataset, tmp_path / "model")
    small = tmp_path / "small"
    tiny_llama(100).save_pretrained(small)
    byte_level_tokenizer().save_pretrained(small)
    with pytest.raises(ConfigError, match=r"the tokenizer has \d+ tokens, the model embeds 100"):
        train(small, dataset, tmp_path / "model")


def test_a_loss_that_is_not_finite_stops_with_the_pairs(tmp_path: Path) -> None:
    import torch

    tokenizer = byte_level_tokenizer()
    model = tiny_llama(len(tokenizer))
    with torch.no_grad():
        model.lm_head.weight[0] = float("inf")
    model.save_pretrained(tmp_path / "broken")
    tokenizer.save_pretrained(tmp_path / "broken")
    with pytest.raises(
        BackendError, match=r"the loss of 'pair-\d' and|the loss of 'pair-\d', 'pair"
    ):
        train(tmp_path / "broken", write_dataset(tmp_path / "dataset"), tmp_path / "model")
    assert not (tmp_path / "model" / "model.safetensors").exists()


@pytest.mark.parametrize("save", ["epoch", "no"])
def test_weights_that_are_not_finite_are_not_saved(
    save: str, model_folder: Path, tmp_path: Path
) -> None:
    """One step at an absurd rate: the loss before it is fine, the weights after it are not.

    A checkpoint finds that out; without checkpoints the writing of the model must.
    """
    dataset = write_dataset(tmp_path / "dataset")
    changes = {"max_steps": 1, "learning_rate": 1e39, "warmup_ratio": 0.0, "evaluate": "no"}
    changes["save"] = save
    with pytest.raises(BackendError, match="weights are not finite"):
        train(model_folder, dataset, tmp_path / "model", **changes)
    assert not (tmp_path / "model" / "model.safetensors").exists()


def test_a_short_run_still_has_a_curve(model_folder: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    result = train(model_folder, dataset, tmp_path / "model", logging_steps=100)
    steps = [line["step"] for line in log_of(result.output) if "loss" in line]
    assert steps == [1, result.counts["steps"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "bfloat16"},
        {"gradient_checkpointing": True},
        {"report_to": "tensorboard", "save": "no", "lr_scheduler": "constant"},
    ],
)
def test_other_settings_train_too(
    model_folder: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    result = train(model_folder, dataset, tmp_path / "model", **changes)
    lines = [line for line in log_of(result.output) if "loss" in line]
    assert lines[0]["rewards/margins"] == pytest.approx(0.0, abs=0.02)
    assert lines[-1]["rewards/margins"] > 0.05
    if "report_to" in changes:
        assert list((result.output / "tensorboard").iterdir())


@pytest.mark.parametrize("layout", ["padded", "shared"])
def test_dropout_is_off_in_training_and_kept_in_the_saved_config(
    layout: str, tmp_path: Path
) -> None:
    """The model's own attention, in padded rows, would drop; ours over segments never does."""
    from transformers import AutoConfig

    folder = save_model_folder(tmp_path / "policy")
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps(values | {"attention_dropout": 0.5}), encoding="utf-8"
    )
    result = train(folder, write_dataset(tmp_path / "dataset"), tmp_path / "model", layout=layout)
    first = next(line for line in log_of(result.output) if "loss" in line)
    assert first["rewards/margins"] == pytest.approx(0.0, abs=1e-5)
    assert AutoConfig.from_pretrained(result.output).attention_dropout == 0.5


def test_every_excluded_setting_exists() -> None:
    assert set(RUN_KEY_EXCLUDED) <= set(TrainConfig.model_fields)
    with pytest.raises(ConfigError, match="did you mean 'beta'"):
        TrainConfig.parse({"model": "m", "betta": 1}, where="run.yaml: train")
    assert all(field.description for field in TrainConfig.model_fields.values())


def test_what_a_run_reads_is_never_its_output(tmp_path: Path) -> None:
    """`resume: false` deletes the output: the policy and the data must survive every such call."""
    policy = save_model_folder(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "work" / "dataset")
    before = weights_of(policy)
    for output in (policy, policy / "inside", tmp_path, dataset, tmp_path / "work"):
        with pytest.raises(ConfigError, match="overlap"):
            train(policy, dataset, output, resume=False)
    with pytest.raises(ConfigError, match=r"choose another train\.reference_dir"):
        cache = tmp_path / "out" / "cache"
        train(policy, dataset, tmp_path / "out", resume=False, reference_dir=cache)
    assert weights_of(policy) == before
    assert (dataset / "manifest.json").exists()


def test_starting_over_deletes_no_strange_file(model_folder: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    train(model_folder, dataset, tmp_path / "out")
    notes = tmp_path / "out" / "my notes.txt"
    notes.write_text("keep me")
    with pytest.raises(ConfigError, match=r"holds my notes\.txt"):
        train(model_folder, dataset, tmp_path / "out", resume=False)
    assert notes.read_text() == "keep me"
    notes.unlink()
    before = weights_of(tmp_path / "out")
    empty = tmp_path / "bad.jsonl"
    empty.write_text('{"chosen": 3}\n')
    with pytest.raises(InputError):  # refused before anything of the old run is deleted
        train(model_folder, empty, tmp_path / "out", resume=False)
    assert weights_of(tmp_path / "out") == before
    train(model_folder, dataset, tmp_path / "out", resume=False)


def test_a_finished_run_whose_weights_are_gone_runs_again(
    model_folder: Path, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    train(model_folder, dataset, tmp_path / "out")
    before = weights_of(tmp_path / "out")
    (tmp_path / "out" / "model.safetensors").unlink()
    train(model_folder, dataset, tmp_path / "out")
    assert weights_of(tmp_path / "out") == before


def test_a_row_nested_too_deep_costs_no_good_row(model_folder: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pairs.jsonl", [make_pair_values(index) for index in range(3)])
    with path.open("a") as lines:
        lines.write("[" * 100_000 + "\n")
    result = train(model_folder, path, tmp_path / "out")
    assert result.counts["pairs"] == 3
    assert len(result.failures) == 1
    again = train(model_folder, path, tmp_path / "out")
    assert again.failures == result.failures  # the exit code of a rerun is that of the run


@pytest.mark.parametrize("name", ["add_generation_prompt", "continue_final_message", "tokenize"])
def test_arguments_that_are_no_template_variables_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        TrainConfig.parse({"model": "m", "chat_template_kwargs": {name: True}}, where="test")


def test_the_verb_takes_a_file_and_ends_with_1_when_too_many_rows_are_no_pairs(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskdpo.cli.main import main

    rows = [make_pair_values(0), {"chosen": 3}]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    settings = ["train.max_steps=1", "train.device=cpu", "train.progress=false"]
    arguments = ["maskdpo", "train", "--dataset", str(path), "--model", str(model_folder)]
    arguments += ["--output", str(tmp_path / "out")]
    for setting in settings:
        arguments += ["--set", setting]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_the_published_json_trains_through_import(model_folder: Path, tmp_path: Path) -> None:
    """Sentences and their types as the published code writes them, to masks and to a model."""
    from dataset_builder.build import run_build
    from dataset_builder.config import BuildConfig
    from formats.import_pairs import run_import_pairs

    def side(*sentences: tuple[str, str]) -> tuple[list[dict[str, str]], dict[str, list[str]]]:
        text = " ".join(sentence for sentence, _ in sentences)
        item = {"sents": [s for s, _ in sentences], "type": [kind for _, kind in sentences]}
        return [{"role": "assistant", "content": text}], item

    rows = []
    for year in range(1871, 1875):
        chosen, chosen_item = side(
            (f"Ada Ling was born in {year}.", "no_hallucination"),
            ("She had a clock.", "no_hallucination"),
            ("She wrote eleven novels.", "hallucination"),
        )
        rejected, rejected_item = side(
            ("Ada Ling studied law.", "no_hallucination"),
            (f"She died in {year}.", "hallucination"),
        )
        rows.append(
            {
                "prompt": [{"role": "user", "content": f"Who was Ada Ling, in {year}?"}],
                "chosen": chosen,
                "rejected": rejected,
                "chosen_item": chosen_item,
                "rejected_item": rejected_item,
            }
        )
    path = write_rows(tmp_path / "published.jsonl", rows)
    annotations = tmp_path / "annotations.jsonl"
    run_import_pairs(source=path, annotations=annotations, format_name="published")
    run_build(BuildConfig(test_share=0.0), annotations=annotations, output=tmp_path / "dataset")
    result = train(model_folder, tmp_path / "dataset", tmp_path / "model")
    assert result.counts["pairs"] == 4 and not result.failures
    assert 0 < result.counts["active_tokens"] < result.counts["tokens"]
