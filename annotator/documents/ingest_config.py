"""The settings of `ingest`: the names of documents, and the limits for a file."""

from __future__ import annotations

import codecs
from typing import Literal

from pydantic import Field, field_validator

from schemas.config import Section
from schemas.stage import DEFAULT_MAX_FAILED
from schemas.text.language_codes import AUTO, LanguageCode

TopicRule = Literal["file", "folder", "title"]


class IngestConfig(Section):
    """Settings of `ingest`. The metadata of a file takes precedence over them."""

    topic: TopicRule = "file"
    """Where a document's topic comes from: `file` (its path without the ending), `folder` (the
    folder it is in) or `title`. A topic is never in both splits of a data set."""

    language: LanguageCode = AUTO
    """ISO code of the documents ('en', 'zh', ...); 'auto' detects it in each document."""

    license: str = ""
    """Licence of the documents that do not name one. Without it, a LICENSE file in the folder is
    named."""

    encoding: str = AUTO
    """Encoding of text files without a byte order mark ('gb18030', 'latin-1', ...); 'auto' tries
    UTF-8, then the encoding that a page declares, then a guess that is listed in a note."""

    max_file_mb: float = Field(default=64.0, gt=0.0, le=1024.0)
    """Largest size of a file, in MB; a larger one is recorded as failed (`too_large`) and not
    read."""

    max_document_chars: int = Field(default=5_000_000, ge=1)
    """Largest length of a text, in characters; a file with more is recorded as failed
    (`too_large`)."""

    max_seconds: float = Field(default=120.0, gt=0.0)
    """Longest time to read a file, in seconds; a file that takes longer is recorded as failed
    (`too_slow`)."""

    max_memory_mb: int = Field(default=2048, ge=256)
    """Most memory to read a file, in MB; a file that needs more is recorded as failed
    (`reader_died`)."""

    max_failed: float = Field(default=DEFAULT_MAX_FAILED, ge=0.0, le=1.0)
    """Share of the files that may fail before the command ends with exit code 1."""

    @field_validator("encoding")
    @classmethod
    def _is_an_encoding_of_text(cls, value: str) -> str:
        if value == AUTO:
            return value
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(
                f"{value!r} is not a text encoding that Python knows; allowed are 'auto' and names "
                "such as 'utf-8', 'gb18030', 'big5' or 'latin-1'"
            ) from None
        return codecs.lookup(value).name
