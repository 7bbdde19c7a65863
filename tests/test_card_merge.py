"""Cards made one, and what must not be in them: without a Hub, to try many cases."""

import getpass
import socket
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from maskdpo.publishing.card_merge import merge_cards
from maskdpo.publishing.markdown import CardText, compose_card, join_card, split_card
from maskdpo.publishing.privacy import json_faults, text_faults

SECTIONS = ("summary", "splits", "limits")
KEYS = ("license", "tags", "language", "pretty_name")
NOBODY: frozenset[str] = frozenset()

texts = st.sampled_from(["One.", "Two.", "| a |\n|---|\n| b |"])
sections = st.dictionaries(st.sampled_from(SECTIONS), texts)
values = st.sampled_from(["mit", "x", ["a"], ["a", "b"], 7])
headers = st.dictionaries(st.sampled_from(KEYS), values)
lines = st.lists(st.sampled_from(["My own words.", "- mine", "## Mine"]), max_size=3)


def card(header: dict[str, Any], body: dict[str, str]) -> CardText:
    return split_card(compose_card(header, body))


def own(text: CardText) -> dict[str | None, str]:
    return {segment.name: segment.text for segment in text.segments if segment.name}


@given(before=sections, after=sections, old=headers, new=headers)
def test_a_card_nobody_edited_becomes_ours(
    before: dict[str, str], after: dict[str, str], old: dict[str, Any], new: dict[str, Any]
) -> None:
    merged = merge_cards(card(new, after), card(old, before))
    assert own(merged.card) == after
    kept = {"license": old["license"]} if "license" in old and "license" not in new else {}
    assert (yaml.safe_load(merged.card.header) or {}) == new | kept
    assert merged.kept == []


@given(before=sections, after=sections, mine=lines, edited=st.sampled_from(SECTIONS))
def test_what_a_person_wrote_is_kept_whatever_we_write(
    before: dict[str, str], after: dict[str, str], mine: list[str], edited: str
) -> None:
    text = compose_card({"license": "mit"}, before).replace("license: mit", "license: gpl-3.0")
    begin = f"<!-- maskdpo:begin {edited} -->"
    text = text.replace(begin, f"{begin}\nEdited.").replace("\n\n<!--", "\n\n@@\n\n<!--", 1)
    text = text.replace("@@", "\n\n".join(mine))
    merged = merge_cards(card({"license": "mit"}, after), split_card(text))
    result = join_card(merged.card)
    assert yaml.safe_load(merged.card.header) == {"license": "gpl-3.0"}
    assert "header 'license'" in merged.kept
    for line in mine:
        assert result.count(line) >= mine.count(line)
    if edited in before:
        assert own(merged.card)[edited] == f"Edited.\n{before[edited]}"
    for name in set(after) - {edited}:
        assert own(merged.card)[name] == after[name]
    again = merge_cards(card({"license": "mit"}, after), split_card(result))
    assert join_card(again.card) == result


@given(body=sections, gone=st.sampled_from(SECTIONS), key=st.sampled_from(KEYS), header=headers)
def test_what_a_person_took_away_stays_away(
    body: dict[str, str], gone: str, key: str, header: dict[str, Any]
) -> None:
    ours = card(header, body)
    kept_header = {name: value for name, value in header.items() if name != key}
    theirs = CardText(
        header=yaml.safe_dump(kept_header) if kept_header else "",
        segments=[segment for segment in ours.segments if segment.name != gone],
        state=ours.state,
    )
    merged = merge_cards(ours, theirs)
    assert set(own(merged.card)) == set(body) - {gone}
    assert (yaml.safe_load(merged.card.header) or {}) == kept_header


@given(
    text=st.lists(st.sampled_from(["# Theirs", "words", "", "| a |"])).map("\n".join), body=sections
)
def test_a_card_that_was_never_ours_is_a_persons_whole(text: str, body: dict[str, str]) -> None:
    merged = merge_cards(card({"license": "mit"}, body), split_card(text))
    result = join_card(merged.card)
    assert result.index(text.strip()) < (result.index("maskdpo:begin") if body else len(result) + 1)
    assert own(merged.card) == body


# --- this machine ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "num_faults"),
    [
        ("a/b, and/or, 3/4, see https://huggingface.co/home/x and org/name", 0),
        ("pairs/train-00000-of-00001.parquet of </td></tr> 10.5.2", 0),
        ("a file under /home/bob/x.json and ~/x", 2),
        (r"C:\Users\bob, file:///srv/x", 2),
        ("http://localhost:8000, 10.0.3.7, node3.local", 3),
        ("asked of Ana-Lena, ana's, banana", 1),
        ("run on gpu7 and gpu77", 1),
    ],
)
def test_places_and_names_of_this_machine_are_found(
    monkeypatch: pytest.MonkeyPatch, text: str, num_faults: int
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ana")
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu7")
    assert len(text_faults("README.md", text, allowed=NOBODY)) == num_faults
    found = json_faults("manifest.json", {"a": [{"b": text}]}, allowed=NOBODY)
    assert len(found) == num_faults
    assert all(fault.message.startswith("a[0].b: names ") for fault in found)


def test_a_name_that_is_public_anyway_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ana")
    assert text_faults("README.md", "ana/pairs", allowed=frozenset({"ana"})) == []
    monkeypatch.setattr(getpass, "getuser", lambda: "user")
    assert text_faults("README.md", "the user asks", allowed=NOBODY) == []


@pytest.mark.parametrize("name", ["dpo", "May", "preference"])
def test_a_name_that_is_a_word_of_every_card_names_nobody(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: name)
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert text_faults("README.md", f"one may train DPO on {name} data", allowed=NOBODY) == []


def test_a_key_is_found_and_not_shown() -> None:
    key = "hf_QwErTyUiOpAsDfGhJkLzXcVbNmQwEr1"
    for faults in (
        text_faults("README.md", f"with {key}", allowed=NOBODY),
        json_faults("manifest.json", {"a": [key]}, allowed=NOBODY),
    ):
        (fault,) = faults
        assert "names a key" in fault.message and key[:12] not in fault.message
