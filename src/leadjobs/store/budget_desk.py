"""The operator's statements about budgets: who may spend how much in a day, and what waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leadjobs.core.clock import Clock, SystemClock
from leadjobs.core.spend import checked
from leadjobs.errors import StoreError
from leadjobs.store.connection import OwnConnection, Rows, fetch_async
from leadjobs.store.statements import statement

EVERYBODY = "*"  # the tenant whose caps are those of each tenant that has none of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """A tenant's day in one unit.  ``unknown`` is the part of ``used`` that no run will settle any more.

    ``cap`` None: it is only recorded.  ``is_default``: the cap is that of the tenant ``*``.
    """

    tenant: str
    unit: str
    cap: int | None
    is_default: bool
    used: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWait:
    """What waits for a budget: jobs of a type and tenant that were put off until ``until``."""

    type: str
    tenant: str
    reason: str
    until: datetime
    jobs: int


class BudgetDesk:
    """Looks at budgets and sets them, on one connection of our own."""

    def __init__(self, connection: OwnConnection, clock: Clock | None = None) -> None:
        self._connection, self._clock = connection, clock or SystemClock()

    async def _rows(self, name: str, /, **params: Any) -> Rows:
        return await fetch_async(self._connection, statement(name), params)

    async def list_budgets(self) -> Sequence[BudgetLine]:
        """All caps, and what is used of today (UTC, by the database's clock), capped or not."""
        return [BudgetLine(**row) for row in await self._rows("list_budgets", now=self._clock.database_now())]

    async def list_waiting(self) -> Sequence[BudgetWait]:
        """What waits for a budget, by type and tenant."""
        return [BudgetWait(**row) for row in await self._rows("list_over_budget")]

    async def set_cap(self, tenant: str, unit: str, cap: int) -> int:
        """Set what a tenant may spend of a unit in a day, from now on; how many waiting jobs it let go.

        What is used of today counts.  What waited for the tenant's budget is due at once, whatever the unit, and waits
        again where it still does not fit.  The tenant ``*`` is each one that has no cap of its own in the unit.

        Raises:
            StoreError: the cap is no whole number from 0 up, or the unit has no usable name.
        """
        checked({unit: cap})
        async with self._connection.transaction():
            await self._rows("set_budget", tenant=tenant, unit=unit, cap=cap)
            return await self._release(tenant)

    async def unset_cap(self, tenant: str, unit: str) -> int:
        """Take a tenant's own cap away; how many waiting jobs it let go.

        Raises:
            StoreError: the tenant has none in this unit.
        """
        async with self._connection.transaction():
            if not await self._rows("unset_budget", tenant=tenant, unit=unit):
                raise StoreError(f"the tenant {tenant!r} has no cap of its own in {unit}: see `leadjobs budget list`")
            return await self._release(tenant)

    async def _release(self, tenant: str) -> int:
        return len(await self._rows("release_over_budget", tenant=tenant, now=self._clock.database_now()))
