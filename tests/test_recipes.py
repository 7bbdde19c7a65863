"""The packaged configurations: each is found by name, can be read, and has the pairs it claims."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Run, make_run
from tiny_models import save_model_folder, write_dataset
from train_support import train

from annotator.models.config import SampleConfig
from maskdpo.config import load_run_config
from maskdpo.demo.config import DemoConfig
from maskdpo.demo.run_values import METHODS, make_run_values
from maskdpo.recipes import accelerate_configs, find_recipe, run_configs
from schemas.files.sidecar import sidecar_path
from trainer.config import TrainConfig

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "trainer" / "recipes"
ACCELERATE = RECIPES / "accelerate"
# How many devices each is for; 32 pairs per step are the paper's.
DEVICES = {
    "llama-3.1-8b-4gpu": 4,
    "llama-3.1-8b-8gpu": 8,
    "llama-3.1-8b-lora": 1,
    "qwen2.5-7b-4gpu": 4,
    "qwen3-8b-4gpu": 4,
    "internlm3-8b-4gpu": 4,
}


def train_section(path: Path) -> TrainConfig:
    return load_run_config(path, []).section(TrainConfig, "train")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_read_and_says_its_pairs(path: Path) -> None:
    config = train_section(path)
    if path.stem == "closed-world-cpu":
        assert config.batch_size * config.gradient_accumulation == 8
        return
    pairs = DEVICES[path.stem] * config.batch_size * config.gradient_accumulation
    assert pairs == 32
    assert (config.beta, config.epochs, config.max_length) == (0.1, 3, 1024)
    assert config.learning_rate == (5e-6 if config.lora else 5e-7)
    assert config.gradient_checkpointing and not config.trust_remote_code


def test_the_papers_settings_are_the_defaults_and_differ_in_pairs_a_device_alone() -> None:
    four, eight = (train_section(RECIPES / f"llama-3.1-8b-{count}gpu.yaml") for count in (4, 8))
    assert eight == four.model_copy(update={"batch_size": 4})
    defaults = TrainConfig.parse({"model": four.model}, where="test")
    ours = {"gradient_checkpointing": True, "save": "steps", "save_steps": 377, "eos": "neither"}
    assert four == defaults.model_copy(update=ours)


def test_the_closed_world_is_what_the_demo_trains() -> None:
    run = make_run_values(DemoConfig(), Path("runs/demo"))["train"]
    values = {**run, **METHODS["mask_dpo"].settings}
    demo = TrainConfig.parse(values, where="test")
    assert train_section(RECIPES / "closed-world-cpu.yaml") == demo


def test_qwen3_trains_in_the_context_it_samples_in() -> None:
    config = load_run_config(RECIPES / "qwen3-8b-4gpu.yaml", [])
    sampled, trained = config.section(SampleConfig, "sample"), config.section(TrainConfig, "train")
    assert sampled.chat_template_kwargs == {"enable_thinking": False}
    assert trained.chat_template_kwargs == sampled.chat_template_kwargs
    assert sampled.model == trained.model


def test_an_internlm3_folder_trains_without_its_own_code(tmp_path: Path) -> None:
    """As the Hub has it: code of its own named for model and tokenizer, which must not run."""
    folder = save_model_folder(tmp_path / "internlm3")
    ran = tmp_path / "ran"
    for name, extra in {
        "config.json": {
            "model_type": "internlm3",
            "architectures": ["InternLM3ForCausalLM"],
            "auto_map": {
                "AutoConfig": "its_code.InternLM3Config",
                "AutoModelForCausalLM": "its_code.InternLM3ForCausalLM",
            },
        },
        "tokenizer_config.json": {
            "tokenizer_class": "InternLM3Tokenizer",
            "auto_map": {"AutoTokenizer": ["its_code.InternLM3Tokenizer", None]},
        },
    }.items():
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(values | extra), encoding="utf-8")
    code = f"open({str(ran)!r}, 'w').close()\n"
    (folder / "its_code.py").write_text(code, encoding="utf-8")
    dataset = write_dataset(tmp_path / "dataset")
    result = train(folder, dataset, tmp_path / "model", max_steps=1)
    assert result.counts["steps"] == 1
    assert not ran.exists()
    assert not result.notes  # and it trains in the layout that shares prompts


def test_the_example_is_read() -> None:
    assert train_section(ROOT / "maskdpo" / "recipes" / "example.yaml").beta == 0.1


@pytest.mark.parametrize("path", sorted(ACCELERATE.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_takes_its_configs(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config: Any = load_config_from_file(str(path))
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config.distributed_type.value == values["distributed_type"]
    assert config.num_processes == values["num_processes"]


# ---------------------------------------------------------------- found by name


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


def test_the_list_has_every_recipe_with_its_first_line(run: Run) -> None:
    code, out, _ = run("recipes")
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in out.splitlines() if line.startswith("  "))
    files = [*RECIPES.rglob("*.yaml"), ROOT / "maskdpo" / "recipes" / "example.yaml"]
    first = {path.stem: path.read_text(encoding="utf-8").splitlines()[0] for path in files}
    assert {f"# {summary}" for summary in listed.values()} == set(first.values())
    assert set(listed) == set(first) == {*run_configs(), *accelerate_configs()}
    assert all(line.endswith((".", "edit it.")) and len(line) < 100 for line in first.values())
    heads = [line for line in out.splitlines() if line and not line.startswith("  ")]
    assert len(heads) == 2 and out.index("fsdp2") > out.index(heads[1]) > out.index("example")


def test_a_printed_recipe_is_the_packaged_file(run: Run) -> None:
    for name, path in {"fsdp2": ACCELERATE / "fsdp2.yaml", "example": None}.items():
        code, out, _ = run("recipes", name)
        text = (path or ROOT / "maskdpo" / "recipes" / "example.yaml").read_text(encoding="utf-8")
        assert code == 0 and out == text
    code, _, err = run("recipes", "fsdp")
    assert code == 2 and "did you mean 'fsdp2'?" in err


@pytest.mark.parametrize("name", sorted(run_configs()))
def test_every_command_line_in_a_recipe_names_recipes_that_there_are(name: str) -> None:
    text = run_configs()[name].read()
    assert set(re.findall(r"--config ([\w.-]+)", text)) <= {*run_configs(), "run.yaml"}
    printed = re.findall(r"maskdpo recipes ([\w.-]+) > ([\w.-]+)", text)
    for recipe, _ in printed:
        find_recipe(recipe)
    assert set(re.findall(r"--config_file ([\w.-]+)", text)) <= {file for _, file in printed}


def test_a_name_is_a_packaged_config_unless_there_is_such_a_file(run: Run) -> None:
    packaged = train_section(Path("llama-3.1-8b-lora"))
    assert packaged == train_section(RECIPES / "llama-3.1-8b-lora.yaml")
    Path("example").mkdir()  # a folder is no config
    assert load_run_config(Path("example"), []).run.dir == Path("runs/example")
    Path("llama-3.1-8b-lora").write_text("train: {model: mine}", encoding="utf-8")
    assert train_section(Path("llama-3.1-8b-lora")).model == "mine"


def test_every_command_takes_the_name_of_a_packaged_config(run: Run) -> None:
    code, _, err = run("train", "--config", "llama-3.1-8b-lora")
    assert code == 2 and "runs/llama-3.1-8b-lora/dataset: not found" in err
    code, _, err = run("annotate", "--config", "example")
    assert code == 2 and "runs/example/responses.jsonl: not found" in err
    code, out, _ = run("doctor", "--config", "example")
    assert "runs/example/documents.jsonl: does not exist yet" in out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "llama-3.1-8b-lorra",
            "there is no such file, and no packaged run config has this name; "
            "did you mean 'llama-3.1-8b-lora'?",
        ),
        ("configs/train/qwen3-8b-4gpu.yaml", "did you mean 'qwen3-8b-4gpu'?"),
        ("run.yaml", "--config run.yaml: there is no such file"),
        (
            "fsdp2",
            "this is a config for accelerate and no run config; use it with: maskdpo "
            "recipes fsdp2 > fsdp2.yaml",
        ),
        (".", "--config .: is a folder"),
    ],
)
def test_a_config_that_is_not_there_gives_the_nearest_name(
    run: Run, given: str, expected: str
) -> None:
    code, _, err = run("train", "--config", given)
    assert code == 2 and expected in err


# ---------------------------------------------------------------- --domain


def test_domain_sets_the_domain_of_every_command_that_judges(run: Run) -> None:
    for command in ("annotate", "agreement", "evaluate"):
        assert "--domain NAME|FILE" in run(command, "--help")[1]
    question = [{"role": "user", "content": "Who?"}]
    row = {"id": "r1", "question_id": "q1", "prompt": question, "document_ids": ["d1"]}
    row["text"] = "Mira keeps a goat."
    Path("responses.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    document = {"id": "d1", "text": "Mira keeps a goat."}
    Path("documents.jsonl").write_text(json.dumps(document) + "\n", encoding="utf-8")
    files = ("--responses", "responses.jsonl", "--documents", "documents.jsonl")
    code, _, err = run("annotate", *files, "--output", "out.jsonl", "--domain", "medicall")
    assert code == 2 and "no domain 'medicall'; did you mean 'medical'?" in err
    code, _, err = run("annotate", *files, "--output", "out.jsonl", "--domain", "null")
    assert code == 2 and "no domain 'null'" in err  # a name, not the null of YAML
    others = ("--set", "annotate.domain=legal", "--domain", "medical")
    code, _, err = run("annotate", *files, "--output", "out.jsonl", *others)
    assert code == 0, err
    side = json.loads(sidecar_path(Path("out.jsonl")).read_text(encoding="utf-8"))
    assert side["config"]["domain"] == "medical"
