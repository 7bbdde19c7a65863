"""Data sets by name: a folder here, or a repository on the Hub, fetched into the client's cache.

A folder that exists always wins over a repository of the same name. Only the files of our format
are fetched, and nothing in them is run.
"""

from __future__ import annotations

import re
from pathlib import Path

from schemas.errors import BackendError, InputError

PATTERNS = (
    "README.md",
    "manifest.json",
    "statistics.json",
    "pairs/*.parquet",
    "sentences/*.parquet",
    "plots/*.png",
)
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$", re.ASCII)


def find_dataset(name: str, *, revision: str | None = None) -> Path:
    """The folder `name`, or a local copy of the Hub's data set `name` (ORG/NAME).

    Raises InputError when there is neither, BackendError when the Hub does not answer.
    """
    folder = Path(name)
    if folder.exists():
        return folder
    if not _HUB_ID.match(name):
        raise InputError.of(
            name, "not found; give a data set folder (maskdpo build makes one) or ORG/NAME"
        )
    return _download(name, revision)


def _download(name: str, revision: str | None) -> Path:
    """The commit is asked for first: a stale copy in the cache is never taken for the Hub's."""
    import httpx2
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        commit = HfApi().dataset_info(name, revision=revision).sha
        path = snapshot_download(
            name, repo_type="dataset", revision=commit, allow_patterns=list(PATTERNS)
        )
    except OfflineModeIsEnabled:
        message = "is no folder here, and HF_HUB_OFFLINE is set; unset it to reach the Hub"
        raise InputError.of(name, message) from None
    except GatedRepoError:
        message = "is gated on the Hub; ask for access there, then log in with: hf auth login"
        raise InputError.of(name, message) from None
    except RepositoryNotFoundError:
        message = (
            "is neither a folder here nor a data set on the Hub that this login may read; "
            "a private one needs HF_TOKEN or: hf auth login"
        )
        raise InputError.of(name, message) from None
    except RevisionNotFoundError:
        raise InputError.of(name, f"has no revision {revision!r} on the Hub") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise BackendError(f"{name}: the Hub answered {status}; rerun to try again") from None
    except (httpx2.HTTPError, LocalEntryNotFoundError) as error:
        raise BackendError(
            f"{name} is no folder here, and the connection to the Hub broke "
            f"({type(error).__name__}); rerun to try again"
        ) from None
    return Path(path)
