"""Settings that have another name now: files and overrides of either name, never of both."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from build_rows import questions, write_annotations

from annotator.judging.config import AnnotateConfig
from dataset_builder.config import BuildConfig
from dataset_builder.folder.validate import validate_folder
from maskdpo.config import load_run_config
from maskdpo.config_sections import SECTION_NAMES, section_model
from maskdpo.publishing.dataset import add_card, build_dataset, merge_datasets
from schemas.config import Section
from schemas.errors import ConfigError, InputError
from schemas.files.shard import Shard

POLICY = {"chosen": ["no_hallucination"], "rejected": ["contradictory"]}
FLOW = {"policy": "{chosen: [no_hallucination], rejected: [contradictory]}", "documents": "corpus"}


@dataclass(frozen=True, kw_only=True)
class Case:
    section: str
    former: str
    present: str
    model: type[Section]
    value: Any

    @property
    def text(self) -> str:
        """The value as YAML on one line."""
        return FLOW[self.former]


CASES = [
    Case(section="build", former="policy", present="label_policy", model=BuildConfig, value=POLICY),
    Case(
        section="annotate",
        former="documents",
        present="find_documents",
        model=AnnotateConfig,
        value="corpus",
    ),
]


def test_every_former_name_is_tested_here() -> None:
    found = {
        (section, former, present)
        for section in SECTION_NAMES
        for former, present in section_model(section).FORMER_NAMES.items()
    }
    assert found == {(case.section, case.former, case.present) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.former)
@pytest.mark.parametrize("way", ["file", "override"])
def test_a_former_name_is_read_and_a_note_gives_the_present_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Case, way: str
) -> None:
    def load(name: str) -> Section:
        path = tmp_path / "run.yaml"
        path.write_text(f"{case.section}:\n  {name}: {case.text}\n" if way == "file" else "")
        overrides = [] if way == "file" else [f"{case.section}.{name}={case.text}"]
        return load_run_config(path, overrides).section(case.model, case.section)

    now = load(case.present)
    assert capsys.readouterr().err == ""
    assert load(case.former) == now != case.model()
    assert now == case.model.parse({case.present: case.value}, where=case.section)
    names = f"{case.section}.{case.former} is now {case.section}.{case.present}"
    note = f"note: {names}; the former name still works\n"
    assert capsys.readouterr().err == note
    assert case.former not in now.model_dump()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.former)
def test_both_names_at_once_are_refused(tmp_path: Path, case: Case) -> None:
    text = f"'{case.former}' is the former name of '{case.present}'; give '{case.present}' alone"
    path = tmp_path / "run.yaml"
    path.write_text(f"{case.section}:\n  {case.former}: {case.text}\n")
    with pytest.raises(ConfigError, match=text):
        load_run_config(path, [f"{case.section}.{case.present}={case.text}"])
    both = {case.former: case.value, case.present: case.value}
    with pytest.raises(ConfigError, match=text):
        case.model.parse(both, where=case.section)


def test_a_part_of_a_setting_is_set_by_its_former_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = load_run_config(None, ["build.policy.chosen=[no_fact]"])
    assert config.section(BuildConfig, "build").label_policy.chosen == ("no_fact",)
    assert capsys.readouterr().err.count("note: ") == 1
    with pytest.raises(ConfigError, match=r"--set build\.label_policy\.chosen=\[nothing\]"):
        load_run_config(None, ["build.policy.chosen=[nothing]"])


def as_before(folder: Path) -> None:
    """The folder's manifest as it was written before `policy` was renamed."""
    path = folder / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert text.count('"label_policy"') == 1
    path.write_text(text.replace('"label_policy"', '"policy"'), encoding="utf-8")


def test_data_sets_with_the_former_name_are_read(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "annotations.jsonl", questions(8))
    config = BuildConfig(test_share=0.0)
    whole = build_dataset(config, annotations=source, output=tmp_path / "whole").output
    parts = [
        build_dataset(
            config,
            annotations=source,
            output=tmp_path / f"part{index}",
            shard=Shard(index=index, count=2),
        ).output
        for index in (1, 2)
    ]
    as_before(parts[0])  # the other is of the present version
    merged = merge_datasets(parts, output=tmp_path / "merged").output
    for name in ("manifest.json", "README.md"):
        assert (merged / name).read_bytes() == (whole / name).read_bytes()
    as_before(whole)
    assert not validate_folder(whole).num_faults
    add_card(whole)
    manifest = json.loads((parts[1] / "manifest.json").read_text(encoding="utf-8"))
    manifest["config"]["label_policy"] = POLICY
    (parts[1] / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match=r"is from another build than .*'config' differ"):
        merge_datasets(parts, output=tmp_path / "merged")
