"""The process that stops an embedded PostgreSQL once nobody uses it, and what it must agree on with ``embedded``.

Every user of a server holds a shared ``flock`` on ``pg18.users``, beside the data directory ``pg18``.  The kernel lets
go of it however the user dies.  This process sleeps on an exclusive one: when it wakes up, the last user is gone.  It
keeps the exclusive lock until the server has stopped, so that whoever comes meanwhile waits, and then starts afresh.

``embedded`` runs this file by its path with ``python -I -S``: it imports the standard library and nothing of leadjobs.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

if sys.platform != "win32":
    import fcntl


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL server, as its postmaster.pid describes it."""

    pid: int
    socket_folder: Path
    is_ready: bool


def find_server(data: Path) -> Server | None:
    """Return the server that runs on this data directory now, or None."""
    try:
        lines = os.fsdecode((data / "postmaster.pid").read_bytes()).splitlines()
    except OSError:
        return None
    pid, _, _, _, socket_folder, _, _, status = (lines + [""] * 8)[:8]  # it is written step by step
    if not pid.isdigit() or f"postgres -D {data} " not in _command_line(int(pid)):
        return None  # the server died, and the pid may be another program's by now
    return Server(int(pid), Path(socket_folder), is_ready=status.strip() == "ready")


def _command_line(pid: int) -> str:
    if sys.platform != "linux":
        command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - a fixed command
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
    except OSError:
        return ""


def lock_file(data: Path, purpose: Literal["start", "users", "watch"]) -> Path:
    """Return the lock file beside a data directory: who starts, who uses, who watches."""
    return data.with_name(f"{data.name}.{purpose}")


def acquire(path: Path, *, shared: bool = False) -> int:
    """Wait for the lock, and hold it until the returned descriptor and every child's copy of it are closed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    return descriptor


def is_watched(data: Path) -> bool:
    """Say whether a watcher is there; asking does not make another process believe that one is."""
    try:
        descriptor = os.open(lock_file(data, "watch"), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _wait_for_last_user(data: Path, linger: float) -> None:
    while True:
        users = acquire(lock_file(data, "users"))  # held until this process ends
        if not linger:
            return
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(linger)
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        os.close(users)


def _stop_server(data: Path) -> None:
    fast, immediate, kill = (signal.SIGINT, 20), (signal.SIGQUIT, 10), (signal.SIGKILL, 2)
    for number, patience in (fast, immediate, kill):
        server = find_server(data)
        if server is None:
            return
        with suppress(ProcessLookupError):
            os.kill(server.pid, number)
        deadline = time.monotonic() + patience
        while find_server(data) and time.monotonic() < deadline:
            time.sleep(0.01)


def _watch(data: Path, *, ephemeral: bool, linger: float) -> None:
    watch = acquire(lock_file(data, "watch"))
    if os.fork():  # both sides hold the lock: whoever ran us knows that it is taken, and has no child to wait for
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    _wait_for_last_user(data, linger)
    server = find_server(data)
    _stop_server(data)
    if server and server.socket_folder != data:
        with suppress(OSError):
            server.socket_folder.rmdir()
    if ephemeral:
        shutil.rmtree(data.parent, ignore_errors=True)
    os.close(watch)  # before the users' lock: who waits for that one must find no watcher


if __name__ == "__main__":
    _watch(Path(sys.argv[1]), ephemeral=sys.argv[2] == "ephemeral", linger=float(sys.argv[3]))
