"""Faults in the benchmark of likelihoods of wrong words."""

from __future__ import annotations

from mutant_rows import mutants_of

TESTS = "test_span_likelihood.py"

SPAN_LIKELIHOOD = [
    *mutants_of(
        "benchmarks/span_likelihood_data.py",
        (
            "likelihood-halves-by-row",
            "first = set(groups[: len(groups) // 2])",
            "first = set(groups[: len(groups) // 2 + 1])",
            TESTS,
        ),
        (
            "likelihood-measures-trained-documents",
            "measured=[row for row in rows if row.topic not in first]",
            "measured=[row for row in rows if row.topic in first]",
            TESTS,
        ),
        (
            "likelihood-document-not-cut",
            "question.replace(text, short) if text in question",
            "question if text in question",
            TESTS,
        ),
        (
            "likelihood-other-pairs-per-method",
            "name: [pairs[key] for key in kept]",
            "name: list(pairs.values())[-num_pairs:]",
            f"{TESTS}::test_a_pair_that_one_method_cannot_train_is_in_none",
        ),
        (
            "likelihood-worst-other-answer",
            "best = min(others, key",
            "best = max(others, key",
            TESTS,
        ),
        (
            "likelihood-sentence-as-wrong-words",
            "wrong_words(row.text, sentence) if given_places(sentence) else [whole]",
            "[whole]",
            TESTS,
        ),
        (
            "likelihood-innocent-as-clean",
            'if kind == "clean":\n                places = []',
            'if kind == "clean":\n                pass',
            TESTS,
        ),
    ),
    *mutants_of(
        "benchmarks/span_likelihood_model.py",
        (
            "likelihood-ratio-of-the-reference",
            '"ratios": policy - reference',
            '"ratios": policy + reference',
            TESTS,
        ),
        (
            "likelihood-kl-unweighted",
            "(policy_NV.exp() * (policy_NV - reference_NV)).sum(1)",
            "(policy_NV - reference_NV).sum(1)",
            TESTS,
        ),
        (
            "likelihood-policy-is-the-reference",
            "policy = copy.deepcopy(self.model)",
            "policy = self.model",
            TESTS,
        ),
        (
            "likelihood-reference-each-time",
            "if not self._reference:",
            "if True:",
            TESTS,
        ),
        (
            "likelihood-token-later",
            "index in range(sequence.first, len(sequence.token_ids))",
            "index in range(sequence.first - 1, len(sequence.token_ids) - 1)",
            TESTS,
        ),
    ),
    *mutants_of(
        "benchmarks/span_likelihood_figures.py",
        (
            "likelihood-auc-of-higher",
            "rankdata(values)[~wrong]",
            "rankdata(-values)[~wrong]",
            TESTS,
        ),
        (
            "likelihood-auc-with-mixed",
            "kept = kept & (tokens.kinds >= 0)",
            "kept = kept & (tokens.kinds >= -1)",
            TESTS,
        ),
        (
            "likelihood-sentences-of-answers-joined",
            'offset += max(answer["sentences"]) + 1',
            "offset += 0",
            TESTS,
        ),
        (
            "likelihood-not-adjusted",
            "weights=ratios[clean], minlength",
            "weights=ratios[clean] * 0, minlength",
            TESTS,
        ),
        (
            "likelihood-one-group",
            "num_groups = min(MOST_GROUPS, max(1, count // LEAST_IN_GROUP))",
            "num_groups = 1",
            TESTS,
        ),
        (
            "likelihood-first-seed-only",
            "float(tokens.ratios[:, own].mean())",
            "float(tokens.ratios[0, own].mean())",
            TESTS,
        ),
        (
            "likelihood-interval-unpaired",
            "value - figure.compute(second, kept)",
            "value - figure.compute(second, second.kinds >= -1)",
            TESTS,
        ),
        (
            "likelihood-one-document-only",
            "first.documents != number",
            "first.documents == number",
            TESTS,
        ),
    ),
    *mutants_of(
        "benchmarks/span_likelihood.py",
        (
            "likelihood-key-without-settings",
            'settings | {"method": method, "seed": seed}',
            '{"method": method, "seed": seed, "context_weight": settings["context_weight"]}',
            TESTS,
        ),
        (
            "likelihood-partial-seeds-reported",
            "if run.seed not in partial:",
            "if run.path.exists():",
            TESTS,
        ),
        (
            "likelihood-one-method-for-all",
            "bench.train(pairs[run.method]",
            "bench.train(list(pairs.values())[-1][:1]",
            TESTS,
        ),
    ),
]
