"""The people that a data set names: the reviewers in `sentences.correction.who`.

The rule: a name leaves this machine only if the manifest has `publish_names: true`. The rows
decide, not the manifest's count, so that a data set of an earlier version or an edited one is
detected. Rows are streamed, and only the columns that can name a person are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.folder.write import MANIFEST_NAME, SENTENCES
from formats.reviews import PAIR_REVIEWS_NAME, REVIEW_FILES
from formats.reviews.names import PSEUDONYM, SEPARATOR
from maskdpo.forgetting.rows import find_known
from schemas.errors import Fault, InputError
from schemas.files.columnar import arrow_schema, readable, scan_batches

_MAX_SHOWN = 5
_MIN_NAME_CHARS = 3  # of a reviewer's name that is searched for in file names
_WHO, _SOURCE, _JUDGE = "correction.who", "source", "judge"
_OUR_JUDGES = frozenset({"", "person"})
_PSEUDONYM = re.compile(PSEUDONYM)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True)
class People:
    """The people that a data set names.

    pseudonyms    reviewer-1, reviewer-2, ...
    names         all other values of `correction.who`
    label_sets    names of labels that people gave elsewhere (the rows' `judge`)
    """

    pseudonyms: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    label_sets: frozenset[str] = frozenset()

    def describe(self) -> list[str]:
        """Lines for the terminal: the number of people, and whether they are named."""
        if not self.pseudonyms and not self.names:
            lines = ["people: no reviewer"]
        elif self.names:
            listed = ", ".join(sorted(self.names | self.pseudonyms))
            lines = [f"people: {len(self.names | self.pseudonyms):,}, by name: {listed}"]
        else:
            lines = [f"people: {len(self.pseudonyms):,}, as pseudonyms (reviewer-1, ...)"]
        if self.label_sets:
            lines.append(f"labels of people are marked as: {', '.join(sorted(self.label_sets))}")
        return lines


def find_people(folder: Path, manifest: Mapping[str, Any]) -> People:
    """The people that the data set in `folder` names; its files are those of the manifest."""
    who: set[str] = set()
    label_sets: set[str] = set()
    for name in manifest["files"]:
        if name.startswith(f"{SENTENCES}/") and name.endswith(".parquet"):
            for people, judges in _read_columns(folder / name):
                who |= people
                label_sets |= judges
    every = {one for cell in who for one in cell.split(SEPARATOR)} - {""}
    pseudonyms = {one for one in every if _PSEUDONYM.fullmatch(one)}
    return People(
        pseudonyms=frozenset(pseudonyms),
        names=frozenset(every - pseudonyms),
        label_sets=frozenset(label_sets - _OUR_JUDGES),
    )


def refuse_names(folder: Path, manifest: Mapping[str, Any], people: People) -> None:
    """Raise InputError for names that the manifest does not permit, before anything is sent."""
    config = manifest.get("config")
    if isinstance(config, dict) and config.get("publish_names") is True:
        return
    faults: list[Fault] = []
    if people.names:
        shown = ", ".join(map(repr, sorted(people.names)[:_MAX_SHOWN]))
        more = len(people.names) - _MAX_SHOWN
        listed = f"{shown} and {more:,} more" if more > 0 else shown
        message = (
            f"its sentences give the names of reviewers ({listed}), but its manifest does not have "
            "publish_names: true. Nothing was sent. Build it again with maskdpo build: "
            "people become reviewer-1, reviewer-2, ...; if they agreed to be named, add --set "
            "build.publish_names=true"
        )
        faults.append(Fault(path=str(folder), line=None, message=message))
    faults += [
        Fault(
            path=str(folder / MANIFEST_NAME),
            line=None,
            message=f"the name of its input {name!r} contains the reviewer {person!r}. Nothing was "
            "sent. Rename that file and build again",
        )
        for name, person in _named_inputs(folder, manifest)
    ]
    if faults:
        raise InputError(faults)


def _named_inputs(folder: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(input, reviewer) for the manifest's inputs whose file name contains a reviewer's name.

    The reviewers are those in the files next to the data set, which belong to its run.
    """
    inputs = manifest.get("inputs")
    if not isinstance(inputs, dict) or not inputs:
        return
    forms = {
        person: _words(person)
        for person in find_known(folder.resolve().parent, (*REVIEW_FILES, PAIR_REVIEWS_NAME)).people
    }
    for name in inputs:
        for person, form in sorted(forms.items()):
            if len(person) >= _MIN_NAME_CHARS and form.strip() and form in _words(name):
                yield name, person


def _read_columns(path: Path) -> Iterator[tuple[set[str], set[str]]]:
    """(cells of `who`, judges of people's labels) for each batch of one Parquet file."""
    import pyarrow.compute as pc

    there = _columns(arrow_schema(path))
    with readable(path):  # columns of a type that cannot be compared too
        for batch in scan_batches(path, columns=there):
            people: Iterable[Any] = ()
            judges: Iterable[Any] = ()
            if _WHO in there:
                column = batch.column("correction")
                people = pc.unique(pc.struct_field(column, "who")).to_pylist()
            if _SOURCE in there and _JUDGE in there:
                is_person = pc.equal(batch.column(_SOURCE), "person")
                judges = pc.unique(pc.filter(batch.column(_JUDGE), is_person)).to_pylist()
            yield _texts(people), _texts(judges)


def _columns(schema: Any) -> list[str]:
    """Those columns of a file that can name a person."""
    import pyarrow as pa

    found = [name for name in (_SOURCE, _JUDGE) if name in schema.names]
    if "correction" in schema.names:
        kind = schema.field("correction").type
        if pa.types.is_struct(kind) and kind.get_field_index("who") >= 0:
            found.append(_WHO)
    return found


def _texts(values: Iterable[Any]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _words(text: str) -> str:
    """Words in lower case, each between spaces: `checked_Dr.Li.csv` holds ` dr li `."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "
