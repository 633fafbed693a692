"""The examples do what their pages say, and joining a caller's transaction fails where it must.

Every README's commands are run as they stand, on an empty database, twice.  Apart from ``engine_only`` the examples are
other people's apps: they import leadjobs to enqueue, and nothing that runs a job.
"""

import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier

import examples.async_signups.main as signups
import examples.leads_from_crm.main as crm
import psycopg
import pytest
from examples.flask_orders.main import create_app, open_shop
from psycopg import sql
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.testclient import TestClient
from tests.docs.test_snippets import BIN, ROOT, blocks

from leadjobs import NewJob, OnConflict, enqueue_many_sync
from leadjobs.store.url import sqlalchemy_url

EXAMPLES = sorted((ROOT / "examples").glob("*/main.py"))
OWN_TABLE = {"async_signups": "signup_person", "flask_orders": "shop_order", "leads_from_crm": "crm_deal"}
FOREIGN = [script for script in EXAMPLES if script.parent.name != "engine_only"]

# What an app that only enqueues must not load: what runs jobs, what serves them, and the lead half.
HEAVY = {"alembic", "openai", "tenacity", "pydantic_settings", "phonenumbers", "cryptography", "typer", "uvicorn"}
ROOMS = {f"leadjobs.{room}" for room in ("channels", "handlers", "app", "demo", "cli", "ops", "testing", "settings")}


def name_of(script: Path) -> str:
    return script.parent.name


every_foreign_app = pytest.mark.parametrize("script", FOREIGN, ids=name_of)


def run(argv: list[str], url: str) -> subprocess.CompletedProcess[str]:
    """Run a command from the root of the checkout, as ``./dev run`` does."""
    environment = os.environ | {"DATABASE_URL": url, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def kept(url: str, *tables: str) -> list[int]:
    """How many rows each table has."""
    with psycopg.connect(url) as connection:
        counts = [connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(t))) for t in tables]
        return [row[0] for count in counts for row in count]


def test_every_app_is_tried() -> None:
    """A new example is in the list of what it must not leave behind."""
    assert sorted(OWN_TABLE) == [name_of(script) for script in FOREIGN]


@pytest.mark.parametrize("script", EXAMPLES, ids=name_of)
def test_an_example_does_what_its_page_says(script: Path, empty_url: str) -> None:
    """At most two commands lead from an empty database to exactly the text of the page, and do so again."""
    page = list(blocks(script.with_name("README.md")))
    commands = [command for block in page if block.language == "bash" for command in block.commands]
    (shown,) = [block.text for block in page if block.language == "text"]
    assert 1 <= len(commands) <= 2
    assert f"./dev run python {script.relative_to(ROOT)}" == commands[-1]
    for _ in range(2):
        runs = [run(shlex.split(command.removeprefix("./dev run ")), empty_url) for command in commands]
        assert [0] * len(runs) == [done.returncode for done in runs], runs[-1].stderr
        assert (shown, "") == (runs[-1].stdout, runs[-1].stderr)


def test_the_tests_of_an_example_pass(monkeypatch: pytest.MonkeyPatch, leadjobs_server: str) -> None:
    """They stand on the plugin alone, as a user's do, and not on our own conftest."""
    monkeypatch.setenv("LEADJOBS_TEST_DATABASE_URL", leadjobs_server)
    done = run(["pytest", "examples/engine_only", "-n", "0"], "")
    assert 0 == done.returncode, done.stdout
    assert "4 passed" in done.stdout or "...." in done.stdout


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The database of an app, on psycopg; its connections are closed after the test."""
    engine = create_engine(sqlalchemy_url(url), pool_size=8)
    yield engine
    engine.dispose()


@every_foreign_app
def test_an_app_on_a_database_without_the_table_says_what_to_run(script: Path, empty_url: str) -> None:
    """Enqueueing before the first migration ends in one clear line, and keeps nothing of the app's own."""
    done = run([sys.executable, str(script)], empty_url)
    missing = 'leadjobs.errors.SchemaBehindError: relation "background_job" does not exist: run `leadjobs migrate`'
    assert done.stderr.splitlines()[-1].endswith(missing)
    assert [0] == kept(empty_url, OWN_TABLE[name_of(script)])


