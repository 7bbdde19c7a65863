"""What the quotes of a verdict show: located, missing, copied from the response, or too little."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from annotator.judging.evidence.find_evidence import FoundEvidence, find_evidence
from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.judge import JudgeTask
from annotator.judging.protocols.load_prompts import load_prompts
from annotator.judging.protocols.protocol_input import ProtocolInput
from schemas.records import Document, Message, Response

BRIDGE = (
    "The Karsted bridge was opened in 1990 for the traffic of the town. It is 34 metres high and "
    "crosses the river Aram."
)


def find(
    sentence: str,
    quotes: Sequence[str],
    *texts: str,
    title: str = "",
    response: str | None = None,
    language: str = "",
) -> FoundEvidence:
    """The evidence that `quotes` give for `sentence`, which is the whole response by default."""
    whole = response or sentence
    start = whole.index(sentence)
    task = JudgeTask(
        response=Response(
            id="r1",
            question_id="q1",
            prompt=[Message(role="user", content="What is known?")],
            text=whole,
            language=language,
        ),
        sentences=[(start, start + len(sentence))],
        documents=[
            Document(id=f"d{number}", text=text, title=title) for number, text in enumerate(texts)
        ],
    )
    inputs = ProtocolInput(
        task=task, prompts=load_prompts("en"), excerpts=[], own={}, finder=QuoteFinder()
    )
    return find_evidence(quotes, inputs, 0)


def shown(found: FoundEvidence, *texts: str) -> list[str]:
    return [texts[int(item.document_id[1:])][item.start : item.end] for item in found.evidence]


# Quotes that are in the document and say nothing about the sentence.
@pytest.mark.parametrize(
    "quotes",
    [
        ["for the"],
        ["in 1990"],
        ["1990"],
        ["of the town"],
        ["It is"],
        ["Karsted"],
        ["in 1990", "for the"],
        ["for the", "of the town"],
    ],
)
def test_stop_words_years_and_fragments_are_weak(quotes):
    found = find("The Karsted bridge cost nine million crowns.", quotes, BRIDGE)
    assert found.is_weak and found.evidence and not found.missing


def test_a_fabricated_quote_is_recorded_and_stop_words_do_not_stand_in_for_it():
    sentence = "The bridge cost nine million crowns."
    found = find(sentence, [sentence, "for the"], BRIDGE)
    assert found.missing == [sentence] == found.in_response
    assert shown(found, BRIDGE) == ["for the"]
    assert found.is_weak


def test_a_missing_quote_that_nobody_says_is_not_of_the_response():
    found = find("The bridge is high.", ["It cost nine million crowns", "34 metres high"], BRIDGE)
    assert found.missing == ["It cost nine million crowns"]
    assert not found.in_response and not found.is_weak


def test_nothing_quoted_is_empty_and_not_weak():
    for quotes in ([], ["It cost nine million crowns"], ["..."]):
        found = find("The bridge is high.", quotes, BRIDGE)
        assert (found.evidence, found.missing, found.is_weak) == ([], quotes, False)


@pytest.mark.parametrize(
    ("sentence", "quote", "document"),
    [
        ("The bridge opened in 1990.", "opened in 1990", BRIDGE),
        ("The bridge is 40 metres high.", "34 metres high", BRIDGE),
        ("It is high.", "metres high", BRIDGE),
        ("Ada Ling was a baker.", "Ada Ling worked as a baker", "Ada Ling worked as a baker here."),
        ("Ada Ling was born in Oslo.", "born in Oslo", "Ada was born in Oslo in 1900."),
        ("It was in Paris.", "Paris.", "Paris."),
        ("Mira is a sailor.", "She works as a baker", "Mira is old. She works as a baker. Bye."),
        ("It cost nine crowns.", "It opened in 1990.", "It is long. It opened in 1990.\nBye."),
        ("The capital of France is Paris.", "Paris", "Paris."),
        ("he was a pioneer of jazz.", "was a pioneer of jazz", "he was a pioneer of jazz music."),
        ("沈月的小说《河灯》最有名。", "《河灯》最为有名", "她写了三部小说，《河灯》最为有名。"),
        ("王明出生于北京市。", "王明出生于北京", "王明出生于北京，后来去了上海。"),
        ("大桥于2019年通车。", "2019年通车", "青川大桥于2019年通车，全长三公里。"),
        ("東京は日本の首都です。", "東京は日本の首都", "東京は日本の首都であり、大きい。"),
        ("Die Brücke ist hoch.", "Die Brücke ist 34 Meter hoch", "Die Brücke ist 34 Meter hoch."),
        ("서울은 한국의 수도이다.", "서울은 대한민국의 수도", "서울은 대한민국의 수도 도시이다."),
    ],
)
def test_short_quotes_that_say_something_are_enough(sentence, quote, document):
    found = find(sentence, [quote], document)
    assert found.evidence and not found.is_weak


@pytest.mark.parametrize(
    ("sentence", "quote", "document"),
    [
        ("大桥造价九百万元。", "的大桥", "青川的大桥于2019年通车。"),
        ("大桥造价九百万元。", "于2019年", "青川的大桥于2019年通车。"),
        ("大桥于2019年通车。", "于2019年", "青川的大桥于2019年通车。"),
        ("橋は高いです。", "ということ", "高いということは本当です。"),
        ("Die Brücke kostet viel.", "mit der", "Die Stadt mit der Brücke ist alt."),
        ("Le pont coûte cher.", "avec les", "Le pont avec les tours est haut."),
        ("El puente costó mucho.", "en 1990", "El puente se abrió en 1990."),
        ("Most kosztuje dużo.", "w 1990", "Most otwarto w 1990 roku."),
        ("Ada Ling won the race.", "Ada Ling", "Ada Ling lost the race."),
        ("Mira Tolvan is a sailor.", "as a baker", "She works as a baker in Karsted."),
        ("Mira is a sailor.", "In 1990.", "Mira came here. In 1990. Bye."),
        ("The bridge opened on 5 May 1990.", "5 May 1990", "On 5 May 1990 it rained."),
    ],
)
def test_too_little_is_too_little_in_every_language(sentence, quote, document):
    found = find(sentence, [quote], document)
    assert found.evidence and found.is_weak


def test_a_quote_is_located_where_the_document_speaks_of_the_sentence():
    response = "Ada Ling won in 1999. Bo Karst won in 1999."
    document = "The race was old. " + response
    for sentence in ("Ada Ling won in 1999.", "Bo Karst won in 1999."):
        found = find(sentence, ["won in 1999"], document, response=response)
        (place,) = found.evidence
        start = document.index(sentence)
        assert start <= place.start < place.end <= start + len(sentence)


def test_without_a_best_place_there_are_all_of_them():
    texts = ("Ada won in 1999.\nBo won in 1999.", "Cy won in 1999.")
    found = find("She won in 1999.", ["won in 1999"], *texts)
    assert [(item.document_id, item.start) for item in found.evidence] == [
        ("d0", 4),
        ("d0", 20),
        ("d1", 3),
    ]


def test_the_line_counts_where_no_full_stop_is():
    document = "Karsted\n120 seats\nHalden\n120 seats"
    document = "Karsted hall has 120 seats\nHalden hall has 120 seats"
    found = find("The hall of Halden has 120 seats.", ["hall has 120 seats"], document)
    assert shown(found, document) == ["hall has 120 seats"]
    assert found.evidence[0].start > document.index("\n")


def test_a_title_counts_and_has_no_offsets():
    found = find("It is about rivers.", ["Rivers of Aram"], BRIDGE, title="The Rivers of Aram")
    assert (found.evidence, found.missing, found.is_weak) == ([], [], False)
    assert find("It is about rivers.", ["of"], "x", title="Rivers of Aram").is_weak


def test_the_same_quote_twice_is_one_place():
    found = find("It is high.", ["34 metres high", "34 metres high", "34 Metres high"], BRIDGE)
    assert len(found.evidence) == 1


def test_each_part_of_an_elided_quote_is_evidence():
    found = find("It is high.", ["The Karsted bridge ... is 34 metres high"], BRIDGE)
    assert shown(found, BRIDGE) == ["The Karsted bridge", "is 34 metres high"]
