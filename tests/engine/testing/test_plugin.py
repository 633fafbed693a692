"""The plugin in other people's projects: with and without pytest-asyncio, pytest-xdist and a server."""

import subprocess
import sys
from types import SimpleNamespace

import psycopg
import pytest

from leadjobs.errors import StoreError
from leadjobs.testing import plugin
from leadjobs.testing.server import Server

CONFTEST = 'pytest_plugins = ["leadjobs.testing.plugin"]\n'
SHOP = """
from leadjobs import Done, handler

@handler("SEND", payload=dict)
async def send(job):
    if job.payload.get("bad"):
        raise ValueError("no such address")
    return Done("sent")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, leadjobs_server: str) -> pytest.Pytester:
    """A folder with the plugin's line in its conftest and a handler, on the server that our own tests use.

    No plugin of pytest is loaded but those that a test names.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("LEADJOBS_TEST_DATABASE_URL", leadjobs_server)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(shop=SHOP)
    return pytester


@pytest.fixture
def without_a_server(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The same on a machine with no PostgreSQL of any kind."""
    monkeypatch.delenv("LEADJOBS_TEST_DATABASE_URL")
    monkeypatch.setenv("LEADJOBS_PG_BIN", "/nowhere")
    project.makepyfile(
        test_shop="""
        def test_that_needs_no_database(): pass
        def test_that_needs_one(leadjobs_queue): pass
        """
    )
    return project


def test_sync_and_async_tests_share_nothing_but_the_schema(project: pytest.Pytester) -> None:
    """Each test has a database of its own, with the engine's tables and whatever the project asks for."""
    project.path.joinpath("more.sql").write_text("CREATE TABLE from_a_file (n int)")
    versions = project.mkdir("versions")
    versions.joinpath("2001_shop.py").write_text(
        "from alembic import op\n"
        'revision, down_revision, branch_labels, depends_on = "2001_shop", None, ("shop",), "0001_engine"\n'
        'def upgrade(): op.execute("CREATE TABLE from_a_version (n int)")\n'
    )
    project.makeconftest(
        CONFTEST
        + """
import pathlib, psycopg, pytest

@pytest.fixture(scope="session")
def leadjobs_schema():
    def make(url):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE from_a_function (n int)")
    here = pathlib.Path(__file__).parent
    return ["CREATE TABLE from_text (n int)", here / "more.sql", here / "versions", make]
"""
    )
    project.makepyfile(
        test_shop="""
        import psycopg, pytest
        from datetime import timedelta
        from shop import send

        def tables(url):
            with psycopg.connect(url) as connection:
                found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                return {name for name, in found}

        def test_sync(leadjobs_queue):
            leadjobs_queue.add(send.type.job({}))
            assert leadjobs_queue.drain_sync(send).succeeded == 1
            leadjobs_queue.clock.advance(timedelta(days=1))

        @pytest.mark.asyncio
        async def test_async(leadjobs_queue):
            assert (leadjobs_queue.jobs(), leadjobs_queue.clock.ahead) == ([], timedelta())
            leadjobs_queue.add(send.type.job({}))
            assert (await leadjobs_queue.drain(send)).succeeded == 1

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_anyio(leadjobs_queue, anyio_backend):
            assert (await leadjobs_queue.run_one(send, {})).job.reason == "sent"

        def test_tables(leadjobs_url, leadjobs_empty_url):
            wanted = {"from_text", "from_a_file", "from_a_version", "from_a_function", "background_job"}
            assert wanted <= tables(leadjobs_url)
            assert tables(leadjobs_empty_url) == set()
        """
    )

    plugins = ("-p", "pytest_asyncio.plugin", "-p", "anyio.pytest_plugin")
    options = ("-Werror", "-o", "asyncio_default_fixture_loop_scope=function")
    project.runpytest_subprocess(*plugins, *options).assert_outcomes(passed=4)


def test_a_failure_is_told_at_its_line_and_with_the_queue(project: pytest.Pytester) -> None:
    """Also without pytest-asyncio: a sync test, or one that runs a loop of its own, needs no plugin."""
    project.makepyfile(
        test_shop="""
        import asyncio
        from shop import send

        def test_wrong(leadjobs_queue):
            leadjobs_queue.add(send.type.job({"user_id": 8, "bad": True}))
            leadjobs_queue.drain_sync(send)
            leadjobs_queue.assert_enqueued(send, {"user_id": 7})

        def test_own_loop(leadjobs_queue):
            async def main():
                await leadjobs_queue.run_one(send, {})
                return await leadjobs_queue.drain(send)
            assert asyncio.run(main()).claimed == 0
        """
    )

    result = project.runpytest_subprocess("-Werror")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            'E   * AssertionError: expected 1 job like this, found 0: SEND, payload with {"user_id": 7}',
            "E   * payload.user_id is 8, not 7",
            "test_shop.py:7: AssertionError",
            "*- leadjobs queue -*",
            "job 1: SEND, pending, due in *ValueError: no such address)",
            '      *raise ValueError("no such address")',
        ]
    )


