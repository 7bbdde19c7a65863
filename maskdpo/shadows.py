"""Files of a user, such as `schemas.py` or `trainer.py`, that hide packages of maskdpo.

The rule: the check imports nothing, so a script of the user is never run by accident; and this
module imports only the standard library, because any package of maskdpo may be hidden.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("schemas", "formats", "annotator", "dataset_builder", "trainer")


def find_shadows() -> Iterator[str]:
    """A sentence for each package of maskdpo that something else hides; normally none."""
    home = _absolute(__file__).parent.parent
    for package in PACKAGES:
        place = _find(package)
        if place is not None and place.parent != home:
            yield _describe(package, place)


def refuse_shadows() -> None:
    """Raise ImportError if a package of maskdpo is hidden."""
    for sentence in find_shadows():
        raise ImportError(sentence)


def _find(package: str) -> Path | None:
    """The file or folder that an import of `package` finds; None where there is none."""
    loaded = sys.modules.get(package)
    spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec(package)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return _absolute(next(iter(spec.submodule_search_locations)))
    return _absolute(spec.origin) if spec.origin else None


def _absolute(path: str) -> Path:
    """Links are not followed: an installer may link each file of a package to its cache."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # Path.resolve follows links


def _describe(package: str, place: Path) -> str:
    kind = "file" if place.suffix else "folder"
    if "site-packages" in place.parts:
        return (
            f"the installed package {place} hides the package {package!r} of maskdpo; uninstall it "
            "or use an environment of its own"
        )
    return (
        f"the {kind} {place} hides the package {package!r} of maskdpo, which has the same name; "
        "rename it, or start Python in another folder"
    )
