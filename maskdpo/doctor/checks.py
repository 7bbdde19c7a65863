"""Checks of the files, folders and disks that a run config needs, before anything is spent.

The rule: a check writes nothing, needs no network (servers are checked in `doctor.servers`), and
names the next command if something is wrong.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from schemas.errors import ConfigError, InputError, nearest
from schemas.files.jsonl import read_records
from schemas.records import Document, Question, Response
from schemas.text.counted import count_of

if TYPE_CHECKING:
    from annotator.judging.config import AnnotateConfig
    from maskdpo.config import RunConfig

Status = Literal["ok", "warning", "error"]
LITTLE_DISK = 5e9
NO_DISK = 5e8
MAX_NAMED = 3
_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer_config.json",
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check: what was found, and the next command if something is wrong."""

    status: Status
    what: str
    found: str
    command: str = ""


def check_files(config: RunConfig) -> Iterator[Check]:
    """Documents, questions and responses: readable, how many, and their ids known."""
    run = config.run
    documents = _read(run.path("documents.jsonl"), Document, "maskdpo ingest FOLDER")
    yield documents.check
    needs = "give run.questions, or make them with: maskdpo questions"
    questions = _read(run.path("questions.jsonl"), Question, needs)
    yield questions.check
    responses = _read(run.path("responses.jsonl"), Response, "maskdpo sample")
    yield responses.check
    if documents.records:
        for what, found in (("questions", questions), ("responses", responses)):
            if found.records:
                yield _check_ids(what, found.records, documents.records)


@dataclass(frozen=True, kw_only=True)
class _Found:
    check: Check
    records: Sequence[Document | Question | Response]


def _read(path: Path, model: type[Document | Question | Response], command: str) -> _Found:
    name = f"{model.__name__.lower()}s"
    if not path.exists():
        check = Check(
            status="warning", what=name, found=f"{path}: does not exist yet", command=command
        )
        return _Found(check=check, records=[])
    try:
        records = read_records(path, model)
    except InputError as error:
        shown = "; ".join(str(fault) for fault in error.faults[:MAX_NAMED])
        more = len(error.faults) - MAX_NAMED
        shown += f" and {more} more faults" if more > 0 else ""
        check = Check(status="error", what=name, found=shown, command=f"correct {path}")
        return _Found(check=check, records=[])
    check = Check(status="ok", what=name, found=f"{path}: {count_of(len(records), 'row')}")
    return _Found(check=check, records=records)


def _check_ids(
    what: str,
    rows: Sequence[Document | Question | Response],
    documents: Sequence[Document | Question | Response],
) -> Check:
    """Whether each row's documents exist: by its ids, else by its topic."""
    ids = {item.id for item in documents}
    topics = {item.topic for item in documents if item.topic}
    unknown: dict[str, None] = {}
    num_without = 0
    for row in rows:
        named = getattr(row, "document_ids", [])
        unknown |= dict.fromkeys(name for name in named if name not in ids)
        num_without += not named and row.topic not in topics
    label = f"documents of {what}"
    if unknown:
        shown = ", ".join(repr(name) for name in [*unknown][:MAX_NAMED])
        hint = nearest(next(iter(unknown)), sorted(ids)[:1_000])
        hint = hint if hint.startswith("did") else "no document has a similar id"
        return Check(
            status="error",
            what=label,
            found=f"{len(unknown):,} ids name no document: {shown} ({hint})",
            command="correct 'document_ids', or ingest the missing documents",
        )
    if num_without:
        return Check(
            status="warning",
            what=label,
            found=f"{num_without:,} of {len(rows):,} have no document, neither by id nor by "
            "topic: their sentences will be undetermined (no_document)",
            command="give them 'document_ids', or the 'topic' of a document",
        )
    return Check(status="ok", what=label, found="each has its documents")


def check_judge(settings: AnnotateConfig) -> Iterator[Check]:
    """The judge's domain and its folder of prompts."""
    from annotator.judging.domains.domain import find_domain, load_domain
    from annotator.judging.protocols.load_prompts import load_prompts
    from annotator.judging.protocols.prompts import LANGUAGES
    from annotator.judging.protocols.table import PROTOCOLS

    if settings.domain:
        try:
            load_domain(settings.domain)
            found = str(find_domain(settings.domain))
            yield Check(status="ok", what="annotate.domain", found=found)
        except ConfigError as error:
            yield Check(status="error", what="annotate.domain", found=str(error))
    if settings.llm and settings.llm.prompts:
        try:
            for language in LANGUAGES:
                protocol = PROTOCOLS[settings.llm.protocol]
                load_prompts(
                    language,
                    settings.llm.prompts,
                    protocol=protocol,
                    ask_spans=settings.llm.ask_spans,
                )
            shown = str(settings.llm.prompts)
            yield Check(status="ok", what="annotate.llm.prompts", found=shown)
        except ConfigError as error:
            yield Check(
                status="error",
                what="annotate.llm.prompts",
                found=str(error),
                command="correct the file, or remove annotate.llm.prompts",
            )


def check_model_folder(where: str, model: str, *, may_be_served: bool) -> Check:
    """Whether a local model folder has configuration, tokenizer and weights."""
    folder = Path(model)
    served = f"; if a server serves it: --set {where}.backend=openai" if may_be_served else ""
    what = f"{where}.model"
    if not folder.exists():
        if model.count("/") == 1 and not model.startswith((".", "/", "~")):
            return Check(
                status="warning",
                what=what,
                found=f"{model} is not a folder here; it will be downloaded from the Hub",
                command=f"hf download {model}{served}",
            )
        return Check(
            status="error",
            what=what,
            found=f"{model} is neither a folder here nor a Hub id (ORG/NAME)",
            command=f"correct {what}{served}",
        )
    has_config = any((folder / name).exists() for name in ("config.json", "adapter_config.json"))
    missing = [] if has_config else ["config.json"]
    if not any((folder / name).exists() for name in _TOKENIZERS):
        missing.append("a tokenizer (tokenizer.json)")
    if not any(folder.glob("*.safetensors")):
        missing.append("weights (*.safetensors)")
    if missing:
        return Check(
            status="error",
            what=what,
            found=f"{model} lacks {', '.join(missing)}",
            command="save model and tokenizer into this folder with save_pretrained",
        )
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return Check(status="ok", what=what, found=f"{model}: {_gigabytes(size)} of weights")


def check_disk(folder: Path) -> Check:
    """The free space on the disk where the run writes."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{folder}: {_gigabytes(free)} free"
    command = "free some space, or set run.dir to a folder on another disk"
    if free < LITTLE_DISK:
        status: Status = "error" if free < NO_DISK else "warning"
        return Check(status=status, what="disk", found=found, command=command)
    return Check(status="ok", what="disk", found=found)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
