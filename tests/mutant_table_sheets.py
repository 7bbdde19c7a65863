"""Faults in sheets: what is written, what comes back, and what is never written over."""

from __future__ import annotations

from mutant_rows import mutants_of

SHEETS = "test_sheets.py"
TRIPS = "test_sheets_round_trip.py"
SELECT = "test_sheets_select.py"
FOLDER = "formats/sheets"

IN_SHEETS = [
    *mutants_of(
        "formats/reviews/log.py",
        ("sheet-outdated-not-reported", "num_outdated += 1", "num_outdated += 0", SHEETS),
    ),
    *mutants_of(
        f"{FOLDER}/read_xlsx.py",
        ("sheet-bomb-opened", "    _refuse_bomb(path)\n", "", SHEETS),
        (
            "sheet-rows-without-the-header",
            "enumerate(values, start=2)",
            "enumerate(values, 1)",
            SHEETS,
        ),
    ),
    *mutants_of(
        f"{FOLDER}/read_csv.py",
        (
            "csv-rows-without-the-header",
            "enumerate(records, start=2)",
            "enumerate(records, 1)",
            SHEETS,
        ),
    ),
    *mutants_of(
        f"{FOLDER}/read_row.py",
        (
            "sheet-spelling-is-a-person",
            'same_name(row.typed("who")) or same_name(asked.who)',
            '(row.typed("who") or asked.who).strip()',
            SHEETS,
        ),
        (
            "sheet-place-not-verified",
            "    if found is None:\n        kind, what",
            "    if False:\n        kind, what",
            SHEETS,
        ),
        (
            "sheet-edit-passed-over",
            'return None if is_same else row.written("text")',
            "return None",
            SHEETS,
        ),
        (
            "sheet-blind-lost",
            "is_blind = check is not None and check.blind",
            "is_blind = False",
            SHEETS,
        ),
        (
            "sheet-any-label-agrees",
            "return not check.blind and check.fits_label(label.value)",
            "return not check.blind",
            SHEETS,
        ),
    ),
    *mutants_of(
        f"{FOLDER}/columns.py",
        (
            "sheet-blind-check-of-the-label",
            "None if blind else verdict.label)",
            "verdict.label)",
            SHEETS,
        ),
    ),
    *mutants_of(
        f"{FOLDER}/guard.py",
        ("sheet-written-over", "    if touched:\n", "    if False:\n", SELECT),
        ("sheet-column-of-others-lost", "    if columns:\n", "    if False:\n", SELECT),
    ),
    *mutants_of(
        f"{FOLDER}/cells.py",
        (
            "sheet-escape-not-escaped",
            '        text = _LOOKS_ESCAPED.sub("_x005F_", text)\n',
            "        pass\n",
            TRIPS,
        ),
        (
            "sheet-parts-counted-as-characters",
            'yield 1 if character <= "\\uffff" else 2',
            "yield 1",
            TRIPS,
        ),
        (
            "sheet-numbers-not-defused",
            "text.startswith(_FORMULA_STARTS) or _looks_like_a_value(text)",
            "text.startswith(_FORMULA_STARTS)",
            f"{TRIPS} -k would_change",
        ),
    ),
    *mutants_of(
        f"{FOLDER}/write.py",
        (
            "sheet-xlsx-formula",
            '                cell.data_type = "s"  #',
            "                pass  #",
            SELECT,
        ),
    ),
    *mutants_of(
        f"{FOLDER}/encodings.py",
        (
            "sheet-encoding-always-guessed",
            "    if not most or fits[guess] == most:",
            "    if True:",
            f"{TRIPS} -k prove",
        ),
    ),
    *mutants_of(
        f"{FOLDER}/select.py",
        ("sheet-copy-of-the-file-order", "answer.id < shown.id", "False", SELECT),
        (
            "sheet-strata-not-covered",
            "        given = dict.fromkeys(sizes, 1)\n",
            "        pass\n",
            f"{SELECT} -k shared_out",
        ),
    ),
    *mutants_of(
        f"{FOLDER}/imports.py",
        (
            "sheet-edits-of-others-lost",
            "item.record.reason == EDITED or not",
            "False and not",
            SHEETS,
        ),
    ),
]
