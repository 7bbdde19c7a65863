"""A GGUF file as a model folder of safetensors, which every command loads.

The rule: the folder has its name only when it is complete, and records the file that it was made
from, so that it is never used for another file. Its chat template has no system message, so that a
prompt has a dozen tokens and not three dozen.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, InputError
from schemas.files.sidecar import describe_file, read_object
from schemas.files.writing import follow_umask, write_json
from schemas.packages import require

SOURCE = "gguf.json"
"""The record in a converted folder: `name`, `bytes` and `sha256` of the GGUF file."""
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


def read_source(model: Path) -> dict[str, Any] | None:
    """Name, size in bytes and SHA-256 of the GGUF file of a folder; None where none is recorded."""
    return read_object(model / SOURCE) or None


def convert_gguf(source: Path, output: Path) -> None:
    """Write the ChatML model of `source` to the folder `output`, in bfloat16, unless it exists.

    Raises ConfigError where `output` is the model of a file with other content. A folder without a
    record, from before there was one, gets it where a new conversion has the same weights.
    Converting needs the package gguf: MissingPackageError without it.
    """
    given = {"name": source.name, **describe_file(source)}
    unfinished = output.with_name(output.name + ".unfinished")
    if not output.exists():
        _convert(source, unfinished)
        write_json(unfinished / SOURCE, given)
        unfinished.rename(output)
        return
    known = read_source(output)
    if known is None:
        _convert(source, unfinished)
        is_same = _describe_weights(unfinished) == _describe_weights(output)
        shutil.rmtree(unfinished)
        if is_same:
            write_json(output / SOURCE, given)
    else:
        is_same = known["sha256"] == given["sha256"]
    if not is_same:
        made_from = f"from {known['name']}" if known else "from a file that is not recorded"
        raise ConfigError(
            f"{output}: is a model {made_from}, with other weights than {source} gives; choose "
            f"another --output, or use this model with: --model {output}"
        )


def _describe_weights(model: Path) -> list[dict[str, Any]]:
    return [describe_file(path) for path in sorted(model.glob("*.safetensors"))]


def _convert(source: Path, output: Path) -> None:
    """Write the model folder, in place of any that is there."""
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
    shutil.rmtree(output, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(output)
    for path in output.glob("*.safetensors"):
        follow_umask(path)
    tokenizer.save_pretrained(output)
