"""Mutants of the service: what it finds out about judges, and what survives crashes and faults."""

from __future__ import annotations

from mutant_rows import mutants_of

READINESS = "test_service_readiness.py"
JOBS = "test_jobs.py"

SERVICE_CARE = [
    *mutants_of(
        "annotator/service/readiness.py",
        (
            "an-empty-list-is-another-model",
            "is_compared = now and self._known",
            "is_compared = self._known",
            f"{READINESS} -k lists_nothing",
        ),
        (
            "a-set-aside-server-stays-so",
            "            self._on_ready()\n",
            "            pass\n",
            f"{READINESS} -k set_aside",
        ),
    ),
    *mutants_of(
        "annotator/service/judges.py",
        (
            "the-last-run-is-not-known",
            "served.known.extend(last_served(self._store, item))",
            "last_served(self._store, item)",
            f"{READINESS} -k down_at_the_start",
        ),
    ),
    *mutants_of(
        "annotator/service/errors.py",
        (
            "a-locked-store-is-a-failed-judge",
            "    if isinstance(error, StoreError):",
            "    if False:",
            f"{READINESS} -k locked_store",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_tables.py",
        (
            "a-lost-call-is-a-result",
            'lost = "" if with_lost else',
            'lost = "" if True else',
            "test_store.py -k without_a_reply",
        ),
    ),
    *mutants_of(
        "annotator/service/jobs/files.py",
        (
            "any-old-folder-is-removed",
            "elif _NO_JOBS.fullmatch(folder.name) and",
            "elif",
            f"{JOBS} -k folders_of_the_service",
        ),
        (
            "files-of-a-removed-job-stay",
            "if folder.name in expired:",
            "if False:",
            f"{JOBS} -k was_interrupted",
        ),
    ),
    *mutants_of(
        "annotator/service/jobs/jobs.py",
        (
            "an-accepted-job-is-lost-in-a-power-cut",
            "        self.rows.sync()\n",
            "",
            f"{JOBS} -k on_the_disk",
        ),
    ),
    *mutants_of(
        "annotator/service/jobs/table.py",
        (
            "a-pause-undoes-a-cancel",
            "\" AND wanted IN ('run', 'pause', ?)\"",
            "\" AND coalesce(?, '') <> ''\"",
            f"{JOBS} -k undo_a_cancel",
        ),
    ),
    *mutants_of(
        "annotator/service/jobs/runner.py",
        (
            "a-job-continues-with-another-model",
            "            self._judge_of(request.judge, request.domain)\n",
            "",
            f"{JOBS} -k served_meanwhile",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/waiting.py",
        (
            "an-open-iterator-outlives-its-client",
            "            with suppress(RuntimeError):  # another thread waits for its next item\n"
            "                await items.aclose()\n",
            "            pass\n",
            "test_client.py -k open_ends",
        ),
    ),
    *mutants_of(
        "annotator/service/api/annotation_routes.py",
        (
            "sentences-left-out-of-a-stream",
            "if index not in told:",
            "if False:",
            "test_service_annotations.py -k streamed",
        ),
    ),
    *mutants_of(
        "annotator/service/errors.py",
        (
            "limit-names-the-store",
            '"limit_reached", _LIMIT,',
            '"limit_reached", str(error),',
            "test_service_annotations.py -k limit_is",
        ),
    ),
    *mutants_of(
        "annotator/service/guard/errors.py",
        (
            "known-query-keys-are-not-named",
            "            return model\n",
            "            return BaseModel\n",
            "test_jobs_http.py -k mistyped",
        ),
    ),
    *mutants_of(
        "schemas/validation.py",
        (
            "known-keys-without-aliases",
            "field.alias or name for",
            "name for",
            "test_jobs_http.py -k mistyped",
        ),
    ),
]
