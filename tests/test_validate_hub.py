"""`validate ORG/NAME`: the same faults, found in what a Hub on loopback holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_rows import questions, write_annotations
from hub_client import HubProcess
from loopback_hub import GOOD_TOKEN, LoopbackHub, Repo

from dataset_builder.config import BuildConfig
from maskdpo.publishing.dataset import build_dataset

REPO = "some-org/pairs"
TRAIN = "pairs/train-00000-of-00001.parquet"
pytestmark = pytest.mark.slow


@pytest.fixture
def published(hub: LoopbackHub, tmp_path: Path) -> Repo:
    """A private repository with a sound data set."""
    hub.reset()
    folder = build_dataset(
        BuildConfig(test_share=0.3, near_duplicate=0.0),
        annotations=write_annotations(tmp_path / "annotations.jsonl", questions(8)),
        output=tmp_path / "dataset",
    ).output
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    repo = Repo(private=True)
    repo.commit("main", "a data set", {".gitattributes": b"", **files})
    hub.repos["datasets", REPO] = repo
    return repo


def test_a_sound_repository_is_sound_and_a_changed_one_is_not(
    client: HubProcess, published: Repo
) -> None:
    done = client.run("validate", REPO, token=GOOD_TOKEN)
    assert done.code == 0, done.out + done.err
    assert f"{REPO} is valid" in done.out
    sound = published.head("main")

    files = dict(published.files())
    files[TRAIN] = files["pairs/test-00000-of-00001.parquet"]
    del files["sentences/test-00000-of-00001.parquet"]
    published.commit("main", "broken", files)
    done = client.run("validate", REPO, token=GOOD_TOKEN)
    assert done.code == 2
    assert f"{TRAIN}: hash_differs" in done.out
    assert "topic_in_two_splits" in done.out
    assert "sentences/test-00000-of-00001.parquet: file_missing" in done.out
    assert f"error: {REPO}: has " in done.err
    assert client.run("validate", REPO, "--revision", sound, token=GOOD_TOKEN).code == 0


def test_what_cannot_be_read_is_one_clear_sentence(
    hub: LoopbackHub, client: HubProcess, published: Repo
) -> None:
    for arguments, token, code, words in (
        (("some-org/absent",), GOOD_TOKEN, 2, "neither a folder here nor a data set on the Hub"),
        ((REPO,), None, 2, "HF_TOKEN or: hf auth login"),
        ((REPO, "--revision", "never"), GOOD_TOKEN, 2, "has no revision 'never'"),
        (("no/such/folder",), GOOD_TOKEN, 2, "not found; give a data set folder"),
    ):
        done = client.run("validate", *arguments, token=token)
        assert done.code == code, done.err
        assert words in done.err
        assert "Traceback" not in done.err
        assert GOOD_TOKEN not in done.out + done.err


def test_a_hub_that_hangs_up_is_told_and_a_rerun_succeeds(
    hub: LoopbackHub, client: HubProcess, published: Repo
) -> None:
    for step in ("info", "resolve"):
        published.commit("main", f"again, not cached: {step}", dict(published.files()))
        hub.drop(step)
        done = client.run("validate", REPO, token=GOOD_TOKEN)
        assert done.code == 3, done.err
        assert "Traceback" not in done.err
        assert "rerun to try again" in done.err
        hub.mend()
        assert client.run("validate", REPO, token=GOOD_TOKEN).code == 0


def test_a_data_set_on_the_hub_is_shown(client: HubProcess, published: Repo) -> None:
    done = client.run("show", REPO, "--split", "train", "--limit", "1", token=GOOD_TOKEN)
    assert done.code == 0, done.out + done.err
    assert "question: What of q" in done.out
    assert "1 ✓ no hallucination: trains" in done.out
    done = client.run("show", "none/here.jsonl", token=GOOD_TOKEN)
    assert (done.code, "not found; it can be: " in done.err) == (2, True)  # no name of the Hub's
