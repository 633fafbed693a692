"""What every command needs: the database's URL, and the app whose jobs are run."""

import asyncio
import importlib
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any, TypeVar

import typer

from leadjobs.cli.far_time import read_far_times
from leadjobs.cli.output import say
from leadjobs.errors import LeadjobsError, SettingsError
from leadjobs.runner import Runner
from leadjobs.settings import read_settings
from leadjobs.store.connection import OwnConnection, connect

Desk = TypeVar("Desk")
T = TypeVar("T")
DEFAULT_APP = "leadjobs.app:app"
AppOption = Annotated[
    str, typer.Option("--app", envvar="LEADJOBS_APP", help="MODULE:ATTRIBUTE of your leadjobs.Runner.")
]


@contextmanager
def database(*, for_migrations: bool = False) -> Iterator[str]:
    """The URL of the configured database; without one, of a lasting embedded PostgreSQL, kept up while it is used."""
    settings = read_settings()
    url = (settings.migrate_url if for_migrations else None) or settings.database_url
    if url is not None:
        yield url
        return
    from leadjobs.store.embedded import EmbeddedPostgres

    with EmbeddedPostgres(linger=5) as server:
        say(f"DATABASE_URL is not set: using the embedded PostgreSQL ({server.url})")
        os.environ["DATABASE_URL"] = server.url
        yield server.url


def at_desk(desk: Callable[[OwnConnection], Desk], do: Callable[[Desk], Awaitable[T]]) -> T:
    """Do something at a desk of the database, on a connection of its own."""

    async def at_one() -> T:
        async with connect(url) as connection:
            read_far_times(connection)
            return await do(desk(connection))

    with database() as url:
        return asyncio.run(at_one())


def load_runner(app: str) -> Runner:
    """The runner that ``module:attribute`` names: a `Runner`, or something that has one as ``runner``.

    Raises:
        SettingsError: there is no such module or attribute, or it is no runner.
    """
    module_name, colon, attribute = app.partition(":")
    if "" not in sys.path:  # as `python -m` does: your own module is in the folder you stand in
        sys.path.insert(0, "")
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no answer of a command's
            found: Any = getattr(importlib.import_module(module_name), attribute) if colon else None
    except LeadjobsError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever a module does where it is imported)
        raise SettingsError(f"--app {app}: {error}{_place_of(error)}") from None
    runner = found if isinstance(found, Runner) else getattr(found, "runner", None)
    if not isinstance(runner, Runner):
        raise SettingsError(
            f"--app {app}: give MODULE:ATTRIBUTE of a leadjobs.Runner, or of an object with one as .runner"
        )
    return runner


def _place_of(error: Exception) -> str:
    """Where in a module of the user's it happened, if it did."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if not frame.filename.startswith("<") and "importlib" not in frame.filename]
    return f" ({type(error).__name__} in {own[-1].filename}, line {own[-1].lineno})" if own else ""
