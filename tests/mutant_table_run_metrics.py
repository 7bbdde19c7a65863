"""Faults in what a run counts, how counts add up, and how they become text and a file."""

from __future__ import annotations

from mutant_rows import mutants_of

UNITS = "test_run_metrics.py"
COMMANDS = "test_run_metrics_commands.py"

RUN_METRICS = [
    *mutants_of(
        "annotator/calls/metrics/families.py",
        ("metrics-any-reason", "if _REASON.fullmatch(reason) else OTHER", "", UNITS),
        (
            "metrics-build-is-info",
            '_process("build_info", "Always 1; the version is a label.", "version")',
            '_process("build_info", "Always \\"1\\".", "version")',
            UNITS,
        ),
        ("metrics-newest-start", 'merge="min"', 'merge="max"', UNITS),
    ),
    *mutants_of(
        "annotator/calls/metrics/counting.py",
        ("metrics-served-once", "of.FROM_STORE, who, event.count", "of.FROM_STORE, who, 1", UNITS),
        ("metrics-bucket-above", "bisect_left(", "bisect_right(", UNITS),
        (
            "metrics-failed-stay-under-way",
            "                self._add(of.UNDER_WAY, who, -1)\n                self._add(of.FAILED",
            "                self._add(of.FAILED",
            f"{UNITS} {COMMANDS}",
        ),
        (
            "metrics-dropped-stay-under-way",
            "            case CallDropped():\n                self._add(of.UNDER_WAY, who, -1)\n",
            "",
            UNITS,
        ),
        (
            "metrics-refused-once-more",
            "return number - last if number >= last else number",
            "return number",
            UNITS,
        ),
        (
            "metrics-refused-fall",
            "return number - last if number >= last else number",
            "return number - last",
            UNITS,
        ),
        (
            "metrics-rate-stays",
            "self._values.pop((of.SERVER_RATE.name, *key), None)",
            "pass",
            UNITS,
        ),
        (
            "metrics-servers-of-earlier-work",
            "self._reported.get(key, number)",
            "self._reported.get(key, 0)",
            UNITS,
        ),
        ("metrics-no-zeros", "for kind in of.TOKEN_KINDS:", "for kind in ():", UNITS),
        ("metrics-others-left-out", "*(read() for read in self._others)", "", UNITS),
        (
            "metrics-preview-rows",
            "if not isinstance(event, RowsFound | RowsFinished):",
            "if True:",
            COMMANDS,
        ),
    ),
    *mutants_of(
        "annotator/calls/metrics/snapshot.py",
        ("metrics-sum-is-last", "return values[key] + value", "return value", UNITS),
        ("metrics-buckets-not-added", "one + two for one, two", "one for one, two", UNITS),
        ("metrics-present-of-the-dead", "if item.is_now or ", "if ", UNITS),
        ("metrics-rows-of-the-dead", "(is_lost and item.is_redone)", "False", UNITS),
        ("metrics-rows-of-the-ended", "(is_lost and item.is_redone)", "item.is_redone", UNITS),
        ("metrics-ended-forgotten", "counted = [self._ended, *", "counted = [*", UNITS),
    ),
    *mutants_of(
        "annotator/calls/metrics/rendering.py",
        ("metrics-buckets-not-cumulative", "accumulate(observed.counts)", "observed.counts", UNITS),
    ),
    *mutants_of(
        "annotator/calls/metrics/metrics_file.py",
        (
            "metrics-file-of-others",
            'refuse_to_replace_unless(self.path, is_metrics, by="maskdpo", option="--metrics")',
            "pass",
            UNITS,
        ),
        ("metrics-no-last-write", "self._try_to_write(self._state_after(error))", "pass", UNITS),
        ("metrics-warn-always", "self._is_warned = True", "pass", UNITS),
        (
            "metrics-written-once",
            "while not self._ended.wait(self._every_s):",
            "while False:",
            UNITS,
        ),
        (
            "metrics-any-file-is-own",
            'return text.startswith(b"# HELP maskdpo_") and',
            "return True or",
            UNITS,
        ),
        (
            "metrics-limit-is-a-fault",
            "(LimitReachedError, KeyboardInterrupt)",
            "(KeyboardInterrupt,)",
            f"{UNITS} {COMMANDS}",
        ),
        ("metrics-exit-is-a-fault", "and not error.code", "and error.code", UNITS),
    ),
    *mutants_of(
        "annotator/calls/running/pace_reports.py",
        ("paces-with-user", 'host = parts.hostname or ""', "host = parts.netloc", UNITS),
        (
            "paces-no-last-report",
            "        await end_task(task)\n        on_event(_describe(backend))",
            "        await end_task(task)",
            UNITS,
        ),
    ),
    *mutants_of(
        "annotator/calls/usage.py",
        ("calls-dropped-silently", "self.on_event(CallDropped(key=request.id))", "pass", COMMANDS),
        ("calls-without-seconds", "seconds=reply.seconds,", "seconds=None,", COMMANDS),
        (
            "calls-without-currency",
            'self.prices.currency if self.prices is not None else "",\n            seconds',
            '"",\n            seconds',
            COMMANDS,
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/run_steps.py",
        ("rows-of-equal-tasks-once", "number * count for label", "number for label", COMMANDS),
        ("rows-without-the-fragment", "labels[Label.UNDETERMINED.value] += 1", "pass", COMMANDS),
        (
            "rows-that-failed-early-silent",
            "report(RowsFinished(failed=len(self.inputs.prepared.failures)))",
            "pass",
            COMMANDS,
        ),
    ),
    *mutants_of(
        "maskdpo/cli/metrics_option.py",
        ("metrics-for-an-estimate", 'or options["estimate_only"]', "", COMMANDS),
        ("metrics-over-an-input", "value.resolve() == path.resolve()", "False", COMMANDS),
        (
            "metrics-parts-in-one-file",
            "path is None or shard is None",
            "True",
            COMMANDS,
        ),
        (
            "metrics-without-config",
            'metrics_file or _default(config, options.get("shard"))',
            "metrics_file",
            COMMANDS,
        ),
    ),
    *mutants_of(
        "maskdpo/evaluation/run.py",
        (
            "evaluate-one-policy",
            'listen(metrics, "policy", name)',
            'listen(metrics, "policy")',
            COMMANDS,
        ),
    ),
    *mutants_of(
        "schemas/events.py",
        ("heard-by-one", "for listener in heard:", "for listener in heard[:1]:", UNITS),
    ),
]
