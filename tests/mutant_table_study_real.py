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
        ("anything-is-half", 'if belief["passed"]:', "if True:", f"{TESTS} -k half"),
        (
            "other-settings-are-mixed",
            "!= values:\n        raise",
            "== None:\n        raise",
            f"{TESTS} -k setting",
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
