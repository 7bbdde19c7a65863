"""The card: what was counted, safe to render, found again by a later push."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from build_rows import GOOD, annotation_row, questions, write_annotations
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dataset_builder.build import make_inputs, run_build, staged_build
from dataset_builder.config import BuildConfig, Strategy
from dataset_builder.folder.provenance import Provenance, add_provenance
from dataset_builder.folder.row_faults import FaultKind
from dataset_builder.folder.validate import validate_folder
from dataset_builder.folder.write import check_replaceable, pair_schema, sentence_schema
from maskdpo.publishing.dataset import add_card, build_dataset
from maskdpo.publishing.dataset_card import SECTIONS, yaml_features
from maskdpo.publishing.markdown import (
    CardState,
    CardText,
    Segment,
    compose_card,
    digest,
    join_card,
    split_card,
)
from schemas.errors import ConfigError, InputError
from schemas.files.sidecar import describe_file
from schemas.records import Annotation
from schemas.stage import StageResult

AGREEMENT = {
    "gold": "/home/someone/labels.jsonl",
    "judge": "/home/someone/judge",
    "num_sentences": 40,
    "num_hallucinated": 10,
    "num_responses": 12,
    "num_groups": 4,
    "balanced_accuracy": 0.71234567,
    "balanced_accuracy_low": 0.6,
    "balanced_accuracy_high": 0.8,
    "f1_hallucinated": 0.5,
    "kappa": None,
    "coverage": 1.0,
    "baselines": {"majority": {"balanced_accuracy": 0.5, "kappa": 0.0}},
}


def build(
    tmp_path: Path, rows: list[Any], config: BuildConfig | None = None, **options: Any
) -> StageResult:
    return build_dataset(
        config or BuildConfig(),
        annotations=write_annotations(tmp_path / "annotations.jsonl", rows),
        output=tmp_path / "dataset",
        **options,
    )


def read_card(folder: Path) -> tuple[dict[str, Any], str]:
    card = (folder / "README.md").read_text(encoding="utf-8")
    header, body = card.removeprefix("---\n").split("\n---\n", 1)
    return yaml.safe_load(header), body


def test_the_card_says_what_was_counted(tmp_path: Path) -> None:
    sampling = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 64}
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
    rows = questions(30, verdict={"judge": "j", "protocol": "anah@0a1b"}, prompt=prompt)
    rows = [row | {"sampling": sampling | {"seed": index}} for index, row in enumerate(rows)]
    # All ask the same, which would leave train empty.
    result = build(tmp_path, rows, BuildConfig(license="cc-by-4.0", near_duplicate=0))
    values, body = read_card(result.output)
    assert values["license"] == "cc-by-4.0"
    assert values["language"] == ["en"]
    assert values["size_categories"] == ["n<1K"]
    assert [(item["config_name"], item.get("default")) for item in values["configs"]] == [
        ("pairs", True),
        ("sentences", None),
    ]
    counts = result.counts
    for line in (
        f"| train | {counts['pairs_train']} | {counts['sentences_train']} |",
        "Responses per question (K): 3.",
        "| `some/model` | 90 |",
        "| `j` | 150 |",
        "| `anah@0a1b` | 150 |",
        '| `{"max_tokens": 64, "temperature": 0.7, "top_p": 1.0}` | 90 |',
        "| `no_hallucination` | 90 | 60.0% |",
        "| margin between them | 1 | 1 | 1 | 1 |",
        "The chosen answer is the longer one in 100.0% of the pairs.",
        "The judge's agreement with people was not measured",
    ):
        assert line in body
    assert f"| `{sha256(b'Be brief.').hexdigest()[:16]}` | 90 |" in body
    assert "No licence" not in body


def test_the_header_gives_the_features_that_datasets_would_write() -> None:
    from datasets import Features

    for schema in (pair_schema(), sentence_schema()):
        assert yaml_features(schema) == Features.from_arrow_schema(schema)._to_yaml_list()


def test_the_header_counts_the_rows_of_each_split(tmp_path: Path) -> None:
    result = build(tmp_path, questions(30), BuildConfig(test_share=0.3))
    values, _ = read_card(result.output)
    found = {
        f"{item['config_name']}_{split['name']}": split["num_examples"]
        for item in values["dataset_info"]
        for split in item["splits"]
    }
    assert found == {name: count for name, count in result.counts.items() if name in found}
    assert len(found) == 4


def test_pictures_appear_with_the_data_and_are_named_and_hashed(tmp_path: Path) -> None:
    result = build(tmp_path, questions(12), plots=True)
    folder = result.output
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    drawn = sorted(str(path.relative_to(folder)) for path in (folder / "plots").iterdir())
    assert drawn
    assert sorted(picture["file"] for picture in manifest["pictures"]) == drawn
    for name in [*drawn, "statistics.json"]:
        assert manifest["files"][name] == describe_file(folder / name)
    html = MarkdownIt("commonmark").enable("table").render(read_card(folder)[1])
    assert [html.count(f'<img src="{name}" alt=') for name in drawn] == [1] * len(drawn)
    check_replaceable(folder, replaces=["README.md"])
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    build(tmp_path, questions(12), plots=True)
    assert first == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "plots" / "mine.png").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"plots/mine\.png"):
        check_replaceable(folder, replaces=["README.md"])


def test_a_drawing_that_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = build(tmp_path, questions(2)).output
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    inputs = make_inputs(annotations=write_annotations(tmp_path / "a.jsonl", questions(3)))
    staging = staged_build(BuildConfig(), inputs, output=folder, replaces=["README.md"])
    with pytest.raises(RuntimeError, match="no fonts"), staging as staged:
        add_card(staged.folder)
        (staged.folder / "plots").mkdir()
        raise RuntimeError("no fonts")
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_builder_alone_writes_the_same_data_and_no_card(tmp_path: Path) -> None:
    published = build(tmp_path, questions(6)).output
    annotations = tmp_path / "annotations.jsonl"
    plain = run_build(BuildConfig(), annotations=annotations, output=tmp_path / "plain").output
    found = {
        folder: {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (published, plain)
    }
    assert found[published].keys() - found[plain].keys() == {"README.md"}
    assert found[plain] == {name: found[published][name] for name in found[plain]}
    # A card is not the builder's to replace, edited or not.
    with pytest.raises(ConfigError, match=r"README\.md"):
        run_build(BuildConfig(), annotations=annotations, output=published)


def test_a_card_can_be_added_to_a_folder_that_has_none(tmp_path: Path) -> None:
    published = build(tmp_path, questions(6), plots=True).output
    plain = run_build(
        BuildConfig(), annotations=tmp_path / "annotations.jsonl", output=tmp_path / "plain"
    ).output
    (fault,) = validate_folder(plain).findings
    assert (fault.kind, fault.file) == (FaultKind.CARD, "README.md")
    assert "is missing" in fault.message and "add_card" in fault.message
    add_card(plain, plots=True)
    assert not validate_folder(plain).num_faults
    for path in published.rglob("*"):
        if path.is_file():
            assert (plain / path.relative_to(published)).read_bytes() == path.read_bytes()


def test_a_card_that_is_edited_while_a_build_runs_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build(tmp_path, questions(2)).output
    card = folder / "README.md"
    edited = card.read_text(encoding="utf-8") + "\nThanks to Ada.\n"

    def draw(statistics: Any, place: Path) -> list[tuple[str, str]]:
        card.write_text(edited, encoding="utf-8")
        return []

    monkeypatch.setattr("maskdpo.publishing.dataset.draw_dataset_plots", draw)
    with pytest.raises(ConfigError, match=r"README\.md was edited by hand"):
        build(tmp_path, questions(3), plots=True)
    assert card.read_text(encoding="utf-8") == edited
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_agreement_with_people_stands_in_the_card(tmp_path: Path) -> None:
    report = tmp_path / "agreement.json"
    report.write_text(json.dumps(AGREEMENT), encoding="utf-8")
    result = build(tmp_path, questions(3), agreement=report)
    body = read_card(result.output)[1]
    assert "Measured on 40 sentences of 12 responses" in body
    assert "| `judge` | 0.712 | 0.500 | - | 1.000 |" in body
    assert "| `majority` | 0.500 | - | 0.000 | - |" in body
    manifest = (result.output / "manifest.json").read_text(encoding="utf-8")
    assert "someone" not in manifest + body
    report.write_text('{"judge": "x"}', encoding="utf-8")
    with pytest.raises(InputError, match="is not an agreement report; make one with"):
        build(tmp_path, questions(3), agreement=report)


HOSTILE = [
    "` <img src=x> `",
    "{{ 7 * 7 }}{% for x in y %}",
    "<script>alert(1)</script>",
    "a`b`\n---\n# Owned | c | d",
    "[x](javascript:alert(1)) ![i](http://h/p.png)",
    "x\n<!-- maskdpo:end source -->\n<!-- maskdpo:begin limits -->",
]


def test_nothing_in_data_or_settings_is_markup_or_template(tmp_path: Path) -> None:
    rows = [
        row
        for index, text in enumerate(HOSTILE)
        for row in questions(
            1, model=text, verdict={"judge": text, "protocol": text}, topic=text, language=text
        )
        for row in [row | {"id": f"{row['id']}{index}", "question_id": f"{text}{index}"}]
    ]
    title = " ".join(" ".join(HOSTILE).split())[:200]
    result = build(tmp_path, rows, BuildConfig(title=title), plots=True)
    values, body = read_card(result.output)
    assert values["pretty_name"] == title
    assert "language" not in values
    html = MarkdownIt("commonmark").enable("table").render(body)
    assert "49" not in html.split("</h1>")[0]
    assert "{{ 7 * 7 }}{% for x in y %}" in html
    for tag in ("<script", "<img src=x", 'javascript:alert(1)"', "<hr", "http://h/p.png&quot;"):
        assert tag not in html
    assert html.count("<h1>") == 1
    segments = split_card((result.output / "README.md").read_text(encoding="utf-8")).segments
    assert [segment.name for segment in segments if segment.name] == list(SECTIONS)


@pytest.mark.parametrize("strategy", Strategy)
def test_the_card_says_how_pairs_were_chosen(tmp_path: Path, strategy: Strategy) -> None:
    words = {
        Strategy.BEST_WORST: "the highest score is chosen and the one with the lowest is rejected",
        Strategy.MIRRORED: "paired from both ends",
        Strategy.ABOVE_MARGIN: "All pairs",
        Strategy.TWO_SIGMA: "two standard deviations below the mean",
        Strategy.LENGTH_MATCHED: "nearly equal length",
    }
    rows = questions(2, texts=None)
    config = BuildConfig(strategy=strategy, max_length_ratio=9.0)
    body = read_card(build(tmp_path, rows, config).output)[1]
    assert [key for key, text in words.items() if text in body] == [strategy]


# --- found again -----------------------------------------------------------------------------

NAMES = st.sampled_from(["summary", "use", "limits"])
LINES = st.lists(
    st.sampled_from(["a", "", "| b |", "---", "# c", "<!-- maskdpo:begin use -->", "{x}"]),
    max_size=5,
).map("\n".join)


@given(header=st.dictionaries(NAMES, st.text(max_size=5)), sections=st.dictionaries(NAMES, LINES))
def test_a_card_is_found_again_as_it_was_written(
    header: dict[str, str], sections: dict[str, str]
) -> None:
    sections = {
        name: text.strip()
        for name, text in sections.items()
        if text.strip() and "maskdpo" not in text
    }
    card = split_card(compose_card(header, sections))
    assert (yaml.safe_load(card.header) or {}) == header
    assert {item.name: item.text for item in card.segments if item.name} == sections
    assert card.state == CardState(
        header={key: digest(value) for key, value in header.items()},
        sections={name: digest(text) for name, text in sections.items()},
    )


@given(text=LINES | st.text())
@example(text="0\r")
def test_text_of_a_person_survives_being_taken_apart(text: str) -> None:
    once = join_card(split_card(text))
    assert join_card(split_card(once)) == once
    unix = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for line in unix.split("\n"):
        assert line.strip() in once or line.strip(" \t") == "---"  # an empty header is none


def test_a_broken_state_is_no_state() -> None:
    card = split_card("# Mine\n\n<!-- maskdpo:state {nonsense} -->\n")
    assert card == CardText(header="", segments=[Segment(name=None, text="# Mine")], state=None)


# --- where the responses come from -------------------------------------------------------------


def test_provenance_of_shards_adds_up_to_the_whole() -> None:
    rows = [
        Annotation.model_validate_json(json.dumps(row))
        for row in [
            *questions(4, model="/srv/models/mine", sampling={"temperature": 1.0, "seed": 3}),
            annotation_row("lone", [GOOD], question="lone", model="other"),
        ]
    ]
    groups = [rows[0:3], rows[3:6], rows[6:9], rows[9:12], rows[12:]]

    def tally(some: list[list[Annotation]]) -> dict[str, dict[str, int]]:
        provenance = Provenance()
        for group in some:
            provenance.add_question(group)
        return provenance.to_dict()

    whole = tally(groups)
    assert add_provenance([tally(groups[:2]), tally(groups[2:])]) == whole
    assert whole["policies"] == {"mine": 12, "other": 1}
    assert whole["responses_per_question"] == {"1": 1, "3": 4}
    assert whole["sampling"] == {"": 1, '{"temperature": 1.0}': 12}
    assert whole["system_prompts"] == {"": 13}
