"""Faults in the study's world: verdicts, error spans, texts, the loss of its base model."""

from __future__ import annotations

from mutant_rows import mutants_of

TESTS = "test_study_world.py"

# fmt: off
# One row a mutant, as narrow as its texts allow.
STUDY_WORLD = [
    *mutants_of(
        "maskdpo/study/world/truth.py",
        ("world-lacking-is-contradicted", "Label.CONTRADICTORY if is_contradicted else "
         "Label.UNVERIFIABLE", "Label.CONTRADICTORY", TESTS),
        ("world-other-name-is-right", "is_true=about and _is_true(person, clause)",
         "is_true=_is_true(person, clause)", TESTS),
        ("world-other-name-is-no-error", "return Label.CONTRADICTORY, [parsed.subject_span]",
         "return Label.CONTRADICTORY, []", TESTS),
        ("world-whole-clause-is-wrong", "[clause.value for clause in wrong]",
         "[clause.span for clause in wrong]", TESTS),
        ("world-garbled-is-no-fact", "return Label.HALLUCINATED, []", "return Label.NO_FACT, []",
         TESTS),
        ("world-garbled-is-no-false-fact", "end=read.end, is_true=False",
         "end=read.end, is_true=True", TESTS),
        ("world-span-in-the-sentence", "start=read.start + a, end=read.start + b",
         "start=a, end=b", TESTS),
    ),
    *mutants_of(
        "maskdpo/study/world/parsing.py",
        ("world-anything-after-a-fact", "if sentence[found.end() :] == self.language.end:",
         "if True:", TESTS),
    ),
    *mutants_of(
        "maskdpo/study/world/writing.py",
        ("world-fixed-error-rare", "shares[fixed] += world.config.fixed_weight",
         "shares[fixed] += 0", TESTS),
        ("world-document-shown-errs", "person.errors.get(attribute.name) if fixed_errors else None",
         "person.errors.get(attribute.name)", TESTS),
        ("world-too-many-sentences", "must_join or rng.random()", "rng.random()", TESTS),
    ),
    *mutants_of(
        "maskdpo/study/world/base.py",
        ("world-base-learns-the-drawn-value",
         "targets.get((example.person.id, token), {token: 1.0})", "{token: 1.0}", TESTS),
    ),
]
