"""The reference pages are complete, and what the pages point to is there."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

import leadjobs
from leadjobs.core.report import Report
from leadjobs.errors import LeadjobsError
from leadjobs.leads.ai.models import MODELS
from leadjobs.leads.tables import AIInteraction
from leadjobs.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "leadjobs"
PAGES = sorted((ROOT / "docs").rglob("*.md")) + sorted((ROOT / "examples").rglob("*.md"))
PAGES += [path for path in (ROOT / "AGENTS.md", ROOT / "CHANGELOG.md", ROOT / "README.md") if path.exists()]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"`([\w./-]+\.(?:py|sql|toml|json|md|txt))`")
_READERS_OWN = {"shop.py", "signup.py", "myjobs.py"}  # files that a reader of a page is told to make


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """The cells of the table under a heading, without its head."""
    _, found, below = (ROOT / "docs" / page).read_text().partition(f"\n## {heading}\n")
    assert found, f"{page} has no heading {heading}"
    lines = [line for line in below.partition("\n## ")[0].splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def code(cell: str) -> str:
    """What stands in a cell as code."""
    assert cell.startswith("`"), cell
    assert cell.endswith("`"), cell
    return cell[1:-1]


def test_every_setting_is_documented() -> None:
    """Settings and the page have the same names and defaults."""
    documented = {code(name): default for name, default, *_ in rows("settings.md", "Settings")}
    expected = {}
    for field in Settings.model_fields.values():
        assert field.default is not PydanticUndefined
        assert not isinstance(field.default, SecretStr)
        expected[str(field.alias)] = "unset" if field.default is None else f"`{field.default}`".replace(".0`", "`")
    assert expected == documented


def test_every_other_variable_that_is_read_is_documented() -> None:
    """No file reads a LEADJOBS_ variable that the page does not name."""
    text = (ROOT / "docs" / "settings.md").read_text()
    read = {name for path in SOURCE.rglob("*.py") for name in re.findall(r"\bLEADJOBS_[A-Z_]+\b", path.read_text())}
    assert [] == sorted(name for name in read if f"`{name}`" not in text)


def all_errors(kind: type[LeadjobsError] = LeadjobsError) -> Iterator[type[LeadjobsError]]:
    """An error class and everything below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from all_errors(below)


def test_every_error_is_documented() -> None:
    """All error classes of the package are on the page, with the code and the fault they have."""
    for module in pkgutil.walk_packages(leadjobs.__path__, "leadjobs."):
        importlib.import_module(module.name)
    expected = {
        (kind.code, kind.__name__, kind.fault, "yes" if kind.is_transient else "no")
        for kind in all_errors()
        if kind.__module__.startswith("leadjobs.")
    }
    table = list(rows("errors.md", "All errors"))
    assert expected == {(code(row[0]), code(row[1]), row[2], row[3]) for row in table}
    assert len({row[0] for row in table}) == len(table)
    assert all(row[4] and row[5] for row in table)


def test_every_field_of_the_report_is_explained() -> None:
    """What the cron door answers is on the operator's page."""
    expected = set(Report().as_json())
    assert expected == {code(row[0]) for row in rows("operate.md", "What a cron call answers")}


def test_every_column_of_the_ledger_is_explained() -> None:
    """All columns of a kept AI call are on the page about scoring."""
    named = {name for row in rows("ai.md", "The ledger: one row for each call") for name in row[0].split(", ")}
    assert {f"`{column.name}`" for column in AIInteraction.__table__.columns} == named


def test_every_model_is_listed_with_its_end() -> None:
    """The models, their prices and what follows them are those of the code."""
    expected = {
        (
            model.name,
            str(model.input_usd),
            str(model.output_usd),
            str(model.ends_on or "-"),
            f"`{model.successor}`" if model.successor else "-",
        )
        for model in MODELS
    }
    listed = {(code(row[0]), row[2], row[4], row[5], row[6]) for row in rows("ai.md", "Models")}
    assert expected == listed


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link points to a file, and to a heading where it names one."""
    for link in _LINK.findall(page.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name_are_there(page: Path) -> None:
    """Each file that a page names by its path is in the tree: from its root, or from the package."""
    places = (ROOT, SOURCE, SOURCE / "store" / "sql")
    named = set(_FILE.findall(page.read_text())) - _READERS_OWN
    files = {path.name for folder in (SOURCE, ROOT / "tests") for path in folder.rglob("*.*")}
    assert [] == sorted(name for name in named if name not in files and not any((at / name).exists() for at in places))
