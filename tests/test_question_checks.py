"""Which written questions are refused, and for what; and which near repeats are two questions."""

from __future__ import annotations

import pytest

from annotator.sampling.near_questions import THRESHOLD, find_repeats, is_near, make_shape
from annotator.sampling.question_checks import Draft, find_fault, make_source
from annotator.sampling.question_wording import is_yes_no, needs_document

NEEDS_DOCUMENT = [
    "How high is it?",
    "What does the author say?",
    "According to the text, who founded Karsted?",
    "In what year was it built?",
    "How many people live in it?",
    "What year did it open to traffic?",
    "When did he marry his second wife?",
    "Who painted this portrait?",
    "What are the three causes mentioned?",
    "Which river flows through this city?",
    "What did the study find about sleep?",
    "Who won it in 1990?",
    "What is the total height of it?",
    "What was the reason for their divorce?",
    "Why did the latter resign?",
    "During his reign, which war broke out?",
    "What happened to her after the fire?",
    "它有多高？",
    "文中提到的三个原因是什么？",
    "作者为什么离开家乡？",
    "该桥全长多少米？",
    "谁是它的建造者？",
    "在哪一年她获得了诺贝尔奖？",
    "这座城市有多少人口？",
    "其面积是多少？",
    "根据上文，谁创办了这所学校？",
    "此书由谁翻译成英文？",
    "为什么他离开了北京？",
    "上述方法有哪些优点？",
    "本书的主角是谁？",
]
STANDS_ALONE = [
    "How high is the Karsted lighthouse?",
    "How do bees find their way back to the hive?",
    "What did Mira Tolvan do after she left Karsted?",
    "Why is it important to wash hands before surgery?",
    "What is it called when water turns into ice?",
    "Which ship sank after it hit an iceberg?",
    "Which country won its first Olympic medal in 1896?",
    "Who is the author of Norma?",
    "What did the author Jane Austen write in 1813?",
    "What are people who study insects called?",
    "What is the title of the song “It Is This”?",
    "In which novel does Ishmael tell his own story?",
    "How many of the moons of Mars have names?",
    "青川大桥全长多少米？",
    "沈月在哪一年发表了她的第一部小说？",
    "《红楼梦》的作者是谁？",
    "中华人民共和国成立于哪一年？",
    "日本最高的山是哪一座？",
    "其他国家的人怎样称呼荷兰？",
    "人应该每天喝多少水？",
    "蜜蜂怎样找到它们的蜂巢？",
    "歌曲《他的故事》由谁演唱？",
    "中文中表示时间的词有哪些？",
    "联合国教科文组织的总部在哪里？",
]


@pytest.mark.parametrize("question", NEEDS_DOCUMENT)
def test_a_question_that_points_at_its_document_is_refused(question):
    assert needs_document(question)


@pytest.mark.parametrize("question", STANDS_ALONE)
def test_a_question_that_names_what_it_asks_about_is_kept(question):
    assert not needs_document(question)


YES_NO = [
    ("en", "Is Karsted a port?"),
    ("en", "Did Mira Tolvan win the Halden Prize in 1910?"),
    ("en", "Has the Aram ever been frozen?"),
    ("en", "In 1990, was Karsted still a port?"),
    ("en", "Isn't Karsted the oldest port of the Aram?"),
    ("en", "Was Karsted the town where Mira Tolvan was born?"),
    ("en", "Can penguins fly?"),
    ("en", "Are there more than two moons of Mars?"),
    ("en", "Karsted is a port, isn't it?"),
    ("en", "Would a compass work on Mars?"),
    ("zh", "卡斯特是港口吗？"),
    ("zh", "沈月是否写过小说？"),
    ("zh", "沈月有没有获得过诺贝尔奖？"),
    ("zh", "青川是不是一个港口？"),
    ("zh", "企鹅会不会飞？"),
    ("zh", "难道火星没有卫星？"),
    ("zh", "1990年青川大桥通车了吗?"),
    ("zh", "这种药能不能给儿童使用？"),
    ("zh", "孕妇可不可以乘坐飞机？"),
    ("zh", "你知道谁写了《河灯》吗？"),
]
OPEN = [
    ("en", "Which port lies on the Aram?"),
    ("en", "Where did Mira Tolvan win her prize?"),
    ("en", "Is the Karsted bridge made of stone or of steel?"),
    ("en", "In what year was the port closed?"),
    ("en", "Can you name the river that flows through Karsted?"),
    ("en", "What is Karsted known for?"),
    ("en", "Why can penguins not fly?"),
    ("en", "Whose works are in the Halden Museum?"),
    ("en", "After the war, who was elected mayor of Karsted?"),
    ("en", "How is steel made?"),
    ("zh", "沈月写过几部小说？"),
    ("zh", "如何判断鸡蛋是否新鲜？"),
    ("zh", "谁写了《河灯》？"),
    ("zh", "青川大桥有多长？"),
    ("zh", "什么是光合作用？"),
    ("zh", "怎么区分真假人民币？"),
    ("zh", "火星有多少颗卫星？"),
    ("zh", "为什么企鹅不会飞？"),
    ("zh", "沈月的小说叫什么？"),
    ("zh", "哪座城市是日本的首都？"),
    ("de", "Was ist die Hauptstadt?"),
]


