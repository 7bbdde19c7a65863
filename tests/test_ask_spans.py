"""Asking a judge for the wrong words: located in their sentence or recorded, never mislabelled."""

import json
import random
from pathlib import Path

import pytest
from judge_server import ScriptedJudge, asked_sentences
from judge_support import make_world, read_labels
from reply_support import DOCUMENT, FOUND_TOO, SENTENCES, follow, make_inputs
from sample_server import ChatServer

from annotator.calls.store import Store
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.domains.domain import load_domain
from annotator.judging.domains.preview import make_sample, preview_protocols
from annotator.judging.evidence.wrong_words import find_wrong_words
from annotator.judging.make_judge import make_judge
from annotator.judging.protocols.load_prompts import load_prompts
from annotator.judging.protocols.response import window_dialogue
from annotator.judging.protocols.sentence import sentence_dialogue
from annotator.judging.protocols.steps import ProtocolSettings
from annotator.judging.protocols.table import PROTOCOLS
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.runs.estimate import estimate_annotate
from annotator.models.backend import Reply
from schemas.errors import ConfigError
from schemas.files.jsonl import read_records
from schemas.files.sidecar import read_sidecar_values
from schemas.labels import Label
from schemas.records import Annotation

ABLE = ("response", "sentence")
OTHER = "She ate 7 kg of fi\u0301gs in May, and May ate 7 too."
# Sentence, what the judge gives for it, the words that are found, why others are not.
CASES = {
    "plain": ("Ada wasn’t born in Rome in 1902.", ["Rome", "1902"], ["Rome", "1902"], []),
    "behind a negation": ("Ada was not born in Rome.", ["born in Rome"], ["born in Rome"], []),
    "a number without its unit": (OTHER, ["7 kg"], ["7 kg"], []),
    "in marks": ("He said “no” to Rome.", ['"Rome".'], ["Rome."], []),
    "another case": ("He lives in ROME now.", ["rome"], ["ROME"], []),
    "exact case first": ("In May he may leave.", ["may"], ["may"], []),
    "emoji": ("🎉🎉 She won 👩‍👩‍👧 in Rome 🎉!", ["Rome"], ["Rome"], []),
    "combining letters": (OTHER, ["f\u00edgs"], ["fi\u0301gs"], []),
    "curly marks": ("He didn’t see Ada’s cat.", ["didn't", "Ada's"], ["didn’t", "Ada’s"], []),
    "white space": ("He went\u00a0 to\tRome today.", ["went to Rome"], ["went\u00a0 to\tRome"], []),
    "chinese": ("他于1902年出生在罗马。", ["罗马", "1902年"], ["1902年", "罗马"], []),
    "the sentence": ("Ada lived in Rome.", ["Ada lived in Rome."], ["Ada lived in Rome."], []),
    "one text, no list": ("Ada lived in Rome.", "Rome", ["Rome"], []),
    "twice the same": ("Ada lived in Rome.", ["Rome", "Rome"], ["Rome"], []),
    "repeated": ("May left in May.", ["May"], ["May", "May"], []),
    "repeated and marked": ("May left in May.", ["left in [May]"], [(12, "May")], []),
    "marked in both": ("May left in May.", ["[May] left in May"], [(0, "May")], []),
    "the second is marked": ("May left in May.", ["May left in [May]"], [(12, "May")], []),
    "marked, other words": ("May left in May.", ["gone by [May]"], ["May", "May"], []),
    "brackets of the text": ("See May [2] here.", ["May [2]"], ["May [2]"], []),
    "marked in chinese": ("罗马人回到罗马。", ["回到【罗马】"], [(5, "罗马")], []),
    "empty": ("Ada lived in Rome.", [], [], ["none_given"]),
    "blank": ("Ada lived in Rome.", [" ", ""], [], ["none_given"]),
    "nothing": ("Ada lived in Rome.", None, [], ["none_given"]),
    "a number": ("It was in 1902.", 1902, [], ["unreadable"]),
    "numbers": ("It was in 1902.", [1902, None, "in"], ["in"], ["unreadable", "unreadable"]),
    "objects": ("It was in 1902.", [{"words": "1902"}], [], ["unreadable"]),
    "changed words": ("Ada lived in Rome.", ["dwelt in Rome"], [], ["nowhere"]),
    "a part of a word": ("Ada wasn't in Romeville.", ["Rome", "was"], [], ["nowhere"] * 2),
    "a part of a number": ("It cost 1.50 in 1902.", ["1", "190"], [], ["nowhere"] * 2),
    "marks": ("Ada lived in Rome.", [".", "🎉"], [], ["no_word"] * 2),
    "another sentence": ("Ada lived in Rome.", ["ate grapes"], [], ["in_response"]),
    "marked elsewhere": ("Ada lived in Rome.", ["grapes [in] June"], [], ["in_response"]),
    "the whole answer": ("Ada lived in Rome.", ["Ada lived in Rome. Bo ate grapes in June."], [],
                         ["in_response"]),
    "a document": ("Ada lived in Rome.", ["lived in Oslo"], [], ["in_document"]),
    "one of two": ("Ada lived in Rome.", ["Rome", "Oslo"], ["Rome"], ["in_document"]),
    "10,000 words": ("Ada lived in Rome.", [f"w{n}" for n in range(10_000)], [], ["too_many"]),
    "10,000 in one": ("Ada lived in Rome.", ["Rome " * 10_000], [], ["nowhere"]),
}  # fmt: skip
BEHIND = "Bo ate grapes in June."
IN_OSLO = "Bo lived in Oslo and ate grapes there in June."


