"""Faults in error spans, pieces of sentences and the folders that hold them."""

from __future__ import annotations

from mutant_rows import mutants_of

PIECES = [
    *mutants_of(
        "schemas/error_spans.py",
        (
            "spans-past-the-sentence",
            "(max(span.start, sentence.start), min(span.end, sentence.end))",
            "(span.start, span.end)",
            "test_pieces.py",
        ),
        (
            "space-between-wrong-words",
            "adjoins = places and not text",
            "adjoins = False and not text",
            "test_pieces.py -k cut_trimmed",
        ),
        (
            "final-punctuation-kept",
            "if last.isspace() or last in _FINAL:",
            "if last.isspace():",
            "test_pieces.py -k final_punctuation",
        ),
        (
            "closing-quote-always-goes",
            "last in _CLOSING and end - 1 > start and text[end - 2] in _FINAL",
            "last in _CLOSING",
            "test_pieces.py -k final_punctuation",
        ),
        (
            "percent-is-punctuation",
            'startswith("P") and letter not in _NOT_PUNCTUATION',
            'startswith("P")',
            "test_pieces.py -k final_punctuation",
        ),
        (
            "touching-places-stay-apart",
            "if joined and start <= joined[-1][1]:",
            "if joined and start < joined[-1][1]:",
            "test_pieces.py -k joined_and",
        ),
        (
            "each-piece-a-sentence",
            "if number is None or number != last:",
            "if True:",
            "test_pieces.py",
        ),
        (
            "sentences-without-number-are-one",
            "if number is None or number != last:",
            "if not groups or number != last:",
            "test_build.py test_statistics.py test_validate.py",
        ),
    ),
    *mutants_of(
        "dataset_builder/weights.py",
        (
            "context-trains-at-full-weight",
            'return weight if part == "error" else weight * rest',
            "return weight",
            "test_pieces.py -k rejected_side",
        ),
        (
            "context-without-wrong-words-trains",
            "rest = config.context_weight if has_words else 0.0",
            "rest = config.context_weight",
            "test_pieces.py -k only_punctuation",
        ),
        (
            "sentence-of-marked-punctuation-trains-when-chosen",
            "if is_wrong and has_words and is_sure(",
            "if is_wrong and is_sure(",
            "test_pieces.py -k only_punctuation",
        ),
        (
            "wrong-words-train-when-chosen",
            '    if part == "error":\n        return 0.0\n',
            "",
            "test_pieces.py -k never_train",
        ),
        (
            "faultless-part-never-trains",
            "return max(weight, config.chosen_context_weight",
            "return max(weight, 0.0",
            "test_pieces.py -k may_weigh",
        ),
        (
            "unsure-context-trains",
            " and is_sure(verdict, config.min_confidence):",
            ":",
            "test_pieces.py -k unsure",
        ),
        (
            "marks-outside-the-sentence",
            "if not given_places(sentence):",
            "if not sentence.verdict.error_spans:",
            "test_pieces.py",
        ),
        (
            "no-piece-for-the-end",
            '    if start < end:\n        yield start, end, "context"\n',
            "",
            "test_pieces.py",
        ),
        (
            "space-before-wrong-words-is-context",
            "if text[start:first].strip():",
            "if start < first:",
            "test_pieces.py -k outer_space",
        ),
        (
            "responses-of-punctuation-count-as-others",
            "return faulty and not measure_active(",
            "return False and not measure_active(",
            "test_pieces.py -k punctuation_alone",
        ),
        (
            "active-sentences-are-pieces",
            "num_sentences = len({item.number for item in active})",
            "num_sentences = len(active)",
            "test_pieces.py -k active_sentences",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/manifest.py",
        (
            "pieces-in-format-1",
            "version=None if config.has_pieces else _WITHOUT_PIECES,",
            "version=_WITHOUT_PIECES,",
            "test_pieces.py -k valid",
        ),
        (
            "settings-of-pieces-always-listed",
            "exclude=_OF_PIECES if is_as_before else None",
            "exclude=None",
            "test_pieces.py -k earlier_release",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/piece_faults.py",
        (
            "wrong-words-may-train-on-the-chosen-side",
            'if part == "error" and column.startswith(Side.CHOSEN)',
            'if part == "odd" and column.startswith(Side.CHOSEN)',
            "test_pieces_by_hand.py -k train_on_the_chosen",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/validate_files.py",
        (
            "version-not-compared-with-columns",
            "if has_pieces != expected:",
            "if False:",
            "test_pieces_by_hand.py -k compares_the_version",
        ),
    ),
    *mutants_of(
        "schemas/files/sidecar.py",
        (
            "newer-data-set-is-read",
            'if name.startswith(FORMAT_PREFIX) and "version" in values:',
            "if False:",
            "test_pieces_by_hand.py -k newer_format",
        ),
        (
            "manifest-of-another-tool-refused",
            'if name.startswith(FORMAT_PREFIX) and "version" in values:',
            'if "version" in values:',
            "test_pieces_by_hand.py -k another_tool",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/merge.py",
        (
            "merged-without-pieces",
            "files = _write_rows(manifests, folder, pieces=config.has_pieces)",
            "files = _write_rows(manifests, folder, pieces=False)",
            "test_pieces.py -k merge",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/statistics_counts.py",
        (
            "shares-of-active-characters",
            "_shares(sentences, sizes * wrong, sizes)",
            "_shares(sentences, sizes, sizes)",
            "test_pieces.py -k statistics",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/piece_faults.py",
        (
            "gaps-between-pieces-pass",
            'if before["end"] != piece["start"]:',
            'if before["end"] > piece["start"]:',
            "test_pieces.py -k wrong_with_pieces",
        ),
        (
            "numbers-may-skip",
            'if pieces[0]["sentence"] != expected:',
            'if pieces[0]["sentence"] < expected:',
            "test_pieces.py -k wrong_with_pieces",
        ),
        (
            "a-part-may-be-missing",
            "(part is not None or len(pieces) > 1)",
            "part is not None",
            "test_pieces.py -k wrong_with_pieces",
        ),
    ),
    *mutants_of(
        "dataset_builder/build_counts.py",
        (
            "ignored-spans-not-reported",
            "if config.has_pieces or not num_marked:",
            "if True:",
            "test_pieces.py -k not_used",
        ),
        (
            "mark-outside-its-sentence-counts",
            "bool(given_places(item))",
            "bool(item.verdict.error_spans)",
            "test_pieces.py -k outside_its_ends",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/merge.py",
        (
            "settings-that-differ-not-named",
            "if own != others[name]",
            "if False",
            "test_pieces.py -k another_granularity",
        ),
    ),
    *mutants_of(
        "maskdpo/publishing/model_card.py",
        (
            "model-of-whole-answers-is-mask-dpo",
            'settings.get("use_spans", True) and has_masks',
            'settings.get("use_spans", True)',
            "test_pieces.py -k training",
        ),
    ),
]
