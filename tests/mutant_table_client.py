"""Mutants of the client of the service: its token, what is sent again, streams, jobs."""

from __future__ import annotations

from mutant_rows import mutants_of

CLIENT = "test_client.py"

SERVICE_CLIENT = [
    *mutants_of(
        "maskdpo/api/client/edge.py",
        (
            "the-client-follows-redirects",
            "allow_redirects=False,",
            "allow_redirects=True,",
            f"{CLIENT} -k not_sent_elsewhere",
        ),
        (
            "a-file-of-logins-replaces-the-token",
            "trust_env=False,",
            "trust_env=True,",
            f"{CLIENT} -k not_sent_elsewhere",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/edge.py",
        (
            "the-second-try-sends-no-rows",
            "    file.seek(0)\n",
            "",
            f"{CLIENT} -k repeated_under_its_key",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/address.py",
        (
            "the-token-is-in-a-repr",
            "token: str = field(repr=False)",
            "token: str",
            f"{CLIENT} -k not_sent_elsewhere",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/tries.py",
        (
            "a-refusal-is-sent-again",
            "return status in (429, 503) or",
            "return status >= 400 or",
            f"{CLIENT} -k is_not_sent_again",
        ),
        (
            "a-full-service-is-an-error",
            "return status in (429, 503) or",
            "return status == 503 or",
            f"{CLIENT} -k can_help",
        ),
        (
            "a-missing-service-is-waited-for",
            "if error.is_new or self._failed",
            "if self._failed",
            f"{CLIENT} -k waits_only",
        ),
        (
            "a-full-service-stops-many",
            'if refusal.code == "busy" and self._patience_s > 0:',
            "if False:",
            f"{CLIENT} -k full_service",
        ),
        (
            "a-full-service-is-asked-too-early",
            "spread = 1 + _SPREAD",
            "spread = 1 - _SPREAD",
            f"{CLIENT} -k full_service",
        ),
        (
            "one-try-too-few",
            "if self._failed >= self._max_retries or not",
            "if self._failed + 1 >= self._max_retries or not",
            f"{CLIENT} -k last_try",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/single.py",
        (
            "a-sentence-comes-twice",
            "event is not None and event.index not in seen:",
            "event is not None:",
            f"{CLIENT} -k no_sentence_twice",
        ),
        (
            "a-bad-response-stops-the-rest",
            "    except InputError as error:",
            "    except ZeroDivisionError as error:",
            f"{CLIENT} -k does_not_stop",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/given.py",
        (
            "private-reasoning-is-sent",
            '    "finish_reason",\n}',
            '    "finish_reason",\n    "reasoning",\n}',
            f"{CLIENT} -k its_documents_and_the_result",
        ),
        (
            "private-reasoning-is-lost",
            "JudgedResponse.of(record.model_copy(update=kept), ",
            "JudgedResponse.of(record, ",
            f"{CLIENT} -k its_documents_and_the_result",
        ),
        (
            "spans-of-another-text",
            "        if record.text != response.text:",
            "        if False:",
            f"{CLIENT} -k is_not_sent_again",
        ),
        (
            "all-documents-are-sent",
            "        if response.document_ids:\n            return named",
            "        if response.document_ids:\n            return self.documents.values()",
            f"{CLIENT} -k only_those_that_are_compared",
        ),
        (
            "documents-before-the-rows-of-a-file",
            '        rows.write(b"\\n" if rows.tell() else b"")\n',
            "",
            f"{CLIENT} -k uploaded_as_it_is",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/jobs.py",
        (
            "results-begin-again",
            'query = {"from": str(row),',
            'query = {"from": "0",',
            f"{CLIENT} -k whatever_breaks",
        ),
        (
            "a-stream-that-ends-is-complete",
            "        if is_whole and found.is_at_rest:",
            "        if is_whole:",
            f"{CLIENT} -k whatever_breaks",
        ),
        (
            "a-failed-job-ends-in-silence",
            "            found.raise_for_state()\n            return\n",
            "            return\n",
            f"{CLIENT} -k follows_its_results",
        ),
        (
            "half-a-file-is-saved",
            '        if last != b"\\n":',
            "        if False:",
            f"{CLIENT} -k whole_or_not",
        ),
        (
            "labels-of-people-are-replaced",
            '    refuse_other_work(path, by="job.save")\n',
            "",
            f"{CLIENT} -k person_decided",
        ),
        (
            "an-id-may-be-a-path",
            "not _ID.fullmatch(job)",
            "False",
            f"{CLIENT} -k nothing_else",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/wire.py",
        (
            "other-separators-end-a-line",
            '(self.rest + chunk).split(b"\\n")',
            '(self.rest + chunk).decode().replace("\\u2028", "\\n").encode().split(b"\\n")',
            f"{CLIENT} -k whatever_breaks",
        ),
    ),
    *mutants_of(
        "maskdpo/api/client/many.py",
        (
            "no-limit-on-requests-at-once",
            "while len(running) < concurrency and",
            "while",
            f"{CLIENT} -k never_more",
        ),
    ),
]
