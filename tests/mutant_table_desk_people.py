"""Faults in the pages of runs, lists, people and conflicts of the review desk."""

from __future__ import annotations

from mutant_rows import mutants_of

QUERY = "test_desk_list_query.py"
WORK = "test_desk_people_work.py -k"
PAGES = "test_desk_people_pages.py -k"

IN_PEOPLE = [
    *mutants_of(
        "maskdpo/desk/web/filter_query.py",
        ("desk-query-seed-lost", 'pairs.append(("seed", str(filter.seed)))', "pass", QUERY),
        ("desk-query-unknown-ignored", "if name not in PARAMETERS:", "if False:", QUERY),
    ),
    *mutants_of(
        "maskdpo/desk/people/assignment.py",
        ("desk-second-is-first", "self._reader(response_id, 1)", "self._reader(response_id, 0)",
         f"{WORK} another_second"),
    ),
    *mutants_of(
        "maskdpo/desk/people/pace.py",
        ("desk-breaks-counted", "if gap <= BREAK", "if gap", f"{WORK} breaks"),
    ),
    *mutants_of(
        "maskdpo/desk/people/progress.py",
        ("desk-withdrawn-counted", "self._withdrawn.add(taken)", "pass", f"{WORK} withdrawn"),
        ("desk-torn-line-read", 'end = block.rfind(b"\\n") + 1', "end = len(block)",
         f"{WORK} follows_the_file"),
    ),
    *mutants_of(
        "maskdpo/desk/people/resolving.py",
        ("desk-resolution-names-nothing", "resolves=list(dispute.resolved_ids)", "resolves=[]",
         f"{WORK} one_side"),
    ),
    *mutants_of(
        "maskdpo/desk/web/list_routes.py",
        ("desk-list-shows-judge", "judge=row.label if seen.judge else None", "judge=row.label",
         f"{PAGES} blind_list"),
        ("desk-list-confidence", "confidence=row.confidence if seen.judge else None",
         "confidence=row.confidence", f"{PAGES} blind_list"),
    ),
    *mutants_of(
        "maskdpo/desk/web/people_routes.py",
        ("desk-old-conflict-decided", "dispute is None or dispute.key != form.key",
         "dispute is None", f"{PAGES} changed_since"),
    ),
]  # fmt: skip
