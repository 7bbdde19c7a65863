"""Faults in the study with a real model that its tests must notice."""

from __future__ import annotations

from mutant_rows import mutants_of

TESTS = "test_study_real.py"
WHERE = "maskdpo/study/real"

STUDY_REAL = [
    *mutants_of(
        f"{WHERE}/stages.py",
        ("finished-stages-run-again", "if not path.exists():", "if True:", TESTS),
        (
            "earlier-attempts-are-free",
            'usage.cpu_s + earlier.get("cpu_s", 0.0)',
            "usage.cpu_s",
            f"{TESTS} -k leaves_no_record",
        ),
        (
            "device-of-earlier-stages-unknown",
            'row.get("device")',
            "self.device",
            f"{TESTS} -k list_the_device",
        ),
    ),
    *mutants_of(
        f"{WHERE}/supervised.py",
        (
            "steps-repeat-after-a-kill",
            "return _Progress(**state",
            "return _Progress(checks=[]) or _Progress(**state",
            f"{TESTS} -k killed",
        ),
        (
            "weights-are-lost-after-a-kill",
            "trained[name].copy_(value)",
            "pass",
            f"{TESTS} -k killed",
        ),
        (
            "optimizer-starts-over",
            'stage.optimizer.load_state_dict(state["optimizer"])',
            "pass",
            f"{TESTS} -k killed",
        ),
    ),
    *mutants_of(
        f"{WHERE}/run.py",
        (
            "fewer-seeds-replace-more",
            "for number in _list_seeds(folder)]",
            "for number in config.seeds]",
            f"{TESTS} -k fewer_seeds",
        ),
        (
            "unfinished-seeds-are-read",
            ".issuperset(STAGES)",
            '.issuperset({"score-dpo"})',
            f"{TESTS} -k fewer_seeds",
        ),
        ("anything-is-half", 'if belief["passed"]:', "if True:", f"{TESTS} -k half"),
        (
            "left-out-seed-goes-on",
            "        run.on_event(Noted(text=describe_left_out(row)))\n        return\n",
            "        run.on_event(Noted(text=describe_left_out(row)))\n",
            f"{TESTS} -k half",
        ),
        (
            "other-settings-are-mixed",
            "!= values:\n        raise",
            "== None:\n        raise",
            f"{TESTS} -k setting",
        ),
        (
            "earlier-version-continues",
            '"procedure": PROCEDURE,',
            "",
            f"{TESTS} -k earlier_version",
        ),
        (
            "kl-of-all-responses",
            "< run.config.kl_responses]",
            "< 1 << 30]",
            f"{TESTS} -k kl_is",
        ),
        (
            "kl-from-itself",
            "        run.model(BASE),\n        responses,",
            "        run.model(name),\n        responses,",
            f"{TESTS} -k kl_is",
        ),
        (
            "one-seed-trains-all",
            "seed=run.seed,\n        device=run.device,\n    )\n\n\ndef _delete",
            "seed=run.config.seed,\n        device=run.device,\n    )\n\n\ndef _delete",
            f"{TESTS} -k seed_of_its_own",
        ),
    ),
    *mutants_of(
        f"{WHERE}/convert.py",
        (
            "model-of-another-gguf-is-used",
            'is_same = known["sha256"] == given["sha256"]',
            "is_same = True",
            f"{TESTS} -k own_file_only",
        ),
        (
            "unrecorded-gguf-is-believed",
            "is_same = _describe_weights(unfinished) == _describe_weights(output)",
            "is_same = True",
            f"{TESTS} -k from_before_the_record",
        ),
    ),
    *mutants_of(
        "benchmarks/study_real.py",
        (
            "smoke-run-in-the-studys-folder",
            '"study-quick" if arguments.quick else "study"',
            '"study"',
            f"{TESTS} -k smoke",
        ),
        ("no-seeds-at-all", "int(text) < 1", "int(text) < 0", f"{TESTS} -k is_positive"),
    ),
    *mutants_of(
        f"{WHERE}/results.py",
        (
            "people-of-seeds-are-one",
            '"topic": f"{seed}/{record.topic}"',
            '"topic": record.topic',
            f"{TESTS} -k two_seeds",
        ),
        (
            "normal-for-t",
            "stdtrit(count - 1, 0.975)",
            "stdtrit(1e9, 0.975)",
            f"{TESTS} -k t_test",
        ),
    ),
]
