"""``leadjobs demo``."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table

from leadjobs.cli.output import JsonFlag, console, print_json, progress, say, table

if TYPE_CHECKING:
    from leadjobs.demo.run import DemoResult, LeadLine

COLUMNS = ("lead", "channel", "answer", "to score", "sentiment", "fit", "intent", "overall", "reasoning")


def demo(
    as_json: JsonFlag = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Replies in, scores out: the whole pipeline on a throw-away PostgreSQL, then every webhook again, three at once.

    Really asks OpenAI where OPENAI_API_KEY is set.  Exit code 0 only if every lead is scored and nothing doubled.
    """
    from leadjobs.demo.run import run_demo

    hush = (lambda _: None) if quiet else say
    if as_json:
        result = run_demo(hush, lambda _: None)
        print_json(result)
    else:
        with Live(_table([]), console=console, refresh_per_second=8) as live:
            result = run_demo(hush, lambda lines: live.update(_table(lines)))
            live.update(_table(result.leads))
        _conclude(result)
    if not result.ok:
        raise typer.Exit(1)


def _table(lines: "list[LeadLine]") -> Table:
    return table(
        COLUMNS,
        [
            (
                line.lead,
                f"{line.channel} ({line.source})",
                f"{line.answer_ms:.0f} ms",
                None if line.reply_to_score_seconds is None else f"{line.reply_to_score_seconds:.1f} s",
                line.sentiment and line.sentiment.replace("_", " "),
                line.fit_score,
                line.intent_score,
                line.overall_score,
                line.score_reasoning,
            )
            for line in lines
        ],
    )


def _conclude(result: "DemoResult") -> None:
    scored = sum(line.overall_score is not None for line in result.leads)
    by = "a local stand-in (no AI; set OPENAI_API_KEY for the real one)" if result.ai == "stand-in" else "OpenAI"
    console.print(
        f"\n{scored} of {len(result.leads)} leads scored by {by}; {result.resent} webhooks sent again, "
        f"{result.doubled} rows doubled; a forged one was {'refused' if result.refused_forgery else 'TAKEN'}."
    )
    console.print("[green]All well.[/]" if result.ok else "[red]Not as promised: see above.[/]")
    progress.print(
        "\nWhere to look next:\n"
        "  leadjobs dev        keep it running on localhost, with a real minute tick\n"
        "  docs/quickstart.md  your own Postgres, your own jobs\n"
        "  docs/deploy.md      on Vercel, in five steps\n"
        "  src/leadjobs/runner.py  start reading here",
        highlight=False,
    )
