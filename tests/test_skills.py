"""Other skills through lm-eval: a local task, what is refused, differences by hand, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, make_run
from tiny_models import save_model_folder

from maskdpo.skills.figures import Row, compare_models, mark_shares, read_results

pytest.importorskip("lm_eval")

CHOICE = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {file}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(monkeypatch, capsys)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a task of eight questions; lm-eval's own tasks are not read (9 s)."""
    from lm_eval.tasks import TaskManager

    from maskdpo.skills import harness

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        harness,
        "_make_manager",
        lambda config: TaskManager(include_path=config.task_folder, include_defaults=False),
    )
    (tmp_path / "tasks").mkdir()
    write_documents(tmp_path, 8)
    write_task(tmp_path, "capitals")
    return tmp_path


def write_documents(folder: Path, count: int) -> None:
    rows = (
        {"question": f"Capital of land {n}?", "choices": ["Lima", "Oslo"], "answer": n % 3 % 2}
        for n in range(count)
    )
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "capitals.jsonl").write_text(text, encoding="utf-8")


def write_task(folder: Path, name: str, more: str = "") -> None:
    text = CHOICE.format(name=name, file=folder / "capitals.jsonl") + more
    (folder / "tasks" / f"{name}.yaml").write_text(text, encoding="utf-8")


def skills(*more: str, task: str = "capitals") -> tuple[str, ...]:
    """The command for two models, with the task folder."""
    models = ("--model", "base=first", "--model", "mask_dpo=second")
    return ("skills", *models, "--task", task, "--task-folder", "tasks", "--output", "out", *more)


def read_scores(folder: Path) -> Any:
    return json.loads((folder / "out" / "skills.json").read_text(encoding="utf-8"))


