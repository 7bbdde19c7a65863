"""Faults in the processes of a build, in the reading of its files and in joining its shards."""

from __future__ import annotations

from mutant_rows import mutants_of

WORKERS = "test_build_workers.py -k"
SHARDS = "test_build_shards.py -k"

BUILD_WORKERS = [
    *mutants_of(
        "dataset_builder/workers.py",
        (
            "build-workers-results-as-they-come",
            "yield pending.popleft().result()",
            "yield pending.pop().result()",
            f"{WORKERS} order_of_the_tasks",
        ),
        (
            "build-workers-all-tasks-at-once",
            "len(pending) < PER_WORKER * self.number",
            "True",
            f"{WORKERS} only_as_results_are",
        ),
        (
            "build-workers-fault-of-tasks-lost",
            "    if failure is not None:\n            raise failure",
            "    if failure is not None:\n            return",
            f"{WORKERS} in_their_turn",
        ),
        (
            "build-workers-print-into-results",
            "    os.dup2(2, 1)  #",
            "    #",
            f"{WORKERS} order_of_the_tasks",
        ),
        (
            "build-workers-errors-that-cannot-be-sent",
            "        pickle.loads(done)\n    except",
            "    except",
            f"{WORKERS} in_their_turn",
        ),
        slow=True,
    ),
    *mutants_of(
        "schemas/errors.py",
        (
            "build-workers-faults-not-sent",
            "return type(self), (self.faults,)",
            "return type(self), (self.faults[:0],)",
            f"{WORKERS} in_their_turn",
        ),
        slow=True,
    ),
    *mutants_of(
        "dataset_builder/build_data.py",
        (
            "build-workers-error-before-faults",
            "if built.error is not None and not index.faults:",
            "if built.error is not None:",
            f"{WORKERS} unless_a_fault",
        ),
        (
            "build-workers-for-small-inputs",
            "size // MIN_BYTES_PER_WORKER))",
            "size))",
            f"{WORKERS} small_input",
        ),
        slow=True,
    ),
    *mutants_of(
        "dataset_builder/build_block.py",
        (
            "build-workers-rest-not-checked",
            "continue  # the rest is read for its faults",
            "break",
            f"{WORKERS} unless_a_fault",
        ),
        slow=True,
    ),
    *mutants_of(
        "dataset_builder/input_index.py",
        (
            "build-index-twins-kept",
            'run("DELETE FROM rows WHERE rowid = ?", (number,))',
            "pass",
            "test_build_shards.py -k faults",
        ),
        (
            "build-index-lines-of-the-part",
            "{before} + ?",
            "?",
            f"{SHARDS} faults",
        ),
        (
            "build-index-block-without-end",
            "num_rows + count > ROWS_PER_BLOCK",
            "False",
            f"{SHARDS} read_at_a_time",
        ),
    ),
    *mutants_of(
        "dataset_builder/reading/row_files.py",
        (
            "build-files-mark-is-text",
            "text = text.removeprefix(_BYTE_ORDER_MARK)",
            "pass",
            f"{WORKERS} are_its_lines",
        ),
        (
            "build-files-torn-line-is-a-row",
            "is_torn = bool(text.strip()) and not is_json(text)",
            "is_torn = False",
            f"{WORKERS} cut_off",
        ),
    ),
    *mutants_of(
        "dataset_builder/reading/scratch.py",
        (
            "build-scratch-full-disk-has-a-traceback",
            "not in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}",
            "not in set()",
            f"{WORKERS} full_disk",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/merge_rows.py",
        (
            "build-merge-shards-one-after-the-other",
            "bound = min(stream.last for stream in streams)",
            "bound = max(stream.last for stream in streams)",
            f"{SHARDS} one_piece",
        ),
    ),
]
