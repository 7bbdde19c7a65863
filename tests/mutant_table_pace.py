"""Faults in how fast a server is asked, in what is sent again, and in when a run stops."""

from __future__ import annotations

from mutant_rows import mutants_of

PACE = "test_pace.py"
RATES = "test_rates.py"
SERVERS = "test_servers.py"

PACING = [
    *mutants_of(
        "annotator/models/pacing/gate.py",
        (
            "late-refusals-close-the-gate",
            "is_late = ticket.sent_at < self._open_since or self._closed_until is not None",
            "is_late = False",
            f"{PACE} -k lengthen_it",
        ),
        (
            "pauses-do-not-grow",
            "min(2 * self._pause, _LONGEST_PAUSE_S) if is_again else first",
            "first",
            f"{PACE} -k lengthen_it",
        ),
        (
            "what-a-server-asks-for-is-ignored",
            "wait = max(self._pause, retry_after or 0.0) if is_full else self._pause",
            "wait = self._pause",
            f"{PACE} -k as_it_asked",
        ),
        (
            "unused-permits-cost-tokens",
            "        self._tokens += 1.0\n",
            "",
            f"{PACE} -k leaves_no_trace",
        ),
        (
            "the-cause-slows-all",
            "if is_late or (is_suspect and not is_trial):",
            "if is_late:",
            f"{PACE} -k slows_nothing",
        ),
    ),
    *mutants_of(
        "annotator/models/pacing/control.py",
        (
            "a-rate-never-rises",
            "                self._rate.used_s += step\n",
            "                pass\n",
            f"{PACE} -k seldom_passed",
        ),
        (
            "unused-rates-rise",
            "if rate_short and self._blocked_at is None:",
            "if self._blocked_at is None:",
            f"{PACE} -k does_not_rise",
        ),
        (
            "the-first-refusal-sets-no-rate",
            "self._limit(max(float(self._passed.between(now - 1.0, now)), float(FIRST_CALLS)))",
            "self._limit(self._ramp_rate)",
            f"{PACE} -k slow_and_fast",
        ),
        (
            "every-time-out-halves-the-room",
            "if sent_at >= self._timed_out_at:",
            "if True:",
            f"{PACE} -k once_per_round",
        ),
    ),
    *mutants_of(
        "annotator/models/pacing/coordinator.py",
        (
            "silent-workers-keep-their-share",
            "if now - item.at > SILENT_S]",
            "if False]",
            f"{PACE} -k loses_its_share",
        ),
        (
            "each-worker-gets-the-whole-rate",
            "rate=rates[name],",
            "rate=control.rate,",
            f"{PACE} -k never_more_than_the_limits",
        ),
    ),
    *mutants_of(
        "annotator/models/pacing/shared_limits.py",
        (
            "lost-reports-are-not-sent-again",
            "            self._add(name, getattr(report, name))\n",
            "            pass\n",
            f"{PACE} -k part_of_the_next",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/resends.py",
        (
            "refusals-alone-fail-a-call",
            "if not is_alone:",
            "if True:",
            f"{SERVERS} -k refuses_everything",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/held_failures.py",
        (
            "half-of-the-calls-stop-a-run",
            "if 2 * self._num_failed <= self._size:",
            "if 2 * self._num_failed < self._size:",
            f"{RATES} -k is_emptied",
        ),
        (
            "a-window-is-kept",
            "            self._last.clear()\n",
            "",
            f"{RATES} -k is_emptied",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/openai_backend.py",
        (
            "rewritten-calls-are-not-counted",
            "partial(self._pace.answered_and_sent, permit)",
            "lambda: None",
            f"{RATES} -k every_send",
        ),
    ),
]
