"""Where a sentence's words occur: the right passage first, exact offsets, common words ignored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from maskdpo.desk.reading.places import Places, words_of
from schemas.records import Document


def find(sentence: str, *texts: str) -> list[tuple[str, str, list[str]]]:
    documents = [Document(id=str(number), text=text) for number, text in enumerate(texts)]
    found = Places().find(sentence, documents)
    return [
        (item.document_id, texts[int(item.document_id)][item.start : item.end],
         [texts[int(item.document_id)][one:two] for one, two in item.words])
        for item in found
    ]  # fmt: skip


def test_the_passage_with_the_rare_words_comes_first() -> None:
    text = (
        "The town has a mill. " * 30
        + "Mira Tolvan was born in Karsted in 1951. "
        + "The town grew. " * 30
    )
    (_, passage, words), *_ = find("Mira Tolvan was born in the town in 1951.", text)
    assert "Mira Tolvan was born in Karsted in 1951" in passage
    assert {"Mira", "Tolvan", "born", "1951"} <= set(words)


def test_words_of_other_cases_and_scripts_are_found() -> None:
    assert find("KARSTED 1951", "born in Karsted, 1951")[0][2] == ["Karsted", "1951"]
    assert find("北京市的人口", "无关。\n北京市人口两千万。")[0][2] == ["北京市", "人口"]
    assert find("موسكو مدينة", "عاصمة روسيا موسكو مدينة كبيرة")[0][2] == ["موسكو", "مدينة"]


def test_function_words_alone_find_nothing() -> None:
    assert find("It was the one of them.", "It was the one of them. " * 5) == []


def test_the_better_document_comes_first_and_passages_do_not_overlap() -> None:
    found = find("Mira keeps two goats", "nothing here", "Mira keeps two goats. Mira keeps bees.")
    assert found[0][0] == "1"
    documents = [Document(id="d", text="Mira keeps goats and goats. " * 50)]
    places = Places().find("Mira keeps goats", documents)
    spans = sorted((item.start, item.end) for item in places)
    assert all(one[1] <= two[0] for one, two in zip(spans, spans[1:], strict=False))


def test_documents_with_one_id_and_other_text_are_not_mixed_up() -> None:
    places = Places()
    first = places.find("Karsted 1951", [Document(id="d", text="Karsted in 1951")])
    second = places.find("Karsted 1951", [Document(id="d", text="in 1951, at Karsted")])
    assert first[0].words[0] == (0, 7)
    assert second[0].words[0] == (3, 7)


@given(st.text(), st.text())
def test_offsets_are_inside_and_words_are_the_words(sentence: str, text: str) -> None:
    wanted = {word for word, _, _ in words_of(sentence)}
    for item in Places().find(sentence, [Document(id="d", text=text)]):
        assert 0 <= item.start < item.end <= len(text)
        for one, two in item.words:
            assert item.start <= one < two <= item.end
            assert {word for word, _, _ in words_of(text[one:two])} & wanted
