"""What many prompts share is a template, and is neither a near duplicate nor a leak."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation_row, write_annotations

from dataset_builder.build import run_build
from dataset_builder.config import BuildConfig
from dataset_builder.folder.merge import run_merge
from dataset_builder.splits.prompt_template import (
    SAMPLE_TOPICS,
    contents_of,
    learn_template,
    sample_prompts,
)
from dataset_builder.splits.prompt_text import flatten, ngrams_of
from dataset_builder.splits.splits import Split, split_of
from schemas.files.shard import Shard
from schemas.stage import StageResult

LONG = (
    "Please write one factual paragraph of about a hundred words on the life and the work of {}, "
    "for a reader of sixteen years who has never heard of it, with the dates and the places that "
    "matter most and without any opinion of your own."
)
TEMPLATES = {
    "middle": LONG,
    "sixty words": f"{LONG} Begin with where and when, then say what happened, and close with what "
    "is known of the consequences today; use no lists, headings, links or quotations anywhere.",
    "start": "{}: please write one factual paragraph of about a hundred words on this subject for "
    "a reader of sixteen years who has never heard of it before.",
    "end": "Please write one factual paragraph of about a hundred words for a reader of sixteen "
    "years who has never heard of it before on the subject of {}",
    "twice": "Please write a factual paragraph about {0} for somebody who has never heard of {0}, "
    "with the dates and the places that matter most for {0}.",
    "Chinese": "请用大约一百五十个汉字为从未听说过它的中学生读者写一段关于{}的客观介绍，其中应当"
    "包括最重要的时间和地点，并且不要发表任何个人意见。",
    "Chinese twice": "请为中学生写一段客观而准确的文字，介绍{0}的主要情况，并说明为什么{0}对今天的"
    "人们仍然十分重要，不要使用列表，也不要发表个人意见。",
}
SYLLABLES = "ka ri to mel san ve lor in da pes un gra ti bo sel ny fa dor que mi".split()
HAN = "青川沈月河灯白水石桥红塔云山金湖雪岭花港木林松江竹海东风晨露春秋"


def names(number: int, seed: int = 0) -> list[str]:
    """Names of two words, all different."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < number:
        found[" ".join("".join(rng.choices(SYLLABLES, k=3)).title() for _ in range(2))] = None
    return list(found)


def names_zh(number: int) -> list[str]:
    rng = random.Random(0)
    found: dict[str, None] = {}
    while len(found) < number:
        found["".join(rng.sample(HAN, 3))] = None
    return list(found)


def natural(number: int) -> list[str]:
    """Questions that share no more than ordinary words."""
    rng = random.Random(1)
    verbs, things = "leave find sell paint lose".split(), "mill tower harbour school barn".split()
    return [
        f"{rng.choice(['When', 'Why', 'How'])} did {one} {rng.choice(verbs)} the "
        f"{rng.choice(things)} of {other}?"
        for one, other in zip(names(number, 2), names(number, 3), strict=True)
    ]


