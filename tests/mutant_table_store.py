"""Faults in stored calls: derived verdicts, leases, versions, one store per run, served models."""

from __future__ import annotations

from mutant_rows import mutants_of

STORE = "test_store.py"
LEASES = "test_leases.py"
GROUPS = "test_group_commit.py"
IDENTITY = "test_identity.py"

STORED = [
    *mutants_of(
        "annotator/calls/store.py",
        (
            "first-run-is-the-last",
            "read_last_run(self._connection) + 1",
            "read_last_run(self._connection)",
            f"{STORE} -k clock",
        ),
        (
            "surrogates-refused",
            "except UnicodeEncodeError:",
            "except KeyError:",
            f"{STORE} -k surrogate",
        ),
        (
            "store-follows-the-folder",
            "self._file = self.path.absolute()",
            "self._file = self.path",
            f"{LEASES} -k pickled",
        ),
        ("copy-is-another-run", "store._first_run = first_run", "pass", f"{LEASES} -k pickled"),
        (
            "own-value-comes-back",
            'now.update(tables.find_calls(connection, others, columns="key, value"))',
            "now.update((row[0], row[2]) for row in rows)",
            f"{GROUPS} -k first_writer",
        ),
        (
            "child-releases-its-parents-leases",
            "            return  # everything belongs to the parent",
            "            pass",
            f"{LEASES} -k forked",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_tables.py",
        (
            "retry-never",
            "AND (failed = 0 OR failed_run >= ?)",
            "AND failed_run >= ? - 9",
            f"{STORE} -k failures_are_rows",
        ),
        ("one-thread-only", ", check_same_thread=False", "", f"{STORE} -k threads"),
        (
            "migration-in-steps",
            "        with transaction(connection):\n            _make_tables(connection, path)",
            "        if True:\n            _make_tables(connection, path)",
            "test_store_versions.py -k half_way",
        ),
        (
            "old-claims-stay",
            '_VOID_CLAIMS = "DELETE FROM claims"',
            '_VOID_CLAIMS = "DROP TABLE claims"',
            "test_store_versions.py -k void",
        ),
        ("any-store-releases", " AND owner = ?", " AND owner <> ?", f"{STORE} -k one_process"),
        (
            "an-owner-without-a-row-leases",
            "SELECT ?, owner FROM owners WHERE owner = ?",
            "SELECT ?, ? WHERE 1",
            f"{LEASES} -k comes_back",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_faults.py",
        (
            "mistakes-are-damage",
            "    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):\n        raise\n",
            "",
            f"{STORE} -k mistake",
        ),
    ),
    *mutants_of(
        "annotator/calls/leases.py",
        (
            "own-keys-are-free",
            "if key not in self._held and self._take(key)",
            "if self._take(key)",
            f"{LEASES} -k threads_and_loops",
        ),
        (
            "first-look-is-enough",
            "return seen.silence_s >= lease_s",
            "return True",
            f"{LEASES} -k whole_lease",
        ),
        (
            "observer-need-not-look-again",
            "min(now - seen.looked_s, lease_s * _MOST_PER_LOOK)",
            "now - seen.looked_s",
            f"{LEASES} -k stopped_itself",
        ),
        (
            "silent-hosts-live",
            "return self._watch.is_silent(owner, *row)",
            "return False",
            f"{LEASES} -k another_host",
        ),
        (
            "killed-owners-wait",
            "if row is None or has_ended(self._path, owner):",
            "if row is None:",
            f"{LEASES} -k this_machine",
        ),
        (
            "heart-never-beats",
            "                self._beats += 1\n",
            "",
            f"{LEASES} -k from_the_first_lease",
        ),
    ),
    *mutants_of(
        "annotator/calls/group_commit.py",
        (
            "one-commit-each",
            "item = self._queue.get_nowait()",
            "break",
            f"{GROUPS} -k one_transaction",
        ),
        (
            "closing-forgets",
            "            thread.join()",
            "            pass",
            f"{GROUPS} -k closing",
        ),
        (
            "cancelled-is-unpaid",
            "self._commit([item for item, _ in group])",
            "self._commit([item for item, future in group if not future.cancelled()])",
            f"{GROUPS} -k cancelled",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_tables.py",
        (
            "verdicts-come-along",
            '        " WHERE kind <> \'verdict\'"\n        " ON CONFLICT',
            '        " WHERE kind <> \'\'"\n        " ON CONFLICT',
            "test_store_takeover.py -k copied_once",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_takeover.py",
        (
            "taken-over-every-time",
            "return 0 if _find_mark(connection, mark) else",
            "return",
            "test_store_takeover.py -k copied_once",
        ),
    ),
    *mutants_of(
        "maskdpo/run_store.py",
        (
            "a-store-per-output",
            'if config.given("run", "dir") is not None:',
            "if False:",
            "test_run_store.py -k without_a_run",
        ),
    ),
    *mutants_of(
        "annotator/calls/identity.py",
        ("root-not-compared", '"root", "parent",', '"parent",', f"{IDENTITY} -k swapped_model"),
        (
            "address-always-counts",
            "not any(map(_reports_more, now))",
            "True",
            f"{IDENTITY} -k changed_address",
        ),
        ("acceptance-forgotten", "accepted += [", "[] + [", f"{IDENTITY} -k same_model"),
        (
            "folders-published",
            "root=_base_name(model.root)",
            "root=model.root",
            f"{IDENTITY} -k published",
        ),
        (
            "revision-is-no-word",
            ' and _header(item)["revision"] is None',
            "",
            f"{IDENTITY} -k revision",
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/verdict_spool.py",
        (
            "documents-are-equal",
            "[self._digest(item) for item in task.documents]",
            "len(task.documents)",
            "test_annotate.py -k nothing_differs",
        ),
        (
            "evidence-of-the-other-response",
            'task.documents[item["document"]].id',
            '"mira"',
            "test_annotate.py -k evidence_carries",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/judge_record.py",
        (
            "folder-of-the-judge",
            '"judge": public_name(name)',
            '"judge": name',
            "test_recorded_judging.py -k manifest_and_card",
        ),
    ),
]
