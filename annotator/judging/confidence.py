"""How sure a judge was: the share of its votes, or the probability of the label it wrote.

The rule: confidence is stored beside a verdict and changes nothing here. What is too unsure to
train is decided once, by `build`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from schemas.labels import Label
from schemas.records import Verdict

_LABEL_VALUE = re.compile(r'"label"\s*:\s*"([^"]*)"')


def combine_votes(votes: Sequence[Verdict]) -> Verdict:
    """One verdict of several drawn for the same sentence; the most frequent label wins.

    `confidence` is the winner's share of all votes, undetermined ones included, so silence
    lowers it. A tie, or no vote that decided, is undetermined: `tied_votes`, or the reason of
    the first vote. Quotes and rationale are those of the first vote for the winner.
    """
    if len(votes) == 1:
        return votes[0]
    decided = [vote for vote in votes if vote.label is not Label.UNDETERMINED]
    counts = Counter(vote.label.value for vote in votes)
    if not decided:
        return votes[0].model_copy(update={"votes": dict(counts)})
    ranked = Counter(vote.label for vote in decided).most_common()
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        first = votes[0]
        return Verdict(
            label=Label.UNDETERMINED,
            reason="tied_votes",
            votes=dict(counts),
            judge=first.judge,
            protocol=first.protocol,
        )
    winner, number = ranked[0]
    chosen = next(vote for vote in decided if vote.label is winner)
    return chosen.model_copy(
        update={
            "confidence": round(number / len(votes), 4),
            "confidence_kind": "votes",
            "votes": dict(counts),
        }
    )


def label_probabilities(
    text: str, logprobs: Sequence[tuple[str, float]], *, num_labels: int
) -> list[float] | None:
    """The probability of each label value in a JSON reply, in order.

    A label's probability is that of its tokens, given what came before: exp of the sum of their
    log-probabilities. None where the tokens do not spell the reply, or the reply does not hold
    `num_labels` labels.
    """
    values = list(_LABEL_VALUE.finditer(text))
    joined = "".join(token for token, _ in logprobs)
    shift = joined.find(text)
    if not logprobs or shift < 0 or len(values) != num_labels:
        return None
    sums = [0.0] * num_labels
    position = -shift
    for token, logprob in logprobs:
        end = position + len(token)
        for number, value in enumerate(values):
            if position < value.end(1) and end > value.start(1):
                sums[number] += logprob
        position = end
    return [round(min(1.0, math.exp(total)), 4) for total in sums]


def tag_probability(text: str, logprobs: Sequence[tuple[str, float]]) -> float | None:
    """The probability of a reply that is a label and little else: that of all its tokens."""
    if not logprobs or len(text) > 80:
        return None
    return round(min(1.0, math.exp(sum(logprob for _, logprob in logprobs))), 4)
