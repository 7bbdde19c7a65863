"""What of a run's stores belongs to responses that are to be forgotten.

The rule: a stored call goes when its reply is the response's text, when the judge that the run
names asks it about the response, or when its value holds a sentence that only the response has.
A sentence that a document, a question or another response has as well is no trace of this one:
calls are not removed for it, so that nobody else's paid replies are lost.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from annotator.store_removal import Traces, find_traces, is_store, plain, remove_calls
from annotator.store_takeover import is_taken_over, mark_taken_over
from dataset_builder.forget_rows import TEXTS, Targets, find_files, read_objects
from maskdpo.config import RunConfig
from schemas.errors import MaskDpoError
from schemas.records import Document, Question, Record, Response
from schemas.sidecar import sidecar_path

if TYPE_CHECKING:
    from annotator.judging.config import AnnotateConfig

RecordT = TypeVar("RecordT", bound=Record)
_MIN_COLUMNS = 20  # of a sentence that identifies a response; a Chinese character has two
_MIN_BEGIN_COLUMNS = 16
_BEGIN_UNITS = 8
_RESPONSE_KEYS = frozenset(Response.model_fields)


@dataclass(kw_only=True)
class Texts:
    """The texts to be forgotten, and what else has them.

    responses   those of each forgotten id: usually one, two where files differ
    shared      ids of other responses with the same text, by the id of the forgotten one
    twins       those other responses
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
    found.passages = {plain(text) for item in every for text in _passages(item, config)} - {""}
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
    return [item for values in rows if (item := _record(values, Document))]


def find_stores(folder: Path, own: Path) -> list[Path]:
    """The stores of a run: its own, and those that earlier versions kept in its folder."""
    found = {path.resolve(): path for path in (own, *sorted(folder.glob("*.sqlite")))}
    return [path for path in found.values() if path.is_file() and is_store(path)]


def remove_from(stores: Mapping[Path, Traces], own: Path) -> None:
    """Remove the calls found from each store; `own` is the run's, which took over the others."""
    for path, found in stores.items():
        was_taken_over = path != own and own.exists() and is_taken_over(own, path)
        remove_calls(path, found.keys)
        if was_taken_over:
            mark_taken_over(own, path)


def find_calls(
    stores: Sequence[Path], texts: Texts, targets: Targets, config: RunConfig
) -> tuple[dict[Path, Traces], list[str]]:
    """The calls of each store that go, and notes about what could not be looked for.

    The first of `stores` is the run's own, if it has one. No store is changed.
    """
    notes: list[str] = []
    found: dict[Path, Traces] = {}
    replies = _reply_keys(targets, config)
    for path in stores:
        with _copied(path) as store:
            keys = replies | _judge_keys(store, texts, config, notes)
        found[path] = find_traces(path, keys=keys, texts=texts.whole, passages=texts.passages)
    return found, list(dict.fromkeys(notes))


def _reply_keys(targets: Targets, config: RunConfig) -> set[str]:
    """The keys of the forgotten responses' own sampling calls, where a server is the policy.

    A local model's key needs its files; its replies are found by their text alone.
    """
    from annotator.generation.backends import make_backend
    from annotator.generation.config import SampleConfig
    from annotator.generation.sample import make_slots

    questions = config.run.path("questions.jsonl")
    if "sample" not in config.names or not questions.is_file():
        return set()
    settings = config.section(SampleConfig, "sample")
    if settings.backend != "openai":
        return set()
    rows = [item for values in read_objects(questions) if (item := _record(values, Question))]
    try:
        fingerprint = make_backend(settings).fingerprint()
    except (MaskDpoError, ImportError):
        return set()
    slots = make_slots(settings, fingerprint, rows)
    own = {slot.key for slot in slots if slot.id in targets.responses}
    return own - {slot.key for slot in slots if slot.id not in targets.responses}


def _judge_keys(store: Path, texts: Texts, config: RunConfig, notes: list[str]) -> set[str]:
    """The keys of the judge's calls about the forgotten responses, and about no other."""
    from annotator.judging.asked_keys import find_asked_keys

    forgotten = [item for items in texts.responses.values() for item in items]
    if not forgotten:
        return set()
    documents = read_documents(config)
    keys: set[str] = set()
    kept: set[str] = set()
    for settings in _judges(config):
        try:
            keys |= find_asked_keys(settings, forgotten, documents, store=store)
            kept |= find_asked_keys(settings, texts.twins, documents, store=store)
        except (MaskDpoError, ImportError) as error:
            notes.append(
                f"the judge's calls could not be derived ({str(error).splitlines()[0]}); those "
                "that quote a sentence of the response are removed, others may be left"
            )
    return keys - kept


def _judges(config: RunConfig) -> Iterator[AnnotateConfig]:
    """The judges of the run: that of the settings, and the one that made the annotations."""
    from annotator.judging.config import AnnotateConfig

    settings = [config.section(AnnotateConfig, "annotate")]
    path = sidecar_path(config.run.path("annotations.jsonl"))
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["config"]
        settings.append(AnnotateConfig.model_validate(values))
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        pass  # annotations from elsewhere have no settings of ours
    return (item for number, item in enumerate(settings) if item not in settings[:number])


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """A copy of a store: to open one of an earlier version is to change it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, path.name + "-wal"):
            if path.with_name(name).exists():
                shutil.copy(path.with_name(name), folder)
        yield Path(folder) / path.name


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
    return _record(known, Response)


def _record(values: Mapping[str, Any], model: type[RecordT]) -> RecordT | None:
    """A row as a record; None where it is none: a faulty row elsewhere must not stop this."""
    try:
        return model.model_validate(values)
    except ValidationError:
        return None
