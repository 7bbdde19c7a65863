"""A file of the user with a name of ours gives one sentence, and is never run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maskdpo.shadows import PACKAGES, find_shadows

ROOT = Path(__file__).resolve().parent.parent
USER_CODE = 'open("it-ran", "w").close()\nclass Trainer: pass\n'
USES = {
    "python -m maskdpo": ["-m", "maskdpo", "schema", "document"],
    "the program maskdpo": ["-c", "from maskdpo.cli.main import main; main()"],
}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in `folder`, which comes first among the places to import from."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f".{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


def shadow(folder: Path, package: str, kind: str) -> Path:
    """A file or package of the user."""
    place = folder / (f"{package}.py" if kind == "file" else package)
    assert not place.exists()
    if kind == "file":
        place.write_text(USER_CODE, encoding="utf-8")
    else:
        place.mkdir()
        (place / "__init__.py").write_text(USER_CODE, encoding="utf-8")
    return place.resolve()


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("package", PACKAGES)
def test_the_command_line_names_the_file_to_rename(package: str, kind: str, tmp_path: Path) -> None:
    place = shadow(tmp_path, package, kind)
    result = run(tmp_path, *USES["python -m maskdpo"])
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"error: the {kind} {place} hides the package {package!r} of maskdpo, which has the same "
        "name; rename it, or start Python in another folder\n"
    )
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("use", USES)
def test_every_way_to_start_the_command_line(use: str, tmp_path: Path) -> None:
    shadow(tmp_path, "schemas", "file")
    result = run(tmp_path, *USES[use])
    assert result.returncode == 2
    assert result.stderr.startswith("error: the file ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("package", PACKAGES)
def test_the_python_api_raises_one_sentence(package: str, tmp_path: Path) -> None:
    place = shadow(tmp_path, package, "file")
    script = (
        "import maskdpo\ntry:\n    maskdpo.annotate\nexcept ImportError as error:\n    print(error)"
    )
    result = run(tmp_path, "-c", script)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"the file {place} hides the package {package!r} of maskdpo")
    assert not (tmp_path / "it-ran").exists()


def test_a_script_with_a_name_of_ours_is_named(tmp_path: Path) -> None:
    script = tmp_path / "trainer.py"
    script.write_text("from maskdpo import annotate\n", encoding="utf-8")
    result = run(tmp_path, "trainer.py")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"ImportError: the file {script.resolve()} hides the package 'trainer' of maskdpo, which "
        "has the same name; rename it, or start Python in another folder"
    )


EDITABLE = f"""
import importlib.util, sys

class Finder:  # as an editable installation has it: it is asked after the folders of sys.path
    @staticmethod
    def find_spec(name, path=None, target=None):
        folder = {str(ROOT)!r} + "/" + name
        if name in {(*PACKAGES, "maskdpo")!r}:
            return importlib.util.spec_from_file_location(
                name, folder + "/__init__.py", submodule_search_locations=[folder])

sys.meta_path.append(Finder)
import maskdpo
try:
    maskdpo.annotate
except ImportError as error:
    print(error)
"""


def test_a_folder_without_init_hides_ours_in_an_editable_installation(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-S", "-E", "-c", EDITABLE],  # without what is installed here
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hides" not in result.stdout
    (tmp_path / "schemas").mkdir()
    result = subprocess.run(
        [sys.executable, "-S", "-E", "-c", EDITABLE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.startswith(f"the folder {tmp_path.resolve()}/schemas hides the package")


def test_packages_whose_files_are_links_hide_nothing(tmp_path: Path) -> None:
    """So an installer may lay them out, to save space."""
    for package in (*PACKAGES, "maskdpo"):
        for path in sorted((ROOT / package).rglob("*.py")):
            link = tmp_path / path.relative_to(ROOT)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    script = "import maskdpo; maskdpo.Limits; print(maskdpo.__file__)"
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == str(tmp_path / "maskdpo" / "__init__.py"), result.stderr


def test_a_clean_folder_has_no_shadows(tmp_path: Path) -> None:
    assert list(find_shadows()) == []
    result = run(tmp_path, *USES["python -m maskdpo"])
    assert result.returncode == 0, result.stderr
    assert "properties" in result.stdout
