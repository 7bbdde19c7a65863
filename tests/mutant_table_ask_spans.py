"""Faults in how wrong words are asked for, located, combined and counted."""

from __future__ import annotations

from mutant_rows import mutants_of

TESTS = "test_ask_spans.py"
LOCATED = f"{TESTS} -k located_in_their_sentence"

ASKED_SPANS = [
    *mutants_of(
        "annotator/judging/evidence/wrong_words.py",
        (
            "words-of-every-label",
            "if label not in HALLUCINATED_LABELS:",
            "if False:",
            f"{TESTS} -k without_an_error",
        ),
        ("words-given-silently-none", "if not given and not missing:", "if False:", LOCATED),
        ("words-without-end", "if len(given) > _MAX_GIVEN:", "if False:", LOCATED),
        (
            "words-in-offsets-of-the-sentence",
            "ErrorSpan(start=first + start, end=first + end)",
            "ErrorSpan(start=start, end=end)",
            f"{TESTS} -k exact_code_points",
        ),
        (
            "unread-words-lost",
            'missing[shown] = MissingWords(words=shown, reason="unreadable")',
            "pass",
            LOCATED,
        ),
        ("marks-are-words", "if not any(map(str.isalnum, given.words)):", "if False:", LOCATED),
        (
            "brackets-of-the-text-are-marks",
            "if places := finder.find_words(given.raw, sentence):",
            "if False and (places := []):",
            LOCATED,
        ),
        (
            "all-places-of-marked-words",
            "if places and (marked := _find_marked(given, places, sentence, finder)):",
            "if False and (marked := []):",
            LOCATED,
        ),
        (
            "first-of-the-marked",
            "rank = sum(one.end <= given.marked_at for one in in_context)",
            "rank = 0",
            LOCATED,
        ),
        (
            "context-of-another-sentence",
            "if places and not _is_elsewhere(given.context, sentence, response, finder):",
            "if places:",
            LOCATED,
        ),
        (
            "words-of-documents-nowhere",
            "elif any(finder.find_words(given.words, text) for text in inputs.texts):",
            "elif False:",
            LOCATED,
        ),
        (
            "missing-words-as-they-are",
            "if len(item.words) > _MAX_KEPT_CHARS",
            "if False",
            f"{TESTS} -k not_endless",
        ),
        (
            "votes-half-is-enough",
            "is_marked = 2 * count > len(votes)",
            "is_marked = 2 * count >= len(votes)",
            f"{TESTS} -k votes",
        ),
        (
            "votes-for-the-whole-lost",
            "count, start = num_whole, -1",
            "count, start = 0, -1",
            f"{TESTS} -k votes",
        ),
        (
            "votes-agree-silently-on-nothing",
            '    if not spans:\n        missing.insert(0, MissingWords(words="", reason="no_majority"))\n',
            "",
            f"{TESTS} -k votes",
        ),
    ),
    *mutants_of(
        "annotator/judging/evidence/quotes.py",
        ("words-in-any-form", "return same or found", "return found", LOCATED),
    ),
    *mutants_of(
        "annotator/text/quote_places.py",
        ("parts-of-words", "if not splits_word(text, first, last):", "if True:", LOCATED),
        (
            "words-are-evidence",
            "if not splits_word(text, first, last):",
            "if not is_cut(text, first, last):",
            LOCATED,
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/confidence.py",
        (
            "words-of-all-votes",
            "wrong = combine_words(winning)",
            "wrong = combine_words(decided)",
            f"{TESTS} -k votes_for_the_label",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/load_prompts.py",
        (
            "words-asked-of-every-protocol",
            "and protocol.can_ask_spans:",
            "and True:",
            f"{TESTS} -k only_where_they_are_asked",
        ),
        (
            "own-text-of-words-refused",
            "for key in item.texts} | {WRONG_WORDS}",
            "for key in item.texts}",
            f"{TESTS} -k users_folder",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/cut_words.py",
        (
            "cut-replies-without-words-asked",
            "if not prompts.asks_spans:",
            "if False:",
            f"{TESTS} -k where_words_were_asked",
        ),
        (
            "cut-windows-are-whole",
            " or len(_LABEL.findall(reply.text)) != num_verdicts:",
            ":",
            f"{TESTS} -k ends_in_its or ends_elsewhere",
        ),
        (
            "closed-lists-are-cut",
            """if found is None or "]" in _STRING.sub("", found["words"]).partition('"')[0]:""",
            "if found is None:",
            f"{TESTS} -k ends_elsewhere",
        ),
        (
            "cut-words-silently-lost",
            "json.dumps([*words, CUT_OFF], ensure_ascii=False)",
            "json.dumps(words, ensure_ascii=False)",
            f"{TESTS} -k ends_in_its",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/steps.py",
        (
            "words-assumed-away",
            "if inputs.prompts.asks_spans else {}",
            "if False else {}",
            f"{TESTS} -k estimate",
        ),
        (
            "schema-without-words",
            '**({"wrong": wrong} if ask_spans else {}),',
            "",
            f"{TESTS} -k form",
        ),
        (
            "schema-always-with-words",
            "if ask_spans else {})",
            "if True else {})",
            "test_protocol_keys.py -k plain and sentence",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/response.py",
        (
            "repairs-without-words",
            'settings, vote, ask_spans=ask_spans, purpose="repair"',
            'settings, vote, ask_spans=False, purpose="repair"',
            f"{TESTS} -k window_keeps",
        ),
    ),
    *mutants_of(
        "annotator/judging/llm_judge.py",
        (
            "words-not-asked-for",
            "ask_spans=self.config.ask_spans,",
            "ask_spans=False,",
            f"{TESTS} -k counts_why_not",
        ),
        (
            "version-of-words-always",
            "WRONG_WORDS_VERSION} if config.ask_spans else {}",
            "WRONG_WORDS_VERSION} if True else {}",
            f"{TESTS} -k version",
        ),
    ),
    *mutants_of(
        "annotator/judging/llm_config.py",
        (
            "words-of-anah",
            "if self.ask_spans and not PROTOCOLS",
            "if False and not PROTOCOLS",
            f"{TESTS} -k config_error",
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/verdict_tally.py",
        (
            "words-of-people-counted",
            'if verdict.source == "judge":',
            "if True:",
            "test_verdict_tally.py -k words",
        ),
        (
            "ignored-words-are-asked",
            "return self.words.total() - self.words[_IGNORED]",
            "return self.words.total()",
            f"{TESTS} -k counts_why_not",
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/verdict_tally.py",
        (
            "whole-sentences-are-found-words",
            "[_WHOLE if is_whole else _FOUND]",
            "[_FOUND]",
            "test_verdict_tally.py -k words",
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/outcome.py",
        (
            "words-without-a-note",
            "if words := tally.describe_words():",
            "if words := '':",
            f"{TESTS} -k counts_why_not",
        ),
    ),
    *mutants_of(
        "benchmarks/real_judge_log.py",
        (
            "words-of-first-reason-only",
            "if not spans:",
            "if missing:",
            "test_real_judge_log.py",
        ),
    ),
]
