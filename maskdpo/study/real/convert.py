"""A GGUF file as a model folder of safetensors, which every command loads.

The rule: the folder has its name only when it is complete, and its chat template has no system
message, so that a prompt has a dozen tokens and not three dozen.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from schemas.errors import InputError
from schemas.files.writing import follow_umask
from schemas.packages import require

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}"
)


def find_gguf(place: Path) -> Path:
    """The one GGUF file of a folder and all folders in it, or the file itself."""
    found = [place] if place.is_file() else sorted(place.rglob("*.gguf"))
    if len(found) != 1:
        what = "has no *.gguf file" if not found else f"has {len(found)} *.gguf files"
        raise InputError.of(place, f"{what}; name one file, or a folder with one")
    return found[0]


def convert_gguf(source: Path, output: Path) -> None:
    """Write the ChatML model of `source` to the folder `output`, in bfloat16, unless it exists.

    Needs the package gguf: MissingPackageError without it.
    """
    if output.exists():
        return
    require("gguf", "torch", "transformers", needed_for="reading a GGUF file")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    tokenizer.chat_template = CHAT_TEMPLATE
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.config.__dict__.pop("quantization_config", None)  # the weights are no longer packed
    unfinished = output.with_name(output.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(unfinished)
    for path in unfinished.glob("*.safetensors"):
        follow_umask(path)
    tokenizer.save_pretrained(unfinished)
    unfinished.rename(output)
