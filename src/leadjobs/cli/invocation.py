"""``leadjobs tick`` and ``leadjobs work``: the runner in a process of its own, until it is done or told to end."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from types import FrameType
from typing import Annotated, Any

import typer

from leadjobs.cli.context import DEFAULT_APP, AppOption, database, load_runner
from leadjobs.cli.output import JsonFlag, print_json, print_table, say
from leadjobs.core.report import Report
from leadjobs.runner import Runner

A_DAY = 86_400  # seconds
SIGNALS = (signal.SIGINT, signal.SIGTERM)
A_MOMENT = 1.0  # seconds for what handlers left running, to end


def tick(
    app: AppOption = DEFAULT_APP,
    budget: Annotated[
        float | None, typer.Option(min=1, max=A_DAY, help="Seconds; the runner's own budget where not given.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run what is due once, within the time budget, as one cron call does.

    Ctrl-C or SIGTERM hands back what runs and ends it; a second one ends it at once, and leaves jobs to their leases.
    """
    seconds = None if budget is None else timedelta(seconds=budget)
    with database():
        runner = load_runner(app)
        report = _run(runner, lambda: runner.run(seconds), as_json=as_json)
    _end_with(report, as_json=as_json)


def work(app: AppOption = DEFAULT_APP, as_json: JsonFlag = False) -> None:
    """Run jobs until stopped (Ctrl-C or SIGTERM), looking for new ones each second: for those who have a server.

    Exits with 1 when the database goes away: let whatever watches over it start it anew.  A second signal ends it at
    once, and leaves the jobs to their leases.
    """
    with database():
        runner = load_runner(app)
        say("working; stop with Ctrl-C")
        report = _run(runner, runner.run_until_stopped, as_json=as_json)
    _end_with(report, as_json=as_json)


def _run(runner: Runner, run: Callable[[], Coroutine[Any, Any, Report]], *, as_json: bool) -> Report:
    """What was done; a handler, or a thread of one, that would not end is left to the end of the process."""

    async def to_its_end() -> tuple[Report, bool]:
        with _stopped_by_signals(runner):
            report = await run()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        left.add(asyncio.ensure_future(asyncio.get_running_loop().shutdown_default_executor()))
        return report, not (await asyncio.wait(left, timeout=A_MOMENT))[1]

    loop = asyncio.Runner()
    with redirect_stdout(sys.stderr if as_json else sys.stdout):  # what handlers print is no JSON
        report, is_clean = loop.run(to_its_end())
        if is_clean:  # else it would wait for what is left, for ever
            loop.close()
    return report


@contextmanager
def _stopped_by_signals(runner: Runner) -> Iterator[None]:
    """A signal stops the runner; a second one ends the process, also where a handler blocks the event loop."""
    loop = asyncio.get_running_loop()
    signals: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        if signals:
            os._exit(128 + number)
        signals.append(number)
        say("handing back what runs; once more ends it at once")
        loop.call_soon_threadsafe(runner.stop)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_with(report: Report, *, as_json: bool) -> None:
    """Print what was done; exit with 1 where it went wrong, so that whoever watches over it starts it anew."""
    fields = report.as_json()
    if as_json:
        print_json(fields)
    else:
        told = {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in fields.items()}
        print_table(("what", "value"), [(name, value) for name, value in told.items() if value not in (0, None, "")])
    if not report.is_healthy:
        raise typer.Exit(1)
