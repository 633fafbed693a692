"""What an enqueue asks of the database: no statement, and no byte of payload, more than it needs."""

import json
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any, Self

import psycopg
import pytest

from leadjobs import NewJob, OnConflict, Verdict, enqueue_many_sync, enqueue_sync

Asked = list[tuple[str, list[dict[str, Any]]]]


@pytest.fixture
def caller(url: str) -> Iterator[tuple[psycopg.Connection, Asked]]:
    """A caller's connection, and what was asked through it: the statement's first words, and the rows of its bind."""
    asked: Asked = []

    class Recording(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Self:
            asked.append((" ".join(query.split()[:2]), json.loads(params["jobs"])))
            return super().execute(query, params, **more)

    with psycopg.connect(url, cursor_factory=Recording) as connection:
        yield connection, asked


def send(n: int, on_conflict: OnConflict = OnConflict.IGNORE) -> NewJob:
    return NewJob(type="SEND", tenant="t", payload={"n": n}, dedupe_key=f"k{n}", on_conflict=on_conflict)


@pytest.mark.parametrize("many", [1, 500])
@pytest.mark.parametrize(
    "make", [send, lambda n: send(n, OnConflict.REPLACE), lambda n: NewJob(type="SEND", payload={"n": n})]
)
def test_new_jobs_are_one_statement(
    many: int, make: Callable[[int], NewJob], caller: tuple[psycopg.Connection, Asked]
) -> None:
    """However many jobs of one kind are new, one statement adds them, and nobody is looked up."""
    connection, asked = caller
    answers = enqueue_many_sync(connection, [make(n) for n in range(many)])

    assert {Verdict.INSERTED} == {answer.verdict for answer in answers}
    assert [("INSERT INTO", many)] == [(words, len(rows)) for words, rows in asked]


def test_a_holder_is_looked_up_by_its_key_alone(caller: tuple[psycopg.Connection, Asked]) -> None:
    """Payloads may be large, and those of held keys have gone over the wire once already."""
    connection, asked = caller
    enqueue_sync(connection, send(1))
    asked.clear()

    answers = enqueue_many_sync(connection, [send(n) for n in (0, 1, 2)])

    assert ["inserted", "ignored", "inserted"] == [answer.verdict for answer in answers]
    (_, inserted), (words, looked_up) = asked
    assert ("SELECT held.id,", 3) == (words, len(inserted))
    assert [{"type": "SEND", "tenant": "t", "dedupe_key": "k1"}] == looked_up


def test_a_payload_may_be_any_mapping(caller: tuple[psycopg.Connection, Asked]) -> None:
    """A read-only view of a dict is an object as well."""
    connection, asked = caller
    enqueue_sync(connection, NewJob(type="SEND", payload=MappingProxyType({"n": 7})))

    assert [{"n": 7}] == [rows[0]["payload"] for _, rows in asked]