@pytest.mark.parametrize(("language", "question"), YES_NO)
def test_what_yes_or_no_would_answer_is_seen(language, question):
    assert is_yes_no(question, language)


@pytest.mark.parametrize(("language", "question"), OPEN)
def test_open_questions_are_not_taken_for_yes_or_no(language, question):
    assert not is_yes_no(question, language)


TOWN = (
    "Karsted was founded by the monk Aldo in 1152. Its bridge is 1,900 m long and its lighthouse, "
    "built in 1871, is thirty metres high. The harbour is not open in winter. In 2001 Karsted had "
    "12,000 inhabitants. The Karsted bridge crosses the river Aram."
)
TOWN_ZH = (
    "青川由僧人阿多于1152年建立。青川大桥长1900米，横跨沱江。灯塔建于1871年，高三十米。"
    "港口冬季不开放。2001年青川有12000名居民。"
)


def fault_of(question: str, quote: str, language: str) -> str | None:
    window = TOWN if language == "en" else TOWN_ZH
    source = make_source(
        topic="Karsted" if language == "en" else "青川", window=window, language=language
    )
    return find_fault(Draft(question=question, quote=quote), source)


@pytest.mark.parametrize(
    ("language", "question", "quote"),
    [
        ("en", "Who was the monk Aldo that founded Karsted?", "founded by the monk Aldo"),
        ("en", "Which river Aram does the Karsted bridge cross?", "bridge crosses the river Aram"),
        ("en", "What lighthouse was built in 1871 in Karsted?", "lighthouse, built in 1871"),
        ("en", "When in 1871 was the Karsted lighthouse built?", "its lighthouse, built in 1871"),
        ("en", "How many of the 12,000 inhabitants had Karsted in 2001?", "had 12,000 inhabitants"),
        ("en", "What year was 1152 when Karsted was founded by Aldo?", "by the monk Aldo in 1152"),
        ("en", "Why is the harbour not open in winter?", "The harbour is not open in winter"),
        ("en", "Which monk, Aldo, founded Karsted?", "Karsted was founded by the monk Aldo"),
        ("en", "How high is the thirty metres high lighthouse?", "is thirty metres high"),
        ("en", "What bridge crosses the river Aram in Karsted?", "bridge crosses the river Aram"),
        ("en", "When in 1152 did the monk Aldo found Karsted?", "founded by the monk Aldo in 1152"),
        ("zh", "长1900米的青川大桥有多长？", "青川大桥长1900米"),
        ("zh", "青川的灯塔高三十米，有多高？", "高三十米"),
        ("zh", "青川横跨沱江的大桥长1900米，有多长？", "青川大桥长1900米，横跨沱江"),
        ("zh", "1152年建立青川的僧人阿多是谁？", "青川由僧人阿多于1152年建立"),
        ("zh", "由僧人阿多建立的青川叫什么？", "青川由僧人阿多"),
        ("zh", "青川大桥横跨沱江的什么地方？", "横跨沱江"),
        ("zh", "港口冬季不开放的原因是什么？", "港口冬季不开放"),
        ("zh", "青川于1152年由阿多建立于哪一年？", "阿多于1152年建立"),
        ("zh", "青川2001年有12000名居民，有多少？", "2001年青川有12000名居民"),
        ("zh", "灯塔建于1871年，是哪年？", "灯塔建于1871年"),
    ],
)
def test_a_question_that_says_its_answer_is_refused(language, question, quote):
    assert fault_of(question, quote, language) == "answer_in_question"


