"""Pieces of sentences: weights on the wrong words alone, and everything that reads such pairs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, questions, write_annotations
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_oracle import Parts, TokenizerUnderTest, expected_weights, train_byte_level
from tiny_models import byte_level_tokenizer, tiny_llama
from train_support import train

import maskdpo
from dataset_builder.build import build_pairs, load_pairs, run_build
from dataset_builder.config import BuildConfig, Granularity
from dataset_builder.folder.merge import run_merge
from dataset_builder.folder.read import load_manifest
from dataset_builder.folder.row_faults import FaultKind
from dataset_builder.folder.statistics import compute_statistics
from dataset_builder.folder.validate import validate_folder
from dataset_builder.splits.splits import Split
from dataset_builder.weights import lacks_wrong_words, make_spans, measure_active
from formats.export import ExportFormat, run_export
from formats.trl import trl_pair
from maskdpo.api.tokens import token_weights
from maskdpo.publishing.dataset import build_dataset
from maskdpo.publishing.model_card import ModelFacts, render_model_card
from schemas.error_spans import given_places, group_pieces, trim_words, wrong_words
from schemas.errors import ConfigError, InputError
from schemas.files.shard import Shard
from schemas.labels import Label, Side
from schemas.records import Annotation, Message, Pair, Sentence, Span, Verdict
from schemas.stage import StageResult
from trainer.config import TrainConfig
from trainer.data import find_pair_files, read_pairs
from trainer.examples import prepare_examples

SPAN = BuildConfig(granularity=Granularity.SPAN, test_share=0.0)
OLDER = Path(__file__).parent / "older_data_set"
TEXT = "Rome is old. Oslo lies in Spain, they say."
OSLO = 13  # where the second sentence begins


def row_with(
    errors: Sequence[tuple[int, int]], labels: Sequence[Label] = (GOOD, BAD), **changes: Any
) -> Annotation:
    """`TEXT` with these error spans in both verdicts."""
    marked = {"error_spans": [{"start": start, "end": end} for start, end in errors]}
    texts = [TEXT[:12], TEXT[OSLO:]]
    return annotation("r", labels, texts=texts, verdict=marked, **changes)


def shown(row: Annotation, side: Side, config: BuildConfig) -> list[tuple[str, float, int, str]]:
    spans = make_spans(row, side, config) or []
    return [(row.text[s.start : s.end], s.weight, s.sentence or 0, s.part or "") for s in spans]


def test_on_the_rejected_side_only_the_wrong_words_weigh() -> None:
    row = row_with([(26, 31)])
    assert shown(row, Side.REJECTED, SPAN) == [
        ("Rome is old.", 0.0, 0, ""),
        ("Oslo lies in ", 0.0, 1, "context"),
        ("Spain", 1.0, 1, "error"),
        (", they say.", 0.0, 1, "context"),
    ]


def test_the_rest_of_a_sentence_may_weigh_something_on_either_side() -> None:
    config = SPAN.model_copy(update={"context_weight": 0.25, "chosen_context_weight": 0.5})
    row = row_with([(26, 31)])
    assert [weight for _, weight, _, _ in shown(row, Side.REJECTED, config)] == [0, 0.25, 1, 0.25]
    assert [weight for _, weight, _, _ in shown(row, Side.CHOSEN, config)] == [1, 0.5, 0, 0.5]
    assert [weight for _, weight, _, _ in shown(row, Side.CHOSEN, SPAN)] == [1, 0, 0, 0]


def test_where_only_punctuation_is_marked_the_rest_of_the_sentence_weighs_nothing_either() -> None:
    config = SPAN.model_copy(update={"context_weight": 0.25, "chosen_context_weight": 0.5})
    row = row_with([(31, 32), (41, 42)])
    assert shown(row, Side.REJECTED, config)[1:] == [(TEXT[OSLO:], 0.0, 1, "context")]
    assert shown(row, Side.CHOSEN, config)[1:] == [(TEXT[OSLO:], 0.0, 1, "context")]
    assert lacks_wrong_words(row, config)
    correct = row_with([(31, 32)], labels=[GOOD, GOOD])
    assert shown(correct, Side.CHOSEN, config)[1:] == [(TEXT[OSLO:], 1.0, 1, "context")]


def test_wrong_words_never_train_on_the_chosen_side_whatever_their_sentence_is_called() -> None:
    row = row_with([(26, 31)], labels=[GOOD, GOOD])
    assert [weight for _, weight, _, _ in shown(row, Side.CHOSEN, SPAN)] == [1, 1, 0, 1]
    assert [weight for _, weight, _, _ in shown(row, Side.REJECTED, SPAN)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("errors", "wrong"),
    [
        ([(26, 31)], ["Spain"]),
        ([(25, 33)], ["Spain"]),  # outer white space and the comma go
        ([(8, 17)], ["old", "Oslo"]),  # over two sentences: cut at their ends
        ([(26, 31), (18, 22), (28, 36)], ["lies", "Spain, the"]),  # out of order, overlapping
        ([(18, 22), (23, 25)], ["lies in"]),  # white space between them is no context
        ([(13, 42)], ["Oslo lies in Spain, they say"]),
        ([(31, 32)], []),  # the comma alone
        ([(41, 42), (12, 13)], []),
    ],
)
def test_places_are_cut_trimmed_and_joined_for_weights_alone(
    errors: list[tuple[int, int]], wrong: list[str]
) -> None:
    in_first = any(start < OSLO - 1 for start, _ in errors)
    row = row_with(errors, labels=[BAD if in_first else GOOD, BAD])
    found = [
        row.text[start:end]
        for sentence in row.sentences
        for start, end in wrong_words(row.text, sentence)
    ]
    assert found == wrong
    trains = [text.strip(" .") for text, weight, _, _ in shown(row, Side.REJECTED, SPAN) if weight]
    assert trains == wrong
    assert [(s.start, s.end) for s in row.sentences[0].verdict.error_spans] == errors


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("in 1990.", "in 1990"),
        ('"from Rome."', '"from Rome'),
        ("(in 1990)", "(in 1990)"),
        ("50%", "50%"),
        ("%", "%"),
        ("$", "$"),
        ("巴黎。", "巴黎"),
        ("巴黎。」", "巴黎"),
        ("روما؟", "روما"),
        ("🙂", "🙂"),
        ("...", None),
        (" — ", None),
        ("”", None),
        ("\u200b", "\u200b"),
    ],
)
def test_what_is_final_punctuation(text: str, kept: str | None) -> None:
    place = trim_words(f"ab {text} cd", 2, 4 + len(text))
    assert (None if place is None else f"ab {text} cd"[slice(*place)]) == kept


PLACES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 15)).map(
        lambda item: (item[0], min(item[0] + item[1], len(TEXT)))
    ),
    max_size=5,
)


@given(errors=PLACES, labels=st.tuples(st.sampled_from(list(Label)), st.sampled_from(list(Label))))
def test_pieces_are_the_sentence_and_weigh_character_by_character(
    errors: list[tuple[int, int]], labels: tuple[Label, Label]
) -> None:
    row = row_with(errors, labels=labels)
    marked = {at for start, end in errors for at in range(start, end)}
    for side in Side:
        spans = make_spans(row, side, SPAN) or []
        groups = group_pieces(spans)
        assert [(group[0].start, group[-1].end) for group in groups] == [(0, 12), (OSLO, 42)]
        for number, pieces in enumerate(groups):
            place = range(pieces[0].start, pieces[-1].end)
            assert all(a.end == b.start for a, b in pairwise(pieces))
            assert {(piece.label, piece.sentence) for piece in pieces} == {(labels[number], number)}
            _check_characters(pieces, side, marked, bool(marked & {*place}))


def _check_characters(pieces: list[Span], side: Side, marked: set[int], has_errors: bool) -> None:
    """The expected weight of each letter, from the marks alone; punctuation may weigh 0."""
    faulty = pieces[0].label in {"hallucinated", "contradictory", "unverifiable"}
    correct = pieces[0].label in {"no_hallucination", "no_fact"}
    for piece in pieces:
        for at in range(piece.start, piece.end):
            if TEXT[at].isalpha():
                wrong = at in marked or not has_errors
                expected = faulty and wrong if side is Side.REJECTED else correct
                if side is Side.CHOSEN and has_errors and at in marked:
                    expected = False
                assert bool(piece.weight) == expected, (at, TEXT[at])
            elif piece.weight and side is Side.REJECTED and not TEXT[at].isspace():
                assert at in marked or not has_errors


@pytest.mark.parametrize(("name", "value"), [("context_weight", 0.5), ("context_weight", 2)])
def test_a_weight_without_effect_or_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        BuildConfig.parse({name: value}, where="build")
    with pytest.raises(ConfigError, match="'sentence', 'span' or 'response'"):
        BuildConfig.parse({"granularity": "word"}, where="build")


def marked_questions(num: int) -> list[dict[str, Any]]:
    """`questions`, with the last word of each hallucinated sentence marked, and of one nothing."""
    rows = questions(num)
    for row in rows:
        for sentence in row["sentences"]:
            if sentence["verdict"]["label"] == BAD:
                end = sentence["end"]
                sentence["verdict"]["error_spans"] = [{"start": end - 9, "end": end}]
    rows[-1]["sentences"][0]["verdict"].pop("error_spans")
    return rows


def test_a_folder_with_pieces_is_valid_and_is_read_as_it_was_built(tmp_path: Path) -> None:
    folder, result = build(tmp_path, marked_questions(6), SPAN)
    assert validate_folder(folder).findings == []
    manifest = load_manifest(folder)
    assert (manifest["version"], manifest["config"]["granularity"]) == ("2.0", "span")
    rows = [Annotation.model_validate_json(json.dumps(row)) for row in marked_questions(6)]
    assert load_pairs(folder, Split.TRAIN) == build_pairs(rows, SPAN).pairs
    assert read_pairs(find_pair_files(folder).train).failures == []
    assert result.counts["error_spans"] == 11
    assert result.counts["hallucinated_with_error_spans"] == 11
    assert result.counts["hallucinated_without_error_spans"] == 1
    assert any("1 of 12 hallucinated sentences have no error spans" in x for x in result.notes)
    (first, *_) = pq.read_table(folder / "sentences/train-00000-of-00001.parquet").to_pylist()
    assert first["error_spans"] == []


def build(
    folder: Path, rows: list[dict[str, Any]], config: BuildConfig, name: str = "dataset"
) -> tuple[Path, StageResult]:
    source = write_annotations(folder / f"{name}.jsonl", rows)
    result = build_dataset(config, annotations=source, output=folder / name, plots=False)
    return folder / name, result


def test_statistics_count_sentences_and_not_their_pieces(tmp_path: Path) -> None:
    plain, _ = build(tmp_path, marked_questions(6), BuildConfig(test_share=0.0), "plain")
    folder, _ = build(tmp_path, marked_questions(6), SPAN)
    before, after = compute_statistics(plain)["all"], compute_statistics(folder)["all"]
    for name in ("labels", "num_sentences", "score_rejected", "length_rejected", "topics"):
        assert after[name] == before[name]
    # "Sentence 0 of q0/worst." has 23 characters, "q0/worst" 8; one sentence has no marks.
    pieces = after["pieces"]["rejected"]
    assert {key: value for key, value in pieces.items() if key != "wrong_share"} == {
        "sentences": 5,
        "wrong_words": 5,
        "characters": 5 * 23,
        "wrong_characters": 5 * 8,
        "active_wrong_characters": 5 * 8,
        "active_characters": 5 * 8,
    }
    assert pieces["wrong_share"]["median"] == 0.348
    assert before["active_share_rejected"]["median"] == 1.0
    assert after["active_share_rejected"]["median"] == 0.348


def test_shards_with_pieces_merge_into_the_same_bytes(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "rows.jsonl", marked_questions(6))
    run_build(SPAN, annotations=source, output=tmp_path / "whole")
    parts = []
    for index in (1, 2):
        parts.append(tmp_path / f"part{index}")
        shard = Shard(index=index, count=2)
        run_build(SPAN, annotations=source, output=parts[-1], shard=shard)
    run_merge(parts, output=tmp_path / "merged")
    for path in (tmp_path / "whole").rglob("*"):
        if path.is_file():
            same = tmp_path / "merged" / path.relative_to(tmp_path / "whole")
            assert same.read_bytes() == path.read_bytes(), path


def test_a_response_marked_in_its_punctuation_alone_is_counted_and_never_rejected(
    tmp_path: Path,
) -> None:
    rows = marked_questions(3)
    for sentence in rows[2]["sentences"]:  # q0/worst
        end = sentence["end"]
        sentence["verdict"]["error_spans"] = [{"start": end - 1, "end": end}]
    folder, result = build(tmp_path, rows, SPAN)
    assert result.counts["responses_without_wrong_words"] == 1
    assert any("1 response cannot be a rejected side" in note for note in result.notes)
    rejected = {pair.rejected_id for pair in load_pairs(folder, Split.TRAIN)}
    assert rejected == {"q0/half", "q1/worst", "q2/worst"}
    only = [
        annotation("best", [GOOD]),
        annotation("worst", [BAD], verdict={"error_spans": [{"start": 19, "end": 20}]}),
    ]
    built = build_pairs(only, SPAN)
    assert built.unused == {"best": "no_wrong_words", "worst": "no_wrong_words"}


def test_a_sentence_marked_outside_its_ends_alone_trains_and_counts_as_unmarked(
    tmp_path: Path,
) -> None:
    rows = marked_questions(3)
    for sentence in rows[2]["sentences"]:  # q0/worst
        end = sentence["end"]
        sentence["verdict"]["error_spans"] = [{"start": end, "end": end + 1}]
    rows[2]["text"] += " "
    folder, result = build(tmp_path, rows, SPAN)
    pair = next(pair for pair in load_pairs(folder, Split.TRAIN) if pair.rejected_id == "q0/worst")
    assert [(span.weight, span.part) for span in pair.rejected_spans or []] == [(1.0, None)]
    assert result.counts["hallucinated_without_error_spans"] == 2  # one of them has no error spans
    assert any(note.startswith("2 of ") for note in result.notes)


def test_shards_of_another_granularity_are_refused_with_both_names(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "rows.jsonl", marked_questions(6))
    for index, config in ((1, SPAN), (2, BuildConfig(test_share=0.0))):
        shard = Shard(index=index, count=2)
        run_build(config, annotations=source, output=tmp_path / f"{index}", shard=shard)
    with pytest.raises(InputError, match="granularity is 'sentence', not 'span'"):
        run_merge([tmp_path / "1", tmp_path / "2"], output=tmp_path / "merged")


def test_whole_answers_train_with_granularity_response(tmp_path: Path) -> None:
    config = BuildConfig(granularity=Granularity.RESPONSE, test_share=0.0)
    folder, result = build(tmp_path, marked_questions(4), config)
    assert validate_folder(folder).findings == []
    pairs = load_pairs(folder, Split.TRAIN)
    assert {(pair.chosen_spans, pair.rejected_spans) for pair in pairs} == {(None, None)}
    assert (result.counts["active_chosen"], result.counts["active_rejected"]) == (8, 4)
    assert "null" in (folder / "README.md").read_text(encoding="utf-8")
    assert load_manifest(folder)["version"] == "1.0"


def test_pairs_of_whole_answers_keep_their_names_wherever_they_are_read(tmp_path: Path) -> None:
    """Null spans alone do not make a row one of others, whose columns may mean anything."""
    config = BuildConfig(granularity=Granularity.RESPONSE, test_share=0.0)
    folder, _ = build(tmp_path, questions(2), config)
    built = load_pairs(folder, Split.TRAIN)
    assert read_pairs(find_pair_files(folder).train).pairs == built
    run_export(source=folder, output=tmp_path / "trl", format_name=ExportFormat.TRL)
    lines = (tmp_path / "trl" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert [trl_pair(json.loads(line), identifier="x") for line in lines] == built
    other = json.loads(lines[0]) | {"topic": 7, "chosen_id": None}
    assert trl_pair(other, identifier="x").topic == ""


def test_error_spans_that_are_not_used_are_reported(tmp_path: Path) -> None:
    _, result = build(tmp_path, marked_questions(4), BuildConfig(test_share=0.0))
    assert any(
        "error spans of 7 sentences are not in the data set" in note for note in result.notes
    )
    assert "error_spans" not in result.counts
    _, result = build(tmp_path, questions(4), BuildConfig(test_share=0.0), "none")
    assert not any("error spans" in note for note in result.notes)
    _, result = build(tmp_path, questions(4), SPAN, "span")
    assert any("no hallucinated sentence has error spans" in note for note in result.notes)


def test_a_folder_of_an_earlier_release_is_read_and_built_again_to_the_byte(tmp_path: Path) -> None:
    before = OLDER / "dataset"
    assert validate_folder(before).findings == []
    pairs = load_pairs(before, Split.TRAIN)
    assert {span.sentence for pair in pairs for span in pair.rejected_spans or []} == {None}
    assert read_pairs(find_pair_files(before).train).pairs == pairs
    config = BuildConfig(test_share=0.3, license="cc-by-4.0")
    build_dataset(config, annotations=OLDER / "annotations.jsonl", output=tmp_path / "new")
    packages = load_manifest(before)["packages"]
    same_writer = load_manifest(tmp_path / "new")["packages"]["pyarrow"] == packages["pyarrow"]
    for path in before.rglob("*"):
        again = tmp_path / "new" / path.relative_to(before)
        if path.suffix == ".parquet":
            assert pq.read_table(again).equals(pq.read_table(path))
        if path.is_file() and same_writer and path.name != "manifest.json":
            assert again.read_bytes() == path.read_bytes(), path
    ours, theirs = load_manifest(tmp_path / "new"), load_manifest(before)
    for name in theirs.keys() - {"packages", "files"}:
        assert ours[name] == theirs[name], name
    assert ours.keys() == theirs.keys()


K = FaultKind


def split_label(spans: list[dict[str, Any]]) -> None:
    spans[0]["label"] = "no_hallucination"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spans: spans[0].update(part=None), "'part' is None, must be one of error, context"),
        (lambda spans: spans[0].update(part="odd"), "'part' is 'odd', must be one of"),
        (lambda spans: spans[0].update(sentence=None), "[0].sentence' is missing"),
        (lambda spans: [span.update(sentence=3) for span in spans], "sentence 3 is where sentence"),
        (lambda spans: [span.update(sentence=None) for span in spans], "is a piece, but"),
        (lambda spans: spans[0].update(label="contradictory"), "have the labels"),
        (lambda spans: spans[0].update(end=spans[0]["end"] - 1), "pieces must follow each other"),
    ],
)
def test_validate_finds_what_is_wrong_with_pieces(
    tmp_path: Path, change: Any, message: str
) -> None:
    folder, _ = build(tmp_path, marked_questions(3), SPAN)
    path = folder / "pairs/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    assert len(rows[1]["rejected_spans"]) > 1
    change(rows[1]["rejected_spans"])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    found = [item.message for item in validate_folder(folder).findings if item.kind is K.PIECES]
    assert any(message in item for item in found), found


def test_validate_finds_an_error_span_that_is_no_place(tmp_path: Path) -> None:
    folder, _ = build(tmp_path, marked_questions(3), SPAN)
    path = folder / "sentences/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    marked = next(row for row in rows if row["error_spans"])
    marked["error_spans"][0]["end"] = 0
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    kinds = [item.kind for item in validate_folder(folder).findings]
    assert K.ERROR_SPAN in kinds


def test_the_card_says_what_pieces_are(tmp_path: Path) -> None:
    folder, _ = build(tmp_path, marked_questions(6), SPAN)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "{start, end, label, weight, sentence, part}" in card
    assert "| rejected | 5 | 5 | 34.8% | 34.8% |" in card
    shutil.rmtree(folder)


def test_given_places_are_joined_and_not_trimmed() -> None:
    row = row_with([(25, 33)])
    assert given_places(row.sentences[1]) == [(25, 33)]
    row = row_with([(33, 40), (25, 33), (14, 18), (16, 20)])
    assert given_places(row.sentences[1]) == [(14, 20), (25, 40)]


def test_rows_of_annotations_without_marks_have_no_pieces() -> None:
    row = Annotation.model_validate_json(json.dumps(annotation_row("r", [GOOD, BAD])))
    spans = make_spans(row, Side.REJECTED, SPAN) or []
    assert [(span.sentence, span.part, span.weight) for span in spans] == [
        (0, None, 0.0),
        (1, None, 1.0),
    ]


@pytest.fixture(scope="module")
def under_test() -> TokenizerUnderTest:
    return train_byte_level([TEXT, "lies in Spain", "Oslo and Rome, they say"])


@settings(deadline=None)
@given(errors=PLACES, context=st.sampled_from([0.0, 0.5]))
def test_tokens_weigh_what_their_least_letter_weighs(
    under_test: TokenizerUnderTest, errors: list[tuple[int, int]], context: float
) -> None:
    config = SPAN.model_copy(update={"context_weight": context})
    row = row_with(errors, labels=[GOOD, BAD])
    words = wrong_words(row.text, row.sentences[1])
    rest = context if words else 0.0
    painted = [(OSLO, 42, rest if given_places(row.sentences[1]) else 1.0)]
    painted += [(*place, 1.0) for place in words]
    head = "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n"
    parts = Parts(head=head, answer=row.text, tail="<|im_end|>\n")
    expected = expected_weights(parts, painted, under_test.spell(parts.text))
    chosen = Span(start=0, end=4, label=GOOD, weight=1.0)
    pair = Pair(
        id="pair",
        prompt=[Message(role="user", content="Where?")],
        chosen=[Message(role="assistant", content="Yes.")],
        rejected=[Message(role="assistant", content=row.text)],
        chosen_spans=[chosen],
        rejected_spans=make_spans(row, Side.REJECTED, config),
    )
    prepared = prepare_examples([pair], under_test.tokenizer, TrainConfig(model="test"))
    if prepared.dropped:
        assert prepared.dropped[0].reason == "no_active_token"
        assert not any(expected)
    else:
        assert prepared.examples[0].rejected.weights == expected


def test_an_unsure_judge_gives_no_weight_to_either_part() -> None:
    config = SPAN.model_copy(
        update={"min_confidence": 0.8, "context_weight": 0.5, "chosen_context_weight": 0.5}
    )
    marked: dict[str, Any] = {"error_spans": [{"start": 26, "end": 31}], "confidence": 0.5}
    row = annotation("r", [GOOD, BAD], texts=[TEXT[:12], TEXT[OSLO:]], verdict=marked)
    for side in Side:
        assert {weight for _, weight, _, _ in shown(row, side, config)} == {0.0}


def test_outer_space_of_a_sentence_belongs_to_its_wrong_words() -> None:
    verdict = {"label": BAD.value, "error_spans": [{"start": 1, "end": 5}], "judge": "j"}
    row = annotation("r", [BAD], texts=[" Oslo "])
    row = row.model_copy(
        update={
            "sentences": [
                Sentence(start=0, end=6, verdict=Verdict.model_validate_json(json.dumps(verdict)))
            ]
        }
    )
    assert shown(row, Side.REJECTED, SPAN) == [(" Oslo ", 1.0, 0, "error")]


def test_active_sentences_are_counted_once() -> None:
    row = row_with([(13, 17), (26, 31)])
    assert measure_active(row, Side.REJECTED, SPAN) == (1, 9)
    assert measure_active(row, Side.CHOSEN, SPAN) == (1, 12)


@pytest.mark.parametrize("granularity", Granularity)
def test_training_counts_the_tokens_of_every_granularity(
    tmp_path: Path, granularity: Granularity
) -> None:
    tokenizer = byte_level_tokenizer()
    tiny_llama(len(tokenizer)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    config = SPAN.model_copy(update={"granularity": granularity})
    folder, _ = build(tmp_path, marked_questions(4), config)
    done = train(tmp_path / "model", folder, tmp_path / "out", epochs=1, eos="neither")
    tokens = [token_weights(pair, tokenizer, eos="neither") for pair in load_pairs(folder, "train")]
    sides = [side for pair in tokens for side in (pair.chosen, pair.rejected)]
    assert done.counts["active_tokens"] == sum(weight > 0 for s in sides for weight in s.weights)
    assert (done.counts["pairs"], done.counts["rows"]) == (4, 4)
    without = granularity is Granularity.RESPONSE
    assert done.counts.get("pairs_without_spans", 0) == (4 if without else 0)
    training = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    card = render_model_card(training, ModelFacts())
    assert ("Mask-DPO" not in card) == without


def test_python_callers_read_the_wrong_words_of_a_sentence(tmp_path: Path) -> None:
    maskdpo.save_annotations(tmp_path / "a.jsonl", [row_with([(8, 17), (26, 31)])])
    (loaded,) = maskdpo.load_annotations(tmp_path / "a.jsonl")
    assert isinstance(loaded, maskdpo.JudgedResponse)
    words = [[word.text for word in item.wrong_words] for item in loaded.sentences]
    assert words == [["old."], ["Oslo", "Spain"]]
    (word,) = loaded.sentences[0].wrong_words
    assert (word.start, word.end) == (8, 12)


def test_the_example_of_a_card_has_the_beginning_of_a_long_question(tmp_path: Path) -> None:
    rows = marked_questions(2)
    for row in rows:
        row["prompt"] = [{"role": "user", "content": f"Who? {row['question_id']} " + "x" * 400}]
    folder, _ = build(tmp_path, rows, SPAN)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"Question: Who? q0 {'x' * 292} …" in card
    assert "Sentence 0 of <b>q0/worst</b>." in card
    plain, _ = build(tmp_path, rows, BuildConfig(test_share=0.0), "plain")
    assert "## One pair" not in (plain / "README.md").read_text(encoding="utf-8")
