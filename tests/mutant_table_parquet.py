"""Faults in rows of Parquet, in folders of parts, and in the counts of statistics."""

from __future__ import annotations

from mutant_rows import mutants_of

RECORDS, INPUTS = "test_parquet_records.py", "test_parquet_inputs.py"
COUNTS, BUILD = "test_statistics_counts.py", "test_build_parquet.py"

OF_PARQUET = [
    *mutants_of(
        "schemas/files/arrow_json.py",
        (
            "quotes-not-escaped",
            '_ESCAPED = {"\\\\": "\\\\\\\\", \'"\': \'\\\\"\',',
            '_ESCAPED = {"\\\\": "\\\\\\\\",',
            f"{RECORDS} -k same_bytes",
        ),
        (
            "null-rows-left-out",
            'members = [pa.array([""] * count, pa.string())]',
            "members = []",
            f"{RECORDS} -k python_says",
        ),
        (
            "whole-floats-become-integers",
            r'pc.replace_substring_regex(values.cast(pa.string()), r"^(-?\d+)$", r"\1.0")',
            "values.cast(pa.string())",
            f"{RECORDS} -k python_says",
        ),
        (
            "null-lists-become-empty",
            "return pc.if_else(lists.is_valid(), joined, _null())",
            "return joined",
            f"{RECORDS} -k python_says",
        ),
        (
            "line-breaks-in-sampling",
            'one_line = text.replace("\\n", " ").replace("\\r", " ")',
            'one_line = " ".join(text.splitlines())',
            f"{RECORDS} -k same_bytes",
        ),
    ),
    *mutants_of(
        "schemas/files/parquet_lines.py",
        (
            "rows-count-from-zero",
            "            number += 1\n            yield number, text",
            "            yield number, text\n            number += 1",
            f"{RECORDS} -k faults",
        ),
        (
            "unknown-columns-pass",
            "if name not in known:",
            "if False and name not in known:",
            f"{RECORDS} -k refused_once",
        ),
    ),
    *mutants_of(
        "schemas/files/row_folder.py",
        (
            "missing-parts-pass",
            "        if missing:",
            "        if False and missing:",
            f"{INPUTS} -k lacks",
        ),
        (
            "lists-of-failed-rows-are-read",
            '(item.suffix == ".jsonl" and _PART.fullmatch(item.stem))',
            'item.suffix == ".jsonl"',
            f"{INPUTS} -k one_source",
        ),
    ),
    *mutants_of(
        "dataset_builder/reading/row_files.py",
        (
            "last-rows-of-parquet-lost",
            "        if start < end:\n            yield Part(start, end)\n\n    def scan",
            "\n    def scan",
            f"{BUILD} -k same_bytes",
        ),
        (
            "parts-of-the-copy-not-on-disk",
            "                    copy.flush()\n",
            "",
            f"{BUILD} -k small_parts",
        ),
    ),
    *mutants_of(
        "formats/sheets/export.py",
        (
            "sidecars-of-parts-not-checked",
            "    for path in files:\n        check_sidecar(path, Annotation.__name__)\n",
            "",
            f"{INPUTS} -k newer",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/statistics_counts.py",
        (
            "first-message-counts",
            "lengths[owners] = pc.fill_null(",
            "lengths[owners[::-1]] = pc.fill_null(",
            f"{COUNTS} -k one_row_after",
        ),
        (
            "pieces-of-two-rows-are-one",
            "(owners[1:] != owners[:-1]) | (numbers",
            "(numbers",
            f"{COUNTS} -k one_row_after",
        ),
        (
            "half-steps-go-up",
            "np.rint(values[np.isfinite(values)] * SCORE_STEPS)",
            "np.floor(values[np.isfinite(values)] * SCORE_STEPS + 0.5)",
            f"{COUNTS} -k one_row_after",
        ),
        (
            "empty-topic-is-a-topic",
            'pc.coalesce(pc.if_else(pc.equal(topics, ""), None, topics), questions, "")',
            'pc.coalesce(topics, questions, "")',
            f"{COUNTS} -k one_row_after",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/summaries.py",
        (
            "sums-of-batches-lost",
            "setattr(self, name, getattr(self, name) + getattr(other, name))",
            "setattr(self, name, getattr(other, name))",
            f"{COUNTS} -k one_row_after",
        ),
    ),
]
