"""Whom a push names: pseudonyms unless names are published, and nothing else of a person."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import questions, write_annotations
from hub_client import Done, HubProcess
from loopback_hub import GOOD_TOKEN, LoopbackHub

from dataset_builder.config import BuildConfig
from maskdpo.publishing.dataset import build_dataset
from maskdpo.publishing.model_card import ModelFacts
from maskdpo.publishing.payload import Payload, collect_payload
from maskdpo.publishing.people import People, find_people
from schemas.errors import ConfigError, InputError

REPO = "some-org/pairs"
NOTE = "the second dose is wrong, ask Professor Quill"
NAMES = ("Dr. Li", "Mira Tolvan")


def reviews_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both people label the first sentence of each response; the second one now and then not so."""
    found = []
    for number, row in enumerate(rows):
        end = row["sentences"][0]["end"]
        for index, who in enumerate(NAMES):
            differs = index and number % 5 == 0
            label = "hallucinated" if differs else "no_hallucination"
            review = {
                "id": f"r{number}-{index}", "response_id": row["id"], "action": "label",
                "text_sha256": hashlib.sha256(row["text"].encode()).hexdigest(),
                "start": 0, "end": end, "spans": [{"start": 0, "end": end, "label": label}],
                "who": who, "when": f"2026-03-0{index + 1}T10:00:00Z", "note": NOTE,
            }  # fmt: skip
            found.append(review)
    return found


def build(folder: Path, *, agreement: Path | None = None, **settings: Any) -> Path:
    """A data set of reviewed responses in a run, with its reviews and conflicts next to it."""
    rows = questions(12)
    folder.mkdir(parents=True, exist_ok=True)
    reviews = folder / "reviews.jsonl"
    reviews.write_text("".join(json.dumps(row) + "\n" for row in reviews_of(rows)))
    build_dataset(
        BuildConfig(**{"license": "cc-by-4.0", **settings}),
        annotations=write_annotations(folder / "annotations.jsonl", rows),
        output=folder / "dataset",
        reviews=[reviews],
        agreement=agreement,
    )
    return folder / "dataset"


def collect(folder: Path) -> Payload:
    return collect_payload(folder, model=ModelFacts(), allowed=frozenset())


