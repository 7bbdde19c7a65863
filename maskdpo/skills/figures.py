"""What lm-eval measured, as rows; and each model compared with the first, document by document.

The rule: a score and its standard error are lm-eval's own. A difference gets an interval only
where the score is the mean of one number per document, and both models were asked the same
documents: then it is the mean of the paired differences, with the project's interval over
documents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from annotator.agreement.intervals import CHANGE, DIFFERENCE, name_group
from maskdpo.evaluation.means import mean_over_questions

_TOLERANCE = 1e-9

Row = dict[str, Any]
Documents = dict[str, float]


def read_results(results: Mapping[str, Any]) -> list[Row]:
    """A row per task (or group), metric and filter of lm-eval's `results`.

    task, metric, filter    metric is lm-eval's name; filter is how the answer was cut out
    score, stderr           as lm-eval computes them; stderr None where it gives none
    is_share                whether the score is a share, to be printed in percent
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
                    "is_share": all(0.0 <= value <= 1.0 for value in documents.values())
                    and 0.0 <= score <= 1.0,
                    "num_documents": results.get("n-samples", {}).get(task, {}).get("effective"),
                    "num_shots": results.get("n-shot", {}).get(task),
                    "version": results.get("versions", {}).get(task),
                    "documents": documents,
                }
            )
    return rows


def compare_models(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    """A row per model after the first, task, metric and filter: `model` minus `compared_with`."""
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
    is_share = before["is_share"] and after["is_share"]
    mean = mean_over_questions(
        {name: other[name] - one[name] for name in one},
        {name: name_group("", name) for name in one},
        DIFFERENCE if is_share else CHANGE,
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


def _place(row: Row) -> tuple[str, str, str]:
    return row["task"], row["metric"], row["filter"]


def _mean(documents: Documents) -> float:
    return math.fsum(documents.values()) / len(documents)


def _finite(value: Any) -> float | None:
    """lm-eval writes 'N/A' where it has no standard error, and nan for one document."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
