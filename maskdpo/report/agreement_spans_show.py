"""How well judges find the wrong words that people marked, on the terminal.

The rule: where people gave no error spans, nothing is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

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

if TYPE_CHECKING:
    from annotator.agreement.figures import Figure
    from annotator.agreement.measure import Agreement
    from annotator.agreement.soft_labels import SoftAgreement
    from annotator.agreement.span_figures import SpanAgreement

_COLUMNS = ("char. F1 [95%]", "prec.", "recall", "IoU", "example F1")


def print_spans(lines: Sequence[tuple[str, Agreement]], *, num_judges: int) -> None:
    """The table of judges and baselines, the counts, and what the words of each judge add.

    lines       judges first, then baselines
    """
    known = [(name, line.spans) for name, line in lines if line.spans is not None]
    if not known:
        return
    rows = []
    for name, spans in known:
        example = digits(spans["example_f1"].value)
        rows.append((short_name(name), [*_cells(spans.figures), example]))
        if spans.whole_sentences is not None:
            rows.append(("  whole sentences", [*_cells(spans.whole_sentences), example]))
    print_table("wrong words that people marked, per character", _COLUMNS, rows)
    click.echo("a hallucinated sentence without marked words counts as a whole")
    for name, spans in known[:num_judges]:
        paragraph(
            f"{short_name(name)} decided {count_of(spans.num_sentences, 'sentence')} of "
            f"{count_of(spans.num_responses, 'response')}; people marked words in "
            f"{spans.num_with_spans:,} of {spans.num_hallucinated:,} hallucinated ones. It "
            f"{_what_words_add(spans)}."
        )


def print_soft_labels(judge: str, found: SoftAgreement | None) -> None:
    """The correlation with what several people marked."""
    if found is None:
        return
    paragraph(
        f"{short_name(judge)} and several people: correlation per character (Spearman) "
        f"{interval_of(found.correlation)}, mean over "
        f"{count_of(found.num_responses, 'response')} with "
        f"{count_of(found.num_characters, 'character')} that two or more people decided"
    )


def _cells(figures: Mapping[str, Figure]) -> list[str]:
    rest = [digits(figures[name].value) for name in ("char_precision", "char_recall", "iou")]
    return [interval_of(figures["char_f1"]), *rest]


def _what_words_add(spans: SpanAgreement) -> str:
    judged = count_of(spans.num_judged_hallucinated, "sentence")
    if spans.gain is None:
        return f"calls {judged} hallucinated and marks no words in them"
    gain = spans.gain
    return (
        f"marks words in {spans.num_judged_with_spans:,} of {judged} that it calls hallucinated; "
        f"F1 with words less F1 of whole sentences {signed(gain.difference)} [{signed(gain.low)}, "
        f"{signed(gain.high)}], p = {p_value(gain.p)}"
    )
