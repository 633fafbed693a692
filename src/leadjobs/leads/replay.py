"""Kept deliveries again: those that no workspace owned when they came, or that could not be read."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Rollback

from leadjobs.leads.inbound import Adapter, Inbound, Meaning, Outbound
from leadjobs.leads.inbox import UNREADABLE, Keeping, read
from leadjobs.store.connection import Rows, Transactions, fetch_async
from leadjobs.store.statements import statement
from leadjobs.web.delivery import Delivery

PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of one kept delivery: ``was`` is what was made of it before, ``is_now`` what is made of it now."""

    event_id: int
    source: str
    tenant_keys: tuple[str, ...]
    received_at: datetime
    was: str
    is_now: str


class Replay:
    """Reads kept deliveries again, with the adapters and workspaces that there are by now."""

    def __init__(self, transactions: Transactions, adapters: Iterable[Adapter]) -> None:
        self._transactions = transactions
        self._adapters: Mapping[str, Adapter] = {adapter.source: adapter for adapter in adapters}

    async def run(self, *, source: str | None = None, most: int, is_dry: bool) -> AsyncIterator[Replayed]:
        """Replay deliveries of nobody, oldest first, each in a transaction of its own; a dry run undoes each.

        What becomes a message gets its job, exactly as if it had just arrived; what was sent again in the meantime and
        kept then is a duplicate.  Two replays at once share the work.
        """
        after_id, left = 0, most
        while left > 0:
            async with self._transactions.begin() as connection:
                found = await _rows(
                    connection, "find_events_of_nobody", after_id=after_id, source=source, most=min(PAGE, left)
                )
            for row in found:
                if (replayed := await self._replay(row["id"], is_dry=is_dry)) is not None:
                    yield replayed
            left -= len(found)
            if len(found) < PAGE:
                return
            after_id = found[-1]["id"]

    async def _replay(self, event_id: int, *, is_dry: bool) -> Replayed | None:
        replayed: Replayed | None = None
        async with self._transactions.begin() as connection:
            rows = await _rows(connection, "lock_event", event_id=event_id)
            replayed = await self._keep(connection, rows[0]) if rows else None
            if is_dry:
                raise Rollback
        return replayed

    async def _keep(self, connection: AsyncConnection[Any], event: Mapping[str, Any]) -> Replayed:
        headers = {} if event["content_type"] is None else {"content-type": event["content_type"]}
        delivery = Delivery(source=event["source"], url=event["url"], headers=headers, body=event["body"])
        adapter = self._adapters.get(event["source"])
        if adapter is None:
            return _replayed(event, (), "no source has this name any more")
        meaning = _with_kept_keys(read(adapter, delivery), event)
        is_now = await Keeping(connection).keep(delivery, meaning)
        if is_now == "duplicate" and meaning.delivery_key == event["delivery_key"]:
            is_now = "as before"  # nobody owns it still
        elif meaning.delivery_key != event["delivery_key"]:
            await _rows(connection, "drop_event", event_id=event["id"])
        return _replayed(event, meaning.tenant_keys, is_now)


def _with_kept_keys(meaning: Meaning, event: Mapping[str, Any]) -> Meaning:
    """The meaning with what only headers or the address said when it came: they are not kept, their keys are."""
    tenant_keys = tuple(dict.fromkeys([*event["tenant_keys"], *meaning.tenant_keys]))
    if isinstance(meaning, Inbound | Outbound) and meaning.sent_at is None:
        meaning = replace(meaning, sent_at=event["received_at"])
    is_keyed = not event["delivery_key"].startswith(f"{UNREADABLE}:")
    return replace(
        meaning, tenant_keys=tenant_keys, delivery_key=event["delivery_key"] if is_keyed else meaning.delivery_key
    )


def _replayed(event: Mapping[str, Any], tenant_keys: tuple[str, ...], is_now: str) -> Replayed:
    return Replayed(
        event_id=event["id"],
        source=event["source"],
        tenant_keys=tenant_keys or tuple(event["tenant_keys"]),
        received_at=event["received_at"],
        was=event["what"],
        is_now=is_now,
    )


async def _rows(connection: AsyncConnection[Any], name: str, **params: Any) -> Rows:
    return await fetch_async(connection, statement(name, "leadjobs.leads"), params)
