"""FActScore from facts and verdicts: the published formula, without models or files.

The rule (Min et al. 2023, arXiv 2305.14251, `factscore/factscorer.py` of shmsw25/FActScore): of a
response with n > 0 facts, s of them supported,

    f = s / n * penalty,    penalty = exp(1 - gamma / n) where n < gamma, else 1

A model's FActScore is the mean of f over the responses that respond (n > 0). `init_score` is the
same without the penalty, `respond_ratio` the share of the requested responses that respond.

A fact is supported only where its verdict is True. None (the judge could not decide, or its reply
could not be used) is a fact that is not supported, and is counted as unresolved.

Differences from the published code:

- an answer that holds neither "true" nor "false" counts as supported there if it holds none of the
  words not, cannot, unknown, information; here it is unresolved, and not supported;
- with gamma = 0 `init_score` is missing there; here it equals `score`;
- without a response that responds the mean there is nan, with a warning; here it is None.

Degenerate cases: without responses, `score` and `respond_ratio` are None; if none responds, `score`
is None and `respond_ratio` 0. With one topic the interval is None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from annotator.agreement.intervals import SHARE, Group, name_group
from maskdpo.evaluation.means import mean_over_questions
from schemas.errors import ConfigError
from schemas.validation import show_value

GAMMA = 10.0
Verdicts = Sequence[bool | None]
"""The verdicts on the facts of one response; empty: it does not respond."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FactScore:
    """The FActScore of a model over many responses; shares are between 0 and 1.

    score               mean of f over the responses that respond; None where none does
    low, high           its 95% interval over topics; None with fewer than two
    init_score          the same without the length penalty
    respond_ratio       responses that respond / responses asked for; None without any
    facts_per_response  of the responses that respond
    num_unresolved      facts with the verdict None; never supported
    """

    score: float | None
    low: float | None
    high: float | None
    init_score: float | None
    respond_ratio: float | None
    facts_per_response: float | None
    num_responses: int
    num_responding: int
    num_facts: int
    num_supported: int
    num_unresolved: int
    gamma: float

    def __str__(self) -> str:
        """One line for people."""
        responding = f"{self.num_responding} of {self.num_responses} responses respond"
        if self.score is None:
            return f"no FActScore: {responding}"
        interval = ""
        if self.low is not None and self.high is not None:
            interval = f" [{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return (
            f"FActScore {100 * self.score:.1f}%{interval}, {responding}, "
            f"{self.facts_per_response:.1f} facts each"
        )


def score_response(verdicts: Verdicts, *, gamma: float = GAMMA) -> float | None:
    """f of one response, 0 to 1; None without facts. `gamma` 0 switches the length penalty off.

    >>> score_response([True, True, False, None], gamma=0)
    0.5
    """
    if not len(verdicts):
        return None
    count = len(verdicts)
    penalty = math.exp(1 - gamma / count) if count < gamma else 1.0
    return penalty * sum(item is True for item in verdicts) / count


def factscore(
    facts: Iterable[Sequence[bool | None] | None],
    *,
    gamma: float = GAMMA,
    topics: Sequence[str] | None = None,
    num_responses: int | None = None,
) -> FactScore:
    """The FActScore of responses from the verdicts on their facts.

    facts          for each response, a verdict per atomic fact: True (the documents support it),
                   False, or None (unresolved: not supported, and counted). An empty list, or None
                   for a whole response: it does not respond
    gamma          the length penalty applies below this number of facts; 0 switches it off
    topics         topic of each response, for the interval; without it each response is its own
    num_responses  responses asked for, where more than were given

    Raises ConfigError for a verdict that is not True, False or None, for a `gamma` below 0, and
    where the numbers of topics or responses do not fit.
    """
    if not gamma >= 0 or math.isinf(gamma):
        raise ConfigError(f"gamma is {gamma!r}, but it must be 0 (without length penalty) or more")
    rows = [_read(item, place) for place, item in enumerate(facts)]
    if topics is not None and len(topics) != len(rows):
        raise ConfigError(
            f"there are {len(topics)} topics for {len(rows)} responses: give one each"
        )
    asked = len(rows) if num_responses is None else num_responses
    if asked < len(rows):
        raise ConfigError(
            f"num_responses is {asked}, but verdicts on {len(rows)} responses are given"
        )
    groups = {str(place): name_group("", str(place)) for place in range(len(rows))}
    if topics is not None:
        groups = {str(n): name_group(topic, str(n)) for n, topic in enumerate(topics)}
    return make_score(
        {str(place): row for place, row in enumerate(rows)}, groups, gamma=gamma, num_asked=asked
    )


def make_score(
    rows: dict[str, Verdicts], groups: dict[str, Group], *, gamma: float, num_asked: int
) -> FactScore:
    """`factscore` of checked verdicts by response; `groups` names the group of each."""
    responding = {name: row for name, row in rows.items() if len(row)}
    mean = mean_over_questions(score_all(responding, gamma=gamma), groups, SHARE)
    init = mean_over_questions(score_all(responding, gamma=0.0), groups, SHARE)
    num_facts = sum(map(len, responding.values()))
    count = len(responding)
    return FactScore(
        score=mean.value,
        low=mean.interval.low,
        high=mean.interval.high,
        init_score=init.value,
        respond_ratio=count / num_asked if num_asked else None,
        facts_per_response=num_facts / count if count else None,
        num_responses=num_asked,
        num_responding=count,
        num_facts=num_facts,
        num_supported=sum(item is True for row in responding.values() for item in row),
        num_unresolved=sum(item is None for row in responding.values() for item in row),
        gamma=gamma,
    )


def score_all(rows: dict[str, Verdicts], *, gamma: float) -> dict[str, float]:
    """f of each response that responds, by its name."""
    scored = ((name, score_response(row, gamma=gamma)) for name, row in rows.items())
    return {name: value for name, value in scored if value is not None}


def _read(verdicts: object, place: int) -> list[bool | None]:
    """Checked verdicts; numpy's booleans become Python's."""
    if verdicts is None:
        return []
    if isinstance(verdicts, str | bytes) or not isinstance(verdicts, Iterable):
        raise ConfigError(
            f"facts[{place}] is {show_value(verdicts)}, but it must be a list of verdicts, one per "
            "fact (True, False, or None), or None for a response without facts"
        )
    found: list[bool | None] = []
    for item in verdicts:
        if item is not None and not isinstance(item, bool | np.bool_):
            raise ConfigError(
                f"facts[{place}] holds {show_value(item)}; a verdict is True, False or None"
            )
        found.append(None if item is None else bool(item))
    return found
