"""Figures and tables of `span_likelihood.py`, from the measured tokens of every method and seed.

The rule: a figure is computed for each seed and averaged; its interval is over documents
(`annotator.agreement.intervals`: the jackknife over groups), because tokens of one document are not
independent. Differences between methods are paired: the same tokens, seeds and documents left out.

    AUC                 P(log-ratio of a wrong token < that of another token), ties count half;
                        0.5 is chance
    AUC in sentences    the same within each sentence that has wrong and innocent words, averaged
                        over sentences: the topic is the same there
    at equal likelihood AUC in sentences, of log-ratios less the mean log-ratio of clean tokens with
                        a similar log-probability under the reference: training may move likely
                        and unlikely tokens differently, and wrong words are less likely
    change of ...       mean log-ratio of the tokens of a kind
    KL                  mean over all tokens, mixed ones too

Intervals hold for other documents, not for other seeds, training pairs or models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from span_likelihood_data import KINDS

from annotator.agreement.intervals import (
    BALANCED,
    CHANGE,
    DIFFERENCE,
    Scale,
    effective_groups,
    find_interval,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
# For each method, for each seed, the measured answers (`span_likelihood_model`).
Results = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]

WRONG, INNOCENT, CLEAN = range(len(KINDS))
MOST_GROUPS, LEAST_IN_GROUP = 20, 50  # of clean tokens by likelihood


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """All N measured tokens under the policies of S seeds.

    documents, sentences    [N] numbers, unique over the data
    kinds                   [N] index into KINDS; -1: mixed
    ratios, adjusted, kl    [S, N]; `adjusted` as in `remove_likelihood`
    """

    documents: Ints
    sentences: Ints
    kinds: Ints
    ratios: Floats
    adjusted: Floats
    kl: Floats


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of Tokens.

    compute     its mean over seeds, from tokens and which of them count [N]
    behind      the parts of the data that it depends on, as flags [N]
    """

    name: str
    scale: Scale
    difference: Scale
    digits: int
    compute: Callable[[Tokens, Flags], float]
    behind: Callable[[Tokens], Sequence[Flags]]


def collect_tokens(seeds: Sequence[Sequence[Mapping[str, Any]]], column: str = "ratios") -> Tokens:
    """The tokens of one method; `column` is used as the log-ratio."""
    answers = seeds[0]
    names = sorted({answer["document"] for answer in answers})
    codes = {kind: index for index, kind in enumerate(KINDS)}
    sentences, offset = [], 0
    for answer in answers:
        sentences.append(np.array(answer["sentences"]) + offset)
        offset += max(answer["sentences"]) + 1
    kinds = np.array([codes.get(kind, -1) for answer in answers for kind in answer["kinds"]])
    ratios = np.array([[x for answer in seed for x in answer[column]] for seed in seeds])
    reference = np.array([x for answer in answers for x in answer["reference"]])
    return Tokens(
        documents=np.concatenate(
            [np.full(len(answer["kinds"]), names.index(answer["document"])) for answer in answers]
        ),
        sentences=np.concatenate(sentences),
        kinds=kinds,
        ratios=ratios,
        adjusted=np.array([remove_likelihood(row, reference, kinds == CLEAN) for row in ratios]),
        kl=np.array([[x for answer in seed for x in answer["kl"]] for seed in seeds]),
    )


