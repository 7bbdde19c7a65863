"""The words for our labels in prompts, in every protocol except `anah`.

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
