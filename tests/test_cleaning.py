"""What train must not share with test or with evaluation questions."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.build import run_build
from dataset_builder.config import BuildConfig
from dataset_builder.splits.evaluation_questions import EvaluationQuestions
from dataset_builder.splits.near_duplicates import (
    MAX_MISSED,
    NUM_PERMUTATIONS,
    NearDuplicates,
    jaccard,
    rows_a_band,
)
from dataset_builder.splits.prompt_template import learn_template
from dataset_builder.splits.prompt_text import WORD, character_ngrams, flatten, prompt_text
from dataset_builder.splits.splits import Split, split_of
from schemas.records import Message
from schemas.stage import StageResult
from schemas.text.language import is_in_another_language
from schemas.text.question_senses import ask_differently

PROMPTS = st.lists(
    st.sampled_from("who ran the old mill at Karsted before it burned down twice".split()),
    min_size=1,
    max_size=9,
).map(" ".join)


def near(prompts: list[str], threshold: float) -> NearDuplicates:
    template = learn_template(enumerate_topics(prompts))
    found = NearDuplicates(sqlite3.connect(":memory:"), threshold=threshold, template=template)
    found.add_all(prompts)
    return found


@settings(max_examples=50, deadline=None)
@given(
    prompts=st.lists(PROMPTS, max_size=4),
    asked=PROMPTS,
    threshold=st.sampled_from([0.3, 0.6, 0.8, 1.0]),
)
def test_the_index_says_what_comparing_with_every_prompt_says(
    prompts: list[str], asked: str, threshold: float
) -> None:
    alike = [jaccard(character_ngrams(asked), character_ngrams(text)) for text in prompts]
    found = NearDuplicates(sqlite3.connect(":memory:"), threshold=threshold)
    found.add_all(prompts)
    assert found.has(asked) == any(
        value >= threshold and not ask_differently(asked, text)
        for value, text in zip(alike, prompts, strict=True)
    )


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.8, 0.95, 1.0])
def test_bands_miss_a_pair_at_the_threshold_less_than_once_in_a_thousand(threshold: float) -> None:
    rows = rows_a_band(threshold)
    missed = (1 - threshold**rows) ** (NUM_PERMUTATIONS // rows)
    assert missed <= MAX_MISSED or rows == 1


def test_more_prompts_than_the_sample_are_all_indexed() -> None:
    prompts = [f"{index} {'abcdefghij'[index % 10] * 9} {index * 7919}" for index in range(1_003)]
    found = near(prompts, 1.0)
    assert all(found.has(prompts[index]) for index in (0, 998, 999, 1_000, 1_001, 1_002))
    assert not found.has("1003 zzzzzzzz")


def test_a_template_is_no_likeness() -> None:
    template = "Please write one factual paragraph of about a hundred words on the life of {}."
    names = ["Mira Tolvan", "Otto Bren", "Sela Quist", "Jan Umber", "Ida Foss", "Rolf Kerr"]
    prompts = [template.format(name) for name in names]
    assert character_ngrams("about a hundred words") <= learn_template(enumerate_topics(prompts))
    found = near(prompts, 0.8)
    assert not found.has(template.format("Hugo Wex"))
    assert found.has(template.format("Mira Tolvan"))
    assert found.has(template.format("mira  tolvan"))
    # Without a template in sight, prompts that share it are much alike.
    assert near(prompts[:1], 0.7).has(template.format("Otto Bren"))


def enumerate_topics(prompts: list[str]) -> list[tuple[str, str]]:
    return [(str(index), text) for index, text in enumerate(prompts)]


def test_the_systems_turn_is_not_what_is_asked() -> None:
    turns = [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c")]
    prompt = [Message.model_validate({"role": r, "content": c}) for r, c in turns]
    assert prompt_text(prompt) == "a\nb\nc"


# --- evaluation questions ----------------------------------------------------------------------


def evaluation(texts: list[str], num_words: int) -> EvaluationQuestions:
    found = EvaluationQuestions(sqlite3.connect(":memory:"), num_words=num_words)
    for text in texts:
        found.add(text)
    return found


@given(kept=st.lists(PROMPTS, max_size=4), asked=PROMPTS, num_words=st.integers(4, 8))
def test_a_shared_run_of_words_is_found_and_nothing_else(
    kept: list[str], asked: str, num_words: int
) -> None:
    def runs(text: str, length: int) -> set[tuple[str, ...]]:
        split = text.casefold().split()
        return {tuple(split[i : i + length]) for i in range(len(split) - length + 1)}

    def shares(text: str) -> bool:
        length = min(num_words, len(text.split()))
        if length < 4:
            return text.casefold() == asked.casefold()
        return bool(runs(text, length) & runs(asked, length))

    assert evaluation(kept, num_words).has(asked) == any(shares(text) for text in kept)


def test_words_are_read_without_case_marks_and_spaces() -> None:
    def words(text: str) -> list[str]:
        return WORD.findall(flatten(text))

    assert words("Who's  RAN\u3000Ｋarsted?") == ["who", "s", "ran", "karsted"]
    assert words("谁建了Karsted塔？") == ["谁", "建", "了", "karsted", "塔"]
    found = evaluation(["谁在一九零三年建了塔？", "?!"], 13)
    assert found.has("请问：谁在一九零三年建了塔")
    assert not found.has("谁建了塔")
    assert not found.has("")


# --- in a build ----------------------------------------------------------------------------------


def topic_of(split: Split) -> str:
    names = (f"topic {number}" for number in range(999))
    return next(name for name in names if split_name(name) is split)


def split_name(topic: str) -> Split:
    config = BuildConfig()
    return split_of(topic=topic, question_id="", seed=config.seed, test_share=config.test_share)


def asked(identifier: str, text: str, topic: str) -> list[dict[str, Any]]:
    prompt = [{"role": "user", "content": text}]
    return [
        annotation_row(
            f"{identifier}/{kind}", [label], question=identifier, prompt=prompt, topic=topic
        )
        for kind, label in (("good", GOOD), ("bad", BAD))
    ]


def build(tmp_path: Path, rows: list[Any], kept: list[str], **settings: Any) -> StageResult:
    path = tmp_path / "kept.jsonl"
    lines = [json.dumps({"id": str(index), "question": text}) for index, text in enumerate(kept)]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return run_build(
        BuildConfig.model_validate(settings),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        evaluation_questions=[path] if kept else [],
        output=tmp_path / "dataset",
    )


def question_ids(result: StageResult, name: str, split: Split) -> set[str]:
    import pyarrow.parquet as pq

    path = result.output / name / f"{split}-00000-of-00001.parquet"
    return set(pq.read_table(path)["question_id"].to_pylist())


def test_near_duplicates_leave_train_and_are_never_moved(tmp_path: Path) -> None:
    train, test = topic_of(Split.TRAIN), topic_of(Split.TEST)
    text = "Who ran the old mill at Karsted before the fire?"
    rows = [
        *asked("in test", text, test),
        *asked("again in test", text, test),
        *asked("copy", text.upper(), train),
        *asked("other", "When was the lighthouse of Senna built?", train),
    ]
    result = build(tmp_path, rows, [])
    for name in ("pairs", "sentences"):
        assert question_ids(result, name, Split.TEST) == {"in test", "again in test"}
        assert question_ids(result, name, Split.TRAIN) == {"other"}
    counts = result.counts
    assert (counts["dropped_near_duplicate"], counts["unused_near_duplicate"]) == (1, 2)
    kept = build(tmp_path, rows, [], near_duplicate=0)
    assert question_ids(kept, "pairs", Split.TRAIN) == {"copy", "other"}


def test_evaluation_questions_leave_train_and_only_train(tmp_path: Path) -> None:
    train, test = topic_of(Split.TRAIN), topic_of(Split.TEST)
    text = "Who ran the old mill at Karsted before the fire?"
    rows = [
        *asked("in test", text, test),
        *asked("held", f"Tell me: {text} Be brief.", train),
        *asked("other", "When was the lighthouse of Senna built?", train),
    ]
    result = build(tmp_path, rows, [text], near_duplicate=0)
    assert question_ids(result, "sentences", Split.TEST) == {"in test"}
    assert question_ids(result, "sentences", Split.TRAIN) == {"other"}
    assert result.counts["dropped_in_evaluation"] == 1
    assert "1 of 3 questions were dropped" in result.notes[0]
    assert "kept.jsonl" in json.loads((result.output / "manifest.json").read_text())["inputs"]


def test_what_is_dropped_is_counted_so_that_the_sums_close(tmp_path: Path) -> None:
    rows = [*questions(40), *asked("x", "What of q1?", topic_of(Split.TRAIN))]
    counts = build(tmp_path, rows, ["What of q3?"], near_duplicate=0.5).counts
    unused = sum(count for name, count in counts.items() if name.startswith("unused_"))
    dropped = sum(count for name, count in counts.items() if name.startswith("dropped_"))
    assert counts["responses"] == counts["responses_in_pairs"] + unused == 122
    assert counts["questions"] == counts["questions_in_pairs"] + dropped == 41


# --- language ------------------------------------------------------------------------------------

GERMAN = "Die alte Mühle wurde im Jahre 1903 von zwei Brüdern gebaut und brannte später ab."
ENGLISH = "The old mill was built by two brothers in the year 1903 and burned down later."


@pytest.mark.parametrize(
    ("text", "language", "differs"),
    [
        (ENGLISH, "en", False),
        (ENGLISH, "en-GB", False),
        (ENGLISH, "de", True),
        (GERMAN, "en", True),
        (GERMAN, "DE_at", False),
        (GERMAN, "", False),
        (GERMAN, "tlh", False),
        ("Ja.", "en", False),
        ("这座老磨坊由两兄弟建于一九零三年，后来在一场大火中被烧毁了。", "en", True),
        ("这座老磨坊由两兄弟建于一九零三年，后来在一场大火中被烧毁了。", "zh", False),
    ],
)
def test_only_a_sure_contradiction_of_language_counts(
    text: str, language: str, differs: bool
) -> None:
    assert is_in_another_language(text, language) == differs


def test_answers_in_another_language_are_left_out_on_request(tmp_path: Path) -> None:
    rows = [
        annotation_row("a", [GOOD], texts=[GERMAN]),
        annotation_row("b", [GOOD], texts=[ENGLISH]),
        annotation_row("c", [BAD]),
    ]
    result = build(tmp_path, rows, [], check_language=True)
    assert result.counts["unused_language_differs"] == 1
    assert "unused_language_differs" not in build(tmp_path, rows, []).counts
