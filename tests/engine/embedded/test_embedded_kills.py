"""An embedded PostgreSQL whose users, server or watcher are killed: real servers, real kills."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.engine.embedded.client import (
    NewClient,
    ask,
    birth,
    data_of,
    eventually,
    has_ended,
    is_unused,
    pid_of,
    socket_folder,
)

from leadjobs.store import embedded
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.embedded_watcher import find_server, is_watched

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


def test_the_server_goes_when_its_only_user_is_killed(home: Path, new_client: NewClient) -> None:
    """SIGKILL leaves no server behind."""
    client = new_client(home)
    client.url()
    pid = pid_of(home)
    client.kill()
    eventually(lambda: has_ended(pid))


def test_the_server_stays_when_one_of_two_users_is_killed(home: Path, new_client: NewClient) -> None:
    """It goes with the last user, not with the one that started it."""
    starter, other = new_client(home), new_client(home)
    url, pid = (starter.url(), other.url())[0], pid_of(home)
    first = birth(url)
    starter.kill()
    assert birth(url) == first
    other.kill()
    eventually(lambda: has_ended(pid))


def test_a_start_that_was_killed_in_initdb_does_not_spoil_the_next(empty_home: Path, new_client: NewClient) -> None:
    """There is never half a data directory under the final name, and what is left over is cleared away."""
    client = new_client(empty_home)
    eventually(lambda: list(empty_home.glob("pg18.new-*/base")))
    client.kill()
    assert not data_of(empty_home).exists()
    with EmbeddedPostgres(empty_home) as server:
        assert ask(server.url, "SELECT current_database()") == "leadjobs"


def test_a_user_that_is_killed_while_its_server_starts_leaves_none(
    home: Path, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start outlives its caller; the watcher waits for it, and then stops what it started."""
    slow = home / "slow"
    slow.mkdir()
    slow.chmod(0o777)
    programs = embedded._find_binaries().folder
    for name in ("postgres", "initdb"):
        (slow / name).symlink_to(programs / name)
    wait = f"touch {slow}/waiting; while [ ! -e {slow}/go ]; do sleep 0.01; done"
    (slow / "pg_ctl").write_text(f'#!/bin/sh\n{wait}\n"{programs}/pg_ctl" "$@"\ntouch {slow}/done\n')
    (slow / "pg_ctl").chmod(0o755)
    monkeypatch.setenv("LEADJOBS_PG_BIN", str(slow))
    client = new_client(home)
    eventually((slow / "waiting").exists)
    client.kill()
    (slow / "go").touch()
    eventually((slow / "done").exists)
    eventually(lambda: is_unused(home))
    shutil.rmtree(slow)


def test_a_start_after_the_server_was_killed_recovers(home: Path) -> None:
    """Committed rows are there again, at once, though other users still believe in the old server."""
    with EmbeddedPostgres(home) as witness:
        with psycopg.connect(witness.url) as connection:
            connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        with psycopg.connect(witness.url) as connection:
            os.kill(pid_of(home), signal.SIGKILL)
            with EmbeddedPostgres(home) as server:
                assert ask(server.url, "SELECT text FROM note") == "kept"
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        assert ask(witness.url, "SELECT text FROM note") == "kept"


def test_a_start_waits_for_the_last_process_of_a_killed_server(home: Path, new_client: NewClient) -> None:
    """Two servers never work on the same files: while anything of the dead one lives, the new one holds back."""
    with EmbeddedPostgres(home) as server:
        checkpointer = int(ask(server.url, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"))
        os.kill(checkpointer, signal.SIGSTOP)
        os.kill(pid_of(home), signal.SIGKILL)
        client = new_client(home)
        eventually(lambda: "is still in use" in (data_of(home) / "server.log").read_text())
        assert find_server(data_of(home)) is None
        os.kill(checkpointer, signal.SIGCONT)
        assert ask(client.url(), "SELECT 1") == "1"
        client.leave()


def test_a_stale_lock_file_that_names_another_program_is_seen_through(home: Path) -> None:
    """The dead server's pid may be anyone's by now: the server starts, and that program is left alone."""
    data = data_of(home)
    names = ("postmaster.pid", ".s.PGSQL.5432.lock")
    with EmbeddedPostgres(home):
        left = {name: (data / name).read_text() for name in names}
        pid = pid_of(home)
    eventually(lambda: is_unused(home))
    owner = data.stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "600"], user=owner) as bystander:
        for name, text in left.items():
            (data / name).write_text(text.replace(str(pid), str(bystander.pid)))
            shutil.chown(data / name, data.stat().st_uid)
        with EmbeddedPostgres(home) as server:
            assert ask(server.url, "SELECT 1") == "1"
        eventually(lambda: is_unused(home))
        assert bystander.poll() is None
        bystander.kill()


def test_a_lock_file_that_was_never_finished_is_cleared_away(home: Path) -> None:
    """A server that was killed while it wrote its first line does not stop the next one."""
    EmbeddedPostgres(home).start().close()
    eventually(lambda: is_unused(home))
    (data_of(home) / "postmaster.pid").touch(mode=0o600)
    with EmbeddedPostgres(home) as server:
        assert ask(server.url, "SELECT 1") == "1"


@ON_LINUX
def test_the_watcher_too_may_be_killed(home: Path, new_client: NewClient) -> None:
    """The next user adopts the server, with a watcher of its own."""
    client = new_client(home)
    url = client.url()
    pid, first = pid_of(home), birth(url)
    os.kill(watcher_of(home), signal.SIGKILL)
    eventually(lambda: not is_watched(data_of(home)))
    client.kill()
    with EmbeddedPostgres(home) as server:
        assert birth(server.url) == first
    eventually(lambda: has_ended(pid))


def watcher_of(home: Path) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = process.joinpath("cmdline").read_text().split("\0")
            if str(data_of(home)) in words and any(word.endswith("embedded_watcher.py") for word in words):
                return int(process.name)
    pytest.fail("there is no watcher")


def test_an_ephemeral_server_is_gone_with_its_folder_after_close() -> None:
    """It trades durability for speed, and leaves nothing behind."""
    with EmbeddedPostgres(ephemeral=True) as server:
        home = socket_folder(server.url).parent
        assert ask(server.url, "SHOW fsync") == "off"
        assert home.exists()
    assert not home.exists()


def test_an_ephemeral_server_is_gone_with_its_folder_after_a_kill(empty_home: Path, new_client: NewClient) -> None:
    """SIGKILL of the owner leaves nothing behind either."""
    empty_home.chmod(0o711)
    client = new_client(empty_home, "ephemeral")
    place = socket_folder(client.url()).parent
    assert place.parent == empty_home
    pid = pid_of(place)
    client.kill()
    eventually(lambda: has_ended(pid) and not place.exists())


def test_an_ephemeral_server_is_gone_even_when_its_owner_dies_in_initdb(
    empty_home: Path, new_client: NewClient
) -> None:
    """The watcher is there before the first file is."""
    empty_home.chmod(0o711)
    client = new_client(empty_home, "ephemeral")
    eventually(lambda: list(empty_home.glob("leadjobs-*/pg18.new-*/base")))
    client.kill()
    eventually(lambda: not list(empty_home.iterdir()))
