"""Faults in what users read and write: keys that show, YAML, file modes, doctor, hints."""

from __future__ import annotations

from mutant_rows import mutants_of

SECRETS = "test_secrets.py"
YAML = "test_yaml.py"
TRUE = "test_config.py -k true_is or has_no_keys"

HINTS = [
    *mutants_of(
        "schemas/secret_values.py",
        (
            "uuid-shown",
            "text = _UUID.sub(HIDDEN, hide_keys(text))",
            "text = hide_keys(text)",
            SECRETS,
        ),
        ("hashes-hidden", "len(text) in (40, 64)", "len(text) in (41, 65)", SECRETS),
        ("assigned-secret-shown", 'text = _ASSIGNED.sub(rf"\\1{HIDDEN}", text)', "pass", SECRETS),
    ),
    *mutants_of(
        "schemas/errors.py",
        (
            "errors-hold-keys",
            "super().__init__(hide_keys(message))",
            "super().__init__(message)",
            SECRETS,
        ),
    ),
    *mutants_of(
        "schemas/config.py",
        (
            "keys-as-settings",
            "for place in find_keys(value, (str(info.field_name),)):",
            "for place in ():",
            SECRETS,
        ),
        ("old-booleans-pass", "value.lower() in _OLD_BOOLEANS", "False", YAML),
        (
            "false-is-a-section",
            "return {} if value else None",
            "return {}",
            "test_factscore_evaluate.py -k true_and_false",
        ),
    ),
    *mutants_of(
        "maskdpo/config.py",
        ("true-has-no-keys", "_is_true_for_defaults(section, keys[0], place):", "False:", TRUE),
        ("false-has-keys", "values.get(key) is True and", "key in values and", TRUE),
        ("any-true-has-keys", " and key in section_model(section).TRUE_FOR_DEFAULTS", "", TRUE),
    ),
    *mutants_of(
        "annotator/models/detail_line.py",
        (
            "servers-words-as-they-are",
            "hide_likely_keys(text[:_MAX_SEARCHED_CHARS])",
            "text",
            SECRETS,
        ),
    ),
    *mutants_of(
        "schemas/files/yaml_files.py",
        (
            "norwegian-is-false",
            'r"true|True|TRUE|false|False|FALSE", "tTfF"',
            'r"true|false|no", "tfn"',
            YAML,
        ),
        ("last-key-wins", "            if key in mapping:", "            if False:", YAML),
        ("numbers-unquoted", "or _LIKE_A_NUMBER.fullmatch(text) is not None", "or False", YAML),
        ("words-unquoted", "text.lower() in _WORDS", "False", YAML),
    ),
    *mutants_of(
        "schemas/files/writing.py",
        (
            "files-for-their-owner",
            "os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666",
            "os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600",
            "test_file_modes.py -k written",
        ),
        (
            "libraries-modes-stay",
            "    path.chmod(mode & 0o777)",
            "    pass",
            "test_file_modes.py -k written",
        ),
    ),
    *mutants_of(
        "maskdpo/doctor/servers.py",
        (
            "any-model-will-do",
            "    if model in answer.served:",
            "    if answer.served:",
            "test_doctor.py -k named",
        ),
        (
            "redirects-followed",
            "        return None\n\n\n@dataclass",
            "        return HTTPRedirectHandler.redirect_request(self, *_)\n\n\n@dataclass",
            "test_doctor.py -k redirect",
        ),
    ),
    *mutants_of(
        "schemas/text/language_codes.py",
        (
            "any-word-is-a-language",
            "if is_known and value == value.strip():",
            "if match:",
            "test_language_codes.py -k refused",
        ),
    ),
    *mutants_of(
        "maskdpo/cli/setting_hints.py",
        (
            "the-file-is-blamed",
            "            return override\n    return",
            "            return ''\n    return",
            "test_setting_hints.py -k blamed",
        ),
    ),
]
