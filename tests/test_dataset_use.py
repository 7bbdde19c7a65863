"""The folder as strangers use it: `load_dataset` without a network, and TRL's own trainer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, LABELS, annotation_row, questions, write_annotations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import byte_level_tokenizer, tiny_llama

from dataset_builder.config import BuildConfig, Granularity, Strategy
from dataset_builder.folder.validate import validate_folder
from maskdpo.publishing.dataset import build_dataset
from schemas.errors import InputError

LOAD = """
import json, socket, sys
def refuse(*_, **__): raise OSError("no network in this test")
socket.socket.connect = refuse
from datasets import load_dataset
out = {}
for name in (None, "pairs", "sentences"):
    data = load_dataset(sys.argv[1], name)
    out[str(name)] = {
        split: [rows.num_rows, sorted(rows.column_names)] for split, rows in data.items()
    }
row = load_dataset(sys.argv[1], split="train")[0]
text = row["chosen"][0]["content"]
spans = row["chosen_spans"] or [{"start": 0, "end": len(text)}]
out["joined"] = "".join(text[span["start"]:span["end"]] for span in spans)
print(json.dumps(out))
"""


@pytest.fixture(scope="module", params=Granularity)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("use")
    rows = questions(20, verdict={"error_spans": [{"start": 0, "end": 8}]})
    source = write_annotations(place / "annotations.jsonl", rows)
    settings = {"test_share": 0.3, "license": "cc-by-4.0", "near_duplicate": 0.0}
    build_dataset(
        BuildConfig.parse(settings | {"granularity": request.param}, where="test"),
        annotations=source,
        output=place / "dataset",
        plots=True,
    )
    return place / "dataset"


def test_load_dataset_gives_both_configurations_and_all_splits_offline(
    folder: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    rows = {
        name: {
            split: manifest["files"][f"{name}/{split}-00000-of-00001.parquet"]["rows"]
            for split in ("train", "test")
        }
        for name in ("pairs", "sentences")
    }
    for name, splits in rows.items():
        assert {split: found[name][split][0] for split in found[name]} == splits
    assert found["None"] == found["pairs"]
    assert {"prompt", "chosen", "rejected", "chosen_spans"} <= set(found["pairs"]["train"][1])
    assert {"text", "label", "evidence"} <= set(found["sentences"]["test"][1])
    sentence = r"Sentence \d of q\d+/best\."
    assert re.fullmatch(f"{sentence} ?{sentence}", found["joined"])


def test_a_built_folder_with_card_and_pictures_has_no_fault(folder: Path) -> None:
    assert validate_folder(folder).findings == []
    assert (folder / "plots" / "scores.png").exists()


def test_trl_trains_one_step_of_dpo_on_it_unchanged(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl", reason="the peer of this test; installed with the extra 'dev'")
    import torch
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer

    data: Any = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    tokenizer = byte_level_tokenizer()
    model, reference = tiny_llama(len(tokenizer), seed=1), tiny_llama(len(tokenizer), seed=1)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trainer = DPOTrainer(
        model=model,
        ref_model=reference,
        args=DPOConfig(
            output_dir=str(tmp_path / "model"),
            max_steps=1,
            per_device_train_batch_size=4,
            learning_rate=1e-3,
            logging_steps=1,
            save_strategy="no",
            bf16=False,
            gradient_checkpointing=False,
            report_to=[],
            use_cpu=True,
        ),
        processing_class=tokenizer,
        train_dataset=data,
    )
    trainer.train()
    assert trainer.state.global_step == 1
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    # The policy is still its reference at the first step: the loss is -log sigmoid(0).
    assert losses == [pytest.approx(0.6931, abs=1e-3)]
    changed = [
        name for name, value in model.named_parameters() if not torch.equal(value, before[name])
    ]
    assert changed


@pytest.mark.parametrize("strategy", Strategy)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    answers=st.lists(
        st.lists(st.lists(LABELS, min_size=1, max_size=4), min_size=2, max_size=5),
        min_size=1,
        max_size=5,
    ),
    settings_given=st.fixed_dictionaries(
        {"max_pairs": st.integers(1, 3), "granularity": st.sampled_from(Granularity)}
    ),
    errors=st.lists(st.tuples(st.integers(0, 12), st.integers(13, 16)), max_size=2),
)
def test_whatever_build_makes_is_sound(
    tmp_path_factory: pytest.TempPathFactory,
    strategy: Strategy,
    answers: list[list[list[Any]]],
    settings_given: dict[str, Any],
    errors: list[tuple[int, int]],
) -> None:
    marked = {"error_spans": [{"start": start, "end": end} for start, end in errors]}
    rows = [
        annotation_row(
            f"q{number}/{index}",
            labels,
            question=f"q{number}",
            topic=f"t{number % 2}",
            verdict=marked,
        )
        for number, question in enumerate(answers)
        for index, labels in enumerate(question)
    ]
    rows += [
        annotation_row("sure/good", [GOOD], question="sure"),
        annotation_row("sure/bad", [BAD], question="sure"),
    ]
    place = tmp_path_factory.mktemp("sound")
    config = BuildConfig(
        strategy=strategy,
        test_share=0.5,
        near_duplicate=0.0,
        max_length_ratio=9.0,
        **settings_given,
    )
    source = write_annotations(place / "annotations.jsonl", rows)
    try:
        build_dataset(config, annotations=source, output=place / "dataset")
    except InputError as error:
        assert "gives no pair" in str(error)  # two_sigma needs more answers than these
        return
    assert validate_folder(place / "dataset").findings == []
