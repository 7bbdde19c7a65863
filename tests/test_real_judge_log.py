"""What `benchmarks/real_judges.py` counts, on calls made by hand, and its proxy."""

import json
import urllib.request

from real_judge_log import describe, read_lines
from real_judge_proxy import recording_proxy
from real_judges import write_selection
from sample_server import ChatServer, completion

TEXT = "She was born in 1950."
FORM = (
    'Answer with one JSON object: {"quotes": ["..."], "reason": "one short sentence", '
    '"label": "supported | not_mentioned"}'
)
SYSTEM = {"role": "system", "content": "You check sentences."}


def opening(*, form=FORM, number=None, text=TEXT):
    tag = "<sentence>" if number is None else f'<sentence id="{number}">'
    content = (
        '<document id="1">\nShe was born in 1950 in Oslo.\n</document>\n<question>\nWhen?\n'
        f"</question>\n<response>\n{TEXT}\n</response>\n\nLabel:\n{tag}\n{text}\n</sentence>\n{form}"
    )
    return [SYSTEM, {"role": "user", "content": content}]


def after(messages, reply, request="That answer cannot be used: no quote is found."):
    said = {"role": "assistant", "content": reply}
    return [*messages, said, {"role": "user", "content": request}]


def call(messages, reply, *, room=64, status=200):
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 30},
    }
    body = {"choices": [{"message": {"content": reply}}], "usage": usage}
    request = {"messages": messages, "max_tokens": room}
    return {"status": status, "request": request, "reply": body if status == 200 else "no"}


def verdict(label, *, quotes=("born in 1950",), reason="The document has the year."):
    return {"quotes": list(quotes), "reason": reason, "label": label}


def annotation(label, *, reason=None, evidence=True):
    place = [{"document_id": "d", "start": 0, "end": 9, "score": 1.0}] if evidence else []
    said = {"label": label, "reason": reason, "evidence": place}
    return {
        "id": "r",
        "prompt": [{"role": "user", "content": "When?"}],
        "text": TEXT,
        "sentences": [{"start": 0, "end": len(TEXT), "verdict": said}],
    }


def describe_replies(first, second, recorded):
    first, second = json.dumps(first), json.dumps(second)
    calls = [call(opening(), first), call(after(opening(), first), second)]
    return describe(calls, [annotation(recorded)])


def test_a_label_that_a_repair_changed_is_a_flip():
    figures = describe_replies(verdict("supported"), verdict("not_mentioned"), "unverifiable")
    assert figures["flips"] == 1
    assert figures["cases"][0]["said"] == ["supported", "not mentioned"]
    kept = describe_replies(verdict("supported"), verdict("supported"), "no_hallucination")
    assert kept["flips"] == 0


def test_a_label_that_was_changed_and_not_recorded_is_no_flip():
    calls = [call(opening(), json.dumps(verdict("supported")))]
    calls.append(call(after(opening(), "x"), json.dumps(verdict("not_mentioned"))))
    figures = describe(calls, [annotation("undetermined", reason="evidence_not_found")])
    assert figures["flips"] == 0
    assert figures["undetermined"] == {"evidence_not_found": 1}
    assert figures["decided"] == {}


def test_a_reply_that_cannot_be_read_says_no_label():
    calls = [
        call(opening(), "{not JSON"),
        call(after(opening(), "x"), json.dumps(verdict("no_fact"))),
    ]
    figures = describe(calls, [annotation("no_fact")])
    assert figures["flips"] == 0
    assert figures["decided"] == {"no_fact": 1}


def test_fields_copied_from_the_form_are_counted_once_for_each_verdict():
    for copied in (
        verdict("supported", reason="One short sentence."),
        verdict("supported", quotes=["..."]),
    ):
        figures = describe([call(opening(), json.dumps(copied))], [annotation("no_hallucination")])
        assert figures["copied_form"] == 1, copied
    for own in ("sentence", "not_mentioned"):  # one word of the form, and a label's name
        reply = json.dumps(verdict("supported", reason=own, quotes=[]))
        figures = describe([call(opening(), reply)], [annotation("no_hallucination")])
        assert figures["copied_form"] == 0, own


def test_a_copied_form_that_was_mended_is_not_counted():
    copied = verdict("supported", reason="one short sentence")
    assert describe_replies(copied, verdict("supported"), "no_hallucination")["copied_form"] == 0


def test_verdicts_of_a_window_are_read_by_their_ids():
    items = [{"id": 2, **verdict("contradicted")}, {"id": 1, **verdict("supported")}]
    reply = json.dumps({"verdicts": items})
    calls = [call(opening(number=1), reply)]
    assert describe(calls, [annotation("no_hallucination")])["flips"] == 0
    assert describe(calls, [annotation("contradictory")])["flips"] == 1


