"""Faults in the decisions about pairs: the file, the build, the pages."""

from __future__ import annotations

from mutant_rows import mutants_of

DROPS = "test_pair_reviews.py -k"
PAGES = "test_desk_pairs.py -k"
WEB = "test_desk_pairs_web.py -k"

DESK_PAIRS = [
    *mutants_of(
        "formats/reviews/pair_log.py",
        (
            "pair-drops-order-of-the-file-counts",
            "return (made, self.line, self.review.id)",
            "return (datetime.min.replace(tzinfo=UTC), self.line, self.review.id)",
            f"{DROPS} any_order",
        ),
        (
            "pair-drops-one-keep-takes-all-drops-back",
            'if review.action == "drop"]',
            'if review.action == "drop" and len({*map(str, decisions)}) == 1]',
            f"{DROPS} any_drop_drops",
        ),
        (
            "pair-drops-question-of-the-pair-forgotten",
            "pair.question_id or pair.id,",
            "pair.question_id,",
            f"{DROPS} told_apart",
        ),
        (
            "pair-drops-cut-off-row-kept",
            "moved = move_cut_off_end(path)",
            "moved = 0",
            f"{DROPS} cut_off",
        ),
    ),
    *mutants_of(
        "dataset_builder/dropped_pairs.py",
        (
            "pair-drops-response-of-a-kept-pair-unused",
            "if name not in in_pairs",
            "if name",
            f"{DROPS} any_order",
        ),
        (
            "pair-drops-question-left-in",
            "dropped=None if kept else Unused.BY_PEOPLE",
            "dropped=None",
            f"{DROPS} without_a_pair",
        ),
        (
            "pair-drops-second-person-unused",
            "num_used=sum(dropped[key] for key in used)",
            "num_used=len(used)",
            f"{DROPS} counts_drops",
        ),
    ),
    *mutants_of(
        "dataset_builder/input_index.py",
        (
            "pair-drops-drops-counted-in-each-shard",
            "if not falls_to(self._shard, review.question_id):",
            "if False:",
            f"{DROPS} shards",
        ),
        (
            "pair-drops-forgotten-person-drops",
            "if self._forgotten.has_person(review.who) or any(",
            "if any(",
            f"{DROPS} forget",
        ),
    ),
    *mutants_of(
        "dataset_builder/build.py",
        (
            "pair-drops-name-of-the-file-published",
            "| dict.fromkeys(inputs.pair_reviews, PAIR_REVIEWS_NAME),",
            ",",
            f"{DROPS} counts_drops",
        ),
    ),
    *mutants_of(
        "maskdpo/forgetting/rows.py",
        (
            "pair-drops-decision-about-a-response-stays",
            "if values.keys() >= _SIDE_IDS:",
            "if False:",
            f"{DROPS} forget",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/pairs/places.py",
        (
            "pair-drops-row-group-from-its-end",
            "first = self._ends[group - 1] if group else 0",
            "first = self._ends[group - 1] if group > 1 else 0",
            f"{PAGES} by_its_number",
        ),
        (
            "pair-drops-byte-order-mark",
            "self._starts.append(start)",
            "self._starts.append(start - 3)",
            f"{PAGES} by_its_number",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/pairs/decisions.py",
        (
            "pair-drops-half-a-row-read",
            'complete = data[: data.rfind(b"\\n") + 1]',
            "complete = data",
            f"{PAGES} as_it_grows",
        ),
        (
            "pair-drops-replaced-file-read-on",
            "if stat.st_ino != self._inode or stat.st_size < self._end:",
            "if self._inode < 0:",
            f"{PAGES} as_it_grows",
        ),
        (
            "pair-drops-equal-decision-repeated",
            "if mine is not None and (mine.action, mine.note) == (review.action, review.note):",
            "if False:",
            f"{PAGES} seen_by_others",
        ),
        (
            "pair-drops-decisions-in-the-data-set",
            "(inside[-1] if inside else pairs).resolve().parent",
            "pairs.resolve().parent",
            f"{PAGES} never_in_a_data_set",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/pairs/pair_desk.py",
        (
            "pair-drops-another-pair-dropped",
            "if pair is None or _name_key(key_of_pair(pair)) != key:",
            "if pair is None:",
            f"{PAGES} after_a_build",
        ),
        (
            "pair-drops-drop-of-another-taken-back",
            "if drop is None or drop.who != who:",
            "if drop is None:",
            f"{PAGES} after_a_build",
        ),
        (
            "pair-drops-old-rows-shown",
            "if found == self._signature:",
            "if found:",
            f"{PAGES} after_a_build",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/web/pairs_routes.py",
        (
            "pair-drops-any-action",
            'if action not in ("drop", "keep") or len(note) > MAX_NOTE_CHARS:',
            "if len(note) > MAX_NOTE_CHARS:",
            f"{WEB} needs_the_sessions",
        ),
        (
            "pair-drops-of-annotations",
            'if source is None or source.files.kind != "pairs":',
            "if source is None:",
            f"{WEB} address_that_is_wrong",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/web/templates/pairs_parts.html.jinja",
        (
            "pair-drops-text-as-markup",
            "{%- else -%}{{ words }}{%- endif -%}",
            "{%- else -%}{{ words|safe }}{%- endif -%}",
            f"{WEB} markup",
        ),
    ),
]
