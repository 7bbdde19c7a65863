"""Faults in the frame of the review desk: who gets in, what changes, how words are read."""

from __future__ import annotations

from mutant_rows import mutants_of

SAFE = "test_desk_security.py -k"
WEB = "test_desk_web.py -k"

DESK_WEB = [
    *mutants_of(
        "maskdpo/desk/web/session.py",
        ("desk-token-anywhere", "and path == PREFIX and scope", "and scope", f"{SAFE} start_alone"),
        (
            "desk-token-by-post",
            'and path == PREFIX and scope["method"] in _SAFE_METHODS',
            "and path == PREFIX",
            f"{SAFE} start_alone",
        ),
        (
            "desk-token-unchecked",
            'self._tokens.check_value(token.encode("utf-8", "replace"), client[0] if client else "")',
            "del client",
            f"{SAFE} wrong_token",
        ),
        (
            "desk-no-session-needed",
            "if not session.csrf:",
            "if False:",
            f"{SAFE} without_a_session",
        ),
        (
            "desk-csrf-of-nobody",
            "if not expected or not hmac.compare_digest(str(given).encode(), expected.encode()):",
            "if not expected:",
            f"{SAFE} csrf",
        ),
        (
            "desk-csrf-form-before-header",
            "if header is None else header",
            'or header or ""',
            f"{SAFE} nothing_changes",
        ),
        (
            "desk-second-visit-ends-other-tabs",
            'if "csrf" in session:',
            "if False:",
            f"{SAFE} second_visit",
        ),
        ("desk-one-key-for-all", "hmac.new(token.encode(), b", 'hmac.new(b"", b', f"{SAFE} cookie"),
        (
            "desk-leads-to-other-sites",
            "return value if is_own and is_plain else PREFIX",
            "return value or PREFIX",
            f"{SAFE} another_site",
        ),
        (
            "desk-name-not-asked",
            "if not session.who and path not in _WITHOUT_NAME:",
            "if False:",
            f"{WEB} without_a_name",
        ),
        (
            "desk-query-lost-at-the-name",
            'back = f"{path}?{query}" if query and scope["method"] in _SAFE_METHODS else path',
            "back = path",
            f"{WEB} without_a_name",
        ),
        (
            "desk-first-language-only",
            'for item in connection.headers.get("accept-language", "").split(","):',
            'for item in connection.headers.get("accept-language", "").split(",")[:1]:',
            f"{WEB} language_is",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/web/app.py",
        (
            "desk-csrf-not-checked",
            "openapi_url=None, dependencies=[Depends(check_csrf)]",
            "openapi_url=None",
            f"{SAFE} csrf",
        ),
        ("desk-cookie-lax", 'same_site="strict"', 'same_site="lax"', f"{SAFE} cookie_that_scripts"),
        (
            "desk-one-cookie-for-all-ports",
            'f"maskdpo_review_{settings.port}"',
            '"maskdpo_review"',
            f"{SAFE} cookie_that_scripts",
        ),
        (
            "desk-inline-code-allowed",
            "script-src 'self'; style",
            "script-src 'self' 'unsafe-inline'; style",
            "test_desk_security.py test_desk_web.py",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/web/pages.py",
        ("desk-nothing-escaped", "autoescape=True", "autoescape=False", f"{SAFE} escaped"),
        (
            "desk-error-always-a-page",
            'if values["is_part"] else "error.html.jinja"',
            'if False else "error.html.jinja"',
            f"{WEB} error",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/web/words.py",
        (
            "desk-words-of-one-language",
            "missing = [lang for lang, found in texts.items() if key not in found]",
            "missing: list[str] = []",
            f"{WEB} other_keys",
        ),
        (
            "desk-words-always-many",
            'text["one" if values.get("count") == 1 else "other"]',
            'text["other"]',
            f"{WEB} forms",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/web/settings_routes.py",
        ("desk-blind-not-toggled", "not is_blind if", "is_blind if", f"{WEB} settings_last"),
        ("desk-name-as-typed", '"NFC", ', '"NFD", ', f"{WEB} one_form"),
        (
            "desk-control-characters-in-names",
            'in {"Cc", "Cf", "Cs"}',
            'in {"Cs"}',
            f"{WEB} cannot_be_one",
        ),
    ),
    *mutants_of(
        "annotator/service/guard/pages.py",
        (
            "pages-own-longer-names",
            'path.startswith(f"{self.prefix}/")',
            "path.startswith(self.prefix)",
            f"{SAFE} without_a_session",
        ),
    ),
    *mutants_of(
        "annotator/service/guard/settings.py",
        (
            "pages-take-json",
            "return {FORM: pages.max_body_bytes}",
            "return {FORM: pages.max_body_bytes, _JSON: 100}",
            f"{SAFE} bodies_are_forms",
        ),
    ),
]