def test_the_workers_of_xdist_share_one_server_that_is_gone_afterwards(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process starts it and the last one out stops it; no two tests share a database."""
    monkeypatch.delenv("LEADJOBS_TEST_DATABASE_URL")
    project.makepyfile(
        test_shop="""
        import pathlib, pytest

        @pytest.mark.parametrize("n", range(2))
        def test_it(leadjobs_empty_url, leadjobs_server, worker_id, n):
            pathlib.Path(f"{worker_id}.{n}").write_text(f"{leadjobs_server} {leadjobs_empty_url}")
        """
    )

    project.runpytest_subprocess("-p", "xdist", "-n2", "--dist=each").assert_outcomes(passed=4)

    told = [path.read_text().split() for path in project.path.glob("gw*.*")]
    servers, databases = {server for server, _ in told}, {database for _, database in told}
    assert (1, 4) == (len(servers), len(databases))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(servers.pop())


def test_without_any_server_a_test_that_needs_one_fails_and_says_what_to_do(without_a_server: pytest.Pytester) -> None:
    """It is an error and no skip; tests that need no database are not disturbed."""
    result = without_a_server.runpytest_subprocess()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["there is no PostgreSQL for the tests: set LEADJOBS_TEST_DATABASE_URL to a server*'leadjobs[[]testing[]]'*"]
    )


def test_a_worker_of_xdist_is_told_why_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller, which could not start one, does not fail: the tests of the worker that need one do."""
    monkeypatch.setenv("LEADJOBS_TEST_DATABASE_URL", "postgresql://ada@127.0.0.1:1/postgres")
    controller = SimpleNamespace(stash={plugin._server: Server()}, getoption=lambda _: False)
    worker: dict[str, str] = {}

    plugin.pytest_configure_node(SimpleNamespace(config=controller, workerinput=worker))

    assert ["leadjobs_server_trouble"] == list(worker)
    assert "does not answer" in worker["leadjobs_server_trouble"]


def test_a_server_that_is_named_and_does_not_answer_is_an_error(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other server is taken instead, and no password is shown."""
    monkeypatch.setenv("LEADJOBS_TEST_DATABASE_URL", "postgresql://ada:secret@127.0.0.1:1/postgres")
    project.makepyfile(test_shop="def test_it(leadjobs_url): pass")

    result = project.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the server that LEADJOBS_TEST_DATABASE_URL names does not answer: *"])
    result.stdout.no_fnmatch_line("*secret*")


def test_a_server_whose_name_cannot_be_read_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's own message would show the password."""
    monkeypatch.setenv("LEADJOBS_TEST_DATABASE_URL", "postgresql+psycopg://ada:secret@db/postgres")
    with pytest.raises(StoreError, match="looks like postgresql://user:password@host:5432/name") as refused:
        _ = Server().url
    assert "secret" not in str(refused.value)


def test_the_plugin_loads_no_framework_before_a_test_asks_for_a_database() -> None:
    """It costs a run what importing leadjobs costs."""
    heavy = ("sqlalchemy", "alembic", "docker", "starlette")
    code = f"import leadjobs.testing.plugin, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
