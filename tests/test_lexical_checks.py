"""What the lexical judge must not let pass: other numbers, names, units and denials."""

from __future__ import annotations

import pytest
from test_lexical import judge_one

from annotator.judging.lexical.no_fact import lacks_fact
from schemas.labels import HALLUCINATED_LABELS, Label

BRIDGE = (
    "The Karsted bridge opened in 1999 and is 1,204 metres long. Ada Ling built it. It cost $3.2 "
    "million. It has 8 lanes and 12 lamps. The bridge weighs 3,000 tonnes. Bo Chen opened the "
    "bridge on 12 May 1999. The toll is 5%. The water is 20 °C. The walk takes 1 h. Call "
    "555-0142. The software is version 2.3.1."
)
BRIDGE_ZH = (
    "卡斯特德大桥于1999年5月12日通车，全长1204米。大桥由林艾达设计。工程耗资3.2亿元。大桥有8条车道。"
    "约三百人参加了开幕式。大桥没有收费站。水温20摄氏度。"
)


@pytest.mark.parametrize(
    "sentence",
    [
        "The Karsted bridge opened in 1999.",
        "The Karsted bridge opened in 1999 [3].",
        "The Karsted bridge opened in the 1990s.",
        "The Karsted bridge opened in the 20th century.",
        "The Karsted bridge is 1204 m long.",
        "The Karsted bridge is 1.2 km long.",
        "The Karsted bridge is about 1,200 metres long.",
        "The Karsted bridge is more than 1,000 metres long.",
        "The bridge cost $3,200,000.",
        "It cost 3.2M dollars.",
        "It has eight lanes.",
        "Ada Ling built the bridge.",
        "The bridge weighs 3,000,000 kg.",
        "Bo Chen opened the bridge on 1999-05-12.",
        "Bo Chen opened the bridge on May 12, 1999.",
        "Bo Chen opened the bridge in May 1999.",
        "The toll is 5 percent.",
        "The water is 68 °F.",
        "The walk takes 60 minutes.",
        "The software is v2.3.1.",
        "The Karsted bridge, which opened in 1999, was built by Ada Ling.",
    ],
)
def test_one_fact_in_another_form_is_supported(sentence: str) -> None:
    assert judge_one(sentence, BRIDGE).label is Label.NO_HALLUCINATION


@pytest.mark.parametrize(
    "sentence",
    [
        "The Karsted bridge opened in 1998.",
        "The Karsted bridge opened in 1998 [1999].",
        "The Karsted bridge opened in the 19th century.",
        "The Karsted bridge is 1,304 metres long.",
        "The Karsted bridge is 1,204 feet long.",
        "The bridge cost €3.2 million.",
        "It cost 3.2 billion dollars.",
        "It has 12 lanes.",
        "The bridge weighs 3,000 kg.",
        "Bo Chen opened the bridge on May 13, 1999.",
        "Bo Chen opened the bridge in June 1999.",
        "The toll is 6%.",
        "The water is 20 °F.",
        "The walk takes 2 hours.",
        "Call 555-0143.",
        "The software is version 2.3.2.",
        "The Karsted bridge did not open in 1999.",
        "Bo Chen built the Karsted bridge.",
        "Ada Ling did not build the bridge.",
    ],
)
def test_another_value_contradicts(sentence: str) -> None:
    assert judge_one(sentence, BRIDGE).label is Label.CONTRADICTORY


@pytest.mark.parametrize(
    "sentence",
    [
        "The mayor spent 40 million euros on paint.",
        "The moon is made of green cheese.",
    ],
)
def test_what_no_document_speaks_of_is_unverifiable(sentence: str) -> None:
    assert judge_one(sentence, BRIDGE).label is Label.UNVERIFIABLE


def test_a_number_that_nothing_compares_with_is_missing_and_not_wrong() -> None:
    verdict = judge_one("Ada Ling built it with 40 workers.", "Ada Ling built it.")
    assert verdict.label is Label.UNVERIFIABLE
    assert "no passage states '40'" in verdict.rationale


def test_a_swapped_name_is_found_in_a_longer_sentence() -> None:
    sentence = "The Karsted bridge, which opened in 1999 and is 1,204 metres long, was built by {}."
    assert judge_one(sentence.format("Ada Ling"), BRIDGE).label is Label.NO_HALLUCINATION
    assert judge_one(sentence.format("Carl Moe"), BRIDGE).label in HALLUCINATED_LABELS


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("卡斯特德大桥于1999年通车。", Label.NO_HALLUCINATION),
        ("卡斯特德大桥于1998年通车。", Label.CONTRADICTORY),
        ("卡斯特德大桥于1999年6月12日通车。", Label.CONTRADICTORY),
        ("大桥全长1.2公里。", Label.NO_HALLUCINATION),
        ("大桥全长１２０４米。", Label.NO_HALLUCINATION),
        ("大桥全长一千二百零四米。", Label.NO_HALLUCINATION),
        ("大桥全长1304米。", Label.CONTRADICTORY),
        ("大桥由陈波设计。", Label.CONTRADICTORY),
        ("工程耗资三亿两千万元。", Label.NO_HALLUCINATION),
        ("工程耗资3.2亿美元。", Label.CONTRADICTORY),
        ("大桥有八条车道。", Label.NO_HALLUCINATION),
        ("大桥有六条车道。", Label.CONTRADICTORY),
        ("约500人参加了开幕式。", Label.CONTRADICTORY),
        ("大桥有收费站。", Label.CONTRADICTORY),
        ("水温68华氏度。", Label.NO_HALLUCINATION),
        ("月球由奶酪组成。", Label.UNVERIFIABLE),
    ],
)
def test_chinese_numbers_names_and_denials(sentence: str, expected: Label) -> None:
    assert judge_one(sentence, BRIDGE_ZH).label is expected


