"""What a finished run reports: reasons, signs of a useless judge, and its exit code.

The rule: the output is always written; a fault of the output as a whole is an error that the
command raises last (exit code 1 for too many undetermined sentences, 3 where no reply of the judge
was usable).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.calls.usage import Meter
from annotator.judging.runs.verdict_tally import VerdictTally
from schemas.errors import BackendError, MaskDpoError, TooManyFailuresError

# People left these undetermined: nothing failed.
LEFT_OPEN = frozenset({"not_labelled"})
_MAY_BE_RETRIED = "pass --retry-failed to make failed calls again"
_ADVICE = {
    "no_document": "give the responses document_ids or a topic, or set "
    "annotate.find_documents=corpus",
    "cut_off": "raise sample.max_tokens where responses are cut off, annotate.llm.max_tokens where "
    "the judge's replies are",
    "evidence_not_found": "a larger judge quotes more exactly; annotate.llm.evidence=keep accepts "
    "verdicts without",
    "weak_evidence": "a larger judge quotes more; annotate.llm.evidence=keep accepts verdicts "
    "without",
    "copied_form": "the judge repeats its prompt; use a larger one",
    "prompt_too_long": "lower annotate.retrieval.max_tokens, or serve the judge with more context",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """Notes for the end of a run, and the fault of the run as a whole."""

    notes: Sequence[str]
    trouble: MaskDpoError | None


def assess_run(
    tally: VerdictTally, meter: Meter, *, judge: str, output: Path, max_undetermined_share: float
) -> RunOutcome:
    """The outcome of a run of `judge`, whose verdicts `tally` counted and `output` holds."""
    notes = tally.warnings(judge)
    if words := tally.describe_words():
        notes.append(words)
    undetermined = tally.describe_undetermined()
    if undetermined:
        advice = [
            _ADVICE[reason] for reason, _ in tally.reasons.most_common(2) if reason in _ADVICE
        ]
        named = "; ".join(
            [*advice, *([_MAY_BE_RETRIED] if meter.num_asked + meter.num_served else [])]
        )
        notes.append(
            f"{undetermined} and train on neither side"
            + (f". {_as_sentence(named)}" if named else "")
        )
    return RunOutcome(
        notes=notes,
        trouble=_find_trouble(tally, meter, output, max_undetermined_share),
    )


def _find_trouble(
    tally: VerdictTally, meter: Meter, output: Path, max_undetermined_share: float
) -> MaskDpoError | None:
    if meter.total_failure:
        return BackendError(f"{meter.total_failure}. The sentences are undetermined in {output}")
    share = tally.share_undetermined(but=LEFT_OPEN)
    if share > max_undetermined_share:
        return TooManyFailuresError(
            f"{tally.describe_undetermined()}, more than annotate.max_undetermined_share="
            f"{max_undetermined_share:g} allows; all sentences are in {output}"
        )
    return None


def _as_sentence(text: str) -> str:
    return text[0].upper() + text[1:]
