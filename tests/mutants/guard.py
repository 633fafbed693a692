"""A guard, and what takes it out."""

from dataclasses import dataclass

RUNNER, STORE, ENQUEUE, CORE = "tests/engine/runner", "tests/engine/store", "tests/engine/enqueue", "tests/engine/core"


@dataclass(frozen=True)
class Guard:
    """A guard: ``old`` stands exactly once in the file, and ``new`` in its place takes it out."""

    file: str
    name: str
    old: str
    new: str
    tests: tuple[str, ...]


def sql(file: str, name: str, old: str, new: str, *tests: str) -> Guard:
    """A guard in one of the engine's statements."""
    return Guard(f"store/sql/{file}.sql", name, old, new, tests)


def lead_sql(file: str, name: str, old: str, new: str, *tests: str) -> Guard:
    """A guard in one of the lead half's statements."""
    return Guard(f"leads/sql/{file}.sql", name, old, new, tests)


def py(file: str, name: str, old: str, new: str, *tests: str) -> Guard:
    """A guard in a module."""
    return Guard(f"{file}.py", name, old, new, tests)
