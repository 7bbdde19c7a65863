"""Faults in what `ingest` reports of changed and dropped text; see `tests/mutants.py`."""

from __future__ import annotations

from mutant_rows import mutants_of

CHANGES = "test_ingest_changes.py"

# fmt: off
INGEST = [
    *mutants_of(
        "annotator/documents/ingest_changes.py",
        ("changed-text-unseen", "if earlier.texts.get(identifier, text) == text:",
         "if identifier in earlier.texts:", CHANGES),
        ("changed-file-taken-for-reader", "elif before == files[identifier]:",
         "elif before != files[identifier]:", CHANGES),
        ("changed-unknown-cause-guessed", "            changes.unknown.append(identifier)",
         "            changes.by_file.append(identifier)", CHANGES),
        ("changed-gone-unseen", "earlier.texts.keys() - texts.keys()",
         "texts.keys() - texts.keys()", CHANGES),
        ("history-forgets", "return [*earlier.history, {**entry,", "return [{**entry,", CHANGES),
        ("history-of-a-rerun-lost", "return [*earlier.history]\n", "return []\n", CHANGES),
        ("reader-version-of-old-sidecars", "_FIRST_VERSION = 1", "_FIRST_VERSION = 2", CHANGES),
        ("earlier-output-must-be-sound", "KeyError, AttributeError, RecursionError",
         "AttributeError, RecursionError", CHANGES),
    ),
    *mutants_of(
        "annotator/documents/readers/file_text.py",
        ("few-controls-refuse-a-text", "max(_FEW_CONTROLS, ", "max(0, ",
         "test_ingest.py -k few_control"),
    ),
    *mutants_of(
        "annotator/documents/readers/front_matter.py",
        ("unknown-fields-uncounted", "sum(key.lower() not in _KNOWN for key in values)", "0",
         "test_ingest.py -k leaves_out"),
    ),
    *mutants_of(
        "annotator/documents/readers/html.py",
        ("struck-out-uncounted", "not_read=_count_struck(root)", "not_read={}",
         "test_ingest.py -k leaves_out"),
        ("empty-strikes-counted", "sum(bool(node.text(deep=True).strip())", "sum(True",
         "test_ingest.py -k leaves_out"),
    ),
    *mutants_of(
        "annotator/documents/readers/markdown.py",
        ("struck-out-of-markdown-uncounted", "count_unread(markup) | count_struck(page)",
         "count_unread(markup)", "test_ingest.py -k leaves_out"),
    ),
    *mutants_of(
        "schemas/document_versions.py",
        ("stale-only-the-last-run", "        ids |= {str(item)", "        ids = {str(item)",
         CHANGES),
        ("stale-never", "            ids |= since", "            ids |= set()", CHANGES),
        ("stale-unmatched-silent", "            unmatched.append(path)", "            pass",
         CHANGES),
        ("stale-though-the-same", 'if describe_file(path)["sha256"] in read_by_judge:',
         'if describe_file(path)["sha256"] == path.name:', CHANGES),
    ),
    *mutants_of(
        "dataset_builder/quoted_evidence.py",
        ("stale-evidence-quoted", "if evidence.document_id in self._stale:", "if False:", CHANGES),
    ),
    *mutants_of(
        "annotator/documents/ingest_notes.py",
        ("dropped-share-threshold", "MAX_DROPPED_SHARE = 0.05", "MAX_DROPPED_SHARE = 0.2", CHANGES),
        ("dropped-share-of-what-stayed", "num_chars / (num_chars + len(text.text))",
         "num_chars / len(text.text)", CHANGES),
        ("dropped-characters-uncounted", 'totals["dropped_characters"] +=',
         'totals["dropped_characters"] =', CHANGES),
        ("not-read-uncounted", "            totals.update({f\"not_read_{kind}\": count for kind",
         "            totals.update({kind: count for kind", CHANGES),
    ),
    *mutants_of(
        "annotator/documents/ingest_outcome.py",
        ("version-not-in-sidecar", '        "reader_version": READER_VERSION,\n', "", CHANGES),
        ("dropped-not-in-sidecar", "for name, items in outcome.readings.dropped.items()",
         "for name, items in ()", "test_ingest_changes.py -k listed"),
    ),
    *mutants_of(
        "annotator/documents/ingest.py",
        ("changes-not-reported", "rerun.changes, sidecar) if rerun else ()",
         "rerun.changes, sidecar) if False else ()", CHANGES),
    ),
]
# fmt: on