def test_a_local_task_is_scored_compared_and_not_repeated(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskdpo.skills import run as runs

    loaded = []
    load = runs.load_model
    monkeypatch.setattr(runs, "load_model", lambda *given: loaded.append(given) or load(*given))
    save_model_folder(folder / "first")
    save_model_folder(folder / "second", seed=7)
    code, out, err = run(*skills())
    assert code == 0, err
    scores = read_scores(folder)
    rows = {name: found[0] for name, found in scores["skills"].items()}
    kept = json.loads((folder / "out" / "base" / "capitals.json").read_text())["rows"][0]
    values = list(kept["documents"].values())
    assert len(values) == 8 == rows["base"]["num_documents"]
    assert rows["base"]["score"] == sum(values) / 8
    assert rows["base"]["stderr"] > 0 or len(set(values)) == 1
    (difference,) = scores["differences"]
    assert difference["difference"] == pytest.approx(
        rows["mask_dpo"]["score"] - rows["base"]["score"]
    )
    assert (difference["model"], difference["compared_with"]) == ("mask_dpo", "base")
    assert difference["num_documents"] == 8
    assert "capitals" in out and "lm-eval 0.4" in out and "NaN" not in out
    assert len(loaded) == 2

    before = read_scores(folder)
    code, out, _ = run(*skills())  # all kept: no model is loaded
    assert code == 0 and len(loaded) == 2 and "kept 2" in out
    assert read_scores(folder) == before

    (folder / "out" / "mask_dpo" / "capitals.json").write_text("{")  # killed while writing
    run(*skills())
    assert len(loaded) == 3 and read_scores(folder) == before

    write_documents(folder, 6)  # other documents: both models again
    run(*skills())
    assert len(loaded) == 5
    assert read_scores(folder)["differences"][0]["num_documents"] == 6


def test_a_retrained_model_is_measured_again(folder: Path, run: Run) -> None:
    save_model_folder(folder / "first")
    save_model_folder(folder / "second", seed=7)
    run(*skills("--set", "skills.max_documents=3"))
    assert read_scores(folder)["differences"][0]["num_documents"] == 3
    save_model_folder(folder / "second", seed=8)
    code, out, _ = run(*skills("--set", "skills.max_documents=3"))
    assert code == 0 and "kept 1" in out


def test_results_of_another_precision_are_not_kept(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is what the machine makes of it: bfloat16 on most GPUs, float32 on a CPU."""
    from maskdpo.skills import harness

    save_model_folder(folder / "first")
    save_model_folder(folder / "second", seed=7)
    with monkeypatch.context() as on_gpu:
        on_gpu.setattr(harness, "choose_dtype", lambda *_given: "bfloat16")
        assert run(*skills())[0] == 0
    assert "kept 2" in run(*skills("--set", "skills.dtype=bfloat16"))[1]
    assert "kept 0" in run(*skills())[1]
    assert "kept 2" in run(*skills("--set", "skills.dtype=float32"))[1]
    assert "kept 0" in run(*skills("--set", "skills.dtype=bfloat16"))[1]


@pytest.mark.parametrize(
    ("task", "more", "expected"),
    [
        ("captials", (), "lm-eval has no task 'captials'; did you mean 'capitals'?"),
        ("writes_code", (), "task 'writes_code' runs code that the model wrote"),
        ("all_skills", (), "task 'all_skills' runs code that the model wrote (writes_code)"),
        (
            "writes_code",
            ("--set", "skills.run_generated_code=true"),
            "needs the environment variable HF_ALLOW_CODE_EVAL=1",
        ),
        ("far_away", (), "its data set 'org/unknown' cannot be loaded"),
        ("capitals", ("--set", "skills.chat_template=true"), "has no chat template"),
        ("capitals", ("--set", "skills.device=cuda:9"), "device is 'cuda:9', but"),
        ("capitals", ("--task-folder", "none"), "'none' is not a folder"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_a_model_is_loaded(
    folder: Path, run: Run, task: str, more: tuple[str, ...], expected: str
) -> None:
    from tiny_models import byte_level_tokenizer

    save_model_folder(folder / "first", byte_level_tokenizer(template=None))
    (folder / "second").symlink_to(folder / "first")
    far = CHOICE.format(name="far_away", file="x").replace("path: json", "path: org/unknown")
    (folder / "tasks" / "far_away.yaml").write_text(far, encoding="utf-8")
    # Its data cannot be loaded either: code is refused before any of the task's own code runs.
    code_task = far.replace("far_away", "writes_code") + "unsafe_code: true\n"
    (folder / "tasks" / "writes_code.yaml").write_text(code_task, encoding="utf-8")
    group = "group: all_skills\ntask: [capitals, writes_code]\n"
    (folder / "tasks" / "group.yaml").write_text(group, encoding="utf-8")
    code, out, err = run(*skills(*more, task=task))
    assert code != 0 and not out
    assert expected in err and err.count("error:") == 1
    assert not (folder / "out").exists()


def test_without_the_extra_the_command_says_how_to_get_it(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schemas import packages

    found = packages.is_installed
    monkeypatch.setattr(packages, "is_installed", lambda name: name != "lm_eval" and found(name))
    code, _, err = run(*skills())
    assert code == 2
    assert "skills needs the package 'lm_eval'" in err and "'.[skills]'" in err


def results(values: dict[str, list[Any]], scores: dict[str, Any], cut: str = "none") -> Any:
    """lm-eval's results of a task t: values per document of each metric, and the scores."""
    count = max(map(len, values.values()))
    return {
        "results": {"t": {"name": "t", "alias": " - t", "sample_len": count, **scores}},
        "samples": {
            "t": [
                {
                    "doc_id": place,
                    "doc_hash": f"hash {place}",
                    "filter": cut,
                    **{metric: of[place] for metric, of in values.items()},
                }
                for place in range(count)
            ]
        },
        "higher_is_better": {"t": dict.fromkeys(values, True)},
        "n-samples": {"t": {"original": 90, "effective": count}},
        "n-shot": {"t": 5},
        "versions": {"t": 3.0},
    }


def compare(rows: dict[str, list[Row]]) -> list[Row]:
    return compare_models(mark_shares(rows))


def test_a_difference_is_paired_and_equals_the_hand_computation() -> None:
    one = [1, 0, 1, 0, 0, 0, 1, 0, 0, 1]
    other = [1, 1, 1, 0, 1, 0, 1, 1, 0, 0]
    rows = {
        name: read_results(results({"acc": of}, {"acc,none": sum(of) / 10, "acc_stderr,none": 0.1}))
        for name, of in (("base", one), ("new", other))
    }
    assert rows["base"][0]["stderr"] == 0.1 and rows["base"][0]["num_shots"] == 5
    (row,) = compare(rows)
    assert row["difference"] == pytest.approx(0.2)  # 3 gained, 1 lost, of 10
    # By hand: jackknife of the mean of d = (0,1,0,0,1,0,0,1,0,-1), on the scale arcsin.
    from math import asin, sin, sqrt

    from scipy.stats import t

    d = [b - a for a, b in zip(one, other, strict=True)]
    z = [asin((sum(d) - x) / 9) for x in d]
    middle = sum(z) / 10
    squares = [(x - middle) ** 2 for x in z]
    error = sqrt(9 / 10 * sum(squares))
    kurtosis = (sum(x**2 for x in squares) / 10) / (sum(squares) / 10) ** 2
    half = t.ppf(0.975, min(9, 20 / (kurtosis - 1))) * error
    assert row["low"] == pytest.approx(sin(asin(0.2) - half))
    assert row["high"] == pytest.approx(sin(asin(0.2) + half))
    assert 0 < row["p"] < 1 and row["is_share"]


def test_equal_models_differ_by_exactly_zero_and_one_document_gives_no_interval() -> None:
    same = {n: read_results(results({"acc": [1, 0, 1]}, {"acc,none": 2 / 3})) for n in "ab"}
    (row,) = compare(same)
    assert (row["difference"], row["low"], row["high"], row["p"]) == (0.0, 0.0, 0.0, 1.0)
    alone = {
        n: read_results(results({"acc": [1]}, {"acc,none": 1.0, "acc_stderr,none": float("nan")}))
        for n in "ab"
    }
    assert alone["a"][0]["stderr"] is None
    (row,) = compare(alone)
    assert (row["difference"], row["low"], row["num_documents"]) == (0.0, None, 1)


def test_what_is_not_a_mean_over_the_same_documents_gets_no_interval() -> None:
    perplexity = {"word_perplexity": [(-4.0, 3), (-2.0, 2)]}
    rows = read_results(results(perplexity, {"word_perplexity,none": 7.5}))
    assert rows[0]["documents"] == {} and not mark_shares({"a": rows})["a"][0]["is_share"]
    of_sums = read_results(results({"f1": [0.5, 0.7]}, {"f1,none": 0.61}))  # not their mean
    assert of_sums[0]["documents"] == {}
    one = read_results(results({"acc": [1, 0]}, {"acc,none": 0.5}))
    other = read_results(results({"acc": [1, 0, 0]}, {"acc,none": 1 / 3}))
    (row,) = compare({"a": one, "b": other})
    assert row["difference"] == pytest.approx(-1 / 6)
    assert (row["low"], row["p"], row["num_documents"]) == (None, None, 0)
    assert compare_models({}) == [] == compare({"a": one})


def shares_of(metric: str, *models: tuple[list[float], float]) -> set[bool]:
    """Whether the metric is a share, for models with values of documents and a score."""
    marked = mark_shares(
        {
            str(place): read_results(results({metric: of or ["-"]}, {f"{metric},none": score}))
            for place, (of, score) in enumerate(models)
        }
    )
    return {row["is_share"] for rows in marked.values() for row in rows}


@pytest.mark.parametrize(
    ("metric", "models", "expected"),
    [
        ("bits_per_byte", [([], 0.93)], False),
        ("bits_per_byte", [([], 0.93), ([], 1.02)], False),
        ("brier_score", [([], 0.4)], False),
        ("word_perplexity", [([], 0.9)], False),
        ("rougeL_diff", [([], 0.5)], False),
        ("acc", [([], 0.25), ([], 0.5)], True),  # the average of a group
        ("acc_norm", [([], 1.0)], True),
        ("inst_level_strict_acc", [([], 0.5)], True),
        ("non_greedy_accuracy", [([], 0.5)], True),
        ("exact_match", [([], 0.0)], True),
        ("f1", [([], 0.61), ([], 0.7)], True),
        ("f1", [([], 0.61), ([], 88.3)], False),  # SQuAD's is in percent already
        ("pass@1", [([], 0.3)], True),
        ("pass_at_10", [([], 0.3)], True),
        ("mine", [([1, 0, 1, 0], 0.5)], True),
        ("mine", [([0.25, 0.75], 0.5)], True),
        ("mine", [([0.25, 0.75], 0.5), ([0.25, 1.75], 1.0)], False),
        ("mine", [([0.25, 1.75], 1.0), ([0.25, 0.75], 0.5)], False),
        ("mine", [([0.25, 0.75], 0.5), ([], 0.5)], False),
        ("mine", [([-0.5, 0.5], 0.0)], False),
    ],
)
def test_a_metric_is_a_share_for_all_models_or_none(
    metric: str, models: list[tuple[list[float], float]], expected: bool
) -> None:
    assert shares_of(metric, *models) == {expected}


def test_bits_per_byte_are_not_printed_in_percent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskdpo.skills.show import print_skills

    of = {"base": 0.93, "new": 1.02}
    found = {n: read_results(results({"b": ["-"]}, {"bits_per_byte,none": of[n]})) for n in of}
    scores = {"harness": "lm-eval 0.4.13", "interval": "", "skills": mark_shares(found)}
    scores["differences"] = compare(found)
    (tmp_path / "skills.json").write_text(json.dumps(scores))
    print_skills(tmp_path / "skills.json")
    words = capsys.readouterr().out.split()
    assert {"0.93", "1.02", "+0.09"} <= set(words) and "93.0" not in words


def test_each_filter_of_a_metric_is_a_row_with_its_own_documents() -> None:
    strict = results({"exact_match": [0, 0]}, {"exact_match,strict": 0.0}, "strict")
    loose = results({"exact_match": [1, 0]}, {"exact_match,loose": 0.5}, "loose")
    strict["results"]["t"] |= loose["results"]["t"]
    strict["samples"]["t"] += loose["samples"]["t"]
    found = {row["filter"]: list(row["documents"].values()) for row in read_results(strict)}
    assert found == {"strict": [0.0, 0.0], "loose": [1.0, 0.0]}


def test_the_table_fits_80_columns_and_names_missing_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskdpo.skills.show import print_skills

    rows = {
        name: [
            *read_results(
                results(
                    {"exact_match": of},
                    {"exact_match,flexible-extract": sum(of) / 4, "exact_match_stderr,x": "N/A"},
                    "flexible-extract",
                )
            ),
            *read_results(results({"ppl": [("a", 1)]}, {"ppl,none": float(len(name))})),
        ]
        for name, of in (("base", [1, 0, 0, 0]), ("a_model_with_a_long_name", [1, 1, 1, 0]))
    }
    scores = {
        "harness": "lm-eval 0.4.13",
        "skills": mark_shares(rows),
        "differences": compare(rows),
        "interval": "95% interval",
    }
    (tmp_path / "skills.json").write_text(json.dumps(scores))
    print_skills(tmp_path / "skills.json")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "+50.0 [" in out and "+20" in out and "nan" not in out.lower()
