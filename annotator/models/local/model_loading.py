"""Loading a local model for inference: device, number type, tokenizer, weights, end tokens.

The rule: exactly the saved model is loaded. No code from the folder runs, only safetensors are
read, and a folder that lacks some of its weights is refused, not completed with random ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.models.detail_line import detail_line
from schemas.errors import BackendError, ConfigError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where available, else the CPU; ConfigError for a missing CUDA device."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda"):
        index = torch.device(name).index or 0
        if index >= torch.cuda.device_count():
            raise ConfigError(
                f"device is {name!r}, but {torch.cuda.device_count()} CUDA devices are visible; "
                "use device: auto or cpu"
            )
    return torch.device(name)


def choose_dtype(name: str, device: torch.device, folder: Path) -> str:
    """`auto` is float32 on a CPU, on CUDA the type that config.json names (else bfloat16)."""
    if name != "auto":
        return name
    if device.type == "cpu":
        return "float32"
    declared = str(_load_config(folder).dtype).removeprefix("torch.")
    return declared if declared in ("float32", "bfloat16", "float16") else "bfloat16"


def context_size(folder: Path) -> int | None:
    """Maximum number of tokens of prompt and reply together; None where the model sets no limit."""
    size = getattr(_load_config(folder).get_text_config(), "max_position_embeddings", None)
    return int(size) if isinstance(size, int) and size > 0 else None


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer; ConfigError when it is unreadable or has no chat template."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the error of a broken tokenizer file depends on its class
        raise _unreadable(folder, "tokenizer", error) from None
    if not tokenizer.chat_template:
        raise ConfigError(
            f"the tokenizer in {str(folder)!r} has no chat template, so the form in which the "
            "model expects a question is not known; use an instruction-tuned model, or save a "
            "chat_template.jinja in the folder"
        )
    return tokenizer


def load_network(folder: Path, dtype: str, device: torch.device) -> Any:
    """The model in evaluation mode on `device`."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        network, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # torch, safetensors and transformers raise different errors
        raise _unreadable(folder, "model", error) from None
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ConfigError(
            f"model folder {str(folder)!r} lacks {len(missing)} of the model's weights "
            f"(first: {missing[0]}); save the complete model again"
        )
    try:
        return network.to(device).eval()
    except torch.OutOfMemoryError:
        raise BackendError(f"{device} has too little memory for the model in {dtype}") from None


def end_tokens(folder: Path, tokenizer: Any) -> list[int]:
    """Ids that end a reply: those of generation_config.json and the tokenizer's own, sorted."""
    from transformers import GenerationConfig

    ids: set[int | None] = {tokenizer.eos_token_id}
    if (folder / "generation_config.json").is_file():
        declared = GenerationConfig.from_pretrained(folder).eos_token_id
        ids.update(declared if isinstance(declared, list) else [declared])
    found = sorted(item for item in ids if item is not None)
    if not found:
        raise ConfigError(
            f"model folder {str(folder)!r} names no end-of-text token, neither in its tokenizer "
            "nor in generation_config.json; every reply would run to max_tokens"
        )
    return found


def _load_config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # an unknown architecture, a broken file, wrong types
        raise _unreadable(folder, "config.json", error) from None


def _unreadable(folder: Path, what: str, error: Exception) -> ConfigError:
    reason = detail_line(str(error)) or type(error).__name__
    return ConfigError(f"the {what} in {str(folder)!r} cannot be loaded: {reason}")
