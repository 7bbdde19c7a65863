"""Data sets on the Hub: the present commit, and the files of one commit in the client's cache.

The rule: the commit is looked up first, and only files of that commit are read, so that a stale
copy in the cache is never used instead. Nothing that is fetched is run, and the token goes
to the library and nowhere else.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import BackendError, InputError

OUR_FILES = (
    "README.md",
    "manifest.json",
    "statistics.json",
    "pairs/*.parquet",
    "sentences/*.parquet",
    "plots/*.png",
)
MANIFEST = "manifest.json"
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$", re.ASCII)
# What looks like ORG/NAME and is meant as a file.
_FILE_NAME = re.compile(r"\.(jsonl?|ndjson|parquet|arrow|csv|tsv|xlsx?|xlsm|xlsb|ods|numbers)$")


@dataclass(frozen=True, kw_only=True)
class HubDataset:
    """A data set on the Hub at one commit.

    files    the names of all of its files
    """

    name: str
    commit: str
    files: frozenset[str]

    @property
    def is_ours(self) -> bool:
        """Whether it has the layout of `maskdpo build`, with its manifest or without it."""
        return any(re.fullmatch(r"pairs/[^/]+\.parquet", name) for name in self.files)


def split_name(name: str, revision: str | None = None) -> tuple[str, str | None]:
    """`ORG/NAME@REVISION` as its two parts; a revision that is given as well must be the same."""
    bare, at, given = name.partition("@")
    if not at:
        return name, revision
    if not given or (revision is not None and revision != given):
        raise InputError.of(name, "names a revision after '@'; give it once: ORG/NAME@REVISION")
    return bare, given


def is_hub_id(name: str) -> bool:
    """Whether a name that is not a path here can be a data set on the Hub.

    `runs/dataset` next to a folder `runs` is a mistyped path, and so is `org/labels.jsonl`.
    """
    bare = name.partition("@")[0]
    if not _HUB_ID.match(bare) or _FILE_NAME.search(bare.lower()):
        return False
    return not Path(bare).parent.exists()


def look_up(name: str, revision: str | None = None) -> HubDataset:
    """What the Hub has under ORG/NAME, at a branch, tag or commit.

    Raises InputError where there is no such data set that this login may read, BackendError where
    the Hub does not answer.
    """
    from huggingface_hub import HfApi

    with hub_errors(name, revision):
        info = HfApi().dataset_info(name, revision=revision)
    files = frozenset(item.rfilename for item in info.siblings or [])
    return HubDataset(name=name, commit=str(info.sha), files=files)


def fetch(found: HubDataset, files: Iterable[str]) -> Path:
    """The folder of the client's cache that holds these files of the data set's commit."""
    from huggingface_hub import snapshot_download

    with hub_errors(found.name, found.commit):
        path = snapshot_download(
            found.name,
            repo_type="dataset",
            revision=found.commit,
            allow_patterns=[glob.escape(name) for name in files],
        )
    return Path(path)


def fetch_ours(found: HubDataset) -> Path:
    """A data set of our format as a folder: manifest, card and Parquet files."""
    from fnmatch import fnmatch

    wanted = [name for name in found.files if any(fnmatch(name, part) for part in OUR_FILES)]
    return fetch(found, sorted(wanted))


@contextmanager
def hub_errors(name: str, revision: str | None) -> Iterator[None]:
    """Every error of the Hub's client as one sentence."""
    import httpx2
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except OfflineModeIsEnabled:
        message = (
            "is not a folder here, and HF_HUB_OFFLINE is set; unset it to reach the Hub, or fetch "
            f"it where there is a network, hf download --repo-type dataset {name} --local-dir "
            "FOLDER, and give FOLDER"
        )
        raise InputError.of(name, message) from None
    except GatedRepoError:
        message = (
            "is gated on the Hub; ask for access there, then set HF_TOKEN or log in with: "
            "hf auth login"
        )
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
        if status == 401:
            message = (
                "cannot be read: the Hub does not accept the token; set HF_TOKEN to a valid one, "
                "or log in with: hf auth login"
            )
            raise InputError.of(name, message) from None
        raise BackendError(f"{name}: the Hub answered {status}; rerun to try again") from None
    except (httpx2.HTTPError, LocalEntryNotFoundError, ConnectionError) as error:
        raise BackendError(
            f"{name} is not a folder here, and the connection to the Hub failed "
            f"({type(error).__name__}); rerun to try again"
        ) from None
