"""`push`: a data set or model folder as one commit on the Hub.

The rule, in the order of the steps: every fault is found before anything is written; a new
repository is private until its commit exists; all changes are one commit on top of the one that was
read; and visibility changes only on request. So an interrupted push leaves the content of the
repository unchanged, and the same command finishes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.folder.write import CARD_NAME, MANIFEST_NAME
from maskdpo.publishing.card_merge import EXAMPLE, merge_cards, read_header
from maskdpo.publishing.client import MAIN, Commit, HubClient, OfflineError, RepoState
from maskdpo.publishing.markdown import (
    CardState,
    CardText,
    Segment,
    digest,
    join_card,
    section_lines,
    split_card,
)
from maskdpo.publishing.model_card import ModelFacts
from maskdpo.publishing.payload import Payload, collect_payload
from maskdpo.publishing.people import People
from maskdpo.publishing.privacy import text_faults
from schemas.errors import BackendError, ConfigError, InputError, MaskDpoError

PLACEHOLDER = "FOLDER_OR_HUB_ID"


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """The target of a push, and its visibility.

    public   a new repository is made public after its commit; an existing one may be public
    gated    readers must share their details; takes effect after the commit, before `public`
    """

    repo: str
    branch: str = MAIN
    public: bool = False
    gated: bool = False
    pull_request: bool = False
    dry_run: bool = False
    message: str = ""
    license: str = ""


@dataclass(frozen=True, kw_only=True)
class PushPlan:
    """What a push sends, as a dry run prints it.

    kept     parts of the card on the Hub that a person wrote and that are kept
    delete   files of an earlier push that are no longer part of the folder
    unread   why the Hub could not be read, in a dry run; '' if it was read
    people   the people that a data set names; None for a model
    """

    repo: str
    repo_type: str
    state: RepoState
    branch: str
    sizes: dict[str, int]
    delete: Sequence[str]
    kept: Sequence[str]
    left: Sequence[str]
    unread: str = ""
    people: People | None = None


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """The plan and the commit; the commit is None after a dry run."""

    plan: PushPlan
    commit: Commit | None


def run_push(folder: Path, options: PushOptions, model: ModelFacts) -> PushResult:
    """Push `folder`. Raises InputError or ConfigError (nothing was written), or BackendError."""
    _check_options(options)
    namespace = frozenset(part.lower() for part in options.repo.split("/"))
    payload = collect_payload(folder, model=model, allowed=namespace)
    ours = _our_card(payload, options)
    _refuse_faults(payload, join_card(ours), namespace)  # before the network is used
    client = HubClient(options.repo, payload.repo_type)
    if not options.dry_run:
        client.require_token()
    try:
        state = client.read_state(options.branch)
    except (BackendError, OfflineError) as error:
        if not options.dry_run:
            raise
        return _plan_unread(payload, options, ours, error)
    _check_visibility(state, options)
    card, kept = _merge_card(ours, options, client, state)
    _refuse_faults(payload, card, namespace)
    files: dict[str, Path | bytes] = {**payload.files, CARD_NAME: card.encode("utf-8")}
    delete = _stale_files(client, state, files)
    plan = PushPlan(
        repo=options.repo,
        repo_type=payload.repo_type,
        state=state,
        branch=options.branch,
        sizes={name: _size(content) for name, content in files.items()},
        delete=delete,
        kept=kept,
        left=payload.left,
        people=payload.people,
    )
    if options.dry_run:
        return PushResult(plan=plan, commit=None)
    ready = client.make_ready(state, options.branch)
    commit = client.commit(
        ready,
        files=files,
        delete=delete,
        branch=options.branch,
        message=options.message or f"Push a {payload.repo_type} with maskdpo",
        pull_request=options.pull_request,
    )
    client.change_access(gated=options.gated, public=options.public and ready.private)
    return PushResult(plan=plan, commit=commit)


def _check_options(options: PushOptions) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(options.repo)
    except HFValidationError as error:
        raise ConfigError(f"--repo {options.repo!r}: {str(error).splitlines()[0]}") from None
    if options.repo.count("/") != 1:
        raise ConfigError(f"--repo {options.repo!r}: must look like ORG/NAME")
    if options.pull_request and options.branch != MAIN:
        raise ConfigError(
            "--branch and --pull-request exclude each other: a pull request has its own branch, "
            "and is opened against main"
        )


def _check_visibility(state: RepoState, options: PushOptions) -> None:
    if state.exists and not state.private and not options.public:
        raise ConfigError(
            f"{options.repo} is public: everyone could read what is pushed. Give --public to push "
            "there, or name another repository"
        )


def _refuse_faults(payload: Payload, card: str, namespace: frozenset[str]) -> None:
    quoted = section_lines(card, EXAMPLE)
    found = text_faults(CARD_NAME, card, allowed=namespace, data_lines=quoted)
    faults = [*payload.faults, *found]
    if faults:
        raise InputError(faults)


def _plan_unread(
    payload: Payload, options: PushOptions, ours: CardText, error: MaskDpoError
) -> PushResult:
    """A dry run without the Hub: what would be sent, as if the repository were new."""
    _require_license(ours, options)
    card = join_card(ours).encode("utf-8")
    files: dict[str, Path | bytes] = {**payload.files, CARD_NAME: card}
    plan = PushPlan(
        repo=options.repo,
        repo_type=payload.repo_type,
        state=RepoState(exists=False),
        branch=options.branch,
        sizes={name: _size(content) for name, content in files.items()},
        delete=(),
        kept=(),
        left=payload.left,
        unread=str(error),
        people=payload.people,
    )
    return PushResult(plan=plan, commit=None)


def _our_card(payload: Payload, options: PushOptions) -> CardText:
    """The folder's card, with the repository's name and the given licence."""
    ours = _name_repo(payload.card, options.repo)
    return _with_license(ours, options.license) if options.license else ours


def _merge_card(
    ours: CardText, options: PushOptions, client: HubClient, state: RepoState
) -> tuple[str, Sequence[str]]:
    """The text of the card to send, and the kept parts of the existing one. Needs a licence."""
    text = client.read_text(CARD_NAME, state)
    merged = merge_cards(ours, split_card(text) if text and text.strip() else None)
    _require_license(merged.card, options)
    return join_card(merged.card), merged.kept


def _require_license(card: CardText, options: PushOptions) -> None:
    if not read_header(card.header, where=CARD_NAME).get("license"):
        raise ConfigError(
            f"the card of {options.repo} names no licence, and without one no one may use it: give "
            "--license ID (cc-by-4.0, apache-2.0, other, ...), or set build.license and build again"
        )


def _name_repo(card: CardText, repo: str) -> CardText:
    """The card with the repository's name in its examples; unedited sections stay unedited."""
    segments, digests = [], dict(card.state.sections) if card.state else {}
    for segment in card.segments:
        named = segment
        if segment.name is not None and digests.get(segment.name) == digest(segment.text):
            named = Segment(name=segment.name, text=segment.text.replace(PLACEHOLDER, repo))
            digests[segment.name] = digest(named.text)
        segments.append(named)
    state = CardState(header=card.state.header, sections=digests) if card.state else None
    return CardText(header=card.header, segments=segments, state=state)


def _with_license(card: CardText, license_id: str) -> CardText:
    """The card with another licence, as if it had been built with it."""
    from maskdpo.publishing.markdown import dump_yaml

    header = read_header(card.header, where=CARD_NAME) | {"license": license_id}
    state = card.state or CardState()
    state = CardState(
        header={**state.header, "license": digest(license_id)}, sections=state.sections
    )
    return CardText(header=dump_yaml(header), segments=card.segments, state=state)


def _stale_files(client: HubClient, state: RepoState, files: dict[str, Path | bytes]) -> list[str]:
    """Files that the manifest on the Hub names and ours does not; people's files are not listed."""
    text = client.read_text(MANIFEST_NAME, state)
    try:
        named = set(json.loads(text)["files"]) if text else set()
    except (ValueError, KeyError, TypeError):
        return []  # a manifest.json of another program names none of our files
    return sorted((named & state.files) - set(files))


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
