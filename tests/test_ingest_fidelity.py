"""The benchmark of ingest: its judge takes right renderings and no mangled one; ours keeps all."""

import re

import pytest
from ingest_documents import Numbers, as_runs, cell, field, heading, item, plain, says
from ingest_fidelity import READERS, Reading, find_installed, judge, make_documents, measure

SEEDS = (0, 1, 2)
TEMPLATE = re.compile(r"\{[\^_\[/]")


def judged(fact, text, **fields):
    return judge(fact, Reading(text=text, fields=fields or None))


def with_carets(template):
    return "".join(
        f"{'^' if kind == '^' else '_'}{{{text}}}" if kind else text
        for kind, text in as_runs(template)
    )


@pytest.mark.parametrize(
    ("fact", "text", "outcome"),
    [
        (says("about 10{^5} cells"), "It held about 10⁵ cells.", "right"),
        (says("about 10{^5} cells"), "It held about 10^5\ncells.", "right"),
        (says("about 10{^5} cells"), "It held about $10^{5}$ cells.", "right"),
        (says("about 10{^5} cells"), "It held about 105 cells.", "changed"),
        (says("about 10{^5} cells"), "It held about 10 5 cells.", "changed"),
        (says("about 10{^5} cells"), "It held cells.", "lost"),
        (says("in 1950{[1,2]} people"), "in 1950 [1,2] people", "right"),
        (says("in 1950{[1,2]} people"), "in 1950¹,² people", "right"),
        (says("in 1950{[1,2]} people"), "in 1950^{1,2} people", "right"),
        (says("in 1950{[1,2]} people"), "in 1950[[1]](#c1)[[2]](#c2) people", "right"),
        (says("in 1950{[1,2]} people"), "in 19501,2 people", "changed"),
        (says("in 1950{[1,2]} people"), "in 1950 1, 2 people", "changed"),
        (says("log{_10}5 is"), "log₁₀5 is", "right"),
        (says("log{_10}5 is"), "log_{10} 5 is", "right"),
        (says("log{_10}5 is"), "log105 is", "changed"),
        (says("5 m{^2~} wide"), "5 m2 wide", "right"),
        (says("is {/3|4} of"), "is 3/4 of", "right"),
        (says("is {/3|4} of"), "is 34 of", "changed"),
        (says("is 2*3*4 m"), r"is 2\*3\*4 m", "right"),
        (says("is 2*3*4 m"), "is 234 m", "changed"),
        (says("p<0.05 in"), "p&lt;0.05 in", "right"),
        (says("p<0.05 in"), "p in", "lost"),
        (says("5 mg"), "15 mg or 2.5 mg", "lost"),
        (says("a well-known doctor", never=["wellknown"]), "a well-\nknown doctor", "right"),
        (says("a well-known doctor", never=["wellknown"]), "a wellknown doctor", "changed"),
        (says("建于1950年{[1]}，当时"), "建于 1950 年¹，当时", "right"),
        (says("建于1950年{[1]}，当时"), "建于1950年1，当时", "changed"),
        (heading("1.2 Methods"), "## 1.2 Methods\n\nText.", "right"),
        (heading("1.2 Methods"), "1.2\tMethods\nText.", "right"),
        (heading("1.2 Methods"), "Methods\nText.", "lost"),
        (heading("1.2 Methods"), "1.2 Methods Text goes on.", "lost"),
        (item(7, "Lima"), "7. Lima came", "right"),
        (item(7, "Lima"), "7) Lima came", "right"),
        (item(7, "Lima"), "1. Lima came", "changed"),
        (item(7, "Lima"), "17. Lima came", "changed"),
        (item(7, "Lima"), "- Lima came", "lost"),
        (item("c", "Lima"), "3. Lima came", "changed"),
        (cell("Oslo", "12", "People"), "| Town | People |\n|--|--|\n| Oslo | 12 |", "right"),
        (cell("Oslo", "12", "People"), "Town: Oslo; People: 12", "right"),
        (cell("Oslo", "12", "People"), "Town\tPeople\nOslo\t12", "right"),
        (cell("Oslo", "12", "People"), "| Town | People |\n| Oslo | | 12 |", "changed"),
        (cell("Oslo", "12", "People"), "| Oslo |\n| 12 |", "lost"),
        (cell("Oslo", "10{^5}"), "| Oslo | 105 |", "changed"),
    ],
)
def test_a_right_rendering_is_right_and_a_mangled_one_is_not(fact, text, outcome):
    assert judged(fact, text) == outcome


def test_a_field_is_right_as_it_is_written_or_where_the_text_keeps_it():
    fact = field("title", "007")
    assert judged(fact, "Text.", title="007") == "right"
    assert judged(fact, "Text.", title="7") == "changed"
    assert judged(fact, "---\ntitle: 007\n---\nText.") == "right"
    assert judged(fact, "Text.") == "lost"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_template_is_right_when_kept_and_not_when_its_marks_are_dropped(seed):
    checked = 0
    for document in make_documents(seed):
        for fact in document.facts:
            if fact.scope != "text" or not TEMPLATE.search(fact.states) or "{/" in fact.states:
                continue
            kept = f"Before, {with_carets(fact.states)}; after"
            assert judged(fact, kept) == "right", (document.name, fact.states)
            if "~}" not in fact.states:
                mangled = f"Before, {plain(fact.states)}; after"
                assert judged(fact, mangled) == "changed", (document.name, fact.states)
            checked += 1
    assert checked > 80


def test_the_documents_are_many_differ_by_seed_and_are_the_same_for_one():
    one, again, other = make_documents(0), make_documents(0), make_documents(5)
    assert [document.data for document in one] == [document.data for document in again]
    assert all(a.data != b.data for a, b in zip(one, other, strict=True))
    assert len(one) >= 60 and sum(len(document.facts) for document in one) >= 400
    assert sum(document.name.endswith("-zh") for document in one) >= 15
    assert len({(document.format_name, document.name) for document in one}) == len(one)


def test_numbers_of_a_document_differ():
    numbers = Numbers("a seed")
    years = [numbers.year() for _ in range(50)]
    assert len(set(years)) == len(years)


@pytest.mark.parametrize("format_name", ["html", "md", "txt", "pdf", "docx"])
def test_our_reader_changes_and_loses_no_planted_fact(format_name, capsys):
    (ours,) = [reader for reader in find_installed(READERS[:1]) if reader.name == "ours"]
    for seed in SEEDS:
        row = measure(ours, format_name, make_documents(seed, [format_name]), show=True)
        shown = capsys.readouterr().out
        assert (row.outcomes["changed"], row.outcomes["lost"]) == (0, 0), shown
        assert row.outcomes["right"] > 0
