"""A page of marked responses or pairs: one HTML file that opens offline and needs no script.

The rule: everything that comes from data is escaped by the template engine or by `html_of`, and
the page forbids scripts and outside loads altogether. Nothing is shown on hover alone. The
documents are next to the answers, each once on the page, with the cited places marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from maskdpo.show.choice import Chosen, order_of_labels
from maskdpo.show.documents import Library, document_ids
from maskdpo.show.evidence import Citation, Citations, Place
from maskdpo.show.marks import (
    MARK_CSS,
    Mark,
    html_of,
    mark_of,
    marks_of,
    marks_of_pair_side,
    words_of,
)
from maskdpo.show.page_documents import PageDocument, Shelf, choose_embedded
from maskdpo.show.sources import Kind, Shown, Source
from maskdpo.show.summary import note_on, summarise
from schemas.files.writing import atomic_writer
from schemas.records import Annotation, Message, Pair, Response, Span
from schemas.text.terminal import one_line

if TYPE_CHECKING:
    from markupsafe import Markup

_MAX_TITLE_CHARS = 160


@dataclass(frozen=True, kw_only=True)
class PageInputs:
    """What a page shows, and where it comes from."""

    source: Source
    chosen: Chosen
    library: Library


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRow:
    """A line below a marked text: the mark in words, what it cites, quotes that were not found."""

    mark: Mark
    words: Sequence[str] = ()
    citations: Sequence[Citation] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A marked text with its verdicts: a response, or one side of a pair."""

    anchor: str
    title: str
    facts: Sequence[str]
    note: str
    html: Markup
    verdicts: Sequence[VerdictRow]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Answers to one question with their documents, or the two sides of a pair."""

    anchor: str
    title: str
    prompt: Sequence[Message]
    language: str
    facts: Sequence[str]
    answers: Sequence[Answer]
    documents: Sequence[PageDocument] = ()

    @property
    def cited(self) -> list[PageDocument]:
        """The documents that an answer of the group cites."""
        return [item for item in self.documents if item.is_cited]

    @property
    def others(self) -> list[PageDocument]:
        """The documents that none cites."""
        return [item for item in self.documents if not item.is_cited]


def write_page(path: Path, inputs: PageInputs) -> int:
    """Write the page, atomically; returns its size in bytes."""
    page = render_page(inputs)
    with atomic_writer(path) as handle:
        handle.write(page)
    return len(page.encode())


def render_page(inputs: PageInputs) -> str:
    """The page as HTML text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("maskdpo.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source, chosen = inputs.source, inputs.chosen
    name = _short(source)
    shelf = _shelf(inputs)
    groups = list(_groups(inputs, shelf))
    counted = order_of_labels(chosen.rows)
    return environment.get_template("show.html.jinja").render(
        name=name,
        title=f"{name}: {len(chosen.rows):,} {source.kind.value}",
        mark_css=Markup(MARK_CSS),
        source=source,
        chosen=chosen,
        is_pairs=source.kind is Kind.PAIRS,
        labels=[(words_of(label), mark_of(label), number) for label, number in counted.items()],
        num_sentences=sum(counted.values()),
        groups=groups,
        has_wrong_words=any(
            row.words for group in groups for answer in group.answers for row in answer.verdicts
        ),
        notes=inputs.library.notes,
        embedded=shelf.embedded,
        num_not_embedded=shelf.left_out,
    )


def _short(source: Source) -> str:
    """The name of a file or folder without its place, or of a data set on the Hub."""
    path = Path(source.name)
    return path.resolve().name if path.exists() else source.name


def _shelf(inputs: PageInputs) -> Shelf:
    """Which documents are embedded. Last come those that answers with evidence do not cite."""
    records = [row.record for row in inputs.chosen.rows]
    citations = Citations(records, inputs.library.documents)
    backed = [item for item in records if isinstance(item, Annotation) and _places([item])]
    last = set(document_ids(backed))
    return Shelf(embedded=choose_embedded(list(citations.documents.values()), last=last))


def _groups(inputs: PageInputs, shelf: Shelf) -> Iterator[Group]:
    rows = inputs.chosen.rows
    if inputs.source.kind is Kind.PAIRS:
        for number, row in enumerate(rows, start=1):
            assert isinstance(row.record, Pair)
            yield _pair_group(number, row, row.record)
        return
    citations = Citations([row.record for row in rows], inputs.library.documents)
    by_question = groupby(rows, key=lambda row: (row.record.question_id, row.record.prompt))
    for number, (_, same) in enumerate(by_question, start=1):
        group = [row.record for row in same if isinstance(row.record, Response)]
        yield _response_group(number, group, citations, shelf)


def _response_group(
    number: int, group: Sequence[Response], citations: Citations, shelf: Shelf
) -> Group:
    first = group[0]
    wanted = [citations.documents[name] for name in document_ids(group)]
    return Group(
        anchor=f"q{number}",
        title=one_line(first.prompt[-1].content, _MAX_TITLE_CHARS),
        prompt=first.prompt,
        language=first.language,
        facts=_facts(topic=first.topic, language=first.language),
        answers=[
            _response_answer(f"q{number}r{index}", item, citations)
            for index, item in enumerate(group, start=1)
        ],
        documents=shelf.place(wanted, _places(group)),
    )


def _response_answer(anchor: str, item: Response, citations: Citations) -> Answer:
    marks = marks_of(item) if isinstance(item, Annotation) else []
    sentences = item.sentences if isinstance(item, Annotation) else []
    facts = _facts(model=item.model)
    if isinstance(item, Annotation):
        facts.append(summarise(item))
    return Answer(
        anchor=anchor,
        title=item.id,
        facts=facts,
        note=note_on(item),
        html=_marked(item.text, marks, item.language, anchor),
        verdicts=[
            VerdictRow(
                mark=mark,
                words=[item.text[start:end] for start, end in mark.wrong],
                citations=citations.of(sentence.verdict),
                missing=sentence.verdict.missing_quotes,
            )
            for mark, sentence in zip(marks, sentences, strict=True)
        ],
    )


def _pair_group(number: int, row: Shown, pair: Pair) -> Group:
    anchor = f"q{number}"
    return Group(
        anchor=anchor,
        title=one_line(pair.prompt[-1].content, _MAX_TITLE_CHARS),
        prompt=pair.prompt,
        language=pair.language,
        facts=[
            pair.id,
            *_facts(
                topic=pair.topic,
                language=pair.language,
                policy=pair.policy,
                judge=pair.judge,
                split=row.split,
            ),
        ],
        answers=[
            _side(f"{anchor}c", "chosen", pair.chosen, pair.chosen_spans, pair),
            _side(f"{anchor}x", "rejected", pair.rejected, pair.rejected_spans, pair),
        ],
    )


def _side(
    anchor: str, name: str, messages: Sequence[Message], spans: Sequence[Span] | None, pair: Pair
) -> Answer:
    text = messages[0].content
    marks = marks_of_pair_side(text, spans)
    score = pair.chosen_score if name == "chosen" else pair.rejected_score
    cut_off = pair.chosen_finish_reason if name == "chosen" else pair.rejected_finish_reason
    # The response's id: `forget` finds a page by it.
    facts = _facts(response=pair.chosen_id if name == "chosen" else pair.rejected_id)
    if score is not None:
        facts.append(f"score {score:.2f}")
    if spans is None:
        facts.append("no spans: all of it trains, as in stock DPO")
    else:
        facts.append(f"{sum(not mark.masked for mark in marks)} of {len(marks)} sentences train")
    return Answer(
        anchor=anchor,
        title=name,
        facts=facts,
        note="cut off at the token limit" if cut_off == "length" else "",
        html=_marked(text, marks, pair.language, anchor),
        verdicts=[
            VerdictRow(mark=mark, words=[text[start:end] for start, end in mark.wrong])
            for mark in marks
        ],
    )


def _marked(text: str, marks: Sequence[Mark], language: str, anchor: str) -> Markup:
    from markupsafe import Markup

    fragment = html_of(text, marks, language=language, style=False, anchor=anchor)
    return Markup(fragment)  # html_of escapes what comes from data


def _places(group: Sequence[Response]) -> dict[str, set[Place]]:
    """The places that a group's verdicts cite, by document."""
    places: dict[str, set[Place]] = {}
    for item in group:
        for sentence in item.sentences if isinstance(item, Annotation) else ():
            for one in sentence.verdict.evidence:
                places.setdefault(one.document_id, set()).add((one.start, one.end))
    return places


def _facts(**named: str) -> list[str]:
    """`topic rivers`, without what is empty."""
    return [f"{name} {value}" for name, value in named.items() if value]
