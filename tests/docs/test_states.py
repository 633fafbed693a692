"""docs/states.md is what the code says, and what the code says is what happens."""

import json
from collections.abc import Callable
from typing import Any, get_args

import psycopg
import pytest
from psycopg.rows import DictRow
from tests.docs.states import CASES, NOTHING, PACKAGE, PAGE, moves, page, statements

from leadjobs import Lane, Outcome, State
from leadjobs.core.ending import Run, endings_json
from leadjobs.store.statements import statement

Db = psycopg.AsyncConnection[DictRow]
Binds = Callable[[int, int], dict[str, Any]]  # of a job with this id and lease_no

ONE = {"lane": "live", "type": "SEND", "tenant": "1", "payload": {}, "dedupe_key": "k", "scope": "retained"}
A_DAY_AGO = "now() - interval '1 day'"
# What may be so of a job besides its state: the columns that are set.
TRAITS = {
    "plain": {},
    "given a next payload": {"next_payload": "'{}'"},
    "its lease over": {"lease_until": A_DAY_AGO},
    "its lease over, alone": {"lease_until": A_DAY_AGO, "lane": "'alone'"},
    "its lease over, alone for the last time": {"lease_until": A_DAY_AGO, "lane": "'alone'", "losses": "1"},
    "its lease over, given a next payload": {"lease_until": A_DAY_AGO, "next_payload": "'{}'"},
    "over budget": {"reason": "'over budget: tokens'"},
    "another generation": {"generation": "2"},
}
EFFECT = (
    "INSERT INTO job_effect (job_id, generation, name, tag, state, lease_no) VALUES (%s, 1, 'sms', 't', 'intended', 1)"
)


def _seen(id_: int, lease_no: int) -> dict[str, Any]:
    return {"ids": [id_], "lease_nos": [lease_no], "generations": [1]}


BINDS: dict[str, Binds] = {
    "enqueue": lambda *_: {"jobs": json.dumps([ONE])},
    "replace": lambda *_: {"jobs": json.dumps([ONE])},
    "claim": lambda *_: {
        "lanes": [*Lane], "types": ["SEND"] * 4, "tenants": ["1"] * 4, "slots": [1] * 4, "names": ["[]"] * 4,
        "after_run_at": ["-infinity"] * 4, "after_id": [0] * 4, "lease_seconds": '{"SEND": 60}',
    },
    "rescue": lambda *_: {"max_losses": 2, "max_jobs": 10},
    "retry": lambda id_, _: {"id": id_, "reason": "retried"},
    "retry_jobs": lambda *job: {**_seen(*job), "reason": "retried"},
    "cancel": lambda id_, _: {"id": id_, "reason": "cancelled"},
    "cancel_jobs": lambda *job: {**_seen(*job), "reason": "cancelled"},
    "delete": lambda id_, _: {"id": id_},
    "delete_jobs": _seen,
    "prune": lambda *_: {
        "place": 0, "max_jobs": 10, "is_dry": False, "shortest_seconds": 1,
        "seconds": '{"SUCCEEDED": 1, "FAILED": 1, "CANCELLED": 1}',
    },
    "mark_effect_sent": lambda id_, _: {"id": id_, "name": "sms", "generation": None, "receipt": "1", "by": "ada"},
    "send_effect_again": lambda id_, _: {"id": id_, "name": "sms", "generation": None, "by": "ada"},
    "release_over_budget": lambda *_: {"tenant": "*"},
    "cancel_backfill_jobs": lambda *_: {
        "type": "SEND", "first_key": "k", "key_beyond": "l", "workspace_id": None, "reason": "cancelled",
    },
}  # fmt: skip
# A run holds the lease number of its claim, which is 1; a job that does not run has moved on from it.
ENDINGS: list[dict[str, Any]] = [{"endings": endings_json([case.ending])} for case in CASES]


