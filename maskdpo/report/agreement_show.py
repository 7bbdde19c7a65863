"""The result of `agreement` on the terminal, within 80 columns.

The rule: names, sentences and rationales are data. They are printed without control characters and
without rich markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from annotator.agreement.compare import CLUSTER_NOTE, Comparison
from annotator.agreement.measure import (
    MIN_GROUPS,
    MIN_SLICE_SENTENCES,
    Agreement,
    AgreementReport,
    AgreementSlice,
    largest_first,
)
from maskdpo.report.agreement_spans_show import print_soft_labels, print_spans
from maskdpo.report.agreement_text import (
    digits,
    interval_of,
    p_value,
    paragraph,
    print_table,
    short_name,
    signed,
)
from schemas.text.counted import count_of
from schemas.text.terminal import one_line

if TYPE_CHECKING:
    from annotator.agreement.calibration import Calibration
    from annotator.agreement.disagreements import Disagreement
    from annotator.agreement.result import AgreementResult

MAX_SLICES = 20
MAX_TEXT_CHARS = 200
MAX_NOTE_CHARS = 1000
_COLUMNS = ("balanced acc. [95%]", "F1 hall.", "F1 fact.", "kappa", "cover")


def print_agreement(result: AgreementResult, *, num_shown: int) -> None:
    """Print the tables, the comparison, calibration and the first disagreements of each judge."""
    reports = result.reports
    first = reports[0]
    _print_figures(
        f"{short_name(result.gold)}: agreement with people",
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
    print_spans(result.lines(), num_judges=len(reports))
    for report in reports:
        print_soft_labels(report.judge, report.soft_labels)
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


def _print_figures(title: str, lines: Iterable[tuple[str, Agreement]]) -> None:
    rows = []
    for name, line in lines:
        cells = [interval_of(line["balanced_accuracy"])]
        cells += [
            digits(line[key].value)
            for key in ("f1_hallucinated", "f1_factual", "kappa", "coverage")
        ]
        rows.append((short_name(name), cells))
    print_table(title, _COLUMNS, rows)


def _print_abstentions(report: AgreementReport) -> None:
    line = report.agreement
    num_open = report.num_sentences - line.num_decided
    if num_open:
        counts = [f"{short_name(name)} {count}" for name, count in line.abstentions.items()]
        name, reasons = short_name(report.judge), ", ".join(counts)
        paragraph(f"{name} left {num_open} sentences undetermined: {reasons}")


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
        _print_figures(
            f"{short_name(report.judge)} by {kind}",
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
    click.echo(f"\nA = {short_name(first)}, B = {short_name(second)}")
    paragraph(
        f"Both decided {found.num_compared} sentences in {found.num_groups} groups; A alone "
        f"{found.num_first_only}, B alone {found.num_second_only}, neither {found.num_neither}."
    )
    paragraph(
        f"Balanced accuracy on those of both: A {digits(found.first_balanced_accuracy)}, B "
        f"{digits(found.second_balanced_accuracy)}; A - B = {signed(found.difference)} "
        f"[{signed(found.low)}, {signed(found.high)}], p = {p_value(found.p)} "
        "(paired, over groups)."
    )
    paragraph(
        f"Sentences that A alone has right {found.num_first_better}, B alone "
        f"{found.num_second_better}, both {found.num_both_right}, neither "
        f"{found.num_both_wrong}; p = {p_value(found.mcnemar_p)} (exact McNemar)."
    )
    if found.spans is not None:
        paragraph(
            f"Wrong words, F1 per character: A {digits(found.spans.first)}, B "
            f"{digits(found.spans.second)}; A - B = {signed(found.spans.difference)} "
            f"[{signed(found.spans.low)}, {signed(found.spans.high)}], p = "
            f"{p_value(found.spans.p)} (paired, over groups)."
        )
    paragraph(f"Note: {CLUSTER_NOTE}.")


def _print_calibration(judge: str, found: Calibration | None) -> None:
    name = short_name(judge)
    if found is None:
        click.echo(f"\n{name} gives no confidence; there is no calibration")
        return
    click.echo(
        f"\nconfidence of {name}: {found.num_sentences} sentences decided with one, "
        f"{found.num_without_confidence} without"
    )
    ranking = (
        f"AUROC {digits(found.auroc)}, area under the risk-coverage curve "
        f"{digits(found.area_under_risk_coverage)} (ranking nothing: "
        f"{digits(1 - found.share_right)})"
    )
    if found.is_ranking:
        paragraph(f"It ranks verdicts and is not a probability: {ranking}.")
        return
    paragraph(
        f"expected calibration error {digits(found.expected_calibration_error)}, Brier score "
        f"{digits(found.brier_score)}, {ranking}"
    )
    click.echo("  confidence  sentences  mean confidence  share right")
    for row in found.bins:
        if row.num_sentences:
            click.echo(
                f"  {row.low:.1f} to {row.high:.1f}  {row.num_sentences:>9}  "
                f"{digits(row.mean_confidence):>15}  {digits(row.share_right):>11}"
            )


def _print_disagreements(
    report: AgreementReport, found: Sequence[Disagreement], num_shown: int
) -> None:
    name = short_name(report.judge)
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
                paragraph(f"{title}: {one_line(text, MAX_TEXT_CHARS)}", indent=4)
    if len(found) > num_shown:
        click.echo("  --disagreements FILE.jsonl writes all of them, highest confidence first")
