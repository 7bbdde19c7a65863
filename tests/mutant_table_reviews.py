"""Faults in people's reviews: how they are appended, compared, applied and named."""

from __future__ import annotations

from mutant_rows import mutants_of

REVIEWS = [
    *mutants_of(
        "formats/reviews/log.py",
        (
            "append-of-known-rows",
            "for review in fresh])",
            "for review in reviews])",
            "test_review_log.py -k written_once",
        ),
        (
            "known-decisions-repeated",
            "_decision(mine.review) == _decision(review)",
            "False",
            "test_review_log.py -k written_once",
        ),
        (
            "any-earlier-decision-is-known",
            "mine is None or mine.order < entry.order",
            "mine is None",
            "test_review_log.py -k written_once",
        ),
        (
            "no-lock",
            "        with lock:\n",
            "        if lock:\n",
            "test_review_log.py -k keeps",
        ),
        (
            "torn-end-accepted",
            "    if cut_off_end(path):",
            "    if False:",
            "test_review_log.py -k damaged",
        ),
        (
            "round-does-not-count",
            "(self.review.round, time_of",
            "(0, time_of",
            "test_reviews.py -k round",
        ),
    ),
    *mutants_of(
        "formats/reviews/conflicts.py",
        (
            "agreement-never-checked",
            "if all(one.label is two.label",
            "if all(True or one.label is two.label",
            "test_reviews.py -k differ",
        ),
        (
            "ends-taken-for-the-whole",
            "if _left_out(mine, place, text):",
            "if (mine[0].start, mine[-1].end) != place:",
            "test_reviews.py -k ends_only",
        ),
        (
            "majority-of-ties",
            "if len(first) == 1 else ()",
            "if first else ()",
            "test_reviews.py -k rule",
        ),
        (
            "latest-by-round",
            "times[who] == latest for who",
            "times[who] != latest for who",
            "test_reviews.py -k rule",
        ),
        (
            "neighbours-are-one-group",
            "item.start >= end",
            "item.start > end",
            "test_reviews.py -k neighbouring",
        ),
    ),
    *mutants_of(
        "formats/reviews/apply.py",
        (
            "copies-do-not-share",
            "of_text[row.text] += sound",
            "of_text[row.text] = sound",
            "test_reviews.py -k identical",
        ),
        (
            "superseded-counted-as-applied",
            "elif entry.review.id in present:",
            "elif True:",
            "test_reviews.py -k later_review",
        ),
    ),
    *mutants_of(
        "formats/reviews/decisions.py",
        (
            "skips-take-labels-back",
            "if review.action in WITHOUT_LABEL:",
            "if False:",
            "test_reviews.py -k agreement",
        ),
    ),
    *mutants_of(
        "formats/reviews/names.py",
        ("names-published", "if shown is None:", "if True:", "test_review_log.py -k by_itself"),
    ),
    *mutants_of(
        "maskdpo/cli/commands/build_command.py",
        (
            "reviews-not-found",
            "        if path.is_file():\n            present",
            "        if path.is_dir():\n            present",
            "test_review_log.py -k by_itself",
        ),
    ),
    *mutants_of(
        "schemas/records.py",
        (
            "no-error-spans-are-written",
            "error_spans: list[ErrorSpan] = _no_items(exclude_if=lambda items: not items)",
            "error_spans: list[ErrorSpan] = _no_items()",
            "test_error_spans.py -k before",
        ),
        (
            "error-spans-past-the-text",
            "if span.end > length:",
            "if False:",
            "test_error_spans.py -k outside_the_text",
        ),
    ),
    *mutants_of(
        "formats/reviews/apply.py",
        (
            "error-spans-of-people-lost",
            "error_spans=list(item.error_spans),",
            "",
            "test_error_spans.py -k carries",
        ),
    ),
    *mutants_of(
        "formats/reviews/decisions.py",
        (
            "agreement-without-error-spans",
            "error_spans=item.verdict.error_spans,",
            "",
            "test_error_spans.py -k agrees",
        ),
    ),
]
