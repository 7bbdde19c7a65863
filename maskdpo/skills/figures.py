"""What lm-eval measured, as rows; and each model compared with the first, document by document.

The rule: a score and its standard error are lm-eval's own. A difference gets an interval only
where the score is the mean of one number per document, and both models were asked the same
documents: then it is the mean of the paired differences, with the project's interval over
documents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from annotator.agreement.intervals import CHANGE, DIFFERENCE, name_group
from maskdpo.evaluation.means import mean_over_questions

_TOLERANCE = 1e-9

Row = dict[str, Any]
Documents = dict[str, float]
_Place = tuple[str, str, str]  # task, metric, filter
# Metrics of lm-eval's tasks that are shares of documents, words or attempts, such as `acc_norm`,
# `prompt_level_strict_acc` and `pass@1`; needed where there are no values of documents.
_SHARES = re.compile(
    r"(\w+_)?(acc|acc_(norm|bytes|mutual_info|all)|accuracy|exact_match|em|f1|precision|recall)"
    r"|pass(@|_at_)\d+"
)


def read_results(results: Mapping[str, Any]) -> list[Row]:
    """A row per task (or group), metric and filter of lm-eval's `results`.

    task, metric, filter    metric is lm-eval's name; filter is how the answer was cut out
    score, stderr           as lm-eval computes them; stderr None where it gives none
    documents               value per document (its index and the start of its hash); empty where
                            the score is not their mean, such as a perplexity or a group's average
    """
    rows = []
    for task, values in results["results"].items():
        for name, score in values.items():
            metric, comma, cut = name.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(score, int | float):
                continue
            documents = _documents(results.get("samples", {}).get(task, ()), metric, cut)
            if not documents or abs(_mean(documents) - score) > _TOLERANCE:
                documents = {}
            rows.append(
                {
                    "task": task,
                    "metric": metric,
                    "filter": cut,
                    "score": _finite(score),
                    "stderr": _finite(values.get(f"{metric}_stderr,{cut}")),
                    "higher_is_better": results.get("higher_is_better", {})
                    .get(task, {})
                    .get(metric),
                    "num_documents": results.get("n-samples", {}).get(task, {}).get("effective"),
                    "num_shots": results.get("n-shot", {}).get(task),
                    "version": results.get("versions", {}).get(task),
                    "documents": documents,
                }
            )
    return rows


def mark_shares(rows: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """The rows of all models with `is_share`: whether a score is a share, printed in percent.

    A metric is a share for all models or for none: if its name is that of a known share
    (`_SHARES`), or if the scores are means over documents, each with a value between 0 and 1. A
    small score alone does not make a share: 0.93 bits per byte must not become 93%. A score above
    1 is never one.
    """
    scores: dict[_Place, list[Row]] = {}
    for row in (row for found in rows.values() for row in found):
        scores.setdefault(_place(row), []).append(row)
    shares = {place for place, found in scores.items() if _is_share(place[1], found)}
    return {
        name: [{**row, "is_share": _place(row) in shares} for row in found]
        for name, found in rows.items()
    }


def compare_models(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    """A row per model after the first, task, metric and filter: `model` minus `compared_with`.

    `rows` are those of `mark_shares`.
    """
    names = list(rows)
    if not names:
        return []
    first = {_place(row): row for row in rows[names[0]]}
    return [
        {
            "model": name,
            "compared_with": names[0],
            "task": row["task"],
            "metric": row["metric"],
            "filter": row["filter"],
            "is_share": row["is_share"],
            **_difference(first[_place(row)], row),
        }
        for name in names[1:]
        for row in rows[name]
        if _place(row) in first
    ]


def _difference(before: Row, after: Row) -> Row:
    if before["score"] is None or after["score"] is None:
        return {"difference": None, "low": None, "high": None, "p": None, "num_documents": 0}
    one, other = before["documents"], after["documents"]
    plain = after["score"] - before["score"]
    if not one or one.keys() != other.keys():
        return {"difference": plain, "low": None, "high": None, "p": None, "num_documents": 0}
    mean = mean_over_questions(
        {name: other[name] - one[name] for name in one},
        {name: name_group("", name) for name in one},
        DIFFERENCE if after["is_share"] else CHANGE,
    )
    return {
        "difference": mean.value,
        "low": mean.interval.low,
        "high": mean.interval.high,
        "p": mean.interval.p,
        "num_documents": mean.num_questions,
    }


def _documents(samples: Sequence[Mapping[str, Any]], metric: str, cut: str) -> Documents:
    """The value of each document; empty if one of them has no single finite number."""
    found: Documents = {}
    for sample in samples:
        if sample.get("filter") != cut or metric not in sample:
            continue
        value = sample[metric]
        if isinstance(value, bool | int | float) and math.isfinite(value):
            found[f"{sample['doc_id']}:{sample['doc_hash'][:12]}"] = float(value)
        else:
            return {}
    return found


def _is_share(metric: str, rows: Sequence[Row]) -> bool:
    scores = [row["score"] for row in rows if row["score"] is not None]
    if not all(map(_is_between_0_and_1, scores)):
        return False
    values = [row["documents"].values() for row in rows]
    of_documents = all(values) and all(map(_is_between_0_and_1, chain.from_iterable(values)))
    return of_documents or _SHARES.fullmatch(metric) is not None


def _is_between_0_and_1(value: float) -> bool:
    return 0.0 <= value <= 1.0


def _place(row: Row) -> _Place:
    return row["task"], row["metric"], row["filter"]


def _mean(documents: Documents) -> float:
    return math.fsum(documents.values()) / len(documents)


def _finite(value: Any) -> float | None:
    """lm-eval writes 'N/A' where it has no standard error, and nan for one document."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
