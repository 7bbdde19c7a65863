"""Statistics: counted against plain Python, the same for any order, drawn and shown."""

from __future__ import annotations

import json
import math
import random
import statistics as stdlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation_row, questions, write_annotations
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.build import run_build
from dataset_builder.config import BuildConfig
from dataset_builder.folder.statistics import (
    MAX_TOPICS,
    STATISTICS_NAME,
    compute_statistics,
    write_statistics,
)
from dataset_builder.folder.summaries import NUM_BINS, Scale, summarise
from maskdpo.publishing.dataset_plots import draw_dataset_plots
from maskdpo.report.dataset_table import print_statistics
from schemas.errors import InputError
from schemas.labels import Label

TRAIN = "pairs/train-00000-of-00001.parquet"
PNG = b"\x89PNG\r\n\x1a\n"


def mixed_rows(num: int = 30) -> list[dict[str, Any]]:
    """Questions with answers of many lengths, labels and two languages."""
    dice = random.Random(3)
    rows = []
    for index in range(num):
        for answer in range(4):
            labels = dice.choices([GOOD, BAD, Label.NO_FACT, Label.UNDETERMINED], k=5)
            texts = ["x" * dice.randint(1, 40) + f"{answer}." for _ in labels]
            language = "zh" if index % 3 else "en"
            rows.append(
                annotation_row(
                    f"q{index}/{answer}",
                    labels,
                    question=f"q{index}",
                    topic=f"t{index % 7}",
                    texts=texts,
                    language=language,
                )
            )
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("statistics")
    source = write_annotations(place / "annotations.jsonl", mixed_rows())
    run_build(
        BuildConfig(test_share=0.4, near_duplicate=0.0),
        annotations=source,
        output=place / "dataset",
    )
    return place / "dataset"


