"""The report: one self-contained HTML page that opens without a network.

The rule: all text of a model or a document is escaped by the template engine, and the page forbids
scripts and external resources, so that nothing in a response can run. Nothing is shown only on
hover: verdicts are lists that open by touch and keyboard, and are open in print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskdpo.evaluation.words import conclude, judge_pair, p_value, percent, points
from maskdpo.report.examples import make_examples
from maskdpo.report.plots import Figure, plot_best_of, plot_scores, plot_sentences, plot_topics
from maskdpo.report.training_plots import draw_training_curves
from schemas.files.writing import atomic_writer
from schemas.records import Annotation, Document, Question

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What the page shows. `training_logs`: training_log.jsonl by model name."""

    title: str
    scores: Mapping[str, Any]
    annotations: Mapping[str, Sequence[Annotation]]
    questions: Sequence[Question]
    documents: Mapping[str, Document]
    training_logs: Mapping[str, Path]
    notes: Sequence[str]
    num_examples: int


def write_report(path: Path, inputs: ReportInputs) -> None:
    """Draw and write the page, atomically."""
    page = render_report(inputs)
    with atomic_writer(path) as handle:
        handle.write(page)


def render_report(inputs: ReportInputs) -> str:
    """The page as HTML text."""
    scores = inputs.scores
    models = scores["models"]
    return page_template("report.html.jinja").render(
        title=inputs.title,
        scores=scores,
        models=models,
        conclusion=conclude(scores),
        pairs=[(pair, judge_pair(pair)) for pair in scores["pairs"]],
        topics=sorted({topic for row in models.values() for topic in row["by_topic"]}),
        figures=_figures(models),
        curves=draw_training_curves(inputs.training_logs, list(models)),
        examples=make_examples(
            inputs.annotations, inputs.questions, inputs.documents, inputs.num_examples
        ),
        num_questions=len(inputs.questions),
        notes=inputs.notes,
    )


def _figures(models: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    figures = [plot_scores(models), plot_sentences(models), plot_topics(models)]
    if any(row["best_of"] for row in models.values()):
        figures.append(plot_best_of(models))
    return figures


def page_template(name: str) -> Template:
    """A template of this package; everything it is given is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("maskdpo.report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = percent
    environment.filters["points"] = points
    environment.filters["p_value"] = p_value
    environment.filters["number"] = _number
    environment.filters["figure"] = _figure
    return environment.get_template(name)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
