"""Faults in the study's lab: keys, order, workers, noise, masks, divergence and scores."""

from __future__ import annotations

from mutant_rows import mutants_of

LAB = "test_study_lab.py"
KINDS = "test_study_kinds.py"
KEYS = f"{LAB}::test_a_key_depends_on_kind_version_settings_and_inputs"
JUDGE = f"{KINDS}::test_the_judge_errs_as_often_as_asked_and_knows_it"
NULL = f"{KINDS}::test_what_has_no_value_is_null"
CHOICE = f"{KINDS}::test_a_data_set_of_some_topics_questions_and_pairs"
PREFIX = f"{KINDS}::test_fewer_steps_are_a_prefix_of_more"
RATIOS = f"{KINDS}::test_divergence_equals_that_of_one_response_at_a_time"
RUN = f"{LAB}::test_a_run_does_what_is_missing_and_reports_it"
KILLED = f"{LAB}::test_a_worker_that_is_killed_is_reported_and_the_next_run_continues"
ENDED = f"{LAB}::test_a_program_that_is_killed_loses_only_what_was_in_progress"
FAILS = f"{LAB}::test_a_task_that_fails_does_not_stop_the_others"

STUDY_LAB = [
    *mutants_of(
        "maskdpo/study/lab/task.py",
        ("version-not-in-key", '"version": find_kind(self.kind).version,', '"version": 1,', KEYS),
        (
            "defaults-not-in-key",
            '"settings", checked.model_dump(mode="json"))',
            '"settings", dict(self.settings))',
            f"{LAB}::test_defaults_are_part_of_a_key",
        ),
        (
            "inputs-not-in-key",
            '"inputs": {name: task.key for name, task in self.inputs.items()},',
            '"inputs": {},',
            KEYS,
        ),
        (
            "any-input",
            "        if not fits:",
            "        if False:",
            f"{LAB}::test_a_wrong_task_is_refused_when_it_is_made",
        ),
    ),
    *mutants_of(
        "maskdpo/study/lab/results.py",
        (
            "other-key-accepted",
            "    if key != task.key:",
            "    if False:",
            f"{LAB}::test_a_result_of_another_task_is_refused",
        ),
        (
            "seconds-counted-twice",
            "sum({result.folder: result.cpu_seconds for result in results}.values())",
            "sum(result.cpu_seconds for result in results)",
            RUN,
        ),
        (
            "empty-file-refused",
            "read_records(path, model) if path.stat().st_size else []",
            "read_records(path, model)",
            f"{KINDS}::test_a_data_set_without_pairs_is_impossible_and_names_the_reason",
        ),
    ),
    *mutants_of(
        "maskdpo/study/lab/schedule.py",
        (
            "inputs-of-finished-tasks-again",
            "if task in missing or task in found:\n            return\n",
            "if task in missing:\n            return\n",
            f"{LAB}::test_inputs_of_finished_tasks_are_not_done_again",
        ),
        (
            "shortest-first",
            "max(ready, key=self._chains.__getitem__)",
            "min(ready, key=self._chains.__getitem__)",
            f"{LAB}::test_inputs_come_first_and_the_longest_chain_before_the_rest",
        ),
        (
            "old-impossible-forgotten",
            "for task, result in list(self.results.items()):",
            "for task, result in []:",
            f"{LAB}::test_an_impossible_result_of_an_earlier_run_stops_what_needs_it",
        ),
        (
            "only-the-next-skipped",
            "                found += self._skip(other)",
            "                self._skip(other)",
            FAILS,
        ),
    ),
    *mutants_of(
        "maskdpo/study/lab/lab.py",
        ("failure-not-raised", "        if schedule.failed:", "        if False:", FAILS),
        (
            "two-programs",
            'with only_writer(self.folder / "lab", wait_s=0.0):',
            "if True:",
            ENDED,
        ),
        slow=True,
    ),
    *mutants_of(
        "maskdpo/study/lab/worker.py",
        (
            "worker-outlives",
            "    threading.Thread(target=_end_with_parent, daemon=True).start()",
            "    pass",
            ENDED,
        ),
        (
            "two-threads",
            '        os.environ[name] = "1"',
            "        pass",
            f"{LAB}::test_a_worker_has_one_thread",
        ),
        (
            "error-ends-worker",
            "        except Exception as error:  # any: a fault of one task",
            "        except KeyError as error:  # any: a fault of one task",
            FAILS,
        ),
        (
            "output-to-terminal",
            "        os.dup2(descriptor, number)",
            "        pass",
            f"{LAB}::test_output_of_a_task_goes_into_its_log",
        ),
        slow=True,
    ),
    *mutants_of(
        "maskdpo/study/lab/pool.py",
        ("dead-worker-kept", "        self._workers.remove(worker)", "        pass", KILLED),
        slow=True,
    ),
    *mutants_of(
        "maskdpo/study/lab/noise.py",
        ("rate-not-scaled", "    return _LARGEST * rng", "    return rng", JUDGE),
        ("confidence-is-the-rate", '"confidence": 1.0 - rate', '"confidence": rate', JUDGE),
        (
            "stale-error-spans",
            '"error_spans": []}',
            "}",
            f"{KINDS}::test_a_flipped_verdict_has_the_error_spans_of_its_new_label",
        ),
        ("one-stream", 'f"{annotation.id}/{number}"', '"x"', JUDGE),
    ),
    *mutants_of(
        "maskdpo/study/lab/masks.py",
        (
            "masks-not-shuffled",
            "    rng.shuffle(weights)",
            "    pass",
            f"{KINDS}::test_random_masks_keep_each_sides_weights_and_move_them",
        ),
        (
            "pieces-are-sentences",
            "place if span.sentence is None else span.sentence",
            "place",
            f"{KINDS}::test_pieces_of_a_sentence_count_as_one_sentence",
        ),
    ),
    *mutants_of(
        "maskdpo/study/lab/dataset.py",
        ("all-topics", "topics[: settings.topics]", "topics", CHOICE),
        ("all-pairs", "numbers[: settings.num_pairs]", "numbers", CHOICE),
        (
            "any-question",
            " and row.question_id in questions]",
            "]",
            CHOICE,
        ),
    ),
    *mutants_of(
        "maskdpo/study/lab/model.py",
        ("decaying-rate", 'lr_scheduler="constant"', 'lr_scheduler="linear"', PREFIX),
        ("steps-ignored", "max_steps=settings.steps", "max_steps=3", PREFIX),
    ),
    *mutants_of(
        "maskdpo/study/divergence.py",
        ("prompt-scored", "(places_T >= starts_B1)", "(places_T >= 1)", RATIOS),
        ("padding-scored", " & (places_T < ends_B1)", "", RATIOS),
        (
            "end-not-scored",
            'if response.finish_reason == "stop" else []',
            "if False else []",
            RATIOS,
        ),
        ("reference-first", "policy_BTV - reference_BTV", "reference_BTV - policy_BTV", RATIOS),
        ("not-weighted", "policy_BTV.exp() * ratios_BTV", "ratios_BTV", RATIOS),
        (
            "error-without-topics",
            "sums.get(topic, 0.0) + value",
            "value",
            f"{KINDS}::test_the_error_of_a_mean_is_over_topics",
        ),
    ),
    *mutants_of(
        "maskdpo/study/lab/score.py",
        ("nan-score", 'correct"] / decided if decided else None', 'correct"] / decided', NULL),
        ("no-mean-of-nothing", "/ len(values) if values else None", "/ len(values)", NULL),
        (
            "divergence-anyway",
            "kl if has_divergence else None",
            "kl",
            f"{KINDS}::test_a_score_by_hand",
        ),
    ),
    *mutants_of(
        "maskdpo/study/figures.py",
        (
            "line-over-the-kl",
            "(kl - left) / (right - left) * spread",
            "(kl - left) / (right - left)",
            "test_study_figures.py",
        ),
    ),
    *mutants_of(
        "maskdpo/study/experiments/results.py",
        (
            "lost-model-is-its-base",
            "place = shared_kl(paths) if is_known else None",
            "place = shared_kl(paths)",
            "test_study_tables.py",
        ),
    ),
    *mutants_of(
        "maskdpo/study/outputs.py",
        (
            "edited-table-is-replaced",
            'text == sealed(text.rpartition("\\n<!--")[0])',
            'text.rpartition("\\n<!--")[0] != ""',
            "test_study_run.py",
        ),
    ),
    *mutants_of(
        "maskdpo/study/run.py",
        (
            "tuning-is-not-counted",
            "tasks = [] if quick else tuning_tasks(setup)",
            "tasks = []",
            "test_study_run.py",
        ),
    ),
]
