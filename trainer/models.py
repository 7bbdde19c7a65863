"""Finding, naming and loading the policy.

The rule: a model is identified by its content. Whatever its name, it is resolved to a folder of
safetensors, hashed, and loaded from that folder without running code that came with it, unless
`trust_remote_code` is set; then the code must be pinned by a commit and be in that folder, and is
hashed with the weights.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import BackendError, ConfigError, InputError
from schemas.files.sidecar import describe_file
from schemas.hashing import content_key
from schemas.packages import require
from trainer.config import TrainConfig
from trainer.failures import is_out_of_memory
from trainer.weights import load_narrowed, stored_weights

if TYPE_CHECKING:
    import torch

_FETCHED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]
# The files of a model folder that decide how text is tokenised. generation_config.json does not.
_TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "bpe.codes",
    "*.model",
    "*.spm",
    "*.tiktoken",
    "chat_template*",
    "additional_chat_templates/*",
)
# Names of position embeddings in transformers' models: GPT-2, OPT and BART, BERT and similar.
_POSITIONS = (
    "wpe",
    "embed_positions",
    "position_embeddings",
    "position_embedding",
    "positions_embed",
    "pos_emb",
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def require_packages(config: TrainConfig) -> None:
    """Raise MissingPackageError unless the packages that training needs are installed."""
    needed = ["torch", "transformers", "accelerate", "safetensors"]
    require(*needed, *(["peft"] if config.lora else []), needed_for="train")
    require(*config.report_to, needed_for="train.report_to")


def quiet_library_bars() -> None:
    """Switch off transformers' own progress bars for loading and saving; maskdpo draws its own."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def resolve_model(config: TrainConfig) -> Path:
    """The local folder of `config.model`; a Hub id is downloaded."""
    folder = Path(config.model)
    if not folder.is_dir():
        if folder.is_absolute() or config.model.startswith(".") or folder.exists():
            raise InputError.of(
                folder, "is not a model folder; train.model names a folder or a Hub id"
            )
        folder = _fetch(config.model, config.revision, trust=config.trust_remote_code)
    if (folder / "adapter_config.json").exists():
        # transformers would load the model that it names, which may be any model anywhere
        raise InputError.of(
            folder,
            "holds only an adapter; train.model must name a whole model, with its adapter merged",
        )
    if not (folder / "config.json").is_file():
        raise InputError.of(folder, "holds no config.json, so it is not a model folder")
    if not list(folder.glob("*.safetensors")):
        raise InputError.of(
            folder,
            "holds no *.safetensors; weights in other formats (pickles) are not loaded, "
            "convert them with save_pretrained",
        )
    if config.trust_remote_code:
        _refuse_code_from_elsewhere(folder)
    return folder


