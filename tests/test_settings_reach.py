"""Every setting of the trainer acts where it should: a table with a row for each.

A setting is in one or more of three tables, and a new one without a row fails the first test:

    ARGUMENTS   a value other than the default, and what transformers' arguments must then hold.
                All of them are set in one run, and no two numbers are the same, so that two
                settings in each other's place are seen.
    PROBES      functions that change the setting and look at what acts on it
    ELSEWHERE   tests of what the setting does, in other files; they must exist

What is looked at is the trainer that the whole command builds, stopped just before it trains.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import train_support
from tiny_models import (
    CHATML,
    byte_level_tokenizer,
    make_pair_values,
    save_model_folder,
    tiny_qwen,
    write_dataset,
)
from train_support import log_of

from schemas.errors import ConfigError
from trainer.config import LoraSettings, TrainConfig
from trainer.flops import measure_shape
from trainer.loss import LossSettings
from trainer.models import resolve_model

ARGUMENTS: dict[str, tuple[Any, Mapping[str, Any]]] = {
    "epochs": (7.5, {"num_train_epochs": 7.5}),
    "max_steps": (17, {"max_steps": 17}),
    "batch_size": (3, {"per_device_train_batch_size": 3, "per_device_eval_batch_size": 3}),
    "gradient_accumulation": (5, {"gradient_accumulation_steps": 5}),
    "learning_rate": (0.013, {"learning_rate": 0.013}),
    "lr_scheduler": ("linear", {"lr_scheduler_type": "linear"}),
    "warmup_ratio": (0.21, {"warmup_steps": 0.21}),
    "weight_decay": (0.37, {"weight_decay": 0.37}),
    "adam_beta1": (0.81, {"adam_beta1": 0.81}),
    "adam_beta2": (0.97, {"adam_beta2": 0.97}),
    "adam_epsilon": (3e-6, {"adam_epsilon": 3e-6}),
    "max_grad_norm": (0.63, {"max_grad_norm": 0.63}),
    "gradient_checkpointing": (True, {"activation_checkpointing": True}),
    "seed": (43, {"seed": 43}),
    "dtype": ("bfloat16", {"bf16": True}),
    "device": ("cpu", {"use_cpu": True}),
    "evaluate": ("steps", {"eval_strategy": "steps"}),
    "eval_steps": (13, {"eval_steps": 13}),
    "early_stopping_patience": (
        2,
        {
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        },
    ),
    "save": ("steps", {"save_strategy": "steps"}),
    "save_steps": (19, {"save_steps": 19}),
    "logging_steps": (11, {"logging_steps": 11}),
    "progress": (False, {"disable_tqdm": True}),
}

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "trust_remote_code": (
        "test_remote_code.py::test_by_default_nothing_of_it_runs",
        "test_remote_code.py::test_when_trusted_it_trains_and_says_so",
    ),
    "early_stopping_patience": (
        "test_early_stopping.py::test_it_stops_when_patience_ends_and_takes_the_best_weights",
    ),
    "gradient_checkpointing": ("test_lora.py::test_gradient_checkpointing_reaches_the_adapter",),
    "precompute": ("test_train.py::test_the_reference_can_be_computed_with_each_step",),
    "resume": (
        "test_train.py::test_the_same_run_again_is_recognised_and_another_is_refused",
        "test_train.py::test_starting_over_deletes_no_strange_file",
    ),
    "template_date": ("test_template_date.py::test_the_same_pairs_are_the_same_tokens_on_any_day",),
    "lora.merge": (
        "test_lora.py::test_the_merged_model_is_whole_and_the_adapter_alone_gives_the_same",
    ),
}

Probe = Callable[["Bench"], None]
PROBES: dict[str, list[Probe]] = {}


def probe(*names: str) -> Callable[[Probe], Probe]:
    """Enter a function into the table for these settings."""

    def enter(function: Probe) -> Probe:
        for name in names:
            PROBES.setdefault(name, []).append(function)
        return function

    return enter


class ReadyError(BaseException):
    """Carries the trainer out of the run, past whatever catches exceptions there."""

    def __init__(self, trainer: Any) -> None:
        super().__init__("ready to train")
        self.trainer = trainer


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A policy, data sets, and runs on them with other settings."""

    folder: Path
    policy: Path
    dataset: Path
    uneven: Path  # pairs of very different lengths
    patch: pytest.MonkeyPatch
    numbers: Any = field(default_factory=count)

    def trainer(self, **changes: Any) -> Any:
        """What the command builds, just before it trains."""

        def stop(self: Any, *_: Any, **__: Any) -> None:
            raise ReadyError(self)

        with self.patch.context() as patch:
            patch.setattr("transformers.Trainer.train", stop)
            with pytest.raises(ReadyError) as ready:
                self.train(**changes)
        return ready.value.trainer

    def train(self, **changes: Any) -> Path:
        """The output folder of a whole run."""
        output = self.folder / f"run-{next(self.numbers)}" / "model"
        model, dataset = changes.pop("model", self.policy), changes.pop("dataset", self.dataset)
        return train_support.train(model, dataset, output, **changes).output


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("settings")
    rows = []
    for index in range(8):
        row = make_pair_values(index)
        del row["chosen_spans"], row["rejected_spans"]
        row["chosen"][0]["content"] += " She wrote novels." * (index * 5 % 8)
        rows.append(json.dumps(row) + "\n")
    uneven = folder / "uneven.jsonl"
    uneven.write_text("".join(rows), encoding="utf-8")
    return {
        "folder": folder / "runs",
        "policy": save_model_folder(folder / "policy"),
        "dataset": write_dataset(folder / "dataset"),
        "uneven": uneven,
    }


