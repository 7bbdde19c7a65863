"""LoRA (arXiv 2106.09685): small matrices added to frozen ones, by peft.

The rule: without its adapter the model is the reference, bit for bit. peft's layers are put into
the model in place, so that its class does not change and the rest of the trainer (LM head, layouts,
checkpoints of `Trainer`) works unchanged. There is no dropout, because policy and reference must
agree before the first step. The first matrix is initialised from the run's seed, on the CPU; the
second is zero.

Precision: frozen weights are stored in the precision that training computes in, because autocast
would round them to it at each use; the adapter and its optimiser state are float32. A merge starts
from the weights in the model's files, so bfloat16 weights during training lose nothing of a float32
model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigError, InputError
from schemas.files.writing import write_json

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.config import LoraSettings

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
_NAME = "default"
_PREFIX = "base_model.model."  # prefix of peft's names in files


def add_adapter(model: Any, settings: LoraSettings, *, seed: int) -> None:
    """Freeze `model` and add a new float32 adapter to it, in place.

    Raises ConfigError when a name of `target_modules` matches no linear layer, or matches the
    embedding or the LM head.
    """
    import torch
    from peft import LoraConfig

    targets = settings.target_modules
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model.add_adapter(config, _NAME)
        except ValueError as error:  # no layer with these names, or not a linear layer
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"train.lora.target_modules: {settings.target_modules!r} does not fit this model "
                f"({reason}); use all-linear, or names of its linear layers such as q_proj"
            ) from None
    _refuse_adapted_vocabulary(model)
    for parameter in model.parameters():
        if parameter.requires_grad:  # peft gives an adapter the precision of its layer
            parameter.data = parameter.data.float()
    # peft queries the Hub for a model named here each time an adapter is saved.
    model.peft_config[_NAME].base_model_name_or_path = None


def check_adapter(model: Any, settings: LoraSettings) -> None:
    """Raise ConfigError, as `add_adapter` would, without touching `model` or its memory."""
    import torch

    with torch.device("meta"):
        shell = type(model)(model.config)
    add_adapter(shell, settings, seed=0)


def has_adapter(model: Any) -> bool:
    """Whether the model has an adapter of `add_adapter` that is not merged yet."""
    return bool(getattr(model, "peft_config", None))


@contextmanager
def without_adapter(model: Any) -> Iterator[None]:
    """Within the block `model` computes what the reference computes."""
    if not has_adapter(model):
        raise ValueError("the model has no adapter, so it is not its own reference")
    model.disable_adapters()
    try:
        yield
    finally:
        model.enable_adapters()


def load_adapter(model: Any, checkpoint: Path) -> None:
    """Load the adapter's weights of a checkpoint into `model`; safetensors only.

    Raises InputError when the file is missing or damaged or belongs to another adapter.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = checkpoint / ADAPTER_WEIGHTS
    try:
        weights = load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError.of(path, f"cannot be read ({reason}); delete {checkpoint}") from None
    wanted = {_PREFIX + name for name in model.get_adapter_state_dict(_NAME)}
    if set(weights) != wanted:
        raise InputError.of(path, f"holds another adapter; delete {checkpoint}")
    stripped = {name.removeprefix(_PREFIX): value for name, value in weights.items()}
    set_peft_model_state_dict(model, stripped, adapter_name=_NAME)


def name_base_model(folder: Path, model: str, revision: str | None) -> None:
    """Write the name of its model into a saved adapter's configuration."""
    path = folder / ADAPTER_CONFIG
    values = json.loads(path.read_text(encoding="utf-8"))
    named = {"base_model_name_or_path": model, "revision": revision}
    write_json(path, values | named)


def adapter_products(model: Any) -> dict[str, Callable[[], Tensor]]:
    """For each adapted matrix, by its name, the product that the adapter adds to it (float32).

    Each is computed on request: together they are as large as the adapted matrices.
    """
    return {
        f"{name}.weight": lambda module=module: module.get_delta_weight(_NAME).detach()  # type: ignore[misc]
        for name, module in _adapted_layers(model)
    }


def merge_into(source: Any, model: Any, settings: LoraSettings) -> None:
    """Merge the adapter of `model` into `source`, the same model in float32, in place."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    weights = get_peft_model_state_dict(model, adapter_name=_NAME)
    add_adapter(source, settings, seed=0)
    set_peft_model_state_dict(
        source,
        {name: value.detach().cpu() for name, value in weights.items()},
        adapter_name=_NAME,
    )
    merge_adapter(source)


def merge_adapter(model: Any) -> None:
    """Add the adapter's products to the frozen matrices and remove its layers, in place."""
    for _, module in _adapted_layers(model):
        module.merge()
    remove_adapter(model)


def remove_adapter(model: Any) -> None:
    """Remove the adapter's layers, in place: the frozen matrices do not change."""
    # Innermost first: fused experts are wrapped twice, one peft layer in another.
    for name, module in reversed(_adapted_layers(model)):
        model.set_submodule(name, module.get_base_layer())
    del model.peft_config
    model._hf_peft_config_loaded = False  # transformers' flag, which decides what is saved


def _adapted_layers(model: Any) -> list[tuple[str, Any]]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, BaseTunerLayer)
    ]


def _refuse_adapted_vocabulary(model: Any) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in (
        ("embedding", model.get_input_embeddings()),
        ("LM head", model.get_output_embeddings()),
    ):
        if isinstance(module, BaseTunerLayer):
            raise ConfigError(
                f"train.lora.target_modules names the {name} of the model; only the linear "
                "layers between them can be adapted"
            )
