"""Faults in stored calls: derived verdicts, claims, versions, one store per run, served models."""

from __future__ import annotations

from mutant_rows import mutants_of

STORE = "test_store.py"
IDENTITY = "test_identity.py"

STORED = [
    *mutants_of(
        "annotator/calls/store.py",
        (
            "retry-never",
            "AND (failed = 0 OR failed_run >= ?)",
            "AND failed_run >= ? - 9",
            f"{STORE} -k failures_are_rows",
        ),
        ("first-run-is-the-last", "fetchone()[0]) + 1", "fetchone()[0])", f"{STORE} -k clock"),
        (
            "surrogates-refused",
            "except UnicodeEncodeError:",
            "except KeyError:",
            f"{STORE} -k surrogate",
        ),
    ),
    *mutants_of(
        "annotator/calls/store_tables.py",
        ("one-thread-only", ", check_same_thread=False", "", f"{STORE} -k threads"),
        (
            "migration-in-steps",
            "        with transaction(connection):\n            _make_tables(connection, path)",
            "        if True:\n            _make_tables(connection, path)",
            "test_store_versions.py -k half_way",
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
        "annotator/calls/claims.py",
        (
            "own-process-owns-all",
            "return token in _OPEN",
            "return False",
            f"{STORE} -k one_process",
        ),
        ("any-store-releases", " AND owner = ?", " AND owner <> ?", f"{STORE} -k one_process"),
    ),
    *mutants_of(
        "annotator/calls/store_takeover.py",
        (
            "verdicts-come-along",
            "kind <> 'verdict'",
            "kind <> ''",
            "test_store_takeover.py -k copied_once",
        ),
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