@every_foreign_app
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_an_app_with_a_stricter_isolation_level_is_refused(script: Path, level: str, url: str) -> None:
    """A key's holder could hide from such a transaction: the app is told so, and nothing is kept.

    Sign-ups have no key, and are kept; the first request with one is refused.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(database, sql.Literal(level))
        )
    done = run([sys.executable, str(script)], url)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("leadjobs.errors.EnqueueError: cannot see who holds the dedupe key of ")
    assert last.endswith(": enqueue in a READ COMMITTED transaction")
    sign_ups = [1, 2] if name_of(script) == "async_signups" else [0, 0]
    assert sign_ups == kept(url, OWN_TABLE[name_of(script)], "background_job")


def loaded_by(code: str, url: str = "") -> set[str]:
    """The modules that a fresh interpreter has loaded after this code."""
    done = run([sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], url)
    assert 0 == done.returncode, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@every_foreign_app
def test_an_app_loads_nothing_that_runs_jobs(script: Path, url: str) -> None:
    """After all it does, no more of leadjobs is loaded than by its imports, and nothing that only others need."""
    loaded = loaded_by(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", url)
    imported = "leadjobs.leads.jobs" if script.parent.name == "leads_from_crm" else "leadjobs"
    of_ours = {module for module in loaded if module.partition(".")[0] == "leadjobs"}
    assert imported in of_ours
    assert of_ours <= loaded_by(f"import {imported}, leadjobs.store.url")
    assert set() == HEAVY & loaded


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("leadjobs", {"leadjobs.leads", "leadjobs.web"}),
        ("leadjobs.leads.jobs", {"leadjobs.leads.tables", "leadjobs.leads.inbox", "leadjobs.leads.ai"}),
    ],
)
def test_what_an_app_imports_loads_no_framework(module: str, unwanted: set[str]) -> None:
    """Neither the engine's names nor the job types of leads need SQLAlchemy, an SDK, a handler or a door."""
    frameworks = {"sqlalchemy", "starlette", "httpx", "httpx2", "leadjobs.store.tables"}
    assert set() == loaded_by(f"import {module}") & (unwanted | frameworks | HEAVY | ROOMS)


def test_a_deal_that_fails_leaves_no_job(engine: Engine, url: str) -> None:
    """The CRM's row is refused after its job was added: neither is there."""
    crm.Base.metadata.create_all(engine)
    with pytest.raises(IntegrityError):
        crm.Crm(engine).open_deal(crm.Deal(workspace_id=1, lead_id=1, message_id=1, stage=None))

    assert [0, 0] == kept(url, "crm_deal", "background_job")


def test_a_sign_up_that_fails_leaves_no_job(url: str) -> None:
    """The second person with one address is refused after two jobs were added: only the first one's are there."""
    engine = create_async_engine(sqlalchemy_url(url, "asyncpg"))
    with TestClient(signups.create_app(engine)) as client:
        answers = [client.post("/people", json={"email": "ada@example.org"}).status_code for _ in range(2)]

    assert [201, 409] == answers
    assert [1, 2] == kept(url, "signup_person", "background_job")


@pytest.mark.parametrize(
    ("on_conflict", "rights"), [(OnConflict.IGNORE, "INSERT SELECT"), (OnConflict.REPLACE, "INSERT SELECT UPDATE")]
)
def test_an_app_needs_the_rights_that_the_page_names(on_conflict: OnConflict, rights: str, url: str) -> None:
    """With these rights on the one table an account can enqueue, twice with one key; with one less it cannot."""
    job = NewJob(type="SEND", dedupe_key="k", on_conflict=on_conflict)
    with psycopg.connect(url) as connection:  # the account is gone with the transaction
        role = sql.Identifier(f"app_of_{connection.info.dbname}")
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        for missing in [*rights.split(), ""]:
            with connection.transaction(force_rollback=True):
                for right in set(rights.split()) - {missing}:
                    connection.execute(sql.SQL("GRANT {} ON background_job TO {}").format(sql.SQL(right), role))
                connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
                with pytest.raises(psycopg.errors.InsufficientPrivilege) if missing else nullcontext():
                    enqueue_many_sync(connection, [job])
                    enqueue_many_sync(connection, [job])
        connection.rollback()


def test_orders_sent_at_the_same_moment_with_one_key_become_one(engine: Engine, url: str) -> None:
    """Eight equal requests race: one is 201, the others 200 with the same job, and one order and one job are kept."""
    open_shop(engine)
    app, together = create_app(engine), Barrier(8)

    def order(_: int) -> tuple[int, int]:
        together.wait()
        response = app.test_client().post("/orders", data={"item": "lamp"}, headers={"Idempotency-Key": "k"})
        return response.status_code, response.get_json()["job_id"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(order, range(8)))

    assert Counter({200: 7, 201: 1}) == Counter(status for status, _ in answers)
    assert 1 == len({job_id for _, job_id in answers})
    assert [1, 1] == kept(url, "shop_order", "background_job")


def test_an_order_that_fails_leaves_no_job_and_frees_its_key(engine: Engine, url: str) -> None:
    """The job of an order that cannot be kept is rolled back with it; the same request can succeed later."""
    open_shop(engine)
    client = create_app(engine).test_client()

    def order(key: str) -> int:
        return client.post("/orders", data={"item": "chair"}, headers={"Idempotency-Key": key}).status_code

    assert [201, 409] == [order("first"), order("second")]
    assert [1, 1] == kept(url, "shop_order", "background_job")
    open_shop(engine)
    assert 201 == order("second")
    assert [2, 2] == kept(url, "shop_order", "background_job")


@pytest.mark.parametrize(("key", "expected"), [("", [1, 1]), ("k" * 200, [1, 1]), ("k" * 201, [0, 0])])
def test_an_unusable_key_is_told_to_the_client(key: str, expected: list[int], engine: Engine, url: str) -> None:
    """An empty Idempotency-Key is none; one that is too long is a 400, and nothing is kept."""
    open_shop(engine)
    client = create_app(engine).test_client()
    answer = client.post("/orders", data={"item": "lamp"}, headers={"Idempotency-Key": key})

    assert (201 if expected[0] else 400) == answer.status_code
    assert expected == kept(url, "shop_order", "background_job")
