"""The curves of a run: what is drawn of its log, and the page that the command leaves."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_models import save_model_folder, write_dataset
from train_support import SETTINGS, train

from maskdpo.cli.main import cli
from maskdpo.report.training_page import CURVES_FILE, render_training_page, write_training_page
from maskdpo.report.training_plots import PANELS, draw_training_curves

TRAIN = {key: 0.5 for panel in PANELS for key in panel.keys}
EVAL = {f"eval_{key}": 0.25 for key in ("loss", "kl", "displaced", "logratios/chosen_masked")}


def write_log(path: Path, *lines: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


class Page(HTMLParser):
    """Tags, the addresses they would load, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "data")]
        assert not any(key.startswith("on") for key, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_panel_whose_values_were_logged_is_drawn_and_no_other(tmp_path: Path) -> None:
    whole = write_log(tmp_path / "a.jsonl", {"step": 1, **TRAIN}, {"step": 2, **TRAIN})
    assert len(draw_training_curves({"m": whole}, ["m"])) == len(PANELS)
    without = {key: value for key, value in TRAIN.items() if key not in ("mfu", "tokens_per_s")}
    part = write_log(tmp_path / "b.jsonl", {"step": 1, **without})
    titles = [figure.caption.split(":")[0] for figure in draw_training_curves({"m": part}, ["m"])]
    assert titles == [p.title for p in PANELS if not {"mfu", "tokens_per_s"} & set(p.keys)]
    assert draw_training_curves({"m": tmp_path / "none.jsonl"}, ["m"]) == []


def test_the_test_split_is_drawn_with_training(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", {"step": 1, **TRAIN}, {"step": 2, **EVAL})
    captions = {f.caption.split(":")[0]: f.caption for f in draw_training_curves({"m": log}, ["m"])}
    assert "loss: training split 0.5; test split 0.25." in captions["loss"]
    assert "masked, test split 0.25" in captions["log-ratio per chosen token"]
    assert "test split" not in captions["reward margin"]
    # Names for people, not keys of the log.
    assert not any("/" in caption or "eval_" in caption for caption in captions.values())
    # A key that only the test split has is drawn, too: masked tokens at an answer's end.
    alone = write_log(tmp_path / "b.jsonl", {"step": 2, **EVAL})
    assert len(draw_training_curves({"m": alone}, ["m"])) == len(EVAL)


def captions_of(tmp_path: Path, **runs: list[dict[str, Any]]) -> dict[str, str]:
    logs = {name: write_log(tmp_path / f"{name}.jsonl", *rows) for name, rows in runs.items()}
    return {f.caption.split(":")[0]: f.caption for f in draw_training_curves(logs, list(logs))}


@pytest.mark.parametrize(
    ("masked", "said", "unsaid"),
    [
        (-0.09, "moved further than active ones (-0.09 against +0.057)", "moved less"),
        (0.01, "moved less than active ones (+0.01 against +0.057)", "moved further"),
    ],
)
def test_a_caption_says_what_the_lines_do(
    tmp_path: Path, masked: float, said: str, unsaid: str
) -> None:
    row = {"logratios/chosen_active": 0.057, "logratios/chosen_masked": masked}
    caption = captions_of(tmp_path, m=[{"step": 1, **row}])["log-ratio per chosen token"]
    assert said in caption
    assert unsaid not in caption and "should" not in caption


def test_runs_that_show_the_same_share_a_sentence(tmp_path: Path) -> None:
    down = {"rewards/chosen": -0.1, "rewards/rejected": -0.3}
    up = {"rewards/chosen": 0.1, "rewards/rejected": -0.3}
    rows = {"a": [{"step": 1, **down}], "b": [{"step": 1, **down}], "c": [{"step": 1, **up}]}
    caption = captions_of(tmp_path, **rows)["reward per side"]
    assert "a, b: both sides fell" in caption
    assert "c: the chosen side rose and the rejected side fell." in caption


@pytest.mark.parametrize(
    ("losses", "said"),
    [([0.6, 0.4, 0.5], "lowest at step 2 (0.4) and rose to 0.5"), ([0.6, 0.5], "at the end")],
)
def test_overfitting_is_read_off_the_test_split(
    tmp_path: Path, losses: list[float], said: str
) -> None:
    rows = [{"step": step, "loss": 0.1, "eval_loss": x} for step, x in enumerate(losses, 1)]
    assert said in captions_of(tmp_path, m=rows)["loss"]
    assert "overfitting" not in captions_of(tmp_path, n=[{"step": 1, "loss": 0.1}])["loss"]


@pytest.mark.parametrize(
    ("share", "said"), [(0.8, "most chosen sides fell"), (0.2, "at most half")]
)
def test_displacement_and_early_accuracy_are_stated_only_where_they_are(
    tmp_path: Path, share: float, said: str
) -> None:
    early = [{"step": 1, "displaced": share, "rewards/accuracies": 1.0}] * 2
    captions = captions_of(tmp_path, m=early)
    assert said in captions["pairs whose chosen side fell"].lower()
    assert "length alone" in captions["accuracy"]
    late = captions_of(tmp_path, m=[{"step": s, "rewards/accuracies": s / 4} for s in (2, 4)])
    assert "length alone" not in late["accuracy"] and "starts at 0" not in late["accuracy"]
    zero = [{"step": 1, "rewards/accuracies": 0.0, "rewards/margins": 0.0}]
    assert (
        "It starts at 0, as the model is still the reference"
        in (captions_of(tmp_path, m=zero)["accuracy"])
    )


def test_the_page_is_self_contained_and_escapes_names_and_settings(tmp_path: Path) -> None:
    folder = tmp_path / "a<b>&"
    write_log(folder / "training_log.jsonl", {"step": 1, **TRAIN}, {"step": 2, **EVAL})
    evil = "<script>alert(1)</script>"
    (folder / "training.json").write_text(json.dumps({"config": {"layout": evil}, "counts": 3}))
    text = render_training_page(folder)
    assert text is not None
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "link", "b"} & set(page.tags)
    assert all(address.startswith("#") for address in page.loads)
    assert "default-src 'none'" in text
    assert page.tags.count("svg") == len(PANELS)
    assert evil in page.text and "a<b>&: training" in page.text


@pytest.mark.parametrize("manifest", ["", "[1]", '{"config": 1}', None])
def test_curves_need_no_manifest(tmp_path: Path, manifest: str | None) -> None:
    write_log(tmp_path / "training_log.jsonl", {"step": 1, "loss": 0.5})
    if manifest is not None:
        (tmp_path / "training.json").write_text(manifest)
    assert "Settings" not in (render_training_page(tmp_path) or "Settings")


def test_nothing_logged_is_no_page(tmp_path: Path) -> None:
    assert write_training_page(tmp_path) is None
    write_log(tmp_path / "training_log.jsonl", {"step": 1, "note": "x"})
    assert write_training_page(tmp_path) is None
    assert not (tmp_path / CURVES_FILE).exists()


def test_train_leaves_its_curves_and_owns_them(tmp_path: Path) -> None:
    model, dataset = save_model_folder(tmp_path / "policy"), write_dataset(tmp_path / "dataset")
    output = tmp_path / "model"
    values = {"model": str(model)} | SETTINGS
    arguments = ["train", "--dataset", str(dataset), "--output", str(output)]
    for name, value in values.items():
        arguments += ["--set", f"train.{name}={json.dumps(value)}"]
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == 0, ran.output
    curves = output / CURVES_FILE
    assert f"curves: {curves}\n" in ran.stdout
    text = curves.read_text(encoding="utf-8")
    assert "test split from " in text and re.search(r"<td>epochs</td><td>2(\.0)?</td>", text)

    # A finished run keeps its page, and gets it back where somebody removed it.
    before = curves.stat().st_mtime_ns
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert curves.stat().st_mtime_ns == before
    curves.unlink()
    again = CliRunner().invoke(cli, arguments)
    assert f"curves: {curves}\n" in again.stdout and curves.exists()
    # It is the run's own file: starting over deletes the folder instead of refusing it.
    train(model, dataset, output, resume=False, epochs=1)
    assert not curves.exists()