def prompts_of(protocol="sentence", language="en"):
    return load_prompts(language, protocol=PROTOCOLS[protocol], ask_spans=True)


def find(sentence, value, label=Label.CONTRADICTORY):
    """The words found with their places in the response, and what is missing."""
    inputs = make_inputs(["🎈 Well.", sentence, BEHIND], [IN_OSLO], prompts=prompts_of())
    found = find_wrong_words(value, label, inputs, 1)
    text, first = inputs.task.response.text, inputs.task.sentences[1][0]
    return [(s.start - first, text[s.start : s.end]) for s in found.spans], found.missing


@pytest.mark.parametrize("case", CASES)
def test_words_are_located_in_their_sentence_or_recorded(case):
    sentence, value, expected, reasons = CASES[case]
    found, missing = find(sentence, value)
    is_placed = any(isinstance(item, tuple) for item in expected)
    assert (found if is_placed else [words for _, words in found]) == expected
    assert [item.reason for item in missing] == reasons


def test_the_places_are_exact_code_points():
    text = "🎉 Ada e\u0301 “x” 👩‍👩‍👧 in Rome."
    assert find(text, ["Rome"])[0] == [(text.index("Rome"), "Rome")]
    assert find(text, ["\u00e9"])[0] == [(6, "e\u0301")]


def test_missing_words_are_what_the_judge_gave_and_not_endless():
    _, missing = find("Ada lived in Rome.", ["[Rom] by night", "w" * 9_000])
    assert missing[0].words == "[Rom] by night"
    assert (len(missing[1].words), missing[1].words[-2:]) == (500, "w…")


@pytest.mark.parametrize("label", [Label.NO_HALLUCINATION, Label.NO_FACT])
def test_words_of_a_sentence_without_an_error_are_recorded_only(label):
    found, missing = find("Ada lived in Rome.", ["Rome", 3], label)
    assert found == []
    assert [(m.words, m.reason) for m in missing] == [
        ("Rome", "not_hallucinated"),
        ("3", "unreadable"),
    ]
    assert find("Ada lived in Rome.", [], label) == ([], [])


def test_nothing_is_read_where_nothing_was_asked():
    inputs = make_inputs(["Ada lived in Rome."], [IN_OSLO])
    found = find_wrong_words(["Rome"], Label.CONTRADICTORY, inputs, 0)
    assert (found.spans, found.missing) == ([], [])


def test_random_stretches_of_words_are_found_where_they_are():
    drawn = random.Random(7)
    words = "Anna é “und” 3,5 kg — 罗马 1902 O'Brien don't 🎉 (x) A.B. ½ naïve C$40".split()
    for _ in range(300):
        chosen = [drawn.choice(words) for _ in range(drawn.randint(3, 12))]
        sentence = " ".join([*chosen, "end."])
        first = drawn.randrange(len(chosen))
        wanted = " ".join(chosen[first : first + drawn.randint(1, 3)])
        found, missing = find(sentence, [wanted])
        starts = [start for start, _ in found]
        # Never silent, and every place holds the words, apart from marks around them.
        assert bool(found) != bool(missing)
        for start, part in found:
            assert sentence[start : start + len(part)] == part
            assert part in wanted or wanted in part or part.casefold() in wanted.casefold()
        assert starts == sorted(set(starts))