def set_config(folder: Path, **changes: Any) -> None:
    """Change the config in a manifest; None takes a key out."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for key, value in changes.items():
        manifest["config"][key] = value
        if value is None:
            del manifest["config"][key]
    path.write_text(json.dumps(manifest))


def sent_text(payload: Payload) -> str:
    """All text that a push sends, Parquet rows included."""
    parts = [str(payload.card)]
    for name, content in payload.files.items():
        if name.endswith(".parquet"):
            rows = pq.read_table(content).to_pylist()
            parts.append(json.dumps(rows, ensure_ascii=False, default=str))
        elif not name.endswith(".png"):
            data = content if isinstance(content, bytes) else content.read_bytes()
            parts.append(data.decode())
    return "\n".join([*payload.files, *parts])


def push(client: HubProcess, folder: Path, *more: str, code: int = 0) -> Done:
    done = client.run("push", folder, "--repo", REPO, *more, token=GOOD_TOKEN)
    assert done.code == code, done.out + done.err
    assert "Traceback" not in done.err
    return done


@pytest.mark.slow
def test_a_push_says_how_many_people_and_in_which_way(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    hub.reset()
    pseudonymous = build(tmp_path / "a")
    for more in (["--dry-run"], []):
        out = push(client, pseudonymous, *more).out
        assert "people: 2, as pseudonyms (reviewer-1, ...)" in out and "Li" not in out
    named = build(tmp_path / "b", publish_names=True)
    out = push(client, named, "--dry-run").out
    assert "people: 2, by name: Dr. Li, Mira Tolvan" in out


@pytest.mark.slow
def test_names_are_refused_before_any_network(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    folder = build(tmp_path, publish_names=True)
    hub.reset()
    hub.requests.clear()
    for value in (False, None, "true", 1):  # edited, or built by an earlier version
        set_config(folder, publish_names=value)
        for more in (["--dry-run"], []):
            err = push(client, folder, *more, code=2).err
            assert "the names of reviewers ('Dr. Li', 'Mira Tolvan')" in err
            assert "build.publish_names=true" in err and "Nothing was sent" in err
        set_config(folder, publish_names=True)
    assert hub.requests == [] and hub.repos == {}


def test_nothing_that_is_sent_names_a_person_or_holds_a_note(tmp_path: Path) -> None:
    report = tmp_path / "agreement of Dr. Li.json"
    figures = dict.fromkeys(("num_sentences", "num_responses", "num_groups", "num_hallucinated"), 3)
    values = {"gold": "checked_dr_li.jsonl", "judge": "j", "baselines": {}, **figures}
    report.write_text(json.dumps(values))
    folder = build(tmp_path / "run", agreement=report)
    conflicts, failed = (
        folder.with_name(f"dataset.{kind}.jsonl") for kind in ("conflicts", "failed")
    )
    assert "Dr. Li" in conflicts.read_text() and NOTE in conflicts.read_text()
    failed.write_text('{"detail": "Dr. Li"}\n')
    shutil.copy(conflicts, folder / conflicts.name)
    text = sent_text(payload := collect(folder))
    assert "reviewer-1 | reviewer-2" in text
    for secret in (*NAMES, "dr_li", "Quill", "second dose", "conflicts.jsonl", "failed.jsonl"):
        assert secret not in text, secret
    assert payload.left == [conflicts.name]
    assert all(path.is_relative_to(folder) for path in payload.files.values())  # type: ignore[union-attr]


def test_notes_stay_here_even_where_names_are_published(tmp_path: Path) -> None:
    text = sent_text(collect(build(tmp_path, publish_names=True)))
    assert NAMES[0] in text and "second dose" not in text


def test_an_input_that_is_called_after_a_reviewer_is_refused(tmp_path: Path) -> None:
    folder = build(tmp_path)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["inputs"]["checked_dr_LI (2).csv"] = {"bytes": 3}
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"'checked_dr_LI \(2\)\.csv' contains .*'Dr\. Li'"):
        collect(folder)
    set_config(folder, publish_names=True)
    collect(folder)
    del manifest["inputs"]["checked_dr_LI (2).csv"]
    manifest["inputs"]["dr_lindgren.csv"] = {"bytes": 3}
    path.write_text(json.dumps(manifest))
    collect(folder)


def test_pseudonyms_that_are_none_are_names(tmp_path: Path) -> None:
    cells = ["reviewer-1 | reviewer-12", "reviewer-0", "Reviewer-1", "reviewer-1 (Li)", None, ""]
    table = [{"correction": {"who": cell}, "source": "person", "judge": "person"} for cell in cells]
    found = people_of(tmp_path, [*table, {"correction": None, "source": "judge", "judge": "j"}])
    assert found.pseudonyms == {"reviewer-1", "reviewer-12"}
    assert found.names == {"reviewer-0", "Reviewer-1", "reviewer-1 (Li)"}
    assert found.label_sets == set()


def test_every_file_and_every_batch_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.files.columnar.ROWS_A_BATCH", 10)
    rows = [{"correction": {"who": "reviewer-1"}, "source": "person", "judge": ""}] * 95
    last = {"correction": {"who": "Mira"}, "source": "person", "judge": "clinic labels"}
    found = people_of(tmp_path, rows, [*rows, last])
    assert found.names == {"Mira"} and found.label_sets == {"clinic labels"}
    assert found.describe() == [
        "people: 2, by name: Mira, reviewer-1",
        "labels of people are marked as: clinic labels",
    ]


def test_a_data_set_without_the_column_names_nobody(tmp_path: Path) -> None:
    found = people_of(tmp_path, [{"text": "x"}])
    assert found == People() and found.describe() == ["people: no reviewer"]


def people_of(folder: Path, *tables: list[dict[str, Any]]) -> People:
    names = []
    for index, rows in enumerate(tables):
        names.append(f"sentences/{index}.parquet")
        (folder / "sentences").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / names[-1], row_group_size=50)
    return find_people(folder, {"files": {key: {} for key in [*names, "pairs/x.parquet"]}})


def test_a_file_outside_the_folder_is_never_sent(tmp_path: Path) -> None:
    folder = build(tmp_path)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["../dataset.conflicts.jsonl"] = {"bytes": 3, "sha256": "ab" * 32}
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="not a plain path inside the folder"):
        collect(folder)


def test_a_dry_run_reports_people_where_the_hub_must_not_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    from maskdpo.publishing.push import PushOptions, run_push

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    folder = build(tmp_path)
    dry = PushOptions(repo="a/b", license="cc-by-4.0", dry_run=True)
    done = run_push(folder, dry, ModelFacts(title="b"))
    assert done.commit is None and "HF_HUB_OFFLINE is set" in done.plan.unread
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        run_push(folder, replace(dry, dry_run=False), ModelFacts(title="b"))
