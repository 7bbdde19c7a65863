"""The trained model as others load it: safetensors and text only.

The rule: the published weights are as its `config.json` says. Each weight has the dtype in which
the source stores it, and settings that training changed (dropout, the cache) are restored to the
source's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import BackendError
from schemas.files.writing import write_json
from trainer.config import TrainConfig
from trainer.failures import explain_full_disk
from trainer.fit import checkpoint_bytes
from trainer.lora import (
    adapter_products,
    has_adapter,
    merge_into,
    name_base_model,
    remove_adapter,
)
from trainer.models import load_model
from trainer.run_folder import publish_model
from trainer.weights import DTYPE_NAMES, main_dtype, stored_weights, write_changed

if TYPE_CHECKING:
    from torch import Tensor

_SAMPLED_WEIGHTS = 1 << 17  # of each matrix, so that large models are not read twice
FEW_CHANGED = 0.1  # share of changed weights below which a note says that a run changed little


def save_model(
    config: TrainConfig,
    model: Any,
    tokenizer: Any,
    *,
    source: Path,
    output: Path,
    weights: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write the model with the precision and dropout of its source; returns notes to the user.

    `weights` are the gathered weights of a sharded model. An adapter is merged into the model, or
    with `lora.merge: false` written alone. Raises BackendError when a weight is not finite or the
    disk is full.
    """
    from transformers import AutoConfig

    original = AutoConfig.from_pretrained(
        source, trust_remote_code=config.trust_remote_code, local_files_only=True
    )
    for name, value in original.to_dict().items():
        if name == "use_cache" or ("drop" in name and isinstance(value, float)):
            setattr(model.config, name, value)
    adapted = None
    if has_adapter(model):
        adapted = adapter_products(model)
        parts = [part for part in model.parameters() if part.requires_grad]
        needed = checkpoint_bytes(model) // 3
        if config.lora is not None and config.lora.merge:
            needed = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    elif weights is not None:
        weights = cast_as_stored(weights, source)
        parts = list(weights.values())
        needed = sum(part.numel() * part.element_size() for part in parts)
    else:
        _cast_model(model, source)
        parts = list(model.parameters())
        needed = sum(part.numel() * part.element_size() for part in parts)
    if not all(bool(part.isfinite().all()) for part in parts):
        raise BackendError(
            f"{output}: the weights are not finite after the last step, so they are not saved; "
            "lower train.learning_rate, and set train.resume=false to start over"
        )
    with (
        explain_full_disk(output, doing="writing the trained model", needed=needed),
        publish_model(output) as folder,
    ):
        if adapted is None or config.lora is None or not config.lora.merge:
            model.save_pretrained(folder, state_dict=weights)
        else:
            _write_merged(config, model, adapted, source=source, folder=folder)
        if has_adapter(model):
            name_base_model(folder, config.model, config.revision)
        else:
            name_dtype(folder)
        tokenizer.save_pretrained(folder)
    return [] if has_adapter(model) else change_notes(source, output, adapted)


def cast_as_stored(weights: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Weights in the dtype that each has in the source; else in the dtype of most weights there."""
    import torch

    stored, main = stored_weights(source), main_dtype(source)

    def cast(name: str, weight: Tensor) -> Tensor:
        if not weight.is_floating_point():
            return weight
        found = stored.get(name)
        if found is None or not found.float_bytes:
            return weight.to(main or weight.dtype)
        return weight.to(getattr(torch, DTYPE_NAMES[found.dtype_name]))

    return {name: cast(name, weight) for name, weight in weights.items()}


def _cast_model(model: Any, source: Path) -> None:
    """The same for a model in memory, one weight at a time."""
    for name, weight in model.state_dict(keep_vars=True).items():
        (weight.data,) = cast_as_stored({name: weight.data}, source).values()


def _write_merged(
    config: TrainConfig,
    model: Any,
    products: Mapping[str, Callable[[], Tensor]],
    *,
    source: Path,
    folder: Path,
) -> None:
    """Write the model with its adapter merged in, and remove the adapter from `model`.

    The products are added to the weights as the source stores them, one file at a time, so that all
    other weights are bit-identical to the source's. When the files name weights differently from
    the model, or code comes with it, the source is loaded whole, in float32, and merged.
    """
    stored = stored_weights(source)

    def add(name: str, weight: Tensor) -> Tensor:
        if name not in products:
            return weight
        return (weight.float() + products[name]().cpu()).to(weight.dtype)

    if products.keys() <= stored.keys() and not model.is_remote_code():
        write_changed(stored, folder, add)
        remove_adapter(model)
        model.config.save_pretrained(folder)
        if model.can_generate():
            model.generation_config.save_pretrained(folder)
        return
    import torch

    assert config.lora is not None
    whole = load_model(source, device=torch.device("cpu"), trust=config.trust_remote_code)
    merge_into(whole, model, config.lora)
    remove_adapter(model)
    whole.config = model.config
    _cast_model(whole, source)
    whole.save_pretrained(folder)


def name_dtype(folder: Path) -> None:
    """Write the dtype of most of a folder's weights into its `config.json`, which loaders read.

    transformers writes the dtype of the model in memory, which differs for sharded weights.
    """
    dtype = main_dtype(folder)
    if dtype is None:
        return
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, values | {"dtype": str(dtype).removeprefix("torch.")})


def change_notes(source: Path, output: Path, adapted: Collection[str] | None = None) -> list[str]:
    """A note if few of the stored bfloat16 weights differ from those of the source.

    `adapted` names the weights that could change; None for all. AdamW moves a weight by about the
    learning rate per step, and bfloat16 keeps 8 bits: a change of less than half of the last bit is
    rounded away when the weight is stored. Estimated from the first rows of each matrix.
    """
    import torch

    before, after = stored_weights(source), stored_weights(output)
    num_weights, num_changed = 0, 0.0
    for name, new in after.items():
        old = before.get(name)
        if old is None or new.dtype_name != "BF16" or new.shape != old.shape:
            continue
        if adapted is not None and name not in adapted:
            continue
        size = math.prod(new.shape)
        rows = max(_SAMPLED_WEIGHTS // max(math.prod(new.shape[1:]), 1), 1)
        is_new = new.read(rows) != old.read(rows).to(torch.bfloat16)
        num_weights += size
        num_changed += size * float(is_new.float().mean())
    if not num_weights or num_changed >= FEW_CHANGED * num_weights:
        return []
    share = f"{100 * num_changed / num_weights:.2g}%" if num_changed else "None"
    return [
        f"{share} of the trained weights differ, as stored in bfloat16, from those of the policy: "
        "the other changes were smaller than bfloat16 can store. More steps or a higher "
        "train.learning_rate make larger changes; a policy stored in float32 keeps small ones"
    ]
