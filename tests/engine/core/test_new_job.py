"""What may be enqueued: a wrong request is refused before it reaches the database, and the message names the field."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import DedupeScope, Lane, NewJob, OnConflict, enqueue
from leadjobs.errors import EnqueueError

Db = psycopg.AsyncConnection[DictRow]

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
SECRET = "ada@example.com"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"type": ""}, "type ''"),
        ({"type": None}, "type None"),
        ({"type": "7UP"}, "type '7UP'"),
        ({"type": "with space"}, "type 'with space'"),
        ({"type": "newline\n"}, "type 'newline"),
        ({"type": "x" * 101}, "type 'xxx"),
        ({"type": "ÜBER"}, "type 'ÜBER'"),
        ({"run_at": NOON.replace(tzinfo=None)}, "run_at of SEND has no time zone"),
        (
            {"run_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
            "run_at of SEND is not in the years 2 to 9998",
        ),
        (
            {"run_at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))},
            "run_at of SEND is not in the years 2 to 9998",
        ),
        ({"run_at": "2026-11-23T12:00Z"}, "run_at of SEND is .*: give an aware datetime, such as"),
        ({"delay": timedelta(days=3_000_000)}, "delay of SEND is over a thousand years"),
        ({"delay": -timedelta(days=800_000)}, "delay of SEND is over a thousand years"),
        ({"delay": 30}, r"delay of SEND is 30: give a timedelta, such as timedelta\(seconds=30\)"),
        ({"run_at": NOON, "delay": timedelta(1)}, "SEND has both run_at and delay"),
        ({"run_at": NOON, "delay": timedelta()}, "SEND has both run_at and delay"),
        ({"dedupe_key": ""}, "dedupe_key of SEND is empty"),
        ({"dedupe_key": "k" * 501}, "dedupe_key of SEND: at most 500 bytes"),
        ({"dedupe_key": "\N{GRINNING FACE}" * 126}, "dedupe_key of SEND: at most 500 bytes"),
        ({"dedupe_key": "a\0b"}, "dedupe_key of SEND: .*NUL"),
        ({"dedupe_key": "\ud800"}, "dedupe_key of SEND"),
        ({"dedupe_key": 7}, "dedupe_key of SEND"),
        ({"tenant": "t" * 501}, "tenant of SEND: at most 500 bytes"),
        ({"tenant": "a\0b"}, "tenant of SEND"),
        ({"tenant": None}, "tenant of SEND"),
        ({"lane": Lane.ALONE}, "lane of SEND: 'alone' is for the engine"),
        ({"lane": "alone"}, "lane of SEND: 'alone' is for the engine"),
        ({"lane": "urgent"}, "lane of SEND: 'urgent'"),
        ({"scope": "forever"}, "scope of SEND: 'forever'"),
        ({"on_conflict": "shout", "dedupe_key": "k"}, "on_conflict of SEND: 'shout'"),
        ({"on_conflict": OnConflict.REPLACE}, "on_conflict='replace' of SEND needs a dedupe_key"),
        ({"payload": [SECRET]}, "payload of SEND is not an object"),
        ({"payload": None}, "payload of SEND is not an object"),
        ({"payload": SECRET}, "payload of SEND is not an object"),
        ({"payload": [("a", SECRET)]}, "payload of SEND is not an object"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode() if isinstance(value, dict) else "",
)
def test_a_request_that_cannot_work_names_its_field(wrong: dict[str, Any], named: str) -> None:
    """The field is named where the job is made, and a payload's value is never shown."""
    with pytest.raises(EnqueueError, match=named) as caught:
        NewJob(**({"type": "SEND"} | wrong))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("type_", ["A", "LEAD_SCORING_POST_PROCESS", "mail.send:v2-beta", "x" * 100])
async def test_the_longest_and_oddest_allowed_names_can_be_kept(type_: str, db: Db) -> None:
    """What the checks let through fits the table and its indexes, also where nothing in it can be compressed."""
    noise = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(166))
    job = NewJob(type=type_, tenant=noise, dedupe_key=noise[::-1], lane=Lane.BACKFILL)

    await enqueue(db, job)

    row = await (await db.execute("SELECT type, tenant, hold, lane FROM background_job")).fetchone()
    assert {"type": type_, "tenant": noise, "hold": noise[::-1], "lane": "backfill"} == row


def test_choices_may_be_given_by_their_words() -> None:
    """Text that names a choice is that choice, whichever of them is given so."""
    choices: dict[str, Any] = {"lane": Lane.BACKFILL, "scope": DedupeScope.LIVE, "on_conflict": OnConflict.REPLACE}
    for name, choice in choices.items():
        word: dict[str, Any] = {name: str(choice)}
        assert choice is getattr(NewJob(type="SEND", dedupe_key="k", **word), name)


def circular() -> dict[str, Any]:
    loop: dict[str, Any] = {"secret": SECRET}
    loop["self"] = loop
    return loop


def bottomless() -> dict[str, Any]:
    deep: dict[str, Any] = {"secret": SECRET}
    for _ in range(100_000):
        deep = {"a": deep}
    return deep


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (lambda: {"secret": SECRET, "n": float("nan")}, "a payload is not JSON"),
        (lambda: {"secret": SECRET, "n": [float("-inf")]}, "a payload is not JSON"),
        (lambda: {"secret": SECRET, "at": NOON}, "a payload is not JSON: .*datetime"),
        (lambda: {(1, 2): SECRET}, "a payload is not JSON"),
        (circular, "a payload is not JSON"),
        (bottomless, "a payload is not JSON"),
        (lambda: {"secret": SECRET, "text": "a\0b"}, "NUL"),
        (lambda: {"secret": SECRET, "deep": [{"a\0b": 1}]}, "NUL"),
        (lambda: {"secret": SECRET, "half": "\ud83d"}, "surrogate"),
        (lambda: {"secret": SECRET, "half": ("\ude00\ud83d",)}, "surrogate"),
    ],
    ids=["nan", "inf", "datetime", "key", "circular", "bottomless", "nul", "nul in key", "high half", "low half"],
)
async def test_a_payload_that_json_or_postgresql_cannot_keep_is_refused(
    payload: Callable[[], dict[str, Any]], says: str, db: Db
) -> None:
    """The refusal comes before any statement, so the caller's transaction is still good, and shows no value."""
    async with db.transaction():
        with pytest.raises(EnqueueError, match=says) as caught:
            await enqueue(db, NewJob(type="SEND", payload=payload()))
        await enqueue(db, NewJob(type="SEND", payload={"text": "\\u0000 \N{GRINNING FACE} \\ud83d"}))

    assert SECRET not in str(caught.value)
    rows = await (await db.execute("SELECT payload FROM background_job")).fetchall()
    assert [{"payload": {"text": "\\u0000 \N{GRINNING FACE} \\ud83d"}}] == rows
