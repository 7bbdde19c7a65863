"""Faults in the jobs of the service: leases, states, limits, uploads, results."""

from __future__ import annotations

from mutant_rows import mutants_of

JOBS = "test_jobs.py -k"
KILLS = "test_jobs_kill.py"

IN_JOBS = [
    *mutants_of(
        "annotator/service/jobs/table.py",
        ("jobs-wish-ignored", " AND wanted = 'run' AND (state", " AND (state", f"{JOBS} wish"),
        (
            "jobs-owner-ignored",
            '" AND owner = coalesce(?, owner)"',
            '" AND coalesce(?, owner) IS NOT NULL"',
            f"{JOBS} only_the_owner",
        ),
        (
            "jobs-retry-time-ignored",
            "(state = 'waiting' AND retry_at <= ?)",
            "(state = 'waiting' AND ? > 0)",
            f"{JOBS} before_its_time",
        ),
    ),
    *mutants_of(
        "annotator/service/jobs/attempt.py",
        ("jobs-retry-forgets-first-run", ", first_run=self.job.first_run", "", f"{JOBS} retry"),
        (
            "jobs-spent-forgotten",
            "meter.num_asked = before.calls",
            "meter.num_asked = 0",
            f"{JOBS} a_limit_ends",
        ),
        (
            "jobs-part-of-a-lost-job-used",
            "if self._table.wanted(self.job.id, self.job.owner) is None:",
            "if False:",
            f"{JOBS} puts_nothing_in_place",
        ),
    ),
    *mutants_of(
        "annotator/service/jobs/attempt.py",
        (
            "jobs-nothing-reserved",
            "if reserved != self._reserved:",
            "if False:",
            f"{KILLS} -k limit",
        ),
        (
            "jobs-reserved-forgotten",
            "before = job.reserved or job.spent",
            "before = job.spent",
            f"{KILLS} -k limit",
        ),
        slow=True,
    ),
    *mutants_of(
        "annotator/service/jobs/results.py",
        ("jobs-rows-doubled", "min(max(self._next - self._row, 0), count)", "0", f"{JOBS} reader"),
        ("jobs-old-part-read", "if path != self._path:", "if not self._path:", f"{JOBS} reader"),
    ),
    *mutants_of(
        "annotator/service/jobs/jobs.py",
        (
            "jobs-key-without-request",
            r'content = f"{self.request.model_dump_json()}\n{self.rows.digest}"',
            "content = self.rows.digest",
            f"{JOBS} idempotency",
        ),
        (
            "jobs-retry-asks-nothing",
            'first_run = {"first_run": self._store.next_run()}',
            "first_run: dict[str, int] = {}",
            f"{JOBS} retry",
        ),
        (
            "jobs-any-file-read",
            'if path is None or path.suffix != ".jsonl":',
            "if path is None:",
            f"{JOBS} files_of_the_run",
        ),
    ),
    *mutants_of(
        "annotator/service/jobs/upload.py",
        ("jobs-forgotten-comes-back", "if self._forgotten.has_response(name):", "if False:",
         f"{JOBS} forgotten"),
        ("jobs-last-line-lost", "        if self._rest:\n", "        if False:\n",
         f"{JOBS} chunk"),
        ("jobs-ids-doubled", "if name in self.ids:", "if False:", f"{JOBS} all_faults"),
        ("jobs-second-document-lost", "for key, _ in pairs) > 1:", "for key, _ in pairs) > 9:",
         f"{JOBS} faulty_upload"),
    ),
    *mutants_of(
        "annotator/service/jobs/runner.py",
        ("jobs-lease-never-given-back", "self._unreleased.add(job_id)", "pass",
         f"{JOBS} lease_that"),
    ),
    *mutants_of(
        "annotator/service/jobs/files.py",
        ("jobs-young-folders-removed", "> _LEFT_OVER_S", "> 0", f"{JOBS} only_old"),
    ),
    *mutants_of(
        "annotator/service/jobs/ending.py",
        (
            "jobs-down-server-is-final",
            "    return not (is_total or attempt.meter.useless.is_hopeless)",
            "    return False",
            f"{JOBS} is_down",
        ),
        (
            "jobs-useless-judge-waits",
            "    return not (is_total or attempt.meter.useless.is_hopeless)",
            "    return True",
            f"{JOBS} useless",
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/run_steps.py",
        ("rows-out-of-order", "            if not self._spool.has(key):\n                return\n",
         "", f"{JOBS} reader"),
        ("equal-rows-counted-once", "+= self._how_often[key]", "+= 1", f"{JOBS} equal_responses"),
    ),
    *mutants_of(
        "annotator/service/api/job_bodies.py",
        ("limits-left-out-are-removed", "self.model_dump(exclude_unset=True)", "self.model_dump()",
         "test_jobs_http.py -k states_and_limits"),
    ),
    *mutants_of(
        "maskdpo/forgetting/rows.py",
        ("jobs-keep-the-forgotten", '    "jobs/*/responses.jsonl",\n', "", "test_jobs_forget.py"),
        ("parts-keep-the-forgotten", '    "jobs/*/annotations.*.part",\n', "",
         "test_jobs_forget.py"),
    ),
]  # fmt: skip
