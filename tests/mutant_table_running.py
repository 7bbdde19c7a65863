"""Faults in the core: work that is pulled, asked, stored and handed over, and its events."""

from __future__ import annotations

from mutant_rows import mutants_of

RUNNING = "test_running.py"
SAMPLER = "test_sampler.py"
CORE = "test_core.py"
FAULTS = "test_core_faults.py"
PROGRESS = "test_progress.py"

IN_RUNNING = [
    *mutants_of(
        "annotator/calls/running/source.py",
        (
            "read-ahead-without-bound",
            "                await self._room.acquire()\n",
            "",
            f"{RUNNING} -k read_ahead",
        ),
        (
            "room-is-not-given-back",
            "            self._room.release()\n",
            "",
            f"{RUNNING} -k read_ahead",
        ),
        (
            "errors-of-a-source-are-swallowed",
            "            self._error = error\n            if not",
            "            if not",
            f"{RUNNING} -k source_failed",
        ),
        (
            "over-before-it-is-read",
            "        if self._read:\n",
            "        if self._read and not (self._task and self._task.done()):\n",
            f"{RUNNING} -k source_failed",
        ),
        (
            "source-stays-open",
            "            try:\n                await _close(iterator)\n            finally:\n"
            "                asyncio",
            "            try:\n                pass\n            finally:\n                asyncio",
            f"{FAULTS} -k source_is_closed",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/stream.py",
        (
            "leases-are-kept-when-cancelled",
            "        self._calls.store.release(self._under_way)\n",
            "",
            f"{CORE} -k lets_go_of_its_calls",
        ),
        (
            "cancelled-calls-stay-under-way",
            "            self._calls.meter.abandon(request)\n",
            "            pass\n",
            f"{CORE} -k lets_go_of_its_calls",
        ),
        (
            "results-without-bound",
            "not self._ready and len(self._open.done) < MAX_HELD",
            "not self._ready",
            f"{RUNNING} -k nobody_takes",
        ),
        (
            "a-full-stream-never-goes-on",
            "                    self._work.set()  # more results can be kept\n",
            "",
            f"{RUNNING} -k nobody_takes",
        ),
        (
            "held-results-are-lost",
            "                if task.done() and not self._open.done:",
            "                if task.done():",
            f"{RUNNING} -k come_in_at_the_end",
        ),
        (
            "equal-calls-are-asked-twice",
            "            if key in self._waiting:\n                self._waiting[key].append(item)\n"
            "                return\n",
            "",
            f"{RUNNING} -k equal_calls",
        ),
        (
            "served-calls-are-not-counted",
            "            self._calls.meter.serve(1)\n            answer = found\n",
            "            answer = found\n",
            f"{SAMPLER} -k over_files",
        ),
        (
            "retries-are-not-reported",
            "        backend.on_retry = self._report_retry\n",
            "",
            f"{CORE} -k retries_are_events",
        ),
        (
            "calls-of-others-count-as-asked",
            "                    self._calls.meter.withdraw([request])\n",
            "",
            f"{RUNNING} -k of_another_store",
        ),
        (
            "leases-of-a-look-are-kept",
            "        self._calls.store.release(claimed.mine)  # `_take` claims what it takes\n",
            "",
            f"{RUNNING} -k left_by_another",
        ),
        (
            "gives-up-while-others-reserve",
            "not self._calls.meter.refusing.num_under_way",
            "not self._under_way",
            f"{FAULTS} -k reserved",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/rounds.py",
        (
            "window-is-ignored",
            "list(islice(self._source, self._window))",
            "list(self._source)",
            f"{RUNNING} -k plain_window",
        ),
        (
            "rounds-go-on-at-a-limit",
            "                    self._open.is_at_limit = True\n",
            "",
            f"{RUNNING} -k stops_at_a_limit",
        ),
        (
            "batch-depends-on-what-is-stored",
            "            if any(request.id not in stored for request in group)",
            "            if all(request.id not in stored for request in group)",
            f"{RUNNING} -k half_stored",
        ),
        (
            "stopped-batch-keeps-its-leases",
            "        self._calls.store.release(under_way)\n",
            "",
            f"{FAULTS} -k local_model_that_is_stopped",
        ),
        (
            "stored-calls-of-rounds-are-not-counted",
            "        self._calls.meter.serve(len(stored))\n",
            "",
            f"{RUNNING} -k stops_at_a_limit",
        ),
    ),
    *mutants_of(
        "annotator/calls/run_dialogues.py",
        (
            "windows-grow",
            "in_batches(dialogues, window)",
            "in_batches(dialogues, None)",
            f"{RUNNING} -k windows",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/blocking.py",
        (
            "blocking-iterator-stays-open",
            "                close()  # it releases calls, which takes no time\n",
            "                pass\n",
            f"{RUNNING} -k plain_iterator",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/open_dialogues.py",
        (
            "unusable-replies-count-as-good",
            "self.calls.end(item.keys, is_usable=False,",
            "self.calls.end(item.keys, is_usable=True,",
            f"{RUNNING} -k unusable",
        ),
        (
            "one-result-at-a-time",
            "        done, self.done = self.done, []\n",
            "        done, self.done = self.done[-1:], []\n",
            f"{RUNNING} -k equal_calls",
        ),
    ),
    *mutants_of(
        "annotator/calls/stored_calls.py",
        (
            "own-reply-goes-on",
            "        return self._read(found)\n\n    def keep_now",
            "        return {request.id: outcome for request, outcome in finished}\n\n"
            "    def keep_now",
            f"{RUNNING} -k stored_one",
        ),
        (
            "cancelled-replies-are-not-counted",
            "        self._count(finished)\n        if is_cancelled:\n",
            "        if not is_cancelled:\n            self._count(finished)\n        if is_cancelled:\n",
            f"{FAULTS} -k stored_and_counted",
        ),
        (
            "failures-are-stored-as-good",
            "    failed = {request.id for request, item in finished if isinstance(item, RequestFailure)}",
            "    failed: set[str] = set()",
            f"{SAMPLER} -k fails_is_a_failure",
        ),
        (
            "good-replies-stay-doubtful",
            "            self.store.mark_good(doubtful)\n",
            "            pass\n",
            f"{RUNNING} -k unusable",
        ),
    ),
    *mutants_of(
        "annotator/calls/usage.py",
        (
            "limit-looks-at-its-own-calls-only",
            "return sum(item.num_asked for item in self.meters)",
            "return self.meters[0].num_asked",
            f"{CORE} -k share_a_budget",
        ),
        (
            "withdrawn-calls-count",
            "            self.num_asked -= len(requests)\n",
            "",
            f"{RUNNING} -k of_another_store",
        ),
        (
            "what-is-under-way-is-free",
            "return self.tokens + self._reserved",
            "return self.tokens",
            f"{RUNNING} -k at_its_most",
        ),
        (
            "snapshot-forgets-failures",
            "            failures=dict(self.failures),\n",
            "",
            f"{SAMPLER} -k fails_is_a_failure",
        ),
        (
            "failed-calls-report-nothing",
            "                if isinstance(outcome, RequestFailure)\n"
            "                else self._describe(request, outcome, tokens)",
            "                if False\n                else self._describe(request, outcome, Tokens())",
            f"{CORE} -k failed_calls_are_events",
        ),
    ),
    *mutants_of(
        "annotator/judging/annotator.py",
        ("stage-has-another-name", 'STAGE = "annotate"', 'STAGE = "judge"', f"{CORE} -k events"),
        (
            "no-end-is-reported",
            "            self.on_event(Ended(stage=STAGE))\n",
            "            pass\n",
            f"{CORE} -k events_count",
        ),
        (
            "failed-rows-are-dropped",
            "                    await rows.put([made])\n",
            "                    pass\n",
            f"{CORE} -k cannot_be_judged",
        ),
        (
            "the-meter-reports-to-nobody",
            "            self.meter.on_event = on_event\n",
            "            pass\n",
            f"{CORE} -k events_count",
        ),
        (
            "a-copy-forgets-its-limits",
            '            "limits": self.meter.budget.limits,\n',
            "",
            f"{FAULTS} -k pickle_holds",
        ),
    ),
    *mutants_of(
        "annotator/judging/stream_judge.py",
        (
            "batches-without-bound",
            "            if coming and has_room:",
            "            if coming:",
            f"{RUNNING} -k slow_judge",
        ),
        (
            "copies-come-back",
            "                yield list(zip(given, outcomes, strict=True))",
            "                yield future.result()",
            f"{RUNNING} -k tasks_that_were_given",
        ),
        (
            "outcomes-in-the-judges-order",
            "return [(task, outcomes.get(id(task), missing)) for task in tasks]",
            "return [(task, outcome) for task, outcome in zip(tasks, outcomes.values())]",
            f"{RUNNING} -k in_its_order",
        ),
        (
            "what-broke-a-source-is-swallowed",
            "        if fault is not None:\n            raise fault\n",
            "",
            f"{CORE} -k raises_at_the_caller",
        ),
    ),
    *mutants_of(
        "annotator/judging/task_book.py",
        (
            "verdicts-in-order-of-arrival",
            "item.verdicts[int(first) + offset] = verdict",
            "item.verdicts[len(item.verdicts) - item.num_owed + offset] = verdict",
            f"{RUNNING} -k whatever_order",
        ),
        (
            "a-task-is-whole-too-soon",
            "            if not item.num_owed:",
            "            if item.num_owed <= 1:",
            f"{RUNNING} -k whatever_order",
        ),
        (
            "labels-are-not-counted",
            "            self._count(verdicts)\n            if self._on_verdicts",
            "            if self._on_verdicts",
            f"{CORE} -k events_count",
        ),
    ),
    *mutants_of(
        "annotator/judging/verdict_checks.py",
        (
            "too-many-verdicts-pass",
            "if len(outcome) != len(task.sentences):",
            "if len(outcome) < len(task.sentences):",
            f"{RUNNING} -k another_number",
        ),
        (
            "foreign-evidence-passes",
            "if item.document_id not in given:",
            "if False:",
            f"{RUNNING} -k another_number",
        ),
    ),
    *mutants_of(
        "annotator/judging/tasks.py",
        (
            "fragment-is-judged",
            "return (sentences, None) if is_whole else (sentences[:-1], sentences[-1])",
            "return (sentences, None)",
            "test_run_outcome.py",
        ),
        (
            "empty-responses-are-judged",
            "    if not response.text.strip():",
            "    if not response.text:",
            f"{CORE} -k cannot_be_judged",
        ),
        (
            "a-document-named-twice-comes-twice",
            "names = dict.fromkeys(response.document_ids)",
            "names = list(response.document_ids)",
            f"{RUNNING} -k named_twice",
        ),
    ),
    *mutants_of(
        "annotator/sampling/sampler.py",
        (
            "questions-share-their-names",
            "                    name = next(numbers)\n",
            "                    name = slot.id\n",
            f"{FAULTS} -k holds_twice",
        ),
        (
            "failures-are-replies",
            "        return Failure(id=slot.id, stage=STAGE,",
            "        return Failure(id=slot.question.id, stage=STAGE,",
            f"{SAMPLER} -k fails_is_a_failure",
        ),
        (
            "steps-are-not-reported",
            "        self._report_steps()\n        try:\n            async with",
            "        try:\n            async with",
            f"{SAMPLER} -k local_model",
        ),
        (
            "window-of-one-batch",
            "        window = self.config.batch_size * _BATCHES_A_WINDOW\n",
            "        window = None\n",
            f"{SAMPLER} -k local_model",
        ),
        (
            "a-sampler-copy-forgets-its-limits",
            '            "limits": self.meter.budget.limits,\n',
            "",
            f"{SAMPLER} -k copy_in_another",
        ),
    ),
    *mutants_of(
        "annotator/sampling/slots.py",
        (
            "one-seed-a-question",
            "stable_seed(config.seed, response_id)",
            "stable_seed(config.seed, question.id)",
            f"{SAMPLER} -k seed_and_a_key",
        ),
        (
            "seeds-of-63-bits",
            "stable_seed(config.seed, response_id) >> 32",
            "stable_seed(config.seed, response_id)",
            f"{SAMPLER} -k seed_and_a_key",
        ),
        (
            "language-is-lost",
            "        language=slot.question.language,\n",
            "",
            f"{SAMPLER} -k carries",
        ),
    ),
    *mutants_of(
        "maskdpo/cli/progress.py",
        (
            "no-last-line-in-a-log",
            "        self._print(time.monotonic() - self._begun)\n",
            "",
            f"{PROGRESS} -k log",
        ),
        (
            "stored-calls-are-not-shown",
            "    if usage.served:\n",
            "    if False:\n",
            f"{PROGRESS} -k one_line",
        ),
        (
            "cached-share-of-all-tokens",
            "usage.cached / usage.prompt:.0%",
            "usage.cached / total:.0%",
            f"{PROGRESS} -k one_line",
        ),
        (
            "terminal-obeys-notes",
            "tqdm.write(printable(text), file=sys.stderr)",
            "tqdm.write(text, file=sys.stderr)",
            f"{PROGRESS} -k note_repeats",
        ),
        (
            "a-stage-goes-on-after-its-end",
            "            case Ended():\n                self._close(event.stage)\n",
            "            case Ended():\n                pass\n",
            f"{PROGRESS} -k log",
        ),
    ),
]
