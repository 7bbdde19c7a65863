"""What the page of one response shows, as plain data; the template only lays it out.

The rule: what a person must not see is not in the view, so that no template can show it
(`what_may_be_seen`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from maskdpo.desk.model import Draft, Row, State
from maskdpo.desk.reading.draft import parts_of
from maskdpo.desk.reading.panes import DocumentPane, make_pane, name_documents
from maskdpo.desk.reading.places import Passage, Places
from maskdpo.desk.reading.seen import Seen, what_may_be_seen
from maskdpo.desk.reading.text_html import Block, Mark, html_of_text
from schemas.error_spans import given_places
from schemas.labels import Label
from schemas.records import Annotation, Document, Message, Sentence, Verdict
from schemas.spans import Offsets

if TYPE_CHECKING:
    from markupsafe import Markup

    from formats.reviews.log import Logged

_LABELLING = frozenset({"label", "agree", "split"})


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that a page is made of; read from the source at the request.

    entries     reviews that count, of the response and its copies, in the order of the file
    documents   those that the response names and its verdicts cite, which are there
    """

    annotation: Annotation
    rows: Sequence[Row]
    states: Sequence[State]
    entries: Sequence[Logged]
    documents: Sequence[Document]
    copies: Sequence[str]
    missing: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SentenceView:
    """A sentence in the list of sentences. `label` is the person's own, else the judge's."""

    number: int
    label: Label | None
    judge: Label | None
    is_current: bool
    is_decided: bool
    is_skipped: bool
    is_flagged: bool
    in_conflict: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeView:
    """The judge's verdict on a sentence that may be seen."""

    label: Label
    verdict: Verdict
    words: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionView:
    """A decision of a person: the labels with the text of their parts, where there are several."""

    who: str
    is_own: bool
    action: str
    parts: Sequence[tuple[Label, str, Sequence[str]]]
    note: str
    when: str
    is_blind: bool
    is_resolution: bool


@dataclass(frozen=True, kw_only=True)
class View:
    """The page of one sentence in its response."""

    annotation: Annotation
    question: str
    turns: Sequence[Message]
    row: Row
    html: Markup
    sentences: Sequence[SentenceView]
    current: SentenceView
    seen: Seen
    judge: JudgeView | None
    decisions: Sequence[DecisionView]
    draft: Draft
    parts: Sequence[tuple[str, Label | None]]
    words: Sequence[str]
    given: Sequence[tuple[str, str]]
    documents: Sequence[tuple[str, str, bool]]
    pane: DocumentPane | None
    others: Sequence[tuple[Passage, Markup]]
    copies: Sequence[str]
    missing: Sequence[str]
    num_decided: int
    own_note: str = ""
    marked_by_judge: Mapping[int, Sequence[Offsets]] = field(default_factory=dict)


def make_view(
    material: Material,
    row: Row,
    *,
    who: str,
    blind: bool,
    places: Places,
    draft: Draft | None = None,
    document_id: str = "",
    at: int | None = None,
) -> View:
    """The page of the sentence `row`.

    draft         as in the form; None: nothing is prepared
    document_id   the document to show; "": the one with the evidence
    at            the character of the document to show, where it is not the evidence
    """
    annotation = material.annotation
    sentence = annotation.sentences[row.number]
    seen = [what_may_be_seen(state, who, blind=blind) for state in material.states]
    prepared = draft or Draft(start=sentence.start, end=sentence.end)
    views = _sentence_views(material, prepared, seen, who)
    passages = places.find(_plain(annotation.text, prepared), material.documents)
    # Where the judge cites nothing, or how much, goes with its label: blind readers see the words.
    own = cited_places(sentence, material.documents) if seen[row.number].judge else []
    cited = own or best_place(passages)
    pane = make_pane(
        material.documents,
        cited=cited,
        given=prepared.evidence,
        passages=passages,
        document_id=document_id,
        at=at,
    )
    by_id = {document.id: document for document in material.documents}
    return View(
        annotation=annotation,
        question=annotation.prompt[-1].content,
        turns=annotation.prompt[:-1],
        row=row,
        html=_response_html(material, prepared, views, seen, who),
        sentences=views,
        current=views[row.number],
        seen=seen[row.number],
        judge=_judge_view(annotation.text, sentence) if seen[row.number].judge else None,
        decisions=_decisions(material, sentence, who, seen[row.number]),
        draft=prepared,
        parts=_parts(annotation.text, prepared),
        words=[annotation.text[one:two] for one, two in prepared.words],
        given=[(name, _quote(by_id, name, one, two)) for name, one, two in prepared.evidence],
        documents=name_documents(material.documents, {name for name, _, _ in cited}),
        pane=pane,
        others=[(item, _passage_html(by_id[item.document_id], item)) for item in passages],
        copies=material.copies,
        missing=material.missing,
        num_decided=sum(item.is_decided for item in views),
    )


def _sentence_views(
    material: Material, draft: Draft, seen: Sequence[Seen], who: str
) -> list[SentenceView]:
    found = []
    for row, state, may in zip(material.rows, material.states, seen, strict=True):
        judge = row.label if may.judge else None
        own = state.by.get(who)
        found.append(
            SentenceView(
                number=row.number,
                label=own or (None if who in state.by else judge),
                judge=judge,
                is_current=draft.start <= row.start and row.end <= draft.end,
                is_decided=who in state.by,
                is_skipped=who in state.skipped,
                is_flagged=who in state.flagged,
                in_conflict=state.conflict and may.others,
            )
        )
    return found


