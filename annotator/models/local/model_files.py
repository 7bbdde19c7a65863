"""The files of a local model: where they are, and one digest of their content.

The rule: a model is identified by the content of its files, not by their folder. So samples of an
old model are never used for a retrained one in the same folder, and a moved folder keeps its
samples. All weights are read for it; that takes a fraction of the time of loading and running them,
and any shortcut (first and last megabyte, file times) misses a model of which only some layers
changed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from annotator.models.detail_line import detail_line
from schemas.errors import BackendError, ConfigError
from schemas.hashing import content_key

# Files that decide a reply: weights, architecture, end-of-text ids, tokenizer and chat template.
# Not README, optimizer states, training logs.
MODEL_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "chat_template.jinja",
    "chat_template.json",
)
# Copies of the same weights that some Hub repositories contain in the original authors' format.
OTHER_COPIES = ("*/*", "consolidated*.safetensors")
_IF_SERVED = (
    "if an OpenAI-compatible server serves it under this name: --set sample.backend=openai "
    "(questions.backend for the writer, annotate.llm.backend for the judge)"
)


def locate_model(model: str, revision: str | None) -> Path:
    """The folder of a model, downloaded from the Hub where `model` is an id.

    Raises ConfigError for a folder that is missing or holds no safetensors, or an id that the
    Hub does not know, and BackendError when the Hub cannot be reached.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return _checked(path)
    if path.exists():
        raise ConfigError(f"model {model!r} is a file; give the folder that holds config.json")
    if _looks_like_a_path(model):
        raise ConfigError(
            f"model folder {model!r} does not exist; give a folder that holds config.json and "
            "*.safetensors, or a Hub id such as Qwen/Qwen3-0.6B"
        )
    return _checked(_download(model, revision))


def digest_model(folder: Path) -> str:
    """SHA-256 (hex) over the names and contents of a model's files."""
    digests: dict[str, str] = {}
    for pattern in MODEL_FILES:
        for path in folder.glob(pattern):
            with path.open("rb") as handle:
                digests[path.name] = hashlib.file_digest(handle, "sha256").hexdigest()
    return content_key(digests)


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise ConfigError(f"model folder {str(folder)!r} holds no config.json")
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"model folder {str(folder)!r} holds no *.safetensors, the only weights that are "
            "loaded; save the model with save_pretrained to convert it"
        )
    return folder


def _looks_like_a_path(model: str) -> bool:
    """Whether `model`, which does not exist here, was probably meant as a folder and not as a Hub
    id."""
    if model.startswith((".", "/", "~")) or "\\" in model or model.count("/") > 1:
        return True
    return "/" in model and Path(model).parent.is_dir()


def _download(model: str, revision: str | None) -> Path:
    """The Hub's safetensors and tokenizer of `model` in the local cache; nothing executable."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,  # a gated repository, too
        RevisionNotFoundError,
    )

    try:
        return Path(
            snapshot_download(
                model,
                revision=revision,
                allow_patterns=list(MODEL_FILES),
                ignore_patterns=list(OTHER_COPIES),
            )
        )
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ConfigError(
            f"model {model!r} (revision {revision or 'main'}) is not a folder here and cannot be "
            f"downloaded from the Hub: {detail_line(str(error))}; {_IF_SERVED}"
        ) from None
    except (OSError, ValueError) as error:
        raise BackendError(
            f"model {model!r} is not a folder here, and the Hub cannot be reached: "
            f"{detail_line(str(error))}; give a local folder, or try again; {_IF_SERVED}"
        ) from None
