"""House rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import leadjobs

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize(
    "path", [*SOURCES, *(ROOT / "benchmarks" / "peers").rglob("*.py")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_and_functions_are_small(path: Path) -> None:
    """No file is over 400 lines and no function over 40, counted without its docstring."""
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    too_long = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if length > 40:
                too_long.append(f"{node.name}: {length}")
    assert [] == too_long


def test_doors_are_thin() -> None:
    """A door has no logic: at most 25 lines, and it defines app."""
    for door in (ROOT / "api").glob("*.py"):
        text = door.read_text()
        assert len(text.splitlines()) <= 25
        assert "\napp = leadjobs." in text


def test_sql_files_hold_one_explained_statement() -> None:
    """Each SQL file begins by saying what it does, and holds one statement."""
    for path in (ROOT / "src").rglob("*.sql"):
        text = path.read_text()
        assert text.startswith("-- "), path
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
        assert not [line for line in code.splitlines() if line.rstrip().endswith(";")], path


def test_the_engine_s_names_are_sorted_and_explained() -> None:
    """What leadjobs exports is sorted, and every name says what it is."""
    assert sorted(leadjobs.__all__) == leadjobs.__all__
    assert [] == [name for name in leadjobs.__all__ if not getattr(leadjobs, name).__doc__]


def test_nobody_reads_the_machine_s_clock_for_decisions() -> None:
    """Wall-clock time is read only where it decides nothing: logs, the platform's deadline, the doctor, fakes."""
    allowed = {"telemetry/log.py", "web/cron.py", "cli/doctor.py", "testing/clock.py", "demo/posts.py"}
    package = ROOT / "src" / "leadjobs"
    readers = {
        str(path.relative_to(package))
        for path in SOURCES
        if any(word in path.read_text() for word in ("datetime.now", "time.time(", "utcnow", "date.today"))
    }
    assert readers <= allowed | {"core/instants.py"}  # which mentions it in an error's advice


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("leadjobs", "sqlalchemy alembic openai httpx httpx2 starlette typer tenacity pydantic_settings"),
        ("leadjobs.app", "sqlalchemy alembic openai httpx httpx2 typer tenacity rich uvicorn"),
    ],
)
def test_imports_stay_light(module: str, heavy: str) -> None:
    """Importing the engine loads no framework; importing the doors loads neither SQLAlchemy nor an SDK."""
    code = f"import {module}, sys; print([m for m in '{heavy}'.split() if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "[]" == loaded.strip()
