"""Bytes to characters: the encoding that the file states, then UTF-8, then a plausible guess.

The rule: bytes that are valid UTF-8 are UTF-8, since text in another encoding is never valid UTF-8
by chance; an encoding that is not named is accepted only when the text has a language that is
written in it. Nothing is replaced: a file that no encoding fits is unreadable.
"""

from __future__ import annotations

import codecs
import re

from annotator.documents.readers.file_text import UnreadableError
from schemas.text.language import detect_language
from schemas.text.language_codes import AUTO

# The legacy encodings in use, after the WHATWG list, with the languages written in them.
_LANGUAGES = {
    "gb18030": "zh",
    "big5hkscs": "zh",
    "cp932": "ja",
    "euc_jp": "ja",
    "cp949": "ko",
    "cp1252": "en de fr es it pt nl sv da no nb nn fi is ca eu gl ga id ms af",
    "cp1250": "pl cs sk hu sl hr bs ro sq",
    "iso8859_2": "pl cs sk hu sl hr bs ro sq",
    "cp1251": "ru uk bg sr mk be",
    "koi8_r": "ru bg",
    "cp1253": "el",
    "cp1254": "tr az",
    "cp1255": "he",
    "cp1256": "ar fa ur",
    "cp1257": "lt lv et",
}
# Names that pages give, and the encodings that browsers use for them.
_WEB_NAMES = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-9": "cp1254",
}
_MARKS = (
    (codecs.BOM_UTF8, "utf_8"),
    (codecs.BOM_UTF32_LE, "utf_32_le"),  # before UTF-16, whose byte order mark it begins with
    (codecs.BOM_UTF32_BE, "utf_32_be"),
    (codecs.BOM_UTF16_LE, "utf_16_le"),
    (codecs.BOM_UTF16_BE, "utf_16_be"),
)
_WIDE_UNITS = ("utf_16_le", "utf_16_be", "utf_32_le", "utf_32_be")
_MAX_NUL_SHARE = 0.1  # with more zero bytes than this the file has 16-bit characters
_PAGE_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I)
_PAGE_HEAD_BYTES = 4096


def decode(data: bytes, *, encoding: str = AUTO, language: str = AUTO) -> tuple[str, str]:
    """The text of `data`, and the name of its encoding where that is not UTF-8, else ''.

    `encoding` is a Python codec's name, or 'auto'. `language`, an ISO code or 'auto', takes
    precedence over the guess. Raises UnreadableError for bytes that are not text in the encoding.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], name, source="its first bytes say")
    if encoding != AUTO:
        return _decode(data, encoding, source="the setting 'encoding' says")
    if data.count(0) <= _MAX_NUL_SHARE * len(data):
        try:
            return data.decode("utf-8"), ""
        except UnicodeDecodeError:
            pass
    return _guess(data, language)


def decode_page(data: bytes, *, encoding: str = AUTO, language: str = AUTO) -> tuple[str, str]:
    """`decode`, for HTML: the encoding that a page names is used when the page is not UTF-8."""
    named = _PAGE_CHARSET.search(data[:_PAGE_HEAD_BYTES])
    if encoding == AUTO and named and not _is_utf8(data):
        name = named[1].decode("ascii").lower()
        try:
            return _decode(data, _WEB_NAMES.get(name, name), source="it says")
        except (LookupError, UnreadableError):
            pass  # the page names a wrong encoding, as pages often do
    return decode(data, encoding=encoding, language=language)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode(data: bytes, name: str, *, source: str) -> tuple[str, str]:
    canonical = codecs.lookup(name).name
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            "undecodable", f"{source} {canonical}, but byte {error.start} is not: {error.reason}"
        ) from None
    text = text.removeprefix("\ufeff")
    return text, "" if canonical == "utf-8" else canonical


def _guess(data: bytes, language: str) -> tuple[str, str]:
    """The likeliest encoding whose text is in a language written in it, else the likeliest.

    With a known language its own encodings are tried first: a line of GBK is also valid Korean.
    """
    from charset_normalizer import from_bytes

    spoken = {name: languages.split() for name, languages in _LANGUAGES.items()}
    own = [name for name, languages in spoken.items() if language in languages]
    # Without a zero byte, two letters of Latin-1 would be one character of UTF-16.
    wide_units = _WIDE_UNITS if b"\0" in data else ()
    for names in filter(None, (own, [*spoken, *wide_units])):
        matches = from_bytes(data, cp_isolation=names)
        texts = [(str(match), match.encoding) for match in matches]
        for text, name in texts:
            if name in _WIDE_UNITS or detect_language(text) in spoken[name]:
                return text, name
        if texts:
            return texts[0]
    raise UnreadableError(
        "undecodable",
        "it is not UTF-8, and no other encoding gives plausible text; name its encoding in the "
        "setting 'encoding', or save it as UTF-8",
    )
