"""FActScore on the terminal: rows of two tables, and what they say.

The rule: the share of responses that respond is in the same row as the score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maskdpo.evaluation.words import p_value, percent, points

HEADINGS = ("model", "FActScore [95%]", "responded", "init", "facts", "unres.", "unread")
PAIR_HEADINGS = ("difference in FActScore", "[95%]", "p", "questions")


def score_rows(models: Mapping[str, Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """One row per model, in percent."""
    for name, model in models.items():
        row = model["factscore"]
        facts = row["facts_per_response"]
        yield (
            name,
            f"{percent(row['score'])} [{percent(row['low'])}, {percent(row['high'])}]",
            percent(row["respond_ratio"]),
            percent(row["init_score"]),
            "-" if facts is None else f"{facts:.1f}",
            str(row["num_unresolved"]),
            str(row["num_unread_sentences"]),
        )


def pair_rows(pairs: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """One row per pair of models, in percentage points."""
    for pair in pairs:
        yield (
            f"{pair['model']} - {pair['compared_with']}",
            f"{points(pair['difference'])} [{points(pair['low'])}, {points(pair['high'])}]",
            p_value(pair["p"]),
            str(pair["num_questions"]),
        )


def explain(scores: Mapping[str, Any]) -> list[str]:
    """What the columns are, and which models have no score."""
    top = scores["factscore"]
    texts = [
        f"FActScore: {top['score']}, in percent; facts: {top['facts']}; {top['interval']}",
        "responded: percent of the requested responses with at least one fact; init: without the "
        "length penalty; facts: per response that responds; unres.: facts without a decision, "
        "counted as not supported; unread: of these, sentences whose facts could not be read",
    ]
    silent = [name for name, row in scores["models"].items() if row["factscore"]["score"] is None]
    if silent:
        texts.append(
            f"No FActScore for {', '.join(silent)}: no response states a fact that could be judged."
        )
    return texts