# Votes


SENTENCE_VOTES = ProtocolSettings(judge="j", max_tokens=100, votes=3, temperature=0.7)


def vote(label, *wrong):
    quotes = [FOUND_TOO] if label == "contradicted" else []
    return json.dumps({"quotes": quotes, "reason": "so it is", "label": label, "wrong": wrong})


def ask_votes(*replies):
    inputs = make_inputs([SENTENCES[1]], [DOCUMENT], prompts=prompts_of())
    (found,), _ = follow(sentence_dialogue(inputs, 0, SENTENCE_VOTES), list(replies))
    text = inputs.task.response.text
    return (
        found.label.value,
        [text[span.start : span.end] for span in found.error_spans],
        [(item.words, item.reason) for item in found.missing_error_words],
    )


@pytest.mark.parametrize(
    ("votes", "spans", "missing"),
    [
        ([["three"], ["three grey"], ["grey"]], ["three", "grey"], []),
        ([["three"], ["three grey cats"], ["at home"]], ["three"], []),
        ([["three"], ["three"], []], ["three"], [("", "none_given")]),
        ([["three"], [], []], [], [("", "none_given")]),
        ([["three"], ["grey"], ["home"]], [], [("", "no_majority")]),
        ([["three"], ["grey", "two"], ["home"]], [], [("", "no_majority"), ("two", "nowhere")]),
        ([["three"], ["grey"], []], ["three", "grey"], [("", "none_given")]),
        ([["three", "three grey"], ["at"], ["home"]], [], [("", "no_majority")]),
    ],
)
def test_votes_mark_what_more_than_half_of_them_mark(votes, spans, missing):
    replies = [vote("contradicted", *words) for words in votes]
    assert ask_votes(*replies) == ("contradictory", spans, missing)


def test_only_votes_for_the_label_mark_words():
    other = vote("not_mentioned", "three grey cats")
    two = [vote("contradicted", "three grey"), vote("contradicted", "grey cats")]
    assert ask_votes(other, *two) == ("contradictory", ["grey"], [])


# Dialogues


def item(number, label, *wrong, begins=None):
    quotes = [FOUND_TOO] if label == "contradicted" else []
    return {"id": number, "begins": begins or SENTENCES[number - 1], "quotes": quotes,
            "reason": "so it is", "label": label, "wrong": list(wrong)}  # fmt: skip


def test_a_window_keeps_the_words_of_each_sentence_and_repairs_keep_asking():
    inputs = make_inputs(SENTENCES, [DOCUMENT], prompts=prompts_of("response"))
    first = [item(1, "not_mentioned", "1901"), item(2, "contradicted", "three", begins="It")]
    replies = [
        json.dumps({"verdicts": given}) for given in (first, [item(2, "contradicted", "grey")])
    ]
    settings = ProtocolSettings(judge="j", max_tokens=100)
    found, asked = follow(window_dialogue(inputs, [0, 1], settings), replies)
    text = inputs.task.response.text
    spans = [[text[s.start : s.end] for s in one.error_spans] for one in found]
    assert spans == [["1901"], ["grey"]]
    assert [ask.purpose for ask in asked] == ["verdict", "repair"]
    for ask in asked:
        items = ask.decoding.schema["properties"]["verdicts"]["items"]
        assert items["required"][-1] == "wrong"
        assert items["properties"]["wrong"]["maxItems"] == 5


@pytest.mark.parametrize(
    "wrong", [["of Oslo"], [], None, 7, [{"a": 1}], ["[Karsted"], "x" * 90_000]
)
def test_bad_words_never_cost_a_repair_or_the_label(wrong):
    inputs = make_inputs([SENTENCES[1]], [DOCUMENT], prompts=prompts_of())
    value = json.loads(vote("contradicted")) | {"wrong": wrong}
    settings = ProtocolSettings(judge="j", max_tokens=100)
    (found,), asked = follow(sentence_dialogue(inputs, 0, settings), [json.dumps(value)])
    assert (len(asked), found.label, found.error_spans) == (1, Label.CONTRADICTORY, [])
    assert found.missing_error_words


def cut(text):
    return Reply(text=text, finish_reason="length")


HEAD = json.dumps(json.loads(vote("contradicted")) | {"wrong": 0})[: -len("0}")]


