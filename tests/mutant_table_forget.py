"""Faults in what is forgotten, what stays, and whom a push names."""

from __future__ import annotations

from mutant_rows import mutants_of

FORGET = "test_forget.py"
REMOVAL = "test_store_removal.py"
PEOPLE = "test_push_people.py -k"

FORGOTTEN = [
    *mutants_of(
        "annotator/calls/store_tables.py",
        ("vacuum-left-out", 'connection.execute("VACUUM")', "pass", REMOVAL),
        (
            "log-kept",
            '"PRAGMA wal_checkpoint(TRUNCATE)").fetchone()',
            '"PRAGMA wal_checkpoint(PASSIVE)").fetchone()',
            REMOVAL,
        ),
    ),
    *mutants_of(
        "annotator/calls/leases.py",
        (
            "silent-owners-ask-for-ever",
            "ended = row is None or has_ended(path, owner)",
            "ended = False",
            f"{REMOVAL} test_leases.py -k silent_host",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_removal.py",
        (
            "asking-processes-ignored",
            "is_anyone_asking(connection, path):",
            "False:",
            REMOVAL,
        ),
        ("escapes-kept", "plain(_unescape(text))", "plain(text)", REMOVAL),
    ),
    *mutants_of(
        "maskdpo/forgetting/targets.py",
        (
            "names-compared-raw",
            "isinstance(who, str) and same_name(who) in self._names",
            "isinstance(who, str) and who in self.people",
            f"{FORGET} -k rows_that_go",
        ),
    ),
    *mutants_of(
        "maskdpo/forgetting/rows.py",
        (
            "one-decision-is-a-conflict",
            "_MIN_DECISIONS = 2 ",
            "_MIN_DECISIONS = 1 ",
            f"{FORGET} -k person_leaves",
        ),
        (
            "sidecar-masked-whole",
            "for key in _NAMING_KEYS if key in values}",
            "for key in values}",
            f"{FORGET} -k person_leaves",
        ),
    ),
    *mutants_of(
        "maskdpo/forgetting/texts.py",
        (
            "common-sentences-are-traces",
            "        passages -= {",
            "        passages & {",
            f"{FORGET} -k nobody_else",
        ),
        (
            "marks-identify",
            "_MIN_PLAIN_COLUMNS = 12 ",
            "_MIN_PLAIN_COLUMNS = 0 ",
            f"{FORGET} -k of_marks",
        ),
    ),
    *mutants_of(
        "maskdpo/forgetting/store.py",
        (
            "shared-calls-removed",
            "    return keys - kept",
            "    return keys",
            f"{FORGET} -k another_response_has",
        ),
        (
            "former-store-copied-again",
            "        if was_taken_over:",
            "        if False:",
            f"{FORGET} -k earlier_versions",
        ),
    ),
    *mutants_of(
        "annotator/sampling/sample.py",
        (
            "forgotten-asked-again",
            "if not is_forgotten(slot.id)]",
            "if True or is_forgotten(slot.id)]",
            f"{FORGET} -k come_back",
        ),
    ),
    *mutants_of(
        "maskdpo/publishing/people.py",
        (
            "any-truth-publishes",
            'config.get("publish_names") is True',
            'config.get("publish_names")',
            f"{PEOPLE} refused_before",
        ),
        (
            "pseudonyms-by-prefix",
            "_PSEUDONYM.fullmatch",
            "_PSEUDONYM.match",
            f"{PEOPLE} that_are_none",
        ),
        (
            "first-batch-only",
            "            yield _texts(people), _texts(judges)\n",
            "            yield _texts(people), _texts(judges)\n            break\n",
            f"{PEOPLE} every_batch",
        ),
        (
            "inputs-not-looked-at",
            "        for name, person in _named_inputs(folder, manifest)",
            "        for name, person in ()",
            f"{PEOPLE} called_after",
        ),
    ),
]