@pytest.mark.parametrize(
    ("language", "question", "quote"),
    [
        ("en", "Who founded Karsted?", "Karsted was founded by the monk Aldo in 1152."),
        ("en", "In what year was Karsted founded?", "founded by the monk Aldo in 1152"),
        ("en", "How long is the bridge of Karsted?", "bridge is 1,900 m long"),
        ("en", "How high is the lighthouse of 1871 in Karsted?", "built in 1871, is thirty metres"),
        ("en", "When is the harbour of Karsted closed?", "harbour is not open in winter"),
        ("en", "How many people lived in Karsted in 2001?", "Karsted had 12,000 inhabitants"),
        ("en", "What does the Karsted bridge cross?", "The Karsted bridge crosses the river Aram"),
        ("en", "Which river runs through Karsted?", "bridge crosses the river Aram"),
        ("en", "When was the Karsted lighthouse built?", "its lighthouse, built in 1871"),
        ("en", "Who was Aldo of Karsted?", "founded by the monk Aldo"),
        ("zh", "谁建立了青川？", "青川由僧人阿多于1152年建立。"),
        ("zh", "青川大桥有多长？", "青川大桥长1900米"),
        ("zh", "青川大桥横跨哪条江？", "青川大桥长1900米，横跨沱江"),
        ("zh", "青川的灯塔建于哪一年？", "灯塔建于1871年"),
        ("zh", "青川1871年建的灯塔有多高？", "灯塔建于1871年，高三十米"),
        ("zh", "青川的港口什么时候不开放？", "港口冬季不开放"),
        ("zh", "2001年青川有多少居民？", "2001年青川有12000名居民"),
        ("zh", "青川建立于哪一年？", "由僧人阿多于1152年建立"),
        ("zh", "阿多是什么人？", "青川由僧人阿多于1152年建立"),
        ("zh", "青川的港口在哪个季节关闭？", "港口冬季不开放"),
    ],
)
def test_a_question_whose_quote_says_something_new_is_kept(language, question, quote):
    assert fault_of(question, quote, language) is None


@pytest.mark.parametrize(
    ("language", "question", "quote"),
    [
        ("en", "How long is the bridge of Karsted?", "900 m long and its lighthouse"),
        ("en", "How long is the bridge of Karsted?", "Its bridge is 1,900"),
        ("en", "When is the harbour of Karsted open?", "open in winter"),
        ("en", "Who founded Karsted?", "founded by the monk Al"),
        ("zh", "青川大桥有多长？", "900米，横跨沱江"),
        ("zh", "青川的港口何时开放？", "开放。2001年青川"),
    ],
)
def test_a_quote_that_cuts_a_number_a_word_or_a_negation_is_refused(language, question, quote):
    assert fault_of(question, quote, language) == "quote_cut"


