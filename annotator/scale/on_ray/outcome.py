"""What one attempt at a piece sends to the driver: a report, an error, or that it was left out.

The rule: an error arrives as what was raised, with its own type and sentence, so the command ends
as it would on one machine. An error that is not meant for users keeps the traceback of its
worker.
"""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass

from annotator.scale.work import PieceReport
from schemas.errors import MaskDpoError


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Of the piece with this number: `report`, `error`, or neither, where it was left out."""

    number: int
    report: PieceReport | None = None
    error: PackedError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedError:
    """An exception as bytes, and as text for one that cannot be made again from them."""

    pickled: bytes
    text: str
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> PackedError:
        """Pack an error where it was caught."""
        trace = (
            "" if isinstance(error, MaskDpoError) else "".join(traceback.format_exception(error))
        )
        try:
            pickled = pickle.dumps(error)
            pickle.loads(pickled)  # some can be pickled, but not made again
        except Exception:
            pickled = b""
        return cls(pickled=pickled, text=f"{type(error).__name__}: {error}", trace=trace)

    def unpack(self) -> BaseException:
        """The error, to be raised by the driver."""
        error: BaseException = RuntimeError(self.text)
        if self.pickled:
            error = pickle.loads(self.pickled)
        if self.trace:
            error.add_note(f"In a worker:\n{self.trace}")
        return error