@pytest.fixture
def bench(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    return Bench(**places | {"folder": tmp_path}, patch=monkeypatch)


@pytest.fixture(scope="module")
def arguments(places: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of one run in which every row of ARGUMENTS is set."""
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(**places | {"folder": tmp_path_factory.mktemp("all")}, patch=patch)
        return bench.trainer(**{name: value for name, (value, _) in ARGUMENTS.items()}).args


def all_settings() -> set[str]:
    nested = {f"lora.{name}" for name in LoraSettings.model_fields}
    return set(TrainConfig.model_fields) - {"lora"} | nested


def default_of(name: str) -> Any:
    section, _, rest = name.rpartition(".")
    fields = LoraSettings.model_fields if section else TrainConfig.model_fields
    return fields[rest].default


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert set(ARGUMENTS) | set(PROBES) | set(ELSEWHERE) == all_settings()


def test_no_two_numbers_of_the_table_are_the_same_or_a_default() -> None:
    numbers = [value for value, _ in ARGUMENTS.values() if isinstance(value, (int, float))]
    numbers = [value for value in numbers if not isinstance(value, bool)]
    assert len(set(numbers)) == len(numbers)
    assert all(value != default_of(name) for name, (value, _) in ARGUMENTS.items())


@pytest.mark.parametrize("name", sorted(all_settings()))
def test_a_setting_reaches_where_it_acts(name: str, bench: Bench, arguments: Any) -> None:
    _, expected = ARGUMENTS.get(name, (None, {}))
    assert {key: getattr(arguments, key) for key in expected} == dict(expected)
    for look in PROBES.get(name, []):
        look(bench)
    for node in ELSEWHERE.get(name, ()):
        file, test = node.split("::")
        source = Path(__file__).with_name(file).read_text(encoding="utf-8")
        functions = [item for item in ast.parse(source).body if isinstance(item, ast.FunctionDef)]
        assert test in {function.name for function in functions}, node


# What a run reads


@probe("model")
def the_model_is_that_of_the_folder(bench: Bench) -> None:
    import torch

    other = save_model_folder(bench.folder / "other", seed=5)
    weights = [bench.trainer(model=model).model.lm_head.weight for model in (bench.policy, other)]
    assert not torch.equal(*weights)


@probe("revision")
def the_revision_is_asked_for(bench: Bench) -> None:
    asked: list[str | None] = []

    def download(name: str, *, revision: str | None, **_: Any) -> str:
        asked.append(revision)
        return str(bench.policy)

    bench.patch.setattr("huggingface_hub.snapshot_download", download)
    for revision in ("v1.5", None):
        resolve_model(TrainConfig(model="org/name", revision=revision))
    assert asked == ["v1.5", None]


@probe("chat_template_kwargs")
def the_template_takes_its_values(bench: Bench) -> None:
    template = CHATML.replace("{% for", "{% if motto %}{{ motto }}{% endif %}{% for", 1)
    tokenizer = byte_level_tokenizer(template=template)
    policy = save_model_folder(bench.folder / "motto", tokenizer)
    texts = [
        tokenizer.decode(first_example(bench.trainer(model=policy, **changes)).chosen.token_ids)
        for changes in ({}, {"chat_template_kwargs": {"motto": "Be brief."}})
    ]
    assert [text.startswith("Be brief.") for text in texts] == [False, True]


def first_example(trainer: Any) -> Any:
    return trainer.train_dataset[0].example


@probe("use_spans")
def masks_come_from_the_spans(bench: Bench) -> None:
    examples = [first_example(bench.trainer(use_spans=spans)) for spans in (True, False)]
    masked, whole = (example.chosen.weights[example.chosen.first :] for example in examples)
    assert 0 < sum(masked) < sum(whole)


@probe("eos")
def the_trailer_trains_on_the_sides_that_are_named(bench: Bench) -> None:
    for eos, chosen, rejected in (("neither", 0, 0), ("chosen", 1, 0), ("both", 1, 1)):
        example = first_example(bench.trainer(eos=eos))
        assert (example.chosen.weights[-1], example.rejected.weights[-1]) == (chosen, rejected)


@probe("max_length")
def long_answers_are_cut(bench: Bench) -> None:
    longest = max(len(item.example.chosen.token_ids) for item in bench.trainer().train_dataset)
    limit = longest - 3
    cut = [
        len(item.example.chosen.token_ids) for item in bench.trainer(max_length=limit).train_dataset
    ]
    assert max(cut) == limit < longest


@probe("max_length")
def windows_of_attention_are_compared_with_it(bench: Bench) -> None:
    folder, tokenizer = bench.folder / "window", byte_level_tokenizer()
    window = {"use_sliding_window": True, "sliding_window": 128, "max_window_layers": 0}
    tiny_qwen(len(tokenizer), 2, **window).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    layouts = [layout_of(bench.trainer(model=folder, max_length=n)) for n in (128, 129)]
    assert layouts == ["shared", "padded"]


@probe("max_failed")
def it_is_the_share_of_failures_that_ends_the_command_well(bench: Bench) -> None:
    from maskdpo.cli.main import main

    path = bench.folder / "pairs.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(make_pair_values(0)) + '\n{"chosen": 3}\n', encoding="utf-8")
    output = bench.folder / "failed" / "model"
    line = ["maskdpo", "train", "--dataset", str(path), "--model", str(bench.policy)]
    line += ["--output", str(output), "--set", "train.max_steps=1", "--set", "train.device=cpu"]
    codes: list[Any] = []
    for share in ("0.4", "0.6"):  # the second time the run is finished, and its failures are read
        bench.patch.setattr(sys, "argv", [*line, "--set", f"train.max_failed={share}"])
        try:
            main()
            codes.append(0)
        except SystemExit as stop:
            codes.append(stop.code)
    assert codes == [1, 0]


# The loss


@probe("loss", "beta", "label_smoothing", "length_normalize", "nll_weight")
def the_loss_has_its_settings(bench: Bench) -> None:
    trainer = bench.trainer(
        loss="robust", beta=0.31, label_smoothing=0.17, length_normalize=True, nll_weight=0.23
    )
    assert trainer.method.loss == LossSettings(
        kind="robust", beta=0.31, label_smoothing=0.17, length_normalize=True, nll_weight=0.23
    )


# The steps


@probe("batch_size")
def a_batch_has_as_many_pairs(bench: Bench) -> None:
    trainer = bench.trainer(batch_size=3)
    for batches in (trainer.get_train_dataloader(), trainer.get_eval_dataloader()):
        assert max(len(batch["ids"]) for batch in batches) == min(3, len(batches.dataset))


@probe("learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon")
def adamw_has_its_settings(bench: Bench) -> None:
    from torch.optim import AdamW

    settings = {"learning_rate": 0.013, "weight_decay": 0.37, "adam_epsilon": 3e-6}
    trainer = bench.trainer(**settings, adam_beta1=0.81, adam_beta2=0.97)
    optimizer = trainer.create_optimizer()
    assert isinstance(optimizer, AdamW)
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (0.013, (0.81, 0.97), 3e-6)
        matrices = {value.dim() > 1 for value in group["params"]}
        assert matrices == {group["weight_decay"] > 0}  # norms do not decay
        assert group["weight_decay"] in (0.0, 0.37)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.37}


@probe("lr_scheduler", "warmup_ratio")
def the_rate_rises_and_falls_as_asked(bench: Bench) -> None:
    def rates(**changes: Any) -> list[float]:
        trainer = bench.trainer(learning_rate=0.5, max_steps=20, **changes)
        trainer.create_optimizer_and_scheduler(num_training_steps=20)
        found = []
        for _ in range(20):
            found.append(trainer.lr_scheduler.get_last_lr()[0])
            trainer.optimizer.step()
            trainer.lr_scheduler.step()
        return found

    warm = rates(lr_scheduler="linear", warmup_ratio=0.2)
    assert warm[:5] == pytest.approx([0.0, 0.125, 0.25, 0.375, 0.5])
    assert warm[4:8] == pytest.approx([0.5 * left / 16 for left in (16, 15, 14, 13)])
    assert rates(lr_scheduler="constant", warmup_ratio=0.2) == [0.5] * 20
    rising = rates(lr_scheduler="constant_with_warmup", warmup_ratio=0.5)
    assert rising[5] == pytest.approx(0.25) and rising[10:] == [0.5] * 10
    cosine = rates(lr_scheduler="cosine", warmup_ratio=0.0)
    assert cosine[10] == pytest.approx(0.25) and cosine[5] > 0.4  # above the straight line


@probe("max_grad_norm")
def gradients_are_clipped_before_the_optimiser_takes_them(bench: Bench) -> None:
    free, clipped = (norm_of_a_step(bench, max_grad_norm=norm) for norm in (0.0, 0.05))
    assert free > 0.1
    assert clipped == pytest.approx(0.05, rel=1e-3)


def norm_of_a_step(bench: Bench, **changes: Any) -> float:
    """Of the gradient as the optimiser finds it, in one real step."""
    import torch
    from transformers import TrainerCallback

    norms: list[float] = []

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            gradients = [part.grad.norm() for part in model.parameters() if part.grad is not None]
            norms.append(float(torch.stack(gradients).norm()))

    trainer = bench.trainer(max_steps=1, evaluate="no", save="no", **changes)
    trainer.add_callback(Watch())
    trainer.train()
    (norm,) = norms
    return norm


@probe("gradient_checkpointing")
def activations_are_computed_again(bench: Bench) -> None:
    trainer = bench.trainer(max_steps=1, evaluate="no", save="no", gradient_checkpointing=True)
    calls: list[int] = []
    trainer.model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    trainer.train()
    assert len(calls) == 2  # forward, and once more in the backward pass


@probe("seed")
def it_draws_the_order_and_the_adapter(bench: Bench) -> None:
    import torch

    trainers = [bench.trainer(seed=seed, lora={}) for seed in (1, 1, 2)]
    orders = [order_of(trainer) for trainer in trainers]
    assert orders[0] == orders[1] != orders[2]
    drawn = [
        [value for name, value in trainer.model.named_parameters() if "lora_A" in name]
        for trainer in trainers
    ]
    same = [[torch.equal(*both) for both in zip(*pair, strict=True)] for pair in pairwise(drawn)]
    assert all(same[0]) and not any(same[1])


def order_of(trainer: Any) -> list[str]:
    return [name for batch in trainer.get_train_dataloader() for name in batch["ids"]]


@probe("group_by_length")
def batches_hold_pairs_of_like_length(bench: Bench) -> None:
    def spread(grouped: bool) -> int:
        trainer = bench.trainer(dataset=bench.uneven, group_by_length=grouped, batch_size=2)
        tokens = {item.example.id: item.example.num_tokens for item in trainer.train_dataset}
        sizes = [[tokens[i] for i in batch["ids"]] for batch in trainer.get_train_dataloader()]
        assert sorted(n for batch in sizes for n in batch) == sorted(tokens.values())
        return sum(max(batch) - min(batch) for batch in sizes)

    assert spread(True) < 0.7 * spread(False)


@probe("lora.rank", "lora.alpha", "lora.target_modules")
def the_adapter_has_its_size_its_scale_and_its_place(bench: Bench) -> None:
    model = bench.trainer(lora={"rank": 3, "alpha": 7, "target_modules": ["q_proj"]}).model
    adapted = {name: part for name, part in model.named_parameters() if "lora_A" in name}
    assert {tuple(part.shape) for part in adapted.values()} == {(3, 16)}
    assert len(adapted) == 2 and all("q_proj" in name for name in adapted)  # of two layers
    assert model.model.layers[0].self_attn.q_proj.scaling == {"default": 7 / 3}
    whole = bench.trainer(lora={}).model
    assert sum("lora_A" in name for name, _ in whole.named_parameters()) == 2 * 7


# How it computes


def layout_of(trainer: Any) -> str:
    return trainer.method.choice.layout


@probe("layout")
def the_layout_is_the_one_that_is_named(bench: Bench) -> None:
    for layout, rows in (("padded", 4), ("packed", 1), ("shared", 1)):
        trainer = bench.trainer(layout=layout)
        assert layout_of(trainer) == layout
        batch = next(iter(trainer.get_train_dataloader()))
        assert len(batch["input_ids"]) == rows
    assert layout_of(bench.trainer(layout="auto")) == "shared"


@probe("head_megabytes")
def logits_are_held_within_the_budget(bench: Bench) -> None:
    assert bench.trainer(head_megabytes=7).method.choice.head.max_bytes == 7 << 20


@probe("dtype")
def the_reference_is_kept_for_its_precision(bench: Bench) -> None:
    cache = bench.folder / "cache"
    for dtype, folders in (("float32", 1), ("bfloat16", 2), ("float32", 2)):
        trainer = bench.trainer(dtype=dtype, reference_dir=str(cache))
        assert len(list(cache.iterdir())) == folders
        assert {str(part.dtype) for part in trainer.model.parameters()} == {"torch.float32"}


@probe("device")
def a_gpu_is_used_or_missed(bench: Bench) -> None:
    import torch

    assert bench.trainer(device="cpu").args.device.type == "cpu"
    bench.patch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.trainer(device="auto").args.device.type == "cpu"
    with pytest.raises(ConfigError, match="finds no GPU"):
        bench.trainer(device="cuda")


@probe("precompute")
def without_it_a_copy_computes_the_reference(bench: Bench) -> None:
    stored, computed = (bench.trainer(precompute=value) for value in (True, False))
    assert stored.method.reference is None and computed.method.reference is not None
    assert stored.train_dataset[0].chosen_logps is not None
    assert computed.train_dataset[0].chosen_logps is None
    assert not any(part.requires_grad for part in computed.method.reference.parameters())


@probe("reference_batch_size")
def the_reference_takes_as_many_pairs_at_a_time(bench: Bench) -> None:
    import trainer.reference

    sizes: list[int] = []
    score = trainer.reference.score_completions

    def watch(model: Any, examples: Any, **values: Any) -> Any:
        sizes.append(len(examples))
        return score(model, examples, **values)

    bench.patch.setattr(trainer.reference, "score_completions", watch)
    bench.trainer(reference_batch_size=3)
    assert sizes == [3, 3, 2]


@probe("reference_dir")
def log_probabilities_are_kept_there(bench: Bench) -> None:
    bench.trainer(reference_dir=str(bench.folder / "elsewhere"))
    assert list((bench.folder / "elsewhere").rglob("*.arrow"))
    assert not list(bench.folder.glob("run-*/reference"))
    bench.trainer()
    assert list(bench.folder.glob("run-*/reference/*/*.arrow"))


# What it keeps and tells


@probe("early_stopping_patience")
def without_it_the_last_weights_are_taken(bench: Bench) -> None:
    names = [
        {type(callback).__name__ for callback in trainer.callback_handler.callbacks}
        for trainer in (bench.trainer(), bench.trainer(early_stopping_patience=2))
    ]
    assert ["StopWithoutProgress" in found for found in names] == [False, True]
    assert not bench.trainer().args.load_best_model_at_end


@probe("evaluate")
def nothing_is_measured_without_test_pairs(bench: Bench) -> None:
    assert bench.trainer(evaluate="epoch").args.eval_strategy == "epoch"
    assert bench.trainer(evaluate="epoch", dataset=bench.uneven).args.eval_strategy == "no"


@probe("keep_checkpoints")
def checkpoints_of_a_finished_run_go_unless_kept(bench: Bench) -> None:
    for kept in (False, True):
        output = bench.train(max_steps=1, evaluate="no", keep_checkpoints=kept)
        assert list(output.glob("checkpoints/checkpoint-1")) == (
            [output / "checkpoints" / "checkpoint-1"] if kept else []
        )


@probe("peak_tflops")
def mfu_is_measured_against_it(bench: Bench) -> None:
    """Operations per token, which no clock changes: mfu times peak over tokens per second."""
    settings = {"batch_size": 6, "max_steps": 1, "evaluate": "no", "save": "no"}
    settings |= {"peak_tflops": 0.002}
    for lora, factor in ((None, 3), ({}, 2)):  # frozen weights have no gradient of their own
        trainer = bench.trainer(**settings, lora=lora)
        (batch,) = trainer.get_train_dataloader()
        work = batch["work"]
        expected = factor * measure_shape(trainer.model).forward_flops(work) / work.num_tokens
        output = bench.train(**settings, lora=lora)
        (line,) = (line for line in log_of(output) if "loss" in line)
        found = line["mfu"] * 0.002e12 / line["tokens_per_s"]
        assert found == pytest.approx(expected, rel=1e-6)


@probe("progress")
def a_bar_is_shown_when_asked_for(bench: Bench) -> None:
    for shown in (False, True):
        trainer = bench.trainer(progress=shown)
        names = {type(callback).__name__ for callback in trainer.callback_handler.callbacks}
        assert ("ProgressBar" in names) is shown
        assert not {"PrinterCallback", "ProgressCallback"} & names
        assert trainer.args.disable_tqdm is not shown


@probe("report_to")
def trackers_are_those_that_are_named(bench: Bench) -> None:
    from importlib import util

    find = util.find_spec
    asked: list[Any] = []

    def find_wandb_too(name: str, *rest: Any) -> Any:
        # A real spec: it has an origin, by which an installed package is recognised.
        return find("json") if name == "wandb" else find(name, *rest)

    bench.patch.setattr(util, "find_spec", find_wandb_too)
    bench.patch.setattr(
        "transformers.trainer.get_reporting_integration_callbacks",
        lambda names: asked.append(names) or [],
    )
    trainer = bench.trainer(report_to=["wandb", "tensorboard"])
    assert asked == [["wandb"]]
    names = {type(callback).__name__ for callback in trainer.callback_handler.callbacks}
    assert "TensorBoardCallback" in names  # ours, which writes into the run's folder
    names = {type(item).__name__ for item in bench.trainer().callback_handler.callbacks}
    assert asked[1:] == [[]] and "TensorBoardCallback" not in names
