"""Run configs that come with the package, and configs for `accelerate launch`, found by name.

The rule: a file of the user comes first; a packaged file is read, never written. A name that is
neither is an error that gives the nearest name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError, nearest

_EXAMPLES = Path(__file__).resolve().parent
_TRAINING = _EXAMPLES.parents[1] / "trainer" / "recipes"
_ACCELERATE = _TRAINING / "accelerate"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One packaged YAML file: its name, where it is, and its first comment line."""

    name: str
    path: Path
    summary: str

    def read(self) -> str:
        """The text of the file, unchanged."""
        return self.path.read_text(encoding="utf-8")


def run_configs() -> dict[str, Recipe]:
    """The packaged run configs by name: what `--config NAME` takes."""
    return _read_folder(_EXAMPLES) | _read_folder(_TRAINING)


def accelerate_configs() -> dict[str, Recipe]:
    """The packaged files for `accelerate launch --config_file`, by name."""
    return _read_folder(_ACCELERATE)


def find_recipe(name: str) -> Recipe:
    """The packaged file of a name, of either kind. Raises ConfigError that gives the nearest."""
    known = run_configs() | accelerate_configs()
    if name not in known:
        raise ConfigError(f"no recipe {name!r}; {nearest(name, sorted(known))}")
    return known[name]


def find_run_config(given: Path) -> Path:
    """The file of a run config: `given` where it exists, else the packaged one of that name.

    Raises ConfigError for what is neither, with the nearest name.
    """
    if given.exists() and not given.is_dir():
        return given
    configs = run_configs()
    name = str(given)
    if name in configs:
        return configs[name].path
    if name in accelerate_configs():
        raise ConfigError(
            f"--config {name}: this is a config for accelerate and no run config; use it with: "
            f"maskdpo recipes {name} > {name}.yaml, then accelerate launch --config_file "
            f"{name}.yaml -m maskdpo train ..."
        )
    what = "is a folder" if given.is_dir() else "there is no such file"
    close = nearest(given.name.removesuffix(".yaml"), sorted(configs))
    raise ConfigError(
        f"--config {name}: {what}, and no packaged run config has this name; {close} "
        "(all names: maskdpo recipes)"
    )


def _read_folder(folder: Path) -> dict[str, Recipe]:
    return {
        path.stem: Recipe(name=path.stem, path=path, summary=_first_comment(path))
        for path in sorted(folder.glob("*.yaml"))
    }


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines).lstrip("# ").rstrip()