# A question with one place in it, and what is put there: enough words are shared to be near.
OPPOSITES = [
    ("Why is aspirin {}recommended for children under the age of twelve?", "", "not "),
    ("Why {} aspirin recommended for young children with high fever during winter nights?",
     "is", "isn't"),
    ("Which towns lie at the {} border of the Karsted county on Aram, near Old Halden?",
     "northern", "southern"),
    ("What is the {} city by people on the long river Aram, west of Old Halden harbour?",
     "largest", "smallest"),
    ("Who governed the old harbour town of Karsted county {} the great war of the crowns?",
     "before", "after"),
    ("Who was the {} mayor of the old harbour town Karsted, near Halden on river Aram?",
     "first", "last"),
    ("Who was the {}mayor of the port Karsted?", "", "first "),
    ("How long is the {}border of Karsted county?", "", "northern "),
    ("What was the {} wage that the bakers of Karsted got each month from town council funds?",
     "highest", "lowest"),
    ("How many people {} the port of Karsted on ships each summer day of year 1900, roughly?",
     "entered", "left"),
    ("What goods did the merchants of Karsted town {} by ship each summer from Halden port?",
     "import", "export"),
    ("What goods did the merchants of Karsted town {} by hand each summer in Halden port?",
     "weigh", "paint"),
    ("What share of {} in Karsted town worked for the harbour company each winter, roughly?",
     "men", "women"),
    ("哪些药物会{}被医生推荐给年幼的儿童长期使用？", "", "不"),
    ("医生{}推荐六十岁以上的老年人服用哪种感冒药物？", "", "不"),
    ("青川县{}部边界的山区里有哪些古老的城市和村庄？它们建于何时由谁建立？", "北", "南"),
    ("二十世纪日本人口最{}的沿海城市是关东的哪一座？请写出城市全名和所在县？", "多", "少"),
    ("那场著名的王位战争爆发之{}由谁统治青川县的老港口城镇和附近村庄？", "前", "后"),
    ("沱江沿岸最{}的港口位于青川县的哪一个城镇附近？由谁管理和修建？", "大", "小"),
    ("横跨沱江的青川大桥{}游有哪些较长的支流？分别流经哪些城镇和村庄？", "上", "下"),
    ("在青川县老港口城镇当选第{}任市长的人叫什么名字？来自哪个村庄家族？", "一", "二"),
    ("青川纺织工厂的{}性工人在1900年每月的工资是多少克朗银币和铜币？", "男", "女"),
    ("青川贸易公司在1900年夏天经由老港口{}口了哪些商品和多少货物？", "进", "出"),
]  # fmt: skip
ONE_QUESTION = [
    ("Where was Mira Tolvan born?", "Where was the Mira Tolvan born?"),
    ("Who founded the town of Karsted?", "Who had founded the town Karsted?"),
    ("What is the name of the river in Karsted?", "What was the name of the river of Karsted?"),
    ("Which prize did Mira Tolvan win in 1910?", "What prize did Mira Tolvan win in 1910?"),
    ("In which year did the Aram open to ships?", "In what year did the Aram open to ships?"),
    ("Which towns does the Karsted bridge join?", "What towns does the Karsted bridge join?"),
    ("How many moons does Mars have?", "How many moons has Mars?"),
    ("What causes the tides of the Aram?", "What causes tides in the Aram?"),
    ("Where did Mira Tolvan work as a baker?", "Where did Mira Tolvan work as the baker?"),
    ("What language is spoken in Karsted?", "Which language is spoken in Karsted?"),
    ("沈月出生于哪座城市？", "沈月出生在哪座城市？"),
    ("沈月最有名的小说是哪一部？", "沈月最有名小说是哪一部?"),
    ("青川大桥的长度是多少？", "青川大桥长度是多少？"),
    ("谁建立了青川这座城市？", "谁建立青川这座城市？"),
    ("火星的卫星有多少颗？", "火星卫星有多少颗？"),
    ("《河灯》的作者是谁？", "《河灯》作者是谁？"),
    ("日本的首都是哪座城市？", "日本首都是哪座城市？"),
    ("青川的灯塔建于哪一年？", "青川灯塔建于哪一年？"),
    ("沈月在哪个研究所工作？", "沈月是在哪个研究所工作的？"),
    ("青川大桥横跨了哪条江？", "青川大桥横跨哪条江？"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "this", "that"), OPPOSITES)
def test_opposite_questions_are_two(question, this, that):
    one, other = question.format(this), question.format(that)
    ours, theirs = make_shape(one).features, make_shape(other).features
    assert len(ours & theirs) >= THRESHOLD * len(ours | theirs)
    assert not is_near(make_shape(one), make_shape(other))
    assert find_repeats([("t", one), ("t", other)]) == set()


@pytest.mark.parametrize(("one", "other"), ONE_QUESTION)
def test_the_same_question_in_other_form_is_one(one, other):
    assert is_near(make_shape(one), make_shape(other))
