"""Faults in the measuring of other skills."""

from __future__ import annotations

from mutant_rows import mutants_of

# fmt: off
SKILLS = [
    *mutants_of(
        "maskdpo/skills/figures.py",
        ("skills-stderr-is-a-score", 'metric.endswith("_stderr")', "False", "test_skills.py"),
        ("skills-any-mean-is-theirs", "abs(_mean(documents) - score) > _TOLERANCE", "False",
         "test_skills.py"),
        ("skills-filters-mixed", 'sample.get("filter") != cut or', "", "test_skills.py"),
        ("skills-other-documents-paired", "if not one or one.keys() != other.keys():",
         "if not one:", "test_skills.py"),
        ("skills-difference-turned", "other[name] - one[name]", "one[name] - other[name]",
         "test_skills.py"),
        ("skills-nan-written", "and math.isfinite(value) else None", "else None",
         "test_skills.py"),
        ("skills-small-scores-are-shares", "return of_documents or _SHARES.fullmatch(metric) is "
         "not None", "return True", "test_skills.py"),
        ("skills-no-document-is-any-share", "all(values) and all(map(", "all(map(",
         "test_skills.py"),
        ("skills-known-shares-of-any-size", "if not all(map(_is_between_0_and_1, scores)):",
         "if False:", "test_skills.py"),
        ("skills-averages-are-no-shares", " or _SHARES.fullmatch(metric) is not None", "",
         "test_skills.py"),
        ("skills-shares-by-model", "scores.setdefault(_place(row), []).append(row)",
         "scores[_place(row)] = [row]", "test_skills.py"),
        ("skills-shares-without-a-range", "DIFFERENCE if after[\"is_share\"] else CHANGE", "CHANGE",
         "test_skills.py"),
    ),
    *mutants_of(
        "maskdpo/skills/run.py",
        ("skills-kept-whatever-changed", 'if kept.get("key") == key:', 'if "key" in kept:',
         "test_skills.py"),
        ("skills-never-kept", 'if kept.get("key") == key:', "if False:", "test_skills.py"),
        ("skills-any-precision-is-kept", '"chat_template", "seed", "dtype")',
         '"chat_template", "seed")', "test_skills.py"),
        ("skills-precision-as-it-is-set", "name: with_dtype(config, folder)", "name: config",
         "test_skills.py"),
        ("skills-retrained-model-is-old", "[model.digest, task,", "[task,", "test_skills.py"),
        ("skills-changed-documents-are-old", "harness.describe(task), settings", "settings",
         "test_skills.py"),
    ),
    *mutants_of(
        "maskdpo/skills/harness.py",
        ("skills-code-in-a-group-runs", "for child in _children(entry, index):",
         "for child in ():", "test_skills.py"),
        ("skills-code-runs-unasked", "    if not allowed:", "    if False:", "test_skills.py"),
        ("skills-code-variable-ignored", 'os.environ.get(_CODE_VARIABLE) != "1"', "False",
         "test_skills.py"),
        ("skills-no-chat-template-seen", "if config.chat_template and not", "if False and not",
         "test_skills.py"),
        ("skills-all-documents", "limit=config.max_documents", "limit=None", "test_skills.py"),
    ),
]
# fmt: on
