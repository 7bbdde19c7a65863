"""Agreement with people: figures as in scikit-learn's, rules of the count, degenerate cases."""

from __future__ import annotations

import json
import math
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    balanced_accuracy_score,
    cohen_kappa_score,
    precision_recall_fscore_support,
)

from annotator.agreement.disagreements import list_disagreements
from annotator.agreement.figures import FIGURES, Figure
from annotator.agreement.gold_verdicts import judge_gold, make_gold_tasks
from annotator.agreement.measure import (
    MIN_SLICE_SENTENCES,
    AgreementReport,
    measure_agreement,
    measure_judges,
)
from annotator.calls.usage import Meter
from annotator.judging.config import LexicalConfig
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.lexical import LexicalJudge
from schemas.errors import InputError
from schemas.events import Ended, Event, Started
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


def make_gold(
    labels: Sequence[Label],
    *,
    identifier: str = "a",
    topic: str = "",
    source: str = "",
    language: str = "",
) -> Annotation:
    """An annotation whose sentences are one letter each, as people of `source` labelled them."""
    return Annotation.model_validate(
        {
            "id": identifier,
            "question_id": f"q-{identifier}",
            "topic": topic,
            "language": language,
            "document_ids": ["d"],
            "prompt": [Message(role="user", content="Who?")],
            "text": "x" * len(labels),
            "sentences": [
                {
                    "start": index,
                    "end": index + 1,
                    "verdict": make_verdict(label).model_copy(update={"judge": source}),
                }
                for index, label in enumerate(labels)
            ],
        }
    )


