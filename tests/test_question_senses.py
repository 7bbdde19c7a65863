"""Which questions ask for different things though they share nearly all their words."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.sampling.near_questions import find_repeats, is_near, make_shape
from dataset_builder.splits.near_duplicates import NearDuplicates, jaccard
from dataset_builder.splits.prompt_text import character_ngrams
from schemas.text.question_senses import ask_differently, read_senses

ABOUT = "that is known to readers of the chronicle of the town of Karsted on the river Aram"
ABOUT_ZH = "在青川县志和其他史料的记载里，请用自己的话简要说明，"
THRESHOLD = 0.6
# Each in a question long enough that only the words below tell two questions apart.
OPPOSITE = [
    ("Which drugs are recommended in pregnancy", "Which drugs are not recommended in pregnancy"),
    ("Why can the ship sail in winter", "Why can't the ship sail in winter"),
    ("Which houses were built with stone", "Which houses were built without stone"),
    ("Where is the northern border", "Where is the southern border"),
    ("Which is the largest lake", "Which is the smallest lake"),
    ("What was built before the war", "What was built after the war"),
    ("Who was the first mayor", "Who was the second mayor"),
    ("Who was the mayor", "Who was the first mayor"),
    ("What made the prices increase", "What made the prices decrease"),
    ("Why did more people come", "Why did less people come"),
    ("What is the cause of hypotension", "What is the cause of hypertension"),
    ("When is surgery indicated", "When is surgery contraindicated"),
    ("Which weapons are legal", "Which weapons are illegal"),
    ("Which deeds were just", "Which deeds were unjust"),
    ("Which bacteria are harmful", "Which bacteria are harmless"),
    ("Who fought in World War I", "Who fought in World War II"),
    ("Who sang at Super Bowl XLVIII", "Who sang at Super Bowl XLIX"),
    ("1984: who wrote it", "1985: who wrote it"),
    ("3.5 million people lived where", "3.6 million people lived where"),
    ("Who fought in 1914", "Who fought in 1915"),
    ("Who are the three judges", "Who are the four judges"),
    ("Who owned twenty-one mills", "Who owned twenty-two mills"),
    ("What is hepatitis A", "What is hepatitis B"),
    ("Which food has vitamin B12", "Which food has vitamin B6"),
    ("Who wrote in C++", "Who wrote in C#"),
    ("How far is it from Paris to London", "How far is it from London to Paris"),
    ("What was the import of oil", "What was the export of oil"),
    ("What is at the upper left", "What is at the upper right"),
    ("Which drug is an agonist", "Which drug is an antagonist"),
    ("What do sympathetic nerves do", "What do parasympathetic nerves do"),
    ("Which level is normal", "Which level is abnormal"),
    ("What are the risks of surgery", "What are the benefits of surgery"),
    ("Who succeeded the king", "Who preceded the king"),
    ("Why is it rare in winter", "Why is it rare in summer"),
    ("Who was the twenty-first mayor", "Who was the twenty-second mayor"),
]
OPPOSITE_ZH = [
    ("哪些药推荐给孕妇", "哪些药不推荐给孕妇"),
    ("最大的湖是哪一个", "最小的湖是哪一个"),
    ("战争之前发生了什么", "战争之后发生了什么"),
    ("南部的边界在哪里", "北部的边界在哪里"),
    ("第一任县长是谁", "第二任县长是谁"),
    ("上半年的产量是多少", "下半年的产量是多少"),
    ("如何增加人口", "如何减少人口"),
    ("一座桥由谁建成", "二座桥由谁建成"),
    ("一九零三年发生了什么", "一九零四年发生了什么"),
    ("左岸有哪些村庄", "右岸有哪些村庄"),
    ("良性的肿瘤有哪些", "恶性的肿瘤有哪些"),
    ("冬季的气温是多少", "夏季的气温是多少"),
]
SAME = [
    ("Who ran the old mill", "Who has run the OLD mill"),
    ("Who fought in World War II", "Who fought in World War 2"),
    ("Who fought in World War Two", "Who fought in world war ii"),
    ("Who owned 21 mills", "Who owned twenty-one mills"),
    ("Who was the 3rd mayor", "Who was the third mayor"),
    ("Who sold 12,000 barrels", "Who sold 12000 barrels"),
    ("Which one of the mills burned down", "Which of the mills burned down"),
    ("Why do the prices increase", "Why did the prices increased"),
    ("Which birds cannot fly", "Which birds can not fly"),
    ("Where is the northern border", "Where is the north border"),
    ("12. Who ran the mill", "Q307: Who ran the mill"),
    ("Question 3) Who ran the mill", "Who ran the mill"),
    ("Who ran the mill? Answer in three sentences.", "Who ran the mill? Answer in 2 lines."),
    ("Write 100 words on the mill", "Write 200 words on the mill"),
]
SAME_ZH = [
    ("请介绍青川大桥的历史", "请介绍一下青川大桥的历史"),
    ("一九零三年发生了什么", "1903年发生了什么"),
    ("一千二百人住在哪里", "1200人住在哪里"),
    ("问题3：谁经营磨坊", "问题12：谁经营磨坊"),
    ("写一百字介绍青川", "写两百字介绍青川"),
    ("这座桥是不是很长", "这座桥是很长"),
    ("青川没有火车站吗", "青川没火车站吗"),
]
LONG = [
    *((f"{one} {ABOUT}?", f"{other} {ABOUT}?") for one, other in OPPOSITE),
    *((f"{ABOUT_ZH}{one}？", f"{ABOUT_ZH}{other}？") for one, other in OPPOSITE_ZH),
]


def are_near_duplicates(one: str, other: str) -> bool:
    found = NearDuplicates(sqlite3.connect(":memory:"), threshold=THRESHOLD)
    found.add_all([one])
    return found.has(other)


@pytest.mark.parametrize(("one", "other"), LONG)
def test_opposite_questions_are_no_near_repeats(one: str, other: str) -> None:
    assert jaccard(character_ngrams(one), character_ngrams(other)) >= THRESHOLD
    for first, second in ((one, other), (other, one)):
        assert ask_differently(first, second)
        assert not is_near(make_shape(first), make_shape(second))
        assert find_repeats([("Karsted", first), ("Karsted", second)]) == set()
        assert not are_near_duplicates(first, second)


@pytest.mark.parametrize(("one", "other"), [*SAME, *SAME_ZH])
def test_other_words_for_the_same_are_no_difference(one: str, other: str) -> None:
    assert not ask_differently(one, other)
    assert not ask_differently(other, one)


def test_numbers_in_words_and_in_digits_are_one_question_for_both() -> None:
    one, other = (f"Who fought in World War {name} {ABOUT}?" for name in ("II", "2"))
    assert is_near(make_shape(one), make_shape(other))
    assert are_near_duplicates(one, other)


@pytest.mark.parametrize(
    ("question", "addition"),
    [
        (f"Who ran the mill {ABOUT}?", " Please do not use jargon in your answer."),
        (f"Who ran the mill {ABOUT}?", " First think about it for a while, then say it."),
        (f"{ABOUT_ZH}谁经营了磨坊？", "请不要使用专业术语或外来词语。"),
    ],
)
def test_a_turning_word_in_a_clause_that_is_added_hides_no_copy(
    question: str, addition: str
) -> None:
    assert not ask_differently(question, question + addition)
    assert are_near_duplicates(question, question + addition)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_are_compared_and_no_text_differs_from_itself(one: str, other: str) -> None:
    assert not ask_differently(one, one)
    assert not ask_differently(one, f" {one}\n")
    assert isinstance(ask_differently(one, other), bool)


@given(st.integers(0, 9_999))
def test_a_chinese_number_is_read_by_its_places(number: int) -> None:
    digits = "零一二三四五六七八九"
    text, rest = "", str(number)
    for place, digit in enumerate(rest):
        unit = ["", "十", "百", "千"][len(rest) - place - 1]
        text += digits[int(digit)] + (unit if digit != "0" else "")
    assert read_senses(f"{text}座") == (f"#{number}", "座")


@pytest.mark.parametrize(
    "form",
    [
        "Question 3 of 12: {}",
        "Q3/12. {}",
        "第3题：{}",
        "三、{}",
        "(3) {}",
        "{} (5 points)",
        "{} [2]",
        "{} Do not use lists.",
        "{} Keep it short.",
        "{} Use at most 50 words.",
        "{} Write no more than 3 sentences.",
    ],
)
@pytest.mark.parametrize(
    "question",
    [
        "Who was the mayor of Karsted before the war of 1903?",
        "1903 年该城的第一任市长是谁？",
    ],
)
def test_the_number_of_a_question_and_the_form_of_its_answer_ask_for_nothing(
    form: str, question: str
) -> None:
    assert not ask_differently(question, form.format(question))


def test_an_ordinal_of_two_words_is_one_number() -> None:
    for text in ("twenty-first", "twenty first", "21st"):
        assert not ask_differently(f"Who was the {text} mayor?", "Who was the 21st mayor?")
    assert ask_differently("Who was the twenty-first mayor?", "Who ran all twenty-one mills?")


@pytest.mark.parametrize("text", ["第几届奥运会在北京举行？", "第", "这是第 几 个？"])
def test_a_question_for_a_number_of_a_series_is_read(text: str) -> None:
    assert "第" in read_senses(text)
    assert read_senses(text) == read_senses(text.replace(" ", ""))
