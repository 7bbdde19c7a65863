"""The JSON in which Mask-DPO's authors store pairs (open-compass/ANAH, maskdpo/dataset.py).

    {"prompt": [messages], "chosen": [message], "rejected": [message],
     "chosen_item":   {"sents": ["...", ...], "type": ["no_hallucination" | "hallucination", ...]},
     "rejected_item": {...}}

It holds sentences without offsets, and two labels. The rule that makes reading and writing correct:
sentences are located by searching in order, each from the end of the one before, and nothing is
written for which that search would not return the same places. White space may have been lost or
changed; every other character must be present.

What it cannot represent is refused: a sentence whose label has no word there. The published trainer
trains a sentence with any other word, and text outside all sentences, on both sides. It trains
sentences as a whole: pieces of one become the sentence, and the export counts their wrong words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from schemas.error_spans import group_pieces
from schemas.labels import Label, LabelPolicy, Side
from schemas.records import Identifier, Message, Pair, Span
from schemas.spans import Offsets, gaps, trim
from schemas.validation import show_value

WORDS: dict[Label, str] = {
    Label.NO_HALLUCINATION: "no_hallucination",
    Label.HALLUCINATED: "hallucination",
}
LABELS = {word: label for label, word in WORDS.items()}
# What `lossy` may write instead; no word keeps an `undetermined` sentence from training.
LOSSY_WORDS: dict[Label, str] = {
    **WORDS,
    Label.CONTRADICTORY: "hallucination",
    Label.UNVERIFIABLE: "hallucination",
    Label.NO_FACT: "no_hallucination",
}
LabelledSpan = tuple[int, int, Label]
Messages = Annotated[list[Message], Field(min_length=1)]


class PublishedItem(BaseModel):
    """The sentences of one side and their types, one type per sentence."""

    model_config = ConfigDict(strict=True)

    sents: list[str]
    type: list[str]


class PublishedRow(BaseModel):
    """One pair. The ids are an addition of maskdpo and may be missing; keys that are not listed are
    ignored."""

    model_config = ConfigDict(strict=True)

    id: Identifier | None = None
    question_id: str = ""
    topic: str = ""
    language: str = ""
    chosen_id: str = ""
    rejected_id: str = ""
    prompt: Messages
    chosen: Messages
    rejected: Messages
    chosen_item: PublishedItem
    rejected_item: PublishedItem


def make_item(
    text: str, spans: Sequence[LabelledSpan], *, lossy: bool = False
) -> dict[str, list[str]]:
    """`{"sents", "type"}` of one response; ValueError where the format cannot represent it.

    lossy   write `hallucination` for its kinds, and `no_hallucination` for `no_fact`
    """
    words = LOSSY_WORDS if lossy else WORDS
    for index, (start, end, label) in enumerate(spans):
        if label not in words:
            hint = "; --lossy writes the nearest word" if label in LOSSY_WORDS else ""
            raise ValueError(
                f"sentence {index} [{start}, {end}) is '{label}', for which the published format "
                f"has no word{hint}"
            )
    sentences = [text[start:end] for start, end, _ in spans]
    places = [(start, end) for start, end, _ in spans]
    if locate_sentences(text, sentences) != places:
        raise ValueError("its sentences could not be found again at their places")
    return {"sents": sentences, "type": [words[label] for _, _, label in spans]}


def read_item(text: str, item: PublishedItem) -> list[LabelledSpan]:
    """The spans of one side, with `undetermined` ones where there is no sentence.

    Raises ValueError when a sentence is not in the text or types are missing. A type other than the
    two becomes `undetermined` too: its meaning is not known.
    """
    if len(item.sents) != len(item.type):
        raise ValueError(
            f"has {len(item.sents)} 'sents' and {len(item.type)} 'type'; both must have the same "
            "number"
        )
    places = locate_sentences(text, item.sents)
    spans = [
        (start, end, LABELS.get(word, Label.UNDETERMINED))
        for (start, end), word in zip(places, item.type, strict=True)
    ]
    for start, end in gaps(len(text), places):
        place = trim(text, start, end)
        if place is not None:
            spans.append((*place, Label.UNDETERMINED))
    return sorted(spans)


def locate_sentences(text: str, sentences: Sequence[str]) -> list[Offsets]:
    """Where each sentence is: searched in order, by its characters other than white space.

    A sentence that continues where the last one ended is located there, even if it occurs elsewhere
    too. Otherwise its first exact later occurrence counts, then the first that differs in white
    space only. White space at a sentence's ends belongs to it where the text has it.

    >>> locate_sentences("Yes.  Yes.\\nNo, no.", ["Yes.", "Yes.", "No,no."])
    [(0, 4), (6, 10), (11, 18)]
    """
    letters = [index for index, letter in enumerate(text) if not letter.isspace()]
    squeezed = "".join(text[index] for index in letters)
    places: list[Offsets] = []
    position, end = 0, 0  # in `squeezed`, and in `text`
    for index, sentence in enumerate(sentences):
        wanted = "".join(sentence.split())
        if not wanted:
            raise ValueError(f"sents[{index}] is empty or only white space")
        at = _search(text, squeezed, letters, sentence, position=position)
        if at < 0:
            raise ValueError(
                f"sents[{index}] {show_value(sentence)} is not in the text after character {end}"
            )
        position = at + len(wanted)
        start, stop = letters[at], letters[position - 1] + 1
        start, end = _widen(text, sentence, start, stop, end)
        places.append((start, end))
    return places


def _search(
    text: str, squeezed: str, letters: Sequence[int], sentence: str, *, position: int
) -> int:
    """The place of a sentence in `squeezed` from `position` on; -1 where there is none."""
    wanted = "".join(sentence.split())
    if squeezed.startswith(wanted, position):
        return position
    if position >= len(letters):
        return -1
    exact = text.find(sentence.strip(), letters[position])
    return squeezed.find(wanted, position) if exact < 0 else bisect_left(letters, exact)


def _widen(text: str, sentence: str, start: int, stop: int, least: int) -> Offsets:
    """Include the white space at the sentence's ends where the text has exactly the same."""
    before = sentence[: len(sentence) - len(sentence.lstrip())]
    after = sentence[len(sentence.rstrip()) :]
    if before and start - len(before) >= least and text[start - len(before) : start] == before:
        start -= len(before)
    if after and text[stop : stop + len(after)] == after:
        stop += len(after)
    return start, stop


