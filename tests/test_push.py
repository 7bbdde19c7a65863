"""`push` against a Hub on loopback: what is sent, what is kept, what breaking off leaves behind."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from build_rows import questions, write_annotations
from hub_client import Done, HubProcess
from loopback_hub import GOOD_TOKEN, READ_TOKEN, SIGNATURE, LoopbackHub

from dataset_builder.build import load_pairs
from dataset_builder.config import BuildConfig
from maskdpo.publishing.dataset import build_dataset

REPO = "some-org/pairs"
WRONG_TOKEN = "hf_" + "Wrong" * 8
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _empty_hub(hub: LoopbackHub) -> None:
    hub.reset()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return build(tmp_path, 12)


def build(folder: Path, num_questions: int, **settings: Any) -> Path:
    config = BuildConfig(**{"license": "cc-by-4.0", "test_share": 0.3, **settings})
    return build_dataset(
        config,
        annotations=write_annotations(folder / "annotations.jsonl", questions(num_questions)),
        output=folder / "dataset",
        plots=True,
    ).output


def push(
    client: HubProcess, folder: Path, *more: str, token: str | None = GOOD_TOKEN, code: int = 0
) -> Done:
    done = client.run("push", folder, "--repo", REPO, *more, token=token)
    assert done.code == code, done.out + done.err
    assert "Traceback" not in done.err
    for secret in (GOOD_TOKEN, READ_TOKEN, WRONG_TOKEN, SIGNATURE):
        assert secret not in done.out + done.err
    return done


def card_of(hub: LoopbackHub, branch: str = "main") -> str:
    return hub.dataset(REPO).files(branch)["README.md"].decode()


def header_of(card: str) -> dict[str, Any]:
    values = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(values, dict)
    return values


# --- what is sent ----------------------------------------------------------------------------


def test_a_push_is_one_commit_private_and_loads_back(
    hub: LoopbackHub, client: HubProcess, dataset: Path
) -> None:
    done = push(client, dataset)
    repo = hub.dataset(REPO)
    assert (repo.private, repo.gated, list(repo.branches)) == (True, False, ["main"])
    assert len(repo.commits) == 2  # the Hub's own first one, and ours
    assert f"pushed: {hub.url}/datasets/{REPO}/commit/{repo.head('main')}" in done.out
    files = repo.files()
    here = {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in dataset.rglob("*")
        if path.is_file()
    }
    assert set(files) == {*here, ".gitattributes"}
    assert {name for name in here if here[name] != files[name]} == {"README.md"}
    assert f'load_dataset("{REPO}")' in card_of(hub)
    assert {name for name in files if name.startswith("plots/")}

    for name, split in ((None, "train"), ("pairs", "test")):
        loaded = client.load(REPO, name, GOOD_TOKEN)
        assert loaded.code == 0, loaded.err
        expected = [pair.model_dump(mode="json") for pair in load_pairs(dataset, split)]
        assert loaded.value[split] == expected
    loaded = client.load(REPO, "sentences", GOOD_TOKEN)
    assert loaded.code == 0, loaded.err
    assert "Ignoring part of dataset_info" not in loaded.err
    manifest = json.loads(files["manifest.json"])
    assert {split: len(rows) for split, rows in loaded.value.items()} == {
        split: manifest["counts"][f"sentences_{split}"] for split in ("train", "test")
    }
    assert client.load(REPO, None, None).code != 0  # it is private


def test_what_was_pushed_is_sound_and_trains(
    hub: LoopbackHub, client: HubProcess, dataset: Path
) -> None:
    push(client, dataset)
    done = client.run("validate", REPO, token=GOOD_TOKEN)
    assert done.code == 0, done.err
    assert f"{REPO} is valid" in done.out


def test_pushing_again_changes_nothing(hub: LoopbackHub, client: HubProcess, dataset: Path) -> None:
    push(client, dataset)
    before = hub.contents()
    done = push(client, dataset)
    assert "nothing to change" in done.out
    assert hub.contents() == before


def test_a_dry_run_writes_nothing_and_needs_no_token(
    hub: LoopbackHub, client: HubProcess, dataset: Path
) -> None:
    done = push(client, dataset, "--dry-run", token=None)
    assert "dataset some-org/pairs (new, private), branch main" in done.out
    assert "pairs/train-00000-of-00001.parquet" in done.out
    assert "dry run: nothing was sent" in done.out
    assert hub.repos == {}
    assert {method for method, _ in hub.requests} <= {"GET", "HEAD"}
    push(client, dataset)
    before = hub.contents()
    hub.requests.clear()
    push(client, dataset, "--dry-run")
    assert hub.contents() == before
    assert {method for method, _ in hub.requests} <= {"GET", "HEAD"}


def test_a_dry_run_checks_this_side_without_the_hub(
    client: HubProcess, tmp_path: Path, dataset: Path, hub: LoopbackHub
) -> None:
    hub.requests.clear()
    unlicensed = build(tmp_path / "u", 12, license="")
    named = build(tmp_path / "n", 12)
    card = named / "README.md"
    card.write_text(card.read_text(encoding="utf-8") + "\nhf_QwErTyUiOpAsDfGhJkLzXcVbNmQwEr1\n")
    done = push(client, named, "--dry-run", code=2)
    assert "names a key" in done.err and "hf_QwEr" not in done.err
    assert hub.requests == []  # found before the Hub is asked
    hub.drop("info")
    done = push(client, dataset, "--dry-run")
    assert "pairs/train-00000-of-00001.parquet" in done.out
    assert "note: the Hub was not read" in done.err and "dry run: nothing was sent" in done.out
    assert "names no licence" in push(client, unlicensed, "--dry-run", code=2).err
    push(client, dataset, code=3)


def test_files_of_an_earlier_push_go_and_a_persons_stay(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    push(client, build(tmp_path, 12))
    repo = hub.dataset(REPO)
    repo.commit("main", "by hand", {**repo.files(), "NOTES.md": b"mine"})
    done = push(client, build(tmp_path, 12, test_share=0.0))
    assert "delete pairs/test-00000-of-00001.parquet" in done.out
    names = set(repo.files())
    assert "NOTES.md" in names
    assert not {name for name in names if "test-" in name}
    assert len(repo.commits) == 4
    assert client.load(REPO, None, GOOD_TOKEN).value.keys() == {"train"}


# --- for whom, and where ---------------------------------------------------------------------


def test_public_and_gated_come_after_the_commit(
    hub: LoopbackHub, client: HubProcess, dataset: Path
) -> None:
    push(client, dataset, "--public", "--gated")
    repo = hub.dataset(REPO)
    assert (repo.private, repo.gated) == (False, "auto")
    writes = [step for method, step in hub.requests if method in ("POST", "PUT")]
    assert [step for step in writes if step in ("create", "commit", "settings")] == [
        "create",
        "commit",
        "settings",
        "settings",
    ]
    refused = push(client, dataset, code=2)
    assert "is public: everyone could read what is pushed" in refused.err
    push(client, dataset, "--public")


def test_a_branch_leaves_main_alone(hub: LoopbackHub, client: HubProcess, tmp_path: Path) -> None:
    push(client, build(tmp_path, 8))
    main = hub.dataset(REPO).head("main")
    more = build(tmp_path, 12)
    for _ in range(2):
        push(client, more, "--branch", "v2")
        assert hub.dataset(REPO).head("main") == main
    assert len(hub.dataset(REPO).commits) == 3
    loaded = client.load(REPO, "pairs", GOOD_TOKEN, revision="v2")
    assert sum(map(len, loaded.value.values())) == 12
    assert sum(map(len, client.load(REPO, "pairs", GOOD_TOKEN).value.values())) == 8


def test_a_pull_request_leaves_main_alone(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    push(client, build(tmp_path, 8))
    main = hub.dataset(REPO).head("main")
    done = push(client, build(tmp_path, 12), "--pull-request")
    assert f"pushed: {hub.url}/datasets/{REPO}/discussions/1" in done.out
    repo = hub.dataset(REPO)
    assert repo.head("main") == main
    assert json.loads(repo.files("refs/pr/1")["manifest.json"])["counts"]["pairs"] == 12
    refused = push(client, tmp_path / "dataset", "--pull-request", "--branch", "x", code=2)
    assert "exclude each other" in refused.err


# --- a card that people edit -----------------------------------------------------------------


def test_a_card_edited_on_the_hub_keeps_its_edits(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    push(client, build(tmp_path, 12))
    repo = hub.dataset(REPO)
    source = "<!-- maskdpo:begin source -->"
    edited = (
        card_of(hub)
        .replace("license: cc-by-4.0", "# asked our lawyers\nlicense: cc-by-sa-4.0")
        .replace("- trl\n", "- trl\n- ours\n")
        .replace("## Limits\n", "## Limits\n\n- Only of invented people.\n")
        .replace(source, f"Thanks to **Ana**.\n\n{source}")
        .replace("configs:\n", "configs:\n- config_name: extra\n  data_files: extra.csv\n")
    )
    edited = edited.replace(between(edited, "agreement"), "")
    repo.commit("main", "by hand", {**repo.files(), "README.md": edited.encode()})
    done = push(client, build(tmp_path, 20))
    card = card_of(hub)
    header = header_of(card)
    for kept in ("- Only of invented people.", "Thanks to **Ana**.", "# asked our lawyers"):
        assert card.count(kept) == 1
    assert header["license"] == "cc-by-sa-4.0"
    assert "ours" in header["tags"]
    assert [item["config_name"] for item in header["configs"]] == ["pairs", "sentences", "extra"]
    assert "Agreement with people" not in card
    for name in ("license", "tags", "limits", "agreement"):
        assert f"'{name}'" in done.err
    assert "20 preference pairs" in card  # what nobody edited is brought up to date
    assert card.index("Thanks to") < card.index("## Where it comes from")
    again = push(client, tmp_path / "dataset")
    assert "nothing to change" in again.out
    assert card_of(hub) == card


def test_a_card_of_someone_else_is_added_to(
    hub: LoopbackHub, client: HubProcess, dataset: Path
) -> None:
    push(client, dataset)
    repo = hub.dataset(REPO)
    theirs = "---\nlicense: mit\ntags: [a]\n---\n# Hello\n\nWritten by hand.\n"
    repo.commit("main", "by hand", {"README.md": theirs.encode()})
    push(client, dataset)
    card = card_of(hub)
    assert "# Hello\n\nWritten by hand.\n" in card
    assert header_of(card)["license"] == "mit"
    assert header_of(card)["tags"][0] == "a"
    assert "12 preference pairs" in card
    assert client.load(REPO, None, GOOD_TOKEN).code == 0


def test_a_card_with_a_broken_header_is_named_and_left(
    hub: LoopbackHub, client: HubProcess, dataset: Path
) -> None:
    push(client, dataset)
    repo = hub.dataset(REPO)
    repo.commit("main", "by hand", {**repo.files(), "README.md": b"---\na: [\n---\n# Hi\n"})
    before = hub.contents()
    done = push(client, dataset, code=2)
    assert "README.md on the Hub:" in done.err
    assert "not valid YAML" in done.err
    assert hub.contents() == before


def between(card: str, name: str) -> str:
    start = card.index(f"<!-- maskdpo:begin {name} -->")
    end = f"<!-- maskdpo:end {name} -->"
    return card[start : card.index(end) + len(end)]


# --- broken connections ----------------------------------------------------------------------

WRITING = ("validate-yaml", "preupload", "lfs", "upload", "commit")


@pytest.mark.parametrize("step", ["info", "resolve", *WRITING])
@pytest.mark.parametrize("when", ["", ":after"])
def test_a_dropped_connection_leaves_the_repo_and_a_rerun_succeeds(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path, step: str, when: str
) -> None:
    push(client, build(tmp_path, 6))
    before = hub.contents()
    more = build(tmp_path, 9)
    hub.drop(step + when)
    done = push(client, more, code=3)
    assert "rerun" in done.err
    if step + when != "commit:after":
        assert hub.contents() == before
    hub.mend()
    push(client, more)
    repo = hub.dataset(REPO)
    assert len(repo.commits) == 3  # the Hub's, the first push, and this one, once
    assert json.loads(repo.files()["manifest.json"])["counts"]["pairs"] == 9
    assert "nothing to change" in push(client, more).out


@pytest.mark.parametrize("step", ["create", "create:after", "settings", "branch:after", "upload"])
def test_a_first_push_that_breaks_off_shows_nothing_to_anyone(
    hub: LoopbackHub, client: HubProcess, dataset: Path, step: str
) -> None:
    more = ("--public", "--gated") + (("--branch", "v1") if "branch" in step else ())
    hub.drop(step)
    push(client, dataset, *more, code=3)
    for repo in hub.repos.values():
        assert repo.private
        if step != "settings":
            assert list(repo.files()) == [".gitattributes"]
    hub.mend()
    push(client, dataset, *more)
    repo = hub.dataset(REPO)
    assert (repo.private, repo.gated, len(repo.commits)) == (False, "auto", 2)


def test_a_connection_that_comes_back_is_no_trouble(
    hub: LoopbackHub, client: HubProcess, dataset: Path
) -> None:
    hub.drop("preupload", times=2)
    hub.drop("upload", times=2)
    done = push(client, dataset)
    assert "pushed: " in done.out
    assert SIGNATURE not in done.err


def test_a_commit_of_someone_else_meanwhile_is_not_overwritten(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    push(client, build(tmp_path, 6))
    repo = hub.dataset(REPO)
    hub.edit_at("preupload", repo, {"README.md": b"---\nlicense: mit\n---\n# Changed\n"})
    more = build(tmp_path, 9)
    done = push(client, more, code=3)
    assert "changed while the push ran, so nothing was overwritten" in done.err
    assert card_of(hub).endswith("# Changed\n")
    push(client, more)
    assert "# Changed" in card_of(hub)
    assert "9 preference pairs" in card_of(hub)


# --- tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "pushing needs a token: set HF_TOKEN"),
        (WRONG_TOKEN, "the Hub does not accept the token (from HF_TOKEN)"),
        (READ_TOKEN, "the token (from HF_TOKEN) needs write access"),
    ],
)
def test_a_token_that_does_not_serve_is_said_and_never_shown(
    hub: LoopbackHub, client: HubProcess, dataset: Path, token: str | None, words: str
) -> None:
    done = push(client, dataset, token=token, code=2)
    assert words in done.err
    assert hub.repos == {}
    push(client, dataset)
    before = hub.contents()
    assert words in push(client, build(dataset.parent, 14), token=token, code=2).err
    assert hub.contents() == before


def test_no_token_lies_anywhere_afterwards(
    hub: LoopbackHub, client: HubProcess, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    push(client, dataset)
    push(client, dataset, token=WRONG_TOKEN, code=2)
    for path in tmp_path_factory.getbasetemp().rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert GOOD_TOKEN.encode() not in content
            assert WRONG_TOKEN.encode() not in content
    for content in hub.dataset(REPO).files().values():
        assert GOOD_TOKEN.encode() not in content


# --- what is not sent ------------------------------------------------------------------------


def test_a_faulty_folder_is_not_sent(hub: LoopbackHub, client: HubProcess, dataset: Path) -> None:
    path = dataset / "pairs" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    done = push(client, dataset, code=2)
    assert "hash_differs" in done.err
    assert hub.requests == []
    (dataset / "manifest.json").unlink()
    assert "has neither manifest.json" in push(client, dataset, code=2).err


def test_a_data_set_without_a_licence_is_not_sent(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path
) -> None:
    folder = build(tmp_path, 6, license="")
    done = push(client, folder, code=2)
    assert "names no licence" in done.err
    assert hub.repos == {}
    push(client, folder, "--license", "cc0-1.0")
    assert header_of(card_of(hub))["license"] == "cc0-1.0"
    push(client, folder, "--license", "cc-by-4.0")
    assert header_of(card_of(hub))["license"] == "cc-by-4.0"
    push(client, folder)  # the Hub's card has one


@pytest.mark.parametrize(
    "text",
    ["see /home/ana/runs/1", "on http://127.0.0.1:8000/v1", r"C:\\Users\\ana\\x", "gpu7.internal"],
)
def test_a_card_or_manifest_that_names_a_machine_is_not_sent(
    hub: LoopbackHub, client: HubProcess, tmp_path: Path, text: str
) -> None:
    folder = build(tmp_path, 6)
    card = folder / "README.md"
    sound = card.read_text(encoding="utf-8")
    card.write_text(f"{sound}\n{text}\n", encoding="utf-8")
    done = push(client, folder, code=2)
    assert f"README.md:{len(sound.splitlines())}" in done.err
    card.write_text(sound, encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["config"]["title"] = text
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    done = push(client, folder, code=2)
    assert "manifest.json: config.title: names " in done.err
    assert hub.repos == {}


@pytest.mark.parametrize(
    ("repo", "words"),
    [("alone", "must look like ORG/NAME"), ("a/b/c", "--repo 'a/b/c'"), ("a/..", "--repo 'a/..'")],
)
def test_a_repository_name_that_is_none_is_said(
    hub: LoopbackHub, client: HubProcess, dataset: Path, repo: str, words: str
) -> None:
    done = client.run("push", dataset, "--repo", repo, token=GOOD_TOKEN)
    assert done.code == 2
    assert words in done.err
    assert hub.requests == []


# --- models --------------------------------------------------------------------------------------

TRAINING = {
    "format": "maskdpo.training",
    "version": "1.0",
    "config": {"beta": 0.1, "learning_rate": 5e-7, "use_spans": True},
    "counts": {"pairs": 90, "test_pairs": 10, "steps": 12, "tokens": 1000, "active_tokens": 400},
    "packages": {"torch": "2.13.0"},
    "content": {"weights": "ab" * 32, "training pairs": "cd" * 32},
    "finished": True,
}
SCORES = {
    "score": "correct / (correct + hallucinated) sentences",
    "interval": "95% t interval, jackknife over groups",
    "warnings": ["mask_dpo answered 10 of 30 responses, less than <base>."],
    "models": {
        name: {
            "score": score,
            "low": score - 0.05,
            "high": score + 0.05,
            "num_responses": 30,
            "correct_per_response": 3.0,
            "hallucinated_per_response": 2.0,
        }
        for name, score in (("base", 0.5), ("mask_dpo", 0.6))
    },
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    import numpy as np
    from safetensors.numpy import save_file

    folder = tmp_path / "model"
    (folder / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    save_file({"weight": np.zeros((2, 2), np.float32)}, folder / "model.safetensors")
    for name, values in {
        "config.json": {"model_type": "llama", "_name_or_path": "/home/ana/models/base"},
        "tokenizer_config.json": {"name_or_path": "/home/ana/models/base"},
        "training.json": TRAINING,
    }.items():
        (folder / name).write_text(json.dumps(values), encoding="utf-8")
    for name in ("optimizer.pt", "pytorch_model.bin", "dropped.jsonl", "modeling_own.py"):
        (folder / name).write_bytes(b"stays here")
    (folder / "checkpoints" / "checkpoint-1" / "model.safetensors").write_bytes(b"stays here")
    return folder


def test_a_model_goes_out_with_its_card_and_nothing_that_runs(
    hub: LoopbackHub, client: HubProcess, model: Path, tmp_path: Path
) -> None:
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps(SCORES), encoding="utf-8")
    facts = ("--base", "org/base", "--dataset", "org/pairs", "--scores", str(scores))
    refused = push(client, model, *facts, code=2)
    assert "names no licence" in refused.err
    done = push(client, model, *facts, "--license", "apache-2.0")
    assert "5 files are not sent" in done.err
    repo = hub.repos["models", REPO]
    assert (repo.private, len(repo.commits)) == (True, 2)
    files = repo.files()
    assert set(files) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "training.json",
    }
    assert not any(b"/home/ana" in content for content in files.values())
    card = files["README.md"].decode()
    header = header_of(card)
    assert header["base_model"] == "org/base"
    assert header["datasets"] == ["org/pairs"]
    for line in (
        f'AutoModelForCausalLM.from_pretrained("{REPO}")',
        "| base model | `org/base` |",
        "| data set | `org/pairs` |",
        "| training pairs | 90 |",
        "| tokens that trained | 400 of 1,000 completion tokens (40.0%) |",
        "| `mask_dpo` | 0.600 | 0.550 to 0.650 | 3.000 | 2.000 | 30 |",
        "| `learning_rate` | `5e-07` |",
    ):
        assert line in card
    assert "**Warning:** mask" in card and "less than <base>" not in card  # escaped, not obeyed
    edited = card.replace("## Limits\n", "## Limits\n\n- English only.\n").encode()
    repo.commit("main", "by hand", {**files, "README.md": edited})
    push(client, model, *facts, "--license", "apache-2.0")
    assert "- English only." in repo.files()["README.md"].decode()


def test_a_model_that_is_not_whole_is_not_sent(
    hub: LoopbackHub, client: HubProcess, model: Path
) -> None:
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-3])
    assert "is not a complete safetensors file" in push(client, model, code=2).err
    (model / "training.json").write_text(json.dumps(TRAINING | {"finished": False}))
    assert "is not finished" in push(client, model, code=2).err
    assert hub.requests == []


def test_a_models_card_names_the_base_of_the_run_config(
    hub: LoopbackHub, client: HubProcess, model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run.yaml"
    run.write_text("train: {model: /home/ana/models/tiny}\n", encoding="utf-8")
    push(client, model, "--config", str(run), "--license", "mit")
    card = hub.repos["models", REPO].files()["README.md"].decode()
    assert "| base model | `tiny` |" in card
    assert "| data set | not named |" in card
    assert "pushed without scores" in card
    assert "base_model" not in header_of(card)
