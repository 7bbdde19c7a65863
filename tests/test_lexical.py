"""The lexical judge: a closed world, labels and their reasons, hostile text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.judging.config import LexicalConfig
from annotator.judging.judge import JudgeTask
from annotator.judging.lexical import LexicalJudge
from annotator.judging.lexical.align import Match, align
from annotator.judging.lexical.judge import MEASURED
from annotator.judging.lexical.no_fact import lacks_fact
from annotator.judging.lexical.text import (
    MAX_PASSAGE_CHARS,
    blank_citations,
    read_tokens,
    split_passages,
    stem,
)
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Document, Message, Response, Verdict
from schemas.spans import check_cover

MIRA = (
    "Mira Tolvan was born in Karsted. She works as a baker. She owns a cat. Her favourite colour "
    "is red. She plays the flute. She left school in 1933. She lives in Uldin. She likes plums."
)
MIRA_ZH = (
    "米拉·托尔万出生于卡斯特德。她是一名面包师。她养了一只猫。她1933年离开学校。她住在乌尔丁。"
)

ATTRIBUTES = {
    "{} was born in {}.": "Karsted Uldin Brenvik Osmora Talvik Runheim Dorsk Vellin".split(),
    "{} works as a {}.": "baker singer tanner miller potter sailor weaver clerk".split(),
    "{} keeps a {} at home.": "goat parrot turtle falcon ferret pony rabbit goose".split(),
    "{} always wears {}.": "crimson violet olive amber indigo scarlet ivory teal".split(),
    "{} plays the {}.": "violin viola flute harp drum cello oboe lute".split(),
    "{} left school in {}.": [str(year) for year in range(1921, 1929)],
    "{} lives in {}.": "Karsted Uldin Brenvik Osmora Talvik Runheim Dorsk Vellin".split(),
    "{} likes to eat {}.": "lentils pancakes noodles pickles walnuts porridge figs plums".split(),
}


def make_response(text: str, *, identifier: str = "r") -> Response:
    prompt = [Message(role="user", content="Who?")]
    return Response(id=identifier, question_id="q", prompt=prompt, text=text)


def judge_sentences(
    sentences: list[str], *documents: Document, judge: LexicalJudge | None = None
) -> list[Verdict]:
    offsets, position = [], 0
    for sentence in sentences:
        offsets.append((position, position + len(sentence)))
        position += len(sentence) + 1
    response = make_response(" ".join(sentences))
    task = JudgeTask(response=response, sentences=offsets, documents=documents)
    ((_, verdicts),) = next(iter((judge or LexicalJudge()).judge([task])))
    assert isinstance(verdicts, list)
    return verdicts


def judge_one(sentence: str, text: str, *, title: str = "") -> Verdict:
    return judge_sentences([sentence], Document(id="d", text=text, title=title))[0]


@pytest.mark.parametrize("with_title", [True, False])
@pytest.mark.parametrize("subject", ["name", "pronoun", "mixed"])
def test_a_closed_world_is_judged_right(with_title: bool, subject: str) -> None:
    rng = random.Random(7)
    num_right = num_sentences = 0
    for number in range(40):
        name = f"{rng.choice(['Mira', 'Odo', 'Tessa'])} {rng.choice(['Tolvan', 'Prenn'])}{number}"
        facts = {frame: rng.choice(values) for frame, values in ATTRIBUTES.items()}
        text = " ".join(
            frame.format(name if index == 0 else "She", value)
            for index, (frame, value) in enumerate(facts.items())
        )
        sentences, wrong = [], []
        frames = list(facts)
        rng.shuffle(frames)
        for frame in frames:
            is_wrong = rng.random() < 0.5
            others = [value for value in ATTRIBUTES[frame] if value != facts[frame]]
            value = rng.choice(others) if is_wrong else facts[frame]
            called = {"name": name, "pronoun": "She"}.get(subject) or rng.choice([name, "She"])
            sentences.append(frame.format(called, value))
            wrong.append(is_wrong)
        document = Document(id="d", text=text, title=name if with_title else "")
        for verdict, is_wrong in zip(judge_sentences(sentences, document), wrong, strict=True):
            expected = Label.CONTRADICTORY if is_wrong else Label.NO_HALLUCINATION
            num_right += verdict.label is expected
            num_sentences += 1
    assert num_sentences == 320
    assert num_right / num_sentences >= 0.98


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Mira Tolvan was born in Karsted.", Label.NO_HALLUCINATION),
        ("She was born in Karsted.", Label.NO_HALLUCINATION),
        ("mira tolvan was born in karsted", Label.NO_HALLUCINATION),
        ("Mira Tolvan works as a baker [3].", Label.NO_HALLUCINATION),
        ("In 1933 she left school.", Label.NO_HALLUCINATION),
        ("Mira Tolvan was born in Uldin.", Label.CONTRADICTORY),
        ("She lives in Karsted.", Label.CONTRADICTORY),
        ("She owns a boat.", Label.CONTRADICTORY),
        ("She left school in 1934.", Label.CONTRADICTORY),
        ("In 1934 she left school.", Label.CONTRADICTORY),
        ("She never plays the flute.", Label.CONTRADICTORY),
        ("She does not own a cat.", Label.CONTRADICTORY),
        ("Dalo Prenn was born in Karsted.", Label.CONTRADICTORY),
        ("Mira Tolvan's favourite colour is blue.", Label.CONTRADICTORY),
        ("Her grandfather Otto founded a railway.", Label.UNVERIFIABLE),
        ("She works as a.", Label.UNDETERMINED),
        ("Hello!", Label.NO_FACT),
        ("Would you like to know more?", Label.NO_FACT),
        ("## Early life", Label.NO_FACT),
        ("Here is what I know:", Label.NO_FACT),
        ("---", Label.NO_FACT),
    ],
)
def test_english_labels(sentence: str, expected: Label) -> None:
    assert judge_one(sentence, MIRA).label is expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("米拉·托尔万出生于卡斯特德。", Label.NO_HALLUCINATION),
        ("米拉·托尔万是一名面包师。", Label.NO_HALLUCINATION),
        ("米拉·托尔万出生于乌尔丁。", Label.CONTRADICTORY),
        ("她是一名歌手。", Label.CONTRADICTORY),
        ("她1934年离开学校。", Label.CONTRADICTORY),
        ("她住在卡斯特德。", Label.CONTRADICTORY),
        ("火星上的铁路由国王建造。", Label.UNVERIFIABLE),
        ("你好！", Label.NO_FACT),
    ],
)
def test_chinese_labels(sentence: str, expected: Label) -> None:
    assert judge_one(sentence, MIRA_ZH, title="米拉·托尔万").label is expected


def test_scripts_without_rules_of_their_own_are_compared_word_for_word() -> None:
    russian = "Мира Толван родилась в Карстеде. Она играет на флейте."
    hindi = "मीरा तोलवान का जन्म कारस्टेड में हुआ था। वह बांसुरी बजाती है।"
    assert judge_one("Она играет на флейте.", russian).label is Label.NO_HALLUCINATION
    assert judge_one("Она играет на скрипке.", russian).label is Label.CONTRADICTORY
    assert judge_one("वह बांसुरी बजाती है।", hindi).label is Label.NO_HALLUCINATION
    assert judge_one("वह वायलिन बजाती है।", hindi).label is Label.CONTRADICTORY


def test_a_question_that_also_claims_something_is_checked() -> None:
    assert not lacks_fact("Napoleon died in 1999. Did you know?")
    assert not lacks_fact("As of 2021, these 3 cities lead:")
    assert not lacks_fact("Of course, Napoleon died in Paris.")
    assert lacks_fact("As an AI language model, I have no opinions.")
    assert not lacks_fact("Thanks to Marie Curie, polonium and radium were found in Paris in 1898.")


@pytest.mark.parametrize("texts", [[], [""], [" \n ", ""]])
def test_without_documents_nothing_is_decided(texts: list[str]) -> None:
    documents = [Document(id=f"d{index}", text=text) for index, text in enumerate(texts)]
    verdicts = judge_sentences(["Hello!", "She works as a baker."], *documents)
    assert [verdict.reason for verdict in verdicts] == ["no_document", "no_document"]


def test_evidence_is_the_sentence_of_the_document_that_settles_it() -> None:
    documents = (
        Document(id="empty", text=" "),
        Document(id="other", text="Odo Prenn keeps bees."),
        Document(id="mira", text=MIRA),
    )
    (verdict,) = judge_sentences(["She plays the violin."], *documents)
    first = verdict.evidence[0]
    assert first.document_id == "mira"
    assert MIRA[first.start : first.end] == "She plays the flute."
    assert verdict.rationale == "says 'violin' where a passage says 'flute'"
    assert verdict.confidence_kind == "lexical"
    assert verdict.confidence is not None and verdict.confidence > 0.9


def test_evidence_offsets_hold_behind_citation_markers() -> None:
    text = "Some opening [1]. " + MIRA.replace("baker", "baker [2, 3]")
    verdict = judge_one("She works as a singer.", text)
    first = verdict.evidence[0]
    assert text[first.start : first.end] == "She works as a baker [2, 3]."


def test_evidence_is_at_most_what_the_config_allows() -> None:
    sentence = "Mira Tolvan the baker left school in 1933 and lives in Uldin with a cat and plums."
    judge = LexicalJudge(LexicalConfig(max_evidence=2))
    (verdict,) = judge_sentences([sentence], Document(id="d", text=MIRA), judge=judge)
    assert len(verdict.evidence) == 2


def test_the_threshold_moves_the_line_and_the_fingerprint() -> None:
    sentence, document = "Mira Tolvan sold seven railways to Uldin.", Document(id="d", text=MIRA)
    lenient = LexicalJudge(LexicalConfig(threshold=0.99))
    strict = LexicalJudge(LexicalConfig(threshold=0.01))
    assert judge_sentences([sentence], document, judge=lenient)[0].label is Label.NO_HALLUCINATION
    assert judge_sentences([sentence], document, judge=strict)[0].label in HALLUCINATED_LABELS
    assert lenient.fingerprint() != strict.fingerprint()
    assert LexicalJudge().fingerprint() == LexicalJudge(LexicalConfig()).fingerprint()


def test_a_wrong_number_speaks_against_a_longer_sentence() -> None:
    text = (
        "The northern railway was opened by the city council in 1911 after a long dispute. "
        "Farmers along the river had asked for it."
    )
    right = "After a long dispute with farmers along the river, the railway was opened in 1911."
    wrong = judge_one(right.replace("1911", "1957"), text)
    assert judge_one(right, text).label is Label.NO_HALLUCINATION
    assert wrong.label is Label.CONTRADICTORY
    assert "says '1957' where a passage says '1911'" in wrong.rationale


def test_notes_open_by_saying_what_the_judge_is() -> None:
    first = LexicalJudge().notes()[0]
    assert "baseline" in first
    assert "not a probability" in first
    assert f"wice_dev {MEASURED['wice_dev']:.2f}" in first


def test_an_absent_name_lowers_the_rank() -> None:
    text = "The city council opened the northern railway after a long dispute with farmers."
    known = "The council of the city opened the northern railway after a dispute about a mill."
    other = known.replace("mill", "Mill")
    scores = [judge_one(sentence, text).confidence for sentence in (known, other)]
    labels = {judge_one(sentence, text).label for sentence in (known, other)}
    assert labels == {Label.NO_HALLUCINATION}
    assert scores[0] is not None and scores[1] is not None and scores[0] > scores[1]


def test_every_task_comes_back_once_in_order() -> None:
    documents = [Document(id=f"d{index}", text=MIRA + f" Number {index}.") for index in range(5)]
    tasks = [
        JudgeTask(
            response=make_response("She owns a cat.", identifier=str(index)),
            sentences=[(0, 15)],
            documents=[documents[index % 5]],
        )
        for index in range(70)
    ]
    batches = list(LexicalJudge().judge(tasks))
    assert [task.response.id for batch in batches for task, _ in batch] == [
        str(index) for index in range(70)
    ]
    assert max(len(batch) for batch in batches) <= 32


def test_words_that_mean_the_same_share_a_key() -> None:
    pairs = [
        ("works", "working"),
        ("cities", "city"),
        ("stopped", "stop"),
        ("organisation", "organizations"),
        ("colour", "colors"),
        ("Karsted's", "karsted"),
    ]
    assert [stem(one.lower()) == stem(other) for one, other in pairs] == [True] * len(pairs)
    keys = [token.key for token in read_tokens("1,000 in 1920s, three or 3rd; 3.14 and N2 in 5a")]
    assert keys == ["1000", "in", "1920", "3", "or", "3", "3.14", "and", "n2", "in", "5a"]


def test_alignment_of_word_for_word_and_swapped_sentences() -> None:
    passage = read_tokens("She works as a baker.")
    subject = frozenset({"mira", "tolvan"})

    def aligned(sentence: str) -> Match | None:
        found = align(read_tokens(sentence), passage, subject)
        return found.match if found else None

    assert aligned("Mira Tolvan works as a baker.") is Match.SAME
    assert aligned("She works as an artist.") is Match.SWAP
    assert aligned("She worked hard for many years in the south of the country.") is None


@given(st.text(max_size=400))
def test_passages_cover_any_text(text: str) -> None:
    passages = split_passages(text)
    check_cover(text, passages)
    assert all(end - start <= MAX_PASSAGE_CHARS for start, end in passages)
    assert len(blank_citations(text)) == len(text)


@given(st.text(min_size=1, max_size=120), st.text(max_size=300))
def test_any_text_is_judged_with_sound_evidence(sentence: str, text: str) -> None:
    verdict = judge_one(sentence, text)
    for evidence in verdict.evidence:
        assert 0 <= evidence.start < evidence.end <= len(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Z"]), max_size=200))
def test_what_a_document_says_verbatim_is_never_hallucinated(text: str) -> None:
    assert judge_one(text, text).label not in HALLUCINATED_LABELS


@pytest.mark.parametrize(
    "hostile",
    [
        "." * 300_000,
        "1," * 150_000,
        "a'" * 150_000,
        "[1," * 100_000,
        "x" * 300_000,
        "\u0301" * 300_000,
    ],
    ids=["dots", "numbers", "apostrophes", "brackets", "letters", "accents"],
)
def test_hostile_text_is_read_in_one_pass(hostile: str) -> None:
    # A pattern that backtracks over the whole text would not come back within the hour.
    assert judge_one("She works as a baker.", hostile).label is not Label.NO_HALLUCINATION
    assert len(judge_sentences([hostile], Document(id="d", text=MIRA))) == 1


PARAGRAPH = (
    "The northern railway of Karsted was opened by the city council in 1911. Farmers along the "
    "river had asked for it since the flood. The first engine was built by the Tolvan brothers."
)
PARAGRAPH_ZH = (
    "卡斯特德的北方铁路于1911年由市议会开通。自洪水以来，沿河的农民一直要求修建这条铁路。"
    "第一台机车由托尔万兄弟制造。"
)
SENTENCES = [
    "The city council opened the northern railway in 1911.",
    "After the flood the farmers along the river asked for a railway from the city council.",
    "The Tolvan brothers, who had built the first engine, sold it to the farmers in 1923.",
    "The railway carried salt and timber to the harbour of Uldin until the war.",
    "Its first engine was named after a queen of the south.",
]
SENTENCES_ZH = [
    "市议会于1911年开通了北方铁路。",
    "洪水之后，沿河的农民要求市议会修建铁路。",
    "托尔万兄弟制造了第一台机车，并于1923年卖给农民。",
    "这条铁路在战争之前把盐运到乌尔丁港口。",
]
# Single words of the sentences turn up in the noise: it must not make them common, nor known. Noise
# that shares two words with one sentence, right beside the text, does move a close verdict.
NOISE = [
    f"{opening} in {year}. {ending}"
    for opening, ending in (
        ("Salt was dear in the mountains", "Cooks wore it around the neck."),
        ("A harbour is a shelter for ships", "Timber is stored on the quay."),
        ("Some engines run on sunflower oil", "They were bought for a penny."),
        ("Many a war began over a bridge", "Nobody sold the stones."),
        ("The opera season opened late", "Brothers sang the duet."),
    )
    for year in range(1931, 1937)
]
NOISE_ZH = [
    f"{opening}，时间是{year}年。{ending}"
    for opening, ending in (
        ("南方的盐很贵", "王后把它戴在脖子上。"),
        ("港口是船只的避风处", "木材堆放在码头。"),
        ("有些机车使用葵花油", "它们以花命名。"),
        ("许多战争因桥而起", "没有人卖石头。"),
        ("歌剧季开幕很晚", "兄弟二人合唱。"),
    )
    for year in range(1931, 1937)
]


@pytest.mark.parametrize(
    ("text", "sentences", "noise"),
    [(PARAGRAPH, SENTENCES, NOISE), (PARAGRAPH_ZH, SENTENCES_ZH, NOISE_ZH)],
    ids=["English", "Chinese"],
)
@pytest.mark.parametrize("place", ["before", "after", "around", "a document each"])
def test_irrelevant_passages_change_no_verdict(
    text: str, sentences: list[str], noise: list[str], place: str
) -> None:
    assert len(noise) == 30
    documents = {
        "before": ["\n".join([*noise, text])],
        "after": ["\n".join([text, *noise])],
        "around": ["\n".join([*noise[:15], text, *noise[15:]])],
        "a document each": [text, *noise],
    }[place]
    named = [Document(id=f"d{index}", text=item) for index, item in enumerate(documents)]
    clean = judge_sentences(sentences, Document(id="d", text=text))
    noisy = judge_sentences(sentences, *named)
    assert [verdict.label for verdict in noisy] == [verdict.label for verdict in clean]
    assert len({verdict.label for verdict in clean}) > 1
