"""The parts of a Word file: a zip of XML documents, opened within limits.

The rule: nothing is unpacked before its size is known, and no XML is read that declares entities.
Pictures are never unpacked. Tags and attributes get the short names that the standard uses
(`w:p`), the same for its strict and its transitional form.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from annotator.documents.readers.file_text import UnreadableError

MAX_XML_BYTES = 64 << 20  # of all parts together, unpacked
MAX_DEPTH = 200  # of elements in a part; Word's own files stay under 60

_OLE = b"\xd0\xcf\x11\xe0"
_TRANSITIONAL = "http://schemas.openxmlformats.org/"
_STRICT = "http://purl.oclc.org/ooxml/"
_PREFIXES = {
    _TRANSITIONAL + "wordprocessingml/2006/main": "w",
    _STRICT + "wordprocessingml/main": "w",
    _TRANSITIONAL + "officeDocument/2006/math": "m",
    _STRICT + "officeDocument/math": "m",
    _TRANSITIONAL + "drawingml/2006/main": "a",
    _STRICT + "drawingml/main": "a",
    _TRANSITIONAL + "drawingml/2006/wordprocessingDrawing": "wp",
    _STRICT + "drawingml/wordprocessingDrawing": "wp",
    _TRANSITIONAL + "drawingml/2006/picture": "pic",
    _STRICT + "drawingml/picture": "pic",
    _TRANSITIONAL + "drawingml/2006/chart": "c",
    _STRICT + "drawingml/chart": "c",
    _TRANSITIONAL + "drawingml/2006/diagram": "dgm",
    _STRICT + "drawingml/diagram": "dgm",
    _TRANSITIONAL + "markup-compatibility/2006": "mc",
    _TRANSITIONAL + "package/2006/relationships": "rel",
    "http://schemas.microsoft.com/office/drawing/2014/chartex": "cx",
    "http://schemas.microsoft.com/office/drawing/2017/decorative": "adec",
    "http://schemas.microsoft.com/office/word/2010/wordml": "w14",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.w3.org/XML/1998/namespace": "xml",
    "urn:schemas-microsoft-com:vml": "v",
    "urn:schemas-microsoft-com:office:office": "o",
}


class Package:
    """An opened file; `document` is the root of its main part."""

    def __init__(self, data: bytes) -> None:
        """Raises UnreadableError: `encrypted`, `broken`, `too_large`."""
        if data.startswith(_OLE):
            raise UnreadableError(
                "encrypted",
                "it is not a zip but an OLE file: it has a password, or is in the old .doc format",
            )
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise UnreadableError("broken", f"it is not a zip file: {error}") from None
        self._entries = {_plain(entry.filename): entry for entry in self._zip.infolist()}
        self._room = MAX_XML_BYTES
        self._package_links = self._read_links("")
        targets = self._package_links.get("officeDocument", [])
        self._main = next((name for name in targets if name in self._entries), "word/document.xml")
        self._links = self._read_links(self._main)
        root = self._read(self._main)
        if root is None or root.tag != "w:document":
            raise UnreadableError("broken", "it holds no Word document (word/document.xml)")
        self.document = root

    def parts(self, kind: str) -> Iterator[Element]:
        """The roots of the parts of a kind ('styles', 'header'), as linked by the document."""
        linked = [name for name in self._links.get(kind, []) if name in self._entries]
        for name in linked or [
            _plain(posixpath.join(posixpath.dirname(self._main), kind + ".xml"))
        ]:
            root = self._read(name)
            if root is not None:
                yield root

    def part(self, kind: str) -> Element | None:
        """The first part of a kind."""
        return next(self.parts(kind), None)

    def core_properties(self) -> Element | None:
        """The metadata of the file."""
        names = self._package_links.get("core-properties") or ["docprops/core.xml"]
        return self._read(names[0])

    def _read_links(self, source: str) -> dict[str, list[str]]:
        """The parts that a part links, by kind; `source` is '' for the package itself."""
        folder, name = posixpath.split(source)
        links: dict[str, list[str]] = {}
        root = self._read(posixpath.join(folder, "_rels", name + ".rels"))
        for link in () if root is None else root.iter("rel:Relationship"):
            if link.get("TargetMode") != "External":
                kind = link.get("Type", "").rsplit("/", 1)[-1]
                target = posixpath.join("/", folder, link.get("Target", ""))
                links.setdefault(kind, []).append(_plain(posixpath.normpath(target)))
        return links

    def _read(self, name: str) -> Element | None:
        entry = self._entries.get(_plain(name))
        if entry is None:
            return None
        self._room -= entry.file_size
        if self._room < 0:
            raise UnreadableError(
                "too_large", f"its XML unpacks to more than {MAX_XML_BYTES >> 20} MB"
            )
        if entry.flag_bits & 1:
            raise UnreadableError("encrypted", f"its part {entry.filename} needs a password")
        try:
            data = self._zip.read(entry)  # never more than file_size
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise UnreadableError("broken", f"{entry.filename} cannot be read: {error}") from None
        return parse_xml(data, entry.filename)


def parse_xml(data: bytes, name: str) -> Element:
    """The root of an XML document, with short names. Raises UnreadableError."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        # A document type is not allowed in these files, and entities are declared in one. All is
        # passed at once: in pieces, a name of 60 MB would be read again with each piece.
        root: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UnreadableError("broken", f"{name} is not valid XML: {error}") from None
    generation, depth = [root], 1
    while generation := [child for element in generation for child in element]:
        depth += 1
        if depth > MAX_DEPTH:
            raise UnreadableError("broken", f"{name} is nested deeper than {MAX_DEPTH}")
    names: dict[str, str] = {}
    for element in root.iter():
        element.tag = _shorten(element.tag, names)
        for key in [key for key in element.attrib if key[0] == "{"]:
            element.attrib[_shorten(key, names)] = element.attrib.pop(key)
    return root


def _shorten(name: str, names: dict[str, str]) -> str:
    if name not in names:
        space, _, local = name[1:].rpartition("}") if name[0] == "{" else ("", "", name)
        names[name] = f"{_PREFIXES.get(space, '?')}:{local}" if space else local
    return names[name]


def _plain(name: str) -> str:
    """A part's name as it is compared: some programs write "\\" or capitals."""
    return name.replace("\\", "/").lstrip("/").lower()
