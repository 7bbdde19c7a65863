"""Which optional packages are installed, and the command that installs a missing one.

The rule: which extra brings a package is read from where it is declared, pyproject.toml in a clone
and the installed metadata elsewhere, so that the command that is printed works. No
package is imported to check whether it is installed.
"""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from schemas.errors import MissingPackageError

_ROOT = Path(__file__).resolve().parents[1]
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)")
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)['\"]")
# Names to import that are not those of their packages.
_PACKAGES = {
    "lm_eval": "lm-eval",
    "markdown_it": "markdown-it-py",
    "multipart": "python-multipart",
    "ruamel": "ruamel.yaml",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def is_installed(module: str) -> bool:
    """Whether `import module` would find one; a folder without code is none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def require(*modules: str, needed_for: str) -> None:
    """Raise MissingPackageError unless all are installed; `needed_for` begins its sentence."""
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        raise missing_packages(missing, needed_for=needed_for)


def missing_packages(modules: list[str], *, needed_for: str) -> MissingPackageError:
    """The error for packages that are not there, with the commands that install them."""
    how = " and ".join(_install_commands(modules))
    *others, last = map(repr, modules)
    names = f"{', '.join(others)} and {last}" if others else last
    noun, verb, it = ("package", "is", "it") if len(modules) == 1 else ("packages", "are", "them")
    return MissingPackageError(
        f"{needed_for} needs the {noun} {names}, which {verb} not installed; get {it} with: "
        f"{how}   (maskdpo doctor lists all packages)"
    )


def explain_missing(module: str) -> str:
    """One sentence for an import that failed: the package and the command that installs it."""
    name = module.split(".", maxsplit=1)[0]
    return f"the package {name!r} is not installed; get it with: {install_command(name)}"


def install_command(module: str) -> str:
    """The command that installs a package: with an extra of maskdpo where one brings it."""
    extra = find_extra(module)
    return _of_package(module) if extra is None else _of_extras(extra)


def _install_commands(modules: Sequence[str]) -> list[str]:
    """As few commands as install all of them: one for all extras that fit in one environment."""
    extras = list(dict.fromkeys(map(find_extra, modules)))
    together = [extra for extra in extras if extra and extra != "vllm"]
    commands = [_of_extras(",".join(together))] if together or "" in extras else []
    if "vllm" in extras:
        commands.append(_of_extras("vllm"))
    unknown = [module for module in modules if find_extra(module) is None]
    return [*commands, *([_of_package(*unknown)] if unknown else [])]


def _of_package(*modules: str) -> str:
    return f"pip install {' '.join(_PACKAGES.get(module, module) for module in modules)}"


def _of_extras(extra: str) -> str:
    """The command for one extra, several with commas between them, or '' for the base."""
    is_clone = _is_clone()
    if extra == "vllm" and is_clone:
        return "make setup-vllm, and run this command there: .venv-vllm/bin/maskdpo"
    if is_clone:
        return f"pip install -c constraints.txt -e '.[{extra}]'".replace("'.[]'", ".")
    own = "   (in an environment of its own: vllm pins its torch)" if extra == "vllm" else ""
    return f"pip install 'maskdpo[{extra}]'{own}".replace("'maskdpo[]'", "maskdpo")


def find_extra(module: str) -> str | None:
    """The extra of maskdpo that brings a package; '' for the base, None for an unknown package."""
    return _extras().get(_normal(_PACKAGES.get(module, module)))


@lru_cache(maxsize=1)
def _extras() -> dict[str, str]:
    found: dict[str, str] = {}
    for package, extra in _declared():  # the base first, then the extras in their order
        found.setdefault(package, extra)
    return found


def _declared() -> Iterator[tuple[str, str]]:
    """(package, extra) of every requirement."""
    if _is_clone():
        project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        groups = {"": project["dependencies"], **project["optional-dependencies"]}
        yield from ((_name(line), extra) for extra, lines in groups.items() for line in lines)
        return
    try:
        requirements = metadata.requires("maskdpo") or []
    except metadata.PackageNotFoundError:
        return
    for line in requirements:
        extra = _EXTRA.search(line)
        yield _name(line), extra[1] if extra else ""


def _is_clone() -> bool:
    return all((_ROOT / name).is_file() for name in ("pyproject.toml", "constraints.txt"))


def _name(requirement: str) -> str:
    found = _REQUIREMENT.match(requirement)
    return _normal(found[1]) if found else ""


def _normal(package: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()
