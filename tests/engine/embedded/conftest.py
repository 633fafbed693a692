"""Homes for embedded servers, used and unused, and processes that use them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.engine.embedded.client import Client, NewClient, eventually, is_unused

from leadjobs.store.embedded import EmbeddedPostgres


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
