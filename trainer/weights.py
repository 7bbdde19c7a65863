"""Weight files: weights are read, converted and written one at a time.

The rule: only the requested part of a model is in memory. A mapped file counts as memory while it
is open, so each weight opens its file again.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.files.sidecar import read_object
from schemas.files.writing import write_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_LEAST_SHARD_BYTES, _MOST_SHARDS = 200_000_000, 16
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2}  # else 1
DTYPE_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}


class StoredWeight:
    """One weight of a safetensors file, read as `dtype` if that is given.

    `dtype_name` is the file's ("F32", "BF16", ...). A damaged file raises safetensors' own error.
    """

    def __init__(self, path: Path, name: str, *, dtype: torch.dtype | None = None) -> None:
        self._path, self._name, self._dtype = path, name, dtype
        with _open(path) as file:
            part = file.get_slice(name)
            self.shape: list[int] = part.get_shape()
            self.dtype_name: str = part.get_dtype()

    @property
    def float_bytes(self) -> int:
        """Bytes per number; 0 unless it is a floating-point number of 16 bits or more."""
        return _BYTES[self.dtype_name] if self.dtype_name in DTYPE_NAMES else 0

    @property
    def num_bytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * _BYTES.get(self.dtype_name, 1)

    def read(self, num_rows: int | None = None) -> Tensor:
        """The weight, or its first `rows` rows."""
        with _open(self._path) as file:
            if num_rows is None or not self.shape:
                weight = file.get_tensor(self._name)
            else:
                weight = file.get_slice(self._name)[:num_rows]
        if self._dtype is not None and weight.is_floating_point():
            weight = weight.to(self._dtype)
        return weight  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Tensor:
        """A slice: transformers reads a weight that is not loaded yet in this way."""
        return self.read()[index]


def stored_weights(folder: Path, *, dtype: torch.dtype | None = None) -> dict[str, StoredWeight]:
    """The weights of a model folder by name, in the order of its files.

    The files are the ones that transformers reads: the one that `config.json` names, or
    `model.safetensors`, or those of the index. A folder may hold the same weights twice.
    """
    index, single = folder / INDEX, folder / _named_file(folder)
    if index.exists() and not single.exists():
        placed = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {
            name: StoredWeight(folder / file, name, dtype=dtype) for name, file in placed.items()
        }
    paths = [single] if single.exists() else sorted(folder.glob("*.safetensors"))
    found = {}
    for path in paths:
        with _open(path) as file:
            names = list(file.keys())
        found.update({name: StoredWeight(path, name, dtype=dtype) for name in names})
    return found


def main_dtype(folder: Path) -> torch.dtype | None:
    """The floating-point dtype in which most bytes of a folder's weights are stored."""
    import torch

    sizes: Counter[str] = Counter()
    for weight in stored_weights(folder).values():
        if weight.float_bytes:
            sizes[weight.dtype_name] += weight.num_bytes
    if not sizes:
        return None
    dtype: torch.dtype = getattr(torch, DTYPE_NAMES[sizes.most_common(1)[0][0]])
    return dtype


def load_narrowed(
    folder: Path, config: Any, *, dtype: torch.dtype, device: torch.device, trust: bool
) -> Any:
    """A causal language model with its weights in `dtype`, which is narrower than in their files.

    Like `from_pretrained`, but that one keeps whole files mapped until the last weight is
    converted.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    with torch.device("meta"):
        shell = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    model = type(shell).from_pretrained(
        None,
        config=config,
        state_dict=stored_weights(folder, dtype=dtype),
        dtype=dtype,
        device_map={"": device},
    )
    if (folder / "generation_config.json").exists():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model


def write_changed(
    weights: Mapping[str, StoredWeight],
    folder: Path,
    change: Callable[[str, Tensor], Tensor],
) -> None:
    """Write `change(name, weight)` of each weight, in files of 200 MB or a 16th of the model.

    `change` keeps shape and dtype. One file at a time is in memory.
    """
    from safetensors.torch import save_file

    shards = plan_shards({name: weight.num_bytes for name, weight in weights.items()})
    placed: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        path = SINGLE if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {name: change(name, weights[name].read()).contiguous() for name in names}
        save_file(tensors, folder / path, metadata={"format": "pt"})
        placed.update(dict.fromkeys(names, path))
        del tensors  # before the weights of the next file are read
    if len(shards) > 1:
        total = sum(weight.num_bytes for weight in weights.values())
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": placed})


def plan_shards(num_bytes: Mapping[str, int]) -> list[list[str]]:
    """Names in files of at most 200 MB, or a 16th of the whole if that is more; all in order."""
    limit = max(_LEAST_SHARD_BYTES, math.ceil(sum(num_bytes.values()) / _MOST_SHARDS))
    shards: list[list[str]] = [[]]
    size = 0
    for name, count in num_bytes.items():
        if shards[-1] and size + count > limit:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += count
    return shards


def _named_file(folder: Path) -> str:
    # The code that loads the model reports what is wrong with its configuration.
    return read_object(folder / "config.json").get("transformers_weights") or SINGLE


def _open(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework="pt")
