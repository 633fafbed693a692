"""What asking models cost, read from the ledger: by workspace, feature, model, source or day; and what today may."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from leadjobs.errors import SettingsError
from leadjobs.leads.ai.calls import UNITS
from leadjobs.store.budget_desk import BudgetDesk
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


class Today(_View):
    """What a workspace may spend today (UTC), and what is used of it, in tokens or millionths of a dollar.

    ``unknown`` is the part of ``used`` that may have been billed without a count.  ``is_default``: the cap is that of
    the tenant ``*``.
    """

    workspace: str
    unit: str
    cap: int
    is_default: bool
    used: int
    unknown: int


class Bill(_View):
    """The calls of the last ``days``, line by line and in total; ``workspace`` None stands for all.

    ``today`` is there for workspaces that have a cap.
    """

    by: By
    days: int
    workspace: str | None
    lines: tuple[Spend, ...]
    total: Spend
    today: tuple[Today, ...]


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
    workspace_id = await _find(connection, workspace)
    params = {"by": by.value, "days": days, "workspace_id": workspace_id}
    rows = await fetch_async(connection, statement("sum_calls", "leadjobs.leads"), params)
    *lines, total = (Spend(cost_usd=dollars(row["cost_usd_micros"]), **row) for row in rows)
    today = await _today(connection, workspace_id)
    return Bill(by=by, days=days, workspace=workspace, lines=tuple(lines), total=total, today=tuple(today))


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


async def _today(connection: OwnConnection, workspace_id: int | None) -> list[Today]:
    """The budgets of one workspace, or of all, as far as they are capped and for models."""
    capped = [
        (int(line.tenant), line, line.cap)
        for line in await BudgetDesk(connection).list_budgets()
        if line.cap is not None and line.unit in UNITS and line.tenant.isdecimal()
    ]
    ids = [tenant for tenant, *_ in capped if workspace_id in {None, tenant}]
    rows = await fetch_async(connection, statement("name_workspaces", "leadjobs.leads"), {"ids": ids})
    names = {row["id"]: row["name"] for row in rows}
    return [
        Today(
            workspace=names[tenant],
            unit=line.unit,
            cap=cap,
            is_default=line.is_default,
            used=line.used,
            unknown=line.unknown,
        )
        for tenant, line, cap in capped
        if tenant in names
    ]


async def _find(connection: OwnConnection, workspace: str | None) -> int | None:
    if workspace is None:
        return None
    rows = await fetch_async(connection, statement("find_workspace", "leadjobs.leads"), {"name": workspace})
    if not rows:
        raise SettingsError(f"there is no workspace {workspace!r}: `leadjobs workspaces list` shows their names")
    return int(rows[0]["id"])


def dollars(micros: int) -> Decimal:
    """Exactly, with all six digits."""
    return Decimal(micros).scaleb(-6)
