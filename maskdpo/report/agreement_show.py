"""The result of `agreement` on the terminal, within 80 columns.

The rule: names, sentences and rationales are data. They are printed without control characters and
without rich markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from annotator.agreement.compare import CLUSTER_NOTE, Comparison
from annotator.agreement.figures import Figure
from annotator.agreement.measure import (
    MIN_GROUPS,
    MIN_SLICE_SENTENCES,
    Agreement,
    AgreementReport,
    AgreementSlice,
    largest_first,
)
from schemas.text.counted import count_of
from schemas.text.terminal import one_line

if TYPE_CHECKING:
    from annotator.agreement.calibration import Calibration
    from annotator.agreement.disagreements import Disagreement
    from annotator.agreement.result import AgreementResult

WIDTH = 80
MAX_SLICES = 20
MAX_TEXT_CHARS = 200
MAX_NAME_CHARS = 24
MAX_NOTE_CHARS = 1000
_COLUMNS = ("balanced acc. [95%]", "F1 hall.", "F1 fact.", "kappa", "cover")


def print_agreement(result: AgreementResult, *, num_shown: int) -> None:
    """Print the tables, the comparison, calibration and the first disagreements of each judge."""
    reports = result.reports
    first = reports[0]
    _print_table(
        f"{_name(result.gold)}: agreement with people",
        result.lines(),
    )
    groups = count_of(first.num_groups, "group")
    click.echo(
        f"{count_of(first.num_sentences, 'sentence')} of "
        f"{count_of(first.num_responses, 'response')} in {groups}; "
        f"people call {first.num_hallucinated} hallucinated\n"
        f"hall.: hallucinated, fact.: others; {first.interval}"
    )
    if first.has_few_groups:
        click.echo(f"!: fewer than {MIN_GROUPS} groups; the intervals may not hold for other texts")
    for report in reports:
        _print_abstentions(report)
    for report in reports:
        _print_slices(report)
    if result.comparison is not None:
        _print_comparison(reports[0].judge, reports[1].judge, result.comparison)
    for report in reports:
        _print_calibration(report.judge, report.calibration)
    for report in reports:
        _print_disagreements(report, result.disagreements[report.judge], num_shown)


def print_notes(notes: Sequence[str]) -> None:
    """Print the notes that a user must read before the figures, each once, on standard error."""
    for note in dict.fromkeys(notes):
        click.echo(f"note: {one_line(note, MAX_NOTE_CHARS)}", err=True)


def _name(text: str) -> str:
    return one_line(text, MAX_NAME_CHARS)


def _print_table(title: str, lines: Iterable[tuple[str, Agreement]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in _COLUMNS:
        table.add_column(escape(heading), justify="right", no_wrap=True)
    for name, line in lines:
        cells = [_range(line["balanced_accuracy"])]
        cells += [
            _show(line[key].value) for key in ("f1_hallucinated", "f1_factual", "kappa", "coverage")
        ]
        table.add_row(escape(_name(name)), *(escape(cell) for cell in cells))
    click.echo(f"\n{title}")
    Console(highlight=False).print(table)


def _print_abstentions(report: AgreementReport) -> None:
    line = report.agreement
    num_open = report.num_sentences - line.num_decided
    if num_open:
        reasons = ", ".join(f"{_name(name)} {count}" for name, count in line.abstentions.items())
        _print(f"{_name(report.judge)} left {num_open} sentences undetermined: {reasons}")


def _print_slices(report: AgreementReport) -> None:
    """A table by source and one by language, if there is more than one."""
    parts: Mapping[str, Mapping[str, AgreementSlice]] = {
        "source": report.by_source,
        "language": report.by_language,
    }
    for kind, slices in parts.items():
        if len(slices) < 2:
            continue
        largest = largest_first(slices)
        shown = largest[:MAX_SLICES]
        _print_table(
            f"{_name(report.judge)} by {kind}",
            [
                (
                    f"{one_line(name, 18)}{' !' if part.is_small else ''} n={part.num_sentences}",
                    part.agreement,
                )
                for name, part in shown
            ],
        )
        if len(largest) > len(shown):
            click.echo(f"... and {len(largest) - len(shown)} more; --output FILE has all of them")
        if any(part.is_small for _, part in shown):
            click.echo(
                f"!: fewer than {MIN_SLICE_SENTENCES} sentences, so the figures are uncertain"
            )


def _print_comparison(first: str, second: str, found: Comparison) -> None:
    click.echo(f"\nA = {_name(first)}, B = {_name(second)}")
    _print(
        f"Both decided {found.num_compared} sentences in {found.num_groups} groups; A alone "
        f"{found.num_first_only}, B alone {found.num_second_only}, neither {found.num_neither}."
    )
    _print(
        f"Balanced accuracy on those of both: A {_show(found.first_balanced_accuracy)}, B "
        f"{_show(found.second_balanced_accuracy)}; A - B = {_signed(found.difference)} "
        f"[{_signed(found.low)}, {_signed(found.high)}], p = {_show_p(found.p)} "
        "(paired, over groups)."
    )
    _print(
        f"Sentences that A alone has right {found.num_first_better}, B alone "
        f"{found.num_second_better}, both {found.num_both_right}, neither "
        f"{found.num_both_wrong}; p = {_show_p(found.mcnemar_p)} (exact McNemar)."
    )
    _print(f"Note: {CLUSTER_NOTE}.")


def _print_calibration(judge: str, found: Calibration | None) -> None:
    name = _name(judge)
    if found is None:
        click.echo(f"\n{name} gives no confidence; there is no calibration")
        return
    click.echo(
        f"\nconfidence of {name}: {found.num_sentences} sentences decided with one, "
        f"{found.num_without_confidence} without"
    )
    ranking = (
        f"AUROC {_show(found.auroc)}, area under the risk-coverage curve "
        f"{_show(found.area_under_risk_coverage)} (ranking nothing: "
        f"{_show(1 - found.share_right)})"
    )
    if found.is_ranking:
        _print(f"It ranks verdicts and is not a probability: {ranking}.")
        return
    _print(
        f"expected calibration error {_show(found.expected_calibration_error)}, Brier score "
        f"{_show(found.brier_score)}, {ranking}"
    )
    click.echo("  confidence  sentences  mean confidence  share right")
    for row in found.bins:
        if row.num_sentences:
            click.echo(
                f"  {row.low:.1f} to {row.high:.1f}  {row.num_sentences:>9}  "
                f"{_show(row.mean_confidence):>15}  {_show(row.share_right):>11}"
            )


def _print_disagreements(
    report: AgreementReport, found: Sequence[Disagreement], num_shown: int
) -> None:
    name = _name(report.judge)
    total = f"{len(found)} of {report.agreement.num_decided} decided sentences"
    click.echo(f"\n{name} differs from people on {total}")
    for row in found[:num_shown]:
        confidence = "" if row.confidence is None else f" {row.confidence:.2f}"
        click.echo(
            f"- {one_line(row.response_id, 40)} [{row.start}, {row.end})\n"
            f"  people {row.people_label}, judge {row.judge_label}{confidence}"
        )
        quotes = [evidence.text for evidence in row.evidence if evidence.text]
        for title, text in (
            ("sentence", row.text),
            ("reason", row.rationale),
            ("evidence", quotes[0] if quotes else ""),
        ):
            if text:
                _print(f"{title}: {one_line(text, MAX_TEXT_CHARS)}", indent=4)
    if len(found) > num_shown:
        click.echo("  --disagreements FILE.jsonl writes all of them, highest confidence first")


def _print(text: str, *, indent: int = 2) -> None:
    """One wrapped paragraph with a hanging indent."""
    lines = click.wrap_text(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2)
    )
    click.echo(lines)


def _range(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return f"{_show(figure.value)} [-]"
    return f"{_show(figure.value)} [{_show(figure.low)}, {_show(figure.high)}]"


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _show_p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
