"""The page of promises names tests that exist."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()
TESTS = {path.name: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
NAMES = {name for text in TESTS.values() for name in re.findall(r"def test_(\w+)", text)}


def named_tests() -> list[str]:
    """What stands as code in the column of tests."""
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return [name for row in rows if len(row) > 2 for name in re.findall(r"`([^`]+)`", row[1])]


def test_every_promise_names_a_test_that_exists() -> None:
    """Each name is a file, or a test (where … stands for any words)."""
    assert len(named_tests()) > 50
    missing = [
        name
        for name in named_tests()
        if name not in TESTS
        and not (ROOT / name).exists()
        and name != "./dev check"
        and not any(fnmatchcase(test, name.replace("…", "*")) for test in NAMES)
    ]
    assert [] == missing
