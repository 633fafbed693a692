"""The budgets that one run of one job spends of: reserved before each call, settled after it, both under the lease."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from operator import itemgetter
from typing import Any

import psycopg

from leadjobs.core.clock import Clock
from leadjobs.core.spend import Spend, checked
from leadjobs.errors import LeaseLostError, OverBudgetError, StoreError
from leadjobs.store.connection import OwnConnection, Rows, Transactions, fetch_async, finished
from leadjobs.store.jobs import Claimed
from leadjobs.store.statements import statement

SOON = 10.0  # seconds until a job asks again for what others, that run now, may leave of what they have reserved


class Budgets:
    """The budgets of a job's tenant, as the owner of a lease spends of them."""

    def __init__(self, transactions: Transactions, claimed: Claimed, clock: Clock) -> None:
        self._transactions, self._claimed, self._clock = transactions, claimed, clock

    @asynccontextmanager
    async def spend(self, amounts: Mapping[str, int], what: str) -> AsyncIterator[Spend]:
        """Reserve the amounts before the block, and settle after it what the block said they came to."""
        if not checked(amounts):
            raise StoreError("job.spend() needs an amount, such as tokens=6000")
        if "\0" in what:
            raise StoreError("what the amounts are spent for has no NUL")
        ids, spend = await self._reserve(amounts, what), Spend(amounts)
        try:
            yield spend
        except BaseException:
            with suppress(LeaseLostError, StoreError, psycopg.Error):  # it stays reserved; the block's own error counts
                await self._settle(ids, spend)
            raise
        await self._settle(ids, spend)

    async def _reserve(self, amounts: Mapping[str, int], what: str) -> dict[str, int]:
        """Reserve all amounts, or none; the ids of their rows by unit."""
        asked = json.dumps([{"unit": unit, "amount": amount} for unit, amount in amounts.items()])
        more = {"generation": self._claimed.generation, "what": what}
        while True:
            async with self._transactions.begin() as connection:
                now = self._clock.database_now()
                rows = await self._fetch(connection, "reserve_spend", asked=asked, now=now, **more)
                ids = {row["unit"]: row["id"] for row in rows}
                if len(ids) == len(amounts):
                    return ids
                standing = await self._fetch(connection, "find_budget", asked=asked, now=now, seconds=SOON)
                self._refuse(standing, ids)
                raise psycopg.Rollback  # a cap was raised since: once more, from the beginning

    def _refuse(self, standing: Rows, ids: Mapping[str, int]) -> None:
        """Say why not all could be reserved, with the numbers of the unit that still cannot for longest."""
        if not standing:
            raise self._lost("nothing was reserved")
        over = [row for row in standing if row["unit"] not in ids and _is_over(row)]
        if over:
            raise OverBudgetError(tenant=self._claimed.tenant, **max(over, key=itemgetter("until")))

    async def _settle(self, ids: Mapping[str, int], spend: Spend) -> None:
        """Write what the block said, also while the run is being cancelled."""
        if spend.actual:
            await finished(self._told(json.dumps([{"id": ids[unit], "actual": n} for unit, n in spend.actual.items()])))

    async def _told(self, told: str) -> None:
        async with self._transactions.begin() as connection:
            if not await self._fetch(connection, "settle_spend", told=told):
                raise self._lost("what was spent stays at what was reserved")

    async def _fetch(self, connection: OwnConnection, name: str, **more: Any) -> Any:
        job = self._claimed
        binds = {"id": job.id, "lease_no": job.lease.lease_no}
        return await fetch_async(connection, statement(name), binds | more)

    def _lost(self, what: str) -> LeaseLostError:
        return LeaseLostError(f"job {self._claimed.id} has another owner by now: {what}")


def _is_over(row: Mapping[str, Any]) -> bool:
    return row["cap"] is not None and row["used"] + row["asked"] > row["cap"]
