"""The pytest plugin: a database of its own for each test, its queue and its clock.

Put ``pytest_plugins = ["leadjobs.testing.plugin"]`` into your top ``conftest.py``.  Nothing is started, and nothing of
SQLAlchemy or Alembic is loaded, before a test asks for a database.  The fixtures are sync, so they need no plugin for
async tests.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from leadjobs.errors import StoreError
from leadjobs.testing.clock import LeapClock
from leadjobs.testing.queue import Queue
from leadjobs.testing.server import SchemaPart, Server, new_database, prepare

_server = pytest.StashKey[Server]()
_URL, _TROUBLE = "leadjobs_server_url", "leadjobs_server_trouble"  # what the controller tells a worker of pytest-xdist


def pytest_configure(config: pytest.Config) -> None:
    """Have a server at hand, which is started when it is asked for."""
    config.stash[_server] = Server()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server, if it was started."""
    config.stash[_server].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the server that pytest-xdist's workers share, before there is a worker that could outlive it."""
    if node.config.getoption("collectonly"):
        return
    try:
        node.workerinput[_URL] = node.config.stash[_server].url
    except StoreError as error:
        node.workerinput[_TROUBLE] = str(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show the queue in the report of a test that failed."""
    report = yield
    queue = getattr(item, "funcargs", {}).get("leadjobs_queue")
    if call.when == "call" and report.failed and isinstance(queue, Queue):
        with suppress(Exception):  # where even the database is gone, the test's own failure is what counts
            report.sections.append(("leadjobs queue", queue.describe(with_traces=True)))
    return report


@pytest.fixture(scope="session")
def leadjobs_server(pytestconfig: pytest.Config) -> str:
    """The URL of the server on which the tests' databases are made; a test run has one, and fails without."""
    told: dict[str, str] = getattr(pytestconfig, "workerinput", {})
    if _TROUBLE in told:
        pytest.fail(told[_TROUBLE], pytrace=False)
    try:
        return told.get(_URL) or pytestconfig.stash[_server].url
    except StoreError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def leadjobs_schema() -> Sequence[SchemaPart]:
    """What your tests' databases have besides the engine's tables: override it in your ``conftest.py``.

    A list of SQL, files of SQL, folders of Alembic versions (for `leadjobs.store.migrate`) and functions that take the
    database's URL.
    """
    return ()


@pytest.fixture(scope="session")
def leadjobs_template(leadjobs_server: str, leadjobs_schema: Sequence[SchemaPart]) -> Iterator[str]:
    """The URL of the migrated database that is copied for each test: nobody may be connected to it."""
    with new_database(leadjobs_server) as url:
        try:
            prepare(url, leadjobs_schema)
        except StoreError as error:
            pytest.fail(str(error), pytrace=False)
        yield url


@pytest.fixture
def leadjobs_url(leadjobs_server: str, leadjobs_template: str) -> Iterator[str]:
    """The URL of a migrated database that only this test uses."""
    with new_database(leadjobs_server, leadjobs_template) as url:
        yield url


@pytest.fixture
def leadjobs_empty_url(leadjobs_server: str) -> Iterator[str]:
    """The URL of a database with nothing in it, that only this test uses."""
    with new_database(leadjobs_server) as url:
        yield url


@pytest.fixture
def leadjobs_clock(leadjobs_url: str) -> Iterator[LeapClock]:
    """The clock of the test's database, which the test can let leap ahead."""
    clock = LeapClock(leadjobs_url)
    yield clock
    clock.reset()


@pytest.fixture
def leadjobs_queue(leadjobs_url: str, leadjobs_clock: LeapClock) -> Queue:
    """The queue in the test's database: look at it, add to it, run it."""
    return Queue(leadjobs_url, leadjobs_clock)
