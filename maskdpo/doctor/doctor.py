"""What is installed and what is missing, without importing any of it.

The rule: the extra that contains a package is read from the installed metadata of maskdpo, so that
the printed command works.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

_INSTALL = "pip install -c constraints.txt -e '.[{extra}]'"
_VLLM = "make setup-vllm   (a separate environment: vllm pins its own torch)"

# package -> its purpose, in the order of a run
_PACKAGES = {
    "sentencex": "sentences (default splitter)",
    "spacy": "sentences (splitter: spacy)",
    "nltk": "sentences (splitter: nltk)",
    "pypdfium2": "reading PDF documents",
    "mammoth": "reading Word documents",
    "selectolax": "reading HTML documents",
    "markdown-it-py": "reading Markdown documents",
    "mdit-py-plugins": "reading Markdown documents",
    "charset-normalizer": "reading text files that are not UTF-8",
    "ruamel.yaml": "reading settings",
    "aiohttp": "calling a served model",
    "pyarrow": "reading and writing data sets",
    "datasets": "loading a finished data set in your own code",
    "huggingface_hub": "pushing to the Hub",
    "matplotlib": "plots of the report and of cards",
    "torch": "training, local sampling",
    "transformers": "training, local sampling",
    "accelerate": "training",
    "safetensors": "training",
    "peft": "training an adapter (LoRA)",
    "vllm": "serving a policy or judge on a GPU",
    "trl": "parity tests",
    "pytest": "tests",
}

_TRAINING = ("torch", "transformers", "accelerate", "safetensors", "matplotlib")
_COMMANDS = {
    "domain": ("sentencex",),
    "ingest": (
        "pypdfium2",
        "mammoth",
        "selectolax",
        "markdown-it-py",
        "mdit-py-plugins",
        "charset-normalizer",
    ),
    "questions (a server)": ("aiohttp",),
    "questions (a local model)": ("torch", "transformers"),
    "sample (a server)": ("aiohttp",),
    "sample (a local model)": ("torch", "transformers"),
    "annotate (lexical)": ("sentencex",),
    "annotate (a served judge)": ("sentencex", "aiohttp"),
    "import": ("pyarrow",),
    "agreement": ("sentencex",),
    "build": ("pyarrow", "matplotlib"),
    "merge": ("pyarrow", "matplotlib"),
    "validate": ("pyarrow",),
    "push": ("huggingface_hub", "safetensors"),
    "export": ("pyarrow",),
    "train": _TRAINING,
    "evaluate": ("torch", "transformers", "matplotlib"),
    "forget": ("sentencex", "pyarrow"),
    "demo": _TRAINING,
}

_ROOMS = ("schemas", "annotator", "dataset_builder", "trainer", "maskdpo")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*?(?:extra == ['\"]([\w-]+)['\"])?$")


@dataclass(frozen=True, kw_only=True)
class PackageStatus:
    """One package: its installed version or None, and the command that installs it."""

    name: str
    needed_for: str
    version: str | None
    command: str


@dataclass(frozen=True, kw_only=True)
class CommandStatus:
    """One command and its missing packages."""

    name: str
    missing: tuple[str, ...]


def inspect_packages() -> list[PackageStatus]:
    """Every package that a command may need, in the order of a run."""
    return [
        PackageStatus(
            name=name,
            needed_for=needed_for,
            version=(version := _version(name)),
            command="" if version else install_command(name),
        )
        for name, needed_for in _PACKAGES.items()
    ]


def inspect_commands() -> list[CommandStatus]:
    """Every command with its missing packages."""
    return [
        CommandStatus(name=name, missing=tuple(p for p in needs if _version(p) is None))
        for name, needs in _COMMANDS.items()
    ]


def find_shadows() -> Iterator[str]:
    """Messages about packages of maskdpo that another installed package hides.

    `schemas` and `trainer` are common names: an import that finds another distribution's package
    would otherwise fail with a misleading AttributeError.
    """
    home = Path(__file__).resolve().parent.parent.parent
    for room in _ROOMS:
        spec = importlib.util.find_spec(room)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            yield (
                f"package {room!r} is imported from {origin}, not from {home / room}; uninstall "
                "the other distribution or use a separate environment"
            )


def explain_missing(module: str) -> str:
    """One sentence for a failed import: the package and the command that installs it."""
    package = module.split(".")[0]
    return f"the package {package!r} is not installed; get it with: {install_command(package)}"


def install_command(package: str) -> str:
    """The command that installs a package, with the extra of maskdpo that contains it."""
    extra = _extras().get(_normal(package), "")
    if extra == "vllm":
        return _VLLM
    return _INSTALL.format(extra=extra) if extra else "pip install -c constraints.txt -e ."


@lru_cache(maxsize=1)
def _extras() -> dict[str, str]:
    """Package -> the extra that contains it ('' for none), from maskdpo's own metadata."""
    try:
        lines = metadata.requires("maskdpo") or []
    except metadata.PackageNotFoundError:
        return {}
    found = [match for line in lines if (match := _REQUIREMENT.match(line))]
    return {_normal(match[1]): match[2] or "" for match in found}


def _normal(package: str) -> str:
    """A package's name, normalised as in PEP 503."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
