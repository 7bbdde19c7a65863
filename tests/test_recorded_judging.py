"""What sidecars record of a run reaches the manifest and the card, and nothing else does."""

import json
from pathlib import Path

import pytest
from build_rows import questions, write_annotations

from dataset_builder.config import BuildConfig
from maskdpo.publishing.dataset import build_dataset, merge_datasets
from maskdpo.publishing.privacy import json_faults, text_faults
from schemas.files.shard import Shard
from schemas.files.sidecar import (
    base_name,
    describe_files,
    make_sidecar,
    sidecar_path,
    write_sidecar,
)

EN, ZH = "ab" * 32, "cd" * 32
LLM = {
    "model": "/home/ann/models/judge",
    "base_url": "http://10.1.2.3:8000/v1",
    "protocol": "response",
    "window": 12,
    "votes": 1,
    "temperature": 0.0,
    "evidence": "require",
    "prompts": "/home/ann/prompts",
    "api_key_env": "SECRET",
}
SERVED = [
    {
        "id": "judge",
        "root": "/home/ann/models/judge",
        "max_model_len": 4096,
        "url": "http://10.1.2.3:8000/v1",
    }
]


def write(path, rows, *, llm=LLM, prompts=None, judge="llm", served=SERVED):
    write_annotations(path, rows)
    sidecar = make_sidecar(
        "annotation",
        config={"judge": judge, "llm": llm, "cascade": {"min_confidence": 0.8}},
        inputs=[],
        models={"judge": "/home/ann/models/judge"},
        served={"judge": served},
        prompts=prompts or {},
    )
    write_sidecar(path, sidecar)
    return path


def build(folder, *paths, **options):
    output = folder / options.pop("name", "dataset")
    build_dataset(BuildConfig(), annotations=list(paths), output=output, **options)
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    return manifest, (output / "README.md").read_text(encoding="utf-8")


def test_the_judge_s_settings_and_prompts_are_in_manifest_and_card(tmp_path):
    path = write(tmp_path / "a.jsonl", questions(30), prompts={"en": EN, "zh": ZH})
    manifest, card = build(tmp_path, path)
    (entry,) = manifest["judging"]
    assert entry == {
        "judge": "judge",
        "settings": {
            "protocol": "response",
            "window": 12,
            "votes": 1,
            "temperature": 0.0,
            "evidence": "require",
        },
        "prompts": {"en": EN, "zh": ZH},
        "served": [{"id": "judge", "root": "judge", "max_model_len": 4096}],
    }
    assert f"| `{EN[:16]}` | `en` |" in card and f"| `{ZH[:16]}` | `zh` |" in card
    assert '"evidence": "require"' in card
    assert text_faults("card", card, allowed=frozenset()) == []
    assert json_faults("manifest", manifest, allowed=frozenset()) == []


@pytest.mark.parametrize(("given", "recorded"), [(True, True), (False, None), ("yes", None)])
def test_asking_for_the_wrong_words_is_recorded_only_where_it_was_on(tmp_path, given, recorded):
    path = write(tmp_path / "a.jsonl", questions(30), llm=LLM | {"ask_spans": given})
    (entry,) = build(tmp_path, path)[0]["judging"]
    assert entry["settings"].get("ask_spans") is recorded


def test_without_a_record_the_card_names_no_prompts(tmp_path):
    path = write_annotations(tmp_path / "a.jsonl", questions(30, verdict={"protocol": "response"}))
    manifest, card = build(tmp_path, path)
    assert manifest["judging"] == []
    assert "| protocol of the judge | sentences |" in card
    assert "hash" not in card.split("## Content")[0] and "| judge | settings |" not in card


def test_two_judges_are_two_entries_and_equal_ones_are_one(tmp_path):
    rows = questions(30)
    paths = [
        write(tmp_path / "a.jsonl", rows[:30]),
        write(tmp_path / "b.jsonl", rows[30:60]),
        write(tmp_path / "c.jsonl", rows[60:], llm=LLM | {"votes": 5}, judge="cascade"),
    ]
    manifest, _ = build(tmp_path, *paths)
    found = [entry["settings"] for entry in manifest["judging"]]
    assert len(found) == 2
    assert {entry.get("cascade_min_confidence") for entry in found} == {None, 0.8}


@pytest.mark.parametrize(
    "values",
    [
        "no object",
        {"config": []},
        {"config": {"judge": "lexical", "llm": LLM}, "models": {"judge": "lexical"}},
        {"config": {"judge": "llm", "llm": LLM}, "models": {}},
        {"config": {"judge": "llm", "llm": None}, "models": {"judge": "j"}},
    ],
)
def test_a_sidecar_that_says_nothing_of_a_judge_is_passed_over(tmp_path, values):
    path = write_annotations(tmp_path / "a.jsonl", questions(30))
    head = {"format": "maskdpo.annotation", "version": "1.0"}
    content = head | values if isinstance(values, dict) else head
    sidecar_path(path).write_text(json.dumps(content), encoding="utf-8")
    assert build(tmp_path, path)[0]["judging"] == []


def test_what_is_not_of_the_expected_form_is_left_out(tmp_path):
    llm = LLM | {"evidence": "/home/ann", "votes": {"a": 1}, "temperature": "http://10.1.2.3"}
    prompts = {"en": "/home/ann", "/home/ann/very": EN}
    path = write(tmp_path / "a.jsonl", questions(30), llm=llm, prompts=prompts)
    values = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
    values["served"] = {"judge": ["x", {}, {"id": 3, "max_model_len": "/home/ann"}]}
    sidecar_path(path).write_text(json.dumps(values), encoding="utf-8")
    (entry,) = build(tmp_path, path)[0]["judging"]
    assert entry["settings"] == {"protocol": "response", "window": 12}
    assert (entry["prompts"], entry["served"]) == ({}, [])


def test_shards_merge_to_the_whole_with_the_judge_s_settings(tmp_path):
    path = write(tmp_path / "a.jsonl", questions(30), prompts={"en": EN})
    build(tmp_path, path, name="whole")
    for index in (1, 2):
        build(tmp_path, path, name=f"part{index}", shard=Shard(index=index, count=2))
    merge_datasets([tmp_path / "part1", tmp_path / "part2"], output=tmp_path / "merged")
    for name in ("manifest.json", "README.md"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_inputs_of_one_base_name_are_two_entries(tmp_path):
    for name, text in (("x", "one\n"), ("y", "two\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.jsonl").write_text(text, encoding="utf-8")
    paths = [tmp_path / "x" / "data.jsonl", tmp_path / "y" / "data.jsonl"]
    found = make_sidecar("annotation", config={}, inputs=paths).inputs
    assert list(found) == ["data.jsonl", "data.jsonl (2)"]
    assert len({entry["sha256"] for entry in found.values()}) == 2
    assert describe_files(reversed(paths)) == found
    assert [base_name(name) for name in found] == ["data.jsonl", "data.jsonl"]
    assert Path("data (2).jsonl").name == base_name("data (2).jsonl")


def test_inputs_hashed_before_the_run_are_recorded_as_they_were(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("before", encoding="utf-8")
    described = describe_files([path])
    path.write_text("after, longer", encoding="utf-8")
    sidecar = make_sidecar("annotation", config={}, inputs=described)
    assert sidecar.inputs["data.jsonl"]["bytes"] == 6
