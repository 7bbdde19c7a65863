"""Faults in what is shown: marks, the choice of rows, evidence, pages, the pair of a card."""

from __future__ import annotations

from mutant_rows import mutants_of

MARKS = "test_marks.py"
SHOW = "test_show.py"
PAGE = "test_show_page.py"
DATA_SETS = "test_show_data_sets.py"
EXAMPLE = "test_card_example.py"

SHOWN = [
    *mutants_of(
        "maskdpo/show/marks.py",
        ("mark-text-not-escaped", "        return escape(piece.text)\n", "        return piece.text\n",
         PAGE),
        ("mark-sentence-not-escaped", "if is_wrong else escape(words)", "if is_wrong else words", MARKS),
        ("mark-terminal-not-printable", "yield printable(words), style", "yield words, style", MARKS),
        ("mark-no-verdict-trains", "max(weighed, default=0.0)", "max(weighed, default=1.0)", MARKS),
        ("mark-masked-is-any-weight", "return self.weight == 0", "return self.weight is not None",
         MARKS),
        ("mark-person-not-named", 'if self.source == "person" else self.label',
         "if False else self.label", MARKS),
        ("mark-no-fact-is-open", 'return "–" if self.label', 'return "?" if self.label', MARKS),
        ("mark-contrast", "hallucinated { background: #f8e0ca; color: #4a2008",
         "hallucinated { background: #f8e0ca; color: #b3541e",
         f"{PAGE} -k contrast"),
    ),
    *mutants_of(
        "maskdpo/show/choice.py",
        ("show-any-label-of-many", "(not self.labels or label in self.labels)", "(True)", SHOW),
        ("show-reason-of-another-sentence", "and (not self.reasons or reason in self.reasons)",
         "and (True)", SHOW),
        ("show-sample-takes-largest", "key = -stable_seed(", "key = stable_seed(", SHOW),
        ("show-sample-out-of-order", "sorted(heap, key=lambda item: item[1])", "sorted(heap)", SHOW),
        ("show-limit-not-kept", "if len(chosen.rows) < choice.limit:\n                chosen",
         "if True:\n                chosen", SHOW),
        ("show-left-out-not-counted", "return self.num_matching - len(self.rows)", "return 0", SHOW),
        ("show-faults-not-rows", "chosen.num_faults += place != (item.path, item.line)",
         "chosen.num_faults += 1", SHOW),
        ("show-no-word-on-missing-spans", "{'' if seen.labels else no_spans}", "",
         f"{DATA_SETS} -k without_spans"),
        ("show-pairs-not-by-response", "names | {item.chosen_id, item.rejected_id}", "names | set()",
         SHOW),
    ),
    *mutants_of(
        "maskdpo/show/sources.py",
        ("show-no-next-command", "if made_by is None:", "if True:", SHOW),
        ("show-any-version", "if kind is not Kind.PAIRS:\n        check", "if False:\n        check",
         SHOW),
        ("show-run-folder-opened", "        _refuse_run_folder(path)\n", "", SHOW),
        ("show-array-of-annotations", "if kind is not Kind.PAIRS and tables", "if False and tables",
         DATA_SETS),
        ("show-published-labels-unmentioned", "column_names(file.path, name=file.label)) >= _PUBLISHED",
         "column_names(file.path, name=file.label)) >= {0}", f"{DATA_SETS} -k published"),
        ("show-split-not-named", 'pairs.origin.get(f"{split}_split", split)', "split", DATA_SETS),
    ),
    *mutants_of(
        "maskdpo/data_sets/training.py",
        ("show-split-ignored", "paths if split in (None, own) else ()", "paths", SHOW),
        ("show-ours-needs-datasets", "found is None and _has_usual_names(folder)", "False",
         f"{DATA_SETS} -k library"),
    ),
    *mutants_of(
        "maskdpo/show/documents.py",
        ("show-documents-of-another-hash", "there = [*same, *there]", "there = [*there]", SHOW),
        (
            "show-changed-documents",
            'not known or describe_file(path)["sha256"] == known',
            "True",
            SHOW,
        ),
    ),
    *mutants_of(
        "maskdpo/show/evidence.py",
        ("show-quote-that-does-not-fit", "if item.end <= len(text) else", "if text else", SHOW),
        ("show-places-unsorted", "places=sorted(places.get(name, ())),",
         "places=sorted(places.get(name, ()), reverse=True),", f"{SHOW} {PAGE}"),
    ),
    *mutants_of(
        "maskdpo/show/page_documents.py",
        ("page-document-twice", "                self.placed.add(item.id)\n", "", PAGE),
        ("page-budget-ignored", "and size <= left", "", PAGE),
        ("page-budget-not-spent", "            left -= size\n", "", PAGE),
        ("page-budget-for-others-first", "key=lambda one: (not one.places, one.id in last)",
         "key=lambda one: (bool(one.places), one.id in last)", PAGE),
        ("page-place-past-the-document", "if start < end <= length}", "if start < end}", PAGE),
        ("page-long-document-whole", "if len(text) > MAX_DOCUMENT_CHARS:", "if False:", PAGE),
    ),
    *mutants_of(
        "maskdpo/show/page.py",
        ("page-not-escaped", "autoescape=True,", "autoescape=False,", PAGE),
        ("page-pair-names-no-response", "facts = _facts(response=pair.chosen_id if",
         'facts = _facts(response="" if', PAGE),
    ),
    *mutants_of(
        "maskdpo/show/templates/show.html.jinja",
        ("page-loads-from-outside", "default-src 'none'", "default-src *", PAGE),
        ("page-evidence-without-place", ' id="{{ place }}">{{ number }}{% else %}',
         ">{{ number }}{% else %}", PAGE),
    ),
    *mutants_of(
        "maskdpo/cli/tools/show_command.py",
        ("page-of-others-replaced", "        _refuse_to_replace(page)\n", "        pass\n", PAGE),
    ),
    *mutants_of(
        "maskdpo/publishing/card_example.py",
        ("example-with-a-key", "and not any(map(holds_private,", "and not all(map(holds_private,",
         EXAMPLE),
        ("example-not-found-by-its-id", "and all(is_plain_code(name)", "and all(bool(name)", EXAMPLE),
        ("example-of-one-mask", "return _show(found[max(found)])", "return _show(found[min(found)])",
         EXAMPLE),
        ("example-of-any-length", "len(text) <= MAX_SIDE_CHARS", "len(text) <= 10**9", EXAMPLE),
    ),
    *mutants_of(
        "maskdpo/publishing/card_merge.py",
        ("example-edited-is-kept", "is_ours = name == EXAMPLE or base", "is_ours = base", EXAMPLE),
    ),
    *mutants_of(
        "maskdpo/publishing/push.py",
        ("example-names-a-user", "allowed=namespace, data_lines=quoted)", "allowed=namespace)",
         EXAMPLE),
    ),
]  # fmt: skip
