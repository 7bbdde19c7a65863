"""Faults in people's corrected scores, answers in files, and the best of n."""

from __future__ import annotations

from mutant_rows import mutants_of

POWERED = "test_people_powered.py"
REVIEWS = "test_people_reviews.py"
ANSWERS = "test_evaluate_answers.py"
BEST = "test_best_of.py"
FILES = "test_evaluate_files.py"

# fmt: off
# One row a mutant, as narrow as its texts allow.
PEOPLE_SCORES = [
    *mutants_of(
        "maskdpo/evaluation/people/powered.py",
        ("lambda-not-tuned", "np.clip(covariance / variance, 0.0, 1.0)",
         "np.ones_like(covariance)", POWERED),
        ("lambda-below-0", "np.clip(covariance / variance, 0.0, 1.0)",
         "np.clip(covariance / variance, -1.0, 1.0)", POWERED),
        ("lambda-not-learned-again", "products.sum(axis=0) - products", "products.sum(axis=0) "
         "+ 0 * products", POWERED),
        ("correction-added", "figures = mean - np.where", "figures = mean + np.where", POWERED),
        ("correction-by-the-reviewed", "of_reviewed - part[:, _JUDGE] / part[:, _ALL]",
         "of_reviewed - part[:, _PEOPLE] / part[:, _REVIEWED]", POWERED),
        ("judge-of-all-has-no-error", "judge[:, _JUDGE] = -sign / num_all",
         "judge[:, _JUDGE] = 0.0", POWERED),
        ("rounding-is-a-variance", "variance > _ROUNDING * terms", "variance > 0", POWERED),
        ("groups-of-all-units", "effective_groups(table[:, _ALL], table[:, _REVIEWED])",
         "effective_groups(table[:, _ALL])", POWERED),
        ("past-the-range", "np.clip(np.append(whole[0], left_out), scale.low, scale.high)",
         "np.append(whole[0], left_out)", POWERED),
        ("difference-is-a-sum", "_Side(sign=-1.0,", "_Side(sign=1.0,", POWERED),
        ("reviewed-for-either", "if all(side.units[question].people is not None",
         "if any(side.units[question].people is not None", POWERED),
        ("questions-as-they-come", "in sorted(self.units.items()):", "in self.units.items():",
         POWERED),
    ),
    *mutants_of(
        "maskdpo/evaluation/people/reviewed.py",
        ("one-label-is-enough", "if all(map(_is_decided, sentences))",
         "if any(map(_is_decided, sentences))", REVIEWS),
        ("judge-counts-as-people", 'if verdict.source != "person":', "if False:", REVIEWS),
        ("cannot-say-is-no-label", "or verdict.reason == CANNOT_TELL", "", REVIEWS),
        ("conflict-is-a-label", "return verdict.label is not Label.UNDETERMINED or", "return True or",
         REVIEWS),
        ("other-texts-count", "texts.get(review.response_id, {}).get(review.text_sha256, ())",
         "[t for ts in texts.get(review.response_id, {}).values() for t in ts]", REVIEWS),
        ("unknown-is-dropped", "found.leave(path, entry.line, review.response_id, *_why("
         "review.response_id, texts))", "pass", REVIEWS),
        ("refused-is-dropped", "_refuse(failure.reason, failure.detail, entries, found)", "pass",
         REVIEWS),
        ("programs-are-people", 'elif not any(item.verdict.source == "person" for', "elif not any("
         "True for", REVIEWS),
        ("another-id-is-unknown", 'model_copy(update={"response_id": response_id})',
         "model_copy()", REVIEWS),
    ),
    *mutants_of(
        "maskdpo/evaluation/people/scores.py",
        ("judge-of-all-responses", "checked=(of_judge.score if of_judge.score is not None else "
         "score) if of_judge else None", "checked=score if of_judge else None", REVIEWS),
        ("no-fact-is-a-unit", "if question in without_fact:", "if False:", REVIEWS),
        ("elsewhere-not-counted", "question not in inside for question in people", "False",
         REVIEWS),
        ("pair-reversed", "found[second].all_units, found[first].all_units, groups",
         "found[first].all_units, found[second].all_units, groups", REVIEWS),
        ("one-answer-of-each-question-is-all", "if all_reviewed:",
         "if powered.num_reviewed == powered.num_units:", REVIEWS),
        ("folders-are-published", '"/".join(path.parts[-2:])', "str(path)", REVIEWS),
    ),
    *mutants_of(
        "maskdpo/evaluation/answers.py",
        ("verdicts-are-made-again", 'isinstance(row, dict) and "sentences" in row', "False",
         ANSWERS),
        ("topics-may-differ", "if known.topic != answer.topic:", "if False:", ANSWERS),
        ("others-left-out-silently", "if other is not None:", "if False:", ANSWERS),
        ("several-are-one-silently", "if len(models) < 2:", "if True:", ANSWERS),
        ("name-twice", "if key in names:", "if False:", ANSWERS),
        ("two-models-one-name", "if named.setdefault(name, model) != model:", "if False:",
         ANSWERS),
    ),
    *mutants_of(
        "maskdpo/evaluation/own_files.py",
        ("input-by-its-name", "path.samefile(item)", "path == item", FILES),
        ("inputs-of-people-are-no-inputs", "[*(item.path for item in answers), *(path for path in "
         "inputs if path)]", "[item.path for item in answers]", FILES),
        ("facts-are-no-outputs", "            yield from (output / name / FACTS, output / name / "
         "FACT_VERDICTS)", "            pass", FILES),
        ("any-answers-are-own", "_is_sealed_here(path) or _holds_only(source.answers, path)",
         "True", FILES),
        ("changed-input-is-refused", "_is_sealed_here(path) or _holds_only(", "_holds_only(",
         FILES),
        ("killed-before-the-sidecar-is-refused",
         "_is_sealed_here(path) or _holds_only(source.answers, path)", "_is_sealed_here(path)",
         FILES),
        ("edited-answers-are-own", "== _MADE_BY and is_sealed(path)", "== _MADE_BY", FILES),
        ("answers-of-any-command-are-own", 'read_sidecar_values(path).get("config") == _MADE_BY '
         "and is_sealed(path)", "is_sealed(path)", FILES),
        ("edited-facts-are-own", "return _is_sealed_here(path)  # if not",
         "return True  # if not", FILES),
        ("sidecar-of-former-facts-stays", "sidecar_path(path).unlink(missing_ok=True)", "pass",
         FILES),
        ("verdicts-of-people-on-facts-are-lost", "        refuse_labels(folder / FACT_VERDICTS)\n",
         "", FILES),
        ("responses-are-checked-late", "refuse_other_rows(folder / RESPONSES)", "pass", FILES),
    ),
    *mutants_of(
        "maskdpo/evaluation/best_of.py",
        ("best-with-replacement", "math.comb(place, n - 1)", "math.comb(place + 1, n - 1)", BEST),
        ("any-order", "ranked = sorted(", "ranked = list(", BEST),
        ("refusal-is-left-out", "sorted(0.0 if score is None else float(score) for score in "
         "scores)", "sorted(float(score) for score in scores if score is not None)", BEST),
        ("missing-is-left-out", "found[name] += [None] * (most - len(found[name]))", "pass", BEST),
        ("curve-without-its-end", "| {most})", ")", BEST),
        ("nan-is-a-score", "all(map(math.isfinite, ranked))", "True", BEST),
    ),
]
# fmt: on
