"""What asking models cost, read from the ledger: by workspace, feature, model, source or day."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from leadjobs.errors import SettingsError
from leadjobs.store.connection import OwnConnection, fetch_async
from leadjobs.store.statements import statement


class By(StrEnum):
    """What calls are summed up by."""

    WORKSPACE = "workspace"
    FEATURE = "feature"
    MODEL = "model"
    SOURCE = "source"
    DAY = "day"  # in UTC


class _View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Spend(_View):
    """What some calls used and cost; ``name`` is what they have in common, None for all calls.

    ``cached_tokens`` are a part of ``input_tokens``, ``reasoning_tokens`` of ``output_tokens``.  ``without_end`` are
    calls whose end nobody wrote down.  ``cost_complete`` is false where there are such, or others that may have been
    billed without a count, or whose bill has no price: then ``cost_usd`` is the least that was spent.
    """

    name: str | None
    calls: int
    succeeded: int
    failed: int
    without_end: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal
    cost_complete: bool
    p95_latency_ms: int | None


class Bill(_View):
    """The calls of the last ``days``, line by line and in total; ``workspace`` None stands for all."""

    by: By
    days: int
    workspace: str | None
    lines: tuple[Spend, ...]
    total: Spend


class FailedCall(_View):
    """A call that failed: ``error`` is a class and a short cause, and never quotes what was asked or answered."""

    id: int
    created_at: datetime
    workspace: str
    feature: str
    model: str
    job_id: int | None
    job_attempt: int | None
    latency_ms: int | None
    request_id: str | None
    error: str | None


async def read_bill(connection: OwnConnection, by: By, *, days: int, workspace: str | None = None) -> Bill:
    """What was spent in the last so many days, the dearest first; by day, the newest first.

    Raises:
        SettingsError: there is no workspace of this name.
    """
    params = {"by": by.value, "days": days, "workspace_id": await _find(connection, workspace)}
    rows = await fetch_async(connection, statement("sum_calls", "leadjobs.leads"), params)
    *lines, total = (Spend(cost_usd=_dollars(row["cost_usd_micros"]), **row) for row in rows)
    return Bill(by=by, days=days, workspace=workspace, lines=tuple(lines), total=total)


async def newest_failures(
    connection: OwnConnection, *, days: int, workspace: str | None = None, most: int = 20
) -> list[FailedCall]:
    """The newest calls that failed in the last so many days, newest first.

    Raises:
        SettingsError: there is no workspace of this name.
    """
    params = {"days": days, "workspace_id": await _find(connection, workspace), "max_calls": most}
    rows = await fetch_async(connection, statement("list_failed_calls", "leadjobs.leads"), params)
    return [FailedCall(**row) for row in rows]


async def _find(connection: OwnConnection, workspace: str | None) -> int | None:
    if workspace is None:
        return None
    rows = await fetch_async(connection, statement("find_workspace", "leadjobs.leads"), {"name": workspace})
    if not rows:
        raise SettingsError(f"there is no workspace {workspace!r}: `leadjobs workspaces list` shows their names")
    return int(rows[0]["id"])


def _dollars(micros: int) -> Decimal:
    """Exactly, with all six digits."""
    return Decimal(micros).scaleb(-6)
