"""The steps of one run of one job: what is finished is kept, and never done again by a later run."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from leadjobs.core.argument import awaited
from leadjobs.core.job import Lease
from leadjobs.core.storable import storable_json
from leadjobs.errors import EnqueueError, LeaseLostError, StoreError
from leadjobs.store.connection import Transactions, fetch_async
from leadjobs.store.statements import statement

MAX_NAME = 200  # characters
FIRST_LEASE = 1  # of a job: nobody has run it before, so no step of it is kept


async def fence(connection: Any, lease: Lease, asked_by: str) -> None:
    """Lock the job under its lease, in the caller's transaction and until its end.

    The lock comes first and lasts to the commit: a check without it would let a takeover in between.

    Raises:
        LeaseLostError: somebody else owns the job by now; the transaction was rolled back.
        StoreError: the connection is no async one, or has no transaction.
    """
    try:
        is_ours = await fetch_async(connection, statement("fence"), {"id": lease.job_id, "lease_no": lease.lease_no})
    except EnqueueError:
        raise StoreError(
            f"{asked_by} cannot use a {type(connection).__module__}.{type(connection).__name__}: give it the "
            "AsyncSession, or the AsyncConnection of SQLAlchemy or psycopg, that your rows are written on"
        ) from None
    if not is_ours:
        await connection.rollback()
        raise LeaseLostError(f"job {lease.job_id} has another owner by now: nothing of this run was written")
    if not await fetch_async(connection, statement("find_transaction"), {}):
        raise StoreError(f"{asked_by} needs a transaction, and this connection is in autocommit mode")


class Steps:
    """A job's finished steps, in one generation of it, as the owner of ``lease`` sees and adds to them."""

    def __init__(self, transactions: Transactions, lease: Lease, generation: int) -> None:
        self._transactions, self._lease, self._generation = transactions, lease, generation
        self._finished: dict[str, Any] | None = {} if lease.lease_no == FIRST_LEASE else None

    async def finished(self) -> dict[str, Any]:
        """The results of the finished steps by name; read from the database once."""
        if self._finished is None:
            async with self._transactions.begin() as connection:
                params = {"id": self._lease.job_id, "generation": self._generation}
                rows = await fetch_async(connection, statement("find_steps"), params)
            self._finished = {row["name"]: row["result"] for row in rows}
        return self._finished

    async def run(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """The step's kept result; where there is none, do the work and keep what it returns."""
        finished = await self.finished()
        if name not in finished:
            as_json = _as_json(name, await awaited(f"work of step {name}", work))
            async with self._transactions.begin() as connection:
                await self._keep(connection, name, as_json)
            finished[name] = json.loads(as_json)  # as a later run will find it
        return finished[name]

    async def keep(self, connection: Any, name: str, result: Any) -> None:
        """Keep a step's result and commit the caller's transaction, whose rows are the step's; or neither."""
        as_json, finished = _as_json(name, result), await self.finished()
        await fence(connection, self._lease, "job.keep()")
        await self._keep(connection, name, as_json)
        await connection.commit()
        finished[name] = json.loads(as_json)

    async def _keep(self, connection: Any, name: str, as_json: str) -> None:
        params = {
            "id": self._lease.job_id,
            "lease_no": self._lease.lease_no,
            "generation": self._generation,
            "name": name,
            "result": as_json,
        }
        if not await fetch_async(connection, statement("keep_step"), params):
            raise LeaseLostError(f"job {self._lease.job_id} has another owner by now: the step {name} was not kept")


def _as_json(name: str, result: Any) -> str:
    if not 0 < len(name) <= MAX_NAME or "\0" in name:
        raise StoreError(f"a step's name has 1 to {MAX_NAME} characters without NUL")
    try:
        return storable_json(result)
    except ValueError as error:
        raise StoreError(f"the result of step {name} {error}") from None
