"""docs/first_steps.ipynb runs in a Jupyter kernel and shows what is stored in it."""

from __future__ import annotations

import re
from pathlib import Path

from notebook import NOTEBOOK, outputs_of, read_notebook, run_notebook

MAX_BYTES = 60_000


def test_every_cell_runs_and_shows_what_is_stored(tmp_path: Path) -> None:
    stored, fresh = read_notebook(), read_notebook()
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    run_notebook(fresh, tmp_path)  # raises where a cell does
    assert outputs_of(fresh) == outputs_of(stored)
    assert [cell.source for cell in fresh.cells] == [cell.source for cell in stored.cells]
    shown = str(outputs_of(fresh))
    for part in (
        '<mark class="maskdpo hallucinated">',
        '<mark class="maskdpo correct">',
        "<table>",
    ):
        assert part in shown
    assert sum(bool(outputs) for outputs in outputs_of(fresh)) >= 5


def test_the_notebook_is_small_and_names_no_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    assert not re.search(r"(?<![<\w/])/(?:home|tmp|work|root|Users|usr)/", text)
    assert "iopub" not in text  # times of a run


def test_the_notebook_imports_ours_from_maskdpo_alone() -> None:
    code = "".join(cell.source + "\n" for cell in read_notebook().cells if cell.cell_type == "code")
    found = set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE))
    assert found & {"annotator", "schemas", "trainer", "dataset_builder", "formats"} == set()
    assert "maskdpo" in found
