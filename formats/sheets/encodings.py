"""Which encoding a CSV was saved in: by rule where one applies, else by the `check` cells.

    a byte-order mark, zero bytes between ASCII letters, valid UTF-8     decided by rule
    anything else       the encoding under which most ids and sentences fit their `check` cell
    nothing to check    GB18030 where the characters are common Chinese ones, else cp1252

The rule: nothing is guessed where a `check` cell can prove it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence

from formats.sheets.check import Check, read_check
from formats.sheets.read_row import find_place
from formats.sheets.table import Row, as_text

# These two may be chosen without proof; the others only where more cells fit.
GUESSED = ("gb18030", "cp1252")
PROVED = (
    *GUESSED,
    "utf-8",
    *("big5hkscs", "shift_jis", "cp932", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255"),
    *("cp1256", "cp1257", "cp1258", "cp874", "cp949", "euc_jp", "koi8_r", "mac_roman", "cp850"),
    *("cp437", "cp852", "cp866", "iso8859_15", "iso8859_2"),
)
_MAX_PROOFS = 1_000
_HEAD_BYTES = 64
_COMMON_SHARE = 0.7
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_by_rule(data: bytes) -> str | None:
    """The encoding that the bytes alone show; None where the content must decide."""
    for mark, name in _MARKS:
        if data.startswith(mark) and name != "utf-8-sig":
            return name
    head = data[:_HEAD_BYTES]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd * 3 > len(head) and not even:
        return "utf-16-le"
    if even * 3 > len(head) and not odd:
        return "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8-sig"


def encoding_by_content(rows: Iterable[Mapping[str, bytes]]) -> str:
    """The encoding of cells that are not UTF-8, given as bytes by column."""
    foreign = [row for row in rows if not all(cell.isascii() for cell in row.values())]
    guess = _guess([cell for row in foreign for cell in row.values() if not cell.isascii()])
    proofs = [(check, row) for row in foreign if (check := _proof(row))][:_MAX_PROOFS]
    fits = {name: sum(_num_fits(row, check, name) for check, row in proofs) for name in PROVED}
    most = max(fits.values(), default=0)
    if not most or fits[guess] == most:
        return guess
    return next(name for name in PROVED if fits[name] == most)


def decode_cell(cell: bytes, encoding: str) -> str:
    """A cell's text; a byte that the encoding does not have becomes U+FFFD."""
    return cell.decode(encoding, "replace")


def _proof(row: Mapping[str, bytes]) -> Check | None:
    """The `check` of a row whose id or sentence is not plain ASCII."""
    telling = (row.get("response_id", b""), row.get("text", b""))
    if all(cell.isascii() for cell in telling):
        return None
    return read_check(row.get("check", b"").decode("ascii", "replace"))


def _num_fits(row: Mapping[str, bytes], check: Check, encoding: str) -> int:
    """How many of the id and the sentence fit in `encoding`; ASCII ones are not counted."""
    cells = {name: decode_cell(cell, encoding) for name, cell in row.items()}
    decoded = Row(number=0, cells=cells, is_csv=True)
    fits = 0
    if not as_text(cells.get("text")).isascii():
        fits += check.fits_text(decoded.written("text"))
    if not as_text(cells.get("response_id")).isascii():
        fits += find_place(decoded, check) is not None
    return fits


def _guess(cells: Sequence[bytes]) -> str:
    """gb18030 or cp1252: two accented letters in a row are rarely a common Chinese character.

    utf-8 where most cells are UTF-8: then a few bytes of the file are damaged.
    """
    if sum(map(_is_utf8, cells)) * 2 > len(cells):
        return "utf-8"
    common = total = 0
    for cell in cells:
        try:
            text = cell.decode("gb18030")
        except UnicodeDecodeError:
            return "cp1252"
        foreign = [character for character in text if not character.isascii()]
        total += len(foreign)
        common += sum(map(_is_common, foreign))
    return "gb18030" if common >= _COMMON_SHARE * total else "cp1252"


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_common(character: str) -> bool:
    """Whether GB 2312 has the character among its marks or its common characters (rows 1-9,
    16-55)."""
    try:
        lead = character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    return 0xA1 <= lead <= 0xA9 or 0xB0 <= lead <= 0xD7
