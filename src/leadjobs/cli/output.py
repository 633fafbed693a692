"""How commands speak: tables and words for people on standard output, JSON for machines, progress on standard error."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from leadjobs.core.report import to_camel

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

WIDE = 160  # columns, where nobody's terminal says how many there are

console = Console(width=None if sys.stdout.isatty() else WIDE)
progress = Console(stderr=True, width=None if sys.stderr.isatty() else WIDE)


def say(words: str) -> None:
    """A line of progress."""
    progress.print(f"[dim]·[/] {words}", highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    is_utf = (sys.stdout.encoding or "").lower().startswith("utf")  # elsewhere escapes: they lose no letter
    json.dump(_for_machines(value), sys.stdout, indent=2, default=str, ensure_ascii=not is_utf)
    sys.stdout.write("\n")


def answer(words: str, value: Any, *, as_json: bool) -> None:
    """What a command did: words for people, or the value for machines."""
    if as_json:
        print_json(value)
    else:
        console.print(words, markup=False, highlight=False, soft_wrap=True, emoji=False)


def _for_machines(value: Any) -> Any:
    """A value as all commands print it: what we name is named as in the HTTP API, and instants are in UTC.

    What is a user's own, such as the keys of a payload, a result or a receipt, stays as it is.
    """
    if isinstance(value, BaseModel):
        return _for_machines(value.model_dump(by_alias=True))
    if is_dataclass(value):
        return {to_camel(field.name): _for_machines(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _for_machines(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_for_machines(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def print_error(text: str, error_code: str | None) -> None:
    """One line on standard error."""
    told = "" if error_code is None else f" [dim]({error_code})[/]"
    line = " ".join(text.split())
    progress.print(f"[red]leadjobs:[/] {escape(line)}{told}", highlight=False, soft_wrap=True, emoji=False)


def end_with_error(text: str, *, error_code: str | None, exit_code: int) -> NoReturn:
    """Leave with one line on standard error; where JSON was asked for, with an object on standard output instead."""
    if "--json" in sys.argv:
        print_json({"error": " ".join(text.split()), "code": error_code})
    else:
        print_error(text, error_code)
    sys.exit(exit_code)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; None is shown as a dash, and what has parts as JSON."""
    console.print(table(columns, rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table to print or to update."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*("-" if cell is None else escape(_cell(cell)) for cell in row))
    return drawn


def _cell(value: Any) -> str:
    says_nothing = is_dataclass(value) and type(value).__str__ is object.__str__
    has_parts = says_nothing or isinstance(value, Mapping | list | tuple)
    return json.dumps(_for_machines(value), default=str, ensure_ascii=False) if has_parts else str(value)
