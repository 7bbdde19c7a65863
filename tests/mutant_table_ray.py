"""Faults in the engine on Ray: limits of several workers, a new hub, errors, locks, clean-up."""

from __future__ import annotations

from mutant_rows import mutants_of

LIMITS = "test_ray_engine_limits.py"
PARTS = "test_ray_engine_parts.py"
ENGINE = "test_ray_engine.py"

ON_RAY = [
    *mutants_of(
        "annotator/scale/ledger.py",
        (
            "grants-beyond-the-limit",
            "        if extra.fits(free):",
            "        if need.total.fits(free):",
            LIMITS,
        ),
        (
            "final-while-others-may-return",
            "            is_final=not any(item.may_return for item in others),",
            "            is_final=True,",
            LIMITS,
        ),
        (
            "the-dead-may-return",
            "        return self.is_alive and (",
            "        return (",
            LIMITS,
        ),
        (
            "calls-under-way-return-nothing",
            "(self.num_under_way > 0 or not",
            "(not",
            LIMITS,
        ),
        (
            "a-refused-worker-keeps-its-block",
            "        account.granted = need.most\n",
            "",
            f"{LIMITS} -k keeps_only",
        ),
    ),
    *mutants_of(
        "annotator/scale/shared_budget.py",
        (
            "stops-while-others-may-return",
            "            if grant.is_final or self.num_under_way:",
            "            if True:",
            f"{LIMITS} -k waits_for",
        ),
        (
            "spends-more-than-its-grant",
            "        while not need.fits(self.granted):",
            "        while not most.fits(self.granted):",
            LIMITS,
        ),
        (
            "calls-of-a-halted-run",
            "        if self._is_stopped:\n            return False\n",
            "",
            LIMITS,
        ),
        (
            "forgets-ended-meters",
            "                self._before += _spent_by(meter)\n",
            "",
            LIMITS,
        ),
        (
            "folds-meters-in-use",
            "[item for item in self.meters if not item.num_under_way]",
            "list(self.meters)",
            LIMITS,
        ),
    ),
    *mutants_of(
        "annotator/scale/on_ray/hub.py",
        (
            "a-new-hub-grants-at-once",
            "        if self._unheard:\n",
            "        if False:\n",
            LIMITS,
        ),
        (
            "a-new-hub-waits-for-the-dead",
            "            self._unheard.discard(worker)\n            self._working",
            "            self._working",
            LIMITS,
        ),
        (
            "a-new-hub-forgets-what-was-granted",
            "            self._ledger.account(worker).granted = granted\n",
            "",
            LIMITS,
        ),
        (
            "changes-are-reported-again",
            "list(self._changed.values()), {}",
            "list(self._changed.values()), self._changed",
            LIMITS,
        ),
    ),
    *mutants_of(
        "annotator/scale/on_ray/progress.py",
        (
            "a-lost-attempt-counts",
            "                if before is not None:\n",
            "                if False:\n",
            PARTS,
        ),
        (
            "labels-of-a-lost-attempt-count",
            "replace(state.usage, labels={}) if is_lost else state.usage",
            "state.usage",
            PARTS,
        ),
        (
            "reports-without-news",
            "        if rows > self._num_emitted or usage != self._last:",
            "        if True:",
            PARTS,
        ),
    ),
    *mutants_of(
        "annotator/scale/on_ray/reaper.py",
        (
            "kills-whoever-has-the-number",
            "        if fields and fields[19] == start:",
            "        if fields:",
            PARTS,
        ),
        (
            "kills-after-a-good-end",
            "        if line.strip() == _END:\n            return\n",
            "        if line.strip() == _END:\n            break\n",
            PARTS,
        ),
    ),
    *mutants_of(
        "annotator/scale/on_ray/outcome.py",
        (
            "an-error-that-cannot-be-made-again",
            "            pickle.loads(pickled)  # some can be pickled, but not made again\n",
            "",
            f"{ENGINE} -k traceback",
        ),
    ),
    *mutants_of(
        "annotator/scale/on_ray/local_cluster.py",
        (
            "removes-folders-in-use",
            "        with suppress(OSError, Timeout), FileLock(lock, timeout=0, thread_local=False):\n",
            "        with suppress(OSError, Timeout):\n",
            f"{ENGINE} -k folders",
        ),
        (
            "leaves-folders-of-the-dead",
            "            shutil.rmtree(folder, ignore_errors=True)\n\n\n@contextmanager\ndef reaped",
            "            pass\n\n\n@contextmanager\ndef reaped",
            f"{ENGINE} -k folders",
        ),
    ),
    *mutants_of(
        "annotator/scale/piece_lock.py",
        (
            "two-writers",
            "        lock.acquire()\n",
            "        pass\n",
            f"{ENGINE} -k one_writer",
        ),
    ),
    *mutants_of(
        "annotator/scale/on_ray/actor.py",
        (
            "another-version-is-used",
            "    if own != driver:",
            "    if False:",
            f"{ENGINE} -k version",
        ),
        (
            "pieces-of-a-stopping-run",
            "            if not side.begin(attempt):",
            "            if side.begin(attempt) and False:",
            f"{ENGINE} -k error_of_a_worker",
        ),
        slow=True,
    ),
    *mutants_of(
        "annotator/scale/on_ray/engine.py",
        (
            "never-gives-up-a-deadly-piece",
            "        if deaths >= self._run.config.max_deaths:",
            "        if deaths > 99:",
            f"{ENGINE} -k ends_every_worker",
        ),
        (
            "a-dead-hub-stays-dead",
            "                self._hub = start_hub(self._link.name, self._start)\n            return\n",
            "                pass\n            return\n",
            f"{ENGINE} -k the_hub_may_be_killed",
        ),
        slow=True,
    ),
]
