"""What is installed and what is missing, without importing any of it.

The rule: every command is listed with all packages that it may need; how to install one
is in `schemas.packages`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from schemas.packages import find_extra, install_command

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
    "httpx2": "certificates of https servers",
    "bm25s": "passages of long documents",
    "pyarrow": "reading and writing data sets",
    "openpyxl": "spreadsheets, in and out",
    "jinja2": "cards of data sets and models, report pages",
    "datasets": "data sets of the Hub, folders of datasets",
    "huggingface_hub": "data sets and models on the Hub",
    "matplotlib": "plots of reports, cards and training runs",
    "scipy": "intervals and tests of agreement and evaluate",
    "torch": "training, local sampling",
    "transformers": "training, local sampling",
    "accelerate": "training",
    "safetensors": "training, pushing a model",
    "tensorboard": "training (report_to: tensorboard)",
    "peft": "training an adapter (LoRA)",
    "fastapi": "the annotation service",
    "uvicorn": "the annotation service",
    "uvloop": "the annotation service",
    "httptools": "the annotation service",
    "prometheus_client": "metrics of runs and of the annotation service",
    "python-multipart": "the review desk",
    "itsdangerous": "the review desk",
    "lm_eval": "other skills of a model (GSM8K, MATH, ...)",
    "vllm": "serving a policy or judge on a GPU",
    "trl": "parity tests",
    "pytest": "tests",
}

_READERS = (
    "pypdfium2",
    "mammoth",
    "selectolax",
    "markdown-it-py",
    "mdit-py-plugins",
    "charset-normalizer",
)
_TRAINING = ("torch", "transformers", "accelerate", "safetensors")
_REPORT = ("scipy", "matplotlib")
_COMMANDS = {
    "domain": ("sentencex",),
    "ingest": _READERS,
    "questions (a server)": ("aiohttp",),
    "questions (a local model)": ("torch", "transformers"),
    "sample (a server)": ("aiohttp",),
    "sample (a local model)": ("torch", "transformers"),
    "annotate (lexical)": ("sentencex",),
    "annotate (a served judge)": ("sentencex", "aiohttp", "bm25s"),
    "annotate (a local judge)": ("sentencex", "bm25s", "torch", "transformers"),
    "import": ("pyarrow", "openpyxl"),
    "agreement": ("sentencex", "scipy"),
    "agreement (--report)": ("sentencex", *_REPORT),
    "show": ("pyarrow", "jinja2"),
    "build": ("pyarrow", "jinja2"),
    "build (with plots)": ("pyarrow", "jinja2", "matplotlib"),
    "merge": ("pyarrow", "jinja2"),
    "validate": ("pyarrow",),
    "validate (on the Hub)": ("pyarrow", "huggingface_hub"),
    "push (a data set)": ("huggingface_hub",),
    "push (a model)": ("huggingface_hub", "safetensors"),
    "export": ("pyarrow", "openpyxl"),
    "train": _TRAINING,
    "train (with curves)": (*_TRAINING, "matplotlib"),
    "train (an adapter)": (*_TRAINING, "peft"),
    "evaluate (a server)": ("sentencex", "aiohttp", *_REPORT),
    "evaluate (a local model)": ("sentencex", "torch", "transformers", *_REPORT),
    "skills": ("lm_eval", "torch", "transformers", "scipy"),
    "forget": ("sentencex", "pyarrow"),
    "review": (
        "fastapi",
        "uvicorn",
        "uvloop",
        "httptools",
        "jinja2",
        "python-multipart",
        "itsdangerous",
    ),
    "serve": ("sentencex", "fastapi", "uvicorn", "uvloop", "httptools", "prometheus_client"),
    "demo": (*_TRAINING, *_REPORT),
    "study": (*_TRAINING, *_REPORT),
    "recipes": (),
    "doctor": (),
    "schema": (),
}


@dataclass(frozen=True, kw_only=True)
class PackageStatus:
    """One package: its extra ('' for the base), its version or None, the command to install it."""

    name: str
    needed_for: str
    extra: str
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
            extra=find_extra(name) or "",
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


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
