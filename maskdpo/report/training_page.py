"""The page of a training run: its curves, on one HTML page that opens offline.

The rule, as in `page`: all text of files is escaped by the template engine, and the page forbids
scripts and external resources.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maskdpo.report.page import page_template
from maskdpo.report.training_plots import draw_training_curves
from schemas.files.sidecar import read_object
from schemas.files.writing import atomic_writer

LOG_FILE = "training_log.jsonl"
CURVES_FILE = "curves.html"
MANIFEST = "training.json"


def write_training_page(folder: Path) -> Path | None:
    """Write `curves.html` for the run in `folder`, atomically; None if nothing was logged.

    If nothing was logged after the page was written, it is not written again.
    """
    log, page = folder / LOG_FILE, folder / CURVES_FILE
    if not log.exists():
        return None
    if page.exists() and page.stat().st_mtime_ns >= log.stat().st_mtime_ns:
        return page
    text = render_training_page(folder)
    if text is None:
        return None
    with atomic_writer(page) as handle:
        handle.write(text)
    return page


def render_training_page(folder: Path) -> str | None:
    """The page as HTML text; None if the log has nothing to plot."""
    name = folder.resolve().name
    figures = draw_training_curves({name: folder / LOG_FILE}, [name])
    if not figures:
        return None
    manifest = read_object(folder / MANIFEST)
    return page_template("training.html.jinja").render(
        title=f"{name}: training",
        figures=figures,
        counts=_plain(manifest.get("counts")),
        settings=_plain(manifest.get("config")),
    )


def _plain(values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        return {}
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
    }
