"""Faults in parts of a run: other stores, merged outputs, merged stores, `--shard`."""

from __future__ import annotations

from mutant_rows import mutants_of

ALSO = "test_store_also.py"
ROWS = "test_merge_outputs.py"
STORES = "test_merge_stores.py"
SHARD = "test_shard_command.py"

MERGED = [
    *mutants_of(
        "annotator/calls/store_others.py",
        ("failure-before-reply", "if not row[3]:", "if True:", f"{ALSO} -k reply_of_any_store"),
        ("copies-failures-always", "elif with_failed and", "elif", f"{ALSO} -k retry_failed"),
        (
            "copies-lost-always",
            "(with_lost or not row[2].startswith(tables.LOST))",
            "True",
            f"{ALSO} -k service",
        ),
        (
            "others-are-opened-once",
            "if time.monotonic() - self._tried_s < RETRY_S:",
            "if self._tried_s > 0:",
            f"{ALSO} -k appear",
        ),
        (
            "unmade-files-are-errors",
            "except sqlite3.OperationalError:  # locked",
            "except sqlite3.IntegrityError:  # locked",
            f"{ALSO} -k being_made",
        ),
        (
            "live-files-on-a-network-are-read",
            "or (self._is_network and _has_log(self.path))",
            "",
            f"{ALSO} -k network",
        ),
        (
            "too-many-files-stay-open",
            "if not self._stays_open:",
            "if False:",
            f"{ALSO} -k more_stores",
        ),
    ),
    *mutants_of(
        "annotator/calls/store.py",
        (
            "others-are-not-searched",
            "        self.fetch(wanted)\n",
            "",
            f"{ALSO} -k before_it_is_leased",
        ),
        (
            "own-file-among-the-others",
            "if path.resolve() != own:",
            "if True:",
            f"{ALSO} -k its_own_file",
        ),
        (
            "present-searches-again",
            "self._searched.update(new)",
            "pass",
            f"{ALSO} -k searches_the_others_once",
        ),
        ("pickle-forgets-others", "also=self._others.paths,", "", f"{ALSO} -k pickled"),
        (
            "models-of-others-are-ignored",
            "texts |= dict.fromkeys(self._others.models())",
            "pass",
            f"{ALSO} -k models_of_other",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/stream.py",
        (
            "a-limit-stops-before-other-stores",
            "if self._serve_from_other_stores():",
            "if False:",
            f"{SHARD} -k serves_its_parts",
        ),
    ),
    *mutants_of(
        "annotator/scale/part_files.py",
        ("doubled-part", "is not part:", "is None:", f"{ROWS} -k doubled"),
        (
            "other-settings",
            '    if own != other:\n        message = (\n            f"was made',
            '    if False:\n        message = (\n            f"was made',
            f"{ROWS} -k other",
        ),
        ("means-are-compared", "if name not in MEANS}", "}", f"{ROWS} -k decides_no_row"),
        (
            "input-is-not-checked",
            'if described["sha256"] in',
            "if True or",
            f"{ROWS} -k refusals",
        ),
        (
            "other-models-are-mixed",
            "if new and known and not same_model:",
            "if False:",
            f"{ROWS} -k refusals",
        ),
    ),
    *mutants_of(
        "annotator/scale/part_rows.py",
        (
            "hash-is-not-compared",
            "self._digest.update(block)\n",
            "self._digest.update(block)\n        self._written = None\n",
            f"{ROWS} -k refusals",
        ),
        (
            "torn-line-is-dropped",
            "if self._buffer[self._start :].strip():",
            "if False:",
            f"{ROWS} -k refusals",
        ),
    ),
    *mutants_of(
        "annotator/scale/merge_rows.py",
        (
            "left-over-rows-are-dropped",
            "            if lines.name:\n",
            "            if False:\n",
            f"{ROWS} -k refusals",
        ),
        (
            "missing-rows-are-accepted",
            "if merged.num_absent != num_forgotten:",
            "if False:",
            f"{ROWS} -k refusals",
        ),
        (
            "forgotten-rows-are-missing",
            'sum(part.counts.get("forgotten", 0) for part in self._parts)',
            "0",
            f"{ROWS} -k forgotten",
        ),
        (
            "question-of-another-document",
            "_QUESTION_NUMBER.fullmatch(",
            "_QUESTION_NUMBER.match(",
            f"{ROWS} -k merged_questions",
        ),
    ),
    *mutants_of(
        "annotator/scale/merge_outputs.py",
        (
            "stale-failed-file",
            "        failed_path.unlink(missing_ok=True)",
            "        pass",
            f"{ROWS} -k no_failed_file",
        ),
        (
            "counts-in-any-order",
            "sorted(counts, key=rank)",
            "sorted(counts)",
            f"{ROWS} -k merged_annotations",
        ),
        (
            "part-stays-a-part",
            'if name not in ("shard", WRITTEN)',
            "if name",
            f"{ROWS} -k merged_annotations",
        ),
        (
            "a-persons-file-is-replaced",
            "        refuse_labels(output)\n",
            "        pass\n",
            f"{ROWS} -k refusals",
        ),
    ),
    *mutants_of(
        "annotator/scale/merge_watch.py",
        (
            "repeats-stay",
            "if place not in self._repeats:",
            "if True:",
            f"{ROWS} -k merged_questions",
        ),
        (
            "short-counts-rows",
            "self._num_of.update(dict.fromkeys(names, 0))",
            "pass",
            f"{ROWS} -k merged_questions",
        ),
    ),
    *mutants_of(
        "annotator/scale/merge_stores.py",
        (
            "merge-starts-again",
            'if values.get("of") == self._state',
            "if False",
            f"{STORES} -k continues",
        ),
        (
            "merge-skips-what-changed",
            'if values.get("of") == self._state',
            "if values",
            f"{STORES} -k changed_meanwhile",
        ),
        (
            "sources-are-read-again",
            "if not self._is_merged(reader)",
            "if True",
            f"{STORES} -k not_read_again",
        ),
        (
            "oldest-run-is-last",
            "in reversed(newest_first):",
            "in newest_first:",
            f"{STORES} -k compared_with",
        ),
        (
            "first-of-a-block-only",
            "after = rows[-1][0]",
            "after = rows[0][0]",
            f"{STORES} -k continues",
        ),
        (
            "all-stores-stay-open",
            "stay_open=num_sources <= _MOST_OPEN and make_room(FILES_EACH * num_sources)",
            "stay_open=True",
            f"{STORES} -k more_stores",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_tables.py",
        (
            "merged-failure-replaces-a-reply",
            '" ON CONFLICT (key) DO UPDATE SET value = excluded.value, failed = 0"\n            " WHERE calls.failed AND NOT excluded.failed",\n            (*row, created),',
            '" ON CONFLICT (key) DO UPDATE SET value = excluded.value, failed = excluded.failed",\n            (*row, created),',
            f"{STORES} -k first_reply",
        ),
    ),
    *mutants_of(
        "maskdpo/run_store.py",
        (
            "parts-of-other-runs",
            "if whole_path(path) == self.path",
            "if False",
            f"{SHARD} -k never_asked_again",
        ),
        (
            "the-runs-store-is-left-out",
            "others = [self.path, *self.formers,",
            "others = [*self.formers,",
            f"{SHARD} -k serves_its_parts",
        ),
    ),
    *mutants_of(
        "maskdpo/cli/commands/merge_command.py",
        (
            "failed-files-are-parts",
            "if not path.name.endswith(_NOT_PARTS)",
            "if path",
            f"{SHARD} -k by_a_pattern",
        ),
        (
            "forgotten-rows-return",
            "    _refuse_forgotten(known, output)\n",
            "",
            f"{SHARD} -k come_back",
        ),
        (
            "stores-are-always-merged",
            "    if with_stores:\n",
            "    if True:\n",
            f"{SHARD} -k never_asked",
        ),
    ),
]
