import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.config import BuildConfig, Weighting
from dataset_builder.weights import find_unusable_confidence, make_spans
from schemas.errors import ConfigError
from schemas.labels import Label, LabelPolicy, Side
from schemas.records import Annotation, Message, Sentence, Span, Verdict

FRACTIONS = st.floats(0.0, 1.0)
VERDICTS = st.builds(
    Verdict,
    label=st.sampled_from(list(Label)),
    reason=st.just("not_labelled"),
    confidence=st.none() | FRACTIONS,
    source=st.sampled_from(["judge", "person"]),
)
SENTENCES = st.lists(VERDICTS, max_size=6).map(
    lambda verdicts: [
        Sentence(start=2 * index, end=2 * index + 1, verdict=verdict)
        for index, verdict in enumerate(verdicts)
    ]
)
TRAINS = {
    Side.CHOSEN: {Label.NO_HALLUCINATION, Label.NO_FACT},
    Side.REJECTED: {Label.CONTRADICTORY, Label.UNVERIFIABLE, Label.HALLUCINATED},
}


def spans_of(sentences: list[Sentence], side: Side, config: BuildConfig) -> list[Span]:
    row = Annotation(
        id="r",
        question_id="q",
        prompt=[Message(role="user", content="Who?")],
        text="a " * len(sentences),
        sentences=sentences,
    )
    return make_spans(row, side, config) or []


@given(sentences=SENTENCES, side=st.sampled_from(Side), least=FRACTIONS)
def test_a_span_for_every_sentence_weighted_by_policy_and_confidence(
    sentences: list[Sentence], side: Side, least: float
) -> None:
    spans = spans_of(sentences, side, BuildConfig(min_confidence=least))
    assert [(s.start, s.end, s.label) for s in spans] == [
        (s.start, s.end, s.verdict.label) for s in sentences
    ]
    for sentence, span in zip(sentences, spans, strict=True):
        verdict = sentence.verdict
        unsure = verdict.source == "judge" and (
            least > 0 and (verdict.confidence is None or verdict.confidence < least)
        )
        expected = 1.0 if verdict.label in TRAINS[side] and not unsure else 0.0
        assert span.weight == expected


@given(sentences=SENTENCES, side=st.sampled_from(Side), low=FRACTIONS, high=FRACTIONS)
def test_asking_for_more_confidence_never_adds_weight(
    sentences: list[Sentence], side: Side, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    lenient = spans_of(sentences, side, BuildConfig(min_confidence=low))
    strict = spans_of(sentences, side, BuildConfig(min_confidence=high))
    assert all(a.weight >= b.weight for a, b in zip(lenient, strict, strict=True))


@given(sentences=SENTENCES, chosen=st.sets(st.sampled_from(sorted(set(Label) - {"undetermined"}))))
def test_the_policy_decides_which_labels_train(
    sentences: list[Sentence], chosen: set[Label]
) -> None:
    config = BuildConfig(label_policy=LabelPolicy(chosen=tuple(chosen)))
    for span in spans_of(sentences, Side.CHOSEN, config):
        assert bool(span.weight) == (span.label in chosen)


@pytest.mark.parametrize("kind", ["votes", "logprob", "lexical", None])
@pytest.mark.parametrize("source", ["judge", "person"])
def test_a_ranking_is_no_weight(kind: str | None, source: str) -> None:
    verdict = Verdict(
        label=Label.NO_HALLUCINATION, confidence=0.9, confidence_kind=kind, source=source
    )
    row = Annotation(
        id="r1",
        question_id="q",
        prompt=[Message(role="user", content="Who?")],
        text="So.",
        sentences=[Sentence(start=0, end=3, verdict=verdict)],
    )
    message = find_unusable_confidence(row, BuildConfig(weighting=Weighting.CONFIDENCE))
    assert (message is not None) == (kind == "lexical" and source == "judge")
    assert find_unusable_confidence(row, BuildConfig()) is None
    if message is not None:
        assert "response 'r1', sentence [0, 3)" in message
        assert "--set build.weighting=binary" in message


def test_settings_out_of_range_or_unknown_are_refused_by_name() -> None:
    for values, words in (
        ({"min_confidence": 1.5}, "'min_confidence' is 1.5"),
        ({"test_share": 1.0}, "'test_share' is 1.0"),
        ({"min_margn": 0.1}, "did you mean 'min_margin'?"),
        ({"label_policy": {"chosen": ["undetermined"]}}, "trains on neither side"),
        ({"label_policy": {"chosen": ["factual"]}}, "label_policy.chosen[0]"),
        ({"license": "My Licence"}, "'license' is 'My Licence'"),
    ):
        with pytest.raises(ConfigError) as caught:
            BuildConfig.parse(values, where="build")
        assert words in str(caught.value)