def trusted_code(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """The model's own code that may run, as a record; empty when none may run."""
    if not config.trust_remote_code:
        return {}
    return {
        "model": config.model,
        "revision": config.revision,
        "files": [str(path.relative_to(folder)) for path in _code_files(folder)],
    }


def hash_weights(folder: Path, *, trust: bool = False) -> str:
    """Key of a model: of its weights and its configuration, whatever its name.

    With `trust` its own code is included.
    """
    files = [*sorted(folder.glob("*.safetensors")), folder / "config.json"]
    files += _code_files(folder) if trust else []
    return content_key([[path.name, describe_file(path)["sha256"]] for path in files])


def hash_tokenizer(folder: Path) -> str:
    """Key of a tokenizer: of its files, including chat templates."""
    paths = {path for name in _TOKENIZER_FILES for path in folder.glob(name) if path.is_file()}
    names = sorted((str(path.relative_to(folder)), path) for path in paths)
    return content_key([[name, describe_file(path)["sha256"]] for name, path in names])


def load_tokenizer(folder: Path, *, trust: bool = False) -> Any:
    """The tokenizer of a model folder. Raises InputError when there is none."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise _unloadable(folder, "its tokenizer", error, trust=trust) from None


def load_model(
    folder: Path,
    *,
    device: torch.device,
    dtype: torch.dtype | None = None,
    trust: bool = False,
) -> Any:
    """The policy with its weights in `dtype` (float32 by default), dropout off, on `device`.

    Weights are read directly to the device. Dropout is off because policy and reference must agree
    before the first step (as in TRL).
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        model_config = AutoConfig.from_pretrained(
            folder, trust_remote_code=trust, local_files_only=True
        )
        for name, value in model_config.to_dict().items():
            if "drop" in name and isinstance(value, float):
                setattr(model_config, name, 0.0)
        if dtype is not None and _is_narrower(dtype, folder):
            return load_narrowed(folder, model_config, dtype=dtype, device=device, trust=trust)
        return AutoModelForCausalLM.from_pretrained(
            folder,
            config=model_config,
            dtype=dtype or torch.float32,
            device_map={"": device},
            use_safetensors=True,
            trust_remote_code=trust,
            local_files_only=True,
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        raise _unloadable(folder, "the model", error, trust=trust) from None


def _is_narrower(dtype: torch.dtype, folder: Path) -> bool:
    """Whether every floating-point weight takes more bytes in the folder's files than in `dtype`.

    If some do not, the model deliberately stores others in float32, and transformers keeps them so.
    """
    widths = [weight.float_bytes for weight in stored_weights(folder).values()]
    return all(width > dtype.itemsize for width in widths if width)


def check_positions(
    model: Any, *, max_length: int, lengths: Sequence[int], where: str
) -> list[str]:
    """Compare `max_length` with the positions of the model; returns notes for the user.

    Raises ConfigError when positions are a table and `max_length` exceeds it. Rotary positions
    continue after the length of pre-training, but quality drops: a note if any of `lengths` (tokens
    per sequence) is longer.
    """
    config = model.config.get_text_config()
    known = getattr(config, "max_position_embeddings", None)
    if not isinstance(known, int) or max_length <= known:
        return []
    if _has_position_table(model):
        raise ConfigError(
            f"train.max_length is {max_length}, but {where} has {known} positions; "
            f"set train.max_length={known} or less"
        )
    num_longer = sum(length > known for length in lengths)
    if not num_longer:
        return []
    return [
        f"{where} was trained for {known} positions, and {num_longer} of {len(lengths)} sequences "
        f"are longer (train.max_length is {max_length}); models get worse past that length, so "
        f"consider train.max_length={known}"
    ]


def check_router(model: Any, *, where: str) -> None:
    """Raise ConfigError for a mixture of experts whose router needs its own loss.

    That loss (`router_aux_loss_coef`) is not computed here; to leave it out silently would not be
    what the configuration asks for.
    """
    if getattr(model.config.get_text_config(), "output_router_logits", False):
        raise ConfigError(
            f"{where}: its config.json sets output_router_logits, which asks for the "
            "router's load-balancing loss; train does not compute it. Set "
            "output_router_logits to false there to train without that loss"
        )


def may_leave_weights_unused(model: Any) -> bool:
    """Whether a step on text may leave weights without a gradient: experts, an image tower."""
    config = model.config.get_text_config()
    names = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    has_experts = any((getattr(config, name, None) or 0) > 1 for name in names)
    return has_experts or config is not model.config


def _has_position_table(model: Any) -> bool:
    """Whether the text decoder looks positions up: in an embedding, or (GPT-J) in a buffer."""
    from torch.nn import Embedding

    decoder = model.get_decoder()
    modules = [name for name, module in decoder.named_modules() if isinstance(module, Embedding)]
    buffers = [name for name, _ in decoder.named_buffers()]
    return any(name.rsplit(".", 1)[-1] in _POSITIONS for name in modules + buffers)


def check_vocabulary(model: Any, tokenizer: Any, *, where: str) -> None:
    """Raise ConfigError when the tokenizer has ids for which the model has no embedding.

    Also when there is no LM head to score tokens with.
    """
    if model.get_output_embeddings() is None:
        raise ConfigError(f"{where}: {type(model).__name__} has no LM head to train with")
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ConfigError(
            f"{where}: the tokenizer has {len(tokenizer)} tokens, the model embeds {rows}; "
            "they do not belong together"
        )


def pick_device(name: str) -> torch.device:
    """The device of a setting. Raises ConfigError when a GPU is set and there is none."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device is 'cuda', but torch finds no GPU; use 'cpu' or 'auto'")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision of the forward pass: bfloat16 if it is set, or if a GPU supports it well."""
    import torch

    if name == "auto":
        capable = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if capable else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _fetch(model: str, revision: str | None, *, trust: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    if not _HUB_ID.fullmatch(model):
        raise InputError.of(model, "is neither a model folder nor a Hub id such as org/name")
    if trust and not _COMMIT.fullmatch(revision or ""):
        raise ConfigError(
            f"train.revision is {revision!r}, but train.trust_remote_code runs the code of {model} "
            "and so needs the full commit hash (40 digits of 0-9 and a-f): what a branch or a tag "
            "names can change"
        )
    patterns = _FETCHED + (["*.py"] if trust else [])
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=patterns))
    except (HFValidationError, RepositoryNotFoundError):
        raise InputError.of(
            model, "is not a model folder here, and the Hub has no such model (or it needs a token)"
        ) from None
    except Exception as error:  # network, disk, authentication: many types, one meaning
        raise BackendError(
            f"{model}: is not a model folder here, and cannot be downloaded from the Hub: "
            f"{_first_line(error)}"
        ) from None


def _code_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _code_references(folder: Path) -> list[str]:
    """The names in `auto_map` of a model's files: "file.Class", "other/repository--file.Class"."""
    found: list[str] = []
    for name in ("config.json", "tokenizer_config.json"):
        try:
            mapped = json.loads((folder / name).read_text(encoding="utf-8")).get("auto_map", {})
        except (OSError, ValueError, AttributeError):
            continue  # the code that loads the file reports what is wrong with it
        values = mapped.values() if isinstance(mapped, dict) else [mapped]
        for value in values:
            found += [str(item) for item in (value if isinstance(value, list) else [value]) if item]
    return found


def _refuse_code_from_elsewhere(folder: Path) -> None:
    elsewhere = [name for name in _code_references(folder) if "--" in name]
    if elsewhere:
        raise InputError.of(
            folder,
            f"its auto_map takes code from another repository ({elsewhere[0]}), which no revision "
            "pins; copy that code into the folder and name it there",
        )


def _unloadable(folder: Path, what: str, error: Exception, *, trust: bool) -> InputError:
    hint = ""
    if not trust and _code_references(folder):
        hint = " (it comes with its own code, which runs only with train.trust_remote_code=true)"
    return InputError.of(folder, f"{what} cannot be loaded{hint}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
