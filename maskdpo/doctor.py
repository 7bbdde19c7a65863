"""What is installed and what is missing, found without importing any of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_INSTALL = "pip install -c constraints.txt -e '.[{extra}]'"
_VLLM = "make setup-vllm   (an environment of its own: vllm pins its own torch)"

# package -> (extra that brings it, what it is for)
_PACKAGES = {
    "sentencex": ("", "sentences (default splitter)"),
    "spacy": ("", "sentences (splitter: spacy)"),
    "nltk": ("", "sentences (splitter: nltk)"),
    "pypdfium2": ("", "reading PDF documents"),
    "selectolax": ("", "reading HTML documents"),
    "markdown-it-py": ("", "reading Markdown documents"),
    "mdit-py-plugins": ("", "reading Markdown documents"),
    "charset-normalizer": ("", "reading text files that are not UTF-8"),
    "openai": ("", "sampling from a server"),
    "datasets": ("", "reading and writing data sets"),
    "huggingface_hub": ("", "pushing to the Hub"),
    "matplotlib": ("", "plots of the report and of cards"),
    "torch": ("train", "training, local sampling"),
    "transformers": ("train", "training, local sampling"),
    "accelerate": ("train", "training"),
    "safetensors": ("train", "training"),
    "peft": ("train", "training an adapter (LoRA)"),
    "vllm": ("vllm", "serving a policy or judge on a GPU"),
    "trl": ("dev", "parity tests"),
    "pytest": ("dev", "tests"),
}

_VERBS = {
    "domain": ("sentencex",),
    "ingest": (
        "pypdfium2",
        "selectolax",
        "markdown-it-py",
        "mdit-py-plugins",
        "charset-normalizer",
    ),
    "questions (a server)": ("openai",),
    "questions (a local model)": ("torch", "transformers"),
    "sample (a server)": ("openai",),
    "sample (a local model)": ("torch", "transformers"),
    "annotate": ("sentencex",),
    "import": (),
    "agreement": ("sentencex",),
    "build": ("datasets",),
    "push": ("huggingface_hub", "safetensors"),
    "train": ("torch", "transformers", "accelerate", "safetensors", "matplotlib"),
    "evaluate": ("torch", "transformers", "matplotlib"),
    "demo": ("torch", "transformers", "accelerate", "safetensors", "matplotlib"),
}

_ROOMS = ("schemas", "annotator", "dataset_builder", "trainer", "maskdpo")


@dataclass(frozen=True, kw_only=True)
class PackageStatus:
    """One package: its installed version or None, and the command that gets it."""

    name: str
    needed_for: str
    version: str | None
    command: str


@dataclass(frozen=True, kw_only=True)
class VerbStatus:
    """One verb and the packages it still lacks."""

    name: str
    missing: tuple[str, ...]


def inspect_packages() -> list[PackageStatus]:
    """Every package a verb may need, in the order of a run."""
    return [
        PackageStatus(
            name=name,
            needed_for=needed_for,
            version=(version := _version(name)),
            command="" if version else _command(extra),
        )
        for name, (extra, needed_for) in _PACKAGES.items()
    ]


def inspect_verbs() -> list[VerbStatus]:
    """Every verb with what it lacks."""
    return [
        VerbStatus(name=name, missing=tuple(p for p in needs if _version(p) is None))
        for name, needs in _VERBS.items()
    ]


def find_shadows() -> Iterator[str]:
    """Sentences about rooms of ours that another installed package hides.

    `schemas` and `trainer` are common names: an import that finds someone else's is a fault
    that would otherwise show up as a strange AttributeError.
    """
    home = Path(__file__).resolve().parent.parent
    for room in _ROOMS:
        spec = importlib.util.find_spec(room)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            yield (
                f"package {room!r} is imported from {origin}, not from {home / room}; uninstall "
                "the other distribution or use an environment of its own"
            )


def explain_missing(module: str) -> str:
    """One sentence for an import that failed: the package and the command that gets it."""
    package = module.split(".")[0]
    extra = _PACKAGES.get(package, ("",))[0]
    return f"the package {package!r} is not installed; get it with: {_command(extra)}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _command(extra: str) -> str:
    if extra == "vllm":
        return _VLLM
    return _INSTALL.format(extra=extra) if extra else "pip install -c constraints.txt -e ."
