"""The words with which prompts name our labels, in every protocol but `anah`.

The rule: they are in prompts and in replies of paid calls, so a changed word makes new calls.
"""

from __future__ import annotations

from schemas.labels import Label

LABEL_WORDS = {
    Label.NO_HALLUCINATION: "supported",
    Label.CONTRADICTORY: "contradicted",
    Label.UNVERIFIABLE: "not_mentioned",
    Label.NO_FACT: "no_fact",
}
