"""The texts of responses to remove, and the parts of them that identify a response.

The rule: a sentence that is also in a document, a question or another response identifies nothing,
so it is left out. Faulty rows are skipped: they must not stop a removal.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from maskdpo.config import RunConfig
from maskdpo.forgetting.rows import TEXTS, find_files, read_objects
from maskdpo.forgetting.targets import Targets
from schemas.records import Document, Record, Response
from schemas.text.plain_text import plain

RecordT = TypeVar("RecordT", bound=Record)
_MIN_COLUMNS = 20  # of a sentence that identifies a response; a Chinese character has two
_MIN_BEGIN_COLUMNS = 16
_MIN_PLAIN_COLUMNS = 12  # of the rest without spaces and punctuation
_BEGIN_UNITS = 8
_RESPONSE_KEYS = frozenset(Response.model_fields)


@dataclass(kw_only=True)
class Texts:
    """The texts to remove, and other responses with the same text.

    responses   the texts of each removed id: usually one, two if files differ
    shared      ids of other responses with the same text, by the removed id
    twins       those other responses
    passages    as `schemas.text.plain_text.plain` makes them
    """

    responses: dict[str, list[Response]] = field(default_factory=dict)
    shared: dict[str, list[str]] = field(default_factory=dict)
    twins: list[Response] = field(default_factory=list)
    passages: set[str] = field(default_factory=set)

    @property
    def whole(self) -> set[str]:
        """Texts of removed responses that no other response has."""
        twins = {item.text for item in self.twins}
        own = {item.text for items in self.responses.values() for item in items}
        return {text for text in own - twins if text.strip()}


def read_texts(folder: Path, targets: Targets, config: RunConfig) -> Texts:
    """The texts of the responses in `targets`, from the files in `folder`."""
    found = Texts()
    files = find_files(folder, TEXTS)
    for values in _rows(files):
        if _is_forgotten(values, targets) and (response := _response(values)):
            same = found.responses.setdefault(response.id, [])
            if response not in same:
                same.append(response)
    every = [item for items in found.responses.values() for item in items]
    passages = {plain(text) for item in every for text in _passages(item, config)}
    found.passages = {text for text in passages if _columns(text) >= _MIN_PLAIN_COLUMNS}
    if every:
        _set_apart(found, files, targets, config)
    return found


def _set_apart(found: Texts, files: Sequence[Path], targets: Targets, config: RunConfig) -> None:
    """Leave out the passages that documents, questions and other responses also have."""
    ids_of: dict[str, list[str]] = {}
    for name, items in found.responses.items():
        for item in items:
            ids_of.setdefault(item.text, []).append(name)
    seen: set[int] = set()
    for values in _rows(files):
        prompt = json.dumps(values.get("prompt"), ensure_ascii=False)
        contexts = [prompt]
        if not _is_forgotten(values, targets):
            text = str(values.get("text"))
            contexts.append(text)
            if text in ids_of and (twin := _response(values)):
                for name in ids_of[text]:
                    others = found.shared.setdefault(name, [])
                    if twin.id not in others:
                        others.append(twin.id)
                found.twins.append(twin)
        for context in contexts:
            if hash(context) not in seen:
                _drop_common(found.passages, context)
                seen.add(hash(context))
    for folder in run_folders(config):
        for document in read_documents(config, folder):
            _drop_common(found.passages, document.text)


def _drop_common(passages: set[str], context: str) -> None:
    if passages:
        form = plain(context)
        passages -= {passage for passage in passages if passage in form}


def run_folders(config: RunConfig) -> list[Path]:
    """The folder of the run, and those of its jobs, which have documents of their own."""
    jobs = (path for path in sorted(config.run.dir.glob("jobs/*")) if path.is_dir())
    return [config.run.dir, *jobs]


def read_documents(config: RunConfig, folder: Path) -> list[Document]:
    """The documents of the run or of one of its jobs, without invalid rows; empty if there is no
    file."""
    is_run = folder == config.run.dir
    path = config.run.path("documents.jsonl") if is_run else folder / "documents.jsonl"
    rows = read_objects(path) if path.is_file() else ()
    return [item for values in rows if (item := as_record(values, Document))]


def _passages(response: Response, config: RunConfig) -> Iterator[str]:
    """What identifies a response: its sentences, their first words (judges copy them), its text."""
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.tasks import split_response

    settings = config.section(AnnotateConfig, "annotate")
    sentences = [response.text[a:b] for a, b in split_response(response, settings)]
    yield from (text for text in (*sentences, response.text) if _columns(text) >= _MIN_COLUMNS)
    beginnings = map(_begin, sentences)
    yield from (text for text in beginnings if _columns(text) >= _MIN_BEGIN_COLUMNS)


def _begin(sentence: str) -> str:
    """The first eight words, or Chinese characters: a judge copies them to identify a sentence."""
    words = sentence.split()[:_BEGIN_UNITS]
    is_wide = any(_columns(char) > 1 for char in sentence[:_BEGIN_UNITS])
    return sentence[:_BEGIN_UNITS] if is_wide else " ".join(words)


def _columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    return (values for path in files for values in read_objects(path))


def _is_forgotten(values: Mapping[str, Any], targets: Targets) -> bool:
    name = values.get("id")
    return isinstance(name, str) and name in targets.responses


def _response(values: Mapping[str, Any]) -> Response | None:
    """A row of responses or annotations as a response; None if it is neither."""
    known = {key: value for key, value in values.items() if key in _RESPONSE_KEYS}
    return as_record(known, Response)


def as_record(values: Mapping[str, Any], model: type[RecordT]) -> RecordT | None:
    """A row as a record; None for an invalid row, which must not stop the removal."""
    try:
        return model.model_validate(values)
    except ValidationError:
        return None