def remove_likelihood(ratios: Floats, reference: Floats, clean: Flags) -> Floats:
    """Log-ratios [N] less the mean of the clean tokens in the same group by likelihood.

    reference    [N] log-probabilities, which divide the clean tokens into groups of equal size
    """
    count = int(clean.sum())
    num_groups = min(MOST_GROUPS, max(1, count // LEAST_IN_GROUP))
    if not count:
        return ratios
    edges = np.quantile(reference[clean], np.linspace(0, 1, num_groups + 1)[1:-1])
    group = np.digitize(reference, edges)
    sums = np.bincount(group[clean], weights=ratios[clean], minlength=num_groups)
    sizes = np.bincount(group[clean], minlength=num_groups)
    return ratios - (sums / np.maximum(sizes, 1))[group]


def wrong_below(values: Floats, wrong: Flags) -> float:
    """P(a wrong token's value < another token's), ties count half; nan without both.

    >>> wrong_below(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, False, True, False]))
    0.875
    """
    count, others = int(wrong.sum()), int((~wrong).sum())
    if not count or not others:
        return float("nan")
    below = float(rankdata(values)[~wrong].sum()) - others * (others + 1) / 2
    return below / (count * others)


def overall_auc(tokens: Tokens, kept: Flags) -> float:
    """AUC of wrong tokens against innocent and clean ones."""
    kept = kept & (tokens.kinds >= 0)
    wrong = tokens.kinds[kept] == WRONG
    return float(np.mean([wrong_below(ratios[kept], wrong) for ratios in tokens.ratios]))


def sentence_auc(tokens: Tokens, kept: Flags) -> float:
    """The mean AUC of the sentences that have wrong and innocent tokens."""
    return _sentence_auc(tokens, tokens.ratios, kept)


def adjusted_auc(tokens: Tokens, kept: Flags) -> float:
    """`sentence_auc` of adjusted log-ratios."""
    return _sentence_auc(tokens, tokens.adjusted, kept)


def _sentence_auc(tokens: Tokens, scores: Floats, kept: Flags) -> float:
    kept = kept & ((tokens.kinds == WRONG) | (tokens.kinds == INNOCENT))
    values = []
    for number in np.unique(tokens.sentences[kept]):
        own = kept & (tokens.sentences == number)
        wrong = tokens.kinds[own] == WRONG
        values += [wrong_below(row[own], wrong) for row in scores]
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def mean_ratio(kind: int) -> Callable[[Tokens, Flags], float]:
    """The mean log-ratio of the tokens of a kind."""

    def compute(tokens: Tokens, kept: Flags) -> float:
        own = kept & (tokens.kinds == kind)
        return float(tokens.ratios[:, own].mean()) if own.any() else float("nan")

    return compute


def mean_kl(tokens: Tokens, kept: Flags) -> float:
    """The mean KL divergence of all tokens."""
    return float(tokens.kl[:, kept].mean()) if kept.any() else float("nan")


def of_kind(*kinds: int) -> Callable[[Tokens], Sequence[Flags]]:
    """The tokens of each of some kinds."""
    return lambda tokens: [tokens.kinds == kind for kind in kinds]


FIGURES = (
    Figure(
        name="AUC",
        scale=BALANCED,
        difference=DIFFERENCE,
        digits=3,
        compute=overall_auc,
        behind=lambda tokens: [tokens.kinds == WRONG, tokens.kinds > WRONG],
    ),
    Figure(
        name="AUC in sentences",
        scale=BALANCED,
        difference=DIFFERENCE,
        digits=3,
        compute=sentence_auc,
        behind=of_kind(WRONG, INNOCENT),
    ),
    Figure(
        name="at equal likelihood",
        scale=BALANCED,
        difference=DIFFERENCE,
        digits=3,
        compute=adjusted_auc,
        behind=of_kind(WRONG, INNOCENT),
    ),
    *(
        Figure(
            name=f"change of {name}",
            scale=CHANGE,
            difference=CHANGE,
            digits=3,
            compute=mean_ratio(kind),
            behind=of_kind(kind),
        )
        for kind, name in (
            (WRONG, "wrong words"),
            (INNOCENT, "innocent words"),
            (CLEAN, "clean sentences"),
        )
    ),
    Figure(
        name="KL",
        scale=CHANGE,
        difference=CHANGE,
        digits=4,
        compute=mean_kl,
        behind=lambda tokens: [tokens.kinds >= -1],
    ),
)
AUCS = FIGURES[:2]


def estimate(
    figure: Figure, first: Tokens, second: Tokens | None = None
) -> dict[str, float | None]:
    """A figure of `first`, less that of `second` if it is given: value, low and high."""

    def compute(kept: Flags) -> float:
        value = figure.compute(first, kept)
        return value if second is None else value - figure.compute(second, kept)

    documents = np.unique(first.documents)
    left_out = np.array([compute(first.documents != number) for number in documents])
    parts = figure.behind(first)
    sizes = [np.bincount(first.documents[part], minlength=len(documents)) for part in parts]
    relied_on = np.sum(sizes, axis=0) > 0
    value = compute(np.ones(len(first.documents), dtype=bool))
    found = find_interval(
        value,
        left_out[relied_on],
        figure.scale if second is None else figure.difference,
        num_groups=effective_groups(*(part.astype(np.float64) for part in sizes)),
    )
    return {"value": finite(value), "low": found.low, "high": found.high}


def summarise(results: Results) -> dict[str, Any]:
    """Plain JSON values: what was measured, and figures by method, difference and seed."""
    tokens = {name: collect_tokens(seeds) for name, seeds in results.items()}
    some = next(iter(results.values()))
    reference = collect_tokens(some[:1], column="reference")
    return {
        "documents": len(np.unique(reference.documents)),
        "tokens": {
            name: int((reference.kinds == index).sum())
            for index, name in [*enumerate(KINDS), (-1, "mixed")]
        },
        "seeds": len(some),
        "methods": {
            name: {f.name: estimate(f, own) for f in FIGURES} for name, own in tokens.items()
        },
        "reference": {f.name: estimate(f, reference) for f in AUCS},
        "differences": {
            f"{one} less {other}": {
                f.name: estimate(f, tokens[one], tokens[other]) for f in FIGURES
            }
            for other, one in combinations(tokens, 2)
        },
        "by_seed": {
            name: {f.name: values_by_seed(f, seeds) for f in FIGURES}
            for name, seeds in results.items()
        },
    }


def values_by_seed(figure: Figure, seeds: Sequence[Any]) -> list[float | None]:
    """A figure under each seed, in their order."""
    each = [collect_tokens([seed]) for seed in seeds]
    return [finite(figure.compute(own, np.ones(len(own.kinds), dtype=bool))) for own in each]


def make_tables(summary: Mapping[str, Any]) -> str:
    """Markdown tables of a summary."""
    names = [figure.name for figure in FIGURES]
    counts = ", ".join(f"{count} {kind}" for kind, count in summary["tokens"].items())
    rows = summary["methods"] | {"reference alone": summary["reference"]}
    parts = [
        f"{summary['documents']} documents; tokens: {counts}; seeds: {summary['seeds']}. "
        "95% intervals over documents.",
        lay_table(["method", *names], [[key, *show_row(row)] for key, row in rows.items()]),
    ]
    if differences := summary["differences"]:
        lines = [[key, *show_row(row, signed=True)] for key, row in differences.items()]
        parts.append(lay_table(["difference", *names], lines))
    if summary["seeds"] > 1:
        lines = [
            [key, *(", ".join(number(f, value) for value in row[f.name]) for f in FIGURES)]
            for key, row in summary["by_seed"].items()
        ]
        parts.append(lay_table(["method, by seed", *names], lines))
    return "\n\n".join(parts) + "\n"


def show_row(row: Mapping[str, Mapping[str, float | None]], *, signed: bool = False) -> list[str]:
    """A cell per figure, empty where the row has none: a value with its interval."""
    cells = []
    for figure in FIGURES:
        found = row.get(figure.name, {})
        texts = [number(figure, value, signed=signed) for value in found.values()]
        cells.append("{} ({} to {})".format(*texts) if texts else "")
    return cells


def number(figure: Figure, value: float | None, *, signed: bool = False) -> str:
    """A value with the digits of its figure; changes and differences with a sign."""
    sign = "+" if signed or figure.name.startswith("change") else ""
    return "none" if value is None else f"{value:{sign}.{figure.digits}f}"


def finite(value: float) -> float | None:
    """None for a figure that is not defined."""
    return value if np.isfinite(value) else None


def lay_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
