"""Faults in the log of people's decisions: withdrawals, resolutions, the journal, alpha."""

from __future__ import annotations

from mutant_rows import mutants_of

STANDING = "test_review_standing.py -k"
JOURNAL = "test_review_journal.py -k"
ALPHA = "test_alpha.py"

REVIEW_LOG = [
    *mutants_of(
        "formats/reviews/standing.py",
        (
            "withdrawal-by-anybody",
            "if found.review.who != review.who:",
            "if False:",
            f"{STANDING} another_person",
        ),
        (
            "withdrawn-withdrawal-counts",
            "if stands[name] or not undecided[named]:\n            stands[named] = not stands[name]",
            "if stands[name] or not undecided[named]:\n            stands[named] = False",
            f"{STANDING} brings_the_review_back",
        ),
        (
            "one-of-two-withdrawals-is-enough",
            "if stands[name] or not undecided[named]:",
            "if True:",
            f"{STANDING} must_both",
        ),
        (
            "refused-and-withdrawn-counted-twice",
            "if entry.review.id in faults and stands.get(entry.review.id) is not False",
            "if entry.review.id in faults",
            f"{STANDING} any_sequence",
        ),
    ),
    *mutants_of(
        "formats/reviews/decisions.py",
        (
            "resolution-ignored",
            "if other.who != item.who:",
            "if False:",
            f"{STANDING} under_every_rule",
        ),
        (
            "own-named-review-counts",
            "counted = _less(counted, (other.start, other.end))",
            "pass",
            f"{STANDING} any_sequence",
        ),
        (
            "own-decisions-with-resolutions",
            "if not item.review.resolves), text",
            "if True), text",
            f"{STANDING} own_decisions",
        ),
        (
            "resolution-without-its-people",
            "replace(part, resolved=_resolved_by(part, by_id))",
            "part",
            f"{STANDING} under_every_rule",
        ),
        (
            "resolution-acts-everywhere",
            "return entry.review.start < item.end and item.start < entry.review.end",
            "return True",
            f"{STANDING} missing_ids_are_harmless",
        ),
    ),
    *mutants_of(
        "formats/reviews/log.py",
        (
            "withdrawn-decision-is-known",
            "if review.id in count or",
            "if review.id in ids or",
            "test_sheets.py -k after_a_withdrawal",
        ),
        (
            "withdrawn-label-not-reported",
            "if mine is None or _labels(mine.review) != _labels(review):",
            "if mine is not None and _labels(mine.review) != _labels(review):",
            "test_sheets.py -k after_a_withdrawal",
        ),
    ),
    *mutants_of(
        "formats/reviews/journal.py",
        (
            "journal-without-a-lock",
            "with self._lock, locked(self.path):\n            message",
            "with self._lock:\n            message",
            f"{JOURNAL} two_processes",
        ),
        (
            "journal-cut-off-rows-stay",
            "        if cut_off_end(self.path):",
            "        if False:",
            f"{JOURNAL} moved_aside",
        ),
        (
            "journal-reads-half-rows",
            'data[: data.rfind(b"\\n") + 1]',
            "data",
            f"{JOURNAL} being_written",
        ),
        (
            "journal-misses-a-new-file",
            "return found == (place.device, place.inode) and",
            "return",
            f"{JOURNAL} replaced_or_shortened",
        ),
        (
            "journal-misses-another-content",
            "and handle.read(len(place.last)) == place.last",
            "and True",
            f"{JOURNAL} replaced_or_shortened",
        ),
        (
            "journal-withdrawn-is-known",
            "and review.id not in self._withdrawn",
            "and True",
            f"{JOURNAL} again_after",
        ),
    ),
    *mutants_of(
        "schemas/files/appending.py",
        (
            "append-leaves-a-part",
            "            os.ftruncate(descriptor, size)\n",
            "",
            f"{JOURNAL} full_disk",
        ),
        (
            "append-into-an-open-line",
            'if size and os.pread(descriptor, 1, size - 1) != b"\\n" else ""',
            'if False else ""',
            "test_review_log.py -k completed",
        ),
    ),
    *mutants_of(
        "annotator/agreement/alpha.py",
        ("alpha-pairs-not-weighed", "/ (of_unit - 1)).sum()", "/ of_unit).sum()", ALPHA),
        (
            "alpha-of-all-labels-once-more",
            "(num_labels - 1) * observed",
            "num_labels * observed",
            ALPHA,
        ),
        ("alpha-counts-single-labels", "_MIN_LABELS = 2", "_MIN_LABELS = 1", ALPHA),
    ),
    *mutants_of(
        "annotator/agreement/gold.py",
        (
            "people-measured-with-resolutions",
            "from formats.reviews.decisions import own_decisions\n    from",
            "from formats.reviews.decisions import decisions_of_people as own_decisions\n    from",
            "test_gold_reviews.py -k decided_alone",
        ),
    ),
    *mutants_of(
        "maskdpo/forgetting/rows.py",
        (
            "cut-off-rows-keep-the-name",
            "None if _is_cut_off_row_of(path, raw, targets) else raw",
            "raw",
            "test_forget.py -k cut_off",
        ),
    ),
]