def test_the_page_is_what_the_code_says() -> None:
    """Write it anew with: ./dev run python -m tests.docs.states."""
    assert page() == PAGE.read_text()


def test_every_ending_is_on_the_page() -> None:
    """All outcomes that a handler may return, and all ways in which a run may break."""
    assert set(get_args(Outcome)) <= {type(thing) for case in CASES for thing in case.of}
    assert {name for name in vars(Run) if not name.startswith("_") and callable(getattr(Run, name))} == {
        case.by for case in CASES
    }


def test_every_statement_that_changes_jobs_says_how() -> None:
    """A new one must declare its moves, and be tried here."""
    assert {path.stem for path in statements()} == {*BINDS, "settle"}
    assert all(moves(path) for path in statements())


@pytest.mark.parametrize("path", list(statements()), ids=lambda path: path.stem)
async def test_what_a_statement_declares_is_what_it_does(db: Db, path: Any) -> None:
    """Tried from every state, and from none, of jobs of every kind: no move is missing, and none is made up."""
    await db.execute("INSERT INTO workspace (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'one')")
    package = "leadjobs." + str(path.parent.parent.relative_to(PACKAGE))
    query = statement(path.stem, package).for_psycopg
    happened = set()
    for place in (NOTHING, *State):
        for traits in TRAITS.values():
            for has_effect in (False, True):
                happened |= await outcomes(db, query, path.stem, Scene(place, traits, has_effect=has_effect))
    assert happened == {pair for move in moves(path) for pair in move.pairs}


class Scene:
    """A job in a state, or none."""

    def __init__(self, place: str, traits: dict[str, str], *, has_effect: bool) -> None:
        self.place, self.has_effect = place, has_effect
        self.columns = {
            "type": "'SEND'",
            "tenant": "'1'",
            "dedupe_key": "'k'",
            "state": f"'{place}'",
            "run_at": A_DAY_AGO,
        }
        is_running = place == State.RUNNING
        self.columns |= (
            {"lease_no": "1", "lease_until": "now() + interval '1 day'"} if is_running else {"lease_no": "2"}
        )
        if place in {State.SUCCEEDED, State.FAILED, State.CANCELLED}:
            self.columns["finished_at"] = A_DAY_AGO
        only_running = {"lease_until", "next_payload"}
        self.columns |= {name: value for name, value in traits.items() if is_running or name not in only_running}

    async def set(self, db: Db) -> tuple[int, int]:
        """Make it; its id and lease_no."""
        if self.place == NOTHING:
            return 0, 0
        names, values = ", ".join(self.columns), ", ".join(self.columns.values())
        query: Any = f"INSERT INTO background_job ({names}) VALUES ({values}) RETURNING id, lease_no"
        row = await (await db.execute(query)).fetchone()
        assert row is not None
        if self.has_effect:
            await db.execute(EFFECT, [row["id"]])
        return row["id"], row["lease_no"]


async def outcomes(db: Db, query: Any, name: str, scene: Scene) -> set[tuple[str, str]]:
    """The moves that really happen where a statement meets a job."""
    happened = set()
    for more in ENDINGS if name == "settle" else [{}]:
        async with db.transaction(force_rollback=True):
            job = await scene.set(db)
            before = await rows(db)
            binds = more or BINDS[name](*job)
            if name == "settle":
                binds = {"endings": binds["endings"].replace('"id": 1,', f'"id": {job[0]},')}
            async with db.transaction():  # of its own, so that a change shows
                await db.execute(query, {"now": None, **binds})
            after = await rows(db)
        if before != after:
            (was,), (is_,) = ([state for _, state in each.values()] or [NOTHING] for each in (before, after))
            happened.add((was, is_))
    return happened


async def rows(db: Db) -> dict[int, tuple[str, str]]:
    """All jobs: the version of each row, and its state."""
    found = await (await db.execute("SELECT id, ctid::text AS version, state FROM background_job")).fetchall()
    return {row["id"]: (row["version"], row["state"]) for row in found}