def _response_html(
    material: Material,
    draft: Draft,
    views: Sequence[SentenceView],
    seen: Sequence[Seen],
    who: str,
) -> Markup:
    """The response with its sentences, wrong words, and what is prepared."""
    annotation = material.annotation
    blocks = [
        Block(
            start=item.start,
            end=item.end,
            classes=_classes(view),
            attributes=_attributes(item, view),
        )
        for item, view in zip(annotation.sentences, views, strict=True)
    ]
    marks = [Mark(start=one, end=two, name="drafted") for one, two in draft.words]
    for number, (item, may) in enumerate(zip(annotation.sentences, seen, strict=True)):
        if may.judge:
            places = given_places(item)
            marks += [Mark(start=one, end=two, name="judge-words") for one, two in places]
        if views[number].is_decided:
            own = _own_words(material, item, who)
            marks += [Mark(start=one, end=two, name="own-words") for one, two in own]
    if draft.cuts:
        names = ("part-done", "part-now", "part-next")
        for number, (one, two) in enumerate(parts_of(draft, annotation.text)):
            done = len(draft.labels)
            name = names[(number >= done) + (number > done)]
            marks.append(Mark(start=one, end=two, name=name))
    return html_of_text(annotation.text, blocks=blocks, marks=marks)


def _classes(view: SentenceView) -> str:
    names = ["sentence"]
    if view.is_decided:
        names.append("decided")
    if view.judge is not None and view.label is not view.judge:
        names.append("differs")
    if view.is_flagged:
        names.append("flagged")
    return " ".join(names)


def _attributes(sentence: Sentence, view: SentenceView) -> dict[str, str]:
    given = {
        "id": f"s{view.number}",
        "data-number": str(view.number + 1),
        "data-start": str(sentence.start),
        "data-end": str(sentence.end),
    }
    if view.label is not None:
        given["data-label"] = view.label.value
    if view.is_current:
        given["aria-current"] = "true"
    return given


def _own_words(material: Material, sentence: Sentence, who: str) -> list[Offsets]:
    """The wrong words of the person's last decision on a sentence."""
    own = [
        entry.review
        for entry in material.entries
        if entry.review.who == who
        and entry.review.action in _LABELLING
        and _overlap(entry.review.start, entry.review.end, sentence)
    ]
    last = own[-1].spans if own else []
    return [(item.start, item.end) for span in last for item in span.error_spans]


def _judge_view(text: str, sentence: Sentence) -> JudgeView:
    return JudgeView(
        label=sentence.verdict.label,
        verdict=sentence.verdict,
        words=[text[start:end] for start, end in given_places(sentence)],
    )


def _decisions(material: Material, sentence: Sentence, who: str, seen: Seen) -> list[DecisionView]:
    """The reviews of a sentence that count and may be seen, the person's own first."""
    text = material.annotation.text
    found = [
        DecisionView(
            who=entry.review.who,
            is_own=entry.review.who == who,
            action=entry.review.action,
            parts=[
                (
                    span.label,
                    text[span.start : span.end] if len(entry.review.spans) > 1 else "",
                    [text[item.start : item.end] for item in span.error_spans],
                )
                for span in entry.review.spans
            ],
            note=entry.review.note,
            when=entry.review.when,
            is_blind=entry.review.blind,
            is_resolution=bool(entry.review.resolves),
        )
        for entry in material.entries
        if _overlap(entry.review.start, entry.review.end, sentence)
        and (entry.review.who == who or seen.others)
    ]
    return sorted(found, key=lambda item: not item.is_own)


def _overlap(start: int, end: int, sentence: Sentence) -> bool:
    return start < sentence.end and sentence.start < end


def _parts(text: str, draft: Draft) -> list[tuple[str, Label | None]]:
    """The parts of a split place with their labels so far; empty without a split."""
    if not draft.cuts:
        return []
    labels: list[Label | None] = [*draft.labels]
    places = parts_of(draft, text)
    labels += [None] * (len(places) - len(labels))
    return [(text[one:two], label) for (one, two), label in zip(places, labels, strict=True)]


def _plain(text: str, draft: Draft) -> str:
    return text[draft.start : draft.end]


def cited_places(sentence: Sentence, documents: Sequence[Document]) -> list[tuple[str, int, int]]:
    """The judge's evidence that fits its document."""
    lengths = {document.id: len(document.text) for document in documents}
    return [
        (item.document_id, item.start, item.end)
        for item in sentence.verdict.evidence
        if item.start < item.end <= lengths.get(item.document_id, -1)
    ]


def best_place(passages: Sequence[Passage]) -> list[tuple[str, int, int]]:
    """What is shown as evidence where the judge gave none: the best passage."""
    return [(item.document_id, item.start, item.end) for item in passages[:1]]


def _quote(by_id: Mapping[str, Document], name: str, start: int, end: int) -> str:
    return by_id[name].text[start:end] if name in by_id else ""


def _passage_html(document: Document, item: Passage) -> Markup:
    marks = [Mark(start=one, end=two, name="hit") for one, two in item.words]
    return html_of_text(document.text, start=item.start, end=item.end, marks=marks)
