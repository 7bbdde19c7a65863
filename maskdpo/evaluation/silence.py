"""Warnings for scores that may be higher because a model says less. Plain sentences.

The rule: a warning names each model that answers less often than another, or that has fewer facts
per answer and a higher score. One sentence per model and kind, however many models there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskdpo.evaluation.outcomes import ModelTally, Outcome

FEWER_FACTS = 0.02  # relative decrease of facts per answer that is reported, whatever its interval


def find_warnings(
    tallies: Mapping[str, ModelTally], pairs: Sequence[Mapping[str, Any]], *, num_common: int
) -> list[tuple[str, str]]:
    """(model, sentence) in the order of the models; the model is "" if it is about all."""
    found = []
    if not num_common:
        text = "No question was answered by every model, so there is no score to compare them."
        found.append(("", text))
    views = [view for pair in pairs for view in _both_ways(pair)]
    for name in tallies:
        own = [view for view in views if view["model"] == name]
        found += [(name, text) for text in _fewer_answers(name, own, tallies)]
        found += [(name, text) for text in _fewer_facts(name, own)]
    return found


def flag_anah(name: str, baseline: str, tallies: Mapping[str, ModelTally]) -> str | None:
    """Why the ANAH score of a model cannot be compared with the baseline's, or None."""
    if not answers_less(tallies[name], tallies[baseline]):
        return None
    return (
        f"{name} answered {_ratio(tallies[name])} of its responses, {baseline} "
        f"{_ratio(tallies[baseline])}; the ANAH score counts a sentence without a fact as right "
        "and a missing response not at all, so it rewards that"
    )


def answers_less(one: ModelTally, other: ModelTally) -> bool:
    """Whether the respond ratio of `one` is lower; in whole numbers, so without rounding."""
    return one.num_answered * other.num_asked < other.num_answered * one.num_asked


def _fewer_answers(
    name: str, views: Sequence[Mapping[str, Any]], tallies: Mapping[str, ModelTally]
) -> list[str]:
    own = tallies[name]
    more = [view for view in views if answers_less(own, tallies[view["compared_with"]])]
    if not more:
        return []
    others = ", ".join(
        f"{view['compared_with']} {_ratio(tallies[view['compared_with']])}" for view in more
    )
    reasons = ", ".join(
        f"{own.outcomes[kind]} {kind.value}"
        for kind in (Outcome.ABSTAINED, Outcome.UNDECIDED, Outcome.FAILED)
        if own.outcomes[kind]
    )
    text = (
        f"{name} answered {own.num_answered} of {own.num_asked} responses ({_ratio(own)}; "
        f"{reasons}), less than {others}."
    )
    higher = [view["compared_with"] for view in more if (view["difference"] or 0) > 0]
    if higher:
        text += (
            f" Yet its score is higher than that of {_and(higher)}: do not call it more "
            "truthful before you have checked what it left out."
        )
    return [text]


def _fewer_facts(name: str, views: Sequence[Mapping[str, Any]]) -> list[str]:
    fewer = [
        view
        for view in views
        if (view["difference"] or 0) > 0 and (view["facts_change"] or 0) < 0 and _is_named(view)
    ]
    if not fewer:
        return []
    others = ", ".join(
        f"{100 * view['facts_change_share']:+.1f}% against {view['compared_with']}"
        for view in fewer
    )
    return [
        f"{name} scores higher with fewer facts per answer ({others}): part of the gain may come "
        "from saying less."
    ]


def _is_named(view: Mapping[str, Any]) -> bool:
    high = view["facts_high"]
    return bool(view["facts_change_share"] < -FEWER_FACTS or (high is not None and high < 0))


def _both_ways(pair: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A pair from the view of either model."""
    if pair["difference"] is None:
        mirrored = {**pair}
    else:
        share = pair["facts_change_share"]
        mirrored = {
            **pair,
            "difference": -pair["difference"],
            "facts_change": -pair["facts_change"],
            "facts_high": None if pair["facts_low"] is None else -pair["facts_low"],
            "facts_change_share": 1 / (1 + share) - 1,
        }
    mirrored |= {"model": pair["compared_with"], "compared_with": pair["model"]}
    return [pair, mirrored]


def _ratio(tally: ModelTally) -> str:
    return "none" if tally.answered is None else f"{100 * tally.answered:.1f}%"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
