"""The stored calls that belong to responses to be removed.

The rule: a stored call is removed when its reply is the response's text, when it is a call of the
run's judge about the response, or when its value contains a sentence that only the response has. A
sentence that is also in a document, a question or another response does not identify this one: no
call is removed for it, so that paid replies for other responses are not lost.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from annotator.calls.store_removal import Traces, find_traces, is_store, remove_calls
from annotator.calls.store_takeover import is_taken_over, mark_taken_over
from maskdpo.config import RunConfig
from maskdpo.forgetting.rows import read_objects
from maskdpo.forgetting.targets import Targets
from maskdpo.forgetting.texts import Texts, as_record, read_documents, run_folders
from schemas.errors import MaskDpoError
from schemas.files.shard import stores_of_pieces
from schemas.files.sidecar import sidecar_path
from schemas.records import Question

if TYPE_CHECKING:
    from annotator.judging.config import AnnotateConfig


def find_stores(folder: Path, own: Path) -> list[Path]:
    """The stores of a run: its own, others in its folder (of parts, of earlier versions), and
    those of an unfinished run on Ray."""
    near = sorted(folder.glob("*.sqlite"))
    paths = [own, *near, *(piece for path in (own, *near) for piece in stores_of_pieces(path))]
    found = {path.resolve(): path for path in paths}
    return [path for path in found.values() if path.is_file() and is_store(path)]


def remove_from(stores: Mapping[Path, Traces], own: Path) -> None:
    """Remove the found calls from each store; `own` is the run's, with copies of the others."""
    for path, found in stores.items():
        was_taken_over = path != own and own.exists() and is_taken_over(own, path)
        remove_calls(path, found.keys)
        if was_taken_over:
            mark_taken_over(own, path)


def find_calls(
    stores: Sequence[Path], texts: Texts, targets: Targets, config: RunConfig
) -> tuple[dict[Path, Traces], list[str]]:
    """The calls to remove from each store, and notes about what could not be searched for.

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
    """The keys of the removed responses' own sampling calls, if the policy is on a server.

    A local model's key needs its files; its replies are found only by their text.
    """
    from annotator.models.config import SampleConfig
    from annotator.models.make_backend import make_backend
    from annotator.sampling.slots import make_slots

    questions = config.run.path("questions.jsonl")
    if "sample" not in config.names or not questions.is_file():
        return set()
    settings = config.section(SampleConfig, "sample")
    if settings.backend != "openai":
        return set()
    rows = [item for values in read_objects(questions) if (item := as_record(values, Question))]
    try:
        fingerprint = make_backend(settings).fingerprint()
    except (MaskDpoError, ImportError):
        return set()
    slots = make_slots(settings, fingerprint, rows)
    own = {slot.key for slot in slots if slot.id in targets.responses}
    return own - {slot.key for slot in slots if slot.id not in targets.responses}


def _judge_keys(store: Path, texts: Texts, config: RunConfig, notes: list[str]) -> set[str]:
    """The keys of the judge's calls that are only about removed responses."""
    from annotator.judging.runs.asked_keys import find_asked_keys

    forgotten = [item for items in texts.responses.values() for item in items]
    if not forgotten:
        return set()
    keys: set[str] = set()
    kept: set[str] = set()
    for folder in run_folders(config):
        documents = read_documents(config, folder)
        for settings in _judges(config, folder):
            try:
                keys |= find_asked_keys(settings, forgotten, documents, store=store)
                kept |= find_asked_keys(settings, texts.twins, documents, store=store)
            except (MaskDpoError, ImportError) as error:
                notes.append(
                    f"the judge's calls could not be determined ({str(error).splitlines()[0]}); "
                    "those that quote a sentence of the response are removed, others may remain"
                )
    return keys - kept


def _judges(config: RunConfig, folder: Path) -> Iterator[AnnotateConfig]:
    """The judges of the run or a job: the one in the settings, and the one that made the
    annotations."""
    from annotator.judging.config import AnnotateConfig

    settings = [config.section(AnnotateConfig, "annotate")]
    path = sidecar_path(folder / "annotations.jsonl")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["config"]
        settings.append(AnnotateConfig.model_validate(values))
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        pass  # annotations of other tools have no settings of maskdpo
    return (item for number, item in enumerate(settings) if item not in settings[:number])


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """A copy of a store, because opening a store of an earlier version changes it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, path.name + "-wal"):
            if path.with_name(name).exists():
                shutil.copy(path.with_name(name), folder)
        yield Path(folder) / path.name