class Scripted:
    """Answers the labels or verdicts it was given, or fails where it was given none.

    The last task comes first: the order of answers is the judge's own affair.
    """

    name = "scripted"

    def __init__(self, answers: Mapping[str, Sequence[Label | Verdict] | None]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def fingerprint(self) -> dict[str, object]:
        return {"judge": self.name}

    def notes(self) -> list[str]:
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        for task in reversed(tasks):
            self.asked.append(task.response.id)
            answers = self._answers[task.response.id]
            if answers is None:
                yield [(task, JudgeFailure(reason="timeout", detail=""))]
            else:
                yield [(task, [x if isinstance(x, Verdict) else make_verdict(x) for x in answers])]


def measure(gold: Sequence[Label], judged: Sequence[Label]) -> AgreementReport:
    return measure_agreement([make_gold(gold)], [DOCUMENT], Scripted({"a": judged}))


def check_classes(report: dict[str, Any], truth: list[bool], said: list[bool]) -> None:
    """Precision, recall and F1 of both classes; scikit-learn's nan is our None."""
    for name, is_class in (("hallucinated", True), ("factual", False)):
        scores: Any = [[math.nan]] * 3  # scikit-learn takes no empty lists
        if truth:
            scores = precision_recall_fscore_support(
                [one is is_class for one in truth],
                [other is is_class for other in said],
                labels=[True],
                zero_division=math.nan,
            )
        for figure, (expected,) in zip(("precision", "recall", "f1"), scores[:3], strict=True):
            value = report[f"{figure}_{name}"]
            assert (value is None) == math.isnan(expected), (figure, name)
            assert value is None or value == pytest.approx(expected), (figure, name)


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
    check_classes(report, truth, said)
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
    assert report.agreement["balanced_accuracy"].value == 1.0


def test_what_people_left_open_is_left_out() -> None:
    report = measure([UNDETERMINED, FACTUAL, HALLUCINATED], [HALLUCINATED, FACTUAL, HALLUCINATED])
    assert (report.num_sentences, report.num_hallucinated) == (2, 1)
    assert report.agreement["balanced_accuracy"].value == 1.0


def test_what_the_judge_leaves_open_lowers_coverage_alone() -> None:
    report = measure(
        [FACTUAL, HALLUCINATED, FACTUAL, HALLUCINATED],
        [FACTUAL, HALLUCINATED, UNDETERMINED, UNDETERMINED],
    )
    assert report.agreement["balanced_accuracy"].value == 1.0
    assert report.agreement["coverage"].value == 0.5


def test_a_judge_that_stops_ends_its_progress() -> None:
    """Else a log would go on about a run that is over."""
    gold = [make_gold([FACTUAL])]
    events: list[Event] = []
    with pytest.raises(KeyError):  # of a judge without an answer
        judge_gold(
            gold,
            make_gold_tasks(gold, [DOCUMENT]),
            Scripted({}),
            meter=Meter(),
            on_event=events.append,
        )
    assert [type(event) for event in events] == [Started, Ended]


def test_a_failed_response_is_undecided() -> None:
    gold = [make_gold([FACTUAL, HALLUCINATED]), make_gold([FACTUAL], identifier="b")]
    judge = Scripted({"a": [FACTUAL, HALLUCINATED], "b": None})
    report = measure_agreement(gold, [DOCUMENT], judge)
    assert report.agreement["coverage"].value == pytest.approx(2 / 3)
    assert report.agreement.abstentions == {"timeout": 1}
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


def test_intervals_are_over_groups_and_hold_the_figure() -> None:
    rng = random.Random(5)
    gold, answers = [], {}
    for number in range(40):
        truth = [rng.choice([FACTUAL, HALLUCINATED]) for _ in range(6)]
        flipped = {FACTUAL: HALLUCINATED, HALLUCINATED: FACTUAL}
        answers[str(number)] = [label if rng.random() < 0.8 else flipped[label] for label in truth]
        gold.append(make_gold(truth, identifier=str(number), topic=f"t{number % 20}"))
    report = measure_agreement(gold, [DOCUMENT], Scripted(answers))
    line = report.agreement
    assert (report.num_groups, report.num_responses) == (20, 40)
    for name in FIGURES:
        figure = line[name]
        assert figure.value is not None and figure.low is not None and figure.high is not None
        if name != "coverage":  # everything is decided: 1.0 in every group
            assert figure.low < figure.value < figure.high, name
            assert 0.03 < figure.high - figure.low < 0.4, name
    assert line["coverage"].low == pytest.approx(0.025 ** (1 / 20))
    assert line["coverage"].high == 1.0
    assert report == measure_agreement(gold, [DOCUMENT], Scripted(answers))
    # The same sentences in one group: nothing to compare them with.
    single = [item.model_copy(update={"topic": "t"}) for item in gold]
    alone = measure_agreement(single, [DOCUMENT], Scripted(answers)).agreement
    for name in FIGURES:
        assert alone[name] == Figure(value=line[name].value)


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


def random_gold(num_groups: int = 12) -> tuple[list[Annotation], dict[str, list[Label]]]:
    """Groups of two responses, and a judge that is right four times in five."""
    rng = random.Random(11)
    gold, answers = [], {}
    for number in range(2 * num_groups):
        truth = [rng.choice([FACTUAL, HALLUCINATED, NO_FACT]) for _ in range(4)]
        wrong = {FACTUAL: HALLUCINATED, NO_FACT: HALLUCINATED, HALLUCINATED: FACTUAL}
        answers[str(number)] = [
            rng.choices([label, wrong[label], UNDETERMINED], [0.7, 0.2, 0.1])[0] for label in truth
        ]
        gold.append(
            make_gold(
                truth,
                identifier=str(number),
                topic=f"t{number // 2}",
                source="few" if number < 4 else "many",
                language="zh" if number % 2 else "en",
            )
        )
    return gold, answers


def test_the_order_of_responses_moves_no_figure_and_no_interval() -> None:
    gold, answers = random_gold()
    report = measure_agreement(gold, [DOCUMENT], Scripted(answers)).to_dict()
    random.Random(3).shuffle(gold)
    assert measure_agreement(gold, [DOCUMENT], Scripted(answers)).to_dict() == report


def test_a_perfect_judge_and_its_opposite() -> None:
    gold, _ = random_gold()
    truth = {item.id: [s.verdict.label for s in item.sentences] for item in gold}
    perfect = measure_agreement(gold, [DOCUMENT], Scripted(truth)).agreement
    for name in FIGURES:
        figure = perfect[name]
        assert (figure.value, figure.high) == (1.0, 1.0), name
        assert figure.low is not None and 0.4 < figure.low < 0.9, name  # 12 groups are not all
    opposite = {
        name: [FACTUAL if label is HALLUCINATED else HALLUCINATED for label in labels]
        for name, labels in truth.items()
    }
    report = measure_agreement(gold, [DOCUMENT], Scripted(opposite))
    assert report.agreement["balanced_accuracy"].value == 0.0
    assert report.agreement["f1_factual"].value == 0.0
    kappa = report.agreement["kappa"].value
    assert kappa is not None and kappa < -0.5


def test_slices_are_the_figures_of_their_sentences_alone() -> None:
    gold, answers = random_gold()
    report = measure_agreement(gold, [DOCUMENT], Scripted(answers))
    assert list(report.by_source) == ["few", "many"]
    assert list(report.by_language) == ["en", "zh"]
    assert report.by_source["few"].num_sentences == 16 < MIN_SLICE_SENTENCES
    assert report.by_source["few"].is_small
    assert not report.by_source["many"].is_small
    alone = measure_agreement(
        [item for item in gold if item.language == "zh"], [DOCUMENT], Scripted(answers)
    )
    assert report.by_language["zh"].agreement == alone.agreement
    assert sum(part.num_sentences for part in report.by_language.values()) == report.num_sentences
    json.dumps(report.to_dict(), allow_nan=False)


def test_names_that_are_missing_make_a_slice_of_their_own() -> None:
    report = measure([FACTUAL, HALLUCINATED], [FACTUAL, HALLUCINATED])
    assert list(report.by_source) == list(report.by_language) == ["not named"]


def test_abstentions_are_counted_by_reason_the_most_frequent_first() -> None:
    def undetermined(reason: str) -> Verdict:
        return Verdict(label=UNDETERMINED, reason=reason)

    answers = [undetermined("unparsable"), undetermined("timeout"), undetermined("timeout")]
    gold = [make_gold([FACTUAL, FACTUAL, HALLUCINATED, HALLUCINATED])]
    judge = Scripted({"a": [*answers, HALLUCINATED]})
    line = measure_agreement(gold, [DOCUMENT], judge).agreement
    assert list(line.abstentions.items()) == [("timeout", 2), ("unparsable", 1)]
    assert line.num_decided == 1


def test_a_wrong_number_of_verdicts_decides_nothing() -> None:
    report = measure([FACTUAL, HALLUCINATED], [FACTUAL])
    assert report.agreement.abstentions == {"verdict_count": 2}


def test_no_judge_is_asked_of_a_response_without_labels() -> None:
    gold = [make_gold([UNDETERMINED]), make_gold([FACTUAL, UNDETERMINED], identifier="b")]
    judge = Scripted({"b": [FACTUAL, FACTUAL]})
    report = measure_agreement(gold, [DOCUMENT], judge)
    assert judge.asked == ["b"]
    assert (report.num_responses, report.num_sentences) == (1, 1)


def test_confidence_is_measured_over_what_was_decided() -> None:
    verdicts = [
        Verdict(label=FACTUAL, confidence=0.9),
        Verdict(label=Label.CONTRADICTORY, confidence=0.6),
        Verdict(label=FACTUAL),
        Verdict(label=UNDETERMINED, reason="unsure", confidence=0.1),
    ]
    gold = [make_gold([FACTUAL, FACTUAL, FACTUAL, FACTUAL])]
    found = measure_agreement(gold, [DOCUMENT], Scripted({"a": verdicts})).calibration
    assert found is not None
    assert (found.num_sentences, found.num_without_confidence) == (2, 1)
    assert (found.share_right, found.auroc) == (0.5, 1.0)
    assert found.brier_score == pytest.approx((0.1**2 + 0.6**2) / 2)
    assert measure([FACTUAL], [FACTUAL]).calibration is None


def test_the_lexical_line_is_the_lexical_judge_at_its_defaults() -> None:
    gold, _ = random_gold()
    default, strict = measure_judges(
        gold, [DOCUMENT], [LexicalJudge(), LexicalJudge(LexicalConfig(threshold=1.0))]
    )
    assert default.agreement == default.baselines["lexical"] == strict.baselines["lexical"]
    assert strict.agreement != default.agreement


def test_disagreements_come_surest_first_with_their_evidence() -> None:
    evidence = [
        {"document_id": "d", "start": 0, "end": 21},
        {"document_id": "?", "start": 0, "end": 1},
    ]
    verdicts = [
        Verdict(label=HALLUCINATED, confidence=0.6),
        Verdict(label=FACTUAL, confidence=1.0),
        Verdict(label=HALLUCINATED),
        Verdict.model_validate(
            {"label": HALLUCINATED, "confidence": 0.8, "rationale": "why", "evidence": evidence}
        ),
        Verdict(label=UNDETERMINED, reason="unsure"),
    ]
    gold = [make_gold([FACTUAL, FACTUAL, NO_FACT, FACTUAL, FACTUAL], source="s", topic="t")]
    report = measure_agreement(gold, [DOCUMENT], Scripted({"a": verdicts}))
    found = list_disagreements(report.sentences, {"d": DOCUMENT}, judge="scripted")
    assert [(row.start, row.confidence) for row in found] == [(3, 0.8), (0, 0.6), (2, None)]
    first = found[0]
    assert (first.people_label, first.judge_label) == (FACTUAL, HALLUCINATED)
    assert (first.text, first.rationale, first.source, first.group) == ("x", "why", "s", "t")
    assert [quote.text for quote in first.evidence] == ["She works as a baker.", None]
