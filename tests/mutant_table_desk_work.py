"""Faults in what the review desk offers to each person, and in figures of people and judge."""

from __future__ import annotations

from mutant_rows import mutants_of

OFFER = "test_desk_assignment.py -k"
WORK = "test_desk_people_work.py -k"
PAGES = "test_desk_people_pages.py -k"

IN_WORK = [
    *mutants_of(
        "maskdpo/desk/people/work.py",
        ("desk-second-share-all", "& twice", "", f"{OFFER} first_reader"),
        ("desk-list-of-all", "and wanted.everyone)", "and True)", f"{OFFER} first_reader"),
    ),
    *mutants_of(
        "maskdpo/desk/index/columns.py",
        ("desk-unreviewed-tells", "mask &= (self.num_people == 0) | second",
         "mask &= self.num_people == 0", f"{OFFER} same_pages"),
    ),
    *mutants_of(
        "maskdpo/desk/index/index.py",
        ("desk-second-not-offered", "(self.columns.num_people == 0) | self._second(who)",
         "self.columns.num_people == 0", f"{OFFER} same_pages"),
        ("desk-not-blind-compared", "chosen = person.blind & (person.own >= 0)",
         "chosen = person.own >= 0", f"{OFFER} blind_decisions"),
    ),
    *mutants_of(
        "maskdpo/desk/web/reading_routes.py",
        ("desk-next-is-decided", "after, open_only=True, mine=offered", "after, open_only=True",
         f"{OFFER} goes_on"),
    ),
    *mutants_of(
        "maskdpo/desk/reading/act.py",
        ("desk-correction-forgets", "return list(here[-1].resolves) if here else ()", "return ()",
         f"{PAGES} resolves_again"),
    ),
    *mutants_of(
        "maskdpo/desk/people/agreement.py",
        ("desk-kappa-transposed", "* len(_ALL) + two[chosen]", "* len(_ALL) + one[chosen]",
         f"{WORK} scikit"),
    ),
]  # fmt: skip