def make_rows(prompts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Two responses to each (topic, prompt)."""
    return [
        annotation_row(
            f"q{number:05}/{kind}",
            [label],
            question=f"q{number:05}",
            topic=topic,
            prompt=[{"role": "user", "content": text}],
        )
        for number, (topic, text) in enumerate(prompts)
        for kind, label in (("good", GOOD), ("bad", BAD))
    ]


def build(
    folder: Path, rows: list[dict[str, Any]], kept: Sequence[str] = (), **settings: Any
) -> StageResult:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "kept.jsonl"
    lines = [json.dumps({"id": str(index), "question": text}) for index, text in enumerate(kept)]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    shard = settings.pop("shard", None)
    return run_build(
        BuildConfig.model_validate(settings),
        annotations=write_annotations(folder / "annotations.jsonl", rows),
        evaluation_questions=[path] if kept else [],
        output=folder / f"dataset{shard.index if shard else ''}",
        shard=shard,
    )


def in_split(topics: Sequence[str], split: Split) -> list[str]:
    return [
        topic
        for topic in topics
        if split_of(topic=topic, question_id="", seed=0, test_share=0.1) is split
    ]


def topics_for(kind: str, number: int) -> list[str]:
    """Topics of which one at least falls to each split."""
    source = (names_zh if "Chinese" in kind else names)(20 * number)
    train, test = in_split(source, Split.TRAIN), in_split(source, Split.TEST)
    num_test = max(1, number // 10)
    return [*train[: number - num_test], *test[:num_test]]


@pytest.mark.parametrize("kind", TEMPLATES)
@pytest.mark.parametrize("number", [4, 10, 30, 120])
def test_topics_under_one_template_stay_but_for_the_topic_of_the_evaluation(
    tmp_path: Path, kind: str, number: int
) -> None:
    topics, template = topics_for(kind, number), TEMPLATES[kind]
    rows = make_rows([(topic, template.format(topic)) for topic in topics])
    other = "白塔云" if "Chinese" in kind else "Quentin Arlo"
    kept = [template.format(topics[0]), template.format(other)]
    counts = build(tmp_path, rows, kept).counts
    assert "dropped_near_duplicate" not in counts
    assert counts["dropped_in_evaluation"] == 1
    assert counts["questions_in_pairs"] == number - 1


@pytest.mark.parametrize("number", [10, 30, 120])
def test_a_topic_may_be_a_number(tmp_path: Path, number: int) -> None:
    rows = make_rows([(f"Hill {index}", LONG.format(index)) for index in range(number)])
    counts = build(tmp_path, rows, [LONG.format(number + 5)]).counts
    assert counts["questions_in_pairs"] == number


def test_several_templates_and_one_that_a_part_of_a_large_set_uses(tmp_path: Path) -> None:
    topics = names(2_000)
    prompts = [*natural(1_760), *(LONG.format(topic) for topic in topics[1_760:1_880])]
    prompts += [TEMPLATES["end"].format(topic) for topic in topics[1_880:]]
    kept = [LONG.format("Quentin Arlo"), TEMPLATES["end"].format("Quentin Arlo")]
    result = build(tmp_path, make_rows(list(zip(topics, prompts, strict=True))), kept)
    assert result.counts["questions_in_pairs"] == 2_000


CHANGES = {
    "none": lambda text: text,
    "case and spaces": lambda text: text.upper().replace(" ", "  "),
    "an article": lambda text: text.replace("one factual", "a factual"),
    "a greeting": lambda text: f"{text} Thank you!",
    "a word of the template": lambda text: text.replace("paragraph", "passage"),
    "less polite": lambda text: text.replace("Please write", "Write"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_under_a_template_is_found(tmp_path: Path, change: str) -> None:
    topics = topics_for("middle", 40)
    test = in_split(topics, Split.TEST)[0]
    prompts = [(topic, LONG.format(topic)) for topic in topics]
    copied = CHANGES[change](LONG.format(test))
    counts = build(tmp_path, make_rows([*prompts, (names(900)[-1], copied)])).counts
    assert counts["dropped_near_duplicate"] == 1
    assert counts["questions_in_pairs"] == 40


@pytest.mark.parametrize("other", ["{} bridge", "the bridge of {}", "{} the Younger"])
def test_another_topic_with_the_same_name_in_it_is_no_copy(tmp_path: Path, other: str) -> None:
    topics = topics_for("middle", 40)
    topic = other.format(in_split(topics, Split.TEST)[0])
    prompts = [(name, LONG.format(name)) for name in topics]
    rows = make_rows([*prompts, (names(900)[-1], LONG.format(topic))])
    assert build(tmp_path, rows).counts["questions_in_pairs"] == 41


FIRST = "Ana Ben Cleo Dag Mira Finn Gita Hugo Ines Jun Kira Leo".split()
LAST = "Arden Brook Castro Dahl Evans Frost Grant Hale Ivers Jones".split()
SHARED_WORDS = {
    "first and last names": [f"{one} {two}" for one in FIRST for two in LAST],
    "names with a word more": [
        f"{one} {two}{more}"
        for more in ("", " Hall", " of Drum", " II")
        for one, two in zip(FIRST, LAST, strict=False)
    ],
    "numbers": [f"City {number}" for number in range(1, 121)],
    "Chinese names": [
        one + two + three for one in "王李张刘" for two in "伟芳娜敏" for three in "强军洋"
    ],
}


@pytest.mark.parametrize("kind", TEMPLATES)
@pytest.mark.parametrize("shared", SHARED_WORDS)
def test_words_that_many_topics_share_are_not_the_template(
    tmp_path: Path, kind: str, shared: str
) -> None:
    topics, template = SHARED_WORDS[shared], TEMPLATES[kind]
    rows = make_rows([(topic, template.format(topic)) for topic in topics])
    kept = in_split(topics, Split.TRAIN)[0]
    counts = build(tmp_path / "same", rows, [template.format(kept)], near_duplicate=0.0).counts
    assert counts["dropped_in_evaluation"] == 1
    other = template.format("Zoe Quill")
    counts = build(tmp_path / "other", rows, [other], near_duplicate=0.0).counts
    assert "dropped_in_evaluation" not in counts
    learned = learn_template([(topic, template.format(topic)) for topic in topics])
    for topic in topics:
        assert contents_of(flatten(template.format(topic)), learned)


def test_a_question_that_is_repeated_is_no_template() -> None:
    text = "Who ran the old mill at Karsted before the great fire in the last winter of the war?"
    for copies in ([text] * 3, [text, f"Please tell me: {text}", text[:-1] + ", please?"]):
        rows = [(f"topic {number}", copy) for number, copy in enumerate(copies)]
        learned = learn_template([*enumerate_topics(natural(10)), *rows])
        assert not set(ngrams_of(flatten(text))) <= learned
        assert contents_of(flatten(text), learned)


def enumerate_topics(prompts: Sequence[str]) -> list[tuple[str, str]]:
    return [(str(number), text) for number, text in enumerate(prompts)]


def test_the_words_put_into_a_template_are_found() -> None:
    learned = learn_template([(name, LONG.format(name)) for name in names(12)])
    assert contents_of(flatten(LONG.format("Mira Tolvan")), learned) == [("mira", "tolvan")]
    both = contents_of(flatten(LONG.format("Tolvan and the Bren")), learned)
    assert both == [("tolvan", "bren")]  # "and the" is in the template, too
    numbers = learn_template([(str(number), LONG.format(number)) for number in range(30)])
    assert contents_of(flatten(LONG.format(17)), numbers) == [("17",)]


def test_a_run_that_ends_inside_what_is_asked_is_no_evidence(tmp_path: Path) -> None:
    """Two topics share their first words: fewer than make a template."""
    topics = [*topics_for("middle", 40), "the poet Mira Tolvan", "the poet Otto Bren"]
    rows = make_rows([(topic, LONG.format(topic)) for topic in topics])
    result = build(tmp_path, rows, [LONG.format("the poet Otto Bren")], test_share=0)
    assert result.counts["dropped_in_evaluation"] == 1
    for name in ("Mira Tolvan", "the poet Otto Bren Hall"):  # whole here or there: other topics
        result = build(tmp_path, rows, [LONG.format(name)], test_share=0)
        assert "dropped_in_evaluation" not in result.counts


def test_a_shared_run_of_other_words_is_a_leak_under_a_template_too(tmp_path: Path) -> None:
    topics = topics_for("middle", 40)
    text = "who ran the old mill at Karsted before the great fire of the last winter"
    rows = make_rows(
        [*((topic, LONG.format(topic)) for topic in topics), (names(900)[-1], LONG.format(text))]
    )
    counts = build(tmp_path, rows, [f"Tell me, {text}?"]).counts
    assert counts["dropped_in_evaluation"] == 1


def test_the_sample_is_that_of_the_smallest_hashes_in_any_order() -> None:
    rows = [(f"q{number}", f"topic {number % 1_500}", f"text {number}") for number in range(3_000)]
    sample = sample_prompts(lambda: iter(rows))
    assert len({topic for topic, _ in sample}) == SAMPLE_TOPICS
    assert len(sample) == 2 * SAMPLE_TOPICS
    shuffled = random.Random(0).sample(rows, len(rows))
    assert {*sample_prompts(lambda: iter(shuffled))} == {*sample}
    fewer = [row for row in rows if row[1] in {topic for topic, _ in sample}]
    assert sample_prompts(lambda: iter(fewer)) == sample


def test_order_and_shards_change_nothing(tmp_path: Path) -> None:
    topics = names(60)
    rows = make_rows([(topic, LONG.format(topic)) for topic in topics])
    kept = [LONG.format(topics[7])]
    whole = build(tmp_path / "whole", rows, kept)
    turned = build(tmp_path / "turned", rows[::-1], kept)
    parts = [
        build(tmp_path / "parts", rows, kept, shard=Shard(index=index, count=3)).output
        for index in (1, 2, 3)
    ]
    merged = run_merge(parts, output=tmp_path / "merged")
    for path in whole.output.glob("*/*.parquet"):
        name = path.relative_to(whole.output)
        table = pq.read_table(path)
        assert table.equals(pq.read_table(turned.output / name))
        assert path.read_bytes() == (merged.output / name).read_bytes()
    assert whole.counts == merged.counts == turned.counts


def test_a_number_or_a_setting_that_many_topics_have_is_no_leak(tmp_path: Path) -> None:
    """It fills one place of the template, and names none of the topics."""
    template = LONG.replace("the life and the work of {}", "the care of patients with {} {}")
    topics = topics_for("middle", 60)
    places = [f"{name}, a town" for name in "Bern Basel Zug Chur Uri Thun Jura Vaud".split()]
    in_places = [(one, template.format(one, f"in {place}")) for one in topics for place in places]
    kept = [template.format(topics[0], "in Zug, a town"), template.format("Quentin Arlo", "in Uri")]
    counts = build(tmp_path / "places", make_rows(in_places), kept).counts
    assert counts["dropped_in_evaluation"] == len(places)  # the questions of one topic

    of_types = [
        (one, template.format(one, f"type {number % 30}")) for number, one in enumerate(topics)
    ]
    kept = [of_types[0][1], template.format("Quentin Arlo", "type 3")]
    counts = build(tmp_path / "types", make_rows(of_types), kept).counts
    assert counts["dropped_in_evaluation"] == 1

    template = LONG.replace(
        "the life and the work of {}", "the meaning of code {} to all who have ever lived in {}"
    )
    of_codes = [
        (str(number), template.format(1000 + 7 * number, places[number % 8]))
        for number in range(64)
    ]
    counts = build(tmp_path / "codes", make_rows(of_codes), [of_codes[1][1]]).counts
    assert counts.get("dropped_in_evaluation", 0) <= 1
