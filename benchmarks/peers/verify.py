"""Exactly once, or it is no number: every job ran once, and is finished (or gone) in the contestant's own table."""

from collections import Counter
from collections.abc import Iterable, Sequence

import psycopg

from benchmarks.peers.contestants import Table
from benchmarks.peers.process import BrokenError

SHOWN = 3


def check_exactly_once(what: str, numbers: Iterable[int], count: int) -> None:
    """Each of 1 to ``count`` is there, once, and nothing else.

    Raises:
        BrokenError: the message says how many are missing, doubled or strange, and names some.
    """
    seen = Counter(numbers)
    wrong = {
        "missing": [number for number in range(1, count + 1) if number not in seen],
        "doubled": [number for number, times in seen.items() if times > 1],
        "strange": [number for number in seen if not 1 <= number <= count],
    }
    told = [f"{len(found)} {how} ({_some(found)})" for how, found in wrong.items() if found]
    if told:
        raise BrokenError(f"{what}: {', '.join(told)} of {count}")


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:SHOWN])) + (", …" if len(numbers) > SHOWN else "")


def check_added(connection: psycopg.Connection, table: Table, count: int, after: int) -> None:
    """The jobs are in the table, each once."""
    rows = connection.execute(f"SELECT {table.number} FROM {table.name} WHERE {table.mine}", {"after": after})
    check_exactly_once("added", (number for (number,) in rows), count)


def check_finished(connection: psycopg.Connection, table: Table, count: int, after: int) -> None:
    """The jobs are finished in the table, each once; none of them waits or runs."""
    if table.deleted:
        left = _one(connection, f"SELECT count(*) FROM {table.name} WHERE {table.mine}", after)
        finished = _one(connection, table.deleted, after)
        if left or finished != count:
            raise BrokenError(f"finished: {finished} of {count}, and {left} are left in the table")
        return
    done = f"SELECT {table.number} FROM {table.name} WHERE {table.mine} AND {table.finished}"
    check_exactly_once("finished", (number for (number,) in connection.execute(done, {"after": after})), count)
    if left := _one(
        connection, f"SELECT count(*) FROM {table.name} WHERE {table.mine} AND NOT {table.finished}", after
    ):
        raise BrokenError(f"finished: {left} of the table's jobs are not")


def is_unfinished(connection: psycopg.Connection, table: Table, after: int) -> bool:
    """Whether a job waits or runs."""
    ask = f"SELECT EXISTS (SELECT FROM {table.name} WHERE {table.mine} AND NOT {table.finished})"
    return bool(_one(connection, ask, after))


def _one(connection: psycopg.Connection, query: str, after: int) -> int:
    row = connection.execute(query, {"after": after}).fetchone()
    assert row is not None
    return int(row[0])
