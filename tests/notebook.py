"""Running docs/first_steps.ipynb in a real Jupyter kernel; as a program: store its outputs anew.

    python tests/notebook.py

The rule: what is stored names no machine, no time and no path, so that a run changes nothing.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "first_steps.ipynb"
# No look-up on a Hub, no notice of threads, and no history of this run at the user's home.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore:IProgress",  # a bar that only a notebook with widgets has
}


def read_notebook() -> Any:
    """The notebook as it is stored."""
    return nbformat.read(NOTEBOOK, as_version=4)


def run_notebook(notebook: Any, folder: Path) -> None:
    """Run every cell in a kernel of its own, which works in `folder`; outputs go into the cells."""
    places = {"IPYTHONDIR": str(folder / ".ipython"), "PYTHONPATH": str(ROOT)}
    before = dict(os.environ)
    os.environ.update(QUIET | places)
    try:
        client = NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
        )
        client.execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    tidy(notebook)


def tidy(notebook: Any) -> None:
    """Leave out what the next run would change."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python",
                                        "name": "python3"}}  # fmt: skip
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
        cell.metadata = {}


def outputs_of(notebook: Any) -> list[list[Any]]:
    """What each code cell shows; style sheets are left out, which change nothing that is said."""
    return [
        [_shown(output) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _shown(output: Any) -> Any:
    if "text" in output:
        return output.text
    return {
        kind: re.sub(r"<style>.*?</style>", "<style></style>", text, flags=re.DOTALL)
        for kind, text in output.get("data", {}).items()
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        stored = read_notebook()
        run_notebook(stored, Path(scratch))
        nbformat.write(stored, NOTEBOOK)
