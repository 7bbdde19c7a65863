"""Where a document says a quote: form does not matter, every sign, digit and letter does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.judging.evidence.quotes import MAX_FINDINGS, QuoteFinder


def said(quote: str, document: str) -> list[str]:
    """What the document says at each place where the quote was found."""
    found = QuoteFinder().find_all(quote, [document])
    return [" ... ".join(document[place.start : place.end] for place in one) for one in found]


# Each document says something else than the quote, by one sign, unit, digit, letter or word.
DIFFERENT = [
    # signs and comparisons
    ("falls to 20 degrees", "The air falls to -20 degrees."),
    ("falls to 20 degrees", "The air falls to −20 degrees."),
    ("20 degrees at night", "It was −20 degrees at night."),
    ("20 degrees at night", "It was minus 20 degrees at night."),
    ("-20 degrees at night", "It was 20 degrees at night."),
    ("falls to -20 degrees", "The air falls to 20 degrees."),
    ("x < 5 holds for every patient", "Here x > 5 holds for every patient."),
    ("x = 5 holds for every patient", "Here x ≠ 5 holds for every patient."),
    ("x ≤ 5 holds for every patient", "Here x < 5 holds for every patient."),
    ("5 holds for every patient", "Here x < 5 holds for every patient."),
    ("a length of 7 ± 2 words", "It has a length of 7 + 2 words."),
    ("a length of 7", "It has a length of 7 ± 2 words."),
    ("5 percent of them", "Only .5 percent of them came."),
    # currencies, shares, units
    ("a loss of $5 million", "It made a loss of €5 million."),
    ("a loss of £5 million", "It made a loss of ¥5 million."),
    ("a loss of 5 million", "It made a loss of €5 million."),
    ("5 million was lost", "In all € 5 million was lost."),
    ("5 million was lost", "In all EUR 5 million was lost."),
    ("the price fell by 5", "Then the price fell by 5%."),
    ("the price fell by 5", "Then the price fell by 5 %."),
    ("the price fell by 5", "Then the price fell by 5 percent."),
    ("the price fell by 5 %", "Then the price fell by 5 ‰."),
    ("the price fell by 5 %", "Then the price fell by 5 pp."),
    ("the price fell by 5", "Then the price fell by 5 pp last year."),
    ("a loss of 5", "It made a loss of 5 million."),
    ("million people live there", "Some 5 million people live there."),
    ("it was 20 °C outside", "At noon it was 20 °F outside."),
    ("it was 20 ℃ outside", "At noon it was 20 ℉ outside."),
    ("it was 20", "At noon it was 20 °C outside."),
    ("take 5 mg daily", "Patients take 5 µg daily."),
    ("take 5", "Patients take 5 mg daily."),
    ("it makes 5 MW of power", "The plant says it makes 5 mW of power."),
    ("a bar 5' long", 'He has a bar 5" long.'),
    ("it met at 10:30", "The council says it met at 10:30 pm."),
    ("it met at 10:30", "The council says it met at 10:31."),
    ("he died in 44", "They say he died in 44 BC."),
    # numbers and their parts
    ("there are 10² of them", "Here there are 102 of them."),
    ("there are 102 of them", "Here there are 10² of them."),
    ("there are 10", "Here there are 10² of them."),
    ("there are 10 2 of them", "Here there are 10² of them."),
    ("in 1990 it opened", "Then in 1991 it opened."),
    ("900 m of rope", "They took 1,900 m of rope."),
    ("900 m of rope", "They took 1 900 m of rope."),
    ("they took 1", "Then they took 1,900 m of rope."),
    ("it needs Python 3.1", "Note that it needs Python 3.1.4 to run."),
    ("it weighs 3,5 tons", "The car says it weighs 3.5 tons."),
    ("it weighs 3", "Here it weighs 3,5 tons."),
    ("between the ages of 5", "It is for those between the ages of 5-10."),
    ("10 years of age", "It is for those 5-10 years of age."),
    ("10 years of age", "It is for those 5–10 years of age."),
    ("in nineteen ninety", "It was built in nineteen ninety-five."),
    ("in nineteen ninety", "It was built in nineteen ninety five."),
    ("two hundred came", "They say two thousand came."),
    ("the church has two", "In all the church has two hundred seats."),
    # names and other words by one letter
    ("appealed by Johansson", "The case was appealed by Johanssen."),
    ("appealed by Johansson", "The case was appealed by Bohansson."),
    ("moved to Mariupol", "The family moved to Mariupal."),
    ("moved to mariupol", "THE FAMILY MOVED TO MARIUPAL."),
    ("he was an immoral leader", "They say he was an immortal leader."),
    ("a case of hyperglycemia", "It was a case of hypoglycemia."),
    ("the Karlstrom river", "Here flows the Karlström river."),
    ("Brien wrote it", "In 1950 O'Brien wrote it."),
    # names of substances, kinds and versions
    ("the hepatitis virus", "It is the hepatitis A virus."),
    ("infected with hepatitis", "She was infected with hepatitis A."),
    ("a veteran of World War", "He was a veteran of World War II."),
    ("the IL-2 receptor", "We studied the IL-12 receptor."),
    ("the IL-2 receptor", "We studied the IL-2R receptor."),
    ("2 receptor is bound", "Here the IL-2 receptor is bound."),
    ("the mRNA of the cell", "It reads the tRNA of the cell."),
    ("Na is transported", "In the cell Na+ is transported."),
    ("the uptake of Na", "It blocks the uptake of Na+."),
    ("Ca2 is transported", "In the cell Ca2+ is transported."),
    ("Ca2+ is transported", "In the cell Ca+ is transported."),
    ("the ion Cl", "Here is the ion Cl- again."),
    ("it is written in C", "Sources show it is written in C++."),
    ("it is a toxic gas", "They say it is a non-toxic gas."),
    ("toxic gas fills it", "A non-toxic gas fills it."),
    ("a long term effect", "It is a long-term effect."),
    ("in the long", "It will pay in the long-term."),
    ("a speed of 60 km", "It has a speed of 60 km/h."),
    # negations
    ("is recommended for children", "It is not recommended for children."),
    ("recommended for children", "It is not recommended for children."),
    ("recommended for children", "It isn't recommended for children."),
    ("It isn't recommended", "It is recommended."),
    ("recommended for children", "It has never been recommended for children."),
    ("the largest city of the land", "It is not the largest city of the land."),
    ("The drug was", "The drug was not approved."),
    ("The drug can", "The drug can't be sold."),
    ("No drug was approved", "No, drug was approved"),
    ("survived the wreck", "Nobody survived the wreck."),
    ("survived the wreck", "No passenger survived the wreck."),
    ("It lost 5 million", "It lost 5 million euros."),
    ("a pressure of 120", "It has a pressure of 120 mmHg."),
    ("$40 per ton", "It costs C$40 per ton."),
    ("$5 million", "It lost US$5 million."),
    ("It weighs 1,250", "It weighs 1,250 kilograms."),
    ("It runs for forty", "It runs for forty miles."),
    ("公司亏损了4亿", "公司亏损了4亿欧元。"),
    ("大桥全长1200", "大桥全长1200公里。"),
    ("survived the wreck", "No one survived the wreck."),
    ("crew survived the wreck", "None of the crew survived the wreck."),
    ("überlebte das Unglück", "Niemand überlebte das Unglück."),
    ("幸存于海难", "无人幸存于海难。"),
    ("Das Mittel hilft", "Das Mittel hilft nicht."),
    ("王明是医生", "王明不是医生。"),
    ("是一名医生", "王明不是一名医生。"),
    ("成年人可以购买", "未成年人可以购买。"),
    ("推荐儿童使用", "本品不推荐儿童使用。"),
    ("药物可以治愈", "并非药物可以治愈。"),
    ("the bridge is safe", "It is not true that the bridge is safe."),
    ("the bridge is safe", "The mayor denied that the bridge is safe."),
    ("swim across the Aram", "He was unable to swim across the Aram."),
    ("5度左右", "气温在负5度左右。"),
    ("儿童使用本品", "不得儿童使用本品。"),
    ("有证据表明", "没有证据表明。"),
    ("薬を飲み", "薬を飲みません。"),
    # Chinese numbers and characters
    ("一九九", "出生于一九九五年。"),
    ("人口约二十", "当地人口约二十五人。"),
    ("人口约5", "当地人口约5万人。"),
    ("他买了灰猫", "他买了黑猫。"),
    ("气温为20度", "气温为-20度。"),
    ("20度左右", "气温零下20度左右。"),
    # articles that are more than articles
    ("few people came", "Only a few people came."),
    ("the winner of the prize is known", "a winner of the prize is known"),
    ("an a winner of the Halden Prize", "and winner of the Halden Prize"),
    # elisions
    ("The drug is ... recommended for use", "The drug is not recommended for use."),
    ("The drug is ... recommended for use", "The drug is now not yet widely recommended for use."),
    ("Ada sailed ... Ada was born", "Ada was born. Ada sailed."),
]


@pytest.mark.parametrize(("quote", "document"), DIFFERENT)
def test_what_differs_in_content_is_not_found(quote, document):
    assert said(quote, document) == []


# Each document says the quote; what was found is given where it is not the quote itself.
SAME = [
    ("-20 degrees at night", "It was −20 degrees at night.", "−20 degrees at night"),
    ("falls to -20 degrees", "The air falls to −20 degrees.", "falls to −20 degrees"),
    ("x<5 holds", "If x < 5 holds, stop.", "x < 5 holds"),
    ("US$5 million in May", "It lost US$5 million in May.", "US$5 million in May"),
    ("a loss of $ 5 million", "It made a loss of $5 million.", "a loss of $5 million"),
    ("20 °C outside", "It was about 20℃ outside.", "20℃ outside"),
    ("5 mg daily", "Take 5mg daily.", "5mg daily"),
    ("5 MG daily", "Take 5 MG daily.", "5 MG daily"),
    ("the war - as it was -", "It was the war — as it was — of 1900.", "the war — as it was"),
    ("which was long", "It was the war—which was long—of 1900.", "which was long"),
    ("2013年1月，他来了。", "她走了”。2013年1月，他来了。", "2013年1月，他来了。"),
    ("She left.", "She left. He came.", "She left."),
    ("She left!", "She left. He came.", "She left"),
    ("the largest of all", "- the largest of all", "the largest of all"),
    ("in 1990 two men died", "There in 1990 two men died.", "in 1990 two men died"),
    ("In 1990", "In 1990 two men died.", "In 1990"),
    ("survived the wreck", "No doubt survived the wreck.", "survived the wreck"),
    ("成立于1990", "公司成立于1990年。", "成立于1990"),
    ("It has 12", "It has 12 arches.", "It has 12"),
    ("from 1990 to 1995", "It ran (from 1990 to 1995).", "from 1990 to 1995"),
    ("CO2 levels rose", "Here CO₂ levels rose.", "CO₂ levels rose"),
    ("don’t know", "They do n't know.", "do n't know"),
    ("the ﬁnal of 1990", "He lost the final of 1990.", "the final of 1990"),
    ("an increase of costs", "It was an in­crease of costs.", "an in­crease of costs"),
    ("the novel '1984' was read", 'There the novel "1984" was read.', 'the novel "1984" was read'),
    ("he read 'Dune' twice", "Then he read “Dune” twice.", "he read “Dune” twice"),
    ("ＡＤＡ １９００", "Then Ada 1900 came.", "Ada 1900"),
    ("Ada Ling's house", "It is Ada Ling’s house.", "Ada Ling’s house"),
    ("Ada Ling", "It is Ada Ling’s house.", "Ada Ling"),
    ("Italie est grande", "L'Italie est grande.", "Italie est grande"),
    ("1,900 people", "About 1,900 people came.", "1,900 people"),
    ("Viagra helps", "Here Viagra® helps.", "Viagra® helps"),
    ("not recommended for children", "It is not recommended for children.", None),
    ("Not everyone left", "He died. Not everyone left.", None),
    ("He died", "He died. Not everyone left.", None),
    ("No", "Answer: No", None),
    ("a ‹b› of text", "Write a <b> of text here.", "a <b> of text"),
    ("王明 不是 医生", "王明不是医生。", "王明不是医生"),
    ("位于北京和上海", "两家公司分别位于北京和上海。", None),
    ("重要的问题", "这是特别重要的问题。", None),
    ("总统曼德拉", "南非总统曼德拉来访。", None),
    ("the bridge is safe", "It is true that the bridge is safe.", None),
    ("the bridge is safe", "There is no doubt that the bridge is safe.", None),
    ("常见的疾病", "这是常见的疾病。", None),
    ("出生于1900年", "王明出生于１９００年。", "出生于１９００年"),
    ("人口约5万", "当地人口约5万人。", None),
    ("สวัสดี", "เขาพูดว่าสวัสดีครับ", None),
    ("won the Halden Prize of 1910", "She won Halden Prize of 1910.", "won Halden Prize of 1910"),
]  # fmt: skip


@pytest.mark.parametrize(("quote", "document", "found"), SAME)
def test_what_differs_in_form_is_found(quote, document, found):
    assert said(quote, document) == [found or quote]


@given(
    st.lists(
        st.sampled_from("Ada Karsted Johansson bakers won 1,900 20 of in".split()), min_size=3
    ),
    st.data(),
)
def test_no_letter_or_digit_of_a_quote_may_be_another(words, data):
    document = " ".join(words) + "."
    assert QuoteFinder().locate(document, [document])
    places = [at for at, letter in enumerate(document) if letter.isalnum()]
    at = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from("qz78"))
    assert QuoteFinder().locate(document[:at] + other + document[at + 1 :], [document]) == []


def test_all_places_are_found_in_order_and_no_more_than_the_most():
    document = "Ada won in 1999. Bo won in 1999. Cy won in 1999."
    starts = [place.start for (place,) in QuoteFinder().find_all("won in 1999", [document])]
    assert starts == [4, 20, 36]
    assert len(said("won in 1999", document * 30)) == MAX_FINDINGS


def test_exact_places_leave_out_those_with_another_article():
    document = "the end of the first war in Europe came. the end of first war in Europe came."
    assert said("the end of first war in Europe", document) == ["the end of first war in Europe"]
    ((place,),) = QuoteFinder().find_all("the end of first war in Europe", [document[:40]])
    assert 0.9 <= place.score < 1


def test_each_beginning_of_an_elided_quote_is_found():
    document = "Ada won a race in the town of Karsted. Bo won a race in the town of Karsted."
    assert len(said("won a race ... town of Karsted", document)) == 2


TEXTS = [
    "Ada was born in the town of Karsted in 1900. "
    "About 1,900 people lived there, now here to be seen.",
    "Bob won the Nobel Prize. Ada, unable to swim, sailed.\nThe sales increased greatly.",
    "王明不是医生，一九零零年出生于北京。他养了三只灰猫。",
]


@pytest.mark.parametrize(
    ("quote", "said"),
    [
        ("Ada was born in the town of Karsted", "Ada was born in the town of Karsted"),
        ("ADA WAS  BORN in the town\nof karsted", "Ada was born in the town of Karsted"),
        ("“Ada was born in the town of Karsted”", "Ada was born in the town of Karsted"),
        ("Ada was born in town of Karsted in 1900", "Ada was born in the town of Karsted in 1900"),
        ("The sales INCREASED greatly!", "The sales increased greatly"),
        ("1900", "1900"),
        ("他养了三只 灰猫", "他养了三只灰猫"),
        ("Ada was born ... in 1900.", "Ada was born"),
    ],
)
def test_quotes_are_found_where_the_documents_say_them(quote, said):
    places = QuoteFinder().locate(quote, TEXTS)
    assert places
    assert TEXTS[places[0].document][places[0].start : places[0].end] == said


@pytest.mark.parametrize(
    "quote",
    [
        "",
        ".",
        "...",
        "a",
        "The sales increasd greatly.",
        "190",
        "Ada was not born in the town of Karsted in 1900.",
        "Ida was born in the town of Karsted in 1900.",
        "Ada was born in the town of Karsted in 1910.",
        "900 people lived there",
        "able to swim, sailed",
        "nowhere to be seen",
        "The sales decreased greatly.",
        "王明是医生，一九零零年出生于北京",
        "王明不是医生，一九一零年出生于北京",
        "Ada was born ... won the Nobel Prize",
        "in 1900. ... Ada was born in the town",
        "1² people lived there",
    ],
)
def test_what_no_document_says_is_not_found(quote):
    assert QuoteFinder().locate(quote, TEXTS) == []


@given(st.text(max_size=60), st.text(max_size=40), st.text(max_size=60))
def test_whatever_is_found_lies_in_the_text(before, quote, after):
    text = before + quote + after
    for place in QuoteFinder().locate(quote, [text]):
        assert 0 <= place.start < place.end <= len(text)
        assert 0.9 <= place.score <= 1.0


def test_accents_in_either_form_are_found():
    text = "E\u0301mile e\u0301tait ne\u0301 a\u0300 Orle\u0301ans."
    (place,) = QuoteFinder().locate("Émile était né à Orléans", [text])
    assert text[place.start : place.end] == text[:-1]