def published_row(pair: Pair, *, lossy: bool = False) -> dict[str, Any]:
    """A pair in the published format, with our ids.

    ValueError where it cannot represent the pair.
    """
    items = {}
    for side, messages, spans in (
        (Side.CHOSEN, pair.chosen, pair.chosen_spans),
        (Side.REJECTED, pair.rejected, pair.rejected_spans),
    ):
        if spans is None:
            raise ValueError("has no spans, and the published format needs sentences")
        labelled = [
            (pieces[0].start, pieces[-1].end, pieces[0].label) for pieces in group_pieces(spans)
        ]
        try:
            items[f"{side}_item"] = make_item(messages[0].content, labelled, lossy=lossy)
        except ValueError as error:
            raise ValueError(f"{side}: {error}") from None
    return {
        "id": pair.id,
        "question_id": pair.question_id,
        "topic": pair.topic,
        "language": pair.language,
        "chosen_id": pair.chosen_id,
        "rejected_id": pair.rejected_id,
        "prompt": [message.model_dump() for message in pair.prompt],
        "chosen": [message.model_dump() for message in pair.chosen],
        "rejected": [message.model_dump() for message in pair.rejected],
        **items,
    }


def published_pair(row: PublishedRow, *, identifier: str) -> Pair:
    """The pair of a published row, with weights from the default label policy.

    Raises ValueError naming the side and what is wrong with it.
    """
    spans = {}
    for side, messages, item in (
        (Side.CHOSEN, row.chosen, row.chosen_item),
        (Side.REJECTED, row.rejected, row.rejected_item),
    ):
        try:
            labelled = read_item(messages[-1].content, item)
        except ValueError as error:
            raise ValueError(f"{side}_item: {error}") from None
        spans[side] = [
            Span(start=start, end=end, label=label, weight=LabelPolicy().weight(label, side))
            for start, end, label in labelled
        ]
    return Pair(
        id=row.id or identifier,
        prompt=row.prompt,
        chosen=row.chosen,
        rejected=row.rejected,
        chosen_spans=spans[Side.CHOSEN],
        rejected_spans=spans[Side.REJECTED],
        question_id=row.question_id,
        topic=row.topic,
        language=row.language,
        chosen_id=row.chosen_id,
        rejected_id=row.rejected_id,
    )
