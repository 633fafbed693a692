"""Times that Python has no year for: somebody may have written one into a row, and no list may break of it."""

from datetime import UTC, datetime
from typing import Any, Self

import psycopg
from psycopg.types.datetime import TimestamptzLoader

from leadjobs.store.connection import OwnConnection


class FarTime(datetime):
    """The nearest instant that Python has, which prints as what is stored.

    >>> print(f"{FarTime.of('infinity'):%Y-%m-%d}")
    infinity
    """

    stored: str

    @classmethod
    def of(cls, stored: str) -> Self:
        """The far time that the database calls so."""
        is_past = stored.startswith("-") or stored.endswith("BC")
        far = cls(1, 1, 1, tzinfo=UTC) if is_past else cls(9999, 12, 31, tzinfo=UTC)
        far.stored = stored
        return far

    def __format__(self, _: str) -> str:
        return self.stored

    def __str__(self) -> str:
        return self.stored

    def __deepcopy__(self, _: Any) -> Self:
        return self

    def isoformat(self, *_: Any, **__: Any) -> str:
        """What is stored."""
        return self.stored

    def astimezone(self, *_: Any) -> Self:
        """The same: no zone has a name for it."""
        return self


class _Loader(TimestamptzLoader):
    def load(self, data: Any) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return FarTime.of(bytes(data).decode())


def read_far_times(connection: OwnConnection) -> None:
    """From now on read what Python has no year for, too, on this connection."""
    connection.adapters.register_loader("timestamptz", _Loader)
