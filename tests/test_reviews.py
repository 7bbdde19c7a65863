"""What people decided beats the judge, is never lost, and never resolved without a word."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, questions, write_annotations
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.build import build_pairs, load_pairs
from dataset_builder.config import BuildConfig
from formats.reviews.apply import Replaced, Reviewed, apply_reviews
from formats.reviews.conflicts import ConflictRule
from formats.reviews.log import Logged
from maskdpo.publishing.dataset import build_dataset
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.labels import Label
from schemas.records import Annotation, Failure, Sentence
from schemas.reviews import Review, review_id
from schemas.spans import check_cover
from schemas.stage import failures_path

LABELS = list(Label)


def review(row: Annotation, first: int, last: int, *spans: Any, **changes: Any) -> Review:
    """Spans are (start, end, label); without one, the whole stretch is `no_hallucination`."""
    found = spans or [(first, last, GOOD)]
    values = {
        "response_id": row.id,
        "text_sha256": hashlib.sha256(row.text.encode()).hexdigest(),
        "start": first,
        "end": last,
        "action": "label",
        "spans": [{"start": a, "end": b, "label": label.value} for a, b, label in found],
        "who": "reviewer-7",
        "when": "2026-03-01T10:00:00Z",
    }
    values |= changes
    return Review.model_validate_json(json.dumps({**values, "id": review_id(values)}))


def logged(*reviews: Review) -> list[Logged]:
    return [Logged(line=line, review=item) for line, item in enumerate(reviews, start=1)]


def applied(
    row: Annotation, *reviews: Review, rule: ConflictRule = ConflictRule.SKIP
) -> tuple[Annotation, Reviewed]:
    """The row with these reviews, in the order of their file."""
    done = apply_reviews([row], {row.id: logged(*reviews)}, rule)
    return done.rows[0], done


def replaced(done: Reviewed, row: Annotation, start: int, end: int) -> Replaced:
    return done.replaced[row.id][start, end]


def shown(sentences: list[Sentence]) -> list[tuple[int, int, str, str]]:
    return [(s.start, s.end, s.verdict.label.value, s.verdict.source) for s in sentences]


def test_a_persons_label_takes_the_place_of_the_judges() -> None:
    row = annotation("r", [GOOD, BAD], texts=["It is so.", "It is not."])
    after, done = applied(row, review(row, 10, 20))
    assert shown(after.sentences) == [
        (0, 9, "no_hallucination", "judge"),
        (10, 20, "no_hallucination", "person"),
    ]
    origin = replaced(done, row, 10, 20)
    assert (origin.who, origin.when) == (["reviewer-7"], "2026-03-01T10:00:00Z")
    assert shown(list(origin.sentences)) == [(10, 20, "hallucinated", "judge")]
    assert (0, 9) not in done.replaced[row.id]
    assert row.sentences[1].verdict.label is BAD  # a verdict is never altered


def test_a_cut_sentence_keeps_no_verdict_outside_the_stretch() -> None:
    row = annotation("r", [BAD, GOOD], texts=["One two", "three four"])
    after, _ = applied(row, review(row, 4, 13, (4, 7, GOOD), action="split"))
    assert [
        (row.text[s.start : s.end], s.verdict.label.value, s.verdict.reason)
        for s in after.sentences
    ] == [
        ("One", "undetermined", "corrected_in_part"),
        ("two", "no_hallucination", None),
        ("three", "undetermined", "not_labelled"),
        ("four", "undetermined", "corrected_in_part"),
    ]


def test_the_later_review_of_a_person_counts_whatever_the_order_of_the_file() -> None:
    row = annotation("r", [GOOD], texts=["It is so."])
    early = review(row, 0, 9, (0, 9, BAD), when="2026-03-01T23:00:00+02:00")
    late = review(row, 0, 9, (0, 9, Label.NO_FACT), when="2026-03-01T22:00:00+00:00")
    for order in ([early, late], [late, early]):
        after, done = applied(row, *order)
        assert shown(after.sentences) == [(0, 9, "no_fact", "person")]
        assert shown(list(replaced(done, row, 0, 9).sentences)) == [
            (0, 9, "no_hallucination", "judge")
        ]
        assert (done.counts["reviews_applied"], done.counts["reviews_superseded"]) == (1, 1)


def test_a_higher_round_counts_whatever_its_time_and_a_later_line_at_one_time() -> None:
    row = annotation("r", [GOOD], texts=["It is so."])
    second = review(row, 0, 9, (0, 9, BAD), round=2, when="2026-01-01")
    first = review(row, 0, 9, (0, 9, Label.NO_FACT), when="2026-05-01")
    assert applied(row, second, first)[0].sentences[0].verdict.label is BAD
    again = review(row, 0, 9, (0, 9, Label.UNVERIFIABLE), when="2026-05-01")
    for order, last in (([first, again], Label.UNVERIFIABLE), ([again, first], Label.NO_FACT)):
        assert applied(row, *order)[0].sentences[0].verdict.label is last


def test_two_people_who_differ_are_a_conflict_that_names_both_and_is_not_resolved() -> None:
    row = annotation("r", [GOOD, GOOD], texts=["It is so.", "It is not."])
    one = review(row, 0, 9, (0, 9, BAD), who="Li", note="see page 3")
    two = review(row, 0, 9, (0, 9, GOOD), who="Bo", when="2026-03-02")
    after, done = applied(row, one, two)
    first = after.sentences[0].verdict
    assert (first.label, first.reason, first.source) == (
        Label.UNDETERMINED,
        "reviews_conflict",
        "person",
    )
    (conflict,) = done.conflicts
    assert (conflict.start, conflict.end, conflict.text, conflict.taken) == (0, 9, "It is so.", [])
    assert [(item.who, item.spans[0].label, item.note) for item in conflict.decisions] == [
        ("Bo", GOOD, ""),
        ("Li", BAD, "see page 3"),
    ]
    assert replaced(done, row, 0, 9).who == ["Bo", "Li"]
    assert (done.counts["conflicts"], done.counts["reviews_in_conflict"]) == (1, 2)
    assert done.counts["reviews_applied"] == 0


def test_people_who_agree_are_one_decision_of_both() -> None:
    row = annotation("r", [GOOD], texts=["It is so."])
    one = review(row, 0, 9, (0, 9, BAD), who="Li", when="2026-03-01")
    two = review(row, 0, 9, (0, 9, BAD), who="Bo", when="2026-03-02", blind=True)
    after, done = applied(row, one, two)
    assert shown(after.sentences) == [(0, 9, "hallucinated", "person")]
    origin = replaced(done, row, 0, 9)
    assert (origin.who, origin.when) == (["Bo", "Li"], "2026-03-02")
    assert not done.conflicts and done.counts["reviews_applied"] == 2


@pytest.mark.parametrize(
    ("rule", "labels", "taken"),
    [
        (ConflictRule.SKIP, [BAD, BAD, GOOD], None),
        (ConflictRule.MAJORITY, [BAD, BAD, GOOD], BAD),
        (ConflictRule.MAJORITY, [BAD, GOOD], None),
        (ConflictRule.MAJORITY, [BAD, BAD, GOOD, GOOD], None),
        (ConflictRule.LATEST, [BAD, BAD, GOOD], GOOD),
        (ConflictRule.LATEST, [BAD, GOOD, BAD], BAD),
    ],
)
def test_a_rule_decides_conflicts(
    rule: ConflictRule, labels: list[Label], taken: Label | None
) -> None:
    row = annotation("r", [Label.NO_FACT], texts=["It is so."])
    reviews = [
        review(row, 0, 9, (0, 9, label), who=f"p{number}", when=f"2026-03-0{number + 1}")
        for number, label in enumerate(labels)
    ]
    after, done = applied(row, *reviews, rule=rule)
    assert after.sentences[0].verdict.label is (taken or Label.UNDETERMINED)
    (conflict,) = done.conflicts
    assert [span.label for span in conflict.taken] == ([taken] if taken else [])
    assert len(conflict.decisions) == len(labels)


def test_two_latest_reviews_at_one_time_are_not_resolved() -> None:
    row = annotation("r", [GOOD], texts=["It is so."])
    one = review(row, 0, 9, (0, 9, BAD), who="Li", when="2026-03-01T12:00:00+02:00")
    two = review(row, 0, 9, (0, 9, GOOD), who="Bo", when="2026-03-01T10:00:00")
    after, _ = applied(row, one, two, rule=ConflictRule.LATEST)
    assert after.sentences[0].verdict.reason == "reviews_conflict"


def test_a_split_and_a_label_of_the_whole_agree_where_their_labels_do() -> None:
    row = annotation("r", [GOOD], texts=["It is so and so."])
    split = review(row, 0, 16, (0, 8, BAD), (9, 16, GOOD), who="Li", action="split")
    whole = review(row, 0, 16, (0, 16, BAD), who="Bo")
    after, done = applied(row, split, whole)
    assert [(s.start, s.end) for s in after.sentences] == [(0, 16)]
    assert len(done.conflicts) == 1 and done.counts["reviews_in_conflict"] == 2
    half = review(row, 0, 8, (0, 8, BAD), who="Bo", action="split")
    after, done = applied(row, split, half)
    assert shown(after.sentences) == [
        (0, 8, "hallucinated", "person"),
        (9, 16, "no_hallucination", "person"),
    ]
    assert not done.conflicts


def test_people_who_decided_on_neighbouring_sentences_do_not_disagree() -> None:
    row = annotation("r", [GOOD], texts=["是。否。"])
    one = review(row, 0, 2, (0, 2, BAD), who="Li")
    two = review(row, 2, 4, (2, 4, Label.NO_FACT), who="Bo")
    after, done = applied(row, one, two)
    assert not done.conflicts
    assert [(s.start, s.end, s.verdict.label) for s in after.sentences] == [
        (0, 2, BAD),
        (2, 4, Label.NO_FACT),
    ]


def test_a_label_of_the_whole_stays_where_another_person_decided_on_its_ends_only() -> None:
    row = annotation("r", [GOOD, BAD, GOOD], texts=["It is.", "It was.", "It will."])
    whole = review(row, 0, 23, who="Li", when="2026-02-01")
    ends = [
        review(row, first, last, (first, last, GOOD), who="Bo", when="2026-02-02")
        for first, last in ((0, 6), (15, 23))
    ]
    after, done = applied(row, whole, *ends)
    assert shown(after.sentences) == [(0, 23, "no_hallucination", "person")]
    assert not done.conflicts and done.counts["reviews_applied"] == 3


def test_agreement_is_a_label_and_skips_and_flags_are_none() -> None:
    row = annotation("r", [GOOD, BAD], texts=["It is so.", "It is not."])
    agree = review(row, 10, 20, who="Li", action="agree", spans=[])
    after, done = applied(row, agree)
    assert shown(after.sentences)[1] == (10, 20, "hallucinated", "person")
    assert done.counts["reviews_applied"] == 1
    label = review(row, 0, 9, (0, 9, BAD), when="2026-01-01")
    later = [
        review(row, 0, 9, action=action, spans=[], when="2026-02-01") for action in ("skip", "flag")
    ]
    after, done = applied(row, label, *later)
    assert after.sentences[0].verdict.label is BAD  # a skip takes no label back
    assert done.counts["reviews_without_label"] == 2
    odd = review(row, 0, 20, who="Li", action="agree", spans=[])
    assert applied(row, odd)[1].refused[0].reason == "no_such_sentence"


def test_identical_answers_share_their_reviews_and_other_texts_do_not() -> None:
    rows = [
        annotation("a", [GOOD], texts=["It is so."]),
        annotation("b", [BAD], texts=["It is so."]),
        annotation("c", [GOOD], texts=["It is not."]),
    ]
    done = apply_reviews(rows, {"b": logged(review(rows[1], 0, 9, (0, 9, Label.NO_FACT)))})
    assert [row.sentences[0].verdict.label for row in done.rows] == [
        Label.NO_FACT,
        Label.NO_FACT,
        GOOD,
    ]
    assert done.counts["labels_carried_over"] == 1 and done.counts["reviews_applied"] == 1
    other = review(rows[0], 0, 9, (0, 9, BAD), who="Bo")
    both = apply_reviews(
        rows,
        {"a": logged(other), "b": logged(review(rows[1], 0, 9, (0, 9, Label.NO_FACT)))},
    )
    (conflict,) = both.conflicts  # of two copies, and listed once
    assert {item.who for item in conflict.decisions} == {"Bo", "reviewer-7"}
    assert [row.sentences[0].verdict.reason for row in both.rows[:2]] == ["reviews_conflict"] * 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text_sha256": "0" * 64}, "text_changed"),
        ({"when": "yesterday"}, "bad_time"),
        ({"end": 99}, "bad_spans"),
        ({"start": 5, "end": 5}, "bad_spans"),
        ({"spans": [{"start": 0, "end": 12, "label": "no_fact"}]}, "bad_spans"),
        ({"spans": [{"start": 9, "end": 10, "label": "no_fact"}]}, "bad_spans"),
        (
            {
                "spans": [
                    {"start": 3, "end": 6, "label": "no_fact"},
                    {"start": 0, "end": 4, "label": "no_fact"},
                ]
            },
            "bad_spans",
        ),
    ],
)
def test_what_does_not_fit_the_text_is_refused(changes: dict[str, Any], reason: str) -> None:
    row = annotation("r", [BAD, BAD], texts=["It is so.", "Or not."])
    after, done = applied(row, review(row, 0, 10, **changes), review(row, 10, 17))
    assert [(failure.id, failure.reason) for failure in done.refused] == [("r", reason)]
    assert [s.verdict.label for s in after.sentences] == [BAD, GOOD]
    assert (done.counts["reviews_applied"], done.counts["reviews_refused"]) == (1, 1)


@st.composite
def reviewed_texts(draw: st.DrawFn, people: str = "A") -> tuple[Annotation, list[Review]]:
    texts = draw(st.lists(st.text("aé𝒳. ", min_size=1).filter(str.strip), min_size=1, max_size=4))
    row = annotation(
        "r",
        draw(st.lists(st.sampled_from(LABELS), min_size=len(texts), max_size=len(texts))),
        texts=texts,
    )
    found = []
    for number in range(draw(st.integers(0, 4))):
        marks = sorted(draw(st.sets(st.integers(0, len(row.text)), min_size=2, max_size=6)))
        spans = [
            (a, b, draw(st.sampled_from(LABELS)))
            for a, b in zip(marks[::2], marks[1::2], strict=False)
            if row.text[a:b].strip()
        ]
        changes = {"when": f"2026-03-0{draw(st.integers(1, 9))}", "note": str(number)}
        changes["who"] = draw(st.sampled_from(people))
        if spans:
            found.append(review(row, marks[0], marks[-1], *spans, **changes, action="split"))
    return row, found


@given(case=reviewed_texts())
def test_sentences_stay_sound_and_every_reviewed_character_is_the_persons(
    case: tuple[Annotation, list[Review]],
) -> None:
    row, reviews = case
    done, outcome = applied(row, *reviews)
    after = done.sentences
    check_cover(row.text, [(s.start, s.end) for s in after])
    assert not outcome.conflicts  # of one person alone
    # A painted text: each review in turn, the oldest first.
    painted: list[tuple[str, str] | None] = [None] * len(row.text)
    for sentence in row.sentences:
        paint(painted, sentence.start, sentence.end, (sentence.verdict.label, "judge"))
    for one in sorted(reviews, key=lambda item: item.when):  # stable: one time, later line
        paint(painted, one.start, one.end, (Label.UNDETERMINED, "person"))
        for span in one.spans:
            paint(painted, span.start, span.end, (span.label, "person"))
    for sentence in after:
        if sentence.verdict.reason == "corrected_in_part":
            continue
        place = range(sentence.start, sentence.end)
        seen = {painted[i] for i in place if row.text[i].strip()}
        assert seen == {(sentence.verdict.label, sentence.verdict.source)}
    touched = [(one.start, one.end) for one in reviews]
    for sentence in row.sentences:
        if not any(a < sentence.end and sentence.start < b for a, b in touched):
            assert sentence in after


@given(
    case=reviewed_texts(people="ABC"),
    rule=st.sampled_from(list(ConflictRule)),
    data=st.data(),
)
def test_of_several_people_no_label_is_lost_and_each_review_is_in_one_group(
    case: tuple[Annotation, list[Review]], rule: ConflictRule, data: st.DataObject
) -> None:
    row, reviews = case
    entries = logged(*reviews)
    done = apply_reviews([row], {row.id: entries}, rule)
    assert done == apply_reviews([row], {row.id: data.draw(st.permutations(entries))}, rule)
    check_cover(row.text, [(s.start, s.end) for s in done.rows[0].sentences])
    groups = ("applied", "superseded", "in_conflict", "without_label", "refused")
    assert sum(done.counts.get(f"reviews_{name}", 0) for name in groups) == len(reviews)
    contested = [(item.start, item.end) for item in done.conflicts]
    listed = {item.review_id for conflict in done.conflicts for item in conflict.decisions}
    # By person: the labels that no later review of theirs touches, each with its place.
    last: dict[str, list[tuple[Review, int, int, Label]]] = {who: [] for who in "ABC"}
    for one in sorted(reviews, key=lambda item: item.when):
        last[one.who] = [
            item for item in last[one.who] if item[2] <= one.start or one.end <= item[1]
        ] + [(one, span.start, span.end, span.label) for span in one.spans]
    labels = {
        place: sentence.verdict
        for sentence in done.rows[0].sentences
        for place in range(sentence.start, sentence.end)
    }
    for one, start, end, label in (item for items in last.values() for item in items):
        for place in (i for i in range(start, end) if row.text[i].strip()):
            if any(a <= place < b for a, b in contested):
                assert one.id in listed
            else:
                assert (labels[place].label, labels[place].source) == (label, "person")


def paint(
    painted: list[tuple[str, str] | None], start: int, end: int, colour: tuple[str, str]
) -> None:
    painted[start:end] = [colour] * (end - start)


def test_reviews_decide_selection_and_weights() -> None:
    best, worst = annotation("b", [GOOD, GOOD]), annotation("w", [GOOD, BAD])
    whole = len(best.text)
    wrong = review(best, 0, whole, (0, whole, BAD))
    plain = build_pairs([best, worst], BuildConfig()).pairs
    assert (plain[0].chosen_id, plain[0].rejected_id) == ("b", "w")
    (pair,) = build_pairs([best, worst], BuildConfig(), reviews={"b": logged(wrong)}).pairs
    assert (pair.chosen_id, pair.rejected_id) == ("w", "b")
    assert pair.id != plain[0].id
    assert [span.weight for span in pair.rejected_spans or []] == [1.0]
    assert pair.judge == "j | person"


def test_a_build_keeps_who_reviewed_what_and_counts_the_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = questions(6)
    bad = Annotation.model_validate_json(json.dumps(rows[2]))
    half = Annotation.model_validate_json(json.dumps(rows[1]))
    given_rows = [
        review(half, 0, len(half.text), (0, len(half.text), GOOD)),
        review(bad, 0, len(bad.text), text_sha256="f" * 64),
        review(bad, 0, len(bad.text), response_id="nobody"),
    ]
    path = tmp_path / "dr_li.jsonl"
    path.write_text("".join(row.model_dump_json() + "\n" for row in given_rows), encoding="utf-8")
    result = build_dataset(
        BuildConfig(test_share=0.0),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        reviews=[path],
        output=tmp_path / "dataset",
    )
    assert (result.counts["reviews_applied"], result.counts["reviews_refused"]) == (1, 2)
    assert result.counts["reviews"] == 3
    assert result.counts["verdicts_person"] == 1
    failures = read_records(failures_path(result.output), Failure)
    assert [(row.id, row.reason) for row in failures] == [
        ("nobody", "unknown_response"),
        (bad.id, "text_changed"),
    ]
    assert "holds reviews of 1 person as reviewer-1" in result.notes[0]
    assert "2 reviews were refused" in result.notes[1]
    table = pq.read_table(result.output / "sentences" / "train-00000-of-00001.parquet").to_pylist()
    (found,) = [row for row in table if row["correction"] is not None]
    assert (found["response_id"], found["source"], found["judge"]) == (half.id, "person", "person")
    assert found["correction"]["who"] == "reviewer-1"
    assert [entry["label"] for entry in found["correction"]["replaced"]] == [GOOD, BAD]
    manifest = (result.output / "manifest.json").read_text(encoding="utf-8")
    card = (result.output / "README.md").read_text(encoding="utf-8")
    assert "reviewer-7" not in manifest + card
    assert "reviews.jsonl" in json.loads(manifest)["inputs"]
    assert "dr_li" not in manifest  # a file's name may be a person's
    assert len(load_pairs(result.output, "train")) == 6


def test_at_one_time_the_reviews_count_and_not_the_corrections_before_them(tmp_path: Path) -> None:
    rows = questions(2)
    row = Annotation.model_validate_json(json.dumps(rows[0]))
    places = [(item.start, item.end) for item in row.sentences]
    old = [review(row, *place, (*place, BAD), when="2026-03-01") for place in places]
    new = review(row, *places[-1], (*places[-1], Label.NO_FACT), when="2026-03-01")
    paths = [tmp_path / name for name in ("corrections.jsonl", "reviews.jsonl")]
    for path, items in zip(paths, (old, [new]), strict=True):
        path.write_text("".join(item.model_dump_json() + "\n" for item in items), encoding="utf-8")
    annotations = write_annotations(tmp_path / "annotations.jsonl", rows)
    output = tmp_path / "dataset"
    settings = BuildConfig(test_share=0.0, near_duplicate=0.0)
    build_dataset(settings, annotations=annotations, output=output, reviews=paths)
    table = pq.read_table(output / "sentences").to_pylist()
    (found,) = [
        item for item in table if (item["response_id"], item["start"]) == (row.id, places[-1][0])
    ]
    assert found["label"] == Label.NO_FACT


def test_a_file_of_reviews_that_is_no_such_thing_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "dr_li.jsonl"
    path.write_text(json.dumps(annotation_row("a", [GOOD])) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"dr_li\.jsonl:1: "):
        build_dataset(
            BuildConfig(),
            annotations=write_annotations(tmp_path / "annotations.jsonl", questions(2)),
            reviews=[path],
            output=tmp_path / "dataset",
        )
    assert not (tmp_path / "dataset").exists()


def test_what_was_forgotten_is_in_no_later_build(tmp_path: Path) -> None:
    from formats.forgotten import FORGOTTEN_NAME, remember

    rows = questions(6)
    kept = Annotation.model_validate_json(json.dumps(rows[0]))
    path = tmp_path / "people.jsonl"
    whole = (0, len(kept.text), BAD)
    reviews = [review(kept, *whole[:2], whole, who=who) for who in ("Li", "Bo")]
    path.write_text("".join(row.model_dump_json() + "\n" for row in reviews), encoding="utf-8")
    remember(tmp_path / FORGOTTEN_NAME, people=["Li"], responses=[rows[4]["id"]])
    result = build_dataset(
        BuildConfig(test_share=0.0),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        reviews=[path],
        output=tmp_path / "dataset",
    )
    assert (result.counts["responses"], result.counts["forgotten"]) == (17, 2)
    assert (result.counts["reviews"], result.counts.get("conflicts", 0)) == (1, 0)
    assert any("2 responses and reviews are left out" in note for note in result.notes)


def test_a_build_that_conflicts_leave_without_a_pair_lists_them(tmp_path: Path) -> None:
    rows = questions(1)
    path = tmp_path / "people.jsonl"
    found = []
    for values in rows:
        row = Annotation.model_validate_json(json.dumps(values))
        whole = len(row.text)
        found += [
            review(row, 0, whole, (0, whole, label), who=who)
            for who, label in (("Li", GOOD), ("Bo", BAD))
        ]
    path.write_text("".join(item.model_dump_json() + "\n" for item in found), encoding="utf-8")
    with pytest.raises(InputError, match=r"gives no pair.*people disagree on 3 places, listed in"):
        build_dataset(
            BuildConfig(test_share=0.0),
            annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
            reviews=[path],
            output=tmp_path / "dataset",
        )
    assert len((tmp_path / "dataset.conflicts.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "dataset").exists()
