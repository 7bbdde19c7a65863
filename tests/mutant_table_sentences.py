"""Faults in how sentences are found: the rules of each language, lettered lists, quotations."""

from __future__ import annotations

from mutant_rows import mutants_of

CASES = "test_sentences.py -k hard_cases"
OF_THE_LANGUAGE = "test_sentences.py -k rules_are_those"
LETTERED = "test_sentences.py -k lettered"

SENTENCES = [
    *mutants_of(
        "annotator/text/rules/base.py",
        ("dotnet-is-an-end", "        return False  # .NET, .5", "        pass", CASES),
        ("no-rates", "    if _RATE.search(near):", "    if False:", CASES),
        ("a-year-is-a-number", 'not _YEAR.fullmatch(match["number"])', "True", CASES),
        (
            "any-short-word-is-a-unit",
            "return unit.lower() in UNITS or not",
            "return True or not",
            CASES,
        ),
        ("closers-hide-the-next-word", "{0,8}", "{0,0}", CASES),
        (
            "no-word-without-vowels",
            "        len(word) > 1\n        and word[1:].islower()",
            "        False and word[1:].islower()",
            CASES,
        ),
        (
            "file-names-are-ends",
            "    if not (is_plain and",
            "    if False and not (is_plain and",
            CASES,
        ),
        (
            "numbers-keep-what-touches",
            "return True if in_prose and follows else None",
            "return None",
            CASES,
        ),
        (
            "window-without-bound",
            "_BEFORE_CHARS = 60",
            "_BEFORE_CHARS = 6000",
            "test_sentences.py -k bounded",
        ),
    ),
    *mutants_of(
        "annotator/text/rules/english.py",
        (
            "titles-end",
            "    if stop.low in NEVER_LAST or",
            "    if False and stop.low in NEVER_LAST or",
            CASES,
        ),
        ("streets-never-end", "    if stop.low in _STREETS and", "    if False and", CASES),
        ("references-end", "    if _is_reference(stop):", "    if False:", CASES),
        (
            "small-letters-prove-nothing",
            "        return _judge_before_small(stop)",
            "        return None",
            CASES,
        ),
        ("chat-is-joined", " in _SMALL_STARTERS:", " in ():", CASES),
        (
            "measures-do-not-end",
            "    if is_measure(stop):\n        return _judge_measure",
            "    if False:\n        return _judge_measure",
            CASES,
        ),
        ("law-reports-end", "        return False  # 123 F. Supp. 2d 456", "        pass", CASES),
        ("directions-end", "    return stop.word not in _DIRECTIONS", "    return True", CASES),
        (
            "letters-are-initials",
            "    if previous in _LETTERED or",
            "    if False and previous or",
            CASES,
        ),
        ("i-is-an-initial", '    if stop.word == "I" and', "    if False and", CASES),
        (
            "starters-are-surnames",
            "    if stop.starter in _STARTERS and stop.starter not in",
            "    if False and stop.starter not in",
            CASES,
        ),
        (
            "initials-end",
            "    if stop.word.isupper():\n        return False",
            "    if stop.word.isupper():\n        return True",
            CASES,
        ),
        (
            "zones-after-an-end",
            "        return stop.next_word.lower() not in _NAMED_ZONES",
            "        return True",
            CASES,
        ),
        ("eras-lead-on", "or (stop.low in _ERAS and stop.previous.isdigit())", "", CASES),
        ("doses-lead-on", "    return stop.word.islower() or", "    return", CASES),
        (
            "journals-end",
            "    if stop.low in _LEADS_ON:\n        return False",
            "    if stop.low in _LEADS_ON:\n        return True",
            CASES,
        ),
        (
            "file-names-lead-on",
            '    return True if "." in stop.word and',
            "    return True if False and",
            CASES,
        ),
    ),
    *mutants_of(
        "annotator/text/rules/french.py",
        ("french-titles-end", "    if stop.low in _NEVER_LAST and", "    if False and", CASES),
        (
            "french-era-ends",
            "        return stop.starter in _STARTERS",
            "        return True",
            CASES,
        ),
        ("french-references-end", "    if stop.following.isdigit() and", "    if False and", CASES),
        (
            "french-etc-ends",
            "        return False if short or",
            "        return False if False and short or",
            CASES,
        ),
    ),
    *mutants_of(
        "annotator/text/rules/german.py",
        (
            "german-ordinals-end",
            "    return False if stop.previous.lower() in _BEFORE_ORDINALS else None",
            "    return None",
            CASES,
        ),
        ("german-nouns-prove-nothing", " or stop.next_word.lower() in _ORDERED:", ":", CASES),
        (
            "german-starters-prove-nothing",
            "        return not _leads_on(stop)",
            "        return None",
            CASES,
        ),
        (
            "german-days-end",
            "        return False if _DAY_BEFORE_MONTH",
            "        return None if _DAY_BEFORE_MONTH",
            CASES,
        ),
        ("german-years-are-ordinals", "    if len(stop.word) > 3 and", "    if False and", CASES),
        (
            "german-references-end",
            "        return False  # S. 5, Hauptstr. 5",
            "        return True",
            CASES,
        ),
        (
            "german-pairs-end",
            "    if _PAIR_OF_LETTERS.search(stop.before):\n        return False",
            "    if _PAIR_OF_LETTERS.search(stop.before):\n        return True",
            CASES,
        ),
    ),
    *mutants_of(
        "annotator/text/rules/cjk.py",
        (
            "speaker-after-a-colon",
            'return not before.rstrip().endswith(("：", ":"))',
            "return True",
            CASES,
        ),
        ("no-speaker-in-japanese", '"ja": _JAPANESE', '"jp": _JAPANESE', CASES),
        ("no-speaker-in-chinese", '"zh": _CHINESE', '"cn": _CHINESE', CASES),
        ("nobody-speaks", "没沒不无無，。！？", "，。！？", CASES),
        ("whoever-knows-speaks", "嘲]道", "嘲知]道", CASES),
    ),
    *mutants_of(
        "annotator/text/rules/languages.py",
        (
            "english-for-all",
            "_JUDGES.get(self.language, english.judge)",
            "english.judge",
            OF_THE_LANGUAGE,
        ),
        ("region-hides-the-language", '.split("-")[0]', "", OF_THE_LANGUAGE),
    ),
    *mutants_of(
        "annotator/text/boundaries.py",
        (
            "rules-add-nothing",
            "            yield match.end()\n\n\ndef find_own",
            "            pass\n    yield from ()\n\n\ndef find_own",
            CASES,
        ),
        ("rules-take-nothing-away", "limit=limit) is not False", "limit=limit) is not 0", CASES),
        (
            "rules-inside-a-quotation",
            "        if inside is not None and inside.start() < match.start():",
            "        if False:",
            "test_sentences.py -k inside_a_quotation",
        ),
        (
            "comma-after-an-end",
            '    if view[end : end + 1] in (",", "，", "、"):',
            "    if False:",
            CASES,
        ),
        ("no-emoticon", "        return True\n    last", "        pass\n    last", CASES),
    ),
    *mutants_of(
        "annotator/text/splitters.py",
        ("wide-spaces", '_SPACE.sub(" ", text)', "text", "test_sentences.py -k wide_space"),
    ),
    *mutants_of(
        "annotator/text/blocks.py",
        (
            "any-letter-is-an-item",
            "if near and index - near[0] <= _MAX_LINES_APART:",
            "if near:",
            LETTERED,
        ),
        (
            "lone-letters-in-a-list",
            "elif value == 1 and above is not None and",
            "elif value == 99 and above and",
            LETTERED,
        ),
        (
            "not-indented-under",
            "is_item is not None and _indent(line) > _indent(above)",
            "is_item is not None",
            LETTERED,
        ),
        (
            "no-roman-marks",
            "        values = [_ROMAN[letter] for letter in small]",
            "        values = [0 for letter in small]",
            CASES,
        ),
        (
            "letters-in-any-order",
            "last.get((kind, value - 1))",
            "last.get((kind, value - 2))",
            CASES,
        ),
    ),
    *mutants_of(
        "schemas/text/scripts.py",
        (
            "han-without-extension-a",
            'HAN = "\\u3400-\\u9fff',
            'HAN = "\\u4e00-\\u9fff',
            "test_scripts.py -k ideograph",
        ),
        (
            "the-middle-dot-is-japanese",
            "\\u3041-\\u3096\\u30a1-\\u30fa",
            "\\u3041-\\u3096\\u30a1-\\u30ff",
            "test_scripts.py -k range",
        ),
        (
            "korean-without-spaces",
            '"\\u2e80-\\u312f\\u3190-',
            '"\\u2e80-',
            "test_scripts.py -k range",
        ),
    ),
]
