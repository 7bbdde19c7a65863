"""Faults in the scripts of the review desk, which tests in a real browser must notice."""

from __future__ import annotations

from mutant_rows import mutants_of

STATIC = "maskdpo/desk/web/static"
OFFSETS = "test_desk_browser_offsets.py -k selections"
KEYS = "test_desk_browser_keys.py -k"
CURSOR = "test_desk_browser_cursor.py -k"

IN_BROWSER = [
    *mutants_of(
        f"{STATIC}/offsets.js",
        ("browser-units-not-points", "      count -= 1;\n", "", OFFSETS),
        ("browser-cluster-cut", "if (cluster.index === unit) {", "if (true) {", OFFSETS),
        ("browser-cluster-inwards", "return up ? cluster", "return !up ? cluster", OFFSETS),
        ("browser-border-moved", "if (!cutsPair && isBorder(", "if (false && isBorder(", OFFSETS),
        (
            "browser-window-ignored",
            "const start = place.start + countPoints(place.text.slice(0, from));",
            "const start = countPoints(place.text.slice(0, from));",
            OFFSETS,
        ),
        (
            "browser-changed-text-trusted",
            "const intact = countPoints(text) === end - start;",
            "const intact = true;",
            f"{CURSOR} browser_changed",
        ),
        slow=True,
    ),
    *mutants_of(
        f"{STATIC}/keys.js",
        ("browser-queue-lost", "  queue.push(press);\n", "", f"{KEYS} typed_ahead"),
        ("browser-failed-queue-kept", "queue.splice(0).length", "0", f"{KEYS} are_dropped"),
        (
            "browser-held-key-decides",
            "(press.repeat && changesData(element))",
            "false",
            f"{KEYS} held_key",
        ),
        (
            "browser-composing-acts",
            "event.isComposing || event.keyCode === 229 || ",
            "",
            f"{KEYS} counts",
        ),
        (
            "browser-shortcuts-act",
            "if (event.ctrlKey || event.altKey || event.metaKey) {",
            "if (event.metaKey) {",
            f"{KEYS} counts",
        ),
        ("browser-latin-only", "key.charCodeAt(0) > 127", "false", f"{KEYS} other_alphabets"),
        (
            "browser-keys-typed-ahead-press",
            "    type(document.activeElement, press);\n    return;\n",
            "",
            f"{KEYS} text_field",
        ),
        slow=True,
    ),
    *mutants_of(
        f"{STATIC}/connection.js",
        ("browser-lost-not-noticed", "if (xhr.status === 0) {", "if (false) {", f"{KEYS} outlives"),
        ("browser-lost-not-repeated", "      again();\n", "", f"{KEYS} outlives"),
        slow=True,
    ),
    *mutants_of(
        f"{STATIC}/words.js",
        (
            "browser-arrows-left-to-right",
            "&& isRightToLeft() ? -1 : 1",
            "&& false ? -1 : 1",
            f"{CURSOR} right_to_left",
        ),
        (
            "browser-selection-outside",
            'return inner.start >= inner.end || outside.some((text) => text.trim()) ? "outside" : null;',
            "return null;",
            f"{CURSOR} elsewhere",
        ),
        ("browser-cut-in-front", "cursor.units.shift();", "", f"{CURSOR} is_split"),
        slow=True,
    ),
    *mutants_of(
        f"{STATIC}/messages.js",
        (
            "browser-not-read-out",
            'readOut(reported?.textContent.trim() ?? "");',
            "",
            f"{KEYS} read_out",
        ),
        slow=True,
    ),
]