def test_points_that_became_none_are_a_flip_of_the_second_question():
    ask = opening(form="Question 1 of 3. <Fact> or <No Facts>?")
    points = after(ask, "<Fact>", "Question 2 of 3. List the points.")
    again = after(points, "<Reference>Oslo</Reference>")
    calls = [call(ask, "<Fact>"), call(points, "<Reference>Oslo</Reference>")]
    none = [*calls, call(again, "<No Reference Information>")]
    assert describe(none, [annotation("unverifiable")])["flips"] == 1
    other = [*calls, call(again, "<Reference>born</Reference>")]
    last = after(again, "<Reference>born</Reference>", "Question 3 of 3. Which?")
    other.append(call(last, "<No Hallucination>"))
    figures = describe(other, [annotation("no_hallucination")])
    assert figures["flips"] == 0
    assert (figures["calls"], figures["repairs"]) == (4, 1)


def test_verdicts_that_need_evidence_and_have_none_are_counted():
    calls = [call(opening(), json.dumps(verdict("supported")))]
    for label, expected in (("no_hallucination", 1), ("unverifiable", 0)):
        assert describe(calls, [annotation(label, evidence=False)])["no_evidence"] == expected


def test_calls_and_tokens_are_counted_by_kind():
    calls = [
        call(opening(), "{"),
        call(opening(), "{", room=128),
        call(after(opening(), "{"), "{"),
        call(opening(), "", status=500),
    ]
    figures = describe(calls, [annotation("undetermined", reason="cut_off")])
    assert (figures["calls"], figures["failed_calls"]) == (4, 1)
    assert (figures["repairs"], figures["longer"]) == (1, 1)
    assert figures["prompt_tokens"] == 300
    assert (figures["cached_tokens"], figures["completion_tokens"]) == (90, 21)


def test_the_selection_spans_a_file_in_equal_steps(tmp_path):
    file, path = tmp_path / "labels.jsonl", tmp_path / "selection.jsonl"
    file.write_text("".join(f"{n}\n" for n in range(11)))
    assert write_selection([file, file], 3, path) == 6
    assert path.read_text().split() == ["0", "3", "6"] * 2


def test_the_proxy_passes_a_call_on_and_records_it(tmp_path):
    log = tmp_path / "calls.jsonl"
    with ChatServer(lambda body: completion("said " + body["model"])) as server:
        upstream = server.base_url.removesuffix("/v1")
        with recording_proxy(upstream, log) as url:
            body = json.dumps({"model": "m", "messages": []}).encode()
            request = urllib.request.Request(f"{url}/chat/completions", data=body)
            with urllib.request.urlopen(request) as reply:
                passed_on = json.load(reply)
            with urllib.request.urlopen(f"{url}/models") as reply:
                assert reply.status == 200
    (line,) = read_lines(log)
    assert passed_on["choices"][0]["message"]["content"] == "said m"
    assert (line["status"], line["reply"]) == (200, passed_on)
    assert line["request"] == {"model": "m", "messages": []}


def test_wrong_words_are_counted_where_they_were_asked_for():
    def said(label, **words):
        row = annotation(label)
        row["sentences"][0]["verdict"] |= words
        return row

    missing = [{"words": "", "reason": "none_given"}, {"words": "a", "reason": "nowhere"}]
    spans = [{"start": 16, "end": 20}]
    rows = [
        said("contradictory", error_spans=spans, missing_error_words=missing),
        said("unverifiable", error_spans=[{"start": 0, "end": 12}, {"start": 10, "end": 20}]),
        said("unverifiable", missing_error_words=missing),
        said("unverifiable"),
        said("no_fact", missing_error_words=[{"words": "a", "reason": "not_hallucinated"}]),
    ]
    assert describe([], rows)["wrong_words"] == {"found": 1, "none_given": 1, "whole": 1}


def test_tokens_of_first_calls_leave_repairs_out():
    figures = describe_replies(verdict("supported"), verdict("supported"), "no_hallucination")
    assert (figures["prompt_tokens"], figures["first_prompt_tokens"]) == (200, 100)
    assert (figures["completion_tokens"], figures["first_completion_tokens"]) == (14, 7)


def test_documents_of_a_selection_can_be_cut(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "a", "documents": [{"id": "d", "text": "Ünder the sea"}]}\n', "utf-8")
    write_selection([rows], 1, tmp_path / "out.jsonl", document_chars=5)
    assert read_lines(tmp_path / "out.jsonl")[0]["documents"] == [{"id": "d", "text": "Ünder"}]
