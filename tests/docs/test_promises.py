"""The page of promises names tests that exist, in the files that it says."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = {path.name: re.findall(r"def test_(\w+)", path.read_text()) for path in (ROOT / "tests").rglob("*.py")}


def named_tests() -> Iterator[tuple[str, str]]:
    """File and name of what the page's column of tests names; a name without a file is of the file named before it."""
    file = ""
    rows = [line.split(" | ") for line in (ROOT / "docs" / "promises.md").read_text().splitlines()]
    for row in (row for row in rows if len(row) > 2 and row[0].startswith("|")):
        for name in re.findall(r"`([^`]+)`", row[1]):
            if name in TESTS:
                file = name
            elif not name.startswith("./") and not (ROOT / name).exists():
                yield file, name


def test_every_promise_names_a_test_that_exists() -> None:
    """Each name is a test of its file, where … stands for any words."""
    named = list(named_tests())
    assert len(named) > 50
    assert [] == [
        (file, name)
        for file, name in named
        if not any(fnmatchcase(test, name.replace("…", "*")) for test in TESTS[file])
    ]
