"""Faults in FActScore: the formula, what a fact is, what becomes of a verdict, what is compared."""

from __future__ import annotations

from mutant_rows import mutants_of

FORMULA = "test_factscore.py"
RUNS = "test_factscore_evaluate.py -k all_fail or limit or prices or estimate"

# fmt: off
# One row a mutant, as narrow as its texts allow.
FACTSCORE = [
    *mutants_of(
        "maskdpo/evaluation/factscore/formula.py",
        ("penalty-without-one", "math.exp(1 - gamma / count)", "math.exp(-gamma / count)", FORMULA),
        ("penalty-upside-down", "gamma / count)", "count / gamma)", FORMULA),
        ("penalty-above-gamma", "if count < gamma else 1.0", "if count > gamma else 1.0", FORMULA),
        ("penalty-never", "return penalty * sum(", "return sum(", FORMULA),
        ("unresolved-is-supported", "sum(item is True for item in verdicts) / count",
         "sum(item is not False for item in verdicts) / count", FORMULA),
        ("unresolved-left-out", "    count = len(verdicts)\n",
         "    count = sum(item is not None for item in verdicts) or 1\n", FORMULA),
        ("no-facts-are-zero", "    if not len(verdicts):\n        return None\n",
         "    if not len(verdicts):\n        return 0.0\n", FORMULA),
        ("silent-ones-count", "{name: row for name, row in rows.items() if len(row)}",
         "dict(rows)", FORMULA),
        ("init-with-penalty", "score_all(responding, gamma=0.0)",
         "score_all(responding, gamma=gamma)", FORMULA),
        ("respond-ratio-of-those-given", "count / num_asked if num_asked else None",
         "count / len(rows) if rows else None", FORMULA),
        ("facts-of-all-responses", "num_facts / count if count else None",
         "num_facts / len(rows) if count else None", FORMULA),
        ("unresolved-are-the-wrong", "sum(item is None for row", "sum(not item for row", FORMULA),
        ("supported-are-all", "num_supported=sum(item is True for",
         "num_supported=sum(item is not None for", FORMULA),
        ("topics-are-responses", "name_group(topic, str(n))", 'name_group("", str(n))', FORMULA),
        ("any-value-is-a-verdict", "item is not None and not isinstance(item, bool | np.bool_)",
         "False", FORMULA),
        ("more-than-asked", "if asked < len(rows):", "if False:", FORMULA),
        ("gamma-without-end", " or math.isinf(gamma):", ":", FORMULA),
    ),
    *mutants_of(
        "maskdpo/evaluation/factscore/verdicts.py",
        ("unread-has-no-fact", "[*verdicts, *([None] * num_unread)]", "verdicts", FORMULA),
        ("unjudged-is-wrong", "[None if item is None else", "[False if item is None else", FORMULA),
        ("no-fact-is-undecided", " - {Label.NO_FACT}", "", FORMULA),
        ("half-true-is-true", "labels and labels <= CORRECT_LABELS",
         "labels & CORRECT_LABELS", FORMULA),
        ("no-label-is-true", "True if labels and labels", "True if labels", FORMULA),
        ("wrong-only-if-all-is", "if labels & HALLUCINATED_LABELS:",
         "if labels and labels <= HALLUCINATED_LABELS:", FORMULA),
        ("facts-without-documents", "document_ids=response.document_ids", "document_ids=[]",
         FORMULA),
    ),
    *mutants_of(
        "maskdpo/evaluation/factscore/scores.py",
        ("compared-where-one-responds", "for name in one if name in other}",
         "for name in one if name in other or other.setdefault(name, 0.0) == 0.0}", FORMULA),
        ("difference-turned", "other[name] - one[name]", "one[name] - other[name]", FORMULA),
        ("last-response-counts", "setdefault(row.question_id, []).append(value)",
         "update({row.question_id: [value]})", FORMULA),
        ("asked-are-those-judged", 'row["num_asked"], gamma)', "len(judged[name]), gamma)",
         FORMULA),
    ),
    *mutants_of(
        "annotator/judging/facts/dialogue.py",
        ("repair-without-end", "        if purpose in spent:", "        if len(spent) > 2:",
         FORMULA),
        ("no-more-room", "            max_tokens *= _ROOM", "            max_tokens *= 1", FORMULA),
        ("empty-is-unread", "        if facts is not None:", "        if facts:", FORMULA),
        ("two-lists-are-one", "len(lists) != 1", "not lists", FORMULA),
        ("thoughts-are-facts", "answer if closed else text", "text", FORMULA),
        ("facts-twice", "facts.setdefault(fact.casefold(), fact)", "facts.setdefault(fact, fact)",
         FORMULA),
        ("marks-are-facts", "not any(map(str.isalnum, item))", "not item", FORMULA),
    ),
    *mutants_of(
        "annotator/judging/facts/run.py",
        ("no-fact-is-asked-about", "if item.verdict.label is not Label.NO_FACT and", "if", FORMULA),
        ("cut-off-is-asked-about", ' and item.verdict.reason != "cut_off"', "", FORMULA),
        ("all-failed-continues", "    meter.check_replies()\n", "", RUNS),
        ("facts-of-no-budget", "limits=limits, section=section", "section=section", RUNS),
    ),
    *mutants_of(
        "maskdpo/evaluation/factscore/estimate.py",
        ("estimate-without-facts", 'parts.append(("facts", owed))', "pass", RUNS),
        ("estimate-of-sentences-as-they-are", "sentence_as_fact(item.text)",
         "SentenceFacts(facts=(item.text,))", RUNS),
        ("estimate-of-all-sentences", "rows.append((response, factual_sentences(judged)))",
         "rows.append((response, sentences_to_judge(response, annotate)))", RUNS),
    ),
    *mutants_of(
        "maskdpo/evaluation/run.py",
        ("writer-free-of-limits", "prices += [(writer.section, writer.config.prices)] if writer",
         "prices += [] if writer", RUNS),
    ),
]
