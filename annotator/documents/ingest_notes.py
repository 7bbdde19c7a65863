"""What `ingest` reports after its run: sentences for the terminal, one per kind of event.

The rule: everything that was left out, guessed, changed or could not be read is named here, with a
count and the first names; the full list is in the sidecar or in the file of failed rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from annotator.documents.folder import FoundFiles
from annotator.documents.ingest_changes import READER_VERSION, Changes, Earlier
from annotator.documents.readers.file_text import Dropped, FileText
from annotator.documents.readers.read import FORMAT_OF_SUFFIX
from schemas.text.language_codes import AUTO

MAX_DROPPED_SHARE = 0.05  # of a document's characters; a larger share is a warning
_NAMES_SHOWN = 3


@dataclass(kw_only=True, slots=True)
class Readings:
    """What the readers reported, by document id, filled in while documents are read.

    encodings     of the files that are not UTF-8
    blank_pages   (pages without text, pages) of PDFs that have such pages
    dropped       text left out as running headers, footers and page numbers
    shares        of a document's characters, text left out included, that were left out
    not_read      counts of pictures, equations and the like
    """

    encodings: dict[str, str] = field(default_factory=dict)
    blank_pages: dict[str, tuple[int, int]] = field(default_factory=dict)
    dropped: dict[str, tuple[Dropped, ...]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    not_read: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def add(self, identifier: str, text: FileText) -> None:
        """Record what the reader of one file reported."""
        if text.encoding:
            self.encodings[identifier] = text.encoding
        if text.num_blank_pages:
            self.blank_pages[identifier] = (text.num_blank_pages, text.num_pages)
        if text.dropped:
            num_chars = sum(len(item.text) for item in text.dropped)
            self.dropped[identifier] = text.dropped
            self.shares[identifier] = num_chars / (num_chars + len(text.text))
        if text.not_read:
            self.not_read[identifier] = text.not_read

    def counts(self) -> dict[str, int]:
        """Counts for the summary: only those that are not zero."""
        totals: Counter[str] = Counter()
        for items in self.dropped.values():
            totals["dropped_lines"] += len(items)
            totals["dropped_characters"] += sum(len(item.text) for item in items)
        for kinds in self.not_read.values():
            totals.update({f"not_read_{kind}": count for kind, count in kinds.items()})
        return {name: totals[name] for name in sorted(totals)}


def notes_on_files(found: FoundFiles, duplicates: Sequence[str], failed_name: str) -> Iterator[str]:
    """What was not read, or was left out. `duplicates` are ids; `failed_name` lists them."""
    if found.unknown_suffixes:
        yield f"left out: {shown_counts(found)}; ingest reads {', '.join(FORMAT_OF_SUFFIX)}"
    if found.num_hidden or found.num_links:
        yield (
            f"left out: {found.num_hidden} hidden files or folders, {found.num_links} symbolic "
            "links (they are not followed)"
        )
    if duplicates:
        yield (
            f"{len(duplicates)} files repeat the text of another and were left out: "
            f"{_shown(duplicates)}; all of them are in {failed_name}"
        )


def notes_on_readings(readings: Readings, sidecar_name: str) -> Iterator[str]:
    """What was guessed, left out or could not be read inside the files that were read."""
    if readings.encodings:
        names = [f"{name} ({encoding})" for name, encoding in readings.encodings.items()]
        yield (
            f"{len(names)} files are not UTF-8; their encodings were guessed: {_shown(names)}; "
            "if one is wrong, set ingest.encoding"
        )
    if readings.blank_pages:
        names = [
            f"{name} ({some} of {all_})" for name, (some, all_) in readings.blank_pages.items()
        ]
        yield f"{len(names)} PDFs have pages without text, perhaps scanned ones: {_shown(names)}"
    if readings.dropped:
        names = [f"{name} ({len(items)})" for name, items in readings.dropped.items()]
        total = sum(map(len, readings.dropped.values()))
        yield (
            f"{total} lines were left out as running headers, footers or page numbers: "
            f"{_shown(names)}; all are listed under 'dropped' in {sidecar_name}"
        )
    large = [
        f"{name} ({share:.0%})"
        for name, share in readings.shares.items()
        if share > MAX_DROPPED_SHARE
    ]
    if large:
        yield (
            f"warning: more than {MAX_DROPPED_SHARE:.0%} of the characters of {len(large)} "
            f"documents were left out as running headers, footers or page numbers: "
            f"{_shown(large)}; check them in {sidecar_name}"
        )
    if readings.not_read:
        names = [
            f"{name} ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})".replace(
                "_", " "
            )
            for name, kinds in readings.not_read.items()
        ]
        yield f"{len(names)} documents contain parts that were not read: {_shown(names)}"


def notes_on_language(contradicting: Sequence[str], num_declared: int, language: str) -> list[str]:
    """Documents whose text is surely not in the language that is stated for them."""
    if not contradicting:
        return []
    stated = "their front matter" if language == AUTO else f"ingest.language={language}"
    return [
        f"warning: {len(contradicting):,} of {num_declared:,} documents are clearly not in the "
        f"language that {stated} states: {_shown(contradicting)}; correct it, or use 'auto'"
    ]


def notes_on_changes(earlier: Earlier, changes: Changes, sidecar_name: str) -> Iterator[str]:
    """Which documents differ from those that were overwritten."""
    advice = (
        f"offsets into the earlier texts (evidence in annotations) do not fit: annotate again. "
        f"All are listed under 'history' in {sidecar_name}"
    )
    versions = (
        f"reader version {earlier.reader_version} before, {READER_VERSION} now"
        if earlier.reader_version != READER_VERSION
        else f"reader version {READER_VERSION} as before; a setting or a package changed"
    )
    if changes.by_reader:
        yield (
            f"warning: {len(changes.by_reader)} documents have a new text although their files are "
            f"the same ({versions}): {_shown(changes.by_reader)}; {advice}"
        )
    if changes.unknown:
        yield (
            f"warning: {len(changes.unknown)} documents have a new text, by a change of the reader "
            f"or of the file ({versions}): {_shown(changes.unknown)}; {advice}"
        )
    if changes.by_file:
        yield (
            f"warning: {len(changes.by_file)} documents have a new text since their files changed: "
            f"{_shown(changes.by_file)}; {advice}"
        )
    if changes.gone:
        yield (
            f"{len(changes.gone)} documents of the earlier output are no longer in it: "
            f"{_shown(changes.gone)}"
        )


def shown_counts(found: FoundFiles) -> str:
    """Files of unknown kinds, as '3 .zip, 1 .doc'."""
    ordered = sorted(found.unknown_suffixes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} {suffix}" for suffix, count in ordered[:10]]
    if len(ordered) > 10:
        shown.append(f"{sum(count for _, count in ordered[10:])} others")
    return ", ".join(shown)


def _shown(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return shown if len(names) <= _NAMES_SHOWN else f"{shown}, ..."
