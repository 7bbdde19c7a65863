"""What a run's verdicts amount to, and the signs of a judge that does not judge."""

import pytest

from annotator.judging.runs.verdict_tally import MIN_DECIDED, VerdictTally
from schemas.labels import Label
from schemas.records import Document, ErrorSpan, MissingWords, Verdict

DOCUMENT = Document(
    id="d",
    text="Karsted lies on the Ume.\nThe bridge of\nKarsted opened in 1999. "
    "桥于一九九九年在卡斯特落成。",
)


def verdict(label: str, reason: str | None = None) -> Verdict:
    return Verdict(label=Label(label), reason=reason, judge="j")


def tally_of(labels: list[str], sentence: str = "Ada sang.") -> VerdictTally:
    tally = VerdictTally()
    for label in labels:
        tally.add(
            [sentence],
            [verdict(label, "cut_off" if label == "undetermined" else None)],
            [DOCUMENT],
        )
    return tally


def test_labels_and_reasons_are_counted():
    tally = VerdictTally()
    found = [verdict("undetermined", "no_document"), verdict("no_fact"), verdict("contradictory")]
    tally.add(["A.", "B.", "C."], found, [])
    tally.add(["D."], [verdict("undetermined", "cut_off")], [])
    assert tally.num_decided == 2
    assert tally.share_undetermined() == 0.5
    assert tally.describe_undetermined() == (
        "2 of 4 sentences are undetermined (no_document 1, cut_off 1)"
    )


def test_words_are_counted_where_a_judge_was_asked_for_them():
    spans = {"error_spans": [ErrorSpan(start=70, end=73)]}
    whole = {"error_spans": [ErrorSpan(start=70, end=78), ErrorSpan(start=74, end=78)]}
    lost = {"missing_error_words": [MissingWords(words="", reason="none_given")]}
    bad, good = verdict("contradictory"), verdict("no_fact")
    found = [
        bad,
        bad.model_copy(update=spans | lost),
        bad.model_copy(update=whole),
        bad.model_copy(update=lost),
        good.model_copy(update=lost),
        bad.model_copy(update=spans | {"source": "person"}),
    ]
    tally = VerdictTally()
    tally.add(["Ada sang."] * len(found), found, [])
    assert dict(tally.words) == {"found": 1, "whole_sentence": 1, "none_given": 1, "ignored": 1}
    assert tally.describe_words() == (
        "wrong words were found in 2 of 3 hallucinated sentences, in 1 of them all words of the "
        "sentence; 1 are marked as a whole (no words given 1); words of sentences with "
        "other labels are not used (1)"
    )
    assert VerdictTally().describe_words() == ""


def test_reasons_set_aside_count_neither_for_nor_against():
    tally = tally_of(["no_fact", "undetermined", "undetermined"])
    assert tally.share_undetermined(but=frozenset({"cut_off"})) == 0.0
    assert VerdictTally().share_undetermined() == 0.0
    assert VerdictTally().describe_undetermined() == ""


@pytest.mark.parametrize("label", ["unverifiable", "no_hallucination", "contradictory", "no_fact"])
def test_a_judge_that_gives_one_label_only_is_reported(label: str):
    (warning,) = tally_of([label] * MIN_DECIDED).warnings("tiny")
    assert f"{MIN_DECIDED} of {MIN_DECIDED} decided sentences are {label}" in warning
    assert "tiny" in warning


def test_one_label_among_undetermined_ones_is_reported():
    (warning,) = tally_of(["unverifiable"] * MIN_DECIDED + ["undetermined"] * 50).warnings("j")
    assert f"{MIN_DECIDED} of {MIN_DECIDED} decided sentences are unverifiable" in warning


def test_few_or_mixed_labels_are_not_reported():
    assert not tally_of(["unverifiable"] * (MIN_DECIDED - 1)).warnings("j")
    assert not tally_of(["no_hallucination"] * 40 + ["unverifiable"] * 2).warnings("j")
    assert not tally_of(["unverifiable"] * 40 + ["no_hallucination"] * 5).warnings("j")
    assert tally_of(["unverifiable"] * 17 + ["no_hallucination"]).warnings("j")
    assert not tally_of(["undetermined"] * 50).warnings("j")


@pytest.mark.parametrize("label", ["unverifiable", "contradictory", "hallucinated"])
@pytest.mark.parametrize(
    "sentence",
    [
        "The bridge of Karsted opened in 1999.",
        "the  bridge of Karsted opened in 1999",
        "桥于一九九九年在卡斯特落成。",
    ],
)
def test_a_sentence_of_the_document_called_wrong_is_reported(label: str, sentence: str):
    tally = tally_of([label], sentence)
    assert tally.num_verbatim == 1
    (warning,) = tally.warnings("j")
    assert sentence[4:10].split()[0] in warning


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("no_hallucination", "The bridge of Karsted opened in 1999."),
        ("undetermined", "The bridge of Karsted opened in 1999."),
        ("no_fact", "The bridge of Karsted opened in 1999."),
        ("contradictory", "The bridge of Karsted opened in 1998."),
        ("contradictory", "in 1999."),
    ],
)
def test_other_sentences_are_not(label: str, sentence: str):
    assert tally_of([label], sentence).num_verbatim == 0
