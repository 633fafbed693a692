"""An embedded PostgreSQL is started once, and shared by those who use it."""

import stat
import subprocess
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from tests.engine.embedded.client import NewClient, ask, birth, data_of, eventually, has_ended, is_unused, pid_of

from leadjobs.store import embedded
from leadjobs.store.embedded import EmbeddedPostgres, EmbeddedPostgresError


def test_a_cold_start_gives_an_address_that_psycopg_sqlalchemy_and_psql_take(empty_home: Path) -> None:
    """One URL serves every client: it names the role, the database, the socket's folder and the port."""
    with EmbeddedPostgres(empty_home) as server:
        assert server.url == f"postgresql://leadjobs@/leadjobs?host={data_of(empty_home)}&port=5432"
        assert ask(server.url, "SELECT current_user || '/' || current_database()") == "leadjobs/leadjobs"
        engine = sqlalchemy.create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT 7")) == 7
        engine.dispose()
        psql = embedded._find_binaries().folder / "psql"
        said = subprocess.run([psql, server.url, "-Atc", "SELECT 7"], capture_output=True, text=True, check=True)
        assert said.stdout == "7\n"


def test_data_outlives_the_server(home: Path) -> None:
    """What one run commits, the next one reads."""
    with EmbeddedPostgres(home) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE diary AS SELECT 'kept' AS text")
        first = birth(server.url)
    eventually(lambda: is_unused(home))
    with EmbeddedPostgres(home) as server:
        assert birth(server.url) != first
        assert ask(server.url, "SELECT text FROM diary") == "kept"


def test_two_processes_share_one_server(home: Path, new_client: NewClient) -> None:
    """The second process joins the server of the first, and either may leave first."""
    first = new_client(home)
    url = first.url()
    with EmbeddedPostgres(home) as second:
        assert second.url == url
        assert birth(second.url) == birth(url)
        pid = pid_of(home)
        first.leave()
        assert ask(second.url, "SELECT 1") == "1"
        assert pid_of(home) == pid
    eventually(lambda: has_ended(pid))


def test_four_processes_that_start_cold_at_once_get_one_server(empty_home: Path, new_client: NewClient) -> None:
    """Whoever is first makes the data directory and the server; the others wait and join."""
    clients = [new_client(empty_home) for _ in range(4)]
    urls = [client.url() for client in clients]
    assert len(set(urls)) == 1
    assert len({birth(url) for url in urls}) == 1


def test_start_and_close_may_be_called_twice(home: Path) -> None:
    """A second call does nothing, and a closed server can be started again."""
    server = EmbeddedPostgres(home)
    server.close()
    url = server.start().start().url
    assert ask(url, "SELECT 1") == "1"
    server.close()
    server.close()
    with pytest.raises(EmbeddedPostgresError, match=r"call start\(\) first"):
        _ = server.url
    assert ask(server.start().url, "SELECT 1") == "1"
    server.close()


def test_settings_reach_the_server_but_cannot_open_a_tcp_port(home: Path) -> None:
    """The caller's settings count, except for those that would let others in."""
    with EmbeddedPostgres(home, settings={"work_mem": "7MB", "listen_addresses": "*", "port": "1"}) as server:
        assert ask(server.url, "SHOW work_mem") == "7MB"
        assert ask(server.url, "SHOW listen_addresses") == ""
        assert ask(server.url, "SHOW unix_socket_permissions") == "0700"
        assert stat.S_IMODE(data_of(home).stat().st_mode) == 0o700


def test_the_environment_of_the_caller_does_not_matter(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PG* variables and locales that do not exist change neither the server nor how the URL is read."""
    for name, value in {
        "PGPORT": "rubbish",
        "PGDATA": "/nowhere",
        "PGHOST": "nowhere.invalid",
        "LANG": "xx_YY",
        "LC_ALL": "xx_YY",
    }.items():
        monkeypatch.setenv(name, value)
    with EmbeddedPostgres(empty_home) as server:
        assert ask(server.url, "SHOW port") == "5432"
        assert ask(server.url, "SELECT upper('é')") == "É"


def test_a_server_may_linger_for_the_next_user(home: Path) -> None:
    """With linger, a process that comes soon after finds the same server, and it goes some time after that one."""
    with EmbeddedPostgres(home, linger=2) as server:
        first = birth(server.url)
    with EmbeddedPostgres(home) as server:
        assert birth(server.url) == first