# fmt: off
REFUSALS = {
    "en": """
        I don't know.|I do not know the answer.|I don't know the answer to that question.
        I cannot help with that.|Sorry, I can't help with that request.
        I cannot answer this question.
        I'm sorry, but I can't assist with that.|I am unable to provide that information.
        I'm not sure.|I have no idea.|I don't have enough information to answer.|No idea.
        Unfortunately, I do not have access to that information.|I must decline to answer.
        As an AI language model, I cannot provide medical advice.|I don't know who built the bridge.
        I couldn't find any information about this topic.|I'm afraid I can't help with that.
        That's beyond my knowledge.|I won't help with that.|Sorry, I don’t know.
    """,
    "zh": """
        我不知道。|我不知道答案。|抱歉，我无法回答这个问题。|对不起，我不能提供这方面的信息。|我不清楚。
        很抱歉，我无法帮助您。|我不确定。|我没有相关信息。|作为一个人工智能，我无法回答这个问题。
        恕我无法回答。|无可奉告。|抱歉,我无法满足您的请求。|我没有足够的信息。|不知道。|我帮不了你。
    """,
    "de": """
        Ich weiß es nicht.|Das weiß ich nicht.
        Es tut mir leid, ich kann diese Frage nicht beantworten.
        Ich habe keine Ahnung.|Ich habe dazu keine Informationen.|Ich bin mir nicht sicher.
        Leider kann ich dabei nicht helfen.|Keine Ahnung.|Ich kann Ihnen dabei nicht helfen.
        Dazu liegen mir keine Informationen vor.|Ich weiß nicht, wer das ist.
    """,
    "fr": """
        Je ne sais pas.|Désolé, je ne peux pas vous aider.|Je n'ai pas d'informations à ce sujet.
        Je ne suis pas sûr.|Aucune idée.|Je n'en sais rien.|Il m'est impossible de répondre.
        Je suis désolé, mais je ne peux pas répondre à cette question.|Je l'ignore.
        Je ne dispose pas de cette information.
    """,
    "es": """
        No lo sé.|No sé.|Lo siento, no puedo ayudarte con eso.|No tengo información sobre eso.
        No estoy seguro.|Lo siento, pero no puedo responder a esa pregunta.|Ni idea.
        No dispongo de esa información.|Desconozco la respuesta.|No tengo ni idea.
    """,
    "ja": """
        分かりません。|わかりません。|申し訳ありませんが、お答えできません。|その質問には答えられません。
        すみません、わかりません。|お手伝いできません。|情報がありません。|知りません。|私には分かりません。
        申し訳ございませんが、その質問にはお答えできません。
    """,
}
# fmt: on


@pytest.mark.parametrize("language", REFUSALS)
def test_who_says_that_he_cannot_say_states_no_fact(language: str) -> None:
    sentences = [item.strip() for item in REFUSALS[language].replace("\n", "|").split("|")]
    sentences = [item for item in sentences if item]
    assert len(sentences) >= 10
    assert [item for item in sentences if not lacks_fact(item)] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "I don't know of any bridge longer than the Karsted bridge.",
        "The doctor said he did not know.",
        "I can't say who built it, but it opened late.",
        "I cannot help with that because the bridge is closed.",
        "I don't know who built it in 1999.",
        "I am not aware of any longer bridge.",
        "I'm sorry, but the bridge is closed.",
        "I can't find a bridge longer than it.",
        "Nobody knows who built the bridge.",
        "Of course, the bridge is red.",
        "Thanks to the flood, it fell.",
        "我不知道有比卡斯特德大桥更长的桥。",
        "医生说他不知道。",
        "抱歉，但大桥由外国公司建造。",
        "我无法回答，但大桥由托尔万建造。",
        "Ich weiß, dass die Brücke lang ist.",
        "Es tut mir leid, die Brücke ist gesperrt.",
        "Il ne sait pas.",
        "Désolé, le pont est fermé.",
        "No hay un puente más largo.",
        "彼は知りません。",
    ],
)
def test_a_claim_next_to_a_refusal_is_checked(sentence: str) -> None:
    assert not lacks_fact(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Hello there!",
        "Thank you for your question.",
        "I hope this helps!",
        "Let me know if you have other questions.",
        "希望这对您有帮助。",
        "Vielen Dank!",
        "Merci beaucoup.",
        "I'm sorry for the confusion.",
        "...",
    ],
)
def test_greetings_and_closings_state_no_fact(sentence: str) -> None:
    assert lacks_fact(sentence)
