"""Mutants of the core: sources, cancellations, shared limits, worker processes."""

from __future__ import annotations

from mutant_rows import mutants_of

FAULTS = "test_core_faults.py"

CORE = [
    *mutants_of(
        "annotator/calls/running/handover.py",
        (
            "a-second-cancel-ends-the-waiting",
            "            is_cancelled = True\n",
            "            return True\n",
            f"{FAULTS} -k however_often",
        ),
        (
            "failures-without-bound",
            "while len(self._items) >= MAX_WAITING:",
            "while False:",
            f"{FAULTS} -k source_of_failures",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/source.py",
        (
            "a-cancelled-source-is-whole",
            "except BaseException as error:",
            "except Exception as error:",
            f"{FAULTS} -k does_not_pass",
        ),
        (
            "a-broken-source-is-whole",
            "        if self._error is not None:\n            raise self._error",
            "        pass",
            f"{FAULTS} -k source_broke",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/rounds.py",
        (
            "local-calls-stay-leased",
            "        finally:\n            self._let_go(under_way)",
            "        finally:\n            pass",
            f"{FAULTS} -k lets_go",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/blocking.py",
        (
            "an-open-iterator-hangs-the-end",
            "        atexit.register(self.stop)\n",
            "",
            f"{FAULTS} -k hold_up",
        ),
    ),
    *mutants_of(
        "annotator/calls/running/stream.py",
        (
            "limit-of-this-meter-alone",
            "meter.refusing.num_under_way",
            "meter.num_under_way",
            f"{FAULTS} -k others_of_its_budget",
        ),
    ),
    *mutants_of(
        "annotator/judging/stream_judge.py",
        (
            "killed-processes-stay-dead",
            "                self._executor = self._start()\n",
            "",
            f"{FAULTS} -k killed_judge",
        ),
    ),
]
