"""How far a run is, and what is kept of what came of it."""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from leadjobs.core.storable import encode, storable_json, storable_text
from leadjobs.errors import StoreError

MAX_NOTE = 200  # characters
MAX_RESULT = 16_384  # bytes of JSON


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: so much is ``done``, of a ``total`` where one is known.

    Raises:
        StoreError: an amount is no number from 0 up, or the note no text.

    >>> str(Progress(40, 160, "page 4"))
    '40 of 160 (25 %): page 4'
    """

    done: float
    total: float | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be kept."""
        amounts: list[Any] = [self.done, 0 if self.total is None else self.total]
        for amount in amounts:
            if not isinstance(amount, int | float) or not isfinite(amount) or amount < 0:
                raise StoreError(f"job.progress(done, total) takes numbers from 0 up, and not {amount!r}")
        note: Any = self.note
        if not isinstance(note, str | None):
            raise StoreError(f"job.progress(…, note) takes text, and not {type(note).__name__}")

    def __str__(self) -> str:
        share = f" of {self.total:g} ({self.done / self.total:.0%})".replace("%", " %") if self.total else ""
        return f"{self.done:g}{share}" + (f": {self.note}" if self.note else "")

    def as_json(self) -> str:
        """As it is kept: JSON text, the note cut at its most."""
        note = None if self.note is None else storable_text(self.note)[:MAX_NOTE]
        return encode({name: value for name, value in (asdict(self) | {"note": note}).items() if value is not None})


def result_json(result: Any) -> str | None:
    """A job's result as it is kept; None where there is none.

    Raises:
        StoreError: it is no JSON that can be kept, or too much of it.
    """
    if result is None:
        return None
    try:
        text = storable_json(result)
    except ValueError as error:
        raise StoreError(f"the result in Done(result=…) {error}") from None
    if len(text) > MAX_RESULT:
        raise StoreError(
            f"the result in Done(result=…) has {len(text)} bytes of JSON, and {MAX_RESULT} are kept: write it into a "
            "table of yours with job.commit, or into a file, and return its id"
        )
    return text
