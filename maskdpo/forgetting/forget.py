"""`forget`: removes a person's reviews, or a response, from a run.

The rule: `forgotten.jsonl` is written first and the text of a response is removed last. So a killed
run can be finished with the same command: what is still to be removed can still be found.

What is changed: the reviews, the files that mention them, the stores, the annotations and the
responses. All other places are only listed: data sets, sheets, models, what was pushed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from annotator.calls.store_removal import Traces
from formats.forgotten import FORGOTTEN_NAME, Forgotten, remember, same_name
from formats.reviews import PAIR_REVIEWS_NAME, REVIEW_FILES
from maskdpo.config import RunConfig
from maskdpo.forgetting.desks import forget_in_desks
from maskdpo.forgetting.rows import (
    MENTIONS,
    TEXTS,
    Change,
    find_files,
    find_known,
    forget_in,
)
from maskdpo.forgetting.scan import find_mentions
from maskdpo.forgetting.store import find_calls, find_stores, remove_from
from maskdpo.forgetting.targets import Targets
from maskdpo.forgetting.texts import Texts, read_texts
from schemas.errors import Fault, InputError, nearest


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """What `run_forget` did, or would do.

    changes    rows removed and masked, by file; only for changed files
    calls      calls removed, by store
    shared     ids of other responses with the same text, by id: that text stays
    before     names and ids that were removed before and are in no file any more
    mentions   other files that contain a name or id; `unread` could not be searched
    """

    num_new: int
    changes: Sequence[Change]
    calls: Mapping[Path, Traces] = field(default_factory=dict)
    shared: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: Sequence[str] = ()
    notes: Sequence[str] = ()
    mentions: Sequence[Path] = ()
    unread: Sequence[Path] = ()


def run_forget(
    config: RunConfig,
    *,
    people: Collection[str],
    responses: Collection[str],
    store: Path,
    dry_run: bool = False,
) -> Forgetting:
    """Remove `people` and `responses` from the run of `config`; `dry_run` only counts.

    Raises InputError, with nothing changed, for a name or id that is not in the run, and
    BackendError when another process uses the store: call it again to continue.
    """
    folder = config.run.dir
    if not folder.is_dir():
        raise InputError.of(folder, "is not a run folder; set one with: --set run.dir=FOLDER")
    targets = Targets(people=frozenset(map(same_name, people)), responses=frozenset(responses))
    listed = folder / FORGOTTEN_NAME
    before = _check_known(folder, targets, Forgotten.read(listed))
    texts = read_texts(folder, targets, config) if responses else Texts()
    targets = replace(targets, passages=frozenset(texts.passages))
    stores = find_stores(folder, store) if responses else []
    calls, notes = find_calls(stores, texts, targets, config)
    num_new = 0 if dry_run else remember(listed, people=people, responses=responses)
    changes = _forget_files(
        folder, (*REVIEW_FILES, PAIR_REVIEWS_NAME, *MENTIONS), targets, dry_run=dry_run
    )
    if not dry_run:
        forget_in_desks(folder, targets)
        remove_from(calls, store)
    changes += _forget_files(folder, TEXTS, targets, dry_run=dry_run)
    mentions, unread = find_mentions(folder, targets.people, targets.responses)
    changed = {change.path for change in changes} if dry_run else set()
    return Forgetting(
        num_new=num_new,
        changes=changes,
        calls=calls,
        shared=texts.shared,
        before=before,
        notes=notes,
        mentions=[path for path in mentions if path not in changed],
        unread=unread,
    )


def _forget_files(
    folder: Path, patterns: tuple[str, ...], targets: Targets, *, dry_run: bool
) -> list[Change]:
    files = find_files(folder, patterns)
    return [change for path in files if (change := forget_in(path, targets, dry_run=dry_run))]


def _check_known(folder: Path, targets: Targets, forgotten: Forgotten) -> list[str]:
    """Names and ids that are only in the list of removed ones. Raises InputError for others."""
    known = find_known(folder)
    before: list[str] = []
    faults: list[Fault] = []
    for what, wanted, there, is_forgotten in (
        ("reviewer", targets.people, known.people, forgotten.has_person),
        ("response", targets.responses, known.responses, forgotten.has_response),
    ):
        for name in sorted(wanted - there):
            if is_forgotten(name):
                before.append(name)
                continue
            hint = nearest(name, sorted(there)) if there else f"it has no {what}"
            message = (
                f"no file of this run contains the {what} {name!r}; nothing was changed; {hint}"
            )
            faults.append(Fault(path=str(folder), line=None, message=message))
    if faults:
        raise InputError(faults)
    return before
