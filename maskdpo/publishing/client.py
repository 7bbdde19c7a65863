"""The Hub client: a few calls of huggingface_hub, with every error as one sentence.

Two rules. A change is one commit on top of the commit that was read: if someone else committed in
the meantime, the Hub refuses and nothing is overwritten. And the token is passed only to the
library: it is removed from every message of a server before that is shown.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schemas.errors import BackendError, ConfigError, MaskDpoError
from schemas.text.terminal import one_line

RepoType = Literal["dataset", "model"]
MAIN = "main"
MAX_MESSAGE_CHARS = 300


@dataclass(frozen=True, kw_only=True)
class RepoState:
    """What is on the Hub.

    head     the parent commit for a push; None if the repository does not exist
    files    names at that commit
    has_branch  False: the branch must be created from the head of main
    """

    exists: bool
    private: bool = True
    head: str | None = None
    files: frozenset[str] = frozenset()
    has_branch: bool = True


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The result of a push; `changed` is False when the Hub already had everything."""

    url: str
    changed: bool


class OfflineError(ConfigError):
    """The user set that the Hub must not be contacted."""


class HubClient:
    """One repository on the Hub. It contacts the Hub only when a method is called."""

    def __init__(self, repo_id: str, repo_type: RepoType) -> None:
        from huggingface_hub import HfApi, get_token

        # Its warnings about retries contain signed URLs.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        self.repo_id = repo_id
        self.repo_type = repo_type
        self._token = get_token()
        self._api = HfApi(token=self._token or False)

    def require_token(self) -> None:
        """Raise ConfigError when there is no token for writing."""
        if not self._token:
            raise ConfigError(
                "pushing needs a token: set HF_TOKEN in the environment, or log in with: "
                "hf auth login"
            )

    def read_state(self, branch: str) -> RepoState:
        """The current state of the repository."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
        from huggingface_hub.hf_api import KernelInfo

        with self._errors("reading"):
            has_branch = True
            try:
                info = self._api.repo_info(self.repo_id, repo_type=self.repo_type, revision=branch)
            except RepositoryNotFoundError:
                return RepoState(exists=False)
            except RevisionNotFoundError:
                has_branch = False
                info = self._api.repo_info(self.repo_id, repo_type=self.repo_type)
        assert not isinstance(info, KernelInfo)  # used only for data sets and models
        return RepoState(
            exists=True,
            private=bool(info.private),
            head=info.sha,
            files=frozenset(item.rfilename for item in info.siblings or []),
            has_branch=has_branch,
        )

    def read_text(self, name: str, state: RepoState) -> str | None:
        """A text file at the commit of `state`; None if there is none."""
        if name not in state.files or state.head is None:
            return None
        with tempfile.TemporaryDirectory() as folder, self._errors(f"reading {name} of"):
            path = self._api.hf_hub_download(
                self.repo_id, name, repo_type=self.repo_type, revision=state.head, cache_dir=folder
            )
            try:
                return Path(path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise ConfigError(f"{name} of {self.repo_id} is not UTF-8 text") from None

    def make_ready(self, state: RepoState, branch: str) -> RepoState:
        """Create the repository (private) and the branch, if they are missing."""
        if not state.exists:
            with self._errors("creating"):
                self._api.create_repo(
                    self.repo_id, repo_type=self.repo_type, private=True, exist_ok=True
                )
            state = self.read_state(branch)
            if not state.exists:
                raise BackendError(f"{self.repo_id} was created but cannot be read; rerun")
        if not state.has_branch:
            with self._errors(f"creating the branch {branch!r} of"):
                self._api.create_branch(
                    self.repo_id, repo_type=self.repo_type, branch=branch, exist_ok=True
                )
            state = self.read_state(branch)
        return state

    def commit(
        self,
        state: RepoState,
        *,
        files: Mapping[str, Path | bytes],
        delete: Sequence[str],
        branch: str,
        message: str,
        pull_request: bool,
    ) -> Commit:
        """All changes as one commit on top of `state`, or none of them."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(
                path_in_repo=name,
                path_or_fileobj=content if isinstance(content, bytes) else str(content),
            )
            for name, content in files.items()
        ]
        operations += [CommitOperationDelete(path_in_repo=name) for name in delete]
        with self._errors("committing to"):
            info = self._api.create_commit(
                self.repo_id,
                operations,
                repo_type=self.repo_type,
                commit_message=message,
                revision=branch,
                parent_commit=state.head,
                create_pr=pull_request,
            )
        url = info.pr_url if pull_request and info.pr_url else info.commit_url
        return Commit(url=str(url), changed=info.oid != state.head)

    def change_access(self, *, gated: bool, public: bool) -> None:
        """Ask readers for their details (`gated`), then show the repository to all (`public`)."""
        if gated:
            with self._errors("gating"):
                self._api.update_repo_settings(self.repo_id, repo_type=self.repo_type, gated="auto")
        if public:
            with self._errors("making public"):
                self._api.update_repo_settings(
                    self.repo_id, repo_type=self.repo_type, private=False
                )

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            yield
        except OfflineModeIsEnabled:
            raise OfflineError("HF_HUB_OFFLINE is set; unset it to reach the Hub") from None
        except HfHubHTTPError as error:
            raise self._explain(error, doing) from None
        except httpx2.HTTPError as error:
            raise self._broke(error, doing) from None
        except (RuntimeError, ValueError) as error:  # an upload's thread, or the card's check
            cause = error.__cause__
            if isinstance(cause, HfHubHTTPError) and not isinstance(error, ValueError):
                raise self._explain(cause, doing) from None
            if isinstance(cause, httpx2.HTTPError):
                raise self._broke(cause, doing) from None
            if isinstance(error, ValueError):
                message = f"{doing} {self.repo_id} was refused: {self._clean(str(error))}"
                raise ConfigError(message) from None
            raise

    def _explain(self, error: Exception, doing: str) -> MaskDpoError:
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

        assert isinstance(error, HfHubHTTPError)
        status = error.response.status_code
        reply = self._clean(error.server_message or "")
        if isinstance(error, RepositoryNotFoundError):
            return ConfigError(
                f"{doing} {self.repo_id} failed: there is no such {self.repo_type} repository, or "
                f"the token ({self._token_origin()}) may not see it"
            )
        if status == 401:
            return ConfigError(
                f"the Hub does not accept the token ({self._token_origin()}); create one with "
                "write access in your account's settings, then set HF_TOKEN or run: hf auth login"
            )
        if status == 403:
            return ConfigError(
                f"{doing} {self.repo_id} is forbidden: the token ({self._token_origin()}) needs "
                f"write access to it{': ' + reply if reply else ''}"
            )
        if status in (409, 412):
            return BackendError(
                f"{self.repo_id} changed while the push ran, so nothing was overwritten; rerun "
                "the same command to push on top of the change"
            )
        text = f"{doing} {self.repo_id} failed: the Hub answered {status}"
        text += f" ({reply})" if reply else ""
        if status == 429 or status >= 500:
            return BackendError(f"{text}; nothing was committed, rerun the same command")
        return ConfigError(text)

    def _broke(self, error: Exception, doing: str) -> BackendError:
        return BackendError(
            f"the connection broke while {doing} {self.repo_id} ({type(error).__name__}); rerun "
            "the same command: it commits once, and only what differs"
        )

    def _clean(self, text: str) -> str:
        """A server's message on one line, shortened, without the token."""
        hidden = text.replace(self._token, "***") if self._token else text
        return one_line(hidden, MAX_MESSAGE_CHARS)

    def _token_origin(self) -> str:
        if not self._token:
            return "none is set"
        names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
        origin = next((name for name in names if os.environ.get(name)), None)
        return f"from {origin}" if origin else "of the login"
