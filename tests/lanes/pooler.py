"""A PgBouncer in transaction mode before a PostgreSQL, as a hosted database has one."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

PORT = 6432
STARTS_WITHIN = 10.0  # seconds

# After each transaction all is gone that it left on its connection: prepared statements, SETs, temporary tables, its
# locks.  Without that, two statements of one client would mostly meet on one connection by luck.
SETTINGS = """
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr =
listen_port = {own_port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
server_reset_query = DISCARD ALL
server_reset_query_always = 1
server_round_robin = 1
logfile = {folder}/pgbouncer.log
"""


class PoolerError(Exception):
    """There is no PgBouncer, or it does not work."""


@contextmanager
def pooler_before(url: str) -> Iterator[str]:
    """The URL of a PgBouncer through which a server that listens on a socket is reached; it stops at the end.

    Raises:
        PoolerError: there is no PgBouncer and it cannot be installed, or it does not start; says what to do.
    """
    program, server = _program(), conninfo_to_dict(url)
    owner = (Path(str(server["host"])) / f".s.PGSQL.{server['port']}").stat()  # who alone may use it, beside root
    with tempfile.TemporaryDirectory(prefix="lane-") as name:
        folder = Path(name)
        os.chown(folder, owner.st_uid, owner.st_gid)
        folder.chmod(0o755)
        (folder / "pgbouncer.ini").write_text(SETTINGS.format(folder=folder, own_port=PORT, **server))
        uid, gid = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)  # it refuses to be root
        process = subprocess.Popen(
            [program, "-q", folder / "pgbouncer.ini"], stderr=subprocess.DEVNULL, user=uid, group=gid
        )
        pooler = f"postgresql://{server['user']}@/{server['dbname']}?host={folder}&port={PORT}"
        try:
            _wait(pooler, process, folder / "pgbouncer.log")
            yield pooler
        finally:
            process.kill()
            process.wait()


def _program() -> str:
    """PgBouncer's program; installed by apt where we are root and it is not there."""
    if found := _find():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for argv in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "pgbouncer"]):
            subprocess.run(
                ["apt-get", *argv],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                check=False,
            )
    if found := _find():
        return found
    raise PoolerError("there is no pgbouncer: apt-get install pgbouncer (as root), or put the program on PATH")


def _find() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


def _wait(pooler: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            psycopg.connect(pooler, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text()[-1000:] if log.exists() else ""
                raise PoolerError(f"pgbouncer does not answer: {error}\n{said}") from None
            time.sleep(0.02)
        else:
            return
