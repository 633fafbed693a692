"""``leadjobs doctor``: is everything set up so that jobs get done?  Says what to do where it is not."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import psycopg
import typer

from leadjobs.app import LEADS, MIGRATIONS
from leadjobs.cli.context import DEFAULT_APP, AppOption, database, load_runner
from leadjobs.cli.output import JsonFlag, console, print_json, print_table
from leadjobs.errors import LeadjobsError
from leadjobs.leads.ai.models import find_model
from leadjobs.runner import Runner
from leadjobs.settings import Settings, read_settings
from leadjobs.store.connection import OwnConnection, connect
from leadjobs.store.jobs import JobStore
from leadjobs.store.schema import missing_revisions, newest
from leadjobs.store.url import masked

SECRETS = {
    "CRON_SECRET": "the cron door is shut: set it, on Vercel too",
    "OPENAI_API_KEY": "sentiment, drafts and scoring wait: set it",
}
SOURCE_SECRETS = {
    "twilio": "LEADJOBS_TWILIO_SECRET",
    "gohighlevel": "LEADJOBS_GOHIGHLEVEL_SECRET",
    "unipile": "LEADJOBS_UNIPILE_SECRET",
    "smartlead": "LEADJOBS_SMARTLEAD_SECRET",
    "instantly": "LEADJOBS_INSTANTLY_SECRET",
    "emailbison": "LEADJOBS_EMAILBISON_SECRET",
    "postmark": "LEADJOBS_POSTMARK_SECRET",
    "sendgrid": "LEADJOBS_SENDGRID_SECRET",
    "standard-webhooks": "LEADJOBS_STANDARD_WEBHOOKS_SECRET",
}
OLDEST_POSTGRES = 150000
MAX_SKEW = 5.0  # seconds
MAX_LATENESS = 300.0  # seconds


class Grade(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    grade: Grade
    what: str
    found: str


def doctor(app: AppOption = DEFAULT_APP, as_json: JsonFlag = False) -> None:
    """Look at settings, secrets, database, schema, pooler, clock and queue; exit code 1 if something must be done."""
    findings = list(_look_at_secrets(os.environ))
    try:
        settings = read_settings()
        findings += _look_at_model(settings)
        with database() as url:
            runner = load_runner(app)
            findings += asyncio.run(_look_at_database(url, runner))
            findings += _look_at_runner(runner)
    except LeadjobsError as error:
        findings.append(Finding(Grade.FAIL, "settings", str(error)))
    if as_json:
        print_json(findings)
    else:
        print_table(("", "what", "found"), [(x.grade, x.what, x.found) for x in findings])
        console.print(
            "\nNothing must be done." if _is_well(findings) else "\n[red]Something must be done: see FAIL above.[/]"
        )
    if not _is_well(findings):
        raise typer.Exit(1)


def _is_well(findings: list[Finding]) -> bool:
    return all(finding.grade is not Grade.FAIL for finding in findings)


def _look_at_secrets(environment: Mapping[str, str]) -> Iterator[Finding]:
    fixes = SECRETS | {
        name: f"webhooks of {source} are refused, see docs/sources/{source}.md"
        for source, name in SOURCE_SECRETS.items()
    }
    for name, fix in fixes.items():
        raw = environment.get(name)
        if raw is None or not raw.strip():
            yield Finding(Grade.WARN, name, f"not set; {fix}")
        elif raw != raw.strip():
            yield Finding(
                Grade.WARN, name, "set, with white space around it (a newline?): it is trimmed here; store it without"
            )
        else:
            count = 1 if name == "CRON_SECRET" else len([part for part in raw.split(",") if part.strip()])
            yield Finding(
                Grade.OK, name, "set" if count == 1 else f"{count} values are accepted: drop the old one in time"
            )


def _look_at_model(settings: Settings) -> Iterator[Finding]:
    model = find_model(settings.ai_model)
    if model.ends_on is None:
        known = model.input_usd is not None
        text = model.name if known else f"{model.name}: no prices are known, its cost is not counted"
        yield Finding(Grade.OK if known else Grade.WARN, "scoring model", text)
        return
    days = (model.ends_on - datetime.now(UTC).date()).days
    when = f"{model.name} is switched off on {model.ends_on:%Y-%m-%d} ({days} days)"
    yield Finding(
        Grade.WARN,
        "scoring model",
        f"{when}; scoring moves to {model.successor} by itself, or set LEADJOBS_AI_MODEL",
    )


def _look_at_runner(runner: Runner) -> Iterator[Finding]:
    yield Finding(
        Grade.OK, "time", f"{runner.budget.total_seconds():g} s an invocation, {runner.concurrency} jobs at once"
    )


async def _look_at_database(url: str, runner: Runner) -> list[Finding]:
    try:
        async with connect(url) as connection:
            findings = [Finding(Grade.OK, "database", masked(url))]
            findings += [await look(connection) for look in (_version, _isolation, _clock)]
            findings.append(_pooler(url))
            findings.append(schema := await _schema(connection))
            return findings if schema.grade is Grade.FAIL else findings + await _queue(connection, runner)
    except (psycopg.Error, LeadjobsError) as error:
        return [Finding(Grade.FAIL, "database", f"{masked(url)}: {str(error).strip()}")]


async def _version(connection: OwnConnection) -> Finding:
    number = connection.info.server_version
    old = f"PostgreSQL {number // 10000} is too old: leadjobs needs 15 or newer"
    return (
        Finding(Grade.FAIL, "PostgreSQL", old)
        if number < OLDEST_POSTGRES
        else Finding(Grade.OK, "PostgreSQL", f"{number // 10000}")
    )


async def _isolation(connection: OwnConnection) -> Finding:
    row = await (await connection.execute("SHOW default_transaction_isolation")).fetchone()
    level = row["default_transaction_isolation"] if row else "?"
    if level == "read committed":
        return Finding(Grade.OK, "isolation", level)
    return Finding(
        Grade.FAIL,
        "isolation",
        f"{level}: dedupe keys need READ COMMITTED; ALTER ROLE … SET default_transaction_isolation",
    )


async def _clock(connection: OwnConnection) -> Finding:
    before = datetime.now(UTC)
    row = await (await connection.execute("SELECT clock_timestamp() AS now")).fetchone()
    assert row is not None
    skew = abs((row["now"] - before).total_seconds())
    if skew <= MAX_SKEW:
        return Finding(Grade.OK, "clock", f"{skew:.1f} s off the database's")
    return Finding(
        Grade.WARN,
        "clock",
        f"this machine is {skew:.0f} s off the database: jobs do not mind, signatures with a time may",
    )


async def _schema(connection: OwnConnection) -> Finding:
    missing = await missing_revisions(connection, MIGRATIONS)
    if not missing:
        return Finding(Grade.OK, "schema", "up to date")
    if missing == [newest(LEADS)] and not await _has_lead_half(connection):
        words = (
            "the engine's is up to date; the lead half's tables are not there: `leadjobs migrate` without --engine-only"
        )
        return Finding(Grade.WARN, "schema", f"{words}, if you use it")
    return Finding(Grade.FAIL, "schema", f"{', '.join(missing)} missing: run `leadjobs migrate`")


async def _has_lead_half(connection: OwnConnection) -> bool:
    rows = await connection.execute("SELECT 1 FROM leadjobs_version WHERE version_num LIKE '1%'")
    return await rows.fetchone() is not None


def _pooler(url: str) -> Finding:
    if "-pooler" in url or ":6543" in url:
        fix = "set LEADJOBS_MIGRATE_URL to the direct URL for `leadjobs migrate`"
        return Finding(
            Grade.OK if os.environ.get("LEADJOBS_MIGRATE_URL") else Grade.WARN,
            "pooler",
            f"transaction mode is fine; {fix}",
        )
    return Finding(Grade.OK, "pooler", "none seen in the URL; transaction mode would be fine")


async def _queue(connection: OwnConnection, runner: Runner) -> list[Finding]:
    store = JobStore(connection)
    backlog, pulse = await store.backlog(runner.registry.type_names), await store.pulse()
    silent = "never, in the last week" if pulse.since_invocation is None else f"{pulse.since_invocation:.0f} s ago"
    is_late = (backlog.oldest_due_seconds or 0) > MAX_LATENESS
    fix = "; is the cron calling?  try `leadjobs tick`" if is_late else ""
    findings = [
        Finding(Grade.FAIL if is_late else Grade.OK, "queue", f"{backlog.due} due; a runner last ran {silent}{fix}")
    ]
    if backlog.unknown_types:
        names = ", ".join(backlog.unknown_types)
        findings.append(
            Finding(
                Grade.WARN, "unknown types", f"{names}: these jobs wait for a release that knows them, or a setting"
            )
        )
    return findings
