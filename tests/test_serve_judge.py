"""`make serve-judge`: what it starts vllm with, and what it prints; nothing is started here."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def serve(*variables):
    """The commands that make would run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", "serve-judge", *variables],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("model", "name"),
    [("./models/judge/", "judge"), ("/srv/models/judge", "judge"), ("Some/Model-7B", "Model-7B")],
)
def test_it_serves_a_name_and_not_a_path_without_the_models_own_sampling(model, name):
    said = serve(f"MODEL={model}", "PORT=8010", "VLLM=gpu")
    command = said[said.index("vllm.entrypoints") :]
    assert f"--model {model} --served-model-name {name} " in command
    assert "--generation-config vllm" in command
    assert "VLLM_CPU_KVCACHE_SPACE" not in said and "--enforce-eager" not in said
    assert f"--set annotate.llm.model={name} " in said
    assert "--set annotate.llm.base_url=http://127.0.0.1:8010/v1" in said


def test_names_are_the_users_to_choose():
    said = serve("MODEL=./judge", "NAME=my-judge my-writer")
    assert "--served-model-name my-judge my-writer " in said
    assert "annotate.llm.model=my-judge " in said


def test_on_a_cpu_it_takes_a_part_of_what_is_free_and_compiles_nothing():
    said = serve("MODEL=./judge", "VLLM=cpu", "ARGS=--max-model-len 2048")
    assert re.search(r"VLLM_CPU_KVCACHE_SPACE=\$\{VLLM_CPU_KVCACHE_SPACE:-[1-9][0-9]*\}", said)
    assert "--enforce-eager" in said and "--no-enable-chunked-prefill" in said
    assert said.rstrip().endswith("--max-model-len 2048")
