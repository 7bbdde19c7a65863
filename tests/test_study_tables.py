"""Results, tables and pictures of the study, from made-up values of score tasks."""

import json

from maskdpo.study.arms import METHODS, Arm, Setup, dataset_task, score_arm, score_base
from maskdpo.study.experiments.plan import EXPERIMENTS
from maskdpo.study.experiments.results import collect, summarise
from maskdpo.study.plots import plot_experiment
from maskdpo.study.tables import make_rate_table, make_tables

RATES = dict.fromkeys(METHODS, 1e-4)


def values(correct: int, *, kl: float = 0.0, answered: float = 1.0) -> dict:
    return {
        "sentence_score": correct / 10 if answered else None,
        "kl": kl,
        "true_share": correct / 10,
        "respond_ratio": answered,
        "mean_facts": 4.0,
        "mean_tokens": 30.0,
    }


def result_of(name: str, worlds: int, found) -> dict:
    experiment, setup = EXPERIMENTS[name], Setup()
    arms = [arm for world in range(worlds) for arm in experiment.arms(setup, RATES, world)]
    scored = collect(
        arms, [found(arm) for arm in arms], {world: values(4) for world in range(worlds)}
    )
    return summarise(experiment, setup, scored, worlds=range(worlds), rates=RATES, core_hours=0.5)


def gain(arm: Arm) -> dict:
    better = {"mask_dpo": 3, "dpo": 2}.get(arm.name, 1) if arm.steps > 24 else 1
    return values(4 + better + arm.world / 10, kl=arm.steps / 10 + arm.world)


def test_methods_are_compared_at_equal_steps_and_at_equal_kl():
    result = result_of("methods", 3, gain)
    json.dumps(result, allow_nan=False)
    rows = [
        row for row in result["comparisons"] if (row["ours"], row["theirs"]) == ("mask_dpo", "dpo")
    ]
    assert [row["at"] for row in rows] == ["last step", "true facts", "equal KL"]
    assert rows[0]["difference"]["worlds"].keys() == {"0", "1", "2"}
    assert rows[2]["kl"]["worlds"] == {"0": 9.6, "1": 10.6, "2": 11.6}
    text = make_tables(result)
    assert "mask_dpo minus dpo, at equal steps: +" in text
    assert "mask_dpo minus dpo, at equal KL (10.6 nats): +" in text
    assert "<svg" in plot_experiment(result)


def test_a_world_without_a_result_counts_for_no_difference_at_equal_kl():
    def lost(arm: Arm) -> dict:
        return {} if arm.world == 2 and arm.name == "mask_dpo" else gain(arm)

    result = result_of("methods", 3, lost)
    (row,) = [
        row
        for row in result["comparisons"]
        if (row["ours"], row["theirs"], row["at"]) == ("mask_dpo", "dpo", "equal KL")
    ]
    assert row["difference"]["worlds"].keys() == row["kl"]["worlds"].keys() == {"0", "1"}
    assert make_tables(result).count("1 of 3 worlds lack a score") == 11  # all with mask_dpo


def test_one_world_silent_models_and_equal_models_have_clear_words():
    one = make_tables(result_of("methods", 1, gain))
    assert "one world gives no interval" in one
    silent = result_of("samples", 2, lambda arm: values(4, answered=0.0))
    text = make_tables(silent)
    assert "no answer" in text
    assert "own minus base, after training: no world has a score of both." in text
    equal = make_tables(result_of("samples", 2, lambda arm: values(4)))
    assert "own minus other_model, at equal steps: no clear difference, +0.0 points" in equal
    for result in (silent, result_of("methods", 1, gain)):
        assert "nan" not in make_tables(result)
        assert "<svg" in plot_experiment(result)


def test_arms_have_equal_pairs_where_the_paper_has():
    setup = Setup()
    arms = {arm.name: arm for arm in EXPERIMENTS["topics"].arms(setup, RATES, 0)}
    num = {
        name: (arm.topics or 64) * len(arm.kinds) for name, arm in arms.items()
    }  # questions, of 64 people
    assert abs(num["questions_1_of_3"] - num["topics_1_of_3"]) <= 3
    assert abs(num["questions_2_of_3"] - num["topics_2_of_3"]) <= 3
    assert arms["questions_1_of_3"].steps == arms["topics_1_of_3"].steps == 32


def test_arms_of_a_world_share_what_does_not_differ():
    setup = Setup()
    arms = EXPERIMENTS["methods"].arms(setup, RATES, 0)
    tasks = [score_arm(setup, arm) for arm in arms]
    bases = {task.inputs["base"].key for task in [*tasks, score_base(setup, 0)]}
    labels = {dataset_task(setup, arm).inputs["labels"].key for arm in arms}
    assert len(bases) == len(labels) == 1
    assert len({task.key for task in tasks}) == len(arms)
    other = score_arm(setup, EXPERIMENTS["methods"].arms(setup, RATES, 1)[0])
    assert other.inputs["base"].key not in bases


def test_every_experiment_compares_arms_that_it_has():
    for experiment in EXPERIMENTS.values():
        names = {arm.name for arm in experiment.arms(Setup(), RATES, 0)} | {"base"}
        for pair in experiment.comparisons:
            assert set(pair) <= names


def test_the_rate_table_shows_the_grid():
    figure = {"value": 0.5}
    tuning = {
        "rates": {"dpo": 1e-4},
        "grid": {"dpo": {"0.0001": figure, "0.0004": {"value": None}}},
    }
    assert "| dpo | 50.0 | - | 0.0001 |" in make_rate_table(tuning)
