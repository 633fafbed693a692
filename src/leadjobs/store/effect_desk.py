"""The operator's statements about effects: list them, and say what became of one that nobody knows the end of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg

from leadjobs.core.job import JobId
from leadjobs.core.storable import storable_json
from leadjobs.errors import StoreError
from leadjobs.store.connection import OwnConnection, Rows, fetch_async
from leadjobs.store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLine:
    """An effect in a list.  ``is_unknown``: no answer has come, and the run that might still tell has lost its job."""

    job_id: JobId
    generation: int
    name: str
    tag: str
    state: Literal["intended", "accepted", "refused"]
    is_unknown: bool
    receipt: Any
    told_by: str | None
    intended_at: datetime
    answered_at: datetime | None
    type: str
    tenant: str
    job_state: str


class EffectDesk:
    """Looks at effects and answers for them, on one connection of our own."""

    def __init__(self, connection: OwnConnection) -> None:
        self._connection = connection

    async def _rows(self, name: str, /, **params: Any) -> Rows:
        return await fetch_async(self._connection, statement(name), params)

    async def list_effects(
        self, *, job_id: JobId | None = None, only_unknown: bool = False, most: int = 100
    ) -> Sequence[EffectLine]:
        """The newest jobs' effects, or one job's; ``only_unknown``: those that a person must look for."""
        rows = await self._rows("list_effects", job_id=job_id, only_unknown=only_unknown, max_effects=most)
        return [EffectLine(**row) for row in rows]

    async def mark_sent(
        self, job_id: JobId, name: str, *, by: str, receipt: Any = None, generation: int | None = None
    ) -> bool:
        """Keep that an effect was made; a job that failed or waits is due now, in the same generation: was it so?

        ``receipt`` (any JSON) is what the handler will get.  ``generation`` None means the job's newest.  A second time
        changes nothing but the time the job is due.

        Raises:
            StoreError: there is no such effect, it was not sent, or its job is running; it is accepted by now, with
                another receipt, which stands; or the receipt is no JSON.
        """
        try:
            as_json = storable_json(receipt)
        except ValueError as error:
            raise StoreError(f"the receipt of {name} {error}") from None
        async with self._connection.transaction():
            sent = await self._act("mark_effect_sent", job_id, name, generation, by=by, receipt=as_json)
            if receipt is not None and sent["receipt"] != json.loads(as_json):
                raise StoreError(
                    f"{name} of job {job_id} was sent, and its receipt is {sent['receipt']!r}: leave the receipt out"
                )
        return bool(sent["is_due"])

    async def send_again(self, job_id: JobId, name: str, *, by: str, generation: int | None = None) -> bool:
        """Let an effect be made (once more); a job that failed or waits is due now, in the same generation: was it so?

        The call is made under the same tag.  ``generation`` None means the job's newest.

        Raises:
            StoreError: there is no such effect, it is accepted, or its job is running.
        """
        return bool((await self._act("send_effect_again", job_id, name, generation, by=by))["is_due"])

    async def _act(
        self, statement_name: str, job_id: JobId, name: str, generation: int | None, **more: Any
    ) -> Mapping[str, Any]:
        try:
            async with self._connection.transaction():
                await self._rows("lock_job", id=job_id)
                binds = {"id": job_id, "name": name, "generation": generation, "now": None}
                rows = await self._rows(statement_name, **binds, **more)
        except psycopg.errors.UniqueViolation:
            raise StoreError(
                f"another unfinished job holds the dedupe key of job {job_id}: cancel that one first"
            ) from None
        if not rows:
            raise StoreError(await self._why_not(job_id, name, generation))
        return rows[0]

    async def _why_not(self, job_id: JobId, name: str, generation: int | None) -> str:
        effects = await self.list_effects(job_id=job_id)
        fitting = [e for e in effects if e.name == name and generation in {None, e.generation}]
        if not fitting:
            return f"job {job_id} has no effect {name}: see `leadjobs effects list`"
        if fitting[0].job_state == "RUNNING":
            return f"job {job_id} is running: cancel it first, or wait for its lease to end"
        if fitting[0].state == "accepted":
            return f"{name} of job {job_id} was sent: to do all of the job again, say `leadjobs jobs retry {job_id}`"
        if fitting[0].state == "refused":
            return f"{name} of job {job_id} was not sent: say `leadjobs effects send-again {job_id} {name}`"
        return f"{name} of job {job_id} is of generation {fitting[0].generation}: name it with --generation"
