"""Agreement with people: figures held to scikit-learn, rules of the count, degenerate cases."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score

from annotator.judging.agreement import AgreementReport, measure_agreement
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.lexical import LexicalJudge
from schemas.errors import InputError
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Document, Message, Verdict

FACTUAL, HALLUCINATED = Label.NO_HALLUCINATION, Label.HALLUCINATED
NO_FACT, UNDETERMINED = Label.NO_FACT, Label.UNDETERMINED
LABELS = st.sampled_from(
    [FACTUAL, HALLUCINATED, NO_FACT, UNDETERMINED, Label.CONTRADICTORY, Label.UNVERIFIABLE]
)
DOCUMENT = Document(id="d", text="She works as a baker. She owns a cat.")


def make_verdict(label: Label) -> Verdict:
    return Verdict(label=label, reason="not_labelled" if label is UNDETERMINED else None)


def make_gold(labels: Sequence[Label], *, identifier: str = "a", topic: str = "") -> Annotation:
    """An annotation whose sentences are one letter each."""
    return Annotation.model_validate(
        {
            "id": identifier,
            "question_id": f"q-{identifier}",
            "topic": topic,
            "document_ids": ["d"],
            "prompt": [Message(role="user", content="Who?")],
            "text": "x" * len(labels),
            "sentences": [
                {"start": index, "end": index + 1, "verdict": make_verdict(label)}
                for index, label in enumerate(labels)
            ],
        }
    )


class Scripted:
    """Answers the labels it was given, or fails where it was given none; last task first."""

    name = "scripted"

    def __init__(self, answers: dict[str, Sequence[Label] | None]) -> None:
        self._answers = answers

    def fingerprint(self) -> dict[str, object]:
        return {"judge": self.name}

    def notes(self) -> list[str]:
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        for task in reversed(tasks):
            labels = self._answers[task.response.id]
            if labels is None:
                yield [(task, JudgeFailure(reason="timeout", detail=""))]
            else:
                yield [(task, [make_verdict(label) for label in labels])]


def measure(gold: Sequence[Label], judged: Sequence[Label]) -> AgreementReport:
    return measure_agreement([make_gold(gold)], [DOCUMENT], Scripted({"a": judged}))


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60))
def test_figures_equal_scikit_learn(pairs: list[tuple[Label, Label]]) -> None:
    gold, judged = zip(*pairs, strict=True)
    report = measure(gold, judged).to_dict()
    known = [pair for pair in pairs if pair[0] is not UNDETERMINED]
    decided = [pair for pair in known if pair[1] is not UNDETERMINED]
    truth = [one in HALLUCINATED_LABELS for one, _ in decided]
    said = [other in HALLUCINATED_LABELS for _, other in decided]
    assert report["num_sentences"] == len(known)
    assert report["coverage"] == (len(decided) / len(known) if known else None)
    if len(set(truth)) == 2:
        assert report["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, said))
    else:
        assert report["balanced_accuracy"] is None
    if any(truth) or any(said):
        assert report["f1_hallucinated"] == pytest.approx(f1_score(truth, said))
    else:
        assert report["f1_hallucinated"] is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa = cohen_kappa_score(truth, said) if decided else float("nan")
    if len(set(truth) | set(said)) < 2:
        assert report["kappa"] is None
    else:
        assert report["kappa"] == pytest.approx(kappa)
    json.dumps(report, allow_nan=False)


def test_no_fact_is_not_hallucinated_on_either_side() -> None:
    report = measure([NO_FACT, HALLUCINATED, FACTUAL], [FACTUAL, HALLUCINATED, NO_FACT])
    assert report.agreement.balanced_accuracy == 1.0


def test_what_people_left_open_is_left_out() -> None:
    report = measure([UNDETERMINED, FACTUAL, HALLUCINATED], [HALLUCINATED, FACTUAL, HALLUCINATED])
    assert (report.num_sentences, report.num_hallucinated) == (2, 1)
    assert report.agreement.balanced_accuracy == 1.0


def test_what_the_judge_leaves_open_lowers_coverage_alone() -> None:
    report = measure(
        [FACTUAL, HALLUCINATED, FACTUAL, HALLUCINATED],
        [FACTUAL, HALLUCINATED, UNDETERMINED, UNDETERMINED],
    )
    assert report.agreement.balanced_accuracy == 1.0
    assert report.agreement.coverage == 0.5


def test_a_failed_response_is_undecided() -> None:
    gold = [make_gold([FACTUAL, HALLUCINATED]), make_gold([FACTUAL], identifier="b")]
    judge = Scripted({"a": [FACTUAL, HALLUCINATED], "b": None})
    report = measure_agreement(gold, [DOCUMENT], judge)
    assert report.agreement.coverage == pytest.approx(2 / 3)
    assert report.num_responses == 2


@pytest.mark.parametrize(
    ("gold", "judged"),
    [
        ([FACTUAL, FACTUAL], [FACTUAL, FACTUAL]),
        ([HALLUCINATED], [FACTUAL]),
        ([FACTUAL, HALLUCINATED], [UNDETERMINED, UNDETERMINED]),
        ([UNDETERMINED], [FACTUAL]),
    ],
)
def test_degenerate_cases_give_null(gold: list[Label], judged: list[Label]) -> None:
    report = measure(gold, judged).to_dict()
    assert report["balanced_accuracy"] is None
    assert report["balanced_accuracy_low"] is None
    assert report["balanced_accuracy_high"] is None
    json.dumps(report, allow_nan=False)


def test_no_gold_at_all_gives_null() -> None:
    report = measure_agreement([], [], LexicalJudge()).to_dict()
    assert (report["num_sentences"], report["coverage"], report["kappa"]) == (0, None, None)


def test_intervals_resample_groups_and_hold_the_figure() -> None:
    rng = random.Random(5)
    gold, answers = [], {}
    for number in range(40):
        truth = [rng.choice([FACTUAL, HALLUCINATED]) for _ in range(6)]
        flipped = {FACTUAL: HALLUCINATED, HALLUCINATED: FACTUAL}
        answers[str(number)] = [label if rng.random() < 0.8 else flipped[label] for label in truth]
        gold.append(make_gold(truth, identifier=str(number), topic=f"t{number % 20}"))
    report = measure_agreement(gold, [DOCUMENT], Scripted(answers), seed=1)
    line = report.agreement
    assert (report.num_groups, report.num_responses) == (20, 40)
    assert line.balanced_accuracy_low is not None and line.balanced_accuracy_high is not None
    assert line.balanced_accuracy is not None
    assert line.balanced_accuracy_low < line.balanced_accuracy < line.balanced_accuracy_high
    assert 0.03 < line.balanced_accuracy_high - line.balanced_accuracy_low < 0.25
    assert report == measure_agreement(gold, [DOCUMENT], Scripted(answers), seed=1)
    # The same sentences in one group leave nothing to resample.
    single = [item.model_copy(update={"topic": "t"}) for item in gold]
    alone = measure_agreement(single, [DOCUMENT], Scripted(answers), seed=1).agreement
    assert alone.balanced_accuracy == line.balanced_accuracy
    assert alone.balanced_accuracy_low is None


def test_lines_that_cost_nothing_stand_beside_the_judge() -> None:
    text = "She works as a baker. Comets melt iron."
    gold = Annotation.model_validate(
        make_gold([FACTUAL]).model_dump()
        | {
            "text": text,
            "sentences": [
                {"start": 0, "end": 21, "verdict": {"label": FACTUAL}},
                {"start": 22, "end": 39, "verdict": {"label": HALLUCINATED}},
            ],
        },
        strict=False,
    )
    report = measure_agreement([gold], [DOCUMENT], LexicalJudge()).to_dict()
    assert report["judge"] == "lexical"
    assert report["balanced_accuracy"] == 1.0
    assert report["baselines"]["overlap"]["balanced_accuracy"] == 1.0
    assert report["baselines"]["majority"]["balanced_accuracy"] == 0.5
    assert report["baselines"]["majority"]["kappa"] == 0.0


def test_a_document_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"annotation 'a'.*document 'd'"):
        measure_agreement([make_gold([FACTUAL])], [], LexicalJudge())
