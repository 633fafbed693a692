"""``leadjobs schedules``: what ticks when, and what became of the last ticks; pause, resume, run now, remove."""

import asyncio
import getpass
from datetime import datetime
from typing import Annotated

import typer

from leadjobs.cli.context import DEFAULT_APP, AppOption, at_desk, database, load_runner
from leadjobs.cli.output import JsonFlag, answer, print_json, print_table
from leadjobs.enqueue import enqueue
from leadjobs.errors import ScheduleNotFoundError, SettingsError
from leadjobs.store.connection import connect
from leadjobs.store.schedules import ScheduleLine, ScheduleStore

Name = Annotated[str, typer.Argument(metavar="NAME", help="See `leadjobs schedules list`.")]

cli = typer.Typer(name="schedules", help="Look at schedules; pause, resume, run and remove them.", no_args_is_help=True)


@cli.command("list")
def list_schedules(as_json: JsonFlag = False) -> None:
    """All schedules that runners have declared: their next ticks, their last ones, and what became of those."""
    lines = at_desk(ScheduleStore, lambda store: store.list_schedules())
    if as_json:
        print_json(lines)
        return
    print_table(
        ("name", "cron", "zone", "type", "tenant", "next tick", "last tick", "its job", "state", "why", "declared"),
        [
            (
                x.name,
                x.cron,
                x.tz,
                x.type,
                x.tenant,
                _next(x),
                _when(x.last_tick),
                x.last_job_id,
                x.last_job_state,
                x.last_job_reason,
                _when(x.noted_at),
            )
            for x in lines
        ],
    )


@cli.command()
def pause(name: Name, as_json: JsonFlag = False) -> None:
    """Let its ticks pass by until it is resumed; a job that is enqueued already runs."""
    at_desk(ScheduleStore, lambda store: store.pause(name, by=getpass.getuser()))
    answer(f"schedule {name} is paused", {"name": name, "isPaused": True}, as_json=as_json)


@cli.command()
def resume(name: Name, as_json: JsonFlag = False) -> None:
    """Let its ticks count again, from now on."""
    at_desk(ScheduleStore, lambda store: store.resume(name))
    words = f"schedule {name} goes on with its next tick"
    answer(words, {"name": name, "isPaused": False}, as_json=as_json)


@cli.command()
def run(name: Name, app: AppOption = DEFAULT_APP, as_json: JsonFlag = False) -> None:
    """Enqueue its job now, out of turn, as the app declares it; its ticks stay as they are, and it may be paused."""
    with database() as url:
        timetable = load_runner(app).timetable
        if timetable is None or name not in timetable:
            known = ", ".join(each.name for each in timetable or ()) or "none"
            raise ScheduleNotFoundError(f"the app has no schedule {name}; it knows {known}")

        async def add() -> tuple[int, str]:
            async with connect(url) as connection:
                added = await enqueue(connection, timetable[name].job)
                return added.job_id, added.verdict

        job_id, verdict = asyncio.run(add())
    answer(f"job {job_id}: {verdict}", {"jobId": job_id, "verdict": verdict}, as_json=as_json)


@cli.command()
def remove(name: Name, app: AppOption = DEFAULT_APP, as_json: JsonFlag = False) -> None:
    """Take a schedule off the list that no code declares any more; the jobs that it enqueued stay."""
    with database():
        timetable = load_runner(app).timetable
    if timetable is not None and name in timetable:
        raise SettingsError(f"the app still declares schedule {name}: take it out of the code first, or pause it")
    at_desk(ScheduleStore, lambda store: store.remove(name))
    answer(f"schedule {name} is removed", {"name": name, "isRemoved": True}, as_json=as_json)


def _when(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant:%Y-%m-%d %H:%M:%S %Z}"


def _next(line: ScheduleLine) -> str | None:
    return f"paused by {line.paused_by}" if line.paused_at is not None else _when(line.next_tick)