@pytest.mark.parametrize(
    ("said", "spans", "missing"),
    [
        ('["three grey", "at ho', ["three grey"], ["cut_off"]),
        ("[" + '"three", ' * 20, ["three"], ["cut_off"]),
        ('["She kept three grey cats at home and then in the year of 1923 \\"sh', [], ["cut_off"]),
        ('["three", 7, "\\ud83c", "[', ["three"], ["cut_off", "no_word"]),
        ("[", [], ["cut_off"]),
    ],
)  # fmt: skip
def test_a_reply_that_ends_in_its_words_counts_without_them(said, spans, missing):
    inputs = make_inputs([SENTENCES[1]], [DOCUMENT], prompts=prompts_of())
    settings = ProtocolSettings(judge="j", max_tokens=100)
    (found,), asked = follow(sentence_dialogue(inputs, 0, settings), [cut(HEAD + said)])
    text = inputs.task.response.text
    assert (len(asked), found.label) == (1, Label.CONTRADICTORY)
    assert [text[span.start : span.end] for span in found.error_spans] == spans
    assert sorted(item.reason for item in found.missing_error_words) == missing


@pytest.mark.parametrize(
    "said",
    [
        HEAD.partition('"label"')[0] + '"label": "contra',
        HEAD.partition('"wrong"')[0] + '"wro',
        HEAD + '["three"], "label": "supported", "x": [',
        HEAD + '["three"] ',
        '{"label": "supported", "x": [' + HEAD + '["thr',
    ],
)
def test_a_reply_that_ends_elsewhere_is_asked_for_again(said):
    inputs = make_inputs([SENTENCES[1]], [DOCUMENT], prompts=prompts_of())
    settings = ProtocolSettings(judge="j", max_tokens=100)
    (found,), asked = follow(sentence_dialogue(inputs, 0, settings), [cut(said)])
    assert len(asked) > 1
    assert (found.label, found.reason) == (Label.UNDETERMINED, "cut_off")


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_window_that_ends_in_its_last_words_counts_where_words_were_asked_for(is_asked):
    prompts = prompts_of("response") if is_asked else load_prompts("en")
    inputs = make_inputs(SENTENCES, [DOCUMENT], prompts=prompts)
    both = [item(1, "not_mentioned", "1901"), item(2, "contradicted", "three", "grey")]
    whole = json.dumps({"verdicts": both})
    replies = [cut(whole.rpartition('y"]')[0]), Reply(text=whole, finish_reason="stop")]
    settings = ProtocolSettings(judge="j", max_tokens=100)
    found, asked = follow(window_dialogue(inputs, [0, 1], settings), replies)
    assert [one.label for one in found] == [Label.UNVERIFIABLE, Label.CONTRADICTORY]
    assert len(asked) == (1 if is_asked else 2)
    reasons = [[missing.reason for missing in one.missing_error_words] for one in found]
    assert reasons == ([[], ["cut_off"]] if is_asked else [[], []])
    # Without the last verdict it is no whole window.
    parts = [cut(whole.partition('1"]')[0]), Reply(text=whole, finish_reason="stop")]
    _, asked = follow(window_dialogue(inputs, [0, 1], settings), parts)
    assert len(asked) == 2


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("protocol", ABLE)
def test_the_request_ends_with_the_words_only_where_they_are_asked_for(protocol, language):
    plain = load_prompts(language, protocol=PROTOCOLS[protocol])
    asking = prompts_of(protocol, language)
    assert plain.request(protocol) == plain.text(protocol)
    assert asking.request(protocol).startswith(plain.text(protocol) + "\n- wrong")
    assert plain.sha256 != asking.sha256
    others = load_prompts(language, protocol=PROTOCOLS["anah"], ask_spans=True)
    assert others == load_prompts(language, protocol=PROTOCOLS["anah"])


