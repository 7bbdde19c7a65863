"""Faults in how messages are read, in what build may write, and in what may be written over."""

from __future__ import annotations

from mutant_rows import mutants_of

ROWS = "test_chat_rows.py"
ROLES = "test_build_is_valid.py -k roles"
BLANK = "test_build_is_valid.py -k white_space"
KEPT = "test_own_files.py"
DOCUMENTS = "test_agreement_documents.py"
GOLD = "test_gold_reviews.py"

MESSAGES = [
    *mutants_of(
        "schemas/messages.py",
        ("zero-says-nothing", 'elif not (item is None or item == ""):', "elif item:", ROWS),
        (
            "unknown-keys-are-lost",
            "if name in MESSAGE_KEYS or not is_empty(value)",
            "if name in MESSAGE_KEYS",
            ROWS,
        ),
        ("parts-on-lines", 'kept["content"] = "".join(', 'kept["content"] = "\\n".join(', ROWS),
        (
            "system-messages-anywhere",
            'turns = roles[1:] if list(roles[:1]) == ["system"] else roles',
            'turns = [role for role in roles if role != "system"]',
            ROLES,
        ),
    ),
    *mutants_of(
        "schemas/preference_rows.py",
        ("prompt-of-one-side", "lengths != [1, 1]:\n        with", "False:\n        with", ROWS),
        ("prompt-that-differs", "    if not is_inside or", "    if", ROWS),
        (
            "system-of-sides-lost",
            "return (system or system_of_sides) + turns_of_sides",
            "return system + turns_of_sides",
            ROWS,
        ),
    ),
    *mutants_of(
        "dataset_builder/select.py",
        ("roles-are-not-looked-at", "if not turns_alternate(roles):", "if False:", ROLES),
        ("blank-answers-in-pairs", "elif not row.text.strip():", "elif False:", BLANK),
    ),
    *mutants_of(
        "annotator/judging/tasks.py",
        (
            "setting-of-documents-ignored",
            'response.document_ids and setting != "topic"',
            "response.document_ids",
            DOCUMENTS,
        ),
    ),
    *mutants_of(
        "annotator/agreement/measure.py",
        (
            "documents-of-the-first-judge",
            "own_tasks = make_gold_tasks(own, documents, also=decided)",
            "own_tasks = tasks",
            DOCUMENTS,
        ),
    ),
    *mutants_of(
        "annotator/agreement/reviewers.py",
        ("blind-is-not-counted", "sum(blind.values())", "len(blind)", GOLD),
    ),
    *mutants_of(
        "schemas/files/own_files.py",
        (
            "edits-are-lost",
            'if entry and entry.get("sha256") !=',
            'if False and entry.get("sha256") !=',
            KEPT,
        ),
        (
            "labels-of-people-are-lost",
            'item["verdict"]["source"] == "person" for',
            'item["verdict"]["source"] == "nobody" for',
            KEPT,
        ),
        (
            "other-pages-are-lost",
            "return any(mark in head",
            "return True or any(mark in head",
            KEPT,
        ),
    ),
    *mutants_of(
        "maskdpo/publishing/card_edits.py",
        (
            "edited-cards-are-lost",
            "or sections != dict(card.state.sections)",
            "or not sections",
            f"{KEPT} -k card",
        ),
    ),
    *mutants_of(
        "formats/own_imports.py",
        ("any-import-is-ones-own", "return is_of_source and", "return", KEPT),
    ),
    *mutants_of(
        "maskdpo/cli/progress.py",
        (
            "a-log-waits-for-events",
            "while not self._closed.wait(self._log_every_s):",
            "while not self._closed.wait():",
            "test_progress.py -k log",
        ),
        (
            "a-line-in-two-writes",
            'sys.stderr.write(f"{line}\\n")',
            "print(line, file=sys.stderr)",
            "test_progress.py -k log",
        ),
    ),
]
