"""Drafts: what a form may hold, what each operation does, and the review that comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from formats.reviews.log import Logged
from maskdpo.desk.model import Draft
from maskdpo.desk.reading.act import Done, Person, Press, give_label, press, read_form, withdrawal
from maskdpo.desk.reading.draft import (
    DraftError,
    join_next,
    parts_of,
    read_draft,
    toggle_cut,
    toggle_evidence,
    toggle_words,
)
from schemas.labels import Label
from schemas.records import Annotation, Message, Sentence, Verdict
from schemas.reviews import Review, text_sha256

TEXT = "Mira was born in 1951. She bakes 👩‍🍳 bread."
PLACES = [(0, 22), (23, 43)]
ADA = Person(who="Ada", when="2026-01-01T10:00:00Z", blind=True)


def annotation(text: str = TEXT) -> Annotation:
    verdict = Verdict(
        label=Label.CONTRADICTORY, error_spans=[{"start": 17, "end": 21}], judge="made"
    )
    sentences = [
        Sentence(start=0, end=22, verdict=verdict),
        Sentence(start=23, end=len(text), verdict=Verdict(label=Label.NO_HALLUCINATION)),
    ]
    return Annotation(
        id="r", question_id="q", prompt=[Message(role="user", content="?")], text=text,
        sentences=sentences,
    )  # fmt: skip


def form(**values: Any) -> dict[str, str]:
    given = {"start": 0, "end": 22, "text_sha256": text_sha256(TEXT), **values}
    return {name: one if isinstance(one, str) else json.dumps(one) for name, one in given.items()}


def fault(code: str, call: Any, *arguments: Any) -> None:
    with pytest.raises(DraftError) as caught:
        call(*arguments)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "values",
    [
        {"start": 1}, {"end": 21}, {"start": 22, "end": 0}, {"start": "x"}, {"start": "1e3"},
        {"start": -1}, {"cuts": [0]}, {"cuts": [22]}, {"cuts": [9, 5]}, {"cuts": [5, 5]},
        {"cuts": "nonsense"}, {"cuts": {"a": 1}}, {"words": [[3, 3]]}, {"words": [[20, 25]]},
        {"words": [[5]]}, {"labels": ["nonsense"]}, {"labels": ["no_fact"]},
        {"labels": ["no_fact", "no_fact"], "cuts": [5]}, {"evidence": [["d", 4, 4]]},
        {"evidence": [["d", "x", 4]]}, {"words": [[0, 1]] * 2000}, {"start": 2**40},
        {"cuts": [4, 5]}, {"text_sha256": "0" * 64}, {"words": "[[0,1]"}, {"start": None},
    ],
)  # fmt: skip
def test_a_form_that_does_not_fit_the_text_is_stale(values: dict[str, Any]) -> None:
    fault("stale", read_form, form(**values), annotation())


def test_a_form_is_read_as_it_was_drawn() -> None:
    given = form(
        cuts=[9], labels=["no_fact"], words=[[17, 21]], evidence=[["d", 0, 4]], note=" a\r\nb "
    )
    draft = read_form(given, annotation())
    assert draft == Draft(
        start=0, end=22, cuts=[9], labels=[Label.NO_FACT], words=[(17, 21)],
        evidence=[("d", 0, 4)], note="a\nb",
    )  # fmt: skip


def test_the_place_may_be_several_sentences_and_nothing_else() -> None:
    assert read_draft(form(end=43), TEXT, annotation().sentences).end == 43
    fault("stale", read_draft, form(end=30), TEXT, annotation().sentences)


def test_words_are_added_joined_and_removed() -> None:
    draft = Draft(start=0, end=22)
    one = toggle_words(draft, TEXT, 4, 9)  # " was " without its blanks
    assert one.words == ((5, 8),)
    assert toggle_words(one, TEXT, 7, 13).words == ((5, 13),)
    assert toggle_words(one, TEXT, 17, 21).words == ((5, 8), (17, 21))
    assert toggle_words(one, TEXT, 5, 8).words == ()
    assert toggle_words(toggle_words(draft, TEXT, 0, 13), TEXT, 5, 8).words == ((0, 4), (9, 13))


def test_words_outside_or_without_text_are_refused() -> None:
    draft = Draft(start=0, end=22)
    fault("outside", toggle_words, draft, TEXT, 18, 26)
    fault("no_words", toggle_words, draft, TEXT, 4, 5)
    fault("no_words", toggle_words, draft, TEXT, 900, 905)


def test_cuts_toggle_and_leave_no_empty_part() -> None:
    draft = toggle_cut(Draft(start=0, end=22, labels=()), TEXT, 9)
    assert parts_of(draft, TEXT) == [(0, 8), (9, 22)]
    assert toggle_cut(draft, TEXT, 9).cuts == ()
    fault("empty_part", toggle_cut, draft, TEXT, 0)
    fault("empty_part", toggle_cut, draft, TEXT, 22)
    fault("empty_part", toggle_cut, draft, TEXT, 8)


def test_join_takes_the_next_sentence_and_ends_at_the_last() -> None:
    joined = join_next(Draft(start=0, end=22), annotation().sentences)
    assert (joined.start, joined.end) == (0, 43)
    fault("no_next", join_next, joined, annotation().sentences)


def test_evidence_toggles() -> None:
    one = toggle_evidence(Draft(start=0, end=22), "d", "A document.", 1, 10)
    assert one.evidence == (("d", 2, 10),)
    assert toggle_evidence(one, "d", "A document.", 2, 10).evidence == ()


def recorded(done: Done) -> Review:
    assert done.review is not None
    assert done.moves
    return done.review


def test_a_label_becomes_a_review_with_what_was_prepared() -> None:
    draft = Draft(start=0, end=22, words=((17, 21),), evidence=(("d", 0, 4),), note="why")
    review = recorded(give_label(Label.CONTRADICTORY, draft, annotation(), ADA, []))
    assert (review.action, review.start, review.end, review.blind) == ("label", 0, 22, True)
    assert [(one.start, one.end) for one in review.spans[0].error_spans] == [(17, 21)]
    assert [(one.document_id, one.start, one.end) for one in review.evidence] == [("d", 0, 4)]
    assert (review.who, review.when, review.note) == ("Ada", ADA.when, "why")
    assert review.text_sha256 == text_sha256(TEXT)


def test_parts_get_their_labels_one_after_the_other() -> None:
    draft = Draft(start=0, end=22, cuts=(9,), words=((17, 21),))
    first = give_label(Label.NO_HALLUCINATION, draft, annotation(), ADA, [])
    assert first.review is None
    assert not first.moves
    assert first.draft is not None
    review = recorded(give_label(Label.CONTRADICTORY, first.draft, annotation(), ADA, []))
    assert review.action == "split"
    assert [(one.start, one.end, one.label) for one in review.spans] == [
        (0, 8, Label.NO_HALLUCINATION), (9, 22, Label.CONTRADICTORY),
    ]  # fmt: skip
    assert not review.spans[0].error_spans
    assert [(one.start, one.end) for one in review.spans[1].error_spans] == [(17, 21)]


@pytest.mark.parametrize("label", [Label.NO_HALLUCINATION, Label.NO_FACT, Label.UNDETERMINED])
def test_wrong_words_need_a_label_that_says_something_is_wrong(label: Label) -> None:
    draft = Draft(start=0, end=22, words=((17, 21),))
    fault("words_need_wrong_label", give_label, label, draft, annotation(), ADA, [])


def test_agree_records_the_label_and_words_of_the_judge() -> None:
    review = recorded(press(Press.AGREE, Draft(start=0, end=22), annotation(), ADA, []))
    assert review.action == "agree"
    assert review.spans[0].label is Label.CONTRADICTORY
    assert [(one.start, one.end) for one in review.spans[0].error_spans] == [(17, 21)]


def test_agree_with_other_words_marked_is_a_label_of_ones_own() -> None:
    draft = Draft(start=0, end=22, words=((0, 4),))
    review = recorded(press(Press.AGREE, draft, annotation(), ADA, []))
    assert review.action == "label"
    assert [(one.start, one.end) for one in review.spans[0].error_spans] == [(0, 4)]


def test_agree_goes_with_one_sentence() -> None:
    fault("agree_one", press, Press.AGREE, Draft(start=0, end=43), annotation(), ADA, [])
    fault("agree_one", press, Press.AGREE, Draft(start=0, end=22, cuts=(9,)), annotation(), ADA, [])


def logged(*reviews: Review) -> list[Logged]:
    return [Logged(line=number, review=one) for number, one in enumerate(reviews, start=1)]


def test_the_same_decision_again_is_not_recorded_twice() -> None:
    draft = Draft(start=0, end=22)
    first = recorded(give_label(Label.NO_FACT, draft, annotation(), ADA, []))
    later = Person(who="Ada", when="2026-01-01T10:00:09Z", blind=False)
    again = give_label(Label.NO_FACT, draft, annotation(), later, logged(first))
    assert again.review is None
    assert again.moves
    assert give_label(Label.UNVERIFIABLE, draft, annotation(), later, logged(first)).review
    other = Person(who="Ben", when=later.when, blind=True)
    assert give_label(Label.NO_FACT, draft, annotation(), other, logged(first)).review


def test_flag_and_unflag_give_the_wanted_state() -> None:
    draft = Draft(start=0, end=22)
    first = press(Press.FLAG, draft, annotation(), ADA, [])
    assert first.review is not None
    assert not first.moves
    assert press(Press.FLAG, draft, annotation(), ADA, logged(first.review)).review is None
    second = press(Press.UNFLAG, draft, annotation(), ADA, logged(first.review))
    assert second.review is not None
    assert second.review.withdraws == first.review.id
    assert press(Press.UNFLAG, draft, annotation(), ADA, []).review is None


def test_a_note_waits_for_a_decision_or_repeats_it() -> None:
    draft = Draft(start=0, end=22, note="why")
    assert press(Press.NOTE, draft, annotation(), ADA, []).draft == draft
    first = recorded(give_label(Label.NO_FACT, Draft(start=0, end=22), annotation(), ADA, []))
    saved = press(Press.NOTE, draft, annotation(), ADA, logged(first)).review
    assert saved is not None
    assert (saved.note, saved.spans, saved.action) == ("why", first.spans, "label")
    assert press(Press.NOTE, draft, annotation(), ADA, logged(first, saved)).review is None


def test_a_withdrawal_names_the_review() -> None:
    first = recorded(give_label(Label.NO_FACT, Draft(start=0, end=22), annotation(), ADA, []))
    back = withdrawal(first, ADA)
    assert (back.action, back.withdraws, back.spans) == ("withdraw", first.id, [])
