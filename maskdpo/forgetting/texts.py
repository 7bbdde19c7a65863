"""The texts of responses that are to be forgotten, and what of them identifies a response.

The rule: a sentence that a document, a question or another response has as well identifies nothing,
so it is left out. Rows that are faulty are passed over: they must not stop anybody's request.
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
_MIN_PLAIN_COLUMNS = 12  # of what is left of it without spaces and marks
_BEGIN_UNITS = 8
_RESPONSE_KEYS = frozenset(Response.model_fields)


@dataclass(kw_only=True)
class Texts:
    """The texts to be forgotten, and what else has them.

    responses   those of each forgotten id: usually one, two where files differ
    shared      ids of other responses with the same text, by the id of the forgotten one
    twins       those other responses
    passages    as `schemas.text.plain_text.plain` makes them
    """

    responses: dict[str, list[Response]] = field(default_factory=dict)
    shared: dict[str, list[str]] = field(default_factory=dict)
    twins: list[Response] = field(default_factory=list)
    passages: set[str] = field(default_factory=set)

    @property
    def whole(self) -> set[str]:
        """Texts of forgotten responses that no other response has."""
        twins = {item.text for item in self.twins}
        own = {item.text for items in self.responses.values() for item in items}
        return {text for text in own - twins if text.strip()}


def read_texts(folder: Path, targets: Targets, config: RunConfig) -> Texts:
    """The texts of the responses in `targets`, as the files in `folder` have them."""
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
    """Leave out the passages that documents, questions and other responses have, too."""
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
    for document in read_documents(config):
        _drop_common(found.passages, document.text)


def _drop_common(passages: set[str], context: str) -> None:
    if passages:
        form = plain(context)
        passages -= {passage for passage in passages if passage in form}


def read_documents(config: RunConfig) -> list[Document]:
    """The run's documents, less rows that are none; empty where there is no file."""
    path = config.run.path("documents.jsonl")
    rows = read_objects(path) if path.is_file() else ()
    return [item for values in rows if (item := as_record(values, Document))]


def _passages(response: Response, config: RunConfig) -> Iterator[str]:
    """What identifies a response: its sentences, their beginnings as judges copy them, and all."""
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.tasks import split_response

    settings = config.section(AnnotateConfig, "annotate")
    sentences = [response.text[a:b] for a, b in split_response(response, settings)]
    yield from (text for text in (*sentences, response.text) if _columns(text) >= _MIN_COLUMNS)
    beginnings = map(_begin, sentences)
    yield from (text for text in beginnings if _columns(text) >= _MIN_BEGIN_COLUMNS)


def _begin(sentence: str) -> str:
    """The first eight words, or characters of Chinese: a judge copies them to name a sentence."""
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
    """A row of responses or annotations as a response; None where it is neither."""
    known = {key: value for key, value in values.items() if key in _RESPONSE_KEYS}
    return as_record(known, Response)


def as_record(values: Mapping[str, Any], model: type[RecordT]) -> RecordT | None:
    """A row as a record; None where it is none: a faulty row elsewhere must not stop this."""
    try:
        return model.model_validate(values)
    except ValidationError:
        return None
