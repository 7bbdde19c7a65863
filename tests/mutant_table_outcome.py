"""Faults in what a run of `annotate` amounts to, its exit code, and its preview."""

from __future__ import annotations

from mutant_rows import mutants_of

COUNTS = "test_useless.py -k count"
STOPS = "test_useless.py -k stops_after"
TALLY = "test_verdict_tally.py"
CHOICE = "test_preview_choice.py"
OUTCOME = "test_run_outcome.py"

OUTCOMES = [
    *mutants_of(
        "annotator/calls/useless.py",
        (
            "useless-replies-never-stop",
            "self.in_a_row >= self.patience",
            "self.in_a_row > 9 * self.patience",
            COUNTS,
        ),
        (
            "useful-reply-keeps-the-count",
            "self.num_useful += num_replies\n            self.in_a_row = 0",
            "self.num_useful += num_replies",
            COUNTS,
        ),
        (
            "useless-dialogue-counts-once",
            "self.in_a_row += len(replies)",
            "self.in_a_row += 1",
            COUNTS,
        ),
    ),
    *mutants_of(
        "annotator/calls/stored_calls.py",
        (
            "stored-replies-count-as-useless",
            "fresh = [key for key in keys if key in self._fresh]",
            "fresh = list(keys)",
            STOPS,
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/verdict_tally.py",
        (
            "one-label-is-no-sign",
            "count >= share * self.num_decided",
            "count > self.num_decided",
            TALLY,
        ),
        (
            "undetermined-is-a-label-too",
            "        del decided[Label.UNDETERMINED.value]",
            "        decided.pop('none', None)",
            TALLY,
        ),
        (
            "reasons-set-aside-still-count",
            "for reason in self.reasons.keys() - but)",
            "for reason in self.reasons.keys())",
            TALLY,
        ),
        (
            "verbatim-but-for-white-space",
            'return " ".join(text.casefold().split())',
            "return text.casefold()",
            TALLY,
        ),
        (
            "supported-sentences-are-called-wrong",
            "elif verdict.label in HALLUCINATED_LABELS and",
            "elif",
            TALLY,
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/preview.py",
        (
            "verdicts-of-a-preview-counted-twice",
            "        meter.labels.clear()",
            "        pass",
            "test_run_outcome.py -k preview_without",
        ),
        (
            "preview-takes-the-first-topics",
            "for place in _spread(range(len(by_length)))]",
            "for place in range(len(by_length))]",
            CHOICE,
        ),
        (
            "preview-takes-short-responses",
            "        _spread(sorted(numbers, key=lambda number: _size(tasks[number])))",
            "        sorted(numbers, key=lambda number: _size(tasks[number]))",
            CHOICE,
        ),
        (
            "preview-goes-topic-by-topic",
            "for turn in zip_longest(*topics)",
            "for turn in topics",
            CHOICE,
        ),
    ),
    *mutants_of(
        "annotator/judging/tasks.py",
        (
            "fragment-of-any-response",
            'if response.finish_reason != "length" or not sentences:',
            "if not sentences:",
            CHOICE,
        ),
        (
            "closing-marks-hide-the-final-one",
            ".rstrip().rstrip(_CLOSING).endswith(_FINAL)",
            ".rstrip().endswith(_FINAL)",
            CHOICE,
        ),
        (
            "whole-last-sentence-is-a-fragment",
            "return (sentences, None) if is_whole else",
            "return (sentences, None) if False else",
            CHOICE,
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/outcome.py",
        (
            "undetermined-share-is-ignored",
            "if share > max_undetermined_share:",
            "if share > 1:",
            OUTCOME,
        ),
        (
            "useless-run-ends-well",
            "if meter.total_failure:",
            "if False:",
            OUTCOME,
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/output_checks.py",
        (
            "notes-are-written-over",
            '    refuse_to_replace_unless(output, _holds_annotations, by="maskdpo annotate")\n',
            "",
            "test_core.py -k write_over",
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/run_steps.py",
        (
            "useless-run-overwrites",
            "if meter.total_failure and output.exists():",
            "if False:",
            OUTCOME,
        ),
    ),
    *mutants_of(
        "annotator/judging/annotator.py",
        (
            "fragment-is-lost",
            "if task.fragment is not None:",
            "if False:",
            OUTCOME,
        ),
    ),
    *mutants_of(
        "maskdpo/cli/commands/annotate_command.py",
        (
            "preview-goes-on-without-a-yes",
            "    if not sys.stdin.isatty():",
            "    if False:",
            OUTCOME,
        ),
    ),
]
