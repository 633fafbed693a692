"""How commands speak: tables and words for people on standard output, JSON for machines, progress on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

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
    json.dump(value, sys.stdout, indent=2, default=str, ensure_ascii=not is_utf)
    sys.stdout.write("\n")


def end_with_error(text: str, *, error_code: str | None, exit_code: int) -> NoReturn:
    """Leave with one line on standard error; where JSON was asked for, with an object on standard output instead."""
    line = " ".join(text.split())
    if "--json" in sys.argv:
        print_json({"error": line, "code": error_code})
    else:
        told = "" if error_code is None else f" [dim]({error_code})[/]"
        progress.print(f"[red]leadjobs:[/] {escape(line)}{told}", highlight=False, soft_wrap=True, emoji=False)
    sys.exit(exit_code)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; None is shown as a dash."""
    console.print(table(columns, rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table to print or to update."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*("-" if cell is None else escape(str(cell)) for cell in row))
    return drawn
