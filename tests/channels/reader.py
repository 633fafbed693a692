"""What an adapter makes of a delivery, where a test wants one kind of answer."""

from collections.abc import Callable
from typing import TypeVar

from leadjobs.leads.inbound import Adapter, Delivery, Ignored, Inbound, Outbound

Wanted = TypeVar("Wanted", Inbound, Outbound, Ignored)


def reader(adapter: Adapter, kind: type[Wanted]) -> Callable[[Delivery], Wanted]:
    """Reads deliveries that mean this kind; any other meaning fails the test, and is shown."""

    def read(source: Delivery) -> Wanted:
        told = adapter.read(source)
        assert isinstance(told, kind), told
        return told

    return read


def reasons(adapter: Adapter) -> Callable[[Delivery], str | None]:
    """Tells why deliveries are ignored; None of one that is not."""

    def reason(source: Delivery) -> str | None:
        told = adapter.read(source)
        return told.reason if isinstance(told, Ignored) else None

    return reason
