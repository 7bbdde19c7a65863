"""The counts of statistics, made in arrays, against a plain count of one row after the other."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.folder import statistics_counts
from dataset_builder.folder.statistics_counts import SplitCounts, count_split
from dataset_builder.folder.summaries import Products
from dataset_builder.folder.write import pair_schema, sentence_schema
from dataset_builder.splits.splits import Split
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS

Json = dict[str, Any]
SIDES = ("chosen", "rejected")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | st.just("x" * 700)
names = st.sampled_from(["", "a", "b", "A", "𝒳"]) | st.none()
scores = st.sampled_from([0.0, 0.0005, 0.0015, 0.5, 1.0]) | st.floats(0, 1) | st.none()
labels = st.sampled_from(["no_hallucination", "contradictory", "unverifiable", "odd"]) | st.none()
message_lists: st.SearchStrategy[list[Json] | None] = st.none() | st.lists(
    st.builds(dict, role=st.just("user"), content=texts), max_size=2
)


@st.composite
def span_lists(draw: st.DrawFn, *, pieces: bool) -> list[Json] | None:
    if draw(st.booleans()) and draw(st.booleans()):
        return None
    spans, place, number = [], 0, 0
    for _ in range(draw(st.integers(0, 5))):
        size = draw(st.integers(1, 40))
        span = {
            "start": place,
            "end": place + size,
            "label": draw(labels),
            "weight": draw(st.sampled_from([0.0, 0.3, 1.0])),
        }
        if pieces:
            number += draw(st.integers(0, 1))
            span["sentence"] = number
            span["part"] = draw(st.sampled_from(["error", "context", None]))
            if span["part"] is None and draw(st.booleans()):
                span["sentence"] = None
        spans.append(span)
        place += size
    return spans


def pair_rows(*, pieces: bool) -> st.SearchStrategy[list[Json]]:
    row = st.fixed_dictionaries(
        {
            **dict.fromkeys(SIDES, message_lists),
            **{f"{side}_spans": span_lists(pieces=pieces) for side in SIDES},
            **{f"{side}_score": scores for side in SIDES},
            **dict.fromkeys(("question_id", "topic", "language"), names),
        }
    )
    return st.lists(row, max_size=12)


sentence_rows = st.lists(
    st.fixed_dictionaries(
        dict.fromkeys(("question_id", "topic", "language", "source"), names) | {"label": labels}
    ),
    max_size=20,
)


def total(spans: Iterable[Json]) -> int:
    return sum(span["end"] - span["start"] for span in spans)


def count_side(found: SplitCounts, side: str, spans: Sequence[Json]) -> None:
    """Labels per sentence, the share of characters that train, and sentences in pieces."""
    sentences: list[list[Json]] = []
    for key, items in groupby(spans, key=lambda span: span.get("sentence")):
        group = list(items)
        sentences += [[span] for span in group] if key is None else [group]
    found.labels[side].update(group[0]["label"] for group in sentences)
    for group in sentences:
        wrong = [span for span in group if span.get("part") == "error"]
        if wrong:
            found.pieces.setdefault(side, Counter()).update(
                sentences=1,
                wrong_words=len(wrong),
                characters=total(group),
                wrong_characters=total(wrong),
                active_wrong_characters=total(span for span in wrong if span["weight"] > 0),
                active_characters=total(span for span in group if span["weight"] > 0),
            )
            share = round(total(wrong) / total(group) * 1_000)
            found.wrong_shares.setdefault(side, Counter())[share] += 1
    if spans:
        active = total(span for span in spans if span["weight"] > 0)
        found.values[f"active_share_{side}"][round(active / total(spans) * 1_000)] += 1


def count_pairs(rows: Sequence[Json], found: SplitCounts) -> None:
    both: list[tuple[int, int]] = []
    for row in rows:
        found.num_pairs += 1
        lengths = [len(row[side][-1]["content"]) if row[side] else 0 for side in SIDES]
        for side, length in zip(SIDES, lengths, strict=True):
            found.values[f"length_{side}"][length] += 1
            if row[f"{side}_score"] is not None:
                found.values[f"score_{side}"][round(row[f"{side}_score"] * 1_000)] += 1
            count_side(found, side, row[f"{side}_spans"] or [])
        chosen, rejected = lengths
        word = (
            "equal"
            if chosen == rejected
            else f"chosen_{'longer' if chosen > rejected else 'shorter'}"
        )
        found.longer[word] += 1
        ratio = round(100 * math.log2(chosen / rejected)) if chosen and rejected else None
        if ratio is not None:
            found.ratios[ratio] += 1
        if None not in (row["chosen_score"], row["rejected_score"]):
            margin = round((row["chosen_score"] - row["rejected_score"]) * 1_000)
            found.values["margin"][margin] += 1
            both += [(ratio, margin)] if ratio is not None else []
    found.ratio_and_margin = Products(
        count=len(both),
        x=sum(x for x, _ in both),
        y=sum(y for _, y in both),
        xx=sum(x * x for x, _ in both),
        yy=sum(y * y for _, y in both),
        xy=sum(x * y for x, y in both),
    )


def groups_of(
    pairs: Sequence[Json], sentences: Sequence[Json], *, languages: bool
) -> dict[str, list[int]]:
    """Pairs, sentences, correct and hallucinated ones of each topic or language."""
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0] * 4)

    def name_of(row: Json) -> str:
        return (row["language"] if languages else row["topic"] or row["question_id"]) or ""

    for row in pairs:
        found[name_of(row)][0] += 1
    for row in sentences:
        flags = (1, row["label"] in CORRECT_LABELS, row["label"] in HALLUCINATED_LABELS)
        for place, flag in enumerate(flags, start=1):
            found[name_of(row)][place] += flag
    return dict(found)


def write_files(folder: Path, name: str, rows: list[Json], schema: pa.Schema) -> None:
    """Two files of one split, in small row groups."""
    (folder / name).mkdir(parents=True)
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        path = folder / name / f"train-{number:05d}-of-00002.parquet"
        pq.write_table(pa.Table.from_pylist(part, schema=schema), path, row_group_size=3)


@pytest.mark.parametrize("pieces", [False, True])
@given(data=st.data(), size=st.sampled_from([1, 4, 8_192]))
@settings(deadline=None)
def test_counts_are_those_of_one_row_after_the_other(
    pieces: bool, data: st.DataObject, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pairs = data.draw(pair_rows(pieces=pieces))
    sentences = data.draw(sentence_rows)
    folder = tmp_path_factory.mktemp("counts")
    write_files(folder, "pairs", pairs, pair_schema(pieces=pieces))
    write_files(folder, "sentences", sentences, sentence_schema(pieces=pieces))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics_counts, "ROWS_A_BATCH", size)
        found = count_split(folder, Split.TRAIN)
    expected = SplitCounts()
    count_pairs(pairs, expected)
    assert found.num_pairs == expected.num_pairs
    assert found.values == expected.values
    assert found.ratios == expected.ratios
    assert found.longer == expected.longer
    assert found.ratio_and_margin == expected.ratio_and_margin
    assert found.pieces == expected.pieces
    assert found.wrong_shares == expected.wrong_shares
    assert all(found.labels[side] == expected.labels[side] for side in SIDES)
    assert found.labels["all"] == Counter(row["label"] or "" for row in sentences)
    assert found.sources == Counter(row["source"] or "" for row in sentences)
    assert found.named == {row["topic"] for row in [*pairs, *sentences] if row["topic"]}
    for groups, languages in ((found.topics, False), (found.languages, True)):
        counted = {name: list(group.to_dict().values()) for name, group in groups.items()}
        assert counted == groups_of(pairs, sentences, languages=languages)


def test_columns_of_nulls_and_other_text_types_are_counted(tmp_path: Path) -> None:
    """As other programs write them: stock DPO pairs, and large strings."""
    row = {"chosen": [{"content": "aé"}], "rejected": [{"content": "𝒳"}], "question_id": "q"}
    empty = dict.fromkeys(["chosen_spans", "rejected_spans", "chosen_score", "rejected_score"])
    table = pa.Table.from_pylist([row | empty | {"topic": None, "language": None}])
    place = table.column_names.index("question_id")
    changed = table.set_column(place, "question_id", table["question_id"].cast("large_string"))
    (tmp_path / "pairs").mkdir()
    pq.write_table(changed, tmp_path / "pairs" / "train-00000-of-00001.parquet")
    found = count_split(tmp_path, Split.TRAIN)
    assert (found.values["length_chosen"], found.values["length_rejected"]) == ({2: 1}, {1: 1})
    assert found.topics["q"].pairs == found.languages[""].pairs == 1
    assert not found.values["margin"] and not found.named


def test_products_give_no_correlation_where_a_side_is_constant() -> None:
    assert Products().correlation() is None
    assert Products(count=2, x=4, y=3, xx=8, yy=5, xy=6).correlation() is None
    assert Products(count=2, x=3, y=3, xx=5, yy=5, xy=5).correlation() == 1.0
