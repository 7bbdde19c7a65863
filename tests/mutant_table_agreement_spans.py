"""Faults in the figures about wrong words: what counts, what is divided, what is compared."""

from __future__ import annotations

from mutant_rows import mutants_of

SPANS = "test_agreement_spans.py"

# fmt: off
AGREEMENT_SPANS = [
    *mutants_of(
        "annotator/agreement/span_figures.py",
        ("span-precision-is-recall", '"char_precision": ratio(both, judged)',
         '"char_precision": ratio(both, people)', SPANS),
        ("span-f1-not-doubled", '"char_f1": ratio(2 * both,', '"char_f1": ratio(both,', SPANS),
        ("examples-by-common-characters", "judged > 0 and people > 0,", "both > 0,", SPANS),
        ("iou-of-nothing-is-0", "both / either if either else 1.0",
         "both / either if either else 0.0", SPANS),
        ("common-characters-are-all", "both = judged + people - either", "both = either", SPANS),
        ("spans-of-right-sentences-count",
         "    if sentence.verdict.label not in HALLUCINATED_LABELS:\n        return []\n", "", SPANS),
        ("no-spans-are-no-words", "given_places(sentence) or [(sentence.start, sentence.end)]",
         "given_places(sentence)", SPANS),
        ("marks-elsewhere-are-words", "return item.is_hallucinated and bool(given_places(item.sentence))",
         "return item.is_hallucinated and bool(item.sentence.verdict.error_spans)", SPANS),
        ("judged-marks-elsewhere-are-words", "bool(given_places(item.judged_sentence))",
         "bool(item.verdict.error_spans)", SPANS),
        ("spans-past-the-sentence", "return given_places(sentence) or [(sentence.start, sentence.end)]",
         "return [(s.start, s.end) for s in sentence.verdict.error_spans]", SPANS),
        ("undecided-sentences-count", "decided = [item for item in rows if item.judged is not None]",
         "decided = rows", SPANS),
        ("sources-without-words-count",
         "return [item for item in sentences if item.source in sources]",
         "return list(sentences) if sources else []", SPANS),
        ("whole-sentences-with-words", "if whole_sentences and item.judged:", "if False:", SPANS),
        ("whole-sentences-of-right-ones", "if whole_sentences and item.judged:",
         "if whole_sentences:", SPANS),
        ("span-gain-turned-round", "compare_characters(counts, whole)",
         "compare_characters(whole, counts)", SPANS),
        ("span-precision-of-all-groups", '"char_precision": ((JUDGED,),)',
         '"char_precision": ((RESPONSES,),)', SPANS),
        ("each-response-a-group", "row = counts.setdefault(group, np",
         "row = counts.setdefault((*group, name), np", SPANS),
    ),
    *mutants_of(
        "annotator/agreement/soft_labels.py",
        ("soft-labels-of-one-person", "decided >= 2", "decided >= 1", SPANS),
        ("soft-labels-voted", "ratio(wrong, decided)", "(ratio(wrong, decided) > 0.5) * 1.0", SPANS),
        ("no-decision-counts-as-right",
         "        if item.label is Label.UNDETERMINED:\n            continue\n", "", SPANS),
        ("judge-left-open-is-right", "values = np.full(len(response.gold.text), np.nan)",
         "values = np.zeros(len(response.gold.text))", SPANS),
        ("confidence-is-dropped", "1.0 if verdict.confidence is None else verdict.confidence",
         "1.0", SPANS),
        ("any-two-constants-agree", "return float((people[0] > _SAME) == (judge[0] > _SAME))",
         "return 1.0", SPANS),
        ("correlation-of-a-constant-is-1", "    if any(is_constant):\n        return 0.0",
         "    if any(is_constant):\n        return 1.0", SPANS),
    ),
    *mutants_of(
        "annotator/agreement/gold_verdicts.py",
        ("conflicts-alone-are-not-judged", "if annotation.id in also or any(", "if any(", SPANS),
    ),
    *mutants_of(
        "annotator/agreement/gold.py",
        ("soft-labels-without-words", "of_several if has_error_spans else {}", "of_several", SPANS),
    ),
    *mutants_of(
        "annotator/agreement/compare.py",
        ("empty-spans-in-a-comparison", '            del values["spans"]', "            pass", SPANS),
    ),
]