def test_a_users_folder_may_replace_the_text_or_leave_it(tmp_path):
    protocol = PROTOCOLS["sentence"]
    own = tmp_path / "en.yaml"
    own.write_text("sentence: 'Look: {{sentence}}'\n", encoding="utf-8")
    asking = load_prompts("en", tmp_path, protocol=protocol, ask_spans=True)
    assert asking.request("sentence").startswith("Look: {{sentence}}\n- wrong:")
    own.write_text("wrong_words: '- wrong: my words'\n", encoding="utf-8")
    asking = load_prompts("en", tmp_path, protocol=protocol, ask_spans=True)
    assert asking.request("sentence").endswith("\n- wrong: my words")
    # A judge that does not ask for words reads the same folder.
    off = load_prompts("en", tmp_path, protocol=protocol)
    assert off == load_prompts("en", protocol=protocol)
    own.write_text("wrong_words: '- wrong: {{sentence}}'\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="wrong_words has the placeholder 'sentence'"):
        load_prompts("en", tmp_path, protocol=protocol, ask_spans=True)


# Runs


class QuotingJudge(ScriptedJudge):
    """Right in its labels; for its wrong words it gives what `wrong` holds for the sentence."""

    def __init__(self, truths, wrong):
        super().__init__(truths)
        self.wrong = wrong

    def verdict(self, text):
        return super().verdict(text) | {"wrong": self.wrong.get(text, [])}


BAD_WORDS = [
    ["kept"],  # found
    ["kept", "felines"],  # one of two
    ["owned cats"],
    ["came from"],
    ["grey"],
    [],
    ["?"],
    3,
    [f"w{n}" for n in range(99)],
    None,
    "cats",
    ["[kept] many"],
]


@pytest.fixture
def world(tmp_path):
    """Truths of the world, and bad words for its contradicted sentences, by sentence."""
    truths = make_world(tmp_path)
    cats = {f"Person {n} kept {n + 7} cats.": given for n, given in enumerate(BAD_WORDS)}
    loved = {f"Person {n} loved mountain {n}.": ["loved mountain"] for n in range(12)}
    thanks = {"Thank you for question 0!": ["Thank you"]}
    return truths, cats | loved | thanks


def settings_of(url, protocol, **llm):
    llm = {"model": "judge", "base_url": url, "protocol": protocol, "max_retries": 0} | llm
    return {"judge": "llm", "llm": llm}


def files_in(folder):
    return {
        "responses": folder / "responses.jsonl",
        "documents": folder / "documents.jsonl",
        "store": folder / "store.sqlite",
    }


def annotate(values, folder, name="annotations.jsonl"):
    config = AnnotateConfig.parse(values, where="annotate")
    return run_annotate(config, **files_in(folder), output=folder / name)


def words_of(path: Path):
    """Sentence text -> (its wrong words, why others are missing)."""
    return {
        row.text[s.start : s.end]: (
            [row.text[e.start : e.end] for e in s.verdict.error_spans],
            [m.reason for m in s.verdict.missing_error_words],
        )
        for row in read_records(path, Annotation)
        for s in row.sentences
    }


@pytest.mark.parametrize("protocol", ABLE)
def test_a_run_finds_the_words_and_counts_why_not(world, tmp_path, protocol):
    truths, wrong = world
    with ChatServer(QuotingJudge(truths, wrong)) as server:
        plain = annotate(settings_of(server.base_url, protocol), tmp_path, "plain.jsonl")
        num_calls = len(server.asked)
        result = annotate(settings_of(server.base_url, protocol, ask_spans=True), tmp_path)
        assert len(server.asked) == 2 * num_calls  # other keys, and no repair
        again = annotate(settings_of(server.base_url, protocol, ask_spans=True), tmp_path)
        assert len(server.asked) == 2 * num_calls
    assert again.counts["calls"] == 0
    assert read_labels(result.output) == read_labels(plain.output)
    assert "error_words" not in plain.output.read_text(encoding="utf-8")
    assert not any("error_words" in name or "wrong words" in name for name in plain.counts)
    found = words_of(result.output)
    assert found["Person 0 kept 7 cats."] == (["kept"], [])
    assert found["Person 1 kept 8 cats."] == (["kept"], ["nowhere"])
    assert found["Person 2 kept 9 cats."] == ([], ["nowhere"])
    assert found["Person 3 loved mountain 3."] == (["loved mountain"], [])
    assert found["Thank you for question 0!"] == ([], ["not_hallucinated"])
    counts = {k: n for k, n in result.counts.items() if k.startswith("error_words_")}
    assert counts == {
        "error_words_found": 16,
        "error_words_ignored": 1,
        "error_words_in_document": 1,
        "error_words_in_response": 1,
        "error_words_no_word": 1,
        "error_words_none_given": 2,
        "error_words_nowhere": 1,
        "error_words_too_many": 1,
        "error_words_unreadable": 1,
    }
    (note,) = [note for note in result.notes if note.startswith("wrong words")]
    assert note.startswith("wrong words were found in 16 of 24 hallucinated sentences; 8 are ")
    assert "no words given 2" in note
    assert note.endswith("; words of sentences with other labels are not used (1)")
    assert read_sidecar_values(result.output)["counts"] == again.counts


def test_a_replay_and_a_cascade_keep_the_words(world, tmp_path):
    truths, wrong = world
    with ChatServer(QuotingJudge(truths, wrong)) as server:
        values = settings_of(server.base_url, "sentence", ask_spans=True)
        first = annotate(values, tmp_path)
        cascade = values | {"judge": "cascade", "cascade": {"min_confidence": 1.0}}
        second = annotate(cascade, tmp_path, "cascade.jsonl")
    replay = {"judge": "replay", "replay": {"annotations": str(first.output)}}
    third = annotate(replay, tmp_path, "replay.jsonl")
    assert words_of(third.output) == words_of(first.output)
    assert third.counts["error_words_found"] == 16
    asked = {
        row.text[s.start : s.end]
        for row in read_records(second.output, Annotation)
        for s in row.sentences
        if s.verdict.protocol
    }
    assert asked
    of_first, of_second = words_of(first.output), words_of(second.output)
    assert {text: of_second[text] for text in asked} == {text: of_first[text] for text in asked}


@pytest.mark.parametrize("protocol", ABLE)
def test_an_estimate_counts_the_words_and_makes_no_other_calls(world, tmp_path, protocol):
    truths, wrong = world
    with ChatServer(QuotingJudge(truths, wrong)) as server:
        off, on = (
            estimate_annotate(
                AnnotateConfig.parse(
                    settings_of(server.base_url, protocol, ask_spans=ask), where="annotate"
                ),
                **files_in(tmp_path),
            )
            for ask in (False, True)
        )
        assert len(server.asked) == 0
        result = annotate(settings_of(server.base_url, protocol, ask_spans=True), tmp_path)
    assert on.num_calls == off.num_calls == result.counts["calls"]
    assert on.tokens.prompt > off.tokens.prompt + 60 * on.num_calls
    assert on.tokens.completion > off.tokens.completion + 3 * 48


def test_the_version_is_part_of_the_judge_only_where_words_are_asked_for(tmp_path):
    values = [settings_of("http://127.0.0.1:9/v1", "sentence", ask_spans=a) for a in (False, True)]
    with Store(tmp_path / "store.sqlite") as store:
        off, on = (
            make_judge(AnnotateConfig.parse(item, where="annotate"), store=store).fingerprint()
            for item in values
        )
    assert "ask_spans" not in off
    assert on["ask_spans"] == 1
    assert off["prompts"] != on["prompts"]


def test_a_protocol_that_cannot_ask_for_words_is_a_config_error():
    values = settings_of("http://127.0.0.1:9/v1", "anah", ask_spans=True)
    with pytest.raises(ConfigError) as error:
        AnnotateConfig.parse(values, where="annotate")
    (line,) = str(error.value).splitlines()
    assert "ask_spans is true, but the protocol 'anah' cannot ask for words" in line
    assert line.endswith("protocols that can: 'response' and 'sentence'")


def test_the_judge_is_shown_each_sentence_and_the_form(world, tmp_path):
    truths, wrong = world
    with ChatServer(QuotingJudge(truths, wrong)) as server:
        annotate(settings_of(server.base_url, "sentence", ask_spans=True), tmp_path)
        bodies = [request.body for request in server.asked]
    assert len(bodies) == len(truths)
    for body in bodies:
        assert asked_sentences(body)[0][1] in truths
        schema = body["response_format"]["json_schema"]["schema"]
        assert list(schema["properties"]) == ["quotes", "reason", "label", "wrong"]


def test_a_preview_of_a_domain_shows_the_request_where_the_protocol_has_it():
    domain = load_domain("general")
    values = settings_of("http://127.0.0.1:9/v1", "sentence", ask_spans=True)
    config = with_domain(AnnotateConfig.parse(values, where="annotate"), domain)
    shown = {
        item.protocol: ["- wrong: a list" in str(call.messages) for call in item.calls]
        for item in preview_protocols(domain, config, make_sample(domain, config))
    }
    assert all(shown["response"])
    assert all(shown["sentence"])
    assert not any(shown["anah"])
