"""The page of `agreement`: how judges agree with people, on one HTML page that opens offline.

The rule, as in `page`: all text of a model, a document or a person is escaped by the template
engine, and the page forbids scripts and external resources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annotator.agreement.compare import CLUSTER_NOTE
from annotator.agreement.disagreements import Disagreement
from annotator.agreement.measure import (
    Agreement,
    AgreementReport,
    AgreementSlice,
    largest_first,
)
from maskdpo.report.agreement_plots import plot_agreement, plot_reliability, plot_risk_coverage
from maskdpo.report.page import page_template
from maskdpo.report.plots import Figure
from schemas.files.writing import atomic_writer

if TYPE_CHECKING:
    from annotator.agreement.result import AgreementResult

MAX_DISAGREEMENTS = 50
MAX_SLICES = 50
SPAN_TITLES = {
    "char_f1": "F1, characters",
    "char_precision": "precision, characters",
    "char_recall": "recall, characters",
    "iou": "IoU",
    "example_f1": "F1, examples",
    "example_precision": "precision, examples",
    "example_recall": "recall, examples",
}

Slices = Sequence[tuple[str, Sequence[tuple[str, AgreementSlice]]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeSection:
    """What the page shows for one judge; `letter` is its name in the pictures."""

    letter: str
    report: AgreementReport
    slices: Slices
    disagreements: Sequence[Disagreement]
    num_disagreements: int


def write_agreement_page(path: Path, result: AgreementResult) -> None:
    """Draw and write the page, atomically."""
    page = render_agreement_page(result)
    with atomic_writer(path) as handle:
        handle.write(page)


def render_agreement_page(result: AgreementResult) -> str:
    """The page as HTML text."""
    letters = ["judge"] if len(result.reports) == 1 else ["A", "B"]
    reports = dict(zip(letters, result.reports, strict=True))
    first = result.reports[0]
    sections = [
        JudgeSection(
            letter=letter,
            report=report,
            slices=_list_slices(report),
            disagreements=result.disagreements[report.judge][:MAX_DISAGREEMENTS],
            num_disagreements=len(result.disagreements[report.judge]),
        )
        for letter, report in reports.items()
    ]
    lines = [
        *((f"{letter}: {report.judge}", report.agreement) for letter, report in reports.items()),
        *result.lines()[len(reports) :],
    ]
    return page_template("agreement.html.jinja").render(
        title=f"{result.gold}: agreement with people",
        notes=list(dict.fromkeys([*result.notes, *result.warnings])),
        first=first,
        interval=first.interval,
        sections=sections,
        lines=lines,
        span_lines=[(name, line.spans) for name, line in lines if line.spans is not None],
        span_titles=SPAN_TITLES,
        figures=_draw(reports, dict(result.lines()[len(reports) :])),
        comparison=result.comparison,
        cluster_note=CLUSTER_NOTE,
    )


def _draw(
    reports: Mapping[str, AgreementReport], baselines: Mapping[str, Agreement]
) -> list[Figure]:
    lines = {name: report.agreement for name, report in reports.items()}
    figures = [plot_agreement(lines, baselines)]
    calibrated = {
        name: report.calibration
        for name, report in reports.items()
        if report.calibration is not None
    }
    probabilities = {name: found for name, found in calibrated.items() if not found.is_ranking}
    if probabilities:
        figures.append(plot_reliability(probabilities))
    if calibrated:
        figures.append(plot_risk_coverage(calibrated))
    return figures


def _list_slices(report: AgreementReport) -> Slices:
    """(source or language, its slices from large to small), if there is more than one slice."""
    kinds = (("source", report.by_source), ("language", report.by_language))
    return [(kind, largest_first(slices)[:MAX_SLICES]) for kind, slices in kinds if len(slices) > 1]
