"""Another process that uses an embedded server, and what can be seen of the server."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from leadjobs.store.embedded_watcher import find_server, is_watched

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
