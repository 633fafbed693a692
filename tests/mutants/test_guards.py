"""The list of guards is true: each is there once, and each mutant is a program, which only its test can catch."""

import re
from collections import Counter
from pathlib import Path

import psycopg
from psycopg.rows import DictRow
from tests.mutants.guard import Guard
from tests.mutants.guards import GUARDS

ROOT = Path(__file__).parents[2]
BIND = re.compile(r"(?<!:):([a-z_]+)")


def source(guard: Guard) -> str:
    return (ROOT / "src" / "leadjobs" / guard.file).read_text()


def with_numbers(text: str) -> str:
    """A statement as PREPARE takes it, where the database finds the types of the binds."""
    places: dict[str, str] = {}
    portable = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return BIND.sub(lambda bind: places.setdefault(bind[1], f"${len(places) + 1}"), portable)


def test_each_guard_stands_once_in_its_file() -> None:
    assert [] == [(guard.file, guard.name) for guard in GUARDS if source(guard).count(guard.old) != 1]


def test_no_two_guards_are_one() -> None:
    assert [] == [name for name, count in Counter((guard.file, guard.name) for guard in GUARDS).items() if count > 1]


def test_each_guard_names_tests_that_exist() -> None:
    missing = []
    for file, _, name in (test.partition("::") for guard in GUARDS for test in guard.tests):
        path = ROOT / file
        if not path.exists() or (name and f"def {name}(" not in path.read_text()):
            missing.append(f"{file}::{name}")
    assert [] == missing


async def test_each_mutant_is_a_program(db: psycopg.AsyncConnection[DictRow]) -> None:
    """One that cannot be read would be caught by any test, and say nothing of the named one."""
    for guard in GUARDS:
        mutant = source(guard).replace(guard.old, guard.new)
        if guard.file.endswith(".py"):
            compile(mutant, guard.file, "exec")
        else:
            await db.execute(f"PREPARE mutant AS {with_numbers(mutant)}".encode())
            await db.execute("DEALLOCATE mutant")
