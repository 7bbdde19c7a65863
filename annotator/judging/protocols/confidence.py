"""A judge's confidence: the share of its votes, or the probability of the label it wrote.

The rule: confidence is stored with a verdict and changes nothing here. `build` alone decides which
verdicts are too uncertain to train on.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from annotator.judging.evidence.wrong_words import combine_words
from schemas.labels import Label
from schemas.records import Verdict

_LABEL_VALUE = re.compile(r'"label"\s*:\s*"([^"]*)"')


def combine_votes(votes: Sequence[Verdict], *, keep_share: bool) -> Verdict:
    """One verdict of several drawn for the same sentence: the label of more than half of them.

    With `keep_share`, its share of all votes is the verdict's confidence; undetermined votes count,
    so they lower it. Without such a label it is undetermined: `tied_votes` where two lead with
    equal votes, `no_majority` where one leads with half or less, the reason of the first vote where
    none decided. Quotes and rationale are those of the first vote for the winner; error spans are
    the words that more than half of the votes for it mark (annotator/judging/evidence/
    wrong_words.py).
    """
    if len(votes) == 1:
        return votes[0]
    decided = [vote for vote in votes if vote.label is not Label.UNDETERMINED]
    counts = dict(Counter(vote.label.value for vote in votes))
    if not decided:
        return votes[0].model_copy(update={"votes": counts})
    ranked = Counter(vote.label for vote in decided).most_common()
    winner, number = ranked[0]
    if 2 * number <= len(votes):
        is_tied = len(ranked) > 1 and ranked[1][1] == number
        return Verdict(
            label=Label.UNDETERMINED,
            reason="tied_votes" if is_tied else "no_majority",
            votes=counts,
            judge=votes[0].judge,
            protocol=votes[0].protocol,
        )
    winning = [vote for vote in decided if vote.label is winner]
    wrong = combine_words(winning)
    share = {"confidence": round(number / len(votes), 4), "confidence_kind": "votes"}
    words = {"error_spans": wrong.spans, "missing_error_words": wrong.missing}
    update = {"votes": counts} | words | (share if keep_share else {})
    return winning[0].model_copy(update=update)


def label_probabilities(
    text: str, logprobs: Sequence[tuple[str, float]], *, num_labels: int
) -> list[float] | None:
    """The probability of each label value in a JSON reply, in order.

    A label's probability is that of its tokens, given what came before: exp of the sum of their
    log-probabilities. None where the tokens do not form the reply, or the reply does not have
    `num_labels` labels.
    """
    if not are_sound(logprobs):
        return None
    values = list(_LABEL_VALUE.finditer(text))
    joined = "".join(token for token, _ in logprobs)
    shift = joined.find(text)
    if shift < 0 or len(values) != num_labels:
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
    """The probability of a reply with little more than a label: that of all its tokens."""
    if not are_sound(logprobs) or len(text) > 80:
        return None
    return round(min(1.0, math.exp(sum(logprob for _, logprob in logprobs))), 4)


def are_sound(logprobs: Sequence[tuple[str, float]]) -> bool:
    """Whether there are any, and all of them are log-probabilities."""
    return bool(logprobs) and all(
        math.isfinite(logprob) and logprob <= 1e-3 for _, logprob in logprobs
    )