def rows_of(folder: Path, config_name: str) -> list[dict[str, Any]]:
    paths = sorted((folder / config_name).glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_every_figure_is_what_plain_python_counts(folder: Path) -> None:
    found = compute_statistics(folder)["all"]
    pairs, sentences = rows_of(folder, "pairs"), rows_of(folder, "sentences")
    assert found["num_pairs"] == len(pairs) > 10
    assert found["num_sentences"] == len(sentences)
    assert found["labels"]["all"] == Counter(row["label"] for row in sentences)
    assert found["sources"] == {"judge": len(sentences)}
    ratios, margins = [], []
    for side in ("chosen", "rejected"):
        lengths = [len(row[side][0]["content"]) for row in pairs]
        assert found[f"length_{side}"]["median"] == stdlib.median_low(lengths)
        assert found[f"length_{side}"]["mean"] == pytest.approx(stdlib.fmean(lengths), abs=1e-5)
        scores = [row[f"{side}_score"] for row in pairs]
        assert found[f"score_{side}"]["mean"] == pytest.approx(stdlib.fmean(scores), abs=1e-3)
        assert found["labels"][side] == Counter(
            span["label"] for row in pairs for span in row[f"{side}_spans"]
        )
        shares = []
        for row in pairs:
            weighed = [(s["end"] - s["start"], s["weight"] > 0) for s in row[f"{side}_spans"]]
            shares.append(sum(n for n, on in weighed if on) / sum(n for n, _ in weighed))
        share = found[f"active_share_{side}"]
        assert share["mean"] == pytest.approx(stdlib.fmean(shares), abs=1e-3)
    for row in pairs:
        chosen, rejected = (len(row[side][0]["content"]) for side in ("chosen", "rejected"))
        ratios.append(math.log2(chosen / rejected))
        margins.append(row["chosen_score"] - row["rejected_score"])
    bias = found["length_bias"]
    assert bias["chosen_longer"] == sum(ratio > 0 for ratio in ratios)
    assert bias["equal"] == sum(ratio == 0 for ratio in ratios)
    assert bias["chosen_shorter"] == sum(ratio < 0 for ratio in ratios)
    assert bias["median_log2_ratio"] == pytest.approx(stdlib.median_low(ratios), abs=0.011)
    expected = float(np.corrcoef(ratios, margins)[0, 1])
    assert bias["correlation_with_margin"] == pytest.approx(expected, abs=0.01)
    assert found["margin"]["mean"] == pytest.approx(stdlib.fmean(margins), abs=1e-3)


def test_topics_and_languages_add_up(folder: Path) -> None:
    found = compute_statistics(folder)["all"]
    sentences = rows_of(folder, "sentences")
    for name, column in (("topics", "topic"), ("languages", "language")):
        for group, counts in found[name].items():
            labels = Counter(row["label"] for row in sentences if row[column] == group)
            assert counts["sentences"] == sum(labels.values())
            assert counts["correct"] == labels["no_hallucination"]
            assert counts["hallucinated"] == labels["hallucinated"]
        assert sum(counts["pairs"] for counts in found[name].values()) == found["num_pairs"]
    assert set(found["languages"]) == {"en", "zh"}
    assert found["topic_rates"]["count"] == found["num_topics"] == 7


def test_splits_add_up_to_all(folder: Path) -> None:
    found = compute_statistics(folder)
    parts = list(found["splits"].values())
    assert all(part["num_pairs"] for part in parts)
    for key in ("num_pairs", "num_sentences"):
        assert sum(part[key] for part in parts) == found["all"][key]
    for key in ("margin", "topic_rates"):
        summed = [
            sum(counts) for counts in zip(*(part[key]["counts"] for part in parts), strict=True)
        ]
        assert summed == found["all"][key]["counts"]


def test_the_order_of_rows_and_files_changes_nothing(folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / TRAIN)
    order = random.Random(1).sample(range(table.num_rows), table.num_rows)
    shuffled = table.take(order)
    for path in folder.glob("sentences/*.parquet"):
        (tmp_path / "sentences").mkdir(exist_ok=True)
        rows = pq.read_table(path)
        pq.write_table(
            rows.take(list(range(rows.num_rows))[::-1]), tmp_path / "sentences" / path.name
        )
    (tmp_path / "pairs").mkdir()
    half = table.num_rows // 2
    for part, rows in enumerate((shuffled.slice(0, half), shuffled.slice(half))):
        pq.write_table(rows, tmp_path / "pairs" / f"train-{part:05d}-of-00002.parquet")
    test = "pairs/test-00000-of-00001.parquet"
    pq.write_table(pq.read_table(folder / test), tmp_path / test)
    assert write_statistics(tmp_path) == compute_statistics(folder)
    saved = json.loads((tmp_path / STATISTICS_NAME).read_text(encoding="utf-8"))
    assert saved == compute_statistics(folder)


@given(
    values=st.dictionaries(st.integers(0, 3_000), st.integers(1, 5), min_size=1),
    steps=st.sampled_from([1, 1_000]),
)
def test_a_summary_agrees_with_the_values_written_out(values: dict[int, int], steps: int) -> None:
    flat = sorted(value / steps for value, count in values.items() for _ in range(count))
    scale = Scale(steps=1) if steps == 1 else Scale(steps=steps, low=0.0, high=1.0)
    found = summarise(values, scale)
    assert found["count"] == len(flat) == sum(found["counts"])
    assert (found["min"], found["max"]) == (flat[0], flat[-1])
    assert found["median"] == flat[math.ceil(len(flat) / 2) - 1]
    assert found["p10"] <= found["median"] <= found["p90"]
    edges, counts = found["edges"], found["counts"]
    assert edges == sorted(set(edges))
    for index, count in enumerate(counts[:-1]):
        assert count == sum(edges[index] <= value < edges[index + 1] for value in flat)
    assert len(counts) == len(edges) - 1
    assert steps == 1 or len(counts) == NUM_BINS


def test_nothing_gives_nulls_and_no_picture(tmp_path: Path) -> None:
    found = compute_statistics(tmp_path)
    assert found["all"]["num_pairs"] == 0
    assert found["all"]["margin"]["median"] is None
    assert found["all"]["length_bias"]["correlation_with_margin"] is None
    assert draw_dataset_plots(found, tmp_path) == []


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    path = tmp_path / TRAIN
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        compute_statistics(tmp_path)
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(InputError, match="has no column 'chosen'"):
        compute_statistics(tmp_path)


def test_many_topics_are_cut_and_the_rest_counted(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "annotations.jsonl", questions(MAX_TOPICS + 9))
    run_build(BuildConfig(near_duplicate=0.0), annotations=source, output=tmp_path / "dataset")
    found = compute_statistics(tmp_path / "dataset")["all"]
    assert len(found["topics"]) == MAX_TOPICS
    assert found["topics_left_out"] == 9
    assert found["topic_rates"]["count"] == MAX_TOPICS + 9


# --- pictures and table ------------------------------------------------------------------------


def test_pictures_are_png_with_words_and_the_same_twice(folder: Path, tmp_path: Path) -> None:
    found = compute_statistics(folder)
    drawn = draw_dataset_plots(found, tmp_path / "one")
    assert [name for name, _ in drawn] == [
        f"plots/{name}.png"
        for name in ("labels", "scores", "margins", "lengths", "active", "topics", "languages")
    ]
    again = draw_dataset_plots(json.loads(json.dumps(found)), tmp_path / "two")
    assert again == drawn
    for name, text in drawn:
        content = (tmp_path / "one" / name).read_bytes()
        assert content.startswith(PNG)
        assert content == (tmp_path / "two" / name).read_bytes()
        assert any(letter.isdigit() for letter in text)


def test_a_picture_that_no_longer_has_anything_to_show_goes(folder: Path, tmp_path: Path) -> None:
    found = compute_statistics(folder)
    draw_dataset_plots(found, tmp_path)
    found["all"]["languages"].pop("zh")
    names = [name for name, _ in draw_dataset_plots(found, tmp_path)]
    assert "plots/languages.png" not in names
    assert not (tmp_path / "plots" / "languages.png").exists()


def test_names_from_data_reach_no_picture_and_no_terminal_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A topic is any text; a language may be too. `$` would be read as mathematics."""
    hostile = ["$\\frac{", "[red]", "\x1b[31m", "日本", "en"]
    rows = [
        row | {"id": f"{row['id']}{index}", "question_id": f"q{index}"}
        for index, text in enumerate(hostile)
        for row in questions(1, language=text, topic=text)
    ]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    run_build(
        BuildConfig(test_share=0.0, near_duplicate=0.0),
        annotations=source,
        output=tmp_path / "dataset",
    )
    found = compute_statistics(tmp_path / "dataset")
    texts = " ".join(text for _, text in draw_dataset_plots(found, tmp_path))
    assert "Pairs by language: other 4, en 1" in texts
    assert not any(text in texts for text in hostile[:4])
    print_statistics(found)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "pairs in [red]" in shown


def test_the_table_fits_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_statistics(compute_statistics(folder))
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 80
    for heading in ("label undetermined", "active rejected", "length bias", "pairs in zh"):
        assert heading in shown
